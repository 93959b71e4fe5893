package record_test

import (
	"bytes"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/record"
)

// TestWhoSeesWhomReplaysOnAnyMachine records a zone that bounds views and shares its work, and replays it with another number of workers.
func TestWhoSeesWhomReplaysOnAnyMachine(t *testing.T) {
	c := meadowConfig()
	c.MaxVisible, c.InterestWorkers = 3, 2
	ignoring := func(z *game.Zone) { z.System(func() { ignoreNowAndThen(z) }) }
	b := recorded(t, meadow(ignoring), c, record.Config{}, 200)
	d, err := record.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if h := d.Header(); h.Zone.MaxVisible != 3 || h.Zone.InterestWorkers != 0 {
		t.Errorf("the recording has MaxVisible %d and %d InterestWorkers", h.Zone.MaxVisible, h.Zone.InterestWorkers)
	}
	for _, workers := range []int{0, 1, 5} {
		rep := replayed(t, b, meadow(ignoring), record.Options{Zone: game.Config{InterestWorkers: workers}})
		if rep.Difference != nil || rep.Ticks != 200 || rep.Compared != 200 {
			t.Errorf("with %d workers: %+v", workers, rep)
		}
	}
}

// ignoreNowAndThen lets what is seen decide what is.
func ignoreNowAndThen(z *game.Zone) {
	for p := range z.Players {
		if z.Tick()%8 == 0 {
			if err := z.Ignore(p, [][]string{nil, {""}}[z.Tick()/8%2]...); err != nil {
				panic(err)
			}
		}
		seen := uint32(0)
		z.InView(p, func(game.Entity) bool { seen++; return true })
		if p.Avatar().Alive() {
			setHP(p.Avatar(), seen)
		}
	}
}
