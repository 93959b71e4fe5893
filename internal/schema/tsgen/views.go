package tsgen

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

func (g *generator) hasWorld() bool { return len(g.s.Kinds) > 0 }

// world writes the columns and views of components and kinds, and the world that holds them.
func (g *generator) world() error {
	if !g.hasWorld() {
		return nil
	}
	if err := g.declare("World", "the world", g.s.Kinds[0].Message.Desc); err != nil {
		return err
	}
	g.p("")
	g.doc("", "Kind has the numbers of the schema's kinds of entities.")
	g.p("export const Kind = {")
	for _, k := range g.s.Kinds {
		g.p("  %s: %d,", lower(k.Def.Name), k.Def.ID)
	}
	g.p("} as const;")
	for _, c := range g.s.Components {
		if err := g.component(c); err != nil {
			return err
		}
	}
	for _, k := range g.s.Kinds {
		if err := g.kind(k); err != nil {
			return err
		}
	}
	g.p("")
	return g.worldClass()
}

// columns are the fields that have one: they leave the server, and are not kept with the motion.
func columns(c *delta.Component) (list []*delta.Field) {
	for i := range c.Fields {
		if f := &c.Fields[i]; f.Audience != delta.Server && axis(c, f) == "" {
			list = append(list, f)
		}
	}
	return list
}

// axis is where the motion keeps a field; "": it does not.
func axis(c *delta.Component, f *delta.Field) string {
	m := c.Motion
	if m == nil {
		return ""
	}
	ids := []uint32{m.X, m.Y, m.Z, m.VX, m.VY, m.VZ, m.Heading}
	if i := slices.Index(ids, f.ID); i >= 0 {
		return []string{"x", "y", "z", "vx", "vy", "vz", "yaw"}[i]
	}
	return ""
}

func (g *generator) component(c *model.Component) error {
	name := typeName(verb(c.Message))
	for _, n := range []string{name + "Columns", name + "View"} {
		if err := g.declare(n, "component "+c.Def.Name, c.Message.Desc); err != nil {
			return err
		}
	}
	if err := g.columnsClass(c, name); err != nil {
		return err
	}
	cols := columns(c.Def)
	g.p("")
	g.doc("", fmt.Sprintf("%sView is %s of one entity, in units.", name, c.Def.Name))
	g.p("export class %sView extends %s<World> {", name, g.sdk("views", "Part"))
	for i := range c.Def.Fields {
		f := &c.Def.Fields[i]
		if f.Audience == delta.Server {
			continue
		}
		t, e, err := g.unitValue(c, f, slices.Index(cols, f))
		if err != nil {
			return g.wrongField(c, f, "%v", err)
		}
		g.doc("  ", fieldDoc(c, f))
		g.p("  get %s(): %s {\n    return %s;\n  }", member(camel(f.Name)), t, e)
	}
	g.p("}")
	return nil
}

// columnsClass writes the columns of a component, if it has any.
func (g *generator) columnsClass(c *model.Component, name string) error {
	cols := columns(c.Def)
	if len(cols) == 0 {
		return nil
	}
	g.p("")
	g.doc("", fmt.Sprintf("%sColumns are the fields of %s of all entities, by local index, in steps. The arrays are replaced when they grow: take them anew for every frame.",
		name, c.Def.Name))
	g.p("export class %sColumns extends %s {", name, g.sdk("views", "Columns"))
	getters := map[string]*delta.Field{}
	get := func(name string, f *delta.Field) error {
		if other := getters[name]; other != nil {
			return g.wrongField(c, f, "the columns of fields %s and %s both have %s: rename one of the fields", other.Name, f.Name, name)
		}
		getters[name] = f
		return nil
	}
	for i, f := range cols {
		t, err := g.arrayType(c, f)
		if err != nil {
			return g.wrongField(c, f, "%v", err)
		}
		if err := get(columnName(f), f); err != nil {
			return err
		}
		g.doc("  ", fieldDoc(c, f))
		g.p("  get %s(): %s {\n    return this.columns[%d]!.array as %s;\n  }", columnName(f), t, i, t)
		if f.Optional {
			if err := get("has"+title(camel(f.Name)), f); err != nil {
				return err
			}
			g.p("  get has%s(): Uint8Array {\n    return this.columns[%d]!.has!;\n  }", title(camel(f.Name)), i)
		}
	}
	g.p("}")
	return nil
}

// wrongField is a mistake in a field of a component.
func (g *generator) wrongField(c *model.Component, f *delta.Field, format string, args ...any) error {
	text := "field " + f.Name + " of component " + c.Def.Name + ": " + fmt.Sprintf(format, args...)
	if m := messageField(c, f); m != nil {
		return g.wrong(m.Desc, "%s", text)
	}
	return g.wrong(c.Message.Desc, "%s", text)
}

func columnName(f *delta.Field) string { return member(camel(f.Name), "columns") }

