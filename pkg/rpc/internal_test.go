package rpc

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
)

func TestAPauseTakesNoMoreThanTheTimeThatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct{ last, most, atLeast, atMost time.Duration }{
			{maxBackoff, 3 * time.Millisecond, 3 * time.Millisecond, 3 * time.Millisecond},
			{maxBackoff, 0, 0, 0},
			{0, time.Hour, minBackoff / 2, 2 * minBackoff},
		} {
			b := backoff{last: tc.last}
			began := time.Now()
			if !b.pauseUpTo(t.Context(), tc.most) {
				t.Error("the context ended")
			}
			if d := time.Since(began); d < tc.atLeast || d > tc.atMost {
				t.Errorf("%+v: took %s", tc, d)
			}
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		var b backoff
		if b.pauseUpTo(gone, time.Hour) {
			t.Error("paused for a caller who is gone")
		}
	})
}

// A handler may ask who calls while the handshake is given up: then Start fails, and what was made for the handler must not stay.
func TestPeersWhoseHandshakeFailedAreDropped(t *testing.T) {
	ps := &peers{out: &outgoing{}}
	join := func() *mux.Conn {
		a, b := inproc.Pipe(transport.Config{})
		met := make(chan *mux.Conn, 1)
		go func() {
			c, err := mux.Start(b, mux.Config{Dialled: true})
			if err != nil {
				t.Error(err)
			}
			met <- c
		}()
		c, err := mux.Start(a, mux.Config{Owner: ps})
		other := <-met
		if err != nil || other == nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = other.Close(), c.Close() })
		return c
	}
	ps.sweep() // of nobody
	living, failed := join(), join()
	p := ps.of(living)
	ps.of(failed)
	_ = failed.Close()
	ps.sweep()
	if all := ps.list(); len(all) != 1 || all[0] != p {
		t.Errorf("%d peers are left, want the one that lives", len(all))
	}
	if ps.of(failed); len(ps.list()) != 1 {
		t.Error("a late handler made it a peer again")
	}
}
