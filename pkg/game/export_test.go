package game

import "github.com/tianxia-mmo/tianxia/pkg/aoi"

// Interest is the index of places, for tests that bring their own.
type Interest = interest

// NewZoneOn is NewZone on an index that open makes.
func NewZoneOn(g *Game, cfg Config, open func(aoi.Config) (Interest, error)) (*Zone, error) {
	return newZone(g, cfg, open)
}

// Hold leaves a zone open outside of its steps, for tests that look at it and change it in between.
func Hold(z *Zone) { z.held = true; z.stepping.Store(true); z.owner = goroutine(&z.trace) }

// Futures is how many results a zone waits for, those that fail in the next tick for being too many left aside.
func Futures(z *Zone) int { return len(z.futures) }
