package client

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// FuzzServer gives a client whatever a server might send: it may end the connection, and do nothing else.
func FuzzServer(f *testing.F) {
	add := func(frame protocol.Frame, m proto.Message) {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		frame.Payload = b
		f.Add(protocol.AppendFrame(nil, frame))
	}
	push := func(route uint16, flags protocol.Flags) protocol.Frame {
		return protocol.Frame{Type: protocol.TypePush, Route: route, Flags: flags, Seq: 1}
	}
	control := func(route uint16) protocol.Frame {
		return protocol.Frame{Type: protocol.TypeControl, Route: route}
	}
	add(push(protocol.RouteTicket, protocol.FlagREL), &mmov1.Ticket{Ticket: []byte("t"), Secret: make([]byte, 32)})
	add(push(protocol.RouteZone, 0), &mmov1.Zone{Zone: 1, PositionBits: 10})
	add(control(protocol.RouteResumed), &mmov1.Resumed{Recovered: true, LastRequest: 7})
	add(control(protocol.RouteGoaway), &mmov1.Goaway{ReconnectAfterMs: 1 << 30})
	add(protocol.Frame{Type: protocol.TypeError, Route: 64, ID: 3, Flags: protocol.FlagREL, Seq: 1}, &mmov1.Error{Code: 2})
	f.Add(append(protocol.AppendFrame(nil, protocol.Frame{Type: protocol.TypePush, Route: protocol.RouteLayout, Payload: deltatest.Codec().Layout.Table()}), protocol.AppendState(nil, []byte{0, 0, 0, 0})...))
	f.Add(protocol.AppendFrame(nil, protocol.Frame{Type: protocol.TypeControl, Flags: protocol.FlagJSON, Route: protocol.RouteQueue, Payload: []byte(`{"position":1}`)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &Client{Login: &mmov1.LoginResponse{}, Suite: security.SuiteNKpsk2}
		c.out.open(nil, &security.Session{}, 1<<16)
		c.session.open(16, time.Hour)
		c.session.loggedIn()
		r, err := c.session.ask(64, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		for len(b) > 0 && err == nil {
			var frame protocol.Frame
			if frame, b, err = protocol.Next(b); err == nil {
				err = c.frame(frame)
			}
		}
		if c.timer != nil {
			c.timer.Stop()
		}
		if s := &c.session; s.acked > s.last || len(s.waiting) == 1 && s.waiting[0] != r || len(s.waiting)+len(r.answer) != 1 {
			t.Errorf("acknowledged %d of %d, %d wait, %d answers", s.acked, s.last, len(s.waiting), len(r.answer))
		}
	})
}
