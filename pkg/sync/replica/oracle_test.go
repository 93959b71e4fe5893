package replica

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// world is the dumb twin: it moves entities, sees by brute force, and knows the truth that every mirror must show.
type world struct {
	t        *testing.T
	r        *rand.Rand
	src      *batch.Source
	codec    *delta.Codec
	kind     []*delta.KindCodec
	rec      delta.Record
	tick     uint32
	side     int32
	alive    []bool
	id       []uint64
	st       []deltatest.State
	freed    []uint32 // tick at which the slot was emptied
	nextID   uint64
	clients  []*player
	gateways map[uint32]*edge
	quiet    bool
	out      []batch.Output
}

type edge struct {
	zone   *Zone
	behind int // ticks for which the gateway does not read: its batches are lost
	asked  bool
}

type player struct {
	id     uint64
	gw     uint32
	avatar int
	cl     *Client
	m      *Mirror
	sees   map[int]bool
	echoes []echo
	delay  uint32
	lazy   bool   // echoes every second frame only
	stall  uint32 // no echo before this tick
	input  uint32
}

type echo struct {
	at uint32
	n  uint16
}

func newMirror(t *testing.T, c *delta.Codec) *Mirror {
	m := &Mirror{}
	if err := m.Use(c, nil); err != nil {
		t.Fatal(err)
	}
	return m
}

const enterR, leaveR = 16000, 17600

func newWorld(t *testing.T, seed uint64, n, players int, cfg Config) *world {
	w := &world{t: t, r: rand.New(rand.NewPCG(seed, 9)), tick: 100, side: 60000, gateways: map[uint32]*edge{}, codec: deltatest.Codec(), kind: make([]*delta.KindCodec, n)}
	w.src = batch.NewSource(7, 3, w.codec, w.params())
	w.alive, w.id, w.st, w.freed = make([]bool, n), make([]uint64, n), make([]deltatest.State, n), make([]uint32, n)
	for i := range n {
		w.spawn(i)
	}
	for g := uint32(1); g <= 2; g++ {
		w.gateways[g] = &edge{zone: NewZone(7, 3, w.codec, w.params())}
		w.src.AttachGateway(g)
	}
	for i := range players {
		w.join(uint64(i+1), i, cfg)
	}
	return w
}

func (w *world) params() delta.Params { return delta.Params{PositionBits: delta.BitsFor(w.side)} }

func (w *world) join(id uint64, avatar int, cfg Config) {
	p := &player{id: id, gw: 1 + uint32(id%2), avatar: avatar, cl: NewClient(cfg), m: newMirror(w.t, w.codec), sees: map[int]bool{}, delay: 1 + uint32(w.r.IntN(4)), lazy: w.r.IntN(2) == 0}
	w.src.AddObserver(id, p.gw)
	index, tick, _ := p.cl.Open(w.gateways[p.gw].zone, id)
	if err := p.m.OpenZone(index, 7, w.params(), tick); err != nil {
		w.t.Fatal(err)
	}
	w.clients = append(w.clients, p)
}

func (w *world) spawn(i int) {
	w.nextID++
	w.alive[i], w.id[i] = true, w.nextID
	if w.nextID%5 == 0 {
		w.id[i] |= 1 << 40
	}
	w.st[i] = deltatest.State{X: w.r.Int32N(w.side), Z: w.r.Int32N(w.side), Yaw: w.r.Uint32N(1024), HP: 100}
	w.kind[i] = w.codec.Kind(1 + uint16(w.r.IntN(int(deltatest.Plain))))
	if w.r.IntN(4) == 0 {
		w.kind[i] = w.codec.Kind(deltatest.Bearer)
	}
	w.src.Spawn(uint32(i), w.id[i], w.kind[i].Kind.ID, w.st[i].Record(w.kind[i]), w.tick)
}

func (w *world) move(i int) {
	s := &w.st[i]
	if !w.quiet && w.r.IntN(20) == 0 {
		s.VX, s.VZ, s.Yaw = w.r.Int32N(161)-80, w.r.Int32N(161)-80, w.r.Uint32N(1024)
	}
	if !w.quiet && w.r.IntN(100) == 0 {
		s.HP = w.r.Int32N(1000)
	}
	if !w.quiet && w.kind[i].Kind.ID == deltatest.Bearer && w.r.IntN(40) == 0 {
		s.Title = strings.Repeat("x", w.r.IntN(20))
		for len(s.Items) > 0 && w.r.IntN(2) == 0 {
			s.Items = slices.Delete(slices.Clone(s.Items), 0, 1)
		}
		for len(s.Items) < 60 && w.r.IntN(2) == 0 {
			s.Items = slices.Insert(slices.Clone(s.Items), w.r.IntN(len(s.Items)+1), w.r.Uint32())
		}
	}
	if !w.quiet && w.r.IntN(500) == 0 { // teleport
		s.X, s.Z = w.r.Int32N(w.side), w.r.Int32N(w.side)
	}
	clamp := func(p, v *int32) {
		if *p += *v; *p < 0 {
			*p, *v = 0, 0
		} else if *p >= w.side {
			*p, *v = w.side-1, 0
		}
	}
	clamp(&s.X, &s.VX)
	clamp(&s.Z, &s.VZ)
}