// fieldDoc is what the schema says of a field, its range and who gets it.
func fieldDoc(c *model.Component, f *delta.Field) string {
	text := ""
	if m := messageField(c, f); m != nil {
		text = comment(m.Comments, "")
	}
	if text == "" {
		text = f.Name
	}
	if f.Bits > 0 && (f.Type >= delta.Int32 && f.Type <= delta.Uint64 || f.Type == delta.Steps) {
		text += fmt.Sprintf(", %s to %s", inUnits(f, f.Min), inUnits(f, f.Limit))
	}
	switch f.Audience {
	case delta.Owner:
		text += ", known of the own avatar only"
	case delta.Party:
		text += ", known of the own party only"
	}
	return strings.TrimSuffix(text, ".") + "."
}

func messageField(c *model.Component, f *delta.Field) *protogen.Field {
	for _, m := range c.Message.Fields {
		if uint32(m.Desc.Number()) == f.ID {
			return m
		}
	}
	return nil
}

func inUnits(f *delta.Field, v int64) string {
	if f.Type != delta.Steps {
		return strconv.FormatInt(v, 10)
	}
	return strconv.FormatFloat(f.Origin+float64(v)*f.Quantum, 'g', 8, 64)
}

// elementType is the type of a field's value as it is kept.
func (g *generator) elementType(c *model.Component, f *delta.Field) (string, error) {
	switch f.Type {
	case delta.Bool:
		return "boolean", nil
	case delta.Int64, delta.Uint64, delta.Entity:
		return "bigint", nil
	case delta.String:
		return "string", nil
	case delta.Bytes:
		return g.bytes(), nil
	}
	m := messageField(c, f)
	if m == nil {
		return "", fmt.Errorf("the message %s has no such field", c.Message.Desc.Name())
	}
	switch f.Type {
	case delta.Enum:
		return g.valueType(m)
	case delta.Message:
		t, err := g.valueType(m)
		return "Readonly<" + t + ">", err
	case delta.List:
		t, err := g.valueType(m)
		return "readonly " + t + "[]", err
	case delta.Map:
		k, err := g.valueType(m.Message.Fields[0])
		if err != nil {
			return "", err
		}
		v, err := g.valueType(m.Message.Fields[1])
		return "ReadonlyMap<" + k + ", " + v + ">", err
	}
	return "number", nil
}

// arrayType is the type of a column's array, which the runtime makes by the same rule (storage in web/sdk/columns.ts).
func (g *generator) arrayType(c *model.Component, f *delta.Field) (string, error) {
	ranged := f.Bits > 0
	fits := func(low, high int64) bool { return ranged && f.Min >= low && f.Limit < high }
	switch f.Type {
	case delta.Bool:
		return "Uint8Array", nil
	case delta.Int32, delta.Uint32, delta.Steps:
		switch {
		case fits(0, 1<<8):
			return "Uint8Array", nil
		case fits(0, 1<<16):
			return "Uint16Array", nil
		case fits(-1<<7, 1<<7):
			return "Int8Array", nil
		case fits(-1<<15, 1<<15):
			return "Int16Array", nil
		case f.Type == delta.Uint32:
			return "Uint32Array", nil
		}
		return "Int32Array", nil
	case delta.Int64:
		return "BigInt64Array", nil
	case delta.Uint64, delta.Entity:
		return "BigUint64Array", nil
	case delta.Enum:
		return "Int32Array", nil
	case delta.Angle:
		if f.Bits <= 8 {
			return "Uint8Array", nil
		}
		return "Uint16Array", nil
	case delta.Float32:
		return "Float32Array", nil
	case delta.Float64:
		return "Float64Array", nil
	}
	t, err := g.elementType(c, f)
	if f.HasPresence() {
		t += " | undefined"
	}
	return "readonly (" + t + ")[]", err
}

