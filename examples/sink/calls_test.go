package sink_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"
	pb "github.com/tianxia-mmo/tianxia/proto_define/sink/v1"

	"github.com/tianxia-mmo/tianxia/examples/sink/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// loop is a zone whose calls come back to itself, as a server hands them about between zones.
type loop struct {
	*testing.T
	z    *game.Zone
	next []game.Input
}

func turn(t *testing.T, g *bind.Game, cfg game.Config) *loop {
	t.Helper()
	z, err := game.NewZone(g.Define(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := &loop{T: t, z: z}
	l.step(game.Input{Kind: game.AttachGateway, Gateway: 1}, game.Input{Kind: game.Join, Gateway: 1, Session: 7, Conn: 7, Player: 1001, Name: "Ann"})
	return l
}

// step makes a tick of what has come, and of what calls have brought since the last one.
func (l *loop) step(in ...game.Input) *game.Outputs {
	out := l.z.Step(append(l.next, in...))
	l.next = nil
	for _, a := range out.Asks {
		l.next = append(l.next, game.Input{Kind: game.Ask, Zone: 1, Number: a.Number, Entity: a.Entity, From: a.From, Route: a.Route, Payload: a.Payload})
	}
	for _, a := range out.Answers {
		done := game.Input{Kind: game.Done, Number: a.Number, Payload: a.Payload}
		if a.Err != nil {
			done.Code, done.Text = game.Failure(a.Err)
		}
		l.next = append(l.next, done)
	}
	return out
}

// message is an input of the player's.
func message(t *testing.T, route uint16, id uint32, m proto.Message) game.Input {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return game.Input{Kind: game.Receive, Session: 7, Route: route, ID: id, Payload: b}
}

func TestEntitiesCallEachOtherAndRequestsAreAnsweredWithWhatComesOfIt(t *testing.T) {
	g := bind.NewGame()
	var bird bind.Bird
	var hero bind.Hero
	g.Setup = func(z *game.Zone) (err error) {
		bird, err = bind.SpawnBirdQ(z, 10, 10)
		return err
	}
	g.OnJoin(func(_ *game.Zone, _ *game.Player, h bind.Hero) error { hero = h; return nil })
	g.OnStrike(func(_ *game.Zone, b bind.Bird, from game.Caller, m *pb.Strike) (*pb.Struck, error) {
		if b != bird || from.Entity != hero.ID() || from.Session != 7 {
			t.Errorf("%v is called by %+v", b, from)
		}
		if m.Damage < 0 {
			return nil, &game.Error{Code: 1002, Message: "that would heal"}
		}
		return &pb.Struck{Left: 100 - m.Damage}, nil
	})
	target := func() game.EntityID { return bird.ID() }
	g.OnAskLater(func(z *game.Zone, p *game.Player, h bind.Hero, m *pb.AskRequest, reply game.Reply[*pb.AskResponse]) error {
		if m.What == 13 {
			return &game.Error{Code: 1003, Message: "not that one"}
		}
		return bind.AskStrike(z, h, target(), &pb.Strike{Damage: int32(m.What) - 50}, game.Async{Player: p}, func(s *pb.Struck, err error) {
			if err != nil {
				reply.Fail(err)
				return
			}
			if err := reply.Send(&pb.AskResponse{Answer: strings.Repeat("|", int(s.Left))}); err != nil {
				t.Error(err)
			}
		})
	})
	l := turn(t, g, game.Config{})
	ask := func(what uint32) game.Message {
		var all []game.Message
		all = append(all, l.step(message(t, bind.RouteAsk, 3, &pb.AskRequest{What: what})).Messages...)
		for range 3 {
			all = append(all, l.step().Messages...)
		}
		if len(all) != 1 || all[0].ID != 3 {
			t.Fatalf("%d messages", len(all))
		}
		return all[0]
	}
	var answer pb.AskResponse
	if m := ask(53); m.Type != protocol.TypeResponse || proto.Unmarshal(m.Payload, &answer) != nil || len(answer.Answer) != 97 {
		t.Errorf("%v %v", m.Type, &answer)
	}
	for _, c := range []struct {
		what uint32
		code protocol.ErrorCode
		say  string
	}{{1, 1002, "heal"}, {13, 1003, "not that one"}} {
		if e := refusal(t, []game.Message{ask(c.what)}); protocol.ErrorCode(e.Code) != c.code || !strings.Contains(e.Message, c.say) {
			t.Error(e)
		}
	}
	target = func() game.EntityID { return hero.ID() }
	if e := refusal(t, []game.Message{ask(60)}); !strings.Contains(e.Message, "sink.strike: entity ") || !strings.Contains(e.Message, "is no Bird") {
		t.Error(e)
	}
	target = func() game.EntityID { return bird.ID() }
	l.z.Step([]game.Input{{Kind: game.Leave, Session: 7}, {Kind: game.Join, Gateway: 1, Session: 7, Conn: 7, Player: 1001}})
	if m := ask(60); m.Type != protocol.TypeResponse {
		t.Error("after another login nobody answers")
	}
}

func TestCallsWithoutReplyTellThatTheyWereDone(t *testing.T) {
	g := bind.NewGame()
	var nudged int32
	g.OnNudge(func(_ *game.Zone, e game.Entity, from game.Caller, m *pb.Nudge) error {
		if m.By == 0 {
			return errors.New("by nothing")
		}
		if from != (game.Caller{}) {
			t.Errorf("called by %+v, not by the zone", from)
		}
		nudged += m.By
		return nil
	})
	var came []error
	g.OnWave(func(z *game.Zone, _ *game.Player, h bind.Hero, _ *pb.Wave) error {
		note := func(err error) { came = append(came, err) }
		return errors.Join(bind.AskNudge(z, nil, h.ID(), &pb.Nudge{By: 3}, game.Async{}, note), bind.AskNudge(z, nil, h.ID(), &pb.Nudge{By: 4}, game.Async{}, nil),
			bind.AskNudge(z, nil, h.ID(), &pb.Nudge{}, game.Async{}, note))
	})
	l := turn(t, g, game.Config{})
	l.step(message(t, bind.RouteWave, 0, &pb.Wave{}))
	for range 3 {
		l.step()
	}
	if nudged != 7 || len(came) != 2 || came[0] != nil || came[1] == nil {
		t.Errorf("nudged by %d, told %v", nudged, came)
	}
}

func TestCommandsOfAGameWorkWithoutAvatarOrSession(t *testing.T) {
	g := bind.NewGame()
	g.OnGrant(func(z *game.Zone, p *game.Player, m *pb.GrantRequest) (*pb.GrantResponse, error) {
		e, ok := z.Entity(game.EntityID(m.Entity))
		if !ok {
			return nil, &game.Error{Code: 1004, Message: p.Name + " grants nobody anything"}
		}
		bind.Flat(e).SetStamina(m.Points)
		return &pb.GrantResponse{Points: m.Points}, nil
	})
	l := turn(t, g, game.Config{})
	var own game.Entity
	for p := range l.z.Players {
		own = p.Avatar()
	}
	grant := message(t, bind.RouteGrant, 4, &pb.GrantRequest{Entity: uint64(own.ID()), Points: 9})
	if e := refusal(t, append([]game.Message(nil), l.step(grant).Messages...)); protocol.ErrorCode(e.Code) != protocol.ErrorNotAllowed || !strings.Contains(e.Message, `sink.grant needs the right "gm"`) {
		t.Error(e)
	}
	grant.Kind, grant.Session, grant.Name, grant.Rights = game.Operate, 0, "ops", []string{"gm"}
	out := l.step(grant)
	var done pb.GrantResponse
	if len(out.Operated) != 1 || out.Operated[0].Err != nil || proto.Unmarshal(out.Operated[0].Payload, &done) != nil || done.Points != 9 || len(out.Audits) != 1 || out.Audits[0].Name != "sink.grant" {
		t.Fatalf("%+v %+v", out.Operated, out.Audits)
	}
	if s := g.Arguments(out.Audits[0].Route, out.Audits[0].Payload); !strings.Contains(s, `"points":9}`) {
		t.Errorf("on record is %s", s)
	}
	if bind.Flat(own).Stamina() != 9 {
		t.Error("nothing was granted")
	}
	grant.Payload = nil
	if out := l.step(grant); len(out.Operated) != 1 || !strings.Contains(out.Operated[0].Err.Error(), "ops grants nobody anything") || out.Audits[0].Err == "" {
		t.Errorf("%+v %+v", out.Operated, out.Audits)
	}
}

func TestWhoDiesComesBackWithAnotherAvatarInTheMiddleOfTheZone(t *testing.T) {
	g := bind.NewGame()
	var first, second bind.Hero
	g.OnJoin(func(_ *game.Zone, _ *game.Player, h bind.Hero) error { first = h; return nil })
	g.OnRespawn(func(_ *game.Zone, p *game.Player, h bind.Hero) error {
		if p.Avatar() != h.Entity {
			t.Error("the avatar is not the player's yet")
		}
		second = h
		return nil
	})
	g.OnWave(func(z *game.Zone, _ *game.Player, h bind.Hero, _ *pb.Wave) error { z.Die(h, 0, 2); return nil })
	l := turn(t, g, game.Config{X: 32000, Y: -6400, Width: 64000, Height: 32000})
	if x, y := first.Position(); x != 64000 || y != 9600 {
		t.Errorf("joined at %d, %d", x, y)
	}
	l.step(message(t, bind.RouteWave, 0, &pb.Wave{}))
	for range 4 {
		l.step()
	}
	if x, y := second.Position(); first.Alive() || x != 64000 || y != 9600 {
		t.Errorf("the first lives: %v; the second is at %d, %d", first.Alive(), x, y)
	}
}

func TestWhatTheServerSendsReachesThoseForWhomItIs(t *testing.T) {
	g := bind.NewGame()
	g.OnWave(func(z *game.Zone, p *game.Player, h bind.Hero, _ *pb.Wave) error {
		z.JoinGroup(p, 5)
		return errors.Join(bind.BroadcastScore(z, &pb.Score{Points: 1}), bind.EmitRefused(z, h, &pb.Refused{Seq: 2}), bind.PushChatToGroup(z, 5, &pb.Chat{Text: "hi"}))
	})
	l := turn(t, g, game.Config{})
	l.step() // it sees itself
	out := l.step(message(t, bind.RouteWave, 0, &pb.Wave{}))
	var e mmov1.Error
	for _, m := range out.Messages {
		if m.Type == protocol.TypeError && proto.Unmarshal(m.Payload, &e) == nil {
			t.Fatal(&e)
		}
	}
	if len(out.Messages) != 2 || out.Messages[0].Route != bind.RouteScore || out.Messages[1].Route != bind.RouteRefused {
		t.Errorf("messages %+v", out.Messages)
	}
	if len(out.Groups) != 2 || !out.Groups[0].Join || out.Groups[1].Message.Route != bind.RouteChat || out.Groups[1].Group != 5 {
		t.Errorf("groups %+v", out.Groups)
	}
}
