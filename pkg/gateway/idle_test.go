//go:build linux

package gateway_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// What an idle session costs, with its client in another process. By default there are too few sessions for a figure that could be trusted: -idle 10000 measures.
var (
	idle        = flag.Int("idle", 40, "sessions of TestIdleSessionIsSmall; 10000 measures")
	idleProfile = flag.String("idle.profile", "", "file for a heap profile of TestIdleSessionIsSmall")
)

// idleBound is what an idle session may take of the process's memory, in bytes.
const idleBound = 8 << 10

// crowd tells the process of the clients what it needs.
type crowd struct {
	URL      string
	N        int
	Root     []byte
	Cert     []byte
	Schema   protocol.Fingerprint
	Secret   []byte
	Playing  bool
	Deadline time.Time
}

const crowdRole = "TIANXIA_TEST_CROWD"

func TestMain(m *testing.M) {
	if os.Getenv(crowdRole) != "" {
		if err := beCrowd(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "crowd:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// beCrowd connects, says so, and stays until its input ends.
func beCrowd(in io.Reader, out io.Writer) error {
	var c crowd
	d := json.NewDecoder(in)
	if err := d.Decode(&c); err != nil {
		return err
	}
	cert, err := security.ParseKeyCert(c.Cert)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	fault, conns := make(chan error, c.N), make([]*network.Conn, c.N)
	turn := make(chan struct{}, 32) // at once
	for i := range c.N {
		turn <- struct{}{}
		wg.Go(func() {
			var err error
			conns[i], err = c.join(cert, uint64(i+1))
			fault <- err
			<-turn
		})
	}
	wg.Wait()
	for range c.N {
		if err := <-fault; err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(out, "there"); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.MultiReader(d.Buffered(), in))
	runtime.KeepAlive(conns) // or the collector closes them
	return err
}

// join is one client's way in; the connection stays open until the process ends.
func (c *crowd) join(cert security.KeyCert, player uint64) (*network.Conn, error) {
	conn, err := network.Dial(context.Background(), c.URL, network.DialConfig{Config: network.Config{Subprotocol: protocol.Subprotocol}})
	if err != nil {
		return conn, err
	}
	h, hs1, err := security.NewClient(security.ClientConfig{Root: c.Root, Cert: cert, Realm: "test", SchemaHash: c.Schema, Now: time.Now()})
	if err != nil {
		return conn, err
	}
	if err := conn.Send(append(make([]byte, network.HeaderRoom), hs1...)); err != nil {
		return conn, err
	}
	record, err := conn.Next()
	if err != nil {
		return conn, err
	}
	keys, _, err := h.Finish(record)
	if err != nil || !c.Playing {
		return conn, err
	}
	token, err := security.DevTokens{Secret: c.Secret}.Issue(security.Identity{Player: player, Name: "Ann"}, time.Hour, time.Now())
	if err != nil {
		return conn, err
	}
	b, err := proto.Marshal(&mmov1.LoginRequest{Token: token})
	if err != nil {
		return conn, err
	}
	if err := conn.Send(keys.Sealer.Seal(make([]byte, network.HeaderRoom), protocol.AppendRequest(nil, protocol.RouteLogin, 1, b))); err != nil {
		return conn, err
	}
	_, err = conn.Next() // the response
	return conn, err
}

// TestIdleSessionIsSmall holds sessions that do nothing, and says what they are made of.
func TestIdleSessionIsSmall(t *testing.T) {
	t.Run("secured", func(t *testing.T) { holdIdle(t, false) })
	t.Run("in the world", func(t *testing.T) { holdIdle(t, true) })
}

func holdIdle(t *testing.T, playing bool) {
	s := overLoopback(t, link.PipeConfig{}, func(c *gateway.Config) {
		c.LoginTimeout, c.Security.IdleTimeout = time.Hour, time.Hour
	})
	const warm = 16
	hold(s, warm, playing) // what is there once, and what pools keep
	before := take()
	n := *idle
	hold(s, n, playing)
	for quiet := time.Now().Add(4 * time.Second); n >= 1000 && time.Now().Before(quiet); { // readers come to rest
		<-time.After(100 * time.Millisecond)
	}
	after := take()
	if want := warm + n; s.gw.Stats().Connections != want {
		t.Fatalf("%d connections, want %d: %v", s.gw.Stats().Connections, want, s.gw.Stats().Disconnects)
	}
	each := func(a, b uint64) int { return int(int64(b)-int64(a)) / n }
	t.Logf("%d sessions, each: %d B RSS; %d B of heap in %d objects, spans of %d B, stack %d B, runtime %d B, %d goroutines in all", n, each(before.rss, after.rss),
		each(before.heap, after.heap), each(before.objects, after.objects), each(before.spans, after.spans), each(before.stack, after.stack), each(before.other, after.other), after.goroutines-before.goroutines)
	if rss := each(before.rss, after.rss); n >= 5000 && rss > idleBound {
		t.Errorf("an idle session takes %d bytes, want %d at the most", rss, idleBound)
	}
	if *idleProfile != "" {
		f, err := os.Create(*idleProfile)
		if err != nil {
			t.Fatal(err)
		}
		if err := pprof.Lookup("heap").WriteTo(f, 0); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// hold brings n clients in, of a process of their own.
func hold(s *stage, n int, playing bool) {
	s.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), crowdRole+"=1"), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	cert := s.client.Cert
	if err := json.NewEncoder(in).Encode(crowd{URL: s.url, N: n, Root: s.client.Root, Cert: cert.Marshal(), Schema: s.client.SchemaHash, Secret: s.tokens.Secret, Playing: playing}); err != nil {
		s.t.Fatal(err)
	}
	there := make(chan error, 1)
	go func() {
		var word string
		_, err := fmt.Fscanln(out, &word)
		there <- err
	}()
	for {
		select {
		case err := <-there:
			if err != nil {
				s.t.Fatal("the clients: ", err)
			}
			return
		case <-s.port.Ready():
			var err error
			if s.ups, err = s.port.Receive(s.ups[:0]); err != nil {
				s.t.Fatal(err)
			}
			for _, u := range s.ups {
				if u.Kind == link.OpenSession {
					s.down(link.Down{Kind: link.Opened, Conn: u.Conn, Payload: (&link.Session{ID: u.Conn, Epoch: 1}).Append(nil)})
					s.down(link.Down{Kind: link.Entered, Zone: 5, Conn: u.Conn})
				}
			}
			s.ups = nil
		}
	}
}

// taken is what the process has of memory.
type taken struct {
	rss, heap, objects, spans, stack, other uint64
	goroutines                              int
}

func take() (k taken) {
	for range 4 { // stacks shrink by half at each
		runtime.GC()
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	k = taken{heap: m.HeapAlloc, objects: m.HeapObjects, spans: m.HeapInuse, stack: m.StackInuse, other: m.MSpanInuse + m.GCSys + m.OtherSys + m.BuckHashSys, goroutines: runtime.NumGoroutine()}
	b, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		var size uint64
		_, err = fmt.Sscan(string(b), &size, &k.rss)
		k.rss *= uint64(os.Getpagesize())
	}
	if err != nil {
		panic(err)
	}
	return k
}
