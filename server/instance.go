package server

import (
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/link"
)

// instanceKey names an instance.
type instanceKey struct {
	template string
	key      uint64
}

// waiting is a hand-over to an instance that is being made.
type waiting struct {
	from *host
	game.Departure
}

// made is what became of an instance that was asked for.
type made struct {
	h, new *host
	err    error
}

// instanceFor finds an instance, or begins to make it: then what goes to it waits. nil: there is no such template, or there are too many instances.
func (s *Server) instanceFor(k instanceKey) *host {
	if h := s.instances[k]; h != nil {
		return h
	}
	template := s.game.InstanceOf(k.template)
	if template == nil || len(s.instances) >= s.cfg.MaxInstances {
		return nil
	}
	s.lastZone++
	h := &host{cfg: game.Config{Zone: s.lastZone}, instance: k}
	s.instances[k], s.byZone[h.id()] = h, h
	first := s.hosts[0].zone
	epoch, tick, set := first.Config().Epoch, first.Tick(), first.Tables()
	s.asking.Go(func() { // it may take longer than a tick
		m := made{h: h}
		defer func() {
			if v := recover(); v != nil {
				m.err = fmt.Errorf("setting up panicked: %v\n%s", v, debug.Stack())
			}
			s.mu.Lock()
			s.made = append(s.made, m)
			s.mu.Unlock()
		}()
		cfg := template(k.key)
		cfg.Zone, cfg.Epoch, cfg.World, cfg.FirstTick = h.cfg.Zone, epoch, 0, tick+1
		cfg.Instance, cfg.Key = h.instance.template, k.key
		if cfg.Tables == nil {
			cfg.Tables = set
		}
		if m.new, m.err = s.newHost(cfg); m.err == nil {
			m.err = s.record(m.new)
		}
	})
	return h
}

// opens takes an instance that was made among the zones, or sends those who wait for it back.
func (s *Server) opens(m *made) {
	h := m.h
	if m.err != nil {
		s.cfg.Log.Error("an instance cannot be made; who was on the way to it goes back", "template", h.instance.template, "key", h.instance.key, "error", m.err)
		s.giveUp(h)
		return
	}
	h.zone, h.cfg, h.clock, h.rec = m.new.zone, m.new.cfg, m.new.clock, m.new.rec
	for now := s.hosts[0].zone.Tick(); int32(now-h.zone.Tick()) > 0; { // the ticks that passed while it was made
		h.step(nil)
		s.exchange(h) // what it begins with is not lost because making it took long
		s.emit(h)
	}
	zone := h.describe()
	s.mu.Lock()
	s.told = append(s.told, zone)
	s.mu.Unlock()
	for _, g := range s.gateways {
		s.reliable(g.id, link.Down{Kind: link.ZoneOpened, Zone: h.id(), Payload: link.AppendZone(nil, &zone)})
	}
	late := h.inputs
	h.inputs = nil
	s.add(h)
	for i := range h.waiting {
		s.arrive(h, &h.waiting[i].Departure)
		for _, id := range h.waiting[i].Players {
			if x := s.sessions[uint64(id)]; x != nil && x.zone == h {
				s.tell(x, link.Down{Kind: link.Entered, Zone: h.id()})
			}
		}
	}
	h.waiting = nil
	h.inputs = append(h.inputs, late...)
	h.start()
	s.cfg.Log.Info("instance opens", "template", h.instance.template, "key", h.instance.key, "zone", h.id())
}

// giveUp lets go of an instance that could not be made.
func (s *Server) giveUp(h *host) {
	delete(s.instances, h.instance)
	delete(s.byZone, h.id())
	back := map[game.SessionID]*host{}
	for i := range h.waiting {
		w := &h.waiting[i]
		from := w.from
		if s.host(from.id()) != from {
			from = s.hosts[0] // it has closed meanwhile
		}
		d := w.Departure
		d.To = game.Destination{Zone: from.id()}
		s.handOver(from, &d)
		for _, id := range d.Players {
			back[id] = from
		}
	}
	for _, in := range h.inputs {
		if to := back[in.Session]; to != nil {
			to.input(in)
		}
	}
	s.forget(h)
}

// closeIdle closes the instances in which nobody has been for long.
func (s *Server) closeIdle() {
	for i := 0; i < len(s.hosts); i++ {
		h := s.hosts[i]
		if h.instance == (instanceKey{}) {
			continue
		}
		if h.sessions > 0 || h.zone.PlayerCount() > 0 || len(h.inputs) > 0 || h.zone.Waiting() > 0 { // what was begun, as a payment is, must be ended
			h.idle = 0
			continue
		}
		if h.idle++; h.idle < s.instanceTicks {
			continue
		}
		s.remove(h)
		i--
	}
}

// remove closes a zone: what lives in it ends.
func (s *Server) remove(h *host) {
	s.hosts = slices.DeleteFunc(s.hosts, func(x *host) bool { return x == h })
	delete(s.byZone, h.id())
	delete(s.instances, h.instance)
	if err := h.stop(); err != nil {
		s.cfg.Log.Error("a recording did not end well", "zone", h.id(), "error", err)
	}
	for _, g := range s.gateways {
		s.reliable(g.id, link.Down{Kind: link.ZoneClosed, Zone: h.id()})
	}
	s.mu.Lock()
	s.told = slices.DeleteFunc(s.told, func(z link.Zone) bool { return z.ID == h.id() })
	s.mu.Unlock()
	s.forget(h)
	s.cfg.Log.Info("instance closes", "template", h.instance.template, "key", h.instance.key, "zone", h.id())
}

// catchUp tells a gateway that has joined of the instances that came and went since it was told the zones.
func (s *Server) catchUp(g *gateway) {
	is := func(id uint32) func(link.Zone) bool { return func(z link.Zone) bool { return z.ID == id } }
	for _, h := range s.hosts {
		if !slices.ContainsFunc(g.knew, is(h.id())) {
			zone := h.describe()
			s.reliable(g.id, link.Down{Kind: link.ZoneOpened, Zone: h.id(), Payload: link.AppendZone(nil, &zone)})
		}
	}
	for _, z := range g.knew {
		if s.host(z.ID) == nil {
			s.reliable(g.id, link.Down{Kind: link.ZoneClosed, Zone: z.ID})
		}
	}
	g.knew = nil
}
