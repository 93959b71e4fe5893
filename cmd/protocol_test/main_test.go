package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

var update = flag.Bool("update", false, "write the transcripts of README.md anew")

// command runs protocol_test with an input and returns what it prints, in order of stream, and its exit code.
func command(in string, args ...string) (out, err string, code int) {
	var o, e bytes.Buffer
	code = run(args, console{strings.NewReader(in), &o, &e})
	return o.String(), e.String(), code
}

// words splits a line as a shell does, as far as this page needs it: at spaces and at bars, outside of single quotes.
func words(line string) (commands [][]string) {
	commands = [][]string{nil}
	word, quoted, there := "", false, false
	end := func() {
		if there {
			last := len(commands) - 1
			commands[last] = append(commands[last], word)
		}
		word, there = "", false
	}
	for _, c := range line {
		switch {
		case c == '\'':
			quoted, there = !quoted, true
		case c == ' ' && !quoted:
			end()
		case c == '|' && !quoted:
			end()
			commands = append(commands, nil)
		default:
			word, there = word+string(c), true
		}
	}
	end()
	return commands
}

// transcript runs a line; last is the exit code of the line before it.
func transcript(t *testing.T, line string, last int) (text string, code int) {
	t.Helper()
	var printed string
	for _, args := range words(line) {
		switch {
		case args[0] == "echo" && args[1] == "$?":
			text = fmt.Sprintln(last)
		case args[0] == "echo":
			text = strings.Join(args[1:], " ") + "\n"
		case args[0] == "protocol_test":
			var faults string
			text, faults, code = command(text, args[1:]...)
			printed += faults
		default:
			t.Fatalf("README.md runs %q", line)
		}
	}
	return text + printed, code
}

func TestTheTranscriptsOfTheReadmeAreTrue(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var have strings.Builder
	inside, code, ran := false, 0, 0
	for line := range strings.Lines(string(page)) {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = strings.TrimSpace(line) == "```console"
		case inside && strings.HasPrefix(line, "$ "):
			have.WriteString(line)
			var text string
			text, code = transcript(t, strings.TrimSpace(line[2:]), code)
			have.WriteString(text)
			ran++
			continue
		case inside:
			continue // what it printed when the page was written
		}
		have.WriteString(line)
	}
	if ran < 15 {
		t.Errorf("only %d commands", ran)
	}
	if *update {
		if err := os.WriteFile("README.md", []byte(have.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := string(page); have.String() != want {
		a, b := strings.Split(have.String(), "\n"), strings.Split(want, "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("line %d: the page says\n%s\nit prints\n%s\nif that is right: go test ./cmd/protocol_test -run Transcripts -update", i+1, b[i], a[i])
			}
		}
		t.Fatal("the page is longer or shorter than what is printed: go test ./cmd/protocol_test -run Transcripts -update")
	}
}

func TestEveryRouteIsSpoken(t *testing.T) {
	rounds := "40"
	if testing.Short() {
		rounds = "5"
	}
	for _, args := range [][]string{{"-check", "-rounds", rounds}, {"-rounds", "5", "-seed", "9"}, {"check", "-game", "sink", "-rounds", "5"}, {"-check", "-proto", "../../proto_define", "-rounds", "5"}} {
		out, faults, code := command("", args...)
		if code != exitOK || strings.Contains(out, "FAIL") || faults != "" || !strings.Contains(out, "\nPASS: ") {
			t.Errorf("%q: exit code %d\n%s%s", args, code, out, faults)
		}
	}
}

func TestWhatIsBrokenFails(t *testing.T) {
	all, err := samples()
	if err != nil {
		t.Fatal(err)
	}
	plains := all[1]
	route := func(s *source, name string) *protocol.Route {
		for i := range s.list {
			if s.list[i].Name == name {
				return &s.list[i]
			}
		}
		t.Fatalf("no route %s", name)
		return nil
	}
	for _, test := range []struct {
		name string
		do   func(s *source)
		says string
	}{
		{"another message", func(s *source) {
			s.types = func(name string) (protoreflect.MessageType, error) {
				if name == "plains.v1.Move" {
					name = "mmo.v1.Goaway"
				}
				return plains.types(name)
			}
		}, "push plains.move"},
		{"no message", func(s *source) { route(s, "plains.move").Message = "" }, "FAIL  push plains.move, client → server: its message is not known"},
		{"descriptors of another revision", func(s *source) {
			s.descriptors = bytes.Replace(bytes.Clone(s.descriptors), []byte("\x0a\x03seq\x18\x01"), []byte("\x0a\x03seq\x18\x09"), 1)
		}, "FAIL  push plains.move"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := plains
			s.list = append([]protocol.Route(nil), plains.list...)
			test.do(&s)
			g, err := newGame(s)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err = check([]*game{g}, &options{rounds: 20, seed: 1}, console{out: &out})
			if err == nil || !strings.HasPrefix(err.Error(), "FAIL: ") || !strings.Contains(out.String(), test.says) {
				t.Errorf("%v\n%s\nwant %q", err, out.String(), test.says)
			}
		})
	}
}

