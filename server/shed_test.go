package server_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/server"
)

// TestOverloadIsShedAndOver loads a zone with three times what it can do for half a minute: in part with what can be done without, or wholly with what cannot.
func TestOverloadIsShedAndOver(t *testing.T) {
	for name, sheds := range map[string]bool{"can be shed": true, "cannot": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var overloaded atomic.Bool
				g := pond(nil)
				g.Setup = func(z *game.Zone) error {
					when := game.Every(1)
					if sheds {
						when = when.Shed()
					}
					z.SystemEvery(when, func() {
						if overloaded.Load() {
							elapse(3 * period)
						}
					})
					return nil
				}
				s := newServer(t, server.Config{}, g)
				a := attach(t, s)
				serve(t, s)
				for conn := uint64(1); conn <= 20; conn++ {
					tell(t, a, open(conn, "anna"))
				}
				beat(10)
				overloaded.Store(true)
				elapse(30 * time.Second)
				during := s.Stats()
				overloaded.Store(false)
				elapse(time.Second)
				before := s.Stats()
				elapse(4 * time.Second) // within five seconds the tick is what it was
				after := s.Stats()
				if ticks := after.Tick - before.Tick; ticks < 79 || ticks > 81 || after.Overruns-before.Overruns > 1 {
					t.Errorf("%d ticks in 4 s, %d of them late", ticks, after.Overruns-before.Overruns)
				}
				if after.Players != 20 || after.Sessions != 20 || after.Lingering != 0 {
					t.Errorf("%d players, %d sessions, %d linger; want 20, all connected", after.Players, after.Sessions, after.Lingering)
				}
				z := during.ZoneStats.Shed
				if !sheds && z.Level != game.MaxShed || sheds && (z.Level == 0 || z.Systems == 0) { // what can be shed settles where it fits
					t.Errorf("shed %+v", z)
				}
				if ticks := during.Tick; sheds && ticks < 300 {
					t.Errorf("%d ticks in 30 s, although the load can be shed", ticks)
				}
				elapse(20 * time.Second)
				if z := s.Stats().ZoneStats.Shed; z.Level != 0 {
					t.Errorf("still %+v", z)
				}
				t.Logf("overload: %d ticks in 30 s, %d overruns, %d skipped, shed %+v", during.Tick, during.Overruns, during.Skipped, z)
			})
		})
	}
}
