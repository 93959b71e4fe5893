package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/measure"
)

// chaosOptions say what is done to peers.
type chaosOptions struct {
	json   bool
	rounds int
	seed   uint64
	freeze bool   // every round
	kinds  string // list; empty: all
}

// Kinds of rounds.
const (
	killServer = "kill-server" // the peer that the survivor calls
	killClient = "kill-client" // the peer that calls the survivor, and is called back
	killBoth   = "kill-both"   // both, while they also call each other
	freeze     = "freeze"      // SIGSTOP for five seconds
	garbage    = "garbage"     // peers that speak nonsense
	exhaust    = "exhaust"     // a consumer that reads nothing, until everything is full
	reconnects = "reconnects"  // many clients that come, call and go
)

func chaosKinds() []string {
	return []string{killServer, killClient, killBoth, garbage, exhaust, reconnects, freeze}
}

// freezeEvery so many rounds one freezes a peer, which takes longer than all others.
const freezeEvery = 50

func (o *chaosOptions) validate() error {
	for _, kind := range list(o.kinds) {
		if !slices.Contains(chaosKinds(), kind) {
			return fmt.Errorf("-kinds: unknown %q: need some of %s", kind, strings.Join(chaosKinds(), ", "))
		}
	}
	if o.rounds < 1 {
		return fmt.Errorf("-rounds %d: need 1 or more", o.rounds)
	}
	return nil
}

// plan is the kind of every round. Of every ten rounds about seven kill.
func (o *chaosOptions) plan(seed uint64) []string {
	kinds := list(o.kinds)
	mixture := kinds
	if len(kinds) == 0 {
		mixture = []string{killServer, killServer, killServer, killClient, killClient, killBoth, killBoth, garbage, exhaust, reconnects}
	}
	chance := rand.New(rand.NewPCG(seed, 1))
	all := make([]string, 0, o.rounds)
	for len(all) < o.rounds {
		turn := slices.Clone(mixture)
		chance.Shuffle(len(turn), func(i, j int) { turn[i], turn[j] = turn[j], turn[i] })
		all = append(all, turn...)
	}
	all = all[:o.rounds]
	for i := range all {
		if o.freeze || len(kinds) == 0 && i%freezeEvery == freezeEvery-1 {
			all[i] = freeze
		}
	}
	return all
}

// Commands of the survivor.
const (
	doRound = "round" // Args: kind, seed
	doLeaks = "leaks" // Values: what is left over, compared with the beginning
)

// Keys of what the survivor answers.
const (
	pendingFail   = "pending_fail"   // Samples, ns: from the peer's death to the failure of each call that was under way
	reconnectTime = "reconnect"      // Samples, ns: from the new server's listening to the first good answer
	freezeOverrun = "freeze_overrun" // Samples, ns: how much later than their deadline calls to a frozen peer ended
	otherBefore   = "other_before"   // Samples, ns: p99 of calls to another peer
	otherDuring   = "other_during"   // the same while one peer is frozen
	corruptCount  = "corrupt"        // Values
	fallbackCount = "fallbacks"
	leakedShm     = "leaked_shm_bytes"
	leakedFds     = "leaked_fds"
	leakedRuns    = "leaked_goroutines"
	shmemGrowth   = "shmem_growth_bytes"
)

