package replica

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// ErrMalformed is wrapped by every error of Mirror.Decode. After one the mirror is of no use: the connection must end.
var ErrMalformed = errors.New("malformed state frame")

// Entity is one entity as a client knows it.
type Entity struct {
	Live bool
	Zone uint8 // row of the zone table
	Kind uint16
	ID   uint64
	Base delta.Record // the last publication, laid out as Codec says

	Codec *delta.KindCodec
	m     *Mirror
	own   delta.Record // of one component in the Mirror's own layout, if that is another one
}

// View returns a component of the entity as of its last publication, in the Mirror's own layout; ok is false if the entity has no such component. It must not be
// changed and is valid until the next call for this entity.
func (e *Entity) View(component uint16) (v delta.View, ok bool) {
	return e.view(&e.Base, component)
}

// ViewAt is View of the entity as predicted for a tick. at is room for the prediction.
func (e *Entity) ViewAt(component uint16, tick uint32, at *delta.Record) (v delta.View, ok bool) {
	at.Copy(&e.Base)
	e.Codec.Reckon(at, tick)
	return e.view(at, component)
}

func (e *Entity) view(r *delta.Record, component uint16) (v delta.View, ok bool) {
	v, ok = e.Codec.View(r, component)
	if !ok || e.m.mapping == nil {
		return v, ok
	}
	return e.m.mapping.Component(component, v, &e.own)
}

// Layout is that in which View gives the entity's components.
func (e *Entity) Layout() *delta.Layout { return e.m.views }

// Position is where the entity is predicted to be at a tick, in quanta of the ground plane; ok is false for a kind without a place.
func (e *Entity) Position(tick uint32) (x, z int32, ok bool) {
	p, ok := e.Codec.Place()
	if !ok {
		return 0, 0, false
	}
	d, w := tick-e.Base.Tick, e.Base.W
	return int32(w[p.X] + w[p.VX]*d), int32(w[p.Z] + w[p.VZ]*d), true
}

// Row is a row of a connection's zone table.
type Row struct {
	Open   bool
	Zone   uint32 // id
	Params delta.Params
	Tick   uint32 // of the last section: silence asserts the prediction up to here
	Input  uint32 // last input applied
}

// Mirror is a client's replica: it decodes the frames that Client.Frame builds. It belongs to one goroutine. Use must be called before the first frame.
type Mirror struct {
	Rows     [maxZones]Row
	Entities []Entity // by local index
	Frames   uint16   // frames decoded, mod 2^16: what an echo carries
	Live     int

	// Enter and Leave, if set, are told of every change of the visible set.
	Enter, Leave func(index int, e *Entity)
	// Move, if set, is told of an entity that stays visible while another zone shows it from now on, or the same one anew: its base is that zone's, and its row was fromRow.
	Move func(index int, e *Entity, fromRow uint8)

	codec   *delta.Codec
	mapping *delta.Mapping
	views   *delta.Layout
}

// Use sets the layout of the frames, and the layout in which views are wanted: nil means the same. It fails, wrapping delta.ErrIncompatible, if the two do not understand each other.
func (m *Mirror) Use(frames *delta.Codec, own *delta.Layout) error {
	if m.Live > 0 || slices.ContainsFunc(m.Rows[:], func(r Row) bool { return r.Open }) {
		return fmt.Errorf("%w: another layout after the first zone", ErrMalformed)
	}
	m.codec, m.mapping, m.views = frames, nil, frames.Layout
	if own == nil || own == frames.Layout {
		return nil
	}
	if own.Fingerprint == frames.Layout.Fingerprint && bytes.Equal(own.Table(), frames.Layout.Table()) {
		return nil // the same, from two places
	}
	mapping, err := delta.NewMapping(frames.Layout, own)
	m.mapping, m.views = mapping, own
	return err
}

// OpenZone sets a row of the zone table: that of a zone, by its id. The row may be another zone's that has no entities left.
func (m *Mirror) OpenZone(index uint8, zone uint32, p delta.Params, tick uint32) error {
	if index >= maxZones || p.PositionBits < 1 || p.PositionBits > 31 || m.codec == nil {
		return fmt.Errorf("%w: zone row %d with %d position bits (layout known: %v)", ErrMalformed, index, p.PositionBits, m.codec != nil)
	}
	for i := range m.Entities {
		if e := &m.Entities[i]; e.Live && e.Zone == index && m.Rows[index].Open {
			return fmt.Errorf("%w: row %d of zone %d becomes zone %d's while entity %d of it is live", ErrMalformed, index, m.Rows[index].Zone, zone, e.ID)
		}
	}
	m.Rows[index] = Row{Open: true, Zone: zone, Params: p, Tick: tick}
	return nil
}

