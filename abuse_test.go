//go:build linux

package tianxia_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// A long campaign: go test -run 'TestOneFlooder|TestStalled' -rounds 10 -window 3s -v .
var (
	flagRounds = flag.Int("rounds", 0, "pairs of windows, with abuse and without, of the tests of abuse; 0: one short one")
	flagWindow = flag.Duration("window", 3*time.Second, "length of a window")
)

// windows are the rounds of a test of abuse: one short pair, or a campaign.
func windows() (rounds int, length time.Duration) {
	if *flagRounds > 0 {
		return *flagRounds, *flagWindow
	}
	return 1, 400 * time.Millisecond
}

// probe asks ten times a second and notes how long the answers take.
type probe struct {
	*client.Client
	ended chan error
	took  []time.Duration
}

func (p *probe) run(t *testing.T, ctx context.Context) {
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for {
		began := time.Now()
		var r plainsv1.SpectateResponse
		late, cancel := context.WithTimeout(context.Background(), patience) // who has asked waits for the answer, and be the window over
		err := p.Request(late, bind.RouteSpectate, &plainsv1.SpectateRequest{Radius: 1}, &r)
		cancel()
		if err != nil {
			t.Errorf("a bystander's request: %v", err)
			return
		}
		p.took = append(p.took, time.Since(began))
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
	}
}

func dialPage(t *testing.T, page string, change func(*client.Config)) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cfg, err := tianxia.DevLogin(ctx, page, "tester")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Codec, err = bind.NewCodec(); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&cfg)
	}
	c, err := client.Dial(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func probes(t *testing.T, page string, n int) []*probe {
	t.Helper()
	list := make([]*probe, n)
	for i := range list {
		p := &probe{Client: dialPage(t, page, nil), ended: make(chan error, 1)}
		go func() { p.ended <- p.Serve(client.Handler{}) }()
		t.Cleanup(func() { _ = p.Close(); <-p.ended })
		list[i] = p
	}
	return list
}

// window lets all ask for a while, and is the 99th percentile of what their answers took.
func window(t *testing.T, list []*probe, length time.Duration) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	var wg sync.WaitGroup
	for _, p := range list {
		p.took = p.took[:0]
		wg.Go(func() { p.run(t, ctx) })
	}
	wg.Wait()
	var all []time.Duration
	for _, p := range list {
		all = append(all, p.took...)
	}
	if len(all) == 0 {
		t.Fatal("nobody was answered")
	}
	slices.Sort(all)
	return all[(len(all)-1)*99/100]
}

// compare runs windows without and with abuse in turns, and reports the ratios of their 99th percentiles.
func compare(t *testing.T, what string, list []*probe, abuse func(ctx context.Context)) {
	t.Helper()
	rounds, length := windows()
	var ratios []float64
	var quiet, loud []time.Duration
	for range rounds {
		quiet = append(quiet, window(t, list, length))
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { abuse(ctx) })
		loud = append(loud, window(t, list, length))
		cancel()
		wg.Wait()
		ratios = append(ratios, float64(loud[len(loud)-1])/float64(quiet[len(quiet)-1]))
	}
	slices.Sort(quiet)
	slices.Sort(loud)
	slices.Sort(ratios)
	t.Logf("%s: p99 of the others' answers %v without, %v with (medians of %d windows of %v); ratio %.2f (%.2f-%.2f)", what,
		quiet[rounds/2].Round(time.Millisecond/10), loud[rounds/2].Round(time.Millisecond/10), rounds, length, ratios[rounds/2], ratios[0], ratios[rounds-1])
}

