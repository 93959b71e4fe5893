package replica

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// land is the dumb twin of a world of several zones: entities wander through it, are handed from zone to zone at random, and are seen by clients with
// observers in several zones. It knows at each tick who sees what.
type land struct {
	t     *testing.T
	r     *rand.Rand
	codec *delta.Codec
	tick  uint32
	ids   uint32 // of zones; never used twice
	zones []*place
	all   map[uint64]*wanderer
	list  []*wanderer
	least int // of entities
	seers []*seer
	gates [2]*gate
	way   []*wanderer // handed over in the last tick

	chaos  chaos
	quiet  bool
	lossAt uint32 // tick of the last lost batch
}

// chaos is what a run suffers, as chances of one in so many per tick; 0: never.
type chaos struct {
	skew, stall, lose, snapshot, close, cross, die int
	rows                                           bool // many zones come and go
}

type place struct {
	id     uint32
	src    *batch.Source
	params delta.Params
	slots  []*wanderer
	freed  []uint32 // tick
	lists  map[uint64]bool
	closed bool
	out    []batch.Output
}

type wanderer struct {
	id    uint64
	kind  *delta.KindCodec
	st    deltatest.State
	zone  *place
	from  *place
	to    *place // on its way there
	since uint32 // tick of its arrival
	slot  uint32
	alive bool
}

// gate is a gateway: a replica of each zone, and the batches that are under way to it.
type gate struct {
	id    uint32
	zones map[uint32]*gateZone
}

type gateZone struct {
	rep   *Zone
	queue [][]byte
	lag   int
	lose  int
	asked int
}

type seer struct {
	id      uint64
	gate    *gate
	x, z    int32
	cl      *Client
	m       *Mirror
	rows    []func() // row messages that leave with the next frame
	sees    map[*place]map[uint64]bool
	unseen  map[uint64]uint32 // tick at which it was last out of sight
	entered map[uint64]uint32
	shown   map[uint64]int
	stall   uint32
	moves   int
	refused map[uint32]bool
	heard   func(frame []byte, row *Row, index uint8) // if set: of each frame, and each row
	told    bool                                      // the last frame could speak of every view
}

const landSide = 40000

func newLand(t *testing.T, seed uint64, entities, seers int, c chaos) *land {
	l := &land{t: t, r: rand.New(rand.NewPCG(seed, 77)), codec: deltatest.Codec(), tick: 500, all: map[uint64]*wanderer{}, least: entities, chaos: c}
	for i := range l.gates {
		l.gates[i] = &gate{id: uint32(i + 1), zones: map[uint32]*gateZone{}}
	}
	for range 4 {
		l.open()
	}
	for range entities {
		l.spawn()
	}
	for i := range seers {
		s := &seer{id: uint64(i + 1), gate: l.gates[i%2], cl: NewClient(Config{}), m: newMirror(t, l.codec), sees: map[*place]map[uint64]bool{},
			unseen: map[uint64]uint32{}, entered: map[uint64]uint32{}, shown: map[uint64]int{}, refused: map[uint32]bool{}}
		s.x, s.z = l.r.Int32N(landSide), l.r.Int32N(landSide)
		s.m.Enter = func(_ int, e *Entity) { l.appeared(s, e.ID) }
		s.m.Leave = func(_ int, e *Entity) { l.vanished(s, e.ID) }
		s.m.Move = func(int, *Entity, uint8) { s.moves++ }
		l.seers = append(l.seers, s)
	}
	return l
}

// open adds a zone: anywhere in the world, for hand-overs are at random.
func (l *land) open() {
	l.ids++
	p := &place{id: l.ids, lists: map[uint64]bool{}}
	p.params = delta.Params{PositionBits: 18, OriginX: -l.r.Int32N(100000), OriginZ: -l.r.Int32N(100000)}
	p.src = batch.NewSource(p.id, 1, l.codec, p.params)
	l.zones = append(l.zones, p)
	for _, g := range l.gates {
		p.src.AttachGateway(g.id)
		gz := &gateZone{rep: NewZone(p.id, 1, l.codec, p.params)}
		gz.rep.Strange = func(observer uint64) { l.look(g, gz, observer) }
		g.zones[p.id] = gz
	}
}

