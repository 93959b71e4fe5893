package security

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"math"
)

var (
	// ErrBadRecord: a record was changed, cut, replayed, reordered, lost or never sealed. Which one is not told.
	ErrBadRecord = errors.New("record does not authenticate")
	// ErrSessionClosed: the session was closed or an earlier record failed.
	ErrSessionClosed = errors.New("session is closed")
)

// counterEnd is the first counter that seals no record: 2^64−1 belongs to the rekey.
const counterEnd = math.MaxUint64

// Session is the pair of directions that a handshake leaves.
type Session struct {
	Sealer *Sealer // for what this side sends; owned by one goroutine
	Opener *Opener // for what it receives; owned by one goroutine
}

// Close forgets the keys of both directions; it may be called twice, and only when neither goroutine uses its half.
// The expanded keys lie in the standard library's ciphers and are left to the garbage collector.
func (s *Session) Close() {
	s.Sealer.Close()
	s.Opener.Close()
}

// limits are the rekey limits of both directions.
type limits struct {
	records uint32
	bytes   uint32 // of plaintext
}

func newSession(seal, open [keySize]byte, l limits) (*Session, error) {
	s := &Session{Sealer: &Sealer{}, Opener: &Opener{}}
	if err := s.Sealer.init(seal, l); err != nil {
		return nil, err
	}
	return s, s.Opener.init(open, l)
}

// direction is the state of one key: which record comes next, and when the key changes.
type direction struct {
	_       noCopy
	aead    cipher.AEAD // nil: closed
	counter uint64      // of the next record, from 0; runs on when the key changes
	records uint32      // since the last rekey
	bytes   uint64      // of plaintext since the last rekey; a record may pass the limit by its own size
	limits  limits
	nonce   [12]byte // 4 zero bytes | counter big-endian; kept here so that no call allocates it
	ad      [1]byte  // the header byte
}

// noCopy makes go vet report copies of what holds it: a copied counter would seal two records under one nonce.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

func (d *direction) init(key [keySize]byte, l limits) error {
	d.limits, d.ad = l, [1]byte{RecordData}
	return d.setKey(key[:])
}

func (d *direction) setKey(key []byte) error {
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	d.aead, err = cipher.NewGCM(block)
	return err
}

func (d *direction) setNonce(n uint64) { binary.BigEndian.PutUint64(d.nonce[4:], n) }

// advance counts a record of n plaintext bytes and changes the key when a limit is reached, as the other side does.
func (d *direction) advance(n int) {
	d.counter++
	d.records++
	d.bytes += uint64(n)
	if d.records >= d.limits.records || d.bytes >= uint64(d.limits.bytes) {
		d.rekey()
	}
}

// rekey is Noise REKEY: the first 32 bytes of AES-256-GCM(key, nonce 2^64−1, no additional data, 32 zero bytes). The old
// key cannot be found from the new one. The counter runs on, so that no nonce is ever used twice whatever the key.
func (d *direction) rekey() {
	var zeros [keySize]byte
	d.setNonce(math.MaxUint64)
	next := d.aead.Seal(nil, d.nonce[:], zeros[:], nil)
	if err := d.setKey(next[:keySize]); err != nil {
		panic("security: " + err.Error()) // AES takes any 32 bytes
	}
	clear(next)
	d.records, d.bytes = 0, 0
}

func (d *direction) close() { d.aead = nil }

// Sealer makes records of one direction. One goroutine owns it.
type Sealer struct{ d direction }

func (s *Sealer) init(key [keySize]byte, l limits) error { return s.d.init(key, l) }

// Seal appends one record with frames inside to dst and returns the extended slice. dst may hold a prefix; frames must not
// overlap the free room of dst. It allocates only where dst lacks len(frames)+Overhead bytes, and when the key changes.
// It returns nil when the Sealer is closed or its counter is used up: the connection must end then.
//
//	0x58 | ciphertext of frames | tag (16)
func (s *Sealer) Seal(dst, frames []byte) []byte {
	d := &s.d
	if d.aead == nil || d.counter == counterEnd {
		return nil
	}
	d.setNonce(d.counter)
	dst = d.aead.Seal(append(dst, RecordData), d.nonce[:], frames, d.ad[:])
	d.advance(len(frames))
	return dst
}

// Close forgets the key; a later Seal returns nil. It may be called twice.
func (s *Sealer) Close() { s.d.close() }

// Opener reads records of one direction. One goroutine owns it.
type Opener struct{ d direction }

func (o *Opener) init(key [keySize]byte, l limits) error { return o.d.init(key, l) }

// Open decrypts a record in place and returns its frames, which alias record. Records must be given in the order in which
// they were sealed. After the first failure (ErrBadRecord) the Opener is closed and every call fails: bytes that follow a
// gap cannot be trusted. It allocates only when the key changes.
func (o *Opener) Open(record []byte) (frames []byte, err error) {
	d := &o.d
	if d.aead == nil {
		return nil, ErrSessionClosed
	}
	if len(record) < Overhead || record[0] != RecordData || d.counter == counterEnd {
		d.close()
		return nil, ErrBadRecord
	}
	d.setNonce(d.counter)
	frames, err = d.aead.Open(record[1:1], d.nonce[:], record[1:], d.ad[:])
	if err != nil {
		d.close()
		return nil, ErrBadRecord
	}
	d.advance(len(frames))
	return frames[:len(frames):len(frames)], nil
}

// Close forgets the key; a later Open fails. It may be called twice.
func (o *Opener) Close() { o.d.close() }
