package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/tables"
)

// Options of a replay. The zero value replays everything and refuses what was not recorded by this build.
type Options struct {
	// Zone is what the game's own configuration is: what does not travel in a recording, as a Map, is taken from it.
	Zone game.Config
	// Prepare, if set, has the last word about the configuration before the zone is made.
	Prepare func(h *Header, c *game.Config) error
	// Force goes on although build, schema or configuration are not those of the recording.
	Force bool
	// Each, if set, is called after each tick. It may look at the zone, which is the same every time, and must not change it; false ends the replay.
	Each func(z *game.Zone, t *Tick) bool
	// MaxEntities bounds how many differing entities are described; default 20.
	MaxEntities int
}

// Mismatch is something in which the recording and this program are not alike.
type Mismatch struct{ What, Recorded, Here, Fix string }

// String says it for people.
func (m Mismatch) String() string {
	return fmt.Sprintf("%s: recorded %s, here %s; %s", m.What, m.Recorded, m.Here, m.Fix)
}

// MismatchError refuses to replay what would differ for a reason that is known beforehand.
type MismatchError struct{ Mismatches []Mismatch }

// Error implements error.
func (e *MismatchError) Error() string {
	var b strings.Builder
	b.WriteString("the recording is not of this program, so that a difference would mean nothing:")
	for _, m := range e.Mismatches {
		b.WriteString("\n  ")
		b.WriteString(m.String())
	}
	return b.String()
}

// PanicError is a step that panicked in the replay: a broken invariant, which would have ended the server.
type PanicError struct {
	Tick  uint32
	Value string
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string {
	return fmt.Sprintf("the zone panicked in tick %d: %s\n%s", e.Tick, e.Value, e.Stack)
}

// Report is what came of a replay.
type Report struct {
	Header     Header
	Mismatches []Mismatch  // that Options.Force passed over
	Ticks      uint64      // stepped, the differing one included
	Compared   uint64      // of them
	Last       uint32      // the last tick
	Hash       uint64      // of the replayed zone after it
	End        End         // of the file, as far as it was read
	Stopped    bool        // by Options.Each, before the end of the file
	Difference *Difference // nil: there is none
}

// Difference is the first one between a recording and its replay.
type Difference struct {
	Tick               uint32
	After              uint32 // it arose after this tick, the last one that was alike
	Recorded, Replayed uint64 // hashes of the zone
	Compared           bool   // Entities tells which they are: they were recorded
	Entities           []EntityDifference
	More               int // entities that differ and are not described
}

// EntityDifference is an entity that is not as it was recorded.
type EntityDifference struct {
	Slot               uint32
	Recorded, Replayed Trace
	State              string // of the replayed one; empty: it does not live
}

// Trace is what is known of a slot of a zone: who lives there, and a short hash of its state.
type Trace struct {
	Entity game.EntityID // 0: nobody
	Kind   game.Kind
	Name   string // of the kind
	Hash   uint16
}

// Replay steps a fresh zone of a game through a recording and compares. It ends with the first difference, which is no error; errors are a recording that cannot be read or is not of this
// program, a game that cannot be set up, and a step that panics. With an error, the report tells what was done until then.
func Replay(r io.Reader, g *game.Game, o Options) (Report, error) {
	var rep Report
	d, err := NewReader(r)
	if err != nil {
		return rep, err
	}
	rep.Header = d.Header()
	z, mismatches, err := fresh(&rep.Header, g, o, nil)
	if err != nil {
		return rep, err
	}
	rep.Mismatches = mismatches
	rep.Last, rep.Hash = z.Tick(), z.Hash()
	c := comparison{z: z, after: rep.Last, most: o.MaxEntities}
	if c.most == 0 {
		c.most = 20
	}
	for rep.Difference == nil && !rep.Stopped {
		t, err := d.Next()
		rep.End = d.End()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return rep, err
		}
		rep.Ticks, rep.Last = rep.Ticks+1, t.Number
		if err := step(z, t); err != nil {
			return rep, err
		}
		if t.Hashed || t.Compared {
			rep.Compared++
			if rep.Difference, err = c.compare(t); err != nil {
				return rep, d.damage("tick %d: %v", t.Number, err)
			}
		}
		rep.Stopped = o.Each != nil && !o.Each(z, t)
	}
	rep.Hash = z.Hash()
	return rep, nil
}

// step is a step whose panic is an error.
func step(z *game.Zone, t *Tick) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{t.Number, fmt.Sprint(v), debug.Stack()}
		}
	}()
	z.Step(t.Inputs)
	return nil
}

