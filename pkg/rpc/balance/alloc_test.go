//go:build !race

package balance_test

import (
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/balance"
)

func TestPickingAllocatesNothing(t *testing.T) {
	set, s, o := some(20), balance.NewSource(1), balance.NewOutlier(balance.OutlierConfig{})
	set[4].weight = 3
	b, err := balance.NewBudget(balance.BudgetConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for name, pick := range map[string]func(){
		"P2C":        func() { balance.P2C(set, func(i *instance) bool { return i != set[2] && !o.Ejected() }, s) },
		"Rendezvous": func() { balance.Rendezvous("player 7", set, up) },
		"Direct":     func() { balance.Direct("world-19", set, up) },
		"Budget":     func() { b.Call(); b.Retry() },
		"Outlier":    func() { o.Failure(); o.Success() },
	} {
		if n := testing.AllocsPerRun(100, pick); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
