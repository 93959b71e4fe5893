package tianxia_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// The world of the manual's state frames: two zones of the sample game, one client, a Hero and a Walker.
const (
	stateZone     uint32 = 1
	stateBeyond   uint32 = 2
	stateOrigin   int32  = 800 // of zone 2, along x
	stateObserver uint64 = 1
	stateBits     uint8  = 16
	stateHero     uint16 = 1
)

type stateWorld struct {
	t     *testing.T
	codec *delta.Codec
	src   *batch.Source
	zone  *replica.Zone
	view  *replica.Client
	tick  uint32

	beyond     *batch.Source
	zoneBeyond *replica.Zone
}

func newStateWorld(t *testing.T) *stateWorld {
	codec, err := bind.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	p, q := delta.Params{PositionBits: stateBits}, delta.Params{PositionBits: stateBits, OriginX: stateOrigin}
	w := &stateWorld{
		t: t, codec: codec, tick: 99, view: replica.NewClient(replica.Config{}),
		src: batch.NewSource(stateZone, 1, codec, p), zone: replica.NewZone(stateZone, 1, codec, p),
		beyond: batch.NewSource(stateBeyond, 1, codec, q), zoneBeyond: replica.NewZone(stateBeyond, 1, codec, q),
	}
	w.src.AttachGateway(1)
	w.beyond.AttachGateway(1)
	w.src.AddObserver(stateObserver, 1)
	w.step() // a snapshot of nothing
	if _, tick, ok := w.view.Open(w.zone, stateObserver); !ok || tick != 100 {
		t.Fatalf("the zone is opened at tick %d", tick)
	}
	return w
}