// look is what a gateway does about an observer that it has no view for.
func (l *land) look(g *gate, gz *gateZone, observer uint64) {
	for _, s := range l.seers {
		if s.id != observer || s.gate != g {
			continue
		}
		row, tick, ok := s.cl.Open(gz.rep, observer)
		if !ok {
			s.refused[gz.rep.ID] = true
			return
		}
		if s.refused[gz.rep.ID] { // what it had to see in between was not noted
			delete(s.refused, gz.rep.ID)
			for _, p := range l.zones {
				if p.id == gz.rep.ID {
					p.src.RequestSnapshot(g.id)
				}
			}
		}
		s.cl.Hold(row)
		s.rows = append(s.rows, func() {
			if err := s.m.OpenZone(row, gz.rep.ID, gz.rep.Params, tick); err != nil {
				l.t.Fatalf("tick %d: client %d: %v", l.tick, s.id, err)
			}
			if s.heard != nil {
				s.heard(nil, &s.m.Rows[row], row)
			}
		})
	}
}

func (l *land) chance(n int) bool { return n > 0 && !l.quiet && l.r.IntN(n) == 0 }

func (l *land) spawn() {
	w := &wanderer{zone: l.zones[l.r.IntN(len(l.zones))], alive: true, kind: l.codec.Kind(1 + uint16(l.r.IntN(2)))}
	w.st = deltatest.State{X: l.r.Int32N(landSide), Z: l.r.Int32N(landSide), HP: 100}
	w.id = uint64(w.zone.id-1)<<32 | uint64(len(l.all)+1)
	l.all[w.id] = w
	l.list = append(l.list, w)
	l.settleIn(w)
}

// settleIn gives an entity a slot of its zone, often one that was another's a tick ago.
func (l *land) settleIn(w *wanderer) {
	p := w.zone
	w.since = l.tick
	w.slot = uint32(len(p.slots))
	for i, other := range p.slots {
		if other == nil && p.freed[i] != l.tick {
			w.slot = uint32(i)
			break
		}
	}
	if int(w.slot) == len(p.slots) {
		p.slots, p.freed = append(p.slots, nil), append(p.freed, 0)
	}
	p.slots[w.slot] = w
	p.src.Spawn(w.slot, w.id, w.kind.Kind.ID, w.st.Record(w.kind), l.tick)
}

func (l *land) vacate(w *wanderer) {
	w.zone.slots[w.slot], w.zone.freed[w.slot] = nil, l.tick
}

func (l *land) step() {
	l.tick++
	l.arrive()
	if l.chance(l.chaos.close) && len(l.zones) > 2 {
		l.closeZone(l.zones[l.r.IntN(len(l.zones))])
	}
	if len(l.zones) < 4 || l.chaos.rows && len(l.zones) < 24 && l.chance(5) {
		l.open()
	}
	for _, w := range slices.Clone(l.list) {
		l.live(w)
	}
	l.list = slices.DeleteFunc(l.list, func(w *wanderer) bool { return !w.alive })
	for len(l.list) < l.least {
		l.spawn()
	}
	for _, s := range l.seers {
		l.watch(s)
	}
	for _, p := range l.zones {
		for slot, w := range p.slots {
			if w != nil {
				p.src.Publish(uint32(slot), w.st.Record(w.kind), deltatest.All, l.tick)
			}
		}
		p.out = p.src.Finish(l.tick, p.out[:0])
		for _, o := range p.out {
			gz := l.gates[o.Gateway-1].zones[p.id]
			gz.queue = append(gz.queue, bytes.Clone(o.Bytes))
		}
	}
	for _, g := range l.gates {
		l.deliver(g)
	}
	for _, s := range l.seers {
		l.frame(s)
	}
}

