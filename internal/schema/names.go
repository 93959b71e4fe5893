package schema

import (
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"

	"github.com/tianxia-mmo/tianxia/internal/schema/gobind"
	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// scope is a set of names that must differ in generated code, with what each comes from.
type scope struct {
	what  string // "the bindings of package plains.v1"
	taken map[string]string
}

func newScope(what string, reserved ...string) *scope {
	s := &scope{what: what, taken: map[string]string{}}
	for _, name := range reserved {
		s.taken[name] = "the generated code itself"
	}
	return s
}

// claim takes names for a thing of the schema. One mistake per thing is enough.
func (s *scope) claim(b *builder, at place, thing string, names ...string) {
	for _, name := range names {
		if first, taken := s.taken[name]; taken && first != thing {
			b.add(at, "%s gives the name %s in %s, as does %s: rename one of them", thing, name, s.what, first)
			return
		}
	}
	for _, name := range names {
		s.taken[name] = thing
	}
}

// checkNames refuses names that would collide in generated code, where the compiler's complaint would name no .proto file.
func (b *builder) checkNames(s *schema) {
	b.checkMessageNames(s)
	b.checkRouteNames(s)
	if s.Bind != "" {
		b.checkBindNames(s)
	}
	if s.TypeScript != "" {
		b.checkScriptNames(s)
	}
}

func (b *builder) checkMessageNames(s *schema) {
	names := newScope("package " + string(s.file.GoPackageName))
	enums := func(list []*protogen.Enum) {
		for _, e := range list {
			names.claim(b, named(e.Desc), "enum "+string(e.Desc.FullName()), e.GoIdent.GoName, e.GoIdent.GoName+"_name", e.GoIdent.GoName+"_value")
			for _, v := range e.Values {
				names.claim(b, named(v.Desc), "value "+string(v.Desc.FullName()), v.GoIdent.GoName)
			}
		}
	}
	for _, file := range s.Files {
		enums(file.Enums)
		eachMessage(file.Messages, func(m *protogen.Message) {
			names.claim(b, named(m.Desc), "message "+string(m.Desc.FullName()), m.GoIdent.GoName)
			enums(m.Enums)
			for _, f := range m.Fields {
				if slices.Contains([]string{"SizeFast", "AppendFast", "ParseFast", "ProtoReflect"}, f.GoName) {
					b.add(named(f.Desc), "field %s would be named %s in Go, which is a method of every message: rename it", f.Desc.Name(), f.GoName)
				}
			}
		})
	}
}

// gameNames are the exported fields and methods of game.Game, which the generated Game embeds: a handler of such a name would hide it.
func gameNames() []string {
	return []string{
		"Arguments", "Declare", "Define", "Instance", "InstanceOf", "Name", "OnArrive", "OnDeath", "OnDepart", "OnGive", "OnJoin", "OnLeave", "OnLinger", "OnRespawn", "OnReturn", "Routes", "Schema", "Setup", "Timer",
	}
}

func (b *builder) checkBindNames(s *schema) {
	bind := newScope("the bindings of package "+s.Package,
		"Game", "NewGame", "Routes", "Pushes", "Groups", "NewCodec", "NewLayout", "Fingerprint", "QuantaPerMetre", "VelocityPerMetre")
	ofKind := newScope("the kinds' methods", "Entity", "String", "Kind", "Alive", "ID", "Zone", "Has", "Add", "Remove", "Cell")
	handlers, pushes := newScope("the methods of Game", append(gameNames(), "Game")...), newScope("the fields of Pushes", "Dispatch")
	for i, c := range s.Components {
		name, thing := c.Message.GoIdent.GoName, "component "+string(c.Message.Desc.Name())
		bind.claim(b, named(c.Message.Desc), thing, name, name+"Read", "Component"+name)
		ofKind.claim(b, named(c.Message.Desc), thing, name)
		if slices.ContainsFunc(s.layout.Kinds, func(k delta.Kind) bool { return slices.Contains(k.Optional, s.layout.Components[i].ID) }) {
			bind.claim(b, named(c.Message.Desc), thing, name+"Of")
			ofKind.claim(b, named(c.Message.Desc), thing, "Has"+name, "Add"+name, "Remove"+name)
		}
		b.checkAccessors(c.Message, &s.layout.Components[i])
	}
	for _, k := range s.Kinds {
		name := k.Message.GoIdent.GoName
		bind.claim(b, named(k.Message.Desc), "kind "+string(k.Message.Desc.Name()), name, "Kind"+name, name+"Of", "Spawn"+name, "Spawn"+name+"Q")
	}
	for _, r := range s.Routes {
		name, spot, thing := shortName(r), named(r.Message.Desc), "route message "+string(r.Message.Desc.Name())
		all := []string{"Route" + name}
		if r.Direction&protocol.ClientToServer != 0 {
			verb := "Send"
			if r.Reply != nil {
				verb = "Call"
			}
			all = append(all, verb+name)
			if r.Affinity == protocol.Zone {
				handlers.claim(b, spot, thing, gobind.HandlerNames(r)...)
			}
		}
		if r.Direction&protocol.ServerToClient != 0 && r.Reply == nil {
			all = append(all, gobind.SenderNames(r)...)
			pushes.claim(b, spot, thing, name)
		}
		bind.claim(b, spot, thing, all...)
	}
	for _, c := range s.Calls {
		if hasOption(c.Message.Desc, "route") {
			continue // a mistake of its own
		}
		name, spot, thing := c.Message.GoIdent.GoName, named(c.Message.Desc), "call message "+string(c.Message.Desc.Name())
		bind.claim(b, spot, thing, "Ask"+name)
		handlers.claim(b, spot, thing, "On"+name)
	}
	b.checkServiceNames(s, bind)
	b.checkTableNames(s, bind)
	others := maps.Clone(bind.taken) // the generator looks for names that are taken before it has made any plural
	for _, k := range s.Kinds {
		name := k.Message.GoIdent.GoName
		many := goPlural(name)
		if others[many] != "" {
			many = "All" + name
		}
		bind.claim(b, named(k.Message.Desc), "the plural of kind "+string(k.Message.Desc.Name()), many)
	}
}

// checkServiceNames refuses services and methods that give one name twice.
func (b *builder) checkServiceNames(s *schema, bind *scope) {
	for _, v := range s.Services {
		names := gobind.ServiceNames(v)
		methods := newScope("the stubs of service " + string(v.Desc.Name()))
		for _, m := range v.Methods {
			methods.claim(b, named(m.Desc), "method "+string(m.Desc.Name()), gobind.MethodNames(m)...)
			names = append(names, gobind.MethodName(v, m))
		}
		bind.claim(b, named(v.Desc), "service "+string(v.Desc.Name()), names...)
	}
}

// shortName is the name of a route in the bindings: that of its message, without the Request of a request.
func shortName(r *model.Route) string {
	name := r.Message.GoIdent.GoName
	if cut, ok := strings.CutSuffix(name, "Request"); ok && r.Reply != nil && cut != "" {
		return cut
	}
	return name
}

// goPlural is the plural that the bindings give a kind.
func goPlural(name string) string {
	ends := func(list ...string) bool {
		return slices.ContainsFunc(list, func(e string) bool { return strings.HasSuffix(name, e) })
	}
	consonant := len(name) > 1 && !strings.ContainsAny(name[len(name)-2:len(name)-1], "aeiouAEIOU")
	switch {
	case ends("s", "x", "z", "ch", "sh") || ends("o") && consonant:
		return name + "es"
	case ends("y") && consonant:
		return name[:len(name)-1] + "ies"
	}
	return name + "s"
}

// scriptPlural is the plural that the TypeScript output gives a kind.
func scriptPlural(name string) string {
	if strings.HasSuffix(name, "o") {
		return name + "es"
	}
	return goPlural(name)
}

// checkRouteNames refuses names of routes that differ only in dots, underscores or what stands before the last dot where that is not enough: constants in
// TypeScript, and names of metrics, have no dots. They are checked whether or not a schema has such an output now.
func (b *builder) checkRouteNames(s *schema) {
	last := func(r *model.Route) string { return camelWords(r.Name[strings.LastIndexByte(r.Name, '.')+1:]) }
	count := map[string]int{}
	for _, r := range s.Routes {
		count[last(r)]++
	}
	keys := newScope("the constants of routes")
	for _, r := range s.Routes {
		key := last(r)
		if count[key] > 1 {
			key = camelWords(strings.ReplaceAll(r.Name, ".", "_"))
		}
		keys.claim(b, option(r.Message.Desc, "route.name"), "route "+r.Name, strings.ToUpper(key[:min(len(key), 1)])+key[min(len(key), 1):])
	}
}

// camelWords is wide_range as wideRange.
func camelWords(name string) string {
	first, rest, _ := strings.Cut(name, "_")
	return first + goName(rest)
}

// checkAccessors refuses fields of a component whose getters and setters collide.
func (b *builder) checkAccessors(m *protogen.Message, c *delta.Component) {
	reserved := []string{"Into", "From", "String", "AppendPersist", "ParsePersist"}
	if c.Motion != nil {
		reserved = append(reserved, "Pos", "SetPos", "QPos", "SetQPos", "Vel", "SetVel", "QVel", "SetQVel")
		if c.Motion.Heading != 0 {
			reserved = append(reserved, "SetCourse")
		}
	}
	names := newScope("component "+c.Name, reserved...)
	for _, f := range m.Fields {
		if d := c.Field(uint32(f.Desc.Number())); d != nil {
			names.claim(b, named(f.Desc), "field "+string(f.Desc.Name()), accessors(goName(string(f.Desc.Name())), d)...)
		}
	}
}

// accessors are the methods that the bindings make of a field.
func accessors(name string, f *delta.Field) []string {
	all := []string{name, "Set" + name}
	switch f.Type {
	case delta.List:
		return []string{name + "Len", name + "At", name + "Append", name + "Set", name + "Remove", name + "All"}
	case delta.Map:
		return []string{name + "Len", name + "Get", name + "Put", name + "Delete", name + "All"}
	case delta.Steps, delta.Angle:
		all = append(all, "Q"+name, "SetQ"+name)
	}
	if f.Type >= delta.Int32 && f.Type <= delta.Uint64 || f.Type >= delta.Float32 && f.Type <= delta.Steps {
		all = append(all, "Add"+name)
	}
	if f.Optional {
		all = append(all, "Has"+name)
	}
	if f.HasPresence() {
		all = append(all, "Clear"+name)
	}
	return all
}

// goName is wide_range as WideRange.
func goName(name string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

// checkScriptNames refuses names that differ in Go but not in TypeScript, where words are joined and members begin with a small letter.
func (b *builder) checkScriptNames(s *schema) {
	types := newScope("the TypeScript output")
	members := newScope("the TypeScript view of the world", "constructor", "replica", "entity", "unknowns", "has")
	script := func(goName string) string { return strings.ReplaceAll(goName, "_", "") }
	views := len(s.Kinds) > 0 // what there is nothing to see of has none
	enums := func(list []*protogen.Enum) {
		for _, e := range list {
			types.claim(b, named(e.Desc), "enum "+string(e.Desc.FullName()), script(e.GoIdent.GoName))
		}
	}
	for _, file := range s.Files {
		enums(file.Enums)
		eachMessage(file.Messages, func(m *protogen.Message) {
			enums(m.Enums)
			thing := "message " + string(m.Desc.FullName())
			types.claim(b, named(m.Desc), thing, script(m.GoIdent.GoName))
			if views && hasOption(m.Desc, "component") {
				types.claim(b, named(m.Desc), thing, script(m.GoIdent.GoName)+"Columns")
			}
			if views && (hasOption(m.Desc, "component") || hasOption(m.Desc, "kind")) {
				types.claim(b, named(m.Desc), thing, script(m.GoIdent.GoName)+"View")
			}
			if hasOption(m.Desc, "component") || hasOption(m.Desc, "kind") {
				members.claim(b, named(m.Desc), thing, strings.ToLower(script(m.GoIdent.GoName)))
			}
			fields := newScope("the TypeScript of " + string(m.Desc.Name()))
			for _, f := range m.Fields {
				fields.claim(b, named(f.Desc), "field "+string(f.Desc.Name()), f.Desc.JSONName())
			}
		})
	}
	for _, k := range s.Kinds {
		many := scriptPlural(strings.ToLower(script(k.Message.GoIdent.GoName)))
		if members.taken[many] != "" {
			many = "all" + many
		}
		members.claim(b, named(k.Message.Desc), "the plural of kind "+string(k.Message.Desc.Name()), many)
	}
}
