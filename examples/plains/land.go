package plains

import (
	"embed"
	"fmt"
	"io/fs"
	"math"

	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/examples/plains/rules"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/terrain"
)

//go:embed data
var data embed.FS

// World is a square of land with walls, divided into columns of zones: one world, in which nobody notices where one zone ends. side is in quanta.
func World(seed uint64, side, columns int32) ([]game.Config, error) {
	files, _ := fs.Sub(data, "data") // it is there
	numbers, err := bind.LoadTables(files)
	if err != nil {
		return nil, fmt.Errorf("plains: %w", err)
	}
	walls := newGround(side, [][4]int32{ // in hundredths of the side
		{40, 30, 60, 31}, {20, 60, 21, 80}, {70, 60, 82, 61}, {81, 61, 82, 72}, {15, 15, 22, 20}, {33, 88, 34, 100},
	})
	return game.Grid(game.Config{Seed: seed, Width: side, Height: side, Map: walls, Tables: numbers.Set()}, columns, 1), nil
}

// SideFor returns the side of a square world, in quanta, in which about 50 of n entities are within 50 m of each.
func SideFor(n int) int32 {
	metres := math.Sqrt(float64(max(n, 1)) * math.Pi * 50 * 50 / 50)
	return min(max(int32(math.Ceil(metres)), 60)*bind.QuantaPerMetre, 1<<24)
}

// ground is a map of walls, and what clients are told of it.
type ground struct {
	*terrain.Rects
	message *plainsv1.Ground
	den     bool
}

func newGround(side int32, walls [][4]int32) *ground {
	g := &ground{message: &plainsv1.Ground{Width: side, Height: side}}
	var rects []terrain.Rect
	at := func(hundredths int32) int32 { return int32(int64(side) * int64(hundredths) / 100) }
	for _, w := range walls {
		rects = append(rects, terrain.Rect{X0: at(w[0]), Y0: at(w[1]), X1: at(w[2]), Y1: at(w[3])})
		g.message.Walls = append(g.message.Walls, &plainsv1.Wall{X0: at(w[0]), Z0: at(w[1]), X1: at(w[2]), Z1: at(w[3])})
	}
	var err error
	if g.Rects, err = terrain.NewRects(terrain.Bounds{Width: side, Height: side}, rects); err != nil {
		panic(fmt.Sprintf("plains: walls on %d quanta: %v", side, err)) // they are our own
	}
	return g
}

// showGround tells a player where it can walk: its client predicts by it.
func showGround(z *game.Zone, p *game.Player) error {
	if g, ok := z.Map().(*ground); ok {
		return bind.PushGround(z, p, g.message)
	}
	return nil
}

// somewhere is a place in the zone, by chance, where one can stand.
func (w *world) somewhere() (x, z int32) {
	c := w.Config()
	for range 100 {
		x, z = c.X+w.Rand.Int32N(c.Width), c.Y+w.Rand.Int32N(c.Height)
		if w.Map() == nil || w.Map().Free(x, z, rules.Radius) {
			break
		}
	}
	return x, z
}
