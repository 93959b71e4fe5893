package schema

import (
	"cmp"
	"fmt"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/proto_define/mmo"
	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1" // which also lets any schema import mmo/v1/*.proto
)

const (
	defaultTickHz = 20
	maxTickHz     = 1000
)

// builder turns a compiled tree into a model, gathering what is wrong with it.
type builder struct {
	*tree
	*mistakes
	owner   map[protoreflect.FullName]*schema // of messages, in packages that are a schema
	reached map[protoreflect.FullName]bool    // messages that components hold, themselves included
	rows    map[protoreflect.FullName]bool    // messages that tables hold, themselves included
}

// schema is a model.Schema under construction, with the places of what it is made of.
type schema struct {
	*model.Schema
	file      *protogen.File               // that carries the option
	tick      uint32                       // per second
	places    map[string]place             // of what the lock names
	messages  map[string]*protogen.Message // of all its files, nested ones too, by full name
	layout    delta.Layout
	quantum   float64 // of positions, and which component said so
	quantumOf string
}

// build makes the model; what is wrong is in b.mistakes afterwards.
func (b *builder) build() []*schema {
	var all []*schema
	byPackage := map[protoreflect.FullName]*schema{}
	for _, file := range b.plugin.Files {
		if !file.Generate {
			continue
		}
		own := optionOf[*mmo.Schema](file.Desc, mmo.E_Schema)
		if own == nil {
			continue
		}
		if first := byPackage[file.Desc.Package()]; first != nil {
			b.add(option(file.Desc, "schema"), "package %s has option (mmo.schema) twice, here and in %s: one file of a package carries it, drop this one",
				file.Desc.Package(), first.file.Desc.Path())
			continue
		}
		s := b.open(file, own)
		byPackage[file.Desc.Package()] = s
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, c *schema) int { return strings.Compare(a.Package, c.Package) })
	b.checkOutputs(all)
	for _, file := range b.plugin.Files {
		if !file.Generate {
			continue
		}
		s := byPackage[file.Desc.Package()]
		if s != nil {
			s.Files = append(s.Files, file)
		}
		eachMessage(file.Messages, func(m *protogen.Message) {
			if s != nil {
				s.messages[string(m.Desc.FullName())] = m
				b.owner[m.Desc.FullName()] = s
			}
			b.checkMarks(s, m)
		})
	}
	for _, s := range all {
		b.components(s)
		b.kinds(s)
		b.routes(s)
		b.calls(s)
		b.tables(s)
	}
	b.services(byPackage)
	b.checkFrameworkRoutes(all)
	b.checkStraySync()
	b.checkStrayColumns(all)
	for _, s := range all {
		b.checkNames(s)
		b.finish(s)
	}
	return all
}

// eachMessage visits messages and those nested in them; the entries of maps are none.
func eachMessage(list []*protogen.Message, visit func(*protogen.Message)) {
	for _, m := range list {
		if m.Desc.IsMapEntry() {
			continue
		}
		visit(m)
		eachMessage(m.Messages, visit)
	}
}

