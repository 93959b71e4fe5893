// Package transport is how frames get from one process to another: what a connection must do, whatever carries it.
//
// A Conn moves batches of frames over one or more lanes. Lane 0 is there always; the others, if any, exist for large frames, so that copies run side by side. Frames of a
// lane arrive in the order they were reserved in; between lanes there is no order. Writers never block: what the peer cannot take yet is kept, and counted in
// Backlog. Each lane has any number of writers, one at a time under its lock, and one reader.
//
// A frame begins with its whole length, these four bytes included, as a little-endian uint32; everything behind is the business of the layer above. A
// transport refuses lengths below MinFrame or above the lane's MaxFrame: what comes from outside is checked before anything is allocated for it.
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"
)

// MinFrame is the smallest frame, in bytes: the header of the layer above.
const MinFrame = 16

// ErrClosed is the reason of a connection that was closed on purpose, by either end.
var ErrClosed = errors.New("rpc: connection closed")

// ErrBacklog answers Reserve when more bytes wait for the peer than the connection may hold back.
var ErrBacklog = errors.New("rpc: the peer takes nothing: too many bytes wait for it")

// ErrPeerRefused wraps the reason of a peer that does not want us: another user, another version, another protocol.
var ErrPeerRefused = errors.New("rpc: peer refused")

// Conn is one connection to a peer.
type Conn interface {
	// Kind is "shm", "uds", "tcp", "tls" or "inproc".
	Kind() string
	// Lanes are the same for the life of the connection.
	Lanes() []Lane
	Peer() Peer
	// Done is closed when the connection is over, for whatever reason. Every lane's Receive has then returned or is about to.
	Done() <-chan struct{}
	// Err is why the connection is over; nil before.
	Err() error
	// Close ends the connection and waits for the goroutines of the connection itself. It may be called twice, and from any goroutine but a lane's reader.
	Close() error
	Stats() Stats
}

// Eager is a Conn whose Flush costs next to nothing while the peer is awake. What is flushed early is worked on early; on others, writers gather more frames first,
// because each Flush is a system call.
type Eager interface {
	Conn
	Eager() bool
}

// Lane is an ordered sequence of frames in either direction. The lock is that of its writers.
type Lane interface {
	sync.Locker

	// MaxFrame is the size of the largest frame in bytes, its header included.
	MaxFrame() int
	// Reserve appends n bytes, one whole frame, to the batch at hand and returns them to be filled before the lane is unlocked, Reserve or Flush are
	// called. Their content is undefined. It never blocks; it fails when the connection is over or the backlog too long. Call with the lane locked.
	Reserve(n int) ([]byte, error)
	// Flush sends the batch at hand, or has it sent as soon as the peer can take it. It never blocks. Call with the lane locked.
	Flush() error
	// Backlog is the number of bytes that wait for the peer. Any goroutine may ask.
	Backlog() int

	// Receive waits for whole frames, one or many, and returns their bytes, which are valid until Release. One goroutine only, the lane's reader.
	Receive() ([]byte, error)
	// Release gives the bytes of the last Receive back; it must come before the next one. Between the two, the reader runs nothing that may block.
	Release()
}

// Peer is what the transport knows for certain about the other end. Fields that do not apply are zero.
type Peer struct {
	Addr string // of the other end
	PID  int    // of the process, if the system tells
	UID  int    // user, if the system tells; -1 otherwise
	TLS  *tls.ConnectionState
}

// Stats counts since the connection began.
type Stats struct {
	BytesIn, BytesOut     uint64 // of frames
	BatchesIn, BatchesOut uint64
	Stalls                uint64 // batches that had to wait for the peer
	Wakeups               uint64 // times that the peer had to be woken, where that is known: batches per wakeup tell how well batching works
	Fallbacks             uint64 // shared memory only: messages that went over the socket instead; must be 0
	SharedBytes           uint64 // shared memory only: size of the mapping
}

// Listener accepts connections.
type Listener interface {
	// Accept waits for the next connection whose peer was accepted. A peer that is refused, or silent, is not seen here and delays nobody.
	Accept(ctx context.Context) (Conn, error)
	Addr() string
	// Close ends Accept; connections live on. It may be called twice.
	Close() error
}

// Config bounds connections. Zero fields take their default.
type Config struct {
	MaxBacklog int // bytes per lane that may wait for a peer before Reserve fails; default 16 MiB
	// AllowUID tells whether a peer of this user may connect over a socket of this machine; default: the same user and root.
	AllowUID func(uid int) bool
	// SharedMemory is the size of a connection's mapping in bytes, shared memory only; default 32 MiB, committed by the system as it is used.
	SharedMemory int
	// BulkLanes is the number of lanes besides the first, shared memory only; default 4.
	BulkLanes int
	// Refused, if set, is told of every peer that was turned away, and why.
	Refused func(addr string, err error)
}
