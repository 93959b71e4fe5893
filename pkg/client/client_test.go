package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

func TestDialLogsInAndCloseSaysGoodbyeOnce(t *testing.T) {
	last := make(chan []protocol.Frame, 1)
	h := newHost(t, func(g *gate) protocol.DisconnectCode {
		g.logIn()
		var all []protocol.Frame
		for f, ok := g.next(); ok; f, ok = g.next() {
			all = append(all, f)
		}
		last <- all
		return 0
	})
	c := h.dial()
	if c.Login.SessionId != 9 || c.Login.Name != "Ann" || c.Info.Version != protocol.Version {
		t.Errorf("logged in as %v at %+v", c.Login, c.Info)
	}
	ended := serve(c, client.Handler{Lost: func(cause error) { t.Errorf("told of a loss after Close: %v", cause) }})
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := await(t, "the end", ended); !errors.Is(err, client.ErrClosed) {
		t.Errorf("serve: %v, want ErrClosed", err)
	}
	if all := await(t, "the host's end", last); len(all) != 1 || all[0].Type != protocol.TypeControl || all[0].Route != protocol.RouteBye {
		t.Errorf("the host got %+v, want one goodbye", all)
	}
	if err := c.Push(routeSay, wrapperspb.UInt32(1)); !errors.Is(err, client.ErrClosed) {
		t.Errorf("push after the end: %v", err)
	}
	if err := c.Request(context.Background(), routeAsk, wrapperspb.UInt32(1), &wrapperspb.UInt32Value{}); !errors.Is(err, client.ErrClosed) {
		t.Errorf("request after the end: %v", err)
	}
}

func TestDialErrorsSayWhatWasTried(t *testing.T) {
	fine := newHost(t, func(g *gate) protocol.DisconnectCode { g.shake(); return g.rest() })
	other, err := security.NewRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close() // nobody listens there any more
	full := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "full", http.StatusServiceUnavailable) }))
	defer full.Close()
	unauthorized := newHost(t, func(g *gate) protocol.DisconnectCode {
		if g.shake() {
			f := g.want(protocol.TypeRequest, protocol.RouteLogin)
			g.message(protocol.TypeError, protocol.RouteLogin, f.ID, &mmov1.Error{Code: uint32(protocol.ErrorUnauthorized), Message: "who are you", RetryAfterMs: 1500})
		}
		return protocol.DisconnectBadToken
	})
	mismatch := newHost(t, func(g *gate) protocol.DisconnectCode { g.shake(); return protocol.DisconnectSchemaMismatch })
	noise := newHost(t, func(g *gate) protocol.DisconnectCode {
		if _, err := g.conn.Next(); err == nil {
			g.raw([]byte("this is no handshake"))
		}
		return g.closed()
	})

	for _, c := range []struct {
		name   string
		h      *host
		change func(*client.Config)
		is     func(error) bool
		say    string
	}{
		{"nobody listens", fine, func(c *client.Config) { c.URL = "ws://" + ln.Addr().String() + "/ws" }, is(syscall.ECONNREFUSED), "connect: "},
		{"no URL", fine, func(c *client.Config) { c.URL = "not a url" }, nil, "connect: "},
		{"the gateway is full", fine, func(c *client.Config) { c.URL = "ws" + strings.TrimPrefix(full.URL, "http") }, func(err error) bool {
			var r *network.RefusedError
			return errors.As(err, &r) && r.Status == 503
		}, "connect: "},
		{"another root", fine, func(c *client.Config) { c.Security.Root = other.Public() }, nil, "log in at ws://127.0.0.1"},
		{"another realm", fine, func(c *client.Config) { c.Security.Realm = "elsewhere" }, func(err error) bool {
			var r *security.Reject
			return errors.As(err, &r)
		}, "log in at "},
		{"login refused", unauthorized, nil, func(err error) bool {
			var e *client.Error
			return errors.As(err, &e) && e.Code == protocol.ErrorUnauthorized && e.Message == "who are you" && e.RetryAfter.Milliseconds() == 1500
		}, "server says unauthorized: who are you"},
		{"another schema", mismatch, nil, func(err error) bool {
			var e *network.CloseError
			return errors.As(err, &e) && protocol.DisconnectCode(e.Code) == protocol.DisconnectSchemaMismatch
		}, "log in at "},
		{"noise", noise, nil, nil, "log in at "},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := c.h.cfg
			if c.change != nil {
				c.change(&cfg)
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			got, err := client.Dial(ctx, cfg)
			if got != nil || err == nil || !strings.Contains(err.Error(), c.say) || c.is != nil && !c.is(err) {
				t.Errorf("%v, %v; want %q", got, err, c.say)
			}
		})
	}
}

