package delta

// This file is the wire form of State. It is written by hand and will be what a generator writes per component.
//
//	full  = x P · z P · vel(vx, 0) · vel(vz, 0) · yaw 10 · health 16                     P = Layout.PositionBits
//	delta = moved 1 [ velocity · yaw · position ] · health
//	  velocity = `0` as before | `1` vel(vx, old) · vel(vz, old)
//	  yaw      = `0` as before | `10` + 6 bits: old + (n − 32) | `11` + 10 bits
//	  position = `0` as predicted | `1` [hypothesis 1, only if the velocity changed] · residual x · residual z
//	  health   = `0` as before | `1` + 16
//	vel(v, old) = `0` + 5: old + n − 16 | `10` + 8: n − 128 | `11` + 16
//	residual    = `0`: 0 | `10` + 3: n + 1 | `110` + 6 | `1110` + 11 | `1111` + 32, zigzag
//	age         = `0`: 0 | `10` + 5 | `110` + 10 | `111` + 32
//
// Velocity stands before position because a residual may be taken against "the old course until the tick before, then one tick of the new
// velocity": that is what games that turn before they move need (44 instead of 77 bits).

const yawMask = 1023

func zigzag(v int32) uint64   { return uint64(uint32(v<<1) ^ uint32(v>>31)) }
func unzigzag(u uint64) int32 { return int32(uint32(u)>>1) ^ -int32(u&1) }

// EncodeFull codes a whole state. x and z must lie within 0 … 2^PositionBits − 1, yaw below 1024.
func EncodeFull(l Layout, p *Publication) (f Fragment) {
	mask := uint64(1)<<l.PositionBits - 1
	f.put(uint64(uint32(p.X))&mask, l.PositionBits)
	f.put(uint64(uint32(p.Z))&mask, l.PositionBits)
	f.velocity(p.VX, 0)
	f.velocity(p.VZ, 0)
	f.put(uint64(p.Yaw&yawMask), 10)
	f.put(uint64(p.Health), 16)
	return f
}

// DecodeFull reads what EncodeFull wrote; tick is the base tick of the motion.
func DecodeFull(r *Reader, l Layout, tick uint32) (p Publication) {
	p.Tick = tick
	p.X = int32(r.Get(uint(l.PositionBits)))
	p.Z = int32(r.Get(uint(l.PositionBits)))
	p.VX, p.VZ = r.velocity(0), r.velocity(0)
	p.Yaw = uint16(r.Get(10))
	p.Health = uint16(r.Get(16))
	return p
}

// EncodeDelta codes publication b for a receiver whose base is a.
func EncodeDelta(a, b *Publication) (f Fragment) {
	if a.Tick == b.Tick {
		f.put(0, 1)
	} else {
		f.put(1, 1)
		turned := b.VX != a.VX || b.VZ != a.VZ
		if turned {
			f.put(1, 1)
			f.velocity(b.VX, a.VX)
			f.velocity(b.VZ, a.VZ)
		} else {
			f.put(0, 1)
		}
		f.yaw(b.Yaw, a.Yaw)
		f.position(a, b, turned)
	}
	if a.Health == b.Health {
		f.put(0, 1)
	} else {
		f.put(1|uint64(b.Health)<<1, 17)
	}
	return f
}

// DecodeDelta reads what EncodeDelta wrote for a receiver whose base is a; tick is the new base tick if the motion moved.
func DecodeDelta(r *Reader, a *Publication, tick uint32) Publication {
	b := *a
	if r.Bit() {
		b.Tick = tick
		turned := r.Bit()
		if turned {
			b.VX = r.velocity(a.VX)
			b.VZ = r.velocity(a.VZ)
		}
		if r.Bit() {
			if r.Bit() {
				b.Yaw = uint16(r.Get(10))
			} else {
				b.Yaw = (a.Yaw + uint16(r.Get(6)) - 32) & yawMask
			}
		}
		r.position(a, &b, turned)
	}
	if r.Bit() {
		b.Health = uint16(r.Get(16))
	}
	return b
}

