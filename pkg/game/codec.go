package game

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// ErrMalformed is wrapped by every error about bytes that should be an input, a hand-over or a list of neighbours.
var ErrMalformed = errors.New("malformed input of a zone")

// An input, as AppendInput writes it (uvarint unless said otherwise; signed numbers in zigzag):
//
//	kind u8 · fields: bit per field that is not zero, from bit 0 in the order of
//	  gateway · session · conn · player · name · rights · route · id · payload · number · entity · from · zone · x · y · enter · leave · code · text · conns · ignores
//	then those fields; name, payload, text: length · bytes; rights, conns: number · each
//	from: entity · session · x · y
//	a conn: session · gateway · conn
const (
	maxText  = 1 << 16 // bytes
	maxMany  = 1 << 12 // rights, connections
	maxInput = 1 << 26 // bytes of a payload
)

// enc appends numbers and texts.
type enc struct{ b []byte }

func (e *enc) u(v uint64) { e.b = binary.AppendUvarint(e.b, v) }
func (e *enc) i(v int32)  { e.b = binary.AppendVarint(e.b, int64(v)) }
func (e *enc) bytes(v []byte) {
	e.u(uint64(len(v)))
	e.b = append(e.b, v...)
}

func (e *enc) text(v string) {
	e.u(uint64(len(v)))
	e.b = append(e.b, v...)
}

// dec reads what enc wrote; after a failure it yields zeros.
type dec struct {
	b   []byte
	err error
}

func (d *dec) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s, %d bytes before the end", ErrMalformed, what, len(d.b))
	}
	d.b = nil
}

