package aoi

import "testing"

// FuzzSpace reads a sequence of operations, four bytes each, on a small lattice
// where equal distances and equal positions are common.
func FuzzSpace(f *testing.F) {
	f.Add([]byte{0, 10, 10, 5, 0, 12, 10, 7, 7, 0, 0, 0, 1, 0, 200, 200, 7, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 255, 0, 0, 0, 3, 7, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 9, 7, 0, 0, 0, 7, 0, 0, 0, 0, 1, 1, 1})
	f.Add([]byte{0, 128, 128, 17, 0, 127, 128, 17, 7, 0, 0, 0, 2, 1, 9, 9, 4, 0, 0, 0, 7, 0, 0, 0, 6, 1, 1, 40})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 4*512 {
			return
		}
		r := newRig(t, Config{MinX: -128, MinZ: -128, MaxX: 127, MaxZ: 127, MaxEntries: 64}, 2)
		for ; len(ops) >= 4; ops = ops[4:] {
			a, b, c := ops[1], ops[2], ops[3]
			x, z := float32(int8(a)), float32(int8(b))
			if ops[0]%8 == 0 {
				if len(r.live)+len(r.resting) < 64 {
					r.add(x, z, Opts{Radius: float32(c >> 2), Hidden: c&3 == 3})
				}
				continue
			}
			if ops[0]%8 == 7 {
				r.tick()
				r.check([][3]float32{{x, z, float32(c)}})
				continue
			}
			if len(r.live) == 0 {
				continue
			}
			h := r.live[int(c)%len(r.live)]
			switch ops[0] % 8 {
			case 1:
				r.move(h, x, z)
			case 2:
				r.radius(h, float32(a), max(float32(a), min(float32(a)*4, float32(b))))
			case 3:
				r.remove(h)
			case 4:
				r.hide(h, a&1 == 0)
			case 5: // a small step
				e := r.twin.entries[h]
				r.move(h, min(max(e.x+float32(a%3)-1, -128), 127), min(max(e.z+float32(b%3)-1, -128), 127))
			case 6:
				r.check([][3]float32{{x, z, float32(c)}})
			}
		}
		r.tick()
		r.check(nil)
	})
}
