package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// magic begins every recording. The byte that is not ASCII and the line end show a transfer that took it for text.
const magic = "\x89TXREC\r\n"

// version of the format.
const version = 1

// Types of chunks.
const (
	chunkHeader byte = 1 + iota
	chunkTables
	chunkTicks
	chunkEnd
)

const (
	chunkHead = 1 + 4 + 4 // type, number, length
	chunkTail = 4         // CRC
	maxBody   = 1 << 27   // of a chunk
	fullBody  = 64 << 10  // at which a chunk of ticks goes to the disk
)

// ErrNotRecording is wrapped by the error about a file that does not begin as a recording does.
var ErrNotRecording = errors.New("this is not a recording")

// ErrVersion is wrapped by the error about a recording of another version of the format.
var ErrVersion = errors.New("the recording has another format")

// ErrTorn is wrapped by the error about a file that ends before its first tick could begin.
var ErrTorn = errors.New("the recording ends within its header")

// Damage is the error about a recording that holds what no Recorder writes. What was read before it is good.
type Damage struct {
	At   int64 // byte of the file at which the damaged chunk begins
	What string
}

// Error implements error.
func (d *Damage) Error() string {
	return fmt.Sprintf("the recording is damaged in the chunk at byte %d: %s; the ticks before it are good, those behind it are lost: take another copy of the file if there is one", d.At, d.What)
}

// checksum is that of the bytes of a chunk before its tail.
func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// beginChunk leaves room for a chunk's head.
func beginChunk(b []byte) []byte { return append(b[:0], make([]byte, chunkHead)...) }

// finishChunk fills in the head of a chunk that began with beginChunk, and appends the tail.
func finishChunk(b []byte, kind byte, number uint32) []byte {
	b[0] = kind
	binary.LittleEndian.PutUint32(b[1:], number)
	binary.LittleEndian.PutUint32(b[5:], uint32(len(b)-chunkHead))
	return binary.LittleEndian.AppendUint32(b, checksum(b))
}

// End tells how a recording ended.
type End struct {
	Ticks  uint64 // that were read
	Closed bool   // in good order
	Reason string // why not; for people
	Torn   bool   // the file has no end: the process was killed, or still writes
}

// String says it in a sentence.
func (e End) String() string {
	switch {
	case e.Closed:
		return "it was closed in good order"
	case e.Reason == "" && !e.Torn:
		return "it was not read to its end"
	case e.Torn:
		return "it has no end: the process was killed or is still recording, and what came after these ticks is not in the file"
	}
	return "it ended early: " + e.Reason
}

func appendEnd(b []byte, e End) []byte {
	b = binary.LittleEndian.AppendUint64(b, e.Ticks)
	if e.Closed {
		return append(b, 1)
	}
	return append(append(b, 0), e.Reason...)
}

func parseEnd(b []byte) (e End, ok bool) {
	if len(b) < 9 || b[8] > 1 || b[8] == 1 && len(b) > 9 {
		return End{}, false
	}
	return End{Ticks: binary.LittleEndian.Uint64(b), Closed: b[8] == 1, Reason: string(b[9:])}, true
}
