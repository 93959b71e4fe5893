//go:build !race

package gateway

import (
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

func TestWhatEveryFrameGoesThroughTakesNoMemory(t *testing.T) {
	s := sampleLimits(t)
	var l limiter
	var q outqueue
	limits, c, a := newQueueLimits(4<<10, 0, 2<<10), newCounters(), sampleAddresses(t, func(l *AddressLimits) { l.Handshakes, l.Burst = 1e6, 1e6 })
	f, echo, payload := push(routeTrade, 30), echoFrame(), make([]byte, 100)
	plain := make([]byte, 0, 4<<10)
	now := time.Duration(0)
	who := host(1)
	held, _ := a.enter(who, 0) // stays
	a.secured(held)
	encode := func(route uint16, class protocol.Delivery) {
		q.push(&limits, now, class, route, func(b []byte) []byte {
			return protocol.AppendFrame(b, protocol.Frame{Type: protocol.TypePush, Route: route, Payload: payload})
		})
	}
	for name, one := range map[string]func(){
		"limiter":         func() { now += time.Millisecond; l.take(s, f, now) },
		"limiter, exempt": func() { l.take(s, echo, now) },
		"counters": func() {
			shard := c.shard(7)
			shard.in(f)
			shard.out(protocol.TypePush, protocol.Reliable, 100)
			c.refused(protocol.ErrorRateLimited)
		},
		"addresses": func() { now += time.Millisecond; ref, _ := a.enter(who, now); a.leave(ref, false) },
		"outqueue": func() {
			for route := range uint16(20) {
				encode(100+route%4, protocol.Delivery(route%3))
			}
			plain, _ = q.take(plain[:0], 500)
			plain, _ = q.take(plain[:0], 4<<10)
			q.look(&limits, now)
		},
		"outqueue of a client that is behind": func() {
			encode(1, protocol.Reliable)
			now += time.Second
			for route := range uint16(20) {
				encode(100+route%4, protocol.Latest)
			}
			plain, _ = q.take(plain[:0], 4<<10)
		},
	} {
		if n := testing.AllocsPerRun(1000, one); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestForwardingARecordTakesOneAllocation(t *testing.T) {
	s, k := forwarding(t)
	frames, at := sixteen(), time.Duration(0)
	if n := testing.AllocsPerRun(1000, func() { at += time.Millisecond; s.frames(frames, at) }); n != 1 { // the payloads, which are the server's from then on
		t.Errorf("a record of 16 frames takes %v allocations, want 1", n)
	}
	if k.got != 16*1001 {
		t.Errorf("%d frames were forwarded", k.got)
	}
}

func TestFrameForAClientTakesNoMemory(t *testing.T) {
	s, _ := forwarding(t)
	s.g.queue = newQueueLimits(64<<10, 0, 32<<10)
	f, plain := push(routePlain, 100), make([]byte, 0, 64<<10)
	s.queued = true // the flusher knows
	if n := testing.AllocsPerRun(1000, func() {
		for range 10 {
			s.push(f)
		}
		plain, _ = s.take(plain[:0])
	}); n != 0 {
		t.Errorf("10 frames take %v allocations", n)
	}
}

func TestEventsForAClientTakeNoMemory(t *testing.T) {
	s, _ := forwarding(t)
	s.g.queue = newQueueLimits(64<<10, 0, 32<<10)
	codec, p := deltatest.Codec(), delta.Params{PositionBits: 17}
	src, z := batch.NewSource(1, 1, codec, p), replica.NewZone(1, 1, codec, p)
	src.AttachGateway(1)
	src.AddObserver(9, 1)
	s.client = replica.NewClient(replica.Config{})
	s.client.Open(z, 9)
	apply := func(tick uint32) {
		if err := z.Apply(src.Finish(tick, nil)[0].Bytes); err != nil {
			t.Fatal(err)
		}
		s.client.Frame(&s.g.bits, tick)
	}
	for i := range uint32(20) {
		src.Spawn(i, uint64(i)+1, 1, deltatest.State{}.Record(codec.Kind(1)), 1)
		src.Enter(9, i)
	}
	apply(1)
	for i := range uint32(20) {
		src.Event(i, routePlain, make([]byte, 100))
	}
	apply(2)
	plain := s.events(make([]byte, 0, 64<<10), true) // which encodes them, for everyone
	if len(plain) < 20*100 {
		t.Fatalf("20 events are %d bytes", len(plain))
	}
	if n := testing.AllocsPerRun(1000, func() { plain = s.events(plain[:0], true) }); n != 0 {
		t.Errorf("20 events take %v allocations", n)
	}
}
