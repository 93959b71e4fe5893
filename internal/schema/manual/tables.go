package manual

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// Tables renders a schema: routes, services, messages, components, kinds, and for the framework's own the codes. It begins and ends with an empty line.
func Tables(s *model.Schema) string {
	w := &writer{}
	w.line("")
	w.routes(s)
	w.calls(s)
	w.services(s)
	w.messages(s)
	w.components(s)
	w.kinds(s)
	if s.Package == "mmo.v1" {
		w.codes()
	}
	return w.String()
}

type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(w, format, args...)
	w.WriteByte('\n')
}

// row writes a line of a table; cells that are empty stay so.
func (w *writer) row(cells ...string) {
	for _, cell := range cells {
		w.WriteByte('|')
		if cell != "" {
			w.WriteByte(' ')
			w.WriteString(cell)
		}
		w.WriteByte(' ')
	}
	w.WriteString("|\n")
}

// table begins a table.
func (w *writer) table(heads ...string) {
	w.row(heads...)
	w.WriteString(strings.Repeat("|---", len(heads)) + "|\n")
}

// text makes a comment fit a cell.
func text(comment protogen.Comments) string {
	words := strings.Join(strings.Fields(string(comment)), " ")
	return strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;").Replace(words)
}

func fieldText(c protogen.CommentSet) string {
	return strings.TrimSpace(text(c.Leading) + " " + text(c.Trailing))
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func (w *writer) routes(s *model.Schema) {
	if len(s.Routes) == 0 {
		return
	}
	w.line("**Routes of %s**\n", s.Package)
	w.table("id", "name", "message", "form", "direction", "states", "handled by", "reply", "max bytes", "rate", "delivery", "idempotent", "right")
	for _, r := range s.Routes {
		reply, states, by := "", "", ""
		if r.Reply != nil {
			reply = string(r.Reply.Desc.FullName())
		}
		if r.Direction&protocol.ClientToServer != 0 {
			states = statesOf(r.States)
			by = map[protocol.Affinity]string{protocol.Gateway: "gateway", protocol.Zone: "zone", protocol.Service: "service"}[r.Affinity]
		}
		w.row(strconv.Itoa(int(r.ID)), r.Name, string(r.Message.Desc.FullName()), r.Kind.String(),
			map[protocol.Direction]string{protocol.ClientToServer: "client → server", protocol.ServerToClient: "server → client", protocol.BothWays: "both"}[r.Direction],
			states, by, reply, strconv.Itoa(r.MaxBytes), rate(r), []string{"reliable", "AOI event", "latest"}[r.Delivery], yes(r.Idempotent), rightOf(r))
	}
	w.line("")
}

// rightOf words who may send it, and whether that is put on record.
func rightOf(r *model.Route) string {
	var words []string
	if r.Right != "" {
		words = append(words, r.Right)
	}
	if r.Audit {
		words = append(words, "audited")
	}
	return strings.Join(words, ", ")
}

// calls renders what entities call on each other.
func (w *writer) calls(s *model.Schema) {
	if len(s.Calls) == 0 {
		return
	}
	w.line("**Calls between entities of %s**\n", s.Package)
	w.table("id", "name", "message", "for", "reply", "meaning")
	for _, c := range s.Calls {
		kind, reply := "any", ""
		if c.Kind != nil {
			kind = string(c.Kind.Message.Desc.Name())
		}
		if c.Reply != nil {
			reply = string(c.Reply.Desc.FullName())
		}
		w.row(strconv.Itoa(int(c.ID)), c.Name, string(c.Message.Desc.FullName()), kind, reply, text(c.Message.Comments.Leading))
	}
	w.line("")
}

// statesOf words a set of states, in the order in which a session goes through them.
func statesOf(set protocol.States) string {
	var words []string
	for _, s := range []struct {
		state protocol.States
		word  string
	}{{protocol.Secured, "secured"}, {protocol.Authenticated, "authenticated"}, {protocol.Playing, "playing"}} {
		if set&s.state != 0 {
			words = append(words, s.word)
		}
	}
	return strings.Join(words, ", ")
}

func rate(r *model.Route) string {
	var parts []string
	if r.Rate > 0 {
		parts = append(parts, fmt.Sprintf("%s/s, burst %d", number(r.Rate), r.Burst))
	}
	if r.Cost > 1 {
		parts = append(parts, fmt.Sprintf("cost %d", r.Cost))
	}
	return strings.Join(parts, ", ")
}

// services renders what processes call on each other.
func (w *writer) services(s *model.Schema) {
	for _, v := range s.Services {
		w.title("Service "+v.Name, v.Comments)
		if len(v.Methods) == 0 {
			w.line("It has no methods.\n")
			continue
		}
		w.table("method", "request", "answer", "form", "served", "idempotent", "timeout", "key", "meaning")
		for _, m := range v.Methods {
			timeout, key := "", ""
			if m.Timeout > 0 {
				timeout = m.Timeout.String()
			}
			if m.Key != nil {
				key = string(m.Key.Desc.Name())
			}
			var served []string
			for _, o := range []struct {
				is   bool
				word string
			}{{m.Inline, "inline"}, {m.Pooled, "pooled"}, {m.Bulk, "bulk"}} {
				if o.is {
					served = append(served, o.word)
				}
			}
			w.row(string(m.Desc.Name()), string(m.Input.Desc.FullName()), string(m.Output.Desc.FullName()),
				[]string{"call", "one way", "stream of requests", "stream of answers", "streams both ways"}[m.Form],
				strings.Join(served, ", "), yes(m.Idempotent), timeout, key, text(m.Comments.Leading))
		}
		w.line("")
	}
}

// messages renders what is neither a component nor a kind: those have tables of their own.
func (w *writer) messages(s *model.Schema) {
	other := map[protoreflect.FullName]bool{}
	for _, c := range s.Components {
		other[c.Message.Desc.FullName()] = true
	}
	for _, k := range s.Kinds {
		other[k.Message.Desc.FullName()] = true
	}
	for _, file := range s.Files {
		w.nested(file.Messages, other)
		w.enums(file.Enums)
	}
}

func (w *writer) nested(list []*protogen.Message, other map[protoreflect.FullName]bool) {
	for _, m := range list {
		if m.Desc.IsMapEntry() {
			continue
		}
		if !other[m.Desc.FullName()] {
			w.message(m)
		}
		w.nested(m.Messages, other)
		w.enums(m.Enums)
	}
}

func (w *writer) message(m *protogen.Message) {
	w.title(string(m.Desc.FullName()), m.Comments)
	if len(m.Fields) == 0 {
		w.line("It has no fields.\n")
		return
	}
	w.table("number", "name", "type", "meaning")
	for _, f := range m.Fields {
		w.row(strconv.Itoa(int(f.Desc.Number())), string(f.Desc.Name()), typeName(f.Desc), fieldText(f.Comments))
	}
	w.line("")
}

func (w *writer) title(name string, c protogen.CommentSet) {
	if says := text(c.Leading); says != "" {
		w.line("**%s**: %s\n", name, says)
	} else {
		w.line("**%s**\n", name)
	}
}

func (w *writer) enums(list []*protogen.Enum) {
	for _, e := range list {
		w.title(string(e.Desc.FullName()), e.Comments)
		w.table("number", "name", "meaning")
		for _, v := range e.Values {
			w.row(strconv.Itoa(int(v.Desc.Number())), string(v.Desc.Name()), fieldText(v.Comments))
		}
		w.line("")
	}
}

// typeName words a field's type; messages of the same package go by their short name.
func typeName(d protoreflect.FieldDescriptor) string {
	if d.IsMap() {
		return "map of " + typeName(d.MapKey()) + " to " + typeName(d.MapValue())
	}
	word := d.Kind().String()
	var named protoreflect.Descriptor
	switch {
	case d.Message() != nil:
		named = d.Message()
	case d.Enum() != nil:
		named = d.Enum()
	}
	if named != nil {
		word = strings.TrimPrefix(string(named.FullName()), string(d.ParentFile().Package())+".")
	}
	switch {
	case d.IsList():
		return "list of " + word
	case d.HasOptionalKeyword():
		return "optional " + word
	}
	return word
}

func (w *writer) components(s *model.Schema) {
	for _, c := range s.Components {
		says := text(c.Message.Comments.Leading)
		if says != "" {
			says = ": " + says
		}
		w.line("**Component %d %s**%s\n", c.Def.ID, c.Def.Name, says)
		w.table("number", "name", "type", "step", "range", "bits", "audience", "interpolation", "stored", "meaning")
		for _, f := range c.Message.Fields {
			d := c.Def.Field(uint32(f.Desc.Number()))
			numbers := d
			if d.Type == delta.List || d.Type == delta.Map {
				numbers = &d.Fields[len(d.Fields)-1]
			}
			bits := ""
			if numbers.Bits > 0 {
				bits = strconv.Itoa(int(numbers.Bits))
			}
			w.row(strconv.Itoa(int(d.ID)), d.Name, typeName(f.Desc), quantum(numbers), bounds(d, numbers), bits,
				[]string{"everyone who sees it", "owner", "party", "server"}[d.Audience], []string{"", "linear", "the short way round"}[d.Interp],
				yes(d.Persist), fieldText(f.Comments))
		}
		w.line("")
		if m := c.Def.Motion; m != nil {
			w.line("Place and velocity: %s.\n", motion(c.Def))
		}
	}
}

func quantum(f *delta.Field) string {
	switch f.Type {
	case delta.Steps:
		return number(f.Quantum)
	case delta.Angle:
		return fmt.Sprintf("1/%d turn", 1<<f.Bits)
	}
	return ""
}

func bounds(f, numbers *delta.Field) string {
	var parts []string
	if numbers.Bits > 0 && numbers.Type != delta.Enum && numbers.Type != delta.Angle {
		if numbers.Type == delta.Steps {
			low, high := numbers.Origin+float64(numbers.Min)*numbers.Quantum, numbers.Origin+float64(numbers.Limit)*numbers.Quantum
			parts = append(parts, fmt.Sprintf("%s … %s", number(tidy(low)), number(tidy(high))))
		} else {
			parts = append(parts, fmt.Sprintf("%d … %d", numbers.Min, numbers.Limit))
		}
	}
	if f.Max > 0 {
		unit := "elements"
		if f.Type == delta.String || f.Type == delta.Bytes {
			unit = "bytes"
		}
		parts = append(parts, fmt.Sprintf("at most %d %s", f.Max, unit))
	}
	return strings.Join(parts, "; ")
}

// tidy drops what multiplying steps leaves behind the ninth decimal.
func tidy(v float64) float64 { return math.Round(v*1e9) / 1e9 }

func motion(c *delta.Component) string {
	name := func(id uint32) string { return c.Field(id).Name }
	m := c.Motion
	place, velocity := []string{name(m.X)}, []string{name(m.VX)}
	if m.Y != 0 {
		place, velocity = append(place, name(m.Y)), append(velocity, name(m.VY))
	}
	says := strings.Join(append(place, name(m.Z)), ", ") + " with " + strings.Join(append(velocity, name(m.VZ)), ", ")
	if m.Heading != 0 {
		says += "; heading " + name(m.Heading)
	}
	if m.Polar {
		says += "; the velocity travels as heading and speed"
	}
	return says
}

func (w *writer) kinds(s *model.Schema) {
	if len(s.Kinds) == 0 {
		return
	}
	w.line("**Kinds of %s**\n", s.Package)
	w.table("id", "name", "components", "sees", "layer", "avatar", "meaning")
	for _, k := range s.Kinds {
		var names []string
		for _, c := range k.Components {
			name := c.Def.Name
			if k.Optional(c) {
				name += " (optional)"
			}
			names = append(names, name)
		}
		sees := ""
		if k.Def.Sees > 0 {
			sees = number(k.Def.Sees)
		}
		w.row(strconv.Itoa(int(k.Def.ID)), k.Def.Name, strings.Join(names, ", "), sees, k.Def.Layer, yes(k == s.Avatar), text(k.Message.Comments.Leading))
	}
	w.line("")
}

// codes renders the protocol's codes.
func (w *writer) codes() {
	w.line("**Disconnect codes**\n")
	w.table("code", "name", "then", "meaning")
	for _, c := range protocol.DisconnectCodes() {
		then := "tell the player"
		if c.Reconnect() {
			then = "reconnect"
		}
		w.row(strconv.Itoa(int(c)), c.String(), then, c.Meaning())
	}
	w.line("")
	w.line("**Error codes**\n")
	w.table("code", "name", "meaning")
	for _, c := range protocol.ErrorCodes() {
		w.row(strconv.Itoa(int(c)), c.String(), c.Meaning())
	}
	w.row("≥ "+strconv.Itoa(int(protocol.FirstGameError)), "", "the game's own")
	w.line("")
}
