package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Records on the wire (numbers are uvarint unless a size is given):
//
//	size · kind u8 · fields u8 · the fields that are not zero, in the order of their bits
//	size · 0 u8 · n                        down only: n more records of the other stream come before what follows
//
//	bit          0      1      2         3       4      5      6      7
//	fields, up   zone   conn   epoch     seq     route  id     code   payload
//	fields, down zone   conn   type u8   seq     route  id     code   payload
//
// The payload has no size, it ends with the record.
const (
	hasZone = 1 << iota
	hasConn
	hasThird // epoch, type
	hasSeq
	hasRoute
	hasID
	hasCode
	hasPayload
)

// MaxRecord bounds a record, and so a batch, in bytes.
const MaxRecord = 64 << 20

// ErrMalformed is wrapped by every error about bytes that no link of this version sends.
var ErrMalformed = errors.New("link: malformed bytes")

func vlen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

func (u *Up) measure() (size int, fields byte) {
	size = 2 + len(u.Payload)
	has := func(f byte, yes bool, n int) {
		if yes {
			fields |= f
			size += n
		}
	}
	has(hasZone, u.Zone != 0, vlen(uint64(u.Zone)))
	has(hasConn, u.Conn != 0, vlen(u.Conn))
	has(hasThird, u.Epoch != 0, vlen(u.Epoch))
	has(hasSeq, u.Seq != 0, vlen(uint64(u.Seq)))
	has(hasRoute, u.Route != 0, vlen(uint64(u.Route)))
	has(hasID, u.ID != 0, vlen(uint64(u.ID)))
	has(hasCode, u.Code != 0, vlen(uint64(u.Code)))
	has(hasPayload, len(u.Payload) > 0, 0)
	return size, fields
}

// appendUp appends u as a record of the size and fields that measure told.
func appendUp(b []byte, u *Up, size int, fields byte) []byte {
	b = binary.AppendUvarint(b, uint64(size))
	b = append(b, byte(u.Kind), fields)
	if fields&hasZone != 0 {
		b = binary.AppendUvarint(b, uint64(u.Zone))
	}
	if fields&hasConn != 0 {
		b = binary.AppendUvarint(b, u.Conn)
	}
	if fields&hasThird != 0 {
		b = binary.AppendUvarint(b, u.Epoch)
	}
	b = appendCommon(b, fields, u.Seq, u.Route, u.ID, u.Code)
	return append(b, u.Payload...)
}

// appendCommon appends what records of both directions have in the same places.
func appendCommon(b []byte, fields byte, seq uint32, route uint16, id uint32, code protocol.DisconnectCode) []byte {
	if fields&hasSeq != 0 {
		b = binary.AppendUvarint(b, uint64(seq))
	}
	if fields&hasRoute != 0 {
		b = binary.AppendUvarint(b, uint64(route))
	}
	if fields&hasID != 0 {
		b = binary.AppendUvarint(b, uint64(id))
	}
	if fields&hasCode != 0 {
		b = binary.AppendUvarint(b, uint64(code))
	}
	return b
}

func (d *Down) measure() (size int, fields byte) {
	size = 2 + len(d.Payload)
	has := func(f byte, yes bool, n int) {
		if yes {
			fields |= f
			size += n
		}
	}
	has(hasZone, d.Zone != 0, vlen(uint64(d.Zone)))
	has(hasConn, d.Conn != 0, vlen(d.Conn))
	has(hasThird, d.Type != 0, 1)
	has(hasSeq, d.Seq != 0, vlen(uint64(d.Seq)))
	has(hasRoute, d.Route != 0, vlen(uint64(d.Route)))
	has(hasID, d.ID != 0, vlen(uint64(d.ID)))
	has(hasCode, d.Code != 0, vlen(uint64(d.Code)))
	has(hasPayload, len(d.Payload) > 0, 0)
	return size, fields
}

// appendDownHead appends the record of d up to its payload, which the caller puts behind it.
func appendDownHead(b []byte, d *Down, size int, fields byte) []byte {
	b = binary.AppendUvarint(b, uint64(size))
	b = append(b, byte(d.Kind), fields)
	if fields&hasZone != 0 {
		b = binary.AppendUvarint(b, uint64(d.Zone))
	}
	if fields&hasConn != 0 {
		b = binary.AppendUvarint(b, d.Conn)
	}
	if fields&hasThird != 0 {
		b = append(b, byte(d.Type))
	}
	return appendCommon(b, fields, d.Seq, d.Route, d.ID, d.Code)
}

// appendMark appends the record that n more records of the other stream come before what follows.
func appendMark(b []byte, n uint64) []byte {
	b = binary.AppendUvarint(b, uint64(1+vlen(n)))
	return binary.AppendUvarint(append(b, 0), n)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// cursor reads what was appended above. After the first mistake it reads zeros.
type cursor struct {
	b   []byte
	err error
}

func (c *cursor) fail(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s, %d bytes before the end", ErrMalformed, what, len(c.b))
	}
	c.b = nil
}

