package rpc

import (
	"context"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// Names of lower layers that callers need: one import is enough for most.
type (
	Codec  = mux.Codec    // messages into bytes and back
	Stream = mux.Stream   // messages in order, either way, with credit
	Error  = status.Error // why a call failed; errors.As finds it, errors.Is matches codes and fates
	Code   = status.Code  // kind of an Error, as in gRPC
)

// Caller is what calls are made on: a *Client, which chooses among instances, or a *Peer, which is one connection. Generated clients take one.
//
// The options may be nil. They are read, and kept by nobody, until the method returns.
type Caller interface {
	// Invoke calls and waits. req and resp are what the codec takes; a nil resp drops the answer's content. The error is an *Error unless an interceptor made another.
	Invoke(ctx context.Context, method string, req, resp any, o *CallOptions) error
	// InvokeAsync calls; done gets the result exactly once, on a goroutine that it must not block: the connection's, or the caller's own, before InvokeAsync returns,
	// when the call could not be made. req and resp belong to the call until then.
	InvokeAsync(ctx context.Context, method string, req, resp any, o *CallOptions, done func(error))
	// Post is one-way: nil means handed over, not executed.
	Post(ctx context.Context, method string, req any, o *CallOptions) error
	// Stream opens a stream; it ends with ctx at the latest.
	Stream(ctx context.Context, method string, o *CallOptions) (*mux.Stream, error)
}

// CallOptions is what can be said about one call. The zero value will do.
type CallOptions struct {
	Timeout    time.Duration // of all attempts together, besides the context's deadline, and cheaper; 0: the client's default, negative: none
	Metadata   []string      // key, value, key, value …
	Codec      Codec         // nil: the client's
	Key        string        // calls with the same key go to the same instance, as long as it is there (rendezvous hashing); "": any
	Instance   string        // id of the instance that has to answer; "": any
	Idempotent bool          // executing it twice is harmless: it may be repeated after the connection was lost
	NoRetry    bool          // one attempt only
	Bulk       bool          // streams only: the messages, in order, take a lane for large ones

	used *Peer // the last one tried, for metrics
	held bool  // an asynchronous call's, and there until it is done
}

// CallOption sets one of CallOptions.
type CallOption func(*CallOptions)

// WithTimeout bounds a call, all attempts together.
func WithTimeout(d time.Duration) CallOption { return func(o *CallOptions) { o.Timeout = d } }

// WithMetadata adds keys and values, alternating. It panics when a value is missing.
func WithMetadata(keysAndValues ...string) CallOption {
	if len(keysAndValues)%2 != 0 {
		panic("rpc: WithMetadata: a key without a value")
	}
	return func(o *CallOptions) {
		o.Metadata = append(o.Metadata[:len(o.Metadata):len(o.Metadata)], keysAndValues...)
	}
}

// WithCallCodec replaces the client's codec.
func WithCallCodec(c Codec) CallOption { return func(o *CallOptions) { o.Codec = c } }

// WithKey sends calls with the same key to the same instance, as long as it is there.
func WithKey(key string) CallOption { return func(o *CallOptions) { o.Key = key } }

// ToInstance names the instance that has to answer.
func ToInstance(id string) CallOption { return func(o *CallOptions) { o.Instance = id } }

// Idempotent allows to repeat the call when nobody knows whether it was executed.
func Idempotent() CallOption { return setIdempotent }

// NoRetry forbids to repeat the call, even when it was certainly not executed.
func NoRetry() CallOption { return setNoRetry }

// Bulk sends a stream's messages over a lane for large ones.
func Bulk() CallOption { return setBulk }

func setIdempotent(o *CallOptions) { o.Idempotent = true }
func setNoRetry(o *CallOptions)    { o.NoRetry = true }
func setBulk(o *CallOptions)       { o.Bulk = true }

// lender lends CallOptions, which would else be allocated for every call that has any. Clients and peers are lenders.
type lender interface {
	lend() *CallOptions
	giveBack(*CallOptions)
}

// with applies the options to what the caller lends; nil when there is nothing to say. What it returns goes to done.
func with(c Caller, opts []CallOption) *CallOptions {
	if len(opts) == 0 {
		return nil
	}
	var o *CallOptions
	if l, ok := c.(lender); ok {
		o = l.lend()
	} else {
		o = &CallOptions{}
	}
	for _, set := range opts {
		set(o)
	}
	return o
}

func done(c Caller, o *CallOptions) {
	if o == nil {
		return
	}
	if l, ok := c.(lender); ok {
		*o = CallOptions{}
		l.giveBack(o)
	}
}

// Call calls a method and waits for its answer:
//
//	resp, err := rpc.Call[pb.MoveResp](ctx, client, "world.Move", &pb.MoveReq{X: 1})
//
// The error is an *Error unless an interceptor made another.
func Call[Resp, Req any](ctx context.Context, c Caller, method string, req *Req, opts ...CallOption) (*Resp, error) {
	resp := new(Resp)
	if err := CallInto(ctx, c, method, req, resp, opts...); err != nil {
		return nil, err
	}
	return resp, nil
}

// CallInto is Call into a response that the caller has already; it is replaced. It allocates nothing.
func CallInto(ctx context.Context, c Caller, method string, req, resp any, opts ...CallOption) error {
	if len(opts) == 0 {
		return c.Invoke(ctx, method, req, resp, nil)
	}
	o := with(c, opts)
	err := c.Invoke(ctx, method, req, resp, o)
	done(c, o)
	return err
}

// Notify sends a message that is not answered. nil means handed over, not executed.
func Notify[Req any](ctx context.Context, c Caller, method string, req *Req, opts ...CallOption) error {
	o := with(c, opts)
	err := c.Post(ctx, method, req, o)
	done(c, o)
	return err
}

// Go calls a method and does not wait. req must not be changed before the future is done. Cancel ctx to give the call up.
func Go[Resp, Req any](ctx context.Context, c Caller, method string, req *Req, opts ...CallOption) Future[Resp] {
	f := &future[Resp]{over: make(chan struct{})}
	o := with(c, opts)
	c.InvokeAsync(ctx, method, req, &f.resp, o, f.finish)
	done(c, o)
	return Future[Resp]{f}
}

// Future is the result of a call that is under way. Any goroutine may wait for it, any number of times.
type Future[Resp any] struct{ f *future[Resp] }

type future[Resp any] struct {
	resp Resp
	err  error
	over chan struct{} // closed after resp and err were written
}

func (f *future[Resp]) finish(err error) {
	f.err = err
	close(f.over)
}

// Done is closed when the result is there.
func (f Future[Resp]) Done() <-chan struct{} { return f.f.over }

// Result is the result; call it after Done.
func (f Future[Resp]) Result() (*Resp, error) {
	select {
	case <-f.f.over:
	default:
		panic("rpc: Future.Result before Done")
	}
	if f.f.err != nil {
		return nil, f.f.err
	}
	return &f.f.resp, nil
}

// Wait waits for the result, or for ctx. That ctx ended does not end the call: cancel the context it was made with.
func (f Future[Resp]) Wait(ctx context.Context) (*Resp, error) {
	select {
	case <-f.f.over:
		return f.Result()
	case <-ctx.Done():
		e := *status.Of(ctx.Err())
		e.Fate = status.MaybeExecuted
		return nil, &e
	}
}
