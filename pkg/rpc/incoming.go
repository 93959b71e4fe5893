package rpc

import (
	"context"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// ServerInfo is what interceptors learn of a call that is being served. It is theirs until they return.
type ServerInfo struct {
	Method   string
	Peer     *Peer
	Metadata Metadata
}

// ServerInterceptor stands around handlers, the first of the configuration outermost. It must call next on its own goroutine, before it returns.
type ServerInterceptor func(ctx context.Context, info *ServerInfo, req any, next func(ctx context.Context, req any) (any, error)) (any, error)

// ServerStreamInterceptor stands around handlers of streams.
type ServerStreamInterceptor func(ctx context.Context, info *ServerInfo, s *mux.Stream, next func(ctx context.Context, s *mux.Stream) error) error

// incoming is what all calls that are served have in common. It does not change.
type incoming struct {
	side         string
	interceptors []ServerInterceptor
	streams      []ServerStreamInterceptor
	tracer       Tracer
	metrics      Metrics

	states sync.Pool // of *inState
}

// wrap puts whatever watches calls around a method. Without watchers the handler stays as it is.
func (in *incoming) wrap(m *mux.Method, ps *peers) {
	watched := in.tracer != nil || in.metrics != nil
	switch {
	case m.Unary != nil && (watched || len(in.interceptors) > 0):
		handler := m.Unary
		m.Unary = func(ctx context.Context, req any) (any, error) { return in.serve(ctx, ps, handler, req) }
	case m.Stream != nil && (watched || len(in.streams) > 0):
		handler := m.Stream
		m.Stream = func(ctx context.Context, s *mux.Stream) error { return in.serveStream(ctx, ps, handler, s) }
	}
}

// inState is one call on its way through the interceptors; see outState.
type inState struct {
	in      *incoming
	handler func(ctx context.Context, req any) (any, error)
	info    ServerInfo
	at      int
	next    func(ctx context.Context, req any) (any, error)
}

func (s *inState) step(ctx context.Context, req any) (any, error) {
	if s.at == len(s.in.interceptors) {
		return s.handler(ctx, req)
	}
	at := s.at
	s.at++
	resp, err := s.in.interceptors[at](ctx, &s.info, req, s.next)
	s.at = at
	return resp, err
}

func (in *incoming) serve(ctx context.Context, ps *peers, handler func(context.Context, any) (any, error), req any) (any, error) {
	call := mux.IncomingFrom(ctx)
	info := ServerInfo{Method: call.Method.Name, Peer: ps.of(call.Conn), Metadata: call.Metadata}
	if in.tracer != nil || in.metrics != nil {
		return in.serveWatched(ctx, info, handler, req)
	}
	return in.pass(ctx, info, handler, req)
}

// serveWatched is a function of its own since its results live on the heap.
func (in *incoming) serveWatched(ctx context.Context, info ServerInfo, handler func(context.Context, any) (any, error), req any) (resp any, err error) {
	ctx, stop := in.watch(ctx, info)
	defer stop(&err)
	return in.pass(ctx, info, handler, req)
}

func (in *incoming) pass(ctx context.Context, info ServerInfo, handler func(context.Context, any) (any, error), req any) (any, error) {
	if len(in.interceptors) == 0 {
		return handler(ctx, req)
	}
	s, ok := in.states.Get().(*inState)
	if !ok {
		s = &inState{in: in}
		s.next = s.step
	}
	s.handler, s.info, s.at = handler, info, 0
	resp, err := s.step(ctx, req)
	s.handler, s.info = nil, ServerInfo{}
	in.states.Put(s)
	return resp, err
}

func (in *incoming) serveStream(ctx context.Context, ps *peers, handler func(context.Context, *mux.Stream) error, s *mux.Stream) (err error) {
	call := mux.IncomingFrom(ctx)
	info := &ServerInfo{Method: call.Method.Name, Peer: ps.of(call.Conn), Metadata: call.Metadata}
	if in.tracer != nil || in.metrics != nil {
		var stop func(*error)
		ctx, stop = in.watch(ctx, *info)
		defer stop(&err)
	}
	next := handler
	for i := len(in.streams) - 1; i >= 0; i-- {
		inner, around := next, in.streams[i]
		next = func(ctx context.Context, s *mux.Stream) error { return around(ctx, info, s, inner) }
	}
	return next(ctx, s)
}

// watch begins tracing and timing; what it returns is deferred, sees panics and lets them pass.
func (in *incoming) watch(ctx context.Context, info ServerInfo) (context.Context, func(*error)) {
	var end func(error)
	if in.tracer != nil {
		ctx, end = in.tracer.ServerCall(ctx, info.Method, []byte(info.Metadata.Get(traceKey)))
	}
	began := time.Now()
	return ctx, func(errp *error) {
		err := *errp
		r := recover()
		if r != nil {
			err = status.New(status.Internal, "the handler panicked")
		}
		if in.metrics != nil {
			in.metrics.Call(in.side, info.Method, info.Peer.transport, status.CodeOf(err), time.Since(began))
		}
		if end != nil {
			end(err)
		}
		if r != nil {
			panic(r)
		}
	}
}
