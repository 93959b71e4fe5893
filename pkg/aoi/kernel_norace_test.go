//go:build !race

package aoi

import "testing"

func TestKernelsEqualThePlainRuleManyTimes(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 2
	}
	kernelsEqualThePlainRule(t, rounds)
}

func TestKernelsRankLikeThePlainRuleManyTimes(t *testing.T) {
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	kernelsRankLikeThePlainRule(t, rounds)
}
