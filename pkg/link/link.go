// Package link is what a gateway and a server say to each other: sessions, inputs and requests up; state batches, reliable messages and kicks down.
//
// A Link is the gateway's end, a Port the server's. Both ends send without ever blocking, from any goroutine, and receive in one goroutine. Pipe joins the two ends
// within a process; between processes a server offers links with Register, and a gateway takes one with Dial. Neither end can tell which kind it has. Whichever end is
// closed first, both are; what was sent before is still received.
//
// Order: what goes up, and the messages and kicks that go down, keep theirs. Batches and broadcasts keep theirs too, and no message or kick comes before a batch or
// broadcast that was accepted before it: the messages of a tick follow the structure of that tick. A batch may overtake messages.
//
// A link between processes is two streams of one rpc connection: messages either way, and batches, which take a lane for large ones. Messages that wait leave together.
// The bounds count from a Send to the Receive at the other end: every message that goes the other way carries the receipt. So a gateway that reads nothing, be
// it slow, stuck or stopped, costs the server its bounds and no more: batches are refused, later messages too, and whether that ends the link is the server's to
// decide. A gateway whose batches were refused and that reads again finds a gap in their sequence, asks for a snapshot and has converged. A process that is stopped
// altogether answers no heartbeats either: its rpc connection ends after some seconds (mux.Config.Heartbeat), and with it the link; then the gateway dials anew.
package link

import (
	"errors"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// ErrFull answers a Send for which the queue has no room; nothing was sent. What that means is the sender's to decide: a batch may be lost (its sequence
// shows it), an input is refused, and a link that cannot take reliable messages is as good as dead.
var ErrFull = errors.New("link: queue is full")

// ErrClosed answers a Send or Receive after the link was closed.
var ErrClosed = errors.New("link: closed")

// Hello is what a server tells a gateway before anything else. The gateway knows no game but this.
type Hello struct {
	Gateway uint32 // number under which the server knows this gateway
	Game    string
	Routes  []protocol.Route
	// Schema identifies the game's schema; Layout is the table of its entities' state (delta.Layout.Table).
	Schema protocol.Fingerprint
	Layout []byte
	Zones  []Zone
}

// Zone is a zone that sessions of the gateway may see.
type Zone struct {
	ID, Epoch      uint32
	Params         delta.Params
	TickHz         uint32
	QuantaPerMetre float64
	Width, Height  int32 // position quanta
	EnterRadius    int32
	LeaveRadius    int32
}

// UpKind tells what an Up is.
type UpKind uint8

// Kinds of Up.
const (
	OpenSession     UpKind = iota + 1 // Session of Player wants to play
	CloseSession                      // Session is over
	FromClient                        // Route, ID, Payload
	RequestSnapshot                   // of Zone: a batch was missed
)

// Up goes from a gateway to a server.
type Up struct {
	Kind    UpKind
	Zone    uint32
	Session uint64
	Player  uint64
	Name    string
	Rights  []string
	Route   uint16
	ID      uint32 // of a request; 0 for a push
	Payload []byte
}

// DownKind tells what a Down is.
type DownKind uint8

// Kinds of Down.
const (
	Batch     DownKind = iota + 1 // Payload is a batch of Zone; may be lost
	ToClient                      // Type, Route, ID, Payload for Session
	Broadcast                     // Type, Route, Payload for every session of the gateway; may be lost
	Kick                          // Session ends with Code and Reason
)

// Down goes from a server to a gateway.
type Down struct {
	Kind    DownKind
	Zone    uint32
	Session uint64
	Type    protocol.FrameType
	Route   uint16
	ID      uint32
	Payload []byte
	Code    protocol.DisconnectCode
	Reason  string
}

// Link is a gateway's end.
type Link interface {
	Hello() Hello
	// Send hands u over; its slices belong to the link from then on.
	Send(u Up) error
	// Ready has a value whenever there may be something to receive, and is ready for good once the link is closed.
	Ready() <-chan struct{}
	// Receive appends what has arrived; an error, which is ErrClosed or wraps it and the reason, comes only when the link is closed and everything was received. Payloads that
	// came together may share memory: who keeps one for long clones it.
	Receive(dst []Down) ([]Down, error)
	// Close may wait a moment for the other end to read what was sent before; see Config.Linger.
	Close() error
}

// Port is a server's end; the methods are those of Link, the other way round, but that Close never waits.
type Port interface {
	Send(d Down) error
	Ready() <-chan struct{}
	Receive(dst []Up) ([]Up, error)
	Close() error
}
