package gateway

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// This file empties a gateway without cutting anybody off.

// drainReason is the reason of a GOAWAY.
const drainReason = "drain"

// Ready tells whether new clients are let in: there is a server, and nobody drains or stops the gateway. It is the answer to a load balancer.
func (g *Gateway) Ready() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.world != nil && g.draining == 0 && !g.stopped
}

// Drain lets nobody in any more, asks every client to resume elsewhere at a time of its own within over, evenly spread, and waits until all have gone, or ctx ends: then the error
// says how many have not. Clients that stay are served as before; whoever ends Serve's context ends them. There is no way back. Whoever calls it again waits along.
func (g *Gateway) Drain(ctx context.Context, over time.Duration) error {
	g.mu.Lock()
	var sessions []*session
	if g.gone == nil {
		g.gone, g.draining = make(chan struct{}), max(over, 1)
		if g.open == 0 {
			close(g.gone)
		}
		for _, s := range g.sessions {
			sessions = append(sessions, s)
		}
	}
	gone := g.gone
	g.mu.Unlock()
	sortSessions(sessions)
	if len(sessions) > 0 {
		g.cfg.Log.Info("gateway drains", "sessions", len(sessions), "over", over)
	}
	share := over / time.Duration(max(len(sessions), 1))
	for i, s := range sessions { // each in a share of the time of its own, at any moment of it
		s.goAway(time.Duration(i)*share + upTo(share))
	}
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("gateway: drain: %d connections are left: %w", g.Stats().Connections, ctx.Err())
	}
}

// upTo is a random time from 0 to d.
func upTo(d time.Duration) time.Duration { return rand.N(max(d, 0) + 1) }

// goAway asks the client to resume elsewhere after a time. Any goroutine may call it.
func (s *session) goAway(after time.Duration) {
	b, err := protocol.Marshal(&mmov1.Goaway{Reason: drainReason, ReconnectAfterMs: uint32(after.Milliseconds())})
	if err != nil {
		return // cannot happen: scalars and valid text
	}
	s.queue(s.shard(), s.g.clock(), protocol.Frame{Type: protocol.TypeControl, Route: protocol.RouteGoaway, Payload: b}, false)
}

func sortSessions(list []*session) {
	slices.SortFunc(list, func(a, b *session) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
}