// Decode applies one state frame.
func (m *Mirror) Decode(payload []byte) error {
	r := delta.NewReader(payload)
	for {
		if err := m.section(&r); err != nil {
			return err
		}
		if !r.Bit() {
			break
		}
	}
	if r.Err() != nil || r.Left() >= 8 {
		return fmt.Errorf("%w: %d bits left over (%v)", ErrMalformed, r.Left(), r.Err())
	}
	m.Frames++
	return nil
}

func (m *Mirror) section(r *delta.Reader) error {
	index := uint8(r.Get(4))
	if index >= maxZones || !m.Rows[index].Open {
		return fmt.Errorf("%w: section of zone row %d, which was never opened", ErrMalformed, index)
	}
	row := &m.Rows[index]
	if !r.Bit() {
		row.Tick++
	} else if d := uint32(r.Get(6)); d < 63 {
		row.Tick += d
	} else {
		row.Tick = uint32(r.Get(32))
	}
	if d := uint32(r.Get(2)); d < 3 {
		row.Input += d
	} else {
		row.Input = uint32(r.Get(32))
	}
	width := uint(r.Get(4))
	leaves, enters, updates := r.Count(), r.Count(), r.Count()
	for ; leaves > 0; leaves-- {
		i := int(r.Get(width))
		e := m.live(i)
		if e == nil {
			return fmt.Errorf("%w: leave of index %d, which is free", ErrMalformed, i)
		}
		if m.Leave != nil {
			m.Leave(i, e)
		}
		e.Live = false
		m.Live--
	}
	for ; enters > 0; enters-- {
		if err := m.enter(r, index, int(r.Get(width))); err != nil {
			return err
		}
	}
	for ; updates > 0; updates-- {
		i := int(r.Get(width))
		e := m.live(i)
		if e == nil || r.Err() != nil {
			return fmt.Errorf("%w: update of index %d, which is free (%v)", ErrMalformed, i, r.Err())
		}
		switch {
		case !r.Bit():
			e.Codec.ReadDelta(r, &e.Base, delta.AOI, row.Tick)
		case !r.Bit():
			age := r.Age()
			e.Codec.ReadDelta(r, &e.Base, delta.AOI, row.Tick-age)
		default:
			age := r.Age()
			e.Codec.ReadFull(r, row.Params, &e.Base, delta.AOI, row.Tick-age)
		}
	}
	if r.Err() != nil {
		return fmt.Errorf("%w: %v", ErrMalformed, r.Err())
	}
	return nil
}

func (m *Mirror) live(i int) *Entity {
	if i >= len(m.Entities) || !m.Entities[i].Live {
		return nil
	}
	return &m.Entities[i]
}

func (m *Mirror) enter(r *delta.Reader, row uint8, i int) error {
	id := uint64(0)
	if r.Bit() {
		id = r.Get64()
	} else {
		id = uint64(m.Rows[row].Zone-1)<<32 | r.Get(32)
	}
	kind := uint16(r.Get(4))
	if kind == 15 {
		kind = uint16(r.Get(16))
	}
	codec := m.codec.Kind(kind)
	old := m.live(i)
	if codec == nil || r.Failed() || old != nil && (old.ID != id || old.Kind != kind) {
		return fmt.Errorf("%w: enter of entity %d of kind %d (known: %v) at index %d (another one's: %v, %v)", ErrMalformed, id, kind, codec != nil, i, old != nil, r.Err())
	}
	for i >= len(m.Entities) {
		m.Entities = append(m.Entities, Entity{m: m})
	}
	e := &m.Entities[i]
	from := e.Zone
	e.Live, e.Zone, e.Kind, e.ID, e.Codec = true, row, kind, id, codec
	codec.Init(&e.Base)
	age := r.Age()
	codec.ReadFull(r, m.Rows[row].Params, &e.Base, delta.AOI, m.Rows[row].Tick-age)
	if r.Failed() {
		return fmt.Errorf("%w: state of entity %d of kind %d", ErrMalformed, id, kind)
	}
	switch {
	case old == nil:
		m.Live++
		if m.Enter != nil {
			m.Enter(i, e)
		}
	case m.Move != nil:
		m.Move(i, e, from)
	}
	return nil
}
