package protocol

import (
	"encoding/binary"
	"fmt"
)

// Fingerprint identifies a schema, in the 8 bytes that both sides of a handshake exchange:
//
//	generation u16 | revision u16 | first 4 bytes of SHA-256 over the body of schema.lock            numbers little-endian
//
// Schemas of one generation understand each other: what one does not know, it skips. The revision counts their changes, so the lower one is older.
type Fingerprint [8]byte

// NewFingerprint puts a fingerprint together.
func NewFingerprint(generation, revision uint16, sum [4]byte) (f Fingerprint) {
	binary.LittleEndian.PutUint16(f[0:], generation)
	binary.LittleEndian.PutUint16(f[2:], revision)
	copy(f[4:], sum[:])
	return f
}

// FingerprintOf is the fingerprint whose Uint64 is v.
func FingerprintOf(v uint64) (f Fingerprint) {
	binary.LittleEndian.PutUint64(f[:], v)
	return f
}

// Uint64 is the fingerprint as a number, low byte first.
func (f Fingerprint) Uint64() uint64 { return binary.LittleEndian.Uint64(f[:]) }

// Generation counts the incompatible changes of the schema.
func (f Fingerprint) Generation() uint16 { return binary.LittleEndian.Uint16(f[0:]) }

// Revision counts the changes of the schema.
func (f Fingerprint) Revision() uint16 { return binary.LittleEndian.Uint16(f[2:]) }

// String is what people compare: "2.14-9f3a01bc" is revision 14 of generation 2.
func (f Fingerprint) String() string {
	return fmt.Sprintf("%d.%d-%x", f.Generation(), f.Revision(), f[4:])
}

// Compatible tells whether a server of schema f and a client of schema client understand each other. The zero fingerprint is that of a client without a schema of its
// own, which learns the server's.
func (f Fingerprint) Compatible(client Fingerprint) bool {
	return f == client || client == Fingerprint{} || f.Generation() == client.Generation() && f.Revision() != client.Revision()
}

// SchemaMismatch explains to a person why a client and a server whose schemas are not compatible cannot talk: which side is older and what to run.
func SchemaMismatch(client, server Fingerprint) string {
	older := func(f, than Fingerprint) bool {
		return f.Generation() < than.Generation() || f.Generation() == than.Generation() && f.Revision() < than.Revision()
	}
	switch {
	case older(client, server):
		return fmt.Sprintf("the client is older: its schema is %v, the server's %v: run mmo gen, build the client again, or reload the page", client, server)
	case older(server, client):
		return fmt.Sprintf("the server is older: its schema is %v, the client's %v: run mmo gen, build the server again and restart it", server, client)
	}
	return fmt.Sprintf("client and server have different schemas of the same revision, %v and %v: run mmo gen on one tree and build both from it", client, server)
}
