package replica

import (
	"math/rand/v2"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// BenchmarkTick is a gateway's share of a tick: one batch applied and a frame for each of 1,000 clients that see 50 of 2,000 entities, of which one in
// twenty turns per tick, as walkers do.
func BenchmarkTick(b *testing.B) {
	const entities, clients, visible = 2000, 1000, 50
	r := rand.New(rand.NewPCG(1, 2))
	l, codec := delta.Params{PositionBits: 18}, deltatest.Codec()
	kind := codec.Kind(1)
	src := batch.NewSource(1, 1, codec, l)
	src.AttachGateway(1)
	z := NewZone(1, 1, codec, l)
	states := make([]deltatest.State, entities)
	for i := range states {
		states[i] = deltatest.State{X: r.Int32N(1 << 17), Z: r.Int32N(1 << 17), VX: 50, VZ: 20}
		src.Spawn(uint32(i), uint64(i)+1, 1, states[i].Record(kind), 1)
	}
	list := make([]*Client, clients)
	for i := range list {
		list[i] = NewClient(Config{})
		src.AddObserver(uint64(i), 1)
		list[i].Open(z, uint64(i))
		for range visible {
			src.Enter(uint64(i), r.Uint32N(entities))
		}
	}
	var w delta.Writer
	var rec delta.Record
	var out []batch.Output
	tick, bytes, frames := uint32(1), 0, 0
	step := func(b *testing.B) {
		b.StopTimer()
		tick++
		for i := range states {
			s := &states[i]
			s.X += s.VX
			s.Z += s.VZ
			if r.IntN(20) == 0 {
				s.VX, s.VZ, s.Yaw = r.Int32N(160)-80, r.Int32N(160)-80, r.Uint32N(1024)
			}
			if s.X < 0 || s.X >= 1<<18 {
				s.X = 1 << 17
			}
			if s.Z < 0 || s.Z >= 1<<18 {
				s.Z = 1 << 17
			}
			s.Into(kind, &rec)
			src.Publish(uint32(i), &rec, deltatest.All, tick)
		}
		out = src.Finish(tick, out[:0])
		b.StartTimer()
		if err := z.Apply(out[0].Bytes); err != nil {
			b.Fatal(err)
		}
		for _, c := range list {
			if _, ok := c.Frame(&w, tick); ok {
				bytes += len(w.Bytes())
				frames++
			}
			c.Echo(c.echoed+uint16(c.out), tick)
		}
	}
	for range 20 {
		step(b)
	}
	bytes, frames = 0, 0
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	for ; n < b.N; n++ {
		step(b)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*clients), "ns/client-tick")
	b.ReportMetric(float64(bytes)/float64(n*clients*visible), "B/entity-tick")
}
