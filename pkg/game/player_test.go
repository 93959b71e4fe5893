package game_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"
	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

const (
	routeMove uint16 = 64 // push that waits for its tick
	routeAsk  uint16 = 65 // request: the radius asked for comes back
	routePoke uint16 = 66 // push
)

// story is what the handlers of the tiny game saw.
type story struct {
	told []string
	fail error // what routeAsk and routePoke answer
}

// tiny is a game that only writes down what happens.
func tiny() (*game.Game, *story) {
	s := &story{}
	say := func(format string, args ...any) { s.told = append(s.told, fmt.Sprintf(format, args...)) }
	g := &game.Game{Name: "tiny", Schema: schema(), OnJoin: func(z *game.Zone, p *game.Player) error { say("join %d", p.Session); return nil },
		OnLeave:  func(_ *game.Zone, p *game.Player) { say("leave %d", p.Session) },
		OnLinger: func(_ *game.Zone, p *game.Player) { say("linger %d, %v", p.Session, p.Connected()) },
		OnReturn: func(_ *game.Zone, p *game.Player) { say("return %d, %v", p.Session, p.Connected()) }}
	game.OnPushAt(g, protocol.Route{ID: routeMove, Name: "tiny.move"}, func(m *plainsv1.Move) uint32 { return m.Tick },
		func(z *game.Zone, p *game.Player, m *plainsv1.Move) error {
			say("%d: move %d at %d", p.Session, m.Seq, z.Tick())
			return nil
		})
	game.OnRequest(g, protocol.Route{ID: routeAsk, Name: "tiny.ask"}, func(z *game.Zone, p *game.Player, m *plainsv1.SpectateRequest) (*plainsv1.SpectateResponse, error) {
		return &plainsv1.SpectateResponse{Radius: m.Radius}, s.fail
	})
	game.OnPush(g, protocol.Route{ID: routePoke, Name: "tiny.poke"}, func(z *game.Zone, p *game.Player, m *plainsv1.SpectateRequest) error {
		say("%d: poke %d at %d", p.Session, m.Radius, z.Tick())
		return s.fail
	})
	return g, s
}

func (s *story) want(t *testing.T, lines ...string) {
	t.Helper()
	if !slices.Equal(s.told, lines) {
		t.Errorf("happened:\n%s\nwant:\n%s", strings.Join(s.told, "\n"), strings.Join(lines, "\n"))
	}
	s.told = nil
}

func TestPlayersComeAndGo(t *testing.T) {
	g, s := tiny()
	z := newZone(t, g, game.Config{})
	z.Step([]game.Input{attach(1), attach(2), join(1, 7), join(2, 8), join(1, 9)})
	s.want(t, "join 7", "join 8", "join 9")
	if p := player(t, z, 8); p.ID != 1008 || p.Name != "player 8" || p.Avatar().Alive() {
		t.Errorf("player %+v", p)
	}
	z.Step([]game.Input{leave(7), leave(7), leave(99)})
	s.want(t, "leave 7")
	z.Step([]game.Input{{Kind: game.DetachGateway, Gateway: 1}})
	s.want(t, "linger 9, false")
	if z.PlayerCount() != 2 {
		t.Errorf("%d players, want the one of the other gateway and the one that lingers", z.PlayerCount())
	}
	z.Step([]game.Input{connect(1, 9, 90), connect(2, 99, 91), {Kind: game.Connect, Session: 9, Gateway: 2}}) // to a gateway that is not there, of nobody, no connection
	s.want(t)
	if n := z.Stats().Refused; n != 3 {
		t.Errorf("%d refused, want 3", n)
	}
	z.Step([]game.Input{connect(2, 9, 92), connect(2, 9, 93), disconnect(9), disconnect(9), disconnect(99), connect(2, 9, 94), send(9, routePoke, 0, &plainsv1.SpectateRequest{Radius: 1}), disconnect(9)})
	s.want(t, "return 9, true", "linger 9, false", "return 9, true", "linger 9, false", fmt.Sprintf("9: poke 1 at %d", z.Tick()))
	z.Step([]game.Input{leave(9)})
	s.want(t, "leave 9")
	z.Step([]game.Input{{Kind: game.DetachGateway, Gateway: 5}, {Kind: game.RequestSnapshot, Gateway: 5}})
	s.want(t)
}

func TestJoinThatCannotBeIsRefused(t *testing.T) {
	g, s := tiny()
	z := newZone(t, g, game.Config{})
	z.Step([]game.Input{join(1, 7), attach(1), join(1, 8), join(1, 8)})
	s.want(t, "join 8")
	if z.PlayerCount() != 1 || z.Stats().Refused != 2 {
		t.Errorf("%d players, %d refused; want 1 and 2: an unknown gateway and a session that is here", z.PlayerCount(), z.Stats().Refused)
	}
}

