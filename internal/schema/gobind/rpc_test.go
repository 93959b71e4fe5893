package gobind_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/internal/schema"
)

// world has a method of every form, with and without options.
const world = `
// World keeps what zones share.
//
// It is "quoted" and has 100%d.
service World {
  // Enter says where a player goes.
  rpc Enter(EnterRequest) returns (EnterResponse) { option (mmo.rpc) = {idempotent: true, timeout_ms: 500, key: "player"}; }
  rpc Ping(EnterRequest) returns (EnterResponse) { option (mmo.rpc) = {inline: true, pooled: true}; }
  // Old is gone soon.
  rpc Old(EnterRequest) returns (EnterResponse) { option deprecated = true; }
  // Report is not answered.
  rpc Report(EnterRequest) returns (google.protobuf.Empty) { option (mmo.rpc) = {one_way: true, timeout_ms: 60000}; }
  rpc NotifyAll(EnterRequest) returns (Nothing) { option (mmo.rpc) = {one_way: true, inline: true}; }
  rpc Upload(stream Chunk) returns (EnterResponse); // Upload takes chunks.
  // Watch tells what happens.
  rpc Watch(EnterRequest) returns (stream Chunk) { option (mmo.rpc) = {key: "zone", timeout_ms: 7200000}; }
  rpc Copy(stream Chunk) returns (stream Chunk) { option (mmo.rpc) = {bulk: true}; }
}
service Empty {}

message EnterRequest { uint64 player = 1; optional string zone = 2; }
message EnterResponse { string zone = 1; }
message Chunk { bytes data = 1; }
message Nothing {}
`

// user is what people write against the stubs of world.
const user = `package use

import (
	"context"
	"errors"
	"io"
	"time"

	"example.test/studio/duel/bind"
	pb "example.test/studio/schema/duel/v1"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
)

type server struct{ bind.UnimplementedWorldServer }

func (server) Enter(ctx context.Context, req *pb.EnterRequest) (*pb.EnterResponse, error) {
	return &pb.EnterResponse{Zone: req.GetZone()}, nil
}
func (server) Report(ctx context.Context, req *pb.EnterRequest) error { return errors.New("no") }
func (server) Upload(ctx context.Context, s *rpc.ServerStream[pb.Chunk, pb.EnterResponse]) error {
	for {
		if _, err := s.Recv(); errors.Is(err, io.EOF) {
			return s.Send(&pb.EnterResponse{})
		} else if err != nil {
			return err
		}
	}
}

var _ bind.WorldServer = bind.UnimplementedWorldServer{}

func serve(s *rpc.Server, c *rpc.Client) {
	bind.RegisterWorldServer(s, server{})
	bind.RegisterWorldServer(c, server{})
	bind.RegisterEmptyServer(s, struct{}{})
}

func call(ctx context.Context, c *rpc.Client, p *rpc.Peer) error {
	w := bind.NewWorldClient(c)
	w = bind.NewWorldClient(p)
	_, _ = w.Enter(ctx, &pb.EnterRequest{Player: 7}, rpc.WithTimeout(time.Second), rpc.ToInstance("a"))
	var answer pb.EnterResponse
	_ = w.EnterInto(ctx, &pb.EnterRequest{}, &answer)
	_ = w.PingInto(ctx, &pb.EnterRequest{}, &answer, rpc.NoRetry())
	var f rpc.Future[pb.EnterResponse] = w.EnterAsync(ctx, &pb.EnterRequest{})
	_, _ = f.Wait(ctx)
	f = w.PingAsync(ctx, &pb.EnterRequest{})
	var err error = w.NotifyReport(ctx, &pb.EnterRequest{})
	err = w.NotifyAll(ctx, &pb.EnterRequest{})
	up, err := w.Upload(ctx)
	_ = up.Send(&pb.Chunk{})
	_, _ = up.CloseAndRecv()
	watch, err := w.Watch(ctx, &pb.EnterRequest{})
	_, _ = watch.Recv()
	both, err := w.Copy(ctx, rpc.WithKey("x"))
	_, _ = both.TrySend(&pb.Chunk{}), both.CloseSend()
	const _ = bind.WorldService + bind.WorldMethodEnter
	return err
}
`

func generateWorld(t *testing.T) map[string][]byte {
	t.Helper()
	source := strings.Replace(prelude, "import ", "import \"google/protobuf/empty.proto\";\nimport ", 1) + world
	files, err := schema.Generate(write(t, map[string]string{"duel/v1/duel.proto": source}), schema.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestStubsAreWhatTheyWere(t *testing.T) {
	have := generateWorld(t)["duel/bind/rpc_gen.go"]
	at := filepath.Join("testdata", "rpc_gen.golden")
	if *update {
		if err := os.WriteFile(at, have, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("the stubs differ from %s: look at the difference, then run go test ./internal/schema/gobind -update\n%s", at, have)
	}
}

func TestStubsOfEveryFormCompileWithTheirUsers(t *testing.T) {
	files := generateWorld(t)
	files["duel/use/use.go"] = []byte(user)
	typecheck(t, files, "duel/use")
}

func TestKeysOfEveryTypeCompile(t *testing.T) {
	types := []string{"string", "bytes", "bool", "int32", "sint32", "sfixed32", "uint32", "fixed32", "int64", "sint64", "sfixed64", "uint64", "fixed64", "E"}
	var b strings.Builder
	b.WriteString("enum E { E_A = 0; }\nmessage M {\n")
	for i, of := range types {
		fmt.Fprintf(&b, "%s a%s = %d;\noptional %[1]s b%[2]s = %[4]d;\n", of, strings.ToLower(of), 1+i, 101+i)
	}
	b.WriteString("}\nservice S {\n")
	for _, of := range types {
		for _, prefix := range []string{"a", "b"} {
			name := prefix + strings.ToLower(of)
			fmt.Fprintf(&b, "rpc Call%[1]s(M) returns (M) { option (mmo.rpc).key = %[1]q; }\n", name)
			fmt.Fprintf(&b, "rpc Watch%[1]s(M) returns (stream M) { option (mmo.rpc).key = %[1]q; }\n", name)
			fmt.Fprintf(&b, "rpc Tell%[1]s(M) returns (N) { option (mmo.rpc) = {one_way: true, key: %[1]q}; }\n", name)
		}
	}
	compiles(t, b.String()+"}\nmessage N {}\n")
}

func TestAGameAndItsServicesShareAPackage(t *testing.T) {
	files := compiles(t, `message Ping { option (mmo.route) = {id: 64, from: CLIENT}; }
service Games { rpc Ask(Ping) returns (Ping); }`)
	alone := maps.Clone(files)
	maps.DeleteFunc(alone, func(name string, _ []byte) bool { return !strings.HasPrefix(name, "duel/bind/") })
	if len(alone) != 4 {
		t.Errorf("%d files of bindings, want 4", len(alone))
	}
	for name, content := range alone {
		if strings.HasSuffix(name, "/game_gen.go") && bytes.Contains(content, []byte("/pkg/rpc")) {
			t.Error("the game's part of the bindings needs pkg/rpc")
		}
	}
}