func (f *Fragment) velocity(v, old int16) {
	switch d := int32(v) - int32(old); {
	case d >= -16 && d < 16:
		f.put(uint64(d+16)<<1, 6)
	case v >= -128 && v < 128:
		f.put(1|uint64(v+128)<<2, 10)
	default:
		f.put(3|uint64(uint16(v))<<2, 18)
	}
}

func (r *Reader) velocity(old int16) int16 {
	if !r.Bit() {
		return old + int16(r.Get(5)) - 16
	}
	if !r.Bit() {
		return int16(r.Get(8)) - 128
	}
	return int16(r.Get(16))
}

func (f *Fragment) yaw(v, old uint16) {
	if v == old {
		f.put(0, 1)
		return
	}
	d := int32(v-old) & yawMask
	if d >= 512 {
		d -= 1024
	}
	if d >= -32 && d < 32 {
		f.put(1|uint64(d+32)<<2, 8)
	} else {
		f.put(3|uint64(v&yawMask)<<2, 12)
	}
}

func (f *Fragment) position(a, b *Publication, turned bool) {
	q := a.At(b.Tick)
	dx, dz := b.X-q.X, b.Z-q.Z
	if dx|dz == 0 {
		f.put(0, 1)
		return
	}
	f.put(1, 1)
	if turned {
		h := turnFirst(a, b)
		if hx, hz := b.X-h.X, b.Z-h.Z; zigzag(hx)+zigzag(hz) < zigzag(dx)+zigzag(dz) {
			f.put(1, 1)
			dx, dz = hx, hz
		} else {
			f.put(0, 1)
		}
	}
	f.residual(dx)
	f.residual(dz)
}

func (r *Reader) position(a, b *Publication, turned bool) {
	q := a.At(b.Tick)
	if r.Bit() {
		if turned && r.Bit() {
			q = turnFirst(a, b)
		}
		q.X += r.residual()
		q.Z += r.residual()
	}
	b.X, b.Z = q.X, q.Z
}

// turnFirst is the hypothesis that the entity kept a's course until the tick before b's and then made one tick at b's velocity.
func turnFirst(a, b *Publication) State {
	h := a.At(b.Tick - 1)
	h.X += int32(b.VX)
	h.Z += int32(b.VZ)
	return h
}

func (f *Fragment) residual(v int32) {
	switch u := zigzag(v); {
	case u == 0:
		f.put(0, 1)
	case u <= 8:
		f.put(1|(u-1)<<2, 5)
	case u < 1<<6:
		f.put(3|u<<3, 9)
	case u < 1<<11:
		f.put(7|u<<4, 15)
	default:
		f.put(15|u<<4, 36)
	}
}

func (r *Reader) residual() int32 {
	switch {
	case !r.Bit():
		return 0
	case !r.Bit():
		return unzigzag(r.Get(3) + 1)
	case !r.Bit():
		return unzigzag(r.Get(6))
	case !r.Bit():
		return unzigzag(r.Get(11))
	}
	return unzigzag(r.Get(32))
}

// WriteAge appends an age in ticks.
func WriteAge(w *Writer, age uint32) {
	switch {
	case age == 0:
		w.Put(0, 1)
	case age < 1<<5:
		w.Put(1|uint64(age)<<2, 7)
	case age < 1<<10:
		w.Put(3|uint64(age)<<3, 13)
	default:
		w.Put(7|uint64(age)<<3, 35)
	}
}

// ReadAge reads what WriteAge wrote.
func ReadAge(r *Reader) uint32 {
	switch {
	case !r.Bit():
		return 0
	case !r.Bit():
		return uint32(r.Get(5))
	case !r.Bit():
		return uint32(r.Get(10))
	}
	return uint32(r.Get(32))
}
