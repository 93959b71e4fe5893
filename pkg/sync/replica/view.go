package replica

import (
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// view is what a client wants and has of one zone. The arrays run in parallel: one place per wanted entity. An entity that another view of the client has, because it
// crossed, has no place here: it is away.
type view struct {
	client    *Client
	zone      *Zone
	observer  uint64
	index     uint8 // of the connection's zone table
	untold    bool  // the row has not left for the client yet
	closed    bool  // the zone is over, or has given up the view
	waits     bool  // it stands in zone.aways
	silent    bool  // the zone has no observer for the client: there is nothing to say of it when nothing happens
	slot      []uint32
	base      []uint32 // number of the publication the client holds; 0: it holds none of this zone's, and is to be told
	local     []uint16 // index at which the client has the entity, be it from another zone; noIndex: it has not
	gone      []gone   // the client has them, and they are no longer wanted: they leave with the next section
	held      []held   // the same, but that they departed for another zone, which may want them
	away      []away
	input     uint32
	lastTick  uint32
	lastInput uint32
}

// gone is an entity that a client has and is not to keep.
type gone struct {
	id         uint64 // 0: nobody may take it over
	slot, base uint32
	local      uint16
	kind       uint16
}

// held is a departure that waits for the entity's arrival; when the client's tick is until, it leaves.
type held struct {
	gone
	until uint32
}

// away is an entity that the zone says the client sees, and that another zone was later to have, at tick.
type away struct{ slot, tick uint32 }

const noIndex = 1<<16 - 1

// idle tells whether the client wants and has nothing of the zone.
func (v *view) idle() bool {
	return len(v.slot)+len(v.gone)+len(v.held)+len(v.away) == 0 && !v.client.shows(v.index)
}

// unobserved notes that the zone has no observer for the client any more.
func (v *view) unobserved() {
	v.keep(func(uint32) bool { return false })
	v.silent = true
}

// shows tells whether the client has an entity under a row.
func (c *Client) shows(row uint8) bool {
	for i, r := range c.rowOf {
		if r == row && c.used[i>>6]>>(i&63)&1 != 0 {
			return true
		}
	}
	return false
}

// detach has the zone forget the view.
func (v *view) detach() {
	if v.zone.views[v.observer] == v {
		delete(v.zone.views, v.observer)
	}
	v.closed = true
}

// tidy drops the views of zones that are over, once the client has nothing of them.
func (c *Client) tidy() {
	c.views = slices.DeleteFunc(c.views, func(v *view) bool { return v.closed && !v.untold && v.idle() })
}

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
	v.client.rowOf[v.local[i]] = v.index
	w.Put(uint64(v.local[i]), width)
	if uint32(e.id>>32) == z.ID-1 {
		w.Put(e.id&(1<<32-1)<<1, 33)
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
		v.slot, v.base, v.local = append(v.slot, s), append(v.base, 0), append(v.local, noIndex)
	}
	if len(v.gone) > 0 && len(slots) > 0 {
		v.stay(slots, places)
	}
	if len(v.client.views) > 1 || len(v.gone)+len(v.held) > 0 {
		v.claim(places)
	}
}

// stay gives the new places, of slots, what the client still has of the same incarnations.
func (v *view) stay(slots []uint32, places int) {
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
		} else if v.local[i] != noIndex {
			v.drop(s, v.base[i], v.local[i])
		}
	}
	v.slot, v.base, v.local = v.slot[:n], v.base[:n], v.local[:n]
	if len(v.away) > 0 {
		v.away = slices.DeleteFunc(v.away, func(a away) bool { return !stay(a.slot) })
	}
}

// drop notes that what the client has at an index is no longer wanted of this zone.
func (v *view) drop(slot, base uint32, local uint16) {
	z := v.zone
	e := &z.ents[slot]
	g := gone{id: e.id, slot: slot, base: base, local: local, kind: e.codec.Kind.ID}
	if was, ok := z.was[slot]; ok {
		g.id, g.kind = was.id, was.kind
	}
	if z.left.has(slot) {
		v.held = append(v.held, held{g, v.client.now + 1 + v.client.cfg.Handover}) // 1: from the frame that is next
	} else {
		v.gone = append(v.gone, g)
	}
}
