package protocol_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

func TestFramesHaveTheirText(t *testing.T) {
	c := plains(t)
	const up, down = protocol.ClientToServer, protocol.ServerToClient
	for _, test := range []struct {
		frame     protocol.Frame
		direction protocol.Direction
		text      string
	}{
		{protocol.Frame{Type: protocol.TypePush, Route: 64, Payload: []byte{8, 7}}, up, `{"t":"push","r":"plains.v1.move","d":{"seq":7}}`},
		{protocol.Frame{Type: protocol.TypePush, Flags: protocol.FlagREL, Route: 66, Seq: 12, Payload: []byte{8, 7}}, down, `{"t":"push","r":"plains.v1.moverefused","q":12,"d":{"seq":7}}`},
		{protocol.Frame{Type: protocol.TypeRequest, Route: 32, ID: 1<<32 - 1, Payload: []byte{10, 1, 'x'}}, up, `{"t":"req","r":"login","i":4294967295,"d":{"token":"x"}}`},
		{protocol.Frame{Type: protocol.TypeResponse, Flags: protocol.FlagREL, Route: 32, ID: 1, Seq: 2}, down, `{"t":"resp","r":"login","i":1,"q":2,"d":{}}`},
		{protocol.Frame{Type: protocol.TypeError, Route: 40000, Payload: []byte{8, 1}}, down, `{"t":"err","r":40000,"d":{"code":1}}`},
		{protocol.Frame{Type: protocol.TypeAck, Seq: 12}, up, `{"t":"ack","q":12}`},
		{protocol.Frame{Type: protocol.TypeControl, Route: protocol.RouteGoaway, Payload: []byte{16, 100}}, down, `{"t":"ctrl","r":"goaway","d":{"reconnectAfterMs":100}}`},
		{protocol.Frame{Type: protocol.TypeControl, Route: protocol.RouteResume, Payload: []byte{8, 3}}, up, `{"t":"ctrl","r":"resume","d":{"lastSeq":3}}`},
		{protocol.Frame{Type: protocol.TypeControl, Route: protocol.RoutePing, Payload: protocol.AppendPing(nil, 1<<63)[3:]}, up, `{"t":"ctrl","r":"ping","d":{"client":"9223372036854775808"}}`},
		{protocol.Frame{Type: protocol.TypeControl, Route: protocol.RoutePong, Payload: protocol.AppendPong(nil, 5, 6)[3:]}, down, `{"t":"ctrl","r":"pong","d":{"client":"5","server":"6"}}`},
		{protocol.Frame{Type: protocol.TypeControl, Route: protocol.RouteEcho, Payload: protocol.AppendEcho(nil, 65535)[3:]}, up, `{"t":"ctrl","r":"echo","d":{"processed":65535}}`},
		{protocol.Frame{Type: protocol.TypeControl, Route: protocol.RouteBye}, up, `{"t":"ctrl","r":"bye"}`},
	} {
		text, err := c.AppendText([]byte("x"), test.frame, test.direction)
		if err != nil || string(text) != "x"+test.text {
			t.Errorf("%+v: %s, %v\nwant %s", test.frame, text, err, test.text)
		}
		back, err := c.ParseText([]byte(test.text))
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if back.Flags&protocol.FlagJSON != 0 {
			if text, err = c.AppendText(nil, back, test.direction); err != nil || string(text) != test.text {
				t.Errorf("%s becomes %s, %v", test.text, text, err)
			}
			back.Payload, err = c.FromJSON(nil, back, test.direction)
			back.Flags &^= protocol.FlagJSON
		}
		if test.frame.Payload == nil && len(back.Payload) == 0 {
			back.Payload = nil
		}
		if err != nil || !reflect.DeepEqual(back, test.frame) {
			t.Errorf("%s is %+v, %v\nwant %+v", test.text, back, err, test.frame)
		}
	}
}

