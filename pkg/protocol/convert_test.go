package protocol_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	_ "google.golang.org/protobuf/types/descriptorpb" // messages that games may hold
	_ "google.golang.org/protobuf/types/known/anypb"
	_ "google.golang.org/protobuf/types/known/durationpb"
	_ "google.golang.org/protobuf/types/known/emptypb"
	_ "google.golang.org/protobuf/types/known/fieldmaskpb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/timestamppb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"
	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"
)

// TestEveryMessageComesBackFromJSONAsItWas is the property: bytes → JSON → the same bytes, by every route of the sample games and of the framework.
func TestEveryMessageComesBackFromJSONAsItWas(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for name, file := range games() {
		list := routesOf(file)
		c, chance := converterOf(t, list), rand.New(rand.NewPCG(1, 2))
		done := 0
		for _, k := range kindsOf(t, list) {
			for range rounds {
				m := k.message.New()
				fill(m, chance, 4)
				f := k.frame
				f.Payload = canonical(t, m.Interface())
				text, err := c.ToJSON([]byte("before"), f, k.direction)
				var fault *protocol.ConvertError
				if errors.As(err, &fault) && fault.Code == protocol.ErrorTooLarge {
					if string(text) != "before" {
						t.Fatalf("%s: a refusal left %q", fault, text)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				text, ok := bytes.CutPrefix(text, []byte("before"))
				if tight := new(bytes.Buffer); json.Compact(tight, text) != nil || !bytes.Equal(tight.Bytes(), text) { // in every other build the library adds space
					t.Fatalf("%s: %s has space between its tokens", name, text)
				}
				other := k.message.New().Interface()
				if err := protojson.Unmarshal(text, other); !ok || err != nil || !bytes.Equal(canonical(t, other), f.Payload) {
					t.Fatalf("%s: %v of route %d: the library reads %s otherwise (%v)", name, f.Type, f.Route, text, err)
				}
				g := f
				g.Payload = text
				back, err := c.FromJSON([]byte("before"), g, k.direction)
				if back, ok = bytes.CutPrefix(back, []byte("before")); !ok || err != nil || !bytes.Equal(back, f.Payload) {
					t.Fatalf("%s: %v of route %d: %x became %x by %s (%v)", name, f.Type, f.Route, f.Payload, back, text, err)
				}
				g.Payload, _ = protojson.MarshalOptions{Multiline: true, UseProtoNames: true, UseEnumNumbers: true, EmitUnpopulated: true}.Marshal(m.Interface())
				if len(g.Payload) <= protocol.JSONMaxBytes(64) {
					if back, err = c.FromJSON(nil, g, k.direction); err != nil || !bytes.Equal(back, f.Payload) {
						t.Fatalf("%s: %v of route %d: other spellings give %x, want %x (%v)\n%s", name, f.Type, f.Route, back, f.Payload, err, g.Payload)
					}
				}
				done++
			}
		}
		if done < rounds*len(kindsOf(t, list))/3 {
			t.Errorf("%s: only %d messages were small enough", name, done)
		}
	}
}

// TestMessagesOfTheLibraryHaveTheirOwnJSON is about what games may hold besides their own messages.
func TestMessagesOfTheLibraryHaveTheirOwnJSON(t *testing.T) {
	for name, text := range map[string]string{
		"google.protobuf.Struct":       `{"a":[1.5,null,{"b":"c"}],"d":true}`,
		"google.protobuf.Value":        `[[],{},"NaN"]`,
		"google.protobuf.Timestamp":    `"2026-11-23T01:02:03.500Z"`,
		"google.protobuf.Duration":     `"1.500s"`,
		"google.protobuf.StringValue":  `"天"`,
		"google.protobuf.UInt64Value":  `"18446744073709551615"`,
		"google.protobuf.FieldMask":    `"a.bC,d"`,
		"google.protobuf.Empty":        `{}`,
		"google.protobuf.FieldOptions": `{"ctype":"CORD","packed":false,"deprecated":true,"targets":["TARGET_TYPE_FILE"]}`, // proto2
		"google.protobuf.Any":          `{"@type":"type.googleapis.com/plains.v1.Move","seq":3}`,
	} {
		c := converterOf(t, append(protocol.FrameworkRoutes(), protocol.Route{ID: 64, Name: "a", Kind: protocol.Push, Direction: protocol.ClientToServer, Message: name},
			protocol.Route{ID: 65, Name: "b", Kind: protocol.Push, Direction: protocol.ClientToServer, Message: "plains.v1.Move"}))
		f := protocol.Frame{Type: protocol.TypePush, Route: 64, Payload: []byte(text)}
		b, err := c.FromJSON(nil, f, protocol.ClientToServer)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f.Payload = b
		if back, err := c.ToJSON(nil, f, protocol.ClientToServer); err != nil || string(back) != text {
			t.Errorf("%s: %s becomes %x and then %s (%v)", name, text, b, back, err)
		}
	}
	c := converterOf(t, []protocol.Route{{ID: 64, Name: "a", Kind: protocol.Push, Direction: protocol.ClientToServer, Message: "google.protobuf.Any"}})
	_, err := c.FromJSON(nil, protocol.Frame{Type: protocol.TypePush, Route: 64, Payload: []byte(`{"@type":"type.googleapis.com/plains.v1.Move","seq":3}`)}, protocol.ClientToServer)
	if err == nil || !strings.Contains(err.Error(), "plains.v1.Move") {
		t.Errorf("a message that no route names: %v", err)
	}
}

func TestWhatADescriptorDoesNotKnowIsLeftOutOfJSON(t *testing.T) {
	b := protowire.AppendTag(nil, 900, protowire.StartGroupType)
	b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), 7)
	b = protowire.AppendTag(b, 900, protowire.EndGroupType)
	b = append(b, canonical(t, &plainsv1.Move{Seq: 1})...)
	text, err := plains(t).ToJSON(nil, protocol.Frame{Type: protocol.TypePush, Route: 64, Payload: b}, protocol.ClientToServer)
	if err != nil || string(text) != `{"seq":1}` {
		t.Errorf("%s, %v", text, err)
	}
}

