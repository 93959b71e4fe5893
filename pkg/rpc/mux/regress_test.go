package mux

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// calledID waits for the first call that the raw end receives.
func calledID(t *testing.T, m *memory) uint32 {
	t.Helper()
	for {
		b, err := m.lanes[0].Receive()
		if err != nil {
			t.Fatal(err)
		}
		for len(b) > 0 {
			h, _, rest, err := cut(b)
			if err != nil {
				t.Fatal(err)
			}
			if h.typ == typeCall {
				m.lanes[0].Release()
				return h.id
			}
			b = rest
		}
		m.lanes[0].Release()
	}
}

func TestAnswerJustBeforeTheGoodbyeEndsItsCall(t *testing.T) {
	m, c := raw(t, nil, 1)
	done := make(chan error, 1)
	req, resp := []byte("x"), []byte(nil)
	go c.Go(context.Background(), "m", &req, &resp, info(), func(err error) { done <- err })
	id := calledID(t, m)
	l := m.lanes[0]
	l.Lock() // one batch
	b, _ := l.Reserve(headerSize + 1)
	header{size: headerSize + 1, typ: typeReply, id: id}.put(b)
	b[headerSize] = 'y'
	b, _ = l.Reserve(headerSize)
	header{size: headerSize, typ: typeBye}.put(b)
	_ = l.Flush()
	l.Unlock()
	if err := <-done; err != nil || string(resp) != "y" {
		t.Errorf("%q, %v", resp, err)
	}
}

