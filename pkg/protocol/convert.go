package protocol

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Depths of nesting beyond which a payload is refused.
const (
	// maxDepth is of objects and arrays within each other in JSON.
	maxDepth = 64
	// maxNested is of messages within each other in protobuf: one object of google.protobuf.Struct is three messages.
	maxNested = 3 * maxDepth
)

// Converter turns payloads from protobuf into JSON and back. It knows messages by their descriptors alone, so a program converts what it was not compiled
// with. JSON is protojson's: lowerCamel names or those of the .proto file, 64-bit numbers as strings, bytes as base64, zero values left out.
//
// Equal payloads give equal bytes: protobuf comes in canonical form (fields by number, maps by key), JSON without space. What a message holds beyond its
// descriptor is left out of JSON, and refused in it. A Converter never changes and serves any number of goroutines.
type Converter struct {
	routes   *Routes
	messages []conversation // by index in routes.list
	control  [FirstFrameworkRoute]protoreflect.MessageDescriptor
	failure  protoreflect.MessageDescriptor // mmo.v1.Error
	types    *dynamicpb.Types               // of what google.protobuf.Any holds
}

// conversation is what a route's frames carry; nil: not known.
type conversation struct {
	message, reply protoreflect.MessageDescriptor
}

// ConvertError says why a payload was not converted.
type ConvertError struct {
	Code    ErrorCode // what to answer the sender with
	Type    FrameType
	Route   uint16
	Message string // full name of the message that the payload should be; "" if there is none
	Err     error  // names the field and its place, where there is one; at most about 200 bytes
}

// Error names the route, the message and the fault.
func (e *ConvertError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("convert %v of route %d: %v", e.Type, e.Route, e.Err)
	}
	return fmt.Sprintf("convert %v of route %d, %s: %v", e.Type, e.Route, e.Message, e.Err)
}

// Unwrap returns the fault.
func (e *ConvertError) Unwrap() error { return e.Err }

// errorMessage is the payload of ERROR frames.
const errorMessage = "mmo.v1.Error"

// controlMessage is the full name of the message that a control route carries; "" where the layout is fixed.
func controlMessage(route uint16) string {
	switch route {
	case RouteGoaway:
		return "mmo.v1.Goaway"
	case RouteKick:
		return "mmo.v1.Kick"
	case RouteResume:
		return "mmo.v1.Resume"
	case RouteResumed:
		return "mmo.v1.Resumed"
	case RouteQueue:
		return "mmo.v1.Queue"
	case RouteWarning:
		return "mmo.v1.Warning"
	}
	return ""
}

// NewConverter makes a converter of the routes' messages, of control messages and of mmo.v1.Error. descriptors is a serialized FileDescriptorSet that has
// them all, as Descriptors makes it. A route that names no message is not converted.
func NewConverter(routes *Routes, descriptors []byte) (*Converter, error) {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(descriptors, &set); err != nil {
		return nil, fmt.Errorf("parse descriptors: %w", err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, fmt.Errorf("link descriptors: %w", err)
	}
	find := func(name string) (protoreflect.MessageDescriptor, error) {
		if name == "" {
			return nil, nil
		}
		d, err := files.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			return nil, fmt.Errorf("message %s is not among the descriptors: make them with Descriptors from a program that has it", name)
		}
		m, ok := d.(protoreflect.MessageDescriptor)
		if !ok {
			return nil, fmt.Errorf("%s is a %T, not a message", name, d)
		}
		return m, nil
	}
	c := &Converter{routes: routes, messages: make([]conversation, len(routes.list)), types: dynamicpb.NewTypes(files)}
	for i, r := range routes.list {
		m := &c.messages[i]
		if m.message, err = find(r.Message); err == nil {
			m.reply, err = find(r.Reply)
		}
		if err != nil {
			return nil, fmt.Errorf("route %d %q: %w", r.ID, r.Name, err)
		}
	}
	for id := range uint16(FirstFrameworkRoute) {
		if c.control[id], err = find(controlMessage(id)); err != nil {
			return nil, fmt.Errorf("control route %d: %w", id, err)
		}
	}
	if c.failure, err = find(errorMessage); err != nil {
		return nil, fmt.Errorf("error frames: %w", err)
	}
	return c, nil
}

