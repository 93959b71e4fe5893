// Package sample is the sample game plains as a program: what cmd/mmo and cmd/server have in common.
//
// App only puts things together, in the caller's goroutine; the program that it describes is stopped as tianxia.App says.
package sample

import (
	"flag"
	"fmt"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/plains"
	"github.com/tianxia-mmo/tianxia/examples/plains/bot"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/web"
)

// App is plains with its bots, its page and its flags.
func App() tianxia.App {
	walkers, wolves, coins, zones := 1000, -1, -1, 2
	var seed uint64
	return tianxia.App{
		Flags: func(fs *flag.FlagSet) {
			fs.IntVar(&walkers, "walkers", walkers, "number of server-side `walkers`, 0 to 30,000; the world grows with them")
			fs.IntVar(&wolves, "wolves", wolves, "number of `wolves`, up to 10,000; -1: one for 25 walkers")
			fs.IntVar(&coins, "coins", coins, "number of heaps of `coins` that lie about, up to 10,000; -1: one for 5 walkers")
			fs.IntVar(&zones, "zones", zones, "number of `zones`, 1 to 15, side by side, into which the world is divided")
			fs.Uint64Var(&seed, "seed", 1, "seed of the world's chance")
		},
		New: func(bots int) (*game.Game, []game.Config, error) {
			for _, f := range []struct {
				name               string
				value, least, most int
			}{{"walkers", walkers, 0, 30_000}, {"wolves", wolves, -1, 10_000}, {"coins", coins, -1, 10_000}, {"zones", zones, 1, 15}} { // more than a client that looks at the whole world could hold
				if f.value < f.least || f.value > f.most {
					return nil, nil, &tianxia.UsageError{Message: fmt.Sprintf("-%s %d: need %d to %d", f.name, f.value, f.least, f.most)}
				}
			}
			if wolves < 0 {
				wolves = walkers / 25
			}
			if coins < 0 {
				coins = walkers / 5
			}
			each := func(n int) int { return (n + zones - 1) / zones }
			world, err := plains.World(seed, plains.SideFor(walkers+bots), int32(zones))
			return plains.New(plains.Config{Walkers: each(walkers), Wolves: each(wolves), Coins: each(coins), Den: true}), world, err
		},
		Bot: bot.Play,
		Web: web.Assets(),
	}
}
