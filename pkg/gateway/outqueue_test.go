package gateway

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// smallQueue: behind above 200 bytes or 250 ms, over 800 bytes.
func smallQueue() *queueLimits {
	l := newQueueLimits(800, 0, 400)
	return &l
}

// text queues a frame whose bytes are its text.
func text(q *outqueue, l *queueLimits, now time.Duration, class protocol.Delivery, route uint16, s string) (pushed, shedding) {
	return q.push(l, now, class, route, func(b []byte) []byte { return append(b, s...) })
}

func all(q *outqueue) string {
	b, _ := q.take(nil, 1<<30)
	return string(b)
}

func TestOutqueueGivesWholeFramesInOrder(t *testing.T) {
	var q outqueue
	l := smallQueue()
	for _, s := range []string{"aaaa", "bb", "cccccccc", "d"} {
		if answer, _ := text(&q, l, 0, protocol.Reliable, 1, s); answer != pushedIn {
			t.Fatal(answer)
		}
	}
	for _, step := range []struct {
		room int
		want string
		more bool
	}{{0, "", true}, {3, "", true}, {7, "aaaabb", true}, {7, "", true}, {-1, "", true}, {8, "cccccccc", true}, {100, "d", false}, {100, "", false}} {
		got, more := q.take([]byte("state:"), step.room)
		if string(got) != "state:"+step.want || more != step.more {
			t.Errorf("%d bytes of room: %q and more %v, want %q and %v", step.room, got, more, step.want, step.more)
		}
	}
}

func TestOutqueueDropsNothingOfAClientThatKeepsUp(t *testing.T) {
	var q outqueue
	l := smallQueue()
	for _, s := range []string{"one ", "two ", "three"} {
		text(&q, l, 0, protocol.Latest, 7, s)
		text(&q, l, 200*time.Millisecond, protocol.AOIEvent, 8, "! ")
	}
	if got := all(&q); got != "one ! two ! three! " {
		t.Errorf("%q", got)
	}
}

