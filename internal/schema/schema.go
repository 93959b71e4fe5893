// Package schema is the generator: it compiles a tree of .proto files, checks what their options say, and writes everything that comes of it: Go messages,
// bindings, TypeScript, tables of manuals, and the lock that keeps later versions compatible. It is pure Go; no protoc is involved. docs/schema.md explains
// the options.
//
// Any goroutine may call it; each call stands alone and keeps nothing. Two calls of Write on the same tree at the same moment are the caller's mistake.
// Nothing runs on after a call returns, so there is nothing to stop; Watch and Command return soon after their context ends.
package schema

//go:generate go run ./mmogen -root ../../proto_define

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/internal/schema/manual"
	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/proto_define/mmo"
)

// Options changes what a run accepts. The zero value accepts only what deployed programs can live with.
type Options struct {
	// Break is the reason of a change that breaks deployed programs. With it such a change is accepted and begins a new generation of the schema,
	// to whose programs older ones cannot connect. Without such a change it is a mistake.
	Break string

	// Note, if set, is told what is no mistake but worth knowing, a line each.
	Note func(text string)

	gently bool // refuse what cannot be taken back: of a run that nobody asked for
}

// check refuses a reason that the lock cannot hold in a line.
func (o Options) check() error {
	if o.Break == "" {
		return nil
	}
	if len(o.Break) > 200 || bytes.ContainsFunc([]byte(o.Break), func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }) || o.Break[0] == ' ' {
		return fmt.Errorf("reason of the break %q: write one line of at most 200 bytes, for the people who will ask why", o.Break)
	}
	return nil
}

// Load compiles and checks every .proto file below root, which is also the folder that import statements start from. It writes nothing.
//
// Mistakes in the schema come back all at once, joined, each a line: file:line:column: what is wrong: why, or what to do.
func Load(root string) (*model.Tree, error) {
	_, t, _, err := load(root, Options{})
	return t, err
}

// load returns the tree, its model, and the new text of every lock by name relative to the root.
func load(root string, o Options) (*tree, *model.Tree, map[string][]byte, error) {
	if err := o.check(); err != nil {
		return nil, nil, nil, err
	}
	t, err := compile(root)
	if err != nil {
		return nil, nil, nil, err
	}
	b := &builder{tree: t, mistakes: &mistakes{root: root}, owner: map[protoreflect.FullName]*schema{}, reached: map[protoreflect.FullName]bool{}}
	all := b.build()
	if err := b.err(); err != nil {
		return nil, nil, nil, err
	}
	out := &model.Tree{Plugin: t.plugin, Module: t.module}
	for _, s := range all {
		s.connect()
		out.Schemas = append(out.Schemas, s.Schema)
	}
	locks, err := b.settle(all, o)
	if err := errors.Join(b.err(), err); err != nil {
		return nil, nil, nil, err
	}
	return t, out, locks, nil
}

// Generate returns every file that comes of the schema below root. Names are relative to the folder of go.mod, the nearest one upwards, with forward slashes.
// It writes nothing. The same tree always gives the same bytes.
func Generate(root string, o Options) (map[string][]byte, error) {
	r, err := generate(root, o)
	if err != nil {
		return nil, err
	}
	return r.files, nil
}

// result is what a schema gives: the files, and where bindings lie.
type result struct {
	*tree
	files    map[string][]byte
	bindings []string // their folders, relative to the module's folder
}

func generate(root string, o Options) (*result, error) {
	t, m, locks, err := load(root, o)
	if err != nil {
		return nil, err
	}
	r := &result{tree: t, files: map[string][]byte{}}
	for _, file := range t.plugin.Files {
		if !file.Generate {
			continue
		}
		content, err := internal_gengo.GenerateFile(t.plugin, file).Content()
		if err != nil {
			return nil, fmt.Errorf("generate Go messages of %s: %w", file.Desc.Path(), err)
		}
		r.files[t.key(file.GeneratedFilenamePrefix+goSuffix)] = withoutVersions(content)
	}
	for _, generator := range generators() {
		files, err := generator(m)
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if r.files[name] != nil {
				return nil, fmt.Errorf("%s would be written by two generators: give one of the outputs another place", name)
			}
			r.files[name] = withSource(files[name], t.key(sourceOf(m, name)))
		}
	}
	for name, text := range locks {
		r.files[t.key(name)] = text
	}
	for _, s := range m.Schemas {
		if err := r.manual(s); err != nil {
			return nil, err
		}
		if s.Bind != "" {
			r.bindings = append(r.bindings, bindFolder(m, s))
		}
	}
	r.notes(m, o)
	return r, nil
}

