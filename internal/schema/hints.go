package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/internal/utils/spell"
)

// didYouMean ends a message about an unknown name: it offers the nearest candidate, or lists them if none is near.
func didYouMean(name string, candidates []string) string {
	if near := spell.Nearest(name, candidates); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	if len(candidates) == 0 {
		return "there is none at all"
	}
	if len(candidates) > 12 {
		candidates = append(slices.Clone(candidates[:12]), "…")
	}
	return "there are " + strings.Join(candidates, ", ")
}

// hint adds to a mistake that the compiler found what to do about it.
type hint struct {
	pattern *regexp.Regexp
	text    func(groups []string, sources map[string]string, file string) string
}

// explain words a mistake that the compiler found, with a way out where we know one. sources are the tree's files by name.
func explain(text, file string, sources map[string]string) string {
	for _, h := range hints() {
		if groups := h.pattern.FindStringSubmatch(text); groups != nil {
			if more := h.text(groups, sources, file); more != "" {
				return text + ": " + more
			}
		}
	}
	return text
}

func hints() []hint {
	return []hint{
		{regexp.MustCompile(`^(field|message|method|service|)[^:]*:? ?unknown extension (\S+)`), func(g []string, sources map[string]string, file string) string {
			fit := []string{"mmo.schema"}
			switch g[1] {
			case "field":
				fit = []string{"mmo.sync", "mmo.column"}
			case "message":
				fit = []string{"mmo.call", "mmo.component", "mmo.kind", "mmo.route", "mmo.table"}
			case "method":
				fit = []string{"mmo.rpc"}
			case "service":
				return "a service has no options of ours, its methods have (mmo.rpc)"
			}
			if slices.Contains(fit, g[2]) && !strings.Contains(sources[file], "mmo/options.proto") {
				return `add import "mmo/options.proto";`
			}
			if near := spell.Nearest("mmo."+strings.TrimPrefix(g[2], "mmo."), fit); near != "" {
				return fmt.Sprintf("did you mean (%s)?", near)
			}
			return fmt.Sprintf("the options here are (%s)", strings.Join(fit, "), ("))
		}},
		{regexp.MustCompile(`option (\S+): field (\S+) of google\.protobuf\.\w+ does not exist`), func(g []string, _ map[string]string, _ string) string {
			if first, rest, ok := strings.Cut(g[1], "."); ok && first == "mmo" {
				return fmt.Sprintf("an option of ours stands in parentheses: (mmo.%s)", rest)
			}
			return ""
		}},
		{regexp.MustCompile(`option \(?mmo\.(\w+)\)?[\w.]*: field (\w+) (?:not found|of \S+ does not exist)`), func(g []string, _ map[string]string, _ string) string {
			extension, ok := extensions()[g[1]]
			if !ok {
				return ""
			}
			own := fieldNames(extension.TypeDescriptor().Message(), false)
			if near := spell.Nearest(g[2], own); near != "" {
				return fmt.Sprintf("did you mean %s?", near)
			}
			if near := spell.Nearest(g[2], fieldNames(extension.TypeDescriptor().Message(), true)); near != "" {
				return fmt.Sprintf("did you mean %s?", near)
			}
			return fmt.Sprintf("(mmo.%s) has %s", g[1], strings.Join(own, ", "))
		}},
		{regexp.MustCompile(`enum mmo\.(\w+)\.(\w+) has no value named (\w+)`), func(g []string, _ map[string]string, _ string) string {
			for _, extension := range extensions() {
				message := extension.TypeDescriptor().Message()
				enum := message.Enums().ByName(protoreflect.Name(g[2]))
				if string(message.Name()) != g[1] || enum == nil {
					continue
				}
				var names []string
				for i := range enum.Values().Len() {
					names = append(names, string(enum.Values().Get(i).Name()))
				}
				return didYouMean(g[3], names)
			}
			return ""
		}},
		{regexp.MustCompile(`option \(mmo\.(\w+)\): extension \S+ should extend google\.protobuf\.(\w+) but instead extends google\.protobuf\.(\w+)`),
			func(g []string, _ map[string]string, _ string) string {
				switch g[3] {
				case "FileOptions":
					return fmt.Sprintf("(mmo.%s) is for a whole file: option (mmo.%[1]s) = {…}; below its imports", g[1])
				case "MessageOptions":
					return fmt.Sprintf("(mmo.%s) is for a message: option (mmo.%[1]s) = {…}; inside it", g[1])
				case "MethodOptions":
					return fmt.Sprintf("(mmo.%s) is for a method: { option (mmo.%[1]s) = {…}; } behind it", g[1])
				}
				return fmt.Sprintf("(mmo.%s) is for a field: [(mmo.%[1]s) = {…}] behind its number", g[1])
			}},
		{regexp.MustCompile(`option \(mmo\.\w+\).*: expecting enum, got string`), func([]string, map[string]string, string) string {
			return "write the name without quotes"
		}},
		{regexp.MustCompile(`option \(mmo\.\w+\).*: expecting string, got identifier`), func([]string, map[string]string, string) string {
			return "write it in quotes"
		}},
		{regexp.MustCompile(`option \(mmo\.(\w+)\): expecting message, got`), func(g []string, _ map[string]string, _ string) string {
			return fmt.Sprintf("write (mmo.%s) = {name: value, …}", g[1])
		}},
		{regexp.MustCompile(`unknown (?:request |response )?type (\S+)`), func(g []string, sources map[string]string, _ string) string {
			var names []string
			for _, source := range sources {
				for _, m := range declared().FindAllStringSubmatch(source, -1) {
					names = append(names, m[1])
				}
			}
			slices.Sort(names)
			name := g[1][strings.LastIndexByte(g[1], '.')+1:]
			if near := spell.Nearest(name, slices.DeleteFunc(names, func(n string) bool { return n == name })); near != "" {
				return fmt.Sprintf("did you mean %s?", near)
			}
			return "declare it, or import the file that does"
		}},
		{regexp.MustCompile(`invalid (?:request|response) type: (\S+) is a method, not a message`), func(g []string, _ map[string]string, _ string) string {
			return fmt.Sprintf("inside a service its methods come first: write the package too, with a dot before it, as in .game.v1.%s", g[1][strings.LastIndexByte(g[1], '.')+1:])
		}},
		{regexp.MustCompile(`groups are not allowed`), func([]string, map[string]string, string) string {
			return "declare a message and a field of its type"
		}},
	}
}

// declared finds the names of messages and enums in a source; it need not be exact, it serves a hint.
func declared() *regexp.Regexp { return regexp.MustCompile(`(?m)\b(?:message|enum)\s+(\w+)`) }

// fieldNames lists a message's fields, or, if deep, those of the messages in it.
func fieldNames(m protoreflect.MessageDescriptor, deep bool) (names []string) {
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if !deep {
			names = append(names, string(f.Name()))
		} else if f.Message() != nil {
			names = append(names, fieldNames(f.Message(), false)...)
		}
	}
	return names
}
