package sock

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/conformance"
)

// The dialer tells what it met instead of a peer.
func TestDialTellsWhatTheOtherEndIs(t *testing.T) {
	say := func(words string) func(net.Conn) {
		return func(nc net.Conn) {
			_, _ = io.ReadFull(nc, make([]byte, preambleLen))
			_, _ = io.WriteString(nc, words)
		}
	}
	for _, test := range []struct {
		what    string
		serve   func(net.Conn)
		refused bool
		want    string
	}{
		{"HTTP", say("HTTP/1.1 400 Bad Request\r\n"), true, "not a Tianxia RPC"},
		{"AFewBytes", say("SSH"), true, `not a Tianxia RPC server: it said "SSH"`},
		{"TLS", say("\x15\x03\x01\x00\x02\x02\x16\x00"), true, "speaks TLS, we do not"},
		{"AnotherVersion", say("TXRP\x03\x01\x02\x00"), true, "speaks version 3, we speak 1"},
		{"AnotherForm", say("TXRP\x01\x02\x02\x00"), true, "form 2"},
		{"Echo", say("TXRP\x01\x01\x01\x00"), true, "repeats what we say"},
		{"Refusal", say("TXRP\x01\x01\x03\x0cno\x07 entrance"), true, "it says: no? entrance"},
		{"RefusalCutShort", say("TXRP\x01\x01\x03\x50no"), true, "did not say why"},
		{"Silence", func(nc net.Conn) {}, false, "without a word"},
		{"SilenceInTheMiddle", say("TXR"), false, "without a word"},
	} {
		t.Run(test.what, func(t *testing.T) {
			conformance.NoLeak(t)
			ln, err := net.Listen("unix", socketPath(t))
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				if nc, err := ln.Accept(); err == nil {
					test.serve(nc)
					_ = nc.Close()
				}
			}()
			_, err = DialUnix(t.Context(), ln.Addr().String(), transport.Config{})
			if err == nil || errors.Is(err, transport.ErrPeerRefused) != test.refused || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v", err)
			}
			_ = ln.Close()
			<-served
		})
	}
}

// A server that listens and does no more, as one that is frozen, holds the dialer until its context ends.
func TestDialObeysItsContext(t *testing.T) {
	conformance.NoLeak(t)
	for _, network := range []string{"unix", "tcp", "tls"} {
		t.Run(network, func(t *testing.T) {
			addr := "127.0.0.1:0"
			if network == "unix" {
				addr = socketPath(t)
			}
			ln, err := net.Listen(strings.Replace(network, "tls", "tcp", 1), addr)
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				_, _ = io.ReadFull(nc, make([]byte, preambleLen)) // it has connected and spoken
				cancel()
				_, _ = io.Copy(io.Discard, nc) // until the dialer goes
				_ = nc.Close()
			}()
			switch network {
			case "unix":
				_, err = DialUnix(ctx, ln.Addr().String(), transport.Config{})
			case "tcp":
				_, err = DialTCP(ctx, ln.Addr().String(), nil, transport.Config{})
			default:
				_, client := certificates(t)
				_, err = DialTCP(ctx, ln.Addr().String(), client, transport.Config{})
			}
			if !errors.Is(err, context.Canceled) || errors.Is(err, transport.ErrPeerRefused) {
				t.Errorf("Dial: %v", err)
			}
		})
	}
}

func TestTheTimeForAnIntroductionIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for who, talk := range map[string]func(nc net.Conn) error{
			"dialer":   func(nc net.Conn) error { return introduce(t.Context(), nc, nc) },
			"listener": func(nc net.Conn) error { return welcome(t.Context(), nc, nc, "") },
		} {
			a, b := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, b) }() // it hears, and says nothing
			began := time.Now()
			if err := talk(a); !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), "did not introduce itself") {
				t.Errorf("%s: %v", who, err)
			}
			if took := time.Since(began); took != preambleTimeout {
				t.Errorf("%s: it took %v", who, took)
			}
			_, _ = a.Close(), b.Close()
		}
	})
}

