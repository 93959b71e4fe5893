package client_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// text sends a message as JSON.
func (g *gate) text(f protocol.Frame, json string) {
	f.Flags |= protocol.FlagJSON
	f.Payload = []byte(json)
	g.send(protocol.AppendFrame(nil, f))
}

// wantText is want, of a message in JSON.
func (g *gate) wantText(t protocol.FrameType, route uint16, m proto.Message) protocol.Frame {
	f := g.want(t, route)
	if f.Flags&protocol.FlagJSON == 0 {
		g.h.t.Errorf("host: a %v of route %d without the flag of JSON", t, route)
	} else if m != nil {
		if err := protojson.Unmarshal(f.Payload, m); err != nil {
			g.h.t.Errorf("host: %s: %v", f.Payload, err)
		}
	}
	return f
}

func TestConnectionInJSON(t *testing.T) {
	var table mmov1.Layout
	if err := proto.Unmarshal(deltatest.Codec().Layout.Table(), &table); err != nil {
		t.Fatal(err)
	}
	b, err := protojson.Marshal(&table)
	if err != nil {
		t.Fatal(err)
	}
	layout := string(b)
	push := func(route uint16) protocol.Frame { return protocol.Frame{Type: protocol.TypePush, Route: route} }
	control := func(route uint16) protocol.Frame {
		return protocol.Frame{Type: protocol.TypeControl, Route: route}
	}
	h := connections(t, func(g *gate) protocol.DisconnectCode {
		g.shake()
		var login mmov1.LoginRequest
		f := g.wantText(protocol.TypeRequest, protocol.RouteLogin, &login)
		if login.Token != "a token" || login.Client != "go" {
			t.Errorf("login %v", &login)
		}
		g.text(protocol.Frame{Type: protocol.TypeResponse, Route: protocol.RouteLogin, ID: f.ID}, `{"sessionId":"9","name":"Ann","queued":true,"unheard":[1]}`)
		ticket := push(protocol.RouteTicket)
		ticket.Flags, ticket.Seq = protocol.FlagREL, 1
		g.text(ticket, `{"ticket":"YQ==","secret":"`+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x01", 32)))+`","lingerMs":60000}`)
		g.text(control(protocol.RouteQueue), `{"position":2,"length":7,"etaMs":40}`)
		g.text(push(protocol.RouteLayout), layout)
		g.text(push(protocol.RouteZone), `{"zone":1,"epoch":1,"tickHz":20,"positionBits":10}`)
		g.text(push(routeSay), `{"text":"hello"}`)
		var number wrapperspb.UInt32Value
		f = g.wantText(protocol.TypeRequest, routeAsk, &number)
		g.text(protocol.Frame{Type: protocol.TypeResponse, Flags: protocol.FlagREL, Route: routeAsk, ID: f.ID, Seq: 2}, `42`)
		if f = g.wantText(protocol.TypeRequest, routeAsk, nil); string(f.Payload) != `{"any":"thing"}` {
			t.Errorf("asked %s", f.Payload)
		}
		g.text(protocol.Frame{Type: protocol.TypeResponse, Flags: protocol.FlagREL, Route: routeAsk, ID: f.ID, Seq: 3}, `{"x":1}`)
		if f = g.wantText(protocol.TypePush, routeSay, nil); string(f.Payload) != `{"a":1}` {
			t.Errorf("said %s", f.Payload)
		}
		f = g.wantText(protocol.TypeRequest, routeAsk, nil)
		g.text(protocol.Frame{Type: protocol.TypeError, Flags: protocol.FlagREL, Route: routeAsk, ID: f.ID, Seq: 4}, `{"code":2,"message":"not now"}`)
		return cut
	}, func(g *gate) protocol.DisconnectCode {
		if !g.shake() || g.ticket != "a" {
			t.Errorf("ticket %q", g.ticket)
		}
		var resume mmov1.Resume
		if g.wantText(protocol.TypeControl, protocol.RouteResume, &resume); resume.LastSeq != 4 {
			t.Errorf("resume %v", &resume)
		}
		g.text(control(protocol.RouteResumed), `{"recovered":true,"lastRequest":4}`)
		g.text(control(protocol.RouteKick), `{"code":4508,"reason":"enough"}`)
		return protocol.DisconnectKicked
	})
	h.cfg.JSON = true
	c := h.dial()
	if !c.Login.GetQueued() || c.Login.GetName() != "Ann" {
		t.Errorf("logged in as %v", c.Login)
	}
	var n notes
	handler := n.handler()
	handler.Push = func(_ uint16, b []byte) { n.words = append(n.words, string(b)) }
	done := make(chan bool)
	go func() {
		defer close(done)
		var number wrapperspb.UInt32Value
		if err := c.Request(context.Background(), routeAsk, wrapperspb.UInt32(1), &number); err != nil || number.Value != 42 {
			t.Errorf("%v, %v", &number, err)
		}
		if answer, err := c.RequestJSON(context.Background(), routeAsk, []byte(`{"any":"thing"}`)); err != nil || string(answer) != `{"x":1}` {
			t.Errorf("%s, %v", answer, err)
		}
		if err := c.PushJSON(routeSay, []byte(`{"a":1}`)); err != nil {
			t.Error(err)
		}
		var e *client.Error
		if _, err := c.RequestJSON(context.Background(), routeAsk, nil); !errors.As(err, &e) || e.Code != protocol.ErrorWrongState {
			t.Error(err)
		}
	}()
	var k *client.KickError
	if err := c.Serve(handler); !errors.As(err, &k) || k.Reason != "enough" {
		t.Errorf("serve: %v", err)
	}
	<-done
	n.want(t, "queue 2/7 40ms", `{"text":"hello"}`, "lost", "resumed true")
	if c.Layout != nil || len(c.Zones) != 0 {
		t.Errorf("the new connection has brought nothing yet, and there are layout %v and zones %v", c.Layout, c.Zones)
	}
}

func TestMessagesThatAreNoJSONEndTheConnection(t *testing.T) {
	h := connections(t, func(g *gate) protocol.DisconnectCode {
		g.logIn()
		g.text(protocol.Frame{Type: protocol.TypeControl, Route: protocol.RouteQueue}, `{"position":`)
		return g.rest()
	})
	if err := h.dial().Serve(client.Handler{}); !errors.Is(err, client.ErrBroken) {
		t.Errorf("serve: %v", err)
	}
}
