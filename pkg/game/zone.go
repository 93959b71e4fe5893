package game

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
	"github.com/tianxia-mmo/tianxia/pkg/game/movement"
	"github.com/tianxia-mmo/tianxia/pkg/game/tables"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// Zone is a rectangle of the world, or an instance.
type Zone struct {
	// Data is the game's own state of this zone; Setup sets it, and handlers find it here.
	Data any

	// Rand is the zone's chance, seeded by Config.Seed: handlers and systems use no other.
	Rand *rand.Rand

	game    *Game
	cfg     Config
	tick    uint32
	codec   *delta.Codec
	quantum float64 // of positions, in the schema's units
	routes  *protocol.Routes
	tables  *tables.Set
	pcg     *rand.PCG
	shed    uint32 // level of shedding

	// Who may change it, see open and own.
	stepping atomic.Bool
	owner    uint64 // goroutine of the step
	uses     uint64
	trace    [64]byte // goroutine's
	held     bool     // open outside of steps too: tests

	// Entities.
	kinds     map[Kind]*kind
	kindOrder []*kind
	ents      []entity
	slots     map[EntityID]uint32
	free      []uint32
	lastID    EntityID
	nth       uint64 // spawns and arrivals so far
	thinned   []*kind
	parents   []Entity // that have children
	dying     []Entity

	spawned, despawned []uint32

	// Where it is, world quanta: its rectangle, where its entities may be, and beyond what they are handed over.
	rect, bounds, keeps rect
	neighbours          []Neighbour
	crossing            []Entity // beyond keeps, or transferred
	party               []Entity // pack's
	watched             bool     // a neighbour may show something to a player of this zone

	// Who sees.
	space    interest
	slotOf   []uint32  // by handle of an entity
	observer []*Player // by handle of an observer
	src      *batch.Source
	gateways []uint32
	blinded  []*Player // lost an observer in this tick, while they had a connection
	owners   []*Player // have another avatar, or another connection, since the last tick
	layers   layers

	// Players.
	players  []*Player // in order of joining, with those who have left while this tick's inputs are taken
	sessions map[SessionID]*Player
	byID     map[uint64]*Player // the session of each player's account; 0, of nobody, is not there
	visitors []*Player          // of other zones, whose views touch this one; in order of coming
	visiting map[SessionID]*Player

	// What happens later, and who waits.
	systems    []*system
	serial     uint64 // numbers alarms, replies, futures
	alarms     alarms
	swept      int // alarms that were left by the last sweep
	replies    map[uint64]pendingReply
	futures    map[uint64]*future
	faults     map[faultKey]*fault
	faultOrder []faultKey
	history    *movement.History
	handlers   map[uint16]*handler // the game's, and the commands of any game

	out   Outputs
	taken bool // the outputs are those of a step that is over
	stats Stats

	// Scratch.
	dead   []uint32
	near   []near
	hits   []aoi.Handle            // of queries under way, those of inner ones behind those of outer ones
	note   func(h aoi.Handle) bool // appends to hits; made once: given to an interface it would be allocated each time
	found  []Entity
	chance []byte
	hashed []byte
}

// Stats counts what a zone did since it was made.
type Stats struct {
	Refused     uint64 // messages, joins and hand-overs that were refused
	Panics      uint64 // calls of the game's code that panicked
	Quarantined int    // handlers, systems and timers that are switched off now
	LateReplies uint64 // deferred replies that were not given in time, or given for nothing
	Timeouts    uint64 // results of work and calls that did not come in time
	Dropped     uint64 // results whose player had left
	Denied      uint64 // uses of commands without the right that were not audited, because the same player had tried often
	Departures  uint64 // entities that were handed over to other zones
	Arrivals    uint64
	Shed        ShedStats
	batch.Stats
}

// Add adds what another zone counted. The level of shedding becomes the higher one.
func (s *Stats) Add(o *Stats) {
	s.Refused += o.Refused
	s.Panics += o.Panics
	s.Quarantined += o.Quarantined
	s.LateReplies += o.LateReplies
	s.Timeouts += o.Timeouts
	s.Dropped += o.Dropped
	s.Denied += o.Denied
	s.Departures += o.Departures
	s.Arrivals += o.Arrivals
	s.Shed.Level = max(s.Shed.Level, o.Shed.Level)
	s.Shed.Systems += o.Shed.Systems
	s.Shed.Visits += o.Shed.Visits
	s.Shed.Interest += o.Shed.Interest
	s.Publications += o.Publications
	s.Fragments += o.Fragments
	s.BatchBytes += o.BatchBytes
	s.Events += o.Events
	s.EventsDropped += o.EventsDropped
}

// NewZone makes a zone and lets the game fill it.
func NewZone(g *Game, cfg Config) (*Zone, error) { return newZone(g, cfg, openInterest) }