// arrive takes what was handed over in the tick before into its new zone.
func (l *land) arrive() {
	way := l.way
	l.way = nil
	for _, w := range way {
		if w.zone, w.to = w.to, nil; w.zone.closed {
			w.alive = false
			continue
		}
		l.settleIn(w)
	}
}

func (l *land) live(w *wanderer) {
	switch {
	case w.to != nil || !w.alive || w.since == l.tick: // a hand-over takes a tick
		return
	case l.chance(l.chaos.die):
		w.zone.src.Despawn(w.slot)
		l.vacate(w)
		w.alive = false
		return
	case l.chance(l.chaos.cross), l.chaos.cross > 0 && l.tick-w.since < 3 && l.chance(4): // often back at once
		to := l.zones[l.r.IntN(len(l.zones))]
		if w.from != nil && !w.from.closed && l.r.IntN(2) == 0 {
			to = w.from
		}
		if to != w.zone {
			w.zone.src.Depart(w.slot, to.id, 1)
			l.vacate(w)
			w.from, w.to = w.zone, to
			l.way = append(l.way, w)
			return
		}
	case l.chance(15):
		w.st.VX, w.st.VZ, w.st.Yaw = l.r.Int32N(161)-80, l.r.Int32N(161)-80, l.r.Uint32N(1024)
	}
	move := func(p, v *int32) {
		if *p += *v; *p < 0 || *p >= landSide {
			*p, *v = max(0, min(*p, landSide-1)), 0
		}
	}
	move(&w.st.X, &w.st.VX)
	move(&w.st.Z, &w.st.VZ)
}

func (l *land) closeZone(p *place) {
	for _, w := range p.slots {
		if w == nil {
			continue
		}
		w.alive = false
	}
	p.closed = true
	l.zones = slices.DeleteFunc(l.zones, func(x *place) bool { return x == p })
	for _, s := range l.seers {
		for id := range s.sees[p] {
			s.unseen[id] = l.tick
		}
		delete(s.sees, p)
	}
	for _, g := range l.gates {
		for _, b := range g.zones[p.id].queue { // messages do not overtake batches
			_ = g.zones[p.id].rep.Apply(b)
		}
		g.zones[p.id].rep.Close()
		delete(g.zones, p.id)
	}
}

// watch moves a client's eyes: it has observers in most zones, and sees what is near in those.
func (l *land) watch(s *seer) {
	if !l.quiet {
		s.x, s.z = max(0, min(landSide, s.x+l.r.Int32N(400)-200)), max(0, min(landSide, s.z+l.r.Int32N(400)-200))
	}
	for _, p := range l.zones {
		if l.quiet && s.refused[p.id] { // what was refused a row is asked for again when it is named again
			p.src.Input(s.id, l.tick)
		}
		if has := p.lists[s.id]; !has && l.r.IntN(20) == 0 && !(l.quiet && l.chaos.rows) {
			p.lists[s.id] = true
			p.src.AddObserver(s.id, s.gate.id)
			s.sees[p] = map[uint64]bool{}
		} else if has && (l.chance(300) || l.quiet && len(s.sees) > maxZones) {
			p.lists[s.id] = false
			p.src.RemoveObserver(s.id)
			delete(s.sees, p)
		}
		sees := s.sees[p]
		for id := range sees {
			if w := l.all[id]; !w.alive || w.zone != p || w.to != nil || far(s, w) > leaveR {
				p.src.Leave(s.id, w.slot)
				delete(sees, id)
			}
		}
		for slot, w := range p.slots {
			if w != nil && sees != nil && !sees[w.id] && far(s, w) <= enterR {
				p.src.Enter(s.id, uint32(slot))
				sees[w.id] = true
			}
		}
	}
	for _, w := range l.list {
		if w.to == nil && !s.sees[w.zone][w.id] {
			s.unseen[w.id] = l.tick
		}
	}
}

func far(s *seer, w *wanderer) int32 {
	dx, dz := w.st.X-s.x, w.st.Z-s.z
	return max(dx, -dx, dz, -dz)
}