func TestPlayerWhoComesAgainEndsTheOlderSessionWhereverItIs(t *testing.T) {
	var told []string
	say := func(what string) func(z *game.Zone, p *game.Player) {
		return func(z *game.Zone, p *game.Player) {
			told = append(told, fmt.Sprintf("%s %d, %d here", what, p.Session, z.PlayerCount()))
		}
	}
	z := newZone(t, &game.Game{Name: "x", Schema: schema(), OnLeave: say("leave"), OnJoin: func(z *game.Zone, p *game.Player) error {
		say("join")(z, p)
		e, err := z.Spawn(1, 10, 10)
		if err != nil {
			return err
		}
		return z.Control(p, e)
	}}, game.Config{})
	ann := func(gateway uint32, s game.SessionID) game.Input {
		in := join(gateway, s)
		in.Player = 77
		return in
	}
	nobody := func(s game.SessionID) game.Input {
		in := join(1, s)
		in.Player = 0
		return in
	}
	z.Step([]game.Input{attach(1), attach(2), ann(1, 11), nobody(12), nobody(13)})
	out := z.Step([]game.Input{ann(2, 21), ann(1, 14), leave(21), leave(11)}) // the gateways end what was kicked, which is gone by then
	want := []game.Kick{{Session: 11, Code: protocol.DisconnectSuperseded, Reason: "the same player has logged in again"},
		{Session: 21, Code: protocol.DisconnectSuperseded, Reason: "the same player has logged in again"}}
	if !slices.Equal(out.Kicks, want) {
		t.Errorf("kicks %+v, want %+v", out.Kicks, want)
	}
	if got, want := strings.Join(told, "; "), "join 11, 1 here; join 12, 2 here; join 13, 3 here; leave 11, 3 here; join 21, 3 here; leave 21, 3 here; join 14, 3 here"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if z.PlayerCount() != 3 || z.Len() != 3 {
		t.Errorf("%d players with %d avatars, want 3", z.PlayerCount(), z.Len())
	}
	if out = z.Step([]game.Input{leave(14), ann(2, 22)}); len(out.Kicks) != 0 || z.PlayerCount() != 3 {
		t.Errorf("kicks %+v of somebody who has left before", out.Kicks)
	}
}

func TestJoinThatTheGameRefusesLeavesNothing(t *testing.T) {
	left := 0
	z := newZone(t, &game.Game{Name: "closed", Schema: schema(), OnJoin: func(z *game.Zone, p *game.Player) error {
		e, err := z.Spawn(1, 10, 10)
		if err != nil {
			return err
		}
		if err := z.Control(p, e); err != nil {
			return err
		}
		if _, err := z.Spectate(p, 1000); err != nil {
			return err
		}
		return errors.New("the house is closed")
	},
		OnLeave: func(*game.Zone, *game.Player) { left++ }}, game.Config{})
	out := z.Step([]game.Input{attach(1), join(1, 7)})
	want := []game.Kick{{Session: 7, Code: protocol.DisconnectKicked, Reason: "the house is closed"}}
	if !slices.Equal(out.Kicks, want) {
		t.Errorf("kicks %+v, want %+v", out.Kicks, want)
	}
	if z.PlayerCount() != 0 || z.Len() != 0 || z.Seen(7) != 0 || left != 0 {
		t.Errorf("%d players, %d entities, %d seen, %d times OnLeave; want nothing", z.PlayerCount(), z.Len(), z.Seen(7), left)
	}
	if out = z.Step(nil); len(out.Kicks) != 0 || len(out.Messages) != 0 {
		t.Errorf("the next tick says it again: %+v", out)
	}
}

func TestAvatarGoesWithItsPlayerAfterOnLeave(t *testing.T) {
	var atLeave bool
	z := newZone(t, &game.Game{Name: "x", Schema: schema(), OnJoin: func(z *game.Zone, p *game.Player) error {
		e, err := z.Spawn(1, 10, 10)
		if err != nil {
			return err
		}
		return z.Control(p, e)
	},
		OnLeave: func(_ *game.Zone, p *game.Player) { atLeave = p.Avatar().Alive() }}, game.Config{})
	out := z.Step([]game.Input{attach(1), join(1, 7)})
	if len(out.Messages) != 1 || out.Messages[0].Route != protocol.RouteAvatar || out.Messages[0].Type != protocol.TypePush {
		t.Fatalf("messages %+v, want the avatar", out.Messages)
	}
	var m mmov1.Avatar
	if err := proto.Unmarshal(out.Messages[0].Payload, &m); err != nil || m.Entity != uint64(player(t, z, 7).Avatar().ID()) || m.Zone != 1 {
		t.Errorf("avatar %v, %v", &m, err)
	}
	z.Step([]game.Input{leave(7)})
	if !atLeave || z.Len() != 0 {
		t.Errorf("avatar alive in OnLeave: %v; %d entities left, want none", atLeave, z.Len())
	}
}

