//go:build linux && (amd64 || arm64)

package shm

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

func TestListenReplacesTheSocketOfADeadProcessOnly(t *testing.T) {
	path := socketPath(t)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	_ = dead.Close()
	l := listenAt(t, path, transport.Config{})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	if _, err := Listen(path, transport.Config{}); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "living") {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, transport.Config{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal("a file that is no socket was removed:", err)
	}
}

func TestPathsThatCannotBeSocketsAreRefusedWithTheReason(t *testing.T) {
	for _, path := range []string{"", "/tmp/" + strings.Repeat("x", 200)} {
		_, listenErr := Listen(path, transport.Config{})
		_, dialErr := Dial(t.Context(), path, transport.Config{})
		for _, err := range []error{listenErr, dialErr} {
			if err == nil || !strings.Contains(err.Error(), "path") {
				t.Error(err)
			}
		}
	}
	if _, err := Dial(t.Context(), filepath.Join(t.TempDir(), "none"), transport.Config{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	for _, cfg := range []transport.Config{{SharedMemory: 1 << 20}, {SharedMemory: -1}, {BulkLanes: 100}, {MaxBacklog: -1}} {
		if _, err := Listen(socketPath(t), cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

func TestOtherUsersAreRefusedOnBothEnds(t *testing.T) {
	nobody := func(int) bool { return false }
	refused := make(chan error, 1)
	path := socketPath(t)
	listenAt(t, path, transport.Config{AllowUID: nobody, Refused: func(_ string, err error) { refused <- err }})
	_, err := Dial(t.Context(), path, transport.Config{})
	if !errors.Is(err, transport.ErrPeerRefused) || !strings.Contains(err.Error(), "not allowed") {
		t.Fatal(err)
	}
	if err := waitFor(t, "Refused", refused); !strings.Contains(err.Error(), "not allowed") {
		t.Fatal(err)
	}
	other := socketPath(t)
	listenAt(t, other, transport.Config{Refused: func(string, error) {}})
	if _, err := Dial(t.Context(), other, transport.Config{AllowUID: nobody}); !errors.Is(err, transport.ErrPeerRefused) {
		t.Fatal(err)
	}
}

func TestDialGivesUpOnASilentServerAndLeavesNothing(t *testing.T) {
	warm(t)
	path := socketPath(t)
	mute, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	before := held(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	var peer net.Conn
	go func() {
		peer, _ = mute.Accept()
		cancel(errors.New("enough"))
	}()
	if _, err := Dial(ctx, path, transport.Config{}); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Fatal(err)
	}
	_ = peer.Close()
	noMoreThan(t, before)
}

// A server that stops in the middle, with the library's handshake going on, is where the library would leave a goroutine behind.
func TestDialGivesUpOnAServerThatStopsInTheMiddleAndLeavesNothing(t *testing.T) {
	warm(t)
	path := socketPath(t)
	half, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	before := held(t)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := Dial(ctx, path, transport.Config{})
		result <- err
	}()
	control, err := half.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := expectControl(control, msgHello, false); err != nil {
		t.Fatal(err)
	}
	if err := sendControl(control, msgWelcome, nil); err != nil {
		t.Fatal(err)
	}
	_, fd, err := expectControl(control, msgSocket, true)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := waitFor(t, "Dial", result); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	closeFD(fd)
	_ = control.Close()
	eventually(t, "something is left over", func() (string, bool) {
		now := held(t) // the library leaves its descriptor to the garbage collector
		return "", now.goroutines <= before.goroutines && now.mappings <= before.mappings
	})
}

func TestNoDescriptorSurvivesAnExec(t *testing.T) {
	client, server := pair(t, transport.Config{})
	for _, c := range []*conn{client, server} {
		socket, memory, err := descriptors(c.sess)
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range append(memory, socket, c.opposite) {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			if err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("descriptor %d: flags %#x, %v", fd, flags, err)
			}
		}
	}
}

func TestLanesAndMemoryAreTheDiallersChoice(t *testing.T) {
	for _, cfg := range []transport.Config{{BulkLanes: -1, SharedMemory: 4 << 20}, {BulkLanes: 1, SharedMemory: 8 << 20}, {BulkLanes: 16, SharedMemory: 128 << 20}} {
		path := socketPath(t)
		l := listenAt(t, path, transport.Config{})
		client, server := join(t, l, path, cfg)
		if n := 1 + max(0, cfg.BulkLanes); len(client.Lanes()) != n || len(server.Lanes()) != n {
			t.Errorf("%d and %d lanes, want %d", len(client.Lanes()), len(server.Lanes()), n)
		}
		if s := server.Stats().SharedBytes; s != uint64(cfg.SharedMemory) {
			t.Errorf("%d bytes shared", s)
		}
		for i, out := range client.Lanes() {
			for n := range uint64(200) { // more than any window
				if err := send(out, 1000, n, true); err != nil {
					t.Fatal(err)
				}
			}
			if err := get(server.Lanes()[i], 200*1000); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(client.Close(), server.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
