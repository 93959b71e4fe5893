package schema

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/internal/schema/gobind"
	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/proto_define/mmo"
)

// maxRowDepth bounds how deep messages lie inside a row; pkg/game/tables has the same bound.
const maxRowDepth = 8

// tables finds the schema's tables, and checks what their rows may hold. pkg/game/tables reads the same options from the descriptors when a server starts, and refuses the
// same: only here there are places to show.
func (b *builder) tables(s *schema) {
	for _, m := range marked(s, "table") {
		d, o := m.Desc, optionOf[*mmo.Table](m.Desc, mmo.E_Table)
		t := &model.Table{Name: o.Name, Message: m, Key: fieldNamed(m, o.Key)}
		first := slices.IndexFunc(s.Tables, func(have *model.Table) bool { return have.Name == t.Name })
		switch {
		case o.Name == "":
			b.add(option(d, "table"), "table %s has no name: it names the file with the rows, write name: %q for %[2]s.yaml or %[2]s.csv", d.Name(), strings.ToLower(goPlural(string(d.Name()))))
		case !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(o.Name) || len(o.Name) > 64:
			b.add(option(d, "table.name"), "table name %q: it names a file and a field in Go, write at most 64 lower case letters, digits and underscores", o.Name)
		case first >= 0:
			b.add(option(d, "table.name"), "table %q is there twice, as %s and %s: one file holds one kind of rows, rename one", o.Name, s.Tables[first].Message.Desc.Name(), d.Name())
		}
		b.tableKey(t, o)
		s.Tables = append(s.Tables, t)
	}
	slices.SortFunc(s.Tables, func(a, c *model.Table) int { return strings.Compare(a.Name, c.Name) })
	if b.rows == nil {
		b.rows = map[protoreflect.FullName]bool{}
	}
	for _, t := range s.Tables {
		b.columns(s, t.Message, nil)
	}
}

// tableKey checks the field that tells rows apart.
func (b *builder) tableKey(t *model.Table, o *mmo.Table) {
	d := t.Message.Desc
	wrong := func(format string, args ...any) { b.add(option(d, "table.key"), format, args...) }
	switch k := t.Key; {
	case o.Key == "":
		b.add(option(d, "table"), "table %s has no key: it names the field that tells rows apart, %s", d.Name(), didYouMean("id", fieldNames(d, false)))
	case k == nil:
		wrong("key %q is no field of %s: %s", o.Key, d.Name(), didYouMean(o.Key, fieldNames(d, false)))
	case !keyLike(k.Desc) || k.Desc.IsList() || k.Desc.IsMap():
		wrong("key %q is %s: name a field that is a whole number, an enum or a string", o.Key, typeName(k.Desc))
	case k.Desc.HasPresence():
		wrong("key %q may be missing: every row has one, drop optional or name a field outside of the oneof", o.Key)
	case optionOf[*mmo.Column](k.Desc, mmo.E_Column).GetDefault() != "":
		b.add(option(k.Desc, "column.default"), "default on the key of a table: every row has its own, drop it")
	}
}

// keyLike tells whether values of a field can tell rows apart.
func keyLike(d protoreflect.FieldDescriptor) bool {
	return d.Kind() == protoreflect.EnumKind || d.Kind() == protoreflect.StringKind || number(d.Kind()) && d.Kind() != protoreflect.FloatKind && d.Kind() != protoreflect.DoubleKind
}

// columns checks the fields of a row, or of a message in one; around are the messages that it lies in.
func (b *builder) columns(s *schema, m *protogen.Message, around []protoreflect.FullName) {
	b.rows[m.Desc.FullName()] = true
	around = append(slices.Clip(around), m.Desc.FullName())
	for _, f := range m.Fields {
		d, v := f.Desc, f.Desc
		inner := f.Message
		if d.IsMap() {
			v, inner = d.MapValue(), f.Message.Fields[1].Message
		}
		switch {
		case v.Kind() == protoreflect.BytesKind:
			b.add(typed(d), "field %s is bytes, which no file of rows can hold: make it a string", d.FullName())
		case v.Kind() == protoreflect.GroupKind:
			b.add(named(d), "field %s is a group: declare a message and a field of its type", d.Name())
		case inner == nil:
		case slices.Contains(around, inner.Desc.FullName()):
			b.add(typed(d), "message %s holds itself: a row has an end, so keep keys in place of the inner ones", inner.Desc.FullName())
		case len(around) >= maxRowDepth:
			b.add(typed(d), "message %s lies more than %d deep in a row: flatten it", inner.Desc.FullName(), maxRowDepth)
		default:
			b.columns(s, inner, around)
		}
		if o := optionOf[*mmo.Column](d, mmo.E_Column); o != nil {
			b.column(s, d, v, o)
		}
	}
}

