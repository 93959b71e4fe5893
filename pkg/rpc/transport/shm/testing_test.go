//go:build linux && (amd64 || arm64)

package shm

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

const patience = 10 * time.Second

func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "shm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func listenAt(t testing.TB, path string, cfg transport.Config) transport.Listener {
	t.Helper()
	l, err := Listen(path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// pair connects two ends in this process.
func pair(t testing.TB, cfg transport.Config) (client, server *conn) {
	t.Helper()
	if cfg.Refused == nil {
		cfg.Refused = func(addr string, err error) { t.Errorf("refused %s: %v", addr, err) }
	}
	path := socketPath(t)
	l := listenAt(t, path, cfg)
	client, server = join(t, l, path, cfg)
	t.Cleanup(func() {
		for _, c := range []*conn{client, server} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return client, server
}

func join(t testing.TB, l transport.Listener, path string, cfg transport.Config) (client, server *conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	accepted := make(chan transport.Conn, 1)
	go func() {
		c, err := l.Accept(ctx)
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	dialled, err := Dial(ctx, path, cfg)
	if err != nil {
		cancel()
		<-accepted
		t.Fatal(err)
	}
	got := <-accepted
	if got == nil {
		t.FailNow()
	}
	return dialled.(*conn), got.(*conn)
}

// frame fills b: its length, a number and bytes that follow from both.
func fillFrame(b []byte, number uint64) {
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint64(b[4:], number)
	body := b[12:]
	first := body[:min(len(body), 251)] // the rest repeats it; a prime, so that no page at the wrong place goes unseen
	for i := range first {
		first[i] = byte(number) + byte(i)
	}
	for n := len(first); n < len(body); n += copy(body[n:], body[:n]) {
	}
}

func checkFrame(b []byte, number uint64) error {
	want := make([]byte, len(b))
	fillFrame(want, number)
	if !bytes.Equal(b, want) {
		return fmt.Errorf("frame %d of %d bytes is not what was sent: number %d", number, len(b), binary.LittleEndian.Uint64(b[4:]))
	}
	return nil
}

// split calls f for every frame of a batch.
func split(batch []byte, f func(frame []byte) error) error {
	for len(batch) > 0 {
		n := binary.LittleEndian.Uint32(batch)
		if err := f(batch[:n]); err != nil {
			return err
		}
		batch = batch[n:]
	}
	return nil
}

func send(l transport.Lane, n int, number uint64, flush bool) error {
	l.Lock()
	defer l.Unlock()
	b, err := l.Reserve(n)
	if err != nil {
		return err
	}
	fillFrame(b, number)
	if !flush {
		return nil
	}
	return l.Flush()
}

// eventually asks until f is content.
func eventually(t testing.TB, what string, f func() (string, bool)) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		seen, ok := f()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: %s", what, seen)
		}
	}
}

// waitFor takes from a channel, in time.
func waitFor[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		t.Fatalf("%s: nothing after %v\n%s", what, patience, buf[:runtime.Stack(buf, true)])
		panic("unreachable")
	}
}

// holdings is what a connection costs the process.
type holdings struct{ descriptors, mappings, goroutines int }

func held(t testing.TB) holdings {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return holdings{descriptors: len(fds), mappings: strings.Count(string(maps), "memfd:"), goroutines: runtime.NumGoroutine()}
}

// noMoreThan waits until the process holds what it held before.
func noMoreThan(t testing.TB, before holdings) {
	t.Helper()
	eventually(t, "something is left over", func() (string, bool) {
		now := held(t)
		return fmt.Sprintf("before %+v, now %+v", before, now),
			now.descriptors <= before.descriptors && now.mappings <= before.mappings && now.goroutines <= before.goroutines
	})
}
