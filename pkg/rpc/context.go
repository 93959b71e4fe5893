package rpc

import (
	"context"
	"iter"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
)

// traceKey is the metadata that carries a trace.
const traceKey = "traceparent"

// Metadata is what goes with a call besides its message: key, value, key, value …
type Metadata []string

// Get is the first value of a key, "" when there is none.
func (m Metadata) Get(key string) string {
	v, _ := m.Lookup(key)
	return v
}

// Lookup is the first value of a key, and whether there is one.
func (m Metadata) Lookup(key string) (string, bool) {
	for i := 0; i+1 < len(m); i += 2 {
		if m[i] == key {
			return m[i+1], true
		}
	}
	return "", false
}

// All goes through keys and values in the order they were sent in.
func (m Metadata) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := 0; i+1 < len(m); i += 2 {
			if !yield(m[i], m[i+1]) {
				return
			}
		}
	}
}

// MetadataFrom is what the caller sent along, in a handler's context; nil elsewhere. It must not be changed.
func MetadataFrom(ctx context.Context) Metadata {
	if in := mux.IncomingFrom(ctx); in != nil {
		return in.Metadata
	}
	return nil
}

// MethodFrom is the name of the method being served, in a handler's context; "" elsewhere.
func MethodFrom(ctx context.Context) string {
	if in := mux.IncomingFrom(ctx); in != nil && in.Method != nil {
		return in.Method.Name
	}
	return ""
}

// PeerFrom is the caller, in a handler's context; nil elsewhere. It may be called back, kept, and compared, until its connection ends.
func PeerFrom(ctx context.Context) *Peer {
	in := mux.IncomingFrom(ctx)
	if in == nil || in.Conn == nil {
		return nil
	}
	ps, _ := in.Conn.Owner().(*peers)
	if ps == nil {
		return nil
	}
	return ps.of(in.Conn)
}
