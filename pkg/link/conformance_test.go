package link

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// opener makes a link of a kind; its end is the test's.
type opener func(t testing.TB, hello Hello, bounds PipeConfig) (Link, Port)

// patience bounds waits that never take long unless something is broken.
const patience = 20 * time.Second

// conformance is what every kind of link does alike.
func conformance(t *testing.T, open opener) {
	for _, c := range []struct {
		name string
		test func(*testing.T, opener)
	}{
		{"HelloArrivesWhole", helloArrives},
		{"EveryFieldArrives", fieldsArrive},
		{"OrderIsKeptEitherWay", keepsOrder},
		{"AMessageFollowsTheBatchesSentBefore", messagesFollow},
		{"EveryQueueIsBoundedAndHasRoomAgain", isBounded},
		{"ManySendAtOnce", contention},
		{"LargeBatchesArrive", largeBatches},
		{"TheServersCloseLosesNothingSentBefore", serverCloses},
		{"TheGatewaysCloseLosesNothingSentBefore", gatewayCloses},
		{"BothMayCloseAtOnceAndTwice", closeRaces},
		{"AGatewayThatFellBehindConvergesByASnapshot", fallsBehind},
	} {
		t.Run(c.name, func(t *testing.T) {
			noLeak(t)
			c.test(t, open)
		})
	}
}

func TestPipeConforms(t *testing.T) {
	conformance(t, func(_ testing.TB, hello Hello, bounds PipeConfig) (Link, Port) { return Pipe(hello, bounds) })
}

func TestStreamsWithoutATransportConform(t *testing.T) {
	conformance(t, func(t testing.TB, hello Hello, bounds PipeConfig) (Link, Port) {
		l, p, _, _ := twinPair(t, hello, Config{Bounds: bounds})
		return l, p
	})
}

// noLeak fails the test when more goroutines are left than it began with.
func noLeak(t testing.TB) {
	stacks := func() []string {
		b := make([]byte, 1<<20)
		return slices.DeleteFunc(strings.Split(string(b[:runtime.Stack(b, true)]), "\n\n"), func(s string) bool {
			return strings.Contains(s, "shmipc-go.(*epollDispatcher)") // one per process, for good
		})
	}
	before := len(stacks())
	t.Cleanup(func() {
		if !holds(func() bool { return len(stacks()) <= before }) {
			t.Errorf("%d goroutines before, now\n%s", before, strings.Join(stacks(), "\n\n"))
		}
	})
}

// holds waits until f is true.
func holds(f func() bool) bool {
	tick, late := time.NewTicker(time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-late:
			return f()
		}
	}
	return true
}

type end[T any] interface {
	Ready() <-chan struct{}
	Receive([]T) ([]T, error)
}

// receive reads until it has n, or to the end of the link when n is negative.
func receive[T any](t testing.TB, e end[T], n int) (all []T) {
	t.Helper()
	late := time.After(patience)
	for n < 0 || len(all) < n {
		select {
		case <-e.Ready():
		case <-late:
			t.Fatalf("%d came, want %d", len(all), n)
		}
		var err error
		if all, err = e.Receive(all); err != nil {
			if !errors.Is(err, ErrClosed) {
				t.Fatalf("the end of a link is %v, want ErrClosed", err)
			}
			if n >= 0 {
				t.Fatalf("the link ended after %d, want %d: %v", len(all), n, err)
			}
			return all
		}
	}
	return all
}

func up(t testing.TB, l Link, all ...Up) {
	t.Helper()
	for _, u := range all {
		if err := l.Send(u); err != nil {
			t.Fatalf("%+v: %v", u, err)
		}
	}
}

func down(t testing.TB, p Port, all ...Down) {
	t.Helper()
	for _, d := range all {
		if err := p.Send(d); err != nil {
			t.Fatalf("kind %d: %v", d.Kind, err)
		}
	}
}

