package tables

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/tianxia-mmo/tianxia/pkg/config"
)

// Check loads the tables of a folder and writes for a person what is in them, or every mistake, a line each. The error is that of Load, or of w.
func Check(w io.Writer, fsys fs.FS, s *Schema) error {
	set, err := Load(fsys, s)
	if err != nil {
		return errors.Join(err, report(w, err, s.config.MaxMistakes))
	}
	return set.describe(w)
}

// report writes mistakes.
func report(w io.Writer, err error, most int) error {
	var all config.Errors
	if !errors.As(err, &all) {
		_, bad := fmt.Fprintln(w, err)
		return bad
	}
	for _, e := range all {
		if _, bad := fmt.Fprintln(w, e); bad != nil {
			return bad
		}
	}
	count := fmt.Sprintf("%d mistakes", len(all))
	switch {
	case len(all) == 1:
		count = "1 mistake"
	case len(all) >= most:
		count = fmt.Sprintf("%d mistakes, and perhaps more", len(all))
	}
	_, bad := fmt.Fprintf(w, "%s: a server would go on with the tables that it has\n", count)
	return bad
}

// describe writes what is in a set.
func (s *Set) describe(w io.Writer) error {
	long, rows := len("tables"), 0
	for i, t := range s.schema.tables {
		long = max(long, len(t.name))
		rows += len(s.rows[i])
	}
	for i, t := range s.schema.tables {
		span := ""
		if n := len(s.rows[i]); n > 0 {
			span = fmt.Sprintf(", keys %s to %s", keyText(t.key.value, t.keyOf(s.rows[i][0])), keyText(t.key.value, t.keyOf(s.rows[i][n-1])))
		}
		if _, err := fmt.Fprintf(w, "%-*s  %6d rows of %s%s\n", long, t.name, len(s.rows[i]), t.row.Descriptor().FullName(), span); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%d tables, %d rows, %d bytes, fingerprint %016x\n", len(s.schema.tables), rows, len(s.bytes), s.sum)
	return err
}
