package replica

import (
	"math/bits"
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// Config bounds a Client. The zero value is ready.
type Config struct {
	MaxFrame     int    // bytes of one frame's payload, beyond which the rest waits for the next; one entity always goes; default 32 KiB
	SlackTicks   uint32 // a client pauses when the oldest of two or more unechoed frames is older than its minimum round trip plus this; default 3
	SilenceTicks uint32 // with nothing to say, a section goes this often; default 5
}

func (c *Config) validate() {
	if c.MaxFrame <= 0 {
		c.MaxFrame = 32 << 10
	}
	if c.SlackTicks == 0 {
		c.SlackTicks = 3
	}
	if c.SilenceTicks == 0 {
		c.SilenceTicks = 5
	}
}

const (
	maxIndex   = 1<<15 - 1 // the width field has 4 bits; who wants more entities gets the rest when others leave
	maxZones   = 15
	maxSent    = 64 // frames unechoed at the most
	rttCeiling = 40 // ticks: a client that echoes slower than this is not waited for any longer
	rttWindow  = 100
)

// Client builds one client's frames. It keeps two sets, what was sent and what is wanted, never a queue: a client that stalls for
// an hour costs what one that stalls for a second does.
type Client struct {
	cfg   Config
	views []*view
	used  []uint64 // local indices in use

	sent      [maxSent]uint32 // gateway ticks of unechoed frames, oldest at head
	head, out int
	echoed    uint16 // frames echoed since the start, mod 2^16
	rtt       uint32 // windowed minimum of ticks between frame and echo
	rttNext   uint32
	rttSince  uint32
	rotate    int

	dirty, enters []int32
}

// view is what a client wants and has of one zone. The arrays run in parallel: one place per wanted entity.
type view struct {
	zone      *Zone
	observer  uint64
	index     uint8 // of the connection's zone table
	slot      []uint32
	base      []uint32 // number of the publication the client holds; 0: wanted, not entered yet
	local     []uint16
	gone      []gone // sent, no longer wanted
	input     uint32
	lastTick  uint32
	lastInput uint32
}

type gone struct {
	slot, base uint32
	local      uint16
}

// FrameStats says what one frame carried.
type FrameStats struct {
	Leaves, Enters, Updates int
	UpdateBits              int // of the updates, with index and age
}

// NewClient makes a client that looks at nothing yet.
func NewClient(cfg Config) *Client {
	cfg.validate()
	return &Client{cfg: cfg, rtt: 8, rttNext: rttCeiling}
}

// Open adds a zone to the client's zone table and returns its row: the index and the tick from which its first section counts.
// observer is the id by which the zone's batches name this client. ok is false when the table is full.
func (c *Client) Open(z *Zone, observer uint64) (index uint8, tick uint32, ok bool) {
	if len(c.views) == maxZones {
		return 0, 0, false
	}
	v := &view{zone: z, observer: observer, index: uint8(len(c.views)), lastTick: z.tick}
	c.views = append(c.views, v)
	z.views[observer] = v
	return v.index, z.tick, true
}

// Close ends all views.
func (c *Client) Close() {
	for _, v := range c.views {
		delete(v.zone.views, v.observer)
	}
	c.views = nil
}

// Visible is the number of entities that the client wants to see.
func (c *Client) Visible() (n int) {
	for _, v := range c.views {
		n += len(v.slot)
	}
	return n
}

// Echo takes the client's count of processed frames. A count that cannot be is ignored and reported as false.
func (c *Client) Echo(count uint16, now uint32) bool {
	n := int(count - c.echoed)
	if n > c.out {
		return false
	}
	for ; n > 0; n-- {
		c.rttNext = min(c.rttNext, now-c.sent[c.head])
		c.head = (c.head + 1) % maxSent
		c.out--
	}
	c.echoed = count
	if now-c.rttSince > rttWindow {
		if c.rttNext < rttCeiling { // a window without a sane sample tells nothing
			c.rtt = c.rttNext
		}
		c.rttNext, c.rttSince = rttCeiling, now
	}
	return true
}

// Paused tells whether the client is so far behind that nothing is encoded for it. A single unechoed frame never pauses it: clients may echo every
// second frame only, and in a quiet world the next one would never come.
func (c *Client) Paused(now uint32) bool {
	return c.out == maxSent || c.out > 1 && now-c.sent[c.head] > c.rtt+c.cfg.SlackTicks
}

// Frame writes the state frame that the client needs now, a gateway tick, and tells whether there is one. A frame that was written must
// be sent: the client's bases have moved.
//
//	state   = section, then `1` section …, then `0`
//	section = zone index 4 · tick · input · width 4 · leaves · enters · updates (counts) · leave* · enter* · update*
//	tick    = `0` last + 1 | `1` + 6: last + d | `1` 63 + 32
//	input   = 2: last + d (≤ 2) | 3 + 32
//	count   = `0`: 0 | `10` + 4 | `110` + 11 | `111` + 20
//	leave   = index
//	enter   = index · id (`0` + 32 | `1` + 64) · kind (4 | 15 + 16) · age · full
//	update  = index · ( `0` delta | `10` age · delta | `11` age · full )
func (c *Client) Frame(w *delta.Writer, now uint32) (st FrameStats, ok bool) {
	if c.Paused(now) {
		return st, false
	}
	w.Reset()
	for _, v := range c.views {
		if !v.zone.ready {
			continue
		}
		dirty := c.dirty[:0]
		latest, base := v.zone.latest, v.base[:len(v.slot)]
		for i, s := range v.slot {
			if base[i] != latest[s] {
				dirty = append(dirty, int32(i))
			}
		}
		c.dirty = dirty
		due := v.zone.tick-v.lastTick >= c.cfg.SilenceTicks || v.input != v.lastInput
		if len(dirty) == 0 && len(v.gone) == 0 && !due {
			continue
		}
		ok = c.section(w, v, dirty, due, ok, &st) || ok
	}
	if !ok {
		return st, false
	}
	w.Put(0, 1)
	c.sent[(c.head+c.out)%maxSent] = now
	c.out++
	return st, true
}

// section writes what a view needs, and tells whether it wrote anything: if all of it has to wait, only a section that is due is written. another says
// that a section stands before it.
func (c *Client) section(w *delta.Writer, v *view, dirty []int32, due, another bool, st *FrameStats) bool {
	width := c.width()
	room := max(c.cfg.MaxFrame*8-w.Bits(), 0)
	leaves := min(len(v.gone), max(room/maxIndexBits, 1))
	for _, g := range v.gone[:leaves] {
		c.used[g.local>>6] &^= 1 << (g.local & 63)
	}
	alone := leaves == 0 && !another // then one entity may be larger than a frame should be
	enters, updates := c.choose(v, dirty, room-leaves*maxIndexBits, alone)
	if leaves+len(enters)+len(updates) == 0 && !due {
		return false
	}
	width = max(width, c.width())
	if another {
		w.Put(1, 1)
	}
	v.header(w, width)
	w.Count(leaves)
	w.Count(len(enters))
	w.Count(len(updates))
	st.Leaves += leaves
	st.Enters += len(enters)
	st.Updates += len(updates)
	for _, g := range v.gone[:leaves] {
		w.Put(uint64(g.local), width)
	}
	v.gone = append(v.gone[:0], v.gone[leaves:]...)
	for _, i := range enters {
		v.enter(w, width, int(i))
	}
	before := w.Bits()
	for _, i := range updates {
		v.update(w, width, int(i))
	}
	st.UpdateBits += w.Bits() - before
	return true
}

// choose splits the dirty places into enters, which get a local index, and updates, until room (bits) is used up; the rest waits. In a frame of
// its own one entity always goes.
func (c *Client) choose(v *view, dirty []int32, room int, alone bool) (enters, updates []int32) {
	enters, updates = c.enters[:0], dirty[:0]
	if n := len(dirty); n*usualBits > room && n > 0 { // some may wait: not always the same ones
		c.rotate = (c.rotate + room/usualBits + 1) % n
		slices.Reverse(dirty[:c.rotate])
		slices.Reverse(dirty[c.rotate:])
		slices.Reverse(dirty)
	}
	full := false // no local index is left
	for _, i := range dirty {
		if v.base[i] != 0 {
			if room -= v.cost(int(i)); room < 0 && (!alone || len(enters)+len(updates) > 0) {
				break
			}
			updates = append(updates, i)
			continue
		}
		if full {
			continue
		}
		cost := v.enterCost(int(i))
		if room -= cost; room < 0 && (!alone || len(enters)+len(updates) > 0) {
			break
		}
		local, ok := c.take()
		if !ok {
			full = true
			room += cost
			continue
		}
		v.local[i] = local
		enters = append(enters, i)
	}
	c.enters = enters
	return enters, updates
}

// Upper bounds in bits of what stands before an entity's state in a frame.
const (
	maxIndexBits = 15
	maxAgeBits   = 2 + 35
	maxEnterBits = maxIndexBits + 65 + 20 + 35
	usualBits    = 256 // of an entity that enters; decides only when to begin taking turns
)

// enterCost and cost are upper bounds of an enter's and an update's bits.
func (v *view) enterCost(i int) int { return maxEnterBits + v.zone.fullState(v.slot[i]).n }

func (v *view) cost(i int) int {
	slot := v.slot[i]
	from, to := v.base[i], v.zone.latest[slot]
	switch {
	case from == to-1 && v.zone.hot[slot].n != 0:
		return maxIndexBits + maxAgeBits + int(v.zone.hot[slot].n)
	case v.zone.restate(slot, from):
		return maxIndexBits + maxAgeBits + v.zone.fullState(slot).n
	}
	return maxIndexBits + maxAgeBits + v.zone.fragment(slot, from).n
}

// take finds the lowest free local index.
func (c *Client) take() (uint16, bool) {
	for k, m := range c.used {
		if m != 1<<64-1 {
			j := bits.TrailingZeros64(^m)
			c.used[k] |= 1 << j
			return uint16(k*64 + j), true
		}
	}
	if len(c.used)*64 > maxIndex {
		return 0, false
	}
	c.used = append(c.used, 1)
	return uint16(len(c.used)*64 - 64), true
}

// width is the number of bits that hold every index in use.
func (c *Client) width() uint {
	for k := len(c.used) - 1; k >= 0; k-- {
		if c.used[k] != 0 {
			return uint(bits.Len(uint(k*64 + bits.Len64(c.used[k]) - 1)))
		}
	}
	return 0
}

func (v *view) header(w *delta.Writer, width uint) {
	w.Put(uint64(v.index), 4)
	switch d := v.zone.tick - v.lastTick; {
	case d == 1:
		w.Put(0, 1)
	case d < 63:
		w.Put(1|uint64(d)<<1, 7)
	default:
		w.Put(127|uint64(v.zone.tick)<<7, 39)
	}
	if d := v.input - v.lastInput; d < 3 {
		w.Put(uint64(d), 2)
	} else {
		w.Put(3|uint64(v.input)<<2, 34)
	}
	w.Put(uint64(width), 4)
	v.lastTick, v.lastInput = v.zone.tick, v.input
}

func (v *view) enter(w *delta.Writer, width uint, i int) {
	z, slot := v.zone, v.slot[i]
	e := &z.ents[slot]
	v.base[i] = z.latest[slot]
	w.Put(uint64(v.local[i]), width)
	if e.id < 1<<32 {
		w.Put(e.id<<1, 33)
	} else {
		w.Put(1|e.id&(1<<32-1)<<1, 33)
		w.Put(e.id>>32, 32)
	}
	if kind := e.codec.Kind.ID; kind < 15 {
		w.Put(uint64(kind), 4)
	} else {
		w.Put(15|uint64(kind)<<4, 20)
	}
	w.Age(z.age(slot))
	f := z.fullState(slot)
	w.Append(f.b, f.n)
}

func (v *view) update(w *delta.Writer, width uint, i int) {
	z, slot := v.zone, v.slot[i]
	from, to := v.base[i], z.latest[slot]
	local := uint64(v.local[i])
	v.base[i] = to
	if h := &z.hot[slot]; from == to-1 && h.n != 0 && (h.any || h.tick == z.tick) { // the common path: the zone's own bytes
		w.Put(local|h.bits<<(width+1), width+1+uint(h.n))
		return
	}
	if z.restate(slot, from) {
		w.Put(local|3<<width, width+2)
		w.Age(z.age(slot))
		f := z.fullState(slot)
		w.Append(f.b, f.n)
		return
	}
	age := z.age(slot)
	if e := &z.ents[slot]; e.ticks[from%keep] == e.ticks[to%keep] { // the motion did not move: no age
		age = 0
	}
	if age == 0 {
		w.Put(local, width+1)
	} else {
		w.Put(local|1<<width, width+2)
		w.Age(age)
	}
	f := z.fragment(slot, from)
	w.Append(f.b, f.n)
}

// want adds entities; one that was to leave, of the same incarnation, just stays.
func (v *view) want(slots []uint32) {
	places := len(v.slot)
	for _, s := range slots {
		v.slot, v.base, v.local = append(v.slot, s), append(v.base, 0), append(v.local, 0)
	}
	if len(v.gone) == 0 || len(slots) == 0 {
		return
	}
	var at map[uint32]int // slot → place among the new ones, where looking through them for each gone one would be slow
	if len(v.gone)*len(slots) > 1<<10 {
		at = make(map[uint32]int, len(slots))
		for i, s := range slots {
			at[s] = i
		}
	}
	left := v.gone[:0]
	for _, g := range v.gone {
		i := -1
		if at == nil {
			i = slices.Index(slots, g.slot)
		} else if j, ok := at[g.slot]; ok {
			i = j
		}
		if i >= 0 && g.base >= v.zone.ents[g.slot].first {
			v.base[places+i], v.local[places+i] = g.base, g.local
		} else {
			left = append(left, g)
		}
	}
	v.gone = left
}

// keep drops every wanted entity for which stay is false.
func (v *view) keep(stay func(slot uint32) bool) {
	n := 0
	for i, s := range v.slot {
		if stay(s) {
			v.slot[n], v.base[n], v.local[n] = s, v.base[i], v.local[i]
			n++
		} else if v.base[i] != 0 {
			v.gone = append(v.gone, gone{s, v.base[i], v.local[i]})
		}
	}
	v.slot, v.base, v.local = v.slot[:n], v.base[:n], v.local[:n]
}
