package client_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// quick tries again without waiting.
func quick() client.Reconnect {
	return client.Reconnect{First: time.Nanosecond, Base: time.Nanosecond, Most: time.Nanosecond}
}

// connections runs the nth script for the nth connection.
func connections(t *testing.T, scripts ...func(g *gate) protocol.DisconnectCode) *host {
	t.Helper()
	at := make(chan int, 1)
	at <- 0
	h := newHost(t, func(g *gate) protocol.DisconnectCode {
		n := <-at
		at <- n + 1
		if n >= len(scripts) {
			t.Errorf("connection %d, and %d are expected", n+1, len(scripts))
			return 0
		}
		return scripts[n](g)
	})
	h.cfg.Reconnect = quick()
	return h
}

// cut is the end of a connection without a code.
const cut protocol.DisconnectCode = 0

// notes collects what a handler is told, as words.
type notes struct{ words []string }

func (n *notes) handler() client.Handler {
	add := func(format string, a ...any) { n.words = append(n.words, fmt.Sprintf(format, a...)) }
	return client.Handler{
		Push: func(_ uint16, b []byte) {
			var m wrapperspb.UInt32Value
			if proto.Unmarshal(b, &m) == nil {
				add("say %d", m.Value)
			}
		},
		Lost:    func(error) { add("lost") },
		Resumed: func(recovered bool) { add("resumed %v", recovered) },
		Queue:   func(p, l uint32, eta time.Duration) { add("queue %d/%d %v", p, l, eta) },
		Warning: func(code protocol.ErrorCode, m string) { add("warning %v %s", code, m) },
		Goaway:  func(reason string, after time.Duration) { add("goaway %s %v", reason, after) },
		Error:   func(route uint16, _ uint32, err *client.Error) { add("error %d %v", route, err.Code) },
	}
}

func (n *notes) want(t *testing.T, words ...string) {
	t.Helper()
	if !slices.Equal(n.words, words) {
		t.Errorf("told %q, want %q", n.words, words)
	}
}

func kicked(code protocol.DisconnectCode) func(g *gate) protocol.DisconnectCode {
	return func(g *gate) protocol.DisconnectCode {
		g.logIn()
		g.give(1, "a")
		g.message(protocol.TypeControl, protocol.RouteKick, 0, &mmov1.Kick{Code: uint32(code), Reason: "so it is"})
		return code
	}
}

func TestResumeContinuesAfterTheLastMessage(t *testing.T) {
	h := connections(t, func(g *gate) protocol.DisconnectCode {
		g.logIn()
		g.give(1, "a")
		g.numbered(2, protocol.TypePush, routeSay, 0, wrapperspb.UInt32(2))
		g.numbered(2, protocol.TypePush, routeSay, 0, wrapperspb.UInt32(99)) // a repetition
		g.message(protocol.TypePush, routeSay, 0, wrapperspb.UInt32(7))      // carries no number
		g.numbered(3, protocol.TypePush, routeSay, 0, wrapperspb.UInt32(3))
		return cut
	}, func(g *gate) protocol.DisconnectCode {
		if last := g.resume(); last != 3 || g.ticket != "a" {
			t.Errorf("resume after %d with ticket %q", last, g.ticket)
		}
		g.resumed(1)
		g.numbered(4, protocol.TypePush, routeSay, 0, wrapperspb.UInt32(4))
		g.give(5, "bb")
		return cut
	}, func(g *gate) protocol.DisconnectCode {
		if last := g.resume(); last != 5 || g.ticket != "bb" {
			t.Errorf("resume after %d with ticket %q", last, g.ticket)
		}
		g.resumed(1)
		g.message(protocol.TypeControl, protocol.RouteQueue, 0, &mmov1.Queue{Position: 3, Length: 9, EtaMs: 1500})
		g.message(protocol.TypeControl, protocol.RouteWarning, 0, &mmov1.Warning{Code: uint32(protocol.ErrorRateLimited), Message: "slower"})
		g.message(protocol.TypeControl, protocol.RouteKick, 0, &mmov1.Kick{Code: uint32(protocol.DisconnectFlooding)})
		return protocol.DisconnectFlooding
	})
	var n notes
	var k *client.KickError
	if err := h.dial().Serve(n.handler()); !errors.As(err, &k) || k.Code != protocol.DisconnectFlooding || errors.Is(err, client.ErrNotRecovered) {
		t.Errorf("serve: %v", err)
	}
	n.want(t, "say 2", "say 7", "say 3", "lost", "resumed true", "say 4", "lost", "resumed true", "queue 3/9 1.5s", "warning rate_limited slower")
}

