package protocol_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	_ "google.golang.org/protobuf/types/known/structpb" // a message that holds itself

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// What hostile clients send, a test each. The bytes of a record are theirs; that it was sealed says only who sent it.

// refusedWith fails unless Next refuses b with want.
func refusedWith(t *testing.T, b []byte, want error) {
	t.Helper()
	var fault *protocol.FrameError
	if _, _, err := protocol.Next(b); !errors.Is(err, want) || !errors.As(err, &fault) || fault.Offset > len(b) {
		t.Errorf("% x: %v, want %v", b[:min(len(b), 20)], err, want)
	}
}

func TestFaultOverlongVarints(t *testing.T) {
	for _, head := range [][]byte{{0}, {1, 64}, {8, 64}, {4}, {0, 64}, {6}} { // before a route, an id, two sequences, two lengths
		for n := 6; n <= 11; n++ {
			refusedWith(t, append(append(bytes.Clone(head), bytes.Repeat([]byte{0x80}, n-1)...), 0), protocol.ErrVarint)
			refusedWith(t, append(bytes.Clone(head), bytes.Repeat([]byte{0xff}, n)...), protocol.ErrVarint)
		}
		refusedWith(t, append(bytes.Clone(head), 0xff, 0xff, 0xff, 0xff, 0x10), protocol.ErrVarint) // 2^32
	}
}

func TestFaultLengthAboveWhatRemains(t *testing.T) {
	for _, length := range [][]byte{{2}, {0x7f}, {0xff, 0xff, 0x03}, {0xff, 0xff, 0xff, 0xff, 0x07}, {0xff, 0xff, 0xff, 0xff, 0x0f}} {
		refusedWith(t, append(append([]byte{0, 64}, length...), 0), protocol.ErrTruncated)
	}
}

func TestFaultReservedBits(t *testing.T) {
	for head := range 256 {
		kind, flags := protocol.FrameType(head&7), protocol.Flags(head&^7)
		rel := kind == protocol.TypePush || kind == protocol.TypeResponse || kind == protocol.TypeError
		inJSON := rel || kind == protocol.TypeRequest || kind == protocol.TypeControl
		legal := kind < 7 && flags&^(protocol.FlagREL|protocol.FlagJSON) == 0 && (flags&protocol.FlagREL == 0 || rel) && (flags&protocol.FlagJSON == 0 || inJSON)
		_, _, err := protocol.Next([]byte{byte(head), 1, 1, 0, 0, 0, 0, 0})
		if legal != (err == nil) || err != nil && !errors.Is(err, protocol.ErrReserved) {
			t.Errorf("head %#x: %v, legal %t", head, err, legal)
		}
	}
}

func TestFaultCompressedPayload(t *testing.T) {
	refusedWith(t, []byte{byte(protocol.TypePush) | byte(protocol.FlagCMP), 64, 1, 0}, protocol.ErrReserved) // no bomb goes off that is not unpacked
}

