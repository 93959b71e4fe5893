package delta

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func randomState(r *rand.Rand, bits uint8) State {
	v := func() int16 {
		switch r.IntN(4) {
		case 0:
			return 0
		case 1:
			return int16(r.IntN(161) - 80)
		case 2:
			return int16(r.IntN(256) - 128)
		}
		return int16(r.Uint32())
	}
	return State{int32(r.Uint32() & (1<<bits - 1)), int32(r.Uint32() & (1<<bits - 1)), v(), v(), uint16(r.IntN(1024)), uint16(r.Uint32())}
}

func read(t *testing.T, f *Fragment) Reader {
	t.Helper()
	var w Writer
	f.WriteTo(&w)
	if w.Bits() != f.Len() {
		t.Fatalf("wrote %d bits of a fragment of %d", w.Bits(), f.Len())
	}
	g, ok := FragmentOf(f.AppendBytes(nil), f.Len())
	if !ok || g != *f {
		t.Fatalf("fragment %v came back from bytes as %v, %v", f, g, ok)
	}
	return NewReader(append([]byte(nil), w.Bytes()...))
}

func TestFullAndDeltaComeBackForAnyStates(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 200_000 {
		l := Layout{uint8(1 + r.IntN(31))}
		a := Publication{r.Uint32(), randomState(r, l.PositionBits)}
		b := Publication{a.Tick + uint32(r.IntN(100)), randomState(r, l.PositionBits)}
		switch r.IntN(4) {
		case 0:
			b.State = a.At(b.Tick) // as predicted, then turned
			b.VX = int16(r.IntN(161) - 80)
		case 1:
			b.State = a.At(b.Tick - 1) // turned before the move
			b.VX, b.VZ = int16(r.IntN(161)-80), int16(r.IntN(161)-80)
			b.X, b.Z = b.X+int32(b.VX), b.Z+int32(b.VZ)
		case 2:
			b = a
			b.Health = uint16(r.Uint32())
		}
		if a.Tick == b.Tick {
			h := b.Health
			b = a
			b.Health = h
		}
		f := EncodeDelta(&a, &b)
		rd := read(t, &f)
		if got := DecodeDelta(&rd, &a, b.Tick); got != b || rd.Err() != nil {
			t.Fatalf("case %d: base %+v, sent %+v, got %+v (%v)", i, a, b, got, rd.Err())
		}
		full := a
		f = EncodeFull(l, &full)
		rd = read(t, &f)
		if got := DecodeFull(&rd, l, a.Tick); got != full || rd.Err() != nil {
			t.Fatalf("case %d: full %+v came back as %+v (%v)", i, full, got, rd.Err())
		}
	}
}

func TestWorstFragmentsFit(t *testing.T) {
	a := Publication{0, State{0, 0, 0, 0, 0, 0}}
	b := Publication{9, State{-1 << 31, 1 << 30, -32768, 32767, 512, 65535}}
	if f := EncodeDelta(&a, &b); f.Len() != 141 {
		t.Errorf("worst delta has %d bits, the layout's sum says 141", f.Len())
	}
	b.X, b.Z = 1<<31-1, 1<<31-1
	if f := EncodeFull(Layout{31}, &b); f.Len() != 124 {
		t.Errorf("worst full state has %d bits, the layout's sum says 124", f.Len())
	}
}

func TestReckoningDoesNotDependOnTheSplitOfTheInterval(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 10_000 {
		p := Publication{r.Uint32(), randomState(r, 20)}
		n, m := uint32(r.IntN(10_000)), uint32(r.IntN(10_000))
		mid := Publication{p.Tick + n, p.At(p.Tick + n)}
		if got, want := mid.At(p.Tick+n+m), p.At(p.Tick+n+m); got != want {
			t.Fatalf("%+v: in two steps %+v, in one %+v", p, got, want)
		}
	}
}

func TestOnlySurprisesArePublished(t *testing.T) {
	p := Publication{100, State{X: 1000, Z: 1000, VX: 80, Health: 7}}
	if _, ok := p.Next(p.At(130), 130); ok {
		t.Error("published although the prediction holds")
	}
	s := p.At(130)
	s.Health = 5
	if n, ok := p.Next(s, 130); !ok || n.Tick != 100 || n.Health != 5 || n.X != 1000 {
		t.Errorf("a change of health must keep the motion's base, got %+v, %v", n, ok)
	}
	s.VX = 0
	if n, ok := p.Next(s, 130); !ok || n.Tick != 130 || n.State != s {
		t.Errorf("a turn must move the base, got %+v, %v", n, ok)
	}
}

func TestBitsFor(t *testing.T) {
	for size, want := range map[int32]uint8{1: 1, 2: 1, 3: 2, 4: 2, 5: 3, 126880: 17, 1<<31 - 1: 31} {
		if got := BitsFor(size); got != want {
			t.Errorf("BitsFor(%d) = %d, want %d", size, got, want)
		}
	}
}

func TestCodecAllocatesNothing(t *testing.T) {
	a := Publication{1, State{X: 5000, Z: 7000, VX: 80, Yaw: 3}}
	b := Publication{9, State{X: 5600, Z: 7100, VX: 10, VZ: -50, Yaw: 900}}
	var w Writer
	w.Put(0, 1)
	if n := testing.AllocsPerRun(100, func() {
		w.Reset()
		f := EncodeDelta(&a, &b)
		f.WriteTo(&w)
		r := NewReader(w.Bytes())
		b = DecodeDelta(&r, &a, 9)
	}); n != 0 {
		t.Errorf("%v allocations per encode and decode, want 0", n)
	}
}

func FuzzDecode(f *testing.F) {
	a := Publication{7, State{X: 4000, Z: 3000, VX: 80, VZ: -3, Yaw: 17, Health: 100}}
	b := Publication{9, State{X: 5600, Z: 7100, VX: 10, VZ: -50, Yaw: 900}}
	d := EncodeDelta(&a, &b)
	f.Add(d.AppendBytes(nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(in)
		got := DecodeDelta(&r, &a, 9)
		if r.Err() == nil { // whatever was read can be written and read again
			e := EncodeDelta(&a, &got)
			rd := read(t, &e)
			if again := DecodeDelta(&rd, &a, got.Tick); again != got {
				t.Fatalf("%+v came back as %+v", got, again)
			}
		}
		r = NewReader(in)
		full := DecodeFull(&r, Layout{18}, 9)
		ReadAge(&r)
		_ = full
		FragmentOf(in, len(in)*8)
	})
}

func BenchmarkEncodeDelta(bench *testing.B) {
	a := Publication{1, State{X: 5000, Z: 7000, VX: 80, Yaw: 3}}
	b := Publication{9, State{X: 5640, Z: 7000, VX: 10, VZ: -50, Yaw: 900}}
	for bench.Loop() {
		f := EncodeDelta(&a, &b)
		_ = f
	}
}

func ExamplePublication_At() {
	p := Publication{Tick: 100, State: State{X: 3200, VX: 80}} // at x = 10 m, 5 m/s
	fmt.Println(p.At(120).X)                                   // one second later, at 15 m
	// Output: 4800
}
