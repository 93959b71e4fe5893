package network

import (
	"fmt"
	"testing"
)

// BenchmarkEcho sends k messages of 64 bytes and reads their echoes; the server answers each read with one frame per message,
// or, coalesced, with one message for all of them, as a gateway does. One operation is one message of 64 bytes.
func BenchmarkEcho(b *testing.B) {
	for _, bc := range []struct {
		pipelined int
		coalesce  bool
	}{{1, false}, {8, false}, {8, true}} {
		b.Run(fmt.Sprintf("pipelined=%d/coalesce=%v", bc.pipelined, bc.coalesce), func(b *testing.B) {
			const size = 64
			srv, client := pair(b, Config{Pool: new(Pool)}, DialConfig{})
			done := make(chan struct{})
			go func() {
				defer close(done)
				out := make([]byte, HeaderRoom, HeaderRoom+size*bc.pipelined)
				for {
					m, err := srv.Next()
					if err != nil {
						return
					}
					out = append(out, m...)
					if bc.coalesce && len(out) < HeaderRoom+size*bc.pipelined {
						continue
					}
					if err := srv.Send(out); err != nil {
						return
					}
					out = out[:HeaderRoom]
				}
			}()
			// The client writes its messages in one segment.
			one := frame(0x82, string(make([]byte, size)))
			var batch []byte
			for range bc.pipelined {
				batch = append(batch, one...)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += bc.pipelined {
				if _, err := client.nc.Write(batch); err != nil {
					b.Fatal(err)
				}
				for got := 0; got < size*bc.pipelined; {
					m, err := client.Next()
					if err != nil {
						b.Fatal(err)
					}
					got += len(m)
				}
			}
			b.StopTimer()
			_ = client.Close(1000, "")
			<-done
		})
	}
}

// BenchmarkDecode is the cost of parsing alone: one operation is one message of 64 bytes.
func BenchmarkDecode(b *testing.B) {
	var cfg Config
	if err := cfg.validate(); err != nil {
		b.Fatal(err)
	}
	d := newDecoder(&cfg, false, false, nil)
	one := frame(0x82, string(make([]byte, 64)))
	var batch []byte
	for len(batch)+len(one) <= readSmall {
		batch = append(batch, one...)
	}
	b.ReportAllocs()
	for n := 0; n < b.N; {
		d.filled(copy(d.space(), batch))
		for {
			_, _, ok, err := d.next()
			if err != nil {
				b.Fatal(err)
			}
			if !ok {
				break
			}
			n++
		}
	}
}
