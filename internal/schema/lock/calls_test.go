package lock

import (
	"strings"
	"testing"
)

// called is a lock of two calls.
func called(t *testing.T) *Lock {
	t.Helper()
	l, mistakes, err := Next(nil, promised(), Body{Calls: []Call{{2, "g.v1.Nudge", "-"}, {1, "g.v1.Strike", "g.v1.Struck"}}}, "")
	if err != nil || len(mistakes) > 0 {
		t.Fatal(mistakes, err)
	}
	return l
}

func TestCallsReadBackAndAreNotInTheSum(t *testing.T) {
	l := called(t)
	if l.Sum != first(t).Sum {
		t.Error("the sum covers what clients know nothing of")
	}
	if !strings.Contains(string(l.Text()), "\nrpc call 1 g.v1.Strike g.v1.Struck\nrpc call 2 g.v1.Nudge -\n") {
		t.Errorf("%s", l.Text())
	}
	read, err := Parse("schema.lock", l.Text())
	if err != nil || string(read.Text()) != string(l.Text()) || len(read.RPC.Calls) != 2 {
		t.Errorf("%v\n%s", err, l.Text())
	}
}

func TestCallsThatChangeAreRefusedAndThoseThatGoRetire(t *testing.T) {
	old := called(t)
	for _, c := range []struct {
		name  string
		calls []Call
		says  string
	}{
		{"another message", []Call{{1, "g.v1.Hit", "g.v1.Struck"}, {2, "g.v1.Nudge", "-"}}, "call 1 is not what schema.lock promised: message g.v1.Strike became g.v1.Hit"},
		{"a reply where there was none", []Call{{1, "g.v1.Strike", "g.v1.Struck"}, {2, "g.v1.Nudge", "g.v1.Struck"}}, "call 2 is not what schema.lock promised: reply - became g.v1.Struck"},
	} {
		next, mistakes, err := Next(old, promised(), Body{Calls: c.calls}, "")
		if err != nil || next != nil || len(mistakes) != 1 || !strings.Contains(mistakes[0].Text, c.says) {
			t.Errorf("%s: %v, %v", c.name, mistakes, err)
		}
		if next, _, err = Next(old, promised(), Body{Calls: c.calls}, "why not"); err != nil || next.Generation != 1 || len(next.RPCBreaks) != 1 {
			t.Errorf("%s: with a reason: %v", c.name, err)
		}
	}
	next, mistakes, err := Next(old, promised(), Body{Calls: []Call{{1, "g.v1.Strike", "g.v1.Struck"}}}, "")
	if err != nil || len(mistakes) > 0 || next.Revision != 1 || !strings.Contains(string(next.Text()), "\nrpc retired call 2 Nudge\n") {
		t.Fatalf("%v %v\n%s", mistakes, err, next.Text())
	}
	read, err := Parse("schema.lock", next.Text())
	if err != nil {
		t.Fatal(err)
	}
	_, mistakes, _ = Next(read, promised(), Body{Calls: []Call{{1, "g.v1.Strike", "g.v1.Struck"}, {2, "g.v1.Push", "-"}}}, "")
	if len(mistakes) != 1 || !strings.Contains(mistakes[0].Text, "call 2 cannot be Push: schema.lock says that it was Nudge") {
		t.Error(mistakes)
	}
}

func TestLinesOfCallsThatAreNoneAreRefused(t *testing.T) {
	good := string(called(t).Text())
	for _, c := range []struct{ name, line, says string }{
		{"a call of clients", "call 3 a b", "rpc stands before it"},
		{"a word less", "rpc call 3 a", "3 words, need 4"},
		{"number 0", "rpc call 0 a b", `"0" is not a number of 1 to 65535`},
		{"one number twice", "rpc call 1 g.v1.Other -", "says something else of call 1"},
	} {
		if _, err := Parse("schema.lock", []byte(good+c.line+"\n")); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v\nwant %q", c.name, err, c.says)
		}
	}
	merged, err := Parse("schema.lock", []byte(good+"rpc call 1 g.v1.Strike g.v1.Struck\n"))
	if err != nil || len(merged.RPC.Calls) != 2 || merged.Merged {
		t.Errorf("the same line from both sides of a merge: %v", err)
	}
}
