package balance_test

import (
	"fmt"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/balance"
)

func Example() {
	instances := []*instance{{id: "a", inFlight: 9}, {id: "b", latency: 2 * time.Millisecond}, {id: "c", down: true}}
	ready := func(i *instance) bool { return !i.down }
	source := balance.NewSource(1)

	taken := map[string]int{}
	for range 100 {
		i, ok := balance.P2C(instances, ready, source)
		if !ok {
			fmt.Println("nobody is ready")
			return
		}
		taken[i.id]++
	}
	fmt.Println("the less busy one takes most:", taken["b"] > 90, "and the one that is down none:", taken["c"] == 0)

	one, _ := balance.Rendezvous("player 7", instances, nil)
	again, _ := balance.Rendezvous("player 7", instances, nil)
	fmt.Println("a key stays where it is:", one == again)
	// Output:
	// the less busy one takes most: true and the one that is down none: true
	// a key stays where it is: true
}

func ExampleBudget() {
	budget, err := balance.NewBudget(balance.BudgetConfig{MinPerSecond: -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 25 {
		budget.Call()
	}
	fmt.Println(budget.Retry(), budget.Retry(), budget.Retry())
	// Output: true true false
}
