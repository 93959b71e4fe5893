package game_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

const fullTurn = 1024

// schema is that of tests: kinds 1 to deltatest.Plain have a place, a heading and health.
func schema() game.Schema { return game.Schema{Codec: deltatest.Codec()} }

func setHP(e game.Entity, hp int) { e.Cell(deltatest.Vitals).Set(0, delta.AOI, uint32(hp)) }

func setYaw(e game.Entity, yaw int) {
	e.Cell(deltatest.Transform).Set(4, delta.AOI, uint32(yaw&(fullTurn-1)))
}

// stateOf is the entity's state as the zone has it.
func stateOf(e game.Entity) (s deltatest.State) {
	s.X, s.Z = e.Position()
	s.VX, s.VZ = e.Velocity()
	s.Yaw, s.HP = e.Cell(deltatest.Transform).W(4), int32(e.Cell(deltatest.Vitals).W(0))
	return s
}

// newZone makes a zone of a game that is nothing but its setup.
func newZone(t testing.TB, g *game.Game, cfg game.Config) *game.Zone {
	t.Helper()
	z, err := game.NewZone(g, cfg)
	if err != nil {
		t.Fatal(err)
	}
	game.Hold(z)
	return z
}

func attach(gateway uint32) game.Input {
	return game.Input{Kind: game.AttachGateway, Gateway: gateway}
}

func join(gateway uint32, s game.SessionID) game.Input {
	return game.Input{Kind: game.Join, Gateway: gateway, Session: s, Conn: uint64(s), Player: 1000 + uint64(s), Name: fmt.Sprint("player ", s)}
}

// connect gives a session another connection. Connections of one session differ in their upper bits.
func connect(gateway uint32, s game.SessionID, conn uint64) game.Input {
	return game.Input{Kind: game.Connect, Gateway: gateway, Session: s, Conn: conn}
}

func disconnect(s game.SessionID) game.Input { return game.Input{Kind: game.Disconnect, Session: s} }

func leave(s game.SessionID) game.Input { return game.Input{Kind: game.Leave, Session: s} }

// send is a push, or with an id a request.
func send(s game.SessionID, route uint16, id uint32, m proto.Message) game.Input {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return game.Input{Kind: game.Receive, Session: s, Route: route, ID: id, Payload: b}
}

func player(t testing.TB, z *game.Zone, s game.SessionID) *game.Player {
	t.Helper()
	for p := range z.Players {
		if p.Session == s {
			return p
		}
	}
	t.Fatalf("session %d is not in the zone", s)
	return nil
}

// failure is the error that a message carries.
func failure(t testing.TB, m game.Message) (protocol.ErrorCode, string) {
	t.Helper()
	var e mmov1.Error
	if err := proto.Unmarshal(m.Payload, &e); err != nil || m.Type != protocol.TypeError {
		t.Fatalf("message %+v is no error (%v)", m, err)
	}
	return protocol.ErrorCode(e.Code), e.Message
}

// panics runs what is a mistake, and wants a panic that tells what to do about it.
func panics(t *testing.T, say string, do func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := fmt.Sprint(recover()); !strings.Contains(got, say) || !strings.HasPrefix(got, "game: ") {
			t.Errorf("panic says %q, want it to begin with \"game: \" and to hold %q", got, say)
		}
	}()
	do()
}

// edge is a gateway as far as replication goes, with the clients behind it.
type edge struct {
	t     testing.TB
	id    uint32
	now   uint32
	rep   *replica.Zone
	eyes  map[game.SessionID]*eye
	order []game.SessionID
}

// eye is one client: what it decoded of the frames that its gateway made.
type eye struct {
	client *replica.Client
	mirror replica.Mirror
}

func newEdge(t testing.TB, z *game.Zone, id uint32) *edge {
	c := z.Config()
	return &edge{t: t, id: id, rep: replica.NewZone(c.Zone, c.Epoch, deltatest.Codec(), z.Params()), eyes: map[game.SessionID]*eye{}}
}

// open makes the client of a session that is about to join, or to come here.
func (e *edge) open(s game.SessionID, conn uint64) {
	y := &eye{client: replica.NewClient(replica.Config{})}
	index, tick, _ := y.client.Open(e.rep, conn)
	if err := y.mirror.Use(deltatest.Codec(), nil); err != nil {
		e.t.Fatal(err)
	}
	if err := y.mirror.OpenZone(index, e.rep.ID, e.rep.Params, tick); err != nil {
		e.t.Fatal(err)
	}
	e.eyes[s] = y
	e.order = append(e.order, s)
}

func (e *edge) close(s game.SessionID) {
	e.eyes[s].client.Close()
	delete(e.eyes, s)
	e.order = slices.DeleteFunc(e.order, func(o game.SessionID) bool { return o == s })
}

// take applies this gateway's batch of a tick and brings every client up to it.
func (e *edge) take(out *game.Outputs) error {
	e.t.Helper()
	for _, b := range out.Batches {
		if b.Gateway != e.id {
			continue
		}
		if err := e.rep.Apply(b.Bytes); err != nil {
			return err
		}
	}
	e.now++
	var w delta.Writer
	for _, s := range e.order {
		y := e.eyes[s]
		if !y.client.Echo(y.mirror.Frames, e.now) {
			e.t.Fatalf("session %d: an honest echo was refused", s)
		}
		if _, ok := y.client.Frame(&w, e.now); !ok {
			continue // silence says: as predicted
		}
		if err := y.mirror.Decode(w.Bytes()); err != nil {
			e.t.Fatalf("session %d: %v", s, err)
		}
	}
	return nil
}

// sees lists the entities in a client's mirror with their states at a tick.
func (y *eye) sees(tick uint32) map[game.EntityID]deltatest.State {
	seen := map[game.EntityID]deltatest.State{}
	for i := range y.mirror.Entities {
		if e := &y.mirror.Entities[i]; e.Live {
			seen[game.EntityID(e.ID)] = deltatest.StateOf(e.Codec, &e.Base, tick)
		}
	}
	return seen
}

// stage is a zone with one gateway and its clients.
type stage struct {
	*game.Zone
	*edge
}

func newStage(t testing.TB, g *game.Game, cfg game.Config, sessions ...game.SessionID) stage {
	t.Helper()
	z := newZone(t, g, cfg)
	s := stage{z, newEdge(t, z, 1)}
	in := []game.Input{attach(1)}
	for _, id := range sessions {
		s.open(id, uint64(id))
		in = append(in, join(1, id))
	}
	s.step(in...)
	return s
}

// step makes a tick and delivers it to the clients.
func (s stage) step(in ...game.Input) *game.Outputs {
	s.t.Helper()
	out := s.Step(in)
	if err := s.take(out); err != nil {
		s.t.Fatal(err)
	}
	return out
}

// view is what a session's client sees, by id in order.
func (s stage) view(session game.SessionID) []game.EntityID {
	ids := []game.EntityID{}
	for id := range s.eyes[session].sees(s.Tick()) {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (s stage) wantView(what string, session game.SessionID, want ...game.Entity) {
	s.t.Helper()
	ids := []game.EntityID{}
	for _, e := range want {
		ids = append(ids, e.ID())
	}
	slices.Sort(ids)
	if got := s.view(session); !slices.Equal(got, ids) || s.Seen(session) != len(ids) {
		s.t.Errorf("%s: session %d sees %v (the zone counts %d), want %v", what, session, got, s.Seen(session), ids)
	}
}