// resident is the memory of a process, in KiB.
func resident(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestOneFlooderIsKickedAndTheOthersAreAnswered has a client send a hundred times what it may, and come back whenever it was thrown out.
func TestOneFlooderIsKickedAndTheOthersAreAnswered(t *testing.T) {
	dir := runFolder(t)
	launch(t, dir, "server")
	g := gatewayProcess(t, dir)
	joinPage(t, g.page()).plays(t, 1)
	var kicked, sent atomic.Int64
	flood := func(ctx context.Context) {
		for ctx.Err() == nil {
			c := dialPage(t, g.page(), func(c *client.Config) { c.Reconnect.Off = true })
			ended := make(chan error, 1)
			go func() { ended <- c.Serve(client.Handler{}) }()
			pace := time.NewTicker(5 * time.Millisecond)
			for over := false; !over; {
				select {
				case <-ctx.Done():
					_ = c.Close()
					<-ended
					over = true
				case err := <-ended:
					var k *client.KickError
					if errors.As(err, &k) && k.Code == protocol.DisconnectFlooding {
						kicked.Add(1)
					}
					over = true
				case <-pace.C:
					for range 100 { // 20,000 a second
						if c.Push(bind.RouteMove, &plainsv1.Move{}) == nil {
							sent.Add(1)
						}
					}
					_ = c.Flush() // an error ends Serve too
				}
			}
			pace.Stop()
		}
	}
	compare(t, "one client at 100 times its rate", probes(t, g.page(), 20), flood)
	if *flagRounds == 0 { // the short window is over before the ladder's top
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		go func() {
			for kicked.Load() == 0 && ctx.Err() == nil {
				select {
				case <-ctx.Done():
				case <-time.After(10 * time.Millisecond):
				}
			}
			cancel()
		}()
		flood(ctx)
	}
	if kicked.Load() == 0 {
		t.Error("the flooder was never kicked for it")
	}
	t.Logf("%d messages were sent, and the flooder kicked %d times", sent.Load(), kicked.Load())
}

// TestStalledReadersCostTheirBoundAndConverge has clients that stop reading, and looks at the others, at the gateway's memory, and at how soon they are up to date again.
func TestStalledReadersCostTheirBoundAndConverge(t *testing.T) {
	n, pause := 10, 2*time.Second
	if *flagRounds > 0 {
		n, pause = 100, 30*time.Second
	}
	dir := runFolder(t)
	launch(t, dir, "server")
	g := gatewayProcess(t, dir)
	witness := joinPage(t, g.page())
	witness.plays(t, 5)
	type stalled struct {
		c     *client.Client
		gate  chan chan struct{} // what to wait for
		ticks chan uint32
		ended chan error
	}
	list := make([]*stalled, n)
	for i := range list {
		s := &stalled{c: dialPage(t, g.page(), nil), gate: make(chan chan struct{}, 1), ticks: make(chan uint32, 1<<12), ended: make(chan error, 1)}
		go func() {
			s.ended <- s.c.Serve(client.Handler{State: func() {
				select {
				case open := <-s.gate:
					<-open // reads nothing meanwhile
				default:
				}
				select {
				case s.ticks <- s.c.Mirror.Rows[0].Tick:
				default:
				}
			}})
		}()
		t.Cleanup(func() { _ = s.c.Close(); <-s.ended })
		list[i] = s
	}
	abuse := func(ctx context.Context) {
		open := make(chan struct{})
		for _, s := range list {
			s.gate <- open
		}
		<-ctx.Done()
		close(open)
	}
	others := probes(t, g.page(), 20)
	compare(t, fmt.Sprint(n, " clients that do not read"), others, abuse)

	before := resident(t, g.cmd.Process.Pid)
	open := make(chan struct{})
	for _, s := range list {
		s.gate <- open
	}
	<-time.After(pause)
	grown := resident(t, g.cmd.Process.Pid) - before
	for _, s := range list {
		for len(s.ticks) > 0 {
			<-s.ticks
		}
	}
	for len(witness.states) > 0 {
		<-witness.states
	}
	now := <-witness.states
	again := time.Now()
	close(open)
	var worst time.Duration
	resumed := 0
	for i, s := range list {
		late := time.After(patience)
		for caught := false; !caught; {
			select {
			case tick := <-s.ticks:
				caught = int32(tick-now) >= 0
			case <-late:
				t.Fatalf("client %d of %d has not caught up", i, n)
			}
		}
		worst = max(worst, time.Since(again))
	}
	t.Logf("%d clients read nothing for %v: the gateway grew by %d KiB; all were up to date %v after they read again (%d had to resume)", n, pause, grown, worst.Round(time.Millisecond), resumed)
	if grown > n*(256+256) { // the queue's bound, and the sockets'
		t.Errorf("the gateway grew by %d KiB for %d clients", grown, n)
	}
}
