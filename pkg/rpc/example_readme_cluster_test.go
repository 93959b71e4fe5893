package rpc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
)

func Example_discovery() {
	dir, err := os.MkdirTemp("", "rpc")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	known, err := registry.OpenDirectory(dir, registry.DirectoryConfig{}) // registry.DefaultDirectory() names the folder of all processes of this user
	if err != nil {
		log.Fatal(err)
	}
	defer known.Close()
	server, err := rpc.NewServer(rpc.ServerConfig{ID: "world-1", Endpoints: []string{filepath.Join(dir, "world-1.sock")}, Registry: known})
	if err != nil {
		log.Fatal(err)
	}
	rpc.Handle(server, "world.Enter", harbour) // registers service "world"
	defer background(server)()                 // server.Serve(ctx), on a goroutine

	client, err := rpc.NewClient(rpc.ClientConfig{Service: "world", Registry: known, Codec: rpc.JSON{}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	place, err := rpc.Call[Place](ctx, client, "world.Enter", &Enter{Player: 7})
	fmt.Println(place, err)
	// Output: &{harbour} <nil>
}

func Example_balancing() {
	network, known := inproc.NewNetwork(), registry.NewMemory()
	worlds := []string{"world-1", "world-2", "world-3"}
	for _, id := range worlds {
		server, err := rpc.NewServer(rpc.ServerConfig{ID: id, Endpoints: []string{"inproc://" + id}, InProc: network, Registry: known, Weight: 1})
		if err != nil {
			log.Fatal(err)
		}
		rpc.Handle(server, "world.Enter", func(context.Context, *Enter) (*Place, error) { return &Place{Zone: id}, nil })
		defer background(server)()
	}
	connected := make(chan struct{}, 3)
	client, err := rpc.NewClient(rpc.ClientConfig{Service: "world", Registry: known, InProc: network, Codec: rpc.JSON{}, OnConnect: func(*rpc.Peer) { connected <- struct{}{} }})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()
	for range worlds {
		<-connected
	}
	for _, id := range worlds { // a connection is told of just before it gets calls; these wait until it does
		if _, err := rpc.Call[Place](ctx, client, "world.Enter", &Enter{Player: 7}, rpc.ToInstance(id)); err != nil {
			log.Fatal(err)
		}
	}

	anyone, err := rpc.Call[Place](ctx, client, "world.Enter", &Enter{Player: 7}) // the less loaded of two drawn at random
	if err != nil {
		log.Fatal(err)
	}
	home, err := rpc.Call[Place](ctx, client, "world.Enter", &Enter{Player: 7}, rpc.WithKey("player 7")) // whoever keeps this key
	if err != nil {
		log.Fatal(err)
	}
	second, err := rpc.Call[Place](ctx, client, "world.Enter", &Enter{Player: 7}, rpc.ToInstance("world-2")) // this one or nobody
	if err != nil {
		log.Fatal(err)
	}

	again, err := rpc.Call[Place](ctx, client, "world.Enter", &Enter{Player: 7}, rpc.WithKey("player 7"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(anyone.Zone != "", again.Zone == home.Zone, second.Zone)
	// Output: true true world-2
}

func Example_mutualTLS() {
	own, authority := ownAuthority("tianxia cluster")
	token := []byte("from a secret store")
	server, err := rpc.NewServer(rpc.ServerConfig{
		Endpoints: []string{"tls://127.0.0.1:0"}, // port 0 is any free one
		Token:     token,
		TLS:       &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authority},
	})
	if err != nil {
		log.Fatal(err)
	}
	rpc.Handle(server, "world.Enter", func(ctx context.Context, _ *Enter) (*Place, error) {
		caller := rpc.PeerFrom(ctx).Info() // with UID and PID instead of a certificate on a socket of this machine
		return &Place{Zone: "shown to " + caller.TLS.PeerCertificates[0].Subject.CommonName}, nil
	})
	if err := server.Listen(); err != nil { // Serve does it too; here the port has to be known
		log.Fatal(err)
	}
	defer background(server)()

	client, err := rpc.NewClient(rpc.ClientConfig{
		Endpoint: server.Addrs()[0],
		Token:    token,
		TLS:      &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: authority},
		Codec:    rpc.JSON{},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	place, err := rpc.Call[Place](context.Background(), client, "world.Enter", &Enter{Player: 7})
	fmt.Println(place, err)
	// Output: &{shown to tianxia cluster} <nil>
}

// ownAuthority makes one for both ends, that is its own authority.
func ownAuthority(name string) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		log.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func Example_metrics() {
	var counts rpc.Counters // or a Metrics of your own
	server, client, stop := together(rpc.ServerConfig{}, rpc.ClientConfig{Metrics: &counts})
	defer stop()
	rpc.Handle(server, "world.Enter", harbour)
	for range 3 {
		if _, err := rpc.Call[Place](context.Background(), client, "world.Enter", &Enter{Player: 7}); err != nil {
			log.Fatal(err)
		}
	}

	for _, m := range counts.Stats().Calls {
		fmt.Println(m.Side, m.Method, m.Transport, m.Codes, m.Quantile(0.99) > 0)
	}
	for _, i := range client.Stats().Instances {
		fmt.Println(i.ID, i.Transport, i.Conn.Calls, i.Conn.Late, i.Conn.Fallbacks)
	}
	// Output:
	// client world.Enter inproc map[OK:3] true
	// world-1 inproc 3 0 0
}

// follower writes down who called what; a real one begins spans.
type follower struct{ print func(...any) }

func (t follower) ClientCall(ctx context.Context, method string) (context.Context, []byte, func(error)) {
	return ctx, []byte("00-trace-span-01"), func(err error) { t.print("called", method, err) }
}

func (t follower) ServerCall(ctx context.Context, method string, traceparent []byte) (context.Context, func(error)) {
	return ctx, func(err error) { t.print("served", method, "for", string(traceparent), err) }
}

func Example_tracing() {
	trace := follower{func(a ...any) { fmt.Println(a...) }}
	server, client, stop := together(rpc.ServerConfig{Trace: trace}, rpc.ClientConfig{Trace: trace})
	defer stop()
	rpc.Handle(server, "world.Enter", harbour)
	if _, err := rpc.Call[Place](context.Background(), client, "world.Enter", &Enter{Player: 7}); err != nil {
		log.Fatal(err)
	}
	// Output:
	// served world.Enter for 00-trace-span-01 <nil>
	// called world.Enter <nil>
}
