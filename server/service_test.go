package server_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/server"
)

const routeServe uint16 = 70

// TestServicesAnswerWithoutTheZone asks a service everything that can go well and wrong.
func TestServicesAnswerWithoutTheZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := pond(nil)
		g.Declare(protocol.Route{ID: routeServe, Name: "pond.serve", Kind: protocol.Request, Direction: protocol.ClientToServer, States: protocol.Playing | protocol.Authenticated, Affinity: protocol.Service, MaxBytes: 8})
		g.Declare(protocol.Route{ID: routeServe + 1, Name: "pond.nobody", Kind: protocol.Request, Direction: protocol.ClientToServer, States: protocol.Playing, Affinity: protocol.Service})
		run := func(ctx context.Context, r *server.ServiceRequest) (proto.Message, error) {
			var m wrapperspb.UInt32Value
			if err := proto.Unmarshal(r.Payload, &m); err != nil {
				return nil, err
			}
			switch m.Value {
			case 1:
				return nil, &game.Error{Code: 1001, Message: "closed"}
			case 2:
				panic("on purpose")
			case 3:
				<-ctx.Done()
				return nil, ctx.Err()
			case 4:
				return nil, errors.New("secret")
			case 5:
				return wrapperspb.String("too long for the route"), nil
			case 6:
				return nil, nil
			}
			return wrapperspb.UInt32(m.Value + uint32(r.Player)), nil
		}
		s := newServer(t, server.Config{Services: map[uint16]server.Service{routeServe: run}, ServiceCalls: 2, ServiceTimeout: time.Second}, g)
		l := attach(t, s)
		serve(t, s)
		tell(t, l, open(1, "Ann"))
		beat(3)
		l.got(1)
		id := uint32(0)
		ask := func(value uint32) link.Down {
			t.Helper()
			id++
			tell(t, l, message(1, routeServe, id, value))
			beat(3)
			if value == 3 {
				elapse(time.Second)
				beat(2)
			}
			downs := l.got(1)
			if len(downs) != 1 || downs[0].ID != id || downs[0].Seq == 0 {
				t.Fatalf("value %d is answered by %+v", value, downs)
			}
			return downs[0]
		}
		var v wrapperspb.UInt32Value
		if d := ask(10); d.Type != protocol.TypeResponse || proto.Unmarshal(d.Payload, &v) != nil || v.Value != 1011 {
			t.Errorf("answered by %+v", d)
		}
		for value, want := range map[uint32]protocol.ErrorCode{1: 1001, 2: protocol.ErrorInternal, 3: protocol.ErrorUnavailable, 4: protocol.ErrorInternal, 5: protocol.ErrorInternal, 6: protocol.ErrorInternal} {
			var e mmov1.Error
			if d := ask(value); d.Type != protocol.TypeError || proto.Unmarshal(d.Payload, &e) != nil || protocol.ErrorCode(e.Code) != want || e.Message == "secret" {
				t.Errorf("value %d fails with %v, want %s", value, &e, want)
			}
		}
		tell(t, l, message(1, routeServe, 50, 3), message(1, routeServe, 51, 3), message(1, routeServe, 52, 3), message(1, routeServe+1, 53, 0))
		beat(2)
		codes := map[uint32]protocol.ErrorCode{}
		take := func() {
			for _, d := range l.got(1) {
				var e mmov1.Error
				if err := proto.Unmarshal(d.Payload, &e); err != nil {
					t.Fatal(err)
				}
				codes[d.ID] = protocol.ErrorCode(e.Code)
			}
		}
		take()
		if len(codes) != 2 || codes[52] != protocol.ErrorOverloaded || codes[53] != protocol.ErrorUnavailable {
			t.Errorf("while two calls hang: %v", codes)
		}
		elapse(time.Second)
		beat(2)
		if take(); codes[50] != protocol.ErrorUnavailable || codes[51] != protocol.ErrorUnavailable {
			t.Errorf("after the calls timed out: %v", codes)
		}
		tell(t, l, message(1, routeServe, 60, 6), message(1, routeServe, 61, 3))
		beat(1) // the second hangs when the server stops
	})
}