func TestTextHasSpellings(t *testing.T) {
	c := plains(t)
	for text, want := range map[string]protocol.Frame{
		" {\n \"d\" : { \"seq\" : 7 } , \"r\" : 64 , \"t\" : \"push\" } ": {Type: protocol.TypePush, Flags: protocol.FlagJSON, Route: 64, Payload: []byte(`{ "seq" : 7 }`)},
		`{"t":"push","r":"plains.v1.\u006dove"}`:                          {Type: protocol.TypePush, Flags: protocol.FlagJSON, Route: 64, Payload: []byte("{}")},
		`{"t":"req","r":999}`:                                             {Type: protocol.TypeRequest, Flags: protocol.FlagJSON, Route: 999, Payload: []byte("{}")},
		`{"t":"ctrl","r":1}`:                                              {Type: protocol.TypeControl, Route: 1, Payload: make([]byte, 8)},
		`{"t":"ctrl","r":"ping","d":{"client":5}}`:                        {Type: protocol.TypeControl, Route: 1, Payload: []byte{5, 0, 0, 0, 0, 0, 0, 0}},
		`{"t":"ctrl","r":"bye","d":{}}`:                                   {Type: protocol.TypeControl, Route: 6},
	} {
		if got, err := c.ParseText([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v\nwant %+v", text, got, err, want)
		}
	}
}

func TestTextThatIsNoFrameIsExplained(t *testing.T) {
	c := plains(t)
	for text, says := range map[string]string{
		``:                                  "line 1:1: an object is expected",
		`[]`:                                "an object is expected",
		`{"t":"push","r":64`:                "line 1:19: a comma or } is expected",
		`{}`:                                `t is "": need push, req, resp, err, ctrl or ack`,
		`{"t":"state"}`:                     `t is "state"`,
		`{"t":1}`:                           "line 1:6: member t: need a text in quotes",
		`{"t":"push"}`:                      "push without r",
		`{"t":"push","r":"nowhere"}`:        `there is no route "nowhere"`,
		`{"t":"ctrl","r":"nowhere"}`:        `there is no control route "nowhere"`,
		`{"t":"ctrl","r":""}`:               `there is no control route ""`,
		`{"t":"push","r":65536}`:            "r is 65536",
		`{"t":"push","r":null}`:             "r is null",
		`{"t":"push","r":64,"i":1}`:         "push with i",
		`{"t":"req","r":32,"i":1,"q":2}`:    "req with q",
		`{"t":"req","r":32,"i":4294967296}`: "member i: 4294967296 is no whole number",
		`{"t":"req","r":32,"i":-1}`:         "member i",
		`{"t":"req","r":32,"i":"1"}`:        "member i",
		`{"t":"ack"}`:                       "ack without q",
		`{"t":"ack","q":1,"r":64}`:          "ack with r",
		`{"t":"ack","q":1,"d":{}}`:          "ack with d",
		`{"t":"ack","q":1,"q":2}`:           `line 1:18: member "q" is there twice`,
		`{"t":"ack","q":1,"x":2}`:           `line 1:22: member "x" is none of t, r, i, q and d`,
		`{"t":"ctrl","r":"echo","d":{"processed":65536}}`:       "processed is 65536",
		`{"t":"ctrl","r":"ping","d":{"clent":1}}`:               `ping has no member "clent"`,
		`{"t":"ctrl","r":"ping","d":{"client":-1}}`:             `in d of ping, line 1:11: "client" is -1`,
		`{"t":"ctrl","r":"ping","d":[]}`:                        "in d of ping",
		`{"t":"ctrl","r":"bye","d":{"a":1}}`:                    `bye has no member "a"`,
		`{"t":"push","r":64,"d":` + strings.Repeat("[", 10_000): "more than 64",
	} {
		if f, err := c.ParseText([]byte(text)); err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "parse frame: ") || f.Payload != nil {
			t.Errorf("%.60s: %+v, %v\nwant %s", text, f, err, says)
		}
	}
}

func TestFramesWithoutTextAreRefused(t *testing.T) {
	c := plains(t)
	for _, f := range []protocol.Frame{
		{Type: protocol.TypeState}, {Type: 7},
		{Type: protocol.TypePush, Route: 64, Payload: []byte{0xff}},
		{Type: protocol.TypePush, Route: 999},
		{Type: protocol.TypePush, Route: 64, Flags: protocol.FlagJSON, Payload: []byte(`{}}`)},
		{Type: protocol.TypeControl, Route: protocol.RoutePing, Payload: make([]byte, 7)},
		{Type: protocol.TypeControl, Route: protocol.RouteBye, Payload: make([]byte, 1)},
	} {
		if text, err := c.AppendText([]byte("x"), f, protocol.ClientToServer); err == nil || string(text) != "x" {
			t.Errorf("%+v: %s, %v", f, text, err)
		}
	}
}

