package mux_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
)

// jsonCodec is a codec of one's own.
type jsonCodec struct{}

func (jsonCodec) Name() string { return "json" }

func (jsonCodec) Size(v any) (int, error) {
	b, err := json.Marshal(v)
	return len(b), err
}

func (jsonCodec) MarshalAppend(dst []byte, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return append(dst, b...), err
}

func (jsonCodec) Unmarshal(b []byte, v any) error { return json.Unmarshal(b, v) }

type methods map[string]*mux.Method

func (m methods) Lookup(name string) *mux.Method { return m[name] }

func ExampleConn_Call() {
	near, far := inproc.Pipe(transport.Config{})
	double := &mux.Method{Name: "double", New: func() any { return new(int) }, Unary: func(_ context.Context, req any) (any, error) { return 2 * *req.(*int), nil }}
	go func() {
		_, _ = mux.Start(far, mux.Config{Handler: methods{"double": double}, Codecs: []mux.Codec{jsonCodec{}}})
	}()

	conn, err := mux.Start(near, mux.Config{Dialled: true, Codecs: []mux.Codec{jsonCodec{}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = conn.Close() }()
	var answer int
	err = conn.Call(context.Background(), "double", 21, &answer, &mux.CallInfo{Codec: jsonCodec{}})
	fmt.Println(answer, err)
	// Output: 42 <nil>
}