func (w *world) step() {
	w.tick++
	for i := range w.st {
		switch {
		case w.alive[i] && !w.quiet && w.r.IntN(300) == 0:
			w.alive[i], w.freed[i] = false, w.tick
			w.src.Despawn(uint32(i))
		case !w.alive[i] && w.freed[i] != w.tick && (w.quiet || w.r.IntN(2) == 0): // often on the very next tick
			w.spawn(i)
		case w.alive[i]:
			w.move(i)
		}
	}
	for _, p := range w.clients {
		w.look(p)
		if w.r.IntN(3) == 0 {
			p.input += uint32(w.r.IntN(5))
			w.src.Input(p.id, p.input)
		}
	}
	for i := range w.st {
		if w.alive[i] {
			w.rec = delta.Record{}
			w.st[i].Into(w.kind[i], &w.rec)
			w.src.Publish(uint32(i), &w.rec, deltatest.All, w.tick)
		}
	}
	w.out = w.src.Finish(w.tick, w.out[:0])
	for _, o := range w.out {
		w.deliver(w.gateways[o.Gateway], o)
	}
	for _, p := range w.clients {
		w.frame(p)
	}
}

func (w *world) look(p *player) {
	for slot := range p.sees {
		if !w.alive[slot] || w.dist2(p.avatar, slot) > leaveR*leaveR {
			w.src.Leave(p.id, uint32(slot))
			delete(p.sees, slot)
		}
	}
	for slot := range w.st {
		if w.alive[slot] && !p.sees[slot] && w.dist2(p.avatar, slot) <= enterR*enterR {
			w.src.Enter(p.id, uint32(slot))
			p.sees[slot] = true
		}
	}
}

func (w *world) dist2(a, b int) int64 {
	dx, dz := int64(w.st[a].X-w.st[b].X), int64(w.st[a].Z-w.st[b].Z)
	return dx*dx + dz*dz
}

func (w *world) deliver(g *edge, o batch.Output) {
	if g.behind > 0 {
		g.behind--
		return
	}
	switch err := g.zone.Apply(o.Bytes); err {
	case nil:
		g.asked = false
	case ErrGap:
		if !g.asked {
			w.src.RequestSnapshot(o.Gateway)
			g.asked = true
		}
	default:
		w.t.Fatalf("tick %d: apply: %v", w.tick, err)
	}
}

func (w *world) frame(p *player) {
	if w.tick >= p.stall {
		for len(p.echoes) > 0 && int32(w.tick-p.echoes[0].at) >= 0 {
			if !p.cl.Echo(p.echoes[0].n, w.tick) {
				w.t.Fatalf("tick %d: echo %d of client %d refused", w.tick, p.echoes[0].n, p.id)
			}
			p.echoes = p.echoes[1:]
		}
	}
	var bw delta.Writer
	paused := p.cl.Paused(w.tick)
	_, sent := p.cl.Frame(&bw, w.tick)
	if sent {
		if n, most := len(bw.Bytes()), p.cl.cfg.MaxFrame+(maxEnterBits+4200)/8; n > most {
			w.t.Fatalf("tick %d: a frame of %d bytes, the bound and one entity are %d", w.tick, n, most)
		}
		if err := p.m.Decode(bw.Bytes()); err != nil {
			w.t.Fatalf("tick %d: client %d: %v", w.tick, p.id, err)
		}
		if !p.lazy || p.m.Frames%2 == 0 {
			p.echoes = append(p.echoes, echo{w.tick + p.delay, p.m.Frames})
		}
	}
	if z := w.gateways[p.gw].zone; !paused && z.Ready() && z.Tick() == w.tick && p.cl.cfg.MaxFrame >= 32<<10 {
		w.check(p) // a silent tick, too, asserts "as predicted"
	}
}

