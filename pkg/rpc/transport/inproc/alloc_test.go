//go:build !race

package inproc

import (
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

func TestFramesCostNoAllocation(t *testing.T) {
	a, b := Pipe(transport.Config{})
	defer a.Close()
	for _, size := range []int{16, 100, MaxFrame} {
		if n := testing.AllocsPerRun(200, func() { pingPong(t, a, b, size) }); n != 0 {
			t.Errorf("%d bytes: %v allocations there and back", size, n)
		}
	}
}

func pingPong(t testing.TB, a, b transport.Conn, size int) {
	for _, dir := range [][2]transport.Conn{{a, b}, {b, a}} {
		if err := put(dir[0].Lanes()[0], size); err != nil {
			t.Fatal(err)
		}
		if err := take(dir[1].Lanes()[0], size); err != nil {
			t.Fatal(err)
		}
	}
}