// bindFolder is the folder of a schema's bindings, relative to the module's.
func bindFolder(m *model.Tree, s *model.Schema) string {
	return strings.TrimPrefix(s.Bind, m.Module+"/")
}

// sourceOf is the file that carries the schema's option which a file of bindings or TypeScript came of, relative to the root.
func sourceOf(m *model.Tree, name string) string {
	for _, s := range m.Schemas {
		if name != s.TypeScript && (s.Bind == "" || path.Dir(name) != bindFolder(m, s)) {
			continue
		}
		return schemaFile(s)
	}
	return ""
}

// schemaFile is the file that carries the schema's option, relative to the root.
func schemaFile(s *model.Schema) string {
	for _, file := range s.Files {
		if optionOf[*mmo.Schema](file.Desc, mmo.E_Schema) != nil {
			return file.Desc.Path()
		}
	}
	return ""
}

// notes tells of schemas whose outputs are there while their lock is not: what deployed programs rely on is forgotten.
func (r *result) notes(m *model.Tree, o Options) {
	for _, s := range m.Schemas {
		if o.Note == nil {
			return
		}
		source := schemaFile(s)
		lock := path.Join(path.Dir(source), lockFile)
		if _, err := os.Stat(filepath.Join(r.root, filepath.FromSlash(lock))); err == nil || !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		messages := strings.TrimSuffix(source, ".proto") + goSuffix
		if _, err := os.Stat(filepath.Join(r.root, filepath.FromSlash(messages))); err == nil {
			o.Note(fmt.Sprintf("%s is missing though %s was generated before: a new one begins at generation 1 and knows of no deployed client; if this schema was ever released, "+
				"restore the file from version control", below(r.root, lock), below(r.root, messages)))
		}
	}
}

// manual puts the schema's tables into its manual.
func (r *result) manual(s *model.Schema) error {
	if s.Manual == "" {
		return nil
	}
	text, known := r.files[s.Manual] // of another schema with the same manual
	if !known {
		var err error
		if text, err = os.ReadFile(filepath.Join(r.folder, filepath.FromSlash(s.Manual))); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: the manual of package %s does not exist: create it with two lines, %s and %s", s.Manual, s.Package, manual.Begin(s.Package), manual.End(s.Package))
		} else if err != nil {
			return fmt.Errorf("read the manual of package %s: %w", s.Package, err)
		}
	}
	text, err := manual.Insert(s.Manual, text, s.Package, manual.Tables(s))
	if err != nil {
		return err
	}
	r.files[s.Manual] = text
	return nil
}

// Check says which generated files are not what Generate gives: changed, missing, or left over from a schema that is gone. Names are relative to the folder
// of go.mod with forward slashes, sorted. It writes nothing.
func Check(root string) (stale []string, err error) { return check(root, Options{}) }

func check(root string, o Options) (stale []string, err error) {
	r, err := generate(root, o)
	if err != nil {
		return nil, err
	}
	return r.differing()
}

// withoutVersions drops the header's tool versions: go.mod pins the only one that means something, and a header that moves makes every file look changed.
// The switch that protoc-gen-go has for this is a package variable, which two callers could not share.
func withoutVersions(content []byte) []byte {
	from := bytes.Index(content, []byte("// versions:\n"))
	to := bytes.Index(content, []byte("// source: "))
	if from < 0 || to < from {
		return content
	}
	return append(content[:from:from], content[to:]...)
}
