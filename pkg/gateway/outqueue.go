package gateway

import (
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// This file is the bounded queue of frames that wait for a session's connection, guarded by the session's mutex. session.queue fills it, the flusher empties it record by record, and looks at it once
// a second.
//
// What goes first when a client falls behind, that is when more than SoftBytes wait or the oldest frame has waited for more than SoftAge:
//
//  1. an AOI_EVENT that comes is dropped: state is held back for such a client, and what happened beside it is of no use;
//  2. a LATEST that comes replaces one of the same route that waits, which is dropped; the new one stands at the end;
//  3. at QueueBytes, every AOI_EVENT that waits, from before the client fell behind;
//  4. then the session is a slow consumer: also when the oldest frame has waited for QueueAge.
//
// Reliable messages, and frames that are no messages, are never dropped. While the client keeps up nothing is: then two LATEST of a route are both sent.

// queueLimits bounds outbound queues. From Config: QueueBytes and QueueAge.
type queueLimits struct {
	bytes     int           // of frames that may wait; one frame alone may be larger
	softBytes int           // above which the client is behind; default a quarter of bytes
	age       time.Duration // that the oldest frame may reach; default 5 s
	softAge   time.Duration // above which the client is behind; default 250 ms
	frame     int           // largest frame that fits a record
}

// newQueueLimits fills in the defaults of what is 0.
func newQueueLimits(bytes int, age time.Duration, frame int) queueLimits {
	if age == 0 {
		age = 5 * time.Second
	}
	return queueLimits{bytes: bytes, softBytes: bytes / 4, age: age, softAge: min(250*time.Millisecond, age), frame: frame}
}

// outqueue holds encoded frames in one buffer. The session's mutex guards it. The zero value is empty and holds no memory.
//
//	buf    passed | frame | dead frame | frame | …          garbage is whatever does not wait: swept when it is more than what does
//	              start                        len(buf)
//	units  one per frame; those before first are passed
type outqueue struct {
	buf    []byte
	units  []unit
	newest []waiting // LATEST that waits, by route; entries of routes that wait no more are left behind
	first  int       // unit that is taken next: never a dead one
	start  int       // where it stands in buf
	bytes  int       // of frames that wait
	live   int       // number of frames that wait
	events int       // of them AOI_EVENT
	used   int       // most bytes of buf in use since the last look
}

// unit is one frame in the buffer.
type unit struct {
	at    time.Duration // it was pushed
	older int           // index of the LATEST of the same route that was pushed before it; below first: none that waits
	size  uint32        // bytes
	route uint16
	class protocol.Delivery
	dead  bool // dropped; its bytes stay until they are passed or swept
}

// unitBytes is what a frame takes beside its own bytes. It counts too, or a queue of tiny frames would take many times what it may.
const unitBytes = 24

// waiting is the index of the newest LATEST unit of a route.
type waiting struct {
	route uint16
	at    int
}

// pushed is a queue's answer to a frame.
type pushed uint8

const (
	pushedIn       pushed = iota // it waits
	pushedAway                   // an AOI_EVENT for a client that is behind: not encoded
	pushedTooLarge               // fits no record, and was dropped
	pushedOver                   // the client is a slow consumer; the frame was dropped
)

// shedding counts frames that waited and were dropped, by class.
type shedding struct{ events, latest int }

// push queues the frame that encode appends to its argument. class is protocol.Reliable for whatever must arrive; route matters to LATEST alone. shed tells what was dropped of
// what waited.
func (q *outqueue) push(l *queueLimits, now time.Duration, class protocol.Delivery, route uint16, encode func([]byte) []byte) (answer pushed, shed shedding) {
	behind := q.behind(l, now)
	if behind && class == protocol.AOIEvent {
		return pushedAway, shed
	}
	if behind && class == protocol.Latest {
		shed.latest = q.replace(route)
	}
	q.sweep()
	before := len(q.buf)
	q.buf = encode(q.buf)
	size := len(q.buf) - before
	q.used = max(q.used, len(q.buf))
	over := func() bool { return q.live > 0 && q.held()+size+unitBytes > l.bytes }
	switch {
	case size > l.frame:
		answer = pushedTooLarge
	case over():
		shed.events = q.dropEvents()
		if over() {
			answer = pushedOver
		}
	}
	if answer != pushedIn {
		q.buf = q.buf[:before]
		return answer, shed
	}
	u := unit{at: now, older: -1, size: uint32(size), route: route, class: class}
	switch class {
	case protocol.Latest:
		u.older = q.note(route, len(q.units))
	case protocol.AOIEvent:
		q.events++
	}
	q.units = append(q.units, u)
	q.bytes += size
	q.live++
	return pushedIn, shed
}

// take appends waiting frames to plain, in order, as many whole ones as fit in room bytes. A large frame may have to wait for a record of its own. more tells that some still wait.
func (q *outqueue) take(plain []byte, room int) (_ []byte, more bool) {
	from := q.start // of a run of frames that wait
	for q.first < len(q.units) {
		u := &q.units[q.first]
		if u.dead {
			plain = append(plain, q.buf[from:q.start]...)
			q.pass()
			from = q.start
			continue
		}
		if int(u.size) > room {
			break
		}
		room -= int(u.size)
		q.forget(u)
		q.pass()
	}
	plain = append(plain, q.buf[from:q.start]...)
	q.settle()
	return plain, q.live > 0
}

// look is the flusher's once a second: how much waits, and whether the session may go on. It gives back the memory of a burst that is over, a look later.
func (q *outqueue) look(l *queueLimits, now time.Duration) (frames, bytes int, age time.Duration, ok bool) {
	if q.live > 0 {
		age = now - q.units[q.first].at
		q.used = len(q.buf)
		return q.live, q.held(), age, age < l.age
	}
	if q.used == 0 || cap(q.buf) > 4*max(q.used, 1<<10) {
		*q = outqueue{}
	}
	q.used = 0
	return 0, 0, 0, true
}

// held is how much waits, as QueueBytes counts it.
func (q *outqueue) held() int { return q.bytes + q.live*unitBytes }

// behind tells whether the client does not keep up.
func (q *outqueue) behind(l *queueLimits, now time.Duration) bool {
	return q.live > 0 && (q.held() > l.softBytes || now-q.units[q.first].at > l.softAge)
}

// note makes units[at] the newest LATEST of a route and returns the one before it, -1 if there was none.
func (q *outqueue) note(route uint16, at int) (older int) {
	for i := range q.newest {
		if w := &q.newest[i]; w.route == route {
			older, w.at = w.at, at
			return older
		}
	}
	q.newest = append(q.newest, waiting{route, at})
	return -1
}

// replace drops every LATEST of a route that waits. Each is visited once in its life, and once when it is the newest.
func (q *outqueue) replace(route uint16) (dropped int) {
	for _, w := range q.newest {
		if w.route != route {
			continue
		}
		for i := w.at; i >= q.first && !q.units[i].dead; i = q.units[i].older { // before a dead one there are only dead ones
			q.drop(&q.units[i])
			dropped++
		}
	}
	q.settle()
	return dropped
}

// dropEvents drops every AOI_EVENT that waits.
func (q *outqueue) dropEvents() (dropped int) {
	for i := q.first; i < len(q.units) && q.events > 0; i++ {
		if u := &q.units[i]; u.class == protocol.AOIEvent && !u.dead {
			q.drop(u)
			dropped++
		}
	}
	q.settle()
	return dropped
}

func (q *outqueue) drop(u *unit) {
	q.forget(u)
	u.dead = true
}

// forget takes a frame out of what waits.
func (q *outqueue) forget(u *unit) {
	q.bytes -= int(u.size)
	q.live--
	if u.class == protocol.AOIEvent {
		q.events--
	}
}

// pass goes beyond the first unit.
func (q *outqueue) pass() {
	q.start += int(q.units[q.first].size)
	q.first++
}

// settle passes dead units at the head, and starts the buffer anew when nothing waits.
func (q *outqueue) settle() {
	for q.first < len(q.units) && q.units[q.first].dead {
		q.pass()
	}
	if q.live == 0 {
		q.buf, q.units, q.newest, q.first, q.start = q.buf[:0], q.units[:0], q.newest[:0], 0, 0
	}
}

// sweep moves what waits to the front when the buffer is mostly garbage: each byte that waits is paid for by one that went.
func (q *outqueue) sweep() {
	if garbage := len(q.buf) - q.bytes; garbage <= max(q.bytes, 4<<10) {
		return
	}
	units, at := q.units[q.first:], q.start
	q.units, q.newest, q.first, q.start = q.units[:0], q.newest[:0], 0, 0
	buf := q.buf
	q.buf = q.buf[:0]
	for _, u := range units {
		if !u.dead {
			q.buf = append(q.buf, buf[at:at+int(u.size)]...)
			if u.class == protocol.Latest {
				u.older = q.note(u.route, len(q.units))
			}
			q.units = append(q.units, u)
		}
		at += int(u.size)
	}
}
