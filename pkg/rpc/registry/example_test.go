package registry_test

import (
	"context"
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
)

func Example() {
	ctx := context.Background()
	r := registry.NewMemory() // or OpenDirectory, for the processes of one host
	watcher, err := r.Watch(ctx, "game.v1.World")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer watcher.Close()

	world := registry.Instance{ID: "world-1", Epoch: 1, Services: []string{"game.v1.World"}, Endpoints: []string{"unix:///run/world-1.sock"}}
	registration, err := r.Register(ctx, world)
	if err != nil {
		fmt.Println(err)
		return
	}
	show := func() {
		set, err := watcher.Next(ctx)
		if err != nil {
			fmt.Println(err)
		}
		for _, i := range set {
			fmt.Println(i.ID, i.Endpoints, i.State)
		}
		fmt.Println(len(set), "instances")
	}
	show()
	world.State = registry.Draining
	if err := registration.Update(world); err != nil {
		fmt.Println(err)
	}
	show()
	registration.Close()
	show()
	// Output:
	// world-1 [unix:///run/world-1.sock] ready
	// 1 instances
	// world-1 [unix:///run/world-1.sock] draining
	// 1 instances
	// 0 instances
}
