//go:build !race && linux && (amd64 || arm64)

package shm

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// The library closes a session by itself when it reads garbage, and cleans up at once, whoever writes. The guards hold it up, but for a writer that is inside the library at
// that moment and waits there for the cleanup: the library races with itself then, which the race detector tells. Only who took a descriptor out of one of our processes can
// write such garbage.
func TestGarbageInTheLibrarysSocketUnderLoadIsSurvived(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	warm(t)
	before := held(t)
	for i := range rounds {
		t.Run("Round", func(t *testing.T) {
			victim, other := pair(t, transport.Config{})
			if i%2 == 1 {
				victim, other = other, victim
			}
			for _, l := range other.Lanes() {
				go func() { _ = echo(l) }()
			}
			echoed, wait := load(t, victim)
			eventually(t, "no traffic", func() (string, bool) { return "", echoed.Load() > 500 })
			// What the victim holds is its peer's end: written there, it comes out of the victim's own.
			if err := unix.Sendto(victim.opposite, []byte("GET / HTTP/1.1\r\n\r\n"), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "Done", victim.Done())
			if !errors.Is(victim.Err(), errLibrary) {
				t.Error(victim.Err())
			}
			wait()
			waitFor(t, "Done of the other end", other.Done())
			began := time.Now()
			if err := errors.Join(victim.Close(), other.Close()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("closing took %v", took)
			}
		})
	}
	noMoreThan(t, before)
}
