package rpc

import (
	"context"
	"errors"
	"io"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// ClientStream is the opener's end of a stream: it sends In and receives Out. One goroutine may send while another receives.
//
// A stream that was opened must be ended: receive until io.EOF or an error, Cancel it, or cancel the context that it was opened with.
type ClientStream[In, Out any] struct{ s *mux.Stream }

// OpenStream opens a stream. It ends with ctx at the latest; a client's default timeout does not count for streams.
func OpenStream[In, Out any](ctx context.Context, c Caller, method string, opts ...CallOption) (*ClientStream[In, Out], error) {
	o := with(c, opts)
	s, err := c.Stream(ctx, method, o)
	done(c, o)
	if err != nil {
		return nil, err
	}
	return &ClientStream[In, Out]{s}, nil
}

// Send waits for credit and sends. io.EOF and errors say that the stream is over; Recv has the reason.
func (c *ClientStream[In, Out]) Send(m *In) error { return c.s.Send(m) }

// TrySend sends, or answers mux.ErrWouldBlock at once when the receiver gives no credit.
func (c *ClientStream[In, Out]) TrySend(m *In) error { return c.s.TrySend(m) }

// CloseSend tells the other end that there is no more to come.
func (c *ClientStream[In, Out]) CloseSend() error { return c.s.CloseSend() }

// Recv waits for the next message. io.EOF: the handler ended without an error.
func (c *ClientStream[In, Out]) Recv() (*Out, error) { return recv[Out](c.s) }

// RecvInto is Recv into a message that is there already; it is replaced.
func (c *ClientStream[In, Out]) RecvInto(m *Out) error { return c.s.Recv(m) }

// CloseAndRecv ends sending and waits for the one answer, and for the end.
func (c *ClientStream[In, Out]) CloseAndRecv() (*Out, error) {
	if err := c.s.CloseSend(); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	answer, err := recv[Out](c.s)
	if errors.Is(err, io.EOF) {
		return nil, status.New(status.Internal, "the stream ended without an answer: its handler has to send exactly one message")
	} else if err != nil {
		return nil, err
	}
	var more Out
	switch err := c.s.Recv(&more); {
	case err == nil:
		e := status.New(status.Internal, "more than one answer: read streams of answers with Recv")
		c.s.Cancel(e)
		return nil, e
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return answer, nil
}

// Cancel gives the stream up: the handler's context ends.
func (c *ClientStream[In, Out]) Cancel() { c.s.Cancel(context.Canceled) }

// Context ends with the stream.
func (c *ClientStream[In, Out]) Context() context.Context { return c.s.Context() }

// Raw is the stream without types.
func (c *ClientStream[In, Out]) Raw() *mux.Stream { return c.s }

// ServerStream is the handler's end of a stream: it receives In and sends Out. It ends when the handler returns.
type ServerStream[In, Out any] struct{ s *mux.Stream }

// Recv waits for the next message. io.EOF: there is no more to come.
func (s *ServerStream[In, Out]) Recv() (*In, error) { return recv[In](s.s) }

// RecvInto is Recv into a message that is there already; it is replaced.
func (s *ServerStream[In, Out]) RecvInto(m *In) error { return s.s.Recv(m) }

// Send waits for credit and sends.
func (s *ServerStream[In, Out]) Send(m *Out) error { return s.s.Send(m) }

// TrySend sends, or answers mux.ErrWouldBlock at once when the receiver gives no credit.
func (s *ServerStream[In, Out]) TrySend(m *Out) error { return s.s.TrySend(m) }

// Context ends with the stream, and with the caller.
func (s *ServerStream[In, Out]) Context() context.Context { return s.s.Context() }

// Raw is the stream without types.
func (s *ServerStream[In, Out]) Raw() *mux.Stream { return s.s }

func recv[T any](s *mux.Stream) (*T, error) {
	m := new(T)
	if err := s.Recv(m); err != nil {
		return nil, err
	}
	return m, nil
}

// HandleStream serves a stream method; the handler's return ends the stream, and its error is what the opener gets.
func HandleStream[In, Out any](r Registrar, method string, fn func(ctx context.Context, s *ServerStream[In, Out]) error, opts ...HandleOption) {
	m := &mux.Method{Name: method, Stream: func(ctx context.Context, s *mux.Stream) error { return fn(ctx, &ServerStream[In, Out]{s}) }}
	var o handleOptions
	for _, set := range opts {
		set(&o)
	}
	if o.inline || o.pooled {
		panic("rpc: handle " + method + ": Inline and Pooled are for methods with one request and one answer")
	}
	m.Codec = o.codec
	r.Register(m)
}
