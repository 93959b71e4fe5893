//go:build linux && (amd64 || arm64)

package shm

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// childEnv makes this test binary a peer in a process of its own: its value is "listen" or "dial", a space, and a path.
const childEnv = "TIANXIA_SHM_TEST_CHILD"

func TestMain(m *testing.M) {
	if what := os.Getenv(childEnv); what != "" {
		if err := child(what); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child echoes on all lanes until it is killed, or its parent closes.
func child(what string) error {
	role, path, _ := strings.Cut(what, " ")
	var c transport.Conn
	var err error
	switch role {
	case "listen":
		var l transport.Listener
		if l, err = Listen(path, transport.Config{MaxBacklog: 256 << 20}); err != nil {
			return err
		}
		fmt.Println("ready")
		c, err = l.Accept(context.Background())
	case "dial":
		c, err = Dial(context.Background(), path, transport.Config{MaxBacklog: 256 << 20})
	}
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	for _, l := range c.Lanes() {
		all.Go(func() { _ = echo(l) })
	}
	all.Wait()
	return c.Close()
}

// echo answers every batch with its frames.
func echo(l transport.Lane) error {
	for {
		batch, err := l.Receive()
		if err != nil {
			return err
		}
		l.Lock()
		err = split(batch, func(frame []byte) error {
			b, err := l.Reserve(len(frame))
			if err == nil {
				copy(b, frame)
			}
			return err
		})
		if err == nil {
			err = l.Flush()
		}
		l.Unlock()
		l.Release()
		if err != nil {
			return err
		}
	}
}

// withChild starts a peer in its own process and connects to it; role is what the peer does.
func withChild(t *testing.T, role string) (*conn, *os.Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	path := socketPath(t)
	var l transport.Listener
	if role == "dial" {
		l = listenAt(t, path, transport.Config{})
		defer l.Close()
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+role+" "+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		said, _ := io.ReadAll(out)
		if len(said) > 0 {
			t.Errorf("the library wrote to standard output: %q", said)
		}
		_ = cmd.Wait()
	})
	var c transport.Conn
	if role == "dial" {
		c, err = l.Accept(ctx)
	} else {
		line := make([]byte, len("ready\n"))
		if _, err := io.ReadFull(bufio.NewReaderSize(out, 16), line); err != nil {
			t.Fatal(err)
		}
		c, err = Dial(ctx, path, transport.Config{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if c.Peer().PID != cmd.Process.Pid || c.Peer().UID != os.Geteuid() {
		t.Fatalf("%+v is not process %d", c.Peer(), cmd.Process.Pid)
	}
	return c.(*conn), cmd.Process
}

// load writes from 16 goroutines and reads on every lane until the connection ends.
func load(t *testing.T, c *conn) (echoed *atomic.Int64, wait func()) {
	echoed = new(atomic.Int64)
	var all sync.WaitGroup
	for i, l := range c.Lanes() {
		all.Go(func() {
			for {
				batch, err := l.Receive()
				if err != nil {
					return
				}
				if err := split(batch, func(frame []byte) error {
					echoed.Add(1)
					return checkFrame(frame, binary.LittleEndian.Uint64(frame[4:]))
				}); err != nil {
					t.Errorf("lane %d: %v", i, err)
				}
				l.Release()
			}
		})
	}
	for w := range 16 {
		l := c.Lanes()[w%len(c.Lanes())]
		all.Go(func() {
			for n := uint64(0); ; n++ {
				size := 64 + int(n*997)%2000
				if n%100 == 0 {
					size = l.MaxFrame()
				}
				switch err := send(l, size, n, n%4 == 0); {
				case errors.Is(err, transport.ErrBacklog):
					runtime.Gosched()
				case err != nil:
					return
				}
			}
		})
	}
	return echoed, all.Wait
}

func TestAKilledPeerIsNoticedAndLeavesNothing(t *testing.T) {
	warm(t)
	rounds := 10
	if testing.Short() {
		rounds = 2
	}
	for _, role := range []string{"listen", "dial"} {
		t.Run("PeerThatDoes/"+role, func(t *testing.T) {
			before := held(t)
			for range rounds {
				t.Run("Round", func(t *testing.T) {
					c, process := withChild(t, role)
					echoed, wait := load(t, c)
					eventually(t, "no traffic", func() (string, bool) { return "", echoed.Load() > 2000 })
					began := time.Now()
					if err := process.Kill(); err != nil {
						t.Fatal(err)
					}
					waitFor(t, "Done", c.Done())
					if took := time.Since(began); took > patience/4 { // at once, but for a busy machine
						t.Errorf("the death was noticed after %v", took)
					}
					if errors.Is(c.Err(), transport.ErrClosed) {
						t.Errorf("a death is no goodbye: %v", c.Err())
					}
					wait()
					if err := c.Close(); err != nil {
						t.Fatal(err)
					}
					t.Logf("over after %v: %v", time.Since(began), c.Err())
					if s := c.Stats(); s.Fallbacks != 0 {
						t.Errorf("%+v", s)
					}
				})
			}
			noMoreThan(t, before)
		})
	}
}

// answered waits for an echo of the first lane: the peer has finished its handshake then.
func answered(t *testing.T, c *conn) {
	t.Helper()
	l := c.Lanes()[0]
	if err := send(l, 64, 0, true); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Receive(); err != nil {
		t.Fatal(err)
	}
	l.Release()
}

func TestAFrozenPeerCostsNobodyAnything(t *testing.T) {
	for _, role := range []string{"listen", "dial"} {
		t.Run("PeerThatDoes/"+role, func(t *testing.T) {
			c, process := withChild(t, role)
			signal := func(s syscall.Signal, state string) {
				t.Helper()
				if err := process.Signal(s); err != nil {
					t.Fatal(err)
				}
				eventually(t, "the peer's state", func() (string, bool) {
					stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process.Pid))
					_, rest, _ := strings.Cut(string(stat), ") ")
					return rest, strings.Contains(state, rest[:1])
				})
			}
			answered(t, c) // or the freeze would outlast the limit of its handshake
			signal(syscall.SIGSTOP, "T")
			sent := make([]uint64, len(c.Lanes()))
			var longest time.Duration
			for i, l := range c.Lanes() {
				for {
					began := time.Now()
					err := send(l, 8000, sent[i], true)
					longest = max(longest, time.Since(began))
					if errors.Is(err, transport.ErrBacklog) {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					sent[i]++
				}
				if l.Backlog() < 16<<20-8000 || l.Backlog() > 16<<20 {
					t.Errorf("lane %d: %d bytes wait", i, l.Backlog())
				}
			}
			t.Logf("%v frames; the slowest took %v", sent, longest)
			if longest >= handshakeLimit { // nothing that waits for a frozen peer gives up earlier; a busy machine is slow, too
				t.Errorf("a frame took %v", longest)
			}
			signal(syscall.SIGCONT, "SR")
			var all sync.WaitGroup
			for i, l := range c.Lanes() {
				all.Go(func() {
					for due := uint64(0); due < sent[i]; {
						batch, err := l.Receive()
						if err != nil {
							t.Errorf("lane %d, frame %d: %v", i, due, err)
							return
						}
						if err := split(batch, func(frame []byte) error {
							due++
							return checkFrame(frame, due-1)
						}); err != nil {
							t.Errorf("lane %d: %v", i, err)
						}
						l.Release()
					}
				})
			}
			done := make(chan struct{})
			go func() { defer close(done); all.Wait() }()
			waitFor(t, "echoes", done)
			if s := c.Stats(); s.Fallbacks != 0 || s.Stalls == 0 {
				t.Errorf("%+v", s)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
