package link

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
)

// remoteLink is the gateway's end of a link to another process. Three goroutines belong to it: the sender's, and a reader of each stream; all have ended when done is
// closed.
type remoteLink struct {
	zones  zones // of which batches came
	hello  Hello
	bounds PipeConfig
	linger time.Duration
	out    *sender
	state  stream
	free   func()                                                                            // the streams' context
	call   func(ctx context.Context, method string, req, resp any, info *mux.CallInfo) error // of the streams' connection
	in     queue[Down]
	dead   chan struct{} // nothing more will be sent or read
	done   chan struct{} // and every goroutine has ended

	mu      sync.Mutex
	over    bool // dead is closed
	open    int  // streams that have not ended
	timer   *time.Timer
	arrived uint64 // records of the stream of batches
	held    []held // messages that wait for batches sent before them
	bytes   int    // of their payloads
}

// held is a message that came before batches which were sent before it: it is released when as many as mark have arrived.
type held struct {
	d    Down
	mark uint64
}

// startLink runs the gateway's end. first reads the stream of messages, from which the welcome was taken; free is called when
// both are over.
func startLink(first *receiver, state stream, bounds PipeConfig, hello Hello, cfg *Config, free func()) *remoteLink {
	dead := make(chan struct{})
	l := &remoteLink{
		hello: hello, bounds: bounds, linger: cfg.Linger, state: state, free: free, dead: dead, done: make(chan struct{}), open: 2,
		out: newSender(first.s, cfg.Gather, dead),
	}
	l.in.ready = make(chan struct{}, 1)
	var all sync.WaitGroup
	all.Go(func() {
		switch err := l.out.run(); {
		case errors.Is(err, io.EOF): // the server reads nothing more; what it has sent may still be on its way
			l.out.drop()
		case err != nil:
			l.end(err)
		}
	})
	all.Go(func() { l.ended(l.readMessages(first)) })
	all.Go(func() { l.ended(l.readBatches(&receiver{s: state})) })
	go func() { all.Wait(); close(l.done) }()
	return l
}

func (l *remoteLink) Hello() Hello { return l.hello }

func (l *remoteLink) Ready() <-chan struct{} { return l.in.ready }

func (l *remoteLink) Send(u Up) error {
	size, fields := u.measure()
	if size > MaxRecord {
		return tooLarge(size)
	}
	most, limit := l.bounds.up(u.Kind)
	s := l.out
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.room(len(u.Payload), most, limit); err != nil {
		return err
	}
	s.sent.n, s.sent.bytes = s.sent.n+1, s.sent.bytes+len(u.Payload)
	s.waiting = appendUp(s.waiting, &u, size, fields)
	s.poke()
	return nil
}

func (l *remoteLink) Receive(dst []Down) ([]Down, error) {
	dst, r, err := l.in.drain(dst)
	l.out.took(r)
	return dst, err
}

// Close sends what waits, for as long as Linger, and waits for the goroutines.
func (l *remoteLink) Close() error {
	l.in.close()
	l.out.finish() // the server ends both streams when it has read to the end
	l.arm()
	<-l.done
	return nil
}

// arm ends the link by force if it has not ended by itself in time.
func (l *remoteLink) arm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil && !l.over {
		l.timer = time.AfterFunc(l.linger, func() { l.end(errLate) })
	}
}

// readMessages reads the stream of messages to its end.
func (l *remoteLink) readMessages(r *receiver) error {
	var mark uint64 // batches sent before what comes now
	take := func(b []byte) error {
		d, more, err := parseDown(b)
		if err == nil && d.Kind == 0 {
			mark += more
			return nil
		}
		if err == nil && d.lossy() {
			err = errStray
		}
		if err != nil {
			return err
		}
		return l.message(d, mark)
	}
	for {
		if err := r.next(l.out, take); err != nil {
			return r.ended(err)
		}
	}
}

// message takes a message that mark batches were sent before.
func (l *remoteLink) message(d Down, mark uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if mark <= l.arrived { // then nothing is held: marks only grow
		return l.push(d)
	}
	if len(l.held) >= l.bounds.DownMessage || l.bytes+len(d.Payload) > l.bounds.DownBytes {
		return errBeyond
	}
	l.held = append(l.held, held{d, mark})
	l.bytes += len(d.Payload)
	return nil
}

func (l *remoteLink) push(d Down) error {
	size, class, most, limit := len(d.Payload), 0, l.bounds.DownMessage, l.bounds.DownBytes
	if d.lossy() {
		size, class, most, limit = 0, 1, l.bounds.Batches*l.zones.count(&d), 1<<30
	}
	if d.Kind == ZoneClosed {
		l.zones.count(&d)
	}
	err := l.in.push(d, size, class, most, limit)
	switch {
	case errors.Is(err, ErrFull):
		return errBeyond
	case errors.Is(err, ErrClosed): // by this end, which wants nothing more
		return nil
	}
	return err
}

// readBatches reads the stream of batches to its end.
func (l *remoteLink) readBatches(r *receiver) error {
	take := func(b []byte) error {
		d, _, err := parseDown(b)
		if err == nil && !d.lossy() {
			err = errStray
		}
		if err != nil {
			return err
		}
		return l.batch(d)
	}
	for {
		if err := r.s.Recv(&r.m); err != nil {
			return r.ended(err)
		}
		b := r.m.b
		r.m.b = nil
		if err := r.a.feed(b, take); err != nil {
			return err
		}
	}
}

// batch takes a batch or a broadcast, and releases the messages that waited for it.
func (l *remoteLink) batch(d Down) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.push(d); err != nil {
		return err
	}
	l.arrived++
	n := 0
	for n < len(l.held) && l.held[n].mark <= l.arrived {
		h := &l.held[n].d
		if err := l.push(*h); err != nil {
			return err
		}
		l.bytes -= len(h.Payload)
		n++
	}
	if l.held = slices.Delete(l.held, 0, n); len(l.held) == 0 && cap(l.held) > keepHeld {
		l.held = nil
	}
	return nil
}

// keepHeld is how many messages' room is kept after a burst.
const keepHeld = 1 << 10

// ended is the end of one stream: the other may still bring what was sent before a close.
func (l *remoteLink) ended(err error) {
	l.mu.Lock()
	l.open--
	last := l.open == 0
	l.mu.Unlock()
	if err != nil || last {
		l.end(err)
		return
	}
	l.out.drop()
	l.arm()
}

var errLate = errors.New("link: the other end has not closed the link in time")

// end ends everything now; what has arrived can still be received.
func (l *remoteLink) end(why error) {
	l.mu.Lock()
	again := l.over
	l.over = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.held = nil
	l.mu.Unlock()
	if again {
		return
	}
	l.out.s.Cancel(why)
	l.state.Cancel(why)
	close(l.dead)
	l.out.drop()
	l.in.end(why)
	l.free()
}
