package record_test

import (
	"bytes"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/record"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

const routeHeal uint16 = 64

// meadow is a small game: entities that drift and turn around, and players who heal theirs. more adds systems of a test.
func meadow(more ...func(z *game.Zone)) *game.Game {
	g := &game.Game{Name: "meadow", Schema: game.Schema{Codec: deltatest.Codec()}}
	g.Setup = func(z *game.Zone) error {
		c := z.Config()
		for range 30 {
			e, err := z.Spawn(1+game.Kind(z.Rand.IntN(3)), z.Rand.Int32N(c.Width), z.Rand.Int32N(c.Height))
			if err != nil {
				return err
			}
			setHP(e, 100)
		}
		z.System(func() { turnSome(z) })
		z.System(z.Drift)
		for _, add := range more {
			add(z)
		}
		return nil
	}
	g.OnJoin = func(z *game.Zone, p *game.Player) error {
		e, err := z.Spawn(5, z.Config().Width/2, z.Config().Height/2)
		if err != nil {
			return err
		}
		return z.Control(p, e)
	}
	game.OnRequest(g, protocol.Route{ID: routeHeal, Name: "meadow.heal"}, func(_ *game.Zone, p *game.Player, m *wrapperspb.UInt32Value) (*wrapperspb.UInt32Value, error) {
		setHP(p.Avatar(), hp(p.Avatar())+m.Value)
		return wrapperspb.UInt32(hp(p.Avatar())), nil
	})
	return g
}

func setHP(e game.Entity, v uint32) { e.Cell(deltatest.Vitals).Set(0, delta.AOI, v&0xffff) }

func hp(e game.Entity) uint32 { return e.Cell(deltatest.Vitals).W(0) }

// turnSome gives some entities another course.
func turnSome(z *game.Zone) {
	for e := range z.Entities {
		if z.Rand.IntN(10) == 0 {
			e.SetVelocity(z.Rand.Int32N(41)-20, z.Rand.Int32N(41)-20)
		}
	}
}

// meadowConfig begins shortly before the ticks wrap.
func meadowConfig() game.Config {
	return game.Config{Seed: 7, Width: 2000, Height: 1500, FirstTick: ^uint32(0) - 20}
}

func newZone(t testing.TB, g *game.Game, c game.Config) *game.Zone {
	t.Helper()
	z, err := game.NewZone(g, c)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// visit is what comes to a meadow in its n-th tick: someone joins, heals, and leaves.
func visit(n int) (in []game.Input) {
	switch {
	case n == 0:
		in = append(in, game.Input{Kind: game.AttachGateway, Gateway: 1})
	case n%10 == 3:
		s := game.SessionID(n)
		in = append(in, game.Input{Kind: game.Join, Gateway: 1, Session: s, Conn: uint64(s), Player: 1000 + uint64(s), Name: fmt.Sprint("visitor ", n), Rights: []string{"sit"}})
	case n%10 < 8 && n > 10:
		b, err := proto.Marshal(wrapperspb.UInt32(uint32(n)))
		if err != nil {
			panic(err)
		}
		in = append(in, game.Input{Kind: game.Receive, Session: game.SessionID(n/10*10 - 7), Route: routeHeal, ID: uint32(n), Payload: b})
	case n%10 == 9 && n > 30:
		in = append(in, game.Input{Kind: game.Leave, Session: game.SessionID(n/10*10 - 27)})
	}
	return in
}

// play records so many ticks of a zone.
func play(t testing.TB, r *record.Recorder, z *game.Zone, ticks int) {
	t.Helper()
	for n := range ticks {
		in := visit(n)
		z.Step(in)
		r.Tick(z, in)
	}
}

// recorded is a whole recording of a game.
func recorded(t testing.TB, g *game.Game, c game.Config, rc record.Config, ticks int) []byte {
	t.Helper()
	z := newZone(t, g, c)
	h := record.HeaderOf(g, z)
	h.Config = rc
	var b bytes.Buffer
	r, err := record.Start(&b, h)
	if err != nil {
		t.Fatal(err)
	}
	play(t, r, z, ticks)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// replayed replays a recording, which must be possible.
func replayed(t testing.TB, b []byte, g *game.Game, o record.Options) record.Report {
	t.Helper()
	rep, err := record.Replay(bytes.NewReader(b), g, o)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}
