//go:build linux && (amd64 || arm64)

package shm

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// put writes count frames of one size and flushes.
func put(l transport.Lane, count, size int) error {
	l.Lock()
	defer l.Unlock()
	for range count {
		b, err := l.Reserve(size)
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint32(b, uint32(size))
	}
	return l.Flush()
}

// get reads until it has n bytes.
func get(l transport.Lane, n int) error {
	for n > 0 {
		batch, err := l.Receive()
		if err != nil {
			return err
		}
		n -= len(batch)
		l.Release()
	}
	return nil
}

// otherProcess connects to an echo in a process of its own.
func otherProcess(b *testing.B) *conn {
	path := socketPath(b)
	l := listenAt(b, path, transport.Config{})
	defer l.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=dial "+path)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	c, err := l.Accept(ctx)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _, _ = c.Close(), cmd.Wait() })
	return c.(*conn)
}

// BenchmarkEcho sends batches to another process, which sends them back, with a bounded number of batches on the way. An operation is one batch there and back.
func BenchmarkEcho(b *testing.B) {
	for _, bc := range []struct{ lane, frames, size, depth int }{
		{0, 1, 64, 1}, {0, 64, 64, 1}, {0, 64, 64, 8}, {0, 16, 1024, 8}, {1, 1, 64 << 10, 1}, {1, 1, 64 << 10, 8},
	} {
		b.Run(fmt.Sprintf("lane=%d/frames=%d/size=%d/depth=%d", bc.lane, bc.frames, bc.size, bc.depth), func(b *testing.B) {
			c := otherProcess(b)
			l := c.Lanes()[bc.lane]
			before := c.Stats().Wakeups
			b.SetBytes(int64(bc.frames * bc.size))
			b.ReportAllocs()
			b.ResetTimer()
			sent := 0
			for i := range b.N {
				for ; sent < b.N && sent < i+bc.depth; sent++ {
					if err := put(l, bc.frames, bc.size); err != nil {
						b.Fatal(err)
					}
				}
				if err := get(l, bc.frames*bc.size); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			s := c.Stats()
			b.ReportMetric(float64(s.Wakeups-before)/float64(b.N), "wakeups/op")
			if s.Fallbacks != 0 {
				b.Fatalf("%+v", s)
			}
		})
	}
}

// BenchmarkEcho64B is a frame of 64 bytes there and back between two processes: the latency of a lone caller.
func BenchmarkEcho64B(b *testing.B) {
	l := otherProcess(b).Lanes()[0]
	b.ReportAllocs()
	for b.Loop() {
		if err := put(l, 1, 64); err != nil {
			b.Fatal(err)
		}
		if err := get(l, 64); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkConnect is a whole connection, both ends, from Dial to Close.
func BenchmarkConnect(b *testing.B) {
	path := socketPath(b)
	l := listenAt(b, path, transport.Config{})
	b.ReportAllocs()
	for b.Loop() {
		client, server := join(b, l, path, transport.Config{})
		_, _ = client.Close(), server.Close()
	}
}
