package security

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// issuer is the other end of a RemoteKeys: its answers are given, its requests counted.
type issuer struct {
	mu      sync.Mutex
	body    string
	status  int
	err     error
	delay   time.Duration
	fetches []time.Duration
	start   time.Time
}

// answer changes what the issuer says from now on.
func (i *issuer) answer(change func(*issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i)
}

// asked is when it was, since the start.
func (i *issuer) asked() []time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.fetches)
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	i.fetches = append(i.fetches, time.Since(i.start))
	delay := i.delay
	i.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return nil, i.err
	}
	return &http.Response{StatusCode: i.status, Status: http.StatusText(i.status), Body: io.NopCloser(strings.NewReader(i.body)), Request: r}, nil
}

func published(t *testing.T, kid string) string {
	t.Helper()
	b, err := json.Marshal(newSigner(t, algEdDSA, kid).JWKS())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// remote runs a test with an issuer that publishes the key "a", in time that stands still unless all wait.
func remote(t *testing.T, test func(t *testing.T, i *issuer, open func() *RemoteKeys)) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{body: published(t, "a"), status: http.StatusOK, start: time.Now()}
		var opened *RemoteKeys
		test(t, i, func() *RemoteKeys {
			r, err := OpenRemoteKeys(RemoteKeysConfig{URL: "https://login.example/keys", Client: &http.Client{Transport: i}})
			if err != nil {
				t.Fatal(err)
			}
			opened = r
			return r
		})
		for range 2 {
			if err := opened.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func has(r *RemoteKeys, kid string) bool { _, ok := r.Key(kid, algEdDSA); return ok }

func TestRemoteKeysAreFetchedAtTheStart(t *testing.T) {
	remote(t, func(t *testing.T, i *issuer, open func() *RemoteKeys) {
		i.answer(func(i *issuer) { i.delay = 300 * time.Millisecond })
		r := open()
		if err := r.Err(); err == nil || !strings.Contains(err.Error(), "nothing fetched yet") {
			t.Errorf("before the first fetch: %v", err)
		}
		if !has(r, "a") { // waits for the fetch that runs
			t.Error("the key is not there after the first fetch")
		}
		if r.Err() != nil || len(i.asked()) != 1 || time.Since(i.start) != 300*time.Millisecond {
			t.Errorf("%v, fetches at %v, waited %v", r.Err(), i.asked(), time.Since(i.start))
		}
	})
}

func TestUnknownKeyFetchesButNotTooOften(t *testing.T) {
	remote(t, func(t *testing.T, i *issuer, open func() *RemoteKeys) {
		r := open()
		synctest.Wait()
		i.answer(func(i *issuer) { i.body = published(t, "b") })
		for range 1000 { // a flood of made-up ids right after a fetch
			if has(r, "b") {
				t.Fatal("fetched within the pause")
			}
		}
		if len(i.asked()) != 1 || time.Since(i.start) != 0 {
			t.Fatalf("fetches at %v, waited %v", i.asked(), time.Since(i.start))
		}
		elapse(10 * time.Second)
		if !has(r, "b") || has(r, "a") {
			t.Error("the new key is not there, or the old one still is")
		}
		for n := range 100 {
			elapse(time.Second)
			if has(r, "made up") {
				t.Error(n)
			}
		}
		if n := len(i.asked()); n != 12 { // at 0 s, 10 s, and every 10 s of the 100 s after
			t.Errorf("%d fetches: %v", n, i.asked())
		}
	})
}

func TestVerifyDoesNotWaitLongForASlowIssuer(t *testing.T) {
	remote(t, func(t *testing.T, i *issuer, open func() *RemoteKeys) {
		i.answer(func(i *issuer) { i.delay = time.Hour })
		r := open()
		if has(r, "a") || time.Since(i.start) != 500*time.Millisecond {
			t.Errorf("waited %v", time.Since(i.start))
		}
		elapse(5 * time.Second)
		if err := r.Err(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the fetch did not end after its timeout: %v", err)
		}
	})
}

func TestLastGoodKeysStay(t *testing.T) {
	big := published(t, "b") + strings.Repeat(" ", MaxJWKS)
	for name, test := range map[string]struct {
		spoil func(*issuer)
		want  string
	}{
		"unreachable":  {func(i *issuer) { i.err = errors.New("no route") }, "no route"},
		"error page":   {func(i *issuer) { i.status = 500 }, "Internal Server Error"},
		"not changed":  {func(i *issuer) { i.status = 304 }, "Not Modified"},
		"no JSON":      {func(i *issuer) { i.body = "<html>" }, "no JSON"},
		"empty set":    {func(i *issuer) { i.body = `{"keys":[]}` }, "none of its 0 keys"},
		"too long":     {func(i *issuer) { i.body = big }, "at most 65536"},
		"never silent": {func(i *issuer) { i.delay = time.Hour }, "deadline"},
	} {
		t.Run(name, func(t *testing.T) {
			remote(t, func(t *testing.T, i *issuer, open func() *RemoteKeys) {
				r := open()
				synctest.Wait()
				i.answer(test.spoil)
				elapse(15*time.Minute + 6*time.Second)
				if err := r.Err(); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "https://login.example/keys") {
					t.Errorf("%v, want %q", err, test.want)
				}
				if !has(r, "a") {
					t.Error("the last good key is gone")
				}
				b := published(t, "b")
				i.answer(func(i *issuer) { i.err, i.status, i.delay, i.body = nil, http.StatusOK, 0, b })
				elapse(16 * time.Second) // it tries again after a pause, not after a quarter of an hour
				synctest.Wait()
				if _, ok := r.known("b", algEdDSA); !ok || r.Err() != nil {
					t.Errorf("not recovered: %v, fetches at %v", r.Err(), i.asked())
				}
			})
		})
	}
}

func TestKeysThatAreTakenAwayAreRefusedAfterARefresh(t *testing.T) {
	remote(t, func(t *testing.T, i *issuer, open func() *RemoteKeys) {
		r := open()
		synctest.Wait()
		i.answer(func(i *issuer) { i.body = published(t, "b") })
		elapse(15*time.Minute + time.Second)
		if has(r, "a") || len(i.asked()) != 2 {
			t.Errorf("fetches at %v", i.asked())
		}
	})
}

func TestRefreshTellsWhatIsWrong(t *testing.T) {
	remote(t, func(t *testing.T, i *issuer, open func() *RemoteKeys) {
		i.answer(func(i *issuer) { i.status = 404 })
		r := open()
		if err := r.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "Not Found") {
			t.Errorf("%v", err)
		}
		i.answer(func(i *issuer) { i.status = 200 })
		if err := r.Refresh(t.Context()); err != nil { // whatever the pause
			t.Error(err)
		}
		i.answer(func(i *issuer) { i.delay = time.Hour })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Refresh(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := r.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("after Close: %v", err)
		}
		if !has(r, "a") || has(r, "b") {
			t.Error("keys after Close")
		}
	})
}

