//go:build !race

package tianxia_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strconv"
	"testing"
)

// nothingRunsAtInit forbids func init everywhere.
func nothingRunsAtInit(files []*goFile) (found []violation) {
	for _, file := range files {
		if file.generated() {
			continue
		}
		for _, declaration := range file.syntax.Decls {
			if d, ok := declaration.(*ast.FuncDecl); ok && d.Recv == nil && d.Name.Name == "init" {
				found = append(found, violation{file.at(d), "func init", "code that runs on import cannot be configured, tested twice or left out",
					"do it in New or Open, or compute the table in a function that the owner calls"})
			}
		}
	}
	return found
}

// locks are types that make sense in a package variable only when the package
// has state.
var locks = []string{"sync.Mutex", "sync.RWMutex", "sync.Map", "sync.WaitGroup", "sync.Cond",
	"atomic.Bool", "atomic.Int32", "atomic.Int64", "atomic.Uint32", "atomic.Uint64", "atomic.Uintptr", "atomic.Value", "atomic.Pointer"}

// packagesKeepNoState forbids package variables that change: two servers run in
// one test. It looks at three things: variables whose type exists to be shared,
// maps, slices and pointers that do not even say what they are, and any
// assignment to a package variable. Tests may do as they like.
func packagesKeepNoState(files []*goFile) (found []violation) {
	packs := map[string][]*goFile{}
	var order []string
	for _, file := range files {
		if file.test() || file.generated() {
			continue
		}
		key := file.folder() + " " + file.syntax.Name.Name
		if packs[key] == nil {
			order = append(order, key)
		}
		packs[key] = append(packs[key], file)
	}
	for _, key := range order {
		for _, file := range packs[key] {
			found = append(found, suspiciousVariables(file)...)
		}
		found = append(found, assignedVariables(packs[key])...)
	}
	return found
}

func suspiciousVariables(file *goFile) (found []violation) {
	for _, declaration := range file.syntax.Decls {
		d, ok := declaration.(*ast.GenDecl)
		if !ok || d.Tok != token.VAR {
			continue
		}
		for _, spec := range d.Specs {
			s := spec.(*ast.ValueSpec)
			said := d.Doc != nil || s.Doc != nil || s.Comment != nil // an embed directive counts
			for i, name := range s.Names {
				var value ast.Expr
				if i < len(s.Values) {
					value = s.Values[i]
				}
				kind := kindOf(s.Type, value)
				switch {
				case name.Name == "_":
				case slices.Contains(locks, kind):
					found = append(found, violation{file.at(s), fmt.Sprintf("package variable %s is a %s", name.Name, kind),
						"it exists to be shared, and two servers in one test would share it", "make it a field of the thing that owns the state"})
				case kind == "reference" && !said:
					found = append(found, violation{file.at(s), "package variable " + name.Name + " is a map, slice, pointer or channel without a comment",
						"it can be changed from anywhere and nothing says that it is not", "say what the table is and that nobody changes it, or make it a field"})
				}
			}
		}
	}
	return found
}

// kindOf tells what a variable is from its written type or value: a type's
// name, "reference", or "" for what cannot be known or does not matter.
func kindOf(written, value ast.Expr) string {
	switch t := written.(type) {
	case nil:
	case *ast.MapType, *ast.StarExpr, *ast.ChanType:
		return "reference"
	case *ast.ArrayType:
		if t.Len == nil {
			return "reference"
		}
		return ""
	case *ast.IndexExpr:
		return kindOf(t.X, nil)
	case *ast.SelectorExpr:
		if x, ok := t.X.(*ast.Ident); ok {
			return x.Name + "." + t.Sel.Name
		}
		return ""
	default:
		return ""
	}
	switch v := value.(type) {
	case *ast.CompositeLit:
		return kindOf(v.Type, nil)
	case *ast.UnaryExpr:
		if v.Op == token.AND {
			return "reference"
		}
	case *ast.CallExpr:
		if f, ok := v.Fun.(*ast.Ident); ok && (f.Name == "make" || f.Name == "new") {
			return "reference"
		}
	}
	return ""
}

