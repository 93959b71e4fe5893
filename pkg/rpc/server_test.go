package rpc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
)

func TestWrongTokensAreRefused(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		scfg.Token = []byte("secret-of-the-cluster")
		s := serve(t, scfg, func(s *rpc.Server) { echo(s) })
		ccfg.Token = []byte("another-secret")
		c := dial(t, ccfg)
		tried(t, c)
		_, err := rpc.Call[heard](within(t, 100*time.Millisecond), c, "test.Echo", &say{})
		e := wants(t, err, status.Unavailable, status.NotSent)
		if !strings.Contains(e.Message, "token") || strings.Contains(e.Message, "secret") {
			t.Error(e)
		}
		eventually(t, func() error {
			if st := s.Stats(); st.Refused == 0 || st.LastRefused == nil {
				return context.DeadlineExceeded
			}
			return nil
		})
		ccfg.Token = scfg.Token
		if _, err := rpc.Call[heard](within(t, 10*time.Second), dial(t, ccfg), "test.Echo", &say{}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestUnixEndpointsFallBackToTheSocket(t *testing.T) {
	leakless(t)
	path := socket(t)
	log := newRecords()
	serve(t, rpc.ServerConfig{Endpoints: []string{"uds://" + path}}, func(s *rpc.Server) { echo(s) }) // without shared memory
	var counts rpc.Counters
	c := dial(t, rpc.ClientConfig{Endpoint: path, Codec: rpc.JSON{}, Log: log.logger(), Metrics: &counts})
	if _, err := rpc.Call[heard](within(t, 10*time.Second), c, "test.Echo", &say{}); err != nil {
		t.Fatal(err)
	}
	st := c.Stats().Instances[0]
	if st.Transport != "uds" || !st.Connected || st.Err != nil {
		t.Fatalf("%+v", st)
	}
	if runtime.GOOS != "linux" {
		return
	}
	if len(st.Refused) != 1 || st.Refused[0].Transport != "shm" || st.Refused[0].Err == nil || st.Refused[0].Endpoint != "shm://"+path {
		t.Errorf("%+v", st.Refused)
	}
	if n := log.count("rpc: shared memory refused, using uds"); n != 1 {
		t.Errorf("%d log lines: %s", n, log.text())
	}
	refused := uint64(0)
	for _, k := range counts.Stats().Conns {
		if k.Transport == "shm" {
			refused = k.Refused
		}
	}
	if refused != 1 {
		t.Errorf("metrics count %d refusals", refused)
	}
}

func TestConnectionsAreMadeAgain(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		joined, left := make(chan string, 9), make(chan error, 9)
		ccfg.OnConnect = func(p *rpc.Peer) {
			if _, err := rpc.Call[heard](context.Background(), p, "test.Echo", &say{}); err != nil { // the first to call, before it is balanced
				t.Error(err)
			}
			joined <- p.ID()
		}
		ccfg.OnDisconnect = func(_ *rpc.Peer, err error) { left <- err }
		scfg.ID = "one"
		s := serve(t, scfg, func(s *rpc.Server) { echo(s) })
		c := dial(t, ccfg)
		if id := <-joined; id != "one" {
			t.Fatal(id)
		}
		s.stop()
		if err := <-left; err == nil {
			t.Error("the connection ended without a reason")
		}
		waiting := rpc.Go[heard](within(t, 10*time.Second), c, "test.Echo", &say{"again"})
		scfg.ID = "two"
		serve(t, scfg, func(s *rpc.Server) { echo(s) })
		if got, err := waiting.Wait(context.Background()); err != nil || got.Text != "again" { // long before a pause that only ever grows would end
			t.Fatalf("%v, %v", got, err)
		}
		if id := <-joined; id != "two" {
			t.Fatal(id)
		}
	})
}

