//go:build !race && linux && (amd64 || arm64)

package shm

import (
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

func TestSendingAndReceivingAllocateNothing(t *testing.T) {
	client, server := pair(t, transport.Config{})
	for lane, size := range []int{64, 64 << 10} {
		out, in := client.Lanes()[lane], server.Lanes()[lane]
		exchange := func() {
			if err := put(out, 1, size); err != nil {
				t.Fatal(err)
			}
			if err := get(in, size); err != nil {
				t.Fatal(err)
			}
		}
		for range 100 {
			exchange()
		}
		if allocs := testing.AllocsPerRun(1000, exchange); allocs != 0 {
			t.Errorf("lane %d: %v allocations per batch", lane, allocs)
		}
	}
}

func TestStallsAllocateNothingOnceTheyHaveHappened(t *testing.T) {
	client, server := pair(t, transport.Config{})
	out, in := client.list[0], server.list[0]
	exchange := func() {
		window := int(out.w.out.window) + 3
		for range window {
			if err := put(out, 1, 64); err != nil {
				t.Fatal(err)
			}
		}
		if !out.w.stalled.Load() {
			t.Fatal("no stall")
		}
		if err := get(in, 64*(window-3)); err != nil {
			t.Fatal(err)
		}
		if err := out.resume(false); err != nil {
			t.Fatal(err)
		}
		if err := get(in, 64*3); err != nil {
			t.Fatal(err)
		}
		for out.w.stalled.Load() { // the ticker may be at it
			_ = out.resume(false)
		}
	}
	for range 10 {
		exchange()
	}
	if allocs := testing.AllocsPerRun(100, exchange); allocs > 1 {
		t.Errorf("%v allocations per stall", allocs)
	}
}
