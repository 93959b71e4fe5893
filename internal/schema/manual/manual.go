// Package manual renders a schema as Markdown tables and puts them between their marks in a manual that people write.
//
// Everything is a plain function of its arguments: any goroutine may call it, nothing runs on, there is nothing to stop.
package manual

import (
	"bytes"
	"fmt"
)

// Begin is the line before the tables of a package.
func Begin(pkg string) string { return fmt.Sprintf("<!-- mmo gen %s: begin -->", pkg) }

// End is the line after the tables of a package.
func End(pkg string) string { return fmt.Sprintf("<!-- mmo gen %s: end -->", pkg) }

// Insert replaces what stands between the marks of a package in text; the rest stays byte for byte. name is the file's, for errors.
func Insert(name string, text []byte, pkg, tables string) ([]byte, error) {
	begin, end := []byte(Begin(pkg)), []byte(End(pkg))
	for _, mark := range [][]byte{begin, end} {
		if n := bytes.Count(text, mark); n > 1 {
			return nil, fmt.Errorf("%s:%d: the mark %s stands there %d times: keep one", name, lineOf(text, bytes.LastIndex(text, mark)), mark, n)
		}
	}
	from, to := bytes.Index(text, begin), bytes.Index(text, end)
	switch {
	case from < 0 && to < 0:
		return nil, fmt.Errorf("%s:1: no marks for package %s: write the two lines %s and %s where its tables belong", name, pkg, begin, end)
	case from < 0:
		return nil, fmt.Errorf("%s:%d: the mark %s has no beginning: write %s before it", name, lineOf(text, to), end, begin)
	case to < 0:
		return nil, fmt.Errorf("%s:%d: the mark %s has no end: write %s behind it", name, lineOf(text, from), begin, end)
	case to < from:
		return nil, fmt.Errorf("%s:%d: the mark %s stands before %s: swap them", name, lineOf(text, to), end, begin)
	}
	from += len(begin)
	newline := "\n"
	if bytes.HasPrefix(text[from:], []byte("\r\n")) {
		newline = "\r\n"
		tables = string(bytes.ReplaceAll([]byte(tables), []byte("\n"), []byte(newline)))
	}
	out := append([]byte(nil), text[:from]...)
	out = append(out, newline...)
	out = append(out, tables...)
	return append(out, text[to:]...), nil
}

func lineOf(text []byte, at int) int { return 1 + bytes.Count(text[:at], []byte("\n")) }
