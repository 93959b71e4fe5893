package tables

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// node is a piece of a file, YAML or CSV: both become nodes first, so that both mean the same.
type node struct {
	line, column int // from 1; columns in bytes
	shape        shape
	text         string // of a scalar
	tag          string // what YAML takes a scalar for, "!!int"; "": CSV, where text is text whatever it looks like
	keys         []node // of a mapping, in the order of items
	items        []node
}

// shape is what a node is made of.
type shape uint8

const (
	scalar shape = iota
	nothing
	sequence
	mapping
)

// describe says what a node is.
func (n *node) describe() string {
	switch n.shape {
	case nothing:
		return "nothing"
	case sequence:
		return "a list"
	case mapping:
		return "a section"
	}
	if n.tag == "" || n.tag == "!!str" {
		return "the text " + short(n.text)
	}
	return bare(n.text)
}

// short quotes a text without flooding the line that it is shown in.
func short(s string) string {
	if len(s) > 40 {
		return fmt.Sprintf("%.37q…", s)
	}
	return strconv.Quote(s)
}

// bare is short without the quotes, for numbers and names.
func bare(s string) string { return strings.ReplaceAll(short(s), `"`, "") }

// problem is what is wrong with a value; why and fix may be empty.
type problem struct{ what, why, fix string }

// Error is one line.
func (p *problem) Error() string {
	text := p.what
	if p.why != "" {
		text += ": " + p.why
	}
	if p.fix != "" {
		text += "; " + p.fix
	}
	return text
}

// want names what a column holds, with its article.
func (c *column) want() string {
	switch kindOf(c.value) {
	case whole, natural:
		return "a whole number"
	case real:
		return "a number"
	case truth:
		return "true or false"
	case choice:
		return "a name of " + string(c.value.Enum().Name())
	case parts:
		return "a section"
	}
	return "text"
}

// read makes a scalar the value of a column, or says why it is none.
func (c *column) read(n node) (protoreflect.Value, *problem) {
	v, bad := c.scalar(n)
	if bad == nil && c.outside(v) {
		return v, &problem{what: fmt.Sprintf("want %s, got %s", c.span(), strings.TrimSpace(n.text)), fix: "use a number in that range, or change (mmo.column) of " + string(c.in.desc.Name()) + "." + c.name}
	}
	return v, bad
}

// scalar is read without bounds, for keys of maps too.
func (c *column) scalar(n node) (v protoreflect.Value, bad *problem) {
	f := c.value
	wrong := func(why, fix string) (protoreflect.Value, *problem) {
		return v, &problem{"want " + c.want() + ", got " + n.describe(), why, fix}
	}
	quoted := n.tag == "!!str"
	text := strings.Trim(n.text, " \t")
	switch kindOf(f) {
	case words:
		if n.tag != "" && !quoted {
			return wrong("without quotes YAML takes it for something else", "put it in quotes")
		}
		return protoreflect.ValueOfString(n.text), nil
	case choice:
		return readEnum(f.Enum(), c.prefix, n, text)
	case truth:
		if n.tag == "" || n.tag == "!!bool" {
			switch strings.ToLower(text) {
			case "true":
				return protoreflect.ValueOfBool(true), nil
			case "false":
				return protoreflect.ValueOfBool(false), nil
			}
		}
		return wrong("", "write true or false, without quotes")
	case real:
		return readReal(f, n, text, wrong)
	}
	return readWhole(f, n, text, wrong)
}

// complaint words what is wrong with a value.
type complaint = func(why, fix string) (protoreflect.Value, *problem)

func readReal(f protoreflect.FieldDescriptor, n node, text string, wrong complaint) (protoreflect.Value, *problem) {
	if text == "" || strings.Trim(text, "+-.0123456789eE") != "" {
		return wrong("", "write digits, with a point before the fraction")
	}
	x, err := strconv.ParseFloat(text, wide(f))
	switch {
	case errors.Is(err, strconv.ErrRange):
		return wrong(fmt.Sprintf("it is beyond what %d bits hold", wide(f)), "use a number nearer to 0")
	case err != nil:
		return wrong("", "write digits, with a point before the fraction")
	case n.tag == "!!str":
		return wrong("quotes make it text", "take them off")
	case x == 0:
		x = 0 // without the sign that a zero may have
	}
	if wide(f) == 32 {
		return protoreflect.ValueOfFloat32(float32(x)), nil
	}
	return protoreflect.ValueOfFloat64(x), nil
}

