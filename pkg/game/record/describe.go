package record

import (
	"fmt"
	"strings"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

func kindName(z *game.Zone, k game.Kind) string {
	for i := range z.Layout().Kinds {
		if x := &z.Layout().Kinds[i]; game.Kind(x.ID) == k {
			return x.Name
		}
	}
	return ""
}

// Describe writes down everything that a zone keeps of an entity in components: a line of JSON for each audience, in the form of delta.KindCodec.AppendJSON. It is for people, and takes its time.
// Empty: no such entity lives.
func Describe(z *game.Zone, id game.EntityID) string {
	e, ok := z.Entity(id)
	if !ok {
		return ""
	}
	c, err := delta.NewCodec(z.Layout(), nil)
	if err != nil {
		return err.Error() // cannot happen: the zone has one
	}
	k := c.Kind(uint16(e.Kind()))
	var r delta.Record
	k.Init(&r)
	r.Tick = z.Tick()
	for i, component := range k.Kind.Components {
		if k.Optional(i) {
			k.SetPresent(&r, i, e.Has(component))
		}
		if !e.Has(component) {
			continue
		}
		to, _ := k.View(&r, component) // it is there, by now
		from := e.Cell(component).View()
		copy(to.W, from.W)
		for j := range from.V {
			delta.CopyVar(&to.V[j], &from.V[j])
		}
	}
	var b strings.Builder
	for a, name := range []string{"everyone", "owner", "party", "server"} {
		if text := k.AppendJSON(nil, &r, delta.Audience(a)); len(text) > len("{}") {
			fmt.Fprintf(&b, "%-8s %s\n", name, text)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// DescribeInputs returns what writes down an input of a game's zones in a line, for people: routes and kinds of inputs by their names, messages as JSON. It fails if the game's routes are wrong.
func DescribeInputs(g *game.Game) (func(in *game.Input) string, error) {
	routes, err := g.Routes()
	if err != nil {
		return nil, err
	}
	return func(in *game.Input) string {
		b := []byte(in.Kind.String())
		number := func(name string, v uint64) {
			if v != 0 {
				b = fmt.Appendf(b, ", %s %d", name, v)
			}
		}
		number("session", uint64(in.Session))
		number("player", in.Player)
		if in.Name != "" {
			b = fmt.Appendf(b, ", %q", in.Name)
		}
		number("gateway", uint64(in.Gateway))
		number("zone", uint64(in.Zone))
		number("entity", uint64(in.Entity))
		number("number", in.Number)
		sent := in.Kind == game.Receive || in.Kind == game.Operate
		if r, ok := routes.Lookup(in.Route); ok && sent {
			b = fmt.Appendf(b, ", %s", r.Name)
		} else {
			number("route", uint64(in.Route))
		}
		number("id", uint64(in.ID))
		switch {
		case sent:
			b = fmt.Appendf(b, ": %s", g.Arguments(in.Route, in.Payload))
		case len(in.Payload) > 0:
			b = fmt.Appendf(b, ", %d bytes", len(in.Payload))
		}
		if in.Text != "" {
			b = fmt.Appendf(b, ", %q", in.Text)
		}
		return string(b)
	}, nil
}

// String says what a slot held.
func (t Trace) String() string {
	if t.Entity == 0 {
		return "nobody"
	}
	name := t.Name
	if name == "" {
		name = fmt.Sprint("kind ", t.Kind)
	}
	return fmt.Sprintf("entity %d, %s, state %04x", t.Entity, name, t.Hash)
}

// String says it in a line, and with the state in several.
func (d EntityDifference) String() string {
	s := fmt.Sprintf("slot %d: recorded %v; replayed %v", d.Slot, d.Recorded, d.Replayed)
	if d.State != "" {
		s += "\n  " + strings.ReplaceAll(d.State, "\n", "\n  ")
	}
	return s
}

// String says it for people, in several lines.
func (d *Difference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "tick %d is the first that differs: the zone's hash was recorded as %016x and is %016x", d.Tick, d.Recorded, d.Replayed)
	if first := d.After + 1; first != d.Tick {
		fmt.Fprintf(&b, "; it arose in one of ticks %d to %d, of which only the last was compared", first, d.Tick)
	}
	switch {
	case !d.Compared:
		b.WriteString("\nwhich entities differ was not recorded: record with Detail Entities")
	case len(d.Entities) == 0:
		b.WriteString("\nno entity differs: what does is the zone's own (players, chance, timers, results that it waits for), or hides behind a short hash until the next tick")
	}
	for _, e := range d.Entities {
		b.WriteString("\n")
		b.WriteString(e.String())
	}
	if d.More > 0 {
		fmt.Fprintf(&b, "\nand %d more", d.More)
	}
	return b.String()
}
