package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

func TestAcknowledgements(t *testing.T) {
	for _, c := range []struct {
		name   string
		server security.ServerConfig
		script func(g *gate)
	}{
		{"after so many", security.ServerConfig{AckEvery: 3, AckAfter: time.Minute}, func(g *gate) {
			for seq := range uint32(7) {
				g.give(seq+1, "a")
			}
			if f := g.want(protocol.TypeAck, 0); f.Seq != 3 {
				t.Errorf("acknowledged %d", f.Seq)
			}
			if f := g.want(protocol.TypeAck, 0); f.Seq != 6 {
				t.Errorf("acknowledged %d", f.Seq)
			}
		}},
		{"after a time", security.ServerConfig{AckEvery: 100, AckAfter: time.Millisecond}, func(g *gate) {
			g.give(1, "a")
			if f := g.want(protocol.TypeAck, 0); f.Seq != 1 {
				t.Errorf("acknowledged %d", f.Seq)
			}
			g.give(2, "a")
			if f := g.want(protocol.TypeAck, 0); f.Seq != 2 {
				t.Errorf("acknowledged %d", f.Seq)
			}
		}},
		{"along with what is sent", security.ServerConfig{AckEvery: 100, AckAfter: time.Minute}, func(g *gate) {
			g.numbered(1, protocol.TypePush, routeSay, 0, wrapperspb.UInt32(1))
			g.want(protocol.TypePush, routeSay)
			if f := g.want(protocol.TypeAck, 0); f.Seq != 1 {
				t.Errorf("acknowledged %d", f.Seq)
			}
			g.give(1, "a") // a repetition is not acknowledged again
			g.message(protocol.TypePush, routeSay, 0, wrapperspb.UInt32(1))
			g.want(protocol.TypePush, routeSay)
			g.message(protocol.TypePush, routeSay, 0, wrapperspb.UInt32(1))
			g.want(protocol.TypePush, routeSay)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := connections(t, func(g *gate) protocol.DisconnectCode { g.logIn(); c.script(g); return protocol.DisconnectKicked })
			h.server.AckEvery, h.server.AckAfter = c.server.AckEvery, c.server.AckAfter
			cl := h.dial()
			_ = cl.Serve(client.Handler{Push: func(route uint16, b []byte) { _ = cl.Push(routeSay, wrapperspb.UInt32(1)) }})
		})
	}
}

func TestGoawayIsFollowedToTheNextGateway(t *testing.T) {
	elsewhere := connections(t, func(g *gate) protocol.DisconnectCode {
		if last := g.resume(); last != 2 {
			t.Errorf("resume after %d", last)
		}
		g.resumed(1)
		return protocol.DisconnectKicked
	})
	h := connections(t, func(g *gate) protocol.DisconnectCode {
		g.logIn()
		g.give(1, "a")
		g.together(func() {
			g.message(protocol.TypeControl, protocol.RouteGoaway, 0, &mmov1.Goaway{Reason: "drain", ReconnectAfterMs: 1})
			g.give(2, "a") // the client goes on until then
		})
		for f, ok := g.next(); ok; f, ok = g.next() {
			if f.Type == protocol.TypeControl && f.Route == protocol.RouteBye {
				t.Error("goodbye ends the session")
			}
		}
		return cut
	})
	elsewhere.server.Current = h.server.Current
	h.cfg.URLs = []string{elsewhere.cfg.URL}
	c := h.dial()
	var n notes
	var k *client.KickError
	if err := c.Serve(n.handler()); !errors.As(err, &k) {
		t.Errorf("serve: %v", err)
	}
	n.want(t, "goaway drain 1ms", "lost", "resumed true")
	if c.Gateway != elsewhere.cfg.URL {
		t.Errorf("at %s, want %s", c.Gateway, elsewhere.cfg.URL)
	}
}

func TestGatewaysAreTriedInTurn(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close() // nobody listens there any more
	h := connections(t, func(g *gate) protocol.DisconnectCode { g.logIn(); g.give(1, "a"); return cut },
		func(g *gate) protocol.DisconnectCode { g.resume(); return g.rest() }, // silent until the attempt's time is over
		func(g *gate) protocol.DisconnectCode { g.resume(); g.resumed(1); return protocol.DisconnectKicked })
	h.cfg.URL, h.cfg.URLs = "ws://"+ln.Addr().String(), []string{h.cfg.URL, "tcp://" + ln.Addr().String()}
	h.cfg.Reconnect.Attempt = 2 * time.Second // enough for the others on a busy machine
	var steps []string
	h.cfg.Trace = func(s client.Step) { steps = append(steps, fmt.Sprintf("%s %v", s.Name, s.Err == nil)) }
	var n notes
	var k *client.KickError
	if err := h.dial().Serve(n.handler()); !errors.As(err, &k) {
		t.Errorf("serve: %v", err)
	}
	n.want(t, "lost", "resumed true")
	want := "connect false connect true handshake true login true | connect true handshake true resume false connect false connect false connect true handshake true resume true"
	if got := strings.Join(steps, " "); got != strings.ReplaceAll(want, "| ", "") {
		t.Errorf("steps %s\nwant  %s", got, want)
	}
}

