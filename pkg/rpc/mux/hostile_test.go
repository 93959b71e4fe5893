package mux

import (
	"context"
	"encoding/binary"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// raw is an end that sends whatever frames it likes.
func raw(t testing.TB, h methods, lanes int) (*memory, *Conn) {
	t.Helper()
	a, b := newMemory(lanes, 33<<10)
	started := make(chan *Conn, 1)
	go func() {
		c, err := Start(b, Config{Handler: h, Codecs: []Codec{bytesCodec{}}, MaxMessage: 100_000, Window: 1000})
		if err != nil {
			t.Error(err)
		}
		started <- c
	}()
	own := hello{version: version, window: 1000, message: 1 << 20, codecs: []string{"bytes"}}
	put(a, 0, header{typ: typeHello}, own.append(nil))
	first, err := a.lanes[0].Receive()
	if err != nil {
		t.Fatal(err)
	}
	_, body, _, _ := cut(first)
	theirs, err := parseHello(body)
	if err != nil {
		t.Fatal(err)
	}
	a.lanes[0].Release()
	put(a, 0, header{typ: typeWelcome}, proof(nil, true, own.nonce, theirs.nonce))
	c := <-started
	t.Cleanup(func() { _ = c.Close() })
	return a, c
}

func put(m *memory, lane int, h header, body []byte) {
	l := m.lanes[lane]
	l.Lock()
	defer l.Unlock()
	b, err := l.Reserve(headerSize + len(body))
	if err != nil {
		return
	}
	h.size = uint32(len(b))
	h.put(b)
	copy(b[headerSize:], body)
	_ = l.Flush()
}

func withExt(e extension, body []byte) []byte { return append(e.append(nil), body...) }

func size(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

func TestHostileFramesEndTheConnectionWithAReason(t *testing.T) {
	name := extension{method: "echo"}
	for what, tt := range map[string]struct {
		lane   int
		frames []header
		bodies [][]byte
		want   string
	}{
		"unknown type":           {0, []header{{typ: 99}}, [][]byte{nil}, "type 99"},
		"type 0":                 {0, []header{{}}, [][]byte{nil}, "type 0"},
		"second hello":           {0, []header{{typ: typeHello}}, [][]byte{(&hello{version: version}).append(nil)}, "second hello"},
		"second welcome":         {0, []header{{typ: typeWelcome}}, [][]byte{nil}, "second welcome"},
		"hello on a bulk lane":   {1, []header{{typ: typeHello}}, [][]byte{nil}, "bulk lane"},
		"unknown number":         {0, []header{{typ: typeCall, method: 7}}, [][]byte{nil}, "method number 7 of 0"},
		"number out of turn":     {0, []header{{typ: typeCall, flags: flagExt, method: 7}}, [][]byte{withExt(name, nil)}, "method number 7 after 0"},
		"no method":              {0, []header{{typ: typeCall}}, [][]byte{nil}, "method number 0"},
		"extension too short":    {0, []header{{typ: typeCall, flags: flagExt}}, [][]byte{{1}}, "no room"},
		"extension too long":     {0, []header{{typ: typeCall, flags: flagExt}}, [][]byte{{255, 255, 0}}, "extension of 65535"},
		"extension entry cut":    {0, []header{{typ: typeCall, flags: flagExt}}, [][]byte{{2, 0, 1, 5}}, "within an entry"},
		"entry beyond extension": {0, []header{{typ: typeCall, flags: flagExt}}, [][]byte{{4, 0, 1, 5, 0, 1}}, "entry of 5"},
		"value before key":       {0, []header{{typ: typeCall, flags: flagExt}}, [][]byte{{3, 0, extValue, 0, 0}}, "out of order"},
		"key without value":      {0, []header{{typ: typeCall, flags: flagExt}}, [][]byte{{3, 0, extKey, 0, 0}}, "without a value"},
		"oversized":              {0, []header{{typ: typeCall, flags: flagExt | flagLarge}}, [][]byte{withExt(name, size(100_001))}, "100001 bytes, 100000 are allowed"},
		"part of nothing":        {0, []header{{typ: typeMore, arg: typeCall}}, [][]byte{{1}}, "belongs to nothing"},
		"large without size":     {0, []header{{typ: typeCall, flags: flagExt | flagLarge}}, [][]byte{withExt(name, []byte{1})}, "no size"},
		"large ping":             {0, []header{{typ: typePing, flags: flagLarge}}, [][]byte{size(50)}, "in parts"},
		"large within large": {0, []header{{typ: typeCall, flags: flagExt | flagLarge}, {typ: typeCall, flags: flagExt | flagLarge}},
			[][]byte{withExt(name, size(50)), withExt(name, size(50))}, "within another"},
		"more than announced": {0, []header{{typ: typeCall, flags: flagExt | flagLarge}, {typ: typeMore, arg: typeCall}},
			[][]byte{withExt(name, size(50)), make([]byte, 51)}, "belongs to nothing"},
		"stream twice": {0, []header{{typ: typeOpen, flags: flagExt, id: 5}, {typ: typeOpen, flags: flagExt, id: 5}},
			[][]byte{withExt(extension{method: "hang"}, nil), withExt(extension{method: "hang"}, nil)}, "open already"},
	} {
		t.Run(what, func(t *testing.T) {
			hang := &Method{Name: "hang", Stream: func(ctx context.Context, _ *Stream) error { <-ctx.Done(); return nil }}
			m, c := raw(t, methods{"echo": echo(true), "hang": hang}, 2)
			for i, h := range tt.frames {
				put(m, tt.lane, h, tt.bodies[i])
			}
			<-c.Done()
			if !strings.Contains(c.Err().Error(), tt.want) {
				t.Errorf("ended with %v", c.Err())
			}
		})
	}
}

func TestStreamBeyondItsCreditEndsTheConnection(t *testing.T) {
	m, c := raw(t, methods{"hang": {Name: "hang", Stream: func(ctx context.Context, _ *Stream) error { <-ctx.Done(); return nil }}}, 1)
	put(m, 0, header{typ: typeOpen, flags: flagExt, id: 5}, withExt(extension{method: "hang"}, nil))
	for range 12 {
		put(m, 0, header{typ: typeData, id: 5}, make([]byte, 30_000))
	}
	<-c.Done()
	if !strings.Contains(c.Err().Error(), "beyond its credit") {
		t.Errorf("ended with %v", c.Err())
	}
}

func TestStrayFramesAreIgnored(t *testing.T) {
	m, c := raw(t, methods{"echo": echo(true)}, 1)
	for _, typ := range []uint8{typeReply, typeError, typeData, typeEnd, typeCredit, typeCancel, typePong, typePad} {
		for _, flags := range []uint8{0, flagAnswer, flagNever} {
			put(m, 0, header{typ: typ, flags: flags, id: math.MaxUint32, arg: math.MaxUint32}, []byte{1, 2, 3})
		}
	}
	put(m, 0, header{typ: typePing}, nil)
	l := m.lanes[0]
	for seen := false; !seen; {
		b, err := l.Receive()
		if err != nil {
			t.Fatalf("%v: %v", err, c.Err())
		}
		for len(b) > 0 {
			h, _, rest, _ := cut(b)
			seen = seen || h.typ == typePong
			b = rest
		}
		l.Release()
	}
}

func TestAnotherVersionIsNamed(t *testing.T) {
	a, b := newMemory(1, 33<<10)
	h := hello{version: 9}
	put(a, 0, header{typ: typeHello}, h.append(nil))
	if _, err := Start(b, Config{}); err == nil || !strings.Contains(err.Error(), "version 9, this end version 1") {
		t.Errorf("%v", err)
	}
	a, b = newMemory(1, 33<<10)
	put(a, 0, header{typ: typeHello}, []byte("GET / HTTP/1.1\r\nHost: example\r\n"))
	if _, err := Start(b, Config{}); err == nil || !strings.Contains(err.Error(), "does not speak this protocol") {
		t.Errorf("%v", err)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		c, s := pair(t, methods{"echo": echo(false)}, nil, 3, 33<<10)
		for range 10 {
			if _, err := ask(c, "echo", []byte("x"), info()); err != nil {
				t.Fatal(err)
			}
		}
		_ = c.Close()
		_ = s.Close()
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines before, %d after\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
		}
	}
}

func FuzzFrames(f *testing.F) {
	h := hello{Hello: Hello{Instance: "x", Services: []string{"a"}}, version: version, codecs: []string{"bytes"}}
	f.Add(h.append(nil))
	f.Add(withExt(extension{method: "echo", metadata: []string{"a", "b"}}, []byte("payload")))
	f.Add([]byte{16, 0, 0, 0, typePing, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0})
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = parseHello(b)
		_, _, _ = parseExt(b)
		_, _, _, _ = cut(b)
	})
}

