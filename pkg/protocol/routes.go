package protocol

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// Kind is the form of a route's conversation.
type Kind uint8

// The kinds of routes.
const (
	Push    Kind = 1 // one way
	Request Kind = 2 // answered by a response or an error
)

// String is the word used in the schema's canonical text.
func (k Kind) String() string {
	switch k {
	case Push:
		return "push"
	case Request:
		return "request"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Direction is a bit set: who sends the push or the request. A response goes the other way.
type Direction uint8

// The directions.
const (
	ClientToServer Direction = 1
	ServerToClient Direction = 2
	BothWays                 = ClientToServer | ServerToClient
)

// String is the word used in the schema's canonical text.
func (d Direction) String() string {
	switch d {
	case ClientToServer:
		return "c2s"
	case ServerToClient:
		return "s2c"
	case BothWays:
		return "both"
	}
	return fmt.Sprintf("direction(%d)", uint8(d))
}

// States is a bit set of session states in which a route is allowed; a session is in exactly one.
type States uint8

// The states in which frames are exchanged: before Secured there are no frames, after Playing no connection.
const (
	Secured       States = 1 // keys exist, nobody is logged in
	Playing       States = 2 // logged in, and in the world
	Authenticated States = 4 // logged in, and waiting to be let into the world, in a queue if it is full
	AnyState             = Secured | Authenticated | Playing
)

// Affinity says who handles what a client sends on a route.
type Affinity uint8

// The affinities.
const (
	Gateway Affinity = 1 // the gateway itself; also every route that only the server sends
	Zone    Affinity = 2 // the zone of the session's avatar
	Service Affinity = 3 // a service that the session's home server knows
)

// Delivery is what becomes of a message of the server's that does not get through at once.
type Delivery uint8

// The classes of delivery.
const (
	Reliable Delivery = iota // it comes, once and in order, or the session ends
	AOIEvent                 // goes to everyone who sees an entity; lost for whom the state is held back
	Latest                   // the next one replaces it
)

// Route declares one message type.
type Route struct {
	ID        uint16
	Name      string // unique, for logs and the manual: "plains.move"
	Kind      Kind
	Direction Direction
	States    States   // in which a client may send it; 0 means AnyState. Frames of the server are not limited by it
	Affinity  Affinity // 0 means Gateway
	MaxBytes  int      // payload bytes; 0 means DefaultMaxBytes, at most MaxRouteBytes

	Rate       float64 // messages per second of one session, refilling a bucket of Burst; 0: no limit of its own
	Burst      uint32
	Cost       uint32 // tokens that a message takes from the buckets; 0 means 1
	Delivery   Delivery
	Idempotent bool // sending it twice does what sending it once does

	Message string // full name of the protobuf message that the payload is, "" unknown
	Reply   string // of the message that answers a request

	Right string // that a session needs in order to send it, "" none. The zone checks it; a gateway does not know it
	Audit bool   // the zone puts every message of it on record
}

// Routes is an immutable table of routes with the control routes included.
type Routes struct {
	rules []rule  // by id
	list  []Route // by id ascending, control routes left out
	names map[string]uint16
}

// rule is what Check needs of a route, kept small: the table is indexed by every frame of every client.
type rule struct {
	max       uint32
	kind      Kind // 0: no such route
	direction Direction
	states    States
	exact     bool   // payload has exactly max bytes
	at        uint16 // index in list
}

// control is the kind of control routes; only TypeControl frames use them.
const control Kind = 3

// The framework's routes.
const (
	RouteLogin  uint16 = 32
	RouteZone   uint16 = 33
	RouteAvatar uint16 = 34
	RouteStatus uint16 = 35
	RouteLayout uint16 = 36
	RouteTicket uint16 = 37

	RouteTeleport uint16 = 48
	RouteSpawn    uint16 = 49
	RouteDespawn  uint16 = 50
	RouteInspect  uint16 = 51
	RouteGive     uint16 = 52
)

// RightGM is the right that the framework's commands need.
const RightGM = "gm"

// FrameworkRoutes returns the routes 32-37 and the commands 48-52, which every game's table includes.
func FrameworkRoutes() []Route {
	command := func(id uint16, name, message string, most int) Route {
		return Route{ID: id, Name: "gm." + name, Kind: Request, Direction: ClientToServer, States: Playing, Affinity: Zone, MaxBytes: most,
			Message: "mmo.v1." + message + "Request", Reply: "mmo.v1." + message + "Response", Right: RightGM, Audit: true}
	}
	return []Route{
		{ID: RouteLogin, Name: "login", Kind: Request, Direction: ClientToServer, States: Secured, Affinity: Gateway, MaxBytes: DefaultMaxBytes, Message: "mmo.v1.LoginRequest", Reply: "mmo.v1.LoginResponse"},
		{ID: RouteZone, Name: "zone", Kind: Push, Direction: ServerToClient, States: AnyState, Affinity: Gateway, MaxBytes: DefaultMaxBytes, Message: "mmo.v1.Zone"},
		{ID: RouteAvatar, Name: "avatar", Kind: Push, Direction: ServerToClient, States: AnyState, Affinity: Gateway, MaxBytes: DefaultMaxBytes, Message: "mmo.v1.Avatar"},
		{ID: RouteStatus, Name: "status", Kind: Push, Direction: ServerToClient, States: AnyState, Affinity: Gateway, MaxBytes: DefaultMaxBytes, Delivery: Latest, Message: "mmo.v1.Status"},
		{ID: RouteLayout, Name: "layout", Kind: Push, Direction: ServerToClient, States: AnyState, Affinity: Gateway, MaxBytes: 65000, Message: "mmo.v1.Layout"},
		{ID: RouteTicket, Name: "ticket", Kind: Push, Direction: ServerToClient, States: AnyState, Affinity: Gateway, MaxBytes: DefaultMaxBytes, Message: "mmo.v1.Ticket"},
		command(RouteTeleport, "teleport", "Teleport", DefaultMaxBytes),
		command(RouteSpawn, "spawn", "Spawn", DefaultMaxBytes),
		command(RouteDespawn, "despawn", "Despawn", DefaultMaxBytes),
		command(RouteInspect, "inspect", "Inspect", inspectMaxBytes),
		command(RouteGive, "give", "Give", DefaultMaxBytes),
	}
}

// inspectMaxBytes is for all the components of an entity as JSON; what has more is inspected one by one.
const inspectMaxBytes = 16 << 10

// NewRoutes checks and indexes a table, usually FrameworkRoutes and the game's. It refuses ids below 32, ids of 32-63 that
// are not the framework's, ids or names used twice, empty names or names with space in them, and values out of range.
func NewRoutes(routes ...Route) (*Routes, error) {
	own := FrameworkRoutes()
	names := make(map[string]uint16, len(routes))
	list := slices.Clone(routes)
	for i := range list {
		r := &list[i]
		if err := r.validate(); err != nil {
			return nil, fmt.Errorf("route %d %q: %w", r.ID, r.Name, err)
		}
		framework := func(o Route) bool { return o.ID == r.ID && o.Name == r.Name }
		if r.ID < FirstGameRoute && !slices.ContainsFunc(own, framework) {
			return nil, fmt.Errorf("route %d %q: ids 32-63 are the framework's", r.ID, r.Name)
		}
		if other, taken := names[r.Name]; taken {
			return nil, fmt.Errorf("route %d %q: name is taken by route %d", r.ID, r.Name, other)
		}
		names[r.Name] = r.ID
	}
	slices.SortFunc(list, func(a, b Route) int { return int(a.ID) - int(b.ID) })
	top := FirstFrameworkRoute
	for i, r := range list {
		if i > 0 && list[i-1].ID == r.ID {
			return nil, fmt.Errorf("route %d %q: id is taken by %q", r.ID, r.Name, list[i-1].Name)
		}
		top = int(r.ID)
	}
	t := &Routes{rules: make([]rule, top+1), list: list, names: names}
	for i, r := range list {
		t.rules[r.ID] = rule{max: uint32(r.MaxBytes), kind: r.Kind, direction: r.Direction, states: r.States, at: uint16(i)}
	}
	t.addControl()
	return t, nil
}

func (r *Route) validate() error {
	if r.States == 0 {
		r.States = AnyState
	}
	if r.Affinity == 0 {
		r.Affinity = Gateway
	}
	if r.MaxBytes == 0 {
		r.MaxBytes = DefaultMaxBytes
	}
	switch {
	case r.ID < FirstFrameworkRoute:
		return fmt.Errorf("ids below %d are control routes", FirstFrameworkRoute)
	case r.Name == "" || strings.ContainsAny(r.Name, " \t\r\n"):
		return fmt.Errorf("a name is needed, without spaces")
	case r.Kind != Push && r.Kind != Request:
		return fmt.Errorf("unknown %v", r.Kind)
	case r.Direction == 0 || r.Direction&^BothWays != 0:
		return fmt.Errorf("unknown %v", r.Direction)
	case r.States&^AnyState != 0:
		return fmt.Errorf("unknown states %#x", uint8(r.States))
	case r.Affinity < Gateway || r.Affinity > Service:
		return fmt.Errorf("unknown affinity %d", r.Affinity)
	case r.Rate < 0 || r.Rate > 1e6 || r.Rate != r.Rate || r.Rate > 0 && r.Burst < max(r.Cost, 1):
		return fmt.Errorf("rate of %v per second with a burst of %d and a cost of %d: need 0 to 1e6, and a burst that pays for a message", r.Rate, r.Burst, r.Cost)
	case r.Direction&ClientToServer == 0 && (r.Right != "" || r.Audit):
		return fmt.Errorf("right %q and audit are about what clients send, and the server alone sends it", r.Right)
	case r.Delivery > Latest:
		return fmt.Errorf("unknown delivery %d", r.Delivery)
	case r.MaxBytes < 0 || r.MaxBytes > MaxRouteBytes:
		return fmt.Errorf("maximum of %d bytes is not within 1-%d", r.MaxBytes, MaxRouteBytes)
	}
	return nil
}

func (t *Routes) addControl() {
	fixed := func(id uint16, d Direction, size uint32) {
		t.rules[id] = rule{max: size, kind: control, direction: d, states: AnyState, exact: true}
	}
	fixed(RoutePing, ClientToServer, PingSize)
	fixed(RoutePong, ServerToClient, PongSize)
	fixed(RouteEcho, ClientToServer, EchoSize)
	fixed(RouteBye, ClientToServer, 0)
	message := rule{max: DefaultMaxBytes, kind: control, direction: ServerToClient, states: AnyState}
	for _, id := range []uint16{RouteGoaway, RouteKick, RouteResumed, RouteQueue, RouteWarning} {
		t.rules[id] = message
	}
	t.rules[RouteResume] = rule{max: DefaultMaxBytes, kind: control, direction: ClientToServer, states: Secured}
}

// Lookup returns the declaration of a route; control routes have none.
func (t *Routes) Lookup(id uint16) (Route, bool) {
	if int(id) >= len(t.rules) || t.rules[id].kind == 0 || t.rules[id].kind == control {
		return Route{}, false
	}
	return t.list[t.rules[id].at], true
}

// All returns a copy of the table by ascending id, control routes left out.
func (t *Routes) All() []Route { return slices.Clone(t.list) }

// Check says whether the sender of direction may send f while the session is in state: ErrorNone, or the code to answer
// with. It looks at the header and the payload's length, never into the payload, and allocates nothing.
func (t *Routes) Check(f Frame, state States, direction Direction) ErrorCode {
	switch f.Type {
	case TypeState:
		if direction != ServerToClient {
			return ErrorUnknownRoute
		}
		return ErrorNone
	case TypeError:
		return t.checkError(f, direction)
	case TypeAck:
		switch {
		case direction != ClientToServer:
			return ErrorUnknownRoute
		case state&(Authenticated|Playing) == 0:
			return ErrorWrongState
		}
		return ErrorNone
	}
	if int(f.Route) >= len(t.rules) {
		return ErrorUnknownRoute
	}
	r := &t.rules[f.Route]
	kind, sender := Kind(0), direction
	switch f.Type {
	case TypePush:
		kind = Push
	case TypeRequest:
		kind = Request
	case TypeResponse:
		kind, sender = Request, direction^BothWays
	case TypeControl:
		kind = control
	}
	switch {
	case kind == 0 || r.kind != kind || r.direction&sender == 0:
		return ErrorUnknownRoute
	case f.Type != TypeResponse && direction == ClientToServer && r.states&state == 0:
		return ErrorWrongState
	case len(f.Payload) > int(r.max) && len(f.Payload) > limit(f, int(r.max)):
		return ErrorTooLarge
	case r.exact && (uint32(len(f.Payload)) != r.max || f.Flags&FlagJSON != 0), f.Type == TypeRequest && f.ID == 0:
		return ErrorMalformed
	}
	return ErrorNone
}

// limit is how many bytes f's payload may have on a route whose messages have at most maxBytes.
func limit(f Frame, maxBytes int) int {
	if f.Flags&FlagJSON != 0 {
		return JSONMaxBytes(maxBytes)
	}
	return maxBytes
}

// JSONMaxBytes is how many bytes the JSON of a message may have whose protobuf may have maxBytes. JSON spells out the names of fields and writes numbers in
// decimals, so that it takes some times the room; a route's limit is meant for the message, not for how it is spelled.
func JSONMaxBytes(maxBytes int) int { return min(8*maxBytes+jsonRoom, MaxRouteBytes) }

// jsonRoom is for messages of a few bytes, whose names may be long.
const jsonRoom = 1024

// checkError: a server may refuse any route, known or not, because a client may have sent it; a client may only refuse
// what a server can ask.
func (t *Routes) checkError(f Frame, direction Direction) ErrorCode {
	if len(f.Payload) > limit(f, DefaultMaxBytes) {
		return ErrorTooLarge
	}
	if direction == ServerToClient {
		return ErrorNone
	}
	if int(f.Route) < len(t.rules) {
		if r := t.rules[f.Route]; r.kind == Request && r.direction&ServerToClient != 0 {
			return ErrorNone
		}
	}
	return ErrorUnknownRoute
}

// CanonicalSchema is the text that UnlockedFingerprint hashes: one line per route by ascending id.
//
//	<id> <name> push|request c2s|s2c|both\n
func CanonicalSchema(t *Routes) string {
	var b strings.Builder
	for _, r := range t.list {
		fmt.Fprintf(&b, "%d %s %v %v\n", r.ID, r.Name, r.Kind, r.Direction)
	}
	return b.String()
}

// UnlockedFingerprint is the fingerprint of a game that has no schema.lock: generation and revision 0, and the first 4 bytes of SHA-256 over CanonicalSchema and the layout
// table. Only its equal is compatible with it.
func UnlockedFingerprint(t *Routes, table []byte) Fingerprint {
	sum := sha256.Sum256(append([]byte(CanonicalSchema(t)), table...))
	return NewFingerprint(0, 0, [4]byte(sum[:4]))
}
