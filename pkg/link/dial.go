package link

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
)

// Dial joins a gateway to a server that serves links (see Register), over a connection of c. ctx bounds only the dialling. The link's Close waits until nothing of it is
// left, at most for Config.Linger; when the connection or the server goes away, the link closes itself.
func Dial(ctx context.Context, c rpc.Caller, cfg Config) (Link, error) {
	cfg.validate()
	first, enough := context.WithTimeout(ctx, cfg.Timeout)
	defer enough()
	life, end := context.WithCancel(context.WithoutCancel(ctx)) // of the streams
	stop := context.AfterFunc(first, end)
	l, err := dial(life, end, c, &cfg)
	if err == nil && !stop() {
		_ = l.Close()
		err = context.Cause(first)
	}
	if err != nil {
		end()
		if first.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("no answer within %s: %w", cfg.Timeout, err)
		}
		return nil, fmt.Errorf("link: attach to a server: %w", err)
	}
	return l, nil
}

func dial(life context.Context, end context.CancelFunc, c rpc.Caller, cfg *Config) (*remoteLink, error) {
	main, err := c.Stream(life, methodMessages, &rpc.CallOptions{Codec: wire{}})
	if err != nil {
		return nil, err
	}
	a := attach{version: Version, id: rand.Uint64(), stream: messages, build: cfg.Build}
	if err := main.Send(&outgoing{a: a.append(nil)}); err != nil {
		return nil, err
	}
	state, err := main.Conn().Open(life, methodBatches, &mux.CallInfo{Codec: wire{}, Bulk: true})
	if err != nil {
		return nil, err
	}
	a.stream = batches
	if err := state.Send(&outgoing{a: a.append(nil)}); err != nil {
		return nil, err
	}
	r := &receiver{s: main}
	bounds, hello, err := r.welcome()
	if err != nil {
		return nil, err
	}
	l := startLink(r, state, bounds, hello, cfg, end)
	l.call = main.Conn().Call
	return l, nil
}
