package record

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// A zone's configuration travels field by field, by name, so that a build that has more fields or fewer can say which.

// plain tells whether values of a type are nothing but numbers, texts and truth values, which JSON brings back as they were.
func plain(t reflect.Type) bool {
	switch k := t.Kind(); k {
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); !f.IsExported() || !plain(f.Type) {
				return false
			}
		}
		return true
	case reflect.Slice, reflect.Array:
		return plain(t.Elem())
	default:
		return k >= reflect.Bool && k <= reflect.Float64 && k != reflect.Uintptr || k == reflect.String
	}
}

// plainFields are the plain fields of a configuration, and the names of the others that are set. Functions are nobody's business: a hook of the process does not
// determine the zone. Nor does InterestWorkers, which is the machine's.
func plainFields(c *game.Config) (fields map[string]json.RawMessage, omitted []string, err error) {
	v := reflect.ValueOf(c).Elem()
	fields = map[string]json.RawMessage{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case !f.IsExported() || f.Type.Kind() == reflect.Func || f.Name == "InterestWorkers":
		case !plain(f.Type):
			if !v.Field(i).IsZero() {
				omitted = append(omitted, f.Name)
			}
		default:
			if fields[f.Name], err = json.Marshal(v.Field(i).Interface()); err != nil {
				return nil, nil, fmt.Errorf("field %s of the zone's configuration: %w", f.Name, err)
			}
		}
	}
	return fields, omitted, nil
}

// setPlainFields is the way back. It leaves the other fields as they are, and names those that this build does not have.
func setPlainFields(c *game.Config, fields map[string]json.RawMessage) (unknown []string, err error) {
	v := reflect.ValueOf(c).Elem()
	for name, text := range fields {
		f, ok := v.Type().FieldByName(name)
		if !ok || !f.IsExported() || len(f.Index) != 1 || !plain(f.Type) {
			unknown = append(unknown, name)
			continue
		}
		if err := json.Unmarshal(text, v.FieldByIndex(f.Index).Addr().Interface()); err != nil {
			return nil, fmt.Errorf("field %s of the zone's configuration: %w", name, err)
		}
	}
	slices.Sort(unknown)
	return unknown, nil
}

// unlike lists the plain fields in which the configuration of a fresh zone is not what was recorded.
func unlike(recorded map[string]json.RawMessage, c *game.Config) (list []Mismatch) {
	now, _, err := plainFields(c)
	if err != nil {
		return []Mismatch{{What: "configuration", Here: err.Error(), Fix: "mend the configuration"}}
	}
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		was, isRecorded := recorded[name]
		is, isPlain := now[name]
		if !isPlain || isRecorded && string(was) == string(is) || !isRecorded && v.Field(i).IsZero() {
			continue
		}
		list = append(list, Mismatch{"configuration: " + name, or(string(was), "not there"), string(is), "replay with the build that recorded it"})
	}
	return list
}

// missing lists the fields that were set and did not travel, and are not set here either.
func missing(omitted []string, c *game.Config) (list []Mismatch) {
	v := reflect.ValueOf(c).Elem()
	for _, name := range omitted {
		if f := v.FieldByName(name); !f.IsValid() || f.IsZero() {
			list = append(list, Mismatch{"configuration: " + name, "set", "not set", "let the game's configuration have it (Options.Zone): it does not travel in the file"})
		}
	}
	return list
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
