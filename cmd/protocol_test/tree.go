package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// mostNesting is how deep messages within each other are shown.
const mostNesting = 64

// tree prints frames, or a payload, field by field. It says what is wrong where, goes on as far as there is sense in it, and then fails.
func tree(g *game, o *options, c console) error {
	w := &treeWriter{out: c.out}
	if o.payload == "" {
		b, err := g.record(o, c)
		if err != nil {
			return err
		}
		w.frames(g, o, b)
		return w.fault
	}
	text, err := input(o.args, c)
	if err != nil {
		return err
	}
	b, err := bytesOf(text, o.input)
	if err != nil {
		return err
	}
	var desc protoreflect.MessageDescriptor
	if o.payload != "?" {
		if desc, err = g.message(o); err != nil {
			return err
		}
		w.line(0, 0, len(b), string(desc.FullName()), "")
	}
	w.fields(b, 0, 0, desc)
	return w.fault
}

// message is that of -payload: by its full name, or of a route.
func (g *game) message(o *options) (protoreflect.MessageDescriptor, error) {
	if t, err := g.types(o.payload); err == nil {
		return t.Descriptor(), nil
	}
	f, err := g.frameOf(o.payload, o)
	if err != nil {
		return nil, misuse("-payload %q is neither a message of game %s nor a route of it; \"?\" if you do not know: %v", o.payload, g.name, err)
	}
	if desc := g.payload(f); desc != nil {
		return desc, nil
	}
	return nil, misuse("-payload %q: it carries no message, its layout is fixed", o.payload)
}

// payload is the message that a frame carries, nil if it is not known.
func (g *game) payload(f protocol.Frame) protoreflect.MessageDescriptor {
	name := ""
	r, ok := g.routes.Lookup(f.Route)
	switch {
	case f.Type == protocol.TypeError:
		name = "mmo.v1.Error"
	case f.Type == protocol.TypeControl:
		name = map[uint16]string{protocol.RouteGoaway: "mmo.v1.Goaway", protocol.RouteKick: "mmo.v1.Kick", protocol.RouteResume: "mmo.v1.Resume",
			protocol.RouteResumed: "mmo.v1.Resumed", protocol.RouteQueue: "mmo.v1.Queue", protocol.RouteWarning: "mmo.v1.Warning"}[f.Route]
	case ok && f.Type == protocol.TypeResponse:
		name = r.Reply
	case ok && f.Type != protocol.TypeState && f.Type != protocol.TypeAck:
		name = r.Message
	}
	if t, err := g.types(name); name != "" && err == nil {
		return t.Descriptor()
	}
	return nil
}

// treeWriter prints lines: offset, what is there, and how it is written.
type treeWriter struct {
	out   io.Writer
	fault error // the first
}

func (w *treeWriter) line(at, depth, size int, what, how string) {
	text := strings.Repeat("  ", depth) + what
	if how != "" {
		how += ", "
	}
	unit := "bytes"
	if size == 1 {
		unit = "byte"
	}
	fmt.Fprintf(w.out, "%04x  %-48s  %s%d %s\n", at, text, how, size, unit)
}

// wrong tells that what begins at an offset makes no sense.
func (w *treeWriter) wrong(at, depth int, b []byte, format string, args ...any) {
	says := fmt.Sprintf(format, args...)
	fmt.Fprintf(w.out, "%04x  %s! %s: %s\n", at, strings.Repeat("  ", depth), says, short(b))
	if w.fault == nil {
		w.fault = fmt.Errorf("at byte %d: %s", at, says)
	}
}

// short is the beginning of b, hexadecimal.
func short(b []byte) string {
	if len(b) > 24 {
		return fmt.Sprintf("%x… (%d bytes)", b[:24], len(b))
	}
	return fmt.Sprintf("%x", b)
}

