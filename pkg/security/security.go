// Package security makes the channel between a client and a gateway secret and authentic: certified server keys, the
// handshake, sealed records, and the tokens that say who a player is. docs/ProtoDesignMaunal_v1.0.md sections 1, 3 and 4
// are its contract; frames inside of records are pkg/protocol's.
//
// The handshake and the tokens are plain functions of their arguments: time and randomness are given, nothing blocks, any
// goroutine may call them. A Session belongs to two goroutines: one owns its Sealer, one its Opener; neither may be shared
// or copied, because two records under one counter would give the plaintexts away. Nothing runs here, so nothing stops;
// Session.Close only forgets the keys.
//
// What it does not do: it does not stop a cheater who owns the client, and in a browser the code itself comes over the
// connection that it protects.
package security

import (
	"crypto/rand"
	"io"
)

// The first byte of a record: version 01 in the two high bits, kind in the next three, three reserved bits of 0.
const (
	RecordHS1    byte = 0x40 // client → server, the first message
	RecordHS2    byte = 0x48 // server → client, the answer
	RecordReject byte = 0x50 // server → client, then the connection closes
	RecordData   byte = 0x58 // both ways, sealed
)

// Sizes in bytes.
const (
	// Overhead is what sealing adds to the frames of a record: the header byte and the tag.
	Overhead = 1 + tagSize
	// HS1Size is the exact size of the first record of suite 1; that of suite 2 is longer by its ticket.
	HS1Size = hs1HeadSize + keySize + payload1Size + tagSize
	// HS2Size is the exact size of the answer of either suite.
	HS2Size = 1 + keySize + payload2Size + tagSize
	// MaxTicket is the longest ticket; the shortest is one byte.
	MaxTicket = 256
	// MaxHandshake is the largest first record of any suite; a server needs to read no more before it answers.
	MaxHandshake = HS1Size + MaxTicket

	keySize      = 32
	tagSize      = 16
	hs1HeadSize  = 8
	payload1Size = 24
	payload2Size = 54
)

// The cipher suites.
const (
	// SuiteNK is for a fresh login: Noise_NK_25519_AESGCM_SHA256.
	SuiteNK = 1
	// SuiteNKpsk2 is for resuming a session: Noise_NKpsk2_25519_AESGCM_SHA256. The first message carries a ticket, and the
	// secret that came with the ticket is mixed in at the end of the second, so that only its owner can read the answer.
	SuiteNKpsk2 = 2
)

// DefaultSubprotocol is the WebSocket subprotocol that both sides bind into the handshake unless configured otherwise.
const DefaultSubprotocol = "mmo.v1"

// protocolVersion is the default of both version ranges, on both sides.
const protocolVersion = 4

func randomOr(r io.Reader) io.Reader {
	if r == nil {
		return rand.Reader
	}
	return r
}
