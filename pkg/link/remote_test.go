package link

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAMessageWaitsForItsBatch holds the stream of batches up, and lets it through message by message.
func TestAMessageWaitsForItsBatch(t *testing.T) {
	noLeak(t)
	l, p, _, b := twinPair(t, Hello{}, Config{Bounds: PipeConfig{Batches: 3}})
	b.hold(0)
	down(t, p, Down{Kind: ToClient, ID: 1}) // before any batch: free to go
	if d := receive(t, l, 1); d[0].ID != 1 {
		t.Fatal(d)
	}
	down(t, p, Down{Kind: Batch, ID: 2}, Down{Kind: ToClient, ID: 3}, Down{Kind: Batch, ID: 4}, Down{Kind: Kick, ID: 5}, Down{Kind: Broadcast, ID: 6})
	if err := p.Send(Down{Kind: Batch, ID: 7}); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	down(t, p, Down{Kind: ToClient, ID: 8}) // waits for 6; the batch that was refused is none
	remote := l.(*remoteLink)
	if !holds(func() bool { remote.mu.Lock(); defer remote.mu.Unlock(); return len(remote.held) == 3 }) {
		t.Fatalf("%d messages are held, want 3", len(remote.held))
	}
	if d, err := l.Receive(nil); err != nil || len(d) != 0 {
		t.Fatalf("came before its batch: %v, %v", d, err)
	}
	for _, want := range [][]uint32{{2, 3}, {4, 5}, {6, 8}} {
		b.hold(1)
		for i, d := range receive(t, l, 2) {
			if d.ID != want[i] {
				t.Fatalf("got %d, want %v", d.ID, want)
			}
		}
	}
	b.release()
	down(t, p, Down{Kind: ToClient, ID: 9})
	if d := receive(t, l, 1); d[0].ID != 9 {
		t.Fatal(d)
	}
}

// TestOrderUnderRandomDelays delays either stream at random: whatever a message follows at the server it follows at the gateway.
func TestOrderUnderRandomDelays(t *testing.T) {
	for seed := range uint64(20) {
		l, p, m, b := twinPair(t, Hello{}, Config{Bounds: PipeConfig{Batches: 5}, Gather: -1})
		r := rand.New(rand.NewPCG(seed, 1))
		m.hold(0)
		b.hold(0)
		batches, messages, seen, said := uint64(0), uint32(0), uint64(0), uint32(0)
		look := func(downs []Down) {
			for _, d := range downs {
				if d.Kind == Batch {
					seen++
					continue
				}
				if d.Conn > seen {
					t.Fatalf("seed %d: message %d came after %d batches, %d were sent before it", seed, d.ID, seen, d.Conn)
				}
				if d.ID != said {
					t.Fatalf("seed %d: message %d, want %d", seed, d.ID, said)
				}
				said++
			}
		}
		for range 300 {
			switch r.IntN(6) {
			case 0, 1:
				if p.Send(Down{Kind: Batch, Payload: make([]byte, r.IntN(batchMessage*2))}) == nil {
					batches++
				}
			case 2:
				down(t, p, Down{Kind: ToClient, ID: messages, Conn: batches})
				messages++
			case 3:
				m.hold(r.IntN(4))
			case 4:
				b.hold(r.IntN(4))
			default:
				runtime.Gosched()
				downs, err := l.Receive(nil)
				if err != nil {
					t.Fatal(err)
				}
				look(downs)
			}
		}
		m.release()
		b.release()
		_ = p.Close()
		look(receive(t, l, -1))
		if seen != batches || said != messages {
			t.Errorf("seed %d: %d of %d batches and %d of %d messages came", seed, seen, batches, said, messages)
		}
	}
}

// rudeGateway is a gateway that says what it likes.
func rudeGateway(t *testing.T) (m, b *twinEnd, p *remotePort) {
	cfg := Config{Bounds: PipeConfig{UpMessages: 2, UpBytes: 10}}
	cfg.validate()
	m, mAccepted := newTwin()
	b, bAccepted := newTwin()
	p = newPort(mAccepted, bAccepted, &cfg)
	done := make(chan struct{}, 2)
	go func() { mAccepted.finish(p.serveMessages()); done <- struct{}{} }()
	go func() { bAccepted.finish(p.serveBatches()); done <- struct{}{} }()
	t.Cleanup(func() { <-done; <-done })
	return m, b, p
}

