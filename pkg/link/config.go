package link

import (
	"log/slog"
	"time"
)

// Config of a link between processes. Zero fields take their default.
type Config struct {
	// Bounds of the queues. They count from a Send at one end to the Receive at the other, whatever lies between; the server's hold for both ends.
	Bounds PipeConfig
	// Gather is how long messages wait for others after some have left, so that they share the way; the first after a pause does not wait. Default 500 µs; negative: not
	// at all.
	Gather time.Duration
	// Linger is how long an end that was closed goes on sending what waits; default 1 s.
	Linger time.Duration
	// Timeout of the first words: of the gateway's second stream at the server, of the server's answer at the gateway; default 3 s.
	Timeout time.Duration
	// Build names the gateway's build for the server; at most 256 bytes. A server needs none.
	Build string
	// Tickets answers what gateways ask by Link.Secret; nil knows no ticket. A gateway needs none.
	Tickets Tickets
	Log     *slog.Logger // default: none
}

func (c *Config) validate() {
	c.Bounds.validate()
	for _, v := range []*int{&c.Bounds.UpMessages, &c.Bounds.UpBytes, &c.Bounds.Batches, &c.Bounds.DownBytes, &c.Bounds.DownMessage} {
		*v = min(*v, 1<<30) // what the welcome can say
	}
	for _, f := range []struct {
		v *time.Duration
		d time.Duration
	}{{&c.Gather, 500 * time.Microsecond}, {&c.Linger, time.Second}, {&c.Timeout, 3 * time.Second}} {
		if *f.v == 0 {
			*f.v = f.d
		}
	}
	c.Linger, c.Timeout = max(c.Linger, 0), max(c.Timeout, 0)
	c.Build = c.Build[:min(len(c.Build), maxBuild)]
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}
