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
	cfg := plains.Config{Walkers: 1000}
	var seed uint64
	return tianxia.App{
		Flags: func(fs *flag.FlagSet) {
			fs.IntVar(&cfg.Walkers, "walkers", cfg.Walkers, "number of server-side `walkers`, 0 to 30,000; the world grows with them")
			fs.Uint64Var(&seed, "seed", 1, "seed of the world's chance")
		},
		New: func(bots int) (*game.Game, game.Config, error) {
			if cfg.Walkers < 0 || cfg.Walkers > 30_000 { // more than a client that looks at the whole world could hold
				return nil, game.Config{}, &tianxia.UsageError{Message: fmt.Sprintf("-walkers %d: need 0 to 30000", cfg.Walkers)}
			}
			return plains.New(cfg), game.Config{Seed: seed, Width: plains.SideFor(cfg.Walkers + bots)}, nil
		},
		Bot: bot.Play,
		Web: web.Assets(),
	}
}
