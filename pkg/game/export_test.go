package game

// Hold leaves a zone open outside of its steps, for tests that look at it and change it in between.
func Hold(z *Zone) { z.held = true; z.stepping.Store(true); z.owner = goroutine(&z.trace) }

// Futures is how many results a zone waits for, those that fail in the next tick for being too many left aside.
func Futures(z *Zone) int { return len(z.futures) }
