package game_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// BenchmarkObservers is what a tick costs in which 50 of 1,000 fighters strike a boss, whose health everyone sees, and once a second two players come and two go, by the number of those who look on besides, half of
// them at each of two gateways. Those "at the boss" see the boss alone, those "in the crowd" stand among the fighters and see every one of them.
func BenchmarkObservers(b *testing.B) {
	for _, where := range []string{"at the boss", "in the crowd"} {
		for _, lookers := range []int{0, 1000, 2000} {
			b.Run(fmt.Sprintf("%s/%d", where, lookers), func(b *testing.B) { fightBeforeLookers(b, where, lookers) })
		}
	}
}

func fightBeforeLookers(b *testing.B, where string, lookers int) {
	const fighters, route = 1000, 70
	g := &game.Game{Name: "arena", Schema: schema()}
	var boss game.Entity
	g.Setup = func(z *game.Zone) error {
		var err error
		boss, err = z.Spawn(2, 10_000, 10_000)
		setHP(boss, 60_000)
		return err
	}
	g.OnJoin = func(z *game.Zone, p *game.Player) error {
		x, y := int32(8000), 8000+int32(p.Session%4000)
		switch {
		case p.Name == "looks" && where == "at the boss": // an eye that sees the boss alone
			_, err := z.Spectate(p, 1)
			return err
		case p.Name == "looks":
			x, y = 10_000, 10_001
		}
		e, err := z.Spawn(1, x, y)
		if err != nil {
			return err
		}
		return z.Control(p, e)
	}
	game.OnPush(g, protocol.Route{ID: route, Name: "arena.strike"}, func(z *game.Zone, _ *game.Player, _ *emptypb.Empty) error {
		hp := boss.Cell(deltatest.Vitals)
		hp.Set(0, delta.AOI, hp.W(0)%60_000+1)
		return nil
	})
	cfg := game.Config{Width: 20_000, EnterRadius: 9000, LeaveRadius: 9900}
	z := newZone(b, g, cfg)
	in := []game.Input{attach(1), attach(2)}
	for s := range game.SessionID(fighters) {
		in = append(in, join(1+uint32(s%2), s+1))
	}
	for s := range game.SessionID(lookers) {
		in = append(in, game.Input{Kind: game.Join, Gateway: 1 + uint32(s%2), Session: 10_000 + s, Conn: 10_000 + uint64(s), Player: 10_000 + uint64(s), Name: "looks"})
	}
	z.Step(in)
	strike := func(s game.SessionID) game.Input { return send(s, route, 0, &emptypb.Empty{}) }
	next := game.SessionID(1 << 20)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		in = in[:0]
		for k := range 50 {
			in = append(in, strike(game.SessionID((i*50+k)%fighters+1)))
		}
		if i%20 == 0 {
			next += 2
			in = append(in, join(1, next), join(2, next+1))
			if i > 0 {
				in = append(in, leave(next-2), leave(next-1))
			}
		}
		z.Step(in)
	}
	b.ReportMetric(float64(z.Stats().BatchBytes)/float64(z.Tick()), "batch-B/tick")
}
