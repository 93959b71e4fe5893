package conformance

import (
	"encoding/binary"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// Bench measures a transport by pairs of connected ends: a frame there and back, batches of small frames, and large frames one way.
func Bench(b *testing.B, open func(tb testing.TB) (transport.Conn, transport.Conn)) {
	b.Run("PingPong64B", func(b *testing.B) {
		x, y := open(b)
		defer y.Close()
		defer x.Close()
		go func() {
			in, out := y.Lanes()[0], y.Lanes()[0]
			for takeBytes(in, 64) == nil && putFrames(out, 1, 64) == nil {
			}
		}()
		b.ReportAllocs()
		for b.Loop() {
			if err := putFrames(x.Lanes()[0], 1, 64); err != nil {
				b.Fatal(err)
			}
			if err := takeBytes(x.Lanes()[0], 64); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Batch64x64B", func(b *testing.B) { oneWay(b, open, 64, 64) })
	b.Run("Frame64KiB", func(b *testing.B) { oneWay(b, open, 1, 64<<10) })
}

// oneWay keeps a bounded number of bytes on the way, as a layer with credits does.
func oneWay(b *testing.B, open func(tb testing.TB) (transport.Conn, transport.Conn), frames, size int) {
	x, y := open(b)
	defer y.Close()
	defer x.Close()
	const window = 16
	credit := make(chan struct{}, window)
	done := make(chan error, 1)
	batch := frames * size
	go func() {
		in, got := y.Lanes()[0], 0
		for {
			p, err := in.Receive()
			if err != nil {
				done <- nil
				return
			}
			got += len(p)
			in.Release()
			for ; got >= batch; got -= batch {
				<-credit
			}
		}
	}()
	b.SetBytes(int64(batch))
	b.ReportAllocs()
	for b.Loop() {
		credit <- struct{}{}
		if err := putFrames(x.Lanes()[0], frames, size); err != nil {
			b.Fatal(err)
		}
	}
	for range window { // all has arrived
		credit <- struct{}{}
	}
	b.StopTimer()
	s := x.Stats()
	b.ReportMetric(float64(s.Stalls)/float64(max(s.BatchesOut, 1)), "stalls/batch")
	_ = x.Close()
	<-done
}

func putFrames(l transport.Lane, n, size int) error {
	l.Lock()
	defer l.Unlock()
	for range n {
		f, err := l.Reserve(size)
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint32(f, uint32(size))
	}
	return l.Flush()
}

func takeBytes(l transport.Lane, n int) error {
	for n > 0 {
		b, err := l.Receive()
		if err != nil {
			return err
		}
		n -= len(b)
		l.Release()
	}
	return nil
}
