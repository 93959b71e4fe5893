//go:build !race

package tianxia_test

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"
)

// packagesOpenWithOneComment wants the comment that says what a package is,
// who may call it from which goroutine and how it stops: once, since go doc
// glues several together. Only generated packages go without.
func packagesOpenWithOneComment(files []*goFile) []violation {
	type pack struct {
		first     *goFile
		comments  []string
		hasWriter bool // at least one file is written by hand
	}
	packs := map[string]*pack{}
	var order []string
	for _, file := range files {
		if file.test() {
			continue
		}
		key := file.folder() + " " + file.syntax.Name.Name
		if packs[key] == nil {
			packs[key] = &pack{first: file}
			order = append(order, key)
		}
		p := packs[key]
		if !file.generated() && !p.hasWriter {
			p.hasWriter, p.first = true, file
		}
		if file.syntax.Doc.Text() != "" {
			p.comments = append(p.comments, file.name)
		}
	}
	const why = "a package opens with one comment: what it is, who may call it from which goroutine, how it stops"
	var found []violation
	for _, key := range order {
		p := packs[key]
		name := p.first.syntax.Name.Name
		switch {
		case len(p.comments) > 1:
			found = append(found, violation{p.comments[1], fmt.Sprintf("package %s has %d package comments: %s", name, len(p.comments), strings.Join(p.comments, ", ")),
				why, "keep one, and put an empty line between any other comment and the package clause"})
		case len(p.comments) == 0 && p.hasWriter:
			found = append(found, violation{p.first.name, "package " + name + " has no package comment", why,
				"write it right above the package clause of the file that a reader opens first"})
		}
		for _, file := range files {
			wanted := "Package " + name
			if name != "main" && !file.test() && !file.generated() && file.folder() == path.Dir(p.first.name) && file.syntax.Name.Name == name &&
				file.syntax.Doc.Text() != "" && !strings.HasPrefix(file.syntax.Doc.Text(), wanted+" ") {
				found = append(found, violation{file.name, "the package comment does not start with " + wanted, "go doc and its readers expect it",
					"start the comment with \"" + wanted + "\", or put an empty line below it if it is not meant for the package"})
			}
		}
	}
	return found
}

// exportedNamesAreExplained wants a comment on everything that a reader of go
// doc meets, and on every field of a Config.
func exportedNamesAreExplained(files []*goFile) (found []violation) {
	for _, file := range files {
		if file.test() || file.generated() || file.syntax.Name.Name == "main" {
			continue
		}
		for _, declaration := range file.syntax.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				found = append(found, unexplainedFunc(file, d)...)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					found = append(found, unexplainedSpec(file, d, spec)...)
				}
			}
		}
	}
	return found
}

func unexplained(file *goFile, node ast.Node, what, name string) violation {
	return violation{file.at(node), what + " " + name + " has no comment", "every exported name says what it does, in which units, and how it fails",
		"write a comment that starts with " + name[strings.LastIndex(name, ".")+1:] + ", or do not export it"}
}

func unexplainedFunc(file *goFile, d *ast.FuncDecl) []violation {
	name, what := d.Name.Name, "function"
	if d.Recv != nil && len(d.Recv.List) > 0 {
		receiver := typeName(d.Recv.List[0].Type)
		if !ast.IsExported(receiver) {
			return nil
		}
		name, what = receiver+"."+name, "method"
	}
	if !d.Name.IsExported() || d.Doc.Text() != "" {
		return nil
	}
	return []violation{unexplained(file, d, what, name)}
}

func unexplainedSpec(file *goFile, d *ast.GenDecl, spec ast.Spec) (found []violation) {
	group := d.Doc.Text() != ""
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() && s.Doc.Text() == "" && s.Comment.Text() == "" && (!group || d.Lparen.IsValid()) {
			found = append(found, unexplained(file, s, "type", s.Name.Name))
		}
		if strings.HasSuffix(s.Name.Name, "Config") && s.Name.IsExported() {
			found = append(found, unexplainedFields(file, s)...)
		}
	case *ast.ValueSpec:
		if group || s.Doc.Text() != "" || s.Comment.Text() != "" {
			return nil
		}
		if i := slices.IndexFunc(s.Names, (*ast.Ident).IsExported); i >= 0 {
			found = append(found, unexplained(file, s, d.Tok.String(), s.Names[i].Name))
		}
	}
	return found
}

func unexplainedFields(file *goFile, s *ast.TypeSpec) (found []violation) {
	structure, ok := s.Type.(*ast.StructType)
	if !ok {
		return nil
	}
	for _, field := range structure.Fields.List {
		if field.Doc.Text() != "" || field.Comment.Text() != "" {
			continue
		}
		if i := slices.IndexFunc(field.Names, (*ast.Ident).IsExported); i >= 0 {
			found = append(found, violation{file.at(field), fmt.Sprintf("field %s.%s has no comment", s.Name.Name, field.Names[i].Name),
				"whoever configures a server reads nothing else", "say what it is for, its unit, its default and its limits"})
		}
	}
	return found
}