// open starts a schema with its own options.
func (b *builder) open(file *protogen.File, o *mmo.Schema) *schema {
	pkg := string(file.Desc.Package())
	name, _, _ := strings.Cut(pkg, ".")
	s := &schema{
		Schema: &model.Schema{Package: pkg, Name: name, Bind: o.Bind, TypeScript: o.Typescript, SDK: o.Sdk, Manual: o.Manual},
		file:   file, tick: o.TickHz, places: map[string]place{}, messages: map[string]*protogen.Message{},
	}
	wrong := func(names, format string, args ...any) { b.add(option(file.Desc, "schema."+names), format, args...) }
	if pkg == "" {
		b.add(option(file.Desc, "schema"), "option (mmo.schema) in a file without package: its first element names the schema, write package game.v1;")
	}
	if s.tick == 0 {
		s.tick = defaultTickHz
	}
	if s.tick > maxTickHz {
		wrong("tick_hz", "tick_hz %d: zones run 1 to %d ticks per second", s.tick, maxTickHz)
		s.tick = defaultTickHz
	}
	if o.Bind != "" {
		s.BindName = path.Base(o.Bind)
		switch {
		case !strings.HasPrefix(o.Bind, b.module+"/") || path.Clean(o.Bind) != o.Bind:
			wrong("bind", "bind %q is no package of this module: make it an import path that begins with %q", o.Bind, b.module+"/")
		case !token.IsIdentifier(s.BindName) || s.BindName == "_" || s.BindName == "main" || strings.HasSuffix(s.BindName, "_test"):
			wrong("bind", "bind %q: the last element %q names the Go package that others import, so it must be an identifier, such as %q", o.Bind, s.BindName, "bind")
		case o.Bind == string(file.GoImportPath):
			wrong("bind", "bind %q is where the messages lie: bindings import them, so give them a package of their own, such as %q", o.Bind, o.Bind+"/bind")
		default:
			b.checkFolder(o.Bind, wrong)
		}
	}
	if o.Typescript != "" && (!inside(o.Typescript) || !strings.HasSuffix(o.Typescript, ".ts") || strings.HasSuffix(o.Typescript, ".d.ts")) {
		wrong("typescript", "typescript %q is no file of the module: name a .ts file relative to the folder of go.mod, such as \"web/gen/%s.ts\"", o.Typescript, name)
	}
	if o.Sdk != "" && o.Typescript == "" {
		wrong("sdk", "sdk %q without typescript: nothing imports it, name the output with typescript or drop sdk", o.Sdk)
	}
	if strings.HasPrefix(o.Sdk, "/") || strings.ContainsAny(o.Sdk, "\\\"'`\n") {
		wrong("sdk", "sdk %q: name the folder of the runtime relative to that of the output, such as \"../sdk\"", o.Sdk)
	}
	if s.SDK == "" {
		s.SDK = "."
	}
	if o.Manual != "" && (!inside(o.Manual) || !strings.HasSuffix(o.Manual, ".md")) {
		wrong("manual", "manual %q is no Markdown file of the module: name a .md file relative to the folder of go.mod", o.Manual)
	}
	return s
}

