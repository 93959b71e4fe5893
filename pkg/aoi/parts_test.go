package aoi

import (
	"math/rand/v2"
	"testing"
)

// Blocks that nobody stands in any more go, and lists forget them: what a space
// keeps depends on who is there, not on who has been.
func TestWhatIsKeptIsNotMoreThanWhoIsThereNeeds(t *testing.T) {
	n, ticks := 400, 300
	if raced {
		n, ticks = 100, 100
	}
	rnd := rand.New(rand.NewPCG(12, 12))
	s := must[*Space](t)(New(Config{}))
	path := float32(0) // all walk along it, and leave places where nobody comes again
	anywhere := func() (x, z float32) { return path + rnd.Float32()*1000, rnd.Float32()*1000 - path }
	for range n {
		x, z := anywhere()
		must[Handle](t)(s.Add(x, z, Opts{Radius: 10}))
	}
	for range ticks {
		path += 400
		for h := range Handle(n) {
			x, z := anywhere()
			if err := s.Move(h, x, z); err != nil {
				t.Fatal(err)
			}
		}
		s.Tick()
	}
	if targets, eyes := len(s.targets.occ), len(s.watch.live); targets > 3*n || eyes > 3*n {
		t.Errorf("%d blocks of targets and %d of eyes for %d entries", targets, eyes, n)
	}
	listed := 0
	for _, l := range s.watch.lists {
		listed += cap(l.blocks)
	}
	if listed > 20*n {
		t.Errorf("lists of %d blocks in all for %d entries that see little", listed, n)
	}
	for h := range Handle(n) {
		if err := s.SetRadius(h, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	s.Tick()
	for b, live := range s.watch.live {
		if live != 0 {
			t.Fatalf("block %d still has eyes %016b, and nobody observes", b, live)
		}
	}
}