func TestPlainAndTLSMeet(t *testing.T) {
	conformance.NoLeak(t)
	server, client := certificates(t)
	for _, test := range []struct {
		what         string
		server, dial *tls.Config
		told, want   string
	}{
		{"PlainDialsTLS", server, nil, "without TLS", "dial with a TLS configuration"},
		{"TLSDialsPlain", nil, client, "speaks TLS", "does not speak TLS"},
		{"NoClientCertificate", server, &tls.Config{RootCAs: client.RootCAs}, "certificate", "TLS handshake"},
	} {
		t.Run(test.what, func(t *testing.T) {
			told := make(chan error, 1)
			ln, err := ListenTCP("127.0.0.1:0", test.server, transport.Config{Refused: func(_ string, err error) { told <- err }})
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			_, err = DialTCP(t.Context(), ln.Addr(), test.dial, transport.Config{})
			if !errors.Is(err, transport.ErrPeerRefused) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Dial: %v", err)
			}
			if err := <-told; !strings.Contains(err.Error(), test.told) {
				t.Errorf("Refused was told: %v", err)
			}
		})
	}
	t.Run("UntrustedServer", func(t *testing.T) {
		_, stranger := certificates(t)
		ln, err := ListenTCP("127.0.0.1:0", server, transport.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if _, err = DialTCP(t.Context(), ln.Addr(), stranger, transport.Config{}); err == nil || !strings.Contains(err.Error(), "not to be trusted") {
			t.Errorf("Dial: %v", err)
		}
	})
}

func TestTLSIsOfVersion3AndTellsWhoIsThere(t *testing.T) {
	a, b := open(t, kindTLS, transport.Config{})
	defer b.Close()
	defer a.Close()
	for _, c := range []transport.Conn{a, b} {
		state := c.Peer().TLS
		if c.Kind() != "tls" || state == nil || state.Version != tls.VersionTLS13 || len(state.PeerCertificates) != 1 {
			t.Errorf("%s: %+v", c.Kind(), c.Peer())
		}
	}
	server, _ := certificates(t)
	for what, cfg := range map[string]*tls.Config{"old": {MaxVersion: tls.VersionTLS12, Certificates: server.Certificates}, "bare": {}} {
		ln, err := ListenTCP("127.0.0.1:0", cfg, transport.Config{})
		if what == "bare" {
			if err == nil {
				t.Error("a TLS listener without certificate")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DialTCP(t.Context(), ln.Addr(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}, transport.Config{}); err == nil {
			t.Error("connected below TLS 1.3")
		}
		_ = ln.Close()
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	if _, err := DialTCP(t.Context(), "localhost", nil, transport.Config{}); err == nil || !strings.Contains(err.Error(), "host:port") {
		t.Errorf("Dial without port: %v", err)
	}
	if _, err := ListenTCP("127.0.0.1:99999", nil, transport.Config{}); err == nil {
		t.Error("listens on port 99999")
	}
	if _, err := ListenTCP("127.0.0.1:0", nil, transport.Config{MaxBacklog: -1}); err == nil {
		t.Error("a negative backlog")
	}
}

// What parses is what preamble writes; everything else is refused, with a text fit for a log.
func FuzzPreamble(f *testing.F) {
	for _, step := range []byte{stepHello, stepWelcome, stepRefused} {
		f.Add(preamble(step, ""))
	}
	f.Add(preamble(stepRefused, "no")[:preambleLen])
	f.Add([]byte("GET / HT"))
	f.Add([]byte{0x16, 3, 1, 2, 0, 1, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < preambleLen {
			return
		}
		head := [preambleLen]byte(b)
		step, length, err := parsePreamble(head)
		if err != nil {
			if printable([]byte(err.Error())) != err.Error() {
				t.Errorf("%q", err)
			}
			return
		}
		if again := preamble(step, strings.Repeat("x", length)); !bytes.Equal(again[:preambleLen], head[:]) {
			t.Errorf("%q parses to step %d, length %d, which is %q", head, step, length, again)
		}
	})
}
