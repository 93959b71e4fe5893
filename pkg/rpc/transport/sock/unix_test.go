//go:build unix

package sock

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/conformance"
)

// leaveStale leaves a socket as a process does that dies.
func leaveStale(t *testing.T, path string) {
	t.Helper()
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = ln.Close()
}

func TestASocketIsForItsUserOnlyAndGoesWithItsListener(t *testing.T) {
	path := socketPath(t)
	ln, err := ListenUnix(path, transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Lstat(path); err != nil || fi.Mode().Perm() != 0o600 || ln.Addr() != path {
		t.Errorf("%v, %v; Addr %q", fi.Mode(), err, ln.Addr())
	}
	left := func() (names []string) {
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	if got := left(); len(got) != 1 {
		t.Errorf("beside the socket: %v", got)
	}
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if got := left(); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

func TestTheSocketOfADeadProcessIsReplaced(t *testing.T) {
	path := socketPath(t)
	leaveStale(t, path)
	if _, err := DialUnix(t.Context(), path, transport.Config{}); err == nil || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("Dial: %v", err)
	}
	ln, err := ListenUnix(path, transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
}

func TestTheSocketOfALivingProcessIsLeftAlone(t *testing.T) {
	path := socketPath(t)
	told := make(chan error, 1)
	first, err := ListenUnix(path, transport.Config{Refused: func(_ string, err error) { told <- err }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ListenUnix(path, transport.Config{}); err == nil || !strings.Contains(err.Error(), "living process") {
		t.Errorf("second listener: %v", err)
	}
	c, err := DialUnix(t.Context(), path, transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Close(), first.Close()
	select {
	case err := <-told:
		t.Errorf("the probe for life was reported: %v", err)
	default:
	}
}

func TestCloseLeavesTheSocketOfASuccessor(t *testing.T) {
	path := socketPath(t)
	first, err := ListenUnix(path, transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil { // somebody's idea of cleaning up
		t.Fatal(err)
	}
	second, err := ListenUnix(path, transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	c, err := DialUnix(t.Context(), path, transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Close(), second.Close()
}

// Of many that find a dead process's socket, one gets the place, and keeps it.
func TestOneOfManyStartersWins(t *testing.T) {
	for range 20 {
		path := socketPath(t)
		leaveStale(t, path)
		var (
			all  sync.WaitGroup
			mu   sync.Mutex
			won  []transport.Listener
			lost []error
		)
		for range 8 {
			all.Go(func() {
				ln, err := ListenUnix(path, transport.Config{})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					lost = append(lost, err)
				} else {
					won = append(won, ln)
				}
			})
		}
		all.Wait()
		if len(won) != 1 {
			t.Fatalf("%d listeners; %v", len(won), lost)
		}
		c, err := DialUnix(t.Context(), path, transport.Config{})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Close(), won[0].Close()
	}
}

func TestPathsThatCannotBe(t *testing.T) {
	file := filepath.Join(filepath.Dir(socketPath(t)), "f")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := "/tmp/" + strings.Repeat("x", 200)
	for _, test := range []struct{ path, want string }{
		{"", "empty"},
		{long, "shorter"},
		{"@tianxia", "no permissions"},
		{file, "not a socket"},
		{filepath.Join(file, "s"), "no directory"},
		{"/tmp/no/such/directory/s", "mkdir"},
	} {
		if _, err := ListenUnix(test.path, transport.Config{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Listen on %q: %v", test.path, err)
		}
	}
	for _, test := range []struct{ path, want string }{{"", "empty"}, {long, "shorter"}, {file + "x", "nothing listens there"}} {
		if _, err := DialUnix(t.Context(), test.path, transport.Config{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Dial %q: %v", test.path, err)
		}
	}
	if b, err := os.ReadFile(file); string(b) != "precious" {
		t.Errorf("the file is %q now, %v", b, err)
	}
	if got := maxPath; got < 90 || got > 120 {
		t.Errorf("maxPath is %d", got)
	}
	longest := filepath.Join(filepath.Dir(socketPath(t)), "")
	longest += "/" + strings.Repeat("x", maxPath-len(longest)-1)
	ln, err := ListenUnix(longest, transport.Config{})
	if err != nil {
		t.Fatalf("a path of %d bytes: %v", len(longest), err)
	}
	_ = ln.Close()
}

func TestUsersAreCheckedFromBothEnds(t *testing.T) {
	conformance.NoLeak(t)
	var asked int
	nobody := func(uid int) bool { asked = uid; return false }
	told := make(chan error, 1)
	ln, err := ListenUnix(socketPath(t), transport.Config{AllowUID: nobody, Refused: func(_ string, err error) { told <- err }})
	if err != nil {
		t.Fatal(err)
	}
	_, err = DialUnix(t.Context(), ln.Addr(), transport.Config{})
	if !errors.Is(err, transport.ErrPeerRefused) || !strings.Contains(err.Error(), "may not connect") {
		t.Errorf("Dial: %v", err)
	}
	if err := <-told; !strings.Contains(err.Error(), "may not connect") || asked != os.Geteuid() {
		t.Errorf("Refused was told %v, AllowUID was asked about %d", err, asked)
	}
	_ = ln.Close()

	if ln, err = ListenUnix(socketPath(t), transport.Config{}); err != nil {
		t.Fatal(err)
	}
	_, err = DialUnix(t.Context(), ln.Addr(), transport.Config{AllowUID: nobody})
	if !errors.Is(err, transport.ErrPeerRefused) || !strings.Contains(err.Error(), "not one that we trust") {
		t.Errorf("Dial of a stranger's server: %v", err)
	}
	_ = ln.Close()
}

func TestUnixPeersAreKnown(t *testing.T) {
	a, b := open(t, kindUnix, transport.Config{})
	defer b.Close()
	defer a.Close()
	for _, c := range []transport.Conn{a, b} {
		if p := c.Peer(); p.PID != os.Getpid() || p.UID != os.Geteuid() || !strings.HasPrefix(p.Addr, os.TempDir()) {
			t.Errorf("%+v", p)
		}
	}
}

func TestListenerAcceptsAfterDialersGaveUp(t *testing.T) {
	conformance.NoLeak(t)
	ln, err := ListenUnix(socketPath(t), transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if c, err := DialUnix(ctx, ln.Addr(), transport.Config{}); err == nil {
			_ = c.Close()
		}
	}
	c, err := DialUnix(t.Context(), ln.Addr(), transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}
