package gateway_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

const (
	routeTalk uint16 = 70 // push, both ways: mmo.v1.Warning
	routeKnow uint16 = 71 // request: mmo.v1.Warning, answered by mmo.v1.Status
)

// described is a game whose messages are known.
func described(t *testing.T) link.Hello {
	t.Helper()
	h := hello(t)
	h.Routes = append(h.Routes,
		protocol.Route{ID: routeTalk, Name: "test.talk", Kind: protocol.Push, Direction: protocol.BothWays, States: protocol.Playing, Affinity: protocol.Zone, Message: "mmo.v1.Warning"},
		protocol.Route{ID: routeKnow, Name: "test.know", Kind: protocol.Request, Direction: protocol.ClientToServer, States: protocol.Playing, Affinity: protocol.Zone, Message: "mmo.v1.Warning", Reply: "mmo.v1.Status"})
	var err error
	if h.Descriptors, err = protocol.Descriptors(h.Routes); err != nil {
		t.Fatal(err)
	}
	return h
}

// speakingJSON is a stage whose server has told its messages.
func speakingJSON(t *testing.T, change func(*gateway.Config)) *stage {
	t.Helper()
	s := overLoopback(t, link.PipeConfig{}, change)
	_ = s.port.Close()
	s.away()
	s.server(described(t))
	<-s.gw.Connected()
	return s
}

func (s *stage) token(player uint64) string {
	s.t.Helper()
	token, err := s.tokens.Issue(security.Identity{Player: player, Name: "Ann"}, time.Hour, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

func inJSON(f protocol.Frame, text string) []byte {
	f.Flags |= protocol.FlagJSON
	f.Payload = []byte(text)
	return protocol.AppendFrame(nil, f)
}

// saysJSON reads a frame's payload, which must be JSON, into m.
func saysJSON(t *testing.T, f protocol.Frame, m proto.Message) {
	t.Helper()
	if f.Flags&protocol.FlagJSON == 0 {
		t.Errorf("%v of route %d is no JSON: %q", f.Type, f.Route, f.Payload)
		return
	}
	if err := protojson.Unmarshal(f.Payload, m); err != nil {
		t.Errorf("%v of route %d: %v", f.Type, f.Route, err)
	}
}

func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// playJSON logs in on a connection that speaks JSON.
func (s *stage) playJSON(player uint64) *peer {
	s.t.Helper()
	p := s.connect(true)
	p.send(inJSON(protocol.Frame{Type: protocol.TypeRequest, Route: protocol.RouteLogin, ID: 9}, `{"token":"`+s.token(player)+`"}`))
	p.session = s.up(link.OpenSession).Conn
	s.opens(p, link.Session{ID: 1000 + player, Epoch: epochOf(p)})
	s.down(link.Down{Kind: link.Entered, Zone: 5, Conn: p.session})
	var m mmov1.LoginResponse
	saysJSON(s.t, p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypeResponse }), &m)
	if m.PlayerId != player {
		s.t.Errorf("logged in as %v", &m)
	}
	return p
}