// FuzzConversation feeds a served connection with frames made from the input: whatever it does, it must neither panic nor hang.
func FuzzConversation(f *testing.F) {
	f.Add([]byte{typeCall, flagExt, 1, 5, 3, 0, 0, 0, typeOpen, flagExt, 2, 1, typeData, 0, 0, 9})
	f.Add([]byte{typeCall, flagExt | flagLarge, 1, 40, typeMore, 0, 1, 40})
	f.Fuzz(func(t *testing.T, b []byte) {
		h := methods{"echo": echo(true), "hang": {Name: "hang", Stream: func(ctx context.Context, s *Stream) error { var b []byte; return s.Recv(&b) }}}
		m, c := raw(t, h, 1)
		for len(b) >= 4 && c.Err() == nil {
			hd := header{typ: b[0], flags: b[1], id: uint32(b[2] & 3), arg: uint32(b[2]), method: uint16(b[2] >> 4)}
			body := b[4:min(len(b), 4+int(b[3]))]
			switch b[2] >> 6 {
			case 1:
				body = withExt(extension{method: "echo"}, body)
			case 2:
				body = withExt(extension{method: "hang"}, body)
			case 3:
				body = append(size(uint32(b[3])), body...)
			}
			put(m, 0, hd, body)
			b = b[min(len(b), 4+int(b[3])):]
		}
		_ = c.Close()
	})
}

var _ transport.Conn = (*memory)(nil)