func TestServerWithANewKeyIsTrustedIfTheRootVouchesForIt(t *testing.T) {
	h := connections(t, func(g *gate) protocol.DisconnectCode { g.shake(); return g.closed() },
		func(g *gate) protocol.DisconnectCode { g.logIn(); return g.rest() })
	root, err := security.NewRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	issue := func(id uint32) security.ServerKey {
		key, err := root.Issue(nil, id, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	h.cfg.Security.Root, h.cfg.Security.Cert = root.Public(), issue(1).Cert()
	h.server.Current = issue(2)
	c := h.dial()
	if c.Cert.KeyID != 2 {
		t.Errorf("key %d", c.Cert.KeyID)
	}
	_ = c.Close()
}

func TestSilentConnectionIsReplaced(t *testing.T) {
	for _, idle := range []time.Duration{10*time.Minute + 5*time.Second, 10*time.Minute + 15*time.Second} { // whichever of its wakes is the next
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			var first *cutter
			w.cfg.Network.NetDial = func(context.Context, string, string) (net.Conn, error) {
				c := &cutter{Conn: w.dial(), read: -1, write: -1}
				if first == nil {
					first = c
				}
				return c, nil
			}
			c, err := client.Dial(t.Context(), w.cfg)
			if err != nil {
				t.Fatal(err)
			}
			var why error
			ended := serve(c, client.Handler{Lost: func(cause error) { why = cause }, Resumed: func(bool) { _ = c.Close() }})
			time.Sleep(idle) // pings keep it alive
			if c.Suite != security.SuiteNK || why != nil {
				t.Errorf("an idle connection was lost: %v", why)
			}
			first.lost.Store(true)
			start := time.Now()
			if err := <-ended; !errors.Is(err, client.ErrClosed) || !errors.Is(why, client.ErrSilent) {
				t.Errorf("serve: %v, lost for %v", err, why)
			}
			if took := time.Since(start); took < 30*time.Second || took > 40*time.Second {
				t.Errorf("it took %v to find out", took)
			}
		})
	}
}

func TestCloseEndsEveryWait(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(w *world, reached func())
	}{
		{"before the next attempt", func(w *world, reached func()) {
			w.cfg.Reconnect = client.Reconnect{First: time.Hour, GiveUp: 24 * time.Hour}
			w.cfg.Login = func(context.Context) (string, error) { return "t", nil }
			go reached()
		}},
		{"in a dial", func(w *world, reached func()) {
			first := true
			w.cfg.Network.NetDial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				if first {
					first = false
					return w.dial(), nil
				}
				reached()
				<-ctx.Done()
				return nil, ctx.Err()
			}
		}},
		{"in a handshake", func(w *world, reached func()) {
			first := true
			w.cfg.Network.NetDial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				if first {
					first = false
					return w.dial(), nil
				}
				here, there := net.Pipe()
				context.AfterFunc(w.t.Context(), func() { _ = there.Close() })
				reached()
				return here, nil
			}
		}},
		{"in a login", func(w *world, reached func()) {
			w.hostless = true
			w.cfg.Login = func(ctx context.Context) (string, error) {
				reached()
				<-ctx.Done()
				return "", ctx.Err()
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				reached := make(chan bool, 1)
				c.set(w, func() { reached <- true })
				cl, err := client.Dial(t.Context(), w.cfg)
				if err != nil {
					t.Fatal(err)
				}
				ended := serve(cl, client.Handler{})
				synctest.Wait() // the ticket is in
				l := w.latest()
				_ = l.conn.conn.Close(0, "")
				<-reached
				synctest.Wait()
				start := time.Now()
				_ = cl.Close()
				if err := <-ended; !errors.Is(err, client.ErrClosed) || time.Since(start) > 2*time.Second { // a socket that takes nothing is given a second
					t.Errorf("serve: %v after %v", err, time.Since(start))
				}
			})
		})
	}
}

func TestServeContextEndsWithItsContext(t *testing.T) {
	h := connections(t, func(g *gate) protocol.DisconnectCode { g.logIn(); return g.rest() })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.dial().ServeContext(ctx, client.Handler{}); !errors.Is(err, client.ErrClosed) {
		t.Errorf("serve: %v", err)
	}
}

func TestRequestsMadeDuringANewLoginBelongToTheNewSession(t *testing.T) {
	for _, hostless := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			asked, logins := make(chan error, 1), 0
			var c *client.Client
			w.cfg.Reconnect.Attempt = time.Second
			w.cfg.Login = func(context.Context) (string, error) {
				logins++
				go func() {
					var m wrapperspb.UInt32Value
					err := c.Request(t.Context(), routeAsk, wrapperspb.UInt32(4), &m)
					if err == nil && m.Value != 8 {
						err = fmt.Errorf("answered %d", m.Value)
					}
					asked <- err
				}()
				time.Sleep(time.Minute) // somebody types a password, longer than any attempt may last
				return "another", nil
			}
			var err error
			if c, err = client.Dial(t.Context(), w.cfg); err != nil {
				t.Fatal(err)
			}
			ended := serve(c, client.Handler{})
			synctest.Wait()
			first := w.latest()
			if w.hostless = hostless; !hostless {
				clear(w.secrets)
			}
			_ = first.conn.conn.Close(0, "")
			if err := <-asked; err != nil {
				t.Errorf("the home server is gone %v: %v", hostless, err)
			}
			if l := w.latest(); l == first || l.executed[4] != 1 || logins != 1 {
				t.Errorf("executed %v after %d logins", l.executed, logins)
			}
			_ = c.Close()
			<-ended
		})
	}
}
