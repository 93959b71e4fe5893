package tianxia_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"
	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// framed is a frame written by the rules of the manual's section 5, field by field.
type framed struct {
	name, meaning string
	f             protocol.Frame
}

func examples(t *testing.T) []framed {
	le := binary.LittleEndian
	const rel, text = protocol.FlagREL, protocol.FlagJSON
	control := func(route uint16, payload []byte) protocol.Frame {
		return protocol.Frame{Type: protocol.TypeControl, Route: route, Payload: payload}
	}
	return []framed{
		{"ping", "PING, client time 5,000,000 µs", control(1, le.AppendUint64(nil, 5_000_000))},
		{"pong", "PONG: that time, and the server's: 1,795,000,000.123456 s", control(2, le.AppendUint64(le.AppendUint64(nil, 5_000_000), 1_795_000_000_123_456))},
		{"echo", "ECHO: 3 state frames processed", control(3, le.AppendUint16(nil, 3))},
		{"login", `login, request 1: token "dev-token", client "demo/1"`, protocol.Frame{Type: protocol.TypeRequest, Route: 32, ID: 1, Payload: marshalled(t, &mmov1.LoginRequest{Token: "dev-token", Client: "demo/1"})}},
		{"logged in", `its response: session 5, player 42, name "Ann", server "dev"`, protocol.Frame{Type: protocol.TypeResponse, Route: 32, ID: 1, Payload: marshalled(t, &mmov1.LoginResponse{SessionId: 5, PlayerId: 42, Name: "Ann", Server: "dev"})}},
		{"avatar", "numbered push, sequence 2: avatar is entity 7 of zone 1", protocol.Frame{Type: protocol.TypePush, Flags: rel, Route: 34, Seq: 2, Payload: marshalled(t, &mmov1.Avatar{Entity: 7, Zone: 1})}},
		{"move", "push of the sample game: input 1 for tick 101, 4 m/s along x", protocol.Frame{Type: protocol.TypePush, Route: 64, Payload: marshalled(t, &plainsv1.Move{Seq: 1, Tick: 101, Vx: 64})}},
		{"spectate", "request 2 of the sample game: radius 320", protocol.Frame{Type: protocol.TypeRequest, Route: 65, ID: 2, Payload: marshalled(t, &plainsv1.SpectateRequest{Radius: 320})}},
		{"spectates", "its response, sequence 3", protocol.Frame{Type: protocol.TypeResponse, Flags: rel, Route: 65, ID: 2, Seq: 3, Payload: marshalled(t, &plainsv1.SpectateResponse{Radius: 320})}},
		{"refused", "error for request 3, without a number: rate_limited, try again after 250 ms", protocol.Frame{Type: protocol.TypeError, Route: 65, ID: 3, Payload: marshalled(t, &mmov1.Error{Code: 5, Message: "rate_limited", RetryAfterMs: 250})}},
		{"ack", "ACK of everything up to 3", protocol.Frame{Type: protocol.TypeAck, Seq: 3}},
		{"far ack", "ACK of everything up to 300", protocol.Frame{Type: protocol.TypeAck, Seq: 300}},
		{"resume", "RESUME: 17 was the last that came", control(7, marshalled(t, &mmov1.Resume{LastSeq: 17}))},
		{"resumed", "RESUMED: recovered, session 5, request 4 is the last that the server saw", control(8, marshalled(t, &mmov1.Resumed{Recovered: true, SessionId: 5, LastRequest: 4}))},
		{"gone", `RESUMED: not recovered, "gone"`, control(8, marshalled(t, &mmov1.Resumed{Reason: "gone"}))},
		{"queue", "QUEUE: third of 10, about 1.5 s", control(9, marshalled(t, &mmov1.Queue{Position: 3, Length: 10, EtaMs: 1500}))},
		{"goaway", `GOAWAY: "drain", leave after 12 s`, control(4, marshalled(t, &mmov1.Goaway{Reason: "drain", ReconnectAfterMs: 12_000}))},
		{"kick", `KICK: 4000 "server_shutdown"`, control(5, marshalled(t, &mmov1.Kick{Code: 4000, Reason: "server_shutdown"}))},
		{"bye", "BYE", control(6, nil)},
		{"json", "the push of above as JSON", protocol.Frame{Type: protocol.TypePush, Flags: text, Route: 64, Payload: []byte(`{"seq":1,"tick":101,"vx":64}`)}},
	}
}

// fields writes a frame as the manual says, apart from pkg/protocol.
func fields(f protocol.Frame) (list [][]byte) {
	number := func(v uint32) { list = append(list, binary.AppendUvarint(nil, uint64(v))) }
	list = append(list, []byte{byte(f.Type) | byte(f.Flags)})
	if f.Type <= 3 || f.Type == 5 {
		number(uint32(f.Route))
	}
	if f.Type >= 1 && f.Type <= 3 {
		number(f.ID)
	}
	if f.Flags&protocol.FlagREL != 0 || f.Type == 4 {
		number(f.Seq)
	}
	if f.Type != 4 {
		number(uint32(len(f.Payload)))
		list = append(list, f.Payload)
	}
	return list
}

func exampleFrames(t *testing.T) map[string][]byte {
	list := map[string][]byte{}
	for _, x := range examples(t) {
		list[x.name] = bytes.Join(fields(x.f), nil)
	}
	return list
}

// TestManualsFramesAreRight writes the examples by the manual's rules, has pkg/protocol read them, and looks for them in the manuals.
func TestManualsFramesAreRight(t *testing.T) {
	var block strings.Builder
	for _, x := range examples(t) {
		var parts []string
		for _, b := range fields(x.f) {
			if len(b) > 0 {
				parts = append(parts, hex.EncodeToString(b))
			}
		}
		fmt.Fprintf(&block, "%s\n    %s\n", x.meaning, strings.Join(parts, " "))
		b := bytes.Join(fields(x.f), nil)
		f, rest, err := protocol.Next(b)
		if err != nil || len(rest) > 0 || !bytes.Equal(protocol.AppendFrame(nil, f), b) || fmt.Sprint(f.Type, f.Flags, f.Route, f.ID, f.Seq) != fmt.Sprint(x.f.Type, x.f.Flags, x.f.Route, x.f.ID, x.f.Seq) {
			t.Errorf("%s: pkg/protocol reads %+v, %d left, %v", x.name, f, len(rest), err)
		}
	}
	standsInTheManuals(t, "the frames", block.String())
}

func marshalled(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
