package sink_test

import (
	"runtime"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// both reads hostile bits with the generated and the interpreting codec: they agree on whether that can be, and on what it says.
func both(t *testing.T, gen, twin *delta.KindCodec, a delta.Audience, bits []byte, steps int) {
	t.Helper()
	x, y := record(gen), record(gen)
	p := delta.Params{PositionBits: 17, OriginX: -900, OriginZ: 1 << 20}
	r, q := delta.NewReader(bits), delta.NewReader(bits)
	gen.ReadFull(&r, p, x, a, 1)
	twin.ReadFull(&q, p, y, a, 1)
	for i := range steps {
		if r.Failed() != q.Failed() {
			t.Fatalf("step %d: generated %v, interpreted %v", i, r.Err(), q.Err())
		}
		if r.Failed() {
			return
		}
		if r.Pos() != q.Pos() || !equalFor(gen, a, x, y) {
			t.Fatalf("step %d: at bit %d and %d:\n%s\n%s", i, r.Pos(), q.Pos(), gen.AppendJSON(nil, x, a), gen.AppendJSON(nil, y, a))
		}
		tick := uint32(i*i*1000) + 2
		gen.ReadDelta(&r, x, a, tick)
		twin.ReadDelta(&q, y, a, tick)
	}
}

// FuzzRead is a full state and some updates of any kind and audience in hostile bits.
func FuzzRead(f *testing.F) {
	gen, twin := generated(f), interpreter(f)
	c := newChance(gen.Layout, 5)
	kinds := len(gen.Layout.Kinds)
	for i := range gen.Layout.Kinds {
		k := gen.Kind(gen.Layout.Kinds[i].ID)
		for a := range delta.Server {
			var w delta.Writer
			s, next := record(k), record(k)
			c.fill(k, s)
			next.Copy(s)
			k.Full(&w, c.params, s, a)
			for n := 0; n < 4; n++ {
				c.change(k, next, 2)
				if k.Surprise(s, next, a, ^uint64(0), s.Tick+2) != 0 {
					k.Delta(&w, s, next, a)
					s.Copy(next)
				}
			}
			f.Add(uint8(i), uint8(a), w.Bytes())
			w.Reset()
		}
	}
	f.Fuzz(func(t *testing.T, kind, audience uint8, bits []byte) {
		if len(bits) > 1<<12 {
			return
		}
		id := gen.Layout.Kinds[int(kind)%kinds].ID
		both(t, gen.Kind(id), twin.Kind(id), delta.Audience(audience)%delta.Audiences, bits, 6)
	})
}

// TestRandomBitsAreReadAlikeByBothCodecs does in every test run what fuzzing does at leisure, mutated states included.
func TestRandomBitsAreReadAlikeByBothCodecs(t *testing.T) {
	eachKind(t, func(t *testing.T, gen, twin *delta.KindCodec, a delta.Audience) {
		c := newChance(generated(t).Layout, uint64(gen.Kind.ID))
		var w delta.Writer
		s, next := record(gen), record(gen)
		for range some(300) {
			w.Reset()
			c.fill(gen, s)
			gen.Full(&w, c.params, s, a)
			for range 3 {
				next.Copy(s)
				c.change(gen, next, 2)
				gen.Delta(&w, s, next, a)
				s.Copy(next)
			}
			bits := w.Bytes()
			for n := c.IntN(6); n > 0 && len(bits) > 0; n-- {
				bits[c.IntN(len(bits))] ^= 1 << c.IntN(8)
			}
			if c.IntN(4) == 0 {
				for i := range bits {
					bits[i] = byte(c.Uint32())
				}
			}
			both(t, gen, twin, a, bits[:c.IntN(len(bits)+1)], 4)
		}
	})
}

// TestHostileBitsAllocateInProportion: every count is checked against what is left before there is room for it.
func TestHostileBitsAllocateInProportion(t *testing.T) {
	gen := generated(t)
	k := gen.Kind(6) // of everything
	c := newChance(gen.Layout, 9)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const rounds, size = 200, 400
	for range rounds {
		bits := make([]byte, size)
		for i := range bits {
			a, b := byte(c.Uint32()), byte(c.Uint32())
			bits[i] = a | b // counts like to be large
		}
		r := delta.NewReader(bits)
		b := record(k)
		k.ReadFull(&r, c.params, b, delta.AOI, 0)
		for !r.Failed() {
			k.ReadDelta(&r, b, delta.AOI, 5)
		}
	}
	runtime.ReadMemStats(&after)
	if per := (after.TotalAlloc - before.TotalAlloc) / rounds; per > 1<<18 {
		t.Errorf("%d bytes are allocated for %d hostile bytes", per, size)
	}
}

// FuzzLayoutTable: what is no table of a layout is refused, and what is one codes.
func FuzzLayoutTable(f *testing.F) {
	f.Add(generated(f).Layout.Table())
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := delta.ParseTable(b)
		if err != nil {
			return
		}
		codec, err := delta.NewCodec(l, nil)
		if err != nil {
			t.Fatalf("a table that parses makes no codec: %v", err)
		}
		again, err := delta.ParseTable(l.Table())
		if err != nil || string(again.Table()) != string(l.Table()) {
			t.Fatalf("the table of a parsed table: %v", err)
		}
		for i := range l.Kinds {
			k := codec.Kind(l.Kinds[i].ID)
			if k.Words+k.Vars > 1<<14 {
				return
			}
			x, y := record(k), record(k)
			r := delta.NewReader(b)
			k.ReadFull(&r, delta.Params{PositionBits: 17}, x, delta.AOI, 0)
			if r.Failed() {
				continue
			}
			var w delta.Writer
			k.Full(&w, delta.Params{PositionBits: 17}, x, delta.AOI)
			q := delta.NewReader(w.Bytes())
			k.ReadFull(&q, delta.Params{PositionBits: 17}, y, delta.AOI, 0)
			if q.Failed() || !equalFor(k, delta.AOI, x, y) {
				t.Fatalf("kind %d: a state that was read is written and read as another", l.Kinds[i].ID)
			}
		}
	})
}
