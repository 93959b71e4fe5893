package aoi

import (
	"math"
	"slices"
	"testing"
)

func TestEveryLayerIsSeenThroughItsBitAlone(t *testing.T) {
	r := newScript(t, Config{})
	var targets, eyes [32]Handle
	for i := range targets {
		targets[i] = r.add(0, 0, Opts{Layers: 1 << i})
	}
	all := r.add(0, 0, Opts{Layers: 1 << 31, Radius: 1, Hidden: true})
	for i := range eyes {
		eyes[i] = r.add(0, 0, Opts{Mask: 1 << i, Radius: 1, Hidden: true})
	}
	r.tick()
	for i := range targets {
		for j := range eyes {
			if got := r.spaces[0].Sees(eyes[j], targets[i]); got != (i == j) {
				t.Errorf("mask of bit %d sees layer %d: %v", j, i, got)
			}
		}
		if !r.spaces[0].Sees(all, targets[i]) {
			t.Errorf("layer %d is not seen by who sees all", i)
		}
	}
}

func TestZeroLayersMeanBitZeroAndZeroMaskAll(t *testing.T) {
	r := newScript(t, Config{})
	plain := r.add(0, 0, Opts{})
	other := r.add(0, 0, Opts{Layers: 2})
	first := r.add(0, 0, Opts{Hidden: true, Radius: 1, Mask: 1})
	every := r.add(0, 0, Opts{Hidden: true, Radius: 1})
	r.expect(nil, []Pair{{first, plain}, {every, plain}, {every, other}})
	r.layers(other, 0)
	r.expect(nil, []Pair{{first, other}})
	r.mask(first, 1<<9)
	r.expect([]Pair{{first, other}, {first, plain}}, nil)
	r.mask(first, 0)
	r.expect(nil, []Pair{{first, other}, {first, plain}})
}

func TestTargetThatStillMatchesStaysVisibleWhenItsLayersChange(t *testing.T) {
	r := newScript(t, Config{})
	eye := r.add(0, 0, Opts{Radius: 10, LeaveRadius: 12, Mask: 6})
	x := r.add(9, 0, Opts{Layers: 2})
	r.expect(nil, []Pair{{eye, x}})
	r.move(x, 11, 0) // it would not enter there
	r.layers(x, 4)
	r.expect(nil, nil)
	r.layers(x, 8)
	r.layers(x, 2)
	r.expect(nil, nil) // only what it is at the Tick counts
	r.layers(x, 1)
	if !r.spaces[0].Sees(eye, x) {
		t.Error("layers count before the Tick")
	}
	r.expect([]Pair{{eye, x}}, nil)
	r.layers(x, 2)
	r.expect(nil, nil)
	r.move(x, 10, 0)
	r.expect(nil, []Pair{{eye, x}})
	r.layers(x, 1)
	r.remove(x)
	r.expect([]Pair{{eye, x}}, nil)
}

func TestMaskCountsFromTheNextTickOn(t *testing.T) {
	r := newScript(t, Config{})
	eye := r.add(0, 0, Opts{Radius: 10, LeaveRadius: 12})
	x := r.add(9, 0, Opts{Layers: 2})
	y := r.add(8, 0, Opts{Layers: 1})
	r.expect(nil, []Pair{{eye, x}, {eye, y}})
	r.move(x, 11, 0)
	r.mask(eye, 1)
	r.mask(eye, 3)
	r.expect(nil, nil)
	r.mask(eye, 1)
	r.expect([]Pair{{eye, x}}, nil)
	r.mask(eye, 2)
	r.expect([]Pair{{eye, y}}, nil)
	r.radius(eye, 11, 12)
	r.expect(nil, []Pair{{eye, x}})
	r.mask(eye, 1<<31)
	r.radius(eye, 0, 0)
	r.expect([]Pair{{eye, x}}, nil)
}

// Many small sets of layers at one place: each has its own.
func TestCrowdOfManyLayers(t *testing.T) {
	r := newScript(t, Config{})
	for i := range 120 {
		r.add(float32(i%5), float32(i%3), Opts{Layers: uint32(i*i + 1), Mask: uint32(1 << (i % 9)), Radius: 2})
	}
	for round := range 12 {
		r.tick()
		for i, id := range r.live {
			switch h := Handle(r.ids[id]); (i + round) % 6 {
			case 0:
				r.layers(h, uint32(i*round))
			case 1:
				r.mask(h, uint32(round*7+i))
			case 2:
				r.move(h, float32((i+round)%5), float32(i%3))
			}
		}
	}
}

func TestOnlySearchesItsLayers(t *testing.T) {
	s := must[*Space](t)(New(Config{}))
	one := must[Handle](t)(s.Add(1, 0, Opts{Layers: 1}))
	two := must[Handle](t)(s.Add(2, 0, Opts{Layers: 2}))
	both := must[Handle](t)(s.Add(3, 0, Opts{Layers: 3}))
	high := must[Handle](t)(s.Add(4, 0, Opts{Layers: 1 << 31}))
	must[Handle](t)(s.Add(0, 0, Opts{Layers: math.MaxUint32, Hidden: true}))
	check := func(layers uint32, want ...Handle) {
		t.Helper()
		q := s.Only(layers)
		for name, ask := range map[string]func(func(Handle) bool){
			"within":  func(y func(Handle) bool) { q.Within(0, 0, 9, y) },
			"box":     func(y func(Handle) bool) { q.Box(0, 0, 9, 9, y) },
			"sector":  func(y func(Handle) bool) { q.Sector(0, 0, 9, 1, 0, 1, y) },
			"nearest": func(y func(Handle) bool) { q.Nearest(0, 0, 9, 9, y) },
		} {
			if got := sorted(gather(ask)); !slices.Equal(got, want) {
				t.Errorf("%s over layers %#x: %v, want %v", name, layers, got, want)
			}
		}
		var first []Handle
		q.Nearest(0, 0, 9, 1, func(h Handle) bool { first = append(first, h); return true })
		if len(want) > 0 && !slices.Equal(first, want[:1]) {
			t.Errorf("nearest of layers %#x: %v, want %v", layers, first, want[:1])
		}
	}
	for range 2 {
		check(1, one, both)
		check(2, two, both)
		check(3, one, two, both)
		check(1<<31, high)
		check(4)
		check(0)
		check(math.MaxUint32, one, two, both, high)
		s.Tick()
	}
	if err := s.SetLayers(one, 4); err != nil {
		t.Fatal(err)
	}
	check(4, one) // at once
	check(1, both)
}
