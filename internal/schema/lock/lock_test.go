package lock

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// promised is what the tests change; each call gives a copy of its own.
func promised() Body {
	return Body{
		Routes:     []Route{{64, "g.move", "push", "c2s", "g.v1.Move", "-"}, {65, "g.ask", "request", "c2s", "g.v1.Ask", "g.v1.Answer"}},
		Fields:     []Field{{"g.v1.Move", 1, "seq", "uint32", "one"}, {"g.v1.Move", 2, "vx", "sint32", "one"}, {"g.v1.Vitals", 1, "hp", "int32", "one"}},
		Kinds:      []Kind{{1, "Hero", []string{"Place", "Vitals"}}},
		Components: []Component{{1, "Place", "x=1,z=2,vx=3,vz=4"}, {2, "Vitals", "-"}},
		States:     []State{{1, []uint32{1}, "x", "steps,quantum=0.05", 0}, {2, []uint32{1}, "hp", "int32,bits=7,min=0,max=100", 0}, {2, []uint32{3, 1}, "element", "string", 255}},
		Retired:    []Retired{{"route", "", 70, "g.old"}, {"field", "g.v1.Move", 9, "gone"}},
		Messages:   []string{"g.v1.Move", "g.v1.Vitals"},
	}
}

func first(t testing.TB) *Lock {
	t.Helper()
	l, mistakes, err := Next(nil, promised(), Body{}, "")
	if err != nil || len(mistakes) > 0 {
		t.Fatal(mistakes, err)
	}
	return l
}

func TestALockReadsBackAsItWasWritten(t *testing.T) {
	l := first(t)
	again, err := Parse("schema.lock", l.Text())
	if err != nil {
		t.Fatal(err)
	}
	if string(again.Text()) != string(l.Text()) || again.Sum != again.Body.Sum() || again.Generation != 1 || again.Revision != 1 {
		t.Errorf("read\n%s\nwrote\n%s", again.Text(), l.Text())
	}
	if crlf, err := Parse("schema.lock", []byte(strings.ReplaceAll(string(l.Text()), "\n", "\r\n"))); err != nil || string(crlf.Text()) != string(l.Text()) {
		t.Errorf("line ends of Windows: %v", err)
	}
}

func TestTheOrderOfTheSchemaDoesNotMatter(t *testing.T) {
	body := promised()
	slices.Reverse(body.Routes)
	slices.Reverse(body.Fields)
	slices.Reverse(body.Components)
	slices.Reverse(body.States)
	slices.Reverse(body.Retired)
	if l, _, _ := Next(nil, body, Body{}, ""); string(l.Text()) != string(first(t).Text()) {
		t.Errorf("got\n%s", l.Text())
	}
}

// drop leaves out a place of a list.
func drop[T any](list []T, i int) []T { return slices.Delete(slices.Clone(list), i, i+1) }

func TestCompatibleChangesRaiseTheRevision(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Body)
		line   string // of the new lock
	}{
		{"a new route", func(b *Body) { b.Routes = append(b.Routes, Route{71, "g.new", "push", "s2c", "g.v1.New", "-"}) }, "route 71 g.new"},
		{"a new field", func(b *Body) { b.Fields = append(b.Fields, Field{"g.v1.Move", 3, "vz", "sint32", "one"}) }, "field g.v1.Move 3"},
		{"a renamed field", func(b *Body) { b.Fields[1].Name = "speed" }, "field g.v1.Move 2 speed"},
		{"a renamed field of a component", func(b *Body) { b.States[1].Name = "health" }, "state 2 1 health"},
		{"a new kind", func(b *Body) { b.Kinds = append(b.Kinds, Kind{2, "Rock", []string{"Place"}}) }, "kind 2 Rock Place"},
		{"another component of a kind", func(b *Body) { b.Kinds[0].Components = []string{"Place"} }, "kind 1 Hero Place\n"},
		{"a component that became optional", func(b *Body) { b.Kinds[0].Components[0] += Optional }, "kind 1 Hero Place?"},
		{"a new component", func(b *Body) { b.Components = append(b.Components, Component{3, "Bag", "-"}) }, "component 3 Bag -"},
		{"a longer list", func(b *Body) { b.States[2].Bound = 300 }, "state 2 3.1 element string 300"},
		{"a removed route", func(b *Body) { b.Routes = drop(b.Routes, 1) }, "retired route 65 g.ask"},
		{"a removed kind", func(b *Body) { b.Kinds = nil }, "retired kind 1 Hero"},
		{"a removed component", func(b *Body) { b.Components = drop(b.Components, 1) }, "retired component 2 Vitals"},
		{"a removed field", func(b *Body) { b.Fields = drop(b.Fields, 1) }, "retired field g.v1.Move 2 vx"},
		{"the last field removed", func(b *Body) { b.Fields = drop(b.Fields, 2) }, "retired field g.v1.Vitals 1 hp"},
	}
	for _, test := range tests {
		old, body := first(t), promised()
		body.Retired = nil // the schema does not know them
		test.change(&body)
		next, mistakes, err := Next(old, body, Body{}, "")
		if err != nil || len(mistakes) > 0 {
			t.Errorf("%s: %v, %v", test.name, mistakes, err)
			continue
		}
		text := string(next.Text())
		if next.Revision != 2 || next.Generation != 1 || next.Sum == old.Sum || !strings.Contains(text, test.line) {
			t.Errorf("%s: want a line %q in\n%s", test.name, test.line, text)
		}
		if !strings.Contains(text, "retired route 70 g.old") || !strings.Contains(text, "retired field g.v1.Move 9 gone") {
			t.Errorf("%s: what was retired is forgotten:\n%s", test.name, text)
		}
	}
}

