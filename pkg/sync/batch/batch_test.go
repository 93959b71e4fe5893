package batch

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

var params = delta.Params{PositionBits: 17}

type state = deltatest.State

func (s *Source) put(slot uint32, st state, tick uint32) {
	s.Publish(slot, st.Record(s.ents[slot].kind), deltatest.All, tick)
}

func sample() *Source {
	s := NewSource(1, 2, deltatest.Codec(), params)
	s.AttachGateway(9)
	s.AddObserver(500, 9)
	for i := range uint32(20) {
		s.Spawn(i, uint64(i)+1, uint16(i)+1, state{X: int32(i) * 100, VX: 80, HP: 5}.Record(s.codec.Kind(1)), 10)
	}
	return s
}

func decode(t *testing.T, b []byte) *Batch {
	t.Helper()
	var d Batch
	if err := d.Decode(b); err != nil {
		t.Fatal(err)
	}
	return &d
}

func TestSurpriseIsEncodedOnceForAllGateways(t *testing.T) {
	s := sample()
	s.AttachGateway(10)
	s.AddObserver(501, 10)
	s.Enter(500, 3)
	s.Enter(501, 3)
	s.Finish(10, nil)
	s.put(3, state{X: 7, VX: 1}, 11)
	out := s.Finish(11, nil)
	if st := s.Stats(); st.Fragments != 1 || st.Publications != 1 {
		t.Errorf("%+v, want one fragment of one publication", st)
	}
	for _, o := range out {
		if d := decode(t, o.Bytes); len(d.Updates) != 1 || d.Updates[0].Slot != 3 || d.Tick != 11 || d.Sequence != 2 {
			t.Errorf("gateway %d got %+v", o.Gateway, d)
		}
	}
}

func TestFirstBatchAndEveryRequestedOneIsASnapshot(t *testing.T) {
	s := sample()
	s.Enter(500, 3)
	s.Input(500, 77)
	d := decode(t, s.Finish(10, nil)[0].Bytes)
	if d.Kind != KindSnapshot || len(d.Fulls) != 1 || len(d.Observers) != 1 || d.Observers[0].Input != 77 || len(d.Observers[0].Enters) != 1 {
		t.Fatalf("first batch: %+v", d)
	}
	if d := decode(t, s.Finish(11, nil)[0].Bytes); d.Kind != KindDelta || len(d.Observers)+len(d.Fulls) != 0 {
		t.Fatalf("nothing happened, and the batch says %+v", d)
	}
	s.RequestSnapshot(9)
	s.RequestSnapshot(12345)
	if d := decode(t, s.Finish(12, nil)[0].Bytes); d.Kind != KindSnapshot || len(d.Fulls) != 1 || d.Fulls[0].Slot != 3 || d.Fulls[0].Tick != s.Publication(3).Tick {
		t.Fatalf("requested snapshot: %+v", d)
	}
}

func TestWhoComesAndGoesWithinATickLeavesNoTrace(t *testing.T) {
	s := sample()
	s.Finish(10, nil)
	s.Enter(500, 4)
	s.Leave(500, 4)
	if d := decode(t, s.Finish(11, nil)[0].Bytes); len(d.Forgets)+len(d.Fulls) != 0 || len(d.Observers) > 0 && len(d.Observers[0].Enters)+len(d.Observers[0].Leaves) != 0 {
		t.Errorf("got %+v", d)
	}
	s.Enter(500, 4)
	s.Finish(12, nil)
	s.Leave(500, 4)
	s.Enter(500, 4)
	if d := decode(t, s.Finish(13, nil)[0].Bytes); len(d.Forgets)+len(d.Fulls) != 0 || len(d.Observers[0].Leaves) != 1 || len(d.Observers[0].Enters) != 1 {
		t.Errorf("got %+v", d)
	}
}

