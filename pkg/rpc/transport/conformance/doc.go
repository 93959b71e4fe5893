// Package conformance is what every transport has to pass: a suite over a pair of connected ends (Run), one for ends whose peer can be killed (RunVanish), one
// over a listener (RunListener) and, for transports over sockets, one with hostile peers (RunHostile). They are called from the tests of the transports, use no
// time but as a bound on failure, and leave no goroutine behind.
//
// The ends must be made with the default configuration, or with a MaxBacklog of 16 MiB or more; the tests stay below that unless they want to reach it.
package conformance

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// patience bounds whatever a test waits for: long, as machines that test may be busy.
const patience = 20 * time.Second

// NoLeak fails the test when more goroutines are left at its end than there are now. Call it before anything is opened.
func NoLeak(t testing.TB) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		deadline := time.Now().Add(patience)
		for runtime.NumGoroutine() > before {
			if time.Now().After(deadline) {
				stacks := make([]byte, 64<<10)
				t.Fatalf("goroutines: %d before, %d after\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
			}
			runtime.Gosched()
		}
	})
}

// The tests' frames say who they are, and carry a checksum:
//
//	0       4       6       8         12         16
//	length  writer  -       sequence  checksum   random bytes, the same again after every 251
//
// length is that of the frame, as the transport wants it. The checksum is of all other bytes.
const headerLen = 16

// period of the random bytes: few to draw, and a prime, so that no page or buffer that came at the wrong place goes unseen.
const period = 251

// fill makes a frame of b, all of it.
func fill(b []byte, writer, sequence int, rnd *rand.Rand) {
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint16(b[4:], uint16(writer))
	binary.LittleEndian.PutUint16(b[6:], 0)
	binary.LittleEndian.PutUint32(b[8:], uint32(sequence))
	body := b[headerLen:]
	drawn := body[:min(len(body), period)]
	for i := range drawn {
		drawn[i] = byte(rnd.Uint32())
	}
	for n := len(drawn); n < len(body); n += copy(body[n:], body[:n]) {
	}
	binary.LittleEndian.PutUint32(b[12:], checksum(b))
}

func checksum(b []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(b[:12]), crc32.IEEETable, b[headerLen:])
}

// frames walks over what Receive returned.
func frames(b []byte, maxFrame int, each func(writer, sequence int, frame []byte) error) error {
	for len(b) > 0 {
		if len(b) < headerLen {
			return fmt.Errorf("%d bytes that are no frame at the end of what was received", len(b))
		}
		n := int(binary.LittleEndian.Uint32(b))
		if n < headerLen || n > maxFrame || n > len(b) {
			return fmt.Errorf("a frame of %d bytes; %d are left, %d are the most", n, len(b), maxFrame)
		}
		f := b[:n]
		if got, want := checksum(f), binary.LittleEndian.Uint32(f[12:]); got != want {
			return fmt.Errorf("a frame of %d bytes was changed on the way: checksum %08x, not %08x", n, got, want)
		}
		if err := each(int(binary.LittleEndian.Uint16(f[4:])), int(binary.LittleEndian.Uint32(f[8:])), f); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// send reserves, fills and flushes one frame.
func send(l transport.Lane, size, writer, sequence int, rnd *rand.Rand) error {
	l.Lock()
	defer l.Unlock()
	b, err := l.Reserve(size)
	if err != nil {
		return err
	}
	if len(b) != size {
		return fmt.Errorf("%d bytes reserved, %d wanted", len(b), size)
	}
	fill(b, writer, sequence, rnd)
	return l.Flush()
}

// reader receives on one lane, checks content and order for each writer, and counts.
type reader struct {
	lane transport.Lane
	next map[int]int // sequence expected of each writer
	n    int         // frames
	size int         // bytes
}

func newReader(l transport.Lane) *reader { return &reader{lane: l, next: make(map[int]int)} }

// batch receives once.
func (r *reader) batch() error {
	b, err := r.lane.Receive()
	if err != nil {
		return fmt.Errorf("after %d frames: %w", r.n, err)
	}
	defer r.lane.Release()
	if len(b) == 0 {
		return errors.New("nothing received, and no error")
	}
	return r.check(b)
}

func (r *reader) check(b []byte) error {
	return frames(b, r.lane.MaxFrame(), func(writer, sequence int, f []byte) error {
		if want := r.next[writer]; sequence != want {
			return fmt.Errorf("writer %d: frame %d where %d was due", writer, sequence, want)
		}
		r.next[writer]++
		r.n++
		r.size += len(f)
		return nil
	})
}

// until receives n frames altogether.
func (r *reader) until(n int) error {
	for r.n < n {
		if err := r.batch(); err != nil {
			return err
		}
	}
	return nil
}

// end receives until an error, which it returns.
func (r *reader) end() error {
	for {
		if err := r.batch(); err != nil {
			return err
		}
	}
}

// crew runs parts of a test side by side.
type crew struct {
	t    *testing.T
	wg   sync.WaitGroup
	fail chan error
}

func newCrew(t *testing.T) *crew { return &crew{t: t, fail: make(chan error, 1)} }

func (c *crew) do(what string, fn func() error) {
	c.wg.Go(func() {
		if err := fn(); err != nil {
			select {
			case c.fail <- fmt.Errorf("%s: %w", what, err):
			default:
			}
		}
	})
}

// wait fails the test with the first failure of the crew. The others may be stuck then: ends are what the test closes to free them.
func (c *crew) wait(ends ...transport.Conn) {
	c.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.wg.Wait()
	}()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	var err error
	select {
	case <-done:
		select {
		case err = <-c.fail:
		default:
		}
	case err = <-c.fail:
	case <-limit.C:
		err = fmt.Errorf("not done after %v", patience)
	}
	if err != nil {
		for _, e := range ends {
			_ = e.Close()
		}
		c.t.Fatal(err)
	}
}

// within fails the test when fn takes too long.
func within(t *testing.T, what string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	await(t, what, done)
}

func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		stacks := make([]byte, 64<<10)
		t.Fatalf("%s: not done after %v\n%s", what, patience, stacks[:runtime.Stack(stacks, true)])
	}
}

// closeAll closes ends side by side: one that says goodbye to a peer which nobody reads waits a moment for its end.
func closeAll(ends ...transport.Conn) {
	var all sync.WaitGroup
	for _, e := range ends {
		all.Go(func() { _ = e.Close() })
	}
	all.Wait()
}

// eventually gives counters, which writers may keep behind the reader's back, time to follow.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
}

func random(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// someSize is the size of a frame: mostly small, at times as large as can be.
func someSize(rnd *rand.Rand, maxFrame int) int {
	switch rnd.IntN(16) {
	case 0:
		return headerLen
	case 1:
		return maxFrame
	case 2, 3:
		return headerLen + rnd.IntN(maxFrame-headerLen+1)
	default:
		return headerLen + rnd.IntN(512)
	}
}
