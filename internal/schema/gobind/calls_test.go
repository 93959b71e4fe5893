package gobind_test

import (
	"strings"
	"testing"
)

// duel has a call of every sort, commands, and what the server sends by every delivery.
const duel = `
message Place { option (mmo.component) = {id: 1, position: {x: "x", z: "z", vx: "vx", vz: "vz"}};
  double x = 1 [(mmo.sync) = {quantize: 0.05}]; double z = 2 [(mmo.sync) = {quantize: 0.05}]; double vx = 3 [(mmo.sync) = {quantize: 1}]; double vz = 4 [(mmo.sync) = {quantize: 1}]; }
message Hero { option (mmo.kind) = {id: 1, components: ["Place"], avatar: true}; }
message Wolf { option (mmo.kind) = {id: 2, components: ["Place"]}; }
message LookRequest { option (mmo.route) = {id: 64, from: CLIENT, reply: "Seen"}; } message Seen { uint32 n = 1; }
message GrantRequest { option (mmo.route) = {id: 65, from: CLIENT, reply: "Seen", right: "gm", audit: true}; }
message Ring { option (mmo.route) = {id: 66, from: CLIENT, right: "gm"}; }
message Hit { option (mmo.route) = {id: 67, from: SERVER, delivery: AOI_EVENT}; }
message Score { option (mmo.route) = {id: 68, from: SERVER, delivery: LATEST}; }
message News { option (mmo.route) = {id: 69, from: SERVER}; }
// Strike hurts.
message Strike { option (mmo.call) = {id: 1, reply: "Struck", kind: "Wolf"}; int32 damage = 1; } message Struck { int32 left = 1; }
message Ask { option (mmo.call) = {id: 2, reply: "Struck"}; }
message Nudge { option (mmo.call) = {id: 3}; }
message Bite { option (mmo.call) = {id: 4, kind: "Wolf"}; }
`

// duelists are what people write against the bindings of duel.
const duelists = `package use

import (
	"example.test/studio/duel/bind"
	pb "example.test/studio/schema/duel/v1"
	"github.com/tianxia-mmo/tianxia/pkg/game"
)

func use() *bind.Game {
	g := bind.NewGame()
	g.OnJoin(func(z *game.Zone, p *game.Player, h bind.Hero) error { return nil })
	g.OnRespawn(func(z *game.Zone, p *game.Player, h bind.Hero) error { return nil })
	g.OnLook(func(z *game.Zone, p *game.Player, h bind.Hero, m *pb.LookRequest) (*pb.Seen, error) { return &pb.Seen{}, nil })
	g.OnLookLater(func(z *game.Zone, p *game.Player, h bind.Hero, m *pb.LookRequest, reply game.Reply[*pb.Seen]) error {
		return bind.AskStrike(z, h, 7, &pb.Strike{}, game.Async{Player: p}, func(m *pb.Struck, err error) {})
	})
	g.OnGrant(func(z *game.Zone, p *game.Player, m *pb.GrantRequest) (*pb.Seen, error) { return nil, nil })
	g.OnGrantLater(func(z *game.Zone, p *game.Player, m *pb.GrantRequest, reply game.Reply[*pb.Seen]) error { return nil })
	g.OnRing(func(z *game.Zone, p *game.Player, m *pb.Ring) error { return nil })
	g.OnStrike(func(z *game.Zone, w bind.Wolf, from game.Caller, m *pb.Strike) (*pb.Struck, error) {
		w.Place().SetVel(0, 0)
		return &pb.Struck{Left: m.Damage}, nil
	})
	g.OnAsk(func(z *game.Zone, e game.Entity, from game.Caller, m *pb.Ask) (*pb.Struck, error) { return nil, nil })
	g.OnNudge(func(z *game.Zone, e game.Entity, from game.Caller, m *pb.Nudge) error { return nil })
	g.OnBite(func(z *game.Zone, w bind.Wolf, from game.Caller, m *pb.Bite) error { return nil })
	return g
}

func tell(z *game.Zone, p *game.Player, h bind.Hero, to game.GroupID) (all []error) {
	return append(all,
		bind.PushHit(z, p, &pb.Hit{}), bind.EmitHit(z, h, &pb.Hit{}),
		bind.PushScore(z, p, &pb.Score{}), bind.BroadcastScore(z, &pb.Score{}), bind.PushScoreToGroup(z, to, &pb.Score{}),
		bind.PushNews(z, p, &pb.News{}), bind.EmitNews(z, h, &pb.News{}), bind.BroadcastNews(z, &pb.News{}), bind.PushNewsToGroup(z, to, &pb.News{}),
		bind.AskNudge(z, nil, 7, &pb.Nudge{}, game.Async{}, nil), bind.AskNudge(z, h, 7, &pb.Nudge{}, game.Async{}, func(error) {}),
		bind.AskAsk(z, h, 7, &pb.Ask{}, game.Async{}, nil), bind.AskBite(z, h, 7, &pb.Bite{}, game.Async{}, nil))
}
`

func TestCallsAndCommandsCompileWithTheirUsers(t *testing.T) {
	files := compiles(t, duel)
	files["duel/use/use.go"] = []byte(duelists)
	typecheck(t, files, "duel/use")
}

func TestBindingsOfCallsAndCommandsSayWhatTheyNeed(t *testing.T) {
	text := string(compiles(t, duel)["duel/bind/game_gen.go"])
	for _, want := range []string{
		`Reply: "duel.v1.Seen", Right: "gm", Audit: true},`, `Message: "duel.v1.Ring", Right: "gm"},`,
		"// It needs the right \"gm\" and is put on record; p may be an operator, without connection or avatar.\nfunc (g *Game) OnGrant(handle func(z *game.Zone, p *game.Player, m *pb.GrantRequest) (*pb.Seen, error)) {",
		`SpawnHeroQ(z, c.X+c.Width/2, c.Y+c.Height/2)`, "g.OnRespawn(nil)", `fmt.Sprintf("%s: entity %d is no Wolf", "duel.strike", e.ID())`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the bindings lack %s", want)
		}
	}
	for _, never := range []string{"BroadcastHit", "PushHitToGroup", "EmitScore"} {
		if strings.Contains(text, never) {
			t.Errorf("%s is there, which its delivery makes no sense of", never)
		}
	}
}

func TestCallsWithoutKindsCompile(t *testing.T) {
	compiles(t, `message Poke { option (mmo.call) = {id: 1}; } message Tell { option (mmo.call) = {id: 2, reply: "Told"}; } message Told {}`)
}
