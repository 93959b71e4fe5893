package server

import (
	"fmt"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// ShedRule says when a zone is told to do less of what it can do without, and when more again. Loads are parts of the time between two ticks. Zero fields take their default.
type ShedRule struct {
	Above float64       // load over Rise from which on the level goes up by one; default 0.75
	Below float64       // load over Fall below which it goes down by one; default 0.4
	Rise  time.Duration // default 500 ms
	Fall  time.Duration // default 3 s
	Off   bool          // nothing is shed
}

func (r *ShedRule) validate() error {
	if r.Above == 0 {
		r.Above = 0.75
	}
	if r.Below == 0 {
		r.Below = 0.4
	}
	if r.Rise == 0 {
		r.Rise = 500 * time.Millisecond
	}
	if r.Fall == 0 {
		r.Fall = 3 * time.Second
	}
	if !(r.Above > 0 && r.Below > 0 && r.Below < r.Above) || r.Rise < 0 || r.Fall < 0 {
		return fmt.Errorf("server: Shed: Above %v, Below %v, Rise %v and Fall %v: need 0 < Below < Above, and times above 0", r.Above, r.Below, r.Rise, r.Fall)
	}
	return nil
}

// load is what a zone's level of shedding goes by: the mean of its steps since the level was looked at last.
type load struct {
	level uint32
	sum   time.Duration
	n     uint32
}

// judgeAll looks at the zones' last steps. What all of them need together, with what the server does for them, is a load too: of those that cost more than others.
func (s *Server) judgeAll(tick, period time.Duration) {
	sum := time.Duration(0)
	for _, h := range s.hosts {
		sum += h.clock.took
	}
	for _, h := range s.hosts {
		took := h.clock.took
		if took*time.Duration(len(s.hosts)) >= sum {
			took = max(took, tick)
		}
		s.judge(h, took, period)
	}
}

// judge tells a zone another level if the rule says so. The level is an input: a recording knows it.
func (s *Server) judge(h *host, took, period time.Duration) {
	r, l := &s.cfg.Shed, &h.load
	if r.Off {
		return
	}
	l.sum += took
	l.n++
	mean := float64(l.sum) / float64(l.n) / float64(period)
	rise, fall := uint32(max(r.Rise/period, 1)), uint32(max(r.Fall/period, 1))
	level := l.level
	switch {
	case l.n >= rise && mean > r.Above && level < game.MaxShed:
		level++
	case l.n >= fall && mean < r.Below && level > 0:
		level--
	case l.n < fall && (l.n < rise || mean <= r.Above):
		return // not long enough
	}
	l.sum, l.n = 0, 0
	if level == l.level {
		return
	}
	s.cfg.Log.Warn("level of shedding", "zone", h.id(), "tick", h.zone.Tick(), "level", level, "before", l.level, "load", fmt.Sprintf("%.2f", mean))
	l.level = level
	h.input(game.Input{Kind: game.Shed, Number: uint64(level)})
}
