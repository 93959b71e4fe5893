package conformance

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// over checks that an end is: why is what its reason must wrap, nil: anything but a Close.
func over(c transport.Conn, why error) error {
	select {
	case <-c.Done():
	default:
		return errors.New("not over: Done is open")
	}
	switch err := c.Err(); {
	case err == nil:
		return errors.New("done, and Err is nil")
	case why == nil && errors.Is(err, transport.ErrClosed):
		return fmt.Errorf("nobody closed, but Err is %w", err)
	case why != nil && !errors.Is(err, why):
		return fmt.Errorf("the reason is %w, not %w", err, why)
	}
	for i, l := range c.Lanes() {
		l.Lock()
		_, err := l.Reserve(transport.MinFrame)
		l.Unlock()
		if err == nil || errors.Is(err, transport.ErrBacklog) {
			return fmt.Errorf("lane %d: Reserve: %v", i, err)
		}
	}
	return nil
}

func flushedThenClosed(t *testing.T, a, b transport.Conn) {
	const n = 300
	c := newCrew(t)
	for i := range a.Lanes() {
		rnd := random(t)
		for s := range n {
			if err := send(a.Lanes()[i], someSize(rnd, 8<<10), 0, s, rnd); err != nil {
				t.Fatal(err)
			}
		}
		c.do("read", func() error {
			r := newReader(b.Lanes()[i])
			if err := r.end(); !errors.Is(err, transport.ErrClosed) {
				return err
			}
			if r.n != n {
				return fmt.Errorf("lane %d: %d of %d frames arrived before the end", i, r.n, n)
			}
			return nil
		})
	}
	within(t, "Close", func() { _ = a.Close() })
	c.wait(a, b)
	await(t, "Done at the other end", b.Done())
	for _, end := range []transport.Conn{a, b} {
		if err := over(end, transport.ErrClosed); err != nil {
			t.Error(err)
		}
	}
	for i, l := range a.Lanes() {
		if b, err := l.Receive(); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("lane %d: Receive after Close: %d bytes, %v", i, len(b), err)
		}
	}
}

// closedBusy closes an end in the middle of traffic of all lanes in both directions.
func closedBusy(t *testing.T, a, b transport.Conn) {
	c := newCrew(t)
	busy := make(chan struct{}, 1)
	for i := range a.Lanes() {
		for _, dir := range [][2]transport.Conn{{a, b}, {b, a}} {
			credit := make(chan struct{}, 64) // so that nobody runs into the backlog
			for w := range 2 {
				rnd := random(t)
				c.do("write", func() error {
					for s := 0; ; s++ {
						select {
						case credit <- struct{}{}:
						case <-dir[0].Done():
						}
						l := dir[0].Lanes()[i]
						if err := send(l, someSize(rnd, min(l.MaxFrame(), 8<<10)), w, s, rnd); err != nil {
							await(t, "Done of a writer", dir[0].Done()) // it may learn first
							return nil
						}
					}
				})
			}
			c.do("read", func() error {
				r := newReader(dir[1].Lanes()[i])
				for {
					before := r.n
					if err := r.batch(); err != nil {
						select {
						case <-dir[1].Done():
							return nil
						default:
							return fmt.Errorf("reading failed while Done is open: %w", err)
						}
					}
					for range r.n - before {
						select {
						case <-credit:
						case <-dir[0].Done(): // its writers ask for none any more
						}
					}
					if r.n > 200 {
						select {
						case busy <- struct{}{}:
						default:
						}
					}
				}
			})
		}
	}
	await(t, "traffic", busy)
	within(t, "Close", func() { _ = a.Close() })
	if err := over(a, transport.ErrClosed); err != nil {
		t.Error(err)
	}
	await(t, "Done at the other end", b.Done())
	c.wait(a, b)
	if err := over(b, transport.ErrClosed); err != nil {
		t.Error(err)
	}
}

func closedStalled(t *testing.T, a, b transport.Conn) {
	rnd := random(t)
	for _, l := range a.Lanes() {
		fillUp(t, l, l.MaxFrame(), 0, rnd)
	}
	read := make(chan error, 1)
	go func() {
		_, err := a.Lanes()[0].Receive()
		read <- err
	}()
	began := time.Now()
	within(t, "Close", func() { _ = a.Close() })
	if took := time.Since(began); took > patience/4 {
		t.Errorf("Close took %v", took)
	}
	if err := over(a, transport.ErrClosed); err != nil {
		t.Error(err)
	}
	if err := <-read; !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Receive: %v", err)
	}
	_ = b.Close()
}

func closedByMany(t *testing.T, a, b transport.Conn) {
	c := newCrew(t)
	for _, end := range []transport.Conn{a, b} {
		for i, l := range end.Lanes() {
			c.do("read", func() error {
				if _, err := l.Receive(); err == nil {
					return fmt.Errorf("lane %d: something came", i)
				}
				return nil
			})
		}
	}
	within(t, "Close", func() {
		var all sync.WaitGroup
		for range 4 {
			for _, end := range []transport.Conn{a, b} {
				all.Go(func() { _ = end.Close() })
			}
		}
		all.Wait()
	})
	c.wait(a, b)
	for _, end := range []transport.Conn{a, b} {
		if err := over(end, transport.ErrClosed); err != nil {
			t.Error(err)
		}
		_ = end.Close()
	}
}

// RunVanish tests what becomes of an end, b, whose peer goes without a goodbye, as when its process is killed: kill makes that happen to a. What a flushed before
// that is received, as far as it had reached the system.
func RunVanish(t *testing.T, open func(t *testing.T) (a, b transport.Conn, kill func())) {
	t.Run("AVanishedPeerIsNotTakenForAClosedOne", func(t *testing.T) {
		NoLeak(t)
		a, b, kill := open(t)
		rnd := random(t)
		const n = 50
		for s := range n {
			if err := send(a.Lanes()[0], 200, 0, s, rnd); err != nil {
				t.Fatal(err)
			}
		}
		c := newCrew(t)
		arrived := make(chan struct{})
		for i, l := range b.Lanes() {
			c.do("read", func() error {
				r := newReader(l)
				if i == 0 {
					if err := r.until(n); err != nil {
						return err
					}
					close(arrived)
				}
				if err := r.end(); errors.Is(err, transport.ErrClosed) {
					return err
				}
				return nil
			})
		}
		await(t, "arrival", arrived)
		kill()
		await(t, "Done", b.Done())
		c.wait(a, b)
		if err := over(b, nil); err != nil {
			t.Error(err)
		}
		closeAll(a, b)
		if err := over(b, nil); err != nil {
			t.Errorf("after Close: %v", err)
		}
	})
	t.Run("AWriterToAVanishedPeerFailsSoon", func(t *testing.T) {
		NoLeak(t)
		a, b, kill := open(t)
		rnd := random(t)
		c := newCrew(t)
		for _, l := range b.Lanes() {
			c.do("read", func() error { _ = newReader(l).end(); return nil })
		}
		kill()
		for s := 0; ; s++ {
			err := send(b.Lanes()[0], 1000, 0, s, rnd)
			if err != nil && !errors.Is(err, transport.ErrBacklog) {
				break
			}
			if err != nil {
				await(t, "the end of a full lane", b.Done())
			}
		}
		await(t, "Done", b.Done())
		c.wait(a, b)
		if err := over(b, nil); err != nil {
			t.Error(err)
		}
		closeAll(a, b)
	})
}
