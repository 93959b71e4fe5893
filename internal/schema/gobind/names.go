package gobind

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// declared counts the exported names that the package of bindings declares, the plurals of kinds left aside.
func (g *generator) declared() map[string]int {
	names := map[string]int{}
	add := func(list ...string) {
		for _, n := range list {
			names[n]++
		}
	}
	for _, v := range g.Services {
		add(ServiceNames(v)...)
		for _, m := range v.Methods {
			add(MethodName(v, m))
		}
	}
	if len(g.Tables) > 0 {
		add(TableNames()...)
	}
	if !g.Plays() {
		return names
	}
	add("Fingerprint", "NewLayout", "Game", "NewGame", "Routes", "Pushes")
	if len(g.Components) > 0 {
		add("NewCodec", "Groups")
	}
	if _, ok := g.Layout.Quantum(); ok {
		add("QuantaPerMetre", "VelocityPerMetre")
	}
	for _, c := range g.Components {
		n := c.Message.GoIdent.GoName
		add(n, n+"Read", "Component"+n)
		if g.sometimes(c) {
			add(n + "Of")
		}
	}
	for _, k := range g.Kinds {
		n := k.Message.GoIdent.GoName
		add(n, "Kind"+n, n+"Of", "Spawn"+n, "Spawn"+n+"Q")
	}
	for _, r := range g.Routes {
		n := short(r)
		add("Route" + n)
		switch {
		case r.Direction&protocol.ClientToServer == 0:
		case r.Reply != nil:
			add("Call" + n)
		default:
			add("Send" + n)
		}
		if told(r) {
			add(SenderNames(r)...)
		}
	}
	for _, c := range g.Calls {
		add("Ask" + c.Message.GoIdent.GoName)
	}
	return names
}

// checkNames refuses a schema whose bindings would declare a name twice, which the Go compiler would report without a word about the schema.
func (g *generator) checkNames() error {
	names := g.declared()
	for _, k := range g.Kinds {
		names[g.plural(k.Message.GoIdent.GoName)]++
	}
	if err := once(names, "the bindings"); err != nil {
		return err
	}
	for _, v := range g.Services {
		own := map[string]int{}
		for _, m := range v.Methods {
			for _, name := range MethodNames(m) {
				own[name]++
			}
		}
		if err := once(own, "service "+v.Name); err != nil {
			return err
		}
	}
	for _, c := range g.Components {
		if err := once(accessors(c.Def, func(d *delta.Field) string { return fieldOf(c.Message, d.ID).GoName }), "component "+c.Def.Name); err != nil {
			return err
		}
	}
	for _, k := range g.Kinds {
		own := map[string]int{"String": 1, "Entity": 1}
		for _, c := range k.Components {
			n := c.Message.GoIdent.GoName
			own[n]++
			if k.Optional(c) {
				own["Has"+n]++
				own["Add"+n]++
				own["Remove"+n]++
			}
		}
		if err := once(own, "kind "+k.Def.Name); err != nil {
			return err
		}
	}
	return nil
}

// once refuses names that are there twice, the first by the alphabet.
func once(names map[string]int, where string) error {
	for _, n := range slices.Sorted(maps.Keys(names)) {
		if names[n] > 1 {
			return fmt.Errorf("%s would declare %s twice in Go: rename one of the messages or fields that give that name", where, n)
		}
	}
	return nil
}

// accessors counts the methods of a component.
func accessors(d *delta.Component, goName func(*delta.Field) string) map[string]int {
	names := map[string]int{"Into": 1, "From": 1, "String": 1, "AppendPersist": 1, "ParsePersist": 1}
	add := func(list ...string) {
		for _, n := range list {
			names[n]++
		}
	}
	if m := d.Motion; m != nil {
		add("Pos", "SetPos", "QPos", "SetQPos", "Vel", "SetVel", "QVel", "SetQVel")
		if m.Heading != 0 {
			add("SetCourse")
		}
	}
	for i := range d.Fields {
		f := &d.Fields[i]
		if d.Motion != nil && isAxis(d.Motion, f.ID) {
			continue
		}
		n := goName(f)
		switch f.Type {
		case delta.List:
			add(n+"Len", n+"At", n+"Append", n+"Set", n+"Remove", n+"All")
			continue
		case delta.Map:
			add(n+"Len", n+"Get", n+"Put", n+"Delete", n+"All")
			continue
		case delta.Steps, delta.Angle:
			add("Q"+n, "SetQ"+n)
		}
		add(n, "Set"+n)
		if f.HasPresence() {
			add("Has"+n, "Clear"+n)
		} else if f.Type >= delta.Int32 && f.Type <= delta.Uint64 || f.Type >= delta.Float32 && f.Type <= delta.Steps {
			add("Add" + n)
		}
	}
	return names
}

// camel is the Go name of a name of the schema: wide_ranged is WideRanged.
func camel(name string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		r, n := utf8.DecodeRuneInString(word)
		if n > 0 {
			b.WriteRune(unicode.ToUpper(r))
		}
		b.WriteString(word[n:])
	}
	return b.String()
}

// lower is a name that is not exported.
func lower(name string) string {
	r, n := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(r)) + name[n:]
}