// check compares the mirror with the truth: the same entities, each exactly where the zone has it.
func (w *world) check(p *player) {
	live := 0
	for i := range p.m.Entities {
		e := &p.m.Entities[i]
		if !e.Live {
			continue
		}
		live++
		slot := -1
		for s := range w.id {
			if w.id[s] == e.ID && w.alive[s] {
				slot = s
			}
		}
		if slot < 0 || !p.sees[slot] {
			w.t.Fatalf("tick %d: client %d shows entity %d, which it does not see (slot %d)", w.tick, p.id, e.ID, slot)
		}
		if got := deltatest.StateOf(e.Codec, &e.Base, w.tick); !got.Equal(w.st[slot]) || e.Kind != w.kind[slot].Kind.ID {
			w.t.Fatalf("tick %d: client %d shows entity %d at %+v, it is at %+v (base %d)", w.tick, p.id, e.ID, got, w.st[slot], e.Base.Tick)
		}
	}
	if live != len(p.sees) || live != p.m.Live {
		w.t.Fatalf("tick %d: client %d shows %d entities (counted %d), it sees %d", w.tick, p.id, live, p.m.Live, len(p.sees))
	}
	if row := p.m.Rows[0]; row.Input != p.input && row.Tick == w.tick {
		w.t.Fatalf("tick %d: client %d is told input %d, applied was %d", w.tick, p.id, row.Input, p.input)
	}
}

func (w *world) chaos(cfg Config) {
	for _, p := range w.clients {
		if w.r.IntN(400) == 0 {
			p.stall = w.tick + 5 + uint32(w.r.IntN(60))
		}
	}
	if w.r.IntN(150) == 0 {
		w.gateways[1+w.r.Uint32N(2)].behind = 1 + w.r.IntN(12)
	}
	if w.r.IntN(60) == 0 { // a client's connection is cut; it comes back with a new mirror, perhaps at the other gateway
		i := w.r.IntN(len(w.clients))
		p := w.clients[i]
		w.src.RemoveObserver(p.id)
		p.cl.Close()
		w.clients = append(w.clients[:i], w.clients[i+1:]...)
		w.join(p.id+100, p.avatar, cfg)
	}
	if w.r.IntN(400) == 0 { // a gateway dies with all its clients, and comes back empty
		g := 1 + w.r.Uint32N(2)
		w.src.DetachGateway(g)
		w.gateways[g] = &edge{zone: NewZone(7, 3, w.codec, w.params())}
		w.src.AttachGateway(g)
		old := w.clients
		w.clients = nil
		for _, p := range old {
			if p.gw != g {
				w.clients = append(w.clients, p)
			}
		}
		for _, p := range old {
			if p.gw == g {
				w.join(p.id+200, p.avatar, cfg)
			}
		}
	}
}

func TestMirrorEqualsTheZonesViewWhateverHappens(t *testing.T) {
	rounds, ticks := 6, 1500
	if testing.Short() {
		rounds, ticks = 2, 500
	}
	for seed := range rounds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			w := newWorld(t, uint64(seed), 150, 12, Config{})
			for range ticks {
				w.step()
				w.chaos(Config{})
			}
			w.settle()
		})
	}
}

func TestMirrorIsExactOnceQuietEvenWithTinyFrames(t *testing.T) {
	cfg := Config{MaxFrame: 60}
	w := newWorld(t, 42, 150, 8, cfg)
	for range 400 {
		w.step()
		w.chaos(cfg)
	}
	w.settle()
}

// settle lets the world fall silent and then demands exactness of everyone.
func (w *world) settle() {
	w.quiet = true
	for i := range w.st {
		w.st[i].VX, w.st[i].VZ = 0, 0
	}
	for _, g := range w.gateways {
		g.behind = 0
	}
	for range 300 {
		w.step()
	}
	for _, p := range w.clients {
		w.check(p)
	}
}

func TestClientThatNeverEchoesCostsNothingAndCatchesUpInOneFrame(t *testing.T) {
	w := newWorld(t, 5, 150, 2, Config{})
	p := w.clients[0]
	for range 50 {
		w.step()
	}
	p.stall = 1 << 31
	for range 50 {
		w.step()
	}
	frames := p.m.Frames
	for range 2000 {
		w.step()
	}
	if p.m.Frames != frames {
		t.Fatalf("%d frames were built for a client that reads nothing", p.m.Frames-frames)
	}
	v := p.cl.views[0]
	if len(v.slot) > 150 || len(v.gone) > 150 {
		t.Fatalf("a stalled client holds %d wanted and %d gone entities of a world of 150", len(v.slot), len(v.gone))
	}
	p.stall = 0
	w.step()
	w.check(p)
	if p.m.Frames != frames+1 {
		t.Errorf("catching up took %d frames, want 1", p.m.Frames-frames)
	}
}

