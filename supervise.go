package tianxia

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// Waits before a process that ended is started again, doubling from the first to the last; one that ran for a while begins anew.
const (
	restartFirst = 100 * time.Millisecond
	restartLast  = 5 * time.Second
	restartCalm  = 10 * time.Second
)

// exitMistake is the code of a supervised process that was told something wrong: it would be as wrong the next time. (EX_CONFIG of sysexits.h. It is not exitUsage, with which a
// panic ends too: what crashed is started again.)
const exitMistake = 78

// stopGrace is how long a process may take to stop before it is killed.
const stopGrace = 5 * time.Second

// child is a process of this program under supervision. Its standard input is a pipe that nobody writes to: when this process ends, however that happens, the child reads the end
// of it and stops (see withParent).
type child struct {
	name string
	args []string
	out  *lines
}

// run keeps the child running until ctx ends, and has stopped it when it returns. It returns an error if starting it again is no use.
func (c *child) run(ctx context.Context) error {
	wait := restartFirst
	for {
		began := time.Now()
		err := c.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		why := "it ended by itself"
		if exit, ok := err.(*exec.ExitError); ok {
			why = exit.String()
			if exit.ExitCode() == exitMistake {
				return fmt.Errorf("the %s cannot run as it was told to; it says why above", c.name)
			}
		} else if err != nil {
			return fmt.Errorf("start the %s: %w", c.name, err)
		}
		if time.Since(began) > restartCalm {
			wait = restartFirst
		}
		c.out.say("%s: starting it again in %v", why, wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, restartLast)
	}
}

// once runs the process until it ends. When ctx ends its input is closed, which stops it; one that does not is killed.
func (c *child) once(ctx context.Context) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, exe, c.args...)
	cmd.Env = withoutKeys(os.Environ())
	cmd.Stdout, cmd.Stderr = c.out, c.out
	detach(cmd) // Ctrl-C of the terminal is for this process: it stops the children in order
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	cmd.Cancel, cmd.WaitDelay = in.Close, stopGrace
	if err := cmd.Start(); err != nil {
		return err
	}
	c.out.say("process %d", cmd.Process.Pid)
	err = cmd.Wait()
	c.out.flush()
	return err
}

// withoutKeys leaves out the variables that are keys of a process's file: this program, which reads none, says by flags what its children are to do, and what is meant for processes
// of the same machine must not change or stop them. Others, TIANXIA_RUN_DIR among them, are handed on.
func withoutKeys(env []string) []string {
	return slices.DeleteFunc(env, func(pair string) bool { return strings.HasPrefix(pair, "MMO_") })
}

// lines writes what a child prints, line by line, with its name in front. Several of them may share the writer if they share the mutex.
type lines struct {
	mu     *sync.Mutex
	w      io.Writer
	prefix string
	rest   []byte // of a line that has not ended
}

// maxLine bounds what is kept of a line that does not end, in bytes.
const maxLine = 64 << 10

// Write implements io.Writer; it never fails: a child must not die of our closed output.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(b)
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		l.rest = append(l.rest, line...)
		b = rest
		if whole || len(l.rest) > maxLine {
			_, _ = fmt.Fprintf(l.w, "%s%s\n", l.prefix, l.rest)
			l.rest = l.rest[:0]
		}
	}
	return n, nil
}

// flush ends a line that the child began and did not end.
func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		_, _ = fmt.Fprintf(l.w, "%s%s\n", l.prefix, l.rest)
		l.rest = l.rest[:0]
	}
}

// say prints a line of our own about the child.
func (l *lines) say(format string, args ...any) {
	l.flush()
	_, _ = fmt.Fprintf(l, format+"\n", args...)
}

// withParent ends ctx when r, the standard input, does: that of a child is a pipe whose other end its parent holds until it stops or dies. A process that cannot stop within the
// grace then ends at once.
func withParent(ctx context.Context, r io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() { // ends with the process: reading the standard input cannot be called off
		_, _ = io.Copy(io.Discard, r)
		cancel()
		time.AfterFunc(stopGrace, func() { os.Exit(exitFailed) })
	}()
	return ctx, cancel
}