// column checks what a field's option says; v is d itself, or the value of a map.
func (b *builder) column(s *schema, d, v protoreflect.FieldDescriptor, o *mmo.Column) {
	wrong := func(name, format string, args ...any) { b.add(option(d, "column."+name), format, args...) }
	for name, bound := range map[string]*float64{"min": o.Min, "max": o.Max} {
		low, high := ends(v.Kind())
		switch {
		case bound == nil:
		case !number(v.Kind()):
			wrong(name, "%s on %s: only numbers have it, drop it", name, typeName(d))
		case math.IsNaN(*bound) || math.IsInf(*bound, 0):
			wrong(name, "%s %v: it has to be finite, or drop it", name, *bound)
		case *bound < low || *bound > high || *bound != math.Trunc(*bound) && v.Kind() != protoreflect.FloatKind && v.Kind() != protoreflect.DoubleKind:
			wrong(name, "%s %v is no value of %s: use a number that the field can hold", name, *bound, typeName(v))
		case math.Abs(*bound) > 1<<53 && v.Kind() != protoreflect.FloatKind && v.Kind() != protoreflect.DoubleKind:
			wrong(name, "%s %v: beyond 2^53 options do not hold every whole number, use a smaller one or drop it", name, *bound)
		}
	}
	if o.Min != nil && o.Max != nil && *o.Min > *o.Max {
		wrong("max", "max %v is below min %v: nothing lies between, swap them", *o.Max, *o.Min)
	}
	if o.Table != "" {
		b.pointer(s, d, v, o.Table)
	}
	single := !d.IsList() && !d.IsMap()
	if o.Required && (o.Default != nil || single && d.Message() == nil && d.HasPresence()) {
		wrong("required", "required on %s, which may be missing: drop it, or optional and default", d.Name())
	}
	switch {
	case o.Default == nil:
	case !single || d.Message() != nil:
		wrong("default", "default on %s: only single values have one, drop it", typeName(d))
	case d.HasPresence():
		wrong("default", "default on %s, which may be missing: with a default it never is, drop one of both", d.Name())
	default:
		if why := unreadable(v, o); why != "" {
			wrong("default", "default %q: %s", *o.Default, why)
		}
	}
}

// pointer checks a field whose values are keys of a table.
func (b *builder) pointer(s *schema, d, v protoreflect.FieldDescriptor, name string) {
	at := slices.IndexFunc(s.Tables, func(t *model.Table) bool { return t.Name == name })
	if at < 0 {
		var names []string
		for _, t := range s.Tables {
			names = append(names, t.Name)
		}
		b.add(option(d, "column.table"), "there is no table %q in package %s: %s", name, s.Package, didYouMean(name, names))
		return
	}
	key := s.Tables[at].Key
	if key != nil && goKey(key.Desc) != goKey(v) {
		b.add(option(d, "column.table"), "%s is %s, and the keys of table %s are %s: make them alike", d.Name(), typeName(v), name, typeName(key.Desc))
	}
}

// goKey is the type of a key in Go, where sint32 and int32 are the same.
func goKey(d protoreflect.FieldDescriptor) string {
	switch d.Kind() {
	case protoreflect.EnumKind:
		return string(d.Enum().FullName())
	case protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return "int32"
	case protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return "int64"
	case protoreflect.Fixed32Kind:
		return "uint32"
	case protoreflect.Fixed64Kind:
		return "uint64"
	}
	return d.Kind().String()
}

// ends are the least and the greatest value of a number.
func ends(k protoreflect.Kind) (low, high float64) {
	switch k {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return math.MinInt32, math.MaxInt32
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return 0, math.MaxUint32
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return math.MinInt64, math.MaxInt64
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return 0, math.MaxUint64
	case protoreflect.FloatKind:
		return -math.MaxFloat32, math.MaxFloat32
	}
	return -math.MaxFloat64, math.MaxFloat64
}

