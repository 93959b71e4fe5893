package aoi_test

import (
	"fmt"
	"log"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
)

// A player walks past a chest: it comes into view at 50, and is lost at 55.
func Example() {
	space, err := aoi.New(aoi.Config{MinX: -1000, MinZ: -1000, MaxX: 1000, MaxZ: 1000})
	if err != nil {
		log.Fatal(err)
	}
	names := map[aoi.Handle]string{}
	player, err := space.Add(-70, 0, aoi.Opts{Radius: 50, LeaveRadius: 55})
	if err != nil {
		log.Fatal(err)
	}
	chest, err := space.Add(0, 0, aoi.Opts{})
	if err != nil {
		log.Fatal(err)
	}
	names[player], names[chest] = "player", "chest"

	for x := float32(-70); x <= 70; x++ {
		if err := space.Move(player, x, 0); err != nil {
			log.Fatal(err)
		}
		events := space.Tick()
		for _, p := range events.Leaves {
			fmt.Printf("x=%v: %s leaves the sight of %s\n", x, names[p.Target], names[p.Observer])
		}
		for _, p := range events.Enters {
			fmt.Printf("x=%v: %s enters the sight of %s\n", x, names[p.Target], names[p.Observer])
		}
	}
	// Output:
	// x=-50: chest enters the sight of player
	// x=56: chest leaves the sight of player
}