func TestRequestsOutliveTheirConnection(t *testing.T) {
	asked, back := make(chan uint32, 1), make(chan bool)
	h := connections(t, func(g *gate) protocol.DisconnectCode {
		g.logIn()
		g.give(1, "a")
		first := g.want(protocol.TypeRequest, routeAsk)
		g.want(protocol.TypeRequest, routeAsk) // it comes, and the server dies before it gets far
		asked <- first.ID
		return cut
	}, func(g *gate) protocol.DisconnectCode {
		g.resume()
		<-back // a third request is made meanwhile
		g.resumed(2)
		second, third := g.want(protocol.TypeRequest, routeAsk), g.want(protocol.TypeRequest, routeAsk)
		if second.ID != 3 || third.ID != 4 {
			t.Errorf("requests %d and %d, want 3 and 4", second.ID, third.ID)
		}
		g.numbered(2, protocol.TypeResponse, routeAsk, third.ID, wrapperspb.UInt32(30))
		g.numbered(3, protocol.TypeResponse, routeAsk, 2, wrapperspb.UInt32(10))
		g.numbered(4, protocol.TypeError, routeAsk, second.ID, &mmov1.Error{Code: 1001})
		return g.rest()
	})
	c := h.dial()
	lost := make(chan error, 1)
	ended := serve(c, client.Handler{Lost: func(cause error) { lost <- cause }})
	ask := func(n uint32) <-chan any {
		got := make(chan any, 1)
		go func() {
			var m wrapperspb.UInt32Value
			if err := c.Request(context.Background(), routeAsk, wrapperspb.UInt32(n), &m); err != nil {
				got <- err
			} else {
				got <- m.Value
			}
		}()
		return got
	}
	first := ask(1)
	second := ask(2)
	await(t, "two requests", asked)
	await(t, "the loss", lost)
	if err := c.Push(routeSay, wrapperspb.UInt32(1)); !errors.Is(err, client.ErrAway) {
		t.Errorf("a push without a connection: %v", err)
	}
	third := ask(3)
	for c.Waiting() < 3 {
		runtime.Gosched()
	}
	close(back)
	answers := []any{await(t, "the first answer", first), await(t, "the second", second)}
	var e *client.Error
	if err, _ := answers[0].(error); errors.As(err, &e) { // they were made at once
		answers[0], answers[1] = answers[1], answers[0]
	}
	if err, ok := answers[1].(error); answers[0] != uint32(10) || !ok || !errors.As(err, &e) || e.Code != 1001 {
		t.Errorf("answers %v", answers)
	}
	if got := await(t, "the third", third); got != uint32(30) {
		t.Errorf("the third: %v", got)
	}
	_ = c.Close()
	await(t, "the end", ended)
}

func TestTerminalCodesEndServe(t *testing.T) {
	for _, code := range []protocol.DisconnectCode{protocol.DisconnectBanned, protocol.DisconnectResumedElsewhere, protocol.DisconnectSuperseded} {
		silent := func(g *gate) protocol.DisconnectCode { g.logIn(); g.give(1, "a"); return code }
		for name, script := range map[string]func(g *gate) protocol.DisconnectCode{"said": kicked(code), "by the close code alone": silent} {
			t.Run(code.String()+" "+name, func(t *testing.T) {
				var k *client.KickError
				var n notes
				if err := connections(t, script).dial().Serve(n.handler()); !errors.As(err, &k) || k.Code != code {
					t.Errorf("serve: %v", err)
				}
				n.want(t)
			})
		}
	}
}

func TestReconnectOffEndsServeWithTheConnection(t *testing.T) {
	h := connections(t, kicked(protocol.DisconnectServerLost))
	h.cfg.Reconnect.Off = true
	var k *client.KickError
	if err := h.dial().Serve(client.Handler{}); !errors.As(err, &k) || k.Code != protocol.DisconnectServerLost || errors.Is(err, client.ErrNotRecovered) {
		t.Errorf("serve: %v", err)
	}
}

// refused and forgotten are the two ways in which a session is gone.
func refused(g *gate) protocol.DisconnectCode {
	clear(g.h.secrets)
	g.shake()
	return g.closed()
}

func forgotten(g *gate) protocol.DisconnectCode {
	g.resume()
	g.message(protocol.TypeControl, protocol.RouteResumed, 0, &mmov1.Resumed{Reason: "the server was replaced"})
	return g.rest()
}

func TestSessionThatIsGoneEndsAClientThatHasNoLogin(t *testing.T) {
	for name, second := range map[string]func(g *gate) protocol.DisconnectCode{"ticket refused": refused, "not recovered": forgotten} {
		t.Run(name, func(t *testing.T) {
			sent := make(chan bool)
			h := connections(t, func(g *gate) protocol.DisconnectCode {
				g.logIn()
				g.give(1, "a")
				g.want(protocol.TypeRequest, routeAsk)
				close(sent)
				return protocol.DisconnectServerLost
			}, second)
			c := h.dial()
			answer := make(chan error, 1)
			go func() {
				answer <- c.Request(context.Background(), routeAsk, wrapperspb.UInt32(1), &wrapperspb.UInt32Value{})
			}()
			err := c.Serve(client.Handler{})
			var k *client.KickError
			if !errors.Is(err, client.ErrNotRecovered) || !errors.As(err, &k) || k.Code != protocol.DisconnectServerLost {
				t.Errorf("serve: %v", err)
			}
			if err := await(t, "the answer", answer); !errors.Is(err, client.ErrUnknownOutcome) || !errors.Is(err, client.ErrNotRecovered) || errors.Is(err, client.ErrNotExecuted) {
				t.Errorf("the request that was sent: %v", err)
			}
			<-sent
		})
	}
}

