package aoi

import (
	"math"
	"testing"
)

// FuzzSpace reads a sequence of operations, four bytes each, on a small lattice
// where equal distances, equal positions and distances exactly at a radius are common.
func FuzzSpace(f *testing.F) {
	f.Add([]byte{0, 10, 10, 5, 0, 12, 10, 7, 7, 0, 0, 0, 1, 0, 200, 200, 7, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 255, 0, 0, 0, 3, 7, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 9, 7, 0, 0, 0, 7, 0, 0, 0, 0, 1, 1, 1})
	f.Add([]byte{0, 128, 128, 17, 0, 127, 128, 17, 7, 0, 0, 0, 2, 1, 9, 9, 4, 0, 0, 0, 7, 0, 0, 0, 6, 1, 1, 40})
	f.Add([]byte{8, 1, 1, 3, 24, 1, 2, 3, 7, 0, 0, 0, 10, 0, 2, 0, 9, 0, 1, 0, 11, 0, 3, 0, 7, 0, 0, 0, 12, 1, 1, 9, 13, 1, 1, 9, 14, 1, 1, 9})
	f.Add([]byte{0, 1, 1, 31, 0, 1, 1, 31, 0, 1, 1, 31, 16, 1, 1, 31, 7, 0, 0, 0, 5, 0, 0, 1, 23, 9, 9, 9, 3, 0, 0, 0, 15, 0, 0, 0, 7, 0, 0, 0, 7, 0, 0, 0})
	cfg := Config{MinX: -128, MinZ: -128, MaxX: 127, MaxZ: 127, MaxEntries: 64}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		if len(bytes) > 4*512 {
			return
		}
		vs := variants(1, 3)
		r, err := newRig(cfg, vs)
		if err != nil {
			t.Fatal(err)
		}
		var ops []op
		play := func(o op) {
			ops = append(ops, o)
			if err := r.play(o); err != nil {
				t.Fatalf("%v\n%s", err, source(cfg, vs[0], ops))
			}
		}
		for ids := 0; len(bytes) >= 4; bytes = bytes[4:] {
			o, ok := r.decode(bytes[0], bytes[1], bytes[2], bytes[3], ids)
			if o.kind == opAdd {
				ids++
			}
			if ok {
				play(o)
			}
		}
		play(op{kind: opTick})
		play(op{kind: opSets})
	})
}

// decode makes an operation of four bytes: what, where, and with what.
func (r *rig) decode(what, a, b, c byte, ids int) (op, bool) {
	o := op{x: float32(int8(a)), z: float32(int8(b)), id: ids}
	switch what % 16 {
	case 0:
		o.kind, o.a, o.hidden = opAdd, float32(c>>2), c&3 == 3
		return o, true
	case 8:
		o.kind, o.a, o.n = opAdd, float32(c%32), int(what>>4)
		o.bits, o.mask = uint32(c>>5), uint32(what>>6)
		return o, true
	case 7:
		o.kind = opTick
		return o, true
	case 15:
		o.kind = opSets
		return o, true
	case 6, 12, 13, 14:
		return decodeQuery(o, what, c), true
	}
	if len(r.live) == 0 {
		return o, false
	}
	o.id = r.live[int(c)%len(r.live)]
	e := r.twin.entries[r.ids[o.id]]
	switch what % 16 {
	case 1:
		o.kind = opMove
	case 2:
		o.kind, o.a = opRadius, float32(a)
		o.b = max(o.a, min(o.a*4, float32(b)))
	case 3:
		o.kind = opRemove
	case 4:
		o.kind, o.hidden = opHidden, a&1 == 0
	case 5: // a small step
		o.kind = opMove
		o.x, o.z = min(max(e.x+float32(a%3)-1, -128), 127), min(max(e.z+float32(b%3)-1, -128), 127)
	case 9:
		o.kind, o.bits = opLayers, uint32(b)
	case 10:
		o.kind, o.mask = opMask, uint32(b)
	case 11:
		if o.kind, o.n = opNearest, int(b); b == 255 {
			o.kind = opRefused
		}
	}
	return o, true
}

func decodeQuery(o op, what, c byte) op {
	o.a, o.bits, o.zero = float32(c), uint32(what>>4), what < 16
	switch what % 16 {
	case 6:
		o.kind = opWithin
	case 12:
		o.kind, o.b = opBox, o.z+float32(c>>2)
	case 13:
		angle := float64(c) / 9
		o.kind, o.dirX, o.dirZ, o.b = opSector, float32(math.Cos(angle)), float32(math.Sin(angle)), float32(c%7)/2
	case 14:
		o.kind, o.n = opNearestTo, int(c%16)
	}
	return o
}
