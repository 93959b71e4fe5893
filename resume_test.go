//go:build linux

package tianxia_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/client"
)

// Sizes of the two campaigns. Long ones: go test -run 'TestClientsOf|TestCut' -clients 1000 -cuts 10000 -v .
var (
	flagClients = flag.Int("clients", 0, "clients of the tests that take connections away; 0: a few")
	flagCuts    = flag.Int("cuts", 0, "connections that TestCutConnectionsLoseNothing cuts; 0: a few")
)

// asker is a client that asks one thing after the other, each with a number that the answer must repeat, and notes how long it had no connection.
type asker struct {
	*client.Client
	t     *testing.T
	ended chan error

	mu       sync.Mutex
	conn     net.Conn // the present one
	lost     time.Time
	gaps     []time.Duration // from the end of a connection to the first answer after it
	answers  int
	again    atomic.Int64 // sessions that went on
	failed   atomic.Int64 // that did not
	answered chan struct{}
	gaveUp   chan struct{} // closed when a request failed
}

func ask(t *testing.T, urls ...string) *asker {
	t.Helper()
	a := &asker{t: t, ended: make(chan error, 1), answered: make(chan struct{}, 1), gaveUp: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cfg, err := tianxia.DevLogin(ctx, urls[0], "asker")
	if err != nil {
		t.Error(err)
		return nil
	}
	for _, u := range urls[1:] {
		other, err := tianxia.DevLogin(ctx, u, "asker")
		if err != nil {
			t.Error(err)
			return nil
		}
		cfg.URLs = append(cfg.URLs, other.URL)
	}
	if cfg.Codec, err = bind.NewCodec(); err != nil {
		t.Error(err)
		return nil
	}
	cfg.Network.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		a.mu.Lock()
		a.conn = c
		a.mu.Unlock()
		return c, err
	}
	if a.Client, err = client.Dial(ctx, cfg); err != nil {
		t.Error(err)
		return nil
	}
	go func() {
		a.ended <- a.Serve(client.Handler{
			Lost: func(error) {
				a.mu.Lock()
				defer a.mu.Unlock()
				if a.lost.IsZero() {
					a.lost = time.Now()
				}
			},
			Resumed: func(recovered bool) {
				if recovered {
					a.again.Add(1)
				} else {
					a.failed.Add(1)
				}
			},
		})
	}()
	return a
}

// askAll makes clients, some at a time: a login takes a tick or two of the zone.
func askAll(t *testing.T, all []*asker, urls ...string) {
	t.Helper()
	next := make(chan int)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for i := range next {
				all[i] = ask(t, urls...)
			}
		})
	}
	for i := range all {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, a := range all {
		if a == nil {
			t.Fatal("not everybody could log in")
		}
	}
}

// run asks until ctx ends.
func (a *asker) run(ctx context.Context) {
	defer close(a.gaveUp)
	for i := uint32(0); ctx.Err() == nil; i++ {
		var r plainsv1.SpectateResponse
		radius := 1 + i%1000
		switch err := a.Request(ctx, bind.RouteSpectate, &plainsv1.SpectateRequest{Radius: radius}, &r); {
		case ctx.Err() != nil:
			return
		case err != nil:
			a.t.Errorf("request %d: %v", i, err)
			return
		case r.Radius != radius:
			a.t.Errorf("request %d for %d is answered with %d", i, radius, r.Radius)
			return
		}
		a.mu.Lock()
		a.answers++
		if !a.lost.IsZero() {
			a.gaps = append(a.gaps, time.Since(a.lost))
			a.lost = time.Time{}
		}
		a.mu.Unlock()
		select {
		case a.answered <- struct{}{}:
		default:
		}
	}
}

// cut takes the connection away as a broken line does, or as a reset.
func (a *asker) cut(reset bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if tcp, ok := a.conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = a.conn.Close()
}

// report joins what all have seen.
func report(t *testing.T, what string, all []*asker) (p99 time.Duration) {
	t.Helper()
	var gaps []time.Duration
	answers, again, failed := 0, int64(0), int64(0)
	for _, a := range all {
		a.mu.Lock()
		gaps, answers = append(gaps, a.gaps...), answers+a.answers
		a.mu.Unlock()
		again, failed = again+a.again.Load(), failed+a.failed.Load()
	}
	if failed > 0 || len(gaps) == 0 {
		t.Errorf("%s: %d sessions went on, %d did not, %d gaps", what, again, failed, len(gaps))
		return 0
	}
	slices.Sort(gaps)
	at := func(q float64) time.Duration { return gaps[int(q*float64(len(gaps)-1))].Round(time.Millisecond / 10) }
	t.Logf("%s: %d clients, %d answers, each request answered once; %d resumes, 0 not recovered; without answers for p50 %v, p99 %v, at most %v",
		what, len(all), answers, again, at(.5), at(.99), at(1))
	return at(.99)
}