func TestMistakesAreExplained(t *testing.T) {
	empty := t.TempDir()
	if err := os.WriteFile(filepath.Join(empty, "a.proto"), []byte("syntax = \"proto3\";\npackage a.v1;\noption go_package = \"example.test;av1\";\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(empty, "go.mod"), []byte("module example.test\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args string
		in   string
		code int
		says string
	}{
		{"bogus", "", exitUsage, `there is no command "bogus": need one of encode, decode`},
		{"-bogus", "", exitUsage, "not defined: -bogus"},
		{"-check encode", "", exitUsage, "-check stands alone: drop encode"},
		{"check extra", "", exitUsage, `unexpected argument "extra"`},
		{"check -rounds 0", "", exitUsage, "need 1 to 1000000"},
		{"check -game nope", "", exitUsage, "there is hello, plains, sink"},
		{"check -proto /nowhere/at/all", "", exitFailed, "/nowhere/at/all"},
		{"encode", "", exitUsage, "there is nothing to read"},
		{"encode nowhere {}", "", exitUsage, `has no route "nowhere": it has login`},
		{"encode plains.move {} {}", "", exitUsage, "in quotes"},
		{"encode plains.move {\"sek\":1}", "", exitFailed, `line 1:2: unknown field "sek"`},
		{"encode plains.move {seq:1}", "", exitFailed, "line 1:2: a name in quotes is expected"},
		{"encode -type ctrl plains.move {}", "", exitUsage, "has no route"},
		{"encode -type nope plains.move {}", "", exitUsage, `-type "nope": need push, req, resp, err, ctrl`},
		{"encode -type req plains.move {}", "", exitFailed, "may not be sent: unknown_route"},
		{"encode -seq 3 plains.spectate {}", "", exitUsage, "has no sequence"},
		{"encode -id 5000000000 login {}", "", exitUsage, "at most 4294967295"},
		{"encode -id 0 login {}", "", exitFailed, "malformed"},
		{"encode ping {\"client\":-1}", "", exitFailed, "need a whole number"},
		{"encode", `{"t":"push"}`, exitFailed, "frame 1: parse frame: push without r"},
		{"encode -from nobody plains.move {}", "", exitUsage, `-from "nobody": need client, server`},
		{"decode", "", exitUsage, "there is nothing to read"},
		{"decode 004", "", exitUsage, "odd length"},
		{"decode xyz!", "", exitUsage, "neither hexadecimal"},
		{"decode -in hex AAAA==", "", exitUsage, "no hexadecimal"},
		{"decode -in base64 !", "", exitUsage, "no base64"},
		{"decode {}", "", exitUsage, "encode makes frames of it"},
		{"decode 90", "", exitFailed, "reserved bit or type"},
		{"decode", "\n", exitUsage, "there are no bytes"},
		{"convert", "", exitUsage, "convert needs a route"},
		{"convert ping {}", "", exitUsage, "fixed layout"},
		{"convert plains.move 0aff", "", exitFailed, "plains.v1.Move"},
		{"convert -payload plains.move 00", "", exitUsage, "-payload is for tree"},
		{"convert -game sink plains.move {}", "", exitUsage, "game sink has no route"},
		{"tree -payload nope 00", "", exitUsage, `-payload "nope" is neither a message`},
		{"tree -payload ping 00", "", exitUsage, "its layout is fixed"},
		{"tree 0040", "", exitFailed, "at byte 0"},
		{"check -proto " + empty, "", exitFailed, "no package there has routes"},
	} {
		_, faults, code := command(test.in, strings.Fields(test.args)...)
		if code != test.code || !strings.Contains(faults, test.says) || strings.Contains(faults, "%!") {
			t.Errorf("%s: exit code %d, want %d\n%s\nwant %q", test.args, code, test.code, faults, test.says)
		}
	}
	if out, help, code := command("", "-h"); code != exitOK || out != "" || !strings.Contains(help, "usage: protocol_test [command]") {
		t.Errorf("-h: exit code %d\n%s%s", code, out, help)
	}
}

func TestBytesAreReadInAnyForm(t *testing.T) {
	want := []byte{0, 0x40, 2, 8, 7}
	for _, test := range []struct{ text, form string }{
		{"0040020807", "auto"}, {" 00 40\n02,08 07 ", "auto"}, {"0x00 0x40 0x02 0x08 0x07", "auto"}, {"AEACCAc=", "auto"}, {"AEACCAc", "base64"}, {"\x00@\x02\x08\x07", "auto"},
		{"\x00@\x02\x08\x07", "raw"}, {"0040020807", "hex"},
	} {
		if got, err := bytesOf([]byte(test.text), test.form); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q as %s: %x, %v", test.text, test.form, got, err)
		}
	}
	if got, err := bytesOf([]byte("-_8="), "auto"); err != nil || !bytes.Equal(got, []byte{0xfb, 0xff}) {
		t.Errorf("the alphabet of URLs: %x, %v", got, err)
	}
}

func TestDeepMessagesAreShownToABound(t *testing.T) {
	b := []byte{0x0a, 0x00}
	for range 200 {
		b = append(append([]byte{0x0a}, protoLength(len(b))...), b...)
	}
	out, faults, code := command(string(b), "tree", "-payload", "?", "-in", "raw")
	if code != exitFailed || !strings.Contains(faults, "more than 64 messages within each other") || len(out) > 1<<20 {
		t.Errorf("exit code %d, %s", code, faults)
	}
}

func protoLength(n int) (b []byte) {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func FuzzTree(f *testing.F) {
	for _, seed := range []string{"\x00\x40\x05\x08\x07\x18\xd7\x04", "\x0a\x20\x03\x0c\x02\x08\x4d", "\x05\x02\x10\x05\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00", "\x23\x08\x01\x24\xff"} {
		f.Add([]byte(seed))
	}
	all, err := loadGames("")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, payload := range []string{"", "?", "plains.move", "mmo.v1.Layout"} {
			for _, g := range all[1:2] {
				var out bytes.Buffer
				c := console{in: bytes.NewReader(b), out: &out}
				_ = tree(g, &options{payload: payload, input: "raw"}, c)
				if payload == "" {
					_ = decode(g, &options{input: "raw"}, console{in: bytes.NewReader(b), out: &out})
				}
				if out.Len() > 1<<10+400*len(b)+64*64*len(b) {
					t.Fatalf("%d bytes print %d", len(b), out.Len())
				}
			}
		}
	})
}
