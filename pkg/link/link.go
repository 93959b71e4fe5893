// Package link is what a gateway and a server say to each other: sessions, inputs and requests up; state batches, reliable messages and kicks down.
//
// A session belongs to its server and outlives connections; a gateway knows it by the number of the connection that it has now. The server numbers the session's
// messages and keeps those that the client has not acknowledged, so that nothing is lost with a gateway.
//
// A server trusts its gateways: they verify tokens and tickets, so one that lies can log in as anybody and take anybody's session over. Whoever may join is decided by the
// token and the certificates of the rpc connection.
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
	"context"
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
	// Descriptors describe the messages of the routes (protocol.Descriptors), for clients that speak JSON.
	Descriptors []byte
	Zones       []Zone
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
	Margin         int32 // that the zone holds beyond its borders: full positions count from before its corner by so much
}

// UpKind tells what an Up is.
type UpKind uint8

// Kinds of Up.
const (
	OpenSession     UpKind = iota + 1 // the client of Conn has proved who it is: Payload is an Opening, ID that of the login's request. Answered by Opened or Kick
	CloseSession                      // Conn is over: with Code 0 it was lost, and the session lingers; otherwise the session ends
	FromClient                        // Route, ID, Payload
	RequestSnapshot                   // of Zone: a batch was missed
	ResumeSession                     // the client of Conn has come back: Payload is a Resumption. Answered by Opened, NotRecovered or Kick
	Ack                               // the client of Conn has every numbered message up to Seq
)

// Up goes from a gateway to a server.
type Up struct {
	Kind UpKind
	Zone uint32
	// Conn is the gateway's number of a connection; its upper 24 bits are those of the gateway's own number. A session has one connection at a time.
	Conn uint64
	// Epoch is that of the session, as Opened told it: a gateway that was overtaken by a newer login speaks with an old one, and is not heard.
	Epoch   uint64
	Seq     uint32
	Route   uint16
	ID      uint32 // of a request; 0 for a push
	Code    protocol.DisconnectCode
	Payload []byte
}

// DownKind tells what a Down is.
type DownKind uint8

// Kinds of Down.
const (
	Batch        DownKind = iota + 1 // Payload is a batch of Zone; may be lost
	ToClient                         // Type, Route, ID, Seq, Payload for Conn
	Broadcast                        // Type, Route, Payload for every session of the gateway; may be lost
	Kick                             // Conn ends with Code; Payload is the reason, a line of text
	Opened                           // Conn has a session: Payload is a Session
	Entered                          // the session of Conn is in the world from the next batch on; Zone is its home
	NotRecovered                     // there is nothing to resume for Conn; Payload is the reason, a line of text
	ZoneOpened                       // there is a zone more: Payload is a Zone, as AppendZone writes it; batches of it follow
	ZoneClosed                       // Zone is over: what it holds leaves everyone's view, and no batch of it follows
)

// Down goes from a server to a gateway.
type Down struct {
	Kind    DownKind
	Zone    uint32
	Conn    uint64
	Type    protocol.FrameType
	Route   uint16
	ID      uint32
	Seq     uint32 // of a numbered message; 0: it has none
	Code    protocol.DisconnectCode
	Payload []byte
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
	// Secret looks up what a ticket stands for, at the server, without spending it: what a handshake needs. It may be called from any goroutine and waits for the
	// answer. ErrNoTicket: it is forged, spent, too old, or for a session that has ended.
	Secret(ctx context.Context, ticket []byte) (Grant, error)
}

// Port is a server's end; the methods are those of Link, the other way round, but that Close never waits.
type Port interface {
	Send(d Down) error
	Ready() <-chan struct{}
	Receive(dst []Up) ([]Up, error)
	Close() error
}