func TestMailboxWaitsForTheTickThatIsNamed(t *testing.T) {
	for _, first := range []uint32{1, 1000, math.MaxUint32 - 4, math.MaxUint32, 1 << 31} { // the third and fourth wrap within the test
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			g, s := tiny()
			z := newZone(t, g, game.Config{FirstTick: first, MaxAhead: 6})
			z.Step([]game.Input{attach(1), join(1, 7)})
			if z.Tick() != first {
				t.Fatalf("the first tick is %d, want %d", z.Tick(), first)
			}
			s.told = nil
			now := first + 1
			in := []game.Input{
				send(7, routeMove, 0, &plainsv1.Move{Seq: 1, Tick: now - 5}),       // past: at once
				send(7, routeMove, 0, &plainsv1.Move{Seq: 2, Tick: now}),           // now
				send(7, routeMove, 0, &plainsv1.Move{Seq: 3, Tick: now + 3}),       // ahead
				send(7, routePoke, 0, &plainsv1.SpectateRequest{Radius: 4}),        // waits behind
				send(7, routeMove, 0, &plainsv1.Move{Seq: 5, Tick: now + 1}),       // its tick passes while it waits
				send(7, routeMove, 0, &plainsv1.Move{Seq: 6, Tick: now + 1000}),    // as far ahead as may be
				send(7, routeMove, 0, &plainsv1.Move{Seq: 7, Tick: now + 1<<31}),   // so far that it counts as past
				send(7, routeMove, 0, &plainsv1.Move{Seq: 8, Tick: now + 1<<31/2}), // another very far
			}
			for range 10 {
				z.Step(in)
				in = nil
			}
			s.want(t, fmt.Sprintf("7: move 1 at %d", now), fmt.Sprintf("7: move 2 at %d", now),
				fmt.Sprintf("7: move 3 at %d", now+3), fmt.Sprintf("7: poke 4 at %d", now+3), fmt.Sprintf("7: move 5 at %d", now+3),
				fmt.Sprintf("7: move 6 at %d", now+6), fmt.Sprintf("7: move 7 at %d", now+6), fmt.Sprintf("7: move 8 at %d", now+6))
		})
	}
}

func TestMailboxesAreServedInOrderOfJoining(t *testing.T) {
	g, s := tiny()
	z := newZone(t, g, game.Config{})
	z.Step([]game.Input{attach(1), join(1, 9), join(1, 3)})
	s.told = nil
	poke := func(p game.SessionID, n uint32) game.Input {
		return send(p, routePoke, 0, &plainsv1.SpectateRequest{Radius: n})
	}
	z.Step([]game.Input{poke(3, 1), poke(9, 2), poke(3, 3), poke(9, 4)})
	s.want(t, "9: poke 2 at 2", "9: poke 4 at 2", "3: poke 1 at 2", "3: poke 3 at 2")
	z.Step([]game.Input{send(9, routeMove, 0, &plainsv1.Move{Tick: 9}), leave(9)})
	for range 9 {
		z.Step(nil)
	}
	s.want(t, "leave 9") // what waits goes with its player
}

func TestFullMailboxIsAnsweredAndHurtsNobodyElse(t *testing.T) {
	g, s := tiny()
	z := newZone(t, g, game.Config{Mailbox: 3})
	z.Step([]game.Input{attach(1), attach(2), join(1, 7), join(2, 8)})
	s.told = nil
	ahead := send(7, routeMove, 0, &plainsv1.Move{Seq: 1, Tick: z.Tick() + 4})
	out := z.Step([]game.Input{ahead, ahead, ahead, ahead, send(7, routeAsk, 77, &plainsv1.SpectateRequest{}), send(8, routePoke, 0, &plainsv1.SpectateRequest{})})
	s.want(t, "8: poke 0 at 2")
	if len(out.Messages) != 2 || z.Stats().Refused != 2 {
		t.Fatalf("messages %+v, %d refused; want two refusals", out.Messages, z.Stats().Refused)
	}
	for i, id := range []uint32{0, 77} {
		m := out.Messages[i]
		if code, text := failure(t, m); code != protocol.ErrorOverloaded || !strings.Contains(text, "3 messages are waiting") || m.ID != id || m.Session != 7 || m.Numbered != (id != 0) {
			t.Errorf("refusal %d: %s %q in %+v", i, code, text, m)
		}
	}
	for range 3 {
		z.Step(nil)
	}
	if len(s.told) != 3 {
		t.Errorf("%q, want the three that waited", s.told)
	}
	if out = z.Step([]game.Input{send(7, routeAsk, 78, &plainsv1.SpectateRequest{Radius: 5})}); len(out.Messages) != 1 || out.Messages[0].Type != protocol.TypeResponse {
		t.Errorf("there is room again, but the answer is %+v", out.Messages)
	}
}

