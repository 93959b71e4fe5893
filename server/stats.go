package server

import (
	"fmt"
	"slices"
	"time"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Stats is what a server measured. Durations are of the steps of the last minute.
type Stats struct {
	Players, Entities   int
	Gateways            int    // joined now
	GatewaysLost        uint64 // whose link has ended while the server ran, for whatever reason
	Tick                uint32
	StepP50, StepP99    time.Duration
	Overruns            uint64      // ticks that began more than one tick late
	Skipped             uint64      // ticks given up because catching up would have taken too long
	Strangers           uint64      // messages of gateways about connections that are not theirs, or not any more, refused
	Sessions            int         // those that linger and those that wait included
	Lingering           int         // of them without a connection
	Queued              int         // of them in the login queue
	Resumed             uint64      // sessions that went on over another connection
	NotRecovered        uint64      // attempts at that which found nothing
	Unacknowledged      int         // bytes of numbered messages that clients have not acknowledged, refreshed twice a second
	LostBatches         uint64      // refused by a link that was full
	LostLinks           uint64      // given up because a reliable message found no room
	HandOvers           uint64      // of entities or groups of entities from one zone to another
	Instances           int         // that are open
	Jobs                int         // of the zones, under way
	ZoneStats           game.Stats  // of all zones together
	Zones               []ZoneStats // in order of opening; refreshed twice a second
	ticks, refreshTicks uint64
}

// ZoneStats is what was measured of one zone.
type ZoneStats struct {
	Zone                        uint32
	Players, Visitors, Entities int           // visitors: players of other zones who look into it
	StepP50, StepP99            time.Duration // of the last minute's steps
	Phases                      [game.Phases]PhaseStats
	Quarantined                 []string // handlers, systems and timers that are switched off
	Stats                       game.Stats
}

// PhaseStats is how long a phase of the last minute's steps took.
type PhaseStats struct{ P50, P99 time.Duration }

// Stats returns the latest measurements.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

func (s *Server) count(f func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.stats)
}

func (s *Server) measure(step time.Duration, late bool, lost uint64) {
	s.times.add(step)
	s.count(func(st *Stats) {
		st.Players, st.Entities, st.Tick, st.Instances, st.Jobs = 0, 0, s.now(), len(s.instances), s.jobs
		for _, h := range s.hosts {
			st.Players += h.zone.PlayerCount()
			st.Entities += h.zone.Len()
		}
		st.LostBatches += lost
		if late {
			st.Overruns++
		}
		if st.ticks++; st.ticks >= st.refreshTicks { // sorting a minute's steps is worth doing twice a second, not twenty times
			st.refreshTicks = st.ticks + uint64(s.hz+1)/2
			st.StepP50, st.StepP99 = s.times.percentiles()
			st.Zones, st.ZoneStats = s.zoneStats()
			st.Unacknowledged = 0
			for _, x := range s.sessions {
				st.Unacknowledged += x.out.bytes
			}
		}
	})
}

// sortZone brings the percentiles of one zone up to date, each tick another's: sorting a minute's steps of all of them would stop the world.
func (s *Server) sortZone() {
	s.sorted++
	h := s.hosts[s.sorted%len(s.hosts)]
	h.seen.StepP50, h.seen.StepP99 = h.clock.steps.percentiles()
	for i := range h.seen.Phases {
		h.seen.Phases[i].P50, h.seen.Phases[i].P99 = h.clock.phases[i].percentiles()
	}
}

// zoneStats looks at every zone, which rests.
func (s *Server) zoneStats() (all []ZoneStats, sum game.Stats) {
	for _, h := range s.hosts {
		z := ZoneStats{Zone: h.id(), StepP50: h.seen.StepP50, StepP99: h.seen.StepP99, Phases: h.seen.Phases, Players: h.zone.PlayerCount(), Visitors: h.zone.Visitors(), Entities: h.zone.Len(), Quarantined: h.zone.Quarantined(), Stats: h.zone.Stats()}
		all = append(all, z)
		sum.Add(&z.Stats)
	}
	return all, sum
}

// status tells every player how the server is.
func (s *Server) status() {
	st := s.Stats()
	b, err := protocol.Marshal(&mmov1.Status{
		Players: uint32(st.Players), Entities: uint32(st.Entities), TickOverruns: st.Overruns,
		TickUsP50: uint32(st.StepP50.Microseconds()), TickUsP99: uint32(st.StepP99.Microseconds()),
	})
	if err != nil {
		panic(fmt.Sprintf("server: status cannot be marshalled: %v", err))
	}
	for _, g := range s.gateways {
		_ = g.port.Send(link.Down{Kind: link.Broadcast, Type: protocol.TypePush, Route: protocol.RouteStatus, Payload: b}) // lossy by class: the next one comes
	}
}

// ring keeps the durations of the last minute's steps.
type ring struct {
	d []time.Duration
	n int
}

func (r *ring) add(d time.Duration) {
	r.d[r.n%len(r.d)] = d
	r.n++
}

func (r *ring) percentiles() (p50, p99 time.Duration) {
	n := min(r.n, len(r.d))
	if n == 0 {
		return 0, 0
	}
	s := slices.Sorted(slices.Values(r.d[:n]))
	return s[n/2], s[n*99/100]
}
