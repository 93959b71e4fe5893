package tianxia_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// revision makes the test layout as of a revision: from the second on Vitals has an optional field before hp, heroes carry a component of their own, and there is one more kind.
func revision(t *testing.T, f protocol.Fingerprint) *delta.Codec {
	t.Helper()
	l := deltatest.Layout()
	l.Fingerprint = f.Uint64()
	if f.Revision() > 1 {
		v := l.Component(deltatest.Vitals)
		v.Fields = slices.Insert(v.Fields, 0, delta.Field{ID: 2, Name: "shield", Type: delta.Uint64, Optional: true})
		l.Components = append(l.Components, delta.Component{ID: 9, Name: "Mount", Fields: []delta.Field{{ID: 1, Name: "name", Type: delta.String, Max: 40}}})
		l.Kinds[0].Components = slices.Insert(l.Kinds[0].Components, 1, 9)
		l.Kinds = append(l.Kinds, delta.Kind{ID: 77, Name: "Novelty", Components: []uint16{deltatest.Transform, 9}})
	}
	if err := l.Finish(); err != nil {
		t.Fatal(err)
	}
	c, err := delta.NewCodec(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// menagerie is a game in which everyone who joins is of kind 1 with 40 hp, next to one entity of every kind that is new in its revision.
func menagerie(c *delta.Codec, f protocol.Fingerprint) tianxia.App {
	return tianxia.App{New: func(int) (*game.Game, []game.Config, error) {
		g := &game.Game{Name: "menagerie", Schema: game.Schema{Codec: c, Fingerprint: f}}
		g.OnJoin = func(z *game.Zone, p *game.Player) error {
			e, err := z.Spawn(1, 5000, 6000)
			if err != nil {
				return err
			}
			if k := c.Layout.Kind(77); k != nil {
				n, err := z.Spawn(77, 5000, 6000)
				if err != nil {
					return err
				}
				n.Cell(9).Edit(delta.AOI).V[0].B = []byte("never seen by old clients")
				cell := e.Cell(deltatest.Vitals)
				cell.Set(0, delta.AOI, 1) // the shield is there
				cell.Set64(1, delta.AOI, 1<<50)
				cell.Set(3, delta.AOI, 40)
				e.Cell(9).Edit(delta.AOI).V[0].B = []byte("horse")
			} else {
				e.Cell(deltatest.Vitals).Set(0, delta.AOI, 40)
			}
			return z.Control(p, e)
		}
		g.Setup = func(z *game.Zone) error {
			z.System(func() {
				for e := range z.OfKind(1) {
					x, y := e.Position()
					e.SetPosition(x+3, y)
					e.SetVelocity(3, 0)
				}
			})
			return nil
		}
		return g, nil, nil
	}}
}

// TestOlderAndNewerClientsUnderstandTheServer boots a server and lets clients of other revisions of the same generation look at it: what both know must be right, what one does not
// know is skipped.
func TestOlderAndNewerClientsUnderstandTheServer(t *testing.T) {
	first, second := protocol.NewFingerprint(1, 1, [4]byte{1}), protocol.NewFingerprint(1, 2, [4]byte{2})
	for name, c := range map[string]struct{ server, client protocol.Fingerprint }{
		"the client is older": {second, first}, "the client is newer": {first, second}, "the client has no schema": {second, protocol.Fingerprint{}},
	} {
		t.Run(name, func(t *testing.T) {
			n, _ := boot(t, menagerie(revision(t, c.server), c.server), tianxia.NodeConfig{})
			cl := dial(t, n, func(cfg *client.Config) {
				cfg.Codec = nil
				if c.client != (protocol.Fingerprint{}) {
					cfg.Codec = revision(t, c.client)
				}
			})
			until(t, cl, "own avatar, moving, with its health", func() bool {
				own, ok := cl.Own()
				if !ok || own.Kind != 1 || own.Base.Tick == 0 || cl.Mirror.Rows[0].Tick-own.Base.Tick < 5 {
					return false
				}
				v, ok := own.View(deltatest.Vitals)
				hp := v.W[own.Layout().Component(deltatest.Vitals).Field(1).Word]
				if c.client == first && len(v.W) != 1 {
					t.Fatalf("an old client is handed %d words of a component that has one for it", len(v.W))
				}
				x, y, placed := own.Position(cl.Mirror.Rows[0].Tick)
				if !ok || hp != 40 || !placed || x <= 5000 || y != 6000 {
					t.Fatalf("health %v (%v), at %d, %d", v, ok, x, y)
				}
				mount, has := own.View(9)
				switch {
				case c.client == first && has:
					t.Fatal("an old client is handed a component that it does not know")
				case c.client == (protocol.Fingerprint{}) && string(mount.V[0].B) != "horse":
					t.Fatalf("mount %v", mount)
				}
				return true
			})
		})
	}
}

// TestIncompatibleSchemaSaysWhoIsOlderAndWhatToRun: another generation, and another schema under the same numbers.
func TestIncompatibleSchemaSaysWhoIsOlderAndWhatToRun(t *testing.T) {
	server := protocol.NewFingerprint(2, 5, [4]byte{1})
	n, _ := boot(t, menagerie(revision(t, server), server), tianxia.NodeConfig{})
	for _, c := range []struct {
		client protocol.Fingerprint
		say    string
	}{
		{protocol.NewFingerprint(1, 4, [4]byte{9}), "the client is older: its schema is 1.4-09000000, the server's 2.5-01000000: run mmo gen, build the client again, or reload the page"},
		{protocol.NewFingerprint(3, 9, [4]byte{9}), "the server is older: its schema is 2.5-01000000, the client's 3.9-09000000: run mmo gen, build the server again and restart it"},
		{protocol.NewFingerprint(2, 5, [4]byte{9}), "different schemas of the same revision"},
	} {
		cfg, err := n.ClientConfig("x")
		if err != nil {
			t.Fatal(err)
		}
		cfg.Codec = revision(t, c.client)
		_, err = client.Dial(context.Background(), cfg)
		var k *client.KickError
		if !errors.As(err, &k) || k.Code != protocol.DisconnectSchemaMismatch || !strings.Contains(k.Reason, c.say) {
			t.Errorf("client %v: %v, want %d with %q", c.client, err, protocol.DisconnectSchemaMismatch, c.say)
		}
	}
	// the same game by number, another one by name
	cfg, err := n.ClientConfig("x")
	if err != nil {
		t.Fatal(err)
	}
	other := revision(t, protocol.NewFingerprint(2, 4, [4]byte{9}))
	other.Layout.Name = "chess"
	cfg.Codec = other
	if c, err := client.Dial(context.Background(), cfg); err == nil {
		defer time.AfterFunc(patience, func() { _ = c.Close() }).Stop()
		err = c.Serve(client.Handler{})
		if !errors.Is(err, delta.ErrIncompatible) || !strings.Contains(err.Error(), `of game "test"`) {
			t.Errorf("another game: %v", err)
		}
	} else if !errors.Is(err, delta.ErrIncompatible) {
		t.Errorf("another game: %v", err)
	}
}
