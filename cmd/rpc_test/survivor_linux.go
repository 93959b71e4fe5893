package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/measure"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// Numbers of a round.
const (
	chaosCallers  = 64
	chaosTimeout  = 5 * time.Second  // of calls under load: far beyond what a pending call may take to fail
	chaosPatience = 10 * time.Second // until a connection must be back
)

// survivor is the process under test: peers die around it, and it must not. Its rounds run one after the other.
type survivor struct {
	dir     string
	sockets int
	before  leftovers
}

// survivorWorker runs the rounds that it is told to.
func survivorWorker(ctx context.Context, _ *options, c console) error {
	dir, err := os.MkdirTemp("", "rpc-chaos-")
	if err != nil {
		return fmt.Errorf("make a folder for sockets: %w", err)
	}
	defer os.RemoveAll(dir)
	s := &survivor{dir: dir}
	// What the first connections leave behind for good, such as the runtime's own descriptors, is no leak.
	var early []string
	for _, kind := range []string{killServer, killClient, killServer, reconnects} {
		for _, problem := range s.play(ctx, kind, 1).problems {
			early = append(early, "while warming up with "+kind+": "+problem)
		}
	}
	if s.before, err = s.settle(ctx, leftovers{}); err != nil {
		return err
	}
	return measure.Serve(c.in, c.out, measure.Reply{Ready: dir}, func(r measure.Request) (measure.Reply, error) {
		switch {
		case r.Do == doLeaks:
			return s.leaks(ctx)
		case r.Do != doRound || len(r.Args) != 2:
			return measure.Reply{}, fmt.Errorf("unknown command %q %q", r.Do, r.Args)
		}
		seed, err := strconv.ParseUint(r.Args[1], 10, 64)
		if err != nil {
			return measure.Reply{}, err
		}
		played := s.play(ctx, r.Args[0], seed)
		played.problems = append(early, played.problems...)
		early = nil
		return measure.Reply{
			Note: played.note, Problems: played.problems, Samples: played.samples,
			Values: map[string]uint64{corruptCount: played.corrupt, fallbackCount: played.fallbacks},
		}, nil
	})
}

// round is one round while it is played, and what came of it.
type round struct {
	*survivor
	ctx       context.Context
	chance    *rand.Rand
	endings   []func() // run when the round is over, the last first
	note      string
	samples   map[string][]int64
	corrupt   uint64
	fallbacks uint64
	problems  []string
}

// play plays one round and leaves nothing behind that it has started.
func (s *survivor) play(ctx context.Context, kind string, seed uint64) *round {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r := &round{survivor: s, ctx: ctx, chance: rand.New(rand.NewPCG(seed, 2)), samples: map[string][]int64{}}
	plays := map[string]func() error{
		killServer: r.killServer, killClient: r.killClient, killBoth: r.killBoth, freeze: r.freeze,
		garbage: r.garbage, exhaust: r.exhaust, reconnects: r.reconnects,
	}
	if play := plays[kind]; play == nil {
		r.problem("no such kind of round: %s", kind)
	} else if err := play(); err != nil {
		r.problem("%v", err)
	}
	for _, end := range slices.Backward(r.endings) {
		end()
	}
	return r
}

func (r *round) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

func (r *round) later(end func()) { r.endings = append(r.endings, end) }

// endpoint is a new one: mostly what picks shared memory by itself.
func (r *round) endpoint() string {
	r.sockets++
	scheme := "unix"
	switch r.chance.IntN(6) {
	case 0:
		scheme = "shm"
	case 1:
		scheme = "uds"
	}
	return fmt.Sprintf("%s://%s", scheme, filepath.Join(r.dir, strconv.Itoa(r.sockets)+".sock"))
}

// peer starts a peer process. It is stopped at the end of the round, if it is still there.
func (r *round) peer(args ...string) (*child, error) {
	c, err := self(r.ctx, "peer", nil, append(args, "-role=peer")...)
	if err != nil {
		return nil, err
	}
	r.later(c.kill)
	return c, nil
}