func TestCloseEndsAFetch(t *testing.T) {
	remote(t, func(t *testing.T, i *issuer, open func() *RemoteKeys) {
		i.answer(func(i *issuer) { i.delay = time.Hour })
		r := open()
		synctest.Wait()
		if err := r.Close(); err != nil || time.Since(i.start) != 0 || len(i.asked()) != 1 {
			t.Errorf("%v after %v", err, time.Since(i.start))
		}
	})
}

// TestRemoteKeysOverHTTP is the way with real sockets, the client of its own included.
func TestRemoteKeysOverHTTP(t *testing.T) {
	s := newSigner(t, algES256, "")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(s.JWKS()) })
	mux.HandleFunc("GET /away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://login.example/keys", http.StatusFound)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	r, err := OpenRemoteKeys(RemoteKeysConfig{URL: server.URL + "/keys"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	token, err := s.Issue(Identity{Player: 9}, time.Minute, jwtNow())
	if err != nil {
		t.Fatal(err)
	}
	if id, err := newJWT(t, r, nil).Verify(token, jwtNow()); err != nil || id.Player != 9 {
		t.Errorf("%+v, %v", id, err)
	}
	away, err := OpenRemoteKeys(RemoteKeysConfig{URL: server.URL + "/away"})
	if err != nil {
		t.Fatal(err)
	}
	defer away.Close()
	if err := away.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "whoever is on the way") {
		t.Errorf("followed a redirect into the open: %v", err)
	}
}

func TestRemoteKeysConfigContradictions(t *testing.T) {
	for name, test := range map[string]struct {
		cfg  RemoteKeysConfig
		want string
	}{
		"nothing":         {RemoteKeysConfig{}, "names no host"},
		"a path":          {RemoteKeysConfig{URL: "/keys"}, "names no host"},
		"another scheme":  {RemoteKeysConfig{URL: "ftp://login.example/keys"}, "use https"},
		"in the open":     {RemoteKeysConfig{URL: "http://login.example/keys"}, "use https, or set Insecure"},
		"nearly local":    {RemoteKeysConfig{URL: "http://localhost.example/keys"}, "use https"},
		"broken":          {RemoteKeysConfig{URL: "https://[::1"}, "missing ']'"},
		"negative":        {RemoteKeysConfig{URL: "https://login.example/keys", Pause: -1}, "Pause of -1ns is negative"},
		"with a password": {RemoteKeysConfig{URL: "http://user:secret@login.example/keys"}, "use https"},
	} {
		r, err := OpenRemoteKeys(test.cfg)
		if err == nil {
			r.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, url := range []string{"http://127.0.0.1:1/keys", "http://[::1]:1/keys", "http://localhost:1/keys"} {
		if _, err := (RemoteKeysConfig{URL: url}).validate(); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := (RemoteKeysConfig{URL: "http://login.example/keys", Insecure: true}).validate(); err != nil {
		t.Error(err)
	}
}

// elapse lets virtual time pass, in a synctest bubble.
func elapse(d time.Duration) { <-time.After(d) }