func TestObserversKeepTheirOrderWhenOthersGo(t *testing.T) {
	s := sample()
	s.AttachGateway(10)
	for id := range uint64(6) {
		s.AddObserver(501+id, 9+uint32(id)&1)
		s.Enter(501+id, uint32(id))
	}
	s.Enter(500, 6) // alone in seeing it
	s.Finish(10, nil)
	s.Input(500, 3) // what has gone has nothing to say any more
	s.RemoveObserver(500)
	s.RemoveObserver(503)
	s.RemoveObserver(503)
	s.AddObserver(500, 10) // another one of the same name
	s.RemoveObserver(505)
	s.AddObserver(505, 9)
	if s.View(500) != 0 || s.View(505) != 0 {
		t.Error("who is new sees what the one before saw")
	}
	for _, id := range []uint64{500, 501, 502, 504, 505, 506} {
		s.Input(id, 7)
	}
	want := map[uint32][]uint64{9: {501, 505}, 10: {502, 504, 506, 500}}
	for _, o := range s.Finish(11, nil) {
		d := decode(t, o.Bytes)
		var ids []uint64
		for _, seen := range d.Observers {
			ids = append(ids, seen.ID)
		}
		if !slices.Equal(ids, want[o.Gateway]) {
			t.Errorf("gateway %d hears of observers %d, want %d", o.Gateway, ids, want[o.Gateway])
		}
		if forgets := map[uint32][]uint32{9: {6, 2, 4}}; !slices.Equal(d.Forgets, forgets[o.Gateway]) {
			t.Errorf("gateway %d forgets %d, want %d", o.Gateway, d.Forgets, forgets[o.Gateway])
		}
	}
	s.RemoveObserver(501)
	s.AddObserver(501, 10)
	s.DetachGateway(9) // with what has gone from it, but not with who has its name elsewhere
	s.DetachGateway(9)
	s.Enter(501, 3)
	s.Enter(505, 3)
	if !s.Sees(501, 3) || s.Sees(505, 3) || !slices.Equal(s.AppendView([]uint32{9}, 501), []uint32{9, 3}) {
		t.Error("after the gateway has gone: its observer is there, or another one is not")
	}
}

func TestDepartureIsToldToGatewaysThatSawTheEntity(t *testing.T) {
	s := sample()
	s.AttachGateway(10)
	s.AddObserver(501, 10)
	s.Enter(500, 3)
	s.Enter(500, 4)
	s.Finish(10, nil)
	s.Leave(500, 4) // out of sight in the tick in which it departs
	s.Depart(3, 8, 5)
	s.Depart(4, 9, 6)
	s.Leave(500, 3)
	out := s.Finish(11, nil)
	d := decode(t, out[0].Bytes)
	if want := []Departure{{3, 8, 5}, {4, 9, 6}}; !slices.Equal(d.Departed, want) || !slices.Equal(d.Observers[0].Leaves, []uint32{4, 3}) || len(d.Forgets) != 2 {
		t.Errorf("got %+v, want departures %v and the leaves", d, want)
	}
	if d := decode(t, out[1].Bytes); len(d.Departed) != 0 {
		t.Errorf("a gateway that saw nothing is told of %v", d.Departed)
	}
	if d := decode(t, s.Finish(12, nil)[0].Bytes); len(d.Departed) != 0 || s.Stats().Departures != 2 {
		t.Errorf("told again: %v, counted %d", d.Departed, s.Stats().Departures)
	}
	s.Spawn(3, 77, 1, state{}.Record(s.codec.Kind(1)), 13) // the slot is free
	defer func() {
		if recover() == nil {
			t.Error("what is not there departs")
		}
	}()
	s.Depart(4, 8, 5)
}

func TestEventGoesOnceToEachGatewayThatSeesTheEntityWhenTheTickEnds(t *testing.T) {
	s := sample()
	for g := range uint32(3) {
		s.AttachGateway(10 + g)
	}
	s.AddObserver(501, 9)
	s.AddObserver(502, 10)
	s.AddObserver(503, 11)
	for _, id := range []uint64{500, 501, 502} {
		s.Enter(id, 3)
	}
	s.Finish(10, nil)
	payload := []byte("boom")
	s.Event(3, 700, payload)
	copy(payload, "gone")
	s.Event(5, 701, nil) // seen by nobody
	s.Event(6, 702, nil) // seen from this tick on
	s.Enter(503, 6)
	s.Leave(502, 3) // no longer seen at gateway 10
	s.RequestSnapshot(11)
	s.Event(3, 703, []byte("then"))
	want := map[uint32][]Event{9: {{3, 700, []byte("boom")}, {3, 703, []byte("then")}}}
	for _, o := range s.Finish(11, nil) {
		d := decode(t, o.Bytes)
		if !slices.EqualFunc(d.Events, want[o.Gateway], func(a, b Event) bool {
			return a.Slot == b.Slot && a.Route == b.Route && string(a.Payload) == string(b.Payload)
		}) {
			t.Errorf("gateway %d hears %v, want %v", o.Gateway, d.Events, want[o.Gateway])
		}
	}
	if st := s.Stats(); st.Events != 2 || st.EventsDropped != 1 {
		t.Errorf("%d events, %d dropped; want 2, and 1 for a gateway whose batch was a snapshot", st.Events, st.EventsDropped)
	}
	if d := decode(t, s.Finish(12, nil)[0].Bytes); len(d.Events) != 0 {
		t.Errorf("told again: %v", d.Events)
	}
}

