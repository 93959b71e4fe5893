package schema

import (
	"context"
	"errors"
	"fmt"
	"go/build"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/protoutil"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// tree is the compiled sources with the module that they lie in.
type tree struct {
	root    string // folder that imports start from
	module  string // path of the Go module
	folder  string // folder of its go.mod
	rel     string // root seen from folder, with forward slashes; ".": the same
	sources []string
	plugin  *protogen.Plugin
}

// compile parses and links every .proto file below root, and prepares them for the generators.
func compile(root string) (*tree, error) {
	t := &tree{root: root}
	var err error
	if t.sources, err = find(root, ".proto"); err != nil {
		return nil, err
	}
	if len(t.sources) == 0 {
		return nil, fmt.Errorf("no .proto file below %s: name the folder that holds the schema", root)
	}
	if err := t.findModule(); err != nil {
		return nil, err
	}
	files, err := t.link()
	if err != nil {
		return nil, err
	}
	wrong := &mistakes{root: root}
	t.checkFiles(files, wrong)
	if err := wrong.err(); err != nil {
		return nil, err
	}
	return t, t.prepare(files)
}

// findModule looks for the nearest go.mod upwards: it says what import paths the generated packages have.
func (t *tree) findModule() error {
	absolute, err := filepath.Abs(t.root)
	if err == nil {
		absolute, err = filepath.EvalSymlinks(absolute)
	}
	if err != nil {
		return fmt.Errorf("find the folder of the schema: %w", err)
	}
	for folder := absolute; ; folder = filepath.Dir(folder) {
		content, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		if err == nil {
			line := regexp.MustCompile(`(?m)^module\s+"?([^\s"]+)"?`).FindSubmatch(content)
			if line == nil {
				return fmt.Errorf("%s has no module line: write module <path of the module>", filepath.Join(folder, "go.mod"))
			}
			rel, err := filepath.Rel(folder, absolute)
			t.module, t.folder, t.rel = string(line[1]), folder, filepath.ToSlash(rel)
			return err
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("find the module of the schema: %w", err)
		}
		if folder == filepath.Dir(folder) {
			return fmt.Errorf("no go.mod in %s or above: the schema lies in no Go module, so generated packages have no import path; run go mod init", t.root)
		}
	}
}

// key is the name of a file of the tree relative to the module's folder.
func (t *tree) key(name string) string { return path.Join(t.rel, name) }

// read returns the tree's sources by name, for hints.
func (t *tree) read() map[string]string {
	texts := map[string]string{}
	for _, name := range t.sources {
		if text, err := os.ReadFile(filepath.Join(t.root, filepath.FromSlash(name))); err == nil {
			texts[name] = string(text)
		}
	}
	return texts
}

// link compiles the sources. It gathers every mistake rather than the first.
func (t *tree) link() (linker.Files, error) {
	wrong := &mistakes{root: t.root}
	var texts map[string]string
	note := func(err reporter.ErrorWithPos) {
		if texts == nil {
			texts = t.read()
		}
		p := err.GetPosition()
		name := strings.TrimPrefix(filepath.ToSlash(p.Filename), filepath.ToSlash(t.root)+"/")
		wrong.add(place{p.Filename, p.Line, p.Col}, "%s", explain(strings.ReplaceAll(err.Unwrap().Error(), "\n", " "), name, texts))
	}
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(protocompile.ResolverFunc(func(name string) (protocompile.SearchResult, error) {
			result, err := (&protocompile.SourceResolver{ImportPaths: []string{t.root}}).FindFileByPath(name)
			if errors.Is(err, fs.ErrNotExist) {
				return linkedIn(name)
			}
			return result, err
		})),
		MaxParallelism: 1, // the reporter below is then called by one goroutine at a time
		SourceInfoMode: protocompile.SourceInfoExtraOptionLocations,
		Reporter:       reporter.NewReporter(func(err reporter.ErrorWithPos) error { note(err); return nil }, nil),
	}
	files, err := compiler.Compile(context.Background(), t.sources...)
	// An import that cannot be read comes back without passing the reporter.
	if placed := reporter.ErrorWithPos(nil); len(wrong.list) == 0 && errors.As(err, &placed) {
		note(placed)
	}
	if len(wrong.list) > 0 {
		return nil, wrong.err()
	}
	if err != nil {
		return nil, fmt.Errorf("compile schema below %s: %w", t.root, err)
	}
	return files, nil
}

// linkedIn finds the framework's own files, which a studio's tree does not hold.
func linkedIn(name string) (protocompile.SearchResult, error) {
	if !strings.HasPrefix(name, "mmo/") {
		return protocompile.SearchResult{}, fmt.Errorf("%s is not in the tree: imports start from the folder that the generator is given", name)
	}
	file, err := protoregistry.GlobalFiles.FindFileByPath(name)
	if err != nil {
		return protocompile.SearchResult{}, fmt.Errorf("%s is no file of the framework: there are mmo/options.proto and mmo/v1/*.proto", name)
	}
	return protocompile.SearchResult{Desc: file}, nil
}

// framework is the path of the module that the packages mmo belong to.
const framework = "github.com/tianxia-mmo/tianxia"

