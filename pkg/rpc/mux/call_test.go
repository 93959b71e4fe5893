package mux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

func echo(inline bool) *Method {
	m := unary("echo", func(_ context.Context, b []byte) ([]byte, error) { return b, nil })
	m.Inline = inline
	return m
}

func TestCallsOfEverySizeAreAnswered(t *testing.T) {
	for _, inline := range []bool{true, false} {
		for _, lanes := range []int{1, 4} {
			t.Run(fmt.Sprintf("inline %v, %d lanes", inline, lanes), func(t *testing.T) {
				c, s := pair(t, methods{"echo": echo(inline)}, nil, lanes, 33<<10)
				for _, end := range []*Conn{c, s} { // both may call
					for i, size := range []int{8, 9, 1000, 16 << 10, 32 << 10, 33 << 10, 100_000, 4 << 20} {
						req := numbered(i, size)
						if got, err := ask(end, "echo", req, info()); err != nil || !bytes.Equal(got, req) {
							t.Errorf("%d bytes: %d back, %v", size, len(got), err)
						}
					}
					_, err := ask(end, "echo", make([]byte, 4<<20+1), info())
					if code, fate := statusOf(err); code != status.ResourceExhausted || fate != status.NotSent {
						t.Errorf("one byte too many: %v", err)
					}
				}
			})
		}
	}
}

func TestManyCallersGetTheirOwnAnswers(t *testing.T) {
	var c *Conn
	slow := unary("mixed", func(_ context.Context, b []byte) ([]byte, error) {
		if b[0]&3 == 0 {
			runtime.Gosched()
		}
		return b, nil
	})
	c, s := pair(t, methods{"echo": echo(true), "mixed": slow}, nil, 3, 33<<10)
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			end := []*Conn{c, s}[g%2]
			for i := range 200 {
				size := 8 + r.IntN(100)
				if r.IntN(20) == 0 {
					size = r.IntN(120_000)
				}
				req := numbered(g*1000+i, size)
				if got, err := ask(end, []string{"echo", "mixed"}[i%2], req, info()); err != nil || !bytes.Equal(got, req) {
					t.Errorf("caller %d, call %d: %v", g, i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := c.InFlight() + s.InFlight(); n != 0 {
		t.Errorf("%d calls in flight after the last", n)
	}
}

func TestErrorsTravel(t *testing.T) {
	h := methods{
		"fails": unary("fails", func(context.Context, []byte) ([]byte, error) {
			return nil, status.New(status.NotFound, "no such thing")
		}),
		"plain":  unary("plain", func(context.Context, []byte) ([]byte, error) { return nil, errors.New("plain") }),
		"panics": unary("panics", func(context.Context, []byte) ([]byte, error) { panic("on purpose") }),
		"echo":   echo(true),
	}
	h["inline"] = &Method{Name: "inline", Inline: true, New: h["panics"].New, Unary: h["panics"].Unary}
	var panicked atomic.Int32
	c, s := pair(t, h, func(cfg *Config) { cfg.Panicked = func(string, any, []byte) { panicked.Add(1) } }, 1, 33<<10)
	for method, want := range map[string]status.Code{"fails": status.NotFound, "plain": status.Unknown, "panics": status.Internal, "inline": status.Internal} {
		_, err := ask(c, method, nil, info())
		if code, fate := statusOf(err); code != want || fate != status.Answered {
			t.Errorf("%s: %v", method, err)
		}
	}
	_, err := ask(c, "missing", nil, info())
	if code, fate := statusOf(err); code != status.Unimplemented || fate != status.NotSent || !strings.Contains(err.Error(), `"missing"`) {
		t.Errorf("missing: %v", err)
	}
	if got, err := ask(c, "echo", []byte("alive"), info()); err != nil || string(got) != "alive" {
		t.Errorf("the connection did not live on: %v", err)
	}
	if panicked.Load() != 2 || s.Stats().Panics != 2 {
		t.Errorf("%d panics told, %d counted", panicked.Load(), s.Stats().Panics)
	}
}

func TestDeadlinesTravelAndEndCalls(t *testing.T) {
	left := make(chan time.Duration, 1)
	ended := make(chan error, 1)
	h := methods{
		"left": unary("left", func(ctx context.Context, _ []byte) ([]byte, error) {
			d, _ := ctx.Deadline()
			left <- time.Until(d)
			return nil, nil
		}),
		"hang": unary("hang", func(ctx context.Context, _ []byte) ([]byte, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}),
	}
	c, s := pair(t, h, nil, 1, 33<<10)
	i := info()
	i.Timeout = time.Minute
	if _, err := ask(c, "left", nil, i); err != nil {
		t.Fatal(err)
	}
	if d := <-left; d > time.Minute || d < 50*time.Second {
		t.Errorf("the handler had %v", d)
	}
	// On a busy machine the time is over before the handler begins, which it does not then: the next call has more.
	until := func(what string, call func(limit time.Duration) error) {
		t.Helper()
		for limit := 20 * time.Millisecond; limit < longest; limit *= 2 {
			served := s.Stats().Served
			err := call(limit)
			if code, fate := statusOf(err); code != status.DeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", what, err)
			} else if fate == status.NotSent {
				continue
			}
			for late := time.Now().Add(longest); s.Stats().Served == served; runtime.Gosched() {
				if time.Now().After(late) {
					t.Fatalf("%s: the call is still being served", what)
				}
			}
			select {
			case err := <-ended:
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: the handler saw %v", what, err)
				}
				return
			default:
			}
		}
		t.Fatalf("%s: the handler never began", what)
	}
	until("own limit", func(limit time.Duration) error {
		i.Timeout = limit
		_, err := ask(c, "hang", nil, i)
		return err
	})
	var ctx context.Context
	until("context's limit", func(limit time.Duration) error {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.Background(), limit)
		t.Cleanup(cancel)
		return c.Call(ctx, "hang", &[]byte{}, nil, info())
	})
	<-ctx.Done()
	if err := c.Call(ctx, "hang", &[]byte{}, nil, info()); status.Of(err).Fate != status.NotSent {
		t.Errorf("a context that is over: %v", err)
	}
}

