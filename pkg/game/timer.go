package game

import (
	"fmt"
	"slices"
)

// Timer is something that happens to an entity after some time. It is made once, with the game; Timer.After starts it for an entity, with which it moves to whatever zone.
type Timer struct{ id uint16 } // place in Game.timers + 1

// at is the timer's place among its game's.
func (t Timer) at(z *Zone) uint16 {
	if t.id == 0 || int(t.id) > len(z.game.timers) {
		panic("game: this timer is none of the zone's game: keep the one that Game.Timer gave for it")
	}
	return t.id - 1
}

type timerKind struct {
	name string
	run  func(z *Zone, e Entity, arg uint64)
}

// entityTimer is one that runs.
type entityTimer struct {
	due    uint32
	timer  uint16
	serial uint64
	arg    uint64
}

// maxWait is the longest time that anything waits, in ticks: at 20 Hz some 20 months. Ticks wrap, and are compared by their difference.
const maxWait = 1 << 30

// maxTimers bounds the timers of one entity: more are a mistake of the game's.
const maxTimers = 256

// Timer declares a timer under a name that stays the same while worlds run: hand-overs and recordings know it by it.
func (g *Game) Timer(name string, run func(z *Zone, e Entity, arg uint64)) Timer {
	for i := range g.timers {
		if g.timers[i].name == name {
			g.fail(fmt.Errorf("timer %q is declared twice", name))
		}
	}
	g.timers = append(g.timers, timerKind{name, run})
	return Timer{uint16(len(g.timers))}
}

// After has the timer run for an entity in so many ticks from now, 0 meaning the next; arg is handed to it. It does not run if the entity does not live then.
// Several of one timer may run for one entity. No timer waits for more than 2^30 ticks.
func (t Timer) After(b Being, ticks uint32, arg uint64) {
	e := b.entity()
	x := e.get()
	z := e.z
	z.own()
	if len(x.timers) >= maxTimers {
		panic(fmt.Sprintf("game: entity %d has %d timers already: cancel them, or start one when the last has run", e.id, maxTimers))
	}
	z.startTimer(e, entityTimer{due: z.tick + min(max(ticks, 1), maxWait), timer: t.at(z), arg: arg})
}

func (z *Zone) startTimer(e Entity, t entityTimer) {
	z.serial++
	t.serial = z.serial
	x := &z.ents[e.slot]
	x.timers = append(x.timers, t)
	z.alarms.push(alarm{due: t.due, serial: t.serial, slot: e.slot})
	if len(z.alarms) > 2*z.swept+64 {
		z.sweep()
	}
}

// sweep takes out the alarms whose timers were cancelled or whose entities have gone: a timer that is put off again and again leaves one each time.
func (z *Zone) sweep() {
	kept := z.alarms[:0]
	for _, a := range z.alarms {
		if a.slot == none || z.rings(&a) {
			kept = append(kept, a)
		}
	}
	clear(z.alarms[len(kept):])
	z.alarms = kept
	for i := len(kept)/2 - 1; i >= 0; i-- {
		z.alarms.down(i)
	}
	z.swept = len(kept)
}

// rings tells whether an alarm's timer still runs.
func (z *Zone) rings(a *alarm) bool {
	x := &z.ents[a.slot]
	return x.id != 0 && slices.ContainsFunc(x.timers, func(t entityTimer) bool { return t.serial == a.serial })
}

// Cancel stops every run of the timer for an entity, and tells how many there were.
func (t Timer) Cancel(b Being) int {
	e := b.entity()
	x := e.get()
	e.z.own()
	n, at := len(x.timers), t.at(e.z)
	x.timers = slices.DeleteFunc(x.timers, func(r entityTimer) bool { return r.timer == at })
	return n - len(x.timers)
}

// Left tells in how many ticks the timer runs next for an entity; ok is false if it does not.
func (t Timer) Left(b Being) (ticks uint32, ok bool) {
	e := b.entity()
	x, at := e.get(), t.at(e.z)
	for _, r := range x.timers {
		if left := r.due - e.z.tick; r.timer == at && (!ok || left < ticks) {
			ticks, ok = left, true
		}
	}
	return ticks, ok
}

// After calls run in so many ticks from now, 0 meaning the next, among the timers. It belongs to the zone: what belongs to an entity is a Timer's.
func (z *Zone) After(ticks uint32, run func()) {
	z.own()
	z.serial++
	z.alarms.push(alarm{due: z.tick + min(max(ticks, 1), maxWait), serial: z.serial, slot: none, run: run})
}

// alarm is an entry of the zone's heap of what is due when. One whose entity, or whose entity's timer, has gone is passed over when its time comes.
type alarm struct {
	due    uint32
	serial uint64
	slot   uint32 // none: run is called
	run    func()
}

// alarms is a binary heap, the earliest first; of one tick, in order of starting.
type alarms []alarm

func (a *alarm) before(b *alarm) bool {
	if a.due != b.due {
		return int32(a.due-b.due) < 0
	}
	return a.serial < b.serial
}

func (h *alarms) push(a alarm) {
	*h = append(*h, a)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if !s[i].before(&s[up]) {
			break
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
}

func (h *alarms) pop() alarm {
	s := *h
	top, n := s[0], len(s)-1
	s[0], s[n] = s[n], alarm{}
	*h = s[:n]
	h.down(0)
	return top
}

// down brings the entry at i to its place among those below it.
func (h *alarms) down(i int) {
	s := *h
	for n := len(s); ; {
		c := 2*i + 1
		if c >= n {
			return
		}
		if c+1 < n && s[c+1].before(&s[c]) {
			c++
		}
		if !s[c].before(&s[i]) {
			return
		}
		s[i], s[c] = s[c], s[i]
		i = c
	}
}

// runTimers runs what is due.
func (z *Zone) runTimers() {
	for len(z.alarms) > 0 && int32(z.alarms[0].due-z.tick) <= 0 {
		a := z.alarms.pop()
		if a.slot == none {
			_ = z.hook("a delayed call", nil, func() error { a.run(); return nil }) // as hooks are, none is quarantined: they are different functions
			continue
		}
		x := &z.ents[a.slot]
		i := slices.IndexFunc(x.timers, func(t entityTimer) bool { return t.serial == a.serial })
		if i < 0 || x.id == 0 {
			continue
		}
		t := x.timers[i]
		x.timers = slices.Delete(x.timers, i, i+1)
		k := &z.game.timers[t.timer]
		f := z.faultOf('t', t.timer)
		if f.quarantined {
			continue
		}
		e := Entity{z, a.slot, x.id}
		z.ring(f, k, e, t.arg)
		z.observe(PhaseTimers, k.name)
	}
}

// ring runs a timer: what it panics with ends this run only.
func (z *Zone) ring(f *fault, k *timerKind, e Entity, arg uint64) {
	defer func() {
		if v := recover(); v != nil {
			z.panicked(f, k.name, nil, e.id, v)
		}
	}()
	k.run(z, e, arg)
}
