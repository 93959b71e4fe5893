package game

import (
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Destination is where an entity goes. Zone names one; Instance names a private copy of a zone, which is made if it is not there; neither: whichever zone of the world holds the place.
type Destination struct {
	X, Y     int32 // world quanta
	Zone     uint32
	Instance string // name of a template of the server's
	Key      uint64 // tells instances of one template apart
}

// Departure is a hand-over on its way out: what leaves does not live here any more, and lives where Payload arrives. It must arrive somewhere, if only here again.
type Departure struct {
	To       Destination
	Entities []EntityID // that go, the first with what belongs to it
	Players  []SessionID
	Payload  []byte
	Refused  string // it came by Arrive and could not be taken: why
}

// Transfer sends an entity, and all that it is the parent of, to another place: at the end of this tick it leaves the zone, unless the place lies in it, and it arrives within two ticks.
// Until then game code goes on with it as before. A later Transfer in the same tick takes the place of an earlier one.
func (z *Zone) Transfer(b Being, to Destination) error {
	z.own()
	e := b.entity()
	x := e.placed()
	if x.parent != 0 {
		return fmt.Errorf("transfer entity %d: it belongs to entity %d: transfer that, or SetParent to nobody first", e.id, x.parent)
	}
	if to.Instance == "" && (to.Zone == 0 || to.Zone == z.cfg.Zone) && z.keeps.holds(to.X, to.Y) {
		if err := z.refuses(x.kind, to.X, to.Y); err != nil {
			return fmt.Errorf("transfer entity %d: %w", e.id, err)
		}
		e.SetPosition(to.X, to.Y)
		return nil
	}
	x.dest = &to
	if !x.crossing {
		x.crossing = true
		z.crossing = append(z.crossing, e)
	}
	return nil
}

// A hand-over (uvarint unless said otherwise; signed numbers in zigzag):
//
//	version u8 · from zone · epoch · tick · x · y                  where the first entity goes
//	n · n × { id · kind · length · record · owner · parent's place + 1, 0: none · offset x · offset y · n · n × { name · ticks left · arg } }
//	n · n × { avatar's place · session · player · name · n · n × right · input number · applied · ignored layers · n · n × watched zone
//	          n · n × { route · id · ticks to wait · length · payload } }
const handoverVersion = 2

const (
	maxTravellers = maxMany
	maxWatched    = 1 << 8
	maxWaiting    = 1 << 16
	maxAgo        = 1 << 10 // ticks that a hand-over may have been on its way: what it holds is due that much earlier
)

// cross hands over who has crossed a border, or was asked to go elsewhere.
func (z *Zone) cross() {
	for i := 0; i < len(z.crossing); i++ {
		e := z.crossing[i]
		if !e.Alive() {
			continue
		}
		x := &z.ents[e.slot]
		x.crossing = false
		to := x.dest
		x.dest = nil
		if x.parent != 0 || x.dead {
			continue // it goes with its parent, or nowhere any more
		}
		if to == nil {
			px, py := e.Position()
			if z.keeps.holds(px, py) {
				continue // it has turned back
			}
			n := z.neighbourAt(px, py)
			if n == nil { // beyond the end of the world
				if px, py = z.nearest(x.kind, z.rect, px, py); z.rect.holds(px, py) {
					e.SetPosition(px, py)
				}
				continue
			}
			to = &Destination{X: px, Y: py, Zone: n.Zone}
		}
		z.depart(e, *to)
	}
	z.crossing = z.crossing[:0]
}

// depart takes an entity and its children out of the zone.
func (z *Zone) depart(e Entity, to Destination) {
	for _, t := range z.gather(nil, e) {
		if t.Alive() && t.Dead() { // it does not rise on the other side
			z.Despawn(t)
		}
	}
	if z.game.OnDepart != nil {
		for _, t := range z.gather(nil, e) {
			if !t.Alive() {
				continue // a hook before it has despawned it
			}
			if p := z.ents[t.slot].player; p != nil {
				_ = z.hook("OnDepart", p, func() error { z.game.OnDepart(z, p, to); return nil })
			}
		}
		if !e.Alive() || z.ents[e.slot].dead {
			return // the hook's doing; the dead are despawned in the next tick
		}
	}
	if z.ents[e.slot].parent != 0 { // a hook has made it a part of another, with which it stays
		return
	}
	z.party = z.gather(z.party[:0], e)
	d := Departure{To: to}
	for _, t := range z.party {
		d.Entities = append(d.Entities, t.id)
		if p := z.ents[t.slot].player; p != nil {
			d.Players = append(d.Players, p.Session)
		}
	}
	d.Payload = z.pack(to)
	z.out.Departures = append(z.out.Departures, d)
	for _, t := range z.party {
		if p := z.ents[t.slot].player; p != nil {
			z.letGo(p)
		}
		x := z.take(t)
		x.toZone, x.toEpoch, x.departed = to.Zone, z.epochOf(to.Zone), !x.unborn
	}
	z.stats.Departures += uint64(len(z.party))
}

// gather lists an entity and its children, parents first.
func (z *Zone) gather(all []Entity, e Entity) []Entity {
	all = append(all, e)
	for _, id := range z.ents[e.slot].children {
		if c, ok := z.Entity(id); ok {
			all = z.gather(all, c)
		}
	}
	return all
}

// letGo makes a player of this zone one who only looks into it.
func (z *Zone) letGo(p *Player) {
	if p.spectates {
		z.dropView(p, p.spectator, p.view, p.looks)
		p.spectates = false
	}
	delete(z.sessions, p.Session)
	delete(z.byID, p.ID)
	p.gone = true
	v := &Player{Session: p.Session, ID: p.ID, Name: p.Name, gateway: p.gateway, conn: p.conn, view: p.view, looks: p.looks, visits: true}
	v.eyeX, v.eyeY, v.enter, v.leave, v.ignores, v.veiled = p.eyeX, p.eyeY, p.enter, p.leave, p.ignores, p.veiled
	p.conn, p.gateway, p.looks = 0, 0, false
	if v.looks {
		z.observer[v.view] = v
	}
	if v.conn != 0 {
		z.blinded = append(z.blinded, v) // of what its spectator, or another view that it lost in this tick, saw die or depart
	}
	z.visit(v)
}

// pack writes the hand-over of z.party.
func (z *Zone) pack(to Destination) []byte {
	e := enc{[]byte{handoverVersion}}
	e.u(uint64(z.cfg.Zone))
	e.u(uint64(z.cfg.Epoch))
	e.u(uint64(z.tick))
	e.i(to.X)
	e.i(to.Y)
	e.u(uint64(len(z.party)))
	players := 0
	for _, t := range z.party {
		x := &z.ents[t.slot]
		e.u(uint64(x.id))
		e.u(uint64(x.kind.codec.Kind.ID))
		e.bytes(x.kind.codec.AppendRecord(nil, &x.state))
		e.u(uint64(x.owner))
		e.u(uint64(z.placeOf(x.parent)))
		e.i(x.offX)
		e.i(x.offY)
		e.u(uint64(len(x.timers)))
		for _, r := range x.timers {
			e.text(z.game.timers[r.timer].name)
			e.u(uint64(max(int32(r.due-z.tick), 0)))
			e.u(r.arg)
		}
		if x.player != nil {
			players++
		}
	}
	e.u(uint64(players))
	for i, t := range z.party {
		if p := z.ents[t.slot].player; p != nil {
			e.u(uint64(i))
			z.packPlayer(&e, p)
		}
	}
	return e.b
}

// placeOf is 1 + the place of an entity in the party, 0 if it is not in it.
func (z *Zone) placeOf(id EntityID) int {
	if id != 0 {
		for i, t := range z.party {
			if t.id == id {
				return i + 1
			}
		}
	}
	return 0
}

func (z *Zone) packPlayer(e *enc, p *Player) {
	e.u(uint64(p.Session))
	e.u(p.ID)
	e.text(p.Name)
	e.u(uint64(len(p.Rights)))
	for _, r := range p.Rights {
		e.text(r)
	}
	e.u(uint64(p.InputSeq))
	e.u(uint64(p.applied))
	e.u(uint64(p.ignores))
	e.u(uint64(len(p.views) + 1))
	e.u(uint64(z.cfg.Zone)) // it goes on looking into this zone until its new one says otherwise
	for i := range p.views {
		e.u(uint64(p.views[i].Zone))
	}
	e.u(uint64(len(p.box)))
	for i := range p.box {
		l := &p.box[i]
		b, err := protocol.Marshal(l.m)
		if err != nil {
			b = nil // cannot happen: it was parsed
		}
		e.u(uint64(l.h.route.ID))
		e.u(uint64(l.id))
		e.u(uint64(max(int32(l.due-z.tick), 0)))
		e.bytes(b)
	}
}