func TestCancelReachesTheHandler(t *testing.T) {
	entered, ended := make(chan struct{}), make(chan error, 1)
	h := methods{"hang": unary("hang", func(ctx context.Context, _ []byte) ([]byte, error) {
		close(entered)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, nil
	})}
	c, _ := pair(t, h, nil, 1, 33<<10)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-entered; cancel() }()
	err := c.Call(ctx, "hang", &[]byte{}, nil, info())
	if code, fate := statusOf(err); code != status.Canceled || fate != status.MaybeExecuted {
		t.Errorf("caller: %v", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("handler: %v", err)
	}
}

func TestLimitsAnswerAtOnce(t *testing.T) {
	release := make(chan struct{})
	h := methods{"hang": unary("hang", func(context.Context, []byte) ([]byte, error) { <-release; return nil, nil })}
	c, s := pair(t, h, func(cfg *Config) { cfg.MaxCalls, cfg.MaxServe = 8, 5 }, 1, 33<<10)
	results := make(chan error, 20)
	for range 8 {
		c.Go(context.Background(), "hang", &[]byte{}, nil, info(), func(err error) { results <- err })
	}
	for range 3 { // above MaxServe
		if code, fate := statusOf(<-results); code != status.ResourceExhausted || fate != status.NotSent {
			t.Errorf("refused as %v, %v", code, fate)
		}
	}
	for range 3 {
		c.Go(context.Background(), "hang", &[]byte{}, nil, info(), func(err error) { results <- err })
	}
	for range 3 {
		<-results
	}
	if s.Stats().Refused != 6 {
		t.Errorf("%d refused", s.Stats().Refused)
	}
	close(release)
	for range 5 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	// above MaxCalls: nothing is sent
	c2, _ := pair(t, methods{"hang": unary("hang", func(ctx context.Context, _ []byte) ([]byte, error) { <-ctx.Done(); return nil, nil })},
		func(cfg *Config) { cfg.MaxCalls = 2 }, 1, 33<<10)
	for range 2 {
		c2.Go(context.Background(), "hang", &[]byte{}, nil, info(), func(error) {})
	}
	_, err := ask(c2, "hang", nil, info())
	if code, fate := statusOf(err); code != status.ResourceExhausted || fate != status.NotSent {
		t.Errorf("third of two: %v", err)
	}
}

