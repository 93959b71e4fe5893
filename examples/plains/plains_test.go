package plains

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"
	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/examples/plains/rules"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

func zone(t *testing.T, walkers int) *game.Zone {
	t.Helper()
	z, err := game.NewZone(New(Config{Walkers: walkers}), game.Config{Seed: 1, Width: SideFor(1000)})
	if err != nil {
		t.Fatal(err)
	}
	z.Step([]game.Input{{Kind: game.AttachGateway, Gateway: 1}})
	return z
}

func enter(z *game.Zone, s game.SessionID, rights ...string) *game.Player {
	z.Step([]game.Input{{Kind: game.Join, Gateway: 1, Session: s, Conn: uint64(s), Player: uint64(s), Name: "someone", Rights: rights}})
	for p := range z.Players {
		if p.Session == s {
			return p
		}
	}
	return nil
}

func input(s game.SessionID, route uint16, id uint32, m proto.Message) game.Input {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return game.Input{Kind: game.Receive, Session: s, Route: route, ID: id, Payload: b}
}

// look is where a player's avatar is and how it moves, in quanta: x, z, vx, vz.
func look(p *game.Player) [4]int32 {
	x, z := p.Avatar().Position()
	vx, vz := p.Avatar().Velocity()
	return [4]int32{x, z, vx, vz}
}

func TestAvatarWalksAsAskedFromTheTickThatWasNamed(t *testing.T) {
	z := zone(t, 0)
	p := enter(z, 7)
	z.Edit(func() { p.Avatar().SetPosition(1000, 1000) })
	at := z.Tick() + 4
	in := []game.Input{input(7, bind.RouteMove, 0, &plainsv1.Move{Seq: 1, Tick: at, Vx: 80}), input(7, bind.RouteMove, 0, &plainsv1.Move{Seq: 2, Tick: at + 2, Vz: -50})}
	for z.Tick() < at+3 {
		z.Step(in)
		in = nil
	}
	if s := look(p); s != [4]int32{1000 + 2*80, 1000 - 2*50, 0, -50} {
		t.Errorf("after two ticks east and two north: %v", s)
	}
}

func TestTooFastIsRefusedAndSaid(t *testing.T) {
	z := zone(t, 0)
	p := enter(z, 7)
	before := look(p)
	out := z.Step([]game.Input{input(7, bind.RouteMove, 0, &plainsv1.Move{Seq: 1, Vx: 80, Vz: 80})})
	if len(out.Messages) != 1 || out.Messages[0].Route != bind.RouteMoveRefused {
		t.Fatalf("messages %+v, want one refusal", out.Messages)
	}
	if s := look(p); s != before {
		t.Errorf("moved from %+v to %+v", before, s)
	}
	out = z.Step([]game.Input{input(7, bind.RouteMove, 0, &plainsv1.Move{Seq: 1, Vx: 8})})
	if len(out.Messages) != 1 || out.Messages[0].Type != protocol.TypeError {
		t.Errorf("an old input was answered by %+v", out.Messages)
	}
}

func TestNobodyLeavesTheField(t *testing.T) {
	z := zone(t, 300)
	p := enter(z, 7)
	z.Step([]game.Input{input(7, bind.RouteMove, 0, &plainsv1.Move{Seq: 1, Vx: -80})})
	for range 3000 {
		z.Step(nil)
	}
	if s := look(p); s[0] != 0 || s[2] != 0 {
		t.Errorf("at the west wall: %+v", s)
	}
}

