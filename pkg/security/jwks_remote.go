package security

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// RemoteKeysConfig says where a RemoteKeys gets its keys and how often.
type RemoteKeysConfig struct {
	// URL of the issuer's JSON Web Key Set. Required; https, or http on this host.
	URL string
	// Insecure allows http to other hosts: whoever is on the way can then issue tokens.
	Insecure bool
	// Client fetches; nil means one that keeps to the system's certificates and proxies.
	Client *http.Client
	// Refresh is the time between two fetches when nothing is missing; 0 means 15 min. A key that the issuer takes away is
	// refused after that at the latest.
	Refresh time.Duration
	// Pause is the least time between two fetches, whatever key ids tokens name, and the time after a failed one; 0 means 10 s.
	Pause time.Duration
	// Wait is how long a lookup of an unknown key waits for the fetch that it caused; 0 means 500 ms.
	Wait time.Duration
	// Timeout of one fetch; 0 means 5 s.
	Timeout time.Duration
}

func (c RemoteKeysConfig) validate() (RemoteKeysConfig, error) {
	for _, d := range []struct {
		value    *time.Duration
		name     string
		fallback time.Duration
	}{{&c.Refresh, "Refresh", 15 * time.Minute}, {&c.Pause, "Pause", 10 * time.Second}, {&c.Wait, "Wait", 500 * time.Millisecond}, {&c.Timeout, "Timeout", 5 * time.Second}} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
		if *d.value < 0 {
			return c, fmt.Errorf("%s of %v is negative", d.name, *d.value)
		}
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return c, err
	}
	if err := c.trusts(u); err != nil {
		return c, err
	}
	if c.Client == nil {
		transport := http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 1, IdleConnTimeout: time.Minute}
		c.Client = &http.Client{Transport: &transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > 3 {
				return errors.New("more than 3 redirects")
			}
			return c.trusts(r.URL)
		}}
	}
	return c, nil
}

// trusts says whether what comes from an address may be believed.
func (c *RemoteKeysConfig) trusts(u *url.URL) error {
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case u.Host == "":
		return fmt.Errorf("URL %q names no host: want https://host/path of the issuer's key set", u.Redacted())
	case u.Scheme == "https" || u.Scheme == "http" && (local || c.Insecure):
		return nil
	}
	return fmt.Errorf("%s URL to %s: whoever is on the way could issue tokens; use https, or set Insecure", u.Scheme, u.Host)
}

// RemoteKeys is the key set that an issuer publishes, kept up to date: it fetches at the start, from time to time, and when
// a token names a key that is not known, but never more often than Pause. When a fetch fails, or brings no key that can be
// used, the last good set stays. Any goroutine may call it; one goroutine of its own fetches until Close.
type RemoteKeys struct {
	cfg     RemoteKeysConfig
	address string          // URL without a password, for errors
	own     bool            // the Client
	ctx     context.Context // ends at Close
	cancel  context.CancelFunc
	stopped chan struct{}
	wanted  chan struct{} // one place: fetch now
	set     atomic.Pointer[JWKS]

	mu      sync.Mutex
	running bool          // a fetch
	started time.Time     // the last fetch
	round   chan struct{} // closed when the fetch that runs, or else the next one, has ended
	err     error         // of the last fetch
}

var _ KeySet = (*RemoteKeys)(nil)

// OpenRemoteKeys starts to fetch and does not wait for it; Refresh does.
func OpenRemoteKeys(cfg RemoteKeysConfig) (*RemoteKeys, error) {
	own := cfg.Client == nil
	cfg, err := cfg.validate()
	if err != nil {
		return nil, fmt.Errorf("remote keys config: %w", err)
	}
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("remote keys config: %w", err)
	}
	r := &RemoteKeys{cfg: cfg, address: u.Redacted(), own: own, stopped: make(chan struct{}), wanted: make(chan struct{}, 1), round: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.err = errors.New("nothing fetched yet")
	go r.run()
	return r, nil
}

// Close stops fetching and waits for it; keys that are known stay known. It may be called twice.
func (r *RemoteKeys) Close() error {
	r.cancel()
	<-r.stopped
	if r.own {
		r.cfg.Client.CloseIdleConnections()
	}
	return nil
}

// Key implements KeySet. It blocks for at most Wait, and only when it asks for a key that is not known.
func (r *RemoteKeys) Key(kid, alg string) (crypto.PublicKey, bool) {
	if key, ok := r.known(kid, alg); ok {
		return key, true
	}
	round := r.want(false)
	if round == nil {
		return nil, false
	}
	patience := time.NewTimer(r.cfg.Wait)
	defer patience.Stop()
	select {
	case <-round:
	case <-patience.C:
	case <-r.ctx.Done():
	}
	return r.known(kid, alg)
}

func (r *RemoteKeys) known(kid, alg string) (crypto.PublicKey, bool) {
	if set := r.set.Load(); set != nil {
		return set.Key(kid, alg)
	}
	return nil, false
}

// Refresh fetches now, whatever Pause says, and returns how that ended: for a program that wants to hear at its start that
// the address is wrong. A fetch that runs already counts.
func (r *RemoteKeys) Refresh(ctx context.Context) error {
	select {
	case <-r.want(true):
		return r.Err()
	case <-ctx.Done():
		return fmt.Errorf("wait for keys of %s: %w (so far: %w)", r.address, ctx.Err(), r.Err())
	case <-r.ctx.Done():
		return errors.New("refresh keys: closed")
	}
}

// Err says why the last fetch failed; nil: it did not.
func (r *RemoteKeys) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// want asks for a fetch and returns what is closed at its end; nil: the last one was a moment ago.
func (r *RemoteKeys) want(atOnce bool) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.running {
		if !atOnce && time.Since(r.started) < r.cfg.Pause {
			return nil
		}
		select {
		case r.wanted <- struct{}{}:
		default:
		}
	}
	return r.round
}

func (r *RemoteKeys) run() {
	defer close(r.stopped)
	for {
		pause := r.cfg.Refresh
		if err := r.fetch(); err != nil {
			pause = r.cfg.Pause
		}
		timer := time.NewTimer(pause)
		select {
		case <-r.ctx.Done():
		case <-timer.C:
		case <-r.wanted:
		}
		timer.Stop()
		if r.ctx.Err() != nil {
			return
		}
	}
}

// fetch does one round. Who asks while it runs gets its result, so a wish from before is met too.
func (r *RemoteKeys) fetch() error {
	r.mu.Lock()
	r.running, r.started = true, time.Now()
	select {
	case <-r.wanted:
	default:
	}
	r.mu.Unlock()

	set, err := r.get()
	if err == nil {
		r.set.Store(set)
	} else {
		err = fmt.Errorf("fetch keys from %s: %w", r.address, err)
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	r.running, r.err = false, err
	close(r.round)
	r.round = make(chan struct{})
	return err
}

func (r *RemoteKeys) get() (*JWKS, error) {
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.cfg.URL, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := r.cfg.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the issuer answers %s", resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, MaxJWKS+1))
	if err != nil {
		return nil, err
	}
	return ParseJWKS(b)
}