// readWhole reads a whole number: decimal, or hexadecimal behind 0x.
func readWhole(f protoreflect.FieldDescriptor, n node, text string, wrong complaint) (protoreflect.Value, *problem) {
	unsigned := strings.TrimLeft(text, "+-")
	digits, base := text, 10
	if rest, hex := strings.CutPrefix(unsigned, "0x"); hex && len(text)-len(unsigned) <= 1 {
		digits, base = text[:len(text)-len(unsigned)]+rest, 16
	} else if len(unsigned) > 1 && unsigned[0] == '0' && unsigned[1] >= '0' && unsigned[1] <= '9' {
		return wrong("with a 0 in front some read it as octal", "write it without")
	}
	bits := wide(f)
	var v protoreflect.Value
	var err error
	var span string
	if kindOf(f) == whole {
		var i int64
		i, err = strconv.ParseInt(digits, base, bits)
		if v = protoreflect.ValueOfInt64(i); bits == 32 {
			v = protoreflect.ValueOfInt32(int32(i))
		}
		span = fmt.Sprintf("%d to %d", int64(math.MinInt64)>>(64-bits), int64(math.MaxInt64)>>(64-bits))
	} else {
		var u uint64
		u, err = strconv.ParseUint(strings.TrimPrefix(digits, "+"), base, bits)
		if v = protoreflect.ValueOfUint64(u); bits == 32 {
			v = protoreflect.ValueOfUint32(uint32(u))
		}
		span = fmt.Sprintf("0 to %d", uint64(math.MaxUint64)>>(64-bits))
	}
	_, float := strconv.ParseFloat(text, 64)
	switch {
	case err == nil && n.tag == "!!str":
		return wrong("quotes make it text", "take them off")
	case err == nil:
		return v, nil
	case float == nil && base == 10 && strings.ContainsAny(text, ".eE"):
		return wrong("it has a fraction or an exponent", "write it out in digits")
	case errors.Is(err, strconv.ErrRange), float == nil && kindOf(f) == natural:
		return wrong("it is out of range", "use "+span)
	}
	return wrong("", "write digits only")
}

// readEnum reads the name of an enumerator, which may go without the words that all names of its enum begin with.
func readEnum(e protoreflect.EnumDescriptor, prefix string, n node, text string) (v protoreflect.Value, bad *problem) {
	all := e.Values()
	for _, name := range []string{text, prefix + text} {
		if found := all.ByName(protoreflect.Name(name)); found != nil {
			return protoreflect.ValueOfEnum(found.Number()), nil
		}
	}
	var names []string
	for i := range all.Len() {
		names = append(names, strings.TrimPrefix(string(all.Get(i).Name()), prefix))
	}
	fix := meant(strings.TrimPrefix(strings.ToUpper(text), prefix), names)
	if i, err := strconv.Atoi(text); err == nil {
		if found := all.ByNumber(protoreflect.EnumNumber(i)); found != nil && i == int(found.Number()) {
			fix = "write " + strings.TrimPrefix(string(found.Name()), prefix)
		}
		return v, &problem{"want a name of " + string(e.Name()) + ", got " + n.describe(), "numbers of enums are for programs", fix}
	}
	return v, &problem{what: "want a name of " + string(e.Name()) + ", got " + n.describe(), fix: fix}
}

// prefixOf is MOOD_ for an enum Mood whose names all begin with it; "": they do not, or something would be left that is no name.
func prefixOf(e protoreflect.EnumDescriptor) string {
	words := regexp.MustCompile(`([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])`).ReplaceAllString(string(e.Name()), "${1}${3}_${2}${4}")
	prefix := strings.ToUpper(words) + "_"
	for i := range e.Values().Len() {
		rest, ok := strings.CutPrefix(string(e.Values().Get(i).Name()), prefix)
		if !ok || rest == "" || rest[0] >= '0' && rest[0] <= '9' {
			return ""
		}
	}
	return prefix
}

// outside tells whether a number lies beyond the bounds of its column.
func (c *column) outside(v protoreflect.Value) bool {
	if c.min == nil && c.max == nil {
		return false
	}
	var below, above bool
	switch kindOf(c.value) {
	case whole:
		below, above = c.min != nil && float64(v.Int()) < *c.min, c.max != nil && float64(v.Int()) > *c.max
	case natural:
		below, above = c.min != nil && float64(v.Uint()) < *c.min, c.max != nil && float64(v.Uint()) > *c.max
	case real:
		below, above = c.min != nil && v.Float() < *c.min, c.max != nil && v.Float() > *c.max
	}
	return below || above
}

// span words the bounds of a column.
func (c *column) span() string {
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	switch {
	case c.max == nil:
		return number(*c.min) + " or more"
	case c.min == nil:
		return number(*c.max) + " or less"
	}
	return number(*c.min) + " to " + number(*c.max)
}
