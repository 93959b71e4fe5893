package aoi_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
)

// A wolf comes to a hero: the code of docs/aoi.md.
func Example_page() {
	show := func(observer, target aoi.Handle) { fmt.Printf("%d sees %d\n", observer, target) }
	forget := func(observer, target aoi.Handle) { fmt.Printf("%d lost %d\n", observer, target) }
	burn := func(h aoi.Handle) { fmt.Println("burnt:", h) }
	if err := page(show, forget, burn); err != nil {
		fmt.Println(err)
	}
	// Unordered output:
	// 0 sees 1
	// sees the wolf: true
	// burnt: 0
	// burnt: 1
	// target: 1
}

func page(show, forget func(observer, target aoi.Handle), burn func(aoi.Handle)) error {
	const monsters = 1 << 1             // a layer
	space, err := aoi.New(aoi.Config{}) // places within ±2^24, one goroutine, the fastest kernel of the machine
	if err != nil {
		return err
	}
	hero, err := space.Add(0, 0, aoi.Opts{Radius: 50, LeaveRadius: 55, Nearest: 100}) // sees, and is seen
	if err != nil {
		return err
	}
	wolf, err := space.Add(80, 0, aoi.Opts{Layers: monsters}) // is seen
	if err != nil {
		return err
	}
	for x := float32(80); x > 0; x -= 2 { // one turn is one tick
		if err := space.Move(wolf, x, 0); err != nil {
			return err
		}
		events := space.Tick()
		for _, p := range events.Leaves {
			forget(p.Observer, p.Target)
		}
		for _, p := range events.Enters {
			show(p.Observer, p.Target)
		}
	}
	fmt.Println("sees the wolf:", space.Sees(hero, wolf))
	target := hero
	space.Within(0, 0, 10, func(h aoi.Handle) bool {
		burn(h)
		return true // go on
	})
	space.Only(monsters).Nearest(0, 0, 30, 1, func(h aoi.Handle) bool {
		target = h
		return true
	})
	fmt.Println("target:", target)
	return nil
}

// TestPageShowsThisCode holds docs/aoi.md and its twin to code that compiles, and to each other.
func TestPageShowsThisCode(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	english, chinese, source := read("../../docs/aoi.md"), read("../../docs/aoi.zh-CN.md"), read("docs_test.go")
	flat := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	block := regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	all := block.FindAllString(english, -1)
	if len(all) == 0 || !slices.Equal(all, block.FindAllString(chinese, -1)) {
		t.Error("the Go blocks of docs/aoi.md and docs/aoi.zh-CN.md differ: copy those of the English page")
	}
	for _, m := range block.FindAllStringSubmatch(english, -1) {
		if !strings.Contains(flat(source), flat(m[1])) {
			t.Errorf("this block of docs/aoi.md is not in docs_test.go, so nobody knows that it works:\n%s", m[1])
		}
	}
	form := regexp.MustCompile("(?m)^(#+ |\\||- |!\\[|```|<!--)")
	if a, b := form.FindAllString(english, -1), form.FindAllString(chinese, -1); !slices.Equal(a, b) {
		t.Errorf("headings, tables, lists and pictures of the two pages differ:\n%q\n%q", a, b)
	}
}