func TestConversionRefusesWhatMayNotTravel(t *testing.T) {
	c := plains(t)
	const push, request, control = protocol.TypePush, protocol.TypeRequest, protocol.TypeControl
	for _, test := range []struct {
		name  string
		frame protocol.Frame
		from  protocol.Direction
		code  protocol.ErrorCode
		says  string
	}{
		{"unknown route", protocol.Frame{Type: push, Route: 999}, protocol.ClientToServer, protocol.ErrorUnknownRoute, "no such route"},
		{"unknown control", protocol.Frame{Type: control, Route: 30}, protocol.ClientToServer, protocol.ErrorUnknownRoute, "no such route"},
		{"wrong direction", protocol.Frame{Type: push, Route: 64}, protocol.ServerToClient, protocol.ErrorUnknownRoute, "no such route"},
		{"wrong type", protocol.Frame{Type: request, ID: 1, Route: 64}, protocol.ClientToServer, protocol.ErrorUnknownRoute, "no such route"},
		{"no id", protocol.Frame{Type: request, Route: 32}, protocol.ClientToServer, protocol.ErrorMalformed, "id above 0"},
		{"state", protocol.Frame{Type: protocol.TypeState}, protocol.ServerToClient, protocol.ErrorMalformed, "no message"},
		{"ack", protocol.Frame{Type: protocol.TypeAck}, protocol.ClientToServer, protocol.ErrorMalformed, "no message"},
		{"ping", protocol.Frame{Type: control, Route: protocol.RoutePing, Payload: make([]byte, 8)}, protocol.ClientToServer, protocol.ErrorMalformed, "layout is fixed"},
		{"bye", protocol.Frame{Type: control, Route: protocol.RouteBye}, protocol.ClientToServer, protocol.ErrorMalformed, "layout is fixed"},
	} {
		for way, convert := range map[string]func([]byte, protocol.Frame, protocol.Direction) ([]byte, error){"from": c.FromJSON, "to": c.ToJSON} {
			out, err := convert([]byte("x"), test.frame, test.from)
			var fault *protocol.ConvertError
			if !errors.As(err, &fault) || fault.Code != test.code || !strings.Contains(err.Error(), test.says) || string(out) != "x" {
				t.Errorf("%s, %s JSON: %q, %v", test.name, way, out, err)
			}
		}
	}
}