func sampleHello() Hello {
	h := Hello{
		Gateway: 70000, Game: "plains", Routes: protocol.FrameworkRoutes(), Schema: protocol.FingerprintOf(0x0123456789abcdef), Layout: make([]byte, 65000),
		Zones: []Zone{
			{ID: 1, Epoch: 1 << 31, Params: delta.Params{PositionBits: 17, OriginX: -1 << 31, OriginZ: 1<<31 - 1}, TickHz: 20, QuantaPerMetre: 320, Width: 128000, Height: 1 << 24, EnterRadius: 16000, LeaveRadius: 17600, Margin: 640},
			{ID: 2},
		},
	}
	for i := range h.Routes {
		h.Routes[i].Right, h.Routes[i].Audit = "", false // the zone's business: they do not travel
	}
	for i := range h.Layout {
		h.Layout[i] = byte(i * 7)
	}
	for i := range uint16(1000) {
		h.Routes = append(h.Routes, protocol.Route{ID: 64 + i, Name: fmt.Sprintf("game.message%d", i), Kind: protocol.Push, Direction: protocol.BothWays, States: protocol.Playing,
			Affinity: protocol.Zone, MaxBytes: 1 << 16, Rate: 2.5, Burst: 10, Cost: 3, Delivery: protocol.Latest, Idempotent: i%2 == 0})
	}
	return h
}

func helloArrives(t *testing.T, open opener) {
	for _, h := range []Hello{{}, sampleHello()} {
		l, p := open(t, h, PipeConfig{})
		if got := l.Hello(); !reflect.DeepEqual(got, h) {
			t.Errorf("got %.200v\nwant %.200v", fmt.Sprint(got), fmt.Sprint(h))
		}
		_ = p.Close()
	}
}

func sampleUps() []Up {
	return []Up{
		{Kind: OpenSession, Conn: 1<<40 | 7, Epoch: 1<<63 + 5, Seq: 1<<32 - 1, Code: 65535, Payload: []byte("opening")},
		{Kind: FromClient, Conn: 1<<40 | 7, Route: 65535, ID: 1<<32 - 1, Payload: []byte("hello")},
		{Kind: FromClient, Zone: 3, Conn: 1, Route: 64},
		{Kind: RequestSnapshot, Zone: 1<<32 - 1},
		{Kind: CloseSession, Conn: 1<<64 - 1},
		{Kind: 99, Zone: 1, Conn: 2, Epoch: 3, Seq: 6, Code: 7, Route: 4, ID: 5, Payload: make([]byte, 70000)},
	}
}

func sampleDowns() []Down {
	return []Down{
		{Kind: Batch, Zone: 1, Payload: []byte{1, 2, 3}},
		{Kind: Broadcast, Type: protocol.TypePush, Route: 35, Payload: []byte{4}},
		{Kind: ToClient, Conn: 1<<40 | 7, Type: protocol.TypeResponse, Route: 65535, ID: 1<<32 - 1, Payload: make([]byte, 1<<16)},
		{Kind: ToClient},
		{Kind: Kick, Conn: 9, Code: protocol.DisconnectServerShutdown, Payload: []byte("über")},
		{Kind: Entered, Conn: 1<<40 | 7, Zone: 1<<32 - 1},
		{Kind: ZoneOpened, Payload: AppendZone(nil, &Zone{ID: 9, Epoch: 2, Params: delta.Params{PositionBits: 20, OriginX: -320}, TickHz: 20})},
		{Kind: ZoneClosed, Zone: 9},
		{Kind: 200, Zone: 1, Conn: 2, Type: 3, Route: 4, ID: 5, Code: 65535, Seq: 9, Payload: []byte{6}},
	}
}