func TestSessionThatIsGoneIsFollowedByANewLogin(t *testing.T) {
	again := func(g *gate) {
		f := g.want(protocol.TypeRequest, protocol.RouteLogin)
		var m mmov1.LoginRequest
		if err := proto.Unmarshal(f.Payload, &m); err != nil || m.Token != "token 2" || f.ID < 2 {
			t.Errorf("login %v with id %d, %v", &m, f.ID, err)
		}
		g.message(protocol.TypeResponse, protocol.RouteLogin, f.ID, &mmov1.LoginResponse{SessionId: 10})
		g.numbered(1, protocol.TypePush, routeSay, 0, wrapperspb.UInt32(1))
	}
	first := func(g *gate) protocol.DisconnectCode {
		g.logIn()
		g.give(1, "a")
		g.numbered(2, protocol.TypePush, protocol.RouteAvatar, 0, &mmov1.Avatar{Entity: 5})
		return cut
	}
	for name, rest := range map[string][]func(g *gate) protocol.DisconnectCode{
		"ticket refused, another connection": {refused, func(g *gate) protocol.DisconnectCode { g.shake(); again(g); return g.rest() }},
		"not recovered, the same connection": {func(g *gate) protocol.DisconnectCode {
			g.resume()
			g.message(protocol.TypeControl, protocol.RouteResumed, 0, &mmov1.Resumed{})
			again(g)
			return g.rest()
		}},
		"no ticket came": {func(g *gate) protocol.DisconnectCode { g.shake(); again(g); return g.rest() }},
	} {
		t.Run(name, func(t *testing.T) {
			begin := first
			if name == "no ticket came" {
				begin = func(g *gate) protocol.DisconnectCode { g.logIn(); return cut }
			}
			h := connections(t, append([]func(g *gate) protocol.DisconnectCode{begin}, rest...)...)
			logins := 1
			h.cfg.Login = func(context.Context) (string, error) { logins++; return fmt.Sprintf("token %d", logins), nil }
			c := h.dial()
			var n notes
			handler := n.handler()
			say := handler.Push
			handler.Push = func(route uint16, b []byte) { say(route, b); _ = c.Close() }
			if err := c.Serve(handler); !errors.Is(err, client.ErrClosed) {
				t.Errorf("serve: %v", err)
			}
			n.want(t, "lost", "resumed false", "say 1")
			if c.Login.GetSessionId() != 10 || c.Avatar != nil || logins != 2 {
				t.Errorf("session %v, avatar %v, %d logins", c.Login, c.Avatar, logins)
			}
		})
	}
}

func TestLoginThatFailsEndsTheClient(t *testing.T) {
	h := connections(t, func(g *gate) protocol.DisconnectCode { g.logIn(); g.give(1, "a"); return cut }, refused)
	nobody := errors.New("the password was changed")
	h.cfg.Login = func(context.Context) (string, error) { return "", nobody }
	h.cfg.Token = "a token"
	// Of refused nothing is left but a connection for the login.
	h2 := connections(t, func(g *gate) protocol.DisconnectCode { g.logIn(); g.give(1, "a"); return cut }, forgotten)
	h2.cfg.Login = h.cfg.Login
	if err := h2.dial().Serve(client.Handler{}); !errors.Is(err, nobody) || !errors.Is(err, client.ErrNotRecovered) || !strings.Contains(err.Error(), "no token for a new login") {
		t.Errorf("serve: %v", err)
	}
}

func TestGapInTheNumbersIsMendedByAResume(t *testing.T) {
	h := connections(t, func(g *gate) protocol.DisconnectCode {
		g.logIn()
		g.give(1, "a")
		g.numbered(3, protocol.TypePush, routeSay, 0, wrapperspb.UInt32(3))
		return g.rest()
	}, func(g *gate) protocol.DisconnectCode {
		if last := g.resume(); last != 1 {
			t.Errorf("resume after %d", last)
		}
		g.resumed(1)
		g.numbered(2, protocol.TypePush, routeSay, 0, wrapperspb.UInt32(2))
		g.numbered(3, protocol.TypePush, routeSay, 0, wrapperspb.UInt32(3))
		return protocol.DisconnectKicked
	})
	var n notes
	if err := h.dial().Serve(n.handler()); err == nil {
		t.Error("no end")
	}
	n.want(t, "lost", "resumed true", "say 2", "say 3")
}

func TestServerThatBreaksTheRulesForEverEndsTheClient(t *testing.T) {
	first := func(g *gate) protocol.DisconnectCode {
		g.logIn()
		g.give(1, "a")
		g.send([]byte{0xFF})
		return g.rest()
	}
	later := func(g *gate) protocol.DisconnectCode { g.resume(); g.resumed(1); g.send([]byte{0xFF}); return g.rest() }
	h := connections(t, first, later, later, later, later)
	var bad *protocol.FrameError
	if err := h.dial().Serve(client.Handler{}); !errors.Is(err, client.ErrNotRecovered) || !errors.As(err, &bad) {
		t.Errorf("serve: %v", err)
	}
}
