// Package config loads what a person configures, strictly: values in a Config struct, then a YAML file, then the environment, then flags, each over the ones before. Every
// mistake is reported, all of them together, with its place, the reason and the remedy.
//
// A struct names its keys by tags, and its nested structs are sections:
//
//	type Config struct {
//		Listen  string        `yaml:"listen" doc:"address that clients connect to, host:port"`
//		Timeout time.Duration `yaml:"timeout" doc:"until a silent client is disconnected"`
//		Token   string        `yaml:"token" secret:"true" doc:"shared by all nodes"`
//		Limits  Limits        `yaml:"limits"`
//		Log     *slog.Logger  // without a tag: none of the person's business
//	}
//
// Keys are lower case with underscores. The key limits.max_players is also the variable MMO_LIMITS_MAX_PLAYERS and the flag -limits.max_players. Values may be strings, bools, whole
// and other numbers, durations (time.Duration: "3s"), sizes (Bytes: "8 MiB"), whatever reads itself from text (encoding.TextUnmarshaler), lists, maps by strings, structs, and
// pointers to all these. Lists and maps replace what was there before, structs are filled key by key.
//
// A struct with a method Validate() error, at any depth, is asked when everything is in place, those inside first. Its error may start with a key or the name of the Go field,
// "timeout must be positive" or "listen[2]: no such port", and is then shown at the place where that was set.
//
// Load, Print and Keys are plain functions of their arguments: any goroutine may call them on values that no other uses, and there is nothing to stop.
package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
)

// Options say where to look.
type Options struct {
	File     string        // path of the YAML file; empty: none
	Optional bool          // the file may be missing
	Env      []string      // name=value, as os.Environ returns them; nil: none
	Prefix   string        // of the variables' names; default "MMO_"
	Ignore   []string      // variables with the prefix that are not ours, unless a key has them; a * at the end stands for anything
	Flags    *flag.FlagSet // parsed; those that bear the name of a key count when they were set (see AddFlags), others are the program's own; nil: none
}

// maxFile bounds the file, in bytes. A person writes no more.
const maxFile = 1 << 20

// Load fills dst, a pointer to a struct that holds the defaults. Its error is an Errors; dst is then half filled and not to be used.
func Load(dst any, o Options) (*Origins, error) {
	var text []byte
	var missing error
	if o.File != "" {
		if text, missing = readFile(o.File); errors.Is(missing, fs.ErrNotExist) && o.Optional {
			missing = nil
		}
	}
	return load(dst, o, text, missing)
}

func load(dst any, o Options, text []byte, unreadable error) (*Origins, error) {
	root := reflect.ValueOf(dst)
	if root.Kind() != reflect.Pointer || root.IsNil() || root.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("config: Load wants a pointer to a struct, got %T", dst)
	}
	if o.Prefix == "" {
		o.Prefix = "MMO_"
	}
	keys, err := keysOf(root.Elem(), o.Prefix)
	if err != nil {
		return nil, err
	}
	l := &loader{keys: keys, origins: &Origins{at: map[string]Origin{}, sections: map[string]Origin{}}}
	if unreadable != nil {
		l.report(Origin{Kind: File, Name: o.File}, "", unreadable.Error(), "", "name a file that exists and may be read")
	}
	l.file(o.File, text, root.Elem())
	l.environment(o, root.Elem())
	l.flags(o.Flags, root.Elem())
	l.validate(root.Elem(), "")
	if len(l.errs) > 0 {
		return nil, l.errs
	}
	return l.origins, nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		return nil, fmt.Errorf("it has more than %d bytes: this is no configuration", maxFile)
	}
	return text, err
}

// loader is one Load at work.
type loader struct {
	keys    []key
	origins *Origins
	errs    Errors

	// What is being read now: a file, or one variable or flag.
	kind    Kind
	name    string
	literal bool // a value outside of YAML: text is text, whatever it looks like
}

func (l *loader) report(where Origin, key, what, why, fix string) {
	l.errs = append(l.errs, &Error{Where: where, Key: key, What: what, Why: why, Fix: fix})
}
