// Package gomsg writes the fast path of the Go messages: for every foo.proto a file foo_fast.pb.go beside foo.pb.go, with methods that size, append and
// parse without reflection. A message that has them is a
//
//	type Fast interface {
//		proto.Message
//		SizeFast() int
//		AppendFast(b []byte) ([]byte, error)
//		ParseFast(b []byte) error
//	}
//
// The bytes are those of proto.MarshalOptions{Deterministic: true}, and ParseFast accepts what proto.Unmarshal accepts and nothing else, so either end of a
// connection may use either. The differences are about memory:
//
//   - AppendFast allocates only to grow b (and to sort maps of more than 16 entries), and once, for the whole message, when b has no capacity at all.
//   - ParseFast replaces the content of m but reuses what m owns: slices with their capacity, bytes, nested messages, pointers of optional fields, wrappers
//     of oneofs. Maps are cleared and kept. A string is copied only if it differs from the one already there. Parsing into the same m again and again thus
//     settles at no allocation. So m must own what it points to: nobody else may still hold a part of it, the same message may not hang at two places, and
//     b may not lie inside m. Whoever hands out parts calls Reset first, or parses into a new message. Nothing of b is kept.
//   - After an error m is empty.
//   - Where an absent list, map or bytes field is nil after proto.Unmarshal, it may be empty here. For protobuf the two are the same.
//
// A fourth method, ReadFast, is what ParseFast and the messages of other packages call; nobody else needs it. The methods belong to whoever holds the
// message, as its fields do: any number of goroutines may size and append one message at once, only one may parse.
//
// Generate is a plain function: any goroutine may call it, nothing runs on after it.
package gomsg

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
)

// optionsPackage holds the options of schemas. They are read once, by the generator, and get no fast path.
const optionsPackage = "mmo"

// suffix ends the names of the files; the rest is the name of the .proto file.
const suffix = "_fast.pb.go"

const (
	wirePackage  = protogen.GoImportPath("google.golang.org/protobuf/encoding/protowire")
	protoPackage = protogen.GoImportPath("google.golang.org/protobuf/proto")
	fmtPackage   = protogen.GoImportPath("fmt")
	errorsPkg    = protogen.GoImportPath("errors")
	ioPackage    = protogen.GoImportPath("io")
	mathPackage  = protogen.GoImportPath("math")
	slicesPkg    = protogen.GoImportPath("slices")
	utf8Package  = protogen.GoImportPath("unicode/utf8")
)

// Generate returns a file for every .proto file of the tree that has messages. Names are relative to the folder of go.mod, with forward slashes. The same
// tree always gives the same bytes. Mistakes come back all at once, joined, each as file:line:column: what is wrong.
func Generate(t *model.Tree) (map[string][]byte, error) {
	// A plugin collects the files made with it; one of our own leaves the tree as it is.
	scratch, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{})
	if err != nil {
		return nil, fmt.Errorf("prepare generation of fast messages: %w", err)
	}
	generated := map[string][]byte{}
	var mistakes []error
	for _, file := range t.Plugin.Files {
		if !fast(file.Desc) || len(file.Messages) == 0 || !file.Generate {
			continue
		}
		if err := check(t, file); err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		name := path.Join(folder(t, file), strings.TrimSuffix(path.Base(file.Desc.Path()), ".proto")+suffix)
		content, err := render(t, scratch.NewGeneratedFile(name, file.GoImportPath), file)
		if err != nil {
			return nil, fmt.Errorf("generate %s: %w", name, err)
		}
		generated[name] = content
	}
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	return generated, nil
}

// fast says whether the messages of a file of the tree get the methods.
func fast(file protoreflect.FileDescriptor) bool { return file.Package() != optionsPackage }

// folder of the generated file, relative to the folder of go.mod.
func folder(t *model.Tree, file *protogen.File) string {
	return strings.TrimPrefix(strings.TrimPrefix(string(file.GoImportPath), t.Module), "/")
}

