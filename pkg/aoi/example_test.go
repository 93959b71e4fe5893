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

// Whom a fireball hits, what lies in a square, what a cleave in front of the
// player reaches, and the two nearest monsters: the queries count the moves made
// since the last Tick.
func ExampleSpace_Within() {
	const players, monsters = 1 << 0, 1 << 1
	space, err := aoi.New(aoi.Config{})
	if err != nil {
		log.Fatal(err)
	}
	names := map[aoi.Handle]string{}
	for _, e := range []struct {
		name   string
		x, z   float32
		layers uint32
	}{
		{"player", 0, 0, players}, {"wolf", 3, 4, monsters}, {"bear", 6, -1, monsters}, {"friend", 2, 0, players}, {"dragon", -30, 0, monsters},
	} {
		h, err := space.Add(e.x, e.z, aoi.Opts{Layers: e.layers})
		if err != nil {
			log.Fatal(err)
		}
		names[h] = e.name
	}
	show := func(what string, query func(yield func(aoi.Handle) bool)) {
		var found []string
		query(func(h aoi.Handle) bool {
			found = append(found, names[h])
			return true
		})
		fmt.Println(what, found)
	}
	show("nearest:", func(yield func(aoi.Handle) bool) { space.Only(monsters).Nearest(0, 0, 50, 2, yield) })
	show("hit:", func(yield func(aoi.Handle) bool) { space.Only(monsters).Within(3, 1, 3.5, yield) })
	show("in the square:", func(yield func(aoi.Handle) bool) { space.Box(-40, -10, -20, 10, yield) })
	show("in front:", func(yield func(aoi.Handle) bool) { space.Only(monsters).Sector(0, 0, 10, 1, 0, 0.5, yield) })
	// Output:
	// nearest: [wolf bear]
	// hit: [wolf]
	// in the square: [dragon]
	// in front: [bear]
}

// A scout sees at most the two nearest. One that it sees already is not given
// up for another that comes only a little closer.
func ExampleSpace_SetNearest() {
	space, err := aoi.New(aoi.Config{})
	if err != nil {
		log.Fatal(err)
	}
	names := map[aoi.Handle]string{}
	add := func(name string, x float32, o aoi.Opts) aoi.Handle {
		h, err := space.Add(x, 0, o)
		if err != nil {
			log.Fatal(err)
		}
		names[h] = name
		return h
	}
	add("scout", 0, aoi.Opts{Radius: 100, Nearest: 2})
	add("wolf", 10, aoi.Opts{})
	add("bear", 20, aoi.Opts{})
	deer := add("deer", 30, aoi.Opts{})

	for _, x := range []float32{30, 19, 15} {
		if err := space.Move(deer, x, 0); err != nil {
			log.Fatal(err)
		}
		events := space.Tick()
		for _, p := range events.Leaves {
			fmt.Printf("deer at %v: %s leaves\n", x, names[p.Target])
		}
		for _, p := range events.Enters {
			fmt.Printf("deer at %v: %s enters\n", x, names[p.Target])
		}
	}
	// Unordered output:
	// deer at 30: wolf enters
	// deer at 30: bear enters
	// deer at 15: bear leaves
	// deer at 15: deer enters
}

// A sentry sees players only, whatever else comes near.
func ExampleSpace_SetMask() {
	const players, monsters = 1 << 0, 1 << 1
	space, err := aoi.New(aoi.Config{})
	if err != nil {
		log.Fatal(err)
	}
	sentry, err := space.Add(0, 0, aoi.Opts{Radius: 50, Mask: players, Layers: monsters})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := space.Add(1, 1, aoi.Opts{Layers: players}); err != nil {
		log.Fatal(err)
	}
	if _, err := space.Add(2, 2, aoi.Opts{Layers: monsters}); err != nil {
		log.Fatal(err)
	}
	fmt.Println("enter:", len(space.Tick().Enters))
	if err := space.SetMask(sentry, players|monsters); err != nil {
		log.Fatal(err)
	}
	fmt.Println("enter:", len(space.Tick().Enters))
	// Output:
	// enter: 1
	// enter: 1
}
