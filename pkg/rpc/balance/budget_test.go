package balance_test

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/balance"
)

// clock is one that tests move.
type clock struct{ t time.Time }

func newClock() *clock                   { return &clock{time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)} }
func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }

func budget(t *testing.T, cfg balance.BudgetConfig) *balance.Budget {
	t.Helper()
	b, err := balance.NewBudget(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func retries(b *balance.Budget) (n int) {
	for b.Retry() {
		n++
	}
	return n
}

func TestBudgetLendsAFractionOfTheCalls(t *testing.T) {
	c := newClock()
	b := budget(t, balance.BudgetConfig{Now: c.now})
	if n := retries(b); n != 10 {
		t.Errorf("%d retries at the start, want what a second brings, 10", n)
	}
	for range 500 {
		b.Call()
	}
	if n := retries(b); n != 50 {
		t.Errorf("%d retries of 500 calls, want 50", n)
	}
	for range 1_000_000 {
		b.Call()
	}
	if b.Left() != 100 {
		t.Errorf("%v retries saved up, want 100", b.Left())
	}
	if n := retries(b); n != 100 {
		t.Errorf("%d retries saved up, want 100", n)
	}
}

func TestBudgetPaysASmallMinimumPerSecond(t *testing.T) {
	c := newClock()
	b := budget(t, balance.BudgetConfig{MinPerSecond: 2, Now: c.now})
	retries(b)
	n := 0
	for range 10_000 { // asked so often that each time next to nothing is due
		c.advance(time.Millisecond)
		if b.Retry() {
			n++
		}
	}
	if n < 19 || n > 20 {
		t.Errorf("%d retries in 10 s, want 20", n)
	}
	c.advance(time.Hour)
	if n := retries(b); n != 100 {
		t.Errorf("%d retries after an hour, want the burst of 100", n)
	}
	c.advance(-time.Hour) // a clock set back
	if n := retries(b); n != 0 {
		t.Errorf("%d retries of a clock that goes backwards", n)
	}
}

func TestBudgetTakesNegativeForNone(t *testing.T) {
	c := newClock()
	b := budget(t, balance.BudgetConfig{Ratio: -1, MinPerSecond: -1, Now: c.now})
	for range 1000 {
		b.Call()
	}
	c.advance(time.Hour)
	if b.Retry() {
		t.Error("a retry without a budget")
	}
	for _, cfg := range []balance.BudgetConfig{{Ratio: math.NaN()}, {MinPerSecond: math.Inf(1)}, {Burst: -1}, {Burst: 0.5}} {
		if _, err := balance.NewBudget(cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

func TestBudgetNeverLendsMoreThanItHasToMany(t *testing.T) {
	b := budget(t, balance.BudgetConfig{Ratio: 0.5, MinPerSecond: -1, Burst: 1000})
	var group sync.WaitGroup
	var lent atomic.Int64
	for range 8 {
		group.Go(func() {
			for range 200 {
				b.Call()
				if b.Retry() {
					lent.Add(1)
				}
			}
		})
	}
	group.Wait()
	if total := lent.Load() + int64(retries(b)); total != 800 {
		t.Errorf("%d retries of 1600 calls, want 800", total)
	}
}

func TestOutlierIsEjectedForLongerEachTime(t *testing.T) {
	c := newClock()
	o := balance.NewOutlier(balance.OutlierConfig{Now: c.now})
	for n := range 4 {
		if o.Failure() || o.Ejected() {
			t.Fatalf("ejected after %d failures", n+1)
		}
	}
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		want *= time.Second
		if !o.Failure() || !o.Ejected() {
			t.Fatalf("not ejected for %v", want)
		}
		for range 100 { // calls that began before
			if o.Failure() {
				t.Fatal("ejected while it is ejected")
			}
		}
		c.advance(want - 1)
		if !o.Ejected() {
			t.Fatalf("back before %v are over", want)
		}
		c.advance(1)
		if o.Ejected() {
			t.Fatalf("not back after %v", want)
		}
	}
	o.Failure()
	o.Success()
	if o.Ejected() {
		t.Error("a success does not bring it back")
	}
	for n := range 4 {
		if o.Failure() {
			t.Fatalf("ejected after %d failures although it was forgiven", n+1)
		}
	}
	o.Success()
	for range 4 {
		o.Failure()
	}
	if o.Ejected() {
		t.Error("failures with a success between count as a row")
	}
	if o.Failure(); !o.Ejected() {
		t.Error("five in a row did not eject")
	}
	c.advance(time.Second)
	if o.Ejected() {
		t.Error("the first ejection after forgiveness is longer than the first")
	}
}

func TestOutlierSettings(t *testing.T) {
	c := newClock()
	never := balance.NewOutlier(balance.OutlierConfig{After: -1, Now: c.now})
	for range 100 {
		never.Failure()
	}
	if never.Ejected() {
		t.Error("ejected although never was asked for")
	}
	long := balance.NewOutlier(balance.OutlierConfig{After: 1, First: 1000 * time.Hour, Most: math.MaxInt64, Now: c.now})
	for range 100 { // doubling must not overflow
		if !long.Failure() || !long.Ejected() {
			t.Fatal("not ejected")
		}
		long.Success()
		short := balance.NewOutlier(balance.OutlierConfig{After: 1, First: time.Minute, Most: time.Second, Now: c.now})
		short.Failure()
		c.advance(time.Second)
		if short.Ejected() {
			t.Fatal("Most does not bound First")
		}
	}
}
