package balance_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/balance"
)

type instance struct {
	id       string
	inFlight int
	latency  time.Duration
	weight   int
	down     bool
}

func (i *instance) ID() string             { return i.id }
func (i *instance) InFlight() int          { return i.inFlight }
func (i *instance) Latency() time.Duration { return i.latency }
func (i *instance) Weight() int            { return i.weight }

func up(i *instance) bool { return !i.down }

func some(n int) []*instance {
	set := make([]*instance, n)
	for i := range set {
		set[i] = &instance{id: fmt.Sprintf("world-%d", i)}
	}
	return set
}

// within fails unless got is near want: four standard deviations of drawing tries times, so a right picker fails for one seed in ten thousand, and the seeds are fixed.
func within(t *testing.T, what string, got, tries int, share float64) {
	t.Helper()
	want, spread := float64(tries)*share, 4*math.Sqrt(float64(tries)*share*(1-share))
	if math.Abs(float64(got)-want) > spread+1 {
		t.Errorf("%s: %d of %d, want %.0f ± %.0f", what, got, tries, want, spread)
	}
}

func TestP2CSpreadsEvenlyAmongEquals(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 100} {
		set, s, taken := some(n), balance.NewSource(uint64(n)), map[string]int{}
		const tries = 50_000
		for range tries {
			i, ok := balance.P2C(set, nil, s)
			if !ok {
				t.Fatal("nobody picked")
			}
			taken[i.id]++
		}
		for id, got := range taken {
			within(t, fmt.Sprintf("%s of %d", id, n), got, tries, 1/float64(n))
		}
		if len(taken) != n {
			t.Errorf("%d of %d were ever picked", len(taken), n)
		}
	}
}

func TestP2CPassesOverThoseWhoAreNotReady(t *testing.T) {
	for _, ready := range []int{0, 1, 2, 5} {
		set, s, taken := some(50), balance.NewSource(1), map[string]int{}
		for n := range set {
			set[n].down = n >= ready
		}
		const tries = 20_000
		for range tries {
			if i, ok := balance.P2C(set, up, s); ok != (ready > 0) {
				t.Fatalf("%d ready: ok is %v", ready, ok)
			} else if ok {
				taken[i.id]++
			}
		}
		if len(taken) != ready {
			t.Errorf("%d ready, picked were %v", ready, taken)
		}
		for id, got := range taken {
			within(t, id, got, tries, 1/float64(ready))
		}
	}
	if _, ok := balance.P2C([]*instance(nil), nil, balance.NewSource(1)); ok {
		t.Error("picked somebody from nobody")
	}
}

func TestP2CPrefersTheLessLoaded(t *testing.T) {
	tests := []struct {
		name       string
		win, loses instance
	}{
		{"fewer calls in flight", instance{inFlight: 1}, instance{inFlight: 2}},
		{"faster", instance{latency: time.Millisecond}, instance{latency: 2 * time.Millisecond}},
		{"heavier", instance{weight: 2}, instance{weight: 1}},
		{"no weight is one", instance{weight: 0, inFlight: 1}, instance{weight: 1, inFlight: 2}},
		{"fast and busy against slow and idle", instance{latency: time.Millisecond, inFlight: 3}, instance{latency: 9 * time.Millisecond}},
		{"noise far below the floor loses to calls in flight", instance{latency: 90 * time.Microsecond}, instance{latency: 10 * time.Microsecond, inFlight: 1}},
		{"unknown counts as fast as the other", instance{inFlight: 1}, instance{latency: time.Second, inFlight: 2}},
		{"unknown and busy against known and idle", instance{latency: time.Second}, instance{inFlight: 1}},
		{"beyond 64 bits", instance{latency: time.Hour, inFlight: 1 << 40, weight: 1}, instance{latency: time.Hour, inFlight: 1<<40 + 1<<30, weight: 1}},
		{"nonsense is not negative", instance{latency: -time.Hour, inFlight: -5, weight: -7}, instance{inFlight: 1}},
	}
	for _, test := range tests {
		for swap := range 2 {
			set, s, won := []*instance{&test.win, &test.loses}, balance.NewSource(3), 0
			if swap == 1 {
				slices.Reverse(set)
			}
			const tries = 10_000
			for range tries {
				if i, _ := balance.P2C(set, nil, s); i == &test.win {
					won++
				}
			}
			// One pick in 64 explores, and half of those hit the loser.
			within(t, test.name, won, tries, 1-1.0/128)
		}
	}
}

func TestP2CSharesConcurrentCallsByWeight(t *testing.T) {
	set, s := []*instance{{id: "a", weight: 1}, {id: "b", weight: 2}, {id: "c", weight: 5}}, balance.NewSource(9)
	for range 800 {
		i, _ := balance.P2C(set, nil, s)
		i.inFlight++
	}
	for n, want := range []int{100, 200, 500} {
		if got := set[n].inFlight; math.Abs(float64(got-want)) > 0.15*float64(want) {
			t.Errorf("%s has %d calls in flight, want about %d", set[n].id, got, want)
		}
	}
}