// assignedVariables finds functions that assign to a variable of their package
// or to a part of it. Only scopes matter for that, so imports stay unresolved
// and the type errors that follow from it mean nothing.
func assignedVariables(pack []*goFile) (found []violation) {
	info := types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: noImports{}, Error: func(error) {}, FakeImportC: true}
	syntax := make([]*ast.File, len(pack))
	for i, file := range pack {
		syntax[i] = file.syntax
	}
	checked, _ := config.Check(pack[0].folder(), pack[0].set, syntax, &info)
	for _, file := range pack {
		ast.Inspect(file.syntax, func(node ast.Node) bool {
			var targets []ast.Expr
			switch n := node.(type) {
			case *ast.AssignStmt:
				targets = n.Lhs
			case *ast.IncDecStmt:
				targets = []ast.Expr{n.X}
			}
			for _, target := range targets {
				name := baseName(target)
				if name == nil {
					continue
				}
				v, ok := info.Uses[name].(*types.Var)
				if ok && checked != nil && v.Parent() == checked.Scope() {
					found = append(found, violation{file.at(node), "package variable " + name.Name + " is assigned",
						"packages keep no state: two servers run in one test", "make it a field of the thing that owns the state, or hand it in"})
				}
			}
			return true
		})
	}
	return found
}

// baseName returns the variable that x, x.f, x[i], *x and mixtures of them
// start from.
func baseName(e ast.Expr) *ast.Ident {
	switch e := e.(type) {
	case *ast.Ident:
		return e
	case *ast.SelectorExpr:
		return baseName(e.X)
	case *ast.IndexExpr:
		return baseName(e.X)
	case *ast.StarExpr:
		return baseName(e.X)
	case *ast.ParenExpr:
		return baseName(e.X)
	}
	return nil
}

type noImports struct{}

func (noImports) Import(string) (*types.Package, error) {
	return nil, errors.New("imports are not needed here")
}

// testsDoNotSleep forbids time.Sleep in tests, except inside a bubble of
// testing/synctest, where it moves a clock that nobody waits for.
func testsDoNotSleep(files []*goFile) (found []violation) {
	for _, file := range files {
		if !file.test() {
			continue
		}
		clock, bubbles := localName(file, "time"), localName(file, "testing/synctest")
		if clock == "" {
			continue
		}
		inside := map[ast.Node]bool{} // function bodies that run in a bubble
		named := map[string]bool{}
		ast.Inspect(file.syntax, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if ok && bubbles != "" && isSelector(call.Fun, bubbles, "Test") && len(call.Args) == 2 {
				inside[call.Args[1]] = true
				if name, ok := call.Args[1].(*ast.Ident); ok {
					named[name.Name] = true
				}
			}
			return true
		})
		ast.Inspect(file.syntax, func(node ast.Node) bool {
			if d, ok := node.(*ast.FuncDecl); inside[node] || ok && d.Recv == nil && named[d.Name.Name] {
				return false
			}
			if e, ok := node.(ast.Expr); ok && isSelector(e, clock, "Sleep") {
				found = append(found, violation{file.at(e), "time.Sleep in a test", "it is too short on a busy machine and too long on every other",
					"wait for the event itself, step the clock that the code is given, or run the test in testing/synctest"})
			}
			return true
		})
	}
	return found
}

