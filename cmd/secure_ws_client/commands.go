package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/internal/utils/spell"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

const commandHelp = `  call ROUTE [JSON]       send a request and print the answer
  push ROUTE [JSON]       send a message that is not answered
  wait ROUTE [TIME]       wait for a push on this route
  expect JSON             the last answer or push must hold this; more fields may be there
  expect error CODE       the last call must have been refused with this code, as in wrong_state or game(1001)
  until CONDITION [TIME]  wait for avatar, playing, resumed, recovered, frames N or entities N
  sleep TIME              do nothing, as in 500ms
  cut                     end the connection without a word, as a bad network would
  resume [TIME]           come back and take the session up again
  ping                    print the round trip time
  status                  print what there is
  watch on|off            print what comes into view, changes and goes, or stop it
  quit                    say goodbye and leave
A route is a number, or the name of one of the framework's or a sample game's. # starts a comment.
`

// line plays one command.
func (s *steps) line(ctx context.Context, line string) error {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	if word != "expect" {
		if err := s.unexpected(); err != nil {
			return fmt.Errorf("the call before it was refused: %w (\"expect error %s\" takes that for right)", err, err.(*client.Error).Code)
		}
	}
	switch word {
	case "call", "push":
		return s.send(ctx, word, rest)
	case "wait":
		return s.wait(ctx, rest)
	case "expect":
		return s.expect(rest)
	case "until":
		return s.until(ctx, rest)
	case "sleep":
		return s.sleep(ctx, rest)
	case "cut":
		return s.p.cut()
	case "resume":
		ctx, cancel, err := s.within(ctx, rest)
		if err != nil {
			return err
		}
		defer cancel()
		return s.p.release(ctx)
	case "ping":
		return s.ping(ctx)
	case "status":
		s.status()
		return nil
	case "look": // not told of: what comes into view a moment later, if anything does
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_ = s.p.until(ctx, "a view", func() bool { return s.p.seen > 0 && s.p.avatar })
		return nil
	case "watch":
		if rest != "on" && rest != "off" {
			return &usageError{"watch on, or watch off"}
		}
		s.p.change(func() { s.p.watch.on = rest == "on" })
		return nil
	case "help":
		s.p.out.event("help", strings.TrimRight(commandHelp, "\n"))
		return nil
	case "quit", "exit":
		return errQuit
	}
	words := []string{"call", "push", "wait", "expect", "until", "sleep", "cut", "resume", "ping", "status", "watch", "help", "quit"}
	return &usageError{fmt.Sprintf("unknown command %q%s; help lists them", word, spell.Suggestion(word, words, ""))}
}

