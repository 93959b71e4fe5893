package terrain_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game/terrain"
)

var update = flag.Bool("update", false, "rewrite testdata")

// vectorMap is a map and walks on it: x, y, dx, dy, radius, 1 if free there, nx, ny, 1 if the line is clear.
type vectorMap struct {
	Bounds *terrain.Bounds `json:"bounds,omitempty"`
	Rects  [][4]int32      `json:"rects,omitempty"`
	File   []byte          `json:"file,omitempty"` // of a grid
	Walks  [][9]int32      `json:"walks"`
}

func one(is bool) int32 {
	if is {
		return 1
	}
	return 0
}

func (v *vectorMap) add(m walker, x, y, dx, dy, radius int32) {
	nx, ny := m.Walk(x, y, dx, dy, radius)
	clear := int64(x)+int64(dx) == int64(x+dx) && int64(y)+int64(dy) == int64(y+dy) && m.Clear(x, y, x+dx, y+dy)
	v.Walks = append(v.Walks, [9]int32{x, y, dx, dy, radius, one(m.Free(x, y, radius)), nx, ny, one(clear)})
}

// wide is a world as large as any, with rectangles all over it.
func wide(t *testing.T, r *rand.Rand) (vectorMap, walker) {
	b := terrain.Bounds{X: -1 << 30, Y: -1 << 30, Width: math.MaxInt32, Height: math.MaxInt32}
	v := vectorMap{Bounds: &b}
	var rects []terrain.Rect
	for range 400 {
		x, y := r.Int32N(1<<30)-1<<29, r.Int32N(1<<30)-1<<29
		c := terrain.Rect{X0: x, Y0: y, X1: x + 1 + r.Int32N(1<<r.IntN(28)), Y1: y + 1 + r.Int32N(1<<r.IntN(28))}
		rects, v.Rects = append(rects, c), append(v.Rects, [4]int32{c.X0, c.Y0, c.X1, c.Y1})
	}
	m, err := terrain.NewRects(b, rects)
	if err != nil {
		t.Fatal(err)
	}
	return v, m
}

// TestVectorsAreFresh keeps the walks that the TypeScript maps are tested with equal to those of these. Run it with -update after a change.
func TestVectorsAreFresh(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	var maps []vectorMap
	for range 25 {
		b, rects := someRects(r)
		m, err := terrain.NewRects(b, rects)
		if err != nil {
			t.Fatal(err)
		}
		v := vectorMap{Bounds: &b, Rects: [][4]int32{}}
		for _, c := range rects {
			v.Rects = append(v.Rects, [4]int32{c.X0, c.Y0, c.X1, c.Y1})
		}
		ways(r, b, 100, func(x, y, dx, dy, radius int32) { v.add(m, x, y, dx, dy, radius) })
		maps = append(maps, v)
	}
	for range 25 {
		c := someGrid(r)
		m, err := terrain.NewGrid(c)
		if err != nil {
			t.Fatal(err)
		}
		file, err := terrain.AppendGrid(nil, c)
		if err != nil {
			t.Fatal(err)
		}
		v := vectorMap{File: file}
		ways(r, m.Bounds(), 100, func(x, y, dx, dy, radius int32) { v.add(m, x, y, dx, dy, radius) })
		maps = append(maps, v)
	}
	v, m := wide(t, r)
	for range 300 {
		far := []int32{math.MinInt32, math.MaxInt32, 1 << 24, 1<<24 + 1, 5000, -70_000, 0, 1}
		v.add(m, r.Int32N(1<<30)-1<<29, r.Int32N(1<<30)-1<<29, far[r.IntN(len(far))], far[r.IntN(len(far))], []int32{0, 5, 1 << 20, math.MaxInt32, -7}[r.IntN(5)])
	}
	maps = append(maps, v)
	var text bytes.Buffer
	for i, v := range maps {
		line, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString([]string{"[\n", ",\n"}[min(i, 1)])
		text.Write(line)
	}
	text.WriteString("\n]\n")
	const file = "testdata/terrain.json"
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
		t.Errorf("%s is not what the maps do: run go test ./pkg/game/terrain -update and look at the difference", file)
	}
}