func TestJSONConnectionHearsEveryMessageInJSON(t *testing.T) {
	s := speakingJSON(t, nil)
	p, binary := s.playJSON(1), s.play(2)
	var zone mmov1.Zone
	if saysJSON(t, p.push(protocol.RouteZone), &zone); zone.Zone != 5 {
		t.Errorf("the zone is %v", &zone)
	}
	binary.push(protocol.RouteZone)
	p.send(inJSON(protocol.Frame{Type: protocol.TypeRequest, Route: routeKnow, ID: 10}, `{"message":"who?"}`))
	u := s.up(link.FromClient)
	var asked mmov1.Warning
	if err := proto.Unmarshal(u.Payload, &asked); err != nil || asked.Message != "who?" || u.ID != 10 {
		t.Errorf("the server hears %+v, %v", u, err)
	}
	answer := marshal(t, &mmov1.Status{TickOverruns: 3})
	s.down(link.Down{Kind: link.ToClient, Conn: p.session, Type: protocol.TypeResponse, Route: routeKnow, ID: 10, Seq: 1, Payload: answer})
	f := p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypeResponse })
	var status mmov1.Status
	if saysJSON(t, f, &status); status.TickOverruns != 3 || f.Seq != 1 {
		t.Errorf("the answer is %v in %+v", &status, f)
	}
	s.down(link.Down{Kind: link.Broadcast, Type: protocol.TypePush, Route: protocol.RouteStatus, Payload: answer})
	saysJSON(t, p.push(protocol.RouteStatus), &status)
	if f := binary.push(protocol.RouteStatus); f.Flags&protocol.FlagJSON != 0 {
		t.Error("everyone hears JSON")
	}
	p.send(protocol.AppendPing(nil, 4))
	if f := p.frame(func(f protocol.Frame) bool { return f.Route == protocol.RoutePong }); f.Flags != 0 || len(f.Payload) != protocol.PongSize {
		t.Errorf("a pong is %+v", f)
	}
	p.send(protocol.AppendPush(nil, 9999, nil))
	var e mmov1.Error
	if saysJSON(t, p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypeError }), &e); e.Message != "unknown_route" {
		t.Errorf("an unknown route is %v", &e)
	}
	s.down(link.Down{Kind: link.ToClient, Conn: p.session, Type: protocol.TypePush, Route: routeTalk, Seq: 2, Payload: []byte{0xFF}}) // damaged: it goes as it is
	if f := p.push(routeTalk); f.Seq != 2 || f.Flags&protocol.FlagJSON != 0 {
		t.Errorf("a damaged message came as %+v", f)
	}
	s.down(link.Down{Kind: link.Kick, Conn: p.session, Code: protocol.DisconnectKicked, Payload: []byte("you know why")})
	var k mmov1.Kick
	kick := protocol.Frame{}
	for kick.Route != protocol.RouteKick {
		record, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		frames, err := p.keys.Opener.Open(record)
		if err != nil {
			t.Fatal(err)
		}
		if kick, _, err = protocol.Next(frames); err != nil {
			t.Fatal(err)
		}
	}
	if saysJSON(t, kick, &k); k.Reason != "you know why" {
		t.Errorf("the kick is %v", &k)
	}
}

func TestSingleRequestInJSONIsAnsweredInJSON(t *testing.T) {
	s := speakingJSON(t, nil)
	p := s.play(1)
	p.push(protocol.RouteZone)
	ask := func(id uint32) []byte {
		return inJSON(protocol.Frame{Type: protocol.TypeRequest, Route: routeKnow, ID: id}, `{"code":1}`)
	}
	p.send(append(append(ask(10), ask(11)...), protocol.AppendRequest(nil, routeKnow, 12, nil)...))
	for range 3 {
		s.up(link.FromClient)
	}
	for id := range uint32(3) {
		s.down(link.Down{Kind: link.ToClient, Conn: p.session, Type: protocol.TypeResponse, Route: routeKnow, ID: 10 + id})
		f := p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypeResponse })
		if json := f.Flags&protocol.FlagJSON != 0; json != (id < 2) {
			t.Errorf("the answer to request %d is %+v", 10+id, f)
		}
	}
	s.down(link.Down{Kind: link.ToClient, Conn: p.session, Type: protocol.TypeResponse, Route: routeKnow, ID: 10}) // again: nobody asked
	if f := p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypeResponse }); f.Flags&protocol.FlagJSON != 0 {
		t.Errorf("an answer that nobody waits for is %+v", f)
	}
}

func TestJSONThatIsNoneIsAnsweredByAnErrorInJSON(t *testing.T) {
	s := speakingJSON(t, nil)
	p := s.play(1)
	for name, c := range map[string]struct {
		text string
		want protocol.ErrorCode
	}{
		"no JSON":          {`{`, protocol.ErrorMalformed},
		"another field":    {`{"colour":1}`, protocol.ErrorMalformed},
		"a key twice":      {`{"code":1,"code":2}`, protocol.ErrorMalformed},
		"deep":             {strings.Repeat(`[`, 10_000), protocol.ErrorMalformed},
		"larger than told": {`{"message":"` + strings.Repeat("a", 5000) + `"}`, protocol.ErrorTooLarge},
		"very large":       {`{"message":"` + strings.Repeat("a", 40_000) + `"}`, protocol.ErrorTooLarge},
	} {
		p.send(inJSON(protocol.Frame{Type: protocol.TypeRequest, Route: routeKnow, ID: 20}, c.text))
		f := p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypeError })
		var e mmov1.Error
		if saysJSON(t, f, &e); protocol.ErrorCode(e.Code) != c.want || f.ID != 20 {
			t.Errorf("%s is answered by %v in %+v, want %v", name, &e, f, c.want)
		}
	}
	if n := s.asked(link.FromClient); n != 0 {
		t.Errorf("%d of them reached the server", n)
	}
}