func TestFaultRoutes(t *testing.T) {
	routes := tableOf(t, append(protocol.FrameworkRoutes(),
		protocol.Route{ID: 64, Name: "up", Kind: protocol.Push, Direction: protocol.ClientToServer, States: protocol.Playing},
		protocol.Route{ID: 65, Name: "down", Kind: protocol.Push, Direction: protocol.ServerToClient}))
	for _, test := range []struct {
		name  string
		route uint16
		state protocol.States
		want  protocol.ErrorCode
	}{
		{"route 0", 0, protocol.Playing, protocol.ErrorUnknownRoute},
		{"unknown, between", 40, protocol.Playing, protocol.ErrorUnknownRoute},
		{"unknown, above", 66, protocol.Playing, protocol.ErrorUnknownRoute},
		{"unknown, last", 65535, protocol.Playing, protocol.ErrorUnknownRoute},
		{"wrong direction", 65, protocol.Playing, protocol.ErrorUnknownRoute},
		{"before login", 64, protocol.Secured, protocol.ErrorWrongState},
		{"in the queue", 64, protocol.Authenticated, protocol.ErrorWrongState},
		{"allowed", 64, protocol.Playing, protocol.ErrorNone},
	} {
		if got := routes.Check(protocol.Frame{Type: protocol.TypePush, Route: test.route}, test.state, protocol.ClientToServer); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// malformed fails unless the converter refuses JSON of a push with words that say what and where.
func malformed(t *testing.T, c *protocol.Converter, route uint16, text string, says ...string) {
	t.Helper()
	_, err := c.FromJSON(nil, protocol.Frame{Type: protocol.TypePush, Route: route, Payload: []byte(text)}, protocol.ClientToServer)
	var fault *protocol.ConvertError
	if !errors.As(err, &fault) || fault.Code != protocol.ErrorMalformed || fault.Message == "" {
		t.Errorf("%.60s: %v, want malformed", text, err)
		return
	}
	for _, word := range append(says, "line ") {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%.60s: %q lacks %q", text, err, word)
		}
	}
	if len(err.Error()) > 300 || strings.Contains(err.Error(), "\u00a0") || strings.Contains(err.Error(), "proto:") {
		t.Errorf("%.60s: badly worded: %q", text, err)
	}
}

func TestFaultDeepJSON(t *testing.T) {
	c := plains(t)
	for text, where := range map[string]string{
		strings.Repeat("[", 1000):            "line 1:65",
		strings.Repeat(`{"a":`, 300):         "line 1:321",
		`{"seq":` + strings.Repeat("[", 800): "line 1:71",
	} {
		malformed(t, c, 64, text, where, "more than 64 objects and arrays")
	}
	wide := converterOf(t, []protocol.Route{{ID: 64, Name: "a", Kind: protocol.Push, Direction: protocol.ClientToServer, MaxBytes: protocol.MaxRouteBytes, Message: "plains.v1.Move"}})
	malformed(t, wide, 64, strings.Repeat("[", 10_000), "line 1:65")
	malformed(t, wide, 64, strings.Repeat(`{"a":`, 10_000), "line 1:321")
}

func TestFaultHugeNumbersInJSON(t *testing.T) {
	c := plains(t)
	for text, says := range map[string]string{
		`{"seq":4294967296}`:                         "seq",
		`{"seq":-1}`:                                 "seq",
		`{"vx":2147483648}`:                          "vx",
		`{"seq":1e99}`:                               "seq",
		`{"seq":1e2147483648}`:                       "seq",
		`{"seq":0.5}`:                                "seq",
		`{"seq":"18446744073709551616"}`:             "seq",
		`{"seq":` + strings.Repeat("9", 1000) + `}`:  `"seq": a number of 1000 digits`,
		`{"seq":1e-` + strings.Repeat("9", 60) + `}`: "seq",
		`{"seq":"` + strings.Repeat("9", 1000) + `"`: "line 1:1010",
	} {
		malformed(t, c, 64, text, says)
	}
}

func TestFaultNaNInJSON(t *testing.T) {
	c := plains(t)
	for _, text := range []string{`{"seq":NaN}`, `{"seq":Infinity}`, `{"seq":-Infinity}`} {
		malformed(t, c, 64, text, `line 1:8: "seq": `, "is no JSON: write")
	}
	malformed(t, c, 64, `{"seq":"NaN"}`, "line 1:8", "seq") // a float may say so, nothing else
}

func TestFaultDuplicateKeysInJSON(t *testing.T) {
	c := plains(t)
	malformed(t, c, 64, `{"seq":1,"seq":2}`, "line 1:10", `duplicate field "seq"`)
	sink := converterOf(t, append(routesOf(games()["plains"])[:0:0], protocol.Route{ID: 64, Name: "a", Kind: protocol.Push, Direction: protocol.ClientToServer, Message: "mmo.v1.Ticket"}))
	malformed(t, sink, 64, `{"lingerMs":1,"linger_ms":2}`, "line 1:15", `duplicate field "linger_ms"`) // two spellings of one name
	malformed(t, sink, 64, `{"lingerMs":1,"\u006cingerMs":2}`, "line 1:15", "duplicate field")
}

func TestFaultUnknownFieldsInJSON(t *testing.T) {
	c := plains(t)
	malformed(t, c, 64, `{"seq":1,"colour":2}`, "line 1:10", `unknown field "colour"`)
	malformed(t, c, 64, `{"Seq":1}`, "line 1:2", `unknown field "Seq"`)
	malformed(t, c, 64, `{"`+strings.Repeat("天", 200)+`":1}`, "line 1:2", "…")
}

func TestFaultWrongTypesInJSON(t *testing.T) {
	c := plains(t)
	for text, says := range map[string]string{
		`{"seq":true}`: "seq", `{"seq":[]}`: "seq", `{"seq":{}}`: "seq", `{"seq":"x"}`: "seq", `[]`: "line 1:1", `1`: "line 1:1", `"a"`: "line 1:1", ``: "line 1:1", `null`: "line 1:1",
		"{\"seq\":\"\xff\"}": "invalid UTF-8", `{"seq":"\ud800"}`: "line 1:9",
	} {
		malformed(t, c, 64, text, says)
	}
}

// nested is a message of n levels within each other through field 1.
func nested(n int) (b []byte) {
	for range n {
		b = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), b)
	}
	return b
}