// checkFiles refuses files that the generated code would not build or be found with, whatever stands in them.
func (t *tree) checkFiles(files linker.Files, wrong *mistakes) {
	type naming struct{ name, file string }
	folders := map[string]naming{}
	for _, file := range files {
		options, _ := file.Options().(*descriptorpb.FileOptions)
		importPath, name, _ := strings.Cut(options.GetGoPackage(), ";")
		want := path.Join(t.module, t.rel, path.Dir(file.Path()))
		suggested := name
		if name == "" {
			suggested = strings.ReplaceAll(string(file.Package()), ".", "")
			name = strings.NewReplacer("-", "_", ".", "_", "~", "_").Replace(path.Base(want))
		}
		first, seen := folders[path.Dir(file.Path())]
		goPackage := at(file, 8, 11) // the numbers of FileDescriptorProto.options and FileOptions.go_package
		switch {
		case file.Syntax() != protoreflect.Proto3:
			wrong.add(at(file, 12), // FileDescriptorProto.syntax
				"syntax %s has no fast path: its fields carry defaults, groups and required; write syntax = \"proto3\"", file.Syntax())
		case importPath == "":
			wrong.add(place{file.Path(), 1, 1}, "option go_package is missing: add option go_package = %q;", want+";"+suggested)
		case importPath != want:
			wrong.add(goPackage, "go_package %q is not where the file lies: make it %q", importPath, want+";"+suggested)
		case !token.IsIdentifier(name) || name == "_" || name == "main":
			wrong.add(goPackage, "go_package names the Go package %q, which nobody can import: write %q", name, importPath+";"+strings.ReplaceAll(string(file.Package()), ".", ""))
		case seen && first.name != name:
			wrong.add(goPackage, "go_package names the Go package %s, and that of %s in the same folder %s: a folder holds one package, name one of them", name, first.file, first.name)
		case t.module != framework && (file.Package() == "mmo" || strings.HasPrefix(string(file.Package()), "mmo.")):
			wrong.add(at(file, 2), "package %s: mmo is the framework's, with route ids of its own; name the package after the game", file.Package())
		}
		if !seen {
			folders[path.Dir(file.Path())] = naming{name, file.Path()}
		}
		t.checkFileName(file.Path(), wrong)
	}
}

// checkFileName refuses names of files that mean something to Go.
func (t *tree) checkFileName(name string, wrong *mistakes) {
	base := strings.TrimSuffix(path.Base(name), ".proto")
	// A platform that there is not: what does not match is for some other one.
	nowhere := build.Context{GOOS: "nowhere", GOARCH: "none", Compiler: "gc", OpenFile: func(string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("package p\n")), nil
	}}
	match, err := nowhere.MatchFile(".", base+goSuffix)
	fast, bad := nowhere.MatchFile(".", base+fastSuffix)
	switch {
	case strings.HasPrefix(base, "_") || strings.HasPrefix(base, "."):
		wrong.add(place{name, 1, 1}, "the file's name begins with %q: Go would leave out %s%s, rename the file", base[:1], base, goSuffix)
	case strings.HasSuffix(base, "_test"):
		wrong.add(place{name, 1, 1}, "the file's name ends in _test: in Go that is what tests are called, rename the file")
	case err != nil || bad != nil || !match || !fast:
		wrong.add(place{name, 1, 1}, "the file's name ends in that of a system or processor: Go would build %s%s only there, rename the file", base, goSuffix)
	}
	if plain, ok := strings.CutSuffix(name, "_fast.proto"); ok && slices.Contains(t.sources, plain+".proto") {
		wrong.add(place{name, 1, 1}, "the file's name is that of %s.proto with _fast: both would give %s, rename one of them", path.Base(plain), path.Base(plain)+fastSuffix)
	}
}

// prepare hands the linked files to protogen, the way protoc would.
func (t *tree) prepare(files linker.Files) error {
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: t.sources, Parameter: proto.String("paths=source_relative")}
	seen := map[string]bool{}
	for _, file := range files {
		addWithImports(request, file, seen)
	}
	// The compiler leaves our options as messages of its own making; read again, they are the linked-in Go types.
	raw, err := proto.Marshal(request)
	if err == nil {
		err = proto.Unmarshal(raw, request)
	}
	if err != nil {
		return fmt.Errorf("read the options of the schema: %w", err)
	}
	if t.plugin, err = (protogen.Options{}).New(request); err != nil {
		return fmt.Errorf("prepare generation: %w", err)
	}
	return nil
}

// addWithImports appends file after everything it imports, the order that the plugin protocol asks for.
func addWithImports(request *pluginpb.CodeGeneratorRequest, file protoreflect.FileDescriptor, seen map[string]bool) {
	if seen[file.Path()] {
		return
	}
	seen[file.Path()] = true
	for i := range file.Imports().Len() {
		addWithImports(request, file.Imports().Get(i).FileDescriptor, seen)
	}
	request.ProtoFile = append(request.ProtoFile, protoutil.ProtoFromFileDescriptor(file))
}

// find lists the files below root whose name ends in suffix, relative to root with forward slashes, sorted. Folders that belong to somebody else are left out.
func find(root, suffix string) ([]string, error) {
	real, err := filepath.EvalSymlinks(root) // a walk would not enter a link
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no folder %s: name the one that holds the schema and from which its imports start, as in mmo gen proto", root)
	}
	if err != nil {
		return nil, fmt.Errorf("look for %s files: %w", suffix, err)
	}
	var names []string
	err = filepath.WalkDir(real, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != real && foreign(name) {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, suffix) {
			return nil
		}
		relative, err := filepath.Rel(real, name)
		if err != nil {
			return err
		}
		names = append(names, filepath.ToSlash(relative))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for %s files: %w", suffix, err)
	}
	return names, nil
}

// foreign tells whether a folder is not the tree's: what package managers fetched, what tools hide, and other Go modules.
func foreign(folder string) bool {
	base := filepath.Base(folder)
	if base == "vendor" || base == "node_modules" || strings.HasPrefix(base, ".") {
		return true
	}
	_, err := os.Stat(filepath.Join(folder, "go.mod"))
	return err == nil
}
