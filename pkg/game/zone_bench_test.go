package game_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// crowded is a zone of 10,000 things that walk, of which a system visits 200 in each tick, and 200 players who look on.
func crowded(b *testing.B, observe func(game.Phase, string)) *game.Zone {
	g := &game.Game{Name: "crowded", Schema: schema()}
	r := rand.New(rand.NewPCG(1, 1))
	const side = 60_000 // quanta: 190 m, as dense as a city
	g.OnJoin = func(z *game.Zone, p *game.Player) error {
		e, err := z.Spawn(1, r.Int32N(side), r.Int32N(side))
		if err != nil {
			return err
		}
		return z.Control(p, e)
	}
	g.Setup = func(z *game.Zone) error {
		for range 10_000 {
			e, err := z.Spawn(2, r.Int32N(side), r.Int32N(side))
			if err != nil {
				return err
			}
			e.SetVelocity(r.Int32N(40)-20, r.Int32N(40)-20)
		}
		z.Visit(game.Every(50), 2, func(e game.Entity) { e.SetVelocity(r.Int32N(40)-20, r.Int32N(40)-20) })
		z.System(z.Drift)
		return nil
	}
	z, err := game.NewZone(g, game.Config{Width: side, EnterRadius: 3000, Observe: observe})
	if err != nil {
		b.Fatal(err)
	}
	in := []game.Input{attach(1)}
	for s := range game.SessionID(200) {
		in = append(in, join(1, s+1))
	}
	z.Step(in)
	return z
}

// BenchmarkZoneTick is a tick of a full zone, with what each of its phases takes.
func BenchmarkZoneTick(b *testing.B) {
	var spent [game.Phases]time.Duration
	var last time.Time
	z := crowded(b, func(p game.Phase, name string) {
		if name != "" {
			return
		}
		now := time.Now()
		spent[p] += now.Sub(last)
		last = now
	})
	for range 60 {
		z.Step(nil)
	}
	clear(spent[:])
	for b.Loop() {
		last = time.Now()
		z.Step(nil)
	}
	for p, d := range spent {
		b.ReportMetric(float64(d)/float64(b.N), fmt.Sprintf("ns/%v", game.Phase(p)))
	}
}

// BenchmarkZoneInput is one message of a player, from the input to its handler's return, without what a tick costs by itself.
func BenchmarkZoneInput(b *testing.B) {
	l := newLab(b)
	game.OnPush(l.Game, protocolRoute(95), func(*game.Zone, *game.Player, *wrapperspb.Int64Value) error { return nil })
	z, err := game.NewZone(l.Game, game.Config{Mailbox: 1000, PerTick: 1000})
	if err != nil {
		b.Fatal(err)
	}
	z.Step([]game.Input{attach(1), join(1, 1)})
	in := make([]game.Input, 1000)
	for i := range in {
		in[i] = send(1, 95, 0, wrapperspb.Int64(5))
	}
	for n := 0; n < b.N; n += len(in) {
		z.Step(in)
	}
}

// BenchmarkZoneTimer is a timer that runs and starts itself again, among 10,000, without what a tick costs by itself.
func BenchmarkZoneTimer(b *testing.B) {
	l := newLab(b)
	var again game.Timer
	runs := 0
	again = l.Timer("again", func(_ *game.Zone, e game.Entity, arg uint64) { runs++; again.After(e, 1+uint32(arg), arg) })
	var from time.Time
	var spent time.Duration
	z, err := game.NewZone(l.Game, game.Config{Observe: func(p game.Phase, name string) {
		switch {
		case p == game.PhaseHandlers && name == "":
			from = time.Now()
		case p == game.PhaseTimers && name == "":
			spent += time.Since(from)
		}
	}})
	if err != nil {
		b.Fatal(err)
	}
	z.Edit(func() {
		for i := range 10_000 {
			e, err := z.Spawn(1, 5, 5)
			if err != nil {
				b.Fatal(err)
			}
			again.After(e, 1, uint64(i%10))
		}
	})
	for b.Loop() {
		z.Step(nil)
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(runs), "ns/timer")
}

func BenchmarkZoneQueries(b *testing.B) {
	z := crowded(b, nil)
	b.Run("Nearest/5", func(b *testing.B) {
		for b.Loop() {
			z.Nearest(30_000, 30_000, 1500, 5, nil)
		}
	})
	b.Run("NearestOf", func(b *testing.B) {
		var e game.Being = player0(z).Avatar()
		for b.Loop() {
			z.NearestOf(2, e, 1500)
		}
	})
	b.Run("Hash", func(b *testing.B) {
		for b.Loop() {
			z.Hash()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*z.Len()), "ns/entity")
	})
}

func player0(z *game.Zone) *game.Player {
	for p := range z.Players {
		return p
	}
	return nil
}

// BenchmarkZoneCrossing is a player's way from one zone into another and back, by two hand-overs.
func BenchmarkZoneCrossing(b *testing.B) {
	l := newLab(b)
	var zones [2]*game.Zone
	for i, c := range row(2) {
		c.Strict = false
		z, err := game.NewZone(l.Game, c)
		if err != nil {
			b.Fatal(err)
		}
		zones[i] = z
		z.Step([]game.Input{attach(1), {Kind: game.Neighbours, Payload: game.AppendNeighbours(nil, game.NeighboursOf(c, row(2), 0))}})
	}
	zones[0].Step([]game.Input{join(1, 1)})
	conns := []game.Conn{{Session: 1, Gateway: 1, Conn: 1}}
	at := 0
	for b.Loop() {
		z := zones[at]
		p, _ := z.PlayerOf(1)
		z.Edit(func() {
			if err := z.Transfer(p.Avatar(), game.Destination{X: 500 + 1000*int32(1-at), Y: 500}); err != nil {
				b.Fatal(err)
			}
		})
		d := z.Step(nil).Departures[0]
		at = 1 - at
		zones[at].Step([]game.Input{{Kind: game.Arrive, Payload: d.Payload, Conns: conns}})
	}
}

// BenchmarkZoneBorderObserver is 200 players of a neighbour who move along the border and look in, each at some 20 things that stand there.
func BenchmarkZoneBorderObserver(b *testing.B) {
	z, err := game.NewZone(&game.Game{Name: "still", Schema: schema()}, game.Config{Width: 60_000})
	if err != nil {
		b.Fatal(err)
	}
	z.Edit(func() {
		for i := range int32(800) {
			if _, err := z.Spawn(2, i%4*500, i/4*300); err != nil {
				b.Fatal(err)
			}
		}
	})
	in := make([]game.Input, 200)
	for i := range in {
		in[i] = game.Input{Kind: game.Watch, Session: game.SessionID(1000 + i), Gateway: 1, Conn: uint64(1000 + i), X: -500, Y: int32(i * 300), Enter: 3000, Leave: 3300, Zone: 9}
	}
	z.Step([]game.Input{attach(1)})
	z.Step(in)
	n := int32(0)
	for b.Loop() {
		n++
		for i := range in {
			in[i].Y += 40 - n%2*80
		}
		z.Step(in)
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N*len(in)), "ns/observer")
}
