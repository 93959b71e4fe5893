package mux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// begin takes the lane for writing.
func (l *lane) begin() {
	l.waiting.Add(1)
	l.Lock()
	l.waiting.Add(-1)
}

// finish gives the lane back; the last of several writers flushes for all.
func (l *lane) finish() error {
	err := l.quietly()
	if err != nil {
		l.c.Fail(err)
	}
	return err
}

// quietly is finish that leaves it to the caller what a failure means.
func (l *lane) quietly() error {
	defer l.Unlock()
	if l.gathered++; l.waiting.Load() == 0 || l.gathered >= l.gather {
		l.gathered = 0
		return l.Flush()
	}
	return nil
}

// finishSoon is finish for a writer that others are likely to follow: the first of them steps aside once, so that those who are ready write first, and flushes then what
// they have not.
func (l *lane) finishSoon() error {
	if l.gathered+1 >= l.gather {
		return l.finish()
	}
	if l.flusher {
		l.gathered++
		l.Unlock()
		return nil
	}
	l.gathered++
	l.flusher = true
	l.Unlock()
	runtime.Gosched()
	l.Lock()
	l.flusher = false
	return l.finish()
}

// control sends a frame that is not part of a call.
func (l *lane) control(typ, flags uint8, id, arg uint32, body []byte) error {
	err := l.tell(typ, flags, id, arg, body)
	if err != nil {
		l.c.Fail(err)
	}
	return err
}

// tell is control that does not end the connection when it fails.
func (l *lane) tell(typ, flags uint8, id, arg uint32, body []byte) error {
	l.begin()
	b, err := l.Reserve(headerSize + len(body))
	if err != nil {
		_ = l.quietly() // others may have left their flush to us
		return err
	}
	header{size: uint32(headerSize + len(body)), typ: typ, flags: flags, id: id, arg: arg}.put(b)
	copy(b[headerSize:], body)
	return l.quietly()
}

// sizeOf measures a message and turns a panic of the codec into an error.
func sizeOf(k Codec, v any) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = recovered(r)
		}
	}()
	return k.Size(v)
}

// encoded is the codec of bytes that are marshalled already: *[]byte.
type encoded struct{}

func (encoded) Name() string            { return "" }
func (encoded) Size(v any) (int, error) { return len(*v.(*[]byte)), nil }
func (encoded) MarshalAppend(dst []byte, v any) ([]byte, error) {
	return append(dst, *v.(*[]byte)...), nil
}
func (encoded) Unmarshal([]byte, any) error { return errors.ErrUnsupported }

// errChanged: a message had another size when it was marshalled than when it was measured.
var errChanged = errors.New("the message changed while it was being sent, or its codec's Size is wrong")

// marshal fills b, whose size is the message's, and turns a panic of the codec into an error.
func marshal(k Codec, b []byte, v any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = recovered(r)
		}
	}()
	out, err := k.MarshalAppend(b[:0:len(b)], v)
	if err != nil {
		return err
	}
	if len(out) != len(b) || len(b) > 0 && &out[0] != &b[0] {
		return errChanged
	}
	return nil
}

// unmarshal fills v and turns a panic of the codec into an error.
func unmarshal(k Codec, b []byte, v any, borrow bool) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = recovered(r)
		}
	}()
	if borrow {
		if w, ok := k.(Borrower); ok {
			return w.UnmarshalBorrowed(b, v)
		}
	}
	return k.Unmarshal(b, v)
}

// faultError is memory of the peer that went away under us; the connection is over.
type faultError struct{ at uintptr }

func (e faultError) Error() string {
	return fmt.Sprintf("rpc: shared memory is gone (fault at %#x)", e.at)
}

func recovered(r any) error {
	if f, ok := r.(interface{ Addr() uintptr }); ok {
		return faultError{f.Addr()}
	}
	return fmt.Errorf("the codec panicked: %v\n%s", r, debug.Stack())
}

// lane picks the lane for a message of this size.
func (c *Conn) lane(size int) *lane {
	if size < c.cfg.BulkBytes || len(c.bulk) == 0 {
		return c.lanes[0]
	}
	return c.bulk[c.nextBulk.Add(1)%uint32(len(c.bulk))]
}

// outgoing is a message on its way.
type outgoing struct {
	header
	method string // to be told to the peer; empty for answers and streams' data
	info   *CallInfo
	codec  Codec
	value  any
	size   int   // of the value
	many   bool  // others are likely to write now
	lane   *lane // of a call: the slot may be somebody else's once the state says that it is being sent
}

// notSent makes the error of a message that never left.
func notSent(code status.Code, format string, args ...any) *status.Error {
	e := status.Errorf(code, format, args...)
	e.Fate = status.NotSent
	return e
}

// measure sets the message's size, or tells why it cannot be sent.
func (o *outgoing) measure(limit int) *status.Error {
	if o.value == nil {
		o.size = 0
		return nil
	}
	n, err := sizeOf(o.codec, o.value)
	if err != nil {
		return notSent(status.Internal, "cannot marshal %T: %v", o.value, err)
	}
	if n > limit {
		return notSent(status.ResourceExhausted, "message %T of %d bytes, %d are allowed: raise MaxMessage on both ends or send a stream", o.value, n, limit)
	}
	o.size = n
	return nil
}

// limit is the largest message in bytes that may go to the peer.
func (c *Conn) limit() int { return min(c.cfg.MaxMessage, int(c.peer.message)) }

