package replica

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// border is two zones, 1 and 2, and a client that sees into both.
type border struct {
	t     *testing.T
	codec *delta.Codec
	tick  uint32
	src   [2]*batch.Source
	zone  [2]*Zone
	c     *Client
	m     *Mirror
	w     delta.Writer
	told  []string
}

const watcher = 9

func newBorder(t *testing.T, cfg Config) *border {
	b := &border{t: t, codec: deltatest.Codec(), c: NewClient(cfg), tick: 10}
	b.m = newMirror(t, b.codec)
	b.m.Enter = func(i int, e *Entity) { b.told = append(b.told, fmt.Sprintf("%d enters at %d", e.ID, i)) }
	b.m.Leave = func(i int, e *Entity) { b.told = append(b.told, fmt.Sprintf("%d leaves at %d", e.ID, i)) }
	b.m.Move = func(i int, e *Entity, from uint8) {
		b.told = append(b.told, fmt.Sprintf("%d moves at %d from %d to %d", e.ID, i, from, e.Zone))
	}
	p := delta.Params{PositionBits: 17}
	for i := range b.src {
		id := uint32(i + 1)
		b.src[i], b.zone[i] = batch.NewSource(id, 1, b.codec, p), NewZone(id, 1, b.codec, p)
		b.src[i].AttachGateway(1)
		b.src[i].AddObserver(watcher, 1)
		row, tick, _ := b.c.Open(b.zone[i], watcher)
		if err := b.m.OpenZone(row, id, p, tick); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func (b *border) spawn(zone int, slot uint32, id uint64, kind uint16) {
	b.src[zone].Spawn(slot, id, kind, deltatest.State{X: 5}.Record(b.codec.Kind(kind)), b.tick+1)
	b.src[zone].Enter(watcher, slot)
}

func (b *border) depart(zone int, slot uint32) {
	b.src[zone].Depart(slot, uint32(2-zone), 1)
	b.src[zone].Leave(watcher, slot)
}

// step makes a tick; the client echoes if it hears.
func (b *border) step(hears bool) {
	b.t.Helper()
	b.tick++
	for i := range b.src {
		for _, o := range b.src[i].Finish(b.tick, nil) {
			if err := b.zone[i].Apply(bytes.Clone(o.Bytes)); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	b.frame(hears)
}

func (b *border) frame(hears bool) {
	b.t.Helper()
	if _, ok := b.c.Frame(&b.w, b.tick); ok {
		if err := b.m.Decode(b.w.Bytes()); err != nil {
			b.t.Fatal(err)
		}
	}
	if hears {
		b.c.Echo(b.m.Frames, b.tick)
	}
}

func (b *border) wants(told ...string) {
	b.t.Helper()
	if !slices.Equal(b.told, told) {
		b.t.Errorf("tick %d: the client was told %q, want %q", b.tick, b.told, told)
	}
	b.told = nil
}

func TestWhatArrivesNowhereInSightLeavesAfterHandoverTicks(t *testing.T) {
	b := newBorder(t, Config{Handover: 4})
	b.spawn(0, 0, 7, 1)
	b.step(true)
	b.wants("7 enters at 0")
	b.depart(0, 0)
	for range 4 {
		b.step(true)
		b.wants()
	}
	b.step(true)
	b.wants("7 leaves at 0")
	b.spawn(1, 0, 7, 1) // it comes into sight later
	b.step(true)
	b.wants("7 enters at 0")
}

func TestWhatDiesBeyondTheBorderBeforeTheClientHeardLeaves(t *testing.T) {
	b := newBorder(t, Config{})
	b.spawn(0, 0, 7, 1)
	b.step(true)
	for b.step(false); !b.c.Paused(b.tick + 1); b.step(false) {
		b.src[0].Input(watcher, b.tick) // something to say
	}
	b.told = nil
	b.depart(0, 0)
	b.step(false)
	b.spawn(1, 0, 7, 1)
	b.step(false)
	b.src[1].Despawn(0)
	b.src[1].Leave(watcher, 0)
	b.step(false)
	b.wants()
	b.c.Echo(b.m.Frames, b.tick)
	b.step(true)
	b.wants("7 leaves at 0")
	if b.c.shows(0) || b.c.shows(1) {
		t.Error("an index is still in use")
	}
}

func TestThereAndBackWithinAPauseIsOneEntity(t *testing.T) {
	b := newBorder(t, Config{})
	b.spawn(0, 0, 7, 1)
	b.step(true)
	for b.step(false); !b.c.Paused(b.tick + 1); b.step(false) {
		b.src[0].Input(watcher, b.tick)
	}
	b.told = nil
	for range 3 {
		b.depart(0, 0)
		b.step(false)
		b.spawn(1, 0, 7, 1)
		b.step(false)
		b.depart(1, 0)
		b.step(false)
		b.spawn(0, 0, 7, 1)
		b.step(false)
	}
	b.wants()
	b.c.Echo(b.m.Frames, b.tick)
	b.step(true)
	b.wants("7 moves at 0 from 0 to 0")
}

func TestWhatComesBackAsAnotherKindLeavesFirst(t *testing.T) {
	b := newBorder(t, Config{})
	b.spawn(0, 0, 7, 1)
	b.step(true)
	b.wants("7 enters at 0")
	b.depart(0, 0)
	b.step(true)
	b.spawn(1, 0, 7, 2)
	b.step(true)
	if len(b.told) != 2 || b.told[0] != "7 leaves at 0" {
		t.Errorf("the client was told %q, want a leave and an enter", b.told)
	}
}

func TestClosedZoneLeavesButWhatWasHandedOverBeforeDoesNot(t *testing.T) {
	b := newBorder(t, Config{})
	b.spawn(0, 0, 7, 1)
	b.spawn(0, 1, 8, 1)
	b.step(true)
	b.told = nil
	b.depart(0, 0)
	b.step(true)
	b.zone[0].Close()
	b.spawn(1, 0, 7, 1)
	b.tick++
	if err := b.zone[1].Apply(b.src[1].Finish(b.tick, nil)[0].Bytes); err != nil {
		t.Fatal(err)
	}
	b.frame(true)
	b.wants("8 leaves at 1", "7 moves at 0 from 0 to 1")
	z := NewZone(3, 1, b.codec, delta.Params{PositionBits: 17})
	b.frame(true)
	if row, _, ok := b.c.Open(z, watcher); !ok || row != 0 {
		t.Errorf("the next zone has row %d (%v), want that of the closed one", row, ok)
	}
}

func TestRowIsNotReplacedWhileEntitiesOfItLive(t *testing.T) {
	b := newBorder(t, Config{})
	b.spawn(1, 0, 7, 1)
	b.step(true)
	p := delta.Params{PositionBits: 17}
	if err := b.m.OpenZone(1, 5, p, 0); !errors.Is(err, ErrMalformed) {
		t.Errorf("a row with an entity is replaced: %v", err)
	}
	if err := b.m.OpenZone(0, 5, p, 0); err != nil || b.m.Rows[0].Zone != 5 {
		t.Errorf("a row without is not: %v", err)
	}
}

func TestEventsAreAboutWhatTheClientHas(t *testing.T) {
	b := newBorder(t, Config{})
	got := func(all bool) (routes []uint16, dropped int) {
		dropped = b.c.Events(all, func(e *Event) { routes = append(routes, e.Route) })
		for _, z := range b.zone {
			z.Settle()
		}
		return routes, dropped
	}
	b.spawn(0, 0, 7, 1)
	b.spawn(1, 0, 1<<32|7, 1)
	b.step(true)
	b.src[0].Event(0, 100, nil)
	b.src[1].Event(0, 200, nil)
	b.src[0].Event(0, 101, nil)
	b.step(true)
	if r, n := got(false); !slices.Equal(r, []uint16{100, 101, 200}) || n != 0 {
		t.Errorf("events %d, %d dropped; want 100, 101, 200", r, n)
	}
	if r, _ := got(false); len(r) != 0 {
		t.Errorf("after Settle there are events %d", r)
	}
	b.src[0].Event(0, 102, nil)
	b.step(true)
	b.src[0].Despawn(0) // in the next tick the slot is another's, before anybody took the event
	b.src[0].Leave(watcher, 0)
	b.step(true)
	b.spawn(0, 0, 8, 1)
	b.step(true)
	if r, _ := got(false); len(r) != 0 {
		t.Errorf("events of who has gone are given to those who see the next: %d", r)
	}
	b.src[0].Event(0, 103, nil)
	b.tick++
	_ = b.zone[0].Apply(b.src[0].Finish(b.tick, nil)[0].Bytes)
	b.c.paused = true
	if r, n := got(false); len(r) != 0 || n != 1 {
		t.Errorf("a paused client is given %d, %d dropped", r, n)
	}
	b.spawn(0, 1, 9, 1)
	b.src[0].Event(1, 104, nil)
	b.tick++
	_ = b.zone[0].Apply(b.src[0].Finish(b.tick, nil)[0].Bytes) // no frame
	b.c.paused = false
	if r, n := b.c.Events(true, func(*Event) {}), 0; r != n {
		t.Errorf("%d dropped for a client without frames", r)
	}
	if r, n := got(false); len(r) != 0 || n != 1 {
		t.Errorf("a client that has not heard of the entity is given %d, %d dropped", r, n)
	}
}
