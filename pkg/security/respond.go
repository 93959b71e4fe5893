package security

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/flynn/noise"
)

// ClientInfo is what a server knows of a client after the handshake. The client is not authenticated: anyone can send an
// HS1, or send one again, so nothing durable may follow from it before the first sealed record opens.
type ClientInfo struct {
	Suite                  uint8  // SuiteNK or SuiteNKpsk2
	KeyID                  uint32 // the server key that it used
	VersionMin, VersionMax uint8
	Version                uint8 // chosen
	SchemaHash             [8]byte
	SchemaMatches          bool     // false: another schema, which may be compatible
	ConnectionID           [16]byte // drawn by the server
}

// ServerHandshake is a handshake whose first record was read and not yet answered, so that a ticket's secret can be looked
// up in between. It ends with one call of Finish or Refuse, or is dropped: it holds nothing but memory. One goroutine uses it.
type ServerHandshake struct {
	// Info is what the client said, before any proof.
	Info ClientInfo
	// Ticket is what the client wants to resume with; nil for a fresh login. It came under the server's key, but anybody
	// who can read a certificate can write it: TicketKeys.Open tells forgeries.
	Ticket []byte

	cfg   ServerConfig          // with its defaults
	noise *noise.HandshakeState // nil: answered
	now   time.Time
}

// Begin reads the first record of a client. The error is always a *Reject: send its Bytes and close. hs1 is not kept.
// Nothing is computed for a record of a wrong size. Nothing follows from a record that was sent before and is sent again,
// other than the work for it.
func Begin(cfg *ServerConfig, hs1 []byte, now time.Time) (*ServerHandshake, error) {
	c, err := cfg.validate()
	if err != nil {
		return nil, newReject(RejectBusy, err)
	}
	info, key, reject := c.judge(hs1, now)
	if reject != nil {
		return nil, reject
	}
	hs, err := newNoise(info.Suite, noise.Config{
		StaticKeypair: noise.DHKey{Private: key.private.raw, Public: key.cert.Public[:]},
		Prologue:      prologue(info.Suite, info.VersionMin, info.VersionMax, info.KeyID, c.Subprotocol, c.Realm),
		Random:        c.Rand,
	}, key.private)
	if err != nil {
		return nil, newReject(RejectBusy, fmt.Errorf("start handshake: %w", err))
	}
	payload1, _, _, err := hs.ReadMessage(nil, hs1[hs1HeadSize:])
	if err != nil {
		return nil, newReject(RejectMalformed, fmt.Errorf("%w: %w", ErrHandshake, err))
	}
	info.SchemaHash = [8]byte(payload1[16:])
	info.SchemaMatches = info.SchemaHash == c.SchemaHash
	if _, err := io.ReadFull(c.Rand, info.ConnectionID[:]); err != nil {
		return nil, newReject(RejectBusy, fmt.Errorf("draw connection id: %w", err))
	}
	h := &ServerHandshake{Info: info, cfg: c, noise: hs, now: now}
	if info.Suite == SuiteNKpsk2 {
		h.Ticket = payload1[payload1Size:]
	}
	return h, nil
}

// judge reads the clear head of an HS1 and refuses whatever can be refused without a scalar multiplication.
//
//	0x40 | suite u8 | key_id u32 | version_min u8 | version_max u8 | noise message 1
//	suite 1: message 1 of 72 bytes                         80 bytes in all
//	suite 2: message 1 of 72 bytes + the ticket's     81 to 336 bytes
//	payload of message 1: random (16) | schema hash (8) | ticket (1 to 256, suite 2 only)
func (c *ServerConfig) judge(hs1 []byte, now time.Time) (info ClientInfo, key ServerKey, reject *Reject) {
	fail := func(code RejectCode, rest []byte, format string, a ...any) (ClientInfo, ServerKey, *Reject) {
		return ClientInfo{}, ServerKey{}, newReject(code, fmt.Errorf(format+": %w", append(a, ErrHandshake)...), rest...)
	}
	if len(hs1) < 2 || len(hs1) > MaxHandshake || hs1[0] != RecordHS1 {
		return fail(RejectMalformed, nil, "first record of %d bytes", len(hs1))
	}
	info.Suite = hs1[1]
	switch least, most := sizesOf(info.Suite); {
	case most == 0:
		return fail(RejectSuite, nil, "suite %d", info.Suite)
	case len(hs1) < least || len(hs1) > most:
		return fail(RejectMalformed, nil, "first record of %d bytes, want %d to %d", len(hs1), least, most)
	}
	info.KeyID = binary.LittleEndian.Uint32(hs1[2:])
	info.VersionMin, info.VersionMax = hs1[6], hs1[7]
	if info.VersionMin > info.VersionMax {
		return fail(RejectMalformed, nil, "versions %d to %d", hs1[6], hs1[7])
	}
	info.Version = min(info.VersionMax, c.VersionMax)
	if info.Version < info.VersionMin || info.Version < c.VersionMin {
		return fail(RejectVersion, []byte{c.VersionMin, c.VersionMax}, "client speaks versions %d to %d, server %d to %d",
			hs1[6], hs1[7], c.VersionMin, c.VersionMax)
	}
	switch {
	case info.KeyID == c.Current.cert.KeyID:
		key = c.Current
	case !c.Previous.IsZero() && info.KeyID == c.Previous.cert.KeyID && now.Unix() >= 0 && uint64(now.Unix()) <= c.Previous.cert.NotAfter:
		key = c.Previous
	default:
		return fail(RejectKeyUnknown, c.Current.cert.Marshal(), "key id %d", info.KeyID)
	}
	if !key.cert.Allows(info.Suite) {
		return fail(RejectSuite, nil, "suite %d, for which the root did not certify key %d", info.Suite, info.KeyID)
	}
	return info, key, nil
}

