package aoi

import (
	"math"
	"math/bits"
)

// crowd is the state of an observer that sees the nearest k only.
//
// Its key orders targets: d² for those it does not see, d²·stick for those it sees. While more than k stand in its radii, the list of its block reaches only as far as the
// k nearest need, with some room; what it sees is found by bracketing the key of the last one: two scans count who is surely nearer and who may be, and only those between
// are looked at one by one.
type crowd struct {
	k     int32
	waits bool    // for relieve
	cut   float32 // about the key of the k-th; infinite if k or fewer are in the radii
	reach float64
}

// stick is a power of two away from an integer, so that the product is rounded once.
const stick = 0.8125

// The brackets, as parts of the last cut. Narrower ones leave fewer to look at one by one, and have to be set anew more often.
const lower, upper = 0.94, 1.07

var infinite = float32(math.Inf(1))

// short tells whether the list of its block does not hold all that is in its radii.
func (c *crowd) short(leave2 float32) bool { return c.reach < math.Sqrt(float64(leave2)) }

// short asks for a longer list: for an observer, and if it is not itself, for a target that it saw and that left the list.
type short struct{ eye, lost Handle }

// candidate is where a target between the brackets is: an entry of the scratch lists, and its slot there.
type candidate struct {
	entry uint32
	bit   uint16
}

type crowdScratch struct {
	ids    []uint32    // blocks in question
	at     []int       // and their entries in the list
	near   [][2]uint16 // of newcomers: possibly and surely in
	seen   [][2]uint16 // of those visible
	want   []uint16
	choice []candidate
	keys   []uint64 // of the choice: the key's bits above, the handle below; keys are not negative, so the order of their bits is theirs
	ranked []uint64
}

// bound keeps how many an observer may see.
func (s *Space) bound(h Handle, k int) {
	if s.crowds == nil {
		if k == 0 {
			return
		}
		s.crowds = make([]crowd, len(s.entries), cap(s.entries))
	}
	s.crowds[h] = crowd{k: int32(k)}
}

// recap makes an eye with a bound begin anew: it looks at all that is in its radii.
func (s *Space) recap(h Handle) {
	if s.crowds == nil || s.crowds[h].k == 0 {
		return
	}
	slot := s.entries[h].eye
	b, lane := slot>>slotShift, slot&laneMask
	c := &s.crowds[h]
	c.cut, c.reach = infinite, math.Sqrt(float64(s.watch.eyes[b].leave2[lane]))
	s.watch.capped[b] |= 1 << lane
}

// beyond is the largest d² whose key, if it is visible, is at most v.
func beyond(v float32) float32 {
	if v < 0 || v > math.MaxFloat32 {
		return v
	}
	d := v / stick
	for d <= math.MaxFloat32 && float32(math.Nextafter32(d, infinite)*stick) <= v {
		d = math.Nextafter32(d, infinite)
	}
	for float32(d*stick) > v {
		d = math.Nextafter32(d, 0)
	}
	return d
}

// crowd brings an eye with a bound up to date.
func (sh *shard) crowd(b uint32, lane int, l *list) {
	s, w := sh.s, &sh.s.watch
	h := w.who[b<<slotShift|uint32(lane)]
	c := &s.crowds[h]
	if c.waits || w.moved[b]>>lane&1 == 0 && !sh.stirred(l) {
		return
	}
	if !sh.choose(b, lane, l, c, h) {
		c.waits = true
		sh.short = append(sh.short, short{h, h})
		return
	}
	sh.see(b, lane, l, h)
	e := &w.eyes[b]
	need := 1.18 * math.Sqrt(float64(c.cut))
	leave := math.Sqrt(float64(e.leave2[lane]))
	if want := min(need*1.07, leave); c.reach < min(need, leave) || c.reach > want*1.15 {
		c.reach = want
		sh.strays = append(sh.strays, b<<slotShift|uint32(lane))
	}
}

// stirred tells whether anything in a list has changed.
func (sh *shard) stirred(l *list) bool {
	dirty := sh.s.targets.dirty
	for _, b := range l.blocks {
		if dirty[b] != 0 {
			return true
		}
	}
	return false
}

