package security

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// RejectCode says why a server refuses a handshake, before there are keys to say it under.
type RejectCode uint16

// The codes of a REJECT record.
const (
	RejectKeyUnknown RejectCode = 1 // the record carries the server's current KeyCert
	RejectSuite      RejectCode = 2
	RejectVersion    RejectCode = 3 // the record carries the server's version range
	RejectMalformed  RejectCode = 4
	RejectBusy       RejectCode = 5 // retry later
	RejectTicket     RejectCode = 6 // unknown, spent or expired: log in anew with SuiteNK
)

// String names the code for logs.
func (c RejectCode) String() string {
	switch c {
	case RejectKeyUnknown:
		return "key_unknown"
	case RejectSuite:
		return "suite_refused"
	case RejectVersion:
		return "version_refused"
	case RejectMalformed:
		return "malformed"
	case RejectBusy:
		return "busy"
	case RejectTicket:
		return "ticket_refused"
	}
	return fmt.Sprintf("reject(%d)", uint16(c))
}

// Reject is the error of a refused handshake on both sides: a server's Begin, Finish and Refuse return it with the record to
// send, a client's Finish with what the record said.
type Reject struct {
	Code  RejectCode
	Bytes []byte // the whole REJECT record
	Err   error  // what was wrong, for the server's log and counters; on a client why Cert is missing

	// Cert is the server's current key when a client gets RejectKeyUnknown: already verified against the pinned root,
	// another key than the one refused, and not older. nil if it is not all of that. Try again once with it.
	Cert *KeyCert
	// VersionMin and VersionMax are the server's range when a client gets RejectVersion. They are not authenticated.
	VersionMin, VersionMax uint8
}

// Error describes the refusal.
func (r *Reject) Error() string {
	if r.Err != nil {
		return fmt.Sprintf("handshake refused: %v: %v", r.Code, r.Err)
	}
	return fmt.Sprintf("handshake refused: %v", r.Code)
}

// Unwrap returns the cause.
func (r *Reject) Unwrap() error { return r.Err }

// newReject builds the record.
//
//	0x50 | code u16 | rest      1: KeyCert (119)   3: version_min u8, version_max u8   others: nothing
func newReject(code RejectCode, err error, rest ...byte) *Reject {
	b := binary.LittleEndian.AppendUint16([]byte{RecordReject}, uint16(code))
	return &Reject{Code: code, Bytes: append(b, rest...), Err: err}
}

// BusyReject is what a server answers that takes no more handshakes at the moment.
func BusyReject() *Reject { return newReject(RejectBusy, errors.New("the server is busy")) }

// parseReject reads a REJECT record without judging what it carries: nobody vouches for it.
func parseReject(b []byte) (*Reject, error) {
	if len(b) < 3 {
		return nil, fmt.Errorf("refusal of %d bytes: %w", len(b), ErrHandshake)
	}
	r := &Reject{Code: RejectCode(binary.LittleEndian.Uint16(b[1:])), Bytes: append([]byte(nil), b...)}
	rest := b[3:]
	want := 0
	switch r.Code {
	case RejectKeyUnknown:
		want = KeyCertSize
	case RejectVersion:
		want = 2
	case RejectSuite, RejectMalformed, RejectBusy, RejectTicket:
	default:
		return nil, fmt.Errorf("refusal with %v: %w", r.Code, ErrHandshake)
	}
	if len(rest) != want {
		return nil, fmt.Errorf("refusal with %v and %d bytes, want %d: %w", r.Code, len(rest), want, ErrHandshake)
	}
	if r.Code == RejectVersion {
		r.VersionMin, r.VersionMax = rest[0], rest[1]
	}
	return r, nil
}
