package balance

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// BudgetConfig tunes a Budget. Zero fields take their default.
type BudgetConfig struct {
	Ratio        float64          // retries per call, on average; default 0.1; negative: calls earn none
	MinPerSecond float64          // retries per second that are free, so that a quiet client can retry at all; default 10; negative: none
	Burst        float64          // retries that can be saved up; default 100
	Now          func() time.Time // default time.Now
}

// Budget bounds retries to a fraction of the calls, so that a service in trouble is not buried by those who try again: a bucket of tokens as in Finagle and gRPC. Every call
// adds Ratio, time adds MinPerSecond, a retry takes one. It starts with what one second brings.
type Budget struct {
	ratio, most int64 // in thousandths of a token
	perSecond   float64
	now         func() time.Time

	tokens atomic.Int64 // thousandths; never negative, never above most

	mu   sync.Mutex
	last time.Time // until when time was paid for
}

const token = 1000

// NewBudget makes one, or says what is wrong with the configuration.
func NewBudget(cfg BudgetConfig) (*Budget, error) {
	for _, f := range []*float64{&cfg.Ratio, &cfg.MinPerSecond, &cfg.Burst} {
		if math.IsNaN(*f) || *f > 1e9 {
			return nil, errors.New("retry budget: a number is not finite or above 1e9: use small numbers, or leave them 0 for the default")
		}
	}
	if cfg.Burst < 0 || cfg.Burst > 0 && cfg.Burst < 1 {
		return nil, errors.New("retry budget: Burst is below 1, so there would never be a retry: make it at least 1, or ask for no retries at all")
	}
	if cfg.Ratio == 0 {
		cfg.Ratio = 0.1
	}
	if cfg.MinPerSecond == 0 {
		cfg.MinPerSecond = 10
	}
	if cfg.Burst == 0 {
		cfg.Burst = 100
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	b := &Budget{ratio: int64(max(cfg.Ratio, 0) * token), most: int64(cfg.Burst * token), perSecond: max(cfg.MinPerSecond, 0), now: cfg.Now, last: cfg.Now()}
	b.add(int64(b.perSecond * token))
	return b, nil
}

// Call counts a call, not a retry. While the bucket is full, as it is when all is well, it only reads.
func (b *Budget) Call() { b.add(b.ratio) }

func (b *Budget) add(n int64) {
	for {
		old := b.tokens.Load()
		sum := min(old+n, b.most)
		if sum == old || b.tokens.CompareAndSwap(old, sum) {
			return
		}
	}
}

// Retry takes a token if there is one. Without one the call's error stands.
func (b *Budget) Retry() bool {
	b.pay()
	for {
		old := b.tokens.Load()
		if old < token {
			return false
		}
		if b.tokens.CompareAndSwap(old, old-token) {
			return true
		}
	}
}

// pay adds what time has brought since it was last paid.
func (b *Budget) pay() {
	if b.perSecond == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	earned := min(now.Sub(b.last).Seconds()*b.perSecond*token, float64(b.most))
	if earned < 1 {
		return // nothing to pay yet; last stays, so that it adds up
	}
	b.last = now
	b.add(int64(earned))
}

// Left is the number of retries that are saved up.
func (b *Budget) Left() float64 { return float64(b.tokens.Load()) / token }