// blends tells whether the runtime keeps a field's last values.
func blends(f *delta.Field) bool {
	return f.Interp != delta.Jump && !f.Optional && f.Type < delta.Entity && f.Type != delta.Int64 && f.Type != delta.Uint64
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// scaled turns an expression in steps into units.
func scaled(f *delta.Field, e string) string {
	switch {
	case f.Type == delta.Angle:
		return e + " * " + number(2*math.Pi/float64(int64(1)<<f.Bits))
	case f.Type == delta.Steps && f.Origin != 0:
		return number(f.Origin) + " + " + e + " * " + number(f.Quantum)
	case f.Type == delta.Steps:
		return e + " * " + number(f.Quantum)
	}
	return e
}

// quantised tells whether values within a field are in steps.
func quantised(f *delta.Field) bool {
	return f.Type == delta.Steps || f.Type == delta.Angle || slices.ContainsFunc(f.Fields, func(e delta.Field) bool { return quantised(&e) })
}

// unitValue is the type of a view's getter and what it returns.
func (g *generator) unitValue(c *model.Component, f *delta.Field, column int) (typ, expr string, err error) {
	if a := axis(c.Def, f); a != "" {
		e := "this.$place()." + a
		if strings.HasSuffix(a, "y") { // not every layout has heights
			e += "!"
		}
		return "number", scaled(f, e), nil
	}
	typ, err = g.elementType(c, f)
	if err != nil {
		return "", "", err
	}
	if f.HasPresence() {
		typ += " | undefined"
	}
	at := fmt.Sprintf("this.$world.%s", columnsName(c))
	col := fmt.Sprintf("%s.columns[%d]!", at, column)
	value := fmt.Sprintf("%s.%s[this.$index]!", at, columnName(f))
	switch {
	case blends(f):
		return typ, scaled(f, "this.$sample("+col+")"), nil
	case quantised(f) && (f.Optional || f.Type >= delta.Message):
		return typ, g.sdk("views", "inUnits") + "(" + col + ".field, " + col + ".at(this.$index))", nil
	case f.Type == delta.Bool && f.Optional:
		return typ, fmt.Sprintf("%s.has%s[this.$index] === 0 ? undefined : %s !== 0", at, title(camel(f.Name)), value), nil
	case f.HasPresence():
		return typ, col + ".at(this.$index)", nil
	case f.Type == delta.Bool:
		return typ, value + " !== 0", nil
	case f.Type == delta.Enum:
		return typ, value + " as " + typ, nil
	}
	return typ, scaled(f, value), nil
}

// worldMembers are the names of the runtime's class.
var worldMembers = []string{"replica", "entity", "unknowns", "has"}

// viewMembers are the names of the runtime's view of an entity.
var viewMembers = []string{"world", "index", "tick", "id", "kind"}

func columnsName(c *model.Component) string { return member(lower(verb(c.Message)), worldMembers...) }

func (g *generator) kind(k *model.Kind) error {
	name := typeName(verb(k.Message)) + "View"
	if err := g.declare(name, "kind "+k.Def.Name, k.Message.Desc); err != nil {
		return err
	}
	g.p("")
	g.doc("", comment(k.Message.Comments, k.Def.Name+" is a kind of entity."))
	g.p("export class %s extends %s<World> {", name, g.sdk("views", "EntityView"))
	for _, c := range k.Components {
		view := typeName(verb(c.Message)) + "View"
		if k.Optional(c) {
			g.doc("  ", fmt.Sprintf("%s is undefined while the %s lacks it.", c.Def.Name, k.Def.Name))
			g.p("  get %s(): %s | undefined {\n    return this.world.has(this.index, %d) ? new %s(this.world, this.index, this.tick) : undefined;\n  }",
				member(lower(verb(c.Message)), viewMembers...), view, c.Def.ID, view)
			continue
		}
		g.p("  get %s(): %s {\n    return new %s(this.world, this.index, this.tick);\n  }", member(lower(verb(c.Message)), viewMembers...), view, view)
	}
	g.p("}")
	return nil
}

func (g *generator) worldClass() error {
	taken := map[string]string{}
	take := func(name, by string, d protoreflect.Descriptor) error {
		if other, ok := taken[name]; ok {
			return g.wrong(d, "%s and %s are both called %s in the world: rename one of them", other, by, name)
		}
		taken[name] = by
		return nil
	}
	g.doc("", "World is what a client sees: iterate by kind, look at an entity through its view, or at a component of all entities through its columns.")
	g.p("export class World extends %s {", g.sdk("views", "Entities"))
	for _, c := range g.s.Components {
		var ids []string
		for _, f := range columns(c.Def) {
			ids = append(ids, strconv.Itoa(int(f.ID)))
		}
		if len(ids) == 0 {
			continue
		}
		if err := take(columnsName(c), "component "+c.Def.Name, c.Message.Desc); err != nil {
			return err
		}
		class := typeName(verb(c.Message)) + "Columns"
		g.p("  readonly %s = new %s(this.replica, %d, [%s]);", columnsName(c), class, c.Def.ID, strings.Join(ids, ", "))
	}
	g.p("")
	events := g.sdk("replica", "type ReplicaEvents")
	g.p("  constructor(events: %s = {}) {\n    super(%s(LAYOUT), events);\n  }", events, g.sdk("bytes", "unbase64"))
	for _, k := range g.s.Kinds {
		if err := take(member(lower(verb(k.Message)), worldMembers...), "kind "+k.Def.Name, k.Message.Desc); err != nil {
			return err
		}
	}
	for _, k := range g.s.Kinds {
		one := member(lower(verb(k.Message)), worldMembers...)
		many := plural(lower(verb(k.Message)))
		if _, ok := taken[many]; ok || slices.Contains(worldMembers, many) {
			many = "all" + title(many)
		}
		if err := take(many, "the plural of kind "+k.Def.Name, k.Message.Desc); err != nil {
			return err
		}
		view := typeName(verb(k.Message)) + "View"
		g.p("")
		g.doc("  ", fmt.Sprintf("%s looks at a live %s, at a tick as a fraction (where it is drawn), or without one as the last section told. "+
			"It throws if there is none of that kind at the index.", one, k.Def.Name))
		g.p("  %s(index: number, tick?: number): %s {", one, view)
		g.p("    return new %s(this, this.entity(index, Kind.%s, %q), tick);\n  }", view, lower(k.Def.Name), k.Def.Name)
		g.p("")
		g.doc("  ", fmt.Sprintf("%s are the local indices of all that are visible.", many))
		g.p("  %s(): IterableIterator<number> {\n    return this.replica.ofKind(Kind.%s);\n  }", many, lower(k.Def.Name))
	}
	g.p("}")
	return nil
}
