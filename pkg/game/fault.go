package game

import (
	"fmt"
	"runtime/debug"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// MaxShed is the highest level of shedding.
const MaxShed = 3

// ShedStats counts what was not done because a zone had too much to do.
type ShedStats struct {
	Level    uint32 // in force
	Systems  uint64 // runs of systems
	Visits   uint64 // visits of systems
	Interest uint64 // ticks in which views stayed as they were
}

// fault is what a zone remembers of code that has panicked.
type fault struct {
	count       int    // since the window began; of one session, only the first
	since       uint32 // tick
	quarantined bool
	by          map[SessionID]int // panics of sessions since the window began, of what sessions call
}

// maxCulprits bounds how many sessions a fault remembers.
const maxCulprits = 1024

// blames counts a panic that a session has caused; true: it is not the session's first, so it says nothing new about the code. One player must not be able to take a handler from all the others.
func (f *fault) blames(s SessionID) bool {
	if f.by == nil {
		f.by = map[SessionID]int{}
	}
	if f.by[s] == 0 && len(f.by) >= maxCulprits {
		return true
	}
	f.by[s]++
	return f.by[s] > 1
}

// errPanicked is what a caller is told of a handler that panicked.
var errPanicked = &Error{protocol.ErrorInternal, "the request failed"}

// guard runs a hook or a handler of the game. A panic ends that call only: it is reported, and the world goes on with what the call has changed so far.
func (z *Zone) guard(f *fault, what string, p *Player, e EntityID, call func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			z.panicked(f, what, p, e, v)
			err = errPanicked
		}
	}()
	return call()
}

// call is guard for what returns nothing.
func (z *Zone) call(f *fault, what string, p *Player, e EntityID, run func()) {
	defer func() {
		if v := recover(); v != nil {
			z.panicked(f, what, p, e, v)
		}
	}()
	run()
}

// panicked counts a panic and reports it. What panics again and again is not called any more: it would cost every tick, and its half-done work harms the world.
func (z *Zone) panicked(f *fault, what string, p *Player, e EntityID, v any) {
	z.stats.Panics++
	if f.count == 0 || z.tick-f.since > z.cfg.PanicTicks {
		f.count, f.since = 0, z.tick
		clear(f.by)
	}
	if p == nil || p.Session == 0 || !f.blames(p.Session) {
		f.count++
	}
	x := Panic{Where: what, Entity: e, Value: fmt.Sprint(v), Stack: debug.Stack()}
	if p != nil {
		x.Session = p.Session
	}
	if f.count >= z.cfg.Panics && !f.quarantined {
		f.quarantined, x.Quarantined = true, true
		z.stats.Quarantined++
	}
	z.out.Panics = append(z.out.Panics, x)
}

// hook is the memory of a hook's panics. Hooks are not quarantined: a player must be able to leave.
func (z *Zone) hook(what string, p *Player, call func() error) error {
	var f fault
	f.count = -1 << 30
	f.since = z.tick
	return z.guard(&f, what, p, 0, call)
}

// release ends quarantines.
func (z *Zone) release(name string) {
	end := func(f *fault, what string) {
		if name != "" && name != what {
			return
		}
		if f.quarantined {
			z.stats.Quarantined--
		}
		*f = fault{}
	}
	for _, s := range z.systems {
		end(&s.fault, s.name)
	}
	for _, id := range z.faultOrder {
		end(z.faults[id], z.nameOf(id))
	}
}

// faultKey names code that is called by number: a route's handler, a timer, a call's handler.
type faultKey struct {
	what byte // 'r', 't', 'c'
	id   uint16
}

// faultOf is the memory of what is called by number.
func (z *Zone) faultOf(what byte, id uint16) *fault {
	k := faultKey{what, id}
	f := z.faults[k]
	if f == nil {
		f = &fault{}
		z.faults[k] = f
		z.faultOrder = append(z.faultOrder, k)
	}
	return f
}

func (z *Zone) nameOf(k faultKey) string {
	switch k.what {
	case 'r':
		return z.handlers[k.id].route.Name
	case 't':
		return z.game.timers[k.id].name
	}
	return z.game.calls[k.id].name
}

// Quarantined names what is not called any more because it has panicked too often, in the order of its first panic, systems first.
func (z *Zone) Quarantined() (names []string) {
	for _, s := range z.systems {
		if s.fault.quarantined {
			names = append(names, s.name)
		}
	}
	for _, k := range z.faultOrder {
		if z.faults[k].quarantined {
			names = append(names, z.nameOf(k))
		}
	}
	return names
}

// errQuarantined answers what is not called any more.
func errQuarantined(name string) *Error {
	return &Error{protocol.ErrorUnavailable, name + " has failed too often and is switched off for now"}
}
