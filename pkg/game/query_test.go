package game_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

func TestQueriesAgreeWithBruteForce(t *testing.T) {
	l := newLab(t)
	w := l.open(game.Config{X: 70_000, Y: -30_000, Width: 4000})
	z := w.Zone(0)
	c := z.Config()
	r := rand.New(rand.NewPCG(3, 4))
	place := func() (int32, int32) { return c.X + r.Int32N(c.Width), c.Y + r.Int32N(c.Height) }
	for range 40 {
		z.Edit(func() {
			for range 20 {
				x, y := place()
				if _, err := z.Spawn(1+game.Kind(r.IntN(3)), x, y); err != nil {
					t.Fatal(err)
				}
			}
			for e := range z.Entities {
				switch r.IntN(20) {
				case 0:
					z.Despawn(e)
				case 1:
					e.SetPosition(place())
				case 2:
					z.Die(e, 0, 0)
				}
			}
			for range 20 {
				x, y := place()
				checkQueries(t, z, x, y, r.Int32N(1500), r.IntN(12))
			}
		})
		w.Tick(1)
	}
}

func checkQueries(t *testing.T, z *game.Zone, x, y, radius int32, n int) {
	t.Helper()
	distance := func(e game.Entity) int64 {
		ex, ey := e.Position()
		return square(ex-x) + square(ey-y)
	}
	var near []game.Entity
	for e := range z.Entities {
		if distance(e) <= square(radius) {
			near = append(near, e)
		}
	}
	slices.SortFunc(near, func(a, b game.Entity) int {
		return cmp.Or(cmp.Compare(distance(a), distance(b)), cmp.Compare(a.ID(), b.ID()))
	})
	odd := func(e game.Entity) bool { return e.ID()%2 == 1 }
	var wantOdd []game.Entity
	for _, e := range near {
		if odd(e) && len(wantOdd) < n {
			wantOdd = append(wantOdd, e)
		}
	}
	if got := z.Nearest(x, y, radius, n, nil); !slices.Equal(got, near[:min(n, len(near))]) {
		t.Fatalf("nearest %d within %d: %v, want %v", n, radius, got, near)
	}
	if got := z.Nearest(x, y, radius, n, func(e game.Entity) bool {
		z.Nearest(x+5, y, radius, 3, nil) // a question within a question
		return odd(e)
	}); !slices.Equal(got, wantOdd) {
		t.Fatalf("nearest %d odd ones: %v, want %v", n, got, wantOdd)
	}
	count := 0
	z.Within(x, y, radius, func(game.Entity) bool { count++; return true })
	if count != len(near) {
		t.Fatalf("%d within %d, want %d", count, radius, len(near))
	}
	checkAreas(t, z, x, y, radius, near)
	if len(near) == 0 {
		return
	}
	from := near[0]
	x, y = from.Position()
	var want game.Entity
	for e := range z.OfKind(2) {
		if e != from && !e.Dead() && distance(e) <= square(radius) && (!want.Alive() || distance(e) < distance(want) || distance(e) == distance(want) && e.ID() < want.ID()) {
			want = e
		}
	}
	if got, ok := z.NearestOf(2, from, radius); ok != want.Alive() || ok && got != want {
		t.Fatalf("nearest of kind 2: %v, want %v", got, want)
	}
}

// checkAreas compares boxes and sectors around a place with brute force.
func checkAreas(t *testing.T, z *game.Zone, x, y, radius int32, near []game.Entity) {
	t.Helper()
	var inBox, inSector []game.Entity
	const dirX, dirY, half = -3, 4, 0.7 // cos: 0.7648…
	for e := range z.Entities {
		ex, ey := e.Position()
		if ex >= x-radius && ex <= x+radius/2 && ey >= y-7 && ey <= y+radius {
			inBox = append(inBox, e)
		}
	}
	for _, e := range near {
		ex, ey := e.Position()
		dx, dy := float64(ex-x), float64(ey-y)
		if math.Abs(math.Atan2(dx*dirY-dy*dirX, dx*dirX+dy*dirY)) <= half {
			inSector = append(inSector, e)
		}
	}
	byID := func(a, b game.Entity) int { return cmp.Compare(a.ID(), b.ID()) }
	collect := func(query func(yield func(game.Entity) bool)) []game.Entity {
		return slices.SortedFunc(query, byID)
	}
	slices.SortFunc(inSector, byID)
	slices.SortFunc(inBox, byID)
	if got := collect(func(yield func(game.Entity) bool) { z.Box(x-radius, y-7, x+radius/2, y+radius, yield) }); !slices.Equal(got, inBox) {
		t.Fatalf("box: %v, want %v", got, inBox)
	}
	if got := collect(func(yield func(game.Entity) bool) { z.Sector(x, y, radius, dirX, dirY, half, yield) }); !slices.Equal(got, inSector) {
		t.Fatalf("sector: %v, want %v", got, inSector)
	}
}