// deliver gives a gateway the batches that have reached it, in the order of each zone; zones may lag, and batches be lost.
func (l *land) deliver(g *gate) {
	for _, p := range l.zones {
		gz := g.zones[p.id]
		if l.chance(l.chaos.skew) {
			gz.lag = l.r.IntN(6)
		}
		if l.chance(l.chaos.lose) {
			gz.lose = 1 + l.r.IntN(8)
		}
		if l.chance(l.chaos.snapshot) {
			p.src.RequestSnapshot(g.id)
		}
		if l.quiet {
			gz.lag, gz.lose = 0, 0
		}
		for len(gz.queue) > gz.lag {
			b := gz.queue[0]
			gz.queue = gz.queue[1:]
			if gz.lose > 0 {
				gz.lose--
				l.lossAt = l.tick
				continue
			}
			switch err := gz.rep.Apply(b); {
			case err == nil:
				gz.asked = 0
			case errors.Is(err, ErrGap):
				l.lossAt = l.tick
				if gz.asked++; gz.asked%10 == 1 { // the answer may be lost, too
					p.src.RequestSnapshot(g.id)
				}
			default:
				l.t.Fatalf("tick %d: zone %d: %v", l.tick, p.id, err)
			}
		}
	}
}

func (l *land) frame(s *seer) {
	if l.chance(l.chaos.stall) {
		s.stall = l.tick + 5 + l.r.Uint32N(60)
	}
	if l.quiet {
		s.stall = 0
	}
	if l.tick >= s.stall && s.m.Frames != s.cl.echoed {
		if !s.cl.Echo(s.m.Frames, l.tick) {
			l.t.Fatalf("tick %d: an echo of client %d was refused", l.tick, s.id)
		}
	}
	var bw delta.Writer
	paused := s.cl.Paused(l.tick)
	s.told = !slices.ContainsFunc(s.cl.views, func(v *view) bool { return v.untold })
	if _, ok := s.cl.Frame(&bw, l.tick); ok {
		if err := s.m.Decode(bw.Bytes()); err != nil {
			l.t.Fatalf("tick %d: client %d: %v", l.tick, s.id, err)
		}
		if s.heard != nil {
			s.heard(bw.Bytes(), nil, 0)
		}
	}
	for _, told := range s.rows { // a record: the frame, then messages
		told()
	}
	if s.rows = s.rows[:0]; true {
		s.cl.Told()
	}
	ids := map[uint64]bool{}
	for i := range s.m.Entities {
		if e := &s.m.Entities[i]; e.Live {
			if ids[e.ID] {
				l.t.Fatalf("tick %d: client %d has entity %d twice", l.tick, s.id, e.ID)
			}
			ids[e.ID] = true
		}
	}
	if !paused && l.caughtUp(s) {
		l.check(s, 12)
	}
}

// caughtUp tells whether the client's gateway has every batch, and the client every row.
func (l *land) caughtUp(s *seer) bool {
	for _, p := range l.zones {
		gz := s.gate.zones[p.id]
		if (s.sees[p] != nil || gz.rep.views[s.id] != nil) && (!gz.rep.ready || gz.rep.tick != l.tick || s.refused[p.id]) {
			return false
		}
	}
	return s.told
}