func TestSpectatingNeedsTheRightAndShowsEverything(t *testing.T) {
	z := zone(t, 500)
	enter(z, 7)
	enter(z, 8, RightSpectate)
	out := z.Step([]game.Input{
		input(7, bind.RouteSpectate, 1, &plainsv1.SpectateRequest{Radius: 1 << 20}),
		input(8, bind.RouteSpectate, 2, &plainsv1.SpectateRequest{Radius: 1 << 30}),
	})
	if len(out.Messages) != 2 || out.Messages[0].Type != protocol.TypeError || out.Messages[1].Type != protocol.TypeResponse {
		t.Fatalf("answers %+v", out.Messages)
	}
	var e mmov1.Error
	if err := proto.Unmarshal(out.Messages[0].Payload, &e); err != nil || e.Code != uint32(protocol.ErrorNotAllowed) {
		t.Errorf("refusal %v, %v", &e, err)
	}
	if n := z.Seen(8); n != 502 {
		t.Errorf("the spectator sees %d of 502", n)
	}
	z.Step([]game.Input{input(8, bind.RouteSpectate, 3, &plainsv1.SpectateRequest{})})
	if n := z.Seen(8); n > 100 || n < 1 {
		t.Errorf("after spectating it sees %d", n)
	}
}

func TestSameInputsSameWorld(t *testing.T) {
	run := func() []uint64 {
		z := zone(t, 200)
		enter(z, 7)
		var h []uint64
		for i := range uint32(200) {
			var in []game.Input
			if i%7 == 0 {
				in = append(in, input(7, bind.RouteMove, 0, &plainsv1.Move{Seq: i + 1, Tick: z.Tick() + i%5, Vx: int32(i%80) - 40}))
			}
			z.Step(in)
			h = append(h, z.Hash())
		}
		return h
	}
	a, b := run(), run()
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("the runs differ from step %d on", i)
		}
	}
}

func TestMovementRule(t *testing.T) {
	for _, c := range []struct{ in, want rules.Motion }{
		{rules.Motion{X: 5, Z: 5, WantVX: 3, WantVZ: -5}, rules.Motion{X: 8, Z: 0, VX: 3, VZ: -5, WantVX: 3, WantVZ: -5}},
		{rules.Motion{X: 5, Z: 5, WantVX: -6}, rules.Motion{X: 0, Z: 5, WantVX: -6}},
		{rules.Motion{X: 95, Z: 49, WantVX: 5, WantVZ: 1}, rules.Motion{X: 99, Z: 49, WantVX: 5, WantVZ: 1}},
		{rules.Motion{X: 94, Z: 48, WantVX: 5, WantVZ: 1}, rules.Motion{X: 99, Z: 49, VX: 5, VZ: 1, WantVX: 5, WantVZ: 1}},
	} {
		if got := rules.Step(c.in, 100, 50); got != c.want {
			t.Errorf("step of %+v is %+v, want %+v", c.in, got, c.want)
		}
	}
}

func TestSideForKeepsAboutFiftyInView(t *testing.T) {
	z := zone(t, 1000)
	sum := 0
	for s := range game.SessionID(40) {
		enter(z, s+1)
	}
	z.Step(nil)
	for s := range game.SessionID(40) {
		sum += z.Seen(s + 1)
	}
	if mean := sum / 40; mean < 35 || mean > 55 {
		t.Errorf("%d in view on average, want 45 or so (the walls cut the circle)", mean)
	}
}

func BenchmarkTick(b *testing.B) {
	for _, players := range []int{0, 500} {
		b.Run(fmt.Sprint("walkers=1000/players=", players), func(b *testing.B) {
			z, err := game.NewZone(New(Config{Walkers: 1000}), game.Config{Seed: 1, Width: SideFor(1000 + players)})
			if err != nil {
				b.Fatal(err)
			}
			z.Step([]game.Input{{Kind: game.AttachGateway, Gateway: 1}})
			for s := range players {
				enter(z, game.SessionID(s+1))
			}
			b.ReportAllocs()
			for b.Loop() {
				z.Step(nil)
			}
		})
	}
}

func Example() {
	z, err := game.NewZone(New(Config{Walkers: 10}), game.Config{Width: SideFor(10)})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 20 { // a second of the world, without a clock
		z.Step(nil)
	}
	fmt.Println(z.Tick(), z.Len())
	// Output: 20 10
}
