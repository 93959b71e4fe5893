package mux

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// bytesCodec carries *[]byte.
type bytesCodec struct{}

func (bytesCodec) Name() string            { return "bytes" }
func (bytesCodec) Size(v any) (int, error) { return len(*v.(*[]byte)), nil }
func (bytesCodec) MarshalAppend(dst []byte, v any) ([]byte, error) {
	return append(dst, *v.(*[]byte)...), nil
}
func (bytesCodec) Unmarshal(b []byte, v any) error {
	p := v.(*[]byte)
	*p = append((*p)[:0], b...)
	return nil
}

// memory is a transport within the test: lanes are double buffers.
type memory struct {
	lanes []transport.Lane
	peer  *memory
	once  *sync.Once
	done  chan struct{}
	most  int
}

type memoryLane struct {
	sync.Mutex
	m       *memory
	to      *memoryLane
	batch   []byte
	max     int
	backlog atomic.Int64

	in      sync.Mutex
	arrived sync.Cond
	queue   []byte
	reading []byte
	closed  bool
}

func newMemory(lanes, maxFrame int) (a, b *memory) {
	once, done := &sync.Once{}, make(chan struct{})
	a, b = &memory{once: once, done: done, most: 8 << 20}, &memory{once: once, done: done, most: 8 << 20}
	a.peer, b.peer = b, a
	for range lanes {
		x, y := &memoryLane{m: a, max: maxFrame}, &memoryLane{m: b, max: maxFrame}
		x.to, y.to = y, x
		x.arrived.L, y.arrived.L = &x.in, &y.in
		a.lanes, b.lanes = append(a.lanes, x), append(b.lanes, y)
	}
	return a, b
}

func (m *memory) Kind() string            { return "memory" }
func (m *memory) Lanes() []transport.Lane { return m.lanes }
func (m *memory) Peer() transport.Peer    { return transport.Peer{Addr: "memory", UID: -1} }
func (m *memory) Done() <-chan struct{}   { return m.done }
func (m *memory) Stats() transport.Stats  { return transport.Stats{} }
func (m *memory) Err() error {
	select {
	case <-m.done:
		return transport.ErrClosed
	default:
		return nil
	}
}

func (m *memory) Close() error {
	m.once.Do(func() {
		close(m.done)
		for _, end := range []*memory{m, m.peer} {
			for _, l := range end.lanes {
				l := l.(*memoryLane)
				l.in.Lock()
				l.closed = true
				l.arrived.Broadcast()
				l.in.Unlock()
			}
		}
	})
	return nil
}

func (l *memoryLane) MaxFrame() int { return l.max }
func (l *memoryLane) Backlog() int  { return int(l.backlog.Load()) }
func (l *memoryLane) Reserve(n int) ([]byte, error) {
	if n > l.max || n < transport.MinFrame {
		return nil, errors.New("size")
	}
	if l.m.Err() != nil {
		return nil, transport.ErrClosed
	}
	if int(l.backlog.Load())+n > l.m.most {
		return nil, transport.ErrBacklog
	}
	at := len(l.batch)
	if cap(l.batch) < at+n {
		l.batch = append(make([]byte, 0, 2*(at+n)), l.batch...)
	}
	l.batch = l.batch[:at+n]
	l.backlog.Add(int64(n))
	return l.batch[at:], nil
}

func (l *memoryLane) Flush() error {
	if len(l.batch) == 0 {
		return nil
	}
	l.to.in.Lock()
	l.to.queue = append(l.to.queue, l.batch...)
	l.to.arrived.Signal()
	l.to.in.Unlock()
	l.batch = l.batch[:0]
	return nil
}

func (l *memoryLane) Receive() ([]byte, error) {
	l.in.Lock()
	defer l.in.Unlock()
	for len(l.queue) == 0 {
		if l.closed {
			return nil, transport.ErrClosed
		}
		l.arrived.Wait()
	}
	l.queue, l.reading = l.reading[:0], l.queue
	return l.reading, nil
}

func (l *memoryLane) Release() { l.to.backlog.Add(-int64(len(l.reading))) }

// methods is a Handler.
type methods map[string]*Method

func (m methods) Lookup(name string) *Method { return m[name] }

func unary(name string, f func(ctx context.Context, req []byte) ([]byte, error)) *Method {
	return &Method{Name: name, New: func() any { return new([]byte) }, Unary: func(ctx context.Context, req any) (any, error) {
		b, err := f(ctx, *req.(*[]byte))
		return &b, err
	}}
}

// pair joins two ends that serve h and whose lanes take frames of maxFrame bytes.
func pair(t testing.TB, h methods, change func(*Config), lanes, maxFrame int) (client, server *Conn) {
	t.Helper()
	a, b := newMemory(lanes, maxFrame)
	cfg := Config{Handler: h, Codecs: []Codec{bytesCodec{}}}
	if change != nil {
		change(&cfg)
	}
	got := make(chan *Conn, 1)
	theirs := cfg
	theirs.Hello.Instance = "server"
	go func() {
		s, err := Start(b, theirs)
		if err != nil {
			t.Errorf("server: %v", err)
		}
		got <- s
	}()
	cfg.Hello.Instance, cfg.Dialled = "client", true
	client, err := Start(a, cfg)
	if err != nil {
		t.Fatal(err)
	}
	server = <-got
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
	})
	return client, server
}

func info() *CallInfo { return &CallInfo{Codec: bytesCodec{}} }

func ask(c *Conn, method string, req []byte, i *CallInfo) ([]byte, error) {
	var resp []byte
	err := c.Call(context.Background(), method, &req, &resp, i)
	return resp, err
}

// statusOf returns the error's parts that tests look at.
func statusOf(err error) (status.Code, status.Fate) {
	e := status.Of(err)
	if e == nil {
		return status.OK, 0
	}
	return e.Code, e.Fate
}

// numbered makes a payload that tells whose it is.
func numbered(i, size int) []byte {
	b := make([]byte, max(size, 8))
	first := b[:min(len(b), 256)] // after which k*7 begins anew
	for k := range first {
		first[k] = byte(i*31 + k*7)
	}
	for n := len(first); n < len(b); n += copy(b[n:], b[:n]) {
	}
	binary.LittleEndian.PutUint64(b, uint64(i))
	return b
}

// longest bounds whatever a test waits for: long, as machines that test may be busy.
const longest = 20 * time.Second
