package game

import (
	"bytes"
	"fmt"
	"runtime"
)

// open panics outside of a step: whatever changes a zone does so within Setup, a handler, a hook, a timer or a system, which run inside of Step.
func (z *Zone) open() {
	if !z.stepping.Load() {
		panic(fmt.Sprintf("game: zone %d is changed outside of its tick: only its handlers, hooks, timers and systems may do that. "+
			"Work that was started elsewhere comes back by game.Go; tests and tools that own the zone use Zone.Edit", z.cfg.Zone))
	}
}

// own is open, and now and then looks whether it is the owner's goroutine that calls: one that was started within a tick may run into the next.
func (z *Zone) own() {
	z.open()
	z.uses++
	if (z.cfg.Strict || z.uses&63 == 0) && goroutine(&z.trace) != z.owner {
		panic(fmt.Sprintf("game: zone %d is used by a goroutine that is not its owner: hand results in by game.Go, whose continuation runs in the zone", z.cfg.Zone))
	}
}

// enter and exit are the bounds of what may change the zone.
func (z *Zone) enter() {
	if z.stepping.Swap(true) && !z.held {
		panic(fmt.Sprintf("game: zone %d is stepped within its own step, or by two goroutines", z.cfg.Zone))
	}
	z.owner = goroutine(&z.trace)
}

func (z *Zone) exit() { z.stepping.Store(z.held) }

// reading is what reads of the zone do: between ticks anybody may read who knows that it rests, within one only the owner. Strict looks who it is.
func (z *Zone) reading() {
	if z.cfg.Strict && z.stepping.Load() && goroutine(new([64]byte)) != z.owner {
		panic(fmt.Sprintf("game: zone %d is read by a goroutine that is not its owner, in the middle of a tick: give it copies of what it needs, as game.Go's work has to have", z.cfg.Zone))
	}
}

// Edit runs f as if within a tick: for tests and tools that own a zone which no server runs. It is no input: a recording knows nothing of it.
func (z *Zone) Edit(f func()) {
	z.enter()
	defer z.exit()
	z.fresh()
	f()
}

// goroutine is the number of the running goroutine. The runtime tells it in stack traces only, which begin with "goroutine 123 ": it costs about a microsecond.
func goroutine(b *[64]byte) (n uint64) {
	s := b[:runtime.Stack(b[:], false)]
	for _, c := range bytes.TrimPrefix(s, []byte("goroutine ")) {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}
