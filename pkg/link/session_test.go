package link

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

func TestWhatIsSaidOfSessionsComesBack(t *testing.T) {
	o := Opening{Player: 1<<63 + 5, Name: "Änn 龍", Rights: []string{"gm", "", "chat"}, Token: "jti", Ends: time.Unix(1_800_000_000, 0)}
	for _, o := range []Opening{o, {}} {
		if got, err := ParseOpening(o.Append(nil)); err != nil || !reflect.DeepEqual(got, o) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	r := Resumption{Session: 1 << 63, Generation: 1<<32 - 1, LastSeq: 1<<32 - 2}
	if got, err := ParseResumption(r.Append(nil)); err != nil || got != r {
		t.Errorf("%+v, %v", got, err)
	}
	for _, s := range []Session{{ID: 1 << 63, Epoch: 7, LastRequest: 1<<32 - 1, Recovered: true}, {ID: 1, Queued: true}} {
		if got, err := ParseSession(s.Append(nil)); err != nil || got != s {
			t.Errorf("%+v, %v", got, err)
		}
	}
	g := Grant{Session: 9, Generation: 3, Secret: [32]byte{1, 31: 2}}
	if got, err := parseGrant(g.append(nil)); err != nil || got != g {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDamagedWordsOfSessionsAreRefused(t *testing.T) {
	o := Opening{Player: 5, Name: "Ann", Rights: []string{"gm"}, Token: "t"}
	r := Resumption{Session: 1, Generation: 2, LastSeq: 3}
	s := Session{ID: 1, Epoch: 2}
	g := Grant{Session: 1}
	for name, c := range map[string]struct {
		b     []byte
		parse func([]byte) error
	}{
		"opening":    {o.Append(nil), func(b []byte) error { _, err := ParseOpening(b); return err }},
		"resumption": {r.Append(nil), func(b []byte) error { _, err := ParseResumption(b); return err }},
		"session":    {s.Append(nil), func(b []byte) error { _, err := ParseSession(b); return err }},
		"grant":      {g.append(nil), func(b []byte) error { _, err := parseGrant(b); return err }},
	} {
		for i := range c.b {
			if err := c.parse(c.b[:i]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %d of %d bytes: %v", name, i, len(c.b), err)
			}
		}
		if err := c.parse(append(bytes.Clone(c.b), 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s with a byte too many: %v", name, err)
		}
	}
	if _, err := ParseSession([]byte{1, 1, 1, 4}); !errors.Is(err, ErrMalformed) {
		t.Errorf("unknown flag: %v", err)
	}
	for name, o := range map[string]Opening{"name": {Name: strings.Repeat("x", maxText+1)}, "rights": {Rights: make([]string, MaxRights+1)}} {
		if _, err := ParseOpening(o.Append(nil)); !errors.Is(err, ErrMalformed) {
			t.Errorf("too much: %s: %v", name, err)
		}
	}
}

func FuzzOpening(f *testing.F) {
	o := Opening{Player: 5, Name: "Ann", Rights: []string{"gm"}, Token: "t", Ends: time.Unix(1, 0)}
	f.Add(o.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := ParseOpening(b); err == nil {
			if again, err := ParseOpening(o.Append(nil)); err != nil || !reflect.DeepEqual(o, again) {
				t.Errorf("%+v, then %+v, %v", o, again, err)
			}
		}
		_, _ = ParseResumption(b)
		_, _ = ParseSession(b)
		_, _ = parseGrant(b)
	})
}

// oneTicket knows one ticket.
type oneTicket struct{ Grant }

func (o oneTicket) Secret(_ context.Context, ticket []byte) (Grant, error) {
	switch string(ticket) {
	case "good":
		return o.Grant, nil
	case "broken":
		return Grant{}, status.New(status.Unavailable, "the directory is away")
	}
	return Grant{}, ErrNoTicket
}

func askForTickets(t *testing.T, l Link, want Grant) {
	t.Helper()
	if g, err := l.Secret(t.Context(), []byte("good")); err != nil || g != want {
		t.Errorf("%+v, %v", g, err)
	}
	for _, bad := range []string{"", "bad", strings.Repeat("x", maxTicket+1)} {
		if _, err := l.Secret(t.Context(), []byte(bad)); !errors.Is(err, ErrNoTicket) {
			t.Errorf("ticket of %d bytes: %v", len(bad), err)
		}
	}
	if _, err := l.Secret(t.Context(), []byte("broken")); err == nil || errors.Is(err, ErrNoTicket) {
		t.Errorf("a directory that is away: %v", err)
	}
}

func TestAPipeAnswersForTickets(t *testing.T) {
	want := Grant{Session: 4, Generation: 2, Secret: [32]byte{7}}
	l, _ := Pipe(Hello{}, PipeConfig{Tickets: oneTicket{want}})
	askForTickets(t, l, want)
	l, _ = Pipe(Hello{}, PipeConfig{})
	if _, err := l.Secret(t.Context(), []byte("good")); !errors.Is(err, ErrNoTicket) {
		t.Errorf("without tickets: %v", err)
	}
}

func TestALinkBetweenProcessesAnswersForTickets(t *testing.T) {
	noLeak(t)
	for _, kind := range transports() {
		t.Run(kind, func(t *testing.T) {
			want := Grant{Session: 4, Generation: 2, Secret: [32]byte{7, 31: 9}}
			l, _, _ := connect(t, kind, Config{Tickets: oneTicket{want}}, mux.Config{}).dial(t, Config{})
			askForTickets(t, l, want)
		})
	}
}
