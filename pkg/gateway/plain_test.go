package gateway

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

const (
	routeSay    uint16 = 100 // push, both ways
	routeAsk    uint16 = 101 // request
	routeNobody uint16 = 102 // push whose message nobody named
)

func sampleConverter(t testing.TB) *protocol.Converter {
	t.Helper()
	routes := append(protocol.FrameworkRoutes(),
		protocol.Route{ID: routeSay, Name: "say", Kind: protocol.Push, Direction: protocol.BothWays, Message: "mmo.v1.Warning"},
		protocol.Route{ID: routeAsk, Name: "ask", Kind: protocol.Request, Direction: protocol.ClientToServer, Message: "mmo.v1.Warning", Reply: "mmo.v1.Status"},
		protocol.Route{ID: routeNobody, Name: "nobody", Kind: protocol.Push, Direction: protocol.ServerToClient},
	)
	descriptors, err := protocol.Descriptors(routes)
	if err != nil {
		t.Fatal(err)
	}
	table, err := protocol.NewRoutes(routes...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := protocol.NewConverter(table, descriptors)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wire(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// spoken are frames of a server, and the texts that a development client sees.
func spoken(t testing.TB) (frames []protocol.Frame, want []string) {
	warning, status := wire(t, &mmov1.Warning{Code: 5, Message: "slow"}), wire(t, &mmov1.Status{TickOverruns: 3})
	failure := wire(t, &mmov1.Error{Code: 4, Message: "no frame"})
	pong := make([]byte, protocol.PongSize)
	frames = []protocol.Frame{
		{Type: protocol.TypePush, Flags: protocol.FlagREL, Route: routeSay, Seq: 12, Payload: warning},
		{Type: protocol.TypeState, Payload: []byte{1, 2, 3}},
		{Type: protocol.TypeResponse, Flags: protocol.FlagREL, Route: routeAsk, ID: 7, Seq: 13, Payload: status},
		{Type: protocol.TypeError, Route: 0, Payload: failure},
		{Type: protocol.TypeControl, Route: protocol.RouteWarning, Payload: warning},
		{Type: protocol.TypeControl, Route: protocol.RoutePong, Payload: pong},
		{Type: protocol.TypePush, Flags: protocol.FlagJSON, Route: routeSay, Payload: []byte(`{"code":9}`)},
	}
	want = []string{
		`{"t":"push","r":"say","q":12,"d":{"code":5,"message":"slow"}}`,
		`{"t":"resp","r":"ask","i":7,"q":13,"d":{"tickOverruns":"3"}}`,
		`{"t":"err","r":0,"d":{"code":4,"message":"no frame"}}`,
		`{"t":"ctrl","r":"warning","d":{"code":5,"message":"slow"}}`,
		`{"t":"ctrl","r":"pong","d":{"client":"0","server":"0"}}`,
		`{"t":"push","r":"say","d":{"code":9}}`,
	}
	return frames, want
}

func record(frames ...protocol.Frame) (b []byte) {
	for _, f := range frames {
		b = protocol.AppendFrame(b, f)
	}
	return b
}

// listening collects texts until it is told to be busy.
type listening struct {
	got  []string
	room int // texts until it is busy
}

func (l *listening) send(b []byte) error {
	if l.room == 0 {
		return network.ErrBusy
	}
	l.room--
	l.got = append(l.got, string(b[network.HeaderRoom:]))
	clear(b) // a connection writes its header there, and may write elsewhere too
	return nil
}

func TestRecordBecomesTexts(t *testing.T) {
	c := sampleConverter(t)
	frames, want := spoken(t)
	var out texts
	if err := out.add(c, record(frames...)); err != nil {
		t.Fatal(err)
	}
	l := listening{room: 100}
	if err := out.send(l.send); err != nil || out.waiting() {
		t.Fatalf("sent: %v, waiting %v", err, out.waiting())
	}
	if got := strings.Join(l.got, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("texts\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestTextsWaitForABusyConnection(t *testing.T) {
	c := sampleConverter(t)
	frames, want := spoken(t)
	var out texts
	var l listening
	for range 3 {
		if err := out.add(c, record(frames...)); err != nil {
			t.Fatal(err)
		}
		l.room = 2
		if err := out.send(l.send); !errors.Is(err, network.ErrBusy) || !out.waiting() {
			t.Fatalf("%d sent: %v, waiting %v", len(l.got), err, out.waiting())
		}
	}
	l.room = 100
	if err := out.send(l.send); err != nil || out.waiting() {
		t.Fatalf("at last: %v, waiting %v", err, out.waiting())
	}
	all := strings.Join(append(append(want, want...), want...), "\n")
	if got := strings.Join(l.got, "\n"); got != all {
		t.Errorf("texts\n%s\nwant\n%s", got, all)
	}
}

func TestMistakeOfOursKeepsItsPlaceInText(t *testing.T) {
	c := sampleConverter(t)
	for name, f := range map[string]protocol.Frame{
		"a message that nobody named": {Type: protocol.TypePush, Flags: protocol.FlagREL, Route: routeNobody, Seq: 5, Payload: []byte{8, 1}},
		"a damaged message":           {Type: protocol.TypePush, Flags: protocol.FlagREL, Route: routeSay, Seq: 5, Payload: []byte{0xFF}},
	} {
		var out texts
		if err := out.add(c, record(f)); err == nil {
			t.Errorf("%s: nothing to log", name)
		}
		l := listening{room: 1}
		if err := out.send(l.send); err != nil {
			t.Fatal(err)
		}
		if len(l.got) != 1 || !strings.Contains(l.got[0], `"q":5,"d":null`) {
			t.Errorf("%s: %q", name, l.got)
		}
	}
}

func TestClientsJSONBecomesAMessage(t *testing.T) {
	c := sampleConverter(t)
	var scratch []byte
	for _, text := range []string{
		`{"t":"push","r":"say","d":{"code":5,"message":"slow"}}`, `{"t":"req","r":101,"i":7,"d":{"message":"slow","code":5}}`,
	} {
		f, err := c.ParseText([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if f, scratch, err = fromJSON(c, scratch, f); err != nil {
			t.Fatal(err)
		}
		var m mmov1.Warning
		if err := proto.Unmarshal(f.Payload, &m); err != nil || m.Code != 5 || m.Message != "slow" || f.Flags != 0 {
			t.Errorf("%s: %v, %v, flags %v", text, &m, err, f.Flags)
		}
	}
	same := protocol.Frame{Type: protocol.TypePush, Route: routeSay, Payload: []byte("as it is")}
	if f, _, err := fromJSON(c, nil, same); err != nil || string(f.Payload) != "as it is" {
		t.Errorf("a frame without JSON: %q, %v", f.Payload, err)
	}
	var fault *protocol.ConvertError
	bad := protocol.Frame{Type: protocol.TypePush, Flags: protocol.FlagJSON, Route: routeSay, Payload: []byte(`{"colour":1}`)}
	if _, _, err := fromJSON(c, scratch, bad); !errors.As(err, &fault) || fault.Code != protocol.ErrorMalformed {
		t.Errorf("an unknown field: %v", err)
	}
}

func TestFramesForAJSONConnectionCarryJSON(t *testing.T) {
	c := sampleConverter(t)
	frames, _ := spoken(t)
	var scratch, out []byte
	for _, f := range frames {
		var err error
		if out, scratch, err = appendJSON(c, out[:0], scratch, f, 64<<10); err != nil {
			t.Fatal(err)
		}
		got, rest, err := protocol.Next(out)
		if err != nil || len(rest) > 0 {
			t.Fatalf("%v of route %d: %v, %d bytes left", f.Type, f.Route, err, len(rest))
		}
		json := got.Flags&protocol.FlagJSON != 0
		if json != isMessage(f) || got.Seq != f.Seq || got.ID != f.ID || got.Route != f.Route {
			t.Errorf("%v of route %d: %+v", f.Type, f.Route, got)
		}
		if json && got.Payload[0] != '{' || !json && string(got.Payload) != string(f.Payload) {
			t.Errorf("%v of route %d: payload %q", f.Type, f.Route, got.Payload)
		}
	}
}

func TestFrameThatCannotBeJSONGoesAsItIs(t *testing.T) {
	c := sampleConverter(t)
	long := protocol.Frame{Type: protocol.TypePush, Flags: protocol.FlagREL, Route: routeSay, Seq: 8, Payload: wire(t, &mmov1.Warning{Message: strings.Repeat("\x01", 100)})}
	damaged := protocol.Frame{Type: protocol.TypePush, Flags: protocol.FlagREL, Route: routeSay, Seq: 8, Payload: []byte{0xFF}}
	for _, f := range []protocol.Frame{long, damaged} {
		out, _, err := appendJSON(c, nil, nil, f, 200)
		if err == nil {
			t.Error("nothing to log")
		}
		if string(out) != string(record(f)) {
			t.Errorf("%q, want the frame as it is", out)
		}
	}
}
