package link

import (
	"errors"
	"io"
	"sync"
	"testing"
)

// twin is a stream without a transport: two ends that behave as those of pkg/rpc/mux do, and whose messages can be held up on their way.
type twin struct {
	mu     sync.Mutex
	change sync.Cond
	way    [2]way // towards the opener, towards the acceptor
	free   *int   // messages that may pass on their way to the opener; nil: all
}

type way struct {
	msgs  [][]byte
	ended bool  // the sender sends nothing more
	over  error // of the whole stream, seen once msgs were read
}

func newTwin() (opener, acceptor *twinEnd) {
	t := &twin{}
	t.change.L = &t.mu
	return &twinEnd{t, 0}, &twinEnd{t, 1}
}

type twinEnd struct {
	*twin
	in int
}

func (e *twinEnd) Send(v any) error {
	n, err := wire{}.Size(v)
	if err != nil {
		return err
	}
	b, err := wire{}.MarshalAppend(make([]byte, 0, n), v)
	if err != nil || len(b) != n {
		return errors.New("twin: the codec is wrong about the size")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	out := &e.way[1-e.in]
	if mine := e.way[e.in].over; mine != nil {
		return mine
	}
	if out.ended {
		return errors.New("twin: sent after CloseSend")
	}
	out.msgs = append(out.msgs, b)
	e.change.Broadcast()
	return nil
}

func (e *twinEnd) CloseSend() error {
	if e.in == 1 {
		return nil // as in mux: the handler's return ends the stream
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.way[1].ended = true
	e.change.Broadcast()
	return nil
}

func (e *twinEnd) Recv(v any) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	in := &e.way[e.in]
	for {
		blocked := e.in == 0 && e.free != nil && *e.free == 0
		switch {
		case len(in.msgs) > 0 && !blocked:
			b := in.msgs[0]
			in.msgs = in.msgs[1:]
			if e.in == 0 && e.free != nil {
				*e.free--
			}
			return wire{}.Unmarshal(b, v)
		case len(in.msgs) > 0:
		case in.over != nil:
			return in.over
		case in.ended:
			return io.EOF
		}
		e.change.Wait()
	}
}

func (e *twinEnd) Cancel(err error) {
	if err == nil {
		err = errors.New("cancelled")
	}
	e.finish(err)
}

// finish is the return of the handler.
func (e *twinEnd) finish(err error) {
	if err == nil {
		err = io.EOF
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.way {
		if e.way[i].over == nil {
			e.way[i].over = err
		}
	}
	e.change.Broadcast()
}

// hold lets only so many messages more through to the opener.
func (t *twin) hold(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free = &n
	t.change.Broadcast()
}

func (t *twin) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free = nil
	t.change.Broadcast()
}

// twinPair is a link over two twins, with the streams at the gateway's end.
func twinPair(t testing.TB, hello Hello, cfg Config) (l Link, p Port, messages, batches *twin) {
	cfg.validate()
	m, mAccepted := newTwin()
	b, bAccepted := newTwin()
	port := newPort(mAccepted, bAccepted, &cfg)
	if err := sendWelcome(mAccepted, &cfg.Bounds, &hello); err != nil {
		t.Fatal(err)
	}
	var handlers sync.WaitGroup
	handlers.Go(func() { mAccepted.finish(port.serveMessages()) })
	handlers.Go(func() { bAccepted.finish(port.serveBatches()) })
	r := &receiver{s: m}
	bounds, got, err := r.welcome()
	if err != nil {
		t.Fatal(err)
	}
	link := startLink(r, b, bounds, got, &cfg, func() {})
	t.Cleanup(func() {
		_ = port.Close()
		_ = link.Close()
		handlers.Wait()
	})
	return link, port, m.twin, b.twin
}
