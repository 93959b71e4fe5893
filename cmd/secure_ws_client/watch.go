package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// perFrame is how many lines of one state frame are printed; the rest is counted.
const perFrame = 20

// watcher prints what the state frames change. It belongs to Serve's goroutine, except for on, which the player's mu guards.
type watcher struct {
	p     *player
	on    bool
	old   map[int]string // last printed state, by index in the mirror
	lines int            // of this frame
}

func (w *watcher) isOn() bool {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return w.on
}

func (w *watcher) enter(i int, e *replica.Entity) {
	if !w.isOn() {
		return
	}
	state := string(e.Codec.AppendJSON(nil, &e.Base, delta.AOI))
	w.old[i] = state
	w.print("enter", e, state)
}

func (w *watcher) leave(i int, e *replica.Entity) {
	delete(w.old, i)
	if w.isOn() {
		w.print("leave", e, "")
	}
}

// frame prints what else the frame changed.
func (w *watcher) frame() {
	if !w.isOn() {
		return
	}
	for i := range w.p.Mirror.Entities {
		e := &w.p.Mirror.Entities[i]
		if !e.Live {
			continue
		}
		state := string(e.Codec.AppendJSON(nil, &e.Base, delta.AOI))
		if old, known := w.old[i]; state == old {
			continue
		} else if w.old[i] = state; known {
			w.print("change", e, changes(old, state))
		} else { // it was there before anybody watched
			w.print("enter", e, state)
		}
	}
	if w.lines > perFrame {
		w.p.out.event("more", fmt.Sprintf("           … and %d more", w.lines-perFrame), "lines", w.lines-perFrame)
	}
	w.lines = 0
}

func (w *watcher) print(what string, e *replica.Entity, state string) {
	if w.lines++; w.lines > perFrame {
		return
	}
	own := ""
	if w.p.Avatar.GetEntity() == e.ID && e.ID != 0 {
		own = " (own)"
	}
	fields := []any{"kind", e.Codec.Kind.Name, "id", fmt.Sprint(e.ID), "own", own != "", "zone", e.Zone}
	if state != "" {
		fields = append(fields, "state", json.RawMessage(state))
	}
	w.p.out.event(what, strings.TrimRight(fmt.Sprintf("%-10s %s %d%s %s", what, e.Codec.Kind.Name, e.ID, own, state), " "), fields...)
}

// changes are the components of an entity that differ, as JSON.
func changes(old, state string) string {
	var a, b map[string]json.RawMessage
	if json.Unmarshal([]byte(old), &a) != nil || json.Unmarshal([]byte(state), &b) != nil {
		return state
	}
	for name, text := range b {
		if string(a[name]) == string(text) {
			delete(b, name)
		}
	}
	out, err := json.Marshal(b)
	if err != nil {
		return state
	}
	return string(out)
}