// sizesOf tells the bounds of a suite's HS1 in bytes; 0, 0 for a suite that there is not.
func sizesOf(suite uint8) (least, most int) {
	switch suite {
	case SuiteNK:
		return HS1Size, HS1Size
	case SuiteNKpsk2:
		return HS1Size + 1, HS1Size + MaxTicket
	}
	return 0, 0
}

// Finish answers the client: hs2 is the record to send, s the session that follows. secret is the ticket's, nil for a fresh
// login; it is not kept. The error is always a *Reject (to be sent instead), for lack of randomness or a misuse: Finish or
// Refuse called before, a secret where there is no ticket or the other way round.
func (h *ServerHandshake) Finish(secret *[32]byte) (hs2 []byte, s *Session, err error) {
	if hs2, s, err = h.finish(secret); err != nil {
		return nil, nil, newReject(RejectBusy, fmt.Errorf("answer handshake: %w", err))
	}
	return hs2, s, nil
}

func (h *ServerHandshake) finish(secret *[32]byte) ([]byte, *Session, error) {
	hs := h.noise
	h.noise = nil
	switch {
	case hs == nil:
		return nil, nil, errors.New("it was answered already")
	case (secret != nil) != (h.Info.Suite == SuiteNKpsk2):
		return nil, nil, fmt.Errorf("a secret given is %v with suite %d", secret != nil, h.Info.Suite)
	case secret != nil && *secret == [32]byte{}: // an empty row would be everybody's secret
		return nil, nil, errors.New("the ticket's secret is all zeros")
	case secret != nil:
		if err := hs.SetPresharedKey(secret[:]); err != nil {
			return nil, nil, err
		}
	}
	hs2 := append(make([]byte, 0, HS2Size), RecordHS2)
	hs2, c2s, s2c, err := hs.WriteMessage(hs2, h.cfg.payload2(&h.Info, h.now))
	if err != nil {
		return nil, nil, err
	}
	s, err := newSession(s2c.UnsafeKey(), c2s.UnsafeKey(), limits{records: h.cfg.RekeyRecords, bytes: h.cfg.RekeyBytes})
	return hs2, s, err
}

// Refuse ends the handshake because its ticket is unknown, spent or expired; which of them is not told. Send the Bytes of
// the answer and close.
func (h *ServerHandshake) Refuse() *Reject {
	h.noise = nil
	return newReject(RejectTicket, ErrTicket)
}

// payload2 is what the server says under the handshake's key; numbers are little-endian.
//
//	version u8 | flags u8 =0 | schema hash (8) | server time u64 µs since 1970 | connection id (16)
//	| record_max u32 | idle_timeout_ms u32 | rekey_records u32 | rekey_bytes u32
//	| ack_every u16 | ack_after_ms u16                                                                    54 bytes
func (c *ServerConfig) payload2(info *ClientInfo, now time.Time) []byte {
	b := append(make([]byte, 0, payload2Size), info.Version, 0)
	b = append(b, c.SchemaHash[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(now.UnixMicro()))
	b = append(b, info.ConnectionID[:]...)
	b = binary.LittleEndian.AppendUint32(b, c.RecordMax)
	b = binary.LittleEndian.AppendUint32(b, uint32(c.IdleTimeout/time.Millisecond))
	b = binary.LittleEndian.AppendUint32(b, c.RekeyRecords)
	b = binary.LittleEndian.AppendUint32(b, c.RekeyBytes)
	b = binary.LittleEndian.AppendUint16(b, c.AckEvery)
	return binary.LittleEndian.AppendUint16(b, uint16(c.AckAfter/time.Millisecond))
}
