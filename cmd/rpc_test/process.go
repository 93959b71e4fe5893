package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/measure"
)

// childVariable tells a test binary that it was started as a child of rpc_test and is to behave as the command.
const childVariable = "TIANXIA_RPC_TEST_CHILD"

// child is a process that this one started and gives orders to, line by line. It ends when its standard input does: children do not outlive their parent. One goroutine at
// a time may use it, but kill and stop.
type child struct {
	name    string
	cmd     *exec.Cmd
	in      io.WriteCloser
	replies chan measure.Reply // closed when the output ends
	over    chan struct{}      // closed when the process was waited for
	errors  *tail              // what it said last on standard error
	ready   measure.Reply
}

// self starts this program once more, as a worker.
func self(ctx context.Context, name string, env []string, args ...string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, to start it as %s: %w", name, err)
	}
	return start(ctx, name, program, env, append([]string{"-mode=worker"}, args...)...)
}

// start starts a process and waits until it says that it is ready.
func start(ctx context.Context, name, program string, env []string, args ...string) (*child, error) {
	c := &child{name: name, replies: make(chan measure.Reply, 1), over: make(chan struct{}), errors: &tail{}}
	c.cmd = exec.Command(program, args...)
	c.cmd.Env = append(os.Environ(), append(slices.Clip(env), childVariable+"=1")...)
	c.cmd.Stderr = c.errors
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c.in = in
	go func() {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var reply measure.Reply
			if err := json.Unmarshal(lines.Bytes(), &reply); err != nil {
				reply.Error = fmt.Sprintf("said %q, which is no answer: %v", lines.Text(), err)
			}
			c.replies <- reply
		}
		close(c.replies)
		c.cmd.Wait() // how it ended is in ProcessState
		close(c.over)
	}()
	if c.ready, err = c.answer(ctx, 20*time.Second); err != nil {
		c.kill()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return c, nil
}

// ask gives an order and waits for the answer.
func (c *child) ask(ctx context.Context, request measure.Request) (measure.Reply, error) {
	line, err := json.Marshal(request)
	if err != nil {
		return measure.Reply{}, err
	}
	_, unwritten := c.in.Write(append(line, '\n'))
	limit := request.Duration + 90*time.Second
	if unwritten != nil {
		limit = 10 * time.Second // it is dead or dying: why is what has to be told
	}
	reply, err := c.answer(ctx, limit)
	if err != nil {
		return measure.Reply{}, fmt.Errorf("%s, asked to %s: %w", c.name, request.Do, err)
	}
	return reply, nil
}

// errDied is the answer of a process that is no more.
var errDied = errors.New("the process is dead")

func (c *child) answer(ctx context.Context, limit time.Duration) (measure.Reply, error) {
	patience := time.NewTimer(limit)
	defer patience.Stop()
	select {
	case reply, ok := <-c.replies:
		if !ok {
			<-c.over
			return reply, fmt.Errorf("%w: %s: %s", errDied, c.cmd.ProcessState, c.errors)
		}
		if reply.Error != "" {
			return reply, errors.New(reply.Error)
		}
		return reply, nil
	case <-ctx.Done():
		return measure.Reply{}, ctx.Err()
	case <-patience.C:
		return measure.Reply{}, fmt.Errorf("no answer for %v: %s", limit, c.errors)
	}
}

// stop lets the process end by itself, and makes it if it does not.
func (c *child) stop() error {
	c.in.Close()
	c.unread()
	patience := time.NewTimer(10 * time.Second)
	defer patience.Stop()
	select {
	case <-c.over:
	case <-patience.C:
		c.kill()
		return fmt.Errorf("%s did not end within 10 s of being asked to and was killed: %s", c.name, c.errors)
	}
	if !c.cmd.ProcessState.Success() {
		return fmt.Errorf("%s ended with %s: %s", c.name, c.cmd.ProcessState, c.errors)
	}
	return nil
}

// kill ends the process as the system does when memory runs out, and waits until it is gone. It may be called after stop.
func (c *child) kill() {
	c.cmd.Process.Kill()
	c.in.Close()
	c.unread()
	<-c.over
}

// unread throws answers away that nobody waits for.
func (c *child) unread() {
	go func() {
		for range c.replies {
		}
	}()
}

// tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 6 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if len(t.text) > 2*tailBytes { // the beginning of a crash says more than its end
		t.text = append(t.text[:tailBytes], t.text[len(t.text)-tailBytes:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := strings.TrimSpace(string(t.text)); text != "" {
		return text
	}
	return "it said nothing"
}