// step ends a tick at the zones and gives their batches to the gateway.
func (w *stateWorld) step() {
	w.tick++
	for _, o := range w.src.Finish(w.tick, nil) {
		if err := w.zone.Apply(o.Bytes); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, o := range w.beyond.Finish(w.tick, nil) {
		if err := w.zoneBeyond.Apply(o.Bytes); err != nil {
			w.t.Fatal(err)
		}
	}
}

// frame is the state frame that the client gets now.
func (w *stateWorld) frame() []byte {
	var bits delta.Writer
	if _, ok := w.view.Frame(&bits, w.tick); !ok {
		w.t.Fatal("there is no frame")
	}
	return bytes.Clone(bits.Bytes())
}

// state is that of either kind, whose words are x, z, vx, vz, yaw, hp and, of a Hero, coins.
func (w *stateWorld) state(kind uint16, x, z, vx, vz int32, yaw, hp uint32, coins ...uint32) *delta.Record {
	k := w.codec.Kind(kind)
	var r delta.Record
	k.Init(&r)
	move, ok := k.View(&r, 1)
	vital, ok2 := k.View(&r, 2)
	if !ok || !ok2 || len(move.W) != 5 || len(vital.W) != 1 {
		w.t.Fatalf("kind %d has other components than the manual says", kind)
	}
	copy(move.W, []uint32{uint32(x), uint32(z), uint32(vx), uint32(vz), yaw})
	vital.W[0] = hp
	if purse, ok := k.View(&r, 3); ok != (kind == stateHero) || ok && copy(purse.W, coins) != len(purse.W) {
		w.t.Fatalf("kind %d has another purse than the manual says", kind)
	}
	return &r
}

// cross lets the client see into the second zone and hands the Hero over, out of the first in tick 106 and into the second in tick 107; it returns the frame of that.
func (w *stateWorld) cross() []byte {
	w.beyond.AddObserver(stateObserver, 1)
	if row, tick, ok := w.view.Open(w.zoneBeyond, stateObserver); !ok || row != 1 || tick != 105 {
		w.t.Fatalf("the second zone is row %d at tick %d", row, tick)
	}
	w.src.Leave(stateObserver, 0)
	w.src.Depart(0, stateBeyond, 1)
	w.step()
	w.beyond.Spawn(0, 7, stateHero, w.state(stateHero, 1016, 2000, 16, 0, 0, 100, 5), 107)
	w.beyond.Enter(stateObserver, 0)
	w.step()
	return w.frame()
}

// tracer reads a frame as the manual's section 7 says, apart from pkg/sync, and writes down what it reads.
type tracer struct {
	strings.Builder
	t  *testing.T
	b  []byte
	at int
}

// bits reads n bits, low first, and shows them in the order in which they come.
func (r *tracer) bits(n int) (v uint64, shown string) {
	for i := range n {
		if r.at >= 8*len(r.b) {
			r.t.Fatal("the frame is too short")
		}
		bit := r.b[r.at/8] >> (r.at % 8) & 1
		v |= uint64(bit) << i
		shown += string('0' + rune(bit))
		r.at++
	}
	return v, shown
}

func (r *tracer) line(shown, format string, args ...any) {
	fmt.Fprintf(r, "%-38s  %s\n", shown, fmt.Sprintf(format, args...))
}

// get reads a value of n bits; meaning has a %d for it.
func (r *tracer) get(n int, meaning string) uint64 {
	v, shown := r.bits(n)
	r.line(shown, meaning, v)
	return v
}

// coded reads a code: prefixes of 1 bits ended by a 0 choose among the widths; value makes of the form and the bits what it says.
func (r *tracer) coded(widths []int, meaning string, value func(form int, v uint64) int64) int64 {
	form, prefix := 0, ""
	for form < len(widths)-1 {
		one, shown := r.bits(1)
		prefix += shown
		if one == 0 {
			break
		}
		form++
	}
	v, shown := r.bits(widths[form])
	n := value(form, v)
	r.line(strings.TrimSpace(prefix+" "+shown), meaning, n)
	return n
}

func (r *tracer) count(meaning string) int {
	return int(r.coded([]int{0, 4, 11, 20}, meaning, func(_ int, v uint64) int64 { return int64(v) }))
}

func (r *tracer) velocity(old int64, meaning string) int64 {
	return r.coded([]int{5, 8, 16, 32}, meaning, func(form int, v uint64) int64 {
		switch form {
		case 0:
			return old + int64(v) - 16
		case 1:
			return int64(v) - 128
		case 2:
			return int64(int16(v))
		}
		return int64(int32(v))
	})
}

func (r *tracer) residual(meaning string) int64 {
	return r.coded([]int{0, 3, 6, 11, 32}, meaning, func(form int, v uint64) int64 {
		if form == 1 {
			v++
		}
		return int64(v>>1) ^ -int64(v&1)
	})
}

// header reads a section's up to its counts.
func (r *tracer) header(last uint32) (tick uint32, width, leaves, enters, updates int) {
	r.get(4, "zone index %d")
	tick = last + 1
	if more, shown := r.bits(1); more == 0 {
		r.line(shown, "tick: the last + 1 = %d", tick)
	} else {
		d, bits := r.bits(6)
		tick = last + uint32(d)
		r.line(shown+" "+bits, "tick: the last + %d = %d", d, tick)
	}
	r.get(2, "input: the last + %d")
	width = int(r.get(4, "width: an index has %d bit"))
	return tick, width, r.count("leaves: %d"), r.count("enters: %d"), r.count("updates: %d")
}

// enter reads an entity in full; originX is that of the section's zone.
func (r *tracer) enter(width int, originX int32) (words []int64) {
	r.get(width, "enter: index %d")
	if r.get(1, "id in 64 bits: %d") == 1 {
		r.get(64, "id %d")
	} else {
		r.get(32, "id %d")
	}
	kind := uint16(r.get(4, "kind %d"))
	r.coded([]int{0, 5, 10, 32}, "age %d", func(_ int, v uint64) int64 { return int64(v) })
	n, bits := r.bits(int(stateBits))
	x, from := int64(n)+int64(originX), ""
	if originX != 0 {
		from = fmt.Sprintf(": %d + origin_x", n)
	}
	r.line(bits, "x %d%s", x, from)
	words = []int64{
		x, int64(r.get(int(stateBits), "z %d")), r.velocity(0, "vx %d"), r.velocity(0, "vz %d"),
		int64(r.get(10, "yaw %d")), int64(r.get(16, "hp %d")),
	}
	if kind == stateHero {
		words = append(words, int64(r.get(16, "coins %d")))
	}
	return words
}

// update reads a delta of an entity that was as old, dt ticks ago.
func (r *tracer) update(width int, old []int64) (words []int64) {
	words = append(words, old...)
	r.get(width, "update: index %d")
	if r.get(1, "delta of age 0: %d") != 0 {
		r.t.Fatal("the update is of another form")
	}
	if r.get(1, "moved: %d") == 1 {
		turned := r.get(1, "another velocity: %d") == 1
		if turned {
			words[2], words[3] = r.velocity(old[2], "vx %d"), r.velocity(old[3], "vz %d")
		}
		if r.get(1, "another yaw: %d") == 1 {
			words[4] = r.coded([]int{6, 10}, "yaw %d", func(form int, v uint64) int64 {
				if form == 0 {
					return (old[4] + int64(v) - 32) & 1023
				}
				return int64(v)
			})
		}
		r.place(words, old, turned)
	}
	if r.get(1, "other hp: %d") == 1 {
		words[5] = r.coded([]int{4, 8, 16}, "hp %d", func(form int, v uint64) int64 {
			if form == 2 {
				return int64(v)
			}
			return old[5] + (int64(v>>1) ^ -int64(v&1))
		})
	}
	return words
}

// place reads where an entity is, one tick after it was as old.
func (r *tracer) place(words, old []int64, turned bool) {
	words[0], words[1] = old[0]+old[2], old[1]+old[3]
	if r.get(1, "not as predicted: %d") == 0 {
		return
	}
	if turned && r.get(1, "hypothesis 1: %d") == 1 {
		words[0], words[1] = words[0]+words[2]-old[2], words[1]+words[3]-old[3]
	}
	words[0] += r.residual("residual of x %d")
	words[1] += r.residual("residual of z %d")
}

// done reads what ends a frame.
func (r *tracer) done() string {
	r.get(1, "another section: %d")
	if left := 8*len(r.b) - r.at; left > 0 {
		v, shown := r.bits(left)
		r.line(shown, "padding")
		if v != 0 || left > 7 {
			r.t.Errorf("padding of %d bits is %d", left, v)
		}
	}
	return r.String()
}

// TestManualsStateFramesAreRight has the gateway's side of pkg/sync write four frames, reads them by the manual's rules and with pkg/sync, and looks for them in the manuals.
func TestManualsStateFramesAreRight(t *testing.T) {
	w := newStateWorld(t)
	hero, walker := w.state(stateHero, 1000, 2000, 0, 0, 0, 100, 5), w.state(2, 1300, 2400, 16, -8, 940, 40)
	w.src.Spawn(0, 7, 1, hero, 101)
	w.src.Spawn(1, 1000, 2, walker, 101)
	w.src.Enter(stateObserver, 0)
	w.src.Enter(stateObserver, 1)
	w.step()
	first := w.frame()
	after := w.state(2, 1305, 2416, 4, 16, 210, 37) // it turned, then moved, and was pushed aside a little
	w.src.Input(stateObserver, 1)
	w.src.Publish(1, after, ^uint64(0), 102)
	w.src.Publish(0, hero, 0, 102)
	w.step()
	second := w.frame()
	w.src.Leave(stateObserver, 1)
	for range 3 {
		w.src.Publish(0, hero, 0, w.tick+1)
		w.step()
	}
	third := w.frame()
	fourth := w.cross()

	m := &replica.Mirror{}
	if err := m.Use(w.codec, nil); err != nil {
		t.Fatal(err)
	}
	if err := m.OpenZone(0, 1, delta.Params{PositionBits: stateBits}, 100); err != nil {
		t.Fatal(err)
	}
	decode := func(b []byte) {
		if err := m.Decode(b); err != nil {
			t.Fatal(err)
		}
	}
	same := func(what string, index int, words []int64) { sameWords(t, m, what, index, words) }

	r := &tracer{t: t, b: first}
	fmt.Fprintf(r, "frame 1: %x\n", first)
	tick, width, _, enters, _ := r.header(100)
	if enters != 2 {
		t.Fatalf("%d enter", enters)
	}
	a, b := r.enter(width, 0), r.enter(width, 0)
	decode(first)
	same("the Hero enters", 0, a)
	same("the Walker enters", 1, b)
	block := r.done()

	r = &tracer{t: t, b: second}
	fmt.Fprintf(r, "frame 2: %x\n", second)
	tick, width, _, _, _ = r.header(tick)
	b = r.update(width, b)
	decode(second)
	same("the Walker turns", 1, b)
	block += "\n" + r.done()

	r = &tracer{t: t, b: third}
	fmt.Fprintf(r, "frame 3: %x\n", third)
	_, width, leaves, _, _ := r.header(tick)
	if leaves != 1 || r.get(width, "leave: index %d") != 1 {
		t.Error("the Walker does not leave")
	}
	decode(third)
	block += "\n" + r.done()
	if m.Live != 1 {
		t.Errorf("%d entities are left", m.Live)
	}
	block += "\n" + crossing(t, m, fourth)
	standsInTheManuals(t, "the state frames", block)
}

// sameWords compares the base of an entity by pkg/sync with what the manual's rules gave.
func sameWords(t *testing.T, m *replica.Mirror, what string, index int, words []int64) {
	t.Helper()
	for i, v := range words {
		if got := int64(int32(m.Entities[index].Base.W[i])); got != v {
			t.Errorf("%s: word %d is %d by the manual's rules, %d by pkg/sync", what, i, v, got)
		}
	}
}

// crossing reads the frame with which the Hero crosses into the second zone.
func crossing(t *testing.T, m *replica.Mirror, frame []byte) string {
	if err := m.OpenZone(1, stateBeyond, delta.Params{PositionBits: stateBits, OriginX: stateOrigin}, 105); err != nil {
		t.Fatal(err)
	}
	r := &tracer{t: t, b: frame}
	fmt.Fprintf(r, "frame 4: %x\n", frame)
	_, width, _, enters, _ := r.header(105)
	if enters != 1 {
		t.Fatalf("%d enter zone %d", enters, stateBeyond)
	}
	hero := r.enter(width, stateOrigin)
	moved := 0
	m.Move = func(int, *replica.Entity, uint8) { moved++ }
	if err := m.Decode(frame); err != nil {
		t.Fatal(err)
	}
	sameWords(t, m, "the Hero crosses", 0, hero)
	if m.Live != 1 || moved != 1 || m.Entities[0].Zone != 1 {
		t.Errorf("the Hero is not handed over: %d entities, %d moved, row %d", m.Live, moved, m.Entities[0].Zone)
	}
	return r.done()
}
