package rpc

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Protobuf is the default codec: the generated fast path if the message has one, the protobuf library otherwise.
type Protobuf struct{}

// Name is "proto".
func (Protobuf) Name() string { return "proto" }

// Size is the size of the message on the wire.
func (Protobuf) Size(v any) (int, error) {
	switch m := v.(type) {
	case protocol.Fast:
		return m.SizeFast(), nil
	case proto.Message:
		return proto.Size(m), nil
	}
	return 0, notProto(v)
}

// MarshalAppend appends the message. The library's size cache is not trusted: it lives in the message, and two calls may send the same one at once.
func (Protobuf) MarshalAppend(dst []byte, v any) ([]byte, error) {
	switch m := v.(type) {
	case protocol.Fast:
		return m.AppendFast(dst)
	case proto.Message:
		return proto.MarshalOptions{}.MarshalAppend(dst, m)
	}
	return dst, notProto(v)
}

// Unmarshal replaces the message's content.
func (Protobuf) Unmarshal(b []byte, v any) error {
	switch m := v.(type) {
	case protocol.Fast:
		return m.ParseFast(b)
	case proto.Message:
		return proto.Unmarshal(b, m)
	}
	return notProto(v)
}

func notProto(v any) error {
	return fmt.Errorf("rpc: %T is no protobuf message: use a generated type, or another codec (rpc.JSON{}, rpc.Bytes{})", v)
}

// JSON sends protobuf messages as protobuf's JSON and everything else as encoding/json does. It marshals twice, once to know the size: it is for tools and people.
type JSON struct{}

// Name is "json".
func (JSON) Name() string { return "json" }

// Size marshals: nothing else knows.
func (JSON) Size(v any) (int, error) {
	b, err := toJSON(v)
	return len(b), err
}

// MarshalAppend appends the message.
func (JSON) MarshalAppend(dst []byte, v any) ([]byte, error) {
	b, err := toJSON(v)
	return append(dst, b...), err
}

// Unmarshal replaces the message's content. No bytes at all are an empty message. Fields that a protobuf message does not have are skipped, as encoding/json does.
func (JSON) Unmarshal(b []byte, v any) error {
	if m, ok := v.(proto.Message); ok {
		if len(b) == 0 {
			proto.Reset(m)
			return nil
		}
		return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(b, m)
	}
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && !p.IsNil() {
		p.Elem().SetZero() // encoding/json would leave what b does not mention
	}
	if len(b) == 0 {
		return nil
	}
	return json.Unmarshal(b, v)
}

// toJSON is the same bytes every time for the same message, so that Size is right. protojson puts spaces in at random, differently per build: within a process
// it is steady.
func toJSON(v any) ([]byte, error) {
	if m, ok := v.(proto.Message); ok {
		return protojson.Marshal(m)
	}
	return json.Marshal(v)
}

// Bytes sends bytes as they are: messages are *[]byte, or []byte where nothing is received into them.
type Bytes struct{}

// Name is "bytes".
func (Bytes) Name() string { return "bytes" }

// Size is the length.
func (Bytes) Size(v any) (int, error) {
	b, err := asBytes(v)
	return len(b), err
}

// MarshalAppend appends the bytes.
func (Bytes) MarshalAppend(dst []byte, v any) ([]byte, error) {
	b, err := asBytes(v)
	return append(dst, b...), err
}

// View receives bytes without a copy: it is called with them, on the connection's reader, and must neither keep them nor take long. Its error is the call's.
type View func(b []byte) error

// Unmarshal replaces the bytes, in the room they have if it is enough, or shows them to a View.
func (Bytes) Unmarshal(b []byte, v any) error {
	switch p := v.(type) {
	case *[]byte:
		if p != nil {
			*p = append((*p)[:0], b...)
			return nil
		}
	case View:
		if p != nil {
			return p(b)
		}
	}
	return fmt.Errorf("rpc: bytes are received into a *[]byte or a View, not into a %T", v)
}

// UnmarshalBorrowed makes a *[]byte refer to b itself.
func (c Bytes) UnmarshalBorrowed(b []byte, v any) error {
	if p, ok := v.(*[]byte); ok && p != nil {
		*p = b
		return nil
	}
	return c.Unmarshal(b, v)
}

func asBytes(v any) ([]byte, error) {
	switch b := v.(type) {
	case *[]byte:
		if b != nil {
			return *b, nil
		}
	case []byte:
		return b, nil
	}
	return nil, fmt.Errorf("rpc: %T is no *[]byte or []byte: use another codec (rpc.Protobuf{}, rpc.JSON{})", v)
}

// codecs is what either end takes: ours first, so that they are numbered on the wire, then others. One with the name of one of ours replaces it.
func codecs(more []Codec, own Codec) []Codec {
	all := []Codec{Protobuf{}, JSON{}, Bytes{}}
	if own != nil {
		more = append(more[:len(more):len(more)], own)
	}
	for _, c := range more {
		at := slices.IndexFunc(all, func(k Codec) bool { return k.Name() == c.Name() })
		if at < 0 {
			all = append(all, c)
		} else {
			all[at] = c
		}
	}
	return all
}
