package sink_test

import (
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/examples/sink/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	pb "github.com/tianxia-mmo/tianxia/proto_define/sink/v1"
)

func pilgrim(t testing.TB, z *game.Zone) bind.Pilgrim {
	t.Helper()
	p, err := bind.SpawnPilgrim(z, 10, 20)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOptionalComponentsComeAndGo(t *testing.T) {
	edit(t, func(z *game.Zone) {
		p := pilgrim(t, z)
		if p.HasBuffs() || p.HasMind() || !p.Has(bind.ComponentTransform) {
			t.Error("an entity is spawned with what is optional, or without what is not")
		}
		if _, ok := bind.BuffsOf(p.Entity); ok {
			t.Error("BuffsOf finds what is absent")
		}
		if got := p.String(); !strings.Contains(got, "{Buffs{}, Transform{") {
			t.Errorf("%s", got)
		}
		b := p.AddBuffs()
		if b.Level() != 1 || b.Title() != "" || b.ListLen() != 0 {
			t.Errorf("added with %v, want the defaults", b)
		}
		b.SetTitle("blessed")
		b.ListAppend(&pb.Buff{Name: "haste", Left: 20, Tags: []string{"good"}})
		p.AddMind().SetStep(7)
		if got, ok := bind.BuffsOf(p.Entity); !ok || got.Title() != "blessed" || p.AddBuffs().ListLen() != 1 || p.Mind().Step() != 7 {
			t.Error("what is there is not found, or adding it again changes it")
		}
		p.RemoveBuffs()
		p.RemoveBuffs()
		if p.HasBuffs() || !p.HasMind() {
			t.Error("it is still there, or another one went")
		}
		if b := p.AddBuffs(); b.Level() != 1 || b.Title() != "" || b.ListLen() != 0 {
			t.Errorf("added again with %v, want the defaults", b)
		}
	})
}

func TestWhatIsAbsentPanicsWithAdvice(t *testing.T) {
	edit(t, func(z *game.Zone) {
		p := pilgrim(t, z)
		h, err := bind.SpawnHero(z, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		stale := p.AddBuffs()
		cell := p.Cell(bind.ComponentBuffs)
		p.RemoveBuffs()
		for want, call := range map[string]func(){
			"lacks component 23, which is optional: ask Has first, or Add it": func() { stale.SetTitle("x") },
			"lacks component 23":                                      func() { p.Buffs().Level() },
			"lost component 23 after its Cell":                        func() { cell.Edit(delta.AOI) },
			"component 22 is not optional for kind \"Pilgrim\"":       func() { p.Remove(bind.ComponentTransform) },
			"component 23 is not optional for kind \"Hero\"":          func() { h.Add(bind.ComponentBuffs) },
			"of kind \"Hero\" has no component 23: ask Has first, or": func() { bind.Buffs(h.Entity).Level() },
		} {
			if got := panicOf(call); !strings.Contains(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		}
		if h.Has(bind.ComponentBuffs) {
			t.Error("a hero has what its kind does not name")
		}
	})
}

func TestPresenceIsPartOfTheWorldsHash(t *testing.T) {
	edit(t, func(z *game.Zone) {
		edit(t, func(other *game.Zone) {
			p, q := pilgrim(t, z), pilgrim(t, other)
			if z.Hash() != other.Hash() {
				t.Fatal("equal worlds differ")
			}
			p.AddVigil()
			if z.Hash() == other.Hash() {
				t.Error("a component that is there does not count")
			}
			q.AddVigil()
			if z.Hash() != other.Hash() {
				t.Error("equal worlds differ")
			}
		})
	})
}