func TestWhatHandlersReturnReachesTheClientInItsType(t *testing.T) {
	g, s := tiny()
	z := newZone(t, g, game.Config{})
	z.Step([]game.Input{attach(1), join(1, 7)})
	refusal := &game.Error{Code: 1001, Message: "not in this mood"}
	for _, c := range []struct {
		name string
		fail error
		in   game.Input
		code protocol.ErrorCode // of the error reply; 0: none
		say  string
	}{
		{"request, done", nil, send(7, routeAsk, 5, &plainsv1.SpectateRequest{Radius: 12}), 0, ""},
		{"push, done", nil, send(7, routePoke, 0, &plainsv1.SpectateRequest{}), 0, ""},
		{"request, refused", refusal, send(7, routeAsk, 5, &plainsv1.SpectateRequest{}), 1001, "not in this mood"},
		{"request, refused and wrapped", fmt.Errorf("ask: %w", refusal), send(7, routeAsk, 5, &plainsv1.SpectateRequest{}), 1001, "not in this mood"},
		{"request, refused in text that is none", &game.Error{Code: 1002, Message: "caf\xff"}, send(7, routeAsk, 5, &plainsv1.SpectateRequest{}), 1002, "caf?"},
		{"push, refused", refusal, send(7, routePoke, 0, &plainsv1.SpectateRequest{}), 1001, "not in this mood"},
		{"request, failed", errors.New("secret: disk 3"), send(7, routeAsk, 5, &plainsv1.SpectateRequest{}), protocol.ErrorInternal, "the request failed"},
		{"push, failed", errors.New("secret: disk 3"), send(7, routePoke, 0, &plainsv1.SpectateRequest{}), 0, ""},
		{"malformed request", nil, game.Input{Kind: game.Receive, Session: 7, Route: routeAsk, ID: 5, Payload: []byte{0xFF}}, protocol.ErrorMalformed, "tiny.ask"},
		{"malformed push", nil, game.Input{Kind: game.Receive, Session: 7, Route: routePoke, Payload: []byte{0xFF}}, protocol.ErrorMalformed, "tiny.poke"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.fail = c.fail
			before := z.Stats().Refused
			out := z.Step([]game.Input{c.in})
			wrong := c.fail != nil || c.code != 0
			if refused := z.Stats().Refused - before; refused != 0 != wrong {
				t.Errorf("%d counted as refused", refused)
			}
			switch {
			case c.code != 0:
				if len(out.Messages) != 1 {
					t.Fatalf("messages %+v, want an error", out.Messages)
				}
				m := out.Messages[0]
				if code, text := failure(t, m); code != c.code || !strings.Contains(text, c.say) || strings.Contains(text, "secret") || m.Route != c.in.Route || m.ID != c.in.ID {
					t.Errorf("error %d %q in %+v, want %d %q", code, text, m, c.code, c.say)
				}
			case c.in.ID != 0:
				var r plainsv1.SpectateResponse
				if len(out.Messages) != 1 || out.Messages[0].Type != protocol.TypeResponse || out.Messages[0].ID != 5 ||
					proto.Unmarshal(out.Messages[0].Payload, &r) != nil || r.Radius != 12 {
					t.Errorf("messages %+v, want the response", out.Messages)
				}
			case len(out.Messages) != 0:
				t.Errorf("a push was answered: %+v", out.Messages)
			}
		})
	}
}