// chaosReport is the JSON. broken says which of the numbers must be zero.
type chaosReport struct {
	Rounds          int            `json:"rounds"`
	Seed            uint64         `json:"seed"`
	Kinds           map[string]int `json:"kinds"`
	SurvivorCrashes int            `json:"survivor_crashes"`
	Problems        int            `json:"problems"` // promises broken, each printed when it was seen
	PendingFails    int            `json:"pending_fails"`
	PendingP50      float64        `json:"pending_fail_p50_ms"`
	PendingP99      float64        `json:"pending_fail_p99_ms"`
	PendingMax      float64        `json:"pending_fail_max_ms"`
	Reconnects      int            `json:"reconnects"`
	ReconnectP50    float64        `json:"reconnect_p50_ms"`
	ReconnectP99    float64        `json:"reconnect_p99_ms"`
	ReconnectMax    float64        `json:"reconnect_max_ms"`
	FreezeP99       float64        `json:"freeze_overrun_p99_ms"`
	FreezeMax       float64        `json:"freeze_overrun_max_ms"`
	OtherBefore     float64        `json:"other_p99_before_ms"` // median of rounds
	OtherDuring     float64        `json:"other_p99_during_ms"`
	LeakedShm       uint64         `json:"leaked_shm_bytes"`
	LeakedFds       uint64         `json:"leaked_fds"`
	LeakedRuns      uint64         `json:"leaked_goroutines"`
	Fallbacks       uint64         `json:"fallbacks"`
	Corrupt         uint64         `json:"corrupt"`
	ShmemGrowth     int64          `json:"shmem_growth_bytes"` // of the whole machine: other programs count too
}

// broken are the numbers that must be zero and are not.
func (r *chaosReport) broken() error {
	var errs []error
	for _, must := range []struct {
		name string
		n    uint64
	}{{"survivor_crashes", uint64(r.SurvivorCrashes)}, {"problems", uint64(r.Problems)}, {leakedShm, r.LeakedShm}, {leakedFds, r.LeakedFds},
		{leakedRuns, r.LeakedRuns}, {fallbackCount, r.Fallbacks}, {corruptCount, r.Corrupt}} {
		if must.n != 0 {
			errs = append(errs, fmt.Errorf("%s is %d and must be 0", must.name, must.n))
		}
	}
	return errors.Join(errs...)
}

// campaign is a run of rounds against one survivor after the other: a survivor that dies is replaced, and counted.
type campaign struct {
	out      io.Writer
	report   chaosReport
	samples  map[string][]int64
	survivor *child
}

func (c *campaign) run(ctx context.Context, kinds []string) (err error) {
	defer func() {
		if c.survivor != nil {
			err = errors.Join(err, c.survivor.stop())
		}
	}()
	for i, kind := range kinds {
		if c.survivor == nil {
			if c.survivor, err = self(ctx, "survivor", nil, "-role=survivor"); err != nil {
				return err
			}
		}
		began := time.Now()
		reply, err := c.survivor.ask(ctx, measure.Request{Do: doRound, Args: []string{kind, strconv.FormatUint(c.report.Seed+uint64(i), 10)}})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := c.took(i, kind, reply, err); err != nil {
			return err
		}
		if len(kinds) <= 50 || i%50 == 49 || len(reply.Problems) > 0 {
			fmt.Fprintf(c.out, "round %4d  %-12s %6.0f ms  %s\n", i+1, kind, float64(time.Since(began).Milliseconds()), reply.Note)
		}
	}
	if c.survivor == nil {
		return nil
	}
	reply, err := c.survivor.ask(ctx, measure.Request{Do: doLeaks})
	if err != nil {
		return err
	}
	c.report.LeakedShm += reply.Values[leakedShm]
	c.report.LeakedFds += reply.Values[leakedFds]
	c.report.LeakedRuns += reply.Values[leakedRuns]
	c.report.ShmemGrowth = int64(reply.Values[shmemGrowth])
	if reply.Note != "" {
		fmt.Fprintln(c.out, reply.Note)
	}
	return nil
}

