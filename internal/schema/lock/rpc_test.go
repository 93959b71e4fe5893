package lock

import (
	"slices"
	"strings"
	"testing"
)

// served is what processes promise each other in these tests; each call gives a copy of its own.
func served() Body {
	return Body{
		Methods:  []Method{{"g.v1.World/Look", "g.v1.Ask", "g.v1.Answer", "unary"}, {"g.v1.World/Tell", "g.v1.Ask", "g.v1.None", "one_way"}},
		Fields:   []Field{{"g.v1.Ask", 1, "zone", "string", "one"}, {"g.v1.Ask", 2, "mood", "g.v1.Mood", "one"}},
		Enums:    []Enum{{"g.v1.Mood", 0, []string{"CALM"}}},
		Retired:  []Retired{{"field", "g.v1.Ask", 9, "gone"}},
		Messages: []string{"g.v1.Ask", "g.v1.Answer", "g.v1.None"},
	}
}

func firstServed(t testing.TB) *Lock {
	t.Helper()
	l, mistakes, err := Next(nil, promised(), served(), "")
	if err != nil || len(mistakes) > 0 {
		t.Fatal(mistakes, err)
	}
	return l
}

// next is the lock after a change of what processes promise each other.
func next(t *testing.T, old *Lock, reason string, change func(*Body)) (*Lock, []Mistake) {
	t.Helper()
	body, rpc := promised(), served()
	body.Retired, rpc.Retired = nil, nil
	change(&rpc)
	l, mistakes, err := Next(old, body, rpc, reason)
	if err != nil {
		t.Fatal(err)
	}
	return l, mistakes
}

func TestWhatProcessesPromiseReadsBackAndIsNotInTheSum(t *testing.T) {
	l := firstServed(t)
	if l.Sum != first(t).Sum {
		t.Error("the sum covers what clients know nothing of")
	}
	l.RPCBreaks = []string{"all restarted", "again"}
	read, err := Parse("schema.lock", l.Text())
	if err != nil || string(read.Text()) != string(l.Text()) || read.Sum != read.Body.Sum() || len(read.RPC.Methods) != 2 || len(read.Body.Methods) != 0 {
		t.Errorf("read\n%s\nwrote\n%s\n%v", read.Text(), l.Text(), err)
	}
}

func TestAddingBetweenProcessesChangesNoRevision(t *testing.T) {
	old := firstServed(t)
	for _, c := range []struct {
		name   string
		change func(*Body)
		line   string
	}{
		{"a method", func(b *Body) {
			b.Methods = append(b.Methods, Method{"g.v1.World/More", "g.v1.Ask", "g.v1.Ask", "unary"})
		}, "rpc method g.v1.World/More g.v1.Ask g.v1.Ask unary\n"},
		{"a field", func(b *Body) { b.Fields = append(b.Fields, Field{"g.v1.Ask", 3, "x", "bool", "one"}) }, "rpc field g.v1.Ask 3 x bool one\n"},
		{"a field less", func(b *Body) { b.Fields = b.Fields[1:] }, "rpc retired field g.v1.Ask 1 zone\n"},
		{"a value", func(b *Body) { b.Enums = append(b.Enums, Enum{"g.v1.Mood", 1, []string{"WILD"}}) }, "rpc enum g.v1.Mood 1 WILD\n"},
		{"nothing", func(*Body) {}, "rpc retired field g.v1.Ask 9 gone\n"},
	} {
		l, mistakes := next(t, old, "", c.change)
		if len(mistakes) > 0 || l.Revision != 1 || l.Generation != 1 || l.Sum != old.Sum || l.Broke || !strings.Contains(string(l.Text()), c.line) {
			t.Errorf("%s: %v\n%s", c.name, mistakes, l.Text())
		}
	}
}

