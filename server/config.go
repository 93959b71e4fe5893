package server

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/record"
	"github.com/tianxia-mmo/tianxia/pkg/link"
)

// Config describes a server. Zero fields take their default.
type Config struct {
	Zones      []game.Config   // of the world; players join in the first; default: one zone. Epoch: default: from the clock, so that no two starts share one
	Pipe       link.PipeConfig // bounds of the links to gateways of this process
	CatchUp    int             // ticks that a late zone makes in a row before it gives up the lost time; default 5
	StatusTick uint32          // ticks between two status messages to the players; default: a second

	// Linger is for how long a session waits for a client that has lost its connection, with its avatar in the world; default 60 s, negative: not at all.
	Linger         time.Duration
	OutboxBytes    int // that a client has not acknowledged, 64 counted for each message beside its payload; beyond, the session ends; default 256 KiB
	OutboxMessages int // that a client has not acknowledged; beyond, the session ends; default 4,096

	// MaxPlayers in the world at once, those who linger included; who comes later waits in the login queue. Default 0: no bound.
	MaxPlayers int
	// LoginRate is how many sessions per second enter the world for long, and at once; the others wait. Default 0: no bound.
	LoginRate  float64
	QueueMax   int           // sessions in the login queue; default 100,000
	QueueGrace time.Duration // for so long one in the queue may be without a connection and keep its place; default 2 min, negative: not at all

	// Directory of sessions; default: one in memory, for this server alone.
	Directory    link.Directory
	ClaimTimeout time.Duration // of one question to the directory; default 3 s

	// Services by route, for those of affinity SERVICE.
	Services       map[uint16]Service
	ServiceCalls   int           // under way at once, beyond which calls are refused; default 1,024
	ServiceTimeout time.Duration // of one call; default 5 s

	Jobs         int           // of the zones (game.Go), under way at once, beyond which they fail; default 1,024
	MaxInstances int           // that are open at once, beyond which nobody gets into a new one; default 1,000
	InstanceIdle time.Duration // after which an instance without players is closed; default 1 min
	Shed         ShedRule      // when zones with too much to do are told to do less

	// RecordDir, if set, is a folder in which every zone's inputs are recorded, for mmo replay: a file for each zone and start.
	RecordDir string
	Record    record.Config // of the recordings
	// Flags of the program that the recordings are told, so that a replay makes the same game.
	Flags map[string]string
	// Audit, if set, is told of every use of a command, besides the log. It is called by the server's goroutine and must not wait.
	Audit func(zone uint32, a game.Audit)

	Log *slog.Logger // default: none
}

func (c *Config) validate() error {
	if c.CatchUp == 0 {
		c.CatchUp = 5
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for _, f := range []struct {
		v *int
		d int
	}{{&c.OutboxBytes, 256 << 10}, {&c.OutboxMessages, 4096}, {&c.QueueMax, 100_000}, {&c.ServiceCalls, 1024}, {&c.Jobs, 1024}, {&c.MaxInstances, 1000}} {
		if *f.v == 0 {
			*f.v = f.d
		}
	}
	for _, f := range []struct {
		v *time.Duration
		d time.Duration
	}{{&c.Linger, time.Minute}, {&c.QueueGrace, 2 * time.Minute}, {&c.ServiceTimeout, 5 * time.Second}, {&c.ClaimTimeout, 3 * time.Second}, {&c.InstanceIdle, time.Minute}} {
		if *f.v == 0 {
			*f.v = f.d
		}
	}
	if len(c.Zones) == 0 {
		c.Zones = []game.Config{{}}
	}
	if err := c.Shed.validate(); err != nil {
		return err
	}
	switch {
	case c.Jobs < 0 || c.MaxInstances < 0 || c.InstanceIdle < 0 || c.InstanceIdle > 24*time.Hour:
		return fmt.Errorf("server: Jobs %d, MaxInstances %d and InstanceIdle %v: need 0 or more, and at most 24 h", c.Jobs, c.MaxInstances, c.InstanceIdle)
	case c.CatchUp < 1:
		return fmt.Errorf("server: CatchUp of %d ticks, need at least 1", c.CatchUp)
	case c.OutboxBytes < 0 || c.OutboxMessages < 0 || c.MaxPlayers < 0 || c.LoginRate < 0 || c.LoginRate != c.LoginRate || c.QueueMax < 0 || c.ServiceCalls < 0 || c.ServiceTimeout < 0 || c.ClaimTimeout < 0:
		return fmt.Errorf("server: OutboxBytes %d, OutboxMessages %d, MaxPlayers %d, LoginRate %v, QueueMax %d, ServiceCalls %d, ServiceTimeout %v and ClaimTimeout %v must not be negative",
			c.OutboxBytes, c.OutboxMessages, c.MaxPlayers, c.LoginRate, c.QueueMax, c.ServiceCalls, c.ServiceTimeout, c.ClaimTimeout)
	case c.Linger > maxLinger || c.QueueGrace > maxLinger:
		return fmt.Errorf("server: Linger of %v and QueueGrace of %v: at most %v", c.Linger, c.QueueGrace, maxLinger)
	}
	return nil
}

// maxLinger keeps a ticket's life within that of its key.
const maxLinger = time.Hour
