package fixed_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game/fixed"
)

var update = flag.Bool("update", false, "rewrite testdata")

// operation is a function that both languages have: some numbers in, one or two out.
type operation struct {
	name string
	run  func(a, b, c int32) []int32
	args int
}

var operations = []operation{
	{"fromInt", func(a, _, _ int32) []int32 { return []int32{int32(fixed.FromInt(a))} }, 1},
	{"toInt", func(a, _, _ int32) []int32 { return []int32{fixed.Q(a).Int()} }, 1},
	{"floor", func(a, _, _ int32) []int32 { return []int32{fixed.Q(a).Floor()} }, 1},
	{"add", func(a, b, _ int32) []int32 { return []int32{int32(fixed.Q(a).Add(fixed.Q(b)))} }, 2},
	{"sub", func(a, b, _ int32) []int32 { return []int32{int32(fixed.Q(a).Sub(fixed.Q(b)))} }, 2},
	{"mul", func(a, b, _ int32) []int32 { return []int32{int32(fixed.Q(a).Mul(fixed.Q(b)))} }, 2},
	{"div", func(a, b, _ int32) []int32 { return []int32{int32(fixed.Q(a).Div(fixed.Q(b)))} }, 2},
	{"mulDiv", func(a, b, c int32) []int32 { return []int32{fixed.MulDiv(a, b, c)} }, 3},
	{"sqrt", func(a, _, _ int32) []int32 { return []int32{int32(fixed.Q(a).Sqrt())} }, 1},
	{"lerp", func(a, b, c int32) []int32 { return []int32{fixed.Lerp(a, b, fixed.Q(c))} }, 3},
	{"lerpAngle", func(a, b, c int32) []int32 {
		return []int32{int32(fixed.LerpAngle(fixed.Angle(a), fixed.Angle(b), fixed.Q(c)))}
	}, 3},
	{"sin", func(a, _, _ int32) []int32 { return []int32{int32(fixed.Sin(fixed.Angle(a)))} }, 1},
	{"cos", func(a, _, _ int32) []int32 { return []int32{int32(fixed.Cos(fixed.Angle(a)))} }, 1},
	{"atan2", func(a, b, _ int32) []int32 { return []int32{int32(fixed.Atan2(a, b))} }, 2},
	{"length", func(a, b, _ int32) []int32 { return []int32{fixed.Vec{X: a, Y: b}.Length()} }, 2},
	{"within", func(a, b, c int32) []int32 {
		if (fixed.Vec{X: a, Y: b}).Within(c) {
			return []int32{1}
		}
		return []int32{0}
	}, 3},
	{"normalise", func(a, b, c int32) []int32 { return axes(fixed.Vec{X: a, Y: b}.Normalise(c)) }, 3},
	{"clamp", func(a, b, c int32) []int32 { return axes(fixed.Vec{X: a, Y: b}.Clamp(c)) }, 3},
	{"rotate", func(a, b, c int32) []int32 { return axes(fixed.Vec{X: a, Y: b}.Rotate(fixed.Angle(c))) }, 3},
	{"polar", func(a, b, _ int32) []int32 { return axes(fixed.Polar(a, fixed.Angle(b))) }, 2},
}

func axes(v fixed.Vec) []int32 { return []int32{v.X, v.Y} }

// TestVectorsAreFresh keeps the cases that the TypeScript library is tested with equal to what this one does. Run it with -update after a change.
func TestVectorsAreFresh(t *testing.T) {
	var text bytes.Buffer
	r := rand.New(rand.NewPCG(7, 8))
	cases := 0
	text.WriteString("{\n")
	for i, o := range operations {
		var rows [][]int32
		add := func(a, b, c int32) { rows = append(rows, append([]int32{a, b, c}[:o.args:o.args], o.run(a, b, c)...)) }
		for j, a := range edges {
			if o.args == 1 {
				add(a, 0, 0)
				continue
			}
			for k, b := range edges {
				if o.args == 2 || (j+k)%3 == 0 {
					add(a, b, edges[r.IntN(len(edges))])
				}
			}
		}
		for range 250 {
			add(any32(r), any32(r), any32(r))
		}
		fmt.Fprintf(&text, "%q:[", o.name)
		for j, row := range rows {
			if j > 0 {
				text.WriteByte(',')
			}
			if j%16 == 0 {
				text.WriteByte('\n')
			}
			text.WriteByte('[')
			for k, n := range row {
				if k > 0 {
					text.WriteByte(',')
				}
				fmt.Fprint(&text, n)
			}
			text.WriteByte(']')
		}
		cases += len(rows)
		text.WriteString("]")
		if i < len(operations)-1 {
			text.WriteByte(',')
		}
		text.WriteByte('\n')
	}
	text.WriteString("}\n")
	if cases < 10_000 {
		t.Errorf("only %d cases", cases)
	}
	const file = "testdata/fixed.json"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.ReplaceAll(have, []byte("\r\n"), []byte("\n")), text.Bytes()) {
		t.Errorf("%s is not what the library does: run go test ./pkg/game/fixed -update and look at the difference", file)
	}
}
