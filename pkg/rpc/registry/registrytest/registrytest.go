// Package registrytest is the suite that every registry.Registry passes. Run it from a test of the implementation; it waits for events, never for time to pass, and every wait
// ends after Patience.
package registrytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
)

// Patience is how long the suite waits for what must happen: generous, since it is spent only when something is broken.
const Patience = 20 * time.Second

// Run runs the suite. open returns two views of one empty registry, as two processes have them; they may be the same. It cleans up by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) (here, there registry.Registry)) {
	for _, test := range []struct {
		name string
		run  func(s *suite)
	}{
		{"the first answer comes at once and may be empty", firstAnswer},
		{"what is registered is seen from elsewhere until it is withdrawn", comesAndGoes},
		{"an update is seen whole", update},
		{"a watcher sees its service only", filters},
		{"answers are sorted and belong to the caller", answersAreOwned},
		{"an id is taken as long as it lives", taken},
		{"of many that want an id one gets it", oneWins},
		{"wrong instances are refused", refusals},
		{"an update keeps id and epoch", updateKeepsIdentity},
		{"nothing happens after close", afterClose},
		{"next ends with its context and goes on after it", nextEnds},
		{"close ends next", closeEndsNext},
		{"a report does not drop who lives", report},
		{"watchers see the last of many changes", storm},
	} {
		t.Run(test.name, func(t *testing.T) {
			here, there := open(t)
			test.run(&suite{t, here, there})
		})
	}
}

type suite struct {
	*testing.T
	here, there registry.Registry
}

// Sample is a valid instance that serves the named services.
func Sample(id string, services ...string) registry.Instance {
	return registry.Instance{ID: id, Epoch: 7, Services: services, Endpoints: []string{"shm:///run/" + id, "unix:///run/" + id, "tcp://127.0.0.1:7000"},
		Host: "h1", Weight: 3, Labels: map[string]string{"zone": "north", "note": "天下 <&>"}}
}

func (s *suite) patient() context.Context {
	ctx, cancel := context.WithTimeout(s.Context(), Patience)
	s.Cleanup(cancel)
	return ctx
}

func (s *suite) register(r registry.Registry, i registry.Instance) registry.Registration {
	s.Helper()
	registration, err := r.Register(s.patient(), i)
	if err != nil {
		s.Fatalf("register: %v", err)
	}
	s.Cleanup(func() { registration.Close() })
	return registration
}

func (s *suite) watch(r registry.Registry, service string) registry.Watcher {
	s.Helper()
	w, err := r.Watch(s.patient(), service)
	if err != nil {
		s.Fatalf("watch: %v", err)
	}
	s.Cleanup(func() { w.Close() })
	return w
}

func (s *suite) next(w registry.Watcher) []registry.Instance {
	s.Helper()
	set, err := w.Next(s.patient())
	if err != nil {
		s.Fatalf("next: %v", err)
	}
	return set
}

// until reads answers until one is as wanted.
func (s *suite) until(w registry.Watcher, want ...registry.Instance) {
	s.Helper()
	for {
		set, err := w.Next(s.patient())
		if err != nil {
			s.Fatalf("want %v: %v", ids(want), err)
		}
		if same(set, want) {
			return
		}
	}
}

func same(a, b []registry.Instance) bool {
	return slices.EqualFunc(a, b, func(a, b registry.Instance) bool { return a.Equal(&b) })
}

func ids(set []registry.Instance) (out []string) {
	for _, i := range set {
		out = append(out, i.ID)
	}
	return out
}

func firstAnswer(s *suite) {
	if set := s.next(s.watch(s.here, "world")); len(set) != 0 {
		s.Errorf("an empty registry answers %v", ids(set))
	}
	s.register(s.here, Sample("a", "world"))
	if set := s.next(s.watch(s.here, "world")); !same(set, []registry.Instance{Sample("a", "world")}) {
		s.Errorf("a watcher that comes later answers %+v", set)
	}
}

func comesAndGoes(s *suite) {
	w := s.watch(s.there, "world")
	s.until(w)
	a := s.register(s.here, Sample("a", "world"))
	s.until(w, Sample("a", "world"))
	b := s.register(s.there, Sample("B", "world", "chat"))
	s.until(w, Sample("B", "world", "chat"), Sample("a", "world"))
	if err := a.Close(); err != nil {
		s.Errorf("close: %v", err)
	}
	s.until(w, Sample("B", "world", "chat"))
	if err := b.Close(); err != nil {
		s.Errorf("close: %v", err)
	}
	s.until(w)
}

