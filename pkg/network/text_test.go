package network

import (
	"slices"
	"testing"
	"unicode/utf8"
)

// textTable is for connections with Config.Text and a MaxMessage of 1000.
func textTable() []conformance {
	bye, peer := closing(1000, "bye"), &CloseError{Code: 1000, Reason: "bye"}
	good := func(name string, want []string, input ...[]byte) conformance {
		return conformance{name: name, input: join(append(input, bye)...), want: want, cause: peer, code: 1000}
	}
	bad := func(name string, input ...[]byte) conformance {
		return conformance{name: name, input: join(input...), cause: ErrInvalidText, code: CodeInvalidData}
	}
	return []conformance{
		good("text", []string{"天下"}, frame(0x81, "天下")),
		good("empty text", []string{""}, frame(0x81, "")),
		good("text and binary", []string{"a", "\xff", "b"}, frame(0x81, "a"), frame(0x82, "\xff"), frame(0x81, "b")),
		good("character cut by fragments", []string{"天下😀"}, frame(0x01, "\xe5"), frame(0x00, "\xa4"), frame(0x00, ""), frame(0x89, "ping"),
			frame(0x00, "\xa9\xe4\xb8\x8b\xf0\x9f"), frame(0x80, "\x98\x80")),
		good("binary in fragments is not looked at", []string{"\xff\xfe"}, frame(0x02, "\xff"), frame(0x80, "\xfe")),
		good("text after binary in fragments", []string{"\xff\xfe", "é"}, frame(0x02, "\xff"), frame(0x80, "\xfe"), frame(0x01, "\xc3"), frame(0x80, "\xa9")),
		good("texts in fragments, one after the other", []string{"long enough", "é"}, frame(0x01, "long "), frame(0x80, "enough"), frame(0x01, "\xc3"), frame(0x80, "\xa9")),
		{name: "second text in fragments invalid", input: join(frame(0x01, "long "), frame(0x80, "enough"), frame(0x01, "a"), frame(0x80, "\xff")),
			want: []string{"long enough"}, cause: ErrInvalidText, code: CodeInvalidData},
		bad("invalid UTF-8", frame(0x81, "a\xffb")),
		bad("surrogate", frame(0x81, "\xed\xa0\x80")),
		bad("overlong", frame(0x81, "\xc0\xaf")),
		bad("above U+10FFFF", frame(0x81, "\xf4\x90\x80\x80")),
		bad("cut at the end", frame(0x81, "a\xe5\xa4")),
		bad("cut at the end of fragments", frame(0x01, "a"), frame(0x80, "\xe5\xa4")),
		// Nobody waits for the rest of what is wrong already.
		bad("invalid in the first fragment", frame(0x01, "\xff")),
		bad("invalid start of a character", frame(0x01, "\xf4\x90")),
		bad("broken off by the next fragment", frame(0x01, "\xe5\xa4"), frame(0x00, "a")),
		bad("invalid in the middle", frame(0x01, "a"), frame(0x00, "\x80")),
	}
}

func TestTextConformance(t *testing.T) {
	noLeak(t)
	s := newServer(t, Config{MaxMessage: 1000, MaxFragments: 64, Text: true, Pool: new(Pool)})
	for _, tc := range textTable() {
		for _, mode := range []string{"whole", "with the upgrade", "drip"} {
			t.Run(tc.name+"/"+mode, func(t *testing.T) { tc.run(t, s, mode) })
		}
	}
}

func TestTextTellsTheKindOfEachMessage(t *testing.T) {
	cfg := Config{Text: true}
	srv, client := pair(t, cfg, DialConfig{Config: cfg})
	for _, text := range []bool{true, false, false, true} {
		for _, dir := range [][2]*Conn{{srv, client}, {client, srv}} {
			send := dir[0].Send
			if text {
				send = dir[0].SendText
			}
			if err := send(message("hello")); err != nil {
				t.Fatal(err)
			}
			if m, err := dir[1].Next(); string(m) != "hello" || dir[1].Text() != text {
				t.Errorf("%q %v, text %v, want %v", m, err, dir[1].Text(), text)
			}
		}
	}
}

// However a text is cut into fragments, the judgement is that of the whole.
func FuzzText(f *testing.F) {
	f.Add([]byte("天下😀é"), []byte{1, 2, 0, 3})
	f.Add([]byte("a\xed\xa0\x80"), []byte{1, 1})
	f.Add([]byte("\xf0\x9f\x98"), []byte{2})
	f.Fuzz(func(t *testing.T, text, cuts []byte) {
		cfg := Config{Text: true, MaxFragments: 1 << 20, MaxMessage: 1 << 20}
		if err := cfg.validate(); err != nil {
			t.Fatal(err)
		}
		var in []byte
		rest, op := string(text), byte(1)
		for _, cut := range cuts {
			n := min(int(cut), len(rest))
			in = append(in, frame(op, rest[:n])...)
			rest, op = rest[n:], 0
		}
		in = append(in, frame(0x80|op, rest)...)
		c := newConn(&memConn{in: in, chunk: 7}, &cfg, origin{})
		got, err := collect(c)
		if utf8.Valid(text) != slices.Equal(got, []string{string(text)}) {
			t.Errorf("%q came as %q, %v", text, got, err)
		}
		if !utf8.Valid(text) {
			checkCause(t, err, ErrInvalidText)
		}
		_ = c.Close(0, "")
	})
}