func TestBreakingBetweenProcessesNeedsAReasonAndBeginsNoGeneration(t *testing.T) {
	old := firstServed(t)
	for _, c := range []struct {
		name      string
		change    func(*Body)
		key, says string
	}{
		{"method gone", func(b *Body) { b.Methods = b.Methods[:1] }, "method g.v1.World/Tell", "no longer in the schema"},
		{"another request", func(b *Body) { b.Methods[0].Request = "g.v1.None" }, "method g.v1.World/Look", "request g.v1.Ask became g.v1.None"},
		{"another answer", func(b *Body) { b.Methods[0].Response = "g.v1.None" }, "method g.v1.World/Look", "answer g.v1.Answer became g.v1.None"},
		{"another form", func(b *Body) { b.Methods[1].Form = "unary" }, "method g.v1.World/Tell", "form one_way became unary"},
		{"a field retyped", func(b *Body) { b.Fields[0].Type = "bytes" }, "field g.v1.Ask 1", "type string became bytes"},
		{"a number again", func(b *Body) { b.Fields = append(b.Fields, Field{"g.v1.Ask", 9, "x", "bool", "one"}) }, "field g.v1.Ask 9", "take a new one"},
		{"a value renamed", func(b *Body) { b.Enums[0].Values = []string{"COOL"} }, "enum g.v1.Mood 0", "was CALM"},
	} {
		l, mistakes := next(t, old, "", c.change)
		if l != nil || len(mistakes) != 1 || mistakes[0].Key != c.key || !strings.Contains(mistakes[0].Text, c.says) {
			t.Errorf("%s: %v, want %s: %s", c.name, mistakes, c.key, c.says)
		}
		l, _ = next(t, old, "for the test", c.change)
		if l == nil || !l.Broke || l.Generation != 1 || l.Revision != 1 || l.Sum != old.Sum || !slices.Equal(l.RPCBreaks, []string{"for the test"}) || len(l.Breaks) > 0 {
			t.Fatalf("%s: with a reason: %+v", c.name, l)
		}
		if settled, mistakes := next(t, l, "", c.change); len(mistakes) > 0 || string(settled.Text()) != string(l.Text()) || settled.Broke {
			t.Errorf("%s: not settled: %v\n%s\nthen\n%s", c.name, mistakes, l.Text(), settled.Text())
		}
	}
}

func TestBothSidesOfAMergeMayBeKeptBetweenProcesses(t *testing.T) {
	base := firstServed(t)
	ours, _ := next(t, base, "one", func(b *Body) {
		b.Methods = append(b.Methods[:1], Method{"g.v1.World/Ours", "g.v1.Ask", "g.v1.Ask", "unary"})
	})
	theirs, _ := next(t, base, "other", func(b *Body) {
		b.Methods = append(b.Methods[:1], Method{"g.v1.World/Theirs", "g.v1.Ask", "g.v1.Ask", "unary"})
	})
	_, rest, _ := strings.Cut(string(theirs.Text()), rpcHead)
	both, err := Parse("schema.lock", []byte(string(ours.Text())+rest)) // only these lines differ, so only they are in conflict
	if err != nil || both.Merged || len(both.RPC.Methods) != 3 || !slices.Equal(both.RPCBreaks, []string{"one", "other"}) {
		t.Fatalf("%+v, %v", both, err)
	}
	l, mistakes := next(t, both, "", func(b *Body) {
		b.Methods = append(b.Methods[:1], Method{"g.v1.World/Ours", "g.v1.Ask", "g.v1.Ask", "unary"}, Method{"g.v1.World/Theirs", "g.v1.Ask", "g.v1.Ask", "unary"})
	})
	if len(mistakes) > 0 || l.Revision != 1 {
		t.Errorf("%v, revision %d", mistakes, l.Revision)
	}
}

func TestLinesBetweenProcessesThatAreNoneAreRefused(t *testing.T) {
	good := string(firstServed(t).Text())
	for _, c := range []struct{ name, line, says string }{
		{"nothing", "rpc", "followed by method, call, field, enum or retired"},
		{"a route", "rpc route 64 a push c2s b -", "followed by"},
		{"a head", "rpc revision 3", "followed by"},
		{"a method of clients", "method a/b c d unary", "rpc stands before it"},
		{"a word less", "rpc method a/b c d", "4 words, need 5"},
		{"a method of no service", "rpc method b c d unary", "no name of a method"},
		{"a method twice", "rpc method g.v1.World/Look g.v1.Ask g.v1.Ask unary", "says something else of method g.v1.World/Look"},
		{"a field twice", "rpc field g.v1.Ask 1 zone bytes one", "says something else of field g.v1.Ask 1"},
	} {
		if _, err := Parse("schema.lock", []byte(good+c.line+"\n")); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v\nwant %q", c.name, err, c.says)
		}
	}
}