func TestEndOfConnectionFailsWhatIsPending(t *testing.T) {
	entered, ended := make(chan struct{}, 4), make(chan struct{}, 4)
	h := methods{"hang": unary("hang", func(ctx context.Context, _ []byte) ([]byte, error) {
		entered <- struct{}{}
		<-ctx.Done()
		ended <- struct{}{}
		return nil, nil
	})}
	c, s := pair(t, h, nil, 1, 33<<10)
	results := make(chan error, 3)
	for range 3 {
		go func() { _, err := ask(c, "hang", nil, info()); results <- err }()
	}
	for range 3 {
		<-entered
	}
	s.Fail(errors.New("on purpose"))
	for range 3 {
		if code, fate := statusOf(<-results); code != status.Unavailable || fate != status.MaybeExecuted {
			t.Errorf("pending call: %v, %v", code, fate)
		}
		<-ended
	}
	<-c.Done()
	_, err := ask(c, "hang", nil, info())
	if code, fate := statusOf(err); code != status.Unavailable || fate != status.NotSent {
		t.Errorf("later call: %v", err)
	}
}

func TestNotifyRuns(t *testing.T) {
	got := make(chan string, 1)
	c, _ := pair(t, methods{"note": unary("note", func(_ context.Context, b []byte) ([]byte, error) { got <- string(b); return nil, nil })}, nil, 1, 33<<10)
	b := []byte("hello")
	if err := c.Notify(context.Background(), "note", &b, info()); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s != "hello" {
		t.Errorf("got %q", s)
	}
}

func TestMetadataAndCodecByName(t *testing.T) {
	own := ownCodec{}
	h := methods{"meta": {Name: "meta", New: func() any { return new([]byte) }, Codec: own, Unary: func(ctx context.Context, req any) (any, error) {
		b := []byte(strings.Join(IncomingFrom(ctx).Metadata, ",") + string(*req.(*[]byte)))
		return &b, nil
	}}}
	c, _ := pair(t, h, nil, 1, 33<<10)
	i := &CallInfo{Codec: own, Metadata: []string{"a", "1", "b", ""}}
	for range 2 {
		if got, err := ask(c, "meta", []byte("!"), i); err != nil || string(got) != "a,1,b,!" {
			t.Errorf("%q, %v", got, err)
		}
	}
	if _, err := ask(c, "meta", nil, info()); status.CodeOf(err) != status.InvalidArgument {
		t.Errorf("another codec: %v", err)
	}
	i.Metadata = []string{"a"}
	if _, err := ask(c, "meta", nil, i); status.CodeOf(err) != status.InvalidArgument {
		t.Errorf("a key without a value: %v", err)
	}
	i.Metadata = []string{"a", strings.Repeat("x", 20_000)}
	if _, err := ask(c, "meta", nil, i); status.CodeOf(err) != status.InvalidArgument {
		t.Errorf("too much metadata: %v", err)
	}
}

type ownCodec struct{ bytesCodec }

func (ownCodec) Name() string { return "own" }

// liar is a codec whose Size is wrong or that panics.
type liar struct {
	bytesCodec
	size   int
	panics bool
}

func (l liar) Size(any) (int, error) { return l.size, nil }
func (l liar) MarshalAppend(dst []byte, v any) ([]byte, error) {
	if l.panics {
		panic("on purpose")
	}
	return l.bytesCodec.MarshalAppend(dst, v)
}

func TestBadCodecHarmsOnlyItsCall(t *testing.T) {
	c, _ := pair(t, methods{"echo": echo(true)}, nil, 1, 33<<10)
	for _, k := range []liar{{size: 3}, {size: 30}, {size: 10, panics: true}, {size: 50_000}} {
		_, err := ask(c, "echo", make([]byte, 10), &CallInfo{Codec: k})
		if code, fate := statusOf(err); code != status.Internal || fate != status.NotSent {
			t.Errorf("%+v: %v", k, err)
		}
	}
	if _, err := ask(c, "echo", []byte("x"), info()); err != nil {
		t.Error(err)
	}
}