func TestAnEnumMayGrowAndNothingElseOfIt(t *testing.T) {
	body := promised()
	body.Retired = nil
	body.States[0].Form = "enum,optional,bits=3"
	old, _, err := Next(nil, body, Body{}, "")
	if err != nil {
		t.Fatal(err)
	}
	for form, mistakes := range map[string]int{"enum,optional,bits=4": 0, "enum,bits=3": 1, "angle,optional,bits=3": 1} {
		body.States = slices.Clone(body.States)
		body.States[0].Form = form
		if _, got, err := Next(old, body, Body{}, ""); err != nil || len(got) != mistakes {
			t.Errorf("%s: %v, %v; want %d mistakes", form, got, err, mistakes)
		}
	}
}

func TestAMessageThatNothingNeedsRetiresNothing(t *testing.T) {
	body := promised()
	body.Routes, body.Fields, body.Messages = drop(body.Routes, 0), body.Fields[2:], body.Messages[1:]
	next, mistakes, err := Next(first(t), body, Body{}, "")
	if err != nil || len(mistakes) > 0 || strings.Contains(string(next.Text()), "retired field g.v1.Move 1") {
		t.Errorf("%v, %v\n%s", mistakes, err, next.Text())
	}
}

func TestNothingChangedLeavesTheLockAsItWas(t *testing.T) {
	old, body := first(t), promised()
	body.Retired = nil
	next, mistakes, err := Next(old, body, Body{}, "")
	if err != nil || len(mistakes) > 0 || string(next.Text()) != string(old.Text()) {
		t.Errorf("%v, %v\n%s", mistakes, err, next.Text())
	}
}

func TestASumThatIsNotTheBodysCountsAsAChange(t *testing.T) {
	old, body := first(t), promised()
	old.Sum[0]++ // as a merge leaves it
	next, _, err := Next(old, body, Body{}, "")
	if err != nil || next.Revision != 2 || next.Sum != next.Body.Sum() {
		t.Errorf("%+v, %v", next, err)
	}
}

