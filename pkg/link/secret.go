package link

import (
	"context"
	"errors"
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// methodSecret is a call beside the streams: a gateway asks it in the middle of a client's handshake, on a goroutine of that client's, and may wait.
const methodSecret = Service + "/Secret"

// maxTicket bounds a ticket, in bytes.
const maxTicket = 256

// ask answers Secret of one process.
func ask(ctx context.Context, t Tickets, ticket []byte) (Grant, error) {
	if t == nil || len(ticket) == 0 || len(ticket) > maxTicket {
		return Grant{}, ErrNoTicket
	}
	return t.Secret(ctx, ticket)
}

// serveSecret answers gateways of other processes.
func serveSecret(r rpc.Registrar, t Tickets) {
	rpc.Handle(r, methodSecret, func(ctx context.Context, ticket *[]byte) (*[]byte, error) {
		g, err := ask(ctx, t, *ticket)
		switch {
		case errors.Is(err, ErrNoTicket):
			return nil, status.New(status.NotFound, ErrNoTicket.Error())
		case err != nil:
			return nil, err
		}
		b := g.append(nil)
		return &b, nil
	}, rpc.WithCodec(rpc.Bytes{}))
}

// Secret asks the server of this link, and no other instance.
func (l *remoteLink) Secret(ctx context.Context, ticket []byte) (Grant, error) {
	if len(ticket) == 0 || len(ticket) > maxTicket {
		return Grant{}, ErrNoTicket
	}
	var b []byte
	err := l.call(ctx, methodSecret, &ticket, &b, &mux.CallInfo{Codec: rpc.Bytes{}})
	var e *status.Error
	switch {
	case errors.As(err, &e) && e.Code == status.NotFound:
		return Grant{}, ErrNoTicket
	case err != nil:
		return Grant{}, fmt.Errorf("link: ask for a ticket's secret: %w", err)
	}
	return parseGrant(b)
}
