//go:build unix

package sock

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/conformance"
)

// echoAddr tells a process of this test binary to connect to that socket, and to echo.
const echoAddr = "TIANXIA_SOCK_ECHO"

func TestMain(m *testing.M) {
	path := os.Getenv(echoAddr)
	if path == "" {
		os.Exit(m.Run())
	}
	echo(path)
}

func echo(path string) {
	c, err := DialUnix(context.Background(), path, transport.Config{})
	if err != nil {
		os.Exit(1)
	}
	l := c.Lanes()[0]
	for {
		b, err := l.Receive()
		if err != nil {
			os.Exit(0)
		}
		l.Lock()
		for len(b) > 0 {
			n := int(binary.LittleEndian.Uint32(b))
			f, err := l.Reserve(n)
			if err != nil {
				os.Exit(2)
			}
			copy(f, b)
			b = b[n:]
		}
		err = l.Flush()
		l.Unlock()
		if err != nil {
			os.Exit(3)
		}
		l.Release()
	}
}

// twoProcesses connects this process to another one that echoes.
func twoProcesses(t *testing.T) (transport.Conn, *os.Process) {
	t.Helper()
	ln, err := ListenUnix(socketPath(t), transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), echoAddr+"="+ln.Addr())
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	c, err := ln.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c.Peer().PID != cmd.Process.Pid {
		t.Errorf("process %d, not %d", c.Peer().PID, cmd.Process.Pid)
	}
	return c, cmd.Process
}

func TestAKilledProcessIsNoticedAtOnce(t *testing.T) {
	conformance.NoLeak(t)
	c, peer := twoProcesses(t)
	l := c.Lanes()[0]
	for range 100 {
		if err := put(l, 10, 100); err != nil {
			t.Fatal(err)
		}
		if err := take(l, 1000); err != nil {
			t.Fatal(err)
		}
	}
	if err := peer.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for {
		if _, err := l.Receive(); err != nil {
			break
		}
		l.Release()
	}
	t.Logf("noticed after %v: %v", time.Since(began), c.Err())
	if err := c.Err(); !errors.Is(err, ErrVanished) {
		t.Errorf("%v", err)
	}
	_ = c.Close()
}

// No write to a frozen process waits, and when it thaws, it gets all of it.
func TestAFrozenProcessCostsNobodyAnything(t *testing.T) {
	conformance.NoLeak(t)
	c, peer := twoProcesses(t)
	l := c.Lanes()[0]
	if err := put(l, 1, 100); err != nil {
		t.Fatal(err)
	}
	if err := take(l, 100); err != nil {
		t.Fatal(err)
	}
	if err := peer.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var slowest time.Duration
	sent := 0
	for {
		began := time.Now()
		err := put(l, 1, 1000)
		slowest = max(slowest, time.Since(began))
		if errors.Is(err, transport.ErrBacklog) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		sent++
	}
	t.Logf("%d frames of 1,000 bytes until the backlog was full, the slowest write took %v", sent, slowest)
	if slowest > 10*time.Second { // one that waits for a frozen process waits for ever; a busy machine is slow, too
		t.Errorf("a write took %v", slowest)
	}
	if err := peer.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := take(l, 1000*sent); err != nil {
		t.Fatal(err)
	}
	if n := l.Backlog(); n != 0 {
		t.Errorf("all came back, and %d bytes wait", n)
	}
	_ = c.Close()
}