func TestBreakingChangesAreMistakes(t *testing.T) {
	tests := []struct {
		name, key, says string
		change          func(*Body)
	}{
		{"route renamed", "route 64", "name g.move became g.go", func(b *Body) { b.Routes[0].Name = "g.go" }},
		{"route turned", "route 64", "direction c2s became s2c", func(b *Body) { b.Routes[0].Direction = "s2c" }},
		{"route of another form", "route 64", "form push became request", func(b *Body) { b.Routes[0].Kind = "request" }},
		{"route with another message", "route 64", "message g.v1.Move became g.v1.Go", func(b *Body) { b.Routes[0].Message = "g.v1.Go" }},
		{"route with another reply", "route 65", "reply g.v1.Answer became -", func(b *Body) { b.Routes[1].Reply = "-" }},
		{"kind renamed", "kind 1", "keep the name", func(b *Body) { b.Kinds[0].Name = "Rock" }},
		{"component renamed", "component 2", "keep the name", func(b *Body) { b.Components[1].Name = "Life" }},
		{"position changed", "component 1", "reckon by it", func(b *Body) { b.Components[0].Motion += ",polar" }},
		{"field of another type", "field g.v1.Move 1", "type uint32 became string", func(b *Body) { b.Fields[0].Type = "string" }},
		{"field of another label", "field g.v1.Move 1", "label one became repeated", func(b *Body) { b.Fields[0].Label = "repeated" }},
		{"another quantum", "state 1 1", "add a new field with a new number", func(b *Body) { b.States[0].Form = "steps,quantum=0.1" }},
		{"another range inside", "state 2 3.1", "string became bytes", func(b *Body) { b.States[2].Form = "bytes" }},
		{"a shorter list", "state 2 3.1", "was 255 in schema.lock and is now 254", func(b *Body) { b.States[2].Bound = 254 }},
		{"a retired route", "route 70", "was removed", func(b *Body) { b.Routes = append(b.Routes, Route{70, "g.new", "push", "s2c", "g.v1.New", "-"}) }},
		{"a retired field", "field g.v1.Move 9", "it was gone", func(b *Body) { b.Fields = append(b.Fields, Field{"g.v1.Move", 9, "new", "uint32", "one"}) }},
	}
	for _, test := range tests {
		old, body := first(t), promised()
		body.Retired = nil
		test.change(&body)
		next, mistakes, err := Next(old, body, Body{}, "")
		if err != nil || next != nil || len(mistakes) != 1 || mistakes[0].Key != test.key || !strings.Contains(mistakes[0].Text, test.says) {
			t.Errorf("%s: %v, %v\nwant %s: %q", test.name, mistakes, err, test.key, test.says)
		}
		next, mistakes, err = Next(old, body, Body{}, "because "+test.name)
		if err != nil || len(mistakes) > 0 || next.Generation != 2 || next.Revision != 2 || !slices.Equal(next.Breaks, []string{"because " + test.name}) {
			t.Errorf("%s with a reason: %+v, %v, %v", test.name, next, mistakes, err)
			continue
		}
		if _, err := Parse("schema.lock", next.Text()); err != nil {
			t.Errorf("%s with a reason cannot be read: %v", test.name, err)
		}
		body.Retired = nil
		if settled, mistakes, err := Next(next, body, Body{}, ""); err != nil || len(mistakes) > 0 || string(settled.Text()) != string(next.Text()) {
			t.Errorf("%s is not settled after the break: %v, %v", test.name, mistakes, err)
		}
	}
}

func TestTheLastRevisionSaysSo(t *testing.T) {
	old, body := first(t), promised()
	old.Revision = 1<<16 - 1
	body.Kinds = nil
	if _, _, err := Next(old, body, Body{}, ""); err == nil || !strings.Contains(err.Error(), "is the last") {
		t.Errorf("%v", err)
	}
	old.Generation, body = 1<<16-1, promised()
	body.Kinds[0].Name = "X"
	if _, _, err := Next(old, body, Body{}, "y"); err == nil || !strings.Contains(err.Error(), "is the last") {
		t.Errorf("%v", err)
	}
}

func TestWhatIsNoLockIsRefusedWithItsLine(t *testing.T) {
	good := string(first(t).Text())
	tests := []struct{ name, text, says string }{
		{"empty", "", "schema.lock:1: no line \"generation\""},
		{"conflict", strings.Replace(good, "revision 1\n", "<<<<<<< HEAD\nrevision 1\n=======\nrevision 2\n>>>>>>> b\n", 1), "schema.lock:5: an unresolved merge conflict: keep both sides"},
		{"unknown line", good + "rout 9\n", "no line of a lock begins with \"rout\""},
		{"a word less", good + "route 9\n", "2 words, need 7"},
		{"an id of 0", good + "component 0 A -\n", "is not a number of 1 to 65535"},
		{"an id with zeros", good + "component 09 A -\n", "is not a number"},
		{"an id twice", good + "component 1 A -\n", "says something else of component 1"},
		{"a path of nothing", good + "state 1 1..2 a int32 0\n", "is no number of a field"},
		{"a sum of nothing", strings.Replace(good, "sum ", "sum zz", 1), "8 hexadecimal digits"},
		{"two spaces", good + "component 9  A\n", "one space between"},
		{"retired nonsense", good + "retired thing 4 a\n", "nothing that retires"},
		{"a reason too many", strings.Replace(good, "\n\n", "\n# generation 2: x\n\n", 1), "generation 1 with 1 reasons"},
		{"a reason out of order", strings.Replace(good, "\n\n", "\n# generation 3: x\n\n", 1), "numbered from 2"},
		{"too large", strings.Repeat("#", maxLock+1), "more than any lock has"},
	}
	for _, test := range tests {
		if _, err := Parse("schema.lock", []byte(test.text)); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v\nwant %q", test.name, err, test.says)
		}
	}
}

