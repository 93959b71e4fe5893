package gateway

import (
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

func BenchmarkLimiter(b *testing.B) {
	s := sampleLimits(b)
	json := push(routePlain, 40)
	json.Flags = protocol.FlagJSON
	for _, c := range []struct {
		name string
		f    protocol.Frame
		dt   time.Duration
	}{
		{"passes", push(routePlain, 40), 6 * time.Millisecond}, {"passes-own-rate", push(routeTrade, 40), 4 * time.Second}, {"passes-json", json, 25 * time.Millisecond},
		{"echo-beyond", echoFrame(), 0}, {"dropped", push(routePlain, 40), 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			var l limiter
			now := time.Duration(0)
			for b.Loop() {
				now += c.dt
				l.take(s, c.f, now)
			}
		})
	}
}

func BenchmarkOutqueue(b *testing.B) {
	l := newQueueLimits(256<<10, 0, 64<<10)
	payload := make([]byte, 100)
	one := func(buf []byte) []byte {
		return protocol.AppendFrame(buf, protocol.Frame{Type: protocol.TypePush, Route: 100, Payload: payload})
	}
	b.Run("one-and-take", func(b *testing.B) {
		var q outqueue
		var plain []byte
		for b.Loop() {
			q.push(&l, 0, protocol.Reliable, 100, one)
			plain, _ = q.take(plain[:0], 64<<10)
		}
	})
	b.Run("hundred-and-take", func(b *testing.B) { // ns of 100 frames
		var q outqueue
		var plain []byte
		for b.Loop() {
			for range 100 {
				q.push(&l, 0, protocol.Reliable, 100, one)
			}
			plain, _ = q.take(plain[:0], 64<<10)
		}
	})
	b.Run("replaces", func(b *testing.B) {
		var q outqueue
		q.push(&l, 0, protocol.Reliable, 1, one)
		for b.Loop() {
			q.push(&l, time.Second, protocol.Latest, 100, one)
		}
	})
}

func BenchmarkAddresses(b *testing.B) {
	limits := AddressLimits{Handshakes: 1e6, Burst: 1e6}
	if err := limits.validate(20_000); err != nil {
		b.Fatal(err)
	}
	for name, hosts := range map[string]uint32{"one": 1, "many": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			a := newAddresses(limits)
			i := uint32(0)
			for b.Loop() {
				i++
				ref, _ := a.enter(host(i%hosts), time.Duration(i)*time.Microsecond)
				a.secured(ref)
				a.leave(ref, true)
			}
		})
	}
}

// Two readers on two cores: the shards are what keeps them apart.
func BenchmarkCounters(b *testing.B) {
	f := push(routePlain, 40)
	for name, shards := range map[string]uint64{"sharded": readerShards, "shared": 1} {
		b.Run(name, func(b *testing.B) {
			c := newCounters()
			ids := make(chan uint64, 64)
			for i := range uint64(64) {
				ids <- i
			}
			b.RunParallel(func(pb *testing.PB) {
				s := c.shard(<-ids % shards)
				for pb.Next() {
					s.in(f)
				}
			})
		})
	}
}
