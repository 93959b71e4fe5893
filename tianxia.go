// Package tianxia assembles nodes from the framework's parts and gives any game the commands of mmo.
//
// An App is a game with its bots and its page; Main makes a program of it. Open boots an all-in-one node (gateway, server, page in one process) for programs and tests
// that want to hold it themselves: Serve runs it in the caller's goroutine until the context ends, and has stopped everything when it returns.
package tianxia

import (
	"context"
	"flag"
	"io/fs"

	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// App is a game with what surrounds it.
type App struct {
	// Name of the program, for its messages. Default: mmo.
	Name string
	// Flags, if set, adds the game's own flags to those of the commands.
	Flags func(fs *flag.FlagSet)
	// New makes the game and the zone it runs in, after the flags were parsed; bots is the number of bot clients that will join. A *UsageError says that
	// the flags are wrong.
	New func(bots int) (*game.Game, game.Config, error)
	// Bot, if set, plays one client until ctx ends or the connection does. It runs in a goroutine of its own, n counts the bots from 0.
	Bot func(ctx context.Context, n int, c *client.Client) error
	// Web, if set, is the page at /.
	Web fs.FS
}

// UsageError is a mistake on the command line: the program says it and exits with code 2.
type UsageError struct{ Message string }

// Error implements error.
func (e *UsageError) Error() string { return e.Message }

// Main runs a game that needs no flags, bots or page of its own as a program.
func Main(g *game.Game) {
	App{Name: g.Name, New: func(int) (*game.Game, game.Config, error) { return g, game.Config{}, nil }}.Main()
}