func TestRendezvousMovesOnlyTheKeysOfWhatChanged(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 30 {
		set := some(2 + random.IntN(12))
		for _, i := range set {
			i.weight = random.IntN(4)
		}
		keys := make([]string, 400)
		home := make([]*instance, len(keys))
		for k := range keys {
			keys[k] = fmt.Sprintf("player %d.%d", round, k)
			home[k], _ = balance.Rendezvous(keys[k], set, up)
		}
		each := func(what string, wrong func(before, after *instance) bool) {
			t.Helper()
			for k, key := range keys {
				if after, ok := balance.Rendezvous(key, set, up); !ok || wrong(home[k], after) {
					t.Fatalf("round %d, %s: key %q moved from %s to %s", round, what, key, home[k].id, after.id)
				}
			}
		}
		random.Shuffle(len(set), func(a, b int) { set[a], set[b] = set[b], set[a] })
		each("another order", func(before, after *instance) bool { return before != after })

		victim := set[random.IntN(len(set))]
		victim.down = true
		each("one is down", func(before, after *instance) bool {
			return after == victim || before != victim && before != after
		})
		victim.down = false
		each("it is up again", func(before, after *instance) bool { return before != after })

		old := victim.weight
		victim.weight = max(old, 1) + 3
		each("it weighs more", func(before, after *instance) bool { return before != after && after != victim })
		victim.weight = old

		newcomer := &instance{id: "newcomer", weight: random.IntN(4)}
		set = append(set, newcomer)
		each("one comes", func(before, after *instance) bool { return before != after && after != newcomer })
	}
}

func TestRendezvousSharesKeysByWeight(t *testing.T) {
	for _, weights := range [][]int{{1, 1, 1, 1}, {0, 1, 2, 5}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {10000, 1, 10000}} {
		sum := 0
		set := some(len(weights))
		for n, w := range weights {
			set[n].weight = w
			sum += max(w, 1)
		}
		taken := map[*instance]int{}
		const tries = 20_000
		for k := range tries {
			i, _ := balance.Rendezvous(fmt.Sprint("key ", k), set, nil)
			taken[i]++
		}
		for n, w := range weights {
			within(t, fmt.Sprintf("weights %v, %s", weights, set[n].id), taken[set[n]], tries, float64(max(w, 1))/float64(sum))
		}
	}
}

// The places of keys are part of the wire contract between processes of different versions.
func TestRendezvousNeverChangesItsMind(t *testing.T) {
	set := some(8)
	set[3].weight = 4
	var got string
	for k := range 16 {
		i, _ := balance.Rendezvous(fmt.Sprint("player ", k), set, nil)
		got += i.id[len("world-"):]
	}
	if want := "0726561202303703"; got != want {
		t.Errorf("places are %s, they were %s: processes of two versions would disagree", got, want)
	}
	for _, i := range set {
		i.down = true
	}
	if _, ok := balance.Rendezvous("x", set, up); ok {
		t.Error("picked somebody who is down")
	}
	if i, ok := balance.Rendezvous("", some(1), nil); !ok || i.id != "world-0" {
		t.Error("the empty key has no place")
	}
	twins := []*instance{{id: "same", inFlight: 1}, {id: "same", inFlight: 2}}
	if _, ok := balance.Rendezvous("x", twins, nil); !ok {
		t.Error("twins confuse it")
	}
}

func TestDirectFindsWhoIsNamed(t *testing.T) {
	set := some(5)
	if i, ok := balance.Direct("world-3", set, up); !ok || i != set[3] {
		t.Errorf("found %v, %v", i, ok)
	}
	set[3].down = true
	if i, ok := balance.Direct("world-3", set, up); ok || i != nil {
		t.Error("found one that is not ready")
	}
	if i, ok := balance.Direct("world-3", set, nil); !ok || i != set[3] {
		t.Errorf("found %v, %v", i, ok)
	}
	if _, ok := balance.Direct("world-9", set, nil); ok {
		t.Error("found one that is not there")
	}
}

func TestSourceIsSplitmix64(t *testing.T) {
	s := balance.NewSource(0)
	for _, want := range []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f} { // as published
		if got := s.Uint64(); got != want {
			t.Errorf("got %#x, want %#x", got, want)
		}
	}
	if rand.New(balance.NewSource(7)).IntN(10) != rand.New(balance.NewSource(7)).IntN(10) {
		t.Error("two sources of one seed differ")
	}
}

func BenchmarkP2C(b *testing.B) {
	set, s := some(20), balance.NewSource(1)
	b.ReportAllocs()
	for b.Loop() {
		balance.P2C(set, up, s)
	}
}

func BenchmarkRendezvous(b *testing.B) {
	set := some(20)
	b.ReportAllocs()
	for b.Loop() {
		balance.Rendezvous("player 7", set, up)
	}
}
