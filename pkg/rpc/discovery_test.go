package rpc_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

func who(id string, s *rpc.Server) {
	rpc.Handle(s, "test.Who", func(context.Context, *say) (*heard, error) { return &heard{id}, nil })
}

func ask(t *testing.T, c rpc.Caller, opts ...rpc.CallOption) string {
	t.Helper()
	got, err := rpc.Call[heard](within(t, 10*time.Second), c, "test.Who", &say{}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return got.Text
}

func TestAllInstancesGetCalls(t *testing.T) {
	leakless(t)
	cl := instances(t, 3, rpc.ServerConfig{}, who)
	for _, b := range []rpc.Balance{rpc.P2C, rpc.RoundRobin} {
		c := cl.client(t, 3, rpc.ClientConfig{Balance: b})
		seen := map[string]int{}
		for range 300 {
			seen[ask(t, c)]++
		}
		if len(seen) != 3 || seen["a"]+seen["b"]+seen["c"] != 300 {
			t.Errorf("balance %d: %v", b, seen)
		}
		if b == rpc.RoundRobin && (seen["a"] != 100 || seen["b"] != 100) {
			t.Errorf("round robin: %v", seen)
		}
	}
}

func TestKeysStayAndInstancesAreNamed(t *testing.T) {
	leakless(t)
	cl := instances(t, 4, rpc.ServerConfig{}, who)
	c := cl.client(t, 4, rpc.ClientConfig{})
	other := cl.client(t, 4, rpc.ClientConfig{})
	for _, id := range []string{"a", "b", "c", "d"} {
		for range 5 {
			if got := ask(t, c, rpc.ToInstance(id)); got != id {
				t.Fatalf("asked %s, %s answered", id, got)
			}
		}
	}
	before := map[string]string{}
	for n := range 100 {
		key := fmt.Sprint("player ", n)
		before[key] = ask(t, c, rpc.WithKey(key))
		if got := ask(t, other, rpc.WithKey(key)); got != before[key] {
			t.Fatalf("%s is %s's for one client and %s's for another", key, before[key], got)
		}
	}
	cl.all["c"].stop()
	connected(t, c, 3)
	for key, id := range before {
		if got := ask(t, c, rpc.WithKey(key)); got == "c" || id != "c" && got != id {
			t.Errorf("%s moved from %s to %s when c went", key, id, got)
		}
	}
	_, err := rpc.Call[heard](context.Background(), c, "test.Who", &say{}, rpc.ToInstance("c"))
	wants(t, err, status.Unavailable, status.NotSent)
}

func TestInstancesComeAndGo(t *testing.T) {
	leakless(t)
	cl := instances(t, 1, rpc.ServerConfig{}, who)
	c := cl.client(t, 1, rpc.ClientConfig{})
	cl.start(t, "b", rpc.ServerConfig{}, who)
	connected(t, c, 2)
	cl.all["a"].stop()
	for range 20 {
		if got := ask(t, c); got != "b" {
			t.Fatal(got)
		}
	}
	connected(t, c, 1)
	cl.all["b"].stop()
	connected(t, c, 0)
	_, err := rpc.Call[heard](within(t, 20*time.Millisecond), c, "test.Who", &say{})
	if e := wants(t, err, status.Unavailable, status.NotSent); !strings.Contains(e.Message, "start a server") {
		t.Error(e)
	}
	cl.start(t, "a", rpc.ServerConfig{}, who) // the same id, another epoch
	if got := ask(t, c); got != "a" {
		t.Fatal(got)
	}
}

// reports counts what is reported to a registry.
type reports struct {
	registry.Registry
	ids chan string
}

func (r reports) Report(id string, epoch uint64) {
	select {
	case r.ids <- id:
	default:
	}
	r.Registry.Report(id, epoch)
}

func TestADeadInstanceIsReportedAndAvoidedAtOnce(t *testing.T) {
	leakless(t)
	cl := instances(t, 2, rpc.ServerConfig{}, who)
	r := reports{cl.reg, make(chan string, 1)}
	cfg := rpc.ClientConfig{Service: "test", Registry: r, InProc: cl.net, Codec: rpc.JSON{}}
	cfg.Mux.Heartbeat = -1 // what is not noticed at once is not noticed at all
	c := dial(t, cfg)
	connected(t, c, 2)
	eventually(t, func() error { // the client may be done with the handshake before the server is
		if n := len(cl.all["a"].Peers()); n != 1 {
			return fmt.Errorf("%d peers", n)
		}
		return nil
	})
	for _, p := range cl.all["a"].Peers() { // as if its process had died: nobody withdraws it
		_ = p.Close()
	}
	if id := soon(t, "the report", func() string { return <-r.ids }); id != "a" {
		t.Fatal(id)
	}
	for range 20 {
		ask(t, c) // no error: whoever is there answers
	}
	connected(t, c, 2) // it lived on: connected again
}

func TestDrainingLosesNoCall(t *testing.T) {
	leakless(t)
	cl := instances(t, 2, rpc.ServerConfig{}, who)
	c := cl.client(t, 2, rpc.ClientConfig{})
	stop := make(chan struct{})
	failed := make(chan error, 8)
	for range 8 {
		go func() {
			for {
				select {
				case <-stop:
					failed <- nil
					return
				default:
				}
				if _, err := rpc.Call[heard](context.Background(), c, "test.Who", &say{}); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	for i := range 10 { // hot restarts: the new one first, then the old one goes
		id, old := string(rune('c'+i)), string(rune('a'+i))
		cl.start(t, id, rpc.ServerConfig{}, who)
		connected(t, c, 3)
		cl.all[old].stop()
		connected(t, c, 2)
	}
	close(stop)
	for range 8 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

func TestDrainingLetsCallsFinish(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		began, hold := make(chan struct{}), make(chan struct{})
		s := serve(t, scfg, func(s *rpc.Server) {
			rpc.Handle(s, "test.Hold", func(context.Context, *say) (*heard, error) {
				close(began)
				<-hold
				return &heard{"done"}, nil
			})
			rpc.HandleStream(s, "test.Stream", func(_ context.Context, s *rpc.ServerStream[say, heard]) error {
				if err := s.Send(&heard{"hello"}); err != nil {
					return err
				}
				if _, err := s.Recv(); err != nil {
					return err
				}
				return s.Send(&heard{"done"})
			})
		})
		c := dial(t, ccfg)
		ctx := within(t, 10*time.Second)
		call := rpc.Go[heard](ctx, c, "test.Hold", &say{})
		<-began
		stream, err := rpc.OpenStream[say, heard](ctx, c, "test.Stream")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		go s.stop()
		eventually(t, func() error {
			if st := c.Stats(); st.Instances[0].Connected || st.Leaving != 1 {
				return fmt.Errorf("%+v", st)
			}
			return nil
		})
		_, err = rpc.Call[heard](within(t, 20*time.Millisecond), c, "test.Hold", &say{})
		wants(t, err, status.Unavailable, status.NotSent)
		close(hold)
		if got, err := call.Wait(ctx); err != nil || got.Text != "done" {
			t.Fatalf("%v, %v", got, err)
		}
		select {
		case <-s.done:
			t.Fatal("the server ended before the stream")
		default:
		}
		if err := stream.Send(&say{}); err != nil {
			t.Fatal(err)
		}
		if got, err := stream.CloseAndRecv(); err != nil || got.Text != "done" {
			t.Fatalf("%v, %v", got, err)
		}
		<-s.done
	})
}

func TestDrainingEndsInTime(t *testing.T) {
	over(t, func(t *testing.T, scfg rpc.ServerConfig, ccfg rpc.ClientConfig) {
		scfg.DrainTimeout = 20 * time.Millisecond
		began := make(chan struct{})
		s := serve(t, scfg, func(s *rpc.Server) {
			rpc.Handle(s, "test.Hang", func(ctx context.Context, _ *say) (*heard, error) {
				close(began)
				<-ctx.Done()
				return nil, ctx.Err()
			})
		})
		c := dial(t, ccfg)
		call := rpc.Go[heard](context.Background(), c, "test.Hang", &say{})
		<-began
		s.stop()
		_, err := call.Wait(within(t, 10*time.Second))
		if code := status.CodeOf(err); code != status.Unavailable && code != status.Canceled { // cut off, or the handler's last word
			t.Fatal(err)
		}
	})
}

func TestInstancesFindEachOtherThroughADirectory(t *testing.T) {
	leakless(t)
	dir, err := os.MkdirTemp("", "rpc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	open := func() *registry.Directory {
		d, err := registry.OpenDirectory(dir, registry.DirectoryConfig{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
		return d
	}
	c := dial(t, rpc.ClientConfig{Service: "test", Registry: open(), Codec: rpc.JSON{}})
	_, err = rpc.Call[heard](within(t, 50*time.Millisecond), c, "test.Who", &say{})
	wants(t, err, status.Unavailable, status.NotSent)
	servers := map[string]*serving{}
	for _, id := range []string{"a", "b"} {
		servers[id] = serve(t, rpc.ServerConfig{ID: id, Registry: open(), Endpoints: []string{"uds://" + socket(t), "tcp://127.0.0.1:0"}},
			func(s *rpc.Server) { who(id, s) })
	}
	connected(t, c, 2)
	if got := ask(t, c, rpc.ToInstance("b")); got != "b" {
		t.Fatal(got)
	}
	servers["a"].stop()
	connected(t, c, 1)
	for range 10 {
		if got := ask(t, c); got != "b" {
			t.Fatal(got)
		}
	}
}

func TestOtherMachinesAreReachedByTCPOnly(t *testing.T) {
	leakless(t)
	reg := registry.NewMemory()
	serve(t, rpc.ServerConfig{ID: "a", Registry: reg, Host: "machine-1", Endpoints: []string{"uds://" + socket(t), "tcp://127.0.0.1:0"}},
		func(s *rpc.Server) { who("a", s) })
	for host, want := range map[string]string{"machine-1": "uds", "machine-2": "tcp"} {
		c := dial(t, rpc.ClientConfig{Service: "test", Registry: reg, Host: host, Codec: rpc.JSON{}})
		ask(t, c)
		if st := c.Stats().Instances[0]; st.Transport != want {
			t.Errorf("%s uses %s", host, st.Transport)
		}
	}
	far := registry.NewMemory()
	serve(t, rpc.ServerConfig{ID: "a", Registry: far, Host: "machine-1", Endpoints: []string{"uds://" + socket(t)}}, func(s *rpc.Server) { who("a", s) })
	c := dial(t, rpc.ClientConfig{Service: "test", Registry: far, Host: "machine-2", Codec: rpc.JSON{}})
	tried(t, c)
	_, err := rpc.Call[heard](within(t, 50*time.Millisecond), c, "test.Who", &say{})
	if e := wants(t, err, status.Unavailable, status.NotSent); !strings.Contains(e.Message, "another machine") {
		t.Error(e)
	}
}

func TestAProcessThatIsNotTheInstanceIsRefused(t *testing.T) {
	leakless(t)
	path := "uds://" + socket(t)
	serve(t, rpc.ServerConfig{ID: "imposter", Endpoints: []string{path}}, func(s *rpc.Server) { who("imposter", s) })
	reg := registry.NewMemory()
	r, err := reg.Register(context.Background(), registry.Instance{ID: "a", Epoch: 1, Services: []string{"test"}, Endpoints: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	c := dial(t, rpc.ClientConfig{Service: "test", Registry: reg, Codec: rpc.JSON{}})
	tried(t, c)
	_, err = rpc.Call[heard](within(t, 100*time.Millisecond), c, "test.Who", &say{})
	if e := wants(t, err, status.Unavailable, status.NotSent); !strings.Contains(e.Message, "imposter") {
		t.Error(e)
	}
}