func TestServersServeSeveralEndpoints(t *testing.T) {
	leakless(t)
	n := inproc.NewNetwork()
	cert, pool := certificate(t)
	reg := registry.NewMemory()
	listed := make(chan struct{}, 4)
	s := serve(t, rpc.ServerConfig{
		ID: "multi", Endpoints: []string{"inproc://m", "uds://" + socket(t), "tcp://127.0.0.1:0", "tls://localhost:0"}, InProc: n,
		TLS:      &tls.Config{Certificates: []tls.Certificate{cert}},
		Registry: reg, Labels: map[string]string{"zone": "north"}, Weight: 3, Mux: muxLimits(),
		OnConnect: func(*rpc.Peer) { listed <- struct{}{} },
	}, func(s *rpc.Server) { echo(s) })
	if i := s.Instance(); len(i.Endpoints) != 4 || i.Labels["zone"] != "north" || i.Weight != 3 || i.Epoch == 0 || i.State != registry.Ready {
		t.Fatalf("%+v", i)
	}
	for _, e := range s.Addrs() {
		c := dial(t, rpc.ClientConfig{Endpoint: e, InProc: n, TLS: &tls.Config{RootCAs: pool, ServerName: "localhost"}, Codec: rpc.JSON{}})
		if _, err := rpc.Call[heard](within(t, 10*time.Second), c, "test.Echo", &say{}); err != nil {
			t.Fatalf("%s: %v", e, err)
		}
		<-listed // an answer may come sooner
		kind, _, _ := strings.Cut(e, ":")
		if p := c.Peers()[0]; p.Transport() != kind || p.Epoch() != s.Instance().Epoch || p.Info().Hello.Services[0] != "test" {
			t.Errorf("%s: %+v", e, p.Info())
		}
	}
	if st := s.Stats(); len(st.Peers) != 4 || st.Draining || st.Refused != 0 {
		t.Errorf("%+v", st)
	}
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(c)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestServersSayWhyTheyCannotListen(t *testing.T) {
	leakless(t)
	path := socket(t)
	serve(t, rpc.ServerConfig{Endpoints: []string{"uds://" + path}}, nil)
	for endpoint, want := range map[string]string{"uds://" + path: path, "uds://" + path + "/no/folder": "folder", "inproc://x": "InProc", "tls://127.0.0.1:0": "TLS"} {
		s, err := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{"tcp://127.0.0.1:0", endpoint}})
		if err != nil {
			t.Fatal(err)
		}
		if err = s.Serve(context.Background()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", endpoint, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if s.Listen() == nil {
			t.Error("a closed server listens")
		}
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the living server's socket is gone: %v", err)
	}
}

func TestAnIDThatIsTakenIsSaid(t *testing.T) {
	leakless(t)
	cl := instances(t, 1, rpc.ServerConfig{}, who)
	cl.client(t, 1, rpc.ClientConfig{}) // it is registered
	s, err := rpc.NewServer(rpc.ServerConfig{ID: "a", Endpoints: []string{"inproc://other"}, InProc: cl.net, Registry: cl.reg})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(context.Background()); err == nil || !strings.Contains(err.Error(), "taken") {
		t.Fatal(err)
	}
}

func TestServicesAddedLaterAreFound(t *testing.T) {
	leakless(t)
	cl := instances(t, 1, rpc.ServerConfig{}, func(string, *rpc.Server) {})
	c := dial(t, rpc.ClientConfig{Service: "test", Registry: cl.reg, InProc: cl.net, Codec: rpc.JSON{}})
	who("a", cl.all["a"].Server)
	if got := ask(t, c); got != "a" {
		t.Fatal(got)
	}
}

func TestConfigMistakesAreExplained(t *testing.T) {
	for want, cfg := range map[string]rpc.ClientConfig{
		"whom to call":  {},
		"exclude":       {Service: "s", Endpoint: "/e"},
		"Registry":      {Service: "s"},
		"unix:///path":  {Endpoint: "localhost:7000"},
		"no transport":  {Endpoint: "http://x"},
		"names nothing": {Endpoint: "unix://"},
		"host:port":     {Endpoint: "tcp://x"},
		"negative":      {Endpoint: "/e", Timeout: -1},
		"at most 1":     {Endpoint: "/e", RetryBudget: 2},
		"P2C":           {Endpoint: "/e", Balance: 9},
		"MaxCalls":      {Endpoint: "/e", Mux: mux.Config{MaxCalls: 70_000}},
	} {
		if c, err := rpc.NewClient(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
			if err == nil {
				_ = c.Close()
			}
		}
	}
	for want, cfg := range map[string]rpc.ServerConfig{
		"nowhere to listen": {},
		"no transport":      {Endpoints: []string{"ftp://x"}},
		"negative":          {Endpoints: []string{"/e"}, Weight: -1},
		"MaxServe":          {Endpoints: []string{"/e"}, Mux: mux.Config{MaxServe: -1}},
	} {
		if _, err := rpc.NewServer(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func TestClosingTwiceAndInTheMiddleOfDialling(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		s := serve(t, scfg, func(s *rpc.Server) { echo(s) })
		for range 50 {
			c := dial(t, ccfg)
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		s.stop()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Drain(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := s.Serve(context.Background()); err == nil {
			t.Fatal("a closed server serves")
		}
	})
}

func FuzzEndpoints(f *testing.F) {
	for _, s := range []string{"", "/x", "unix:///x", "tcp://a:1", "tls://[::1]:2", "inproc://n", "shm://", "a:1", "\x00://"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := rpc.ServerConfig{Endpoints: []string{s}}
		if _, err := rpc.NewServer(c); err != nil && !strings.Contains(err.Error(), "rpc") {
			t.Errorf("%q: %v", s, err)
		}
	})
}