// unreadable says why a default is no value of its field; "": it is one.
func unreadable(d protoreflect.FieldDescriptor, o *mmo.Column) string {
	text := *o.Default
	var x float64
	var err error
	switch goKey(d) {
	case "bool":
		if text != "true" && text != "false" {
			return "write true or false"
		}
		return ""
	case "string":
		return ""
	case "float":
		x, err = strconv.ParseFloat(text, 32)
	case "double":
		x, err = strconv.ParseFloat(text, 64)
	case "int32", "int64":
		var i int64
		i, err = strconv.ParseInt(text, 10, map[string]int{"int32": 32, "int64": 64}[goKey(d)])
		x = float64(i)
	case "uint32", "uint64":
		var u uint64
		u, err = strconv.ParseUint(text, 10, map[string]int{"uint32": 32, "uint64": 64}[goKey(d)])
		x = float64(u)
	default:
		return unnamed(d, text)
	}
	switch {
	case err != nil || strings.Trim(text, "+-.0123456789eE") != "" || goKey(d) != "float" && goKey(d) != "double" && regexp.MustCompile(`^[+-]?0[0-9]`).MatchString(text):
		return fmt.Sprintf("write a number that %s can hold", d.Kind())
	case o.Min != nil && x < *o.Min:
		return fmt.Sprintf("it is less than min %v", *o.Min)
	case o.Max != nil && x > *o.Max:
		return fmt.Sprintf("it is more than max %v", *o.Max)
	}
	return ""
}

// unnamed says why a text is no name of an enum's value, which may go without the prefix that all of them have.
func unnamed(d protoreflect.FieldDescriptor, text string) string {
	if d.Enum() == nil {
		return "no text has its form, drop it"
	}
	all := d.Enum().Values()
	if all.ByName(protoreflect.Name(text)) != nil || all.ByName(protoreflect.Name(prefixOf(d.Enum())+text)) != nil {
		return ""
	}
	var names []string
	for i := range all.Len() {
		names = append(names, string(all.Get(i).Name()))
	}
	return fmt.Sprintf("it is no name of %s: %s", d.Enum().Name(), didYouMean(text, names))
}

// prefixOf is MOOD_ for an enum Mood whose names all begin with it, and would be names without; "": they do not.
func prefixOf(e protoreflect.EnumDescriptor) string {
	words := regexp.MustCompile(`([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])`).ReplaceAllString(string(e.Name()), "${1}${3}_${2}${4}")
	prefix := strings.ToUpper(words) + "_"
	for i := range e.Values().Len() {
		rest, ok := strings.CutPrefix(string(e.Values().Get(i).Name()), prefix)
		if !ok || rest == "" || rest[0] >= '0' && rest[0] <= '9' {
			return ""
		}
	}
	return prefix
}

// checkStrayColumns refuses options of columns in messages that no table holds, as they would do nothing.
func (b *builder) checkStrayColumns(all []*schema) {
	for _, file := range b.plugin.Files {
		if !file.Generate {
			continue
		}
		eachMessage(file.Messages, func(m *protogen.Message) {
			if b.rows[m.Desc.FullName()] {
				return
			}
			for _, f := range m.Fields {
				if optionOf[*mmo.Column](f.Desc, mmo.E_Column) != nil {
					b.add(option(f.Desc, "column"), "option (mmo.column) on a field of %s, which is no table and in none: it would do nothing, drop it or give the message option (mmo.table)", m.Desc.Name())
				}
			}
		})
	}
}

// checkTableNames refuses tables that give one name twice in the bindings.
func (b *builder) checkTableNames(s *schema, bind *scope) {
	if len(s.Tables) == 0 {
		return
	}
	fields := newScope("the fields of Tables", "Set")
	for i, t := range s.Tables {
		thing := "table " + string(t.Message.Desc.Name())
		bind.claim(b, named(t.Message.Desc), "the tables", gobind.TableNames()...)
		if t.Name != "" && (i == 0 || s.Tables[i-1].Name != t.Name) { // of which there is a mistake already
			fields.claim(b, option(t.Message.Desc, "table.name"), thing, gobind.TableField(t))
		}
	}
}