func is(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }

func TestDialEndsWithItsContext(t *testing.T) {
	for name, quiet := range map[string]func(g *gate){
		"no answer to the handshake": func(g *gate) { _, _ = g.conn.Next() },
		"no answer to the login":     func(g *gate) { g.shake(); g.want(protocol.TypeRequest, protocol.RouteLogin) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			h := newHost(t, func(g *gate) protocol.DisconnectCode {
				quiet(g)
				cancel() // instead of a deadline: nothing to wait for
				return g.closed()
			})
			if _, err := client.Dial(ctx, h.cfg); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "log in at") {
				t.Errorf("%v, want the context's end", err)
			}
		})
	}
}

func TestRequests(t *testing.T) {
	ctx, giveUp := context.WithCancel(context.Background())
	h := newHost(t, func(g *gate) protocol.DisconnectCode {
		g.logIn()
		a := g.want(protocol.TypeRequest, routeAsk)
		g.message(protocol.TypeResponse, routeAsk, a.ID, wrapperspb.UInt32(42))
		b := g.want(protocol.TypeRequest, routeAsk)
		g.message(protocol.TypeError, routeAsk, b.ID, &mmov1.Error{Code: 1001, Message: "no"})
		c := g.want(protocol.TypeRequest, routeAsk)
		giveUp()
		d := g.want(protocol.TypeRequest, routeAsk)
		g.message(protocol.TypeResponse, routeAsk, c.ID, wrapperspb.UInt32(1)) // too late: nobody waits
		g.message(protocol.TypeResponse, routeAsk, d.ID, wrapperspb.UInt32(43))
		g.want(protocol.TypeRequest, routeAsk)
		g.message(protocol.TypeControl, protocol.RouteKick, 0, &mmov1.Kick{Code: uint32(protocol.DisconnectKicked), Reason: "enough"})
		return protocol.DisconnectKicked
	})
	c := h.dial()
	ended := serve(c, client.Handler{})
	ask := func(ctx context.Context) (uint32, error) {
		var m wrapperspb.UInt32Value
		err := c.Request(ctx, routeAsk, wrapperspb.UInt32(5), &m)
		return m.Value, err
	}
	bg := context.Background()
	if v, err := ask(bg); v != 42 || err != nil {
		t.Errorf("answered: %d, %v", v, err)
	}
	var e *client.Error
	if _, err := ask(bg); !errors.As(err, &e) || e.Code != 1001 || !strings.Contains(err.Error(), "request on route 65") {
		t.Errorf("refused: %v", err)
	}
	if _, err := ask(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "request on route 65") {
		t.Errorf("given up: %v", err)
	}
	if v, err := ask(bg); v != 43 || err != nil {
		t.Errorf("after one that was given up: %d, %v", v, err)
	}
	var k *client.KickError
	if _, err := ask(bg); !errors.As(err, &k) || k.Code != protocol.DisconnectKicked {
		t.Errorf("when the session ends: %v, want the kick", err)
	}
	if err := await(t, "the end", ended); !errors.As(err, &k) || k.Reason != "enough" {
		t.Errorf("serve: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("close after a kick: %v", err)
	}
	if err := c.Request(bg, routeAsk, wrapperspb.String("\xff"), &wrapperspb.StringValue{}); err == nil || !strings.Contains(err.Error(), "request on route 65") {
		t.Errorf("a message that cannot be marshalled: %v", err)
	}
	if err := c.Push(routeSay, wrapperspb.String("\xff")); err == nil || !strings.Contains(err.Error(), "push on route 64") {
		t.Errorf("a message that cannot be marshalled: %v", err)
	}
}

func TestHandlerIsToldInOrder(t *testing.T) {
	h := newHost(t, func(g *gate) protocol.DisconnectCode {
		g.logIn()
		g.message(protocol.TypePush, protocol.RouteStatus, 0, &mmov1.Status{Players: 3})
		g.message(protocol.TypePush, routeSay, 0, wrapperspb.UInt32(1))
		g.message(protocol.TypeError, routeSay, 0, &mmov1.Error{Code: uint32(protocol.ErrorRateLimited), RetryAfterMs: 250})
		g.message(protocol.TypeError, routeAsk, 99, &mmov1.Error{Code: 1002}) // of a request that nobody made
		f := g.want(protocol.TypeControl, protocol.RoutePing)
		at, err := protocol.ParsePing(f.Payload)
		if err != nil {
			t.Error(err)
		}
		g.send(protocol.AppendPong(nil, at, 5))
		g.send([]byte{0xFF}) // no frame at all
		return g.rest()
	})
	c := h.dial()
	c.Ping()
	if err := c.Flush(); err != nil {
		t.Error(err)
	}
	var told []string
	err := c.Serve(client.Handler{
		Push: func(route uint16, payload []byte) {
			if c.Status.GetPlayers() != 3 {
				t.Errorf("status %v", c.Status)
			}
			told = append(told, "push")
		},
		Error: func(route uint16, id uint32, err *client.Error) { told = append(told, err.Code.String()) },
	})
	if got := strings.Join(told, " "); got != "push rate_limited "+protocol.ErrorCode(1002).String() {
		t.Errorf("told %q", got)
	}
	var bad *protocol.FrameError
	if !errors.As(err, &bad) {
		t.Errorf("serve: %v, want what is wrong with the frame", err)
	}
	if c.RTT <= 0 || c.RTT > patience {
		t.Errorf("round trip %v", c.RTT)
	}
}

func TestConnectionThatBreaksEndsServe(t *testing.T) {
	for name, script := range map[string]func(g *gate){
		"without a word": func(g *gate) {},
		"forged record":  func(g *gate) { g.raw([]byte{security.RecordData, 1, 2, 3}); g.rest() },
		"state of a zone that was never opened": func(g *gate) {
			g.send(protocol.AppendState(nil, []byte{0, 0, 0}))
			g.rest()
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, func(g *gate) protocol.DisconnectCode { g.logIn(); script(g); return 0 })
			var k *client.KickError
			if err := await(t, "the end", serve(h.dial(), client.Handler{})); err == nil || errors.Is(err, client.ErrClosed) || errors.As(err, &k) {
				t.Errorf("serve: %v, want what broke", err)
			}
		})
	}
}