func TestSizesAreBoundedBothWays(t *testing.T) {
	c := plains(t)
	tooLarge := func(what string, err error) {
		t.Helper()
		var fault *protocol.ConvertError
		if !errors.As(err, &fault) || fault.Code != protocol.ErrorTooLarge {
			t.Errorf("%s: %v", what, err)
		}
	}
	login := protocol.Frame{Type: protocol.TypeRequest, Route: protocol.RouteLogin, ID: 1}
	login.Payload = []byte(`{"token":"` + strings.Repeat("a", protocol.JSONMaxBytes(4096)) + `"}`)
	_, err := c.FromJSON(nil, login, protocol.ClientToServer)
	tooLarge("the text", err)
	login.Payload = []byte(`{"token":"` + strings.Repeat("a", 4096) + `"}`)
	_, err = c.FromJSON(nil, login, protocol.ClientToServer)
	tooLarge("the message", err)
	login.Payload = canonical(t, &mmov1.LoginRequest{Token: strings.Repeat("a", 4096)})
	_, err = c.ToJSON(nil, login, protocol.ClientToServer)
	tooLarge("the bytes", err)
	wide := &mmov1.Layout{}
	for range 100 {
		wide.Components = append(wide.Components, &mmov1.LayoutComponent{})
		for range 80 {
			wide.Components[0].Fields = append(wide.Components[0].Fields, &mmov1.LayoutField{Bits: 1, Max: 1})
		}
	}
	layout := protocol.Frame{Type: protocol.TypePush, Route: protocol.RouteLayout, Payload: canonical(t, wide)}
	if len(layout.Payload) > 65000 {
		t.Fatal(len(layout.Payload))
	}
	out, err := c.ToJSON([]byte("x"), layout, protocol.ServerToClient)
	tooLarge("the JSON", err)
	if string(out) != "x" {
		t.Errorf("%d bytes are left", len(out))
	}
	refusal := protocol.Frame{Type: protocol.TypeError, Route: 40000, Payload: canonical(t, &mmov1.Error{Code: 1, Message: strings.Repeat("m", 4096)})}
	_, err = c.ToJSON(nil, refusal, protocol.ServerToClient)
	tooLarge("an error", err)
}

func TestANewConverterNeedsEveryMessage(t *testing.T) {
	list := routesOf(games()["plains"])
	descriptors, err := protocol.Descriptors(list)
	if err != nil {
		t.Fatal(err)
	}
	framework, err := protocol.Descriptors(protocol.FrameworkRoutes())
	if err != nil {
		t.Fatal(err)
	}
	named := func(name string) *protocol.Routes {
		return tableOf(t, []protocol.Route{{ID: 64, Name: "a", Kind: protocol.Push, Direction: protocol.ClientToServer, Message: name}})
	}
	for _, test := range []struct {
		name   string
		routes *protocol.Routes
		set    []byte
		says   string
	}{
		{"no set", tableOf(t, list), nil, "is not among the descriptors"},
		{"garbage", tableOf(t, list), []byte{0xff}, "parse descriptors"},
		{"half a set", tableOf(t, list), framework, `route 64 "plains.v1.move": message plains.v1.Move is not among the descriptors`},
		{"no message", named("mmo.v1.LayoutType"), framework, "not a message"},
		{"no control", named(""), nil, "control route 4: message mmo.v1.Goaway"},
	} {
		if _, err := protocol.NewConverter(test.routes, test.set); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	for _, r := range []protocol.Route{{ID: 64, Message: "no.such.Message"}, {ID: 64, Message: "mmo.v1.LayoutType"}} {
		if _, err := protocol.Descriptors([]protocol.Route{r}); err == nil || !strings.Contains(err.Error(), "describe route 64") {
			t.Errorf("%s: %v", r.Message, err)
		}
	}
	c, err := protocol.NewConverter(named(""), descriptors)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.FromJSON(nil, protocol.Frame{Type: protocol.TypePush, Route: 64}, protocol.ClientToServer)
	if err == nil || !strings.Contains(err.Error(), "does not name its message") {
		t.Errorf("%v", err)
	}
}

func ExampleConverter() {
	routes := []protocol.Route{{ID: 64, Name: "plains.move", Kind: protocol.Push, Direction: protocol.ClientToServer, Message: "plains.v1.Move"}}
	descriptors, err := protocol.Descriptors(routes) // once, of a program that has the messages
	if err != nil {
		panic(err)
	}
	table, err := protocol.NewRoutes(routes...)
	if err != nil {
		panic(err)
	}
	c, err := protocol.NewConverter(table, descriptors)
	if err != nil {
		panic(err)
	}
	f := protocol.Frame{Type: protocol.TypePush, Route: 64, Payload: []byte(`{"seq": 7, "vx": -300}`)}
	f.Payload, err = c.FromJSON(nil, f, protocol.ClientToServer)
	fmt.Printf("%x %v\n", f.Payload, err)
	text, err := c.ToJSON(nil, f, protocol.ClientToServer)
	fmt.Printf("%s %v\n", text, err)
	_, err = c.FromJSON(nil, protocol.Frame{Type: protocol.TypePush, Route: 64, Payload: []byte("{\n\"speed\": 3}")}, protocol.ClientToServer)
	fmt.Println(err)
	// Output:
	// 080718d704 <nil>
	// {"seq":7,"vx":-300} <nil>
	// convert push of route 64, plains.v1.Move: line 2:1: unknown field "speed"
}
