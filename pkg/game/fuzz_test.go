package game_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

func FuzzParseInput(f *testing.F) {
	for _, in := range inputsOfEveryKind() {
		f.Add(game.AppendInput(nil, &in))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		in, rest, err := game.ParseInput(b)
		if err != nil {
			if !errors.Is(err, game.ErrMalformed) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if !bytes.HasSuffix(b, rest) {
			t.Fatal("the rest is not the end")
		}
		again := game.AppendInput([]byte("head"), &in)[4:]
		if len(again) > len(b)-len(rest) {
			t.Fatalf("%d bytes became %d", len(b)-len(rest), len(again))
		}
		back, rest, err := game.ParseInput(append(again, 1, 2, 3))
		if err != nil || len(rest) != 3 || !reflect.DeepEqual(tidy(back), tidy(in)) {
			t.Fatalf("%+v became %+v (%v)", in, back, err)
		}
	})
}

// tidy makes what is empty nil, which are the same.
func tidy(in game.Input) game.Input {
	if len(in.Payload) == 0 {
		in.Payload = nil
	}
	if len(in.Rights) == 0 {
		in.Rights = nil
	}
	if len(in.Conns) == 0 {
		in.Conns = nil
	}
	return in
}

func inputsOfEveryKind() (all []game.Input) {
	for k := game.AttachGateway; k <= game.Release; k++ {
		all = append(all, game.Input{Kind: k}, game.Input{
			Kind: k, Gateway: 1, Session: 1 << 63, Conn: 3, Player: 4, Name: "anna", Rights: []string{"gm", ""}, Route: 65535, ID: 6, Payload: []byte("load"),
			Number: 7, Entity: 8, From: game.Caller{Entity: 9, Session: 10, X: -1, Y: 1 << 30}, Zone: 11, X: -1 << 31, Y: 1<<31 - 1, Enter: 12, Leave: 13, Ignores: 1 << 31, Code: 14, Text: "text",
			Conns: []game.Conn{{Session: 1, Gateway: 2, Conn: 3}, {}},
		})
	}
	return all
}

func TestInputsOfEveryKindKeepAllTheirFields(t *testing.T) {
	var b []byte
	for _, in := range inputsOfEveryKind() {
		b = game.AppendInput(b, &in)
	}
	for _, in := range inputsOfEveryKind() {
		var got game.Input
		var err error
		if got, b, err = game.ParseInput(b); err != nil || !reflect.DeepEqual(tidy(got), tidy(in)) {
			t.Fatalf("%+v became %+v (%v)", in, got, err)
		}
	}
	if reflect.TypeFor[game.Input]().NumField() != 22 {
		t.Error("Input has a new field: write it in AppendInput, read it in ParseInput, and set it above")
	}
}

func FuzzParseNeighbours(f *testing.F) {
	f.Add(game.AppendNeighbours(nil, nil))
	f.Add(game.AppendNeighbours(nil, game.NeighboursOf(row(3)[1], row(3), 0)))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := game.ParseNeighbours(b)
		if err != nil {
			return
		}
		back, err := game.ParseNeighbours(game.AppendNeighbours(nil, all))
		if err != nil || !reflect.DeepEqual(back, all) {
			t.Fatalf("%+v became %+v (%v)", all, back, err)
		}
		z, err := game.NewZone(&game.Game{Name: "x", Schema: schema()}, row(3)[1])
		if err != nil {
			t.Fatal(err)
		}
		z.Edit(func() {
			if _, err := z.Spawn(1, 1001, 1); err != nil {
				t.Fatal(err)
			}
		})
		z.Step([]game.Input{{Kind: game.Neighbours, Payload: b}})
		z.Step([]game.Input{{Kind: game.Neighbours}})
	})
}

// FuzzArrive gives a living zone bytes of a hand-over: it takes all of it or nothing, and goes on.
func FuzzArrive(f *testing.F) {
	d := departure(f, nil)
	f.Add(d.Payload)
	f.Add([]byte{1})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		l := newLab(t)
		z, err := game.NewZone(l.Game, row(2)[1])
		if err != nil {
			t.Fatal(err)
		}
		var e game.Entity
		z.Edit(func() {
			if e, err = z.Spawn(1, 1500, 500); err != nil {
				t.Fatal(err)
			}
		})
		z.Step([]game.Input{attach(1), join(1, 9)})
		entities, players, before := z.Len(), z.PlayerCount(), z.Stats()
		out := z.Step([]game.Input{{Kind: game.Arrive, Payload: b, Conns: []game.Conn{{Session: 5, Gateway: 1, Conn: 5}, {Session: 9, Gateway: 1, Conn: 9}}}})
		if len(out.Panics) > 0 {
			t.Fatalf("%+v", out.Panics[0])
		}
		took := z.Stats().Arrivals - before.Arrivals
		if z.Stats().Refused > before.Refused && (z.Len() != entities || z.PlayerCount() != players || took != 0) {
			t.Fatalf("refused, but there are %d entities and %d players, before %d and %d", z.Len(), z.PlayerCount(), entities, players)
		}
		checkWhole(t, z, entities+int(took))
		for s := range game.SessionID(12) {
			z.Step([]game.Input{send(s, routeCount, 0, wrapperspb.Int64(1)), leave(s)})
		}
		z.Edit(func() {
			for e := range z.Entities {
				z.Despawn(e)
			}
		})
		z.Step(nil)
		checkWhole(t, z, z.Len())
		if e.Alive() || z.Len() != 0 {
			t.Fatalf("%d entities cannot be despawned", z.Len())
		}
	})
}

// checkWhole wants a zone of so many entities whose parts agree with each other.
func checkWhole(t testing.TB, z *game.Zone, entities int) {
	t.Helper()
	n, players := 0, 0
	x0, y0, x1, y1 := z.Bounds()
	for e := range z.Entities {
		n++
		if x, y := e.Position(); x < x0 || x >= x1 || y < y0 || y >= y1 {
			t.Fatalf("entity %d is at %d, %d, outside of the zone", e.ID(), x, y)
		}
		if found, ok := z.Entity(e.ID()); !ok || found != e {
			t.Fatalf("entity %d is not found by its id", e.ID())
		}
		if p := e.Player(); p != nil && (p.Avatar() != e || !p.Here()) {
			t.Fatalf("entity %d is the avatar of a player who has another, or has gone", e.ID())
		}
		for c := range e.Children {
			if up, ok := c.Parent(); !ok || up != e {
				t.Fatalf("entity %d is a child of %d, which does not know", c.ID(), e.ID())
			}
		}
	}
	ids := map[uint64]bool{}
	for p := range z.Players {
		players++
		if at, ok := z.PlayerOf(p.Session); !ok || at != p || p.ID != 0 && ids[p.ID] {
			t.Fatalf("session %d is not found, or its player is here twice", p.Session)
		}
		ids[p.ID] = true
		if a := p.Avatar(); a.Alive() && a.Player() != p {
			t.Fatalf("session %d has an avatar that is not its own", p.Session)
		}
	}
	if n != entities || n != z.Len() || players != z.PlayerCount() {
		t.Fatalf("%d entities are listed, %d counted, want %d; %d players are listed, %d counted", n, z.Len(), entities, players, z.PlayerCount())
	}
}