// typeName digs the plain name out of a receiver such as *Ring[T].
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.ParenExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.IndexListExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

func TestPackagesOpenWithOneComment(t *testing.T) { holdTree(t, packagesOpenWithOneComment) }
func TestExportedNamesAreExplained(t *testing.T)  { holdTree(t, exportedNamesAreExplained) }

func TestPackageCommentGuardCanFail(t *testing.T) {
	const good = "// Package aoi says who sees whom.\npackage aoi\n"
	provesGuard(t, packagesOpenWithOneComment, []guardCase{
		{"one", map[string]string{"pkg/aoi/a.go": good, "pkg/aoi/b.go": "package aoi\n", "pkg/aoi/a_test.go": "package aoi_test\n"}, nil},
		{"none", map[string]string{"pkg/aoi/a.go": "package aoi\n", "pkg/aoi/b.go": "package aoi\n"}, []string{"pkg/aoi/a.go: package aoi has no package comment"}},
		{"two", map[string]string{"pkg/aoi/a.go": good, "pkg/aoi/b.go": good}, []string{"pkg/aoi/b.go: package aoi has 2 package comments"}},
		{"a build constraint is no comment", map[string]string{"pkg/aoi/a.go": "//go:build linux\n\npackage aoi\n"}, []string{"no package comment"}},
		{"about something else", map[string]string{"pkg/aoi/a.go": "// Cells of the grid.\npackage aoi\n"}, []string{"does not start with Package aoi"}},
		{"a command", map[string]string{"cmd/mmo/a.go": "// Command mmo runs a world.\npackage main\n"}, nil},
		{"a command without", map[string]string{"cmd/mmo/a.go": "package main\n"}, []string{"package main has no package comment"}},
		{"generated alone", map[string]string{"proto_define/a/v1/a.pb.go": "// Code generated by x. DO NOT EDIT.\n\npackage av1\n"}, nil},
		{"generated beside written", map[string]string{"pkg/link/a.pb.go": "// Code generated by x. DO NOT EDIT.\n\npackage link\n", "pkg/link/b.go": "package link\n"},
			[]string{"pkg/link/b.go: package link has no package comment"}},
		{"only tests", map[string]string{"a_test.go": "package tianxia_test\n"}, nil},
	})
}

func TestExportedNamesGuardCanFail(t *testing.T) {
	one := func(body string) map[string]string { return map[string]string{"pkg/aoi/a.go": "package aoi\n" + body} }
	provesGuard(t, exportedNamesAreExplained, []guardCase{
		{"explained", one("// T is.\ntype T struct{}\n// M does.\nfunc (t *T) M() {}\n// F does.\nfunc F() {}\n// A and B.\nconst (\nA = 1\nB = 2\n)\nconst (\nC = 1 // C is.\n)\n"), nil},
		{"hidden", one("type t struct{}\nfunc (t t) M() {}\nfunc f() {}\nvar v int\n"), nil},
		{"function", one("\nfunc F() {}\n"), []string{"pkg/aoi/a.go:3: function F has no comment"}},
		{"only a directive", one("\n//go:noinline\nfunc F() {}\n"), []string{"function F has no comment"}},
		{"method", one("// T is.\ntype T[K any] struct{}\nfunc (t *T[K]) M() {}\n"), []string{"method T.M has no comment"}},
		{"type", one("type T struct{}\n"), []string{"type T has no comment"}},
		{"type in a group", one("// Many.\ntype (\n// A is.\nA int\nB int\n)\n"), []string{"type B has no comment"}},
		{"constant", one("const (\nA = 1\nb = 2\n)\n"), []string{"const A has no comment"}},
		{"variable", one("var ErrX = error(nil)\n"), []string{"var ErrX has no comment"}},
		{"config field", one("// GridConfig is.\ntype GridConfig struct {\nCell int // metres\n// Far is in metres.\nFar int\nWide, High int\nhidden int\n}\n"),
			[]string{"field GridConfig.Wide has no comment"}},
		{"field of anything else", one("// T is.\ntype T struct { A int }\n"), nil},
		{"a command exports nothing", map[string]string{"cmd/mmo/a.go": "package main\nfunc F() {}\n"}, nil},
		{"tests", map[string]string{"pkg/aoi/a_test.go": "package aoi\nfunc F() {}\n"}, nil},
		{"generated", map[string]string{"pkg/aoi/a.go": "// Code generated by x. DO NOT EDIT.\n\npackage aoi\nfunc F() {}\n"}, nil},
	})
}
