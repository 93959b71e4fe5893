package protocol

import (
	"strings"
	"testing"
)

func testRoutes(t testing.TB) *Routes {
	t.Helper()
	routes, err := NewRoutes(append(FrameworkRoutes(),
		Route{ID: 64, Name: "plains.move", Kind: Push, Direction: ClientToServer, States: Playing, Affinity: Zone, MaxBytes: 64},
		Route{ID: 65, Name: "plains.spectate", Kind: Request, Direction: ClientToServer, States: Playing},
		Route{ID: 66, Name: "plains.move_refused", Kind: Push, Direction: ServerToClient},
		Route{ID: 70, Name: "plains.ask_client", Kind: Request, Direction: ServerToClient, States: Playing},
		Route{ID: 65535, Name: "plains.chat", Kind: Push, Direction: BothWays},
	)...)
	if err != nil {
		t.Fatal(err)
	}
	return routes
}

func TestCheck(t *testing.T) {
	routes := testRoutes(t)
	c2s, s2c := ClientToServer, ServerToClient
	bytes := func(n int) []byte { return make([]byte, n) }
	tests := []struct {
		name      string
		frame     Frame
		state     States
		direction Direction
		want      ErrorCode
	}{
		{"move while playing", Frame{Type: TypePush, Route: 64, Payload: bytes(64)}, Playing, c2s, ErrorNone},
		{"move before login", Frame{Type: TypePush, Route: 64}, Secured, c2s, ErrorWrongState},
		{"move too large", Frame{Type: TypePush, Route: 64, Payload: bytes(65)}, Playing, c2s, ErrorTooLarge},
		{"move from the server", Frame{Type: TypePush, Route: 64}, Playing, s2c, ErrorUnknownRoute},
		{"move as request", Frame{Type: TypeRequest, Route: 64, ID: 1}, Playing, c2s, ErrorUnknownRoute},
		{"login", Frame{Type: TypeRequest, Route: 32, ID: 1}, Secured, c2s, ErrorNone},
		{"login twice", Frame{Type: TypeRequest, Route: 32, ID: 1}, Playing, c2s, ErrorWrongState},
		{"login without id", Frame{Type: TypeRequest, Route: 32}, Secured, c2s, ErrorMalformed},
		{"login as push", Frame{Type: TypePush, Route: 32}, Secured, c2s, ErrorUnknownRoute},
		{"login response", Frame{Type: TypeResponse, Route: 32, ID: 1}, Playing, s2c, ErrorNone},
		{"login response from the client", Frame{Type: TypeResponse, Route: 32, ID: 1}, Playing, c2s, ErrorUnknownRoute},
		{"client answers a server's request", Frame{Type: TypeResponse, Route: 70, ID: 1}, Playing, c2s, ErrorNone},
		{"client answers whatever the state", Frame{Type: TypeResponse, Route: 70, ID: 1}, Secured, c2s, ErrorNone},
		{"client refuses a server's request", Frame{Type: TypeError, Route: 70, ID: 1}, Playing, c2s, ErrorNone},
		{"client refuses a push", Frame{Type: TypeError, Route: 66}, Playing, c2s, ErrorUnknownRoute},
		{"client refuses an unknown route", Frame{Type: TypeError, Route: 40000}, Playing, c2s, ErrorUnknownRoute},
		{"server refuses an unknown route", Frame{Type: TypeError, Route: 40000}, Secured, s2c, ErrorNone},
		{"error too large", Frame{Type: TypeError, Route: 64, Payload: bytes(4097)}, Secured, s2c, ErrorTooLarge},
		{"default maximum", Frame{Type: TypePush, Route: 66, Payload: bytes(4096)}, Playing, s2c, ErrorNone},
		{"above the default maximum", Frame{Type: TypePush, Route: 66, Payload: bytes(4097)}, Playing, s2c, ErrorTooLarge},
		{"both ways, client", Frame{Type: TypePush, Route: 65535}, Playing, c2s, ErrorNone},
		{"both ways, server", Frame{Type: TypePush, Route: 65535}, Playing, s2c, ErrorNone},
		{"route 0", Frame{Type: TypePush}, Playing, c2s, ErrorUnknownRoute},
		{"unknown route", Frame{Type: TypePush, Route: 999}, Playing, c2s, ErrorUnknownRoute},
		{"unknown control", Frame{Type: TypeControl, Route: 11}, Playing, c2s, ErrorUnknownRoute},
		{"control frame of a game route", Frame{Type: TypeControl, Route: 64}, Playing, c2s, ErrorUnknownRoute},
		{"push of a control route", Frame{Type: TypePush, Route: 1, Payload: bytes(8)}, Playing, c2s, ErrorUnknownRoute},
		{"ping", Frame{Type: TypeControl, Route: RoutePing, Payload: bytes(8)}, Secured, c2s, ErrorNone},
		{"short ping", Frame{Type: TypeControl, Route: RoutePing, Payload: bytes(7)}, Secured, c2s, ErrorMalformed},
		{"long ping", Frame{Type: TypeControl, Route: RoutePing, Payload: bytes(9)}, Secured, c2s, ErrorTooLarge},
		{"ping from the server", Frame{Type: TypeControl, Route: RoutePing, Payload: bytes(8)}, Secured, s2c, ErrorUnknownRoute},
		{"pong", Frame{Type: TypeControl, Route: RoutePong, Payload: bytes(16)}, Secured, s2c, ErrorNone},
		{"bye", Frame{Type: TypeControl, Route: RouteBye}, Secured, c2s, ErrorNone},
		{"kick from the client", Frame{Type: TypeControl, Route: RouteKick}, Secured, c2s, ErrorUnknownRoute},
		{"state", Frame{Type: TypeState, Payload: bytes(60000)}, Playing, s2c, ErrorNone},
		{"state from the client", Frame{Type: TypeState}, Playing, c2s, ErrorUnknownRoute},
		{"ack", Frame{Type: TypeAck, Seq: 3}, Playing, c2s, ErrorNone},
		{"move while it waits", Frame{Type: TypePush, Route: 64}, Authenticated, c2s, ErrorWrongState},
		{"no state", Frame{Type: TypePush, Route: 64}, 0, c2s, ErrorWrongState},
	}
	for _, test := range tests {
		if got := routes.Check(test.frame, test.state, test.direction); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestNewRoutesRefusesContradictions(t *testing.T) {
	good := Route{ID: 64, Name: "a", Kind: Push, Direction: ClientToServer}
	with := func(change func(*Route)) []Route { r := good; change(&r); return []Route{r} }
	tests := map[string][]Route{
		"control id":        with(func(r *Route) { r.ID = 31 }),
		"framework id":      with(func(r *Route) { r.ID = 40 }),
		"framework's name":  with(func(r *Route) { r.ID = 32 }),
		"no name":           with(func(r *Route) { r.Name = "" }),
		"name with newline": with(func(r *Route) { r.Name = "a\nb" }),
		"no kind":           with(func(r *Route) { r.Kind = 0 }),
		"control kind":      with(func(r *Route) { r.Kind = control }),
		"no direction":      with(func(r *Route) { r.Direction = 0 }),
		"strange direction": with(func(r *Route) { r.Direction = 4 }),
		"strange state":     with(func(r *Route) { r.States = 8 }),
		"strange affinity":  with(func(r *Route) { r.Affinity = 4 }),
		"negative maximum":  with(func(r *Route) { r.MaxBytes = -1 }),
		"huge maximum":      with(func(r *Route) { r.MaxBytes = MaxRouteBytes + 1 }),
		"right of pushes":   with(func(r *Route) { r.Direction, r.Right = ServerToClient, "gm" }),
		"record of pushes":  with(func(r *Route) { r.Direction, r.Audit = ServerToClient, true }),
		"id twice":          {good, {ID: 64, Name: "b", Kind: Push, Direction: ClientToServer}},
		"name twice":        {good, {ID: 65, Name: "a", Kind: Push, Direction: ClientToServer}},
	}
	if _, err := NewRoutes(good); err != nil {
		t.Fatal(err)
	}
	for name, routes := range tests {
		if _, err := NewRoutes(routes...); err == nil {
			t.Errorf("%s: accepted", name)
		} else if !strings.HasPrefix(err.Error(), "route ") {
			t.Errorf("%s: error %q does not name the route", name, err)
		}
	}
}

func TestLookup(t *testing.T) {
	routes := testRoutes(t)
	for _, want := range routes.All() {
		if got, ok := routes.Lookup(want.ID); !ok || got != want {
			t.Errorf("route %d is %+v, want %+v", want.ID, got, want)
		}
	}
	for _, id := range []uint16{0, RoutePing, RouteResume, 31, 38, 67, 65534} {
		if r, ok := routes.Lookup(id); ok {
			t.Errorf("route %d found: %+v", id, r)
		}
	}
	if r, _ := routes.Lookup(65); r.MaxBytes != DefaultMaxBytes || r.Affinity != Gateway {
		t.Errorf("defaults not filled: %+v", r)
	}
}

func TestEmptyTableKnowsControl(t *testing.T) {
	routes, err := NewRoutes()
	if err != nil {
		t.Fatal(err)
	}
	if code := routes.Check(Frame{Type: TypeControl, Route: RouteBye}, Secured, ClientToServer); code != ErrorNone {
		t.Errorf("bye: %v", code)
	}
	if code := routes.Check(Frame{Type: TypePush, Route: 32}, Secured, ClientToServer); code != ErrorUnknownRoute {
		t.Errorf("route 32: %v", code)
	}
}

func TestUnlockedFingerprint(t *testing.T) {
	base := FrameworkRoutes()
	hash := func(layout string, routes ...Route) Fingerprint {
		table, err := NewRoutes(append(base, routes...)...)
		if err != nil {
			t.Fatal(err)
		}
		return UnlockedFingerprint(table, []byte(layout))
	}
	a := Route{ID: 64, Name: "a", Kind: Push, Direction: ClientToServer}
	b := Route{ID: 65, Name: "b", Kind: Push, Direction: ClientToServer}
	limits := a
	limits.MaxBytes, limits.States, limits.Affinity = 9, Playing, Zone
	want := hash("1", a, b)
	if hash("1", b, a) != want || hash("1", limits, b) != want {
		t.Error("the hash depends on order or on limits")
	}
	renamed, moved, turned, asked := a, a, a, a
	renamed.Name, moved.ID, turned.Direction, asked.Kind = "c", 66, ServerToClient, Request
	for _, r := range []Route{renamed, moved, turned, asked} {
		if hash("1", r, b) == want {
			t.Errorf("%+v does not change the hash", r)
		}
	}
	if hash("2", a, b) == want || hash("1", a) == want {
		t.Error("layout or a missing route does not change the hash")
	}
	table, _ := NewRoutes(append(base, a)...)
	text := "32 login request c2s\n33 zone push s2c\n34 avatar push s2c\n35 status push s2c\n36 layout push s2c\n37 ticket push s2c\n" +
		"48 gm.teleport request c2s\n49 gm.spawn request c2s\n50 gm.despawn request c2s\n51 gm.inspect request c2s\n52 gm.give request c2s\n64 a push c2s\n"
	if got := CanonicalSchema(table); got != text {
		t.Errorf("canonical text is %q", got)
	}
}

func TestCodes(t *testing.T) {
	named := 0
	for c := DisconnectCode(4000); c < 5000; c++ {
		if c.Reconnect() != (c < 4500) {
			t.Errorf("%v: reconnect %v", c, c.Reconnect())
		}
		if !strings.HasPrefix(c.String(), "disconnect(") {
			named++
		}
	}
	if want := len(DisconnectCodes()); named != want {
		t.Errorf("%d disconnect codes have names, %d are listed", named, want)
	}
	if !DisconnectCode(1006).Reconnect() || DisconnectCode(1002).Reconnect() {
		t.Error("transport codes")
	}
	for c, want := range map[ErrorCode]string{ErrorNone: "none", ErrorUnknownRoute: "unknown_route", ErrorNotAllowed: "not_allowed", 10: "unavailable", 11: "error(11)", 1000: "game(1000)"} {
		if c.String() != want {
			t.Errorf("code %d is %q, want %q", uint32(c), c, want)
		}
	}
}

func BenchmarkNextAndCheck(b *testing.B) {
	routes := testRoutes(b)
	record := AppendPush(nil, 64, make([]byte, 40))
	b.ReportAllocs()
	for b.Loop() {
		f, _, err := Next(record)
		if err != nil || routes.Check(f, Playing, ClientToServer) != ErrorNone {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendPush(b *testing.B) {
	payload, dst := make([]byte, 40), make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendPush(dst[:0], 64, payload)
	}
}
