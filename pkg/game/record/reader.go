package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// Tick is one tick of a recording, good until the next is read.
type Tick struct {
	Number   uint32
	Inputs   []game.Input
	Hashed   bool   // Hash was recorded
	Hash     uint64 // of the zone after the tick
	Compared bool   // the entities that have changed were recorded

	entities []byte
}

// Reader reads a recording. It holds one chunk at a time, whose length the file must really have.
type Reader struct {
	r      io.Reader
	header Header
	at     int64  // byte at which the next chunk begins
	from   int64  // and that in which the ticks are
	number uint32 // of the next chunk
	chunk  bytes.Buffer
	rest   []byte // of the chunk of ticks
	next   uint32
	tick   Tick
	end    End
	err    error // why there is nothing more to read
}

// NewReader reads the head of a recording. What it reads from should be buffered, as a file is not: it asks for little at a time.
func NewReader(r io.Reader) (*Reader, error) {
	d := &Reader{r: r}
	var start [len(magic) + 2]byte
	n, err := io.ReadFull(r, start[:])
	switch v := binary.LittleEndian.Uint16(start[len(magic):]); {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("read the recording: %w", err)
	case n < len(start) && n > 0 && string(start[:n]) == (magic + string(rune(version)) + "\x00")[:n]:
		return nil, fmt.Errorf("%w, after %d bytes: there is nothing to replay in it", ErrTorn, n)
	case n < len(start) || string(start[:len(magic)]) != magic:
		return nil, fmt.Errorf("%w: it begins with %q; a recording is what record.Open makes, and a transfer must take it as binary", ErrNotRecording, start[:n])
	case v != version:
		return nil, fmt.Errorf("%w: version %d, this build reads version %d; replay with the build that recorded it", ErrVersion, v, version)
	}
	d.at = int64(len(start))
	if err := d.readHeader(); err != nil {
		return nil, err
	}
	d.next = d.header.Zone.FirstTick
	return d, nil
}

func (d *Reader) readHeader() error {
	kind, body, err := d.readChunk()
	switch {
	case err != nil:
		return headerError(err)
	case kind != chunkHeader:
		return d.damage("the first chunk is of type %d, the header's is %d", kind, chunkHeader)
	}
	tables, err := d.header.unmarshal(body)
	if err != nil {
		return d.damage("the header: %v", err)
	}
	if !tables {
		return nil
	}
	if kind, body, err = d.readChunk(); err != nil {
		return headerError(err)
	}
	if kind != chunkTables {
		return d.damage("a chunk of type %d stands where the data tables should be", kind)
	}
	d.header.Tables = bytes.Clone(body)
	return nil
}

func headerError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: there is nothing to replay in it", ErrTorn)
	}
	return err
}

// Header says what was recorded.
func (d *Reader) Header() Header { return d.header }

// End tells how the recording ended, once Next has returned io.EOF; before, how many ticks were read.
func (d *Reader) End() End { return d.end }

// readChunk reads a chunk; the body is good until the next. io.EOF: there is none; io.ErrUnexpectedEOF: it is torn.
func (d *Reader) readChunk() (kind byte, body []byte, err error) {
	d.from = d.at
	d.chunk.Reset()
	if _, err := io.CopyN(&d.chunk, d.r, chunkHead); err != nil {
		return 0, nil, d.tornOr(err)
	}
	head := d.chunk.Bytes()
	length := binary.LittleEndian.Uint32(head[5:])
	if length > maxBody {
		return 0, nil, d.damage("it claims %d bytes, a chunk may have %d", length, maxBody)
	}
	if _, err := io.CopyN(&d.chunk, d.r, int64(length)+chunkTail); err != nil { // grows as the bytes come
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, d.tornOr(err)
	}
	b := d.chunk.Bytes()
	n := len(b) - chunkTail
	if sum := binary.LittleEndian.Uint32(b[n:]); sum != checksum(b[:n]) {
		return 0, nil, d.damage("its checksum is %08x, its bytes have %08x", sum, checksum(b[:n]))
	}
	if number := binary.LittleEndian.Uint32(b[1:]); number != d.number {
		return 0, nil, d.damage("it is chunk %d, chunk %d was due", number, d.number)
	}
	d.number++
	d.at += int64(len(b))
	return b[0], b[chunkHead:n], nil
}

// tornOr tells a file that ends from one that cannot be read.
func (d *Reader) tornOr(err error) error {
	switch {
	case errors.Is(err, io.EOF) && d.chunk.Len() > 0:
		return io.ErrUnexpectedEOF
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	return fmt.Errorf("read the recording: %w", err)
}

func (d *Reader) damage(format string, args ...any) error {
	return &Damage{d.from, fmt.Sprintf(format, args...)}
}

// Next reads the next tick. io.EOF says that there is none, and End then why; a *Damage that the file is not as it was written.
func (d *Reader) Next() (*Tick, error) {
	if d.err == nil && len(d.rest) == 0 {
		d.err = d.nextChunk()
	}
	if d.err == nil {
		d.err = d.parseTick()
	}
	if d.err != nil {
		return nil, d.err
	}
	return &d.tick, nil
}

// nextChunk goes on to the next ticks.
func (d *Reader) nextChunk() error {
	kind, body, err := d.readChunk()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		d.end.Torn = true
		return io.EOF
	case err != nil:
		return err
	case kind == chunkEnd:
		return d.readEnd(body)
	case kind != chunkTicks:
		return d.damage("a chunk of type %d stands among the ticks", kind)
	case len(body) < 5:
		return d.damage("it has no tick")
	}
	if first := binary.LittleEndian.Uint32(body); first != d.next {
		return d.damage("it begins with tick %d, tick %d was due", first, d.next)
	}
	d.rest = body[4:]
	return nil
}

func (d *Reader) readEnd(body []byte) error {
	e, ok := parseEnd(body)
	if !ok || e.Ticks != d.end.Ticks {
		return d.damage("the end tells of %d ticks, %d were there", e.Ticks, d.end.Ticks)
	}
	d.end = e
	if n, err := io.CopyN(io.Discard, d.r, 1); n > 0 {
		d.from = d.at
		return d.damage("there is something behind the end")
	} else if !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the recording: %w", err)
	}
	return io.EOF
}

// parseTick takes a tick from the head of the chunk.
func (d *Reader) parseTick() error {
	n := numbers{b: d.rest}
	head := n.next(uint64(len(d.rest))<<2 | 3)
	flags := head & 3
	if n.bad || flags == 2 || head>>2 > uint64(len(n.b)/2) { // an input has a kind and its fields
		return d.damage("tick %d: it claims %d inputs", d.next, head>>2)
	}
	t := &d.tick
	*t = Tick{Number: d.next, Inputs: t.Inputs[:0], Hashed: flags&1 != 0, Compared: flags&2 != 0}
	b := n.b
	for i := range head >> 2 {
		in, rest, err := game.ParseInput(b)
		if err != nil {
			return d.damage("tick %d, input %d: %v", d.next, i, err)
		}
		t.Inputs, b = append(t.Inputs, in), rest
	}
	if t.Hashed {
		if len(b) < 8 {
			return d.damage("tick %d: its hash is cut off", d.next)
		}
		t.Hash, b = binary.LittleEndian.Uint64(b), b[8:]
	}
	if t.Compared {
		if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
			return d.damage("tick %d: its entities are cut off", d.next)
		}
		k := 4 + int(binary.LittleEndian.Uint32(b))
		t.entities, b = b[4:k:k], b[k:]
	}
	d.rest = b
	d.next++
	d.end.Ticks++
	return nil
}