func TestNotificationsInPartsDoNotMix(t *testing.T) {
	var got atomic.Int32
	all := make(chan struct{})
	c, _ := pair(t, methods{"note": unary("note", func(_ context.Context, b []byte) ([]byte, error) {
		for _, v := range b[1:] {
			if v != b[0] {
				t.Error("mixed")
			}
		}
		if got.Add(1) == 12 {
			close(all)
		}
		return nil, nil
	})}, nil, 1, 33<<10)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for range 3 {
				b := make([]byte, 500_000)
				for i := range b {
					b[i] = byte(g)
				}
				if err := c.Notify(context.Background(), "note", &b, info()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	<-all
}

// nasty panics when asked for its text.
type nasty struct{}

func (*nasty) Error() string { panic("on purpose") }

func TestStrangeErrorsOfHandlersHarmNobody(t *testing.T) {
	h := methods{
		"nil":    unary("nil", func(context.Context, []byte) ([]byte, error) { var e *status.Error; return []byte("fine"), e }),
		"nasty":  unary("nasty", func(context.Context, []byte) ([]byte, error) { return nil, &nasty{} }),
		"stream": {Name: "stream", Stream: func(context.Context, *Stream) error { return &nasty{} }},
	}
	c, _ := pair(t, h, nil, 1, 33<<10)
	if b, err := ask(c, "nil", nil, info()); err != nil || string(b) != "fine" {
		t.Errorf("a nil error with a type: %q, %v", b, err)
	}
	if _, err := ask(c, "nasty", nil, info()); status.CodeOf(err) != status.Internal {
		t.Errorf("an error that panics: %v", err)
	}
	x, err := c.Open(context.Background(), "stream", info())
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	if err := x.Recv(&b); status.CodeOf(err) != status.Internal {
		t.Errorf("a stream's: %v", err)
	}
}

// unmeasurable panics when measured.
type unmeasurable struct{ bytesCodec }

func (unmeasurable) Size(any) (int, error) { panic("on purpose") }

func TestCodecThatCannotMeasureHarmsOnlyItsCall(t *testing.T) {
	c, _ := pair(t, methods{"echo": echo(true)}, nil, 1, 33<<10)
	if _, err := ask(c, "echo", nil, &CallInfo{Codec: unmeasurable{}}); status.CodeOf(err) != status.Internal {
		t.Error(err)
	}
	if _, err := ask(c, "echo", nil, info()); err != nil {
		t.Error(err)
	}
}

func TestSlotOfAGivenUpCallWaitsForItsAnswer(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	h := methods{"hang": unary("hang", func(context.Context, []byte) ([]byte, error) {
		entered <- struct{}{}
		<-release
		return []byte("late"), nil
	}), "echo": echo(true)}
	c, _ := pair(t, h, func(cfg *Config) { cfg.MaxCalls = 2 }, 1, 33<<10)
	for range 2 {
		ctx, cancel := context.WithCancel(context.Background())
		go func() { <-entered; cancel() }()
		if err := c.Call(ctx, "hang", &[]byte{}, nil, info()); status.CodeOf(err) != status.Canceled {
			t.Fatal(err)
		}
	}
	if _, err := ask(c, "echo", nil, info()); status.CodeOf(err) != status.ResourceExhausted {
		t.Errorf("an id that the peer may still answer was used again: %v", err)
	}
	close(release)
	for deadline := time.Now().Add(10 * time.Second); ; {
		if b, err := ask(c, "echo", []byte("x"), info()); err == nil {
			if string(b) != "x" {
				t.Errorf("another call's answer: %q", b)
			}
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if c.InFlight() != 0 {
		t.Errorf("%d in flight", c.InFlight())
	}
}

func TestCreditOfAMessageThatCouldNotBeSentWakesOthers(t *testing.T) {
	measured, fail := make(chan struct{}), make(chan struct{})
	c, _ := pair(t, methods{"hang": {Name: "hang", Stream: func(ctx context.Context, _ *Stream) error { <-ctx.Done(); return nil }}},
		func(cfg *Config) { cfg.Window = 100 }, 1, 33<<10)
	x, err := c.Open(context.Background(), "hang", &CallInfo{Codec: bytesCodec{}})
	if err != nil {
		t.Fatal(err)
	}
	x.codec = stubborn{measured: measured, fail: fail}
	first := make(chan error)
	b := make([]byte, 200)
	go func() { first <- x.Send(&b) }()
	<-measured // the first message has taken all credit
	x.mu.Lock()
	if x.credit > 0 {
		t.Errorf("%d credit left", x.credit)
	}
	x.mu.Unlock()
	second := make(chan error)
	small := make([]byte, 10)
	go func() { second <- x.Send(&small) }()
	close(fail)
	if err := <-first; status.CodeOf(err) != status.Internal {
		t.Error(err)
	}
	if err := <-second; err != nil {
		t.Error(err)
	}
}

// stubborn fails to marshal what is large, when told.
type stubborn struct {
	bytesCodec
	measured, fail chan struct{}
}

func (s stubborn) MarshalAppend(dst []byte, v any) ([]byte, error) {
	if len(*v.(*[]byte)) < 100 {
		return s.bytesCodec.MarshalAppend(dst, v)
	}
	close(s.measured)
	<-s.fail
	return nil, errors.New("on purpose")
}

func TestOneWayHandlersEndWithTheConnection(t *testing.T) {
	entered, ended := make(chan struct{}), make(chan struct{})
	c, s := pair(t, methods{"note": unary("note", func(ctx context.Context, _ []byte) ([]byte, error) {
		close(entered)
		<-ctx.Done()
		close(ended)
		return nil, nil
	})}, nil, 1, 33<<10)
	b := []byte{}
	if err := c.Notify(context.Background(), "note", &b, info()); err != nil {
		t.Fatal(err)
	}
	<-entered
	s.Fail(errors.New("on purpose"))
	<-ended
}

func TestLimitsThatAreNone(t *testing.T) {
	left := make(chan bool, 1)
	c, _ := pair(t, methods{"left": unary("left", func(ctx context.Context, _ []byte) ([]byte, error) {
		_, ok := ctx.Deadline()
		left <- ok
		return nil, nil
	})}, nil, 1, 33<<10)
	i := info()
	i.Timeout = math.MaxInt64
	if _, err := ask(c, "left", nil, i); err != nil || <-left {
		t.Errorf("a timeout of 292 years: %v", err)
	}
	for _, name := range []string{"", strings.Repeat("x", 256)} {
		if _, err := ask(c, name, nil, info()); status.CodeOf(err) != status.InvalidArgument {
			t.Errorf("method %q: %v", name, err)
		}
	}
	i.Metadata = []string{"k", strings.Repeat("x", maxExt-12)}
	big := make([]byte, 100_000)
	_, err := ask(c, strings.Repeat("m", 100), big, i)
	if code := status.CodeOf(err); code != status.InvalidArgument {
		t.Errorf("metadata that leaves no room for the name: %v", err)
	}
	if _, err := ask(c, "left", nil, info()); err != nil {
		t.Error(err)
	}
	<-left
}

func TestErrorsOfAnySizeTravel(t *testing.T) {
	for _, inline := range []bool{true, false} {
		m := unary("fails", func(context.Context, []byte) ([]byte, error) {
			e, err := status.New(status.Aborted, "x").WithDetails(status60k())
			if err != nil {
				return nil, err
			}
			return nil, e
		})
		m.Inline = inline
		c, _ := pair(t, methods{"fails": m}, nil, 1, 17<<10)
		_, err := ask(c, "fails", nil, info())
		if e := status.Of(err); e == nil || e.Code != status.Aborted || len(e.Details) != 1 {
			t.Errorf("inline %v: %.100v", inline, err)
		}
	}
}

func TestAnswersWaitForAPeerThatIsBehind(t *testing.T) {
	c, s := pair(t, methods{"echo": echo(true)}, nil, 1, 33<<10)
	s.t.(*memory).most = 100_000 // what the server may hold back
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if b, err := ask(c, "echo", make([]byte, 30_000), info()); err != nil || len(b) != 30_000 {
				t.Errorf("%d bytes, %v", len(b), err)
			}
		})
	}
	wg.Wait()
}

func status60k() proto.Message { return wrapperspb.Bytes(make([]byte, 60_000)) }
