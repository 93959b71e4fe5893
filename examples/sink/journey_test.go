package sink_test

import (
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/tianxia-mmo/tianxia/examples/sink/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
	pb "github.com/tianxia-mmo/tianxia/proto_define/sink/v1"
)

// road is a zone away from its world's corner, a gateway that knows nothing but the layout's table, and a client with the game's bindings.
type road struct {
	t      *testing.T
	z      *game.Zone
	rep    *replica.Zone
	client *replica.Client
	mirror replica.Mirror
	now    uint32
}

func walk(t *testing.T, system func(z *game.Zone)) *road {
	t.Helper()
	g := bind.NewGame()
	g.Setup = func(z *game.Zone) error {
		z.System(func() { system(z) })
		return nil
	}
	z, err := game.NewZone(g.Define(), game.Config{Seed: 1, X: 3 << 20, Y: -1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	table, err := delta.ParseTable(z.Layout().Table())
	if err != nil {
		t.Fatal(err)
	}
	codec, err := delta.NewCodec(table, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := z.Config()
	r := &road{t: t, z: z, rep: replica.NewZone(c.Zone, c.Epoch, codec, z.Params()), client: replica.NewClient(replica.Config{})}
	index, tick, _ := r.client.Open(r.rep, 7)
	if err := r.mirror.Use(generated(t), nil); err != nil {
		t.Fatal(err)
	}
	if err := r.mirror.OpenZone(index, c.Zone, z.Params(), tick); err != nil {
		t.Fatal(err)
	}
	r.step(true, game.Input{Kind: game.AttachGateway, Gateway: 1}, game.Input{Kind: game.Join, Gateway: 1, Session: 7, Conn: 7, Player: 1001, Name: "Ann"})
	return r
}

// step makes a tick; told says whether the client gets a frame of it, or learns what it missed later.
func (r *road) step(told bool, in ...game.Input) {
	r.t.Helper()
	for _, b := range r.z.Step(in).Batches {
		if err := r.rep.Apply(b.Bytes); err != nil {
			r.t.Fatal(err)
		}
	}
	r.now++
	if !told {
		return
	}
	if !r.client.Echo(r.mirror.Frames, r.now) {
		r.t.Fatal("an honest echo was refused")
	}
	var w delta.Writer
	if _, ok := r.client.Frame(&w, r.now); ok {
		if err := r.mirror.Decode(w.Bytes()); err != nil {
			r.t.Fatal(err)
		}
	}
}

// holds checks that the client has of a pilgrim what everyone gets.
func (r *road) holds(p bind.Pilgrim) {
	r.t.Helper()
	for i := range r.mirror.Entities {
		e := &r.mirror.Entities[i]
		if !e.Live || e.ID != uint64(p.ID()) {
			continue
		}
		var got, want pb.Buffs
		if has := bind.BuffsRead(e, &got); has != p.HasBuffs() {
			r.t.Fatalf("the client sees buffs: %v; there are: %v", has, p.HasBuffs())
		}
		if p.HasBuffs() {
			p.Buffs().Into(&want)
			want.Charge, want.Seed = 0, 0
			if !proto.Equal(&got, &want) {
				r.t.Fatalf("the client sees %v of %v", &got, &want)
			}
		}
		var vigil, own pb.Vigil
		if has := bind.VigilRead(e, &vigil); has != p.HasVigil() {
			r.t.Fatalf("the client sees a vigil: %v; there is one: %v", has, p.HasVigil())
		}
		if p.HasVigil() {
			if p.Vigil().Into(&own); !proto.Equal(&vigil, &own) {
				r.t.Fatalf("the client sees %v of %v", &vigil, &own)
			}
		}
		x, z, _ := e.Position(r.z.Tick())
		if ax, az := p.Position(); ax != x || az != z {
			r.t.Fatalf("the client sees it at %d, %d, it is at %d, %d", x, z, ax, az)
		}
		return
	}
	r.t.Fatal("the client does not see the pilgrim")
}

// TestOptionalComponentsReachTheClientOnTheWholeWay: zone, batch, gateway, frame, mirror, with frames left out, in a zone that does not begin at its world's corner.
func TestOptionalComponentsReachTheClientOnTheWholeWay(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 1))
	var all []bind.Pilgrim
	r := walk(t, func(z *game.Zone) {
		c := z.Config()
		for len(all) < 3 {
			p, err := bind.SpawnPilgrimQ(z, c.X+c.Width/2+100, c.Y+c.Height/2)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		}
		for _, p := range all {
			switch chance.IntN(6) {
			case 0:
				b := p.AddBuffs()
				b.SetLevel(1 + chance.Int32N(60))
				b.SetCharge(chance.Uint32())
			case 1:
				p.RemoveBuffs()
			case 2:
				if b, ok := bind.BuffsOf(p.Entity); ok && b.ListLen() < 5 {
					b.ListAppend(&pb.Buff{Name: "haste", Left: chance.Uint32N(1000), Tags: []string{"a", "b"}[:chance.IntN(3)]})
				}
			case 3:
				p.AddVigil().SetSince(chance.Uint32())
			case 4:
				p.RemoveVigil()
				p.AddVigil()
			case 5:
				p.RemoveVigil()
				p.AddMind().SetStep(chance.Uint32())
				p.SetVelocity(chance.Int32N(9)-4, 0)
			}
		}
		z.Drift()
	})
	for range some(1200) {
		told := chance.IntN(3) > 0
		if r.step(told); told {
			for _, p := range all {
				r.holds(p)
			}
		}
	}
}