// choose finds what an eye is to see: sh.want, beside sh.ids and sh.at. It returns false if the list is too short for it.
func (sh *shard) choose(b uint32, lane int, l *list, c *crowd, h Handle) bool {
	e := &sh.s.watch.eyes[b]
	enter2, leave2 := e.enter2[lane], e.leave2[lane]
	k := int(c.k)
	for try := 0; ; try++ {
		lo, hi := c.cut*lower, c.cut*upper
		if c.cut > math.MaxFloat32 || try > 12 {
			lo, hi = -1, infinite
		}
		near, seen := min(hi, enter2), min(beyond(hi), leave2)
		if limit := max(near, seen); float64(limit) > c.reach*c.reach && c.short(leave2) {
			return false
		}
		possible, sure := sh.count(b, lane, l, h, near, seen, min(lo, enter2), min(beyond(lo), leave2))
		all := near == enter2 && seen == leave2
		switch {
		case possible <= k && all:
			c.cut = infinite
			return true
		case possible < k:
			c.cut = grown(hi, k, possible)
		case sure > k:
			c.cut = grown(lo, k, sure)
		case lo < 0 && try <= 12: // the first time that there are too many
			c.cut = grown(enter2, k, possible)
		default:
			sh.pick(b, lane, l, k-sure, c)
			return true
		}
	}
}

// grown scales a key by a ratio of counts: in an even crowd d² goes with the count.
func grown(key float32, k, n int) float32 {
	r := float32(k) / float32(max(n, 1))
	return max(key*min(max(r, 1.0/64), 64), math.SmallestNonzeroFloat32)
}

// count finds which targets have at most a key, and which surely so: for newcomers and for those visible the d² of either bracket.
func (sh *shard) count(b uint32, lane int, l *list, h Handle, near, seen, nearSure, seenSure float32) (possible, sure int) {
	s, t, e := sh.s, &sh.s.targets, &sh.s.watch.eyes[b]
	x, z := e.x[lane], e.z[lane]
	far := float32(max(near, seen)*(1+1e-6)) + 1e-37
	sh.ids, sh.at = sh.ids[:0], sh.at[:0]
	for i, k := range l.blocks {
		if t.boxes[k].to(x, z) <= far {
			sh.ids, sh.at = append(sh.ids, k), append(sh.at, i)
		}
	}
	n := len(sh.ids)
	if n == 0 {
		return 0, 0
	}
	if cap(sh.near) < n {
		sh.near, sh.seen, sh.want = make([][2]uint16, n+n/4), make([][2]uint16, n+n/4), make([]uint16, n+n/4)
	}
	sh.near, sh.seen, sh.want = sh.near[:n], sh.seen[:n], sh.want[:n]
	s.kernel.scan(&t.pos[0], &sh.ids[0], n, x, z, near, nearSure, &sh.near[0])
	s.kernel.scan(&t.pos[0], &sh.ids[0], n, x, z, seen, seenSure, &sh.seen[0])
	self := s.entries[h].target
	for i, k := range sh.ids {
		old := l.rows[sh.at[i]][lane]
		m := sh.near[i][0]&^old | sh.seen[i][0]&old
		q := sh.near[i][1]&^old | sh.seen[i][1]&old
		if self>>slotShift == k {
			m &^= 1 << (self & laneMask)
			q &^= 1 << (self & laneMask)
		}
		sh.near[i] = [2]uint16{m, q}
		sh.want[i] = m
		possible += bits.OnesCount16(m)
		sure += bits.OnesCount16(q)
	}
	return possible, sure
}

// to is the square of the distance from a box to a point. There are no NaN here, and comparisons are cheaper than max.
func (b *box) to(x, z float32) float32 {
	dx, dz := float32(0), float32(0)
	if b.minX > x {
		dx = b.minX - x
	} else if x > b.maxX {
		dx = x - b.maxX
	}
	if b.minZ > z {
		dz = b.minZ - z
	} else if z > b.maxZ {
		dz = z - b.maxZ
	}
	return dx*dx + dz*dz
}