// TestStateIsMirroredAndEchoed has the host replicate one entity, the client's own.
func TestStateIsMirroredAndEchoed(t *testing.T) {
	params, codec := delta.Params{PositionBits: 10}, deltatest.Codec()
	kind := codec.Kind(2)
	h := newHost(t, func(g *gate) protocol.DisconnectCode {
		g.logIn()
		src, rep := batch.NewSource(1, 1, codec, params), replica.NewZone(1, 1, codec, params)
		view := replica.NewClient(replica.Config{})
		index, tick, _ := view.Open(rep, 9)
		g.send(protocol.AppendFrame(nil, protocol.Frame{Type: protocol.TypePush, Route: protocol.RouteLayout, Payload: codec.Layout.Table()}))
		g.message(protocol.TypePush, protocol.RouteZone, 0, &mmov1.Zone{Index: uint32(index), Zone: 1, Epoch: 1, Tick: tick, TickHz: 20, PositionBits: 10})
		g.message(protocol.TypePush, protocol.RouteAvatar, 0, &mmov1.Avatar{Entity: 501, Zone: 1})
		src.AttachGateway(1)
		src.AddObserver(9, 1)
		src.Spawn(0, 501, 2, deltatest.State{X: 100}.Record(kind), 1)
		src.Enter(9, 0)
		var w delta.Writer
		for now := uint32(1); now <= 6; now++ {
			src.Publish(0, deltatest.State{X: 100 + int32(now*now)}.Record(kind), deltatest.All, now)
			if err := rep.Apply(src.Finish(now, nil)[0].Bytes); err != nil {
				t.Error(err)
			}
			if _, ok := view.Frame(&w, now); !ok {
				t.Error("no frame")
			}
			g.send(protocol.AppendState(nil, w.Bytes()))
			if now%2 == 0 {
				f := g.want(protocol.TypeControl, protocol.RouteEcho)
				if n, err := protocol.ParseEcho(f.Payload); uint32(n) != now || err != nil {
					t.Errorf("echo of %d frames, %v; want %d", n, err, now)
				}
			}
		}
		return g.rest()
	})
	c := h.dial()
	if _, ok := c.Own(); ok {
		t.Error("an avatar before the server named it")
	}
	frames := 0
	err := c.Serve(client.Handler{State: func() {
		frames++
		own, ok := c.Own()
		if tick := c.Mirror.Rows[0].Tick; !ok || tick != uint32(frames) || deltatest.StateOf(own.Codec, &own.Base, tick).X != 100+int32(tick*tick) {
			t.Errorf("frame %d at tick %d: own entity %+v, %v", frames, tick, own, ok)
		}
		if frames == 6 {
			_ = c.Flush() // the last echo
			_ = c.Close()
		}
	}})
	if !errors.Is(err, client.ErrClosed) || len(c.Zones) != 1 || c.Zones[0].PositionBits != 10 {
		t.Errorf("serve: %v, zones %v", err, c.Zones)
	}
}

