package config

import (
	"flag"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tianxia-mmo/tianxia/internal/utils/spell"
)

// environment reads the variables that have the prefix.
func (l *loader) environment(o Options, root reflect.Value) {
	values := map[string]string{}
	var names []string
	for _, pair := range o.Env {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || !strings.HasPrefix(name, o.Prefix) {
			continue
		}
		if _, twice := values[name]; !twice {
			names = append(names, name)
		}
		values[name] = value // the last counts, as for a shell
	}
	slices.Sort(names)
	for _, name := range names {
		at := slices.IndexFunc(l.keys, func(k key) bool { return k.Env == name })
		if at < 0 { // Ignore is asked last: a key that two programs share is in the list of both
			if !ignored(name, o.Ignore) {
				l.stranger(name, o)
			}
			continue
		}
		l.kind, l.name = Env, name
		l.text(values[name], l.keys[at], root)
	}
}

func ignored(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		start, star := strings.CutSuffix(p, "*")
		return name == p || star && strings.HasPrefix(name, start)
	})
}

// stranger reports a variable that no key has.
func (l *loader) stranger(name string, o Options) {
	// Kubernetes tells every process where the services of its namespace are: a service called mmo-gateway gives MMO_GATEWAY_SERVICE_HOST, MMO_GATEWAY_PORT_7000_TCP_ADDR and more.
	if strings.Contains(name, "_SERVICE_HOST") || strings.Contains(name, "_SERVICE_PORT") || strings.HasSuffix(name, "_PORT") || strings.Contains(name, "_PORT_") {
		return
	}
	var names []string
	for _, k := range l.keys {
		if k.Env != "" {
			names = append(names, strings.TrimPrefix(k.Env, o.Prefix))
		}
	}
	fix := "unset it, or tell the program to ignore it"
	if near := spell.Nearest(strings.TrimPrefix(name, o.Prefix), names); near != "" {
		fix = "did you mean " + o.Prefix + near + "?"
	}
	l.report(Origin{Kind: Env, Name: name}, "", "no key has this variable", "names that start with "+o.Prefix+" are keys", fix)
}

// flags reads the flags that were set and bear the name of a key.
func (l *loader) flags(set *flag.FlagSet, root reflect.Value) {
	if set == nil {
		return
	}
	set.Visit(func(f *flag.Flag) {
		name := strings.ReplaceAll(f.Name, "-", "_")
		at := slices.IndexFunc(l.keys, func(k key) bool { return k.Path == name && k.Env != "" })
		if at >= 0 {
			l.kind, l.name = Flag, f.Name
			l.text(f.Value.String(), l.keys[at], root)
		}
	})
}

// text sets a key from outside of YAML: text as it is, a list as a, b or in YAML's brackets, a map in YAML's braces.
func (l *loader) text(text string, k key, root reflect.Value) {
	t := strip(k.fields[len(k.fields)-1].typ)
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	l.literal = true
	if !readsText(t) && (t.Kind() == reflect.Slice || t.Kind() == reflect.Map) {
		trimmed := strings.TrimSpace(text)
		switch {
		case strings.HasPrefix(trimmed, "[") || strings.HasPrefix(trimmed, "{"):
			var document yaml.Node
			if err := yaml.Unmarshal([]byte(text), &document); err != nil {
				what, why := "not YAML", strings.TrimPrefix(err.Error(), "yaml: ")
				if k.Secret {
					why = ""
				}
				l.at(n, k.Path, what, why, "write a list as [a, b], a map as {a: b}")
				return
			}
			if n = document.Content[0]; !l.plain(n, k.Path) {
				return
			}
			l.literal = false
		case t.Kind() == reflect.Slice && !isSection(strip(t.Elem())):
			n = &yaml.Node{Kind: yaml.SequenceNode}
			for part := range strings.SplitSeq(trimmed, ",") {
				if trimmed != "" {
					n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.TrimSpace(part)})
				}
			}
		}
	}
	v, fresh := root, func() {}
	for i, f := range k.fields { // sections behind pointers are made, and put in place if the value is good
		v = v.FieldByIndex(f.index)
		if i == len(k.fields)-1 {
			break
		}
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				made, place, before := reflect.New(v.Type().Elem()), v, fresh
				fresh = func() { place.Set(made); before() }
				v = made
			}
			v = v.Elem()
		}
	}
	errors := len(l.errs)
	l.value(n, v, k.Path, k.Secret)
	if len(l.errs) == errors {
		fresh()
	}
}
