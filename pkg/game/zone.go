package game

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// Zone is a rectangle of the world.
type Zone struct {
	// Data is the game's own state of this zone; Setup sets it, and handlers find it here.
	Data any

	// Rand is the zone's chance, seeded by Config.Seed: handlers and systems use no other.
	Rand *rand.Rand

	game    *Game
	cfg     Config
	tick    uint32
	codec   *delta.Codec
	kinds   map[Kind]*kind
	quantum float64 // of positions, in the schema's units
	ents    []entity
	slots   map[EntityID]uint32
	free    []uint32
	lastID  EntityID
	systems []func()

	spawned, despawned []uint32

	space    *aoi.Space
	slotOf   []uint32  // by handle of an entity
	observer []*Player // by handle of an observer

	src      *batch.Source
	gateways []uint32
	players  []*Player // in order of joining, with those who have left while this tick's inputs are taken
	sessions map[SessionID]*Player
	byID     map[uint64]*Player // the session of each player's account; 0, of nobody, is not there
	blinded  []*Player          // lost an observer in this tick, while they had a connection
	dead     []uint32           // forgetDead's
	routes   *protocol.Routes
	out      Outputs
	stats    Stats
}

// Stats counts what a zone did since it was made.
type Stats struct {
	Refused uint64 // messages and joins that were refused
	Panics  uint64 // calls of hooks and handlers that panicked
	batch.Stats
}

// InputKind tells what an Input is.
type InputKind uint8

// Kinds of inputs.
const (
	AttachGateway   InputKind = iota + 1 // Gateway begins to receive batches, the first a snapshot
	DetachGateway                        // Gateway is gone; the players that were connected to it linger
	RequestSnapshot                      // Gateway missed a batch
	Join                                 // Session of Player, with Conn at Gateway; an older session of the same player ends
	Leave                                // Session ended
	Receive                              // Route, ID, Payload from Session
	Connect                              // Session has Conn at Gateway now, instead of the one before, if it had one
	Disconnect                           // Session has lost its connection and lingers
)

// Input is one thing that comes from outside.
type Input struct {
	Kind    InputKind
	Gateway uint32
	Session SessionID
	Conn    uint64 // by which batches name the session's view at its gateway; never 0 but for a Join of a session that has lost its connection already
	Player  uint64
	Name    string
	Rights  []string
	Route   uint16
	ID      uint32 // of a request; 0 for a push
	Payload []byte // kept only until Step returns
}

// Outputs are a tick's results, valid until the next Step.
type Outputs struct {
	Batches  []batch.Output
	Messages []Message
	Kicks    []Kick
	Panics   []Panic
}

// Panic is a call of a hook or handler that panicked: a mistake of the game's, which ended that call.
type Panic struct {
	Where   string // name of the route, OnJoin or OnLeave
	Session SessionID
	Value   string
	Stack   []byte
}

// Message goes to one session.
type Message struct {
	Session  SessionID
	Type     protocol.FrameType // push, response or error
	Route    uint16
	ID       uint32
	Payload  []byte
	Numbered bool // it must arrive, once and in order, whatever becomes of connections
}

// Kick ends a session.
type Kick struct {
	Session SessionID
	Code    protocol.DisconnectCode
	Reason  string
}

