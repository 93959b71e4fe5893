package gateway

import (
	"maps"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

func TestCountersAddUp(t *testing.T) {
	c := newCounters()
	for id := range uint64(20) { // over all shards
		s := c.shard(id)
		s.in(push(routePlain, 10))
		s.in(protocol.Frame{Type: protocol.TypeAck})
		s.violation()
	}
	f := c.flusher()
	f.out(protocol.TypePush, protocol.Reliable, 30)
	f.out(protocol.TypePush, protocol.AOIEvent, 31)
	f.out(protocol.TypeResponse, protocol.Reliable, 32)
	f.out(protocol.TypeState, classless, 500)
	f.shed(protocol.Latest, 2)
	f.shed(protocol.AOIEvent, 3)
	c.refused(protocol.ErrorRateLimited)
	c.refused(protocol.ErrorRateLimited)
	c.refused(1000)
	c.refused(77777)
	c.kicked(protocol.DisconnectFlooding)
	c.warned()
	c.denied(&denial{reason: "refused_held"})
	c.shaken(false)
	c.shaken(true)
	c.shaken(true)
	c.rejected(security.RejectVersion)
	c.resumed(true)
	c.resumed(false)
	var q Queues
	q.add(3, 100, time.Second)
	q.add(1, 900, time.Millisecond)
	c.queued(q)

	if n := len(c.rare); n != 10 {
		t.Errorf("%d counters for what is rare, want 10: a game's codes are one", n)
	}
	n := c.snapshot()
	flows := func(name string, got, want map[string]Traffic) {
		t.Helper()
		if !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	flows("in", n.In, map[string]Traffic{"push": {20, 200}, "ack": {20, 0}})
	flows("out", n.Out, map[string]Traffic{"push": {2, 61}, "response": {1, 32}, "state": {1, 500}})
	flows("deliveries", n.Deliveries, map[string]Traffic{"reliable": {2, 62}, "aoi_event": {1, 31}})
	for _, x := range []struct {
		name      string
		got, want map[string]uint64
	}{
		{"shed", n.Shed, map[string]uint64{"latest": 2, "aoi_event": 3}},
		{"errors", n.Errors, map[string]uint64{"rate_limited": 2, "game": 2}},
		{"kicks", n.Kicks, map[string]uint64{"flooding": 1}},
		{"denials", n.Denials, map[string]uint64{"refused_held": 1}},
		{"handshakes", n.Handshakes, map[string]uint64{"nk": 1, "nkpsk2": 2}},
		{"rejects", n.Rejects, map[string]uint64{"version_refused": 1}},
		{"resumes", n.Resumes, map[string]uint64{"recovered": 1, "not_recovered": 1}},
	} {
		if !maps.Equal(x.got, x.want) {
			t.Errorf("%s: %v, want %v", x.name, x.got, x.want)
		}
	}
	if n.Violations != 20 || n.Warnings != 1 {
		t.Errorf("%d violations and %d warnings, want 20 and 1", n.Violations, n.Warnings)
	}
	if want := (Queues{Frames: 4, Bytes: 1000, Longest: 900, Oldest: time.Second}); n.Queues != want {
		t.Errorf("queues %+v, want %+v", n.Queues, want)
	}
}

func TestCountersMayBeUsedByMany(t *testing.T) {
	c := newCounters()
	var wg sync.WaitGroup
	for id := range uint64(8) {
		wg.Go(func() {
			s := c.shard(id * 3)
			for range 1000 {
				s.in(push(routePlain, 3))
				c.refused(protocol.ErrorTooLarge)
				c.snapshot()
			}
		})
	}
	wg.Wait()
	if n := c.snapshot(); n.In["push"] != (Traffic{8000, 24000}) || n.Errors["too_large"] != 8000 {
		t.Errorf("%v and %v", n.In, n.Errors)
	}
}

func TestCounterShardsShareNoCacheLine(t *testing.T) {
	var s countShard
	if n := unsafe.Sizeof(s); n%64 != 0 || n-unsafe.Sizeof(s.cells) < 64 {
		t.Errorf("a shard takes %d bytes, %d of them counters", n, unsafe.Sizeof(s.cells))
	}
}
