package gomsg

import (
	"bytes"
	"context"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
)

var update = flag.Bool("update", false, "write the generated files of internal/allkinds")

const module = "github.com/tianxia-mmo/tianxia"

// compile builds a tree from sources by name.
func compile(t testing.TB, sources map[string]string) *model.Tree {
	t.Helper()
	names := slices.Sorted(maps.Keys(sources))
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(sources)}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(context.Background(), names...)
	if err != nil {
		t.Fatal(err)
	}
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: names, Parameter: proto.String("paths=source_relative")}
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		request.ProtoFile = append(request.ProtoFile, protoutil.ProtoFromFileDescriptor(file))
	}
	for _, file := range files {
		add(file)
	}
	plugin, err := protogen.Options{}.New(request)
	if err != nil {
		t.Fatal(err)
	}
	return &model.Tree{Plugin: plugin, Module: module}
}

// allKinds is the tree below testdata.
func allKinds(t testing.TB) *model.Tree {
	t.Helper()
	sources := map[string]string{}
	for _, name := range []string{"allkinds/allkinds.proto", "allkinds/shapes.proto", "allkinds/part/part.proto"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		sources[name] = string(text)
	}
	return compile(t, sources)
}

func TestGeneratedFilesAreFresh(t *testing.T) {
	tree := allKinds(t)
	want, err := Generate(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range tree.Plugin.Files {
		if file.Generate {
			internal_gengo.GenerateFile(tree.Plugin, file)
		}
	}
	for _, file := range tree.Plugin.Response().File {
		content := []byte(file.GetContent())
		from, to := bytes.Index(content, []byte("// versions:\n")), bytes.Index(content, []byte("// source: "))
		want["internal/schema/gomsg/internal/"+file.GetName()] = slices.Delete(content, from, to)
	}
	if len(want) != 6 {
		t.Errorf("%d files made, not 6: %v", len(want), slices.Sorted(maps.Keys(want)))
	}
	for name, content := range want {
		name = filepath.Join("../../..", filepath.FromSlash(name))
		if *update {
			if err := os.WriteFile(name, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, content) {
			t.Errorf("%s is not what its schema gives: run go test ./internal/schema/gomsg -run Fresh -update", name)
		}
	}
}
