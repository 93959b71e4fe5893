//go:build !race

package tables_test

import "testing"

func TestLookingUpAllocatesNothing(t *testing.T) {
	set := load(t, good(nil))
	sum := 0
	for name, run := range map[string]func(){
		"Of a number": func() {
			if m, ok := set.Typed().(*game).monsters.Of(7); ok {
				sum += int(m.Hp)
			}
		},
		"Of a text": func() {
			if i, ok := set.Typed().(*game).items.Of("fur"); ok {
				sum += int(i.Price)
			}
		},
		"All": func() {
			for _, m := range set.Typed().(*game).monsters.All {
				sum += int(m.Hp)
			}
		},
		"At": func() { sum += int(set.Typed().(*game).monsters.At(0).Hp) },
	} {
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	b := make([]byte, 0, set.Size())
	if n := testing.AllocsPerRun(100, func() { b = set.Append(b[:0]) }); n != 0 {
		t.Errorf("Append to a large enough slice allocates %v times", n)
	}
	if sum == 0 {
		t.Error("nothing was found")
	}
}