func TestFaultProtobufRecursion(t *testing.T) {
	list := []protocol.Route{
		{ID: 64, Name: "deep", Kind: protocol.Push, Direction: protocol.ClientToServer, MaxBytes: protocol.MaxRouteBytes, Message: "google.protobuf.Value"},
		{ID: 65, Name: "flat", Kind: protocol.Push, Direction: protocol.ClientToServer, MaxBytes: protocol.MaxRouteBytes, Message: "plains.v1.Move"},
	}
	c := converterOf(t, list)
	value := []byte{0x08, 0} // Value{null_value}
	for len(value) < 20_000 {
		value = protowire.AppendBytes([]byte{0x0a}, value) // ListValue{values: value}
		value = protowire.AppendBytes([]byte{0x32}, value) // Value{list_value: it}
	}
	var fault *protocol.ConvertError
	if _, err := c.ToJSON(nil, protocol.Frame{Type: protocol.TypePush, Route: 64, Payload: value}, protocol.ClientToServer); !errors.As(err, &fault) || fault.Code != protocol.ErrorMalformed {
		t.Errorf("%d bytes of lists in lists: %v", len(value), err)
	}
	// Field 1 is a uint32 there: what is nested in it is unknown, and not looked into.
	if text, err := c.ToJSON(nil, protocol.Frame{Type: protocol.TypePush, Route: 65, Payload: nested(10_000)}, protocol.ClientToServer); err != nil || string(text) != "{}" {
		t.Errorf("messages where a number belongs: %s, %v", text, err)
	}
}

func TestFaultUnknownGroups(t *testing.T) {
	c := converterOf(t, []protocol.Route{{ID: 64, Name: "a", Kind: protocol.Push, Direction: protocol.ClientToServer, MaxBytes: protocol.MaxRouteBytes, Message: "plains.v1.Move"}})
	group := func(open, end int) []byte {
		return append(bytes.Repeat([]byte{100<<3&0x7f | 3 | 0x80, 100 >> 4}, open), bytes.Repeat([]byte{100<<3&0x7f | 4 | 0x80, 100 >> 4}, end)...)
	}
	for name, test := range map[string]struct {
		payload []byte
		good    bool
	}{
		"one":              {group(1, 1), true},
		"never closed":     {group(1, 0), false},
		"never opened":     {group(0, 1), false},
		"15,000 deep":      {group(15_000, 15_000), false},
		"15,000 unclosed":  {group(15_000, 0), false},
		"closed by others": {[]byte{100<<3&0x7f | 3 | 0x80, 100 >> 4, 101<<3&0x7f | 4 | 0x80, 101 >> 4}, false},
	} {
		text, err := c.ToJSON(nil, protocol.Frame{Type: protocol.TypePush, Route: 64, Payload: test.payload}, protocol.ClientToServer)
		if test.good != (err == nil) || err == nil && string(text) != "{}" {
			t.Errorf("%s: %.40s, %.100v", name, text, err)
		}
	}
}

// frames counts the frames of a record, as a receiver goes through it.
func frames(t *testing.T, record []byte) (n int) {
	t.Helper()
	for len(record) > 0 {
		_, rest, err := protocol.Next(record)
		if err != nil {
			t.Fatal(err)
		}
		record = rest
		n++
	}
	return n
}

func TestFaultTenThousandFramesInARecord(t *testing.T) {
	var record []byte
	for range 10_000 {
		record = protocol.AppendPush(record, 64, []byte{8, 1})
	}
	if n := frames(t, record); n != 10_000 {
		t.Errorf("%d frames", n)
	}
}

func TestFaultAMillionFramesOfNoLength(t *testing.T) {
	record := bytes.Repeat(protocol.AppendState(nil, nil), 1_000_000) // two bytes are the least that a frame has
	if n := frames(t, record); n != 1_000_000 {
		t.Errorf("%d frames", n)
	}
}