func TestAPortEndsWithAGatewayThatBreaksTheRules(t *testing.T) {
	noLeak(t)
	ok := func(ups ...Up) []byte {
		b := receipt{}.append(nil)
		for _, u := range ups {
			b = encodeUp(b, u)
		}
		return b
	}
	for name, messages := range map[string][][]byte{
		"no receipt":              {{}},
		"receipt for nothing":     {receipt{n: 1}.append(nil)},
		"receipt for a batch":     {receipt{lossy: 1}.append(nil)},
		"damaged record":          {append(receipt{}.append(nil), 2, 1, 0xff)},
		"empty record":            {append(receipt{}.append(nil), 0)},
		"above the bound":         {ok(Up{Kind: FromClient}, Up{Kind: FromClient}, Up{Kind: FromClient})},
		"above the bound, bytes":  {ok(Up{Kind: FromClient, Payload: make([]byte, 11)})},
		"huge":                    {append(receipt{}.append(nil), binary.AppendUvarint(nil, 1<<40)...)},
		"rest longer than needed": {append(receipt{}.append(nil), 5, 1), append(receipt{}.append(nil), make([]byte, 5)...)},
	} {
		t.Run(name, func(t *testing.T) {
			m, _, p := rudeGateway(t)
			for _, b := range messages {
				if err := m.Send(&outgoing{a: b}); err != nil {
					t.Fatal(err)
				}
			}
			var in incoming
			err := m.Recv(&in)
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("the gateway is told %v", err)
			}
			for err = nil; err == nil; { // what came before the mistake
				<-p.Ready()
				_, err = p.Receive(nil)
			}
			if !errors.Is(err, ErrClosed) || !errors.Is(err, ErrMalformed) {
				t.Errorf("the server is told %v", err)
			}
			if err := p.Send(Down{Kind: Kick}); !errors.Is(err, ErrClosed) {
				t.Errorf("a port that has ended takes a message: %v", err)
			}
		})
	}
	t.Run("end within a record", func(t *testing.T) {
		m, _, p := rudeGateway(t)
		if err := m.Send(&outgoing{a: append(receipt{}.append(nil), 5, 1)}); err != nil {
			t.Fatal(err)
		}
		_ = m.CloseSend()
		for range p.Ready() {
		}
		if _, err := p.Receive(nil); !errors.Is(err, ErrMalformed) {
			t.Errorf("the server is told %v", err)
		}
	})
}

func TestALinkEndsWithAServerThatBreaksTheRules(t *testing.T) {
	noLeak(t)
	head := slices.Clip(receipt{}.append(nil))
	for name, c := range map[string]struct{ messages, batches []byte }{
		"batch among messages":  {messages: encodeDown(head, Down{Kind: Batch})},
		"message among batches": {batches: encodeDown(nil, Down{Kind: Kick})},
		"receipt for nothing":   {messages: receipt{bytes: 1}.append(nil)},
		"too many messages":     {messages: encodeDown(encodeDown(head, Down{Kind: Kick}), Down{Kind: Kick})},
		"too many batches":      {batches: encodeDown(encodeDown(nil, Down{Kind: Batch}), Down{Kind: Batch})},
		"too many held":         {messages: encodeDown(encodeDown(appendMark(head, 1), Down{Kind: Kick}), Down{Kind: Kick})},
		"held bytes":            {messages: encodeDown(appendMark(head, 1), Down{Kind: ToClient, Payload: make([]byte, 11)})},
		"damaged":               {batches: []byte{2, 1, 0xff}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{}
			cfg.validate()
			m, mAccepted := newTwin()
			b, bAccepted := newTwin()
			l := startLink(&receiver{s: m}, b, PipeConfig{UpMessages: 1, UpBytes: 1, Batches: 1, DownBytes: 10, DownMessage: 1}, Hello{}, &cfg, func() {})
			if c.messages != nil {
				_ = mAccepted.Send(&outgoing{a: c.messages})
			}
			if c.batches != nil {
				_ = bAccepted.Send(&outgoing{a: c.batches})
			}
			<-l.done
			_, err := l.Receive(nil)
			if err == nil { // what came before the mistake
				_, err = l.Receive(nil)
			}
			if !errors.Is(err, ErrClosed) || !errors.Is(err, ErrMalformed) {
				t.Errorf("the gateway is told %v", err)
			}
			var in incoming
			if err := mAccepted.Recv(&in); err == nil {
				t.Error("the server is not told")
			}
			_ = l.Close()
		})
	}
}

// TestAnEndThatDoesNotAnswerIsGivenUpAfterLinger closes ends whose other end is frozen.
func TestAnEndThatDoesNotAnswerIsGivenUpAfterLinger(t *testing.T) {
	noLeak(t)
	cfg := Config{Linger: 20 * time.Millisecond}
	cfg.validate()
	m, mAccepted := newTwin()
	b, bAccepted := newTwin()
	l := startLink(&receiver{s: m}, b, cfg.Bounds, Hello{}, &cfg, func() {})
	_ = l.Close()
	var in incoming
	if err := bAccepted.Recv(&in); !errors.Is(err, errLate) {
		t.Errorf("the server is told %v", err)
	}
	_ = mAccepted

	m, mAccepted = newTwin()
	b, bAccepted = newTwin()
	p := newPort(mAccepted, bAccepted, &cfg)
	done := make(chan error, 2)
	go func() { done <- p.serveMessages() }()
	_ = p.Close()
	<-done // the handler of the other stream never came
	<-p.dead
	if err := b.Recv(&in); !errors.Is(err, ErrClosed) {
		t.Errorf("the gateway is told %v", err)
	}
	_ = m
}

func TestTheReasonOfALostConnectionIsTold(t *testing.T) {
	noLeak(t)
	l, p, m, _ := twinPair(t, Hello{}, Config{})
	up(t, l, Up{Kind: CloseSession, ID: 3})
	receive(t, p, 1)
	(&twinEnd{m, 0}).finish(errors.New("the cable was cut"))
	for _, err := range []error{endOf(l), endOf(p)} {
		if !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "the cable was cut") {
			t.Errorf("the end was told as %v", err)
		}
	}
}

// endOf waits for the end of a link and returns its reason.
func endOf[T any](e end[T]) error {
	for late := time.After(patience); ; {
		select {
		case <-e.Ready():
		case <-late:
			return errors.New("the link has not ended")
		}
		if _, err := e.Receive(nil); err != nil {
			return err
		}
	}
}
