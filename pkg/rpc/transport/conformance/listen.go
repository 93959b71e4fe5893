package conformance

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// Network makes listeners and connections to them. Each Listen takes another place.
type Network struct {
	Listen func(t *testing.T, cfg transport.Config) transport.Listener
	Dial   func(ctx context.Context, addr string, cfg transport.Config) (transport.Conn, error)
}

// pair connects, and fails the test if that does not work.
func (n *Network) pair(t *testing.T, ln transport.Listener) (a, b transport.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	accepted := make(chan error, 1)
	go func() {
		var err error
		b, err = ln.Accept(ctx)
		accepted <- err
	}()
	a, err := n.Dial(ctx, ln.Addr(), transport.Config{})
	if err != nil {
		cancel()
		<-accepted
		t.Fatal(err)
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	return a, b
}

// RunListener tests a listener by well-meaning peers.
func RunListener(t *testing.T, n Network) {
	t.Run("ConnectionsOutliveTheirListener", func(t *testing.T) {
		NoLeak(t)
		ln := n.Listen(t, transport.Config{})
		a, b := n.pair(t, ln)
		if err := errors.Join(ln.Close(), ln.Close()); err != nil {
			t.Fatal(err)
		}
		alive(t, a, b)
		closeAll(a, b)
	})
	t.Run("ManyDialAtOnce", func(t *testing.T) {
		NoLeak(t)
		ln := n.Listen(t, transport.Config{})
		defer ln.Close()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		const many = 32
		c := newCrew(t)
		for i := range many {
			c.do("dial", func() error {
				a, err := n.Dial(ctx, ln.Addr(), transport.Config{})
				if err != nil {
					return err
				}
				defer a.Close()
				if err := send(a.Lanes()[0], 100, i, 0, rand.New(rand.NewPCG(uint64(i), 0))); err != nil {
					return err
				}
				if _, err := a.Lanes()[0].Receive(); !errors.Is(err, transport.ErrClosed) {
					return fmt.Errorf("at the end: %w", err)
				}
				return nil
			})
		}
		c.do("accept", func() error {
			seen := make(map[int]bool)
			for range many {
				b, err := ln.Accept(ctx)
				if err != nil {
					return err
				}
				r := newReader(b.Lanes()[0])
				if err := r.until(1); err != nil {
					return err
				}
				for w := range r.next {
					seen[w] = true
				}
				if err := b.Close(); err != nil {
					return err
				}
			}
			if len(seen) != many {
				return fmt.Errorf("%d different peers of %d", len(seen), many)
			}
			return nil
		})
		c.wait()
	})
	t.Run("CloseEndsAccept", func(t *testing.T) {
		NoLeak(t)
		ln := n.Listen(t, transport.Config{})
		c := newCrew(t)
		for range 3 {
			c.do("accept", func() error {
				if _, err := ln.Accept(t.Context()); !errors.Is(err, net.ErrClosed) {
					return fmt.Errorf("accept: %w", err)
				}
				return nil
			})
		}
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { _ = ln.Close() })
		}
		within(t, "Close", all.Wait)
		c.wait()
		if _, err := ln.Accept(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close: %v", err)
		}
		if a, err := n.Dial(t.Context(), ln.Addr(), transport.Config{}); err == nil {
			_ = a.Close()
			t.Error("connected to a closed listener")
		}
	})
	t.Run("CloseEndsConnectionsThatNobodyAccepted", func(t *testing.T) {
		NoLeak(t)
		ln := n.Listen(t, transport.Config{})
		a, err := n.Dial(t.Context(), ln.Addr(), transport.Config{})
		if err != nil {
			t.Fatal(err)
		}
		within(t, "Close", func() { _ = ln.Close() })
		within(t, "the end of the connection", func() {
			if b, err := a.Lanes()[0].Receive(); err == nil {
				t.Errorf("%d bytes received", len(b))
			}
		})
		_ = a.Close()
	})
	t.Run("AcceptObeysItsContext", func(t *testing.T) {
		NoLeak(t)
		ln := n.Listen(t, transport.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := ln.Accept(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Accept: %v", err)
		}
		a, b := n.pair(t, ln) // and the listener goes on
		closeAll(a, b)
		_ = ln.Close()
	})
	t.Run("ANegativeBoundIsRefused", func(t *testing.T) {
		if _, err := n.Dial(t.Context(), "nowhere", transport.Config{MaxBacklog: -1}); err == nil {
			t.Error("Dial took it")
		}
	})
}

