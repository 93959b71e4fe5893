package measure

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestQuantilesAreThoseOfTheSortedListWithinAHundredthPart(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	var h, parts Histogram
	var all []time.Duration
	for i := range 20_000 {
		d := time.Duration(math.Exp(chance.Float64() * 24)) // 1 ns to 26 s
		all = append(all, d)
		if i%2 == 0 {
			h.Record(d)
		} else {
			parts.Record(d)
		}
	}
	h.Merge(&parts)
	slices.Sort(all)
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.9999, 1} {
		want := all[min(max(int(math.Ceil(q*float64(len(all))))-1, 0), len(all)-1)]
		if got := h.Quantile(q); math.Abs(float64(got-want)) > float64(want)/100+1 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if h.Count() != 20_000 || h.Max() != all[len(all)-1] {
		t.Errorf("count %d and max %v, want 20000 and %v", h.Count(), h.Max(), all[len(all)-1])
	}
}

func TestEveryDurationHasABucketThatHoldsIt(t *testing.T) {
	last := -1
	for _, d := range []time.Duration{math.MinInt64, -1, 0, 1, 63, 64, 65, 127, 128, 129, 255, 256, 1 << 20, 1<<20 + 1<<14, 1<<38 - 1, 1 << 38, math.MaxInt64} {
		b := bucketOf(d)
		if b < 0 || b >= buckets || b < last {
			t.Errorf("%d ns is in bucket %d of %d, after %d", d, b, buckets, last)
		}
		if m := middleOf(b); d >= 0 && d < 1<<38 && math.Abs(float64(m-d)) > float64(d)/64 {
			t.Errorf("%d ns is in bucket %d, whose middle is %d", d, b, m)
		}
		last = b
	}
	var empty Histogram
	if q := empty.Quantile(0.99); q != 0 {
		t.Errorf("an empty histogram has a quantile of %v", q)
	}
}

func TestRecordingAllocatesNothing(t *testing.T) {
	var h Histogram
	if n := testing.AllocsPerRun(100, func() { h.Record(time.Millisecond) }); n != 0 {
		t.Errorf("recording allocates %v times", n)
	}
}

func TestACellCountsItsCallsAndItsErrors(t *testing.T) {
	calls := 0
	result := Closed(Cell{Callers: 2, Duration: 20 * time.Millisecond}, []func() error{
		func() error { calls++; return nil },
		func() error { return errors.New("refused") },
	})
	if result.Calls == 0 || result.Calls > uint64(calls) || result.Errors == 0 || result.Error != "refused" {
		t.Errorf("made %d calls: %+v", calls, result)
	}
}

func TestRequestsAreAnsweredInOrderUntilTheInputEnds(t *testing.T) {
	in := strings.NewReader(`{"do":"calm"}` + "\n" + `{"do":"usage"}` + "\n" + `{"do":"run","payload":64,"callers":3}` + "\n" + `{"do":"sing"}` + "\nnonsense\n")
	var out bytes.Buffer
	err := Serve(in, &out, Reply{Ready: "here"}, func(r Request) (Reply, error) {
		if r.Do != DoRun {
			return Reply{}, errors.New("unknown command " + r.Do)
		}
		return Reply{Result: &Result{Calls: uint64(r.Payload * r.Callers)}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{`{"ready":"here"}`, `{}`, `{"usage":{`, `"calls":192`, `{"error":"unknown command sing"}`, `{"error":"invalid character`} {
		if i >= len(lines) || !strings.Contains(lines[i], want) {
			t.Fatalf("answer %d of %q lacks %s", i, lines, want)
		}
	}
}

func ExampleHistogram() {
	var h Histogram
	for i := range 100 {
		h.Record(time.Duration(i+1) * time.Millisecond)
	}
	fmt.Println(h.Count(), h.Quantile(0.5).Round(5*time.Millisecond))
	// Output: 100 50ms
}
