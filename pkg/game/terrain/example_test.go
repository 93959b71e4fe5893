package terrain_test

import (
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/game/terrain"
)

func Example() {
	c, err := terrain.ParseText(`
..........
....##....
....##.~~.
..........
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Cell = 320 // a metre of plains
	m, err := terrain.NewGrid(c)
	if err != nil {
		fmt.Println(err)
		return
	}
	x, y := m.Walk(1000, 500, 400, 40, 112) // east into the wall, and along it
	fmt.Println(x, y, m.Clear(x, y, 2500, 500))
	// Output: 1167 540 false
}
