package password

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func cheap() Config { return Config{Memory: 64, Passes: 1, Concurrent: 2} }

func newHasher(t testing.TB, cfg Config) *Hasher {
	t.Helper()
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHashVerifiesItsPasswordOnly(t *testing.T) {
	h := newHasher(t, cheap())
	ctx := context.Background()
	encoded, err := h.Hash(ctx, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horsf": false, "Correct horse": false, "correct horse ": false, "": false} {
		ok, renewed, err := h.Verify(ctx, encoded, password)
		if ok != want || renewed != "" || err != nil {
			t.Errorf("Verify(%q) = %v, %q, %v", password, ok, renewed, err)
		}
	}
	again, _ := h.Hash(ctx, "correct horse")
	if again == encoded {
		t.Error("two hashes of one password are alike: there is no salt")
	}
}

func TestUnicodeFormsAreNotUnified(t *testing.T) {
	h := newHasher(t, cheap())
	encoded, err := h.Hash(context.Background(), "caf\u00e9 noir")
	if err != nil {
		t.Fatal(err)
	}
	if ok, _, _ := h.Verify(context.Background(), encoded, "cafe\u0301 noir"); ok {
		t.Error("a decomposed form passes for a composed one")
	}
}

func TestPasswordBounds(t *testing.T) {
	for _, c := range []struct {
		password string
		want     error
	}{
		{"1234567", ErrTooShort}, {"12345678", nil}, {strings.Repeat("x", 256), nil}, {strings.Repeat("x", 257), ErrTooLong},
		{"密码密", nil}, {"        ", nil}, {"1234567\xff", ErrText}, {"1234567\ufffd", ErrText},
	} {
		if err := Check(c.password); !errors.Is(err, c.want) {
			t.Errorf("Check(%q) = %v, want %v", c.password, err, c.want)
		}
	}
}

func TestNoAccountCostsAsMuchAsAWrongPassword(t *testing.T) {
	h := newHasher(t, cheap())
	encoded, _ := h.Hash(context.Background(), "correct horse")
	work := func(encoded string) uint64 {
		before := h.Stats().Hashed
		if ok, _, err := h.Verify(context.Background(), encoded, "wrong horse"); ok || err != nil {
			t.Fatal(ok, err)
		}
		return h.Stats().Hashed - before
	}
	if a, b := work(encoded), work(""); a != 1 || b != 1 {
		t.Errorf("%d hashes for a wrong password, %d for no account, want 1 and 1", a, b)
	}
	if h.decoy().cost != h.cfg.cost() {
		t.Error("the decoy has other parameters than new hashes")
	}
}

func TestRaisedParametersRenewTheHash(t *testing.T) {
	ctx := context.Background()
	weak := newHasher(t, cheap())
	old, _ := weak.Hash(ctx, "correct horse")
	for name, cfg := range map[string]Config{"memory": {Memory: 128, Passes: 1}, "passes": {Memory: 64, Passes: 2}} {
		strong := newHasher(t, cfg)
		if ok, renewed, err := strong.Verify(ctx, old, "wrong horse"); ok || renewed != "" || err != nil {
			t.Errorf("%s: wrong password: %v %q %v", name, ok, renewed, err)
		}
		ok, renewed, err := strong.Verify(ctx, old, "correct horse")
		if !ok || renewed == "" || err != nil {
			t.Fatalf("%s: %v %q %v", name, ok, renewed, err)
		}
		if ok, again, err := strong.Verify(ctx, renewed, "correct horse"); !ok || again != "" || err != nil {
			t.Errorf("%s: renewed hash: %v %q %v", name, ok, again, err)
		}
		if ok, again, err := weak.Verify(ctx, renewed, "correct horse"); !ok || again != "" || err != nil {
			t.Errorf("%s: lowered parameters: %v %q %v", name, ok, again, err)
		}
	}
}

func TestStoredHashesOutOfBoundsAreRefused(t *testing.T) {
	h := newHasher(t, cheap())
	good, _ := h.Hash(context.Background(), "correct horse")
	for _, bad := range []string{
		"x", "$", good[1:], good + "$", good[:len(good)-1], strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "v=19", "v=18", 1),
		strings.Replace(good, "m=64", "m=4294967295", 1), strings.Replace(good, "m=64", "m=7", 1), strings.Replace(good, "t=1", "t=0", 1),
		strings.Replace(good, "t=1", "t=65", 1), strings.Replace(good, "p=1", "p=17", 1), strings.Replace(good, "p=1", "p=0", 1), strings.Replace(good, "m=64", "m=064", 1),
		strings.Replace(good, "p=1", "p=1,x=1", 1), strings.Replace(good, "m=64,t=1", "t=1,m=64", 1), strings.Repeat("$", 300),
	} {
		before := h.Stats().Hashed
		if ok, _, err := h.Verify(context.Background(), bad, "correct horse"); ok || !errors.Is(err, ErrEncoding) {
			t.Errorf("%q: %v, %v", bad, ok, err)
		}
		if h.Stats().Hashed != before {
			t.Errorf("%q cost a hash", bad)
		}
	}
}

