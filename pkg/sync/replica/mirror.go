package replica

import (
	"errors"
	"fmt"

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
	Base delta.Publication
}

// Row is a row of a connection's zone table.
type Row struct {
	Open   bool
	Layout delta.Layout
	Tick   uint32 // of the last section: silence asserts the prediction up to here
	Input  uint32 // last input applied
}

// Mirror is a client's replica: it decodes the frames that Client.Frame builds. It belongs to one goroutine.
type Mirror struct {
	Rows     [maxZones]Row
	Entities []Entity // by local index
	Frames   uint16   // frames decoded, mod 2^16: what an echo carries
	Live     int

	// Enter and Leave, if set, are told of every change of the visible set.
	Enter, Leave func(index int, e *Entity)
}

// OpenZone sets a row of the zone table.
func (m *Mirror) OpenZone(index uint8, l delta.Layout, tick uint32) error {
	if index >= maxZones || l.PositionBits < 1 || l.PositionBits > 31 {
		return fmt.Errorf("%w: zone row %d with %d position bits", ErrMalformed, index, l.PositionBits)
	}
	m.Rows[index] = Row{Open: true, Layout: l, Tick: tick}
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
	leaves, enters, updates := readCount(r), readCount(r), readCount(r)
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
			e.Base = delta.DecodeDelta(r, &e.Base, row.Tick)
		case !r.Bit():
			age := delta.ReadAge(r)
			e.Base = delta.DecodeDelta(r, &e.Base, row.Tick-age)
		default:
			age := delta.ReadAge(r)
			e.Base = delta.DecodeFull(r, row.Layout, row.Tick-age)
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
	e := Entity{Live: true, Zone: row}
	if r.Bit() {
		e.ID = r.Get(32)
		e.ID |= r.Get(32) << 32
	} else {
		e.ID = r.Get(32)
	}
	if e.Kind = uint16(r.Get(4)); e.Kind == 15 {
		e.Kind = uint16(r.Get(16))
	}
	age := delta.ReadAge(r)
	e.Base = delta.DecodeFull(r, m.Rows[row].Layout, m.Rows[row].Tick-age)
	if r.Err() != nil || m.live(i) != nil {
		return fmt.Errorf("%w: enter of entity %d at index %d (in use: %v, %v)", ErrMalformed, e.ID, i, m.live(i) != nil, r.Err())
	}
	for i >= len(m.Entities) {
		m.Entities = append(m.Entities, Entity{})
	}
	m.Entities[i] = e
	m.Live++
	if m.Enter != nil {
		m.Enter(i, &m.Entities[i])
	}
	return nil
}

func readCount(r *delta.Reader) int {
	switch {
	case !r.Bit():
		return 0
	case !r.Bit():
		return int(r.Get(4))
	case !r.Bit():
		return int(r.Get(11))
	}
	return int(r.Get(20))
}