func TestReplyAboveItsRoutesBoundIsNotSent(t *testing.T) {
	g := &game.Game{Name: "talkative", Schema: schema()}
	game.OnRequest(g, protocol.Route{ID: 70, Name: "talkative.ask", MaxBytes: 10}, func(_ *game.Zone, _ *game.Player, m *wrapperspb.UInt32Value) (*wrapperspb.StringValue, error) {
		return wrapperspb.String(strings.Repeat("x", int(m.Value))), nil
	})
	z := newZone(t, g, game.Config{})
	out := z.Step([]game.Input{attach(1), join(1, 7), send(7, 70, 1, wrapperspb.UInt32(8)), send(7, 70, 2, wrapperspb.UInt32(9))})
	if len(out.Messages) != 2 || out.Messages[0].Type != protocol.TypeResponse || len(out.Messages[0].Payload) != 10 {
		t.Fatalf("messages %+v, want a response of 10 bytes and a refusal", out.Messages)
	}
	if code, _ := failure(t, out.Messages[1]); code != protocol.ErrorInternal || out.Messages[1].ID != 2 {
		t.Errorf("the longer one was answered by %s in %+v", code, out.Messages[1])
	}
}

func TestMessageFromNobodyIsIgnored(t *testing.T) {
	g, s := tiny()
	z := newZone(t, g, game.Config{})
	out := z.Step([]game.Input{attach(1), send(7, routePoke, 0, &plainsv1.SpectateRequest{}), send(7, routeAsk, 1, &plainsv1.SpectateRequest{})})
	if len(out.Messages) != 0 || z.Stats().Refused != 2 {
		t.Errorf("messages %+v, %d refused", out.Messages, z.Stats().Refused)
	}
	z.Step([]game.Input{join(1, 7), send(7, 999, 0, &plainsv1.SpectateRequest{})})
	s.want(t, "join 7")
	if z.Stats().Refused != 3 {
		t.Errorf("%d refused, want the unknown route too", z.Stats().Refused)
	}
	panics(t, "unknown kind 99", func() { z.Step([]game.Input{{Kind: 99}}) })
}

func TestRightsAreThoseOfTheToken(t *testing.T) {
	g, _ := tiny()
	z := newZone(t, g, game.Config{})
	in := join(1, 7)
	in.Rights = []string{"spectate"}
	z.Step([]game.Input{attach(1), in, join(1, 8)})
	if !player(t, z, 7).Has("spectate") || player(t, z, 7).Has("ban") || player(t, z, 8).Has("spectate") {
		t.Error("rights went to the wrong player")
	}
}

// TestPanicOfTheGameEndsOnlyItsCall: in a handler, when somebody joins, when somebody leaves.
func TestPanicOfTheGameEndsOnlyItsCall(t *testing.T) {
	g := &game.Game{Name: "x", Schema: schema(),
		OnJoin: func(_ *game.Zone, p *game.Player) error {
			if p.Session == 13 {
				panic("unlucky")
			}
			return nil
		},
		OnLeave: func(*game.Zone, *game.Player) { panic("no goodbyes") },
	}
	game.OnRequest(g, protocol.Route{ID: 64, Name: "x.ask"}, func(_ *game.Zone, _ *game.Player, m *plainsv1.SpectateRequest) (*plainsv1.SpectateResponse, error) {
		if m.Radius == 0 {
			panic(fmt.Errorf("radius %d", m.Radius))
		}
		return &plainsv1.SpectateResponse{Radius: m.Radius}, nil
	})
	z := newZone(t, g, game.Config{})
	out := z.Step([]game.Input{attach(1), join(1, 7), join(1, 13)})
	if len(out.Kicks) != 1 || out.Kicks[0].Session != 13 || strings.Contains(out.Kicks[0].Reason, "unlucky") || z.PlayerCount() != 1 {
		t.Errorf("kicks %+v, %d players; want only session 13 gone, without the panic's words", out.Kicks, z.PlayerCount())
	}
	if len(out.Panics) != 1 || out.Panics[0].Where != "OnJoin" || out.Panics[0].Value != "unlucky" || !strings.Contains(string(out.Panics[0].Stack), "player_test.go") {
		t.Errorf("panics %+v", out.Panics)
	}
	out = z.Step([]game.Input{send(7, 64, 1, &plainsv1.SpectateRequest{}), send(7, 64, 2, &plainsv1.SpectateRequest{Radius: 5})})
	if len(out.Messages) != 2 || out.Messages[1].Type != protocol.TypeResponse {
		t.Fatalf("answers %+v, want an error and a response", out.Messages)
	}
	if code, text := failure(t, out.Messages[0]); code != protocol.ErrorInternal || strings.Contains(text, "radius") {
		t.Errorf("the caller is told %v %q", code, text)
	}
	out = z.Step([]game.Input{leave(7)})
	if z.PlayerCount() != 0 || len(out.Panics) != 1 || out.Panics[0].Where != "OnLeave" || z.Stats().Panics != 3 {
		t.Errorf("%d players, panics %+v, %d counted", z.PlayerCount(), out.Panics, z.Stats().Panics)
	}
}
