package aoi

import (
	"slices"
	"testing"
)

// script is a rig for tests that are stories: by handle, and the first
// divergence ends the test.
type script struct {
	*rig
	t testing.TB
}

func newScript(t testing.TB, cfg Config) script {
	t.Helper()
	r, err := newRig(cfg, variants(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	return script{r, t}
}

func (s script) do(o op) {
	s.t.Helper()
	if err := s.play(o); err != nil {
		s.t.Fatal(err)
	}
}

func (s script) on(h Handle, o op) {
	s.t.Helper()
	if o.id = slices.Index(s.ids, int(h)); o.id < 0 {
		s.t.Fatalf("no entry %d", h)
	}
	s.do(o)
}

func (s script) add(x, z float32, o Opts) Handle {
	s.t.Helper()
	id := len(s.ids)
	s.do(op{kind: opAdd, id: id, x: x, z: z, a: o.Radius, b: o.LeaveRadius, bits: o.Layers, mask: o.Mask, n: o.Nearest, hidden: o.Hidden})
	if s.ids[id] < 0 {
		s.t.Fatal("space is full")
	}
	return Handle(s.ids[id])
}

func (s script) move(h Handle, x, z float32) {
	s.t.Helper()
	s.on(h, op{kind: opMove, x: x, z: z})
}

func (s script) radius(h Handle, enter, leave float32) {
	s.t.Helper()
	s.on(h, op{kind: opRadius, a: enter, b: leave})
}

func (s script) hide(h Handle, hidden bool) {
	s.t.Helper()
	s.on(h, op{kind: opHidden, hidden: hidden})
}

func (s script) layers(h Handle, layers uint32) {
	s.t.Helper()
	s.on(h, op{kind: opLayers, bits: layers})
}

func (s script) mask(h Handle, mask uint32) {
	s.t.Helper()
	s.on(h, op{kind: opMask, mask: mask})
}

func (s script) nearest(h Handle, k int) {
	s.t.Helper()
	s.on(h, op{kind: opNearest, n: k})
}

func (s script) remove(h Handle) {
	s.t.Helper()
	s.on(h, op{kind: opRemove})
}

// tick also compares the sets, of every space once.
func (s script) tick() Events {
	s.t.Helper()
	s.do(op{kind: opTick})
	s.do(op{kind: opSets})
	return s.last
}

// expect ticks, and wants exactly these events, in any order.
func (s script) expect(leaves, enters []Pair) {
	s.t.Helper()
	ev := s.tick()
	for _, c := range []struct {
		what      string
		got, want []Pair
	}{{"leaves", ev.Leaves, leaves}, {"enters", ev.Enters, enters}} {
		if err := s.twin.judge(c.what, c.got, c.want); err != nil {
			s.t.Fatal(err)
		}
	}
}