func TestAreasHaveTheirEdges(t *testing.T) {
	l := newLab(t)
	z := l.open(game.Config{X: -5000, Y: 700, Width: 4000}).Zone(0)
	e := l.spawn(z, 1, -4000, 2000)
	for _, c := range []struct {
		name  string
		query func(yield func(game.Entity) bool)
		found bool
	}{
		{"a box of one place", func(y func(game.Entity) bool) { z.Box(-4000, 2000, -4000, 2000, y) }, true},
		{"a box beside it", func(y func(game.Entity) bool) { z.Box(-4000, 2001, -4000, 2001, y) }, false},
		{"a box the wrong way round", func(y func(game.Entity) bool) { z.Box(-3999, 2000, -4001, 2000, y) }, false},
		{"a box of all there is", func(y func(game.Entity) bool) { z.Box(-1<<31, -1<<31, 1<<31-1, 1<<31-1, y) }, true},
		{"a sector ahead", func(y func(game.Entity) bool) { z.Sector(-4100, 2000, 100, 1, 0, 0.01, y) }, true},
		{"a sector that ends before", func(y func(game.Entity) bool) { z.Sector(-4100, 2000, 99, 1, 0, 0.01, y) }, false},
		{"a sector behind", func(y func(game.Entity) bool) { z.Sector(-4100, 2000, 100, -1, 0, 1.5, y) }, false},
		{"a sector all around", func(y func(game.Entity) bool) { z.Sector(-4100, 2000, 100, -1, 0, 4, y) }, true},
		{"a sector from where it stands", func(y func(game.Entity) bool) { z.Sector(-4000, 2000, 0, -1, 0, 0, y) }, true},
		{"a sector without a direction", func(y func(game.Entity) bool) { z.Sector(-4000, 2000, 100, 0, 0, 4, y) }, false},
		{"a circle at the other end of the world", func(y func(game.Entity) bool) { z.Within(1<<31-1-4000, 2000, 100, y) }, false},
	} {
		found := slices.Collect(c.query)
		if want := []game.Entity{e}; c.found != slices.Equal(found, want) || !c.found && len(found) > 0 {
			t.Errorf("%s: %v", c.name, found)
		}
	}
}

// TestQueriesHandOutWhatWasThere despawns and asks within a query.
func TestQueriesHandOutWhatWasThere(t *testing.T) {
	l := newLab(t)
	z := l.open(game.Config{Width: 4000}).Zone(0)
	for i := range int32(20) {
		l.spawn(z, 1, 100+i, 100)
	}
	z.Edit(func() {
		seen := map[game.EntityID]bool{}
		z.Within(100, 100, 500, func(e game.Entity) bool {
			if seen[e.ID()] || !e.Alive() {
				t.Fatalf("entity %d is found twice, or dead", e.ID())
			}
			seen[e.ID()] = true
			e.SetPosition(3000, 3000)
			if _, err := z.Spawn(1, 100, 101); err != nil {
				t.Fatal(err)
			}
			for _, n := range z.Nearest(120, 100, 50, 1, func(n game.Entity) bool { return n != e && !seen[n.ID()] && n.ID() <= 20 }) {
				z.Despawn(n)
			}
			return true
		})
		if len(seen) != 10 || z.Len() != 20 {
			t.Errorf("%d were found, %d live, want 10 of 20, the other 10 having been despawned, and 10 new ones", len(seen), z.Len())
		}
	})
}

// Where many are equally near for the index, which rounds, whole numbers decide, and then the ids.
func TestNearestIsExactFarAway(t *testing.T) {
	l := newLab(t)
	z := l.open(game.Config{Width: 1 << 22}).Zone(0)
	r := rand.New(rand.NewPCG(1, 8))
	z.Edit(func() {
		for range 300 {
			far := 3_000_000 + r.Int32N(3)
			if _, err := z.Spawn(1+game.Kind(r.IntN(3)), far, 5+r.Int32N(4000)); err != nil {
				t.Fatal(err)
			}
		}
	})
	for range 20 {
		checkQueries(t, z, r.Int32N(10), r.Int32N(3000), 4_000_000, r.IntN(40))
	}
}

// TestIterationIsStableWhileEntitiesComeAndGo wants those who were there when it began, less those who went before their turn.
func TestIterationIsStableWhileEntitiesComeAndGo(t *testing.T) {
	for name, walk := range map[string]func(z *game.Zone, yield func(game.Entity) bool){
		"entities": func(z *game.Zone, yield func(game.Entity) bool) { z.Entities(yield) },
		"of kind":  func(z *game.Zone, yield func(game.Entity) bool) { z.OfKind(2)(yield) },
		"visit":    nil,
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			r := rand.New(rand.NewPCG(9, 9))
			var z *game.Zone
			var visit func(e game.Entity) bool
			l.Setup = func(made *game.Zone) error {
				if z = made; walk == nil {
					z.Visit(game.Schedule{}, 2, func(e game.Entity) { visit(e) })
				} else {
					z.System(func() { walk(z, visit) })
				}
				return nil
			}
			w := l.open()
			for range 50 {
				l.spawn(z, 2, 10, 10)
			}
			w.Tick(0)
			for range 100 {
				old, gone, seen := map[game.EntityID]bool{}, map[game.EntityID]bool{}, map[game.EntityID]bool{}
				for e := range z.Entities {
					old[e.ID()] = true
				}
				visit = func(e game.Entity) bool {
					if !old[e.ID()] || gone[e.ID()] || seen[e.ID()] || !e.Alive() {
						t.Fatalf("entity %d: there before %v, gone %v, seen %v", e.ID(), old[e.ID()], gone[e.ID()], seen[e.ID()])
					}
					seen[e.ID()] = true
					for range r.IntN(5) {
						if _, err := z.Spawn(2, 20, 20); err != nil {
							t.Fatal(err)
						}
					}
					for range r.IntN(4) {
						for x := range z.OfKind(2) {
							if r.IntN(30) == 0 && z.Len() > 20 {
								gone[x.ID()] = true
								z.Despawn(x)
								break
							}
						}
					}
					return true
				}
				w.Tick(1)
				for id := range old {
					if !seen[id] && !gone[id] {
						t.Fatalf("entity %d was passed over", id)
					}
				}
				z.Edit(func() {
					for e := range z.Entities {
						if z.Len() > 60 {
							z.Despawn(e)
						}
					}
				})
				visit = func(game.Entity) bool { return true }
				w.Tick(1)
			}
		})
	}
}