// quote is the beginning of a text, in quotes.
func quote(b []byte) string {
	if len(b) > 60 {
		cut := 60
		for cut > 0 && !utf8.RuneStart(b[cut]) {
			cut--
		}
		return strconv.Quote(string(b[:cut])) + fmt.Sprintf("… (%d bytes)", len(b))
	}
	return strconv.Quote(string(b))
}

func (w *treeWriter) frames(g *game, o *options, b []byte) {
	for whole := b; len(b) > 0; {
		at := len(whole) - len(b)
		f, rest, err := protocol.Next(b)
		if err != nil {
			w.wrong(at, 0, b, "%v", err)
			return
		}
		d, refused := g.sender(f, o)
		title := g.title(f, d)
		if refused != nil {
			title = g.title(f, 0) + ", may not be sent"
		}
		size := len(b) - len(rest)
		w.line(at, 0, size, title, "")
		head := size - len(f.Payload)
		parts := []string{fmt.Sprintf("head %02x", b[0])}
		if f.Type != protocol.TypeAck && f.Type != protocol.TypeState {
			parts = append(parts, fmt.Sprintf("route %d", f.Route))
		}
		if f.Type == protocol.TypeRequest || f.Type == protocol.TypeResponse || f.Type == protocol.TypeError {
			parts = append(parts, fmt.Sprintf("id %d", f.ID))
		}
		if f.Flags&protocol.FlagREL != 0 || f.Type == protocol.TypeAck {
			parts = append(parts, fmt.Sprintf("seq %d", f.Seq))
		}
		if f.Type != protocol.TypeAck {
			parts = append(parts, fmt.Sprintf("length %d", len(f.Payload)))
		}
		w.line(at, 1, head, strings.Join(parts, ", "), "")
		w.payload(g, f, at+head)
		b = rest
	}
}

func (w *treeWriter) payload(g *game, f protocol.Frame, at int) {
	switch desc := g.payload(f); {
	case len(f.Payload) == 0:
	case f.Flags&protocol.FlagJSON != 0:
		w.line(at, 1, len(f.Payload), quote(f.Payload), "JSON")
	case f.Type == protocol.TypeState:
		w.line(at, 1, len(f.Payload), "bits of replicated state", "")
	case f.Type == protocol.TypeControl && g.fixed(f.Route):
		for i := 0; i+8 <= len(f.Payload); i += 8 {
			w.line(at+i, 1, 8, fmt.Sprintf("time %d µs", le(f.Payload[i:i+8])), "little-endian")
		}
		if len(f.Payload) == protocol.EchoSize {
			w.line(at, 1, len(f.Payload), fmt.Sprintf("processed %d", le(f.Payload)), "little-endian")
		}
	case desc != nil:
		w.line(at, 1, len(f.Payload), string(desc.FullName()), "")
		w.fields(f.Payload, at, 2, desc)
	default:
		w.fields(f.Payload, at, 1, nil)
	}
}

// le is a little-endian number of at most 8 bytes.
func le(b []byte) (n uint64) {
	for i, c := range b {
		n |= uint64(c) << (8 * i)
	}
	return n
}

// fields prints a message's fields; desc is nil where it is not known. at is the offset of b's first byte.
func (w *treeWriter) fields(b []byte, at, depth int, desc protoreflect.MessageDescriptor) {
	if depth > mostNesting {
		w.wrong(at, depth, b, "more than %d messages within each other", mostNesting)
		return
	}
	for len(b) > 0 {
		number, wire, head := protowire.ConsumeTag(b)
		if head < 0 {
			w.wrong(at, depth, b, "no field begins here (%v)", protowire.ParseError(head))
			return
		}
		size := protowire.ConsumeFieldValue(number, wire, b[head:])
		if size < 0 {
			w.wrong(at, depth, b, "field %d, %s, does not end (%v)", number, wireName(wire), protowire.ParseError(size))
			return
		}
		var field protoreflect.FieldDescriptor
		if desc != nil {
			field = desc.Fields().ByNumber(number)
		}
		w.field(b[:head+size], head, at, depth, number, wire, field)
		b, at = b[head+size:], at+head+size
	}
}

