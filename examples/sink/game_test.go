package sink_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"
	pb "github.com/tianxia-mmo/tianxia/proto_define/sink/v1"

	"github.com/tianxia-mmo/tianxia/examples/sink/bind"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// table is a zone of a game with one gateway and one player, whose messages go in by hand.
type table struct {
	*testing.T
	z *game.Zone
}

func sit(t *testing.T, g *bind.Game) *table {
	t.Helper()
	z, err := game.NewZone(g.Define(), game.Config{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	tb := &table{t, z}
	tb.step(game.Input{Kind: game.AttachGateway, Gateway: 1}, game.Input{Kind: game.Join, Gateway: 1, Session: 7, Conn: 7, Player: 1001, Name: "Ann"})
	return tb
}

func (t *table) step(in ...game.Input) *game.Outputs { return t.z.Step(in) }

// send steps the zone with a message, and returns what it sent back.
func (t *table) send(route uint16, id uint32, m proto.Message) []game.Message {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(t.step(game.Input{Kind: game.Receive, Session: 7, Route: route, ID: id, Payload: b}).Messages)
}

func (t *table) player() *game.Player {
	for p := range t.z.Players {
		return p
	}
	t.Fatal("no player")
	return nil
}

func refusal(t *testing.T, out []game.Message) *mmov1.Error {
	t.Helper()
	var e mmov1.Error
	if len(out) != 1 || out[0].Type != protocol.TypeError {
		t.Fatalf("%d messages, want one error", len(out))
	}
	if err := proto.Unmarshal(out[0].Payload, &e); err != nil {
		t.Fatal(err)
	}
	return &e
}

func TestWhoJoinsGetsTheAvatarInTheMiddleOfTheZone(t *testing.T) {
	g := bind.NewGame()
	var joined bind.Hero
	g.OnJoin(func(_ *game.Zone, p *game.Player, h bind.Hero) error {
		joined = h
		if p.Avatar() != h.Entity {
			t.Error("the avatar is not the player's yet")
		}
		return nil
	})
	tb := sit(t, g)
	c := tb.z.Config()
	if x, z := joined.Flat().QPos(); x != c.Width/2 || z != c.Height/2 {
		t.Errorf("at %d, %d", x, z)
	}
	for h := range bind.Heroes(tb.z) {
		if h != joined {
			t.Error("another hero")
		}
	}
}

func TestWithoutOnJoinPlayersGetTheAvatarAllTheSame(t *testing.T) {
	tb := sit(t, bind.NewGame())
	if _, ok := bind.HeroOf(tb.player().Avatar()); !ok {
		t.Error("no avatar")
	}
	if _, ok := bind.BirdOf(tb.player().Avatar()); ok {
		t.Error("a hero is no bird")
	}
	if _, ok := bind.HeroOf(game.Entity{}); ok {
		t.Error("nobody is no hero")
	}
}

func TestOnJoinThatFailsRefusesThePlayer(t *testing.T) {
	g := bind.NewGame()
	g.OnJoin(func(*game.Zone, *game.Player, bind.Hero) error { return errors.New("full") })
	tb := sit(t, g)
	if tb.z.PlayerCount() != 0 || tb.z.Len() != 0 {
		t.Errorf("%d players, %d entities", tb.z.PlayerCount(), tb.z.Len())
	}
}

func TestInputsMustBeNewerAndAreReported(t *testing.T) {
	g := bind.NewGame()
	var got []uint32
	g.OnStep(func(_ *game.Zone, _ *game.Player, h bind.Hero, m *pb.Step) error {
		h.Flat().SetQVel(m.Vx, m.Vz)
		got = append(got, m.Seq)
		return nil
	})
	g.OnCount(func(_ *game.Zone, _ *game.Player, _ bind.Hero, m *pb.Count) error {
		got = append(got, m.Number)
		return nil
	})
	tb := sit(t, g)
	tb.send(bind.RouteStep, 0, &pb.Step{Seq: 1, Tick: tb.z.Tick(), Vx: 3})
	tb.send(bind.RouteStep, 0, &pb.Step{Seq: 5, Tick: tb.z.Tick() + 3})
	if len(got) != 1 {
		t.Errorf("inputs %v: one came before its tick", got)
	}
	tb.step()
	tb.step()
	e := refusal(t, tb.send(bind.RouteStep, 0, &pb.Step{Seq: 5}))
	if protocol.ErrorCode(e.Code) != protocol.ErrorMalformed || !strings.Contains(e.Message, "sink.step: input 5 is not newer") {
		t.Error(e)
	}
	tb.send(bind.RouteCount, 0, &pb.Count{Number: 6})
	refusal(t, tb.send(bind.RouteCount, 0, &pb.Count{Number: 6}))
	if !slices.Equal(got, []uint32{1, 5, 6}) || tb.player().InputSeq != 6 {
		t.Errorf("inputs %v, the last is %d", got, tb.player().InputSeq)
	}
}

func TestWithoutALivingAvatarHandlersAreNotCalled(t *testing.T) {
	g := bind.NewGame()
	g.OnWave(func(*game.Zone, *game.Player, bind.Hero, *pb.Wave) error { t.Error("called"); return nil })
	g.OnAsk(func(*game.Zone, *game.Player, bind.Hero, *pb.AskRequest) (*pb.AskResponse, error) {
		t.Error("called")
		return nil, nil
	})
	tb := sit(t, g)
	tb.z.Edit(func() { tb.z.Despawn(tb.player().Avatar()) })
	for _, out := range [][]game.Message{tb.send(bind.RouteWave, 0, &pb.Wave{}), tb.send(bind.RouteAsk, 3, &pb.AskRequest{})} {
		if e := refusal(t, out); protocol.ErrorCode(e.Code) != protocol.ErrorWrongState || !strings.Contains(e.Message, "there is no living avatar") {
			t.Error(e)
		}
	}
}

func TestRequestsAreAnsweredAndServerMessagesArrive(t *testing.T) {
	g := bind.NewGame()
	g.OnAsk(func(z *game.Zone, p *game.Player, h bind.Hero, m *pb.AskRequest) (*pb.AskResponse, error) {
		if m.What == 0 {
			return nil, &game.Error{Code: 1000, Message: "nothing asked"}
		}
		return &pb.AskResponse{Answer: "yes"}, errors.Join(bind.PushScore(z, p, &pb.Score{Points: 3}), bind.EmitHit(z, h, &pb.Hit{Damage: 4}),
			bind.PushRefused(z, p, &pb.Refused{Reason: "no"}))
	})
	tb := sit(t, g)
	if e := refusal(t, tb.send(bind.RouteAsk, 3, &pb.AskRequest{})); e.Code != 1000 {
		t.Error(e)
	}
	var told []string
	pushes := &bind.Pushes{Score: func(m *pb.Score) { told = append(told, m.String()) }}
	events := tb.z.Stats().Events
	out := tb.send(bind.RouteAsk, 4, &pb.AskRequest{What: 1})
	for _, m := range out[:len(out)-1] {
		if known, err := pushes.Dispatch(m.Route, m.Payload); !known || err != nil {
			t.Errorf("route %d: known %v, %v", m.Route, known, err)
		}
	}
	var reply pb.AskResponse
	last := out[len(out)-1]
	if err := proto.Unmarshal(last.Payload, &reply); err != nil || last.Type != protocol.TypeResponse || reply.Answer != "yes" {
		t.Errorf("%v %v, %v", last.Type, &reply, err)
	}
	if events = tb.z.Stats().Events - events; len(out) != 3 || len(told) != 1 || events != 1 { // the hit goes to gateways, which know who sees it
		t.Errorf("%d messages, told %v, %d events", len(out), told, events)
	}
}

func TestDispatchTellsWhatItDoesNotKnowOrCannotParse(t *testing.T) {
	p := &bind.Pushes{Hit: func(*pb.Hit) { t.Error("called") }}
	if known, err := p.Dispatch(bind.RouteStep, nil); known || err != nil {
		t.Errorf("a route of clients: %v, %v", known, err)
	}
	if known, err := p.Dispatch(bind.RouteHit, []byte{0xff}); !known || err == nil {
		t.Errorf("garbage: %v, %v", known, err)
	}
}

func TestRoutesAreTheSchemas(t *testing.T) {
	r, err := bind.NewGame().Routes()
	if err != nil {
		t.Fatal(err)
	}
	wave, ok := r.Lookup(bind.RouteWave)
	if !ok || wave.Name != "sink.wave" || wave.Rate != 2 || wave.Burst != 4 || wave.Cost != 2 || !wave.Idempotent || wave.Affinity != protocol.Zone {
		t.Errorf("%+v", wave)
	}
	if hit, _ := r.Lookup(bind.RouteHit); hit.Delivery != protocol.AOIEvent || hit.Direction != protocol.ServerToClient {
		t.Errorf("%+v", hit)
	}
}

// caller remembers what was called, and answers.
type caller struct {
	route uint16
	sent  proto.Message
	err   error
}

func (c *caller) Push(route uint16, m proto.Message) error {
	c.route, c.sent = route, m
	return c.err
}

func (c *caller) Request(_ context.Context, route uint16, m, reply proto.Message) error {
	reply.(*pb.AskResponse).Answer = "42"
	return c.Push(route, m)
}

var _ protocol.Caller = (*client.Client)(nil)

func TestClientCalls(t *testing.T) {
	c := &caller{}
	if err := bind.SendStep(c, &pb.Step{Seq: 3}); err != nil || c.route != bind.RouteStep || c.sent.(*pb.Step).Seq != 3 {
		t.Errorf("%v, %v", c, err)
	}
	if r, err := bind.CallAsk(context.Background(), c, &pb.AskRequest{}); err != nil || r.Answer != "42" || c.route != bind.RouteAsk {
		t.Errorf("%v, %v", r, err)
	}
	c.err = errors.New("gone")
	if r, err := bind.CallAsk(context.Background(), c, &pb.AskRequest{}); !errors.Is(err, c.err) || r != nil {
		t.Errorf("%v, %v", r, err)
	}
}