// alive checks that frames go both ways.
func alive(t *testing.T, a, b transport.Conn) {
	t.Helper()
	rnd := random(t)
	for _, dir := range [][2]transport.Conn{{a, b}, {b, a}} {
		if err := send(dir[0].Lanes()[0], 100, 0, 0, rnd); err != nil {
			t.Fatal(err)
		}
		within(t, "receive", func() {
			if err := newReader(dir[1].Lanes()[0]).until(1); err != nil {
				t.Error(err)
			}
		})
	}
}

// Hostile is a network whose listeners can be reached by bare sockets.
type Hostile struct {
	Network
	// Bare connects a socket to addr, and does nothing that the peers of the transport are wont to do.
	Bare func(t *testing.T, addr string) net.Conn
	// Greet makes a peer of a bare socket, so that Accept returns its connection.
	Greet func(nc net.Conn) error
	// Wrong are first words of peers that must be turned away, by what they are.
	Wrong map[string][]byte
	// Frames tells that frames travel over the bare socket, so that it can lie about their length.
	Frames bool
}

// RunHostile tests a listener by peers that mean no good, or know no better.
func RunHostile(t *testing.T, h Hostile) {
	for what, words := range h.Wrong {
		t.Run("TurnedAway/"+what, func(t *testing.T) { h.turnedAway(t, words) })
	}
	t.Run("SilentPeersDelayNobody", func(t *testing.T) {
		NoLeak(t)
		ln := h.Listen(t, transport.Config{})
		for range 16 {
			defer h.Bare(t, ln.Addr()).Close()
		}
		a, b := h.pair(t, ln)
		alive(t, a, b)
		closeAll(a, b)
		within(t, "Close with silent peers", func() { _ = ln.Close() })
	})
	if !h.Frames {
		return
	}
	for what, length := range map[string]uint32{"TooLarge": 1 << 20, "Huge": 1<<32 - 1, "Negative": 1 << 31, "One": 1, "JustTooSmall": transport.MinFrame - 1} {
		t.Run("FrameLength/"+what, func(t *testing.T) { h.badLength(t, length) })
	}
}

// turnedAway expects that the listener ends the conversation, says so to Refused, and serves the next peer.
func (h *Hostile) turnedAway(t *testing.T, words []byte) {
	NoLeak(t)
	refused := make(chan error, 1)
	ln := h.Listen(t, transport.Config{Refused: func(addr string, err error) {
		if addr == "" || err == nil {
			err = fmt.Errorf("told of a refusal with %q, %v", addr, err)
		}
		select {
		case refused <- err:
		default:
		}
	}})
	defer ln.Close()
	nc := h.Bare(t, ln.Addr())
	defer nc.Close()
	if _, err := nc.Write(words); err != nil {
		t.Fatal(err)
	}
	within(t, "being turned away", func() {
		answer, _ := io.ReadAll(nc) // the end, by whatever error
		t.Logf("answer: %q", answer)
		t.Logf("reported: %v", <-refused)
	})
	a, b := h.pair(t, ln)
	alive(t, a, b)
	closeAll(a, b)
}

// badLength sends a good frame, and behind it the beginning of one that may not be.
func (h *Hostile) badLength(t *testing.T, length uint32) {
	NoLeak(t)
	ln := h.Listen(t, transport.Config{})
	defer ln.Close()
	nc := h.Bare(t, ln.Addr())
	defer nc.Close()
	c := newCrew(t)
	c.do("greet", func() error {
		if err := h.Greet(nc); err != nil {
			return err
		}
		good := make([]byte, 40, 60)
		fill(good, 0, 0, rand.New(rand.NewPCG(1, 2)))
		_, err := nc.Write(append(binary.LittleEndian.AppendUint32(good, length), make([]byte, 16)...))
		return err
	})
	b, err := ln.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.wait(b)
	within(t, "the end of the connection", func() {
		r := newReader(b.Lanes()[0])
		err := r.end()
		if r.n != 1 {
			t.Errorf("%d good frames arrived", r.n)
		}
		t.Logf("Receive: %v", err)
	})
	await(t, "Done", b.Done())
	if err := over(b, nil); err != nil {
		t.Error(err)
	}
	_ = nc.Close() // or Close would wait a moment for it to listen
	_ = b.Close()
}
