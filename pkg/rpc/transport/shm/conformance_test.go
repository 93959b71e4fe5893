//go:build linux && (amd64 || arm64)

package shm

import (
	"context"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/conformance"
)

// warm starts what the library never stops, its dispatcher, so that it is not taken for a leak.
func warm(t *testing.T) {
	t.Helper()
	before := held(t)
	path := socketPath(t)
	l := listenAt(t, path, transport.Config{})
	client, server := join(t, l, path, transport.Config{})
	_, _, _ = client.Close(), server.Close(), l.Close()
	before.goroutines++
	before.descriptors += 3 // its epoll, the runtime's, and what wakes that one
	noMoreThan(t, before)
}

func open(t *testing.T) (a, b transport.Conn) {
	path := socketPath(t)
	l := listenAt(t, path, transport.Config{})
	a, b = join(t, l, path, transport.Config{})
	_ = l.Close()
	return a, b
}

func TestConformance(t *testing.T) {
	warm(t)
	t.Run("FromTheClient", func(t *testing.T) { conformance.Run(t, open) })
	t.Run("FromTheServer", func(t *testing.T) {
		conformance.Run(t, func(t *testing.T) (a, b transport.Conn) {
			b, a = open(t)
			return a, b
		})
	})
	conformance.RunVanish(t, func(t *testing.T) (a, b transport.Conn, kill func()) {
		a, b = open(t)
		fd, err := duplicate(a.(*conn).control)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeFD(fd) })
		return a, b, func() { _ = unix.Shutdown(fd, unix.SHUT_RDWR) }
	})
	network := conformance.Network{
		Listen: func(t *testing.T, cfg transport.Config) transport.Listener { return listenAt(t, socketPath(t), cfg) },
		Dial:   Dial,
	}
	conformance.RunListener(t, network)
	hello := appendHello(nil, geometry{shared: defaultShared, bulk: 4})
	wrong := map[string][]byte{
		"Garbage":      []byte("GET / HTTP/1.1\r\nHost: here\r\n\r\n"),
		"Nothing":      {},
		"HalfAHeader":  {'T', 'X', 'S'},
		"OtherVersion": {'T', 'X', 'S', 'C', controlProtocol + 1, msgHello, helloBody, 0},
		"TooLong":      {'T', 'X', 'S', 'C', controlProtocol, msgHello, 0xff, 0xff},
		"NoHello":      {'T', 'X', 'S', 'C', controlProtocol, msgReady, 0, 0},
		"ShortHello":   {'T', 'X', 'S', 'C', controlProtocol, msgHello, 1, 0, 1},
		"OtherSizes":   append([]byte{'T', 'X', 'S', 'C', controlProtocol, msgHello, helloBody, 0}, make([]byte, helloBody)...),
		"NoSocket":     append(append([]byte{'T', 'X', 'S', 'C', controlProtocol, msgHello, helloBody, 0}, hello...), 'T', 'X', 'S', 'C', controlProtocol, msgSocket, 0, 0),
		"TheLibrary":   {0, 0, 0, 8, 0x77, 0x58, 3, 4},
	}
	if testing.Short() {
		delete(wrong, "Nothing") // takes the whole time limit of a handshake, as half a header does
	}
	conformance.RunHostile(t, conformance.Hostile{
		Network: network,
		Bare: func(t *testing.T, addr string) net.Conn {
			nc, err := (&net.Dialer{}).DialContext(context.Background(), "unix", addr)
			if err != nil {
				t.Fatal(err)
			}
			return nc
		},
		Wrong: wrong,
	})
}