// checkFolder refuses import paths that Go would not build, or not import.
func (b *builder) checkFolder(bind string, wrong func(names, format string, args ...any)) {
	elements := strings.Split(strings.TrimPrefix(bind, b.module+"/"), "/")
	for i, e := range elements {
		switch {
		case e == "vendor" || e == "testdata" || e == "node_modules" || e[0] == '.' || e[0] == '_':
			wrong("bind", "bind %q: Go does not look into folders called %q, name another", bind, e)
			return
		case strings.ContainsFunc(e, func(c rune) bool {
			return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-._~", c))
		}):
			wrong("bind", "bind %q: %q is no element of an import path, write letters, digits, - and _", bind, e)
			return
		case e == "internal" && i > 0 && !strings.HasPrefix(b.rel+"/", strings.Join(elements[:i], "/")+"/"):
			wrong("bind", "bind %q lies in the internals of %s, which nobody else can import: name a package outside, or internal at the top of the module", bind, path.Join(b.module, strings.Join(elements[:i], "/")))
			return
		}
		if stop := filepath.Join(b.folder, filepath.Join(elements[:i+1]...), "go.mod"); exists(stop) {
			wrong("bind", "bind %q lies in another module, that of %s: name a package of %s", bind, path.Join(append(elements[:i+1:i+1], "go.mod")...), b.module)
			return
		}
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// inside tells whether a name stays below the folder that it is relative to.
func inside(name string) bool {
	return filepath.IsLocal(filepath.FromSlash(name)) && path.Clean(name) == name && !strings.ContainsAny(name, "\\:\n")
}

// checkOutputs refuses that two schemas write to one place.
func (b *builder) checkOutputs(all []*schema) {
	taken := map[string]*schema{}
	claim := func(s *schema, what, names string) {
		if what == "" {
			return
		}
		if first := taken[what]; first != nil {
			b.add(option(s.file.Desc, names), "%s is taken by schema %s: give each its own", what, first.Package)
			return
		}
		taken[what] = s
	}
	for _, s := range all {
		claim(s, s.Bind, "schema.bind")
		claim(s, s.TypeScript, "schema.typescript")
		claim(s, s.lockName(), "schema")
	}
}

// lockName is the lock's file, relative to the root.
func (s *schema) lockName() string { return path.Join(path.Dir(s.file.Desc.Path()), lockFile) }

// checkMarks looks at what a message says that it is.
func (b *builder) checkMarks(s *schema, m *protogen.Message) {
	var marks []string
	for _, name := range []string{"route", "component", "kind", "call", "table"} {
		if m.Desc.Options() != nil && hasOption(m.Desc, name) {
			marks = append(marks, name)
		}
	}
	if len(marks) == 0 {
		return
	}
	first := option(m.Desc, marks[0])
	if len(marks) > 1 {
		b.add(option(m.Desc, marks[1]), "message %s is a %s and a %s: it can be one of them, move the rest into a message of its own",
			m.Desc.Name(), marks[0], marks[1])
	}
	if s == nil {
		b.add(first, "option (mmo.%s) in package %q, which is no schema: nothing would come of it, add option (mmo.schema) = {…}; to one file of the package",
			marks[0], m.Desc.ParentFile().Package())
	}
	if _, nested := m.Desc.Parent().(protoreflect.MessageDescriptor); nested {
		b.add(first, "%s %s stands inside another message: its name would be long and its home unclear, move it to the top of the file", marks[0], m.Desc.Name())
	}
}

func hasOption(d protoreflect.Descriptor, name string) bool {
	switch name {
	case "route":
		return optionOf[*mmo.Route](d, mmo.E_Route) != nil
	case "component":
		return optionOf[*mmo.Component](d, mmo.E_Component) != nil
	case "call":
		return optionOf[*mmo.Call](d, mmo.E_Call) != nil
	case "table":
		return optionOf[*mmo.Table](d, mmo.E_Table) != nil
	}
	return optionOf[*mmo.Kind](d, mmo.E_Kind) != nil
}

// marked lists the schema's top-level messages that carry an option, in the order of their files.
func marked(s *schema, name string) (list []*protogen.Message) {
	for _, file := range s.Files {
		for _, m := range file.Messages {
			if hasOption(m.Desc, name) {
				list = append(list, m)
			}
		}
	}
	return list
}

// byID sorts messages by the id that their option has: the layout is the same however the file is arranged.
func byID(list []*protogen.Message, id func(m *protogen.Message) uint32) []*protogen.Message {
	slices.SortStableFunc(list, func(a, c *protogen.Message) int { return cmp.Compare(id(a), id(c)) })
	return list
}

// byNumber sorts the fields of a component or nested message, for the same reason.
func byNumber(fields []delta.Field) {
	slices.SortStableFunc(fields, func(a, c delta.Field) int { return cmp.Compare(a.ID, c.ID) })
}

// finish checks the layout as a whole with the rules of the codec, which also fills what is computed.
func (b *builder) finish(s *schema) {
	s.layout.Name, s.layout.TickHz = s.Name, s.tick
	s.Layout = &s.layout
	if len(b.list) > 0 {
		return // the codec would only repeat it
	}
	single := func(change func(l *delta.Layout), m *protogen.Message, mark string) {
		l := delta.Layout{Name: s.Name, TickHz: s.tick}
		change(&l)
		if err := l.Finish(); err != nil {
			b.add(option(m.Desc, mark), "%s %s: %s", mark, m.Desc.Name(), lastOf(err))
		}
	}
	for i, c := range s.Components {
		single(func(l *delta.Layout) { l.Components = s.layout.Components[i : i+1] }, c.Message, "component")
	}
	if len(b.list) > 0 {
		return
	}
	for i, k := range s.Kinds {
		single(func(l *delta.Layout) { l.Components, l.Kinds = s.layout.Components, s.layout.Kinds[i:i+1] }, k.Message, "kind")
	}
	if len(b.list) > 0 {
		return
	}
	if err := s.layout.Finish(); err != nil {
		b.add(option(s.file.Desc, "schema"), "%v", err)
		return
	}
	// A client whose schema is another one is told the layout in one message.
	most := optionOf[*mmo.Route]((*mmov1.Layout)(nil).ProtoReflect().Descriptor(), mmo.E_Route).GetMaxBytes()
	if size := len(s.layout.Table()); most > 0 && size > int(most) {
		b.add(option(s.file.Desc, "schema"), "the layout table has %d bytes: it travels in one message of at most %d, so declare fewer fields, or give them shorter names", size, most)
	}
}

// lastOf drops what the codec says about where: the place says it.
func lastOf(err error) string {
	text := err.Error()
	for range 2 { // layout "…": component 3 "…": what
		if _, rest, ok := strings.Cut(text, `": `); ok {
			text = rest
		}
	}
	for a, name := range []string{"AOI", "OWNER", "PARTY", "SERVER"} {
		text = strings.ReplaceAll(text, fmt.Sprintf("for audience %d has", a), "for audience "+name+" has")
	}
	return text
}

// connect points the model at the finished parts.
func (s *schema) connect() {
	for i, c := range s.Components {
		c.Def = &s.layout.Components[i]
	}
	for i, k := range s.Kinds {
		k.Def = &s.layout.Kinds[i]
		k.Components = nil
		for _, id := range k.Def.Components {
			for _, c := range s.Components {
				if c.Def.ID == id {
					k.Components = append(k.Components, c)
				}
			}
		}
	}
}