func (d *dec) u(what string, most uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > most {
		d.fail(what)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *dec) i(what string) int32 {
	v, n := binary.Varint(d.b)
	if n <= 0 || v < math.MinInt32 || v > math.MaxInt32 {
		d.fail(what)
		return 0
	}
	d.b = d.b[n:]
	return int32(v)
}

// bytes is a part of what is read.
func (d *dec) bytes(what string, most int) []byte {
	n := int(d.u(what, uint64(min(most, len(d.b)))))
	if n > len(d.b) {
		d.fail(what)
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// count is a number of things that take at least size bytes each.
func (d *dec) count(what string, most, size int) int {
	return int(d.u(what, uint64(min(most, len(d.b)/size))))
}

func (d *dec) caller() Caller {
	return Caller{EntityID(d.u("entity", math.MaxUint64)), SessionID(d.u("session", math.MaxUint64)), d.i("x"), d.i("y")}
}

func (e *enc) caller(c *Caller) {
	e.u(uint64(c.Entity))
	e.u(uint64(c.Session))
	e.i(c.X)
	e.i(c.Y)
}

// Bits of the fields of an input.
const (
	hasGateway = 1 << iota
	hasSession
	hasConn
	hasPlayer
	hasName
	hasRights
	hasRoute
	hasID
	hasPayload
	hasNumber
	hasEntity
	hasFrom
	hasZone
	hasX
	hasY
	hasEnter
	hasLeave
	hasCode
	hasText
	hasConns
	hasIgnores
	hasAll = 1<<iota - 1
)

// fields is the mask of what is not zero.
func (in *Input) fields() (mask uint64) {
	for i, is := range [...]bool{
		in.Gateway != 0, in.Session != 0, in.Conn != 0, in.Player != 0, in.Name != "", len(in.Rights) > 0, in.Route != 0, in.ID != 0, len(in.Payload) > 0,
		in.Number != 0, in.Entity != 0, in.From != Caller{}, in.Zone != 0, in.X != 0, in.Y != 0, in.Enter != 0, in.Leave != 0, in.Code != 0, in.Text != "", len(in.Conns) > 0, in.Ignores != 0,
	} {
		if is {
			mask |= 1 << i
		}
	}
	return mask
}

// AppendInput appends an input for a recording.
func AppendInput(b []byte, in *Input) []byte {
	e := enc{append(b, byte(in.Kind))}
	mask := in.fields()
	e.u(mask)
	number := func(bit, v uint64) {
		if mask&bit != 0 {
			e.u(v)
		}
	}
	number(hasGateway, uint64(in.Gateway))
	number(hasSession, uint64(in.Session))
	number(hasConn, in.Conn)
	number(hasPlayer, in.Player)
	if mask&hasName != 0 {
		e.text(in.Name)
	}
	if mask&hasRights != 0 {
		e.u(uint64(len(in.Rights)))
		for _, r := range in.Rights {
			e.text(r)
		}
	}
	number(hasRoute, uint64(in.Route))
	number(hasID, uint64(in.ID))
	if mask&hasPayload != 0 {
		e.bytes(in.Payload)
	}
	number(hasNumber, in.Number)
	number(hasEntity, uint64(in.Entity))
	if mask&hasFrom != 0 {
		e.caller(&in.From)
	}
	number(hasZone, uint64(in.Zone))
	for i, v := range [...]int32{in.X, in.Y, in.Enter, in.Leave} {
		if v != 0 && mask&(hasX<<i) != 0 {
			e.i(v)
		}
	}
	number(hasCode, uint64(in.Code))
	if mask&hasText != 0 {
		e.text(in.Text)
	}
	if mask&hasConns != 0 {
		e.u(uint64(len(in.Conns)))
		for _, c := range in.Conns {
			e.u(uint64(c.Session))
			e.u(uint64(c.Gateway))
			e.u(c.Conn)
		}
	}
	number(hasIgnores, uint64(in.Ignores))
	return e.b
}

// ParseInput reads the input at the head of b and returns what follows it. The input's payload is a part of b.
func ParseInput(b []byte) (in Input, rest []byte, err error) {
	d := dec{b: b}
	if len(d.b) > 0 {
		in.Kind, d.b = InputKind(d.b[0]), d.b[1:]
	}
	if in.Kind < AttachGateway || in.Kind > Release {
		d.fail("kind of input")
	}
	mask := d.u("fields", hasAll)
	has := func(bit uint64) bool { return mask&bit != 0 && d.err == nil }
	u32 := func(bit uint64, what string) uint32 {
		if !has(bit) {
			return 0
		}
		return uint32(d.u(what, math.MaxUint32))
	}
	u64 := func(bit uint64, what string) uint64 {
		if !has(bit) {
			return 0
		}
		return d.u(what, math.MaxUint64)
	}
	in.Gateway = u32(hasGateway, "gateway")
	in.Session = SessionID(u64(hasSession, "session"))
	in.Conn = u64(hasConn, "conn")
	in.Player = u64(hasPlayer, "player")
	if has(hasName) {
		in.Name = string(d.bytes("name", maxText))
	}
	if has(hasRights) {
		for n := d.count("rights", maxMany, 1); n > 0 && d.err == nil; n-- {
			in.Rights = append(in.Rights, string(d.bytes("right", maxText)))
		}
	}
	if has(hasRoute) {
		in.Route = uint16(d.u("route", math.MaxUint16))
	}
	in.ID = u32(hasID, "id")
	if has(hasPayload) {
		in.Payload = d.bytes("payload", maxInput)
	}
	in.Number = u64(hasNumber, "number")
	in.Entity = EntityID(u64(hasEntity, "entity"))
	if has(hasFrom) {
		in.From = d.caller()
	}
	in.Zone = u32(hasZone, "zone")
	for i, v := range [...]*int32{&in.X, &in.Y, &in.Enter, &in.Leave} {
		if has(hasX << i) {
			*v = d.i("place or radius")
		}
	}
	in.Code = protocol.ErrorCode(u32(hasCode, "code"))
	if has(hasText) {
		in.Text = string(d.bytes("text", maxText))
	}
	if has(hasConns) {
		for n := d.count("conns", maxMany, 3); n > 0 && d.err == nil; n-- {
			in.Conns = append(in.Conns, Conn{SessionID(d.u("session", math.MaxUint64)), uint32(d.u("gateway", math.MaxUint32)), d.u("conn", math.MaxUint64)})
		}
	}
	in.Ignores = u32(hasIgnores, "ignored layers")
	return in, d.b, d.err
}
