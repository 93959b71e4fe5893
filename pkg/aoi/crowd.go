package aoi

import (
	"math"
	"math/bits"
)

// crowd is the state of an observer that sees the nearest k only.
//
// Its key orders targets: d² for those it does not see, d²·stick for those it sees. While more than k stand in its radii, the list of its block reaches only as far as the
// k nearest need, with some room; what it sees is found by bracketing the key of the last one: a kernel counts who is surely nearer and who may be, and only those between
// are looked at one by one.
type crowd struct {
	k     int32
	waits bool    // for relieve
	cut   float32 // about the key of the k-th; infinite if k or fewer are in the radii
	own   uint32  // the entry of its list where its own block was found last
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

// candidate is where a target between the brackets is: a verdict, and its slot there.
type candidate struct {
	verdict uint32
	bit     uint16
}

type crowdScratch struct {
	ranking  ranking
	verdicts []verdict // on the entries that may change; once all is chosen, sure is what is to be seen
	choice   []candidate
	keys     []uint64 // of the choice: the key's bits above, the handle below; keys are not negative, so the order of their bits is theirs
	ranked   []uint64
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

// choose finds what an eye is to see: sh.verdicts. It returns false if the list is too short for it.
func (sh *shard) choose(b uint32, lane int, l *list, c *crowd, h Handle) bool {
	e := &sh.s.watch.eyes[b]
	enter2, leave2 := e.enter2[lane], e.leave2[lane]
	k := int(c.k)
	tied := false // so many stand equally far, at one point as a rule, that no bracket parts them
	for try := 0; ; try++ {
		lo, hi := c.cut*lower, c.cut*upper
		if tied || lo == c.cut { // or too near to be divided
			lo = -1
		}
		if c.cut > math.MaxFloat32 || try > 12 {
			lo, hi = -1, infinite
		}
		near, seen := min(hi, enter2), min(beyond(hi), leave2)
		if limit := max(near, seen); float64(limit) > c.reach*c.reach && c.short(leave2) {
			return false
		}
		r := &sh.ranking
		r.come, r.stay, r.sureCome, r.sureStay = near, seen, min(lo, enter2), min(beyond(lo), leave2)
		possible, sure := sh.count(b, lane, l, h)
		all := near == enter2 && seen == leave2
		switch {
		case possible <= k && all:
			c.cut = infinite
			for i := range sh.verdicts {
				sh.verdicts[i].sure = sh.verdicts[i].possible
			}
			return true
		case possible < k:
			c.cut = grown(hi, k, possible)
		case sure > k && try > 2:
			tied, c.cut = true, lo
		case sure > k:
			c.cut = grown(lo, k, sure)
		case lo < 0 && hi > math.MaxFloat32 && try <= 12: // the first time that there are too many
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

// count finds which targets have at most a key, and which surely so, given the limits in sh.ranking.
func (sh *shard) count(b uint32, lane int, l *list, h Handle) (possible, sure int) {
	sh.verdicts = sh.verdicts[:0]
	n := len(l.blocks)
	if n == 0 {
		return 0, 0
	}
	if cap(sh.verdicts) < n {
		sh.verdicts = make([]verdict, 0, n+n/4)
	}
	s, t, e, r := sh.s, &sh.s.targets, &sh.s.watch.eyes[b], &sh.ranking
	self := s.entries[h].target
	own := l.locate(self>>slotShift, &s.crowds[h].own)
	if own >= 0 {
		l.rows[own][lane] &^= 1 << (self & laneMask) // it may have been there without a bound
	}
	r.pos, r.boxes, r.list, r.rows, r.n = &t.pos[0], &t.boxes[0], &l.blocks[0], &l.rows[0][lane], n
	r.x, r.z = e.x[lane], e.z[lane]
	sh.verdicts = sh.verdicts[:1]
	r.out = &sh.verdicts[0]
	sh.verdicts = sh.verdicts[:s.kernel.rank(r)]
	if own >= 0 {
		sh.strike(uint32(own), 1<<(self&laneMask))
	}
	return r.possible, r.sure
}

// locate is find, beginning where the block was the last time.
func (l *list) locate(block uint32, last *uint32) int {
	if i := int(*last); i < len(l.blocks) && l.blocks[i] == block {
		return i
	}
	i := l.find(block)
	*last = uint32(max(i, 0))
	return i
}

// strike takes an eye's own slot, which its row has not, out of the verdicts.
func (sh *shard) strike(entry uint32, slot uint16) {
	for i := range sh.verdicts {
		if v := &sh.verdicts[i]; v.at == entry {
			sh.ranking.possible -= bits.OnesCount16(v.possible & slot)
			sh.ranking.sure -= bits.OnesCount16(v.sure & slot)
			v.possible &^= slot
			v.sure &^= slot
			return
		}
	}
}

// pick takes, of those between the brackets, the n nearest. Nobody could foretell branches here.
func (sh *shard) pick(b uint32, lane int, l *list, n int, c *crowd) {
	t, e := &sh.s.targets, &sh.s.watch.eyes[b]
	x, z := e.x[lane], e.z[lane]
	sticks := [2]float32{1, stick}
	sh.choice, sh.keys = sh.choice[:0], sh.keys[:0]
	for i := range sh.verdicts {
		v := &sh.verdicts[i]
		old := l.rows[v.at][lane]
		for m := v.possible &^ v.sure; m != 0; m &= m - 1 {
			slot := l.blocks[v.at]<<slotShift | uint32(bits.TrailingZeros16(m))
			px, pz := t.position(slot)
			key := dist2(px-x, pz-z) * sticks[old>>(slot&laneMask)&1]
			sh.choice = append(sh.choice, candidate{uint32(i), m & -m})
			sh.keys = append(sh.keys, uint64(math.Float32bits(key))<<32|uint64(t.who[slot]))
		}
	}
	if n > 0 {
		sh.ranked = append(sh.ranked[:0], sh.keys...)
		last := smallest(sh.ranked, n)
		for i, key := range sh.keys {
			_, farther := bits.Sub64(last, key, 0)
			sh.verdicts[sh.choice[i].verdict].sure |= sh.choice[i].bit & uint16(farther-1)
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
	for _, v := range sh.verdicts {
		seen := &l.rows[v.at][lane]
		old, want := *seen, v.sure
		if old == want {
			continue
		}
		*seen = want
		sh.leaves.slots(h, t, l.blocks[v.at], old&^want)
		sh.enters.slots(h, t, l.blocks[v.at], want&^old)
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
