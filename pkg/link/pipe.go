package link

import (
	"context"
	"fmt"
	"sync"
)

// PipeConfig bounds the queues of a Pipe, and of a link between processes. Zero fields take their default.
type PipeConfig struct {
	UpMessages  int // waiting for the server; default 65,536
	UpBytes     int // payload bytes of them; default 8 MiB. Sessions, their ends and requests for snapshots always pass
	Batches     int // batches and broadcasts waiting for the gateway, for each zone of which there are batches; beyond, they are refused; default 8
	DownBytes   int // payload bytes of reliable messages waiting; default 32 MiB
	DownMessage int // number of reliable messages waiting; default 262,144
	// Tickets answers Link.Secret; nil knows no ticket. A link between processes is told by Config.
	Tickets Tickets
}

func (c *PipeConfig) validate() {
	for _, f := range []struct {
		v *int
		d int
	}{{&c.UpMessages, 1 << 16}, {&c.UpBytes, 8 << 20}, {&c.Batches, 8}, {&c.DownBytes, 32 << 20}, {&c.DownMessage, 1 << 18}} {
		if *f.v <= 0 {
			*f.v = f.d
		}
	}
}

// Pipe joins a gateway and a server of one process.
func Pipe(hello Hello, cfg PipeConfig) (Link, Port) {
	cfg.validate()
	p := &pipe{hello: hello, cfg: cfg}
	p.up.ready, p.down.ready = make(chan struct{}, 1), make(chan struct{}, 1)
	return gatewayEnd{p}, serverEnd{p}
}

type pipe struct {
	hello Hello
	cfg   PipeConfig
	up    queue[Up]
	down  queue[Down]
	zones zones
}

// maxZones bounds what the other end is believed to have.
const maxZones = 1 << 12

// zones are those of which batches are sent: the bound of batches is for each. Any goroutine may ask.
type zones struct {
	mu  sync.Mutex
	ids map[uint32]bool
}

// count notes what d says of zones, and tells how many there are, at least 1.
func (z *zones) count(d *Down) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	switch {
	case d.Kind == ZoneClosed:
		delete(z.ids, d.Zone)
	case d.Kind == Batch && len(z.ids) < maxZones && !z.ids[d.Zone]:
		if z.ids == nil {
			z.ids = map[uint32]bool{}
		}
		z.ids[d.Zone] = true
	}
	return max(len(z.ids), 1)
}

type gatewayEnd struct{ *pipe }

type serverEnd struct{ *pipe }

var (
	_ Link = gatewayEnd{}
	_ Port = serverEnd{}
)

func (p gatewayEnd) Hello() Hello { return p.hello }

func (p gatewayEnd) Secret(ctx context.Context, ticket []byte) (Grant, error) {
	return ask(ctx, p.cfg.Tickets, ticket)
}

// up is the bound of a record on its way up, in messages and bytes.
func (c *PipeConfig) up(k UpKind) (most, limit int) {
	if k != FromClient && k != Ack { // few and never to be lost: as many as there may be sessions
		return 1 << 30, 1 << 30
	}
	return c.UpMessages, c.UpBytes
}

func (p gatewayEnd) Send(u Up) error {
	n, limit := p.cfg.up(u.Kind)
	return p.up.push(u, len(u.Payload), 0, n, limit)
}

func (p gatewayEnd) Ready() <-chan struct{} { return p.down.ready }

func (p gatewayEnd) Receive(dst []Down) ([]Down, error) {
	dst, _, err := p.down.drain(dst)
	return dst, err
}

func (p serverEnd) Send(d Down) error {
	if d.lossy() {
		return p.down.push(d, 0, 1, p.cfg.Batches*p.zones.count(&d), 1<<30)
	}
	if d.Kind == ZoneClosed {
		p.zones.count(&d)
	}
	return p.down.push(d, len(d.Payload), 0, p.cfg.DownMessage, p.cfg.DownBytes)
}

func (p serverEnd) Ready() <-chan struct{} { return p.up.ready }

func (p serverEnd) Receive(dst []Up) ([]Up, error) {
	dst, _, err := p.up.drain(dst)
	return dst, err
}

func (d *Down) lossy() bool { return d.Kind == Batch || d.Kind == Broadcast }

// Close ends both directions.
func (p *pipe) Close() error {
	p.up.close()
	p.down.close()
	return nil
}

// queue is one direction. Two classes share the order but not the bound: lossy things count separately.
type queue[T any] struct {
	ready chan struct{}

	mu     sync.Mutex
	items  []T
	count  [2]int // by class
	bytes  int
	closed bool
	why    error // of the end, if it was no Close
}

func (q *queue[T]) push(v T, size, class, most, limit int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return ErrClosed
	case q.count[class] >= most || q.bytes+size > limit:
		return ErrFull
	}
	q.items = append(q.items, v)
	q.count[class]++
	q.bytes += size
	select {
	case q.ready <- struct{}{}:
	default:
	}
	return nil
}

// drain appends everything to dst and tells what has room again.
func (q *queue[T]) drain(dst []T) (_ []T, r receipt, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 && q.closed {
		if q.why != nil {
			return dst, r, fmt.Errorf("%w: %w", ErrClosed, q.why)
		}
		return dst, r, ErrClosed
	}
	dst = append(dst, q.items...)
	clear(q.items) // do not hold on to payloads
	r = receipt{q.count[0], q.bytes, q.count[1]}
	q.items, q.count, q.bytes = q.items[:0], [2]int{}, 0
	return dst, r, nil
}

func (q *queue[T]) close() { q.end(nil) }

// end is close for a reason, which Receive tells.
func (q *queue[T]) end(why error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed, q.why = true, why
		close(q.ready)
	}
}
