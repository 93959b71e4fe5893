package rpctest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	pb "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

// line notes what stubs ask of it, and answers nothing.
type line struct {
	how, method string
	options     rpc.CallOptions
	req         any
}

var errLine = errors.New("the line is dead") // nobody changes it

func (l *line) note(how, method string, req any, o *rpc.CallOptions) error {
	*l = line{how: how, method: method, req: req}
	if o != nil {
		l.options = *o
	}
	return errLine
}

func (l *line) Invoke(_ context.Context, method string, req, _ any, o *rpc.CallOptions) error {
	return l.note("call", method, req, o)
}

func (l *line) InvokeAsync(_ context.Context, method string, req, _ any, o *rpc.CallOptions, done func(error)) {
	done(l.note("async", method, req, o))
}

func (l *line) Post(_ context.Context, method string, req any, o *rpc.CallOptions) error {
	return l.note("post", method, req, o)
}

func (l *line) Stream(_ context.Context, method string, o *rpc.CallOptions) (*mux.Stream, error) {
	return nil, l.note("stream", method, nil, o)
}

func TestStubsSayWhatTheSchemaSays(t *testing.T) {
	l := &line{}
	c, ctx := NewEchoClient(l), t.Context()
	who, echo := &pb.WhoRequest{Key: "k"}, &pb.EchoRequest{}
	last := func(_ any, err error) error { return err }
	for _, test := range []struct {
		name    string
		call    func() error
		how, at string
		req     any
		options rpc.CallOptions
	}{
		{"nothing", func() error { return last(c.Slow(ctx, nil)) }, "call", EchoMethodSlow, (*pb.SlowRequest)(nil), rpc.CallOptions{}},
		{"idempotent", func() error { return last(c.Echo(ctx, echo)) }, "call", EchoMethodEcho, echo, rpc.CallOptions{Idempotent: true}},
		{"key and timeout", func() error { return last(c.Who(ctx, who)) }, "call", EchoMethodWho, who, rpc.CallOptions{Idempotent: true, Timeout: 5 * time.Second, Key: "k"}},
		{"the caller wins", func() error {
			return last(c.Who(ctx, who, rpc.WithTimeout(time.Second), rpc.WithKey("j"), rpc.NoRetry()))
		}, "call", EchoMethodWho, who,
			rpc.CallOptions{Idempotent: true, Timeout: time.Second, Key: "j", NoRetry: true}},
		{"into", func() error { return c.WhoInto(ctx, who, &pb.WhoResponse{}) }, "call", EchoMethodWho, who, rpc.CallOptions{Idempotent: true, Timeout: 5 * time.Second, Key: "k"}},
		{"async", func() error { return last(c.WhoAsync(ctx, who).Wait(ctx)) }, "async", EchoMethodWho, who, rpc.CallOptions{Idempotent: true, Timeout: 5 * time.Second, Key: "k"}},
		{"one way", func() error { return c.Notify(ctx, echo, rpc.ToInstance("a")) }, "post", EchoMethodNotify, echo, rpc.CallOptions{Instance: "a"}},
		{"stream of requests", func() error { return last(c.Upload(ctx)) }, "stream", EchoMethodUpload, nil, rpc.CallOptions{}},
		{"stream of answers", func() error { return last(c.Count(ctx, &pb.CountRequest{})) }, "stream", EchoMethodCount, nil, rpc.CallOptions{}},
		{"streams both ways", func() error { return last(c.Chat(ctx)) }, "stream", EchoMethodChat, nil, rpc.CallOptions{}},
		{"bulk", func() error { return last(c.Blob(ctx)) }, "stream", EchoMethodBlob, nil, rpc.CallOptions{Bulk: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.call(); !errors.Is(err, errLine) {
				t.Errorf("error %v", err)
			}
			o, want := l.options, test.options
			if l.how != test.how || l.method != test.at || l.req != test.req {
				t.Errorf("%s %s %v", l.how, l.method, l.req)
			}
			if o.Idempotent != want.Idempotent || o.Timeout != want.Timeout || o.Key != want.Key || o.Bulk != want.Bulk || o.NoRetry != want.NoRetry || o.Instance != want.Instance {
				t.Errorf("options %+v, want %+v", o, want)
			}
		})
	}
}

// silent answers calls, and nothing else.
type silent struct{ line }

func (*silent) Invoke(context.Context, string, any, any, *rpc.CallOptions) error { return nil }

func TestStubsAllocateNoMoreThanCallsWithoutThem(t *testing.T) {
	s := &silent{}
	c, ctx := NewEchoClient(s), t.Context()
	who, slow, at, answer := &pb.WhoRequest{Key: "k"}, &pb.SlowRequest{}, &pb.WhoResponse{}, &pb.EchoResponse{}
	plain := testing.AllocsPerRun(100, func() { _ = rpc.CallInto(ctx, s, EchoMethodWho, who, at, rpc.NoRetry()) }) // lends no options: one allocation
	for name, call := range map[string]func(){
		"options of the schema":        func() { _ = c.WhoInto(ctx, who, at) },
		"options of schema and caller": func() { _ = c.WhoInto(ctx, who, at, rpc.NoRetry()) },
	} {
		if n := testing.AllocsPerRun(100, call); n > plain {
			t.Errorf("%s: %v allocations, %v without stubs", name, n, plain)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _ = c.SlowInto(ctx, slow, answer) }); n > 0 {
		t.Errorf("a call without options: %v allocations", n)
	}
}

// methods are what was registered.
type methods []*mux.Method

func (m *methods) Register(n *mux.Method) { *m = append(*m, n) }

func TestEveryMethodIsServed(t *testing.T) {
	var served methods
	RegisterEchoServer(&served, UnimplementedEchoServer{})
	var names []string
	for _, m := range served {
		names = append(names, m.Name)
		if m.Inline != (m.Name == EchoMethodEcho) || (m.Free != nil) != (m.Name == EchoMethodEcho) {
			t.Errorf("%s: inline %t, pooled %t", m.Name, m.Inline, m.Free != nil)
		}
		var err error
		if m.Unary != nil {
			_, err = m.Unary(t.Context(), m.New())
		} else {
			err = m.Stream(t.Context(), nil)
		}
		if status.CodeOf(err) != status.Unimplemented {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
	want := []string{EchoMethodEcho, EchoMethodSlow, EchoMethodFail, EchoMethodPanic, EchoMethodWho, EchoMethodNotify, EchoMethodUpload, EchoMethodCount, EchoMethodChat, EchoMethodBlob}
	if !slices.Equal(names, want) {
		t.Errorf("served %v", names)
	}
	for _, name := range names {
		if rpc.ServiceOf(name) != EchoService {
			t.Errorf("%s is of service %s", name, rpc.ServiceOf(name))
		}
	}
}
