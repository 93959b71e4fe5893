//go:build linux

package tianxia_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"flag"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// A real storm: go test -run TestStorm -storm 10000 -v . (the descriptors of a process, ulimit -n, must suffice)
var flagStorm = flag.Int("storm", 0, "clients that come within five seconds; 0: a few")

// TestStormOfLoginsIsAdmittedOrQueued has clients come far faster than the world lets them in.
func TestStormOfLoginsIsAdmittedOrQueued(t *testing.T) {
	n, over := 200, 500*time.Millisecond
	if *flagStorm > 0 {
		n, over = *flagStorm, 5*time.Second
	}
	room := n / 20
	dir := runFolder(t)
	launch(t, dir, "server", "-sessions.max_players", strconv.Itoa(room+1))
	g := gatewayProcess(t, dir)
	first := joinPage(t, g.page())
	first.plays(t, 1)
	before := resident(t, g.cmd.Process.Pid)

	ring, err := security.LoadKeyring(filepath.Join(dir, "dev-keyring.json"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, ring.Current.Private())
	mac.Write([]byte("tianxia development tokens"))
	tokens := security.DevTokens{Secret: mac.Sum(nil)}
	cfg := client.Config{
		URL:      "ws" + strings.TrimPrefix(g.page(), "http") + "ws",
		Security: security.ClientConfig{Root: ring.Root, Cert: ring.Current.Cert(), Realm: "dev"},
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		took   []time.Duration
		list   []*client.Client
		queued int
	)
	began := time.Now()
	pace := time.NewTicker(over / 50)
	defer pace.Stop()
	for i := range n {
		if i%(n/50) == 0 {
			<-pace.C
		}
		wg.Go(func() {
			cfg := cfg
			var err error
			if cfg.Token, err = tokens.Issue(security.Identity{Player: uint64(i) + 1, Name: "storm"}, time.Hour, time.Now()); err != nil {
				t.Error(err)
				return
			}
			start := time.Now()
			c, err := client.Dial(ctx, cfg)
			if err != nil {
				t.Errorf("client %d after %v: %v", i, time.Since(start), err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			took, list = append(took, time.Since(start)), append(list, c)
			if c.Login.Queued {
				queued++
			}
		})
	}
	wg.Wait()
	all := time.Since(began)
	during := resident(t, g.cmd.Process.Pid)
	if len(list) != n || queued < n-room || queued == n {
		t.Errorf("%d of %d came in, %d wait; want all, and %d in the world", len(list), n, queued, room)
	}
	for _, c := range list {
		wg.Go(func() { _ = c.Close() })
	}
	wg.Wait()
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	t.Logf("%d clients within %v, all in after %v: %d in the world, %d in the queue; a login took p50 %v, p99 %v, at most %v; the gateway grew from %d to %d KiB", n, over, all.Round(time.Millisecond),
		len(list)-queued, queued, took[len(took)/2].Round(time.Millisecond), took[len(took)*99/100].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), before, during)
}
