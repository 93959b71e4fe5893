// Package bot plays plains as a client: it walks in a new direction every second or so. One goroutine per bot, the one that calls Play.
package bot

import (
	"context"
	"math"
	"math/rand/v2"

	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/examples/plains/rules"
	"github.com/tianxia-mmo/tianxia/pkg/client"
)

// Play walks until the connection ends, and returns why it did. n is the seed of the bot's way.
func Play(_ context.Context, n int, c *client.Client) error {
	r := rand.New(rand.NewPCG(uint64(n), 77))
	var seq, next uint32
	return c.Serve(client.Handler{State: func() {
		tick := c.Mirror.Rows[0].Tick
		if next != 0 && int32(tick-next) < 0 {
			return
		}
		next = tick + 14 + r.Uint32N(13) // 0.7 to 1.3 s
		seq++
		sin, cos := math.Sincos(r.Float64() * 2 * math.Pi)
		_ = bind.SendMove(c, &plainsv1.Move{Seq: seq, Tick: tick + 1, // an error is the end, which Serve reports
			Vx: int32(cos * rules.MaxSpeed), Vz: int32(sin * rules.MaxSpeed)})
	}})
}
