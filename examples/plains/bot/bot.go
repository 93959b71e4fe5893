// Package bot plays plains as a client: it wanders over the land, and from one zone into the next, strikes at wolves, picks up coins, and says a word now and then. One
// goroutine per bot, the one that calls Play, and one more while a blow is on its way; Play waits for it.
package bot

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/examples/plains/rules"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/game"
)

const (
	strikeAt = 2 * bind.QuantaPerMetre  // to be within reach even if the wolf walks on
	seekAt   = 15 * bind.QuantaPerMetre // as far as it goes for a wolf or a coin
)

// player is a bot at play. Its fields belong to the goroutine of Serve, but for striking.
type player struct {
	c        *client.Client
	rand     *rand.Rand
	seq      uint32  // of the last input
	turns    uint32  // tick of the next decision
	strikes  uint32  // tick from which it may strike again
	drift    float64 // radians: where it goes in the long run
	striking atomic.Bool
}

// Play plays until the connection ends, and returns why it did. n is the seed of the bot's way.
func Play(ctx context.Context, n int, c *client.Client) error {
	ctx, cancel := context.WithCancel(ctx)
	var blows sync.WaitGroup
	defer blows.Wait()
	defer cancel()
	p := &player{c: c, rand: rand.New(rand.NewPCG(uint64(n), 77))}
	p.drift = p.rand.Float64() * 2 * math.Pi
	return c.Serve(client.Handler{State: func() { p.look(ctx, &blows) }})
}

// look decides what to do about the state that has come. Errors of sending are the end, which Serve reports.
func (p *player) look(ctx context.Context, blows *sync.WaitGroup) {
	own, ok := p.c.Own()
	if !ok {
		return // dead: the zone gives it another hero in a moment
	}
	tick := p.c.Mirror.Rows[own.Zone].Tick
	turn, strike := p.turns == 0 || int32(tick-p.turns) >= 0, int32(tick-p.strikes) >= 0 && !p.striking.Load()
	if !turn && !strike {
		return
	}
	x, z, _ := own.Position(tick)
	wolf, dx, dz := p.nearest(x, z)
	if strike {
		p.strikes = tick + 11
		if wolf != 0 && math.Hypot(dx, dz) < strikeAt {
			p.strike(ctx, blows, wolf)
		}
	}
	if turn {
		p.turns = tick + 14 + p.rand.Uint32N(13) // 0.7 to 1.3 s
		p.turn(tick, dx, dz)
	}
}

// nearest finds the wolf or coin that is nearest, if one is near: its way from here, and its id if it is a wolf.
func (p *player) nearest(x, z int32) (wolf uint64, dx, dz float64) {
	best := float64(seekAt)
	for i := range p.c.Mirror.Entities {
		e := &p.c.Mirror.Entities[i]
		if !e.Live {
			continue
		}
		kind := game.Kind(e.Kind)
		if kind != bind.KindWolf && kind != bind.KindCoin {
			continue
		}
		ex, ez, _ := e.Position(p.c.Mirror.Rows[e.Zone].Tick)
		wx, wz := float64(ex-x), float64(ez-z)
		if d := math.Hypot(wx, wz); d < best {
			best, wolf, dx, dz = d, 0, wx, wz
			if kind == bind.KindWolf {
				wolf = e.ID
			}
		}
	}
	return wolf, dx, dz
}

// strike has one blow at a time on its way: what came of it is seen by its state.
func (p *player) strike(ctx context.Context, blows *sync.WaitGroup, wolf uint64) {
	p.striking.Store(true)
	blows.Go(func() {
		defer p.striking.Store(false)
		_, _ = bind.CallAttack(ctx, p.c, &plainsv1.AttackRequest{Target: wolf})
	})
}

// turn walks towards what is near, or on in the long run's direction, give or take.
func (p *player) turn(tick uint32, dx, dz float64) {
	if p.rand.IntN(16) == 0 {
		p.drift = p.rand.Float64() * 2 * math.Pi
	}
	to := p.drift + p.rand.NormFloat64()
	if (dx != 0 || dz != 0) && p.rand.IntN(8) > 0 { // now and then it looks elsewhere, or a wall would hold it for ever
		to = math.Atan2(dz, dx)
	}
	p.seq++
	sin, cos := math.Sincos(to)
	_ = bind.SendMove(p.c, &plainsv1.Move{Seq: p.seq, Tick: tick + 1, Vx: int32(cos * rules.MaxSpeed), Vz: int32(sin * rules.MaxSpeed)})
	if p.rand.IntN(60) == 0 {
		_ = bind.SendSay(p.c, &plainsv1.Say{Text: [...]string{"hello", "wolves!", "this way", "/shout who is there?"}[p.rand.IntN(4)]})
	}
}
