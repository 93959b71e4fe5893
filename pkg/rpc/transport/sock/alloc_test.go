//go:build !race

package sock

import (
	"errors"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

func TestFramesCostNoAllocation(t *testing.T) {
	for _, kind := range []string{kindUnix, kindTCP} { // crypto/tls allocates for each read
		t.Run(kind, func(t *testing.T) {
			a, b := open(t, kind, transport.Config{})
			defer b.Close()
			defer a.Close()
			for _, c := range []transport.Conn{a, b} { // so that the kernel does not swallow everything
				s := c.(*conn).sock.(interface {
					SetReadBuffer(int) error
					SetWriteBuffer(int) error
				})
				if err := errors.Join(s.SetReadBuffer(32<<10), s.SetWriteBuffer(32<<10)); err != nil {
					t.Fatal(err)
				}
			}
			for _, shape := range []struct{ n, size int }{{1, 16}, {64, 64}, {1, MaxFrame}, {10, MaxFrame}} {
				if n := testing.AllocsPerRun(100, func() {
					for _, dir := range [][2]transport.Conn{{a, b}, {b, a}} {
						if err := put(dir[0].Lanes()[0], shape.n, shape.size); err != nil {
							t.Fatal(err)
						}
						if err := take(dir[1].Lanes()[0], shape.n*shape.size); err != nil {
							t.Fatal(err)
						}
					}
				}); n != 0 {
					t.Errorf("%d frames of %d bytes: %v allocations there and back", shape.n, shape.size, n)
				}
			}
			if a.Stats().Stalls == 0 {
				t.Error("nothing ever waited for the peer: the writer goroutine was not measured")
			}
		})
	}
}
