package replica

import (
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
)

// Event is something that a zone's batch told about an entity, until Settle.
type Event struct {
	Route   uint16
	Payload []byte // a part of the batch's bytes
	// Encoded is the caller's: what it makes of the event once, for all of its clients.
	Encoded [2][]byte

	slot  uint32
	first uint32 // the incarnation's first publication: the slot may be another entity's by the time
}

// note keeps the batch's events until Settle.
func (z *Zone) note(b []batch.Event) {
	for i := range b {
		e := &b[i]
		if int(e.Slot) >= len(z.ents) || !z.ents[e.Slot].known {
			continue
		}
		z.events = append(z.events, Event{Route: e.Route, Payload: e.Payload, slot: e.Slot, first: z.ents[e.Slot].first})
		z.about.set(e.Slot, true)
	}
}

// hush drops events of the batches before, if any client begins to see what they are about with this one: it must not hear what it did not see. Clients who did lose them, as
// they lose any event that their gateway takes too late.
func (z *Zone) hush(b *batch.Batch) {
	if len(z.events) == 0 {
		return
	}
	for i := range b.Observers {
		for _, slot := range b.Observers[i].Enters {
			if z.about.has(slot) {
				z.about.set(slot, false)
			}
		}
	}
	z.events = slices.DeleteFunc(z.events, func(e Event) bool { return !z.about.has(e.slot) })
}

// Eventful tells whether there are events since Settle.
func (z *Zone) Eventful() bool { return len(z.events) > 0 }

// Settle forgets the events of the batches so far: every client has taken its own.
func (z *Zone) Settle() {
	if len(z.events) == 0 {
		return
	}
	for i := range z.events {
		z.about.set(z.events[i].slot, false)
	}
	clear(z.events)
	z.events = z.events[:0]
}

// Events hands out what happened, since Settle, about entities that the client has, in order; with all, also about those that it only wants, for one that gets no frames. It
// follows Frame. What is about entities that have not entered, and everything if the client is paused, is dropped and counted.
func (c *Client) Events(all bool, yield func(e *Event)) (dropped int) {
	for _, v := range c.views {
		if len(v.zone.events) > 0 {
			dropped += c.eventsOf(v, all, yield)
		}
	}
	return dropped
}

func (c *Client) eventsOf(v *view, all bool, yield func(e *Event)) (dropped int) {
	const wanted, has = 0, 1 // bits of a slot in c.hits
	z, any := v.zone, false
	for i, s := range v.slot {
		if z.about.has(s) {
			any = true
			c.hits.set(2*s+wanted, true)
			c.hits.set(2*s+has, all || v.base[i] != 0 && !c.paused)
		}
	}
	if !any {
		return 0
	}
	for i := range z.events {
		e := &z.events[i]
		switch {
		case !c.hits.has(2*e.slot+wanted) || z.ents[e.slot].first != e.first:
		case c.hits.has(2*e.slot + has):
			yield(e)
		default:
			dropped++
		}
	}
	for i := range z.events {
		c.hits.set(2*z.events[i].slot+wanted, false)
		c.hits.set(2*z.events[i].slot+has, false)
	}
	return dropped
}