// NewZone makes a zone and lets the game fill it.
func NewZone(g *Game, cfg Config) (*Zone, error) {
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
	space, err := aoi.New(aoi.Config{MaxX: float32(cfg.Width), MaxZ: float32(cfg.Height)})
	if err != nil {
		return nil, fmt.Errorf("zone %d: %w", cfg.Zone, err)
	}
	z := &Zone{
		Rand: rand.New(rand.NewPCG(cfg.Seed, uint64(cfg.Zone))), game: g, cfg: cfg, tick: cfg.FirstTick - 1, space: space,
		routes: routes, sessions: map[SessionID]*Player{}, byID: map[uint64]*Player{}, codec: codec, quantum: quantum, kinds: map[Kind]*kind{}, slots: map[EntityID]uint32{},
	}
	for i := range codec.Layout.Kinds {
		k := &kind{codec: codec.Kind(codec.Layout.Kinds[i].ID)}
		k.place, k.places = k.codec.Place()
		k.moved = k.codec.PlaceBit()
		for j, id := range k.codec.Kind.Components {
			w, _ := k.codec.At(j)
			k.cells = append(k.cells, cellAt{id, int32(w)})
		}
		z.kinds[Kind(k.codec.Kind.ID)] = k
	}
	z.src = batch.NewSource(cfg.Zone, cfg.Epoch, codec, z.Params())
	if g.Setup != nil {
		if err := g.Setup(z); err != nil {
			return nil, fmt.Errorf("zone %d: set up game %q: %w", cfg.Zone, g.Name, err)
		}
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
	return delta.Params{PositionBits: delta.BitsFor(max(z.cfg.Width, z.cfg.Height))}
}

// TickHz is the number of ticks per second.
func (z *Zone) TickHz() uint32 { return z.codec.Layout.TickHz }

// Quantum is the position quantum in the schema's units (metres); positions of the zone are whole numbers of it.
func (z *Zone) Quantum() float64 { return z.quantum }

// Tick is the tick that is being stepped, or was stepped last. Ticks wrap.
func (z *Zone) Tick() uint32 { return z.tick }

// Stats returns the zone's counters.
func (z *Zone) Stats() Stats {
	s := z.stats
	s.Stats = z.src.Stats()
	return s
}

// PlayerCount is the number of players.
func (z *Zone) PlayerCount() int { return len(z.sessions) }

// System adds something that happens every tick, after the handlers, in the order of adding. For Setup.
func (z *Zone) System(run func()) { z.systems = append(z.systems, run) }

// Within calls yield for every entity within a radius (quanta) of a point.
func (z *Zone) Within(x, y, radius int32, yield func(Entity) bool) {
	z.space.Within(float32(x), float32(y), float32(radius), func(h aoi.Handle) bool {
		slot := z.slotOf[h]
		return yield(Entity{z, slot, z.ents[slot].id})
	})
}

// Step makes one tick of the inputs that came since the last one.
func (z *Zone) Step(inputs []Input) *Outputs {
	z.tick++
	z.out = Outputs{z.out.Batches[:0], z.out.Messages[:0], z.out.Kicks[:0], z.out.Panics[:0]}
	for i := range inputs {
		z.input(&inputs[i])
	}
	z.compact()
	for _, p := range z.players {
		z.deliver(p)
	}
	for _, run := range z.systems {
		run()
	}
	z.interest()
	for slot := range z.ents {
		if e := &z.ents[slot]; e.id != 0 {
			z.src.Publish(uint32(slot), &e.state, e.dirty, z.tick)
			e.dirty = 0
		}
	}
	z.out.Batches = z.src.Finish(z.tick, z.out.Batches)
	return &z.out
}

func (z *Zone) input(in *Input) {
	switch in.Kind {
	case AttachGateway:
		if !slices.Contains(z.gateways, in.Gateway) {
			z.gateways = append(z.gateways, in.Gateway)
		}
		z.src.AttachGateway(in.Gateway)
	case DetachGateway:
		z.gateways = slices.DeleteFunc(z.gateways, func(g uint32) bool { return g == in.Gateway })
		z.src.DetachGateway(in.Gateway) // with all its observers
		var cut []*Player               // all of them, before a hook speaks of what they see
		for p := range z.Players {
			if p.Connected() && p.gateway == in.Gateway {
				p.conn, p.gateway = 0, 0
				cut = append(cut, p)
			}
		}
		for _, p := range cut {
			z.lingers(p)
		}
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
	default:
		panic(fmt.Sprintf("game: input of unknown kind %d", in.Kind))
	}
}

func (z *Zone) bind(h aoi.Handle, slot uint32) {
	for int(h) >= len(z.slotOf) {
		z.slotOf = append(z.slotOf, 0)
	}
	z.slotOf[h] = slot
}

// Hash is a fingerprint of the world: equal inputs give equal hashes.
func (z *Zone) Hash() uint64 {
	h := fnv.New64a()
	var b []byte
	b = binary.LittleEndian.AppendUint32(b, z.tick)
	b = binary.LittleEndian.AppendUint64(b, uint64(z.lastID))
	for slot := range z.ents {
		e := &z.ents[slot]
		if e.id == 0 {
			continue
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(slot))
		b = binary.LittleEndian.AppendUint64(b, uint64(e.id))
		b = binary.LittleEndian.AppendUint16(b, e.kind.codec.Kind.ID)
		b = appendRecord(b, &e.state)
		h.Write(b)
		b = b[:0]
	}
	for p := range z.Players {
		b = binary.LittleEndian.AppendUint64(b, uint64(p.Session))
		b = binary.LittleEndian.AppendUint64(b, uint64(p.avatar.id))
	}
	h.Write(b)
	return h.Sum64()
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
