package game

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
)

// Phase is a part of a step, in the order in which they come.
type Phase uint8

// Phases of a step.
const (
	PhaseInputs   Phase = iota // inputs are taken: players come and go, results and calls arrive
	PhaseHandlers              // players' messages
	PhaseTimers
	PhaseSystems
	PhaseCrossing // children follow their parents; who has crossed a border is handed over
	PhaseInterest // who sees whom
	PhaseEncode   // surprises are encoded, batches written
	Phases        = int(PhaseEncode) + 1
)

// String names a phase.
func (p Phase) String() string {
	names := [Phases]string{"inputs", "handlers", "timers", "systems", "crossing", "interest", "encode"}
	if int(p) < len(names) {
		return names[p]
	}
	return "unknown"
}

// Schedule says how often something happens, in whole ticks. The zero Schedule is every tick.
type Schedule struct {
	every uint32
	sheds bool
}

// Every is once in n ticks; 0 and 1: every tick.
func Every(n uint32) Schedule { return Schedule{every: n} }

// Shed makes it half as often at each level of shedding: what a zone under too much load can do without.
func (s Schedule) Shed() Schedule {
	s.sheds = true
	return s
}

// interval in ticks at a level of shedding.
func (s Schedule) interval(level uint32) uint32 {
	n := max(s.every, 1)
	if s.sheds {
		n <<= min(level, MaxShed)
	}
	return n
}

type system struct {
	name  string
	when  Schedule
	run   func()
	kind  *kind // visit's
	visit func(e Entity)
	fault fault
}

// System adds something that happens every tick, after handlers and timers, in the order of adding. For Setup.
func (z *Zone) System(run func()) { z.SystemEvery(Schedule{}, run) }

// SystemEvery adds something that happens by a schedule, as System does.
func (z *Zone) SystemEvery(when Schedule, run func()) {
	z.open()
	z.systems = append(z.systems, &system{name: funcName(run), when: when, run: run})
}

// Visit adds a system that visits every entity of a kind once per interval, spread evenly: at Every(5) a fifth of them per tick, each when its turn comes. For Setup.
func (z *Zone) Visit(when Schedule, k Kind, visit func(e Entity)) {
	z.open()
	if z.kinds[k] == nil {
		panic(fmt.Sprintf("game: a system visits entities of kind %d, which is not in the game's schema", k))
	}
	z.systems = append(z.systems, &system{name: funcName(visit), when: when, kind: z.kinds[k], visit: visit})
}

// funcName is a function's name for people: "plains.(*world).walk".
func funcName(f any) string {
	name := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
	return strings.TrimSuffix(name[strings.LastIndexByte(name, '/')+1:], "-fm")
}

// runSystems runs what is due. A system that panics loses the rest of this run, a visit only itself.
func (z *Zone) runSystems() {
	for _, s := range z.systems {
		if s.fault.quarantined {
			continue
		}
		n := s.when.interval(z.shed)
		switch {
		case s.visit != nil:
			z.visitDue(s, n)
		case z.tick%n == 0:
			z.call(&s.fault, s.name, nil, 0, s.run)
		case z.tick%s.when.interval(0) == 0:
			z.stats.Shed.Systems++
			continue
		default:
			continue
		}
		z.observe(PhaseSystems, s.name)
	}
}

// visitDue visits those whose turn it is: by slot, so that each has the same turn all its life here.
func (z *Zone) visitDue(s *system, n uint32) {
	unshed := s.when.interval(0)
	for i, end := 0, len(s.kind.slots); i < end && !s.fault.quarantined; { // those spawned meanwhile are visited from the next tick on
		i = z.visitSome(s, i, end, n, unshed)
	}
}

// visitSome visits from place i on until one panics, or to end, and returns where to go on.
func (z *Zone) visitSome(s *system, i, end int, n, unshed uint32) (next int) {
	var e Entity
	defer func() {
		if v := recover(); v != nil {
			z.panicked(&s.fault, s.name, nil, e.id, v)
			next = i + 1
		}
	}()
	for ; i < end; i++ {
		slot := s.kind.slots[i] // not of a copy: a visit may spawn, which moves the list, and despawn, which marks it
		switch {
		case slot == none || z.ents[slot].dead:
		case slot%n == z.tick%n:
			e = Entity{z, slot, z.ents[slot].id}
			s.visit(e)
		case n != unshed && slot%unshed == z.tick%unshed:
			z.stats.Shed.Visits++
		}
	}
	return i
}