func update(s *suite) {
	w := s.watch(s.there, "world")
	i := Sample("a", "world")
	r := s.register(s.here, i)
	s.until(w, i)
	i.State = registry.Draining
	i.Services = []string{"world", "chat"}
	i.Endpoints = []string{"tcp://10.0.0.1:1"}
	i.Labels, i.Weight, i.Host = nil, 0, ""
	if err := r.Update(i); err != nil {
		s.Fatal(err)
	}
	s.until(w, i)
	i.Services = []string{"chat"}
	if err := r.Update(i); err != nil {
		s.Fatal(err)
	}
	s.until(w) // it serves the world no more
}

func filters(s *suite) {
	world, chat, all := s.watch(s.there, "world"), s.watch(s.there, "chat"), s.watch(s.there, "")
	s.register(s.here, Sample("a", "world"))
	s.register(s.here, Sample("b", "chat", "world"))
	s.register(s.here, Sample("c"))
	s.until(world, Sample("a", "world"), Sample("b", "chat", "world"))
	s.until(chat, Sample("b", "chat", "world"))
	s.until(all, Sample("a", "world"), Sample("b", "chat", "world"), Sample("c"))
	if set := s.next(s.watch(s.here, "wor")); len(set) != 0 {
		s.Errorf("half a name finds %v", ids(set))
	}
}

func answersAreOwned(s *suite) {
	i := Sample("c", "world")
	s.register(s.here, i)
	i.Endpoints[0], i.Labels["zone"] = "changed", "changed" // Register has copied them
	for _, id := range []string{"b", "a", "A"} {
		s.register(s.here, Sample(id, "world"))
	}
	want := []registry.Instance{Sample("A", "world"), Sample("a", "world"), Sample("b", "world"), Sample("c", "world")}
	w := s.watch(s.here, "world")
	set := s.next(w)
	if !same(set, want) {
		s.Fatalf("answer is %+v", set)
	}
	for n := range set {
		set[n].Services[0], set[n].Endpoints[0], set[n].Labels["zone"] = "changed", "changed", "changed"
	}
	if set := s.next(s.watch(s.here, "world")); !same(set, want) {
		s.Errorf("changing one answer changes another: %+v", set)
	}
	// Nor does it look like a change to the watcher that gave it.
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	if set, err := w.Next(ctx); err == nil {
		s.Errorf("nothing changed, and the answer is %v", ids(set))
	}
}

func taken(s *suite) {
	first := s.register(s.here, Sample("a", "world"))
	for _, r := range []registry.Registry{s.here, s.there} {
		second := Sample("a", "world")
		second.Epoch++
		if registration, err := r.Register(s.patient(), second); !errors.Is(err, registry.ErrTaken) {
			if err == nil {
				registration.Close()
			}
			s.Errorf("the same id once more: %v", err)
		}
	}
	w := s.watch(s.there, "world")
	s.until(w, Sample("a", "world"))
	if err := first.Close(); err != nil {
		s.Fatal(err)
	}
	next := Sample("a", "world")
	next.Epoch++
	s.register(s.there, next)
	s.until(w, next)
}

func oneWins(s *suite) {
	const many = 8
	var group sync.WaitGroup
	won := make(chan registry.Registration, many)
	for n := range many {
		r := []registry.Registry{s.here, s.there}[n%2]
		group.Go(func() {
			i := Sample("a", "world")
			i.Epoch = uint64(n)
			registration, err := r.Register(s.patient(), i)
			if err == nil {
				won <- registration
			} else if !errors.Is(err, registry.ErrTaken) {
				s.Errorf("register: %v", err)
			}
		})
	}
	group.Wait()
	close(won)
	if len(won) != 1 {
		s.Errorf("%d of %d got the id", len(won), many)
	}
	for registration := range won {
		registration.Close()
	}
}