func fieldsArrive(t *testing.T, open opener) {
	l, p := open(t, Hello{}, PipeConfig{})
	up(t, l, sampleUps()...)
	if got := receive(t, p, len(sampleUps())); !reflect.DeepEqual(got, sampleUps()) {
		t.Errorf("up: got %.300v", fmt.Sprint(got))
	}
	for _, d := range sampleDowns() { // one by one: the classes need not keep an order among each other
		down(t, p, d)
		if got := receive(t, l, 1); !reflect.DeepEqual(got[0], d) {
			t.Errorf("down: got %.300v", fmt.Sprint(got))
		}
	}
	_ = l.Close()
	_ = p.Close()
}

func keepsOrder(t *testing.T, open opener) {
	const n = 3000
	l, p := open(t, Hello{}, PipeConfig{})
	r := rand.New(rand.NewPCG(1, 2))
	size := func() int {
		if r.IntN(30) == 0 {
			return r.IntN(100_000) // more than a message of the stream holds
		}
		return r.IntN(300)
	}
	var wg sync.WaitGroup
	ups, downs := make([]int, n), make([]int, n)
	for i := range n {
		ups[i], downs[i] = size(), size()
	}
	wg.Go(func() {
		for i, size := range ups {
			if !holds(func() bool {
				return l.Send(Up{Kind: FromClient, ID: uint32(i), Payload: bytes.Repeat([]byte{byte(i)}, size)}) == nil
			}) {
				t.Error("no room")
				return
			}
		}
	})
	wg.Go(func() {
		for i, size := range downs {
			if !holds(func() bool {
				return p.Send(Down{Kind: ToClient, ID: uint32(i), Payload: bytes.Repeat([]byte{byte(i)}, size)}) == nil
			}) {
				t.Error("no room")
				return
			}
		}
	})
	wg.Go(func() {
		for i, u := range receive(t, p, n) {
			if u.ID != uint32(i) || len(u.Payload) != ups[i] || bytes.Count(u.Payload, []byte{byte(i)}) != ups[i] {
				t.Errorf("up %d: got %d with %d bytes, want %d", i, u.ID, len(u.Payload), ups[i])
				return
			}
		}
	})
	for i, d := range receive(t, l, n) {
		if d.ID != uint32(i) || len(d.Payload) != downs[i] || bytes.Count(d.Payload, []byte{byte(i)}) != downs[i] {
			t.Errorf("down %d: got %d with %d bytes, want %d", i, d.ID, len(d.Payload), downs[i])
			break
		}
	}
	wg.Wait()
	_ = l.Close()
	_ = p.Close()
}

// messagesFollow sends ticks as a server does, more batches than there is room for at times, and looks that no message comes before a batch that was accepted before it.
func messagesFollow(t *testing.T, open opener) {
	l, p := open(t, Hello{}, PipeConfig{Batches: 3})
	r := rand.New(rand.NewPCG(3, 4))
	const ticks = 400
	sent := 0
	go func() {
		for tick := range uint32(ticks) {
			for range r.IntN(3) {
				if p.Send(Down{Kind: Batch, ID: tick, Payload: make([]byte, r.IntN(200_000))}) == nil {
					sent++
				}
			}
			for range r.IntN(4) {
				_ = p.Send(Down{Kind: ToClient, ID: tick, Conn: uint64(sent), Payload: make([]byte, r.IntN(100))})
			}
			if r.IntN(8) == 0 {
				runtime.Gosched()
			}
		}
		_ = p.Close()
	}()
	batches, last := 0, uint32(0)
	for i, d := range receive(t, l, -1) {
		switch {
		case d.Kind == Batch:
			batches++
		case uint64(batches) < d.Conn:
			t.Fatalf("record %d: message of tick %d came after %d batches, %d were sent before it", i, d.ID, batches, d.Conn)
		case d.ID < last:
			t.Fatalf("message of tick %d after one of tick %d", d.ID, last)
		default:
			last = d.ID
		}
	}
	_ = l.Close()
}

