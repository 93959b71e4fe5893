package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/rpctest"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	pb "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

// Sizes of a load's payloads: every second caller sends the one, the others the other.
const (
	smallBytes = 64
	largeBytes = 64 << 10
)

// load is callers that call Echo one call after the other, look at every byte that comes back, and carry on when a call fails. Nothing is repeated for them, so that every
// failure is seen. It stops by stop.
type load struct {
	good    atomic.Uint64
	failed  atomic.Uint64
	corrupt atomic.Uint64
	marked  atomic.Int64 // unix ns; the first good call that began later goes to first; 0: none is wanted
	first   chan time.Time

	began []atomic.Int64 // of each caller: unix ns of the call that it waits for

	mu       sync.Mutex
	failures []failure
	latest   error

	cancel context.CancelFunc
	done   sync.WaitGroup
}

// failure is a call that failed.
type failure struct {
	began, ended time.Time
	err          error
}

// mostFailures that are kept of a load; the others are counted.
const mostFailures = 1 << 16

// startLoad starts so many callers, whose calls end after timeout.
func startLoad(ctx context.Context, c rpc.Caller, callers int, timeout time.Duration) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{first: make(chan time.Time, 1), cancel: cancel, began: make([]atomic.Int64, callers)}
	for i := range callers {
		size := smallBytes
		if i%2 == 1 {
			size = largeBytes
		}
		l.done.Go(func() { l.call(ctx, c, uint64(i), size, timeout) })
	}
	return l
}

func (l *load) call(ctx context.Context, c rpc.Caller, caller uint64, size int, timeout time.Duration) {
	req, resp := &pb.EchoRequest{Payload: randomPayload(size, caller)}, &pb.EchoResponse{}
	options := []rpc.CallOption{rpc.NoRetry(), rpc.WithTimeout(timeout)}
	for ctx.Err() == nil {
		req.Number++
		binary.LittleEndian.PutUint32(req.Payload, req.Number) // no two payloads are alike
		req.Sum = sumOf(req.Payload)
		began := time.Now()
		l.began[caller].Store(began.UnixNano())
		err := rpc.CallInto(ctx, c, rpctest.EchoMethodEcho, req, resp, options...)
		ended := time.Now()
		switch {
		case ctx.Err() != nil:
		case err == nil && bytes.Equal(resp.Payload, req.Payload) && resp.Number == req.Number && resp.Sum == req.Sum:
			l.good.Add(1)
			if mark := l.marked.Load(); mark != 0 && began.UnixNano() > mark && l.marked.CompareAndSwap(mark, 0) {
				l.first <- ended
			}
		case err == nil || status.CodeOf(err) == status.DataLoss:
			l.corrupt.Add(1)
		default:
			l.fail(failure{began, ended, err})
			pause(ctx, time.Millisecond)
		}
	}
}

func (l *load) fail(f failure) {
	l.failed.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latest = f.err
	if len(l.failures) < mostFailures {
		l.failures = append(l.failures, f)
	}
}

// last is the last failure; nil: none.
func (l *load) last() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest
}

// allBegan tells whether every caller's present call began after a moment.
func (l *load) allBegan(after time.Time) bool {
	for i := range l.began {
		if l.began[i].Load() <= after.UnixNano() {
			return false
		}
	}
	return true
}

// taken are the failures so far, which the load forgets.
func (l *load) taken() []failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.failures
	l.failures = nil
	return all
}

// errNoAnswer is what waiting for a good call ends with.
var errNoAnswer = errors.New("no good answer in time")

// reaches waits until so many calls were answered.
func (l *load) reaches(ctx context.Context, calls uint64, limit time.Duration) error {
	for over := time.Now().Add(limit); l.good.Load() < calls; {
		if !pause(ctx, time.Millisecond) {
			return ctx.Err()
		}
		if time.Now().After(over) {
			return errNoAnswer
		}
	}
	return nil
}

// firstAfter waits for the first good answer to a call that began after the mark.
func (l *load) firstAfter(ctx context.Context, limit time.Duration) (time.Time, error) {
	over := time.NewTimer(limit)
	defer over.Stop()
	select {
	case at := <-l.first:
		return at, nil
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	case <-over.C:
		return time.Time{}, errNoAnswer
	}
}

// stop ends the callers and waits for them.
func (l *load) stop() {
	l.cancel()
	l.done.Wait()
}

// pause waits; false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// randomPayload is bytes that another seed does not have.
func randomPayload(size int, seed uint64) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, size)
	rand.NewChaCha8(key).Read(b) // never fails
	return b
}