func newZone(g *Game, cfg Config, open func(aoi.Config) (interest, error)) (*Zone, error) {
	codec, err := g.codec()
	if err != nil {
		return nil, fmt.Errorf("game %q: %w", g.Name, err)
	}
	quantum, ok := codec.Layout.Quantum()
	if !ok {
		quantum = 1
	}
	if err := cfg.validate(quantum, codec.Layout.TickHz); err != nil {
		return nil, err
	}
	routes, err := g.Routes()
	if err != nil {
		return nil, err
	}
	space, err := open(interestConfig(&cfg))
	if err != nil {
		return nil, fmt.Errorf("zone %d: %w", cfg.Zone, err)
	}
	z := &Zone{
		game: g, cfg: cfg, tick: cfg.FirstTick - 1, codec: codec, quantum: quantum, routes: routes, tables: cfg.Tables, space: space,
		pcg: rand.NewPCG(cfg.Seed, uint64(cfg.Zone)), rect: rect{cfg.X, cfg.Y, cfg.X + cfg.Width, cfg.Y + cfg.Height}, lastID: EntityID(uint64(cfg.Zone-1) << 32),
		kinds: map[Kind]*kind{}, slots: map[EntityID]uint32{}, sessions: map[SessionID]*Player{}, byID: map[uint64]*Player{}, visiting: map[SessionID]*Player{},
		replies: map[uint64]pendingReply{}, futures: map[uint64]*future{}, faults: map[faultKey]*fault{},
	}
	z.note = func(h aoi.Handle) bool { z.hits = append(z.hits, h); return true }
	z.Rand, z.bounds, z.keeps = rand.New(z.pcg), z.rect, z.rect
	for i := range codec.Layout.Kinds {
		k := newKind(codec.Kind(codec.Layout.Kinds[i].ID))
		z.kinds[Kind(k.codec.Kind.ID)] = k
		z.kindOrder = append(z.kindOrder, k)
	}
	if z.layers, err = layersOf(g, z.kindOrder); err != nil {
		return nil, err
	}
	if z.history, err = newHistory(&z.cfg); err != nil {
		return nil, fmt.Errorf("zone %d: %w", cfg.Zone, err)
	}
	z.handlers = commands()
	maps.Copy(z.handlers, g.handlers)
	z.src = batch.NewSource(cfg.Zone, cfg.Epoch, codec, z.Params())
	if g.Setup != nil {
		z.enter()
		defer z.exit()
		if err := g.Setup(z); err != nil {
			return nil, fmt.Errorf("zone %d: set up game %q: %w", cfg.Zone, g.Name, err)
		}
		z.thin()
	}
	return z, nil
}

// Config is the zone's configuration with its defaults filled in.
func (z *Zone) Config() Config { return z.cfg }

// Layout describes the zone's entities.
func (z *Zone) Layout() *delta.Layout { return z.codec.Layout }

// Fingerprint identifies the schema of the zone's game.
func (z *Zone) Fingerprint() protocol.Fingerprint {
	if z.game.Schema.Fingerprint != (protocol.Fingerprint{}) {
		return z.game.Schema.Fingerprint
	}
	return protocol.UnlockedFingerprint(z.routes, z.codec.Layout.Table())
}

// Params is what a codec must know of the zone.
func (z *Zone) Params() delta.Params {
	m := z.cfg.Margin
	if z.cfg.World == 0 { // alone: there is nothing beyond
		m = 0
	}
	return delta.Params{PositionBits: delta.BitsFor(max(z.cfg.Width, z.cfg.Height) + 2*m), OriginX: z.cfg.X - m, OriginZ: z.cfg.Y - m}
}

// TickHz is the number of ticks per second.
func (z *Zone) TickHz() uint32 { return z.codec.Layout.TickHz }

// Quantum is the position quantum in the schema's units (metres); positions of the zone are whole numbers of it.
func (z *Zone) Quantum() float64 { return z.quantum }

// Tick is the tick that is being stepped, or was stepped last. Ticks wrap.
func (z *Zone) Tick() uint32 { return z.tick }

// Shed is the level of shedding in force, 0 to MaxShed: a game may do less of what it can do without.
func (z *Zone) Shed() uint32 { return z.shed }

// Tables are the game's data tables; they change between ticks. nil: there are none.
func (z *Zone) Tables() *tables.Set { return z.tables }

// Map is what stands in the way; nil: nothing.
func (z *Zone) Map() Map { return z.cfg.Map }

// Game is the game that the zone runs.
func (z *Zone) Game() *Game { return z.game }

// Stats returns the zone's counters.
func (z *Zone) Stats() Stats {
	s := z.stats
	s.Stats = z.src.Stats()
	s.Shed.Level = z.shed
	return s
}

// Waiting is the number of results of work and calls that the zone waits for.
func (z *Zone) Waiting() int { return len(z.futures) }

// Reach is how far the farthest view of an avatar goes, quanta.
func (z *Zone) Reach() int32 {
	far := z.cfg.LeaveRadius
	for _, k := range z.kindOrder {
		if sees := k.codec.Kind.Sees; sees > 0 {
			_, leave := z.radiiOf(k)
			far = max(far, leave)
		}
	}
	return far
}