// took counts what a round has shown. err is how it failed, if it did.
func (c *campaign) took(round int, kind string, reply measure.Reply, err error) error {
	c.report.Rounds++
	c.report.Kinds[kind]++
	switch {
	case errors.Is(err, errDied):
		c.report.SurvivorCrashes++
		fmt.Fprintf(c.out, "round %d, %s: THE SURVIVOR DIED: %v\n", round+1, kind, err)
		c.survivor = nil
		return nil
	case err != nil:
		return fmt.Errorf("round %d, %s: %w", round+1, kind, err)
	}
	for _, problem := range reply.Problems {
		c.report.Problems++
		fmt.Fprintf(c.out, "round %d, %s: PROBLEM: %s\n", round+1, kind, problem)
	}
	for key, values := range reply.Samples {
		c.samples[key] = append(c.samples[key], values...)
	}
	c.report.Corrupt += reply.Values[corruptCount]
	c.report.Fallbacks += reply.Values[fallbackCount]
	return nil
}

// finish computes what is told of many samples.
func (c *campaign) finish() {
	at := func(key string, q float64) float64 {
		all := c.samples[key]
		if len(all) == 0 {
			return 0
		}
		slices.Sort(all)
		return fourDigits(float64(all[min(int(q*float64(len(all))), len(all)-1)]) / 1e6)
	}
	r := &c.report
	r.PendingFails, r.PendingP50, r.PendingP99, r.PendingMax = len(c.samples[pendingFail]), at(pendingFail, 0.5), at(pendingFail, 0.99), at(pendingFail, 1)
	r.Reconnects, r.ReconnectP50, r.ReconnectP99, r.ReconnectMax = len(c.samples[reconnectTime]), at(reconnectTime, 0.5), at(reconnectTime, 0.99), at(reconnectTime, 1)
	r.FreezeP99, r.FreezeMax = at(freezeOverrun, 0.99), at(freezeOverrun, 1)
	r.OtherBefore, r.OtherDuring = at(otherBefore, 0.5), at(otherDuring, 0.5)
}

// campaignOf runs the rounds that the options ask for.
func campaignOf(ctx context.Context, o *chaosOptions, out io.Writer) (*chaosReport, error) {
	seed := o.seed
	if seed == 0 {
		seed = rand.Uint64N(1 << 32)
	}
	fmt.Fprintf(out, "%s, -seed=%d\n", plural(o.rounds, "round"), seed)
	c := &campaign{out: out, report: chaosReport{Seed: seed, Kinds: map[string]int{}}, samples: map[string][]int64{}}
	if err := c.run(ctx, o.plan(seed)); err != nil {
		return nil, err
	}
	c.finish()
	return &c.report, nil
}

func (r *chaosReport) write(out io.Writer, asJSON bool) error {
	fmt.Fprintf(out, "\n%s, survivor crashes %d, corrupt %d, fallbacks %d, problems %d\n", plural(r.Rounds, "round"), r.SurvivorCrashes, r.Corrupt, r.Fallbacks, r.Problems)
	for _, kind := range sortedKeys(r.Kinds) {
		fmt.Fprintf(out, "  %-12s %d\n", kind, r.Kinds[kind])
	}
	const times = "%-21s %6d   p50 %7.1f ms   p99 %7.1f ms   max %7.1f ms   %s\n"
	fmt.Fprintf(out, times, "pending calls failed", r.PendingFails, r.PendingP50, r.PendingP99, r.PendingMax, wanted("<= 50", r.PendingP99))
	fmt.Fprintf(out, times, "reconnected", r.Reconnects, r.ReconnectP50, r.ReconnectP99, r.ReconnectMax, wanted("<= 300", r.ReconnectP99))
	if r.Kinds[freeze] > 0 {
		fmt.Fprintf(out, "frozen: past deadline          p99 %7.1f ms   max %7.1f ms   %s; another peer's p99 %.2f ms before, %.2f ms during\n", r.FreezeP99, r.FreezeMax,
			wanted("<= 50", r.FreezeMax), r.OtherBefore, r.OtherDuring)
	}
	fmt.Fprintf(out, "left over: %d bytes of shared memory, %d descriptors, %d goroutines\n", r.LeakedShm, r.LeakedFds, r.LeakedRuns)
	if asJSON {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return err
		}
	}
	return r.broken()
}