// pick takes, of those between the brackets, the n nearest.
func (sh *shard) pick(b uint32, lane int, l *list, n int, c *crowd) {
	t, e := &sh.s.targets, &sh.s.watch.eyes[b]
	x, z := e.x[lane], e.z[lane]
	sh.choice, sh.keys = sh.choice[:0], sh.keys[:0]
	for i, k := range sh.ids {
		sh.want[i] = sh.near[i][1]
		between := sh.near[i][0] &^ sh.near[i][1]
		if between == 0 {
			continue
		}
		old := l.rows[sh.at[i]][lane]
		for m := between; m != 0; m &= m - 1 {
			slot := uint32(bits.TrailingZeros16(m))
			px, pz := t.position(k<<slotShift | slot)
			key := dist2(px-x, pz-z)
			if old>>slot&1 != 0 {
				key *= stick
			}
			sh.choice = append(sh.choice, candidate{uint32(i), m & -m})
			sh.keys = append(sh.keys, uint64(math.Float32bits(key))<<32|uint64(t.who[k<<slotShift|slot]))
		}
	}
	if n > 0 {
		sh.ranked = append(sh.ranked[:0], sh.keys...)
		last := smallest(sh.ranked, n)
		for i, key := range sh.keys {
			if key <= last {
				sh.want[sh.choice[i].entry] |= sh.choice[i].bit
			}
		}
		c.cut = math.Float32frombits(uint32(last >> 32))
	}
	if c.cut == 0 {
		c.cut = math.SmallestNonzeroFloat32
	}
}

func dist2(dx, dz float32) float32 {
	return float32(dx*dx) + float32(dz*dz) // the conversions forbid fusing
}

// smallest returns the n-th smallest key, n from 1, and shuffles them: quickselect.
func smallest(keys []uint64, n int) uint64 {
	for len(keys) > 8 {
		p := middle(keys[0], keys[len(keys)/2], keys[len(keys)-1])
		i, j := 0, len(keys)-1
		for i <= j {
			for keys[i] < p {
				i++
			}
			for p < keys[j] {
				j--
			}
			if i <= j {
				keys[i], keys[j] = keys[j], keys[i]
				i++
				j--
			}
		}
		switch {
		case n <= j+1:
			keys = keys[:j+1]
		case n > i:
			keys, n = keys[i:], n-i
		default:
			return p
		}
	}
	for i := 1; i < len(keys); i++ {
		k, j := keys[i], i
		for ; j > 0 && keys[j-1] > k; j-- {
			keys[j] = keys[j-1]
		}
		keys[j] = k
	}
	return keys[n-1]
}

func middle(a, b, c uint64) uint64 { return max(min(a, b), min(max(a, b), c)) }

// see writes down what an eye is to see, and reports what that changes.
func (sh *shard) see(b uint32, lane int, l *list, h Handle) {
	t := &sh.s.targets
	next := 0
	for i := range l.rows {
		want := uint16(0)
		if next < len(sh.at) && sh.at[next] == i {
			want = sh.want[next]
			next++
		}
		old := l.rows[i][lane]
		if old == want {
			continue
		}
		l.rows[i][lane] = want
		sh.leaves.slots(h, t, l.blocks[i], old&^want)
		sh.enters.slots(h, t, l.blocks[i], want&^old)
	}
}

// relieve serves the eyes whose lists turned out too short: each gets one that holds all in its radii.
func (s *Space) relieve() {
	sh := &s.shards[0]
	for i := range s.shards {
		for _, r := range s.shards[i].short {
			s.lengthen(r)
		}
	}
	for i := range s.shards {
		for _, r := range s.shards[i].short {
			if c := &s.crowds[r.eye]; c.waits {
				c.waits = false
				slot := s.entries[r.eye].eye
				b, lane := slot>>slotShift, int(slot&laneMask)
				sh.choose(b, lane, &s.watch.lists[b], c, r.eye)
				sh.see(b, lane, &s.watch.lists[b], r.eye)
				s.watch.moved[b] &^= 1 << lane
			}
		}
		s.shards[i].short = s.shards[i].short[:0]
	}
	s.gather(sh)
}

// lengthen gives an eye a list that holds all in its radii, and writes down there what it lost with its old one.
func (s *Space) lengthen(r short) {
	w := &s.watch
	c, slot := &s.crowds[r.eye], s.entries[r.eye].eye
	leave := math.Sqrt(float64(w.eyes[slot>>slotShift].leave2[slot&laneMask]))
	if c.reach < leave || w.reach[slot>>slotShift] < leave {
		c.cut, c.reach = infinite, leave
		s.transfer(r.eye, slot, leave)
		slot = s.entries[r.eye].eye
	}
	c.waits = true
	if r.lost == r.eye {
		return
	}
	l := &w.lists[slot>>slotShift]
	to := s.entries[r.lost].target
	if i := l.find(to >> slotShift); i >= 0 {
		l.rows[i][slot&laneMask] |= 1 << (to & laneMask)
	} else {
		s.shards[0].leaves.add(r.eye, r.lost)
	}
}
