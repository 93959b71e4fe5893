package protocol

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
)

// Fast is what generated messages can do without reflection: the bytes are those of the protobuf library.
type Fast interface {
	proto.Message
	// SizeFast is the number of bytes that AppendFast appends.
	SizeFast() int
	// AppendFast appends the message's bytes; a string that is not UTF-8 is an error.
	AppendFast(b []byte) ([]byte, error)
	// ParseFast replaces the message's content by what b says, using the room that it has.
	ParseFast(b []byte) error
}

// Marshal encodes a message, the fast way if it has one.
func Marshal(m proto.Message) ([]byte, error) {
	if f, ok := m.(Fast); ok {
		return f.AppendFast(make([]byte, 0, f.SizeFast()))
	}
	return proto.Marshal(m)
}

// Unmarshal replaces m's content by what b says, the fast way if it has one.
func Unmarshal(b []byte, m proto.Message) error {
	if f, ok := m.(Fast); ok {
		return f.ParseFast(b)
	}
	if err := proto.Unmarshal(b, m); err != nil {
		return fmt.Errorf("parse %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return nil
}

// Caller is a client as generated calls need it.
type Caller interface {
	// Push sends a message that is not answered.
	Push(route uint16, m proto.Message) error
	// Request sends a message and waits for its reply, until ctx ends.
	Request(ctx context.Context, route uint16, m, reply proto.Message) error
}
