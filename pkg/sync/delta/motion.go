package delta

// motion is the interpretive MotionGroup.
type motion struct {
	pos, vel []int // words, axis by axis: x, [y], z
	bits     []uint8
	min      []int32
	span     []uint64
	rest     []*Field // in the order of their places
	heading  *Field   // of a polar motion, not in rest
	polar    *Polar
	words    []int // fixed-size words of the group
	vars     []int
}

func newMotion(c *Component) *motion {
	m := &motion{}
	used := map[uint32]bool{}
	axis := func(p, v uint32) {
		if p == 0 {
			return
		}
		f := c.Field(p)
		bits, low := f.Bits, int32(f.Min)
		if !f.ranged() && p == c.Motion.Y {
			bits = anyHeight
		}
		m.pos, m.vel = append(m.pos, f.Word), append(m.vel, c.Field(v).Word)
		m.bits, m.min, m.span = append(m.bits, bits), append(m.min, low), append(m.span, uint64(f.Limit-f.Min))
		used[p], used[v] = true, true
	}
	axis(c.Motion.X, c.Motion.VX)
	axis(c.Motion.Y, c.Motion.VY)
	axis(c.Motion.Z, c.Motion.VZ)
	if c.Motion.Polar {
		m.heading = c.Field(c.Motion.Heading)
		m.polar = NewPolar(m.heading.Bits)
		used[m.heading.ID] = true
	}
	for i := range c.Fields {
		if f := &c.Fields[i]; f.Audience == AOI {
			w, v := f.size()
			for j := range w {
				m.words = append(m.words, f.Word+j)
			}
			for j := range v {
				m.vars = append(m.vars, f.Var+j)
			}
			if !used[f.ID] {
				m.rest = append(m.rest, f)
			}
		}
	}
	return m
}

// anyHeight stands for a height without a range: it may be negative and is coded as any number.
const anyHeight = 255

// origin is where the i-th axis, which is one of the ground plane, counts from.
func (m *motion) origin(p Params, i int) uint32 {
	if i == 0 {
		return uint32(p.OriginX)
	}
	return uint32(p.OriginZ)
}

func (m *motion) Full(w *Writer, p Params, b View) {
	for i, at := range m.pos {
		switch m.bits[i] {
		case 0:
			w.Put(uint64(b.W[at]-m.origin(p, i))&(1<<p.PositionBits-1), uint(p.PositionBits))
		case anyHeight:
			w.Num32(b.W[at], 0)
		default:
			w.Put(uint64(int64(int32(b.W[at]))-int64(m.min[i])), uint(m.bits[i]))
		}
	}
	if m.polar != nil {
		m.polarFull(w, b)
	} else {
		for _, at := range m.vel {
			w.Velocity(int32(b.W[at]), 0)
		}
	}
	for _, f := range m.rest {
		f.full(w, b)
	}
}

func (m *motion) ReadFull(r *Reader, p Params, b View) {
	for i, at := range m.pos {
		switch m.bits[i] {
		case 0:
			b.W[at] = uint32(r.Get(uint(p.PositionBits))) + m.origin(p, i)
		case anyHeight:
			b.W[at] = r.Num32(0)
		default:
			b.W[at] = uint32(int64(m.min[i]) + int64(r.RangedFull(uint(m.bits[i]), m.span[i])))
		}
	}
	if m.polar != nil {
		m.readPolarFull(r, b)
	} else {
		for _, at := range m.vel {
			b.W[at] = uint32(r.Velocity(0))
		}
	}
	for _, f := range m.rest {
		f.readFull(r, b)
	}
}

func (m *motion) turned(a, b View) bool {
	for _, at := range m.vel {
		if a.W[at] != b.W[at] {
			return true
		}
	}
	return false
}

func (m *motion) Delta(w *Writer, a, b View, dt int32) {
	turned := m.turned(a, b)
	switch {
	case m.polar != nil:
		m.polarDelta(w, a, b)
	case turned:
		w.Put(1, 1)
		for _, at := range m.vel {
			w.Velocity(int32(b.W[at]), int32(a.W[at]))
		}
	default:
		w.Put(0, 1)
	}
	for _, f := range m.rest {
		if f.equal(a, b) {
			w.Put(0, 1)
		} else {
			w.Put(1, 1)
			f.delta(w, a, b)
		}
	}
	// off is the residual against the old course, first that against the hypothesis that the entity turned before its last move.
	var off, first [3]int32
	var any int32
	var near, nearFirst uint64
	for i, at := range m.pos {
		old, v := int32(a.W[m.vel[i]]), int32(b.W[m.vel[i]])
		off[i] = int32(b.W[at]) - (int32(a.W[at]) + old*dt)
		first[i] = off[i] + old - v
		any |= off[i]
		near += zigzag(off[i])
		nearFirst += zigzag(first[i])
	}
	if any == 0 {
		w.Put(0, 1)
		return
	}
	w.Put(1, 1)
	if turned {
		if nearFirst < near {
			w.Put(1, 1)
			off = first
		} else {
			w.Put(0, 1)
		}
	}
	for i := range m.pos {
		w.Residual(off[i])
	}
}