// occupy takes all places of a Hasher as hashes would.
func occupy(h *Hasher) (release func()) {
	for range cap(h.places) {
		h.places <- struct{}{}
	}
	return func() {
		for range cap(h.places) {
			<-h.places
		}
	}
}

func TestCallersWaitForAPlaceWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := cheap()
		cfg.Queue, cfg.Wait = 2, time.Second
		h := newHasher(t, cfg)
		release := occupy(h)

		errs := make(chan error, 2)
		ctx, cancel := context.WithCancel(context.Background())
		for range 2 {
			go func() {
				_, err := h.Hash(ctx, "correct horse")
				errs <- err
			}()
		}
		synctest.Wait()
		if w := h.Stats().Waiting; w != 2 {
			t.Fatalf("%d wait, want 2", w)
		}
		if _, err := h.Hash(ctx, "correct horse"); !errors.Is(err, ErrBusy) {
			t.Errorf("a third caller: %v, want ErrBusy at once", err)
		}
		cancel()
		for range 2 {
			if err := <-errs; !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
		}
		began := time.Now()
		if _, _, err := h.Verify(context.Background(), "", "correct horse"); !errors.Is(err, ErrBusy) || time.Since(began) != time.Second {
			t.Errorf("%v after %v, want ErrBusy after 1s", err, time.Since(began))
		}
		go func() {
			_, err := h.Hash(context.Background(), "correct horse")
			errs <- err
		}()
		synctest.Wait()
		release()
		if err := <-errs; err != nil {
			t.Errorf("a place came free: %v", err)
		}
		if s := h.Stats(); s.Refused != 4 || s.Waiting != 0 || s.Running != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestStormStaysWithinItsMemory: 64 logins at once, each of which would fill 8 MiB.
func TestStormStaysWithinItsMemory(t *testing.T) {
	const memory = 8 << 10 // KiB
	h := newHasher(t, Config{Memory: memory, Passes: 1, Concurrent: 2, Queue: 100, Wait: time.Minute})
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var most atomic.Uint64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if _, err := h.Hash(context.Background(), "correct horse"); err != nil {
				t.Error(err)
			}
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			for {
				m := most.Load()
				if now.HeapAlloc <= m || most.CompareAndSwap(m, now.HeapAlloc) {
					break
				}
			}
		})
	}
	wg.Wait()
	if s := h.Stats(); s.Peak > 2 || s.Hashed != 64 || s.Refused != 0 {
		t.Errorf("%+v: want at most 2 at once", s)
	}
	grown := int64(most.Load()) - int64(before.HeapAlloc)
	t.Logf("heap grew by at most %d MiB; all at once would be %d MiB", grown>>20, 64*memory>>10)
	if grown > 64*memory<<10/4 {
		t.Errorf("the heap grew by %d MiB, a quarter of what 64 at once would take", grown>>20)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []Config{{Memory: 7}, {Memory: 16, Threads: 4}, {Memory: maxMemory + 1}, {Passes: 65}, {Threads: 17}, {Concurrent: -1}, {Wait: -1}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
	h := newHasher(t, Config{})
	if h.cfg.Memory != 19456 || h.cfg.Passes != 2 || cap(h.places) != runtime.GOMAXPROCS(0) || h.cfg.Queue != 256 {
		t.Errorf("%+v", h.cfg)
	}
	if newHasher(t, Config{Queue: -1}).cfg.Queue != 0 {
		t.Error("Queue -1 is not none")
	}
}

func FuzzStoredHash(f *testing.F) {
	h := newHasher(f, cheap())
	good, _ := h.Hash(context.Background(), "correct horse")
	f.Add(good)
	f.Add("$argon2id$v=19$m=8,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, s string) {
		e, err := parse(s)
		if err == nil && (e.String() != s || !e.cost.inBounds()) {
			t.Errorf("%q reads as %+v", s, e)
		}
	})
}
