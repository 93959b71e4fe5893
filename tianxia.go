// Package tianxia assembles nodes from the framework's parts and gives any game the commands of mmo.
//
// An App is a game with its bots and its page; Main makes a program of it. Open boots an all-in-one node (gateway, server, page in one process) for programs and tests
// that want to hold it themselves, OpenServer and OpenGateway its two halves for processes of their own: Serve runs each in the caller's goroutine until the context ends, and
// has stopped everything when it returns.
package tianxia

import (
	"context"
	"flag"
	"io"
	"io/fs"

	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/server"
)

// App is a game with what surrounds it.
type App struct {
	// Name of the program, for its messages. Default: mmo.
	Name string
	// Flags, if set, adds the game's own flags to those of the commands.
	Flags func(fs *flag.FlagSet)
	// Only, if set, makes a program of one command, whose name is then left out: "server", or "gateway", for which New may be nil, because a gateway knows no game.
	Only string
	// New makes the game and the zones it runs in, the first of which players join, after the flags were parsed; bots is the number of bot clients that will join. A *UsageError says that
	// the flags are wrong.
	New func(bots int) (*game.Game, []game.Config, error)
	// Bot, if set, plays one client until ctx ends or the connection does. It runs in a goroutine of its own, n counts the bots from 0.
	Bot func(ctx context.Context, n int, c *client.Client) error
	// Services handle what clients send on routes of affinity SERVICE, by route, in the process that has the zone.
	Services map[uint16]server.Service
	// Web, if set, is the page at /.
	Web fs.FS
	// Commands of the program besides those that every game has.
	Commands []Command
}

// Command is something that a program can be told to do on its command line.
type Command struct {
	Name string
	Help string // one line: what for
	// Run does it and returns the exit code: 0 done, 1 failed, 2 the command line is wrong. args are those behind the name.
	Run func(ctx context.Context, args []string, stdout, stderr io.Writer) int
}

// Game is a game to run: a *game.Game, or the generated bindings that embed one.
type Game interface{ Define() *game.Game }

// UsageError is a mistake on the command line: the program says it and exits with code 2.
type UsageError struct{ Message string }

// Error implements error.
func (e *UsageError) Error() string { return e.Message }

// Main runs a game that needs no flags, bots or page of its own as a program.
func Main(g Game) {
	App{Name: g.Define().Name, New: func(int) (*game.Game, []game.Config, error) { return g.Define(), nil, nil }}.Main()
}