func FuzzParseText(f *testing.F) {
	for _, text := range []string{
		`{"t":"push","r":"plains.v1.move","d":{"seq":7}}`, `{"t":"req","r":32,"i":4,"d":{}}`, `{"t":"err","r":40000,"i":4,"q":9,"d":{"code":1}}`, `{"t":"ack","q":12}`,
		`{"t":"ctrl","r":"pong","d":{"client":"5","server":6}}`, `{"t":"ctrl","r":"queue","d":{"position":1}}`, `{"t":"ctrl","r":"bye"}`,
	} {
		f.Add([]byte(text))
	}
	c := plains(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := c.ParseText(b)
		if err != nil {
			return
		}
		if again, rest, err := protocol.Next(protocol.AppendFrame(nil, frame)); err != nil || len(rest) > 0 || again.Route != frame.Route || !bytes.Equal(again.Payload, frame.Payload) {
			t.Fatalf("%q is no frame: %+v, %v", b, frame, err)
		}
		text, err := c.AppendText(nil, frame, protocol.ClientToServer)
		if err != nil {
			t.Fatalf("%q has no text: %v", b, err)
		}
		if again, err := c.ParseText(text); err != nil || !reflect.DeepEqual(again, frame) && len(again.Payload)+len(frame.Payload) > 0 {
			t.Fatalf("%q becomes %q: %+v, %v", b, text, again, err)
		}
	})
}

func FuzzFromJSON(f *testing.F) {
	c, all := sink(f)
	for i, text := range []string{`{"seq":7}`, `{"text":"a","to":[1,2]}`, `{"code":5,"message":"m","retryAfterMs":1e3}`, `{"a":{"b":["NaN",1.5,-0.0,"Infinity"]}}`, `{}`} {
		f.Add(uint8(i), []byte(text))
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		k := all[int(which)%len(all)]
		k.frame.Payload = b
		out, err := c.FromJSON(nil, k.frame, k.direction)
		if err != nil {
			mustExplain(t, err)
			return
		}
		k.frame.Payload = out
		text, err := c.ToJSON(nil, k.frame, k.direction)
		if err != nil {
			mustExplain(t, err)
			return
		}
		k.frame.Payload = text
		if again, err := c.FromJSON(nil, k.frame, k.direction); err != nil || !bytes.Equal(again, out) {
			t.Fatalf("%s: %q is %x, its JSON %q is %x (%v)", k.message.Descriptor().FullName(), b, out, text, again, err)
		}
	})
}

func FuzzToJSON(f *testing.F) {
	c, all := sink(f)
	chance := rand.New(rand.NewPCG(5, 6))
	for i, k := range all {
		m := k.message.New()
		fill(m, chance, 3)
		f.Add(uint8(i), canonical(f, m.Interface()))
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		k := all[int(which)%len(all)]
		k.frame.Payload = b
		text, err := c.ToJSON(nil, k.frame, k.direction)
		if err != nil {
			mustExplain(t, err)
			return
		}
		k.frame.Payload = text
		again, err := c.FromJSON(nil, k.frame, k.direction)
		if err != nil {
			mustExplain(t, err)
			return
		}
		k.frame.Payload = again
		if back, err := c.ToJSON(nil, k.frame, k.direction); err != nil || !bytes.Equal(back, text) {
			t.Fatalf("%s: %x is %q, and %q by way of %x (%v)", k.message.Descriptor().FullName(), b, text, back, again, err)
		}
	})
}

// sink is the converter of the sample game with the most kinds of fields, and its frames.
func sink(t testing.TB) (*protocol.Converter, []kind) {
	t.Helper()
	list := routesOf(games()["sink"])
	return converterOf(t, list), kindsOf(t, list)
}

func mustExplain(t *testing.T, err error) {
	t.Helper()
	var fault *protocol.ConvertError
	if !errors.As(err, &fault) || fault.Code == protocol.ErrorNone || len(err.Error()) > 400 {
		t.Fatalf("%v", err)
	}
}

func ExampleConverter_ParseText() {
	routes := protocol.FrameworkRoutes()
	descriptors, err := protocol.Descriptors(routes)
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
	f, err := c.ParseText([]byte(`{"t":"req","r":"login","i":1,"d":{"token":"dev:alice"}}`))
	fmt.Println(f.Type, f.Route, f.ID, string(f.Payload), err)
	text, err := c.AppendText(nil, protocol.Frame{Type: protocol.TypeAck, Seq: 12}, protocol.ClientToServer)
	fmt.Println(string(text), err)
	// Output:
	// request 32 1 {"token":"dev:alice"} <nil>
	// {"t":"ack","q":12} <nil>
}