// merged is what is left when both sides of a merge are kept, every line twice but for the comments.
func merged(ours, theirs *Lock) string { return string(ours.Text()) + string(theirs.Text()) }

func TestBothSidesOfAMergeMayBeKept(t *testing.T) {
	base := first(t)
	with := func(change func(b *Body)) *Lock {
		body := promised()
		body.Retired = nil
		change(&body)
		next, mistakes, err := Next(base, body, Body{}, "")
		if err != nil || len(mistakes) > 0 {
			t.Fatal(mistakes, err)
		}
		return next
	}
	ours := with(func(b *Body) {
		b.Routes = append(b.Routes, Route{71, "g.ours", "push", "s2c", "g.v1.Move", "-"})
		b.Kinds[0].Components = []string{"Place"}
		b.TickHz, b.Layout = 20, "01020304"
	})
	theirs := with(func(b *Body) {
		b.Routes = append(drop(b.Routes, 1), Route{72, "g.theirs", "push", "s2c", "g.v1.Move", "-"})
		b.TickHz, b.Layout = 30, "05060708"
	})
	theirs.Revision = 9
	if other, err := Parse("schema.lock", []byte(merged(theirs, ours))); err != nil || other.Revision != 9 {
		t.Errorf("the other side first: %+v, %v", other, err)
	}
	both, err := Parse("schema.lock", []byte(merged(ours, theirs)))
	if err != nil {
		t.Fatal(err)
	}
	if !both.Merged || both.Revision != 9 || both.Generation != 1 {
		t.Errorf("merged %t, generation %d, revision %d", both.Merged, both.Generation, both.Revision)
	}
	body := promised() // without route 65, which theirs retired
	body.Retired = nil
	body.Routes = append(drop(body.Routes, 1), Route{71, "g.ours", "push", "s2c", "g.v1.Move", "-"}, Route{72, "g.theirs", "push", "s2c", "g.v1.Move", "-"})
	next, mistakes, err := Next(both, body, Body{}, "")
	if err != nil || len(mistakes) > 0 {
		t.Fatal(mistakes, err)
	}
	if n := strings.Count(string(next.Text()), "retired route 65 "); n != 1 || next.Revision != 10 {
		t.Errorf("route 65 is retired %d times in revision %d:\n%s", n, next.Revision, next.Text())
	}
	if _, err := Parse("schema.lock", next.Text()); err != nil {
		t.Errorf("what was written cannot be read: %v", err)
	}
}

// A merge whose lines are those of one side is a schema that the other side never had, with its revision.
func TestAMergeIsANewRevisionWhateverItsSum(t *testing.T) {
	l := first(t)
	both, err := Parse("schema.lock", []byte(merged(l, l)))
	if err != nil {
		t.Fatal(err)
	}
	body := promised()
	body.Retired = nil
	if next, _, err := Next(both, body, Body{}, ""); err != nil || next.Revision != 2 || next.Sum != l.Sum {
		t.Errorf("%+v, %v", next, err)
	}
}

func TestReasonsOfBothSidesOfAMergeStay(t *testing.T) {
	text := strings.Replace(string(first(t).Text()), "generation 1\n", "generation 2\n", 1)
	both, err := Parse("schema.lock", []byte(strings.Replace(text, "\n\n", "\n# generation 2: one\n# generation 2: other\n# generation 2: one\n\n", 1)))
	if err != nil || !both.Merged || !slices.Equal(both.Breaks, []string{"one; other"}) {
		t.Errorf("%+v, %v", both, err)
	}
}

