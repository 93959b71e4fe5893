package security

import (
	"crypto/ecdh"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/flynn/noise"
)

// x25519 is the Diffie-Hellman function that the Noise library is given: the standard library's, which is maintained with
// the toolchain and refuses an all-zero result (a low-order point of the peer). One value serves one handshake: it keeps
// the parsed keys, because the standard library computes the public key, a third of the work, whenever it parses a private one.
type x25519 struct {
	static, ephemeral parsedKey
}

// parsedKey remembers which bytes key was parsed from: those that the Noise library holds, recognised by their address.
type parsedKey struct {
	raw []byte
	key *ecdh.PrivateKey
}

func (p parsedKey) is(raw []byte) bool {
	return len(p.raw) == keySize && len(raw) == keySize && &p.raw[0] == &raw[0]
}

func (x *x25519) GenerateKeypair(rng io.Reader) (noise.DHKey, error) {
	private := make([]byte, keySize)
	if _, err := io.ReadFull(rng, private); err != nil {
		return noise.DHKey{}, fmt.Errorf("draw ephemeral key: %w", err)
	}
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return noise.DHKey{}, err
	}
	x.ephemeral = parsedKey{raw: private, key: key}
	return noise.DHKey{Private: private, Public: key.PublicKey().Bytes()}, nil
}

func (x *x25519) DH(private, public []byte) ([]byte, error) {
	peer, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	switch {
	case x.ephemeral.is(private):
		return x.ephemeral.key.ECDH(peer)
	case x.static.is(private):
		return x.static.key.ECDH(peer)
	}
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return nil, err
	}
	return key.ECDH(peer)
}

func (x *x25519) DHLen() int     { return keySize }
func (x *x25519) DHName() string { return "25519" }

// newNoise starts a handshake of suite; static is the server's key, of which c.StaticKeypair holds the same bytes. In
// SuiteNKpsk2 the secret may be set later, before message 2.
func newNoise(suite uint8, c noise.Config, static parsedKey) (*noise.HandshakeState, error) {
	c.CipherSuite = noise.NewCipherSuite(&x25519{static: static}, noise.CipherAESGCM, noise.HashSHA256)
	c.Pattern = noise.HandshakeNK
	if suite == SuiteNKpsk2 {
		c.PresharedKeyPlacement = 2
	}
	return noise.NewHandshakeState(c)
}

// prologue is what both sides mix into the handshake, so that nobody on the way can change suite, versions or key.
//
//	"MMOGW" ‖ 0x01 ‖ suite u8 ‖ version_min u8 ‖ version_max u8 ‖ key_id u32 ‖ len u8 ‖ subprotocol ‖ len u8 ‖ realm
func prologue(suite, versionMin, versionMax uint8, keyID uint32, subprotocol, realm string) []byte {
	b := append(make([]byte, 0, 64), "MMOGW\x01"...)
	b = append(b, suite, versionMin, versionMax)
	b = binary.LittleEndian.AppendUint32(b, keyID)
	b = append(append(b, byte(len(subprotocol))), subprotocol...)
	return append(append(b, byte(len(realm))), realm...)
}
