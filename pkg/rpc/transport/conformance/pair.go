package conformance

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// Run tests a transport by pairs of connected ends. open makes a pair; the test closes it.
func Run(t *testing.T, open func(t *testing.T) (a, b transport.Conn)) {
	a, b := open(t)
	lanes := len(a.Lanes())
	closeAll(a, b)
	type test struct {
		name string
		run  func(t *testing.T, a, b transport.Conn)
	}
	tests := []test{
		{"AFreshConnectionIsOpenAndEmpty", fresh},
		{"FramesOfALaneArriveWholeAndInOrder", ordered},
		{"BothDirectionsOfAllLanesServeManyWriters", crowded},
		{"ReceivedBytesStayUntilReleased", retained},
		{"ReserveRefusesSizesThatNoFrameMayHave", sizes},
		{"FlushOfNothingIsNothing", emptyFlush},
		{"APeerThatDoesNotReadIsBoundedAndThenGetsAllInOrder", backlog},
		{"WhatWasFlushedBeforeCloseArrives", flushedThenClosed},
		{"CloseFailsWritersAndReadersOfBothEnds", closedBusy},
		{"CloseOfAnEndWhosePeerDoesNotReadIsBounded", closedStalled},
		{"CloseFromManyGoroutinesAndBothEnds", closedByMany},
		{"StatsAddUp", stats},
	}
	if lanes > 1 {
		tests = append(tests, test{"LanesDoNotWaitForEachOther", lanesApart})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			NoLeak(t)
			a, b := open(t)
			t.Cleanup(func() { closeAll(a, b) })
			test.run(t, a, b)
		})
	}
}

func fresh(t *testing.T, a, b transport.Conn) {
	if a.Kind() == "" || a.Kind() != b.Kind() {
		t.Errorf("kinds %q and %q", a.Kind(), b.Kind())
	}
	if len(a.Lanes()) == 0 || len(a.Lanes()) != len(b.Lanes()) {
		t.Fatalf("%d and %d lanes", len(a.Lanes()), len(b.Lanes()))
	}
	for _, c := range []transport.Conn{a, b} {
		if err := c.Err(); err != nil {
			t.Errorf("Err: %v", err)
		}
		select {
		case <-c.Done():
			t.Error("done")
		default:
		}
		if s := c.Stats(); s.BytesIn+s.BytesOut+s.BatchesIn+s.BatchesOut+s.Fallbacks != 0 {
			t.Errorf("%+v", s)
		}
		if c.Peer().Addr == "" {
			t.Errorf("the peer has no address: %+v", c.Peer())
		}
		for i, l := range c.Lanes() {
			if l.MaxFrame() < 1024 || l.Backlog() != 0 {
				t.Errorf("lane %d: frames of %d bytes at most, backlog %d", i, l.MaxFrame(), l.Backlog())
			}
		}
	}
}

// total bounds what one direction of a lane carries in a test, well below the backlog.
const total = 6 << 20