func TestEnumsKeepTheirNumbers(t *testing.T) {
	mood := func(values ...Enum) Body {
		b := promised()
		b.Retired = nil
		b.Enums = values
		return b
	}
	calm, glad, wild := Enum{"g.v1.Mood", 0, []string{"CALM"}}, Enum{"g.v1.Mood", 1, []string{"GLAD"}}, Enum{"g.v1.Mood", -5, []string{"WILD"}}
	old, _, err := Next(nil, mood(calm, glad, wild), Body{}, "")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		next Body
		key  string // of the mistake; "": none
		says string // of the mistake, or a line of the lock
	}{
		{"one more", mood(calm, glad, wild, Enum{"g.v1.Mood", 2, []string{"SAD"}}), "", "enum g.v1.Mood 2 SAD\n"},
		{"an alias", mood(calm, Enum{"g.v1.Mood", 1, []string{"HAPPY", "GLAD"}}, wild), "", "enum g.v1.Mood 1 GLAD,HAPPY\n"},
		{"one less", mood(calm, glad), "", "retired enum g.v1.Mood -5 WILD\n"},
		{"none needed", mood(), "", "field g.v1.Move 1"},
		{"renamed", mood(calm, Enum{"g.v1.Mood", 1, []string{"HAPPY"}}, wild), "enum g.v1.Mood 1", "was GLAD in schema.lock and is now HAPPY"},
		{"renumbered", mood(calm, Enum{"g.v1.Mood", 2, []string{"GLAD"}}, wild), "enum g.v1.Mood 2", "GLAD of enum g.v1.Mood was 1 in schema.lock and is now 2"},
	}
	for _, test := range tests {
		next, mistakes, err := Next(old, test.next, Body{}, "")
		switch {
		case err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.key != "" && (len(mistakes) != 1 || mistakes[0].Key != test.key || !strings.Contains(mistakes[0].Text, test.says)):
			t.Errorf("%s: %v\nwant %q", test.name, mistakes, test.says)
		case test.key == "" && (len(mistakes) > 0 || !strings.Contains(string(next.Text()), test.says)):
			t.Errorf("%s: %v\nwant %q", test.name, mistakes, test.says)
		case test.key == "":
			if again, err := Parse("schema.lock", next.Text()); err != nil || string(again.Text()) != string(next.Text()) {
				t.Errorf("%s: read back %v", test.name, err)
			}
		}
	}
	swapped := mood(calm, Enum{"g.v1.Mood", 1, []string{"WILD"}}, Enum{"g.v1.Mood", -5, []string{"GLAD"}})
	if _, mistakes, _ := Next(old, swapped, Body{}, ""); len(mistakes) != 2 {
		t.Errorf("swapped: %v", mistakes)
	}
	less, _, _ := Next(old, mood(calm, glad), Body{}, "")
	if _, mistakes, _ := Next(less, mood(calm, glad, Enum{"g.v1.Mood", -5, []string{"SAD"}}), Body{}, ""); len(mistakes) != 1 || !strings.Contains(mistakes[0].Text, "it was WILD") {
		t.Errorf("a number used again: %v", mistakes)
	}
}

// FuzzParse: what is read is written the same way, whatever it was.
func FuzzParse(f *testing.F) {
	l := first(f)
	f.Add(l.Text())
	body := promised()
	body.Routes[0].Name = "x"
	broken, _, err := Next(l, body, Body{}, "for the test")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(broken.Text())
	f.Add(firstServed(f).Text())
	f.Add([]byte("generation 1\nrevision 1\nsum 00000000\n# rpc break: a\n# rpc break: b\n# rpc break: a\nrpc method a/b c d unary\nrpc method a/b c d unary\nrpc retired enum a 4 b\nrpc enum a -3 B,A\n"))
	f.Add([]byte("generation 2\nrevision 1\nsum 00000000\n# generation 2: a\n# generation 2: b\ntick_hz 9\nenum a.E -3 B,A\nretired enum a.E 4 C\nlayout 0123abcd\nlayout 0123abcd\n"))
	f.Add([]byte("generation 1\nrevision 1\nsum 00000000\nkind 1 a -\nretired field a 1 b\nstate 1 1.2 a b 3\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := Parse("schema.lock", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "schema.lock:") {
				t.Errorf("an error without a place: %v", err)
			}
			return
		}
		again, err := Parse("schema.lock", l.Text())
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, l.Text())
		}
		if string(again.Text()) != string(l.Text()) {
			t.Errorf("read\n%s\nthen\n%s", l.Text(), again.Text())
		}
		Compare(&l.Body, &again.Body)
		Compare(&l.RPC, &again.RPC)
	})
}

func ExampleNext() {
	body := Body{Components: []Component{{1, "Vitals", "-"}}}
	lock, _, _ := Next(nil, body, Body{}, "")
	_, mistakes, _ := Next(lock, Body{Components: []Component{{1, "Health", "-"}}}, Body{}, "")
	fmt.Println(mistakes[0].Key)
	// Output: component 1
}
