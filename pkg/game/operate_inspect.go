package game

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

func inspect(z *Zone, p *Player, m *mmov1.InspectRequest) (*mmov1.InspectResponse, error) {
	e, err := z.subject(p, m.Player, EntityID(m.Entity))
	if err != nil {
		return nil, err
	}
	view, err := z.describe(e, m.Components)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := json.NewEncoder(&b)
	w.SetEscapeHTML(false)
	if err := w.Encode(view); err != nil {
		return nil, fmt.Errorf("describe entity %d: %w", e.id, err)
	}
	reply := &mmov1.InspectResponse{Json: string(bytes.TrimSpace(b.Bytes()))}
	if r, ok := z.routes.Lookup(protocol.RouteInspect); ok && proto.Size(reply) > r.MaxBytes {
		return nil, &Error{protocol.ErrorTooLarge, fmt.Sprintf("entity %d takes %d bytes of JSON, an answer has room for %d: name some of its components: %s",
			e.id, proto.Size(reply), r.MaxBytes, some(e.componentNames()))}
	}
	return reply, nil
}

// description is what an operator is told of an entity. Numbers of 64 bits are text, as in all JSON here.
type description struct {
	Entity     string                                `json:"entity"`
	Kind       string                                `json:"kind"`
	Zone       uint32                                `json:"zone"`
	Tick       uint32                                `json:"tick"`
	Position   *describedPlace                       `json:"position,omitempty"`
	Player     *describedPlayer                      `json:"player,omitempty"`
	Owner      string                                `json:"owner,omitempty"`
	Parent     string                                `json:"parent,omitempty"`
	Children   []string                              `json:"children,omitempty"`
	Timers     []describedTimer                      `json:"timers,omitempty"`
	Components map[string]map[string]json.RawMessage `json:"components"` // null: the entity lacks it
}

type describedPlace struct { // metres
	X float64 `json:"x"`
	Z float64 `json:"z"`
}

type describedPlayer struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Connected bool   `json:"connected"`
}

type describedTimer struct {
	Name  string `json:"name"`
	Ticks uint32 `json:"ticks"` // left
	Arg   string `json:"arg"`
}

func (z *Zone) describe(e Entity, components []string) (*description, error) {
	s := e.get()
	id := func(id EntityID) string {
		if id == 0 {
			return ""
		}
		return strconv.FormatUint(uint64(id), 10)
	}
	d := &description{Entity: id(e.id), Kind: s.kind.codec.Kind.Name, Zone: z.cfg.Zone, Tick: z.tick, Owner: id(s.owner), Parent: id(s.parent)}
	if s.kind.places {
		x, y := z.metres(e)
		d.Position = &describedPlace{x, y}
	}
	if p := s.player; p != nil {
		d.Player = &describedPlayer{strconv.FormatUint(p.ID, 10), p.Name, p.Connected()}
	}
	for _, c := range s.children {
		d.Children = append(d.Children, id(c))
	}
	for _, t := range s.timers {
		d.Timers = append(d.Timers, describedTimer{z.game.timers[t.timer].name, t.due - z.tick, strconv.FormatUint(t.arg, 10)})
	}
	slices.SortStableFunc(d.Timers, func(a, b describedTimer) int { return cmp.Compare(a.Ticks, b.Ticks) })
	var err error
	d.Components, err = e.componentsJSON(components)
	return d, err
}

// componentNames are the names of all that an entity of this kind may have.
func (e Entity) componentNames() (names []string) {
	for _, c := range e.get().kind.codec.Kind.Components {
		names = append(names, e.z.codec.Layout.Component(c).Name)
	}
	return names
}

// componentsJSON is each component by name, with the fields of every audience; null if the entity lacks it. wanted picks some, nothing all of them.
func (e Entity) componentsJSON(wanted []string) (map[string]map[string]json.RawMessage, error) {
	s, names := e.get(), e.componentNames()
	for _, w := range wanted {
		if !slices.Contains(names, w) {
			return nil, malformed("no component %q; kind %q has %s", w, s.kind.codec.Kind.Name, some(names))
		}
	}
	all := map[string]map[string]json.RawMessage{}
	for _, name := range names {
		if len(wanted) == 0 || slices.Contains(wanted, name) {
			all[name] = nil
		}
	}
	for a := range delta.Audiences {
		var parts map[string]json.RawMessage
		if err := json.Unmarshal(s.kind.codec.AppendJSON(nil, &s.state, a), &parts); err != nil {
			return nil, fmt.Errorf("components of entity %d: %w", e.id, err)
		}
		for name, fields := range all {
			if parts[name] == nil {
				continue // it has no fields for this audience
			}
			if err := json.Unmarshal(parts[name], &fields); err != nil { // adds to those that are there; null leaves none
				return nil, fmt.Errorf("component %s of entity %d: %w", name, e.id, err)
			}
			all[name] = fields
		}
	}
	return all, nil
}
