package config

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// value puts a node into a value. What does not fit is reported and leaves the value as it was.
func (l *loader) value(n *yaml.Node, v reflect.Value, path string, secret bool) {
	t := strip(v.Type())
	if isNull(n) && !l.literal {
		if isSection(t) {
			return // all of its lines are commented out
		}
		fix := "give it one, or take the key out"
		if t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
			fix = "write [] for an empty list, {} for an empty map, or take the key out"
		}
		l.at(n, path, "no value", "", fix)
		return
	}
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			fresh := reflect.New(v.Type().Elem())
			errors := len(l.errs)
			l.value(n, fresh.Elem(), path, secret)
			if len(l.errs) == errors {
				v.Set(fresh)
			}
			return
		}
		v = v.Elem()
	}
	switch {
	case isSection(t):
		if n.Kind != yaml.MappingNode {
			l.wrong(n, path, "a section", secret, "", "write its keys below it, indented")
			return
		}
		l.origins.sections[path] = l.place(n)
		l.section(n, v, path, secret)
	case readsText(t) || t == reflect.TypeFor[time.Duration]() || t.Kind() != reflect.Slice && t.Kind() != reflect.Map:
		if n.Kind != yaml.ScalarNode {
			l.wrong(n, path, inWords(t), secret, "", "")
			return
		}
		if l.scalar(n, v, path, secret) {
			l.origins.set(path, l.place(n))
		}
	case t.Kind() == reflect.Slice:
		l.list(n, v, path, secret)
	default:
		l.table(n, v, path, secret)
	}
}

// wrong reports a value of the wrong kind.
func (l *loader) wrong(n *yaml.Node, path, want string, secret bool, why, fix string) {
	got := describe(n)
	if secret && n.Kind == yaml.ScalarNode {
		got = "something else"
	}
	l.at(n, path, "want "+want+", got "+got, why, fix)
}

func (l *loader) list(n *yaml.Node, v reflect.Value, path string, secret bool) {
	if n.Kind != yaml.SequenceNode {
		fix := "write it in brackets: [a, b]"
		if n.Kind == yaml.MappingNode {
			fix = "start each element with a dash"
		}
		l.wrong(n, path, "a list", secret, "", fix)
		return
	}
	l.origins.set(path, l.place(n))
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		l.value(c, list.Index(i), fmt.Sprintf("%s[%d]", path, i), secret)
	}
	v.Set(list)
}

func (l *loader) table(n *yaml.Node, v reflect.Value, path string, secret bool) {
	if n.Kind != yaml.MappingNode {
		l.wrong(n, path, "a map", secret, "", "write name: value below it, indented")
		return
	}
	l.origins.set(path, l.place(n))
	table := reflect.MakeMap(v.Type())
	l.pairs(n, path, func(name string, _, value *yaml.Node) {
		element := reflect.New(v.Type().Elem()).Elem()
		l.value(value, element, join(path, name), secret)
		table.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), element)
	})
	v.Set(table)
}

// scalar puts a single value in place and reports whether it fitted.
func (l *loader) scalar(n *yaml.Node, v reflect.Value, path string, secret bool) bool {
	tag, text := n.ShortTag(), n.Value
	number := tag == "!!int" || tag == "!!float"
	if l.literal { // whatever it looks like
		number = true
		if text == "" && (v.Kind() != reflect.String || readsText(v.Type())) {
			l.at(n, path, "want "+inWords(v.Type())+", got nothing", "an empty "+[...]string{Env: "variable", Flag: "flag"}[l.kind]+" is a value too", "give it one, or do not set it")
			return false
		}
	}
	fits := func(err error, fix string) bool {
		if err == nil {
			return true
		}
		why := err.Error()
		if secret { // it may hold what must not be shown
			why, fix = "", ""
		}
		l.wrong(n, path, inWords(v.Type()), secret, why, fix)
		return false
	}
	wrong := func(why, fix string) bool { l.wrong(n, path, inWords(v.Type()), secret, why, fix); return false }

	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		if err != nil {
			if _, unitless := strconv.ParseFloat(text, 64); unitless == nil {
				if secret {
					return wrong("a bare number has no unit", "")
				}
				return wrong("a bare number has no unit", "write "+bare(text)+"s, or with another of ns, us, ms, m, h")
			}
			return wrong("", "write a number and one of ns, us, ms, s, m, h, such as 1.5s or 1h30m")
		}
		v.SetInt(int64(d))
		return true
	}
	if readsText(v.Type()) {
		fresh := reflect.New(v.Type())
		if !fits(fresh.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)), "") {
			return false
		}
		v.Set(fresh.Elem())
		return true
	}
	switch v.Kind() {
	case reflect.String:
		if tag != "!!str" && !l.literal {
			return wrong("without quotes YAML takes it for something else", "put it in quotes")
		}
		v.SetString(text)
	case reflect.Bool:
		switch {
		case strings.EqualFold(text, "true") && (l.literal || tag == "!!bool"):
			v.SetBool(true)
		case strings.EqualFold(text, "false") && (l.literal || tag == "!!bool"):
			v.SetBool(false)
		default:
			return wrong("", "write true or false, without quotes")
		}
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		switch {
		case math.IsInf(f, 0), math.IsNaN(f), strings.HasPrefix(strings.ToLower(strings.TrimLeft(text, "+-")), ".inf"), strings.EqualFold(text, ".nan"):
			return wrong("it has to be finite", "")
		case err != nil || !number:
			return wrong("", "write digits, with a point before the fraction")
		}
		v.SetFloat(f)
	default:
		return l.whole(n, v, path, secret, number)
	}
	return true
}

// whole puts a whole number in place.
func (l *loader) whole(n *yaml.Node, v reflect.Value, path string, secret, number bool) bool {
	wrong := func(why, fix string) bool { l.wrong(n, path, "a whole number", secret, why, fix); return false }
	text, bits := n.Value, v.Type().Bits()
	digits := strings.TrimLeft(text, "+-")
	if len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		return wrong("with a 0 in front some read it as octal", "write it without, or with 0o if octal is meant")
	}
	signed := v.CanInt()
	var low, high string
	var err error
	if signed {
		var i int64
		if i, err = strconv.ParseInt(text, 0, bits); err == nil && number {
			v.SetInt(i)
			return true
		}
		low, high = strconv.FormatInt(math.MinInt64>>(64-bits), 10), strconv.FormatInt(math.MaxInt64>>(64-bits), 10)
	} else {
		var u uint64
		if u, err = strconv.ParseUint(strings.TrimPrefix(text, "+"), 0, bits); err == nil && number {
			v.SetUint(u)
			return true
		}
		low, high = "0", strconv.FormatUint(math.MaxUint64>>(64-bits), 10)
	}
	_, float := strconv.ParseFloat(text, 64)
	switch {
	case err == nil: // in quotes
		return wrong("quotes make it text", "take them off")
	case float == nil && strings.ContainsAny(text, ".eE") && !strings.HasPrefix(digits, "0x"):
		return wrong("it has a fraction or an exponent", "write it out in digits")
	case float == nil || errorsIsRange(err):
		return wrong("it is out of range", "use "+low+" to "+high)
	}
	return wrong("", "write digits only")
}

func errorsIsRange(err error) bool {
	n, ok := err.(*strconv.NumError)
	return ok && n.Err == strconv.ErrRange
}
