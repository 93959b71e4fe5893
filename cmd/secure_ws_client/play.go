package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/client"
)

// errQuit ends a script early, and well.
var errQuit = errors.New("quit")

// play does what the command line says.
func play(ctx context.Context, o *options, c console) error {
	var script io.Reader
	switch {
	case o.script == "-":
		script = c.in
	case o.script != "":
		f, err := os.Open(o.script)
		if err != nil {
			return &usageError{"-script: " + err.Error()}
		}
		defer f.Close()
		script = f
	}
	for _, route := range []string{o.call, o.push} { // a wrong name is better said before anything happens
		if _, err := newNames().route(route); route != "" && err != nil {
			return err
		}
	}
	if !json.Valid([]byte(o.payload)) {
		return &usageError{fmt.Sprintf("-json %s is not JSON; the shell wants it in quotes, as in -json '{\"radius\": 64000}'", o.payload)}
	}
	out := &printer{w: c.out, lines: o.lines}
	p, err := dial(ctx, o, out)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- p.serve(ctx) }()
	s := &steps{p: p, timeout: o.timeout}
	err = s.all(ctx, o, c, script)
	_ = p.Close()
	end := <-served
	if err == nil && !errors.Is(end, client.ErrClosed) {
		err = advice(end)
	}
	return err
}

// steps are the commands that are played, one after the other.
type steps struct {
	p       *player
	timeout time.Duration
	last    json.RawMessage // answer or push
	refusal *client.Error   // of the last call; whoever does not expect it has failed
}

func (s *steps) all(ctx context.Context, o *options, c console, script io.Reader) error {
	if o.resume {
		for _, line := range []string{"until playing", "look", "status", "cut", "resume", "until playing", "look", "status"} {
			if err := s.line(ctx, line); err != nil {
				return err
			}
		}
	}
	switch {
	case o.call != "" || o.push != "":
		if err := s.line(ctx, "until playing"); err != nil {
			return err
		}
		line := "call " + o.call + " " + o.payload
		if o.push != "" {
			line = "push " + o.push + " " + o.payload
		}
		if err := s.line(ctx, line); err != nil || !o.watch {
			return errors.Join(err, s.unexpected())
		}
	case script != nil:
		return s.script(ctx, script, "", c)
	case o.watch || o.resume && !c.prompt:
	case c.prompt:
		return s.script(ctx, c.in, "> ", c)
	case o.resume:
	default:
		return s.script(ctx, c.in, "", c)
	}
	if !o.watch {
		return nil
	}
	select { // until -for, Ctrl-C or the end of the session
	case <-ctx.Done():
		return nil
	case <-s.p.over():
		return nil
	}
}

// over is closed when the session has ended.
func (p *player) over() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.until(context.Background(), "the end", func() bool { return p.ended != nil })
	}()
	return done
}

// script plays the lines of a reader. At a prompt a failure is told and forgiven.
func (s *steps) script(ctx context.Context, r io.Reader, prompt string, c console) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	next := func() bool {
		if prompt != "" {
			s.p.out.write(prompt)
		}
		return lines.Scan()
	}
	for n := 1; next(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		err := s.line(ctx, line)
		if prompt != "" && err == nil {
			err = s.unexpected()
		}
		switch {
		case errors.Is(err, errQuit):
			return nil
		case err != nil && prompt != "" && s.p.alive():
			fmt.Fprintln(c.err, err)
		case err != nil && prompt != "":
			return nil // the end of the session says why
		case err != nil:
			return fmt.Errorf("line %d: %s: %w", n, line, err)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return s.unexpected()
}

func (p *player) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended == nil
}

// unexpected is the refusal that no "expect error" has asked for.
func (s *steps) unexpected() error {
	if s.refusal == nil {
		return nil
	}
	err := s.refusal
	s.refusal = nil
	return err
}
