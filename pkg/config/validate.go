package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// validate asks every struct below v, those inside first, unless something in it is wrong already.
func (l *loader) validate(v reflect.Value, path string) {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	t := v.Type()
	switch {
	case isSection(t):
		fields, err := fieldsOf(t)
		if err != nil {
			return
		}
		for _, f := range fields {
			l.validate(v.FieldByIndex(f.index), join(path, f.name))
		}
		l.ask(v, path, fields)
	case readsText(t):
	case t.Kind() == reflect.Slice:
		for i := range v.Len() {
			l.validate(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case t.Kind() == reflect.Map:
		table := map[string]reflect.Value{}
		for each := v.MapRange(); each.Next(); {
			table[each.Key().String()] = each.Value()
		}
		for _, name := range slices.Sorted(maps.Keys(table)) {
			element := reflect.New(t.Elem()).Elem() // what a map holds has no address, and Validate may want one
			element.Set(table[name])
			l.validate(element, join(path, name))
			v.SetMapIndex(reflect.ValueOf(name).Convert(t.Key()), element)
		}
	}
}

func (l *loader) ask(v reflect.Value, path string, fields []field) {
	type validator interface{ Validate() error }
	asked, ok := v.Interface().(validator)
	if !ok && v.CanAddr() {
		asked, ok = v.Addr().Interface().(validator)
	}
	if !ok || slices.ContainsFunc(l.errs, func(e *Error) bool {
		return within(e.Key, path) && (path != "" || e.Key != "") || e.Where.Kind == File && e.Key == ""
	}) {
		return
	}
	err := asked.Validate()
	if err == nil {
		return
	}
	each := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		each = joined.Unwrap()
	}
	for _, err := range each {
		if err == nil {
			continue
		}
		text, key := err.Error(), path
		word, rest, _ := strings.Cut(text, " ")
		word, colon := strings.CutSuffix(word, ":")
		inside := ""
		if cut := strings.IndexAny(word, ".["); colon && cut > 0 { // tls.cert: or listen[2]:
			word, inside = word[:cut], word[cut:]
		}
		if at := slices.IndexFunc(fields, func(f field) bool { return f.name == word || f.goName == word }); at >= 0 {
			key = join(path, fields[at].name) + inside
			if colon {
				text = rest
			}
		}
		l.report(l.origins.near(key), key, text, "", "")
	}
}
