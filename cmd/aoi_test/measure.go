package main

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
)

// sample is one run of a workload by the engine.
type sample struct {
	clock    string          // what times are measured with
	times    []time.Duration // of all calls of Move and of Tick, of each measured tick
	worst    time.Duration   // of them by wall time, whatever the clock is
	cpu      time.Duration   // of them by the CPU time of all threads together; 0: not to be had
	events   int             // of the measured ticks
	visible  float64         // targets that an observer sees, mean of all ticks
	bytes    float64         // of heap that the space holds at the end
	allocs   float64         // of all measured ticks
	baseline []time.Duration // of the same work by the grid
	compared []int           // ticks that the grid made, from 0
}

func sum(times []time.Duration) (all time.Duration) {
	for _, t := range times {
		all += t
	}
	return all
}

func mean(times []time.Duration) time.Duration {
	return sum(times) / time.Duration(max(len(times), 1))
}

// ratio is the time of the grid in that of the engine, in ticks that both made; 0: there are none.
func (s sample) ratio() float64 {
	var grid, engine time.Duration
	for i, tick := range s.compared {
		if tick < len(s.times) {
			grid, engine = grid+s.baseline[i], engine+s.times[tick]
		}
	}
	return float64(grid) / float64(max(engine, 1))
}

// job is what one run is to do.
type job struct {
	workload
	plan
	kernel   aoi.Kernel
	limit    time.Duration // of measured time; 0: none. The ticks of a whole story are all made.
	baseline time.Duration // for the grid; 0: it does not run
}

// crew is a space with everyone of a world in it.
type crew struct {
	space   *aoi.Space
	handles []aoi.Handle
	number  []int32 // by handle
}

// reserve makes room for the crew of a world, so that what is allocated later is the space's.
func reserve(w *world) *crew {
	return &crew{handles: make([]aoi.Handle, 0, len(w.x)), number: make([]int32, 2*len(w.x)+1024)}
}

// enter puts everyone into a new space.
func (c *crew) enter(w *world, kernel aoi.Kernel, workers int) (err error) {
	c.space, err = aoi.New(aoi.Config{MaxX: w.side, MaxZ: w.side, MaxEntries: len(w.x), Workers: workers, Kernel: kernel})
	if err != nil {
		return err
	}
	for i := range w.x {
		h, err := c.space.Add(w.x[i], w.z[i], w.opts[i])
		switch {
		case err != nil:
			return err
		case int(h) >= len(c.number):
			return fmt.Errorf("entry %d of %d has handle %d: handles are not dense", i, len(w.x), h)
		case i > 0 && h <= c.handles[i-1]:
			return fmt.Errorf("entry %d has handle %d after %d: handles do not ascend, so ties cannot be told", i, h, c.handles[i-1])
		}
		c.handles = append(c.handles, h)
		c.number[h] = int32(i)
	}
	return nil
}

// tick is what a game does in a tick: move everyone, then look.
func (c *crew) tick(w *world) (aoi.Events, error) {
	for i, h := range c.handles {
		if err := c.space.Move(h, w.x[i], w.z[i]); err != nil {
			return aoi.Events{}, err
		}
	}
	return c.space.Tick(), nil
}

// start enters a world and makes its first ticks. It returns how many pairs are visible then.
func (c *crew) start(j job, w *world) (visible int, err error) {
	if err := c.enter(w, j.kernel, j.workers); err != nil {
		return 0, err
	}
	ev := c.space.Tick()
	visible = len(ev.Enters)
	for range j.warm {
		w.step()
		if ev, err = c.tick(w); err != nil {
			return 0, err
		}
		visible += len(ev.Enters) - len(ev.Leaves)
	}
	return visible, nil
}

// measure runs a workload by the engine, then a part of it by the grid.
func measure(j job) (sample, error) {
	runtime.LockOSThread() // for the clock
	defer runtime.UnlockOSThread()
	s, err := j.engine()
	if err == nil && j.baseline > 0 {
		err = j.compare(&s)
	}
	if err != nil {
		return s, fmt.Errorf("%s: %w", j.name, err)
	}
	return s, nil
}

