package sink_test

import (
	"bytes"
	"flag"
	"fmt"
	"testing"

	"github.com/tianxia-mmo/tianxia/examples/sink/bind"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// updates is how many updates a test of two codecs draws per kind and audience; 100000 takes some minutes.
var updates = flag.Int("updates", 1200, "random updates per kind and audience")

// some is n, or a sixth of it under -short.
func some(n int) int {
	if testing.Short() {
		return n / 6
	}
	return n
}

func generated(t testing.TB) *delta.Codec {
	t.Helper()
	c, err := bind.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// eachKind runs a test for every kind and audience that gets something of it.
func eachKind(t *testing.T, test func(t *testing.T, gen, twin *delta.KindCodec, a delta.Audience)) {
	all := generated(t)
	for i := range all.Layout.Kinds {
		k := &all.Layout.Kinds[i]
		for a := range delta.Audiences {
			if all.Kind(k.ID).Has(a) {
				t.Run(fmt.Sprintf("%s/%d", k.Name, a), func(t *testing.T) {
					t.Parallel()
					test(t, generated(t).Kind(k.ID), interpreter(t).Kind(k.ID), a)
				})
			}
		}
	}
}

func record(k *delta.KindCodec) *delta.Record {
	r := &delta.Record{}
	k.Init(r)
	return r
}

func sameBits(t *testing.T, what string, g, w *delta.Writer) {
	t.Helper()
	if g.Bits() != w.Bits() || !bytes.Equal(g.Bytes(), w.Bytes()) {
		t.Fatalf("%s: generated %d bits %x, interpreted %d bits %x", what, g.Bits(), g.Bytes(), w.Bits(), w.Bytes())
	}
}

// equalFor tells whether two records are the same in what an audience gets.
func equalFor(k *delta.KindCodec, a delta.Audience, x, y *delta.Record) bool {
	return bytes.Equal(k.AppendJSON(nil, x, a), k.AppendJSON(nil, y, a))
}

// TestGeneratedCodecGivesTheBitsOfTheInterpretingOne walks chains of updates with both codecs at once: what they write, read, find surprising and predict is the same.
func TestGeneratedCodecGivesTheBitsOfTheInterpretingOne(t *testing.T) {
	eachKind(t, func(t *testing.T, gen, twin *delta.KindCodec, a delta.Audience) {
		c := newChance(bind.NewLayout(), uint64(gen.Kind.ID)*16+uint64(a))
		c.params.OriginX, c.params.OriginZ = -70_000, 1<<24
		var w, x delta.Writer
		state, pub, twinPub := record(gen), record(gen), record(gen)
		there, twinThere := record(gen), record(gen) // what the other ends hold
		tick := c.Uint32()
		for n, begun := 0, false; n < some(*updates); {
			if !begun || c.IntN(50) == 0 { // begin anew with a full state
				begun = true
				c.fill(gen, state)
				state.Tick = tick
				pub.Copy(state)
				twinPub.Copy(state)
				w.Reset()
				x.Reset()
				gen.Full(&w, c.params, pub, a)
				twin.Full(&x, c.params, pub, a)
				sameBits(t, "full", &w, &x)
				r, q := delta.NewReader(w.Bytes()), delta.NewReader(w.Bytes())
				if c.IntN(2) == 0 {
					there = record(gen) // else whatever was there goes
				}
				gen.ReadFull(&r, c.params, there, a, tick)
				twin.ReadFull(&q, c.params, twinThere, a, tick)
				check(t, gen, a, &r, &q, w.Bits(), pub, there, twinThere)
			}
			tick += 1 + c.Uint32N(1<<c.IntN(6))
			c.change(gen, state, int32(tick-pub.Tick))
			dirty := ^uint64(0)
			got := gen.Surprise(pub, state, a, dirty, tick)
			base := state.Tick
			if want := twin.Surprise(twinPub, state, a, dirty, tick); got != want || base != state.Tick {
				t.Fatalf("surprised %b with base %d, interpreted %b with base %d", got, base, want, state.Tick)
			}
			if got == 0 {
				continue
			}
			n++
			w.Reset()
			x.Reset()
			gen.Delta(&w, pub, state, a)
			twin.Delta(&x, pub, state, a)
			sameBits(t, "delta", &w, &x)
			gen.Publish(pub, state, a, got)
			twin.Publish(twinPub, state, a, got)
			if !delta.EqualRecord(pub, twinPub) {
				t.Fatal("the codecs publish different records")
			}
			r, q := delta.NewReader(w.Bytes()), delta.NewReader(w.Bytes())
			gen.ReadDelta(&r, there, a, tick)
			twin.ReadDelta(&q, twinThere, a, tick)
			check(t, gen, a, &r, &q, w.Bits(), pub, there, twinThere)
			at := tick + c.Uint32N(100)
			ahead, twinAhead := record(gen), record(gen)
			ahead.Copy(pub)
			twinAhead.Copy(pub)
			gen.Reckon(ahead, at)
			twin.Reckon(twinAhead, at)
			if !delta.EqualRecord(ahead, twinAhead) || ahead.Tick != at || twinAhead.Tick != at {
				t.Fatal("the codecs predict different records")
			}
		}
	})
}

func check(t *testing.T, k *delta.KindCodec, a delta.Audience, r, q *delta.Reader, bits int, pub, there, twinThere *delta.Record) {
	t.Helper()
	switch {
	case r.Failed() || q.Failed():
		t.Fatalf("reading failed: generated %v, interpreted %v", r.Err(), q.Err())
	case r.Pos() != bits || q.Pos() != bits:
		t.Fatalf("read %d and %d of %d bits", r.Pos(), q.Pos(), bits)
	case !equalFor(k, a, pub, there):
		t.Fatalf("generated code read\n%s, published was\n%s", k.AppendJSON(nil, there, a), k.AppendJSON(nil, pub, a))
	case !equalFor(k, a, pub, twinThere):
		t.Fatalf("interpreting read\n%s, published was\n%s", k.AppendJSON(nil, twinThere, a), k.AppendJSON(nil, pub, a))
	}
}

// TestRecordsOfEveryKindComeBackWhole: what hands an entity over keeps all of it, what nobody is told included, and both codecs write it alike.
func TestRecordsOfEveryKindComeBackWhole(t *testing.T) {
	gen, twin := generated(t), interpreter(t)
	for i := range gen.Layout.Kinds {
		k, l := gen.Kind(gen.Layout.Kinds[i].ID), twin.Kind(gen.Layout.Kinds[i].ID)
		c := newChance(gen.Layout, uint64(i))
		s, there := record(k), record(k)
		for range some(300) {
			c.fill(k, s)
			s.Tick = c.Uint32()
			b := k.AppendRecord([]byte("before"), s)
			if !bytes.Equal(b, l.AppendRecord([]byte("before"), s)) {
				t.Fatalf("%s: the codecs write different bytes", k.Kind.Name)
			}
			rest, err := k.ReadRecord(append(b, "behind"...)[len("before"):], there)
			if err != nil || string(rest) != "behind" || there.Tick != s.Tick || !delta.EqualRecord(s, there) {
				t.Fatalf("%s: %v, %q is left, or it came back as another", k.Kind.Name, err, rest)
			}
		}
	}
}

// TestVectorsAreReadByBothCodecs decodes the golden vectors as any other language does.
func TestVectorsAreReadByBothCodecs(t *testing.T) {
	v := makeVectors(t, interpreter(t))
	for name, codec := range map[string]*delta.Codec{"generated": generated(t), "interpreted": interpreter(t)} {
		t.Run(name, func(t *testing.T) {
			for _, c := range v.Cases {
				k, a, p := codec.Kind(c.Kind), delta.Audience(c.Audience), c.params()
				b := record(k)
				for i, s := range c.Steps {
					r := delta.NewReader(unhex(t, s.Hex))
					if s.Op == "full" {
						k.ReadFull(&r, p, b, a, s.Tick)
					} else {
						k.ReadDelta(&r, b, a, s.Tick)
					}
					if r.Failed() || r.Pos() != s.Bits {
						t.Fatalf("kind %d, audience %d, step %d: %d of %d bits, %v", c.Kind, a, i, r.Pos(), s.Bits, r.Err())
					}
					if got := k.AppendJSON(nil, b, a); string(got) != string(s.Value) {
						t.Fatalf("kind %d, audience %d, step %d:\n%s, want\n%s", c.Kind, a, i, got, s.Value)
					}
				}
			}
		})
	}
}

// TestFixedFieldsAreCodedWithoutAllocation covers the kinds that have nothing of variable size.
func TestFixedFieldsAreCodedWithoutAllocation(t *testing.T) {
	codec := generated(t)
	for i := range codec.Layout.Kinds {
		k := codec.Kind(codec.Layout.Kinds[i].ID)
		if k.Vars > 0 {
			continue
		}
		c := newChance(codec.Layout, 3)
		a, b, there := record(k), record(k), record(k)
		c.fill(k, a)
		b.Copy(a)
		for k.Surprise(a, b, delta.AOI, ^uint64(0), 5) == 0 {
			c.change(k, b, 5)
		}
		var w delta.Writer
		var r delta.Reader // not in the function: the interface calls let it escape
		if n := testing.AllocsPerRun(200, func() {
			w.Reset()
			k.Full(&w, c.params, a, delta.AOI)
			r = delta.NewReader(w.Bytes())
			k.ReadFull(&r, c.params, there, delta.AOI, 0)
			there.Tick = a.Tick
			w.Reset()
			k.Surprise(a, b, delta.AOI, ^uint64(0), 5)
			k.Delta(&w, a, b, delta.AOI)
			r = delta.NewReader(w.Bytes())
			k.ReadDelta(&r, there, delta.AOI, 5)
			k.Reckon(there, 9)
		}); n != 0 {
			t.Errorf("%s: %v allocations, want none", k.Kind.Name, n)
		}
	}
}
