package tianxia

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// swarm keeps a number of bots playing: each connects, plays, and comes back a second after its connection ended.
type swarm struct {
	n, rate int // bots, and how many join per second
	config  func(ctx context.Context, bot int) (client.Config, error)
	play    func(ctx context.Context, n int, c *client.Client) error
	log     *slog.Logger

	playing atomic.Int64
	lost    atomic.Int64 // connections that ended, and attempts that failed, before ctx did
	why     atomic.Pointer[string]
}

// run returns when ctx has ended and every bot has stopped.
func (s *swarm) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	pace := time.NewTicker(time.Second / time.Duration(s.rate))
	defer pace.Stop()
	for i := range s.n {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		wg.Go(func() { s.bot(ctx, i) })
	}
}

func (s *swarm) bot(ctx context.Context, i int) {
	for ctx.Err() == nil {
		err := s.once(ctx, i)
		if ctx.Err() != nil {
			return
		}
		s.lost.Add(1)
		why := fmt.Sprint(err)
		s.why.Store(&why)
		s.log.Warn("bot lost its connection", "bot", i, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// reason says why the last one failed, if one did.
func (s *swarm) reason() string {
	if why := s.why.Load(); why != nil {
		return ", the last: " + *why
	}
	return ""
}

func (s *swarm) once(ctx context.Context, i int) error {
	dial, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cfg, err := s.config(dial, i)
	if err != nil {
		return err
	}
	cfg.Name = "bot"
	c, err := client.Dial(dial, cfg)
	if err != nil {
		return err
	}
	s.playing.Add(1)
	defer s.playing.Add(-1)
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	return errors.Join(s.play(ctx, i, c), c.Close())
}

// devLogin is what a development node's /dev/session answers.
type devLogin struct {
	Realm      string `json:"realm"`
	Root       string `json:"root"`        // base64: Ed25519 public key
	Cert       string `json:"cert"`        // base64: certificate of the current server key
	Token      string `json:"token"`       // of a new player
	WS         string `json:"ws"`          // path of the WebSocket
	SchemaHash string `json:"schema_hash"` // fingerprint of the server's schema: hex
	Build      string `json:"build"`
}

// DevLogin asks a development node, by the URL of its page, for what a new player needs to log in.
func DevLogin(ctx context.Context, page, name string) (client.Config, error) {
	fail := func(err error) (client.Config, error) {
		return client.Config{}, fmt.Errorf("development login at %s: %w", page, err)
	}
	if !strings.Contains(page, "://") {
		page = "http://" + page
	}
	base, err := url.Parse(page)
	if err != nil || base.Host == "" {
		return fail(errors.New("not a URL like http://127.0.0.1:8080/"))
	}
	at := base.ResolveReference(&url.URL{Path: "/dev/session", RawQuery: url.Values{"name": {name}}.Encode()})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return fail(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fail(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	if err != nil {
		return fail(err)
	}
	if resp.StatusCode != http.StatusOK {
		first, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
		return fail(fmt.Errorf("%s: %.200s", resp.Status, first))
	}
	d, keys, err := parseDevLogin(body)
	if err != nil {
		return fail(err)
	}
	base.Scheme = map[string]string{"http": "ws", "https": "wss"}[base.Scheme]
	return client.Config{URL: base.ResolveReference(&url.URL{Path: d.WS}).String(), Token: d.Token, Security: keys}, nil
}

// parseDevLogin reads the answer to a development login.
func parseDevLogin(body []byte) (d devLogin, c security.ClientConfig, err error) {
	if err := json.Unmarshal(body, &d); err != nil {
		return d, c, fmt.Errorf("the answer is not the JSON of a development login: %w", err)
	}
	c, err = d.security()
	return d, c, err
}

func (d *devLogin) security() (c security.ClientConfig, err error) {
	root, err := base64.StdEncoding.DecodeString(d.Root)
	if err != nil || len(root) != ed25519.PublicKeySize {
		return c, errors.New("the answer's root key is damaged")
	}
	cert, err := base64.StdEncoding.DecodeString(d.Cert)
	if err != nil {
		return c, errors.New("the answer's certificate is damaged")
	}
	if c.Cert, err = security.ParseKeyCert(cert); err != nil {
		return c, err
	}
	c.Root, c.Realm = root, d.Realm
	return c, nil
}

// clientCodec is what clients of a game know of its schema; nil, so that servers tell, if the game has none of its own.
func clientCodec(g *game.Game) *delta.Codec {
	if g.Schema.Fingerprint == (protocol.Fingerprint{}) {
		return nil
	}
	return g.Schema.Codec
}

// bots runs bot clients against a node of another process.
func (a App) bots(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs, f := a.flags("bots")
	if code, done := a.parse(fs, args, stdout, stderr); done {
		return code
	}
	if err := f.check("-n", 1); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", a.name(), err)
		return exitUsage
	}
	first, err := DevLogin(ctx, f.url, "bot") // a wrong URL is better said once than by every bot
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\nStart a world with \"%s\" and give its URL with -url.\n", a.name(), err, a.name())
		return exitFailed
	}
	g, _, err := a.New(f.bots)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", a.name(), err)
		return exitUsage
	}
	s := &swarm{n: f.bots, rate: f.rate, play: a.Bot, log: f.logger(stderr), config: func(ctx context.Context, n int) (client.Config, error) {
		cfg, err := DevLogin(ctx, f.url, fmt.Sprintf("bot-%d", n))
		cfg.Codec = clientCodec(g)
		return cfg, err
	}}
	ctx, cancel := f.deadline(ctx)
	defer cancel()
	fmt.Fprintf(stdout, "%d bots for %s; Ctrl-C ends them\n", s.n, first.URL)
	done := make(chan struct{})
	go func() { defer close(done); s.run(ctx) }()
	t := time.NewTicker(5 * time.Second)
	defer t.Stop()
	for {
		select {
		case <-done:
			fmt.Fprintf(stdout, "stopped; %d connections or attempts failed on the way%s\n", s.lost.Load(), s.reason())
			if s.lost.Load() > 0 {
				return exitFailed
			}
			return exitOK
		case <-t.C:
			fmt.Fprintf(stdout, "%d of %d play, %d connections or attempts failed so far%s\n", s.playing.Load(), s.n, s.lost.Load(), s.reason())
		}
	}
}
