package link

import (
	"bytes"
	"errors"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// fallsBehind runs a zone's batches through the link to a gateway's replica that does not read for a while: it gets no state until it drains, then one snapshot, and
// then the client's mirror shows the truth again.
func fallsBehind(t *testing.T, open opener) {
	const zone, epoch, entities = 7, 3, 30
	l, p := open(t, Hello{}, PipeConfig{Batches: 4})
	codec, params := deltatest.Codec(), delta.Params{PositionBits: 17}
	src := batch.NewSource(zone, epoch, codec, params)
	src.AttachGateway(1)
	src.AddObserver(500, 1)
	states := make([]deltatest.State, entities)
	kind := codec.Kind(1)
	for i := range states {
		states[i] = deltatest.State{X: int32(i) * 100, HP: 1}
		src.Spawn(uint32(i), uint64(i)+1, 1, states[i].Record(kind), 1)
		src.Enter(500, uint32(i))
	}
	rep := replica.NewZone(zone, epoch, codec, params)
	client := replica.NewClient(replica.Config{})
	var mirror replica.Mirror
	if err := mirror.Use(codec, nil); err != nil {
		t.Fatal(err)
	}
	index, at, _ := client.Open(rep, 500)
	if err := mirror.OpenZone(index, zone, params, at); err != nil {
		t.Fatal(err)
	}

	tick, refused, requests, snapshots := uint32(0), 0, 0, 0
	step := func() (accepted bool) { // what the server does in a tick
		ups, err := p.Receive(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range ups {
			if u.Kind == RequestSnapshot && u.Zone == zone {
				requests++
				src.RequestSnapshot(1)
			}
		}
		tick++
		for i := range states {
			states[i].HP++
			states[i].X += int32(tick % 3)
			src.Publish(uint32(i), states[i].Record(kind), deltatest.All, tick)
		}
		b := src.Finish(tick, nil)[0].Bytes
		err = p.Send(Down{Kind: Batch, Zone: zone, Payload: bytes.Clone(b)})
		if errors.Is(err, ErrFull) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
		return err == nil
	}
	var bits delta.Writer
	apply := func(downs []Down) { // what the gateway does with what came
		for _, d := range downs {
			if h, err := batch.DecodeHeader(d.Payload); err == nil && h.Kind == batch.KindSnapshot {
				snapshots++
			}
			if err := rep.Apply(d.Payload); errors.Is(err, replica.ErrGap) {
				up(t, l, Up{Kind: RequestSnapshot, Zone: zone})
			} else if err != nil {
				t.Fatal(err)
			}
		}
		bits.Reset()
		if _, ok := client.Frame(&bits, tick); ok {
			if err := mirror.Decode(bits.Bytes()); err != nil {
				t.Fatal(err)
			}
			client.Echo(mirror.Frames, tick)
		}
	}
	for range 20 { // in step
		step()
		apply(receive(t, l, 1))
		settled(t, l, p)
	}
	if refused != 0 || requests != 0 || snapshots != 1 {
		t.Fatalf("in step: %d refused, %d requests, %d snapshots", refused, requests, snapshots)
	}
	for range 100 { // the gateway does not read
		step()
	}
	if refused != 96 {
		t.Fatalf("%d of 100 batches were refused, want all but 4", refused)
	}
	apply(receive(t, l, 4))
	settled(t, l, p)
	step() // shows the gap
	apply(receive(t, l, 1))
	<-p.Ready() // the request
	step()      // the snapshot
	apply(receive(t, l, 1))
	settled(t, l, p)
	for range 5 {
		step()
		apply(receive(t, l, 1))
		settled(t, l, p)
	}
	if requests != 1 || snapshots != 2 || refused != 96 {
		t.Errorf("%d requests, %d snapshots, %d refused; want 1, 2, 96", requests, snapshots, refused)
	}
	live := 0
	for i := range mirror.Entities {
		e := &mirror.Entities[i]
		if !e.Live {
			continue
		}
		live++
		want := deltatest.StateOf(kind, src.Publication(uint32(e.ID-1)), tick)
		if got := deltatest.StateOf(kind, &e.Base, tick); !got.Equal(want) {
			t.Errorf("entity %d: the client sees %+v, the zone has %+v", e.ID, got, want)
		}
	}
	if live != entities {
		t.Errorf("the client sees %d entities, want %d", live, entities)
	}
	_ = l.Close()
	_ = p.Close()
}
