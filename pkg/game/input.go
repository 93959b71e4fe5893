package game

import (
	"strconv"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
)

// InputKind tells what an Input is.
type InputKind uint8

// Kinds of inputs. The fields that a kind uses stand behind it; a session or a gateway that is not known is ignored, for what is said of it may have crossed its end.
const (
	AttachGateway   InputKind = iota + 1 // Gateway begins to receive batches, the first a snapshot
	DetachGateway                        // Gateway is gone; the players that were connected to it linger
	RequestSnapshot                      // Gateway missed a batch
	Join                                 // Session of Player, with Name, Rights and Conn at Gateway; an older session of the same player ends
	Leave                                // Session ended
	Receive                              // Route, ID, Payload from Session
	Connect                              // Session has Conn at Gateway now, instead of the one before, if it had one
	Disconnect                           // Session has lost its connection and lingers
	Watch                                // the view of Session, whose home is the neighbour Zone, touches this zone: Conn at Gateway, X, Y, Enter, Leave, Ignores
	Unwatch                              // that view does not any more
	Arrive                               // Payload is a hand-over, Conns are the connections that its players have now
	Done                                 // the work or call Number has ended: Payload is its result; Text, if not empty, its error of Code
	Ask                                  // Entity is called by From, of Zone: Number there, Route is the call's, Payload its message
	Shed                                 // Number is the level of shedding from now on, 0: nothing is shed
	Neighbours                           // Payload is what AppendNeighbours writes: the zones at the borders from now on
	Operate                              // Name, with Rights, calls the command Route without a session: ID, Payload
	UseTables                            // Payload is the game's data tables from now on
	Release                              // Text names a handler, system or timer whose quarantine ends; empty: all
)

// String is the kind's name.
func (k InputKind) String() string {
	names := [...]string{
		AttachGateway: "AttachGateway", DetachGateway: "DetachGateway", RequestSnapshot: "RequestSnapshot", Join: "Join", Leave: "Leave", Receive: "Receive", Connect: "Connect",
		Disconnect: "Disconnect", Watch: "Watch", Unwatch: "Unwatch", Arrive: "Arrive", Done: "Done", Ask: "Ask", Shed: "Shed", Neighbours: "Neighbours", Operate: "Operate",
		UseTables: "UseTables", Release: "Release",
	}
	if int(k) < len(names) && names[k] != "" {
		return names[k]
	}
	return "InputKind(" + strconv.Itoa(int(k)) + ")"
}

// Input is one thing that comes from outside. It is all that a zone knows of the world around it: the same inputs give the same zone. AppendInput writes one for a recording.
type Input struct {
	Kind    InputKind
	Gateway uint32
	Session SessionID
	Conn    uint64 // by which batches name the session's view at its gateway; 0 for one that has lost its connection
	Player  uint64
	Name    string
	Rights  []string
	Route   uint16
	ID      uint32 // of a request; 0 for a push
	Payload []byte // kept only until Step returns

	Number       uint64
	Entity       EntityID
	From         Caller
	Zone         uint32
	X, Y         int32  // of a visiting view, position quanta
	Enter, Leave int32  // its radii, quanta
	Ignores      uint32 // layers that it does not show, see View
	Code         protocol.ErrorCode
	Text         string
	Conns        []Conn
}

// Conn is a connection that a session has.
type Conn struct {
	Session SessionID
	Gateway uint32
	Conn    uint64 // 0: none, it lingers
}

// Outputs are a tick's results, valid until the next Step.
type Outputs struct {
	Batches  []batch.Output
	Messages []Message
	Kicks    []Kick
	Panics   []Panic

	Jobs       []Job       // to be run elsewhere; each is answered by a Done
	Asks       []Asked     // calls to entities, wherever they live; each is answered by a Done
	Answers    []Answer    // to calls that came by Ask
	Departures []Departure // to other zones
	Views      []View      // of players of this zone that touch, or no longer touch, neighbours
	Gone       []EntityID  // entities of another zone's numbering that have ended here
	Groups     []Grouping  // in order, messages to groups among them
	Audits     []Audit
	Operated   []Operated // answers to Operate
}

// Message goes to one session.
type Message struct {
	Session  SessionID
	Type     protocol.FrameType // push, response or error
	Route    uint16
	ID       uint32
	Payload  []byte
	Numbered bool // it must arrive, once and in order, whatever becomes of connections
}

// Kick ends a session.
type Kick struct {
	Session SessionID
	Code    protocol.DisconnectCode
	Reason  string
}

// Panic is a call of the game's code that panicked: a mistake of the game's, which ended that call and nothing else.
type Panic struct {
	Where       string // name of the route, hook, system, timer or call
	Session     SessionID
	Entity      EntityID
	Value       string
	Stack       []byte
	Quarantined bool // it has panicked too often, and is not called any more until a Release
}

// Grouping is a change of a group that may have members in many zones, or a message to it.
type Grouping struct {
	Group   GroupID
	Session SessionID // that joins or leaves; 0: a message
	Join    bool
	At      int     // how many of the tick's Messages were sent before
	Message Message // without a session
}

// Audit says that somebody has used a command, or tried to.
type Audit struct {
	Tick    uint32
	By      string    // name of the player or operator
	Player  uint64    // 0: an operator without a session
	Session SessionID // 0: an operator without a session
	Route   uint16
	Name    string // of the route
	Payload []byte // its message
	Err     string // why it was refused or failed; empty: it was done, or begun: a deferred reply is not waited for
}

// Operated answers an Operate.
type Operated struct {
	ID      uint32
	Payload []byte
	Err     error // a *Error
}
