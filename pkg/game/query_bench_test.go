package game_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// BenchmarkNearest asks among 10,000 entities on 400 × 400 m for the nearest of all, and for the nearest of a kind that a thousandth of them has.
func BenchmarkNearest(b *testing.B) {
	const common, rare = 1, 2
	z := newZone(b, &game.Game{Name: "field", Schema: schema()}, game.Config{})
	r := rand.New(rand.NewPCG(1, 2))
	c := z.Config()
	var all []game.Entity
	for i := range 10_000 {
		k := game.Kind(common)
		if i%1000 == 0 {
			k = rare
		}
		e, err := z.Spawn(k, r.Int32N(c.Width), r.Int32N(c.Height))
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, e)
	}
	z.Step(nil)
	for _, metres := range []int32{2, 20, 400} {
		radius := int32(float64(metres) / z.Quantum())
		for _, n := range []int{1, 8} {
			b.Run(fmt.Sprintf("%d of all in %d m", n, metres), func(b *testing.B) {
				for i := range b.N {
					x, y := all[i%len(all)].Position()
					z.Nearest(x, y, radius, n, nil)
				}
			})
		}
		b.Run(fmt.Sprintf("of a rare kind in %d m", metres), func(b *testing.B) {
			for i := range b.N {
				z.NearestOf(rare, all[i%len(all)], radius)
			}
		})
	}
}
