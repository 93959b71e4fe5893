package steptest

import (
	"fmt"
	"reflect"
	"strings"
)

// shape is a struct as a row of numbers.
type shape struct {
	names []string // with dots for structs inside
	paths [][]int
}

func (u *Rule[W, S, I]) shapes() (world, state, input shape, err error) {
	for _, s := range [...]struct {
		to *shape
		of reflect.Type
	}{{&world, reflect.TypeFor[W]()}, {&state, reflect.TypeFor[S]()}, {&input, reflect.TypeFor[I]()}} {
		s.to.names = []string{}
		if s.of.Kind() != reflect.Struct {
			return world, state, input, fmt.Errorf("%s: %s is no struct", u.Name, s.of)
		}
		if err := s.to.add(s.of, "", nil); err != nil {
			return world, state, input, fmt.Errorf("%s: %w", u.Name, err)
		}
	}
	return world, state, input, nil
}

func (s *shape) add(t reflect.Type, prefix string, path []int) error {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		at := append(path[:len(path):len(path)], i)
		switch k := f.Type.Kind(); {
		case k == reflect.Struct:
			if err := s.add(f.Type, prefix+name+".", at); err != nil {
				return err
			}
		case k == reflect.Bool || k >= reflect.Int && k <= reflect.Uint64:
			s.names, s.paths = append(s.names, prefix+name), append(s.paths, at)
		default:
			return fmt.Errorf("field %s%s of %s is a %s: both languages agree on whole numbers, booleans and structs of them only", prefix, f.Name, t, f.Type)
		}
	}
	return nil
}

func (s *shape) row(of any) []int64 {
	v, row := reflect.ValueOf(of), make([]int64, len(s.paths))
	for i, path := range s.paths {
		switch f := v.FieldByIndex(path); {
		case f.Kind() == reflect.Bool:
			if f.Bool() {
				row[i] = 1
			}
		case f.CanInt():
			row[i] = f.Int()
		default:
			row[i] = int64(f.Uint())
		}
	}
	return row
}

// fill sets the fields that to, a pointer to a struct, has.
func (s *shape) fill(to any, row []int64) error {
	if len(row) != len(s.paths) {
		return fmt.Errorf("%d values for %d fields", len(row), len(s.paths))
	}
	v := reflect.ValueOf(to).Elem()
	for i, path := range s.paths {
		f, n := v.FieldByIndex(path), row[i]
		switch {
		case f.Kind() == reflect.Bool && n>>1 == 0:
			f.SetBool(n == 1)
		case f.CanInt() && !f.OverflowInt(n):
			f.SetInt(n)
		case f.CanUint() && n >= 0 && !f.OverflowUint(uint64(n)):
			f.SetUint(uint64(n))
		default:
			return fmt.Errorf("%s is %d, which no %s is", s.names[i], n, f.Type())
		}
	}
	return nil
}
