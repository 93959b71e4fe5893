package delta_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// told makes some pilgrims that differ in what they have.
func told(t testing.TB, n int) []delta.Record {
	y := &story{Rand: rand.New(rand.NewPCG(9, uint64(n))), k: pilgrim(t)}
	y.k.Init(&y.s)
	list := make([]delta.Record, n)
	for i := range list {
		for range 6 {
			y.comeAndGo()
			y.edit()
		}
		y.s.Tick = y.Uint32()
		y.s.W[3] = y.Uint32() // x: anything
		list[i].Copy(&y.s)
	}
	return list
}

func TestRecordsComeBackWholeOneBehindTheOther(t *testing.T) {
	k := pilgrim(t)
	list := told(t, 200)
	var b []byte
	for i := range list {
		b = k.AppendRecord(b, &list[i])
	}
	b = append(b, "behind"...)
	rest := b
	var r delta.Record // whatever it held goes
	for i := range list {
		var err error
		if rest, err = k.ReadRecord(rest, &r); err != nil {
			t.Fatal(err)
		}
		if r.Tick != list[i].Tick || !delta.EqualRecord(&r, &list[i]) {
			t.Fatalf("record %d came back as another", i)
		}
	}
	if string(rest) != "behind" {
		t.Errorf("%q is left", rest)
	}
}

func TestRecordsKeepWhatOnlyTheServerHas(t *testing.T) {
	k := pilgrim(t)
	var s, r delta.Record
	k.Init(&s)
	k.SetPresent(&s, mind, true)
	k.SetPresent(&s, buffs, true)
	for id, word := range map[uint16]int{15: 0, 11: 2} {
		v, _ := k.View(&s, id)
		v.W[word] = 4_000_000_000
	}
	v, _ := k.View(&s, 12)
	v.W[0], v.W[1] = 1<<31, 1<<32-7 // the farthest place, and a negative one
	if _, err := k.ReadRecord(k.AppendRecord(nil, &s), &r); err != nil || !delta.EqualRecord(&r, &s) {
		t.Errorf("came back as %+v (%v), want %+v", r, err, s)
	}
}

func TestRecordsThatCannotBeAreRefused(t *testing.T) {
	k := deltatest.Codec().Kind(deltatest.Bearer)
	s := deltatest.State{X: 1 << 20, Z: -5, VX: 300, HP: 65535, Title: "sword", Items: []uint32{1, 1 << 30}}.Record(k)
	whole := k.AppendRecord(nil, s)
	var r delta.Record
	for n := range whole {
		if _, err := k.ReadRecord(whole[:n:n], &r); !errors.Is(err, delta.ErrTruncated) {
			t.Fatalf("%d of %d bytes are read: %v", n, len(whole), err)
		}
	}
	last := bytes.Clone(whole)
	last[len(last)-1] |= 0x80
	if _, err := k.ReadRecord(last, &r); err == nil {
		t.Error("bits behind the end are read")
	}
	for what, change := range map[string]func(r *delta.Record){
		"a text beyond its limit":       func(r *delta.Record) { r.V[0].B = bytes.Repeat([]byte("a"), 201) },
		"a text that is not UTF-8":      func(r *delta.Record) { r.V[0].B = []byte{0xff} },
		"more elements than are wanted": func(r *delta.Record) { r.V[1].E = make([]delta.Record, 65); fill(r.V[1].E) },
	} {
		var bad delta.Record
		bad.Copy(s)
		change(&bad)
		if _, err := k.ReadRecord(k.AppendRecord(nil, &bad), &r); err == nil {
			t.Errorf("%s: read", what)
		}
	}
}

func fill(e []delta.Record) {
	for i := range e {
		e[i].W = []uint32{7}
	}
}

func FuzzReadRecord(f *testing.F) {
	k := pilgrim(f)
	for _, r := range told(f, 5) {
		f.Add(k.AppendRecord(nil, &r))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var x, y delta.Record
		rest, err := k.ReadRecord(in, &x)
		if err != nil {
			return
		}
		if len(rest) >= len(in) || !bytes.HasSuffix(in, rest) {
			t.Fatalf("%d of %d bytes are left", len(rest), len(in))
		}
		if v, ok := k.View(&x, 11); ok && (len(v.V[0].B) > 20 || len(v.V[1].E) > 8 || int32(v.W[0]) < 1 || v.W[0] > 60) {
			t.Fatal("read what the layout does not allow")
		}
		again, err := k.ReadRecord(append(k.AppendRecord(nil, &x), 1, 2), &y)
		if err != nil || len(again) != 2 || x.Tick != y.Tick || !delta.EqualRecord(&x, &y) {
			t.Fatalf("what was read is written and read as another: %v", err)
		}
	})
}

// FuzzReadPresence is a full state and some updates of components that come and go, in hostile bits.
func FuzzReadPresence(f *testing.F) {
	k, p := pilgrim(f), delta.Params{PositionBits: 17, OriginX: -500, OriginZ: 1 << 20}
	list := told(f, 4)
	for a := range delta.Audiences {
		var w delta.Writer
		k.Full(&w, p, &list[0], a)
		for i := range list[1:] {
			k.Delta(&w, &list[i], &list[i+1], a)
		}
		f.Add(uint8(a), bytes.Clone(w.Bytes()))
	}
	f.Fuzz(func(t *testing.T, audience uint8, in []byte) {
		a := delta.Audience(audience) % delta.Audiences
		var x, y delta.Record
		k.Init(&x)
		r := delta.NewReader(in)
		k.ReadFull(&r, p, &x, a, 1)
		for range 5 {
			if r.Failed() {
				return
			}
			for i := range k.Kind.Components { // what is absent holds defaults
				if k.Optional(i) && !k.Present(&x, i) && k.SetPresent(&x, i, true) != 0 {
					y.Copy(&x)
					k.SetPresent(&x, i, false)
					k.SetPresent(&x, i, true)
					if !delta.EqualRecord(&x, &y) {
						t.Fatalf("component %d is absent, and holds something", i)
					}
					k.SetPresent(&x, i, false)
				}
			}
			var w delta.Writer
			k.Full(&w, p, &x, a)
			k.Init(&y)
			again := delta.NewReader(w.Bytes())
			if k.ReadFull(&again, p, &y, a, x.Tick); again.Failed() || without(k, &x, a) != without(k, &y, a) {
				t.Fatal("what was read is written and read as another")
			}
			k.ReadDelta(&r, &x, a, x.Tick+3)
		}
	})
}

func ExampleKindCodec_AppendRecord() {
	k := deltatest.Codec().Kind(1)
	here := deltatest.State{X: 3200, VX: 80, HP: 100}.Record(k)
	b := k.AppendRecord(nil, here) // to be handed over

	var there delta.Record
	if _, err := k.ReadRecord(b, &there); err != nil {
		panic(err)
	}
	fmt.Println(len(b), "bytes,", delta.EqualRecord(here, &there))
	// Output: 13 bytes, true
}
