// Package mux runs calls and streams over the lanes of one connection.
//
// A Conn is one connection to a peer; both ends are equal: each may call the other. Any goroutine may use a Conn. It ends by Close, by the peer, or when the peer has been
// silent for too long; every call and stream then ends with an error at once and handlers' contexts are cancelled. Close waits for the connection's goroutines, but not for
// handlers: they end when they heed their context.
package mux

import (
	"context"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// Codec turns messages into bytes and back. Its methods are called from many goroutines.
type Codec interface {
	// Name travels with every call; both ends must know it.
	Name() string
	// Size is the number of bytes that MarshalAppend will append.
	Size(v any) (int, error)
	// MarshalAppend appends exactly Size bytes; dst has the room, and may be memory that the peer shares: it is written, never read.
	MarshalAppend(dst []byte, v any) ([]byte, error)
	// Unmarshal fills v from b and keeps no reference to b. What v held is replaced.
	Unmarshal(b []byte, v any) error
}

// Borrower is a codec whose messages may be views of the bytes they come from.
type Borrower interface {
	Codec
	// UnmarshalBorrowed is Unmarshal that lets v refer to b; b is valid until the handler of a Method with Borrow has returned.
	UnmarshalBorrowed(b []byte, v any) error
}

// Hello is what the ends tell each other first.
type Hello struct {
	Instance string   // id of the process's server; unique
	Epoch    uint64   // start of the instance: a later one under the same id is another process
	Services []string // served here, full names
	Token    []byte   // shared secret of the cluster; each end proves that it knows it, it is never sent
}

// Config of a connection. Zero fields take their default.
type Config struct {
	Hello        Hello                      // who this end is
	Handler      Handler                    // of the peer's calls; nil: none are served
	Accept       func(peer Hello) error     // refuses a peer with a reason; its token is checked after that
	Codecs       []Codec                    // that the peer may use, besides those that Handler's methods name; the first three are numbered on the wire
	MaxMessage   int                        // bytes of a message, either way; default 4 MiB
	MaxCalls     int                        // in flight towards the peer; the next one fails at once; default 4,096, at most 65,535
	MaxServe     int                        // of the peer being served; the next one is refused at once; default 4,096
	Workers      int                        // goroutines kept for handlers that are not inline; more are started when all are busy; default 64
	Window       int                        // bytes that a stream's sender may have unread at the receiver; default 256 KiB
	BulkBytes    int                        // messages from this size on take a bulk lane, if there is one; default 16 KiB
	Heartbeat    time.Duration              // between two signs of life; a peer silent for three of them is gone; default 1 s; negative: none
	HelloTimeout time.Duration              // default 3 s
	Draining     func(c *Conn, note string) // the peer will end: no new calls, please; called once, must not block
	Owner        any                        // of the connection: what Conn.Owner returns
	Dialled      bool                       // this end dialled; the other one did not
	// Panicked is told of handlers that panicked; the caller has got INTERNAL.
	Panicked func(method string, value any, stack []byte)
}

// Handler finds methods. Lookup may be called from any goroutine; nil means that there is no such method.
type Handler interface {
	Lookup(name string) *Method
}

// Method is something that can be called. Exactly one of Unary and Stream is set.
type Method struct {
	Name string // full: package.Service/Method, or whatever the ends agree on
	// Inline handlers run on the connection's reader: fastest, and nothing else of the connection moves meanwhile. They must not block.
	Inline bool
	// Borrow gives the handler the connection's own memory, where the codec is a Borrower: the request is valid until Unary returns, and large ones are not copied.
	// Such a handler is inline; while it runs, even the end of the connection waits for it.
	Borrow bool
	// New makes the message that a request is parsed into; Unary answers it. A nil response is an empty one.
	New   func() any
	Unary func(ctx context.Context, req any) (any, error)
	// Stream serves a stream until it returns; its error, or nil, ends the stream.
	Stream func(ctx context.Context, s *Stream) error
	// Codec, if set, is the only one this method takes; nil: the codec that the caller names, which must be one of Config.Codecs.
	Codec Codec
	// Free, if set, gets requests back after the response was marshalled, for reuse by New. Whoever sets it promises that handlers keep no request.
	Free func(req any)
}

// CallInfo is what goes with a call besides its message. The zero value will do but for Codec.
type CallInfo struct {
	Codec    Codec         // needed
	Metadata []string      // key, value, key, value …
	Timeout  time.Duration // besides the context's deadline; 0: none. It costs less than a context.
	Bulk     bool          // streams only: the stream's messages, in order, take a bulk lane
}

// Incoming is what a handler's context tells of its call.
type Incoming struct {
	Conn     *Conn
	Method   *Method
	Metadata []string // key, value …; empty when there is none
}

// Peer is who is at the other end.
type Peer struct {
	Hello     Hello // Token is empty
	Transport string
	transport.Peer
}

// Stats counts since the connection began, but for InFlight, Serving and Streams.
type Stats struct {
	transport.Stats
	Calls, Served     uint64
	InFlight, Serving int
	Streams           int
	Refused           uint64 // calls of the peer above MaxServe
	Panics            uint64 // of handlers
	Late              uint64 // answers that came after their call was given up
}
