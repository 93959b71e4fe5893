package rpc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	rpctestv1 "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

func muxLimits() mux.Config { return mux.Config{MaxCalls: 100, MaxServe: 100} }

func TestCodecsKeepMessages(t *testing.T) {
	tree, err := structpb.NewStruct(map[string]any{"b": 1.5, "a": []any{"x", true, nil}, "c": map[string]any{"k": "v"}})
	if err != nil {
		t.Fatal(err)
	}
	fast := &rpctestv1.EchoRequest{Payload: []byte{0, 1, 255}, Text: "天下", Number: 7, Sum: 1 << 60, SentNs: -5}
	if _, ok := any(fast).(protocol.Fast); !ok {
		t.Fatal("no fast path to test")
	}
	some := []byte("some bytes")
	for _, tc := range []struct {
		codec rpc.Codec
		in    any
		old   any // what it is parsed into, and must replace
	}{
		{rpc.Protobuf{}, fast, &rpctestv1.EchoRequest{Text: "old", Payload: []byte("old"), Number: 1}},
		{rpc.Protobuf{}, tree, must1(structpb.NewStruct(map[string]any{"old": 1}))},
		{rpc.Protobuf{}, &rpctestv1.EchoRequest{}, &rpctestv1.EchoRequest{Text: "old"}},
		{rpc.JSON{}, fast, &rpctestv1.EchoRequest{Text: "old", Payload: []byte("old")}},
		{rpc.JSON{}, tree, must1(structpb.NewStruct(map[string]any{"old": 1}))},
		{rpc.JSON{}, &struct{ A, B string }{A: "x"}, &struct{ A, B string }{"old", "old"}},
		{rpc.JSON{}, &map[string]int{"a": 1}, &map[string]int{"old": 1}},
		{rpc.Bytes{}, &some, &[]byte{1, 2, 3}},
	} {
		size, err := tc.codec.Size(tc.in)
		if err != nil {
			t.Fatal(err)
		}
		room := make([]byte, size+7)
		out, err := tc.codec.MarshalAppend(room[:7:len(room)], tc.in)
		if err != nil || len(out) != len(room) || &out[0] != &room[0] {
			t.Fatalf("%s of %T: %d bytes, want %d in the same place: %v", tc.codec.Name(), tc.in, len(out)-7, size, err)
		}
		own := bytes.Clone(out[7:])
		if err := tc.codec.Unmarshal(own, tc.old); err != nil {
			t.Fatal(err)
		}
		for i := range own {
			own[i] = 0xff // whoever keeps a reference shows it
		}
		same := reflect.DeepEqual(tc.in, tc.old)
		if m, ok := tc.in.(proto.Message); ok {
			same = proto.Equal(m, tc.old.(proto.Message))
		}
		if !same {
			t.Errorf("%s: %v came back as %v", tc.codec.Name(), tc.in, tc.old)
		}
		if tc.codec.Name() == "json" { // what a handler that answers nil sends
			if err := tc.codec.Unmarshal(nil, tc.old); err != nil {
				t.Error(err)
			}
		}
	}
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestCodecsExplainWrongTypes(t *testing.T) {
	for _, c := range []rpc.Codec{rpc.Protobuf{}, rpc.Bytes{}} {
		_, err1 := c.Size(42)
		_, err2 := c.MarshalAppend(nil, 42)
		for _, err := range []error{err1, err2, c.Unmarshal(nil, 42), c.Unmarshal(nil, nil)} {
			if err == nil || c.Name() == "proto" && !strings.Contains(err.Error(), "another codec") {
				t.Errorf("%s: %v", c.Name(), err)
			}
		}
	}
	if _, err := (rpc.JSON{}).Size(make(chan int)); err == nil {
		t.Error("JSON of a channel")
	}
}

// numbers is a codec of somebody's own: an int as eight bytes.
type numbers struct{}

func (numbers) Name() string          { return "numbers" }
func (numbers) Size(any) (int, error) { return 8, nil }
func (numbers) MarshalAppend(dst []byte, v any) ([]byte, error) {
	return binary.LittleEndian.AppendUint64(dst, uint64(v.(*number).N)), nil
}
func (numbers) Unmarshal(b []byte, v any) error {
	if len(b) != 8 {
		return errors.New("want 8 bytes")
	}
	v.(*number).N = int(binary.LittleEndian.Uint64(b))
	return nil
}

func TestCodecsOfCallsAndMethods(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		scfg.Mux.Codecs = []rpc.Codec{numbers{}}
		twice := func(_ context.Context, n *number) (*number, error) { return &number{2 * n.N}, nil }
		serve(t, scfg, func(s *rpc.Server) {
			rpc.Handle(s, "test.Any", twice)
			rpc.Handle(s, "test.Own", twice, rpc.WithCodec(numbers{}))
			rpc.Handle(s, "test.Bytes", func(_ context.Context, b *[]byte) (*[]byte, error) { return b, nil })
			rpc.Handle(s, "test.Proto", func(_ context.Context, m *rpctestv1.EchoRequest) (*rpctestv1.EchoResponse, error) {
				return &rpctestv1.EchoResponse{Text: m.Text}, nil
			})
			rpc.Handle(s, "test.Text", func(_ context.Context, m *wrapperspb.StringValue) (*wrapperspb.StringValue, error) { return m, nil })
		})
		ccfg.Codec = nil // Protobuf
		ccfg.Mux.Codecs = []rpc.Codec{numbers{}}
		c := dial(t, ccfg)
		ctx := within(t, 10*time.Second)
		for _, tc := range []struct {
			method string
			codec  rpc.Codec
			good   bool
		}{{"test.Any", rpc.JSON{}, true}, {"test.Any", numbers{}, true}, {"test.Own", numbers{}, true}, {"test.Own", rpc.JSON{}, false}} {
			got, err := rpc.Call[number](ctx, c, tc.method, &number{21}, rpc.WithCallCodec(tc.codec))
			if tc.good && (err != nil || got.N != 42) || !tc.good && status.CodeOf(err) != status.InvalidArgument {
				t.Errorf("%s in %s: %v, %v", tc.method, tc.codec.Name(), got, err)
			}
		}
		in := []byte("raw")
		if got, err := rpc.Call[[]byte](ctx, c, "test.Bytes", &in, rpc.WithCallCodec(rpc.Bytes{})); err != nil || string(*got) != "raw" {
			t.Errorf("%v", err)
		}
		if got, err := rpc.Call[rpctestv1.EchoResponse](ctx, c, "test.Proto", &rpctestv1.EchoRequest{Text: "fast"}); err != nil || got.Text != "fast" {
			t.Errorf("%v, %v", got, err)
		}
		if got, err := rpc.Call[wrapperspb.StringValue](ctx, c, "test.Text", wrapperspb.String("slow")); err != nil || got.Value != "slow" {
			t.Errorf("%v, %v", got, err)
		}
		readable := &rpctestv1.EchoRequest{Text: "readable"}
		if got, err := rpc.Call[rpctestv1.EchoResponse](ctx, c, "test.Proto", readable, rpc.WithCallCodec(rpc.JSON{})); err != nil || got.Text != "readable" {
			t.Errorf("%v, %v", got, err)
		}
		_, err := rpc.Call[number](ctx, c, "test.Any", &number{}) // no protobuf message
		if e := wants(t, err, status.Internal, status.NotSent); !strings.Contains(e.Message, "number") {
			t.Error(e)
		}
	})
}

func FuzzCodecs(f *testing.F) {
	f.Add([]byte(`{"A":"x","text":"y"}`))
	f.Add([]byte{8, 1, 18, 3, 'a', 'b', 'c'})
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var own []byte
		for _, tc := range []struct {
			c rpc.Codec
			v any
		}{
			{rpc.Protobuf{}, &rpctestv1.EchoRequest{}}, {rpc.Protobuf{}, &structpb.Struct{}},
			{rpc.JSON{}, &rpctestv1.EchoRequest{}}, {rpc.JSON{}, &struct{ A string }{}}, {rpc.Bytes{}, &own},
		} {
			if tc.c.Unmarshal(b, tc.v) != nil {
				continue
			}
			n, err := tc.c.Size(tc.v) // what was taken can be sent on
			if err != nil {
				t.Fatal(err)
			}
			if out, err := tc.c.MarshalAppend(make([]byte, 0, n), tc.v); err != nil || len(out) != n {
				t.Fatalf("%s: %d bytes, want %d: %v", tc.c.Name(), len(out), n, err)
			}
		}
	})
}
