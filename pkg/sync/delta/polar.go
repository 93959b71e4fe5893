package delta

import "math"

// Polar turns a heading and a speed into a velocity, in integers: the same on every machine.
type Polar struct {
	cos  []int32 // of each heading, in 1/2^14
	mask uint32
}

const (
	polarShift = 14
	speedBits  = 11 // of a speed; faster velocities travel by axes
)

// NewPolar makes the table for headings of 5 to 12 bits to the turn.
func NewPolar(bits uint8) *Polar {
	p := &Polar{make([]int32, 1<<bits), 1<<bits - 1}
	for i := range p.cos {
		p.cos[i] = int32(math.Round(math.Cos(float64(i)*2*math.Pi/float64(len(p.cos))) * (1 << polarShift)))
	}
	return p
}

// Velocity is speed in the direction of heading: 0 is +x, a quarter +z.
func (p *Polar) Velocity(heading uint32, speed int32) (vx, vz int32) {
	c := p.cos[heading&p.mask]
	s := p.cos[(heading-(p.mask+1)>>2)&p.mask]
	return (c*speed + 1<<(polarShift-1)) >> polarShift, (s*speed + 1<<(polarShift-1)) >> polarShift
}

// Speed finds the speed that gives a velocity at a heading; ok is false if there is none of 11 bits.
func (p *Polar) Speed(heading uint32, vx, vz int32) (speed int32, ok bool) {
	if vx|vz == 0 {
		return 0, true
	}
	const far = 1 << speedBits
	if vx <= -far || vx >= far || vz <= -far || vz >= far {
		return 0, false
	}
	c := p.cos[heading&p.mask]
	s := p.cos[(heading-(p.mask+1)>>2)&p.mask]
	near := (c*vx + s*vz + 1<<(polarShift-1)) >> polarShift
	for _, speed := range [3]int32{near, near - 1, near + 1} {
		if x, z := p.Velocity(heading, speed); speed >= 0 && speed < far && x == vx && z == vz {
			return speed, true
		}
	}
	return 0, false
}

// PutFull appends a speed, or a velocity that has none.
func (p *Polar) PutFull(w *Writer, heading uint32, vx, vz int32) {
	if speed, ok := p.Speed(heading, vx, vz); ok {
		w.Put(uint64(speed)<<1, 1+speedBits)
		return
	}
	w.Put(1, 1)
	w.Velocity(vx, 0)
	w.Velocity(vz, 0)
}

// ReadFull reads what PutFull wrote.
func (p *Polar) ReadFull(r *Reader, heading uint32) (vx, vz int32) {
	if r.Bit() {
		vx = r.Velocity(0)
		return vx, r.Velocity(0)
	}
	return p.Velocity(heading, int32(r.Get(speedBits)))
}

// PutDelta appends the change of a velocity; headings and velocities before and after.
func (p *Polar) PutDelta(w *Writer, heading, oldHeading uint32, vx, vz, oldX, oldZ int32) {
	speed, ok := p.Speed(heading, vx, vz)
	if !ok {
		w.Put(1, 1)
		w.Velocity(vx, oldX)
		w.Velocity(vz, oldZ)
		return
	}
	if old, ok := p.Speed(oldHeading, oldX, oldZ); ok && old == speed {
		w.Put(0, 2)
		return
	}
	w.Put(2|uint64(speed)<<2, 2+speedBits)
}

// ReadDelta reads what PutDelta wrote.
func (p *Polar) ReadDelta(r *Reader, heading, oldHeading uint32, oldX, oldZ int32) (vx, vz int32) {
	if r.Bit() {
		vx = r.Velocity(oldX)
		return vx, r.Velocity(oldZ)
	}
	if r.Bit() {
		return p.Velocity(heading, int32(r.Get(speedBits)))
	}
	old, ok := p.Speed(oldHeading, oldX, oldZ)
	if !ok {
		r.Fail()
	}
	return p.Velocity(heading, old)
}
