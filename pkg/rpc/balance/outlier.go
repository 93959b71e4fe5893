package balance

import (
	"sync"
	"sync/atomic"
	"time"
)

// OutlierConfig tunes an Outlier. Zero fields take their default.
type OutlierConfig struct {
	After int              // failures in a row that get an instance ejected; default 5; negative: never
	First time.Duration    // length of the first ejection; default 1 s
	Most  time.Duration    // each ejection is twice as long as the one before, up to this; default 30 s
	Now   func() time.Time // default time.Now
}

// Outlier watches one instance: after some failures in a row the instance is ejected, that is, gets no calls for a while. When it is back, one more failure ejects it for
// twice as long; one success forgives all. Failures are those that speak against the instance, such as Unavailable and DeadlineExceeded, not those of the request.
//
// Ejecting is advice: a client whose instances are all ejected picks among them as if none were.
type Outlier struct {
	cfg   OutlierConfig
	start time.Time // what until counts from, so that setting the clock does not matter

	failures atomic.Int64 // in a row
	until    atomic.Int64 // nanoseconds since start; 0: not ejected

	mu    sync.Mutex
	times int // ejected in a row
}

// NewOutlier makes the watch of one instance.
func NewOutlier(cfg OutlierConfig) *Outlier {
	if cfg.After == 0 {
		cfg.After = 5
	}
	if cfg.First <= 0 {
		cfg.First = time.Second
	}
	if cfg.Most <= 0 {
		cfg.Most = 30 * time.Second
	}
	cfg.First = min(cfg.First, cfg.Most)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Outlier{cfg: cfg, start: cfg.Now()}
}

// Success forgives what was. When there is nothing to forgive it only reads.
func (o *Outlier) Success() {
	if o.failures.Load() == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failures.Store(0)
	o.until.Store(0)
	o.times = 0
}

// Failure counts a failure and reports whether it got the instance ejected. Failures of an ejected instance do not count: they are of calls that began before.
func (o *Outlier) Failure() (ejected bool) {
	if o.cfg.After < 0 {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.cfg.Now().Sub(o.start)
	if int64(now) < o.until.Load() {
		return false
	}
	if o.failures.Add(1) < int64(o.cfg.After) {
		return false
	}
	rest := o.cfg.First << min(o.times, 30)
	if rest > o.cfg.Most || rest>>min(o.times, 30) != o.cfg.First {
		rest = o.cfg.Most
	}
	o.times++
	o.until.Store(int64(now + rest))
	return true
}

// Ejected reports whether the instance should get no calls now. For one that is not, it only reads a number.
func (o *Outlier) Ejected() bool {
	until := o.until.Load()
	return until != 0 && int64(o.cfg.Now().Sub(o.start)) < until
}
