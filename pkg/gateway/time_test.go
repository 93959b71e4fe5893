package gateway_test

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// readAll keeps a client reading until its connection ends.
func readAll(p *peer) {
	for {
		var err error
		if p.keys == nil {
			_, err = p.next()
		} else {
			err = p.read()
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

func TestMissedBatchIsAskedForOnceAndAgainAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, link.PipeConfig{}, nil)
		p := s.play(1)
		go readAll(p)
		tick := func(n int, deliver bool) int {
			for range n {
				s.batch(deliver)
				synctest.Wait()
			}
			return s.asked(link.RequestSnapshot)
		}
		if n := tick(5, true); n != 0 {
			t.Errorf("asked %d times for a stream without a gap", n)
		}
		tick(1, false)
		if n := tick(1, true); n != 1 {
			t.Errorf("asked %d times at the gap, want once", n)
		}
		if n := tick(20, true); n != 0 {
			t.Errorf("asked %d times more within 20 ticks", n)
		}
		if n := tick(1, true); n != 1 {
			t.Errorf("asked %d times after 20 ticks, want once more", n)
		}
		frames := s.gw.Stats().StateFrames
		s.src.RequestSnapshot(3)
		if n := tick(10, true); n != 0 || s.gw.Stats().StateFrames == frames {
			t.Errorf("after the snapshot: asked %d times, %d state frames", n, s.gw.Stats().StateFrames-frames)
		}
		tick(1, false)
		if n := tick(1, true); n != 1 {
			t.Errorf("asked %d times at the next gap, want once", n)
		}
		s.src.RequestSnapshot(3)
		tick(1, true)
		s.down(link.Down{Kind: link.Batch, Zone: 5, Payload: []byte{9, 9, 9}})
		synctest.Wait()
		if n := s.asked(link.RequestSnapshot); n != 1 {
			t.Errorf("asked %d times after damaged bytes, want once", n)
		}
	})
}

func TestSilentConnectionsEnd(t *testing.T) {
	for _, c := range []struct {
		name   string
		begin  func(s *stage) *peer
		pings  time.Duration // between pings, 0: none
		alive  time.Duration // still there
		gone   time.Duration // not any more
		reason string
	}{
		{"before the handshake", func(s *stage) *peer { return s.connect(false) }, 0, 4900 * time.Millisecond, 5100 * time.Millisecond, "handshake_timeout"},
		{"before the login", func(s *stage) *peer { return s.connect(true) }, 0, 9900 * time.Millisecond, 10100 * time.Millisecond, "handshake_timeout"},
		{"pings instead of a login", func(s *stage) *peer { return s.connect(true) }, time.Second, 9900 * time.Millisecond, 10100 * time.Millisecond, "handshake_timeout"},
		{"after the login", func(s *stage) *peer { return s.play(1) }, 0, 30 * time.Second, 31100 * time.Millisecond, "idle_timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := inMemory(t, link.PipeConfig{}, nil)
				p := c.begin(s)
				go readAll(p)
				start := time.Now()
				for c.pings != 0 && time.Since(start)+c.pings < c.alive {
					elapse(c.pings)
					p.send(protocol.AppendPing(nil, 1))
				}
				elapse(time.Until(start.Add(c.alive)))
				synctest.Wait()
				if st := s.gw.Stats(); st.Connections != 1 {
					t.Errorf("gone after %v: %v", c.alive, st.Disconnects)
				}
				elapse(time.Until(start.Add(c.gone)))
				synctest.Wait()
				if st := s.gw.Stats(); st.Connections != 0 || st.Disconnects[c.reason] != 1 {
					t.Errorf("after %v: %d connections, ended %v; want %s", c.gone, st.Connections, st.Disconnects, c.reason)
				}
			})
		})
	}
}

func TestPingsKeepASessionAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, link.PipeConfig{}, nil)
		p := s.play(1)
		go readAll(p)
		for range 30 {
			elapse(25 * time.Second)
			p.send(protocol.AppendPing(nil, 1))
		}
		synctest.Wait()
		if st := s.gw.Stats(); st.Sessions != 1 {
			t.Fatalf("after 12 minutes: %+v", st)
		}
		elapse(32 * time.Second)
		synctest.Wait()
		if st := s.gw.Stats(); st.Disconnects["idle_timeout"] != 1 {
			t.Errorf("after the last ping: %+v", st)
		}
	})
}

func TestSlowConsumerIsCutOffAndNobodyElse(t *testing.T) {
	for _, c := range []struct {
		name  string
		queue int
		do    func(s *stage, session uint64)
	}{
		{"its queue overflows", 8 << 10, func(s *stage, session uint64) {
			for range 100 { // one record, of 64 KiB at the most, is on its way and does not wait here
				s.down(link.Down{Kind: link.ToClient, Conn: session, Type: protocol.TypePush, Route: routeGot, Payload: make([]byte, 1000)})
			}
			<-time.After(2 * time.Second) // of the bubble: on this socket the close waits a moment for what is on its way
		}},
		{"it takes nothing for the write timeout", 0, func(s *stage, session uint64) {
			s.down(link.Down{Kind: link.ToClient, Conn: session, Type: protocol.TypePush, Route: routeGot})
			<-time.After(4900 * time.Millisecond) // of the bubble
			synctest.Wait()
			if st := s.gw.Stats(); st.Connections != 2 {
				s.t.Errorf("gone before the timeout: %v", st.Disconnects)
			}
			<-time.After(200 * time.Millisecond)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := inMemory(t, link.PipeConfig{}, func(cfg *gateway.Config) { cfg.QueueBytes = c.queue })
				reads, stuck := s.play(1), s.play(2)
				stuck.push(protocol.RouteZone)
				go readAll(reads)
				synctest.Wait()
				c.do(s, stuck.session)
				synctest.Wait()
				if st := s.gw.Stats(); st.Disconnects["slow_consumer"] != 1 || st.Sessions != 1 {
					t.Errorf("%d sessions, ended %v; want the slow consumer alone", st.Sessions, st.Disconnects)
				}
				if u := s.up(link.CloseSession); u.Conn != stuck.session {
					t.Errorf("session %d is closed, want %d", u.Conn, stuck.session)
				}
			})
		})
	}
}

func TestFloodIsAnsweredOncePerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, link.PipeConfig{}, func(cfg *gateway.Config) { cfg.FrameRate, cfg.FrameBurst = 10, 20 })
		p := s.play(1) // its login is one frame of the burst
		var flood []byte
		for range 100 {
			flood = protocol.AppendPush(flood, routeSay, nil)
		}
		p.send(flood)
		e, _ := p.failure()
		if protocol.ErrorCode(e.Code) != protocol.ErrorRateLimited || e.RetryAfterMs != 100 {
			t.Errorf("%v, want rate_limited for 100 ms", e)
		}
		synctest.Wait()
		if n := s.asked(link.FromClient); n != 19 {
			t.Errorf("%d messages of the burst reached the server, want 19", n)
		}
		elapse(900 * time.Millisecond)
		p.send(flood) // 9 tokens are back; the client was told less than a second ago
		elapse(200 * time.Millisecond)
		p.send(flood)
		p.failure()
		synctest.Wait()
		if n := s.asked(link.FromClient); n != 11 {
			t.Errorf("%d messages reached the server in 1.1 s, want 11", n)
		}
		if len(p.ready) != 0 {
			t.Errorf("%d frames more than the two errors", len(p.ready))
		}
	})
}
