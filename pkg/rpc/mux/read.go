package mux

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// batch is what the frames of one Receive ask for, to be done after Release.
type batch struct {
	now    time.Time // when it arrived; zero until somebody asks
	inline []job
	spawn  []job
	open   []*Stream
	then   []func()
	corked bool // answers to this batch wait for each other
}

// parts is a message that arrives in several frames.
type parts struct {
	h    header
	ext  extension
	size int
	got  []byte
}

// read is a lane's reader goroutine.
func (l *lane) read() {
	debug.SetPanicOnFault(true) // for memory that a dead peer takes away; see recovered
	for {
		b, err := l.Receive()
		if err != nil {
			l.c.Fail(err)
			return
		}
		l.c.heard.Store(true)
		err = l.take(b)
		l.Release()
		l.act() // also when there is an error: what came before it counts
		if err != nil {
			if !l.c.failed.Load() {
				l.c.bye(err)
				l.c.Fail(err)
			}
			return
		}
	}
}

// due is the deadline of a call that has us microseconds left. The clock is read once per batch: it costs as much as a small call.
func (t *batch) due(us uint32) time.Time {
	if us == 0 {
		return time.Time{}
	}
	if t.now.IsZero() {
		t.now = time.Now()
	}
	return t.now.Add(time.Duration(us) * time.Microsecond)
}

// take handles the frames of a batch.
func (l *lane) take(b []byte) error {
	l.batch.now = time.Time{}
	for len(b) > 0 {
		h, body, rest, err := cut(b)
		if err != nil {
			return err
		}
		b = rest
		if err := l.handle(h, body); err != nil {
			return err
		}
	}
	return nil
}

// cork makes the small answers to a batch leave together: so many at a time, and the rest at its end.
func (l *lane) cork() {
	if !l.batch.corked {
		l.batch.corked = true
		l.c.lanes[0].waiting.Add(1)
	}
}

// act does what the frames asked for.
func (l *lane) act() {
	t := &l.batch
	if len(t.inline) > 0 {
		l.cork()
		for i := range t.inline {
			l.c.execute(&t.inline[i], true)
		}
		clear(t.inline)
		t.inline = t.inline[:0]
	}
	if t.corked {
		t.corked = false
		main := l.c.lanes[0]
		main.Lock()
		main.waiting.Add(-1)
		_ = main.finish()
	}
	for _, j := range t.spawn {
		l.c.serving.spawn(j)
	}
	for _, s := range t.open {
		go s.serve()
	}
	for _, f := range t.then {
		l.c.safely("a function of the connection", f)
	}
	clear(t.spawn)
	clear(t.open)
	clear(t.then)
	t.spawn, t.open, t.then = t.spawn[:0], t.open[:0], t.then[:0]
}

func (l *lane) handle(h header, body []byte) error {
	c := l.c
	switch h.typ {
	case typeHello, typeWelcome:
		if l.index != 0 {
			return fmt.Errorf("%w: type %d on a bulk lane", errFrame, h.typ)
		}
		if h.typ == typeHello {
			return c.greet(body)
		}
		return c.welcome(body)
	case typeBye:
		return c.farewell(body)
	}
	if !l.welcomed {
		if l.index == 0 {
			select {
			case <-c.welcomed:
			default:
				return fmt.Errorf("%w: type %d before the welcome", errFrame, h.typ)
			}
		}
		select { // the first lane's reader may still be at the welcome
		case <-c.welcomed:
			l.welcomed = true
		case <-c.over:
			return c.err
		}
	}
	if h.typ == typeMore {
		return l.more(h, body)
	}
	var ext extension
	if h.flags&flagExt != 0 {
		var err error
		if ext, body, err = parseExt(body); err != nil {
			return err
		}
	}
	if h.flags&flagLarge != 0 {
		return l.first(h, ext, body)
	}
	return l.message(h, &ext, body)
}

// farewell ends the connection as the peer wished.
func (c *Conn) farewell(body []byte) error {
	if len(body) == 0 {
		c.Fail(transport.ErrClosed)
		return transport.ErrClosed
	}
	err := fmt.Errorf("%w: %s", transport.ErrPeerRefused, bytes.ToValidUTF8(body, []byte("?")))
	c.Fail(err)
	return err
}

// message handles a frame whose message is complete.
func (l *lane) message(h header, ext *extension, body []byte) error {
	c := l.c
	switch h.typ {
	case typeCall, typeNotify:
		return l.request(h, ext, body)
	case typeReply, typeError:
		return c.answered(h, body, &l.batch.then)
	case typeOpen:
		return l.opened(h, ext)
	case typeData, typeEnd, typeCredit:
		return c.streams.frame(h, body)
	case typeCancel:
		c.serving.cancel(h.id, status.Code(h.arg))
	case typeAbandon:
		c.streams.cancelled(h.id, status.Code(h.arg))
	case typePing:
		return l.control(typePong, 0, h.id, h.arg, nil)
	case typePong:
		if h.arg != 0 { // a heartbeat's has no number
			c.pongs.Add(1)
		}
	case typeGoaway:
		c.draining.Store(true)
		if c.cfg.Draining != nil {
			note := string(bytes.ToValidUTF8(body, []byte("?")))
			l.batch.then = append(l.batch.then, func() { c.drainOnce.Do(func() { c.cfg.Draining(c, note) }) })
		}
	}
	return nil // and a pad
}

// partKey tells messages in parts from each other: calls, and streams of either end, count separately.
func partKey(typ, flags uint8, id uint32) uint64 {
	return uint64(typ)<<40 | uint64(flags&flagAnswer)<<32 | uint64(id)
}

// first takes the beginning of a large message. It is refused before anything is kept of it if it is too large.
func (l *lane) first(h header, ext extension, body []byte) error {
	if len(body) < 4 {
		return fmt.Errorf("%w: no size of a large message", errFrame)
	}
	size := int(binary.LittleEndian.Uint32(body))
	body = body[4:]
	if size > l.c.cfg.MaxMessage {
		return fmt.Errorf("rpc: the peer sends a message of %d bytes, %d are allowed", size, l.c.cfg.MaxMessage)
	}
	switch h.typ {
	case typeCall, typeNotify, typeReply, typeData, typeError, typeEnd:
	default:
		return fmt.Errorf("%w: type %d in parts", errFrame, h.typ)
	}
	key := partKey(h.typ, h.flags, h.id)
	if l.parts[key] != nil || len(body) >= size {
		return fmt.Errorf("%w: a large message within another, or none", errFrame)
	}
	if len(l.parts) >= 4*largeAtOnce {
		return fmt.Errorf("rpc: the peer has %d messages in parts under way on one lane", len(l.parts))
	}
	p := &parts{h: h, ext: ext, size: size, got: append(make([]byte, 0, min(size, 4*len(body))), body...)}
	p.h.flags &^= flagLarge | flagExt
	l.parts[key] = p
	return nil
}

// more takes the next part of a large message.
func (l *lane) more(h header, body []byte) error {
	key := partKey(uint8(h.arg), h.flags, h.id)
	p := l.parts[key]
	if p == nil || len(p.got)+len(body) > p.size {
		return fmt.Errorf("%w: a part that belongs to nothing", errFrame)
	}
	p.got = append(p.got, body...)
	if len(p.got) < p.size {
		return nil
	}
	delete(l.parts, key)
	return l.message(p.h, &p.ext, p.got)
}
