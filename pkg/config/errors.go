package config

import (
	"fmt"
	"strings"
)

// Kind says which layer a value comes from.
type Kind uint8

// The layers, lowest first.
const (
	Default Kind = iota
	File
	Env
	Flag
)

// Origin is the place that a value comes from.
type Origin struct {
	Kind         Kind
	Name         string // of the file, variable or flag
	Line, Column int    // in the file, from 1; 0 for the file as a whole
}

// String is "default", "server.yaml:3", "env MMO_LISTEN" or "flag -listen".
func (o Origin) String() string {
	switch o.Kind {
	case File:
		if o.Line == 0 {
			return o.Name
		}
		return fmt.Sprintf("%s:%d", o.Name, o.Line)
	case Env:
		return "env " + o.Name
	case Flag:
		return "flag -" + o.Name
	}
	return "default"
}

// Origins knows where every value came from.
type Origins struct{ at, sections map[string]Origin }

// Of is the origin of a key such as "limits.max_players" or "zones[2].name". What a list or map holds comes at least from where the whole does; sections come from nowhere.
func (o *Origins) Of(key string) Origin {
	if o == nil {
		return Origin{}
	}
	for {
		if at, ok := o.at[key]; ok {
			return at
		}
		cut := strings.LastIndexAny(key, ".[")
		if cut < 0 {
			return Origin{}
		}
		key = key[:cut]
	}
}

// near is Of, or else the place of the innermost section around the key.
func (o *Origins) near(key string) Origin {
	for {
		if at, ok := o.at[key]; ok {
			return at
		}
		if at, ok := o.sections[key]; ok {
			return at
		}
		cut := strings.LastIndexAny(key, ".[")
		if cut < 0 {
			return Origin{}
		}
		key = key[:cut]
	}
}

// set forgets what lies below the key: this value replaces it.
func (o *Origins) set(key string, at Origin) {
	for _, m := range []map[string]Origin{o.at, o.sections} {
		for k := range m {
			if within(k, key) {
				delete(m, k)
			}
		}
	}
	o.at[key] = at
}

// within reports whether key is section or lies below it. The empty section holds everything.
func within(key, section string) bool {
	rest, ok := strings.CutPrefix(key, section)
	return ok && (section == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// Error is one mistake.
type Error struct {
	Where          Origin
	Key            string // that it is about; empty for the file as a whole
	What, Why, Fix string // Why and Fix may be empty
}

// Error is one line: "server.yaml:3:5: limits.tick: want a duration, got 30: a bare number has no unit; write 30s or 30ms".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Where.String())
	if e.Where.Kind == File && e.Where.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Where.Column)
	}
	if e.Key != "" {
		b.WriteString(": " + e.Key)
	}
	b.WriteString(": " + e.What)
	if e.Why != "" {
		b.WriteString(": " + e.Why)
	}
	if e.Fix != "" {
		b.WriteString("; " + e.Fix)
	}
	return b.String()
}

// maxErrors is how many mistakes are shown: more would hide the first.
const maxErrors = 20

// Errors are all mistakes of one Load.
type Errors []*Error

// Error is one line per mistake, up to 20, and how many more there are.
func (e Errors) Error() string {
	var b strings.Builder
	for n, err := range e {
		if n == maxErrors {
			fmt.Fprintf(&b, "\nand %d more mistakes", len(e)-maxErrors)
			break
		}
		if n > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(err.Error())
	}
	return b.String()
}

// Unwrap lets errors.As find the first *Error.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for n := range e {
		out[n] = e[n]
	}
	return out
}

// short quotes a value for an error without flooding it.
func short(s string) string {
	if len(s) > 40 {
		return fmt.Sprintf("%.37q…", s)
	}
	return fmt.Sprintf("%q", s)
}

// bare is short without the quotes, for numbers and keys.
func bare(s string) string { return strings.ReplaceAll(short(s), `"`, "") }
