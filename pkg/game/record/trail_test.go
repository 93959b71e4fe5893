package record_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/record"
)

// The systems of this file are wrong on purpose. Each has a name by which Trail is to find it.

func healInTheOrderOfAMap(z *game.Zone) func() {
	wounded := map[game.EntityID]bool{}
	return func() {
		for e := range z.Entities {
			wounded[e.ID()] = true
		}
		n := uint32(0)
		for id := range wounded {
			if e, ok := z.Entity(id); ok {
				n++
				setHP(e, n)
			}
		}
	}
}

func stampTheTime(z *game.Zone) func() {
	return func() { setHP(entity(z, 2), uint32(time.Now().UnixNano()>>4)) }
}

func rollAForeignDie(z *game.Zone) func() {
	return func() { setHP(entity(z, 1), rand.Uint32()) }
}

func TestTheNondeterministicSystemIsNamed(t *testing.T) {
	for name, wrong := range map[string]func(z *game.Zone) func(){"healInTheOrderOfAMap": healInTheOrderOfAMap, "stampTheTime": stampTheTime, "rollAForeignDie": rollAForeignDie} {
		t.Run(name, func(t *testing.T) {
			g := meadow(func(z *game.Zone) { z.System(wrong(z)) }, func(z *game.Zone) { z.System(func() { turnSome(z) }) })
			b := recorded(t, g, meadowConfig(), record.Config{}, 30)
			rep := replayed(t, b, g, record.Options{})
			if rep.Difference == nil {
				t.Fatal("the replay was alike: the system is not wrong enough")
			}
			v, err := record.Trail(bytes.NewReader(b), g, record.Options{}, 30) // beyond the difference: in one tick they may be alike by chance
			if err != nil {
				t.Fatal(err)
			}
			c := v.Culprit
			if c == nil || !strings.Contains(c.Name, name) || c.Phase != "systems" || !strings.Contains(c.After, "Drift") || len(c.Entities) == 0 {
				t.Fatalf("%+v", c)
			}
			for _, want := range []string{"phase systems, after record_test." + name, "why: ", "fix: ", "in the other entity"} {
				if !strings.Contains(v.String(), want) {
					t.Errorf("it says\n%v\nwant %q", v, want)
				}
			}
		})
	}
}

// TestWhatWasNoInputIsToldFromWhatIsNotDeterministic has a system that looks at something outside, which changes after the recording and not between replays.
func TestWhatWasNoInputIsToldFromWhatIsNotDeterministic(t *testing.T) {
	outside := uint32(1)
	g := meadow(odd(25, func(z *game.Zone) { setHP(entity(z, 4), outside) }))
	b := recorded(t, g, meadowConfig(), record.Config{}, 30)
	outside = 2
	rep := replayed(t, b, g, record.Options{})
	if rep.Difference == nil || rep.Ticks != 26 {
		t.Fatalf("%+v", rep)
	}
	v, err := record.Trail(bytes.NewReader(b), g, record.Options{}, rep.Ticks)
	if err != nil || v.Culprit != nil || v.Ticks != 26 || !strings.Contains(v.String(), "agree with each other in all of 26 ticks, but not with the recording") || !strings.Contains(v.String(), "fix: have the rules changed since? Then this is the change") {
		t.Errorf("%v, %v", v, err)
	}
}

func TestASetupThatIsNotDeterministicIsNamed(t *testing.T) {
	g := meadow(func(z *game.Zone) { setHP(entity(z, 4), rand.Uint32()) })
	b := recorded(t, g, meadowConfig(), record.Config{}, 3)
	v, err := record.Trail(bytes.NewReader(b), g, record.Options{}, 3)
	if err != nil || v.Culprit == nil || !v.Culprit.Setup || !strings.Contains(v.String(), "Game.Setup") {
		t.Errorf("%v, %v", v, err)
	}
}

func TestATrailOfWhatIsDeterministicAgrees(t *testing.T) {
	g := meadow()
	v, err := record.Trail(bytes.NewReader(recorded(t, g, meadowConfig(), record.Config{}, 50)), g, record.Options{}, 1000)
	if err != nil || v.Culprit != nil || v.Ticks != 50 {
		t.Errorf("%+v, %v", v, err)
	}
}