func TestObserverIsListedWhenItComesAndWhenItGoes(t *testing.T) {
	s := sample()
	s.Finish(10, nil)
	s.AddObserver(501, 9)
	if d := decode(t, s.Finish(11, nil)[0].Bytes); len(d.Observers) != 1 || d.Observers[0].ID != 501 || len(d.Observers[0].Enters) != 0 {
		t.Errorf("a new observer that sees nothing: %+v", d)
	}
	s.RemoveObserver(501)
	if d := decode(t, s.Finish(12, nil)[0].Bytes); !slices.Equal(d.Removed, []uint64{501}) || len(d.Observers) != 0 {
		t.Errorf("one that has gone: %+v", d)
	}
	if d := decode(t, s.Finish(13, nil)[0].Bytes); len(d.Removed)+len(d.Observers) != 0 {
		t.Errorf("told again: %+v", d)
	}
}

func TestDamagedBatchIsRefusedAsAWhole(t *testing.T) {
	s := sample()
	for i := range uint32(12) {
		s.Enter(500, i)
	}
	s.Finish(9, nil)
	s.Depart(3, 8, 5)
	s.Leave(500, 3)
	s.Event(1, 700, []byte("an event"))
	s.AddObserver(501, 9)
	s.RemoveObserver(501)
	b := append([]byte(nil), s.Finish(10, nil)[0].Bytes...)
	for n := range b {
		var d Batch
		if err := d.Decode(b[:n]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(b), err)
		}
	}
	var d Batch
	if err := d.Decode(append(b, 0)); !errors.Is(err, ErrMalformed) {
		t.Fatalf("with a byte too many: %v", err)
	}
}

func TestSteadyTickAllocatesNothing(t *testing.T) {
	s := sample()
	for i := range uint32(20) {
		s.Enter(500, i)
	}
	r := rand.New(rand.NewPCG(1, 1))
	var out []Output
	tick := uint32(10)
	var d Batch
	var rec delta.Record
	var payload [16]byte
	step := func() {
		tick++
		for i := range uint32(20) {
			state{X: r.Int32N(1 << 17), VX: 3}.Into(s.ents[i].kind, &rec)
			s.Publish(i, &rec, deltatest.All, tick)
			s.Event(i, 700, payload[:])
		}
		out = s.Finish(tick, out[:0])
		if err := d.Decode(out[0].Bytes); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		step()
	}
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations per tick, want 0", n)
	}
}

func FuzzDecode(f *testing.F) {
	s := sample()
	for i := range uint32(6) {
		s.Enter(500, i)
	}
	f.Add(append([]byte(nil), s.Finish(10, nil)[0].Bytes...))
	s.Leave(500, 2)
	s.put(1, state{X: 1}, 11)
	s.Depart(3, 8, 5)
	s.Leave(500, 3)
	s.Event(1, 700, []byte("an event"))
	s.AddObserver(501, 9)
	s.RemoveObserver(501)
	f.Add(append([]byte(nil), s.Finish(11, nil)[0].Bytes...))
	var d Batch
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := d.Decode(b); err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
		if n := len(d.Forgets) + len(d.Departed) + len(d.Fulls) + len(d.Updates) + len(d.Removed) + len(d.slots) + len(d.Events); n > len(b) {
			t.Fatalf("%d things out of %d bytes", n, len(b))
		}
	})
}

func ExampleSource() {
	codec := deltatest.Codec()
	s := NewSource(1, 1, codec, delta.Params{PositionBits: 17})
	s.AttachGateway(1)
	s.AddObserver(42, 1)
	st := deltatest.State{X: 3200, VX: 80}
	s.Spawn(0, 1001, 1, st.Record(codec.Kind(1)), 1)
	s.Enter(42, 0)
	for tick := uint32(1); tick <= 3; tick++ {
		s.Publish(0, st.Record(codec.Kind(1)), deltatest.All, tick) // as predicted: nothing is sent but the header
		fmt.Println(len(s.Finish(tick, nil)[0].Bytes))
		st.X += 80
	}
	// Output:
	// 36
	// 15
	// 15
}