func TestJSONIsLimitedApart(t *testing.T) {
	s := speakingJSON(t, func(c *gateway.Config) { c.Limits.JSONRate, c.Limits.JSONBurst = 1, 3 })
	p := s.play(1)
	p.push(protocol.RouteZone)
	var five []byte // at one moment: a second later there is room for one more
	for range 5 {
		five = append(five, inJSON(protocol.Frame{Type: protocol.TypePush, Route: routeTalk}, `{}`)...)
	}
	p.send(five)
	var e mmov1.Error
	if saysJSON(t, p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypeError }), &e); protocol.ErrorCode(e.Code) != protocol.ErrorRateLimited {
		t.Errorf("the fourth is answered by %v", &e)
	}
	p.send(protocol.AppendPush(nil, routeTalk, nil))
	for range 4 {
		s.up(link.FromClient)
	}
}

func TestGameWithoutDescriptorsSpeaksNoJSON(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	p := s.connect(true)
	p.send(inJSON(protocol.Frame{Type: protocol.TypeRequest, Route: protocol.RouteLogin, ID: 9}, `{}`))
	if e, f := p.failure(); protocol.ErrorCode(e.Code) != protocol.ErrorMalformed || f.ID != 9 || f.Flags != 0 {
		t.Errorf("%v in %+v", e, f)
	}
	h := hello(t)
	h.Descriptors = []byte{0xFF}
	if err := s.gw.CanServe(h); err == nil || !strings.Contains(err.Error(), `descriptors of server's game "test"`) {
		t.Errorf("damaged descriptors: %v", err)
	}
}

func TestRequestsInJSONThatWaitAreBounded(t *testing.T) {
	s := speakingJSON(t, func(c *gateway.Config) {
		c.FrameRate, c.FrameBurst, c.Limits.JSONRate, c.Limits.JSONBurst = 10_000, 10_000, 10_000, 10_000
	})
	p := s.play(1)
	var b []byte
	for id := range uint32(1025) {
		b = append(b, inJSON(protocol.Frame{Type: protocol.TypeRequest, Route: routeKnow, ID: 100 + id}, `{}`)...)
	}
	p.send(b)
	f := p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypeError })
	var e mmov1.Error
	if saysJSON(t, f, &e); protocol.ErrorCode(e.Code) != protocol.ErrorOverloaded || f.ID != 1124 {
		t.Errorf("one too many is answered by %v in %+v", &e, f)
	}
}

func TestResumeInJSONMakesAJSONConnection(t *testing.T) {
	r := &security.Resumption{Ticket: []byte("a ticket"), Secret: [32]byte{1}}
	k := &tickets{grant: map[string]link.Grant{"a ticket": {Session: 77, Generation: 4, Secret: r.Secret}}}
	s := overLoopback(t, link.PipeConfig{Tickets: k}, nil)
	_ = s.port.Close()
	s.away()
	s.server(described(t))
	<-s.gw.Connected()
	p := s.connect(false)
	p.shake(r)
	p.send(inJSON(protocol.Frame{Type: protocol.TypeControl, Route: protocol.RouteResume}, `{"lastSeq":6}`))
	u := s.up(link.ResumeSession)
	if x, err := link.ParseResumption(u.Payload); err != nil || x.LastSeq != 6 {
		t.Errorf("the server is asked to resume %+v, %v", x, err)
	}
	p.session = u.Conn
	s.opens(p, link.Session{ID: 77, Recovered: true})
	var m mmov1.Resumed
	saysJSON(t, p.frame(func(f protocol.Frame) bool { return f.Route == protocol.RouteResumed }), &m)
	if !m.Recovered {
		t.Errorf("resumed as %v", &m)
	}
}
