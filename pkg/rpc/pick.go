package rpc

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/balance"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// picker chooses among connected instances.
type picker struct {
	kind   Balance
	turn   atomic.Uint64
	chance *balance.Source
}

// quick is the instance of a first attempt; nil when it is not connected.
func (c *Client) quick(o *CallOptions) *Peer {
	ready := c.view.Load().ready
	if len(ready) == 1 && (o == nil || o.Instance == "") {
		return ready[0]
	}
	return c.picker.choose(ready, o)
}

// among are those of the ready that may be asked after others were tried: not one whose connection has just gone, which the view may still show, and rather one
// that was not asked yet.
func among(ready, tried []*Peer) []*Peer {
	alive, fresh := make([]*Peer, 0, len(ready)), make([]*Peer, 0, len(ready))
	for _, p := range ready {
		if p.leaving() {
			continue
		}
		alive = append(alive, p)
		if !slices.Contains(tried, p) {
			fresh = append(fresh, p)
		}
	}
	if len(fresh) > 0 {
		return fresh
	}
	return alive
}

// choose picks one of those that are ready.
func (k *picker) choose(ready []*Peer, o *CallOptions) *Peer {
	if len(ready) == 0 {
		return nil
	}
	if o != nil && o.Instance != "" {
		p, _ := balance.Direct(o.Instance, ready, nil)
		return p
	}
	switch {
	case len(ready) == 1:
		return ready[0]
	case o != nil && o.Key != "":
		p, _ := balance.Rendezvous(o.Key, ready, nil)
		return p
	case k.kind == RoundRobin:
		return ready[k.turn.Add(1)%uint64(len(ready))]
	}
	p, _ := balance.P2C(ready, nil, k.chance)
	return p
}

// pick is choose, and waits for an instance up to the end of ctx and, if bounded, the limit: 0 or less takes one that is ready, or none.
func (c *Client) pick(ctx context.Context, o *CallOptions, tried []*Peer, limit time.Duration, bounded bool) (*Peer, *status.Error) {
	var late <-chan time.Time
	for {
		v := c.view.Load()
		if v.closed {
			return nil, errClosed()
		}
		if p := c.picker.choose(among(v.ready, tried), o); p != nil {
			return p, nil
		}
		if o.Instance != "" && v.listed && len(v.ready) > 0 && !v.known[o.Instance] && c.cfg.Endpoint == "" {
			return nil, status.NotSentf(status.Unavailable, "service %q has no instance %q: it is gone, or it was never there", c.cfg.Service, o.Instance)
		}
		if late == nil && bounded {
			t := time.NewTimer(limit)
			defer t.Stop()
			late = t.C
		}
		select {
		case <-v.changed:
		case <-late:
			return nil, c.unavailable()
		case <-ctx.Done():
			if context.Cause(ctx) == context.Canceled || ctx.Err() == context.Canceled {
				return nil, status.NotSentf(status.Canceled, "canceled while waiting for a connection")
			}
			return nil, c.unavailable()
		}
	}
}
