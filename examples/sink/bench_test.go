package sink_test

import (
	"testing"

	"github.com/tianxia-mmo/tianxia/examples/sink/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// turned is a common update of a walker: it has gone on for six ticks and turned.
func turned(k *delta.KindCodec) (a, b *delta.Record) {
	a, b = record(k), record(k)
	copy(a.W, []uint32{20000, 30000, 12, 0xfffffff7, 100})
	const dt = 6
	copy(b.W, []uint32{20000 + 12*dt + 2, 30000 - 9*dt - 1, 14, 0xfffffffc, 131})
	b.Tick = dt
	return a, b
}

func eachCodec(b *testing.B, run func(b *testing.B, k *delta.KindCodec)) {
	for _, c := range []struct {
		name  string
		codec *delta.Codec
	}{{"generated", generated(b)}, {"interpreted", interpreter(b)}} {
		k := c.codec.Kind(uint16(bind.KindWalker))
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			run(b, k)
		})
	}
}

func BenchmarkEncodeUpdate(b *testing.B) {
	eachCodec(b, func(b *testing.B, k *delta.KindCodec) {
		x, y := turned(k)
		var w delta.Writer
		for b.Loop() {
			w.Reset()
			k.Delta(&w, x, y, delta.AOI)
		}
		b.ReportMetric(float64(w.Bits()), "bits")
	})
}

func BenchmarkDecodeUpdate(b *testing.B) {
	eachCodec(b, func(b *testing.B, k *delta.KindCodec) {
		x, y := turned(k)
		var w delta.Writer
		k.Delta(&w, x, y, delta.AOI)
		var r delta.Reader
		z := record(k)
		for b.Loop() {
			copy(z.W, x.W)
			z.Tick = x.Tick
			r = delta.NewReader(w.Bytes())
			k.ReadDelta(&r, z, delta.AOI, y.Tick)
		}
		if r.Failed() || !equalFor(k, delta.AOI, z, y) {
			b.Fatal("read something else")
		}
	})
}

func BenchmarkSurprise(b *testing.B) {
	eachCodec(b, func(b *testing.B, k *delta.KindCodec) {
		x, y := turned(k)
		bit := k.PlaceBit()
		for b.Loop() {
			k.Surprise(x, y, delta.AOI, bit, 6)
		}
	})
}

// BenchmarkRoundTripOfEverything codes a random update of the kind with sixteen components, and reads it.
func BenchmarkRoundTripOfEverything(b *testing.B) {
	for _, c := range []struct {
		name  string
		codec *delta.Codec
	}{{"generated", generated(b)}, {"interpreted", interpreter(b)}} {
		b.Run(c.name, func(b *testing.B) {
			k := c.codec.Kind(uint16(bind.KindOmnibus))
			r := newChance(c.codec.Layout, 11)
			x, y, z := record(k), record(k), record(k)
			r.fill(k, x)
			y.Copy(x)
			for range 5 {
				r.change(k, y, 3)
			}
			k.Surprise(x, y, delta.AOI, ^uint64(0), 3)
			var w delta.Writer
			var in delta.Reader
			b.ReportAllocs()
			for b.Loop() {
				w.Reset()
				k.Delta(&w, x, y, delta.AOI)
				z.Copy(x)
				in = delta.NewReader(w.Bytes())
				k.ReadDelta(&in, z, delta.AOI, 3)
			}
			b.ReportMetric(float64(w.Bits()), "bits")
		})
	}
}

func walker(b *testing.B, z *game.Zone) bind.Walker {
	b.Helper()
	w, err := bind.SpawnWalker(z, 100, 100)
	if err != nil {
		b.Fatal(err)
	}
	return w
}

func BenchmarkSetters(b *testing.B) {
	var w bind.Walker
	n := int32(0)
	for name, set := range map[string]func(){
		"SetQVel":   func() { w.Transform().SetQVel(n, -n) },
		"SetVel":    func() { w.Transform().SetVel(float64(n&1023), 1) },
		"SetQPos":   func() { w.Transform().SetQPos(n&1023, 5) },
		"SetYaw":    func() { w.Transform().SetYaw(float64(n)) },
		"SetCourse": func() { w.Transform().SetCourse(uint32(n), 16) },
		"SetValue":  func() { w.OneFlag().SetValue(n&1 == 0) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			edit(b, func(z *game.Zone) {
				w = walker(b, z)
				for b.Loop() {
					n++
					set()
				}
			})
		})
	}
}