func (m *motion) ReadDelta(r *Reader, b View, dt int32) {
	var old [3]int32
	for i, at := range m.vel {
		old[i] = int32(b.W[at])
	}
	if m.polar != nil {
		m.readPolarDelta(r, b)
	} else if r.Bit() {
		for i, at := range m.vel {
			b.W[at] = uint32(r.Velocity(old[i]))
		}
	}
	for _, f := range m.rest {
		if r.Bit() {
			f.readDelta(r, b)
		}
	}
	turned := false
	for i, at := range m.vel {
		turned = turned || int32(b.W[at]) != old[i]
	}
	off := r.Bit()
	first := off && turned && r.Bit()
	for i, at := range m.pos {
		p := int32(b.W[at]) + old[i]*dt
		if first {
			p += int32(b.W[m.vel[i]]) - old[i]
		}
		if off {
			p += r.Residual()
		}
		b.W[at] = uint32(p)
		if n := m.bits[i]; n != 0 && n != anyHeight && uint64(int64(p)-int64(m.min[i])) > m.span[i] {
			r.Fail()
		}
	}
}

func (m *motion) Holds(a, b View, dt int32) bool {
	for i, at := range m.pos {
		if v := a.W[m.vel[i]]; v != b.W[m.vel[i]] || a.W[at]+v*uint32(dt) != b.W[at] {
			return false
		}
	}
	if m.heading != nil && a.W[m.heading.Word] != b.W[m.heading.Word] {
		return false
	}
	for _, f := range m.rest {
		if !f.equal(a, b) {
			return false
		}
	}
	return true
}

func (m *motion) Reckon(b View, dt int32) {
	for i, at := range m.pos {
		b.W[at] += b.W[m.vel[i]] * uint32(dt)
	}
}

func (m *motion) Moving(b View) bool {
	for _, at := range m.vel {
		if b.W[at] != 0 {
			return true
		}
	}
	return false
}

func (m *motion) Copy(dst, src View) {
	for _, i := range m.words {
		dst.W[i] = src.W[i]
	}
	for _, i := range m.vars {
		CopyVar(&dst.V[i], &src.V[i])
	}
}

func (m *motion) polarFull(w *Writer, b View) {
	h, n := b.W[m.heading.Word], len(m.vel)-1
	w.Put(uint64(h), uint(m.heading.Bits))
	m.polar.PutFull(w, h, int32(b.W[m.vel[0]]), int32(b.W[m.vel[n]]))
	if n == 2 {
		w.Velocity(int32(b.W[m.vel[1]]), 0)
	}
}

func (m *motion) readPolarFull(r *Reader, b View) {
	h, n := uint32(r.Get(uint(m.heading.Bits))), len(m.vel)-1
	b.W[m.heading.Word] = h
	vx, vz := m.polar.ReadFull(r, h)
	b.W[m.vel[0]], b.W[m.vel[n]] = uint32(vx), uint32(vz)
	if n == 2 {
		b.W[m.vel[1]] = uint32(r.Velocity(0))
	}
}

func (m *motion) polarDelta(w *Writer, a, b View) {
	h, old, n := b.W[m.heading.Word], a.W[m.heading.Word], len(m.vel)-1
	if h == old {
		w.Put(0, 1)
	} else {
		w.Put(1, 1)
		w.Angle(h, old, uint(m.heading.Bits))
	}
	x, z := m.vel[0], m.vel[n]
	m.polar.PutDelta(w, h, old, int32(b.W[x]), int32(b.W[z]), int32(a.W[x]), int32(a.W[z]))
	if n == 2 {
		if y := m.vel[1]; a.W[y] == b.W[y] {
			w.Put(0, 1)
		} else {
			w.Put(1, 1)
			w.Velocity(int32(b.W[y]), int32(a.W[y]))
		}
	}
}

func (m *motion) readPolarDelta(r *Reader, b View) {
	old, n := b.W[m.heading.Word], len(m.vel)-1
	h := old
	if r.Bit() {
		h = r.Angle(old, uint(m.heading.Bits))
	}
	x, z := m.vel[0], m.vel[n]
	vx, vz := m.polar.ReadDelta(r, h, old, int32(b.W[x]), int32(b.W[z]))
	b.W[m.heading.Word], b.W[x], b.W[z] = h, uint32(vx), uint32(vz)
	if n == 2 && r.Bit() {
		b.W[m.vel[1]] = uint32(r.Velocity(int32(b.W[m.vel[1]])))
	}
}
