package record

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// Verdict is what two replays of the same inputs say of each other.
type Verdict struct {
	Ticks   uint64 // stepped
	Culprit *Culprit
}

// Culprit is the first thing after which two replays of the same inputs were not alike.
type Culprit struct {
	Tick     uint32
	Setup    bool   // they were not alike before their first tick: Game.Setup is it
	Phase    string // of the step
	Name     string // of the system, handler, timer or hook in it; empty: the phase's own work
	After    string // what was observed before it, and was alike; empty: the tick's begin
	First    uint64 // the one's hash then
	Second   uint64
	Entities []EntityDifference // that differ at the end of that tick, the first as recorded and the second as replayed
	More     int
}

// point is a moment of a step.
type point struct {
	phase game.Phase
	name  string
	hash  uint64
}

func (p point) String() string {
	if p.name == "" {
		return fmt.Sprintf("phase %v", p.phase)
	}
	return fmt.Sprintf("%s in phase %v", p.name, p.phase)
}

// walker is a zone that notes its hash at every moment that it observes.
type walker struct {
	z     *game.Zone
	trail []point
	image image
}

func newWalker(h *Header, g *game.Game, o Options) (*walker, error) {
	w := &walker{}
	z, _, err := fresh(h, g, o, func(p game.Phase, name string) {
		if w.z != nil { // not while it is set up
			w.trail = append(w.trail, point{p, name, w.z.Hash()})
		}
	})
	w.z = z
	return w, err
}

// Trail steps two fresh zones through so many ticks of a recording, in lockstep, and compares them at the end of every handler, timer, system and phase. They are told the same: the first of these after which
// they differ depends on something that is no input. If they agree, and not with the recording, the original has seen something that was no input, or was another program. Trail takes
// as long as hashing the zones that often; Options.Each is not called.
func Trail(r io.Reader, g *game.Game, o Options, ticks uint64) (Verdict, error) {
	var v Verdict
	d, err := NewReader(r)
	if err != nil {
		return v, err
	}
	h := d.Header()
	a, err := newWalker(&h, g, o)
	if err != nil {
		return v, err
	}
	b, err := newWalker(&h, g, o)
	if err != nil {
		return v, err
	}
	most := o.MaxEntities
	if most == 0 {
		most = 20
	}
	if x, y := a.z.Hash(), b.z.Hash(); x != y {
		v.Culprit = &Culprit{Tick: a.z.Tick(), Setup: true, First: x, Second: y}
		v.Culprit.describe(a, b, most)
		return v, nil
	}
	for v.Ticks < ticks {
		t, err := d.Next()
		if errors.Is(err, io.EOF) {
			return v, nil
		}
		if err != nil {
			return v, err
		}
		v.Ticks++
		if err := a.step(t); err != nil {
			return v, err
		}
		if err := b.step(t); err != nil {
			return v, err
		}
		if v.Culprit = differ(a.trail, b.trail); v.Culprit != nil {
			v.Culprit.Tick = t.Number
			v.Culprit.describe(a, b, most)
			return v, nil
		}
	}
	return v, nil
}

func (w *walker) step(t *Tick) error {
	w.trail = w.trail[:0]
	if err := step(w.z, t); err != nil {
		return err
	}
	w.trail = append(w.trail, point{game.Phase(game.Phases - 1), "", w.z.Hash()})
	return nil
}

// differ finds the first moment at which two trails of a tick differ; nil: there is none.
func differ(a, b []point) *Culprit {
	for i := range max(len(a), len(b)) {
		var x, y point
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x == y {
			continue
		}
		c := &Culprit{Phase: x.phase.String(), Name: x.name, First: x.hash, Second: y.hash}
		if i >= len(a) {
			c.Phase, c.Name = y.phase.String(), y.name
		}
		if i > 0 {
			c.After = a[i-1].String()
		}
		return c
	}
	return nil
}

// describe names the entities that differ between two zones as they are now.
func (c *Culprit) describe(a, b *walker, most int) {
	a.image.look(a.z)
	b.image.look(b.z)
	for slot := range max(len(a.image.slots), len(b.image.slots)) {
		var x, y trace
		if slot < len(a.image.slots) {
			x = a.image.slots[slot]
		}
		if slot < len(b.image.slots) {
			y = b.image.slots[slot]
		}
		switch {
		case x == y:
		case len(c.Entities) >= most:
			c.More++
		default:
			c.Entities = append(c.Entities, EntityDifference{uint32(slot), traceOf(a.z, x), traceOf(b.z, y), Describe(b.z, y.id)})
		}
	}
}

// String says it for people, in several lines.
func (v Verdict) String() string {
	c := v.Culprit
	if c == nil {
		return fmt.Sprintf("Two replays of the same inputs agree with each other in all of %d ticks, but not with the recording.\n"+
			"why: the original saw something that was no input: something that changes between processes or machines and not between two replays (an environment variable, a file, the date, another "+
			"build, memory that a data race has spoilt), or state that zones share\nfix: have the rules changed since? Then this is the change: builds of changed sources look alike. If not, look at what the differing entities read; if the recording is of another build, replay it with that one", v.Ticks)
	}
	var b strings.Builder
	switch {
	case c.Setup:
		b.WriteString("Two fresh zones of this game differ before their first tick: Game.Setup makes something that depends on no input.")
	case c.Name != "":
		fmt.Fprintf(&b, "Two replays of the same inputs differ from each other: first in tick %d, phase %s, after %s.", c.Tick, c.Phase, c.Name)
	default:
		fmt.Fprintf(&b, "Two replays of the same inputs differ from each other: first in tick %d, at the end of phase %s.", c.Tick, c.Phase)
	}
	if c.After != "" {
		fmt.Fprintf(&b, " Both were alike after %s.", c.After)
	}
	b.WriteString("\nwhy: it depends on something that is no input: the order in which a map is walked, the time, a random number that is not the zone's Rand, a pointer's value, " +
		"a goroutine, or a variable that zones share\nfix: walk sorted keys, ask Zone.Tick for the time and Zone.Rand for chance, and bring results of other work in by game.Go")
	for _, e := range c.Entities {
		fmt.Fprintf(&b, "\nslot %d: in one replay %v; in the other %v", e.Slot, e.Recorded, e.Replayed)
		if e.State != "" {
			b.WriteString("\n  " + strings.ReplaceAll(e.State, "\n", "\n  "))
		}
	}
	if c.More > 0 {
		fmt.Fprintf(&b, "\nand %d more", c.More)
	}
	return b.String()
}
