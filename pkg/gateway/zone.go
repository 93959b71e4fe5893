package gateway

import (
	"slices"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// This file is the zones of a world, and the sessions' views of them. It all belongs to the flusher.

type zone struct {
	info  link.Zone
	rep   *replica.Zone
	lost  int    // batches refused since the last good one
	ticks uint64 // applied since the last round
}

func (g *Gateway) addZone(w *world, info link.Zone) {
	z := &zone{info: info, rep: replica.NewZone(info.ID, info.Epoch, w.codec, info.Params)}
	z.rep.Strange = func(observer uint64) {
		g.mu.Lock()
		s := g.sessions[observer]
		g.mu.Unlock()
		if s != nil && s.w == w && !s.dropped && s.client != nil {
			s.look(z)
		}
	}
	w.zones[info.ID] = z
	w.order = append(w.order, z)
}

// openZone takes a zone more. Batches of it may have come before, for they overtake messages: they were of no use, and the next one shows the gap.
func (g *Gateway) openZone(w *world, d *link.Down) {
	info, err := link.ParseZone(d.Payload)
	if err != nil {
		g.cfg.Log.Error("damaged word of the server about a zone", "error", err)
		return
	}
	if old := w.zones[info.ID]; old != nil {
		if old.info == info {
			return
		}
		g.closeZone(w, info.ID)
	}
	g.addZone(w, info)
	g.tellZones(w)
}

// closeZone lets go of a zone that is over.
func (g *Gateway) closeZone(w *world, id uint32) {
	z := w.zones[id]
	if z == nil {
		return
	}
	z.rep.Close()
	delete(w.zones, id)
	w.order = slices.DeleteFunc(w.order, func(o *zone) bool { return o == z })
	w.ticked = true // clients are told that what it held has left
	g.tellZones(w)
}

// tellZones keeps what Server says up to date.
func (g *Gateway) tellZones(w *world) {
	zones := make([]link.Zone, len(w.order))
	for i, z := range w.order {
		zones[i] = z.info
	}
	g.mu.Lock()
	w.hello.Zones = zones
	g.mu.Unlock()
}

// gathers tells whether the round waits for batches: the zones of a world step together, but their batches may come in pieces. It waits for those of one tick only, and no
// longer than until a batch of a later tick is there.
func (w *world) gathers() bool {
	var newest *zone
	for _, z := range w.order {
		if z.rep.Ready() && (newest == nil || int32(z.rep.Tick()-newest.rep.Tick()) > 0) {
			newest = z
		}
	}
	if newest == nil {
		return false
	}
	tick := newest.rep.Tick()
	if w.gathering && w.gathered != tick {
		return false
	}
	w.gathered = tick
	w.gathering = slices.ContainsFunc(w.order, func(z *zone) bool { return z.rep.Ready() && z.rep.Tick()+1 == tick })
	return w.gathering
}

// look opens the session's view of a zone, if there is none. The client is told its row at once, or when the session enters the world; there is no section of it before that message
// has left.
func (s *session) look(z *zone) {
	if z.rep.Viewed(s.id) {
		return
	}
	index, tick, ok := s.client.Open(z.rep, s.id)
	at := slices.Index(s.rowless, z.info.ID)
	switch {
	case !ok && at < 0:
		s.rowless = append(s.rowless, z.info.ID)
		s.g.cfg.Log.Warn("a client sees more zones than there are rows for: one is not shown until another is out of sight", "session", s.id, "zone", z.info.ID)
	case ok && at >= 0: // what it would have shown meanwhile was not noted
		s.rowless = slices.Delete(s.rowless, at, at+1)
		_ = s.w.link.Send(link.Up{Kind: link.RequestSnapshot, Zone: z.info.ID}) // refused only by a closed link
	}
	if !ok || s.texts != nil { // there are no state frames in text
		return
	}
	s.client.Hold(index)
	i := &z.info
	s.table = append(s.table, &mmov1.Zone{
		Index: uint32(index), Zone: i.ID, Epoch: i.Epoch, Tick: tick, TickHz: i.TickHz, PositionBits: uint32(i.Params.PositionBits),
		QuantaPerMetre: i.QuantaPerMetre, Width: uint32(i.Width), Height: uint32(i.Height),
		EnterRadius: uint32(i.EnterRadius), LeaveRadius: uint32(i.LeaveRadius), OriginX: i.Params.OriginX, OriginZ: i.Params.OriginZ, Margin: uint32(i.Margin),
	})
	if s.entered {
		s.tellRows()
	}
}

// tellRows tells the client the rows that it does not know.
func (s *session) tellRows() {
	for _, row := range s.table {
		s.message(protocol.TypePush, protocol.RouteZone, 0, row)
	}
	s.table, s.telling = nil, true
}

// events appends the round's events about what the client has to a record, behind its state: one that finds no room there waits in the queue. reachable: the connection takes a record
// now. What cannot be given is dropped and counted.
func (s *session) events(plain []byte, reachable bool) []byte {
	g, c := s.g, s.g.counters.flusher()
	reachable = reachable && !s.isBehind()
	dropped := 0
	dropped += s.client.Events(s.texts != nil, func(e *replica.Event) {
		f := protocol.Frame{Type: protocol.TypePush, Route: e.Route, Payload: e.Payload}
		b := s.encoded(e, f)
		switch {
		case !reachable || len(b) > g.queue.frame:
			dropped++
		case s.texts != nil || len(plain)+len(b) > g.queue.frame:
			s.push(f)
		default:
			plain = append(plain, b...)
			c.out(f.Type, max(s.w.class(f), protocol.AOIEvent), len(b))
		}
	})
	if dropped > 0 {
		c.shed(protocol.AOIEvent, dropped)
	}
	return plain
}

// encoded is an event's frame, made once for all clients that speak alike.
func (s *session) encoded(e *replica.Event, f protocol.Frame) []byte {
	form := 0
	if s.json.Load() && s.w.converter != nil && s.texts == nil {
		form = 1
	}
	if e.Encoded[form] == nil {
		if form == 1 {
			f = s.g.inJSON(s.w, f)
		}
		e.Encoded[form] = protocol.AppendFrame(nil, f)
	}
	return e.Encoded[form]
}

// isBehind tells whether the client does not keep up with its queue.
func (s *session) isBehind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out != nil && s.out.behind(&s.g.queue, s.g.at)
}