func isBounded(t *testing.T, open opener) {
	l, p := open(t, Hello{}, PipeConfig{UpMessages: 3, UpBytes: 100, Batches: 2, DownBytes: 10, DownMessage: 4})
	for round := range 3 {
		for i := range 4 {
			if err := l.Send(Up{Kind: FromClient}); (err != nil) != (i == 3) || err != nil && !errors.Is(err, ErrFull) {
				t.Errorf("round %d, input %d: %v", round, i, err)
			}
		}
		for range 10 {
			up(t, l, Up{Kind: CloseSession}) // the end of a session must pass a full queue
		}
		receive(t, p, 13)
		if !holds(func() bool { return l.Send(Up{Kind: FromClient, Payload: make([]byte, 100)}) == nil }) {
			t.Fatal("no room although everything was received")
		}
		if err := l.Send(Up{Kind: FromClient, Payload: make([]byte, 1)}); !errors.Is(err, ErrFull) {
			t.Errorf("too many bytes: %v", err)
		}
		receive(t, p, 1)
		if !holds(func() bool { return l.Send(Up{Kind: FromClient, Payload: make([]byte, 50)}) == nil }) {
			t.Fatal("no room although everything was received")
		}
		receive(t, p, 1)

		for i := range 4 {
			if err := p.Send(Down{Kind: Batch + DownKind(i%2)*2, Payload: make([]byte, 1000)}); (err != nil) != (i >= 2) || err != nil && !errors.Is(err, ErrFull) {
				t.Errorf("round %d, batch %d: %v", round, i, err)
			}
		}
		if err := p.Send(Down{Kind: ToClient, Payload: make([]byte, 10)}); err != nil {
			t.Errorf("batches that wait must not stop a message: %v", err)
		}
		if err := p.Send(Down{Kind: ToClient, Payload: make([]byte, 1)}); !errors.Is(err, ErrFull) {
			t.Errorf("messages above their bound: %v", err)
		}
		receive(t, l, 3)
		for i := range 4 {
			if !holds(func() bool { return p.Send(Down{Kind: Kick}) == nil }) {
				t.Fatalf("round %d, kick %d: no room although everything was received", round, i)
			}
		}
		if err := p.Send(Down{Kind: Kick}); !errors.Is(err, ErrFull) {
			t.Errorf("too many messages: %v", err)
		}
		receive(t, l, 4)
		// The room comes back with the receipt, which is on its way.
		if !holds(func() bool { return p.Send(Down{Kind: Batch}) == nil }) || !holds(func() bool { return l.Send(Up{Kind: FromClient}) == nil }) {
			t.Fatal("no room although everything was received")
		}
		receive(t, l, 1)
		receive(t, p, 1)
		settled(t, l, p)
	}
	_ = l.Close()
	_ = p.Close()
}

// settled waits until both ends know that nothing is under way.
func settled(t *testing.T, l Link, p Port) {
	t.Helper()
	remote, ok := l.(*remoteLink)
	if !ok {
		return
	}
	for _, s := range []*sender{remote.out, p.(*remotePort).out} {
		if !holds(func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.sent == receipt{}
		}) {
			t.Fatalf("%+v is said to be under way", s.sent)
		}
	}
}

func contention(t *testing.T, open opener) {
	l, p := open(t, Hello{}, PipeConfig{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range uint32(1000) {
				up(t, l, Up{Kind: FromClient, Conn: uint64(i), ID: n})
				down(t, p, Down{Kind: ToClient, Conn: uint64(i), ID: n})
			}
		})
	}
	next := [2][8]uint32{}
	for _, u := range receive(t, p, 8000) {
		if u.ID != next[0][u.Conn] {
			t.Fatalf("session %d: input %d, want %d", u.Conn, u.ID, next[0][u.Conn])
		}
		next[0][u.Conn]++
	}
	for _, d := range receive(t, l, 8000) {
		if d.ID != next[1][d.Conn] {
			t.Fatalf("session %d: message %d, want %d", d.Conn, d.ID, next[1][d.Conn])
		}
		next[1][d.Conn]++
	}
	wg.Wait()
	_ = p.Close()
	_ = l.Close()
}

