package movement_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game/fixed"
	"github.com/tianxia-mmo/tianxia/pkg/game/movement"
)

func history(t testing.TB, c movement.HistoryConfig) *movement.History {
	t.Helper()
	h, err := movement.NewHistory(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestHistoryIsThatOfTheSlowTwin plays spawns, despawns, moves and pauses, over the end of the tick numbers.
func TestHistoryIsThatOfTheSlowTwin(t *testing.T) {
	type key struct{ tick, slot uint32 }
	type entry struct {
		id   uint64
		x, y int32
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 30 {
		ticks := uint32(1) << r.IntN(6)
		h := history(t, movement.HistoryConfig{Ticks: ticks})
		all := map[key]entry{}     // everything that ever was, for the ids that still have their slot
		var now [20]entry          // by slot
		var last, since [20]uint32 // ticks of records
		tick := uint32(math.MaxUint32 - 150)
		for range 300 {
			tick++
			for slot := range uint32(20) {
				switch r.IntN(12) {
				case 0:
					now[slot] = entry{}
					h.Forget(slot)
				case 1:
					now[slot] = entry{id: r.Uint64N(3) + 1, x: r.Int32(), y: r.Int32()}
					h.Forget(slot)
					since[slot] = tick
				case 2:
					continue // does not move, is not recorded
				}
				e := &now[slot]
				if e.id == 0 {
					continue
				}
				for back := last[slot] + 1; since[slot] != tick && back != tick; back++ {
					all[key{back, slot}] = all[key{last[slot], slot}]
				}
				e.x, e.y = r.Int32(), r.Int32()
				all[key{tick, slot}] = *e
				last[slot] = tick
				h.Record(tick, slot, e.id, e.x, e.y)
			}
			for range 50 {
				slot, at, id := r.Uint32N(22), tick+2-r.Uint32N(40), r.Uint64N(3)+1
				want, ok := entry{}, false
				if slot < 20 && now[slot].id == id && int32(last[slot]-since[slot]) >= 0 && int32(last[slot]-at) >= 0 && last[slot]-at < ticks && int32(at-since[slot]) >= 0 {
					want, ok = all[key{at, slot}], true
				}
				if x, y, got := h.At(at, slot, id); got != ok || ok && (x != want.x || y != want.y) {
					t.Fatalf("%d ticks: slot %d at %d (now %d): %d, %d, %v, want %+v, %v", ticks, slot, at, tick, x, y, got, want, ok)
				}
			}
		}
	}
}

func TestHistoryTellsNobodyWhereAnotherWas(t *testing.T) {
	h := history(t, movement.HistoryConfig{Ticks: 8})
	h.Record(10, 3, 1, 5, 5)
	h.Record(11, 3, 2, 900, 900) // the slot was used again
	if _, _, ok := h.At(10, 3, 1); ok {
		t.Error("who is gone is still there")
	}
	if _, _, ok := h.At(10, 3, 2); ok {
		t.Error("the new one is where the old one was")
	}
	h.Record(11, 3, 2, 901, 901)
	if x, _, ok := h.At(11, 3, 2); !ok || x != 901 {
		t.Error("a second record of a tick does not replace the first")
	}
	h.Record(9, 3, 2, 7, 7) // the zone went back
	if _, _, ok := h.At(11, 3, 2); ok {
		t.Error("what was not yet is known")
	}
}

func TestHistoryFillsPausesAndInterpolates(t *testing.T) {
	h := history(t, movement.HistoryConfig{Ticks: 5})
	if h.Ticks() != 8 {
		t.Fatalf("%d ticks", h.Ticks())
	}
	h.Record(10, 0, 1, 100, -100)
	h.Record(14, 0, 1, 200, -300)
	for _, c := range []struct {
		tick uint32
		part fixed.Q
		x, y int32
		ok   bool
	}{{10, 0, 100, -100, true}, {13, 0, 100, -100, true}, {13, fixed.Half, 150, -200, true}, {14, 0, 200, -300, true}, {14, 1, 0, 0, false}, {9, 0, 0, 0, false}, {15, 0, 0, 0, false}} {
		x, y, ok := h.Between(c.tick, c.part, 0, 1)
		if ok != c.ok || ok && (x != c.x || y != c.y) {
			t.Errorf("%+v: %d, %d, %v", c, x, y, ok)
		}
	}
	h.Record(1000, 0, 1, 7, 7)
	if x, _, ok := h.At(993, 0, 1); !ok || x != 200 {
		t.Errorf("after a long pause: %d, %v", x, ok)
	}
	if _, _, ok := h.At(992, 0, 1); ok {
		t.Error("more ticks are known than are kept")
	}
}

func TestHistoryIsBounded(t *testing.T) {
	h := history(t, movement.HistoryConfig{Ticks: 32, Slots: 100})
	h.Record(1, 100, 1, 1, 1)
	h.Record(1, math.MaxUint32, 1, 1, 1)
	if h.Refused() != 2 || h.Bytes() != 0 {
		t.Errorf("%d refused, %d bytes", h.Refused(), h.Bytes())
	}
	h.Record(1, 99, 1, 1, 1)
	if want := 100 * (16 + 32*8); h.Bytes() != want {
		t.Errorf("%d bytes, want %d", h.Bytes(), want)
	}
	h.Forget(5000)
	for _, c := range []movement.HistoryConfig{{Ticks: movement.MaxHistoryTicks + 1}, {Slots: movement.MaxHistorySlots + 1}} {
		if _, err := movement.NewHistory(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func ExampleHistory() {
	h, err := movement.NewHistory(movement.HistoryConfig{Ticks: 16})
	if err != nil {
		fmt.Println(err)
		return
	}
	const slot, id = 7, 1001
	for tick := uint32(1); tick <= 10; tick++ { // a zone does this at the end of each tick, for everyone who can be shot at
		h.Record(tick, slot, id, int32(100*tick), 0)
	}
	x, y, ok := h.At(6, slot, id) // what a shooter saw who is four ticks behind
	fmt.Println(x, y, ok)
	// Output: 600 0 true
}

func ExampleGuard_CheckSpeed() {
	checks, err := movement.NewChecks(movement.Rules{MaxSpeed: 80, MaxReach: 640})
	if err != nil {
		fmt.Println(err)
		return
	}
	var guard movement.Guard // of one player
	fmt.Println(guard.CheckSpeed(checks, 48, 64, 1), "·", guard.CheckSpeed(checks, 4800, 6400, 1), "·", checks.CheckReach(0, 0, 641, 0))
	// Output: ok · too fast by 7200 · too far by 1
}
