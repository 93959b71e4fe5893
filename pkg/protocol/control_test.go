package protocol

import (
	"fmt"
	"testing"
)

// controls is the manual's table of control routes; what stands in no row is refused.
var controls = []struct {
	name      string
	route     uint16
	direction Direction
	states    States
	size      int // of a payload of fixed layout; -1: a message
}{
	{"ping", 1, ClientToServer, AnyState, 8},
	{"pong", 2, ServerToClient, AnyState, 16},
	{"echo", 3, ClientToServer, AnyState, 2},
	{"goaway", 4, ServerToClient, AnyState, -1},
	{"kick", 5, ServerToClient, AnyState, -1},
	{"bye", 6, ClientToServer, AnyState, 0},
	{"resume", 7, ClientToServer, Secured, -1},
	{"resumed", 8, ServerToClient, AnyState, -1},
	{"queue", 9, ServerToClient, AnyState, -1},
	{"warning", 10, ServerToClient, AnyState, -1},
}

func TestEveryControlRouteInEveryTypeDirectionAndState(t *testing.T) {
	routes := testRoutes(t)
	for route := range uint16(FirstFrameworkRoute) {
		for kind := range FrameType(8) {
			for _, direction := range []Direction{ClientToServer, ServerToClient} {
				for _, state := range []States{Secured, Authenticated, Playing} {
					f := Frame{Type: kind, Route: route, ID: 1}
					want := ErrorUnknownRoute
					switch kind {
					case TypeState: // carries no route
						if direction == ServerToClient {
							want = ErrorNone
						}
					case TypeAck: // neither does this
						if direction == ClientToServer {
							want = ErrorNone
							if state == Secured {
								want = ErrorWrongState
							}
						}
					case TypeError: // of the server: about anything that a client may have sent
						if direction == ServerToClient {
							want = ErrorNone
						}
					case TypeControl:
						for _, c := range controls {
							if c.route != route || c.direction != direction {
								continue
							}
							f.Payload = make([]byte, max(c.size, 0))
							want = ErrorNone
							if direction == ClientToServer && c.states&state == 0 {
								want = ErrorWrongState
							}
						}
					}
					if got := routes.Check(f, state, direction); got != want {
						t.Errorf("%v of route %d, %v, in state %#x: %v, want %v", kind, route, direction, uint8(state), got, want)
					}
				}
			}
		}
	}
}

func TestControlPayloadsHaveTheirSizes(t *testing.T) {
	routes := testRoutes(t)
	for _, c := range controls {
		check := func(size int, flags Flags, want ErrorCode) {
			t.Helper()
			f := Frame{Type: TypeControl, Flags: flags, Route: c.route, Payload: make([]byte, size)}
			if got := routes.Check(f, Secured, c.direction); got != want {
				t.Errorf("%s of %d bytes with flags %#x: %v, want %v", c.name, size, uint8(flags), got, want)
			}
		}
		if c.size < 0 {
			check(DefaultMaxBytes, 0, ErrorNone)
			check(DefaultMaxBytes+1, 0, ErrorTooLarge)
			check(JSONMaxBytes(DefaultMaxBytes), FlagJSON, ErrorNone)
			check(JSONMaxBytes(DefaultMaxBytes)+1, FlagJSON, ErrorTooLarge)
			continue
		}
		check(c.size, 0, ErrorNone)
		check(c.size+1, 0, ErrorTooLarge)
		check(c.size, FlagJSON, ErrorMalformed) // what has a fixed layout is never JSON
		if c.size > 0 {
			check(c.size-1, 0, ErrorMalformed)
		}
	}
}

func TestPayloadsInJSONHaveRoomForTheirNames(t *testing.T) {
	routes := testRoutes(t)
	for _, c := range []struct {
		frame     Frame
		state     States
		direction Direction
		most      int
	}{
		{Frame{Type: TypePush, Route: 64}, Playing, ClientToServer, 8*64 + 1024},
		{Frame{Type: TypeRequest, Route: RouteLogin, ID: 1}, Secured, ClientToServer, 8*4096 + 1024},
		{Frame{Type: TypeResponse, Route: RouteLogin, ID: 1}, Playing, ServerToClient, 8*4096 + 1024},
		{Frame{Type: TypeError, Route: 64}, Playing, ServerToClient, 8*4096 + 1024},
		{Frame{Type: TypePush, Route: RouteLayout}, Playing, ServerToClient, MaxRouteBytes},
	} {
		c.frame.Flags = FlagJSON
		for size, want := range map[int]ErrorCode{c.most: ErrorNone, c.most + 1: ErrorTooLarge} {
			c.frame.Payload = make([]byte, size)
			if got := routes.Check(c.frame, c.state, c.direction); got != want {
				t.Errorf("%v of route %d, %d bytes of JSON: %v, want %v", c.frame.Type, c.frame.Route, size, got, want)
			}
		}
	}
}

func ExampleRoutes_Check() {
	routes, err := NewRoutes(FrameworkRoutes()...)
	if err != nil {
		panic(err)
	}
	ack := Frame{Type: TypeAck, Seq: 12}
	fmt.Println(routes.Check(ack, Secured, ClientToServer), routes.Check(ack, Playing, ClientToServer))
	// Output: wrong_state none
}
