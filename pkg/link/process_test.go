//go:build unix

package link

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
)

// A gateway in a process of its own: this test binary, started again with these in its environment.
const (
	childEndpoint = "LINK_TEST_ENDPOINT"
	childRole     = "LINK_TEST_ROLE"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if role := os.Getenv(childRole); role != "" {
		if err := child(role, os.Getenv(childEndpoint)); err != nil {
			fmt.Fprintln(os.Stderr, "gateway:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(role, endpoint string) error {
	limits := mux.Config{}
	if role == "patient" {
		limits.Heartbeat = -1
	}
	client, err := rpc.NewClient(rpc.ClientConfig{Endpoint: endpoint, Mux: limits})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l, err := Dial(ctx, client, Config{})
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	if role == "load" {
		return generate(l)
	}
	var downs []Down
	for { // says how many batches it has seen whenever it gets a message
		<-l.Ready()
		downs, err = l.Receive(downs[:0])
		for _, d := range downs {
			if d.Kind == ToClient {
				if err := l.Send(Up{Kind: FromClient, ID: d.ID}); err != nil {
					return nil
				}
			}
		}
		if err != nil {
			return nil
		}
	}
}

// process starts a gateway and returns when it has joined.
func process(t *testing.T, p *plug, role string) (*exec.Cmd, Port) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childRole+"="+role, childEndpoint+"="+p.server.Addrs()[0])
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	select {
	case j := <-p.joined:
		return cmd, j.port
	case <-time.After(patience):
		t.Fatal("the gateway has not joined")
		return nil, nil
	}
}

func processTransports() []string {
	return slices.DeleteFunc(transports(), func(s string) bool { return s == "inproc" })
}

// TestAKilledGatewayIsMissedAtOnce kills the process at the other end under load.
func TestAKilledGatewayIsMissedAtOnce(t *testing.T) {
	for _, kind := range processTransports() {
		t.Run(kind, func(t *testing.T) {
			noLeak(t)
			p := connect(t, kind, Config{Linger: time.Hour}, mux.Config{Heartbeat: -1}) // what is not noticed at once is not noticed at all
			cmd, port := process(t, p, "echo")
			stop := make(chan struct{})
			sending := make(chan struct{})
			go func() {
				defer close(sending)
				for {
					select {
					case <-stop:
						return
					default:
						_ = port.Send(Down{Kind: Batch, Payload: make([]byte, 1<<16)})
						_ = port.Send(Down{Kind: ToClient})
					}
				}
			}()
			receive(t, port, 100)
			start := time.Now()
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			err := endOf(port)
			took := time.Since(start)
			close(stop)
			<-sending
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%v after %s", err, took)
			}
			t.Logf("%s: told %s after the kill: %v", kind, took, err)
		})
	}
}

// TestAFrozenGatewayHarmsNobody stops the process at the other end: its batches are refused, its messages fill their bound, another gateway is served as before; once it
// goes on it has everything that was accepted. Heartbeats, which would have given it up, are off.
func TestAFrozenGatewayHarmsNobody(t *testing.T) {
	for _, kind := range processTransports() {
		t.Run(kind, func(t *testing.T) {
			noLeak(t)
			p := connect(t, kind, Config{Bounds: PipeConfig{DownMessage: 1000}}, mux.Config{Heartbeat: -1})
			cmd, port := process(t, p, "patient")
			_, other := process(t, p, "echo")
			down(t, port, Down{Kind: ToClient})
			receive(t, port, 1)
			settledPort(t, port)
			freeze(t, cmd)
			batches, messages := 0, uint32(0)
			var worst time.Duration
			for i := range uint32(3000) {
				start := time.Now()
				if port.Send(Down{Kind: Batch, Payload: make([]byte, 1<<16)}) == nil {
					batches++
				}
				if port.Send(Down{Kind: ToClient, ID: messages, Payload: make([]byte, 100)}) == nil {
					messages++
				}
				worst = max(worst, time.Since(start))
				if i%100 == 0 {
					down(t, other, Down{Kind: Batch, Payload: make([]byte, 1<<16)}, Down{Kind: ToClient, ID: i})
					if u := receive(t, other, 1); u[0].ID != i {
						t.Fatalf("the other gateway answered %d to %d", u[0].ID, i)
					}
				}
			}
			if batches != 8 || messages != 1000 {
				t.Errorf("%d batches and %d messages were taken for a frozen gateway, want 8 and 1000", batches, messages)
			}
			t.Logf("%s: a send took %s at most", kind, worst)
			if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			for i, u := range receive(t, port, 1000) {
				if u.ID != uint32(i) {
					t.Fatalf("message %d was answered as %d", i, u.ID)
				}
			}
			settledPort(t, port)
			down(t, port, Down{Kind: Batch}, Down{Kind: ToClient, ID: 5})
			receive(t, port, 1)
		})
	}
}

// TestAFrozenGatewayIsGivenUpByHeartbeats is the same with the heartbeats that a connection has by default: faster ones give up a gateway that is only slow to start.
func TestAFrozenGatewayIsGivenUpByHeartbeats(t *testing.T) {
	noLeak(t)
	p := connect(t, "uds", Config{}, mux.Config{})
	cmd, port := process(t, p, "echo")
	down(t, port, Down{Kind: ToClient})
	receive(t, port, 1) // it has learned that it is attached, which it would not wait for that long
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := endOf(port); !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "nothing heard") {
		t.Error(err)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil { // it finds the link closed
		t.Errorf("the gateway: %v", err)
	}
}

// freeze stops a process and returns when it has stopped.
func freeze(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var st syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &st, syscall.WUNTRACED, nil); err != nil || !st.Stopped() {
		t.Fatalf("not stopped: %v, %v", st, err)
	}
}

func settledPort(t *testing.T, p Port) {
	t.Helper()
	s := p.(*remotePort).out
	if !holds(func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.sent == receipt{}
	}) {
		t.Fatalf("%+v is said to be under way", s.sent)
	}
}
