package tianxia

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// told is a writer that closes seen once it has been told the text often enough.
type told struct {
	text  string
	times int
	seen  chan struct{}
	all   bytes.Buffer
}

func (w *told) Write(b []byte) (int, error) {
	before := strings.Count(w.all.String(), w.text)
	w.all.Write(b)
	if before < w.times && strings.Count(w.all.String(), w.text) >= w.times {
		close(w.seen)
	}
	return len(b), nil
}

// exitVariable makes the test binary exit with its value.
const exitVariable = "TIANXIA_TEST_EXIT"

func TestChildThatCrashesIsStartedAgainAndOneThatWasToldWrongIsNot(t *testing.T) {
	for code, again := range map[string]bool{"1": true, "2": true, "78": false} { // a panic ends with 2
		t.Setenv(exitVariable, code)
		out := &told{text: "starting it again", times: 2, seen: make(chan struct{})}
		c := &child{name: "server", out: &lines{mu: &sync.Mutex{}, w: out}}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- c.run(ctx) }()
		select {
		case <-out.seen:
			if !again {
				t.Errorf("code %s: it was started again", code)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("code %s: %v", code, err)
			}
		case err := <-ended:
			if again || err == nil || !strings.Contains(err.Error(), "cannot run as it was told to") {
				t.Errorf("code %s: given up with %v", code, err)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("code %s: nothing happens", code)
		}
	}
}

func TestChildrenDoNotInheritKeysOfTheEnvironment(t *testing.T) {
	got := withoutKeys([]string{"PATH=/bin", "MMO_RPC_TOKEN=x", "MMO_RPC_REGSITRY=y", "TIANXIA_RUN_DIR=/run", "XMMO_=1"})
	if want := []string{"PATH=/bin", "TIANXIA_RUN_DIR=/run", "XMMO_=1"}; !slices.Equal(got, want) {
		t.Errorf("handed on: %q, want %q", got, want)
	}
}

func TestLineThatAChildDidNotEndStandsForItself(t *testing.T) {
	var out bytes.Buffer
	l := &lines{mu: &sync.Mutex{}, w: &out, prefix: "server | "}
	_, _ = l.Write([]byte("one\npanic: half a"))
	l.say("starting it again in %v", time.Second)
	_, _ = l.Write([]byte("end"))
	l.flush()
	l.flush()
	if want := "server | one\nserver | panic: half a\nserver | starting it again in 1s\nserver | end\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}

func TestAllAddressesAreReachedByLoopback(t *testing.T) {
	for addr, want := range map[string]string{":8080": "127.0.0.1:8080", "0.0.0.0:1": "127.0.0.1:1", "[::]:1": "127.0.0.1:1", "10.0.0.7:1": "10.0.0.7:1", "localhost:1": "localhost:1", "[::1]:1": "[::1]:1"} {
		if got := reachable(addr); got != want {
			t.Errorf("%s is reached at %s, want %s", addr, got, want)
		}
	}
	for _, page := range []bool{true, false} {
		var out bytes.Buffer
		announceClients(&out, whereabouts{web: ":8080"}, page)
		if !strings.Contains(out.String(), "://localhost:8080/") || strings.Contains(out.String(), "//:8080") {
			t.Errorf("announced %q", out.String())
		}
	}
}
