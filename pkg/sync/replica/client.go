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
	// Handover is for how many ticks of the caller a client keeps an entity that departed for another zone and was not seen there yet; default 10. After that it leaves.
	Handover uint32
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
	if c.Handover == 0 {
		c.Handover = 10
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
	cfg    Config
	views  []*view  // in order of opening
	home   *Zone    // see Home
	used   []uint64 // local indices in use
	rowOf  []uint8  // by local index in use: the row under which the client has the entity
	now    uint32   // of the last Frame
	paused bool     // then

	sent      [maxSent]uint32 // gateway ticks of unechoed frames, oldest at head
	head, out int
	echoed    uint16 // frames echoed since the start, mod 2^16
	rtt       uint32 // windowed minimum of ticks between frame and echo
	rttNext   uint32
	rttSince  uint32
	rotate    int

	dirty, enters []int32
	hits          marks // scratch of Events
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
// observer is the id by which the zone's batches name this client. A row may have been another zone's: one that is over, or, when all are in use, one of which the client
// wants and has nothing, and that is not its home. ok is false when there is none.
func (c *Client) Open(z *Zone, observer uint64) (index uint8, tick uint32, ok bool) {
	if old := z.views[observer]; old != nil && old.client == c {
		return old.index, old.lastTick, true
	}
	if index, ok = c.row(); !ok {
		return 0, 0, false
	}
	v := &view{client: c, zone: z, observer: observer, index: index, lastTick: z.tick}
	c.views = append(c.views, v)
	z.views[observer] = v
	return index, z.tick, true
}

// Hold keeps sections of a row back until Told: a client must know the row before them.
func (c *Client) Hold(index uint8) {
	for _, v := range c.views {
		if v.index == index {
			v.untold = true
		}
	}
}

// Told says that the rows of everything that was opened have left for the client: sections may follow.
func (c *Client) Told() {
	for _, v := range c.views {
		v.untold = false
	}
}

// Home names the zone that the client lives in: its row is kept, and spoken of, even when there is nothing to see and nobody to see it.
func (c *Client) Home(z *Zone) { c.home = z }

// row finds a free row of the zone table, or makes one free.
func (c *Client) row() (uint8, bool) {
	taken := uint(0)
	for _, v := range c.views {
		taken |= 1 << v.index
	}
	if n := bits.TrailingZeros(^taken); n < maxZones {
		return uint8(n), true
	}
	for i, v := range c.views {
		if !v.untold && v.zone != c.home && v.idle() {
			v.detach()
			c.views = slices.Delete(c.views, i, i+1)
			return v.index, true
		}
	}
	return 0, false
}

// Close ends all views.
func (c *Client) Close() {
	for _, v := range c.views {
		v.detach()
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

// Held tells whether the last call of Frame found the client paused.
func (c *Client) Held() bool { return c.paused }

// Frame writes the state frame that the client needs now, a gateway tick, and tells whether there is one. A frame that was written must
// be sent: the client's bases have moved.
//
//	state   = section, then `1` section …, then `0`
//	section = zone index 4 · tick · input · width 4 · leaves · enters · updates (counts) · leave* · enter* · update*
//	tick    = `0` last + 1 | `1` + 6: last + d | `1` 63 + 32
//	input   = 2: last + d (≤ 2) | 3 + 32
//	count   = `0`: 0 | `10` + 4 | `110` + 11 | `111` + 20
//	leave   = index
//	enter   = index · id (`0` + 32: the high half is zone − 1 | `1` + 64) · kind (4 | 15 + 16) · age · full
//	update  = index · ( `0` delta | `10` age · delta | `11` age · full )
//
// An enter at an index that is live has the id and the kind of what is there: the entity is now shown by this section's zone.
func (c *Client) Frame(w *delta.Writer, now uint32) (st FrameStats, ok bool) {
	c.now, c.paused = now, c.Paused(now)
	if c.paused {
		return st, false
	}
	w.Reset()
	over := false
	for _, v := range c.views {
		if len(v.held) > 0 {
			v.release(now)
		}
		if over = over || v.closed; v.untold || !v.zone.ready && !v.closed {
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
		due := v.input != v.lastInput || v.zone.tick-v.lastTick >= c.cfg.SilenceTicks && (!v.silent || v.zone == c.home)
		if len(dirty) == 0 && len(v.gone) == 0 && !due {
			continue
		}
		ok = c.section(w, v, dirty, due, ok, &st) || ok
	}
	if over {
		c.tidy()
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
		has := v.local[i] != noIndex
		if full && !has {
			continue
		}
		cost := v.enterCost(int(i))
		if room -= cost; room < 0 && (!alone || len(enters)+len(updates) > 0) {
			break
		}
		if !has {
			local, ok := c.take()
			if !ok {
				full = true
				room += cost
				continue
			}
			v.local[i] = local
		}
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
	c.rowOf = append(c.rowOf, make([]uint8, 64)...)
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
