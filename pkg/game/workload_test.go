package game_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// arena is the workload W(n) by which game servers are compared: n avatars at 5 m/s in a square in which 50 are within 50 m of each, turning to a new heading every
// 0.7 to 1.3 s, clamped at the walls.
type arena struct {
	z      *game.Zone
	rep    *replica.Zone
	eyes   []*eye
	r      *rand.Rand
	turn   []uint32 // by slot: tick of the next turn
	course [][2]int32
	polar  *delta.Polar
	now    uint32
	stats  replica.FrameStats
	bytes  int
	pairs  int
}

func newArena(t testing.TB, n, sample int, polar bool) *arena {
	l := deltatest.Layout()
	l.Components[0].Motion.Polar = polar
	if err := l.Finish(); err != nil {
		t.Fatal(err)
	}
	c, err := delta.NewCodec(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &arena{r: rand.New(rand.NewPCG(1, 2)), polar: delta.NewPolar(10)}
	side := int32(math.Ceil(math.Sqrt(float64(n)*math.Pi*50*50/50) * 320))
	g := &game.Game{Name: "arena", Schema: game.Schema{Codec: c}}
	g.OnJoin = func(z *game.Zone, p *game.Player) error {
		e, err := z.Spawn(1, a.r.Int32N(side), a.r.Int32N(side))
		if err != nil {
			return err
		}
		return z.Control(p, e)
	}
	g.Setup = func(z *game.Zone) error { z.System(func() { a.move(side) }); return nil }
	a.z = newZone(t, g, game.Config{Width: side})
	a.rep = replica.NewZone(1, 1, c, a.z.Params())
	in := []game.Input{attach(1)}
	for s := range game.SessionID(n) {
		in = append(in, join(1, s+1))
		if int(s) < sample {
			y := &eye{client: replica.NewClient(replica.Config{})}
			index, tick, _ := y.client.Open(a.rep, uint64(s+1))
			if err := y.mirror.Use(c, nil); err != nil {
				t.Fatal(err)
			}
			if err := y.mirror.OpenZone(index, a.z.Config().Zone, a.z.Params(), tick); err != nil {
				t.Fatal(err)
			}
			a.eyes = append(a.eyes, y)
		}
	}
	a.step(t, in)
	return a
}

// move moves everyone, then turns those whose time has come: an entity that turns after its move is predicted exactly until then.
func (a *arena) move(side int32) {
	for e := range a.z.Entities {
		for int(e.Slot()) >= len(a.turn) {
			a.turn, a.course = append(a.turn, a.z.Tick()), append(a.course, [2]int32{})
		}
		v := &a.course[e.Slot()]
		x, z := e.Position()
		nx, nz := min(max(x+v[0], 0), side-1), min(max(z+v[1], 0), side-1)
		vx, vz := v[0], v[1]
		if nx != x+v[0] {
			vx = 0
		}
		if nz != z+v[1] {
			vz = 0
		}
		if int32(a.z.Tick()-a.turn[e.Slot()]) >= 0 {
			a.turn[e.Slot()] = a.z.Tick() + 14 + a.r.Uint32N(13)
			h := a.r.Uint32N(1024)
			vx, vz = a.polar.Velocity(h, 80)
			*v = [2]int32{vx, vz}
			setYaw(e, int(h))
		}
		e.SetPosition(nx, nz)
		e.SetVelocity(vx, vz)
	}
}

func (a *arena) step(t testing.TB, in []game.Input) {
	for _, b := range a.z.Step(in).Batches {
		if err := a.rep.Apply(b.Bytes); err != nil {
			t.Fatal(err)
		}
	}
	a.now++
	var w delta.Writer
	for _, y := range a.eyes {
		y.client.Echo(y.mirror.Frames, a.now)
		a.pairs += y.client.Visible()
		st, ok := y.client.Frame(&w, a.now)
		if !ok {
			continue
		}
		if err := y.mirror.Decode(w.Bytes()); err != nil {
			t.Fatal(err)
		}
		a.bytes += len(w.Bytes())
		a.stats.Updates += st.Updates
		a.stats.UpdateBits += st.UpdateBits
	}
}

// TestUpdatesOfTheArenaStaySmall holds the design's numbers: bits per update with index and age, bytes per visible entity and tick.
func TestUpdatesOfTheArenaStaySmall(t *testing.T) {
	n, sample, ticks := 1000, 100, 400
	if testing.Short() {
		n, sample, ticks = 300, 30, 100
	}
	for _, c := range []struct {
		name  string
		polar bool
		bits  float64
		bytes float64
	}{{"velocity by axes", false, 44, 0.45}, {"polar", true, 28, 0.33}} {
		t.Run(c.name, func(t *testing.T) {
			a := newArena(t, n, sample, c.polar)
			for range 40 {
				a.step(t, nil)
			}
			a.stats, a.bytes, a.pairs = replica.FrameStats{}, 0, 0
			for range ticks {
				a.step(t, nil)
			}
			bits, bytes := float64(a.stats.UpdateBits)/float64(a.stats.Updates), float64(a.bytes)/float64(a.pairs)
			t.Logf("W(%d): %d updates of %.1f bits, %.3f bytes per visible entity and tick, %.1f visible", n, a.stats.Updates, bits, bytes, float64(a.pairs)/float64(sample*ticks))
			if bits > c.bits || bytes > c.bytes {
				t.Errorf("%.1f bits per update, %.3f bytes per visible entity and tick; want at most %v and %v", bits, bytes, c.bits, c.bytes)
			}
		})
	}
}