// PlayerCount is the number of players.
func (z *Zone) PlayerCount() int { return len(z.sessions) }

// Step makes one tick of the inputs that came since the last one.
func (z *Zone) Step(inputs []Input) *Outputs {
	z.enter()
	defer z.exit()
	z.tick++
	z.fresh()
	defer func() { z.taken = true }()
	for i := range inputs {
		z.input(&inputs[i])
	}
	z.compact()
	z.observe(PhaseInputs, "")
	for _, p := range z.players {
		z.deliver(p)
	}
	z.observe(PhaseHandlers, "")
	z.runTimers()
	z.observe(PhaseTimers, "")
	z.runSystems()
	z.observe(PhaseSystems, "")
	z.bury()
	z.followParents()
	z.cross()
	z.observe(PhaseCrossing, "")
	z.followAvatars()
	z.interest()
	z.thin()
	z.watchBorders()
	z.remember()
	z.observe(PhaseInterest, "")
	for slot := range z.ents {
		if e := &z.ents[slot]; e.id != 0 {
			z.src.Publish(uint32(slot), &e.state, e.dirty, z.tick)
			e.dirty = 0
		}
	}
	z.out.Batches = z.src.Finish(z.tick, z.out.Batches)
	z.observe(PhaseEncode, "")
	return &z.out
}

// fresh begins new outputs. What Setup or Edit gave out goes with the next step's.
func (z *Zone) fresh() {
	if z.taken {
		z.out.reset()
		z.taken = false
	}
}

// reset empties the outputs and keeps their room.
func (o *Outputs) reset() {
	*o = Outputs{
		Batches: o.Batches[:0], Messages: o.Messages[:0], Kicks: o.Kicks[:0], Panics: o.Panics[:0], Jobs: o.Jobs[:0], Asks: o.Asks[:0], Answers: o.Answers[:0],
		Departures: o.Departures[:0], Views: o.Views[:0], Gone: o.Gone[:0], Groups: o.Groups[:0], Audits: o.Audits[:0], Operated: o.Operated[:0],
	}
}

func (z *Zone) observe(p Phase, name string) {
	if z.cfg.Observe != nil {
		z.cfg.Observe(p, name)
	}
}

func (z *Zone) input(in *Input) {
	switch in.Kind {
	case AttachGateway:
		if !z.knows(in.Gateway) {
			z.gateways = append(z.gateways, in.Gateway)
		}
		z.src.AttachGateway(in.Gateway)
	case DetachGateway:
		z.detach(in.Gateway)
	case RequestSnapshot:
		z.src.RequestSnapshot(in.Gateway)
	case Join:
		z.join(in)
	case Leave:
		z.leave(in.Session)
	case Receive:
		z.receive(in)
	case Connect:
		z.connect(in)
	case Disconnect:
		if p := z.player(in.Session); p != nil {
			z.disconnect(p)
		}
	case Watch:
		z.watchFrom(in)
	case Unwatch:
		z.unwatch(in)
	case Arrive:
		z.arrive(in)
	case Done:
		z.done(in)
	case Ask:
		z.ask(in)
	case Shed:
		z.shed = uint32(min(in.Number, MaxShed))
	case Neighbours:
		z.border(in.Payload)
	case Operate:
		z.operate(in)
	case UseTables:
		z.useTables(in.Payload)
	case Release:
		z.release(in.Text)
	default:
		panic(fmt.Sprintf("game: input of unknown kind %d", in.Kind))
	}
}

// detach is the end of a gateway, with all its observers.
func (z *Zone) detach(gateway uint32) {
	z.gateways = slices.DeleteFunc(z.gateways, func(g uint32) bool { return g == gateway })
	z.src.DetachGateway(gateway)
	var cut []*Player // all of them, before a hook speaks of what they see
	for p := range z.Players {
		if p.Connected() && p.gateway == gateway {
			p.conn, p.gateway = 0, 0
			cut = append(cut, p)
		}
	}
	for _, v := range z.visitors {
		if !v.gone && v.Connected() && v.gateway == gateway {
			v.conn, v.gateway = 0, 0
		}
	}
	for _, p := range cut {
		z.lingers(p)
	}
}

// useTables swaps the data tables. What does not parse changes nothing.
func (z *Zone) useTables(b []byte) {
	set, err := tables.Parse(z.game.Schema.Tables, b)
	if err != nil {
		z.stats.Refused++
		return
	}
	z.tables = set
}

func appendRecord(b []byte, r *delta.Record) []byte {
	for _, w := range r.W {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	for i := range r.V {
		b = binary.AppendUvarint(b, uint64(len(r.V[i].B)))
		b = append(b, r.V[i].B...)
		b = binary.AppendUvarint(b, uint64(len(r.V[i].E)))
		for j := range r.V[i].E {
			b = appendRecord(b, &r.V[i].E[j])
		}
	}
	return b
}
