package config

import (
	"encoding"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// mask stands for a secret that is set.
const mask = "********"

// Print writes the configuration v as a YAML file that Load reads, with the origin of each value behind it. Secrets that are set are masked. Sections behind pointers that are nil
// are left out. origins may be nil: then all are defaults.
func Print(w io.Writer, v any, origins *Origins) error {
	root := reflect.Indirect(reflect.ValueOf(v))
	if root.Kind() != reflect.Struct {
		return fmt.Errorf("config: Print wants a struct, got %T", v)
	}
	if _, err := keysOf(root, ""); err != nil {
		return err
	}
	n := toNode(root, "", origins, false)
	if len(n.Content) == 0 {
		return nil
	}
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(n); err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	return encoder.Close()
}

// toNode turns a value into YAML; nil for a pointer that is nil.
func toNode(v reflect.Value, path string, origins *Origins, secret bool) *yaml.Node {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	t := v.Type()
	if isSection(t) {
		n := &yaml.Node{Kind: yaml.MappingNode}
		fields, err := fieldsOf(t)
		if err != nil { // keysOf has seen it
			return nil
		}
		for _, f := range fields {
			key := join(path, f.name)
			value := toNode(v.FieldByIndex(f.index), key, origins, secret || f.secret)
			if value == nil {
				continue
			}
			name := &yaml.Node{Kind: yaml.ScalarNode, Value: f.name}
			n.Content = append(n.Content, name, value)
			if leaf := strip(f.typ); !isSection(leaf) && !strings.ContainsAny(path, "[") {
				if comment := value; value.Kind == yaml.ScalarNode || value.Style&yaml.FlowStyle != 0 || len(value.Content) == 0 {
					comment.LineComment = origins.Of(key).String()
				} else {
					name.HeadComment = origins.Of(key).String()
				}
			}
		}
		if len(n.Content) == 0 {
			n.Style = yaml.FlowStyle
		}
		return n
	}
	if secret {
		if v.IsZero() {
			return textNode("")
		}
		return textNode(mask)
	}
	switch {
	case readsText(t):
	case t.Kind() == reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			if element := toNode(v.Index(i), fmt.Sprintf("%s[%d]", path, i), origins, secret); element != nil {
				n.Content = append(n.Content, element)
			}
		}
		if inner := strip(t.Elem()); !isSection(inner) {
			n.Style = yaml.FlowStyle
		}
		return n
	case t.Kind() == reflect.Map:
		n := &yaml.Node{Kind: yaml.MappingNode}
		table := map[string]reflect.Value{}
		for each := v.MapRange(); each.Next(); {
			table[each.Key().String()] = each.Value()
		}
		for _, name := range slices.Sorted(maps.Keys(table)) {
			if element := toNode(table[name], path+"["+name, origins, secret); element != nil {
				n.Content = append(n.Content, textNode(name), element)
			}
		}
		if inner := strip(t.Elem()); !isSection(inner) {
			n.Style = yaml.FlowStyle
		}
		return n
	}
	text := asText(v)
	if v.Kind() == reflect.String || readsText(t) || t == reflect.TypeFor[time.Duration]() {
		return textNode(text)
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: text}
}

// textNode is text in quotes where it needs them.
func textNode(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.ToValidUTF8(s, "\uFFFD")}
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// asText is a single value as a person writes it; empty for lists and maps without elements, and for pointers that are nil.
func asText(v reflect.Value) string {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	if d, ok := v.Interface().(time.Duration); ok {
		return d.String()
	}
	if v.CanAddr() {
		v = v.Addr()
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if text, err := m.MarshalText(); err == nil {
			return string(text)
		}
	}
	v = reflect.Indirect(v)
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
	case reflect.Slice, reflect.Map:
		if v.Len() == 0 {
			return ""
		}
		if n := toNode(v, "", nil, false); n != nil {
			n.Style = yaml.FlowStyle
			if text, err := yaml.Marshal(n); err == nil {
				return strings.TrimSpace(string(text))
			}
		}
	}
	return fmt.Sprint(v.Interface())
}
