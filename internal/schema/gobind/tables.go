package gobind

import (
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
)

// TableNames are the names that a schema with tables has in the package of bindings.
func TableNames() []string { return []string{"Tables", "NewTablesSchema", "LoadTables", "TablesOf"} }

// TableField is the name of a table's field in Tables.
func TableField(t *model.Table) string { return camel(t.Name) }

// tables writes the typed view of game data.
func (g *generator) tables(f *file) {
	f.p("// Tables is the game data of schema %s with its types. It never changes: any goroutine may read it, and nobody may write to its rows.", g.Name)
	f.p("type Tables struct {")
	for _, t := range g.Tables {
		f.doc("%s has the rows of %s.yaml or %[2]s.csv, by %s: %s", TableField(t), t.Name, t.Key.Desc.Name(), sentence(leading(t.Message.Comments), t.Message.GoIdent.GoName))
		f.p("%s tables.Table[%s, %s]", TableField(t), keyType(f, t.Key), f.name(t.Message.GoIdent))
	}
	f.p("")
	f.p("set *tables.Set")
	f.p("}\n")
	f.p("// Set is the same data without types: what game.Config.Tables and a running server take.")
	f.p("func (t *Tables) Set() *tables.Set { return t.set }\n")
	f.p("// NewTablesSchema says what the rows of the tables may hold, within the bounds of c; it fails on bounds that are none.")
	f.p("func NewTablesSchema(c tables.Config) (*tables.Schema, error) {")
	rows := make([]string, len(g.Tables))
	for i, t := range g.Tables {
		rows[i] = "&" + f.name(t.Message.GoIdent) + "{}"
	}
	f.p("return tables.NewSchema(c, func(s *tables.Set) any {")
	f.p("return &Tables{")
	for _, t := range g.Tables {
		f.p("%s: tables.RowsOf(s, %q, (*%s).Get%s),", TableField(t), t.Name, f.name(t.Message.GoIdent), t.Key.GoName)
	}
	f.p("set: s,")
	f.p("}")
	f.p("}, %s)", strings.Join(rows, ", "))
	f.p("}\n")
	f.p("// LoadTables reads the files of all tables from the top folder of a file system. It gives all of them, or every mistake in them with its place.")
	f.p("func LoadTables(fsys fs.FS) (*Tables, error) {")
	f.p("schema, err := NewTablesSchema(tables.Config{})")
	f.p("if err != nil { return nil, err }")
	f.p("set, err := tables.Load(fsys, schema)")
	f.p("if err != nil { return nil, err }")
	f.p("return set.Typed().(*Tables), nil")
	f.p("}\n")
	if !g.Plays() {
		return
	}
	f.p("// TablesOf is the game data of a zone in this tick; it allocates nothing. Do not keep it: between ticks the zone may be given new data.")
	f.p("// It panics if the zone has none, or those of another schema.")
	f.p("func TablesOf(z *game.Zone) *Tables {")
	f.p("set := z.Tables()")
	f.p("if set == nil { panic(%q) }", g.BindName+": the zone has no tables: load them with LoadTables, and put their Set() into game.Config.Tables")
	f.p("t, ok := set.Typed().(*Tables)")
	f.p("if !ok { panic(%q) }", g.BindName+": the zone has the tables of another schema: load them with LoadTables of this package")
	f.p("return t")
	f.p("}\n")
}

// keyType is the type of a table's key in Go.
func keyType(f *file, k *protogen.Field) string {
	switch k.Desc.Kind() {
	case protoreflect.EnumKind:
		return f.name(k.Enum.GoIdent)
	case protoreflect.StringKind:
		return "string"
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return "uint32"
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return "uint64"
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return "int64"
	}
	return "int32"
}
