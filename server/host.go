package server

import (
	"fmt"
	"slices"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/record"
	"github.com/tianxia-mmo/tianxia/pkg/link"
)

// host is a zone with the goroutine that owns it. All zones of a server are stepped together: they share the number of the tick, and what one gives another in a tick is its input in the next.
// Between steps the zone rests, and the server may read it.
type host struct {
	cfg    game.Config
	zone   *game.Zone // nil: an instance that is being made
	inputs []game.Input
	out    *game.Outputs
	work   chan []game.Input
	done   chan struct{} // the step that was asked for has been made; closed when the goroutine has ended

	instance instanceKey // of an instance
	idle     uint32      // ticks without a player
	sessions int         // that have it as their home
	clock    *clock
	seen     ZoneStats // its percentiles, as of its last turn
	waiting  []waiting // for an instance that is being made
	load     load
	rec      *record.Recorder
}

// id is the zone's number.
func (h *host) id() uint32 { return h.cfg.Zone }

// newHost makes a zone with the server's hooks in it. It starts nothing.
func (s *Server) newHost(cfg game.Config) (*host, error) {
	h := &host{clock: newClock()}
	then := cfg.Observe
	clock := h.clock
	cfg.Observe = func(p game.Phase, name string) {
		if name == "" {
			clock.lap(p)
		}
		if then != nil {
			then(p, name)
		}
	}
	z, err := game.NewZone(s.game, cfg)
	if err != nil {
		return nil, err
	}
	h.zone, h.cfg = z, z.Config()
	return h, nil
}

// step makes one step, on the goroutine that owns the zone now.
func (h *host) step(in []game.Input) {
	h.clock.begin()
	h.out = h.zone.Step(in)
	if h.rec != nil {
		h.rec.Tick(h.zone, in)
	}
	h.clock.end()
}

// start begins the goroutine that owns the zone from now on.
func (h *host) start() {
	h.work, h.done = make(chan []game.Input), make(chan struct{})
	go func() {
		defer close(h.done)
		for in := range h.work {
			h.step(in)
			h.done <- struct{}{}
		}
	}()
}

// stop ends it, and waits.
func (h *host) stop() error {
	if h.work != nil { // it was started
		close(h.work)
		<-h.done
	}
	if h.rec != nil {
		return h.rec.Close()
	}
	return nil
}

// input adds to the next step's.
func (h *host) input(in game.Input) { h.inputs = append(h.inputs, in) }

// step steps all zones at once and waits for them.
func (s *Server) step() {
	ready := s.hosts
	for _, h := range ready {
		h.work <- h.inputs
	}
	for _, h := range ready {
		<-h.done
		clear(h.inputs) // payloads
		h.inputs = h.inputs[:0]
	}
}

// host finds a zone by its number; nil: it is not here.
func (s *Server) host(zone uint32) *host {
	return s.byZone[zone]
}

// add takes a zone that was made among those that are stepped.
func (s *Server) add(h *host) {
	s.hosts = append(s.hosts, h)
	s.byZone[h.id()] = h
	waiting := h.inputs
	h.inputs = nil
	for _, g := range s.gateways {
		h.input(game.Input{Kind: game.AttachGateway, Gateway: g.id})
	}
	h.inputs = append(h.inputs, waiting...)
}

// introduce tells the zones of their neighbours.
func (s *Server) introduce() {
	all := make([]game.Config, 0, len(s.hosts))
	for _, h := range s.hosts {
		all = append(all, h.cfg)
	}
	for _, h := range s.hosts {
		if n := game.NeighboursOf(h.cfg, all, h.zone.Reach()); len(n) > 0 {
			h.input(game.Input{Kind: game.Neighbours, Payload: game.AppendNeighbours(nil, n)})
		}
	}
}

// describe is what gateways are told of a zone.
func (h *host) describe() link.Zone {
	c, z := &h.cfg, h.zone
	return link.Zone{ID: c.Zone, Epoch: c.Epoch, Params: z.Params(), TickHz: z.TickHz(), QuantaPerMetre: 1 / z.Quantum(),
		Width: c.Width, Height: c.Height, EnterRadius: c.EnterRadius, LeaveRadius: c.LeaveRadius, Margin: c.X - z.Params().OriginX}
}

// toAll gives every zone an input.
func (s *Server) toAll(in game.Input) {
	for _, h := range s.byZone {
		h.input(in)
	}
}

// checkZones refuses zones that cannot be in one server.
func checkZones(all []game.Config) error {
	for i := range all {
		a := &all[i]
		for j := range i {
			b := &all[j]
			if a.Zone == b.Zone {
				return fmt.Errorf("server: two zones have the number %d: give each its own, as game.Grid does", a.Zone)
			}
			if a.World != 0 && a.World == b.World && a.X < b.X+b.Width && b.X < a.X+a.Width && a.Y < b.Y+b.Height && b.Y < a.Y+a.Height {
				return fmt.Errorf("server: zones %d and %d of world %d overlap: a place belongs to one zone", b.Zone, a.Zone, a.World)
			}
		}
	}
	return nil
}

// zoneAt finds the zone of a world that holds a place.
func (s *Server) zoneAt(world uint32, x, y int32) *host {
	i := slices.IndexFunc(s.hosts, func(h *host) bool {
		c := &h.cfg
		return world != 0 && c.World == world && x >= c.X && x < c.X+c.Width && y >= c.Y && y < c.Y+c.Height
	})
	if i < 0 {
		return nil
	}
	return s.hosts[i]
}

// clock measures the phases of a zone's steps. The owner's goroutine writes it during a step, the server reads it between.
type clock struct {
	last   time.Time
	begun  time.Time
	took   time.Duration              // of the last step
	laps   [game.Phases]time.Duration // of the last step
	phases [game.Phases]ring
	steps  ring
}

// clockMemory is how many steps are looked back upon.
const clockMemory = 600

func newClock() *clock {
	c := &clock{}
	c.steps.d = make([]time.Duration, clockMemory)
	for i := range c.phases {
		c.phases[i].d = make([]time.Duration, clockMemory)
	}
	return c
}

func (c *clock) begin() {
	c.begun = time.Now()
	c.last = c.begun
	c.laps = [game.Phases]time.Duration{}
}

func (c *clock) lap(p game.Phase) {
	now := time.Now()
	c.laps[p] += now.Sub(c.last)
	c.last = now
}

func (c *clock) end() {
	c.took = time.Since(c.begun)
	c.steps.add(c.took)
	for i := range c.phases {
		c.phases[i].add(c.laps[i])
	}
}
