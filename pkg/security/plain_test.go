package security

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/flynn/noise"
)

// plainNoise is the Noise library used by itself, with its own Diffie-Hellman, against which both sides are tried.
func plainNoise(t *testing.T, f *fixture, c noise.Config) *noise.HandshakeState {
	t.Helper()
	c.CipherSuite = noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256)
	c.Pattern = noise.HandshakeNK
	c.Prologue = []byte("MMOGW\x01\x01\x04\x04\x07\x00\x00\x00\x06mmo.v1\x03dev")
	if f.client.Resume != nil {
		c.Prologue[6] = 2
		c.PresharedKey, c.PresharedKeyPlacement = f.secret[:], 2
	}
	hs, err := noise.NewHandshakeState(c)
	if err != nil {
		t.Fatal(err)
	}
	return hs
}

// speakPlain exchanges records between a Session and the Noise library's cipher states across the first rekeys.
func speakPlain(t *testing.T, s *Session, send, receive *noise.CipherState) {
	t.Helper()
	for i := range 2*vectorRekeyCount + 1 {
		record, err := send.Encrypt([]byte{RecordData}, []byte{RecordData}, []byte{byte(i)})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Opener.Open(record); err != nil || !bytes.Equal(got, []byte{byte(i)}) {
			t.Fatalf("record %d from the plain library: %x, %v", i, got, err)
		}
		got, err := receive.Decrypt(nil, []byte{RecordData}, s.Sealer.Seal(nil, []byte{byte(i)})[1:])
		if err != nil || !bytes.Equal(got, []byte{byte(i)}) {
			t.Fatalf("record %d to the plain library: %x, %v", i, got, err)
		}
		if (i+1)%vectorRekeyCount == 0 {
			send.Rekey()
			receive.Rekey()
		}
	}
}

func TestServerAgainstPlainNoise(t *testing.T) {
	eachSuite(t, func(t *testing.T, f *fixture) {
		suite, size := f.suite()
		public := f.client.Cert.Public
		hs := plainNoise(t, f, noise.Config{Initiator: true, PeerStatic: public[:], Random: bytes.NewReader(pattern(0x33, 32))})
		payload1 := pattern(0, size-HS1Size+payload1Size)
		hs1, _, _, err := hs.WriteMessage([]byte{0x40, suite, 7, 0, 0, 0, 4, 4}, payload1)
		if err != nil {
			t.Fatal(err)
		}
		h, err := Begin(&f.server, hs1, f.now)
		if err != nil || h.Info.SchemaHash != [8]byte(pattern(16, 8)) || !bytes.Equal(h.Ticket, payload1[payload1Size:]) {
			t.Fatal(h, err)
		}
		secret := &f.secret
		if suite == SuiteNK {
			secret = nil
		}
		hs2, s, err := h.Finish(secret)
		if err != nil {
			t.Fatal(err)
		}
		payload2, c2s, s2c, err := hs.ReadMessage(nil, hs2[1:])
		if err != nil || len(payload2) != 54 || binary.LittleEndian.Uint16(payload2[50:]) != 16 || binary.LittleEndian.Uint16(payload2[52:]) != 100 {
			t.Fatal(payload2, err)
		}
		speakPlain(t, s, c2s, s2c)
	})
}

func TestClientAgainstPlainNoise(t *testing.T) {
	eachSuite(t, func(t *testing.T, f *fixture) {
		h, hs1 := f.start(t)
		public := f.client.Cert.Public
		hs := plainNoise(t, f, noise.Config{
			StaticKeypair: noise.DHKey{Private: f.server.Current.Private(), Public: public[:]}, Random: bytes.NewReader(pattern(0x44, 32)),
		})
		payload1, _, _, err := hs.ReadMessage(nil, hs1[hs1HeadSize:])
		if err != nil || !bytes.Equal(payload1[16:24], f.client.SchemaHash[:]) {
			t.Fatal(payload1, err)
		}
		if f.client.Resume != nil && !bytes.Equal(payload1[24:], f.client.Resume.Ticket) {
			t.Fatalf("ticket arrived as %x", payload1[24:])
		}
		c, err := f.server.validate()
		if err != nil {
			t.Fatal(err)
		}
		hs2, c2s, s2c, err := hs.WriteMessage([]byte{RecordHS2}, c.payload2(&ClientInfo{Version: protocolVersion}, f.now))
		if err != nil {
			t.Fatal(err)
		}
		s, info, err := h.Finish(hs2)
		if err != nil || !info.SchemaMatches {
			t.Fatal(info, err)
		}
		speakPlain(t, s, s2c, c2s)
	})
}
