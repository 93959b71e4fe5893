// Package delta is the component codec: one entity's replicated state, its closed-form reckoning, and its bits on the wire.
//
// Zone, gateway and client hold the same base (a Publication) of an entity and evaluate the same integer formula, Publication.At, so
// silence means "as predicted". An update is coded against a base that both ends know; it never depends on who looks, so one
// encoded Fragment serves every client with the same base. The layout is fixed in this version and drawn above the encoders.
//
// Everything here is a pure value or function: any goroutine may use it, nothing has to be stopped.
package delta

// State is the replicated state of an entity, quantised. It is what observers see; nothing else of the entity travels.
type State struct {
	X, Z   int32  // position in quanta from the zone's corner: 1/320 m
	VX, VZ int16  // velocity in quanta per tick: 1/16 m/s at 20 Hz
	Yaw    uint16 // heading, 1024 to the full turn, 0 = +x, 256 = +z
	Health uint16 // points
}

// Publication is a base: the state that was sent, and the tick of its motion (position, velocity, yaw).
// Health has no motion, so a change of it leaves Tick alone.
type Publication struct {
	Tick uint32
	State
}

// At predicts the state at a tick. The position quantum is the velocity quantum divided by the tick rate, so the formula is exact:
// it does not matter who evaluates it, when, or in how many steps. Ticks and positions wrap.
func (p *Publication) At(tick uint32) State {
	s := p.State
	d := int32(tick - p.Tick)
	s.X += int32(s.VX) * d
	s.Z += int32(s.VZ) * d
	return s
}

// Next returns the publication that the true state s at a tick calls for, and whether there is one: nothing is
// published while the prediction holds.
func (p *Publication) Next(s State, tick uint32) (Publication, bool) {
	q := p.At(tick)
	if q == s {
		return *p, false
	}
	health := s.Health
	q.Health = health
	if q == s { // only the health differs: the motion keeps its base
		n := *p
		n.Health = health
		return n, true
	}
	return Publication{tick, s}, true
}

// Layout is what a codec must know of a zone.
type Layout struct {
	PositionBits uint8 // bits of a full position per axis, 1-31
}

// BitsFor returns the PositionBits for a zone whose positions are 0 … size-1 quanta.
func BitsFor(size int32) uint8 {
	n := uint8(1)
	for size-1 >= 1<<n && n < 31 {
		n++
	}
	return n
}

// MaxFragmentBits bounds every fragment: 141 bits for the worst delta, 124 for the worst full state.
const MaxFragmentBits = 192

// Fragment is the encoded body of one update or full state, without index and age.
type Fragment struct {
	w [3]uint64
	n uint8
}

// Len is the number of bits; 0 means there is no fragment.
func (f *Fragment) Len() int { return int(f.n) }

// Word returns bits 64·i … 64·i+63.
func (f *Fragment) Word(i int) uint64 { return f.w[i] }

// FragmentOf restores a fragment of n bits from its bytes, low bit first.
func FragmentOf(b []byte, n int) (f Fragment, ok bool) {
	if n < 0 || n > MaxFragmentBits || len(b) != (n+7)/8 {
		return f, false
	}
	for i, c := range b {
		f.w[i>>3] |= uint64(c) << (i & 7 * 8)
	}
	f.n = uint8(n)
	if n&63 != 0 && f.w[n>>6]>>(n&63) != 0 {
		return Fragment{}, false
	}
	return f, true
}

// AppendBytes appends the fragment's bits as whole bytes, zero-padded.
func (f *Fragment) AppendBytes(dst []byte) []byte {
	for i := 0; i < int(f.n); i += 8 {
		dst = append(dst, byte(f.w[i>>6]>>(i&63)))
	}
	return dst
}

// WriteTo appends the fragment to a bit stream.
func (f *Fragment) WriteTo(w *Writer) {
	for i, left := 0, uint(f.n); left > 0; i++ {
		k := min(left, 64)
		if k <= 56 {
			w.Put(f.w[i], k)
		} else {
			w.Put(f.w[i]&(1<<32-1), 32)
			w.Put(f.w[i]>>32, k-32)
		}
		left -= k
	}
}

func (f *Fragment) put(v uint64, k uint8) {
	i, o := f.n>>6, f.n&63
	f.w[i] |= v << o
	if o+k > 64 {
		f.w[i+1] |= v >> (64 - o)
	}
	f.n += k
}
