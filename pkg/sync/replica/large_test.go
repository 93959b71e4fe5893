package replica

import (
	"errors"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// stall is a world of one client whose frames the test asks for.
type stall struct {
	t    *testing.T
	src  *batch.Source
	z    *Zone
	c    *Client
	m    *Mirror
	k    *delta.KindCodec
	tick uint32
	w    delta.Writer
}

// newStall makes a zone of the test layout whose titles have up to 30,000 bytes.
func newStall(t *testing.T, cfg Config) *stall {
	l := deltatest.Layout()
	l.Component(deltatest.Bag).Fields[0].Max = 30_000
	if err := l.Finish(); err != nil {
		t.Fatal(err)
	}
	codec, err := delta.NewCodec(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := delta.Params{PositionBits: 17}
	s := &stall{t: t, src: batch.NewSource(1, 1, codec, p), z: NewZone(1, 1, codec, p), c: NewClient(cfg), m: newMirror(t, codec), k: codec.Kind(deltatest.Bearer)}
	s.src.AttachGateway(1)
	s.src.AddObserver(9, 1)
	index, tick, _ := s.c.Open(s.z, 9)
	if err := s.m.OpenZone(index, 1, p, tick); err != nil {
		t.Fatal(err)
	}
	return s
}

// step makes a tick and returns the frame's bytes, which the mirror has taken; 0: there was none.
func (s *stall) step() int {
	s.t.Helper()
	s.tick++
	if err := s.z.Apply(s.src.Finish(s.tick, nil)[0].Bytes); err != nil {
		s.t.Fatal(err)
	}
	if _, ok := s.c.Frame(&s.w, s.tick); !ok {
		return 0
	}
	if err := s.m.Decode(s.w.Bytes()); err != nil {
		s.t.Fatal(err)
	}
	s.c.Echo(s.m.Frames, s.tick)
	return len(s.w.Bytes())
}

func TestOneEntityMayFillAFrameButNeverBesideOthers(t *testing.T) {
	s := newStall(t, Config{MaxFrame: 4 << 10})
	const crowd = 2000
	for i := range uint32(crowd) {
		s.src.Spawn(i, uint64(i)+1, deltatest.Bearer, deltatest.State{}.Record(s.k), 1)
		s.src.Enter(9, i)
	}
	for range 40 {
		s.step()
	}
	if s.m.Live != crowd {
		t.Fatalf("%d of %d live", s.m.Live, crowd)
	}
	for i := range uint32(crowd) { // all leave in the tick in which somebody enters who has much to say
		s.src.Leave(9, i)
	}
	s.src.Spawn(crowd, crowd+1, deltatest.Bearer, deltatest.State{Title: strings.Repeat("x", 30_000)}.Record(s.k), 1)
	s.src.Enter(9, crowd)
	biggest := 0
	for range 20 {
		biggest = max(biggest, s.step())
	}
	if most := 30_000 + 100; biggest > most || s.m.Live != 1 {
		t.Errorf("%d live, a frame had %d bytes; want 1 and at most %d", s.m.Live, biggest, most)
	}
}

func TestUpdateLongerThanTheStateGoesAsTheState(t *testing.T) {
	s := newStall(t, Config{})
	items := func(from uint32) (list []uint32) { // near 0 in full, far from each other as updates
		for i := range uint32(60) {
			list = append(list, (i+from)%2*14)
		}
		return list
	}
	st := deltatest.State{Items: items(0)}
	s.src.Spawn(0, 1, deltatest.Bearer, st.Record(s.k), 1)
	s.src.Enter(9, 0)
	enter := s.step()
	st.Items = items(1)
	s.src.Publish(0, st.Record(s.k), deltatest.All, s.tick+1)
	if update := s.step(); update > enter {
		t.Errorf("an update took %d bytes, the whole entity %d", update, enter)
	}
	if got := deltatest.StateOf(s.m.Entities[0].Codec, &s.m.Entities[0].Base, s.tick); !got.Equal(st) {
		t.Errorf("the mirror shows %+v, want %+v", got, st)
	}
}

// TestChangeWithoutItsDirtyBitIsLateAndNothingWorse: what the zone encodes and what it remembers to have encoded are the same groups.
func TestChangeWithoutItsDirtyBitIsLateAndNothingWorse(t *testing.T) {
	s := newStall(t, Config{})
	st := deltatest.State{X: 50, HP: 10}
	s.src.Spawn(0, 1, deltatest.Bearer, st.Record(s.k), 1)
	s.src.Enter(9, 0)
	s.step()
	st.HP = 60
	motion, _ := delta.DirtyBit(0, delta.AOI), 0
	for i := range 5 {
		st.X += 100 // surprising each time
		s.src.Publish(0, st.Record(s.k), motion, s.tick+1)
		s.step()
		if hp := deltatest.StateOf(s.m.Entities[0].Codec, &s.m.Entities[0].Base, s.tick).HP; hp != 10 {
			t.Fatalf("update %d: health %d is shown, want the 10 that was published", i, hp)
		}
	}
	s.src.Publish(0, st.Record(s.k), deltatest.All, s.tick+1)
	s.step()
	if got := deltatest.StateOf(s.m.Entities[0].Codec, &s.m.Entities[0].Base, s.tick); !got.Equal(st) {
		t.Errorf("the mirror shows %+v, want %+v", got, st)
	}
}

func TestLayoutDoesNotChangeUnderAMirror(t *testing.T) {
	s := newStall(t, Config{})
	if err := s.m.Use(deltatest.Codec(), nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("a second layout after the first zone: %v", err)
	}
	// equal fingerprints are not taken for equal layouts
	other := deltatest.Layout()
	v := other.Component(deltatest.Vitals)
	v.Fields = append([]delta.Field{{ID: 9, Name: "new", Type: delta.Uint64}}, v.Fields...)
	if err := other.Finish(); err != nil {
		t.Fatal(err)
	}
	m := &Mirror{}
	codec := deltatest.Codec()
	if err := m.Use(codec, other); err != nil {
		t.Fatal(err)
	}
	e := Entity{m: m, Codec: codec.Kind(1), Base: *deltatest.State{HP: 77}.Record(codec.Kind(1))}
	if view, ok := e.View(deltatest.Vitals); !ok || len(view.W) != 3 || view.W[2] != 77 || e.Layout() != other {
		t.Errorf("view %v, %v; want it in the mirror's own layout", view, ok)
	}
}

func TestSlotThatWasEmptiedRestsForTheTick(t *testing.T) {
	s := newStall(t, Config{})
	s.src.Spawn(0, 1, deltatest.Bearer, deltatest.State{}.Record(s.k), 1)
	s.step()
	s.src.Despawn(0)
	defer func() {
		if r := recover(); r == nil {
			t.Error("a slot was used again in the tick in which it was emptied: a gateway cannot tell the two apart")
		}
	}()
	s.src.Spawn(0, 2, deltatest.Bearer, deltatest.State{}.Record(s.k), 1)
}
