package link

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Reasons of a peer that breaks the rules; the link ends.
var (
	errBeyond = fmt.Errorf("%w: more than the bounds of the link allow", ErrMalformed)
	errStray  = fmt.Errorf("%w: a record on the wrong stream", ErrMalformed)
)

func tooLarge(size int) error {
	return fmt.Errorf("link: a record of %d bytes, a link carries at most %d", size, MaxRecord)
}

// remotePort is the server's end of a link to another process. Its goroutines are the handlers of the two streams, of which the one of the messages starts one more.
type remotePort struct {
	bounds PipeConfig
	linger time.Duration
	in     queue[Up]
	dead   chan struct{} // nothing more will be sent or read
	out    *sender
	state  stream
	wake   chan struct{} // the handler of the batches has something to do

	// Under out.mu, for a message and a batch are numbered together:
	batches []Down // that the handler has not taken
	sent    uint64 // batches accepted
	marked  uint64 // of them told among the messages
	zones   zones

	mu    sync.Mutex
	over  bool // dead is closed, or about to be
	open  int  // handlers that have not ended
	timer *time.Timer
}

func newPort(messages, state stream, cfg *Config) *remotePort {
	dead := make(chan struct{})
	p := &remotePort{
		bounds: cfg.Bounds, linger: cfg.Linger, dead: dead, wake: make(chan struct{}, 1), state: state, open: 2,
		out: newSender(messages, cfg.Gather, dead),
	}
	p.in.ready = make(chan struct{}, 1)
	return p
}

func (p *remotePort) Ready() <-chan struct{} { return p.in.ready }

func (p *remotePort) Receive(dst []Up) ([]Up, error) {
	dst, r, err := p.in.drain(dst)
	p.out.took(r)
	return dst, err
}

func (p *remotePort) Send(d Down) error {
	if d.Kind == 0 {
		return errors.New("link: a Down without a Kind")
	}
	size, fields := d.measure()
	if size > MaxRecord {
		return tooLarge(size)
	}
	s := p.out
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.lossy() {
		return p.batch(d)
	}
	if d.Kind == ZoneClosed {
		p.zones.count(&d)
	}
	if err := s.room(len(d.Payload), p.bounds.DownMessage, p.bounds.DownBytes); err != nil {
		return err
	}
	if p.sent != p.marked { // the gateway's end holds what follows back until they have come
		s.waiting = appendMark(s.waiting, p.sent-p.marked)
		p.marked = p.sent
	}
	s.sent.n, s.sent.bytes = s.sent.n+1, s.sent.bytes+len(d.Payload)
	s.waiting = append(appendDownHead(s.waiting, &d, size, fields), d.Payload...)
	s.poke()
	return nil
}

// batch is Send of a batch or a broadcast. One that is refused has no number: nothing waits for it.
func (p *remotePort) batch(d Down) error {
	switch {
	case p.out.closing:
		return ErrClosed
	case p.out.sent.lossy >= p.bounds.Batches*p.zones.count(&d):
		return ErrFull
	}
	p.out.sent.lossy++
	p.sent++
	p.batches = append(p.batches, d)
	p.poke()
	return nil
}

func (p *remotePort) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Close does not wait: what waits is sent for as long as Linger, and then the link ends.
func (p *remotePort) Close() error {
	p.in.close()
	p.out.finish()
	p.poke()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == nil && !p.over {
		p.timer = time.AfterFunc(p.linger, func() { p.end(ErrClosed) })
	}
	return nil
}

// stop ends everything now, the streams excepted, which end as their handlers return; what has arrived can still be received.
func (p *remotePort) stop(why error) {
	if p.first() {
		p.release(why)
	}
}

// end is stop for a link that went wrong: the gateway is told why, and that before the handlers return, who know less.
func (p *remotePort) end(why error) {
	if p.first() {
		p.out.s.Cancel(why)
		p.state.Cancel(why)
		p.release(why)
	}
}

// first tells whether nobody has ended the port before.
func (p *remotePort) first() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := !p.over
	p.over = true
	if p.timer != nil {
		p.timer.Stop()
	}
	return first
}

func (p *remotePort) release(why error) {
	close(p.dead)
	p.out.drop()
	p.in.end(why)
}

// leave is the end of one of the two handlers.
func (p *remotePort) leave(err error) error {
	if err != nil {
		p.end(err)
		return err
	}
	p.mu.Lock()
	p.open--
	last := p.open == 0
	p.mu.Unlock()
	if last {
		p.stop(nil)
	}
	return nil
}

// serveMessages is the work of the handler of the stream of messages.
func (p *remotePort) serveMessages() error {
	go p.read() // ends with the stream, and so soon after the handler
	return p.leave(p.out.run())
}

func (p *remotePort) read() {
	r := &receiver{s: p.out.s}
	take := func(b []byte) error {
		u, err := parseUp(b)
		if err != nil {
			return err
		}
		most, limit := p.bounds.up(u.Kind)
		if err := p.in.push(u, len(u.Payload), 0, most, limit); errors.Is(err, ErrFull) {
			return errBeyond
		}
		return nil // after a Close of this end nothing more is wanted
	}
	var err error
	for err == nil {
		err = r.next(p.out, take)
	}
	if err = r.ended(err); err != nil {
		p.end(err)
		return
	}
	p.out.mu.Lock()
	closing := p.out.closing
	p.out.mu.Unlock()
	if !closing { // the gateway has closed the link, and everything that it sent is here
		p.stop(nil)
	}
}

// serveBatches is the work of the handler of the stream of batches.
func (p *remotePort) serveBatches() error { return p.leave(p.sendBatches()) }

func (p *remotePort) sendBatches() error {
	var (
		list []Down
		head []byte
	)
	for {
		select {
		case <-p.dead:
			return nil
		case <-p.wake:
		}
		p.out.mu.Lock()
		list, p.batches = p.batches, list[:0]
		closing := p.out.closing
		p.out.mu.Unlock()
		for i := range list {
			d := &list[i]
			size, fields := d.measure()
			head = appendDownHead(head[:0], d, size, fields)
			rest := d.Payload
			for m := (outgoing{a: head}); len(m.a)+len(rest) > 0; m.a = nil {
				m.b = rest[:min(len(rest), batchMessage-len(m.a))]
				rest = rest[len(m.b):]
				if err := p.state.Send(&m); err != nil {
					return err
				}
			}
		}
		clear(list) // do not hold on to payloads
		if closing {
			return nil
		}
	}
}