// FromJSON appends f's payload, which is JSON, to dst as protobuf; d is the direction of its sender. Check's rules hold, states apart: the size of the JSON is
// at most JSONMaxBytes, that of the message at most the route's MaxBytes. On an error, always a *ConvertError, dst comes back as it was.
func (c *Converter) FromJSON(dst []byte, f Frame, d Direction) ([]byte, error) {
	f.Flags |= FlagJSON
	desc, fault := c.descriptor(f, d)
	if fault != nil {
		return dst, fault
	}
	refuse := func(code ErrorCode, err error) ([]byte, error) {
		return dst, &ConvertError{code, f.Type, f.Route, string(desc.FullName()), err}
	}
	if err := checkJSON(f.Payload); err != nil {
		return refuse(ErrorMalformed, err)
	}
	m := dynamicpb.NewMessage(desc)
	if err := (protojson.UnmarshalOptions{RecursionLimit: maxNested, Resolver: c.types}).Unmarshal(f.Payload, m); err != nil {
		return refuse(ErrorMalformed, tidy(err))
	}
	canonical := proto.MarshalOptions{Deterministic: true}
	if size, most := canonical.Size(m), c.maxBytes(f); size > most {
		return refuse(ErrorTooLarge, fmt.Errorf("%d bytes as protobuf, at most %d are allowed", size, most))
	}
	out, err := canonical.MarshalAppend(dst, m)
	if err != nil {
		return refuse(ErrorMalformed, tidy(err))
	}
	return out, nil
}

// ToJSON appends f's payload, which is protobuf, to dst as JSON; d is the direction of its sender. Check's rules hold, states apart; the JSON has at most
// JSONMaxBytes of the route's MaxBytes. On an error, always a *ConvertError, dst comes back as it was.
func (c *Converter) ToJSON(dst []byte, f Frame, d Direction) ([]byte, error) {
	f.Flags &^= FlagJSON
	desc, fault := c.descriptor(f, d)
	if fault != nil {
		return dst, fault
	}
	refuse := func(code ErrorCode, err error) ([]byte, error) {
		return dst, &ConvertError{code, f.Type, f.Route, string(desc.FullName()), err}
	}
	m := dynamicpb.NewMessage(desc)
	if err := (proto.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: maxNested, Resolver: c.types}).Unmarshal(f.Payload, m); err != nil {
		return refuse(ErrorMalformed, tidy(err))
	}
	out, err := protojson.MarshalOptions{Resolver: c.types}.MarshalAppend(dst, m)
	if err != nil {
		return refuse(ErrorMalformed, tidy(err))
	}
	size := compact(out[len(dst):])
	if most := JSONMaxBytes(c.maxBytes(f)); size > most {
		return refuse(ErrorTooLarge, fmt.Errorf("%d bytes as JSON, at most %d are allowed", size, most))
	}
	return out[:len(dst)+size], nil
}

// maxBytes is how many bytes the message of a frame that Check has seen may have.
func (c *Converter) maxBytes(f Frame) int {
	if f.Type == TypeError {
		return DefaultMaxBytes
	}
	return int(c.routes.rules[f.Route].max)
}

// descriptor is that of f's message.
func (c *Converter) descriptor(f Frame, d Direction) (protoreflect.MessageDescriptor, error) {
	refuse := func(code ErrorCode, format string, args ...any) error {
		return &ConvertError{Code: code, Type: f.Type, Route: f.Route, Err: fmt.Errorf(format, args...)}
	}
	if f.Type == TypeState || f.Type == TypeAck {
		return nil, refuse(ErrorMalformed, "it carries no message")
	}
	if f.Type == TypeControl && f.Route < FirstFrameworkRoute && c.routes.rules[f.Route].exact {
		return nil, refuse(ErrorMalformed, "its layout is fixed, it has no JSON")
	}
	switch code := c.routes.Check(f, AnyState, d); code {
	case ErrorNone:
	case ErrorUnknownRoute:
		return nil, refuse(code, "%s", code.Meaning())
	case ErrorTooLarge:
		return nil, refuse(code, "%d bytes, at most %d are allowed", len(f.Payload), limit(f, c.maxBytes(f)))
	default: // what is left of malformed
		return nil, refuse(code, "a request needs an id above 0")
	}
	var desc protoreflect.MessageDescriptor
	switch f.Type {
	case TypePush, TypeRequest:
		desc = c.messages[c.routes.rules[f.Route].at].message
	case TypeResponse:
		desc = c.messages[c.routes.rules[f.Route].at].reply
	case TypeError:
		desc = c.failure
	case TypeControl:
		desc = c.control[f.Route]
	}
	if desc == nil {
		return nil, refuse(ErrorInternal, "the route table does not name its message: generate the bindings anew")
	}
	return desc, nil
}

// errorText bounds what an error repeats of a payload, in bytes.
const errorText = 160

// tidy rewords an error of the protobuf library, whose text begins with its name and, at random, one space or another, and may repeat much of the payload:
// "line 1:9: unknown field "colour"".
func tidy(err error) error {
	text := strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
	text = strings.TrimPrefix(text, "syntax error ")
	if rest, ok := strings.CutPrefix(text, "("); ok {
		text = strings.Replace(rest, "):", ":", 1)
	}
	if len(text) > errorText {
		cut := errorText
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return errors.New(text)
}