// send writes a measured message to a lane. An error means that the peer will not see it.
func (l *lane) send(o *outgoing) *status.Error {
	var e extension
	if o.info != nil {
		e.metadata = o.info.Metadata
	}
	number := codecNamed
	if o.codec != nil && (o.typ == typeCall || o.typ == typeNotify || o.typ == typeOpen) {
		name := o.codec.Name()
		for i := range l.c.numbered {
			if l.c.numbered[i] == name {
				number = i
				break
			}
		}
		if number == codecNamed {
			e.codec = name
		}
		o.flags |= uint8(number) << codecShift
	}
	l.begin()
	if o.method != "" {
		n, ok := l.numbers[o.method]
		if !ok {
			e.method = o.method
			if len(l.numbers) < maxNumbers {
				n = uint16(len(l.numbers) + 1)
			}
		}
		o.header.method = n
	}
	ext := e.size()
	if ext > maxExt {
		_ = l.finish() // others may have left their flush to us
		return notSent(status.InvalidArgument, "metadata and names of %d bytes, %d fit a call", ext, maxExt)
	}
	if headerSize+ext+o.size > l.max {
		_ = l.finish()
		return l.sendLarge(o, &e)
	}
	b, err := l.Reserve(headerSize + ext + o.size)
	if err != nil {
		_ = l.quietly()
		return refused(err)
	}
	o.header.size = uint32(len(b))
	if ext > 0 {
		o.flags |= flagExt
		e.append(b[headerSize:headerSize])
	}
	if o.value != nil {
		if err := marshal(o.codec, b[headerSize+ext:], o.value); err != nil {
			header{size: o.header.size, typ: typePad}.put(b)
			_ = l.finish()
			return notSent(status.Internal, "cannot marshal %T: %v", o.value, err)
		}
	}
	o.header.put(b)
	if e.method != "" && o.header.method != 0 {
		l.numbers[o.method] = o.header.method
	}
	if o.many {
		_ = l.finishSoon() // a broken lane ends the connection, and with it what waits for an answer
	} else {
		_ = l.finish()
	}
	return nil
}

// refused is the error of a lane that takes nothing.
func refused(err error) *status.Error {
	if errors.Is(err, transport.ErrBacklog) {
		return notSent(status.ResourceExhausted, "%v", err)
	}
	return notSent(status.Unavailable, "%v", err)
}

// buffers for messages that fit no frame.
type bufferPool struct{ p sync.Pool }

func (b *bufferPool) take(n int) *[]byte {
	if v, ok := b.p.Get().(*[]byte); ok && cap(*v) >= n {
		*v = (*v)[:n]
		return v
	}
	v := make([]byte, n)
	return &v
}

func (b *bufferPool) put(v *[]byte) { b.p.Put(v) }

// largeAtOnce is how many messages in parts share a lane: as many the receiver has to hold.
const largeAtOnce = 8

// patience is how long half a message waits for room before its connection is given up.
const patience = 10 * time.Second

// sendLarge sends a message in several frames. Between them others may write. It may have to wait for others, and for room: a lane's reader must not call it.
func (l *lane) sendLarge(o *outgoing, e *extension) *status.Error {
	if o.method != "" { // by name: between the frames nothing is learned
		o.header.method, e.method = 0, o.method
	}
	ext := e.size()
	if ext > maxExt {
		return notSent(status.InvalidArgument, "metadata and names of %d bytes, %d fit a call", ext, maxExt)
	}
	buf := l.c.serving.large.take(o.size)
	defer l.c.serving.large.put(buf)
	rest := *buf
	if err := marshal(o.codec, rest, o.value); err != nil {
		return notSent(status.Internal, "cannot marshal %T: %v", o.value, err)
	}
	select {
	case l.large <- struct{}{}:
		defer func() { <-l.large }()
	case <-l.c.over:
		return unavailable(l.c.Err(), status.NotSent)
	}
	h := o.header
	h.flags |= flagLarge
	for first := true; len(rest) > 0; first = false {
		head := headerSize
		if first {
			head += ext + 4
		}
		n := min(len(rest), l.max-head)
		b, err := l.reserve(head+n, !first)
		if err != nil {
			if !first { // half a message cannot be taken back
				l.c.Fail(err)
			}
			return refused(err)
		}
		h.size = uint32(len(b))
		if first {
			if ext > 0 {
				h.flags |= flagExt
				e.append(b[headerSize:headerSize])
			}
			binary.LittleEndian.PutUint32(b[headerSize+ext:], uint32(o.size))
		}
		h.put(b)
		copy(b[head:], rest)
		rest = rest[n:]
		_ = l.finish()
		h = header{typ: typeMore, flags: h.flags & flagAnswer, id: o.id, arg: uint32(o.typ)}
	}
	return nil
}

// reserve takes the lane and room on it; with wait, it gives a peer that is behind some time. Without an error the lane is locked.
func (l *lane) reserve(n int, wait bool) ([]byte, error) {
	l.begin()
	b, err := l.Reserve(n)
	if err == nil {
		return b, nil
	}
	_ = l.quietly()
	if !wait || !errors.Is(err, transport.ErrBacklog) {
		return nil, err
	}
	look, end := time.NewTicker(time.Millisecond), time.NewTimer(patience)
	defer look.Stop()
	defer end.Stop()
	for {
		select {
		case <-look.C:
		case <-l.c.over:
			return nil, l.c.Err()
		case <-end.C:
			return nil, err
		}
		l.begin()
		if b, err = l.Reserve(n); err == nil {
			return b, nil
		}
		_ = l.quietly()
		if !errors.Is(err, transport.ErrBacklog) {
			return nil, err
		}
	}
}