func TestOutqueueReplacesAndDropsForAClientThatIsBehind(t *testing.T) {
	for name, behind := range map[string]func(q *outqueue, l *queueLimits) (now time.Duration, rest string){
		"by age": func(q *outqueue, l *queueLimits) (time.Duration, string) {
			text(q, l, 0, protocol.Reliable, 1, "old")
			return 251 * time.Millisecond, "old"
		},
		"by bytes": func(q *outqueue, l *queueLimits) (time.Duration, string) {
			big := string(bytes.Repeat([]byte("x"), 300))
			text(q, l, 0, protocol.Reliable, 1, big)
			return 0, big
		},
	} {
		var q outqueue
		l := smallQueue()
		text(&q, l, 0, protocol.Latest, 7, "A1")
		text(&q, l, 0, protocol.Latest, 7, "A2")
		text(&q, l, 0, protocol.Latest, 9, "B1")
		now, rest := behind(&q, l)
		if answer, _ := text(&q, l, now, protocol.AOIEvent, 8, "!"); answer != pushedAway {
			t.Errorf("%s: an event: %v", name, answer)
		}
		text(&q, l, now, protocol.Reliable, 7, "r") // of the same route, yet no LATEST
		for _, step := range []struct {
			s       string
			dropped int
		}{{"A3", 2}, {"A4", 1}} {
			if answer, shed := text(&q, l, now, protocol.Latest, 7, step.s); answer != pushedIn || shed != (shedding{latest: step.dropped}) {
				t.Errorf("%s: %s: %v, dropped %+v", name, step.s, answer, shed)
			}
		}
		if frames, _, _, _ := q.look(l, now); frames != 4 {
			t.Errorf("%s: %d frames wait, want 4", name, frames)
		}
		if got, want := all(&q), "B1"+rest+"rA4"; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestOutqueueGivesUpEventsBeforeTheSession(t *testing.T) {
	var q outqueue
	l := smallQueue()
	fill := string(bytes.Repeat([]byte("e"), 60))
	for range 2 {
		text(&q, l, 0, protocol.AOIEvent, 8, fill)
	}
	big := string(bytes.Repeat([]byte("x"), 240))
	for i, want := range []struct {
		answer pushed
		shed   shedding
	}{{pushedIn, shedding{}}, {pushedIn, shedding{}}, {pushedIn, shedding{events: 2}}, {pushedOver, shedding{}}} {
		if answer, shed := text(&q, l, 0, protocol.Reliable, 1, big); answer != want.answer || shed != want.shed {
			t.Errorf("frame %d: %v, dropped %+v; want %v, %+v", i, answer, shed, want.answer, want.shed)
		}
	}
	if got := all(&q); got != big+big+big {
		t.Errorf("%d bytes wait, want 3 frames of 240", len(got))
	}
}

func TestOutqueueTakesOneFrameHoweverLargeAndNoneThatFitsNoRecord(t *testing.T) {
	var q outqueue
	l := newQueueLimits(100, 0, 400)
	if answer, _ := text(&q, &l, 0, protocol.Reliable, 1, string(make([]byte, 401))); answer != pushedTooLarge {
		t.Errorf("a frame beyond a record: %v", answer)
	}
	if answer, _ := text(&q, &l, 0, protocol.Reliable, 1, string(make([]byte, 400))); answer != pushedIn {
		t.Errorf("a large frame alone: %v", answer)
	}
	if answer, _ := text(&q, &l, 0, protocol.Reliable, 1, "x"); answer != pushedOver {
		t.Errorf("another: %v", answer)
	}
	if got := all(&q); len(got) != 400 {
		t.Errorf("%d bytes wait", len(got))
	}
}

func TestOutqueueTellsASlowConsumerByAge(t *testing.T) {
	var q outqueue
	l := smallQueue()
	text(&q, l, time.Second, protocol.Reliable, 1, "a")
	text(&q, l, 3*time.Second, protocol.Reliable, 1, "b")
	if frames, bytes, age, ok := q.look(l, 5*time.Second); frames != 2 || bytes != 2+2*unitBytes || age != 4*time.Second || !ok {
		t.Errorf("%d frames, %d bytes, age %v, ok %v", frames, bytes, age, ok)
	}
	q.take(nil, 1)
	if _, _, age, ok := q.look(l, 6*time.Second); age != 3*time.Second || !ok {
		t.Errorf("the first was taken: age %v, ok %v", age, ok)
	}
	if _, _, _, ok := q.look(l, 8*time.Second); ok {
		t.Error("a frame waited for 5 s")
	}
	all(&q)
	if _, _, age, ok := q.look(l, time.Hour); age != 0 || !ok {
		t.Errorf("an empty queue: age %v, ok %v", age, ok)
	}
}

func TestOutqueueGivesBackABurstsMemory(t *testing.T) {
	var q outqueue
	l := newQueueLimits(1<<20, 0, 64<<10)
	burst := string(make([]byte, 50<<10))
	cycle := func(s string) {
		text(&q, &l, 0, protocol.Reliable, 1, s)
		all(&q)
	}
	cycle(burst)
	q.look(&l, 0)
	if cap(q.buf) < 50<<10 {
		t.Error("given back at once: the next burst would take it anew")
	}
	cycle("small")
	q.look(&l, 0)
	if cap(q.buf) != 0 {
		t.Errorf("%d bytes are held for frames of 5", cap(q.buf))
	}
	cycle("small")
	q.look(&l, 0)
	q.look(&l, 0)
	if cap(q.buf)+cap(q.units)+cap(q.newest) != 0 {
		t.Errorf("an idle queue holds %d bytes and %d units", cap(q.buf), cap(q.units))
	}
}

// A client that never reads, of a game that sends it the same LATEST again and again, costs no memory.
func TestOutqueueOfAStalledClientStaysSmall(t *testing.T) {
	var q outqueue
	l := newQueueLimits(256<<10, 0, 64<<10)
	text(&q, &l, 0, protocol.Reliable, 1, "never taken")
	msg := string(make([]byte, 100))
	for i := range 100_000 {
		if answer, _ := text(&q, &l, time.Second, protocol.Latest, uint16(i%5), msg); answer != pushedIn {
			t.Fatalf("message %d: %v", i, answer)
		}
	}
	if cap(q.buf) > 32<<10 || cap(q.units) > 1000 {
		t.Errorf("%d bytes and %d units for 6 frames of 100 bytes", cap(q.buf), cap(q.units))
	}
}

// twinFrame is a frame of the plain queue.
type twinFrame struct {
	at    time.Duration
	class protocol.Delivery
	route uint16
	data  []byte
}

// twinQueue does what outqueue does, in the plainest way.
type twinQueue []twinFrame

func (q *twinQueue) held() (n int) {
	for _, f := range *q {
		n += len(f.data) + unitBytes
	}
	return n
}

func (q *twinQueue) remove(which func(twinFrame) bool) (n int) {
	var rest twinQueue
	for _, f := range *q {
		if which(f) {
			n++
		} else {
			rest = append(rest, f)
		}
	}
	*q = rest
	return n
}

func (q *twinQueue) push(l *queueLimits, f twinFrame) (answer pushed, shed shedding) {
	if len(*q) > 0 && (q.held() > l.softBytes || f.at-(*q)[0].at > l.softAge) {
		switch f.class {
		case protocol.AOIEvent:
			return pushedAway, shed
		case protocol.Latest:
			shed.latest = q.remove(func(o twinFrame) bool { return o.class == protocol.Latest && o.route == f.route })
		}
	}
	if len(f.data) > l.frame {
		return pushedTooLarge, shed
	}
	over := func() bool { return len(*q) > 0 && q.held()+len(f.data)+unitBytes > l.bytes }
	if over() {
		shed.events = q.remove(func(o twinFrame) bool { return o.class == protocol.AOIEvent })
	}
	if over() {
		return pushedOver, shed
	}
	*q = append(*q, f)
	return pushedIn, shed
}

func (q *twinQueue) take(room int) (b []byte, more bool) {
	for len(*q) > 0 && len((*q)[0].data) <= room {
		b, room = append(b, (*q)[0].data...), room-len((*q)[0].data)
		*q = (*q)[1:]
	}
	return b, len(*q) > 0
}

// replay runs a program of three bytes a step against both queues.
func replay(program []byte) error {
	l := newQueueLimits(30_000, 0, 9000)
	var q outqueue
	var plain twinQueue
	now := time.Duration(0)
	for n := 0; len(program) >= 3; n++ {
		op, a, b := program[0], program[1], program[2]
		program = program[3:]
		switch {
		case op < 190:
			size := 4 + int(a)
			if op%16 == 0 {
				size *= 40
			}
			f := twinFrame{at: now, class: protocol.Delivery(op % 3), route: uint16(b % 5), data: make([]byte, size)}
			binary.LittleEndian.PutUint32(f.data, uint32(n))
			answer, shed := q.push(&l, now, f.class, f.route, func(b []byte) []byte { return append(b, f.data...) })
			if wantAnswer, wantShed := plain.push(&l, f); answer != wantAnswer || shed != wantShed {
				return fmt.Errorf("step %d, push of %d bytes, class %d, route %d: %v, dropped %+v; want %v, %+v", n, size, f.class, f.route, answer, shed, wantAnswer, wantShed)
			}
			if garbage := len(q.buf) - q.bytes; answer == pushedIn && shed.events == 0 && garbage > max(q.bytes, 4<<10) {
				return fmt.Errorf("step %d: %d bytes of garbage beside %d that wait", n, garbage, q.bytes)
			}
		case op < 220:
			room := int(a)*40 + int(b)
			got, more := q.take(nil, room)
			if want, wantMore := plain.take(room); !bytes.Equal(got, want) || more != wantMore {
				return fmt.Errorf("step %d, take of %d bytes: %d bytes, more %v; want %d, %v", n, room, len(got), more, len(want), wantMore)
			}
		case op < 250:
			now += time.Duration(a) * time.Millisecond
		default:
			frames, held, age, ok := q.look(&l, now)
			wantAge := time.Duration(0)
			if len(plain) > 0 {
				wantAge = now - plain[0].at
			}
			if frames != len(plain) || held != plain.held() || age != wantAge || ok != (wantAge < l.age) {
				return fmt.Errorf("step %d, look: %d frames of %d bytes, age %v, %v; want %d of %d, %v", n, frames, held, age, ok, len(plain), plain.held(), wantAge)
			}
		}
		if q.live != len(plain) || q.held() != plain.held() {
			return fmt.Errorf("step %d: %d frames of %d bytes; want %d of %d", n, q.live, q.held(), len(plain), plain.held())
		}
	}
	return nil
}

func TestOutqueueAgreesWithAPlainQueue(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 30
	}
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 3))
		program := make([]byte, 3*2000)
		for i := range program {
			program[i] = byte(r.Uint32())
		}
		if seed%2 == 0 { // hardly ever taken from: it fills up
			for i := 0; i < len(program); i += 3 {
				if program[i] >= 190 && program[i] < 220 && r.IntN(8) > 0 {
					program[i] = 0
				}
			}
		}
		if err := replay(program); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func FuzzOutqueue(f *testing.F) {
	f.Add([]byte{1, 10, 0, 2, 20, 1, 200, 1, 1, 230, 255, 0, 230, 255, 0, 2, 9, 1, 2, 9, 1, 219, 255, 255, 255, 0, 0})
	f.Fuzz(func(t *testing.T, program []byte) {
		if err := replay(program); err != nil {
			t.Fatal(err)
		}
	})
}
