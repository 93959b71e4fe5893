package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Service handles what clients send on a route of affinity SERVICE. It runs on a goroutine of its own, at most Config.ServiceCalls at a time, apart from the zone's ticks, and must end with ctx, which ends
// after Config.ServiceTimeout. The reply of a request is numbered like the zone's messages, and so comes once whatever becomes of connections. An error that
// is a *game.Error is told to the client, another as an internal error. For a push, the reply is dropped.
type Service func(ctx context.Context, r *ServiceRequest) (reply proto.Message, err error)

// ServiceRequest is what a session's client asks of a service.
type ServiceRequest struct {
	Session uint64
	Player  uint64
	Name    string
	Rights  []string
	Route   protocol.Route
	Payload []byte // a message of the route; it may be kept
}

// served is what became of a call of a service.
type served struct {
	session uint64
	l       letter
}

// maxCalls bounds the calls of one session that are under way.
const maxCalls = 16

// call hands a message to a service.
func (s *Server) call(x *session, r protocol.Route, u *link.Up) {
	run := s.cfg.Services[r.ID]
	switch {
	case run == nil:
		s.refuse(x, r, u.ID, protocol.ErrorUnavailable, "no service handles "+r.Name)
		return
	case s.calls >= s.cfg.ServiceCalls || x.calls >= maxCalls:
		s.refuse(x, r, u.ID, protocol.ErrorOverloaded, r.Name+": too many calls are under way; try again")
		return
	}
	s.calls++
	x.calls++
	in := &ServiceRequest{Session: x.id, Player: x.who.Player, Name: x.who.Name, Rights: x.who.Rights, Route: r, Payload: bytes.Clone(u.Payload)}
	id := u.ID
	s.asking.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, s.cfg.ServiceTimeout)
		defer cancel()
		l := s.guard(ctx, run, in, id)
		s.mu.Lock()
		s.served = append(s.served, served{in.Session, l})
		s.mu.Unlock()
	})
}

// guard runs a service; a panic ends that call only.
func (s *Server) guard(ctx context.Context, run Service, in *ServiceRequest, id uint32) (l letter) {
	defer func() {
		if v := recover(); v != nil {
			s.cfg.Log.Error("a service panicked; the call was ended", "route", in.Route.Name, "session", in.Session, "panic", v, "stack", string(debug.Stack()))
			l = failure(in.Route.ID, id, protocol.ErrorInternal, "the request failed")
		}
	}()
	reply, err := run(ctx, in)
	var e *game.Error
	switch {
	case errors.As(err, &e):
		return failure(in.Route.ID, id, e.Code, e.Message)
	case err != nil && ctx.Err() != nil:
		return failure(in.Route.ID, id, protocol.ErrorUnavailable, fmt.Sprintf("%s did not answer in time", in.Route.Name))
	case err != nil:
		s.cfg.Log.Warn("a service failed", "route", in.Route.Name, "session", in.Session, "error", err)
		return failure(in.Route.ID, id, protocol.ErrorInternal, "the request failed")
	case id == 0:
		return letter{}
	case reply == nil:
		s.cfg.Log.Error("a service has no reply to a request", "route", in.Route.Name)
		return failure(in.Route.ID, id, protocol.ErrorInternal, "the request failed")
	}
	b, err := protocol.Marshal(reply)
	if err == nil && len(b) > in.Route.MaxBytes {
		err = fmt.Errorf("%d bytes, the route's MaxBytes is %d", len(b), in.Route.MaxBytes)
	}
	if err != nil {
		s.cfg.Log.Error("a service's reply cannot be sent", "route", in.Route.Name, "error", err)
		return failure(in.Route.ID, id, protocol.ErrorInternal, "the request failed")
	}
	return letter{protocol.TypeResponse, in.Route.ID, id, b}
}

// answer sends what a service said, if its session is still there.
func (s *Server) answer(r *served) {
	s.calls--
	x := s.sessions[r.session]
	if x == nil {
		return
	}
	if x.calls--; r.l.payload != nil {
		s.number(x, r.l)
	}
}

// refuse answers a message with an error.
func (s *Server) refuse(x *session, r protocol.Route, id uint32, code protocol.ErrorCode, text string) {
	s.number(x, failure(r.ID, id, code, text))
}

func failure(route uint16, id uint32, code protocol.ErrorCode, text string) letter {
	return letter{protocol.TypeError, route, id, marshal(&mmov1.Error{Code: uint32(code), Message: text})}
}
