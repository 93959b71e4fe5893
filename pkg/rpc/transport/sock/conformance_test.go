package sock

import (
	"io"
	"net"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/conformance"
)

func TestConnectionsConform(t *testing.T) {
	for _, kind := range kinds() {
		t.Run(kind, func(t *testing.T) {
			conformance.Run(t, func(t *testing.T) (a, b transport.Conn) { return open(t, kind, transport.Config{}) })
			conformance.RunVanish(t, func(t *testing.T) (a, b transport.Conn, kill func()) {
				a, b = open(t, kind, transport.Config{})
				return a, b, func() { _ = a.(*conn).sock.Close() }
			})
		})
	}
}

func TestListenersConform(t *testing.T) {
	for kind, n := range networks(t) {
		t.Run(kind, func(t *testing.T) {
			conformance.RunListener(t, n)
			h := conformance.Hostile{
				Network: n,
				Bare: func(t *testing.T, addr string) net.Conn {
					network := "tcp"
					if kind == kindUnix {
						network = "unix"
					}
					nc, err := net.Dial(network, addr)
					if err != nil {
						t.Fatal(err)
					}
					return nc
				},
				Greet: func(nc net.Conn) error {
					if _, err := nc.Write(preamble(stepHello, "")); err != nil {
						return err
					}
					_, err := io.ReadFull(nc, make([]byte, preambleLen))
					return err
				},
				Wrong: map[string][]byte{
					"HTTP":              []byte("GET / HTTP/1.1\r\nHost: world\r\n\r\n"),
					"TLS":               {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3},
					"Zeroes":            make([]byte, 64),
					"AnotherVersion":    {'T', 'X', 'R', 'P', version + 1, formStream, stepHello, 0},
					"AnotherForm":       {'T', 'X', 'R', 'P', version, 99, stepHello, 0},
					"AServer":           preamble(stepWelcome, ""),
					"UnknownStep":       {'T', 'X', 'R', 'P', version, formStream, 77, 0},
					"AReasonForNothing": {'T', 'X', 'R', 'P', version, formStream, stepHello, 9},
				},
				Frames: kind != kindTLS,
			}
			if kind == kindTLS {
				delete(h.Wrong, "TLS") // half a handshake, there, is silence
			}
			conformance.RunHostile(t, h)
		})
	}
}