// check refuses what there is no fast path for.
func check(t *model.Tree, file *protogen.File) error {
	var mistakes []error
	report := func(at protoreflect.SourceLocation, format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf("%s:%d:%d: %s", file.Desc.Path(), at.StartLine+1, at.StartColumn+1, fmt.Sprintf(format, args...)))
	}
	locations := file.Desc.SourceLocations()
	if file.Desc.Syntax() != protoreflect.Proto3 {
		report(locations.ByPath(protoreflect.SourcePath{12}), // FileDescriptorProto.syntax
			`syntax %s has no fast path: its fields carry defaults, groups and required: write syntax = "proto3"`, file.Desc.Syntax())
		return errors.Join(mistakes...)
	}
	importPath := string(file.GoImportPath)
	if importPath != t.Module && !strings.HasPrefix(importPath, t.Module+"/") {
		report(locations.ByPath(protoreflect.SourcePath{8, 11}), // FileDescriptorProto.options, FileOptions.go_package
			"go_package %q lies outside of module %s: generated files go beside the .proto file: begin it with %q", importPath, t.Module, t.Module+"/")
	}
	for _, other := range t.Plugin.Files {
		if other.Generate && other.GoImportPath == file.GoImportPath &&
			path.Base(other.Desc.Path()) == strings.TrimSuffix(path.Base(file.Desc.Path()), ".proto")+"_fast.proto" {
			report(protoreflect.SourceLocation{}, "%s and the fast path of this file would both be written to %s: rename one of the two",
				other.Desc.Path(), strings.TrimSuffix(path.Base(file.Desc.Path()), ".proto")+suffix)
		}
	}
	each(file.Messages, func(message *protogen.Message) {
		taken := func(at protoreflect.Descriptor, name string) {
			switch name {
			case "SizeFast", "AppendFast", "ParseFast", "ReadFast":
				report(locations.ByDescriptor(at), "%s becomes %s in Go, which is the name of a generated method: choose another name", at.Name(), name)
			}
		}
		for _, field := range message.Fields {
			taken(field.Desc, field.GoName)
		}
		for _, oneof := range message.Oneofs {
			taken(oneof.Desc, oneof.GoName)
		}
	})
	return errors.Join(mistakes...)
}

// each calls do for messages and the messages in them, as declared; the entries of maps are no messages of their own in Go.
func each(messages []*protogen.Message, do func(*protogen.Message)) {
	for _, message := range messages {
		if !message.Desc.IsMapEntry() {
			do(message)
			each(message.Messages, do)
		}
	}
}

// writer writes one file.
type writer struct {
	*protogen.GeneratedFile
	tree map[protoreflect.FullName]bool // messages that have the methods
}

func render(t *model.Tree, g *protogen.GeneratedFile, file *protogen.File) ([]byte, error) {
	w := writer{g, map[protoreflect.FullName]bool{}}
	for _, other := range t.Plugin.Files {
		if other.Generate && fast(other.Desc) {
			each(other.Messages, func(message *protogen.Message) { w.tree[message.Desc.FullName()] = true })
		}
	}
	w.P("// Code generated by mmo gen. DO NOT EDIT.")
	w.P("// source: ", file.Desc.Path())
	w.P()
	w.P("package ", file.GoPackageName)
	each(file.Messages, func(message *protogen.Message) {
		w.size(message)
		w.append(message)
		w.parse(message)
		w.read(message)
	})
	return g.Content()
}

// inOrder lists fields and oneofs in the order in which they are marshalled: fields by number, then the oneofs as declared. A oneof is stood for by its
// first field.
func inOrder(message *protogen.Message) (fields []*protogen.Field) {
	for _, field := range message.Fields {
		if !inOneof(field) {
			fields = append(fields, field)
		}
	}
	sortByNumber(fields)
	for _, oneof := range message.Oneofs {
		if !oneof.Desc.IsSynthetic() {
			fields = append(fields, oneof.Fields[0])
		}
	}
	return fields
}

func inOneof(field *protogen.Field) bool {
	return field.Oneof != nil && !field.Oneof.Desc.IsSynthetic()
}

// needsCheck says whether proto.Unmarshal would look for required fields below a message: ours have none, but messages from elsewhere may.
func (w *writer) needsCheck(message protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[message.FullName()] {
		return false
	}
	seen[message.FullName()] = true
	if message.RequiredNumbers().Len() > 0 || message.ExtensionRanges().Len() > 0 {
		return true
	}
	for i := range message.Fields().Len() {
		if child := message.Fields().Get(i).Message(); child != nil && w.needsCheck(child, seen) {
			return true
		}
	}
	return false
}