// within bounds a command that waits, by the time written behind it or -timeout.
func (s *steps) within(ctx context.Context, text string) (context.Context, context.CancelFunc, error) {
	d := s.timeout
	if text != "" {
		var err error
		if d, err = time.ParseDuration(text); err != nil || d <= 0 {
			return nil, nil, &usageError{fmt.Sprintf("%q is not a time like 500ms or 5s", text)}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	return ctx, cancel, nil
}

func (s *steps) send(ctx context.Context, word, rest string) error {
	name, text, _ := strings.Cut(rest, " ")
	if name == "" {
		return &usageError{word + " needs a route, as in " + word + " plains.spectate {\"radius\": 64000}"}
	}
	route, err := s.p.names.route(name)
	if err != nil {
		return err
	}
	if text = strings.TrimSpace(text); text == "" {
		text = "{}"
	}
	if !json.Valid([]byte(text)) {
		return &usageError{fmt.Sprintf("%s is not JSON", text)}
	}
	if word == "push" {
		if err := s.p.say(route, []byte(text)); err != nil {
			return err
		}
		return s.p.Flush()
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	began := time.Now()
	answer, err := s.p.ask(ctx, route, []byte(text))
	var refused *client.Error
	if here := (*protocol.ConvertError)(nil); errors.As(err, &here) { // -protobuf: what the gateway would have said
		err = &client.Error{Code: here.Code, Message: here.Err.Error()}
	}
	switch {
	case errors.As(err, &refused):
		s.refusal, s.last = refused, nil
		s.p.out.event("refused", fmt.Sprintf("refused    %s: %s: %s", s.p.routeName(route), refused.Code, refused.Message), "route", route, "code", refused.Code.String(), "text", refused.Message)
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return s.p.late(s.timeout)
	case err != nil:
		return err
	}
	s.last = answer
	s.p.out.event("answer", fmt.Sprintf("answer     %s %s (%s)", s.p.routeName(route), answer, took(time.Since(began))), "route", route, "message", json.RawMessage(answer),
		"ms", float64(time.Since(began).Microseconds())/1000)
	return nil
}

func (s *steps) wait(ctx context.Context, rest string) error {
	name, text, _ := strings.Cut(rest, " ")
	route, err := s.p.names.route(name)
	if err != nil {
		return err
	}
	ctx, cancel, err := s.within(ctx, strings.TrimSpace(text))
	if err != nil {
		return err
	}
	defer cancel()
	return s.p.until(ctx, "a push on route "+name, func() bool {
		for i, m := range s.p.pushes {
			if m.route == route {
				s.last = m.payload
				s.p.pushes = append(s.p.pushes[:0], s.p.pushes[i+1:]...) // those before it came before it
				return true
			}
		}
		return false
	})
}

func (s *steps) expect(rest string) error {
	if code, ok := strings.CutPrefix(rest, "error"); ok {
		refused := s.refusal
		s.refusal = nil
		if code = strings.TrimSpace(code); refused == nil {
			return errors.New("the last call was not refused")
		} else if code != "" && code != refused.Code.String() && code != strconv.Itoa(int(refused.Code)) {
			return fmt.Errorf("the last call was refused with %v: %s", refused.Code, refused.Message)
		}
		return nil
	}
	if err := s.unexpected(); err != nil {
		return err
	}
	var want, have any
	if err := json.Unmarshal([]byte(rest), &want); err != nil {
		return &usageError{fmt.Sprintf("expect takes JSON, or error and a code: %v", err)}
	}
	if s.last == nil || json.Unmarshal(s.last, &have) != nil {
		return errors.New("there was no answer and no push that was waited for")
	}
	if !holds(have, want) {
		return fmt.Errorf("it was %s", s.last)
	}
	return nil
}

// holds tells whether a value has everything that another one has.
func holds(have, want any) bool {
	w, ok := want.(map[string]any)
	h, also := have.(map[string]any)
	if !ok || !also {
		return reflect.DeepEqual(have, want)
	}
	for name, value := range w {
		if there, ok := h[name]; !ok || !holds(there, value) {
			return false
		}
	}
	return true
}

func (s *steps) until(ctx context.Context, rest string) error {
	words := strings.Fields(rest)
	if len(words) == 0 {
		return &usageError{"until needs a condition: avatar, playing, resumed, recovered, frames N or entities N"}
	}
	n, p := 0, s.p
	what := words[0]
	if words = words[1:]; what == "frames" || what == "entities" {
		var err error
		if len(words) == 0 {
			err = errors.New("no number")
		} else if n, err = strconv.Atoi(words[0]); err == nil {
			words = words[1:]
		}
		if err != nil {
			return &usageError{fmt.Sprintf("until %s needs a number, as in until %s 10", what, what)}
		}
	}
	conditions := map[string]func() bool{
		"avatar":    func() bool { return p.avatar },
		"playing":   func() bool { return p.zones > 0 },
		"resumed":   func() bool { return p.resumes > 0 },
		"recovered": func() bool { return p.resumes > 0 && !p.fresh },
		"frames":    func() bool { return p.frames >= n },
		"entities":  func() bool { return p.seen >= n },
	}
	if conditions[what] == nil {
		var known []string
		for name := range conditions {
			known = append(known, name)
		}
		return &usageError{fmt.Sprintf("until %s: unknown condition%s", what, spell.Suggestion(what, sorted(known), ""))}
	}
	ctx, cancel, err := s.within(ctx, strings.Join(words, " "))
	if err != nil {
		return err
	}
	defer cancel()
	return p.until(ctx, rest, conditions[what])
}

func (s *steps) sleep(ctx context.Context, text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return &usageError{fmt.Sprintf("sleep %q: not a time like 500ms", text)}
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *steps) ping(ctx context.Context) error {
	s.p.mu.Lock()
	before := s.p.pongs
	s.p.mu.Unlock()
	s.p.Ping()
	if err := s.p.Flush(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.p.until(ctx, "the pong", func() bool { return s.p.pongs > before })
}

func (s *steps) status() {
	p := s.p
	p.mu.Lock()
	game, zones, avatar, seen, frames, resumes, away := p.game, p.zones, p.avatar, p.seen, p.frames, p.resumes, p.away || p.hold != nil
	p.mu.Unlock()
	state := "waiting to be let into the world"
	switch {
	case away:
		state = "cut off"
	case zones > 0:
		state = fmt.Sprintf("playing %q", game)
	}
	p.out.event("status", fmt.Sprintf("status     %s: %d in view, avatar %v, %d state frames on this connection, resumed %d times", state, seen, avatar, frames, resumes),
		"game", game, "playing", zones > 0 && !away, "entities", seen, "avatar", avatar, "frames", frames, "resumes", resumes)
}

// late is an answer that did not come in time.
func (p *player) late(after time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away {
		return fmt.Errorf("no answer within %v: there is no connection at the moment", after)
	}
	return fmt.Errorf("no answer within %v; -timeout gives it longer", after)
}
