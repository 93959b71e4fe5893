package game_test

import (
	"slices"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

func children(e game.Entity) (ids []game.EntityID) {
	for c := range e.Children {
		ids = append(ids, c.ID())
	}
	return ids
}

func parent(t *testing.T, e game.Entity, b game.Being) {
	t.Helper()
	e.Zone().Edit(func() {
		if err := e.SetParent(b); err != nil {
			t.Fatal(err)
		}
	})
}

func TestChildrenMoveAndEndWithTheirParent(t *testing.T) {
	l := newLab(t)
	w := l.open(game.Config{Width: 2000})
	z := w.Zone(0)
	cart, rider, hat := l.spawn(z, 1, 500, 500), l.spawn(z, 1, 510, 490), l.spawn(z, 1, 510, 480)
	parent(t, rider, cart)
	parent(t, hat, rider)
	z.Edit(func() {
		cart.SetPosition(700, 500)
		cart.SetVelocity(3, 0)
		if err := cart.SetParent(hat); err == nil {
			t.Error("a circle is no mistake")
		}
		if err := cart.SetParent(cart); err == nil {
			t.Error("an entity is a part of itself")
		}
	})
	w.Tick(1)
	if s := stateOf(hat); s.X != 710 || s.Z != 480 || s.VX != 3 {
		t.Errorf("the hat is at %+v", s)
	}
	if up, ok := hat.Parent(); !ok || up != rider || !slices.Equal(children(cart), []game.EntityID{rider.ID()}) {
		t.Errorf("parent %v, children %v", up, children(cart))
	}
	z.Edit(func() { cart.SetPosition(1999, 500) })
	w.Tick(1)
	if s := stateOf(rider); s.X != 1999 {
		t.Errorf("the rider left the zone: %+v", s)
	}
	z.Edit(func() { z.Despawn(cart) })
	w.Tick(1)
	if z.Len() != 0 {
		t.Errorf("%d are left", z.Len())
	}
}

func TestFreedChildStaysWhereItIs(t *testing.T) {
	l := newLab(t)
	w := l.open(row(2)...)
	z := w.Zone(0)
	cart, rider := l.spawn(z, 1, 500, 500), l.spawn(z, 1, 520, 500)
	parent(t, rider, cart)
	w.Tick(1)
	parent(t, rider, game.Entity{})
	z.Edit(func() { cart.SetPosition(100, 100); rider.SetOwner(cart) })
	l.send(z, rider, game.Destination{X: 1500, Y: 600})
	w.Tick(3)
	rider = find(t, w, rider.ID())
	if s := stateOf(rider); s.X != 1500 || s.Z != 600 || rider.Owner() != cart.ID() {
		t.Errorf("the rider arrived at %+v, owned by %d", s, rider.Owner())
	}
	rider.Zone().Edit(func() { rider.SetOwner(nil) })
	if rider.Owner() != 0 {
		t.Error("it still has an owner")
	}
}

func TestFamiliesHaveBounds(t *testing.T) {
	l := newLab(t)
	w := l.open(game.Config{Width: 2000})
	z := w.Zone(0)
	root := l.spawn(z, 1, 500, 500)
	z.Edit(func() {
		parts, err := 0, error(nil)
		for parts < 5000 && err == nil {
			up := root
			if parts >= 1024 {
				up = nthChild(root, parts/1024)
			}
			e, failed := z.Spawn(1, 500, 500)
			if failed != nil {
				t.Fatal(failed)
			}
			if err = e.SetParent(up); err == nil {
				parts++
			}
		}
		if parts != 4095 {
			t.Errorf("%d parts: %v", parts, err)
		}
	})
	z.Edit(func() { z.Despawn(root) })
	if z.Len() != 1 {
		t.Errorf("%d are left, want the one that was refused", z.Len())
	}
}

func nthChild(e game.Entity, n int) (c game.Entity) {
	for c = range e.Children {
		if n--; n < 0 {
			return c
		}
	}
	return c
}