// TestClientsOfAKilledGatewayGoOnAtAnother kills a gateway with its clients in the middle of their requests. The client library itself ends with an error when a numbered message is
// missing or comes out of order, and each answer is compared.
func TestClientsOfAKilledGatewayGoOnAtAnother(t *testing.T) {
	n := 20
	if *flagClients > 0 {
		n = *flagClients
	}
	dir := runFolder(t)
	launch(t, dir, "server")
	a, b := gatewayProcess(t, dir), gatewayProcess(t, dir)
	for _, g := range []*process{a, b} { // they have found the server
		joinPage(t, g.page()).plays(t, 1)
	}
	all := make([]*asker, n)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	askAll(t, all, a.page(), b.page())
	for _, x := range all {
		wg.Go(func() { x.run(ctx) })
	}
	each(all, func(x *asker) { x.waits(t); x.waits(t) })
	a.kill()
	each(all, func(x *asker) { x.back(t, 1); x.waits(t); x.waits(t) }) // they play on
	cancel()
	wg.Wait()
	if p99 := report(t, "kill -9 of a gateway", all); p99 > patience {
		t.Errorf("p99 %v", p99)
	}
	closeAll(t, all)
}

// TestCutConnectionsLoseNothing cuts connections at random.
func TestCutConnectionsLoseNothing(t *testing.T) {
	n, cuts := 10, 100
	if testing.Short() {
		cuts = 30
	}
	if *flagCuts > 0 {
		n, cuts = 50, *flagCuts
	}
	dir := runFolder(t)
	launch(t, dir, "server")
	a, b := gatewayProcess(t, dir), gatewayProcess(t, dir)
	for _, g := range []*process{a, b} { // they have found the server
		joinPage(t, g.page()).plays(t, 1)
	}
	all := make([]*asker, n)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	askAll(t, all, a.page(), b.page())
	for _, x := range all {
		wg.Go(func() { x.run(ctx) })
	}
	for i, x := range all {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for k := range cuts / n {
				for range 1 + r.IntN(3) {
					x.waits(t)
				}
				x.cut(r.IntN(2) == 0)
				x.back(t, int64(k+1))
			}
		})
	}
	wait := make(chan struct{})
	go func() {
		defer close(wait)
		each(all, func(x *asker) { x.back(t, int64(cuts/n)); x.waits(t) })
		cancel()
	}()
	<-wait
	wg.Wait()
	if p99 := report(t, fmt.Sprint(cuts, " cuts"), all); p99 > patience {
		t.Errorf("p99 %v", p99)
	}
	closeAll(t, all)
}

// each does something for all at once, and waits.
func each(all []*asker, do func(*asker)) {
	var wg sync.WaitGroup
	for _, x := range all {
		wg.Go(func() { do(x) })
	}
	wg.Wait()
}

// waits for an answer.
func (a *asker) waits(t *testing.T) {
	t.Helper()
	select {
	case <-a.answered:
	case <-a.gaveUp:
	case err := <-a.ended:
		t.Errorf("the client ended: %v", err)
		a.ended <- err
	case <-time.After(patience):
		t.Error("no answer comes")
	}
}

// back waits until the session has gone on so many times.
func (a *asker) back(t *testing.T, times int64) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	late := time.After(patience)
	for a.again.Load() < times && a.failed.Load() == 0 {
		select {
		case <-look.C:
		case <-a.gaveUp:
			return
		case err := <-a.ended:
			t.Errorf("the client ended: %v", err)
			a.ended <- err
			return
		case <-late:
			t.Error("the session does not go on")
			return
		}
	}
}

func closeAll(t *testing.T, all []*asker) {
	t.Helper()
	for _, a := range all {
		_ = a.Close()
		if err := <-a.ended; !errors.Is(err, client.ErrClosed) {
			t.Errorf("a client ended with %v", err)
		}
	}
}
