//go:build !race

package movement_test

import (
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game/movement"
)

func TestNothingIsAllocated(t *testing.T) {
	c := checks(t, movement.Rules{MaxSpeed: 80, MaxReach: 500})
	h := history(t, movement.HistoryConfig{})
	h.Record(0, 999, 1, 0, 0)
	var g movement.Guard
	tick := uint32(0)
	buffer := make([]byte, 0, movement.GuardSize)
	if n := testing.AllocsPerRun(200, func() {
		tick++
		for slot := range uint32(1000) {
			h.Record(tick, slot, 1, int32(tick), 5)
			h.At(tick-3, slot, 1)
		}
		g.CheckSpeed(c, 50, 50, 1)
		g.CheckRate(c, tick)
		g.CheckTime(c, tick, tick)
		c.CheckReach(0, 0, 900, 900)
		buffer = g.Append(buffer[:0])
		g, _ = movement.ParseGuard(buffer)
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkHistoryRecord(b *testing.B) {
	h := history(b, movement.HistoryConfig{})
	for i := range b.N {
		h.Record(uint32(i/4096), uint32(i%4096), 1, int32(i), 5)
	}
}

func BenchmarkHistoryAt(b *testing.B) {
	h := history(b, movement.HistoryConfig{})
	for i := range 32 * 4096 {
		h.Record(uint32(i/4096), uint32(i%4096), 1, int32(i), 5)
	}
	b.ResetTimer()
	for i := range b.N {
		h.At(uint32(i%32), uint32(i*7%4096), 1)
	}
}

func BenchmarkGuard(b *testing.B) {
	c := checks(b, movement.Rules{MaxSpeed: 80})
	var g movement.Guard
	for i := range b.N {
		g.CheckSpeed(c, 48, 64, 1)
		g.CheckRate(c, uint32(i))
		g.CheckTime(c, uint32(i), uint32(i))
	}
}