// check compares a mirror with the truth. What departed may be shown for a few ticks more, what has just come to a zone whose row is new may be missing for one.
func (l *land) check(s *seer, grace uint32) {
	shown := map[uint64]bool{}
	for i := range s.m.Entities {
		e := &s.m.Entities[i]
		if !e.Live {
			continue
		}
		shown[e.ID] = true
		w := l.all[e.ID]
		if w == nil || !w.alive || w.to != nil || !s.sees[w.zone][e.ID] {
			if w == nil || grace == 0 || l.tick-s.entered[e.ID] < grace && l.chaos.cross == 0 {
				l.t.Fatalf("tick %d: client %d shows entity %d, which it does not see (%+v)", l.tick, s.id, e.ID, w)
			}
			if s.shown[e.ID]++; s.shown[e.ID] > int(grace) {
				l.t.Fatalf("tick %d: client %d goes on showing entity %d, which it does not see (%+v)", l.tick, s.id, e.ID, w)
			}
			continue
		}
		delete(s.shown, e.ID)
		row := s.m.Rows[e.Zone]
		if got := deltatest.StateOf(e.Codec, &e.Base, l.tick); !got.Equal(w.st) || e.Kind != w.kind.Kind.ID || row.Zone != w.zone.id {
			l.t.Fatalf("tick %d: client %d shows entity %d at %+v of zone %d, it is at %+v of zone %d", l.tick, s.id, e.ID, got, row.Zone, w.st, w.zone.id)
		}
	}
	for p, sees := range s.sees {
		for id := range sees {
			if !shown[id] && !p.closed && l.tick-s.unseen[id] > 3 {
				l.t.Fatalf("tick %d: client %d does not show entity %d of zone %d, which it sees", l.tick, s.id, id, p.id)
			}
		}
	}
}

func (l *land) appeared(s *seer, id uint64) {
	l.crossed(s, id, "enters")
	s.entered[id] = l.tick
	delete(s.shown, id)
}

func (l *land) vanished(s *seer, id uint64) {
	if w := l.all[id]; w.alive {
		l.crossed(s, id, "leaves")
	}
	s.unseen[id] = max(s.unseen[id], s.entered[id]) // whatever the reason was, it may enter again
	s.entered[id] = 0
}

// crossed refuses an entity that comes or goes at a client that had it in sight all the time. Where batches were lost, so may have been the departure.
func (l *land) crossed(s *seer, id uint64, what string) {
	const lag = 8 // of zones at a gateway
	if l.lossAt != 0 && l.tick-l.lossAt < 90 {
		return
	}
	since := s.entered[id]
	if what == "enters" || since == 0 {
		return
	}
	if s.unseen[id]+lag < since {
		l.t.Fatalf("tick %d: entity %d %s at client %d, which has it since tick %d and last did not see it at tick %d (%+v)", l.tick, id, what, s.id, since, s.unseen[id], l.all[id])
	}
}

func (l *land) settle() {
	l.quiet = true
	for range 60 {
		for _, w := range l.list {
			w.st.VX, w.st.VZ = 0, 0
		}
		l.step()
	}
	for range 3 {
		l.step()
		for _, s := range l.seers {
			if !l.caughtUp(s) {
				l.t.Fatalf("client %d is not caught up", s.id)
			}
			l.check(s, 0)
		}
	}
}

func TestMirrorEqualsTheUnionOfItsZonesViews(t *testing.T) {
	ticks := 800
	if testing.Short() {
		ticks = 400
	}
	for _, c := range []struct {
		name  string
		chaos chaos
	}{
		{"in step", chaos{cross: 60, die: 500}},
		{"zones lag", chaos{cross: 40, die: 500, skew: 6}},
		{"clients pause", chaos{cross: 40, die: 300, skew: 10, stall: 60}},
		{"snapshots", chaos{cross: 40, die: 300, skew: 10, stall: 100, snapshot: 30}},
		{"batches are lost", chaos{cross: 40, die: 300, skew: 10, stall: 100, snapshot: 100, lose: 60}},
		{"zones close", chaos{cross: 40, die: 300, skew: 10, stall: 100, snapshot: 100, lose: 100, close: 40}},
		{"more zones than rows", chaos{cross: 40, die: 300, skew: 10, stall: 100, snapshot: 100, lose: 200, close: 100, rows: true}},
	} {
		for seed := range uint64(2) {
			t.Run(fmt.Sprintf("%s/seed=%d", c.name, seed), func(t *testing.T) {
				l := newLand(t, seed, 80, 6, c.chaos)
				for range ticks {
					l.step()
				}
				moves := 0
				for _, s := range l.seers {
					moves += s.moves
				}
				if moves < ticks/20 {
					t.Errorf("%d moves in %d ticks: nothing crossed in sight", moves, ticks)
				}
				l.settle()
			})
		}
	}
}
