package schema

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/proto_define/mmo"
)

const maxRouteID = 1<<16 - 1

// framework tells whether the schema is one of the framework's, which have route ids of their own.
func (s *schema) framework() bool { return s.Name == "mmo" }

// routes fills the schema's routes by id.
func (b *builder) routes(s *schema) {
	byID, byName := map[uint32]protoreflect.Descriptor{}, map[string]protoreflect.Descriptor{}
	for _, m := range marked(s, "route") {
		o := optionOf[*mmo.Route](m.Desc, mmo.E_Route)
		r := &model.Route{Message: m, Route: protocol.Route{
			ID: uint16(o.Id), Name: s.routeName(m, o), Kind: protocol.Push, MaxBytes: int(o.MaxBytes), Idempotent: o.Idempotent, Delivery: protocol.Delivery(o.Delivery), Right: o.Right, Audit: o.Audit,
		}}
		least, most := uint32(protocol.FirstGameRoute), uint32(maxRouteID)
		if s.framework() {
			least, most = protocol.FirstFrameworkRoute, protocol.FirstGameRoute-1
		}
		first, taken := byID[o.Id]
		switch {
		case !given(m.Desc, "route.id") || o.Id == 0:
			b.add(option(m.Desc, "route.id"), "route %s has no id: give it one of %d to %d that no route has or had, such as id: %d", r.Name, least, most, freeID(byID, least))
		case o.Id < least && o.Id < protocol.FirstFrameworkRoute:
			b.add(option(m.Desc, "route.id"), "route id %d is a control route's: ids below %d are the protocol's, take one of %d to %d", o.Id, protocol.FirstFrameworkRoute, least, most)
		case o.Id < least || o.Id > most:
			b.add(option(m.Desc, "route.id"), "route id %d: ids 32 to 63 are the framework's and 64 to 65535 the games', take one of %d to %d", o.Id, least, most)
		case taken:
			b.add(option(m.Desc, "route.id"), "route id %d is taken by %s at %s: take another one, such as %d", o.Id, first.Name(), b.where(option(first, "route.id")), freeID(byID, least))
		default:
			byID[o.Id] = m.Desc
		}
		if first, taken := byName[r.Name]; taken {
			b.add(option(m.Desc, "route.name"), "route name %q is taken by %s at %s: give one of them a name of its own with name: \"…\"", r.Name, first.Name(), b.where(option(first, "route.name")))
		} else if byName[r.Name] = m.Desc; !regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`).MatchString(r.Name) {
			b.add(option(m.Desc, "route.name"), "route name %q: it stands in logs, tables and code, so it is words of small letters, digits and _ with dots between them; say name: \"game.look\"", r.Name)
		}
		s.places[fmt.Sprintf("route %d", o.Id)] = option(m.Desc, "route.id")
		b.direction(s, r, o)
		b.reply(s, r, o)
		b.limits(r, o)
		b.input(r, o)
		b.command(r, o)
		s.Routes = append(s.Routes, r)
	}
	slices.SortStableFunc(s.Routes, func(a, c *model.Route) int { return int(a.ID) - int(c.ID) })
}

// where words a place for the middle of a message.
func (b *builder) where(p place) string {
	return fmt.Sprintf("%s:%d:%d", below(b.tree.root, p.file), p.line, p.col)
}

// freeID is the least id from least on that is not taken.
func freeID(taken map[uint32]protoreflect.Descriptor, least uint32) uint32 {
	for taken[least] != nil {
		least++
	}
	return least
}

func (s *schema) routeName(m *protogen.Message, o *mmo.Route) string {
	switch {
	case o.Name != "":
		return o.Name
	case s.framework():
		return snake(string(m.Desc.Name()))
	}
	return s.Name + "." + snake(string(m.Desc.Name()))
}

// snake is MoveRefused as move_refused and HTTPError as http_error.
func snake(name string) string {
	letters := []rune(name)
	var b strings.Builder
	for i, c := range letters {
		if i > 0 && unicode.IsUpper(c) && letters[i-1] != '_' {
			if !unicode.IsUpper(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1]) {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// direction fills who sends the message, when, and who handles it.
func (b *builder) direction(s *schema, r *model.Route, o *mmo.Route) {
	d := r.Message.Desc
	wrong := func(name, format string, args ...any) { b.add(option(d, "route."+name), format, args...) }
	r.Direction = protocol.Direction(o.From) // CLIENT 1, SERVER 2, BOTH 3 in both
	if o.From == mmo.Route_NOBODY {
		wrong("from", "route %s says not who sends it: add from: CLIENT, SERVER or BOTH", r.Name)
		return
	}
	if o.From == mmo.Route_SERVER {
		r.States, r.Affinity = protocol.AnyState, protocol.Gateway
		if len(o.States) > 0 {
			wrong("states", "states on a route that only the server sends: they say when a client may send it, drop them or make it from: BOTH")
		}
		if o.Affinity == mmo.Route_ZONE || o.Affinity == mmo.Route_SERVICE {
			wrong("affinity", "affinity %s on a route that only the server sends: it says who handles what clients send, drop it or make it from: BOTH", o.Affinity)
		}
		return
	}
	for i, state := range o.States {
		switch {
		case slices.Contains(o.States[:i], state):
			b.add(option(d, "route.states", i), "state %s is named twice: drop one", state)
		case state == mmo.Route_ANY && len(o.States) > 1:
			b.add(option(d, "route.states", i), "state ANY together with others: it includes them, say states: [ANY] alone or drop ANY")
		case state == mmo.Route_ANY:
			r.States = protocol.AnyState
		default:
			r.States |= protocol.States(state) // SECURED 1, PLAYING 2, AUTHENTICATED 4 in both
		}
	}
	if r.States == 0 {
		r.States = protocol.Playing
	}
	r.Affinity = protocol.Affinity(o.Affinity)
	if r.Affinity == 0 {
		r.Affinity = protocol.Zone
		if s.framework() {
			r.Affinity = protocol.Gateway
		}
	}
	switch {
	case r.Affinity == protocol.Zone && r.States != protocol.Playing:
		wrong("states", "route %s goes to the zone in a state before PLAYING: nobody is in a zone before that, say states: [PLAYING]", r.Name)
	case r.Affinity == protocol.Service && r.States&protocol.Secured != 0:
		wrong("states", "route %s goes to a service in state SECURED: nobody is logged in, so no home server is known that could ask the service, say states: [AUTHENTICATED, PLAYING]", r.Name)
	}
}

// reply finds the message that answers.
func (b *builder) reply(s *schema, r *model.Route, o *mmo.Route) {
	if o.Reply == "" {
		return
	}
	d := r.Message.Desc
	r.Kind = protocol.Request
	if r.Reply = b.message(s, o.Reply); r.Reply == nil {
		b.add(option(d, "route.reply"), "reply %q is no message of package %s or of a file that it imports: %s", o.Reply, s.Package, didYouMean(o.Reply, s.messageNames()))
		return
	}
	if hasOption(r.Reply.Desc, "kind") {
		b.add(option(d, "route.reply"), "reply %q is a kind, which is empty: name a message with fields", o.Reply)
	}
	if o.Delivery != mmo.Route_RELIABLE {
		b.add(option(d, "route.delivery"), "delivery %s on a request: it must come through once to be answered, drop delivery or reply", o.Delivery)
	}
}

// message finds a message by its name in the schema's package, or by its full name.
func (b *builder) message(s *schema, name string) *protogen.Message {
	name = strings.TrimPrefix(name, ".")
	if m := s.messages[s.Package+"."+name]; m != nil {
		return m
	}
	for _, file := range b.plugin.Files {
		var found *protogen.Message
		eachMessage(file.Messages, func(m *protogen.Message) {
			if string(m.Desc.FullName()) == name {
				found = m
			}
		})
		if found != nil {
			return found
		}
	}
	return nil
}

// limits checks sizes, rates and delivery, and fills their defaults.
func (b *builder) limits(r *model.Route, o *mmo.Route) {
	d := r.Message.Desc
	wrong := func(name, format string, args ...any) { b.add(option(d, "route."+name), format, args...) }
	if r.MaxBytes == 0 {
		r.MaxBytes = protocol.DefaultMaxBytes
	}
	if o.MaxBytes > protocol.MaxRouteBytes {
		wrong("max_bytes", "max_bytes %d: a record carries at most %d, send more in several messages", o.MaxBytes, protocol.MaxRouteBytes)
	}
	if o.From == mmo.Route_CLIENT && o.Delivery != mmo.Route_RELIABLE {
		wrong("delivery", "delivery %s on a route that only clients send: what a client sends is always reliable, drop it", o.Delivery)
	}
	rate := o.Rate
	if rate == nil {
		return
	}
	r.Rate, r.Burst, r.Cost = rate.PerSecond, rate.Burst, rate.Cost
	switch {
	case o.From == mmo.Route_SERVER:
		wrong("rate", "rate on a route that only the server sends: it bounds what one session sends, drop it")
	case !(rate.PerSecond >= 0 && rate.PerSecond <= 1e6):
		wrong("rate.per_second", "rate.per_second %v: need 0 to 1000000 messages per second", rate.PerSecond)
	case rate.PerSecond == 0 && (rate.Burst > 0 || given(d, "route.rate.per_second")):
		wrong("rate.per_second", "rate without per_second: nothing would refill the bucket of %d, say how many messages per second a session may send", rate.Burst)
	case rate.PerSecond == 0 && rate.Cost == 0:
		wrong("rate", "rate says nothing: give per_second, and burst and cost if the defaults do not fit, or drop it")
	case rate.PerSecond > 0 && rate.Burst == 0: // one second's worth, and always enough for one message
		r.Burst = max(uint32(math.Ceil(rate.PerSecond)), rate.Cost)
	case rate.PerSecond > 0 && rate.Burst < max(rate.Cost, 1):
		wrong("rate.burst", "rate.burst %d does not pay for one message of cost %d: it could never be sent, raise burst or lower cost", rate.Burst, rate.Cost)
	}
}

// input finds the fields that make a message a player's input.
func (b *builder) input(r *model.Route, o *mmo.Route) {
	if o.Input == nil {
		return
	}
	d := r.Message.Desc
	switch {
	case o.From == mmo.Route_SERVER:
		b.add(option(d, "route.input"), "input on a route that only the server sends: inputs come from players, drop it or make it from: CLIENT")
	case o.Reply != "":
		b.add(option(d, "route.input"), "input on a request: inputs wait for their tick and have no answer, drop input or reply")
	case r.Affinity == protocol.Gateway:
		b.add(option(d, "route.input"), "input on a route that the gateway handles: ticks are the zone's, drop input or the affinity")
	case r.Affinity == protocol.Service:
		b.add(option(d, "route.input"), "input on a route that a service handles: ticks are the zone's, drop input or the affinity")
	case o.Input.Seq == "" && o.Input.Tick == "":
		b.add(option(d, "route.input"), "input names no field: say input: {seq: \"…\", tick: \"…\"}")
	}
	find := func(role, name string) *protogen.Field {
		if name == "" {
			return nil
		}
		f := fieldNamed(r.Message, name)
		switch {
		case f == nil:
			b.add(option(d, "route.input."+role), "input.%s %q is no field of %s: %s", role, name, d.Name(), didYouMean(name, fieldNames(d, false)))
		case f.Desc.Kind() != protoreflect.Uint32Kind || f.Desc.IsList() || f.Desc.HasPresence():
			b.add(option(d, "route.input."+role), "input.%s %q is %s: make it uint32, neither optional nor repeated", role, name, typeName(f.Desc))
		}
		return f
	}
	r.Seq, r.Tick = find("seq", o.Input.Seq), find("tick", o.Input.Tick)
	if r.Seq != nil && r.Seq == r.Tick {
		b.add(option(d, "route.input.tick"), "input.seq and input.tick both name %q: a number and a tick are two fields", o.Input.Tick)
	}
}

// command checks who may send the message, and whether it is put on record. The zone does both: elsewhere nobody would.
func (b *builder) command(r *model.Route, o *mmo.Route) {
	wrong := func(name, format string, args ...any) { b.add(option(r.Message.Desc, "route."+name), format, args...) }
	for _, c := range []struct {
		name string
		set  bool
	}{{"right", o.Right != ""}, {"audit", o.Audit}} {
		switch {
		case !c.set:
		case o.From == mmo.Route_SERVER:
			wrong(c.name, "%s on a route that only the server sends: it is about what clients send, drop it", c.name)
		case r.Affinity == protocol.Gateway:
			wrong(c.name, "%s on a route that the gateway handles: only a zone looks after it, say affinity: ZONE or drop it", c.name)
		case r.Affinity == protocol.Service:
			wrong(c.name, "%s on a route that a service handles: only a zone looks after it, so look at the rights in the service and drop it", c.name)
		}
	}
	switch {
	case o.Right == "":
	case !regexp.MustCompile(`^[a-z][a-z0-9_.:-]{0,63}$`).MatchString(o.Right):
		wrong("right", "right %q: it stands in login tokens and logs, so it is a word of at most 64 small letters, digits and _ . : -, as in right: \"gm\"", o.Right)
	case o.Input != nil:
		wrong("right", "right on an input: whoever commands from outside of the world has no avatar, whose inputs could be numbered; drop input or right")
	}
}

func fieldNamed(m *protogen.Message, name string) *protogen.Field {
	for _, f := range m.Fields {
		if string(f.Desc.Name()) == name {
			return f
		}
	}
	return nil
}

// typeName words a field's type as the source does.
func typeName(d protoreflect.FieldDescriptor) string {
	word := d.Kind().String()
	switch {
	case d.IsMap():
		return "map<" + typeName(d.MapKey()) + ", " + typeName(d.MapValue()) + ">"
	case d.Message() != nil:
		word = string(d.Message().FullName())
	case d.Enum() != nil:
		word = string(d.Enum().FullName())
	}
	switch {
	case d.IsList():
		return "repeated " + word
	case d.HasOptionalKeyword():
		return "optional " + word
	}
	return word
}

// checkFrameworkRoutes refuses ids that two schemas of the framework claim: they share a table.
func (b *builder) checkFrameworkRoutes(all []*schema) {
	taken := map[uint16]*model.Route{}
	for _, s := range all {
		for _, r := range s.Routes {
			if !s.framework() || r.ID == 0 {
				continue
			}
			if first := taken[r.ID]; first != nil && first.Message.Desc.ParentFile().Package() != r.Message.Desc.ParentFile().Package() {
				b.add(option(r.Message.Desc, "route.id"), "route id %d is taken by %s at %s: the framework's schemas share one table, take another one",
					r.ID, first.Message.Desc.FullName(), b.where(option(first.Message.Desc, "route.id")))
				continue
			}
			taken[r.ID] = r
		}
	}
}
