package tsgen

import "testing"

func TestNames(t *testing.T) {
	for _, c := range []struct {
		rule     func(string) string
		in, want string
	}{
		{camel, "hp", "hp"}, {camel, "hit_points", "hitPoints"}, {camel, "a__b_", "aB"}, {camel, "f_01", "f01"},
		{lower, "Hero", "hero"}, {lower, "NPC", "npc"}, {lower, "UIThing", "uiThing"}, {lower, "A", "a"},
		{plural, "hero", "heroes"}, {plural, "walker", "walkers"}, {plural, "enemy", "enemies"}, {plural, "boy", "boys"}, {plural, "box", "boxes"}, {plural, "wolf", "wolves"}, {plural, "knife", "knives"}, {plural, "chief", "chiefs"},
		{typeName, "Error", "ErrorMessage"}, {typeName, "Outer_Inner", "OuterInner"}, {typeName, "Zone", "Zone"},
		{upperSnake, "ItemKind", "ITEM_KIND"}, {upperSnake, "HTTPCode", "HTTP_CODE"},
	} {
		if got := c.rule(c.in); got != c.want {
			t.Errorf("%s became %s, not %s", c.in, got, c.want)
		}
	}
	for _, c := range [][3]string{{"web/sdk/gen", "web/sdk/gen/mmo.ts", "./mmo.ts"}, {"web/test/gen", "web/sdk/gen/mmo.ts", "../../sdk/gen/mmo.ts"}, {".", "a.ts", "./a.ts"}, {"a", "b.ts", "../b.ts"}} {
		if got := relative(c[0], c[1]); got != c[2] {
			t.Errorf("from %s to %s: %s, not %s", c[0], c[1], got, c[2])
		}
	}
	if got := member("constructor") + member("index", "index") + member("x", "index"); got != "constructor_index_x" {
		t.Error(got)
	}
}
