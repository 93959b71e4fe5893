package steptest_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game/fixed"
	"github.com/tianxia-mmo/tianxia/pkg/game/movement/steptest"
)

type room struct {
	Side int32 `json:"side"`
}

type body struct {
	At    fixed.Vec `json:"at"`
	Stuck bool      `json:"stuck"`
	Steps uint8
}

type push struct {
	DX int16 `json:"dx"`
}

// rule pushes a body along a line, and stops it at the wall.
func rule() *steptest.Rule[room, body, push] {
	return &steptest.Rule[room, body, push]{
		Name: "push",
		Step: func(w *room, b body, in push) body {
			b.At.X += int32(in.DX)
			b.Stuck = b.At.X >= w.Side
			b.At.X = min(b.At.X, w.Side-1)
			b.Steps++
			return b
		},
		Begin: func(r *rand.Rand) (room, body) {
			return room{100 + r.Int32N(100)}, body{At: fixed.Vec{X: r.Int32N(100), Y: 7}}
		},
		Input: func(r *rand.Rand, _ *room, _ body) push { return push{int16(r.IntN(30))} },
	}
}

func TestVectorsComeBackAndAgree(t *testing.T) {
	u := rule()
	cases := u.Draw(1, 20, 10)
	if !reflect.DeepEqual(cases, u.Draw(1, 20, 10)) || reflect.DeepEqual(cases, u.Draw(2, 20, 10)) {
		t.Error("cases are not those of their seed")
	}
	vectors, err := u.Vectors(cases)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Check(vectors); err != nil {
		t.Error(err)
	}
	list, err := u.Record(cases)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(list, []byte("want")) || u.Check(list) == nil {
		t.Error("a recorded list passes for vectors")
	}
	for _, file := range [][]byte{vectors, list} {
		if got, err := u.Recorded(file); err != nil || !reflect.DeepEqual(got, cases) {
			t.Errorf("cases came back as %+v, %v", got, err)
		}
	}
	name := filepath.Join(t.TempDir(), "new", "push.json")
	u.Fresh(t, name, cases, true)
	u.Fresh(t, name, cases, false)
}

func TestTheFirstDifferenceIsNamed(t *testing.T) {
	u := rule()
	cases := u.Draw(1, 3, 4)
	vectors, err := u.Vectors(cases)
	if err != nil {
		t.Fatal(err)
	}
	right, made := u.Step, 0
	u.Step = func(w *room, b body, in push) body {
		b = right(w, b, in)
		if made++; made == 7 { // the third step of the second case
			b.At.Y++
		}
		return b
	}
	var d *steptest.Difference
	if err := u.Check(vectors); !errors.As(err, &d) || *d != (steptest.Difference{Rule: "push", Case: "random 1", Step: 2, Field: "at.Y", Got: 8, Want: 7}) {
		t.Errorf("found %v", err)
	}
}

func TestWhatHoldsIsHeld(t *testing.T) {
	u := rule()
	u.Holds = func(_ *room, _ body, _ push, after body) error {
		if after.Steps == 3 {
			return errors.New("three steps")
		}
		return nil
	}
	if _, err := u.Vectors(u.Draw(1, 1, 4)); err == nil || !strings.Contains(err.Error(), `case "random 0", step 2: three steps`) {
		t.Error(err)
	}
}

func TestFilesThatDoNotFitAreRefused(t *testing.T) {
	u := rule()
	const head = `{"rule":"push","world":["side"],"state":["at.X","at.Y","stuck","Steps"],"input":["dx"],"cases":[`
	for _, rows := range []string{
		`{"name":"","world":[1],"start":[1,2,0,3],"inputs":[[5]],"want":[[6,2,1]]}]}`, // a short result
		`{"name":"","world":[],"start":[1,2,0,3],"inputs":[],"want":[]}]}`,
		`{"name":"","world":[1],"start":[1,2,2,3],"inputs":[],"want":[]}]}`,           // no bool
		`{"name":"","world":[1],"start":[1,2,0,256],"inputs":[],"want":[]}]}`,         // no uint8
		`{"name":"","world":[1],"start":[1,2,0,3],"inputs":[[40000]],"want":[[1]]}]}`, // no int16
		`{"name":"","world":[1],"start":[1,2,0,3],"inputs":[[1.5]],"want":[[1]]}]}`,
		`]`,
	} {
		if err := u.Check([]byte(head + rows)); err == nil {
			t.Errorf("%s was taken", rows)
		}
	}
	if err := u.Check([]byte(strings.Replace(head, "dx", "dy", 1) + "]}")); err == nil || !strings.Contains(err.Error(), "input") {
		t.Errorf("other fields: %v", err)
	}
	float := &steptest.Rule[room, struct{ X float64 }, push]{Name: "f"}
	if _, err := float.Vectors(nil); err == nil || !strings.Contains(err.Error(), "float64") {
		t.Errorf("a float: %v", err)
	}
	number := &steptest.Rule[room, int, push]{Name: "n"}
	if _, err := number.Record(nil); err == nil {
		t.Error("a state that is no struct was taken")
	}
	large := &steptest.Rule[room, struct{ X int64 }, push]{Name: "l"}
	if _, err := large.Record([]steptest.Case[room, struct{ X int64 }, push]{{Start: struct{ X int64 }{1<<53 + 1}}}); err == nil {
		t.Error("a number beyond 2^53 was taken")
	}
}

func FuzzRecorded(f *testing.F) {
	u := rule()
	vectors, err := u.Vectors(u.Draw(1, 3, 4))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(vectors)
	f.Fuzz(func(t *testing.T, b []byte) {
		cases, err := u.Recorded(b)
		if err != nil {
			return
		}
		list, err := u.Record(cases)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := u.Recorded(list); err != nil || len(again) != len(cases) {
			t.Fatalf("%d cases came back as %d, %v", len(cases), len(again), err)
		}
	})
}

func Example() {
	u := rule()
	vectors, err := u.Vectors([]steptest.Case[room, body, push]{{Name: "into the wall", World: room{20}, Start: body{At: fixed.Vec{X: 5}}, Inputs: []push{{10}, {10}}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(vectors))
	u.Step = func(_ *room, b body, in push) body { // someone forgets the wall
		b.At.X += int32(in.DX)
		b.Steps++
		return b
	}
	fmt.Println(u.Check(vectors))
	// Output:
	// {"rule":"push","world":["side"],"state":["at.X","at.Y","stuck","Steps"],"input":["dx"],"cases":[
	// {"name":"into the wall","world":[20],"start":[5,0,0,0],"inputs":[[10],[10]],"want":[[15,0,0,1],[19,0,1,2]]}
	// ]}
	// push: case "into the wall", step 1: at.X is 25, want 19
}
