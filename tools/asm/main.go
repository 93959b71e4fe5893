// Command asm writes the vector kernels of pkg/aoi, which are committed, so
// that users of the framework need neither this tool nor its dependencies:
//
//	go run -C tools/asm .          write pkg/aoi/kernel_amd64.s and its Go declarations
//	go run -C tools/asm . -check   compare with the committed files, write nothing; exit 1 names the stale file and the fix
//
// Offsets and signatures come from the types in pkg/aoi/kernel.go. After a
// change there, or here, run it again.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// fix is the command that a person runs when the committed files are stale.
const fix = "go run -C tools/asm ."

func main() {
	check := flag.Bool("check", false, "compare with the committed files instead of writing them")
	dir := flag.String("aoi", filepath.Join("..", "..", "pkg", "aoi"), "the folder pkg/aoi/")
	flag.Parse()
	if err := run(*dir, *check); err != nil {
		fmt.Fprintln(os.Stderr, "asm:", err)
		os.Exit(1)
	}
}

func run(dir string, check bool) error {
	files, err := generate(filepath.Join(dir, "kernel.go"))
	if err != nil {
		return err
	}
	var stale []error
	for name, text := range files {
		path := filepath.Join(dir, name)
		if !check {
			if err := os.WriteFile(path, text, 0o644); err != nil {
				return fmt.Errorf("write the generated code: %w", err)
			}
			continue
		}
		if committed, err := os.ReadFile(path); err != nil {
			stale = append(stale, fmt.Errorf("read the committed code: %w", err))
		} else if !bytes.Equal(committed, text) {
			stale = append(stale, fmt.Errorf("%s differs from what the generator writes: run %s and commit", path, fix))
		}
	}
	return errors.Join(stale...)
}

// generate returns the generated files by name. The same kernel.go gives the
// same bytes on every machine.
func generate(source string) (map[string][]byte, error) {
	pkg, err := kernelTypes(source)
	if err != nil {
		return nil, err
	}
	if err := checkLayout(pkg); err != nil {
		return nil, err
	}
	a := assembler{Context: build.NewContext(), pkg: pkg}
	a.ConstraintExpr("amd64")
	a.ConstraintExpr("!purego")
	numbers := a.numbers()
	a.avx512(numbers)
	a.avx2(numbers)
	file, err := a.Result()
	if err != nil {
		return nil, fmt.Errorf("assemble: %w", err)
	}
	if err := pass.Compile.Execute(file); err != nil {
		return nil, fmt.Errorf("allocate registers: %w", err)
	}
	about := printer.Config{Name: "tools/asm", Pkg: "aoi"}
	text, err := printer.NewGoAsm(about).Print(file)
	if err != nil {
		return nil, fmt.Errorf("print the assembly: %w", err)
	}
	stubs, err := printer.NewStubs(about).Print(file)
	if err != nil {
		return nil, fmt.Errorf("print the declarations: %w", err)
	}
	return map[string][]byte{"kernel_amd64.s": text, "kernel_asm_amd64.go": stubs}, nil
}

// kernelTypes checks the declarations of kernel.go alone, so that the
// generator works while the rest of the package does not compile.
func kernelTypes(source string) (*types.Package, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, source, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse the kernel's types: %w", err)
	}
	config := types.Config{
		IgnoreFuncBodies: true,
		Importer:         importer.Default(),
		Sizes:            types.SizesFor("gc", "amd64"),
	}
	pkg, err := config.Check("aoi", set, []*ast.File{file}, nil)
	if err != nil {
		return nil, fmt.Errorf("check the kernel's types: %w", err)
	}
	return pkg, nil
}
