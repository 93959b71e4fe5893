package game

import (
	"fmt"
	"math"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// arrive takes a hand-over. One that cannot be taken goes back where it came from; one that came before is dropped.
func (z *Zone) arrive(in *Input) {
	h, err := z.unpack(in.Payload)
	if err == nil {
		if _, lives := z.slots[h.entities[0].id]; lives { // it came twice: one that went back would live in two zones
			z.stats.Refused++
			return
		}
	}
	if err == nil {
		err = z.welcome(h, in)
	}
	if err != nil {
		z.stats.Refused++
		d := Departure{Payload: append([]byte(nil), in.Payload...), Refused: err.Error()}
		if h != nil {
			d.To = Destination{X: h.x, Y: h.y, Zone: h.from}
			for i := range h.entities {
				d.Entities = append(d.Entities, h.entities[i].id)
			}
		}
		for _, c := range in.Conns {
			d.Players = append(d.Players, c.Session)
		}
		z.out.Departures = append(z.out.Departures, d)
		return
	}
	z.stats.Arrivals += uint64(len(h.entities))
	for i := range h.entities {
		if id := h.entities[i].id; id.birthplace() == z.cfg.Zone { // numbered in an earlier epoch: the number is taken
			z.lastID = max(z.lastID, id)
		}
	}
}

type handover struct {
	from     uint32
	ago      uint32 // ticks since it was packed
	x, y     int32
	entities []traveller
	players  []passenger
}

type traveller struct {
	id         EntityID
	kind       *kind
	record     []byte
	owner      EntityID
	parent     int // place + 1
	offX, offY int32
	timers     []entityTimer // due in ticks from now
	e          Entity        // that it has become
}

type passenger struct {
	avatar  int
	p       *Player
	watched []uint32
	box     []letter
}

// unpack reads a hand-over; nothing of the zone is touched.
func (z *Zone) unpack(b []byte) (*handover, error) {
	d := dec{b: b}
	if len(b) == 0 || b[0] != handoverVersion {
		return nil, fmt.Errorf("%w: hand-over of an unknown version", ErrMalformed)
	}
	d.b = b[1:]
	h := &handover{from: uint32(d.u("zone", math.MaxUint32))}
	d.u("epoch", math.MaxUint32)
	if ago := z.tick - uint32(d.u("tick", math.MaxUint32)); ago <= maxAgo { // else the zones' ticks differ
		h.ago = ago
	}
	h.x, h.y = d.i("x"), d.i("y")
	for n := d.count("entities", maxTravellers, 8); n > 0 && d.err == nil; n-- {
		h.entities = append(h.entities, z.unpackEntity(&d, len(h.entities)))
	}
	for n := d.count("players", maxTravellers, 9); n > 0 && d.err == nil; n-- {
		h.players = append(h.players, z.unpackPlayer(&d, h))
	}
	if d.err == nil && (len(d.b) > 0 || len(h.entities) == 0) {
		d.fail("end of the hand-over")
	}
	return h, d.err
}

func (z *Zone) unpackEntity(d *dec, before int) (t traveller) {
	t.id = EntityID(d.u("entity", math.MaxUint64))
	if t.kind = z.kinds[Kind(d.u("kind", math.MaxUint16))]; t.kind == nil || !t.kind.places || t.id == 0 {
		d.fail("kind of an entity, which this game does not know, or which has no place")
		return t
	}
	t.record = d.bytes("record", maxInput)
	t.owner = EntityID(d.u("owner", math.MaxUint64))
	t.parent = int(d.u("parent", uint64(before)))
	t.offX, t.offY = d.i("offset"), d.i("offset")
	for n := d.count("timers", maxTimers, 3); n > 0 && d.err == nil; n-- {
		name := string(d.bytes("timer", maxText))
		r := entityTimer{due: uint32(d.u("ticks", math.MaxInt32)), arg: d.u("argument", math.MaxUint64), timer: math.MaxUint16}
		for i := range z.game.timers {
			if z.game.timers[i].name == name {
				r.timer = uint16(i)
			}
		}
		if r.timer == math.MaxUint16 {
			d.fail("timer " + name + ", which this game does not declare")
		}
		t.timers = append(t.timers, r)
	}
	return t
}

func (z *Zone) unpackPlayer(d *dec, h *handover) (r passenger) {
	r.avatar = int(d.u("avatar", uint64(max(len(h.entities)-1, 0))))
	ago := h.ago
	p := &Player{Session: SessionID(d.u("session", math.MaxUint64)), ID: d.u("player", math.MaxUint64), Name: string(d.bytes("name", maxText))}
	for n := d.count("rights", maxMany, 1); n > 0 && d.err == nil; n-- {
		p.Rights = append(p.Rights, string(d.bytes("right", maxText)))
	}
	p.InputSeq, p.applied = uint32(d.u("input", math.MaxUint32)), uint32(d.u("applied", math.MaxUint32))
	if p.ignores = uint32(d.u("ignored layers", math.MaxUint32)); z.layers.check(p.ignores) != nil {
		d.fail("ignored layers, which this game does not have")
	}
	for n := d.count("watched zones", maxWatched, 1); n > 0 && d.err == nil; n-- {
		r.watched = append(r.watched, uint32(d.u("zone", math.MaxUint32)))
	}
	for n := d.count("messages", maxWaiting, 4); n > 0 && d.err == nil; n-- {
		route, id, wait := uint16(d.u("route", math.MaxUint16)), uint32(d.u("id", math.MaxUint32)), uint32(d.u("ticks", math.MaxInt32))
		b := d.bytes("message", maxInput)
		h, ok := z.handlers[route]
		if !ok {
			d.fail("route of a message, which this game does not handle")
			return r
		}
		m, err := h.parse(b)
		if err != nil {
			d.fail("message")
			return r
		}
		r.box = append(r.box, letter{h: h, m: m, id: id, due: z.tick + min(wait-min(wait, ago), z.cfg.MaxAhead), arrived: z.tick, sum: mixBytes(0, b)})
	}
	for i := range h.players {
		if o := &h.players[i]; o.avatar == r.avatar || o.p.Session == p.Session {
			d.fail("player, who is in it twice")
		}
	}
	if p.Session == 0 {
		d.fail("session of a player")
	}
	r.p = p
	return r
}

// welcome gives what was handed over its place here, all of it or nothing.
func (z *Zone) welcome(h *handover, in *Input) error {
	for i := range h.entities {
		t := &h.entities[i]
		if _, ok := z.slots[t.id]; ok {
			z.undo(h)
			return fmt.Errorf("entity %d lives here already", t.id)
		}
		atX, atY := h.x, h.y
		if h.from == z.cfg.Zone { // nobody took it: it is where it was
			atX, atY = t.wasAt(atX, atY)
		}
		if t.parent > 0 {
			atX, atY = h.entities[t.parent-1].e.Position()
			atX, atY = atX+t.offX, atY+t.offY
		}
		x, y := z.nearest(t.kind, z.bounds, atX, atY)
		e, err := z.place(t.kind, t.id, x, y)
		if err == nil {
			t.e = e
			err = z.restore(e, t, x, y)
		}
		if err != nil {
			z.undo(h)
			return fmt.Errorf("entity %d: %w", t.id, err)
		}
	}
	for i := range h.players {
		if z.sessions[h.players[i].p.Session] != nil {
			z.undo(h)
			return fmt.Errorf("session %d is here already", h.players[i].p.Session)
		}
	}
	for i := range h.entities {
		t := &h.entities[i]
		if t.parent > 0 {
			z.attach(t.e, h.entities[t.parent-1].e, t.offX, t.offY)
		}
		for _, r := range t.timers {
			r.due = z.tick + min(r.due-min(r.due, h.ago), maxWait) // the tick that it was due in, or this one
			z.startTimer(t.e, r)
		}
	}
	for i := range h.players {
		z.admit(&h.players[i], h.entities[h.players[i].avatar].e, in)
	}
	for i := range h.players { // all are here before a hook looks around
		z.arrived(h.players[i].p)
	}
	return nil
}

// wasAt is where an entity was when it left; what is not to be read was where it says.
func (t *traveller) wasAt(x, y int32) (int32, int32) {
	var r delta.Record
	t.kind.codec.Init(&r)
	if _, err := t.kind.codec.ReadRecord(t.record, &r); err != nil {
		return x, y
	}
	return int32(r.W[t.kind.place.X]), int32(r.W[t.kind.place.Z])
}

// restore gives an entity its state; its place is that where it was put.
func (z *Zone) restore(e Entity, t *traveller, x, y int32) error {
	s := &z.ents[e.slot]
	rest, err := t.kind.codec.ReadRecord(t.record, &s.state)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d bytes behind a record", ErrMalformed, len(rest))
	}
	if err != nil {
		t.kind.codec.Init(&s.state)
	}
	s.state.W[t.kind.place.X], s.state.W[t.kind.place.Z] = uint32(x), uint32(y)
	s.owner = t.owner
	return err
}