// field prints one field: b is all of it, its value begins at head.
func (w *treeWriter) field(b []byte, head, at, depth int, number protowire.Number, wire protowire.Type, field protoreflect.FieldDescriptor) {
	name := fmt.Sprint(number)
	if field != nil {
		name += " " + string(field.Name())
	}
	how, value := wireName(wire), b[head:]
	fits := field != nil && (wireOf(field.Kind()) == wire || wire == protowire.BytesType && field.IsList() && wireOf(field.Kind()) != protowire.BytesType)
	if field != nil && !fits {
		how += " where " + field.Kind().String() + " belongs: skipped by readers"
		field = nil
	}
	if field == nil && !fits && !strings.Contains(how, "skipped") {
		how += ", unknown"
	}
	switch wire {
	case protowire.VarintType:
		n, _ := protowire.ConsumeVarint(value)
		w.line(at, depth, len(b), name+" = "+number64(n, field), how)
	case protowire.Fixed32Type:
		n, _ := protowire.ConsumeFixed32(value)
		w.line(at, depth, len(b), name+" = "+fixed(uint64(n), 32, field), how)
	case protowire.Fixed64Type:
		n, _ := protowire.ConsumeFixed64(value)
		w.line(at, depth, len(b), name+" = "+fixed(n, 64, field), how)
	case protowire.StartGroupType:
		w.line(at, depth, len(b), name+" group", how)
		inner, _ := protowire.ConsumeGroup(number, value)
		w.fields(inner, at+head, depth+1, nil)
	default:
		content, n := protowire.ConsumeBytes(value)
		w.content(b, content, at, at+head+n-len(content), depth, name, how, field)
	}
}

// content prints a field of a length: a message, a text, bytes, or a packed list.
func (w *treeWriter) content(b, content []byte, at, inside, depth int, name, how string, field protoreflect.FieldDescriptor) {
	switch {
	case field == nil && looksLikeText(content):
		w.line(at, depth, len(b), name+" = "+quote(content), how+", text?")
	case field == nil && looksLikeMessage(content):
		w.line(at, depth, len(b), name, how+", message?")
		w.fields(content, inside, depth+1, nil)
	case field == nil || field.Kind() == protoreflect.BytesKind:
		w.line(at, depth, len(b), name+" = "+short(content), how)
	case field.Kind() == protoreflect.StringKind:
		w.line(at, depth, len(b), name+" = "+quote(content), how)
		if !utf8.Valid(content) {
			w.wrong(inside, depth, content, "field %s is no UTF-8", name)
		}
	case field.Message() != nil:
		kind := string(field.Message().FullName())
		if field.IsMap() {
			kind = "entry of a map"
		}
		w.line(at, depth, len(b), name+": "+kind, how)
		w.fields(content, inside, depth+1, field.Message())
	default:
		w.line(at, depth, len(b), name+" = ["+w.packed(content, inside, depth, field)+"]", how+", packed")
	}
}

// packed words the numbers of a packed list, the first ones of a long one.
func (w *treeWriter) packed(b []byte, at, depth int, field protoreflect.FieldDescriptor) string {
	var words []string
	count := 0
	for ; len(b) > 0; count++ {
		word, n := "", 0
		switch wireOf(field.Kind()) {
		case protowire.VarintType:
			var v uint64
			v, n = protowire.ConsumeVarint(b)
			word = number64(v, field)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			word = fixed(uint64(v), 32, field)
		default:
			var v uint64
			v, n = protowire.ConsumeFixed64(b)
			word = fixed(v, 64, field)
		}
		if n < 0 {
			w.wrong(at, depth, b, "the list %s does not end with a whole number", field.Name())
			break
		}
		if count < 16 {
			words = append(words, word)
		}
		b, at = b[n:], at+n
	}
	text := strings.Join(words, ", ")
	if count > len(words) {
		text += fmt.Sprintf(", … (%d)", count)
	}
	return text
}