// localName is the name under which a file sees an import, "" if it does not.
func localName(file *goFile, importPath string) string {
	for _, spec := range file.syntax.Imports {
		if spec.Path.Value != strconv.Quote(importPath) {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return map[string]string{"time": "time", "testing/synctest": "synctest"}[importPath]
	}
	return ""
}

func isSelector(e ast.Expr, pkg, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == pkg
}

func TestNothingRunsAtInit(t *testing.T)   { holdTree(t, nothingRunsAtInit) }
func TestPackagesKeepNoState(t *testing.T) { holdTree(t, packagesKeepNoState) }
func TestTestsDoNotSleep(t *testing.T)     { holdTree(t, testsDoNotSleep) }

func TestInitGuardCanFail(t *testing.T) {
	provesGuard(t, nothingRunsAtInit, []guardCase{
		{"init", map[string]string{"pkg/aoi/a.go": "package aoi\n\nfunc init() {}\n"}, []string{"pkg/aoi/a.go:3: func init"}},
		{"init of a test", map[string]string{"pkg/aoi/a_test.go": "package aoi\nfunc init() {}\n"}, []string{"func init"}},
		{"a method of that name", map[string]string{"pkg/aoi/a.go": "package aoi\ntype t int\nfunc (t) init() {}\nfunc initialise() {}\n"}, nil},
		{"generated", map[string]string{"pkg/aoi/a.go": "// Code generated by x. DO NOT EDIT.\n\npackage aoi\nfunc init() {}\n"}, nil},
	})
}

func TestStateGuardCanFail(t *testing.T) {
	one := func(body string) map[string]string { return map[string]string{"pkg/aoi/a.go": "package aoi\n" + body} }
	provesGuard(t, packagesKeepNoState, []guardCase{
		{"constants of a kind", one("import \"errors\"\nvar ErrX = errors.New(\"x\")\nvar _ I = (*T)(nil)\nvar names = [...]string{\"a\"}\n// table is never changed.\nvar table = map[int]int{1: 2}\n//go:embed x\nvar page []byte\n"), nil},
		{"map", one("\nvar cache = map[int]int{}\n"), []string{"pkg/aoi/a.go:3: package variable cache is a map"}},
		{"slice", one("var list []int\n"), []string{"variable list"}},
		{"pointer", one("var here, there = 1, &T{}\n"), []string{"variable there"}},
		{"made", one("var c = make(chan int)\n"), []string{"variable c"}},
		{"mutex, comment or not", one("// mu guards.\nvar mu sync.Mutex\n"), []string{"variable mu is a sync.Mutex"}},
		{"atomic", one("var (\n// next id.\nnext atomic.Pointer[T]\n)\n"), []string{"variable next is a atomic.Pointer"}},
		{"assigned", one("var n = 1\nfunc f() {\nn = 2\n}\n"), []string{"pkg/aoi/a.go:4: package variable n is assigned"}},
		{"counted", one("var n = 1\nfunc f() { n++ }\n"), []string{"variable n is assigned"}},
		{"part of it assigned", one("// t is a table.\nvar t = map[int]struct{ x [2]int }{}\nfunc f() { t[1].x[0] = 2 }\n"), []string{"variable t is assigned"}},
		{"assigned from another file", map[string]string{"pkg/aoi/a.go": "package aoi\nvar n = 1\n", "pkg/aoi/b.go": "package aoi\nimport \"fmt\"\nfunc f() { n = fmt.X() }\n"},
			[]string{"pkg/aoi/b.go:3: package variable n is assigned"}},
		{"a local of the same name", one("var n = 1\nfunc f(m int) { n := 2; n = 3; m = n; func() { n++ }() }\nfunc g(n int) { n = 1 }\nfunc h() { type s struct{ n int }; var v s; v.n = 1 }\n"), nil},
		{"tests", map[string]string{"pkg/aoi/a_test.go": "package aoi\nvar n []int\nfunc f() { n = nil }\n"}, nil},
		{"generated", map[string]string{"pkg/aoi/a.go": "// Code generated by x. DO NOT EDIT.\n\npackage aoi\nvar n []int\n"}, nil},
	})
}

func TestSleepGuardCanFail(t *testing.T) {
	const head = "package aoi\nimport \"time\"\nimport \"testing/synctest\"\n"
	provesGuard(t, testsDoNotSleep, []guardCase{
		{"sleep", map[string]string{"pkg/aoi/a_test.go": head + "func f() { time.Sleep(1) }\n"}, []string{"pkg/aoi/a_test.go:4: time.Sleep in a test"}},
		{"under another name", map[string]string{"pkg/aoi/a_test.go": "package aoi\nimport clock \"time\"\nfunc f() { clock.Sleep(1) }\n"}, []string{"time.Sleep"}},
		{"handed on", map[string]string{"pkg/aoi/a_test.go": head + "var wait = time.Sleep\n"}, []string{"time.Sleep"}},
		{"in a bubble", map[string]string{"pkg/aoi/a_test.go": head + "func f() { synctest.Test(t, func(t *testing.T) { time.Sleep(1) }) }\n"}, nil},
		{"in a named bubble", map[string]string{"pkg/aoi/a_test.go": head + "func f() { synctest.Test(t, g) }\nfunc g(t *testing.T) { time.Sleep(1) }\n"}, nil},
		{"beside a bubble", map[string]string{"pkg/aoi/a_test.go": head + "func f() { synctest.Test(t, func(t *testing.T) {}); time.Sleep(1) }\n"}, []string{"time.Sleep"}},
		{"not in a test", map[string]string{"pkg/aoi/a.go": head + "func f() { time.Sleep(1) }\n"}, nil},
		{"another Sleep", map[string]string{"pkg/aoi/a_test.go": head + "func f() { npc.Sleep(1) }\n"}, nil},
	})
}