// engine measures the ticks of a world by the engine.
func (j job) engine() (s sample, err error) {
	w := j.build(j.plan)
	c := reserve(w)
	s.times = make([]time.Duration, 0, j.plan.ticks)
	now, name := clockFor(j.workers)
	s.clock = name
	wall, _ := wallClock()
	var before, after runtime.MemStats
	empty := heap()
	visible, err := c.start(j, w)
	if err != nil {
		return s, err
	}
	total, seen := time.Duration(0), 0
	runtime.GC()
	runtime.ReadMemStats(&before)
	for tick := 0; tick < j.plan.ticks && (j.limit == 0 || j.whole || tick < 2 || total < j.limit); tick++ {
		w.step()
		spent, began, start := processTime(), wall(), now()
		ev, err := c.tick(w)
		took, real := now()-start, wall()-began
		s.cpu += processTime() - spent
		if err != nil {
			return s, err
		}
		s.times = append(s.times, took)
		s.worst = max(s.worst, real)
		s.events += len(ev.Enters) + len(ev.Leaves)
		visible += len(ev.Enters) - len(ev.Leaves)
		seen += visible
		total += took
	}
	runtime.ReadMemStats(&after)
	s.allocs = float64(after.Mallocs - before.Mallocs)
	s.visible = float64(seen) / float64(len(s.times)) / float64(max(w.observers(), 1))
	s.bytes = heap() - empty
	runtime.KeepAlive(c)
	runtime.KeepAlive(w)
	return s, nil
}

// heap is what lives on it, in bytes.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what the first one only marked for sweeping
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// strides is in how many pieces a whole story is compared.
const strides = 6

// compare measures the grid on ticks that the engine was measured on, and sees that both report the same pairs. It takes over what the engine sees at the beginning, and in a
// whole story, whose ticks differ, now and then anew.
func (j job) compare(s *sample) error {
	w := j.build(j.plan)
	c := reserve(w)
	if _, err := c.start(j, w); err != nil {
		return err
	}
	g := newGrid(w)
	now, _ := clockFor(j.workers)
	spent := time.Duration(0)
	stride := 1
	if j.whole {
		stride = max(1, len(s.times)/strides)
	}
	if !j.whole {
		g.load(c, w)
	}
	for tick := range s.times {
		mine := tick%stride == stride/2
		switch {
		case !j.whole && tick >= 2 && spent >= j.baseline:
			return nil
		case j.whole && mine:
			g.load(c, w)
		}
		w.step()
		ev, err := c.tick(w)
		if err != nil {
			return err
		}
		if !mine {
			continue
		}
		start := now()
		for i := range w.x {
			g.move(int32(i), w.x[i], w.z[i])
		}
		leaves, enters := g.tick()
		took := now() - start
		if err := c.same(ev, leaves, enters); err != nil {
			return divergence{fmt.Errorf("measured tick %d: %w", tick+1, err)}
		}
		s.baseline, s.compared = append(s.baseline, took), append(s.compared, tick)
		spent += took
	}
	return nil
}

// divergence is an error that says that the engine is wrong.
type divergence struct{ error }

// same sees that two systems report the same pairs, in whatever order.
func (c *crew) same(ev aoi.Events, leaves, enters []pair) error {
	for _, kind := range []struct {
		name string
		ours []aoi.Pair
		grid []pair
	}{{"leaves", ev.Leaves, leaves}, {"enters", ev.Enters, enters}} {
		if len(kind.ours) != len(kind.grid) {
			return fmt.Errorf("the engine reports %d %s, the grid %d", len(kind.ours), kind.name, len(kind.grid))
		}
		ours := make([]pair, len(kind.ours))
		for i, p := range kind.ours {
			ours[i] = c.pair(p)
		}
		slices.SortFunc(ours, comparePairs)
		slices.SortFunc(kind.grid, comparePairs)
		for i, p := range ours {
			if p != kind.grid[i] {
				return fmt.Errorf("among the %s, the engine reports that %d saw %d, the grid that %d saw %d", kind.name, p.observer, p.target, kind.grid[i].observer, kind.grid[i].target)
			}
		}
	}
	return nil
}

func (c *crew) pair(p aoi.Pair) pair { return pair{c.number[p.Observer], c.number[p.Target]} }

func comparePairs(a, b pair) int {
	return cmp.Or(cmp.Compare(a.observer, b.observer), cmp.Compare(a.target, b.target))
}