// write sends n frames in batches of random length.
func write(l transport.Lane, writer, n, budget int, rnd *rand.Rand) (sent int, err error) {
	for sent < n && budget > 0 {
		l.Lock()
		for range 1 + rnd.IntN(32) {
			size := min(someSize(rnd, l.MaxFrame()), max(budget, headerLen))
			b, err := l.Reserve(size)
			if err != nil {
				l.Unlock()
				return sent, err
			}
			fill(b, writer, sent, rnd)
			sent++
			if budget -= size; sent == n || budget <= 0 {
				break
			}
		}
		err := l.Flush()
		l.Unlock()
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

func ordered(t *testing.T, a, b transport.Conn) {
	for i, l := range a.Lanes() {
		rnd := random(t)
		c := newCrew(t)
		sent := make(chan int, 1)
		c.do("write", func() error {
			n, err := write(l, 7, 3000, total, rnd)
			if err == nil {
				err = send(l, headerLen, 8, 0, rnd) // the last one says so
			}
			sent <- n
			return err
		})
		c.do("read", func() error {
			r := newReader(b.Lanes()[i])
			for r.next[8] == 0 {
				if err := r.batch(); err != nil {
					return err
				}
			}
			if n := <-sent; r.next[7] != n {
				return fmt.Errorf("lane %d: %d frames arrived, %d were sent", i, r.next[7], n)
			}
			return nil
		})
		c.wait(a, b)
	}
}

func crowded(t *testing.T, a, b transport.Conn) {
	const writers = 8
	c := newCrew(t)
	lanes := len(a.Lanes())
	for i := range lanes {
		for _, dir := range [][2]transport.Lane{{a.Lanes()[i], b.Lanes()[i]}, {b.Lanes()[i], a.Lanes()[i]}} {
			var mu sync.Mutex
			frames, left := 0, writers
			for w := range writers {
				rnd := random(t)
				c.do("write", func() error {
					n, err := write(dir[0], w, 1000, total/writers/min(lanes, 4), rnd)
					mu.Lock()
					frames += n
					left--
					last := left == 0
					mu.Unlock()
					if err == nil && last {
						err = send(dir[0], headerLen, writers, 0, rnd)
					}
					return err
				})
			}
			c.do("read", func() error {
				r := newReader(dir[1])
				for r.next[writers] == 0 {
					if err := r.batch(); err != nil {
						return err
					}
				}
				mu.Lock()
				defer mu.Unlock()
				if r.n != frames+1 {
					return fmt.Errorf("lane %d: %d frames arrived, %d were sent", i, r.n, frames+1)
				}
				return nil
			})
		}
	}
	c.wait(a, b)
}

func retained(t *testing.T, a, b transport.Conn) {
	rnd := random(t)
	const more = 400
	for i, l := range a.Lanes() {
		r := newReader(b.Lanes()[i])
		if err := send(l, 1000, 1, 0, rnd); err != nil {
			t.Fatal(err)
		}
		held, err := r.lane.Receive()
		if err != nil {
			t.Fatal(err)
		}
		for s := range more {
			if err := send(l, 1000, 1, 1+s, rnd); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.check(held); err != nil {
			t.Errorf("lane %d: bytes changed before Release: %v", i, err)
		}
		r.lane.Release()
		within(t, "receive the rest", func() {
			if err := r.until(1 + more); err != nil {
				t.Error(err)
			}
		})
	}
}

func sizes(t *testing.T, a, b transport.Conn) {
	rnd := random(t)
	for i, l := range a.Lanes() {
		for _, n := range []int{-1, 0, 4, transport.MinFrame - 1, l.MaxFrame() + 1, 1 << 30} {
			l.Lock()
			_, err := l.Reserve(n)
			l.Unlock()
			if err == nil {
				t.Fatalf("lane %d: %d bytes reserved", i, n)
			}
		}
		for s, n := range []int{transport.MinFrame, l.MaxFrame(), transport.MinFrame + 1, l.MaxFrame() - 1} {
			if err := send(l, n, 0, s, rnd); err != nil {
				t.Fatalf("lane %d: %d bytes: %v", i, n, err)
			}
		}
		within(t, "receive", func() {
			if err := newReader(b.Lanes()[i]).until(4); err != nil {
				t.Error(err)
			}
		})
	}
}

func emptyFlush(t *testing.T, a, b transport.Conn) {
	rnd := random(t)
	for i, l := range a.Lanes() {
		for s := range 3 {
			l.Lock()
			err := errors.Join(l.Flush(), l.Flush())
			l.Unlock()
			if err == nil {
				err = send(l, 100, 0, s, rnd)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		within(t, "receive", func() {
			if err := newReader(b.Lanes()[i]).until(3); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, func() error {
		if got, want := a.Stats().BytesOut, uint64(300*len(a.Lanes())); got != want {
			return fmt.Errorf("%d bytes counted, %d sent", got, want)
		}
		return nil
	})
}

// fillUp sends until the backlog is full, and returns how many frames that took.
func fillUp(t *testing.T, l transport.Lane, size, writer int, rnd *rand.Rand) int {
	t.Helper()
	for n := 0; ; n++ {
		switch err := send(l, size, writer, n, rnd); {
		case errors.Is(err, transport.ErrBacklog):
			return n
		case err != nil:
			t.Fatalf("frame %d: %v", n, err)
		case n*size > 1<<30:
			t.Fatal("the lane swallows everything: MaxBacklog means nothing")
		}
	}
}

func backlog(t *testing.T, a, b transport.Conn) {
	rnd := random(t)
	for i, l := range a.Lanes() {
		for round, size := range []int{l.MaxFrame(), 5000} {
			r := newReader(b.Lanes()[i])
			sent := 0
			within(t, "fill the lane", func() { sent = fillUp(t, l, size, round, rnd) })
			if l.Backlog() == 0 {
				t.Errorf("lane %d: full, and Backlog is 0", i)
			}
			if allocs := testing.AllocsPerRun(1000, func() {
				switch err := send(l, size, round, sent, rnd); {
				case err == nil: // the system has taken something meanwhile
					sent++
				case !errors.Is(err, transport.ErrBacklog):
					t.Errorf("lane %d, full: %v", i, err)
				}
			}); allocs >= 1 {
				t.Errorf("%v allocations per refused Reserve", allocs)
			}
			within(t, "read what had waited", func() {
				if err := r.until(sent); err != nil {
					t.Error(err)
				}
			})
			const more = 100
			for s := range more { // it is whole again
				if err := send(l, size, round, sent+s, rnd); err != nil {
					t.Fatalf("lane %d, emptied: frame %d: %v", i, s, err)
				}
			}
			within(t, "read some more", func() {
				if err := r.until(sent + more); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func lanesApart(t *testing.T, a, b transport.Conn) {
	rnd := random(t)
	for i, full := range a.Lanes() {
		sent := fillUp(t, full, full.MaxFrame(), 0, rnd)
		for j, l := range a.Lanes() {
			if j == i {
				continue
			}
			within(t, fmt.Sprintf("lane %d while %d is full", j, i), func() {
				if err := send(l, 100, 1, 0, rnd); err != nil {
					t.Error(err)
				} else if err := newReader(b.Lanes()[j]).until(1); err != nil {
					t.Error(err)
				}
			})
		}
		within(t, "empty it", func() {
			if err := newReader(b.Lanes()[i]).until(sent); err != nil {
				t.Error(err)
			}
		})
	}
}

func stats(t *testing.T, a, b transport.Conn) {
	c := newCrew(t)
	var mu sync.Mutex
	bytes := map[transport.Conn]uint64{}
	for i := range a.Lanes() {
		for _, dir := range [][2]transport.Conn{{a, b}, {b, a}} {
			rnd := random(t)
			c.do("write", func() error {
				l, sum := dir[0].Lanes()[i], 0
				for s := range 500 {
					size := someSize(rnd, l.MaxFrame()/8)
					sum += size
					if err := send(l, size, 0, s, rnd); err != nil {
						return err
					}
				}
				mu.Lock()
				defer mu.Unlock()
				bytes[dir[0]] += uint64(sum)
				return nil
			})
			c.do("read", func() error { return newReader(dir[1].Lanes()[i]).until(500) })
		}
	}
	c.wait(a, b)
	for _, dir := range [][2]transport.Conn{{a, b}, {b, a}} {
		eventually(t, func() error {
			out, in, sent := dir[0].Stats(), dir[1].Stats(), bytes[dir[0]]
			most := 500 * uint64(len(a.Lanes()))
			switch {
			case out.BytesOut != sent || in.BytesIn != sent:
				return fmt.Errorf("%d bytes sent, %d counted out, %d in", sent, out.BytesOut, in.BytesIn)
			case out.BatchesOut == 0 || in.BatchesIn == 0 || out.BatchesOut > most || in.BatchesIn > most:
				return fmt.Errorf("batches of %d frames: %d out, %d in", most, out.BatchesOut, in.BatchesIn)
			case out.Fallbacks != 0:
				return fmt.Errorf("%d fallbacks", out.Fallbacks)
			}
			return nil
		})
	}
}