// TestViewBeginsAnewWithEachConnection sends the same zone and entity over two connections.
func TestViewBeginsAnewWithEachConnection(t *testing.T) {
	params, codec := delta.Params{PositionBits: 10}, deltatest.Codec()
	world := func(g *gate) {
		src, rep := batch.NewSource(1, 1, codec, params), replica.NewZone(1, 1, codec, params)
		view := replica.NewClient(replica.Config{})
		index, tick, _ := view.Open(rep, 9)
		g.send(protocol.AppendFrame(nil, protocol.Frame{Type: protocol.TypePush, Route: protocol.RouteLayout, Payload: codec.Layout.Table()}))
		g.message(protocol.TypePush, protocol.RouteZone, 0, &mmov1.Zone{Index: uint32(index), Zone: 1, Epoch: 1, Tick: tick, TickHz: 20, PositionBits: 10})
		src.AttachGateway(1)
		src.AddObserver(9, 1)
		src.Spawn(0, 501, 2, deltatest.State{X: 100}.Record(codec.Kind(2)), 1)
		src.Enter(9, 0)
		if err := rep.Apply(src.Finish(1, nil)[0].Bytes); err != nil {
			t.Error(err)
		}
		var w delta.Writer
		if _, ok := view.Frame(&w, 1); !ok {
			t.Error("no frame")
		}
		g.send(protocol.AppendState(nil, w.Bytes()))
	}
	h := connections(t, func(g *gate) protocol.DisconnectCode {
		g.logIn()
		g.give(1, "a")
		g.numbered(2, protocol.TypePush, protocol.RouteAvatar, 0, &mmov1.Avatar{Entity: 501})
		world(g)
		return cut
	}, func(g *gate) protocol.DisconnectCode {
		g.resume()
		g.resumed(1)
		world(g)
		return g.rest()
	})
	c := h.dial()
	var told []string
	c.Mirror.Enter = func(int, *replica.Entity) { told = append(told, "enter") }
	c.Mirror.Leave = func(_ int, e *replica.Entity) { told = append(told, fmt.Sprintf("leave %d", e.ID)) }
	resumed := false
	err := c.Serve(client.Handler{
		Zone: func(z *mmov1.Zone) { told = append(told, fmt.Sprintf("zone %d of %s", z.Zone, c.Layout.Name)) },
		State: func() {
			if _, ok := c.Own(); !ok || c.Mirror.Frames != 1 || c.Mirror.Live != 1 || len(c.Zones) != 1 {
				t.Errorf("own %v, %d frames, %d in view, %d zones", ok, c.Mirror.Frames, c.Mirror.Live, len(c.Zones))
			}
			if resumed {
				_ = c.Close()
			}
		},
		Resumed: func(bool) {
			resumed = true
			if c.Mirror.Live != 0 || len(c.Zones) != 0 || c.Layout != nil || c.Avatar == nil {
				t.Errorf("after the resume %d are in view, in %d zones, avatar %v", c.Mirror.Live, len(c.Zones), c.Avatar)
			}
		},
	})
	if !errors.Is(err, client.ErrClosed) {
		t.Errorf("serve: %v", err)
	}
	zone := "zone 1 of " + codec.Layout.Name
	if got, want := strings.Join(told, ", "), strings.Join([]string{zone, "enter", "leave 501", zone, "enter"}, ", "); got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}
