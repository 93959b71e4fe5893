package network

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shortageRole makes the test binary the server that runs out of descriptors.
const shortageRole = "NETWORK_TEST_SHORTAGE"

// A process that is out of descriptors goes on accepting as soon as it has some again.
func TestAcceptOutlivesAShortageOfDescriptors(t *testing.T) {
	if os.Getenv(shortageRole) != "" {
		if err := echoWithFewDescriptors(); err != nil {
			t.Fatal(err)
		}
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestAcceptOutlivesAShortageOfDescriptors$", "-test.timeout=60s")
	child.Env = append(os.Environ(), shortageRole+"=1")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	expect := func(word string) string {
		for lines.Scan() {
			if rest, ok := strings.CutPrefix(lines.Text(), word+" "); ok {
				return rest
			}
		}
		t.Fatalf("the server ended before it said %q", word)
		return ""
	}
	addr := expect("address")
	var conns []net.Conn
	for range 40 {
		nc, err := net.Dial("tcp", addr) // the kernel accepts for the process
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, nc)
	}
	if why := expect("shortage"); !strings.Contains(why, "too many open files") {
		t.Errorf("shortage: %s", why)
	}
	for _, nc := range conns {
		_ = nc.Close()
	}
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	_ = nc.(*net.TCPConn).CloseWrite()
	if b, err := io.ReadAll(nc); string(b) != "hello" {
		t.Errorf("after the shortage: %q %v", b, err)
	}
	_ = nc.Close()
	_ = in.Close()
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Error(err)
	}
	if err := child.Wait(); err != nil {
		t.Errorf("the server: %v", err)
	}
}

// echoWithFewDescriptors serves until its standard input ends.
func echoWithFewDescriptors() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	few := syscall.Rlimit{Cur: uint64(len(open) + 8), Max: uint64(len(open) + 8)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		return err
	}
	l := Listen(ln, ListenConfig{MaxBackoff: 20 * time.Millisecond, OnRetry: func(err error, _ time.Duration) {
		fmt.Println("shortage", err)
	}})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = l.Close()
	}()
	fmt.Println("address", ln.Addr())
	for {
		nc, err := l.Accept()
		if err != nil {
			return nil // closed
		}
		go func() {
			_, _ = io.Copy(nc, nc)
			_ = nc.Close()
		}()
	}
}
