package game

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Caller is who calls an entity, as it was when it called.
type Caller struct {
	Entity  EntityID  // 0: the zone itself
	Session SessionID // whose avatar the entity was; 0: nobody's
	X, Y    int32     // where it was, world quanta
}

// Asked is a call on its way to an entity. Whoever finds the entity's zone hands it over as an Ask, and the zone's Answer back as a Done of the number. An entity that is nowhere is answered by ErrNowhere.
type Asked struct {
	Number  uint64
	Entity  EntityID
	From    Caller
	Route   uint16 // of the call
	Payload []byte
}

// Answer answers an Ask.
type Answer struct {
	Zone    uint32 // that asked
	Number  uint64 // there
	Entity  EntityID
	Moved   bool // the entity does not live here: it has moved on meanwhile, or died
	Payload []byte
	Err     error // an *Error
}

// ErrNowhere is why a call failed whose entity lives in no zone that can be reached.
var ErrNowhere = &Error{protocol.ErrorUnavailable, "the entity is nowhere to be found"}

type callKind struct {
	name   string
	parse  func([]byte) (proto.Message, error)
	handle func(z *Zone, e Entity, from Caller, m proto.Message) (proto.Message, error)
}

// OnCall declares what an entity does when it is called under a number, which stays the same while worlds run. Whatever calls it, in whatever zone, the handler runs in the entity's zone in a later tick; it may
// only change that zone. A nil reply answers with nothing.
func OnCall[M, R any, P message[M], Q message[R]](g *Game, name string, id uint16, handle func(z *Zone, e Entity, from Caller, m P) (Q, error)) {
	if g.calls == nil {
		g.calls = map[uint16]*callKind{}
	}
	if g.calls[id] != nil {
		g.fail(fmt.Errorf("call %d %q has two handlers", id, name))
	}
	g.calls[id] = &callKind{name, parser[M, P](), func(z *Zone, e Entity, from Caller, m proto.Message) (proto.Message, error) {
		reply, err := handle(z, e, from, m.(P))
		if err != nil || reply == nil {
			return nil, err
		}
		return reply, nil
	}}
}

// Call calls an entity by its id, wherever it lives; to is most often what a client has named, so the handler must look whether from may do this: Zone.SeenBy tells what it sees. then runs in a later tick of this zone with the
// answer or why there is none, as Go's does; it may be nil.
func Call[M proto.Message, R any, Q message[R]](z *Zone, from Being, to EntityID, id uint16, m M, a Async, then func(Q, error)) error {
	z.own()
	k := z.game.calls[id]
	if k == nil {
		return fmt.Errorf("call entity %d: the game has no handler of call %d", to, id)
	}
	b, err := protocol.Marshal(m)
	if err != nil {
		return fmt.Errorf("call %q of entity %d: %w", k.name, to, err)
	}
	if a.Name == "" {
		a.Name = k.name
	}
	c := Caller{}
	if from != nil {
		c = z.callerOf(from.entity())
	}
	n, ok := z.await(a, func(payload []byte, err error) {
		if then == nil {
			return
		}
		r := Q(new(R))
		if err == nil {
			err = protocol.Unmarshal(payload, r)
		}
		if err != nil {
			r = nil
		}
		then(r, err)
	})
	if ok {
		z.out.Asks = append(z.out.Asks, Asked{n, to, c, id, b})
	}
	return nil
}

func (z *Zone) callerOf(e Entity) (c Caller) {
	s := e.get()
	c.Entity = e.id
	if s.player != nil {
		c.Session = s.player.Session
	}
	if s.kind.places {
		c.X, c.Y = e.Position()
	}
	return c
}

// ask runs the handler of a call.
func (z *Zone) ask(in *Input) {
	a := Answer{Zone: in.Zone, Number: in.Number, Entity: in.Entity}
	k := z.game.calls[in.Route]
	e, ok := z.Entity(in.Entity)
	switch {
	case !ok:
		a.Moved = true
	case k == nil:
		a.Err = &Error{protocol.ErrorUnknownRoute, fmt.Sprintf("the game has no handler of call %d", in.Route)}
	default:
		a.Payload, a.Err = z.answer(k, e, in)
	}
	z.out.Answers = append(z.out.Answers, a)
}

func (z *Zone) answer(k *callKind, e Entity, in *Input) ([]byte, error) {
	f := z.faultOf('c', in.Route)
	if f.quarantined {
		return nil, errQuarantined(k.name)
	}
	m, err := k.parse(in.Payload)
	if err != nil {
		return nil, &Error{protocol.ErrorMalformed, k.name + ": the message does not parse"}
	}
	var reply proto.Message
	err = z.guard(f, k.name, nil, e.id, func() (err error) {
		reply, err = k.handle(z, e, in.From, m)
		return err
	})
	z.observe(PhaseInputs, k.name)
	if err == nil && reply != nil {
		b, err := protocol.Marshal(reply)
		return b, err
	}
	return nil, err
}

// SeenBy tells whether what a caller controls sees an entity of this zone, as of the last tick, from whichever zone it looks.
func (z *Zone) SeenBy(c Caller, b Being) bool {
	e := b.entity()
	e.get()
	if p := z.sessions[c.Session]; p != nil {
		return z.sees(p, e)
	}
	p := z.visiting[c.Session]
	return p != nil && z.sees(p, e)
}

// DistanceTo is the distance of an entity from where a caller was, in the units of the schema (metres).
func (c Caller) DistanceTo(b Being) float64 {
	e := b.entity()
	x, y := e.Position()
	return e.z.DistanceQ(c.X, c.Y, x, y)
}