// fresh makes the zone that was recorded, as it was before its first tick.
func fresh(h *Header, g *game.Game, o Options, observe func(game.Phase, string)) (*game.Zone, []Mismatch, error) {
	list := sameProgram(h, g)
	c := o.Zone
	if _, err := setPlainFields(&c, h.plain); err != nil {
		return nil, nil, err
	}
	for _, name := range h.Unknown {
		list = append(list, Mismatch{"configuration: " + name, string(h.plain[name]), "unknown", "replay with the build that recorded it"})
	}
	if err := prepare(h, g, o, &c); err != nil {
		return nil, nil, err
	}
	if observe != nil {
		c.Observe = observe
	}
	list = append(list, missing(h.Omitted, &c)...)
	if len(list) > 0 && !o.Force {
		return nil, nil, &MismatchError{list}
	}
	z, err := game.NewZone(g, c)
	if err != nil {
		return nil, nil, fmt.Errorf("make the zone that was recorded: %w", err)
	}
	if f := z.Fingerprint(); f != h.Fingerprint {
		list = append(list, Mismatch{"schema", h.Fingerprint.String(), f.String(), "replay with the build that recorded it: kinds, components or routes are other ones now"})
	}
	c = z.Config()
	list = append(list, unlike(h.plain, &c)...)
	if len(list) > 0 && !o.Force {
		return nil, nil, &MismatchError{list}
	}
	return z, list, nil
}

func sameProgram(h *Header, g *game.Game) (list []Mismatch) {
	if h.Game != g.Name {
		list = append(list, Mismatch{"game", fmt.Sprintf("%q", h.Game), fmt.Sprintf("%q", g.Name), "run the replay of that game's program"})
	}
	if b := Build(); h.Build != b {
		list = append(list, Mismatch{"build", h.Build, b, "build that revision, or go on by force and take a difference for a hint only"})
	}
	return list
}

// prepare puts into the configuration what does not travel in plain fields.
func prepare(h *Header, g *game.Game, o Options, c *game.Config) error {
	switch {
	case h.Tables == nil:
		c.Tables = nil
	case g.Schema.Tables == nil:
		return fmt.Errorf("the recording has data tables of %d bytes, and game %q has none: replay with the build that recorded it", len(h.Tables), g.Name)
	default:
		set, err := tables.Parse(g.Schema.Tables, h.Tables)
		if err != nil {
			return fmt.Errorf("the data tables of the recording: %w", err)
		}
		c.Tables = set
	}
	if o.Prepare == nil {
		return nil
	}
	if err := o.Prepare(h, c); err != nil {
		return fmt.Errorf("prepare the zone that was recorded: %w", err)
	}
	return nil
}

// comparison compares a replayed zone with a recording, tick by tick.
type comparison struct {
	z     *game.Zone
	image image
	b     []byte
	after uint32 // the last tick that was alike
	most  int    // entities to describe
}

// compare looks at a tick that was just stepped.
func (c *comparison) compare(t *Tick) (*Difference, error) {
	hash := c.z.Hash()
	alike := !t.Hashed || hash == t.Hash
	if t.Compared {
		c.image.look(c.z)
		c.b = c.image.append(c.b[:0])
		alike = alike && bytes.Equal(c.b, t.entities)
	}
	if alike {
		c.after = t.Number
		return nil, nil
	}
	d := &Difference{Tick: t.Number, After: c.after, Recorded: t.Hash, Replayed: hash, Compared: t.Compared}
	if !t.Compared {
		return d, nil
	}
	recorded, err := parseEntities(t.entities)
	if err != nil {
		return nil, err
	}
	replayed := map[uint32]change{}
	for _, x := range c.image.changed {
		replayed[x.slot] = x
	}
	for slot := range uint32(len(c.image.slots)) {
		d.add(c, slot, recorded, replayed)
		delete(recorded, slot)
	}
	for _, slot := range slices.Sorted(maps.Keys(recorded)) { // beyond what the replay has
		d.add(c, slot, recorded, replayed)
	}
	return d, nil
}

// add compares a slot. Before this tick it was as recorded, so what was not recorded of it has not changed since.
func (d *Difference) add(c *comparison, slot uint32, recorded map[uint32]said, replayed map[uint32]change) {
	var was, is trace
	if int(slot) < len(c.image.slots) {
		was, is = c.image.slots[slot], c.image.slots[slot]
	}
	if x, ok := replayed[slot]; ok {
		was = x.was
	}
	then := was
	if x, ok := recorded[slot]; ok {
		then = x.after(was)
	}
	switch {
	case then == is:
	case len(d.Entities) >= c.most:
		d.More++
	default:
		d.Entities = append(d.Entities, EntityDifference{slot, traceOf(c.z, then), traceOf(c.z, is), Describe(c.z, is.id)})
	}
}

// after is a slot's trace after what was said of it.
func (s said) after(was trace) trace {
	switch {
	case s.born:
		return s.now
	case s.hash:
		was.hash = s.now.hash
		return was
	}
	return trace{}
}

func traceOf(z *game.Zone, t trace) Trace {
	return Trace{t.id, t.kind, kindName(z, t.kind), t.hash}
}