func largeBatches(t *testing.T, open opener) {
	l, p := open(t, Hello{}, PipeConfig{})
	r := rand.New(rand.NewPCG(5, 6))
	var want [][]byte
	for _, n := range []int{0, 1, batchMessage - 8, batchMessage, 1 << 16, 5 << 20, 3} {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		want = append(want, b)
		down(t, p, Down{Kind: Batch, Zone: 7, Payload: b})
	}
	for i, d := range receive(t, l, len(want)) {
		if !bytes.Equal(d.Payload, want[i]) {
			t.Errorf("batch %d of %d bytes came with %d", i, len(want[i]), len(d.Payload))
		}
	}
	_ = p.Close()
	_ = l.Close()
}

func serverCloses(t *testing.T, open opener) {
	l, p := open(t, Hello{}, PipeConfig{})
	for i := range uint32(500) {
		down(t, p, Down{Kind: ToClient, ID: i, Payload: make([]byte, 1000)})
	}
	for range 8 {
		down(t, p, Down{Kind: Batch, Payload: make([]byte, 300_000)})
	}
	down(t, p, Down{Kind: Kick, ID: 500})
	_ = p.Close()
	if err := p.Send(Down{Kind: Kick}); !errors.Is(err, ErrClosed) {
		t.Errorf("send after the end: %v", err)
	}
	<-p.Ready()
	if _, err := p.Receive(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("receive at the end that was closed: %v", err)
	}
	got := receive(t, l, -1)
	batches := 0
	for _, d := range got {
		if d.Kind == Batch {
			batches++
		}
	}
	if len(got) != 509 || batches != 8 || got[len(got)-1].ID != 500 {
		t.Errorf("%d came, %d of them batches, want 509 and 8; the last one is %d", len(got), batches, got[len(got)-1].ID)
	}
	if err := l.Send(Up{Kind: CloseSession}); !errors.Is(err, ErrClosed) {
		t.Errorf("send after the end: %v", err)
	}
	<-l.Ready()
	<-l.Ready() // for good
	_ = l.Close()
}

func gatewayCloses(t *testing.T, open opener) {
	l, p := open(t, Hello{}, PipeConfig{})
	for i := range uint32(500) {
		up(t, l, Up{Kind: FromClient, ID: i, Payload: make([]byte, 1000)})
	}
	up(t, l, Up{Kind: CloseSession, ID: 500})
	_ = l.Close()
	if err := l.Send(Up{Kind: CloseSession}); !errors.Is(err, ErrClosed) {
		t.Errorf("send after the end: %v", err)
	}
	if _, err := l.Receive(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("receive at the end that was closed: %v", err)
	}
	got := receive(t, p, -1)
	if len(got) != 501 || got[500].ID != 500 {
		t.Errorf("%d came, want 501", len(got))
	}
	if err := p.Send(Down{Kind: Kick}); !errors.Is(err, ErrClosed) {
		t.Errorf("send after the end: %v", err)
	}
	if err := p.Send(Down{Kind: Batch}); !errors.Is(err, ErrClosed) {
		t.Errorf("send after the end: %v", err)
	}
	<-p.Ready()
	<-p.Ready()
	_ = p.Close()
}

func closeRaces(t *testing.T, open opener) {
	for range 20 {
		l, p := open(t, Hello{}, PipeConfig{})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { _ = l.Close() })
			wg.Go(func() { _ = p.Close() })
		}
		wg.Go(func() {
			for l.Send(Up{Kind: FromClient}) == nil && p.Send(Down{Kind: Kick}) == nil {
			}
		})
		wg.Wait()
		receive(t, l, -1)
		receive(t, p, -1)
		_ = l.Close()
		_ = p.Close()
	}
}