// client connects to an endpoint and makes sure that it got the transport that it should.
func (r *round) client(endpoint string) (*rpc.Client, error) {
	client, err := rpc.NewClient(rpc.ClientConfig{Endpoint: endpoint})
	if err != nil {
		return nil, err
	}
	r.later(func() {
		for _, peer := range client.Peers() {
			r.fallbacks += peer.Stats().Fallbacks
		}
		client.Close()
	})
	ctx, cancel := context.WithTimeout(r.ctx, chaosPatience)
	defer cancel()
	if err := client.Ready(ctx); err != nil {
		return nil, err
	}
	return client, r.expect(client, endpoint)
}

// expect checks that a client has not fallen back.
func (r *round) expect(client *rpc.Client, endpoint string) error {
	for _, i := range client.Stats().Instances {
		if want := transportFor(endpoint); i.Connected && i.Transport != want {
			return fmt.Errorf("%s is reached over %s instead of %s: %v", endpoint, i.Transport, want, i.Refused)
		}
	}
	return nil
}

func transportFor(endpoint string) string {
	if strings.HasPrefix(endpoint, "uds:") {
		return "uds"
	}
	return "shm"
}

// load starts callers, and counts what was corrupt when the round is over.
func (r *round) load(c rpc.Caller, callers int, timeout time.Duration) *load {
	l := startLoad(r.ctx, c, callers, timeout)
	r.later(func() {
		l.stop()
		r.corrupt += l.corrupt.Load()
	})
	return l
}

// serve serves in this process.
func (r *round) serve(endpoint string) (*hosting, *echo, error) {
	server, err := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{endpoint}, DrainTimeout: time.Second})
	if err != nil {
		return nil, nil, err
	}
	service := &echo{instance: "survivor"}
	register(server, service, &holder{release: make(chan struct{})})
	h, err := host(server)
	if err != nil {
		return nil, nil, err
	}
	r.later(func() {
		for _, peer := range server.Peers() {
			r.fallbacks += peer.Stats().Fallbacks
		}
		if err := h.stop(); err != nil {
			r.problem("stop the survivor's server: %v", err)
		}
		r.corrupt += service.corrupt.Load()
	})
	return h, service, nil
}

// busy waits until a load runs at full speed, and then for a moment that nobody knows beforehand.
func (r *round) busy(loads ...*load) error {
	for _, l := range loads {
		if err := l.reaches(r.ctx, l.good.Load()+300, chaosPatience); err != nil {
			return fmt.Errorf("the load does not get under way: %w, %d answered, %d failed: %v", err, l.good.Load(), l.failed.Load(), l.last())
		}
	}
	pause(r.ctx, time.Duration(r.chance.IntN(40_000))*time.Microsecond)
	return nil
}

// until waits for something that is soon to be true.
func (r *round) until(limit time.Duration, what string, is func() bool) {
	for over := time.Now().Add(limit); !is(); {
		if time.Now().After(over) {
			r.problem("%s not after %v", what, limit)
			return
		}
		if !pause(r.ctx, time.Millisecond) {
			return
		}
	}
}

// died kills peers and returns the moment before.
func (r *round) died(victims ...*child) time.Time {
	at := time.Now()
	for _, victim := range victims {
		victim.cmd.Process.Signal(syscall.SIGKILL)
	}
	for _, victim := range victims {
		victim.kill()
	}
	return at
}

// pending waits until no call is under way any more that began before a death, and notes how long the failures took.
func (r *round) pending(l *load, death time.Time) {
	r.until(chaosTimeout+time.Second, "the calls that were under way when the peer died have ended", func() bool { return l.allBegan(death) })
	for _, f := range l.taken() {
		switch {
		case f.ended.Before(death):
			r.problem("a call failed before any peer died: %v", f.err)
		case f.began.Before(death) || errors.Is(f.err, status.ErrMaybeExecuted):
			r.samples[pendingFail] = append(r.samples[pendingFail], int64(f.ended.Sub(death)))
			if code := status.CodeOf(f.err); code != status.Unavailable {
				r.problem("a call that was under way when its peer died failed with %v", f.err)
			}
		}
	}
}

// back notes how long a load needed to find the server that was started again.
func (r *round) back(l *load, death time.Time, again *child) error {
	l.marked.Store(death.UnixNano())
	first, err := l.firstAfter(r.ctx, chaosPatience)
	if err != nil {
		return fmt.Errorf("the server is back, the connection is not: %w: %v", err, l.last())
	}
	r.samples[reconnectTime] = append(r.samples[reconnectTime], max(0, first.UnixNano()-again.ready.AtNS))
	return nil
}
