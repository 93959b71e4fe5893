//go:build !race

package delta_test

import (
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

func TestPresenceAllocatesNothing(t *testing.T) {
	k := pilgrim(t)
	p := delta.Params{PositionBits: 17}
	var s, pub, there, none delta.Record
	for _, r := range []*delta.Record{&s, &pub, &there, &none} {
		k.Init(r)
	}
	var w delta.Writer
	var r delta.Reader // not in the function: the interface calls let it escape
	if n := testing.AllocsPerRun(200, func() {
		for _, on := range [...]bool{true, false} {
			dirty := k.SetPresent(&s, flag, on) | k.SetPresent(&s, purse, on)
			w.Reset()
			bits := k.Surprise(&pub, &s, delta.AOI, dirty, 3)
			k.DeltaOf(&w, &pub, &s, delta.AOI, bits)
			k.Publish(&pub, &s, delta.AOI, bits)
			r = delta.NewReader(w.Bytes())
			k.ReadDelta(&r, &there, delta.AOI, 3)
			w.Reset()
			k.Full(&w, p, &pub, delta.AOI)
			r = delta.NewReader(w.Bytes())
			k.ReadFull(&r, p, &there, delta.AOI, 3)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestWholeRecordsAllocateNothingButRoom(t *testing.T) {
	k := pilgrim(t)
	list := told(t, 20)
	var b []byte
	var r delta.Record
	for i := range list { // their room
		b = k.AppendRecord(b[:0], &list[i])
		if _, err := k.ReadRecord(b, &r); err != nil {
			t.Fatal(err)
		}
	}
	i := 0
	if n := testing.AllocsPerRun(200, func() {
		b = k.AppendRecord(b[:0], &list[i%len(list)])
		if _, err := k.ReadRecord(b, &r); err != nil {
			t.Fatal(err)
		}
		i++
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
