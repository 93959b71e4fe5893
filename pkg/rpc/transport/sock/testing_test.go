package sock

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/conformance"
)

// socketPath is a path in a directory of its own; that of t.TempDir may be too long for a socket.
func socketPath(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "txs")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// certificates are the TLS configurations of a server and of a client that trust each other and nobody else.
func certificates(tb testing.TB) (server, client *tls.Config) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "test"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	server = &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	client = &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool}
	return server, client
}

// networks are the ways to connect, by kind.
func networks(tb testing.TB) map[string]conformance.Network {
	server, client := certificates(tb)
	must := func(t *testing.T, ln transport.Listener, err error) transport.Listener {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return ln
	}
	return map[string]conformance.Network{
		kindUnix: {
			Listen: func(t *testing.T, cfg transport.Config) transport.Listener {
				ln, err := ListenUnix(socketPath(t), cfg)
				return must(t, ln, err)
			},
			Dial: DialUnix,
		},
		kindTCP: {
			Listen: func(t *testing.T, cfg transport.Config) transport.Listener {
				ln, err := ListenTCP("127.0.0.1:0", nil, cfg)
				return must(t, ln, err)
			},
			Dial: func(ctx context.Context, addr string, cfg transport.Config) (transport.Conn, error) {
				return DialTCP(ctx, addr, nil, cfg)
			},
		},
		kindTLS: {
			Listen: func(t *testing.T, cfg transport.Config) transport.Listener {
				ln, err := ListenTCP("127.0.0.1:0", server, cfg)
				return must(t, ln, err)
			},
			Dial: func(ctx context.Context, addr string, cfg transport.Config) (transport.Conn, error) {
				return DialTCP(ctx, addr, client, cfg)
			},
		},
	}
}

// open makes a pair over kind; cfg is that of both ends.
func open(tb testing.TB, kind string, cfg transport.Config) (a, b transport.Conn) {
	tb.Helper()
	server, client := certificates(tb)
	if kind != kindTLS {
		server, client = nil, nil
	}
	var (
		ln  transport.Listener
		err error
	)
	if kind == kindUnix {
		ln, err = ListenUnix(socketPath(tb), cfg)
	} else {
		ln, err = ListenTCP("127.0.0.1:0", server, cfg)
	}
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	if kind == kindUnix {
		a, err = DialUnix(tb.Context(), ln.Addr(), cfg)
	} else {
		a, err = DialTCP(tb.Context(), ln.Addr(), client, cfg)
	}
	if err != nil {
		tb.Fatal(err)
	}
	if b, err = ln.Accept(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return a, b
}

func kinds() []string { return []string{kindUnix, kindTCP, kindTLS} }

// forEachKind runs a test over a pair of each kind.
func forEachKind(t *testing.T, cfg transport.Config, test func(t *testing.T, a, b transport.Conn)) {
	t.Helper()
	for _, kind := range kinds() {
		t.Run(kind, func(t *testing.T) {
			conformance.NoLeak(t)
			a, b := open(t, kind, cfg)
			defer b.Close()
			defer a.Close()
			test(t, a, b)
		})
	}
}

func put(l transport.Lane, n, size int) error {
	l.Lock()
	defer l.Unlock()
	for range n {
		f, err := l.Reserve(size)
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint32(f, uint32(size))
	}
	return l.Flush()
}

func take(l transport.Lane, n int) error {
	for n > 0 {
		b, err := l.Receive()
		if err != nil {
			return err
		}
		n -= len(b)
		l.Release()
	}
	return nil
}
