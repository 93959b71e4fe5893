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
//	bit          0      1         2        3          4      5        6    7
//	fields, up   zone   session   player   name       route  id       n · n × right    payload
//	fields, down zone   session   type u8  route      id     code     reason           payload
//
// Texts are size and bytes; the payload has no size, it ends with the record.
const (
	hasZone = 1 << iota
	hasSession
	hasThird // player, type
	hasFourth
	hasFifth
	hasSixth
	hasSeventh
	hasPayload
)

// MaxRecord bounds a record, and so a batch, in bytes.
const MaxRecord = 64 << 20

// ErrMalformed is wrapped by every error about bytes that no link of this version sends.
var ErrMalformed = errors.New("link: malformed bytes")

func vlen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

func textLen(n int) int { return vlen(uint64(n)) + n }

func (u *Up) measure() (size int, fields byte) {
	size = 2 + len(u.Payload)
	has := func(f byte, yes bool, n int) {
		if yes {
			fields |= f
			size += n
		}
	}
	has(hasZone, u.Zone != 0, vlen(uint64(u.Zone)))
	has(hasSession, u.Session != 0, vlen(u.Session))
	has(hasThird, u.Player != 0, vlen(u.Player))
	has(hasFourth, u.Name != "", textLen(len(u.Name)))
	has(hasFifth, u.Route != 0, vlen(uint64(u.Route)))
	has(hasSixth, u.ID != 0, vlen(uint64(u.ID)))
	has(hasSeventh, len(u.Rights) > 0, vlen(uint64(len(u.Rights))))
	has(hasPayload, len(u.Payload) > 0, 0)
	for _, r := range u.Rights {
		size += textLen(len(r))
	}
	return size, fields
}

// appendUp appends u as a record of the size and fields that measure told.
func appendUp(b []byte, u *Up, size int, fields byte) []byte {
	b = binary.AppendUvarint(b, uint64(size))
	b = append(b, byte(u.Kind), fields)
	if fields&hasZone != 0 {
		b = binary.AppendUvarint(b, uint64(u.Zone))
	}
	if fields&hasSession != 0 {
		b = binary.AppendUvarint(b, u.Session)
	}
	if fields&hasThird != 0 {
		b = binary.AppendUvarint(b, u.Player)
	}
	if fields&hasFourth != 0 {
		b = appendText(b, u.Name)
	}
	if fields&hasFifth != 0 {
		b = binary.AppendUvarint(b, uint64(u.Route))
	}
	if fields&hasSixth != 0 {
		b = binary.AppendUvarint(b, uint64(u.ID))
	}
	if fields&hasSeventh != 0 {
		b = binary.AppendUvarint(b, uint64(len(u.Rights)))
		for _, r := range u.Rights {
			b = appendText(b, r)
		}
	}
	return append(b, u.Payload...)
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
	has(hasSession, d.Session != 0, vlen(d.Session))
	has(hasThird, d.Type != 0, 1)
	has(hasFourth, d.Route != 0, vlen(uint64(d.Route)))
	has(hasFifth, d.ID != 0, vlen(uint64(d.ID)))
	has(hasSixth, d.Code != 0, vlen(uint64(d.Code)))
	has(hasSeventh, d.Reason != "", textLen(len(d.Reason)))
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
	if fields&hasSession != 0 {
		b = binary.AppendUvarint(b, d.Session)
	}
	if fields&hasThird != 0 {
		b = append(b, byte(d.Type))
	}
	if fields&hasFourth != 0 {
		b = binary.AppendUvarint(b, uint64(d.Route))
	}
	if fields&hasFifth != 0 {
		b = binary.AppendUvarint(b, uint64(d.ID))
	}
	if fields&hasSixth != 0 {
		b = binary.AppendUvarint(b, uint64(d.Code))
	}
	if fields&hasSeventh != 0 {
		b = appendText(b, d.Reason)
	}
	return b
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

// parseUp reads a record, without its size. The payload remains a part of b; texts are copies.
func parseUp(b []byte) (u Up, err error) {
	c := cursor{b: b}
	u.Kind = UpKind(c.byte("kind"))
	fields := c.byte("fields")
	if fields&hasZone != 0 {
		u.Zone = uint32(c.uvarint("zone", math.MaxUint32))
	}
	if fields&hasSession != 0 {
		u.Session = c.uvarint("session", math.MaxUint64)
	}
	if fields&hasThird != 0 {
		u.Player = c.uvarint("player", math.MaxUint64)
	}
	if fields&hasFourth != 0 {
		u.Name = string(c.text("name"))
	}
	if fields&hasFifth != 0 {
		u.Route = uint16(c.uvarint("route", math.MaxUint16))
	}
	if fields&hasSixth != 0 {
		u.ID = uint32(c.uvarint("id", math.MaxUint32))
	}
	if fields&hasSeventh != 0 {
		if n := c.count("number of rights", 1); n > 0 {
			u.Rights = make([]string, n)
			for i := range u.Rights {
				u.Rights[i] = string(c.text("right"))
			}
		}
	}
	u.Payload = c.payload(fields)
	return u, c.err
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
	if fields&hasSession != 0 {
		d.Session = c.uvarint("session", math.MaxUint64)
	}
	if fields&hasThird != 0 {
		d.Type = protocol.FrameType(c.byte("type"))
	}
	if fields&hasFourth != 0 {
		d.Route = uint16(c.uvarint("route", math.MaxUint16))
	}
	if fields&hasFifth != 0 {
		d.ID = uint32(c.uvarint("id", math.MaxUint32))
	}
	if fields&hasSixth != 0 {
		d.Code = protocol.DisconnectCode(c.uvarint("code", math.MaxUint16))
	}
	if fields&hasSeventh != 0 {
		d.Reason = string(c.text("reason"))
	}
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