// undo takes those back who have their place already.
func (z *Zone) undo(h *handover) {
	for i := range h.entities {
		if e := h.entities[i].e; e.Alive() {
			z.take(e)
		}
	}
}

// admit makes a player who was handed over one of this zone.
func (z *Zone) admit(r *passenger, avatar Entity, in *Input) {
	p := r.p
	for _, c := range in.Conns {
		if c.Session == p.Session {
			p.gateway, p.conn = c.Gateway, c.Conn
		}
	}
	if !z.knows(p.gateway) {
		p.gateway, p.conn = 0, 0
	}
	shown := false
	if v := z.visiting[p.Session]; v != nil { // it has looked into this zone until now
		z.unvisit(v)
		if shown = v.conn != 0 && v.conn == p.conn; !shown {
			z.unobserve(v)
		}
		if v.looks {
			p.view, p.looks, p.eyeX, p.eyeY, p.enter, p.leave, p.veiled = v.view, true, v.eyeX, v.eyeY, v.enter, v.leave, v.veiled
			z.observer[p.view] = p
		}
	}
	if p.conn != 0 && !shown {
		z.src.AddObserver(p.conn, p.gateway)
		if p.looks {
			z.show(p, p.view)
		}
	}
	p.avatar, p.box = avatar, r.box
	z.owners = append(z.owners, p)
	z.ents[avatar.slot].player = p
	for _, w := range r.watched {
		if w != z.cfg.Zone {
			p.views = append(p.views, watched{View: View{Zone: w, Session: p.Session, Enter: -1}}) // whatever it was shown there is out of date
			z.watched = true
		}
	}
	z.players = append(z.players, p)
	z.sessions[p.Session] = p
	if p.ID != 0 && z.byID[p.ID] == nil {
		z.byID[p.ID] = p
	}
	if p.conn != 0 {
		z.src.Input(p.conn, p.applied)
	}
	if err := z.look(p, avatar); err != nil {
		panic(fmt.Sprintf("game: %v", err)) // the index is full, which it was not a moment ago
	}
	z.tellAvatar(p)
}

// arrived tells the game of a player who was admitted. One whose player has logged in anew meanwhile ends here.
func (z *Zone) arrived(p *Player) {
	switch {
	case p.gone: // a hook before has ended it
	case p.ID != 0 && z.byID[p.ID] != p:
		z.leave(p.Session)
		z.out.Kicks = append(z.out.Kicks, Kick{p.Session, protocol.DisconnectSuperseded, "the same player has logged in again"})
	case z.game.OnArrive != nil:
		_ = z.hook("OnArrive", p, func() error { z.game.OnArrive(z, p); return nil })
	}
}

// tellAvatar tells a player's client which entity it controls, and in which zone.
func (z *Zone) tellAvatar(p *Player) {
	_ = z.Push(p, protocol.RouteAvatar, &mmov1.Avatar{Entity: uint64(p.avatar.id), Zone: z.cfg.Zone}) // two numbers always fit
}
