package main

import (
	"bufio"
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	hellov1 "github.com/tianxia-mmo/tianxia/proto_define/hello/v1"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/hello/bind"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// patience bounds every wait for something that should happen at once.
const patience = time.Minute

func TestSmallestGameHasAtMost40Lines(t *testing.T) {
	b, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\n"); n > 40 {
		t.Errorf("main.go has %d lines, it is to show how little is needed: at most 40", n)
	}
}

// TestTwoPlayersMeetWalkAndFight builds the program, runs it, and plays it with two clients.
func TestTwoPlayersMeetWalkAndFight(t *testing.T) {
	page := start(t)
	ann, bo := join(t, page, "Ann"), join(t, page, "Bo")
	other := func(c *client.Client) (id uint64, hp int32, ok bool) {
		for i := range c.Mirror.Entities {
			e := &c.Mirror.Entities[i]
			var m hellov1.Vitals
			if e.Live && c.Avatar != nil && e.ID != c.Avatar.Entity && bind.VitalsRead(e, &m) {
				return e.ID, m.Hp, true
			}
		}
		return 0, 0, false
	}
	hits := make(chan *hellov1.Hit, 1)
	done, watches := make(chan error, 1), make(chan struct{})
	var once sync.Once
	go func() { // Bo watches
		done <- bo.Serve(client.Handler{State: func() {
			if _, _, ok := other(bo); ok {
				once.Do(func() { close(watches) })
			}
		}, Push: func(route uint16, b []byte) {
			pushes := bind.Pushes{Hit: func(m *hellov1.Hit) {
				hits <- &hellov1.Hit{Target: m.Target, Damage: m.Damage}
			}}
			if known, err := pushes.Dispatch(route, b); !known || err != nil {
				t.Errorf("push on route %d: known %v, %v", route, known, err)
			}
		}})
	}()
	asked, far, refused := false, false, false
	var start int32
	err := ann.Serve(client.Handler{State: func() {
		target, hp, ok := other(ann)
		own, mine := ann.Own()
		if !ok || !mine {
			return
		}
		x, _, _ := own.Position(ann.Mirror.Rows[0].Tick)
		switch {
		case !asked: // they stand on the same spot
			select {
			case <-watches:
			default:
				return
			}
			asked, start = true, x
			_ = bind.SendMove(ann, &hellov1.Move{Vx: math.NaN()}) // no number passes every comparison: the setter panics, the world lives on
			_ = bind.SendAttack(ann, &hellov1.Attack{Target: target})
		case hp == 90 && x == start:
			_ = bind.SendMove(ann, &hellov1.Move{Vx: 500}) // cut to 5 m/s
		case x-start > 3*320 && !far:
			far = true
			_ = bind.SendAttack(ann, &hellov1.Attack{Target: target})
		}
	}, Error: func(route uint16, _ uint32, err *client.Error) {
		if route == bind.RouteMove && err.Code == protocol.ErrorInternal && !refused {
			refused = true
			return
		}
		if !far || route != bind.RouteAttack || err.Code != 1000 {
			t.Errorf("error on route %d: %v", route, err)
		}
		_ = ann.Close()
	}})
	var hit *hellov1.Hit
	select { // Bo may hear of it after Ann has walked away
	case hit = <-hits:
	case <-time.After(patience):
		t.Error("Bo was not told of the hit")
	}
	_ = bo.Close()
	<-done
	if !refused {
		t.Error("a velocity that is no number was not refused")
	}
	if !far {
		t.Errorf("Ann never walked out of reach: %v", err)
	}
	if hit != nil && (hit.Damage != 10 || hit.Target != bo.Avatar.Entity) {
		t.Errorf("hit %v", hit)
	}
}

// start builds and runs the program and returns the URL that it prints.
func start(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "hello.exe")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	cmd := exec.CommandContext(ctx, program, "-addr", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url := regexp.MustCompile(`ws://127\.0\.0\.1:\d+/`).FindString(lines.Text()); url != "" {
			url = "http" + strings.TrimPrefix(url, "ws")
			go func() { // or the program would stop at a full pipe
				for lines.Scan() {
				}
			}()
			return url
		}
	}
	t.Fatal("the program never said where it listens")
	return ""
}

func join(t *testing.T, page, name string) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cfg, err := tianxia.DevLogin(ctx, page, name)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Codec, err = bind.NewCodec(); err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	time.AfterFunc(patience, func() { _ = c.Close() })
	return c
}