func TestQuietWorldKeepsTalkingToAClientThatEchoesEverySecondFrame(t *testing.T) {
	w := newWorld(t, 6, 30, 4, Config{})
	for range 300 {
		w.step()
	}
	w.quiet = true
	for i := range w.st {
		w.st[i].VX, w.st[i].VZ = 0, 0
	}
	for range 50 {
		w.step()
	}
	for _, p := range w.clients {
		p.lazy = true
		before := p.m.Frames
		for range 400 {
			w.step()
		}
		if got := p.m.Frames - before; got < 60 {
			t.Errorf("client %d got %d frames in 400 quiet ticks, want one in five", p.id, got)
		}
	}
}

func TestViewsBeyondEveryBoundAreServedPieceByPiece(t *testing.T) {
	const n = maxIndex + 1 + 500
	l, codec := delta.Params{PositionBits: 20}, deltatest.Codec()
	src := batch.NewSource(1, 1, codec, l)
	src.AttachGateway(1)
	src.AddObserver(9, 1)
	z := NewZone(1, 1, codec, l)
	c, m := NewClient(Config{}), newMirror(t, codec)
	tick, frames, biggest := uint32(0), 0, 0
	step := func() {
		tick++
		if err := z.Apply(src.Finish(tick, nil)[0].Bytes); err != nil {
			t.Fatal(err)
		}
		var w delta.Writer
		if _, ok := c.Frame(&w, tick); ok {
			frames++
			biggest = max(biggest, len(w.Bytes()))
			if err := m.Decode(w.Bytes()); err != nil {
				t.Fatal(err)
			}
			c.Echo(m.Frames, tick)
		}
	}
	index, first, _ := c.Open(z, 9)
	if err := m.OpenZone(index, 1, l, first); err != nil {
		t.Fatal(err)
	}
	for i := range uint32(n) {
		src.Spawn(i, uint64(i)+1, 1, deltatest.State{}.Record(codec.Kind(1)), 1)
		src.Enter(9, i)
	}
	for range 60 {
		step()
	}
	if m.Live != maxIndex+1 {
		t.Fatalf("%d entities live, want as many as there are indices", m.Live)
	}
	frames = 0
	for range 100 {
		step()
	}
	if frames > 21 {
		t.Errorf("%d frames in 100 ticks in which nothing could be said", frames)
	}
	for i := range uint32(n) { // everything leaves while the client is paused, and comes again, and leaves for good
		src.Leave(9, i)
	}
	step()
	for i := range uint32(n) {
		src.Enter(9, i)
	}
	step()
	for i := range uint32(n) {
		src.Leave(9, i)
	}
	for range 60 {
		step()
	}
	if m.Live != 0 || biggest > 33<<10 {
		t.Errorf("%d entities are left, the biggest frame had %d bytes", m.Live, biggest)
	}
}

func TestAppliedInputIsToldAtOnce(t *testing.T) {
	w := newWorld(t, 8, 5, 1, Config{})
	w.quiet = true
	for range 20 {
		w.step()
	}
	p := w.clients[0]
	w.src.Input(p.id, 4_000_000)
	p.input = 4_000_000
	w.clients = nil // not moved by the world's own chance
	w.step()
	w.clients = []*player{p}
	w.frame(p)
	if got := p.m.Rows[0].Input; got != 4_000_000 {
		t.Errorf("the client is told input %d in the tick in which 4000000 was applied", got)
	}
}

func TestNoAllocationsPerClientTick(t *testing.T) {
	w := newWorld(t, 11, 150, 1, Config{})
	for range 200 {
		w.step()
	}
	p := w.clients[0]
	var bw delta.Writer
	frame := func() {
		z := w.gateways[p.gw].zone
		for slot := range z.latest { // everything moved
			if z.ents[slot].known {
				pub := z.ents[slot].pub(z.latest[slot])
				next := z.next(uint32(slot), &pub)
				z.ents[slot].ticks[z.latest[slot]%keep] = z.tick
				next.W[2]++ // the velocity
			}
		}
		p.cl.Frame(&bw, w.tick)
		p.cl.Echo(p.cl.echoed+uint16(p.cl.out), w.tick)
	}
	for range 3 * keep { // every place of the ring has its room
		frame()
	}
	if n := testing.AllocsPerRun(50, frame); n != 0 {
		t.Errorf("%v allocations per client and tick, want 0", n)
	}
}