func (c *cursor) uvarint(what string, limit uint64) uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 || v > limit {
		c.fail(what)
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) byte(what string) byte {
	if len(c.b) == 0 {
		c.fail(what)
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

// text reads size and bytes; they stay a part of what the cursor reads.
func (c *cursor) text(what string) []byte {
	n := c.uvarint(what, math.MaxInt32)
	if n > uint64(len(c.b)) {
		c.fail(what)
		return nil
	}
	v := c.b[:n]
	c.b = c.b[n:]
	return v
}

// count reads a number of things that take at least size bytes each.
func (c *cursor) count(what string, size int) int {
	return int(c.uvarint(what, uint64(len(c.b)/size)))
}

// payload is the rest, or that there is none.
func (c *cursor) payload(fields byte) []byte {
	if fields&hasPayload == 0 {
		if c.err == nil && len(c.b) > 0 {
			c.fail("bytes after the last field")
		}
		return nil
	}
	v := c.b
	c.b = nil
	return v[:len(v):len(v)]
}

// parseUp reads a record, without its size. The payload remains a part of b.
func parseUp(b []byte) (u Up, err error) {
	c := cursor{b: b}
	u.Kind = UpKind(c.byte("kind"))
	fields := c.byte("fields")
	if fields&hasZone != 0 {
		u.Zone = uint32(c.uvarint("zone", math.MaxUint32))
	}
	if fields&hasConn != 0 {
		u.Conn = c.uvarint("connection", math.MaxUint64)
	}
	if fields&hasThird != 0 {
		u.Epoch = c.uvarint("epoch", math.MaxUint64)
	}
	u.Seq, u.Route, u.ID, u.Code = c.common(fields)
	u.Payload = c.payload(fields)
	return u, c.err
}

// common reads what appendCommon appends.
func (c *cursor) common(fields byte) (seq uint32, route uint16, id uint32, code protocol.DisconnectCode) {
	if fields&hasSeq != 0 {
		seq = uint32(c.uvarint("seq", math.MaxUint32))
	}
	if fields&hasRoute != 0 {
		route = uint16(c.uvarint("route", math.MaxUint16))
	}
	if fields&hasID != 0 {
		id = uint32(c.uvarint("id", math.MaxUint32))
	}
	if fields&hasCode != 0 {
		code = protocol.DisconnectCode(c.uvarint("code", math.MaxUint16))
	}
	return seq, route, id, code
}

// parseDown reads a record, without its size; a mark gives a Down of kind 0 and its number.
func parseDown(b []byte) (d Down, mark uint64, err error) {
	c := cursor{b: b}
	if d.Kind = DownKind(c.byte("kind")); d.Kind == 0 {
		mark = c.uvarint("mark", math.MaxUint32)
		c.payload(0)
		return d, mark, c.err
	}
	fields := c.byte("fields")
	if fields&hasZone != 0 {
		d.Zone = uint32(c.uvarint("zone", math.MaxUint32))
	}
	if fields&hasConn != 0 {
		d.Conn = c.uvarint("connection", math.MaxUint64)
	}
	if fields&hasThird != 0 {
		d.Type = protocol.FrameType(c.byte("type"))
	}
	d.Seq, d.Route, d.ID, d.Code = c.common(fields)
	d.Payload = c.payload(fields)
	return d, 0, c.err
}

// assembler cuts a stream's messages into records. A message holds whole records, or a part of one: a record that is larger than a message begins one, and the
// messages behind that hold nothing but the rest of it.
type assembler struct {
	whole []byte // of the record that is incomplete
	need  int    // bytes of it that are missing
}

// firstGrow bounds what is allocated on a record's word before its bytes are there.
const firstGrow = 1 << 20

// feed hands b's records to each, which may keep them: b belongs to them from then on. It stops at the first error.
func (a *assembler) feed(b []byte, each func(record []byte) error) error {
	if a.need > 0 {
		if len(b) > a.need {
			return fmt.Errorf("%w: %d bytes where %d were missing", ErrMalformed, len(b), a.need)
		}
		a.whole = append(a.whole, b...)
		if a.need -= len(b); a.need > 0 {
			return nil
		}
		whole := a.whole
		a.whole = nil
		return each(whole)
	}
	for first := true; len(b) > 0; first = false {
		size, n := binary.Uvarint(b)
		if n <= 0 || size == 0 || size > MaxRecord {
			return fmt.Errorf("%w: size of a record, %d bytes before the end", ErrMalformed, len(b))
		}
		b = b[n:]
		if size > uint64(len(b)) {
			if !first {
				return fmt.Errorf("%w: record of %d bytes with %d there", ErrMalformed, size, len(b))
			}
			a.whole = append(make([]byte, 0, min(int(size), max(firstGrow, len(b)))), b...)
			a.need = int(size) - len(b)
			return nil
		}
		if err := each(b[:size:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

// pack tells how many of b's first bytes, which are whole records, make the next message of at most limit bytes; a record that is larger is a
// message's beginning, and rest tells how many bytes of it come after that.
func pack(b []byte, limit int) (n, rest int) {
	for n < len(b) {
		size, v := binary.Uvarint(b[n:])
		end := n + v + int(size)
		if end > limit {
			if n == 0 {
				return limit, end - limit
			}
			return n, 0
		}
		n = end
	}
	return n, 0
}