func refusals(s *suite) {
	for _, i := range []registry.Instance{{}, {ID: "a/b", Endpoints: []string{"tcp://h:1"}}, {ID: "a"}, {ID: "a", Endpoints: []string{"h:1"}}} {
		if _, err := s.here.Register(s.patient(), i); err == nil {
			s.Errorf("%+v was registered", i)
		}
	}
	i := Sample("a", "world")
	r := s.register(s.here, i)
	i.Endpoints = nil
	if err := r.Update(i); err == nil {
		s.Error("an update without endpoints was taken")
	}
	if set := s.next(s.watch(s.here, "")); !same(set, []registry.Instance{Sample("a", "world")}) {
		s.Errorf("after refusals the registry holds %+v", set)
	}
}

func updateKeepsIdentity(s *suite) {
	r := s.register(s.here, Sample("a", "world"))
	if err := r.Update(Sample("b", "world")); err == nil {
		s.Error("an update changed the id")
	}
	i := Sample("a", "world")
	i.Epoch++
	if err := r.Update(i); err == nil {
		s.Error("an update changed the epoch")
	}
}

func afterClose(s *suite) {
	r := s.register(s.here, Sample("a", "world"))
	for range 2 {
		if err := r.Close(); err != nil {
			s.Errorf("close: %v", err)
		}
	}
	if err := r.Update(Sample("a", "world")); !errors.Is(err, registry.ErrClosed) {
		s.Errorf("update after close: %v", err)
	}
	second := Sample("a", "world")
	second.Epoch++
	s.register(s.here, second)
	if err := r.Close(); err != nil { // must not withdraw its successor
		s.Errorf("close: %v", err)
	}
	if set := s.next(s.watch(s.here, "")); !same(set, []registry.Instance{second}) {
		s.Errorf("the registry holds %+v", set)
	}
	cancelled, cancel := context.WithCancel(s.Context())
	cancel()
	if _, err := s.here.Register(cancelled, Sample("c")); !errors.Is(err, context.Canceled) {
		s.Errorf("register with a context that ended: %v", err)
	}
	if _, err := s.here.Watch(cancelled, ""); !errors.Is(err, context.Canceled) {
		s.Errorf("watch with a context that ended: %v", err)
	}
}

func nextEnds(s *suite) {
	w := s.watch(s.here, "world")
	s.next(w)
	reason := errors.New("reason")
	ctx, cancel := context.WithCancelCause(s.Context())
	ended := make(chan error)
	go func() { _, err := w.Next(ctx); ended <- err }()
	cancel(reason)
	if err := <-ended; !errors.Is(err, reason) && !errors.Is(err, context.Canceled) {
		s.Errorf("next ended with %v", err)
	}
	s.register(s.there, Sample("a", "world"))
	s.until(w, Sample("a", "world"))
}

func closeEndsNext(s *suite) {
	w := s.watch(s.here, "world")
	s.next(w)
	ended := make(chan error)
	go func() { _, err := w.Next(s.patient()); ended <- err }()
	for range 2 {
		if err := w.Close(); err != nil {
			s.Errorf("close: %v", err)
		}
	}
	if err := <-ended; !errors.Is(err, registry.ErrClosed) {
		s.Errorf("next ended with %v", err)
	}
	if _, err := w.Next(s.patient()); !errors.Is(err, registry.ErrClosed) {
		s.Errorf("next after close: %v", err)
	}
}

func report(s *suite) {
	s.register(s.here, Sample("a", "world"))
	w := s.watch(s.there, "world")
	s.until(w, Sample("a", "world"))
	for range 3 {
		s.there.Report("a", 7)
		s.there.Report("a", 6)
		s.there.Report("nobody", 1)
	}
	s.register(s.here, Sample("b", "world")) // whatever the reports did comes before this is seen
	if set := s.next(w); !same(set, []registry.Instance{Sample("a", "world"), Sample("b", "world")}) {
		s.Errorf("after reports: %v", ids(set))
	}
}

func storm(s *suite) {
	w := s.watch(s.there, "world")
	var last []registry.Instance
	for n := range 4 {
		i := Sample(fmt.Sprintf("i%d", n), "world")
		r := s.register(s.here, i)
		for change := range 20 {
			i.Labels = map[string]string{"change": fmt.Sprint(change)}
			i.State = registry.State(change % 2)
			if err := r.Update(i); err != nil {
				s.Fatal(err)
			}
		}
		last = append(last, i.Clone())
	}
	s.until(w, last...)
}