func TestDrainFinishesWhatIsUnderWay(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	h := methods{"hang": unary("hang", func(context.Context, []byte) ([]byte, error) { close(entered); <-release; return []byte("done"), nil }), "echo": echo(false)}
	noted := make(chan string, 1)
	c, s := pair(t, h, func(cfg *Config) { cfg.Draining = func(_ *Conn, note string) { noted <- note } }, 1, 33<<10)
	result := make(chan error, 1)
	go func() {
		got, err := ask(c, "hang", nil, info())
		if err == nil && string(got) != "done" {
			err = fmt.Errorf("answer %q", got)
		}
		result <- err
	}()
	<-entered
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(context.Background()) }()
	if note := <-noted; note != "draining" || !c.Draining() {
		t.Errorf("note %q", note)
	}
	_, err := ask(c, "echo", nil, info())
	if code, fate := statusOf(err); code != status.Unavailable || fate != status.NotSent {
		t.Errorf("a new call while draining: %v", err)
	}
	close(release)
	if err := <-result; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	<-c.Done()
	if !errors.Is(c.Err(), transport.ErrClosed) {
		t.Errorf("ended with %v", c.Err())
	}
}

func TestPeersThatDoNotFitAreRefusedWithAReason(t *testing.T) {
	for name, tt := range map[string]struct {
		client Config
		want   string
	}{
		"token":  {Config{Dialled: true, Hello: Hello{Token: []byte("wrong")}}, "tokens differ"},
		"role":   {Config{Hello: Hello{Token: []byte("right")}}, "tokens differ"}, // an end cannot be answered with its own proof
		"accept": {Config{Dialled: true, Hello: Hello{Token: []byte("right"), Instance: "intruder"}}, "not you"},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newMemory(1, 33<<10)
			refused := make(chan error, 1)
			go func() {
				_, err := Start(b, Config{Hello: Hello{Token: []byte("right")}, Accept: func(h Hello) error {
					if h.Instance == "intruder" {
						return errors.New("not you")
					}
					return nil
				}})
				refused <- err
			}()
			_, err := Start(a, tt.client)
			if !errors.Is(err, transport.ErrPeerRefused) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the peer got %v", err)
			}
			if err := <-refused; !errors.Is(err, transport.ErrPeerRefused) {
				t.Errorf("the refusing end got %v", err)
			}
		})
	}
}

func TestSilentPeerIsGoneAfterThreeBeats(t *testing.T) {
	a, b := newMemory(1, 33<<10)
	if _, err := Start(a, Config{HelloTimeout: 20 * time.Millisecond}); err == nil || !strings.Contains(err.Error(), "not answered the hello") {
		t.Errorf("a peer that says nothing: %v", err)
	}
	_ = b.Close()
	a, b = newMemory(1, 33<<10)
	started := make(chan *Conn, 1)
	go func() {
		s, _ := Start(b, Config{Heartbeat: -1}) // says nothing by itself, and on a busy machine may have been given up by now
		started <- s
	}()
	c, err := Start(a, Config{Heartbeat: 10 * time.Millisecond, Dialled: true})
	if err != nil {
		t.Fatal(err)
	}
	s := <-started
	if s != nil {
		s.lanes[0].Lock() // not even an answer
	}
	<-c.Done()
	if s != nil {
		s.lanes[0].Unlock()
		<-s.Done()
	}
	if !strings.Contains(c.Err().Error(), "nothing heard") {
		t.Errorf("ended with %v", c.Err())
	}
}

func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d callers", callers), func(b *testing.B) {
			c, _ := pair(b, methods{"echo": echo(true)}, nil, 1, 33<<10)
			b.ReportAllocs()
			var wg sync.WaitGroup
			var n atomic.Int64
			for range callers {
				wg.Go(func() {
					req, resp, i := make([]byte, 64), []byte{}, info()
					for n.Add(1) <= int64(b.N) {
						if err := c.Call(context.Background(), "echo", &req, &resp, i); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
