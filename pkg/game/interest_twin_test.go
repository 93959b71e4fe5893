package game_test

import (
	"cmp"
	"math"
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
)

// twin is the dumb twin of the interest index: every observer looks at every entry, one by one.
type twin struct {
	entries                  []thing
	spare, removed, reported []aoi.Handle
}

type thing struct {
	lives, hidden bool
	x, y          float32
	layers, mask  uint32
	enter, leave  float32 // of an observer
	most          int
	sees          map[aoi.Handle]bool
}

func (w *twin) Add(x, y float32, o aoi.Opts) (h aoi.Handle, err error) {
	if n := len(w.spare); n > 0 {
		h, w.spare = w.spare[n-1], w.spare[:n-1]
	} else {
		h = aoi.Handle(len(w.entries))
		w.entries = append(w.entries, thing{})
	}
	t := thing{lives: true, hidden: o.Hidden, x: x, y: y, layers: cmp.Or(o.Layers, 1), mask: cmp.Or(o.Mask, math.MaxUint32), enter: o.Radius, leave: o.LeaveRadius, most: o.Nearest}
	t.sees = map[aoi.Handle]bool{}
	w.entries[h] = t
	return h, nil
}

func (w *twin) Move(h aoi.Handle, x, y float32) error {
	w.entries[h].x, w.entries[h].y = x, y
	return nil
}

func (w *twin) SetRadius(h aoi.Handle, enter, leave float32) error {
	w.entries[h].enter, w.entries[h].leave = enter, leave
	return nil
}

func (w *twin) SetMask(h aoi.Handle, mask uint32) error {
	w.entries[h].mask = cmp.Or(mask, math.MaxUint32)
	return nil
}

func (w *twin) Remove(h aoi.Handle) error {
	w.entries[h] = thing{}
	w.removed = append(w.removed, h)
	return nil
}

func (w *twin) Tick() (ev aoi.Events) {
	w.spare, w.reported = append(w.spare, w.reported...), w.reported[:0]
	for o := range w.entries {
		e := &w.entries[o]
		if !e.lives || e.enter == 0 {
			continue
		}
		before := e.sees
		e.sees = w.look(aoi.Handle(o))
		for t := range w.entries {
			switch h := aoi.Handle(t); {
			case before[h] && !e.sees[h]:
				ev.Leaves = append(ev.Leaves, aoi.Pair{Observer: aoi.Handle(o), Target: h})
			case e.sees[h] && !before[h]:
				ev.Enters = append(ev.Enters, aoi.Pair{Observer: aoi.Handle(o), Target: h})
			}
		}
	}
	w.removed, w.reported = w.reported, w.removed
	return ev
}

// look is the rule: what an observer is to see.
func (w *twin) look(o aoi.Handle) map[aoi.Handle]bool {
	type candidate struct {
		key float32
		h   aoi.Handle
	}
	e := &w.entries[o]
	var all []candidate
	for h := range aoi.Handle(len(w.entries)) {
		t := &w.entries[h]
		d, r := w.apart(h, e.x, e.y), e.enter
		if e.sees[h] {
			r = e.leave
		}
		if !t.lives || t.hidden || h == o || t.layers&e.mask == 0 || d > r*r {
			continue
		}
		if e.sees[h] {
			d *= 0.8125
		}
		all = append(all, candidate{d, h})
	}
	if e.most > 0 && len(all) > e.most {
		slices.SortFunc(all, func(a, b candidate) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.h, b.h)) })
		all = all[:e.most]
	}
	sees := map[aoi.Handle]bool{}
	for _, c := range all {
		sees[c.h] = true
	}
	return sees
}

// apart is d², rounded as the index rounds it.
func (w *twin) apart(h aoi.Handle, x, y float32) float32 {
	dx, dy := w.entries[h].x-x, w.entries[h].y-y
	return float32(dx*dx) + float32(dy*dy)
}

func (w *twin) Sees(o, t aoi.Handle) bool { return w.entries[t].lives && w.entries[o].sees[t] }

func (w *twin) Visible(o aoi.Handle, yield func(aoi.Handle) bool) {
	for h := range aoi.Handle(len(w.entries)) {
		if w.Sees(o, h) && !yield(h) {
			return
		}
	}
}

// found yields what a query finds, in order of handles.
func (w *twin) found(yield func(aoi.Handle) bool, is func(h aoi.Handle, t *thing) bool) {
	for h := range aoi.Handle(len(w.entries)) {
		if t := &w.entries[h]; t.lives && !t.hidden && is(h, t) && !yield(h) {
			return
		}
	}
}

func (w *twin) Within(x, y, radius float32, yield func(aoi.Handle) bool) {
	w.found(yield, func(h aoi.Handle, _ *thing) bool { return w.apart(h, x, y) <= radius*radius })
}

func (w *twin) Box(minX, minY, maxX, maxY float32, yield func(aoi.Handle) bool) {
	w.found(yield, func(_ aoi.Handle, t *thing) bool { return t.x >= minX && t.x <= maxX && t.y >= minY && t.y <= maxY })
}

func (w *twin) Sector(x, y, radius, dirX, dirY, half float32, yield func(aoi.Handle) bool) {
	w.found(yield, func(h aoi.Handle, t *thing) bool {
		dx, dy := float64(t.x-x), float64(t.y-y)
		angle := math.Atan2(dx*float64(dirY)-dy*float64(dirX), dx*float64(dirX)+dy*float64(dirY))
		return w.apart(h, x, y) <= radius*radius && (dx == 0 && dy == 0 || math.Abs(angle) <= float64(half))
	})
}

func (w *twin) Nearest(x, y, radius float32, n int, yield func(aoi.Handle) bool) {
	var all []aoi.Handle
	w.Within(x, y, radius, func(h aoi.Handle) bool { all = append(all, h); return true })
	slices.SortStableFunc(all, func(a, b aoi.Handle) int { return cmp.Compare(w.apart(a, x, y), w.apart(b, x, y)) })
	for _, h := range all[:min(n, len(all))] {
		if !yield(h) {
			return
		}
	}
}
