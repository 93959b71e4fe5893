package batch

import (
	"fmt"
	"math/bits"
	"slices"
)

// observer is one client's view: the entities that it sees, and how that changed in this tick.
type observer struct {
	id             uint64
	gw             *gateway
	gone           bool     // it was removed; Finish takes it out of its gateway's list
	sees           []uint64 // bit per slot
	input          uint32
	touched        bool
	leaves, enters []uint32
}

// AddObserver adds an observer, served by a gateway, that sees nothing yet. The next batch lists it, whatever it comes to see.
func (s *Source) AddObserver(id uint64, gatewayID uint32) {
	g := s.gateway(gatewayID)
	if g == nil || s.obs[id] != nil {
		panic(fmt.Sprintf("batch: observer %d at gateway %d: the gateway is not attached or the observer exists", id, gatewayID))
	}
	o := &observer{id: id, gw: g, touched: true, sees: make([]uint64, 0, (len(s.ents)+63)/64)} // at once: many may come in one tick
	s.obs[id] = o
	g.observers = append(g.observers, o)
}

// RemoveObserver drops an observer: the next batch says that it sees nothing any more, for its connection may go on without it. It costs what the observer sees, however many others there are: all of a gateway's may go
// in one tick.
func (s *Source) RemoveObserver(id uint64) {
	o := s.obs[id]
	if o == nil {
		return
	}
	o.each(func(slot uint32) { o.gw.count(slot, -1) })
	delete(s.obs, id)
	o.gone = true
	o.gw.gone++
	o.gw.removed = append(o.gw.removed, id)
}

// compact takes the observers that have gone out of the list and keeps the order of the others: the output's order.
func (g *gateway) compact() {
	if g.gone > 0 {
		g.observers = slices.DeleteFunc(g.observers, func(o *observer) bool { return o.gone })
		g.gone = 0
	}
}

// Input records the last input of an observer that the zone has applied.
func (s *Source) Input(id uint64, seq uint32) {
	if o := s.obs[id]; o != nil && o.input != seq {
		o.input, o.touched = seq, true
	}
}

// Enter and Leave change an observer's view.
func (s *Source) Enter(observerID uint64, slot uint32) {
	if o := s.obs[observerID]; o != nil && !o.has(slot) {
		o.set(slot, true)
		o.enters, o.touched = append(o.enters, slot), true
		o.gw.count(slot, 1)
	}
}

// Leave is the opposite of Enter.
func (s *Source) Leave(observerID uint64, slot uint32) {
	if o := s.obs[observerID]; o != nil && o.has(slot) {
		o.set(slot, false)
		if i := slices.Index(o.enters, slot); i >= 0 { // came and went within the tick
			o.enters = slices.Delete(o.enters, i, i+1)
		} else {
			o.leaves, o.touched = append(o.leaves, slot), true
		}
		o.gw.count(slot, -1)
	}
}

// Sees tells whether an observer's view holds a slot.
func (s *Source) Sees(observerID uint64, slot uint32) bool {
	o := s.obs[observerID]
	return o != nil && o.has(slot)
}

// View is the number of entities in an observer's view.
func (s *Source) View(observerID uint64) (n int) {
	if o := s.obs[observerID]; o != nil {
		for _, w := range o.sees {
			n += bits.OnesCount64(w)
		}
	}
	return n
}

// AppendView appends the slots in an observer's view to dst, in order of slots.
func (s *Source) AppendView(dst []uint32, observerID uint64) []uint32 {
	if o := s.obs[observerID]; o != nil {
		dst = o.view(dst)
	}
	return dst
}

func (o *observer) has(slot uint32) bool {
	w := int(slot >> 6)
	return w < len(o.sees) && o.sees[w]>>(slot&63)&1 != 0
}

func (o *observer) set(slot uint32, on bool) {
	for int(slot>>6) >= len(o.sees) {
		o.sees = append(o.sees, 0)
	}
	if on {
		o.sees[slot>>6] |= 1 << (slot & 63)
	} else {
		o.sees[slot>>6] &^= 1 << (slot & 63)
	}
}

// each calls yield for every slot in the view, in order of slots.
func (o *observer) each(yield func(slot uint32)) {
	for w, m := range o.sees {
		for ; m != 0; m &= m - 1 {
			yield(uint32(w*64 + bits.TrailingZeros64(m)))
		}
	}
}

// view lists everything that an observer sees, by slot.
func (o *observer) view(dst []uint32) []uint32 {
	o.each(func(slot uint32) { dst = append(dst, slot) })
	return dst
}
