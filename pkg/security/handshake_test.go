package security

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/flynn/noise"
)

func asReject(t testing.TB, err error) *Reject {
	t.Helper()
	var r *Reject
	if !errors.As(err, &r) {
		t.Fatalf("error %v is no *Reject", err)
	}
	return r
}

// fixture is a server and a client that agree, with real randomness.
type fixture struct {
	root   Root
	server ServerConfig
	client ClientConfig
	now    time.Time
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	root, server := vectorServer(t)
	_, _, now := vectorTimes()
	server.Rand = nil
	client := ClientConfig{Root: root.Public(), Cert: server.Current.Cert(), Realm: server.Realm, SchemaHash: server.SchemaHash, Now: now}
	return &fixture{root: root, server: server, client: client, now: now}
}

// issue makes another server key of the fixture's root.
func (f *fixture) issue(t testing.TB, id uint32, from, to time.Time) ServerKey {
	t.Helper()
	key, err := f.root.Issue(nil, id, from, to)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (f *fixture) start(t testing.TB) (*ClientHandshake, []byte) {
	t.Helper()
	h, hs1, err := NewClient(f.client)
	if err != nil {
		t.Fatal(err)
	}
	return h, hs1
}

// connect runs a handshake that must succeed.
func (f *fixture) connect(t testing.TB) (client, server *Session) {
	t.Helper()
	h, hs1 := f.start(t)
	hs2, server, _, err := Accept(&f.server, hs1, f.now)
	if err != nil {
		t.Fatal(err)
	}
	client, _, err = h.Finish(hs2)
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

func mustTalk(t testing.TB, from, to *Session, what string) {
	t.Helper()
	got, err := to.Opener.Open(from.Sealer.Seal(nil, []byte(what)))
	if err != nil || string(got) != what {
		t.Fatalf("%q arrived as %q, %v", what, got, err)
	}
}

func TestHandshake(t *testing.T) {
	f := newFixture(t)
	f.server.IdleTimeout, f.server.RecordMax = 12345*time.Millisecond, 32<<10
	h, hs1 := f.start(t)
	if len(hs1) != HS1Size || HS1Size != 80 {
		t.Errorf("HS1 is %d bytes, the manual says 80", len(hs1))
	}
	hs2, server, seen, err := Accept(&f.server, hs1, f.now)
	if err != nil {
		t.Fatal(err)
	}
	if len(hs2) != HS2Size || HS2Size != 99 {
		t.Errorf("HS2 is %d bytes, the manual says 99", len(hs2))
	}
	client, info, err := h.Finish(hs2)
	if err != nil {
		t.Fatal(err)
	}
	mustTalk(t, client, server, "to the server")
	mustTalk(t, server, client, "to the client")
	want := ServerInfo{
		Version: protocolVersion, SchemaHash: f.server.SchemaHash, SchemaMatches: true, Time: f.now.UTC(), ConnectionID: seen.ConnectionID,
		RecordMax: 32 << 10, IdleTimeout: 12345 * time.Millisecond, RekeyRecords: vectorRekeyCount, RekeyBytes: vectorRekeyBytes,
	}
	if info != want {
		t.Errorf("client knows %+v, want %+v", info, want)
	}
	if seen.Version != protocolVersion || seen.KeyID != vectorKeyID || !seen.SchemaMatches || seen.SchemaHash != f.client.SchemaHash || seen.ConnectionID == [16]byte{} {
		t.Errorf("server knows %+v", seen)
	}
	if _, _, err := h.Finish(hs2); !errors.Is(err, ErrHandshake) {
		t.Errorf("finished twice: %v", err)
	}
}

func TestAFailedHandshakeTakesNoSecondAnswer(t *testing.T) {
	f := newFixture(t)
	h, hs1 := f.start(t)
	hs2, _, _, err := Accept(&f.server, hs1, f.now)
	if err != nil {
		t.Fatal(err)
	}
	forged := bytes.Clone(hs2)
	forged[len(forged)-1] ^= 1
	for _, answer := range [][]byte{forged, hs2} {
		if s, _, err := h.Finish(answer); !errors.Is(err, ErrHandshake) || s != nil {
			t.Errorf("%v", err)
		}
	}
}

func TestReplayedHS1GivesOtherKeys(t *testing.T) {
	f := newFixture(t)
	_, hs1 := f.start(t)
	first, a, infoA, errA := Accept(&f.server, hs1, f.now)
	second, b, infoB, errB := Accept(&f.server, hs1, f.now)
	if errA != nil || errB != nil || bytes.Equal(first, second) || infoA.ConnectionID == infoB.ConnectionID {
		t.Fatal("two answers to one HS1 are the same", errA, errB)
	}
	if bytes.Equal(a.Sealer.Seal(nil, []byte("x")), b.Sealer.Seal(nil, []byte("x"))) {
		t.Error("two sessions share a key")
	}
}

func TestSchemaMismatchIsReportedToBothSides(t *testing.T) {
	f := newFixture(t)
	f.client.SchemaHash[0] ^= 1
	h, hs1 := f.start(t)
	hs2, _, seen, err := Accept(&f.server, hs1, f.now)
	if err != nil || seen.SchemaMatches || seen.SchemaHash != f.client.SchemaHash {
		t.Fatalf("%+v, %v", seen, err)
	}
	if _, info, err := h.Finish(hs2); err != nil || info.SchemaMatches || info.SchemaHash != f.server.SchemaHash {
		t.Fatalf("%+v, %v", info, err)
	}
}

func TestEveryBitOfTheHandshakeCounts(t *testing.T) {
	f := newFixture(t)
	f.server.VersionMin, f.server.VersionMax = 1, 255 // so that changed versions reach the prologue
	_, hs1 := f.start(t)
	for i := range hs1 {
		for bit := range 8 {
			changed := bytes.Clone(hs1)
			changed[i] ^= 1 << bit
			hs2, s, _, err := Accept(&f.server, changed, f.now)
			// X25519 ignores the highest bit of a public key, but the hash of the transcript does not.
			if err == nil || hs2 != nil || s != nil {
				t.Fatalf("HS1 with byte %d bit %d changed was accepted", i, bit)
			}
			asReject(t, err)
		}
	}
}

func TestEveryBitOfTheAnswerCounts(t *testing.T) {
	f := newFixture(t)
	same := func() (*ClientHandshake, []byte) { // the same HS1 each time, so that one answer fits all
		f.client.Rand = bytes.NewReader(pattern(1, 48))
		return f.start(t)
	}
	h, hs1 := same()
	hs2, _, _, err := Accept(&f.server, hs1, f.now)
	if err != nil {
		t.Fatal(err)
	}
	for i := range hs2 {
		for bit := range 8 {
			changed := bytes.Clone(hs2)
			changed[i] ^= 1 << bit
			again, _ := same()
			if _, _, err := again.Finish(changed); !errors.Is(err, ErrHandshake) {
				t.Fatalf("byte %d bit %d: %v", i, bit, err)
			}
		}
	}
	if _, _, err := h.Finish(hs2); err != nil {
		t.Fatalf("the unchanged answer: %v", err)
	}
}

func TestTruncatedOrExtendedHandshakeIsRefused(t *testing.T) {
	f := newFixture(t)
	_, hs1 := f.start(t)
	for n := range 2 * MaxHandshake {
		if n == HS1Size {
			continue
		}
		record := append(bytes.Clone(hs1), make([]byte, 2*MaxHandshake)...)[:n]
		_, _, _, err := Accept(&f.server, record, f.now)
		if r := asReject(t, err); r.Code != RejectMalformed || hex.EncodeToString(r.Bytes) != "500400" {
			t.Fatalf("HS1 of %d bytes: %v", n, err)
		} else if n > HS1Size && n <= MaxHandshake && !strings.Contains(r.Error(), "want 80") {
			t.Fatalf("HS1 of %d bytes was refused for its content, so scalar multiplications were spent: %v", n, err)
		}
	}
	for n := range 2 * HS2Size {
		if n == HS2Size {
			continue
		}
		h, hs1 := f.start(t)
		hs2, _, _, err := Accept(&f.server, hs1, f.now)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := h.Finish(append(hs2, make([]byte, HS2Size)...)[:n]); !errors.Is(err, ErrHandshake) {
			t.Fatalf("HS2 of %d bytes: %v", n, err)
		}
	}
}

// lowOrderPoints are the encodings of all points of small order on the curve and its twist, the non-canonical ones
// included: 0, 1, p-1, p, p+1 and the two points of order 8, each also with the highest bit set.
func lowOrderPoints(t *testing.T) (points [][]byte) {
	t.Helper()
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	values := []*big.Int{big.NewInt(0), big.NewInt(1), new(big.Int).Sub(p, big.NewInt(1)), p, new(big.Int).Add(p, big.NewInt(1))}
	for _, v := range values {
		b := v.FillBytes(make([]byte, 32))
		for i := range 16 {
			b[i], b[31-i] = b[31-i], b[i]
		}
		points = append(points, b)
	}
	for _, order8 := range []string{
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	} {
		b, err := hex.DecodeString(order8)
		if err != nil {
			t.Fatal(err)
		}
		points = append(points, b)
	}
	for _, b := range points {
		high := bytes.Clone(b)
		high[31] |= 0x80
		points = append(points, high)
	}
	return points
}

func TestLowOrderPointsAreRefused(t *testing.T) {
	f := newFixture(t)
	for _, point := range lowOrderPoints(t) {
		if shared, err := (&x25519{}).DH(pattern(1, 32), point); err == nil {
			t.Errorf("%x gives %x", point, shared)
		}
		// An attacker who knows that the result is zero could compute a valid first message for it; any will do here,
		// because the refusal comes before the tag is looked at.
		_, hs1 := f.start(t)
		copy(hs1[hs1HeadSize:], point)
		_, _, _, err := Accept(&f.server, hs1, f.now)
		if r := asReject(t, err); r.Code != RejectMalformed || !strings.Contains(r.Error(), "low order") {
			t.Errorf("server, %x: %v", point, err)
		}
		h, hs1 := f.start(t)
		hs2, _, _, err := Accept(&f.server, hs1, f.now)
		if err != nil {
			t.Fatal(err)
		}
		copy(hs2[1:], point)
		if _, _, err := h.Finish(hs2); !errors.Is(err, ErrHandshake) || !strings.Contains(err.Error(), "low order") {
			t.Errorf("client, %x: %v", point, err)
		}
	}
}

// plainNoise is the Noise library used by itself, against which both sides are tried.
func plainNoise(t *testing.T, c noise.Config) *noise.HandshakeState {
	t.Helper()
	c.CipherSuite = noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256)
	c.Pattern = noise.HandshakeNK
	c.Prologue = []byte("MMOGW\x01\x01\x02\x02\x07\x00\x00\x00\x06mmo.v1\x03dev")
	hs, err := noise.NewHandshakeState(c)
	if err != nil {
		t.Fatal(err)
	}
	return hs
}

// speakPlain exchanges records between a Session and the Noise library's cipher states across the first rekey.
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
	f := newFixture(t)
	public := f.client.Cert.Public
	hs := plainNoise(t, noise.Config{Initiator: true, PeerStatic: public[:], Random: bytes.NewReader(pattern(0x33, 32))})
	hs1, _, _, err := hs.WriteMessage([]byte("\x40\x01\x07\x00\x00\x00\x02\x02"), pattern(0, payload1Size))
	if err != nil {
		t.Fatal(err)
	}
	hs2, s, info, err := Accept(&f.server, hs1, f.now)
	if err != nil || info.SchemaHash != [8]byte(pattern(16, 8)) {
		t.Fatal(info, err)
	}
	payload2, c2s, s2c, err := hs.ReadMessage(nil, hs2[1:])
	if err != nil || len(payload2) != 50 {
		t.Fatal(payload2, err)
	}
	speakPlain(t, s, c2s, s2c)
}

func TestClientAgainstPlainNoise(t *testing.T) {
	f := newFixture(t)
	h, hs1 := f.start(t)
	public := f.client.Cert.Public
	hs := plainNoise(t, noise.Config{
		StaticKeypair: noise.DHKey{Private: f.server.Current.Private(), Public: public[:]}, Random: bytes.NewReader(pattern(0x44, 32)),
	})
	payload1, _, _, err := hs.ReadMessage(nil, hs1[hs1HeadSize:])
	if err != nil || !bytes.Equal(payload1[16:], f.client.SchemaHash[:]) {
		t.Fatal(payload1, err)
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
}

// TestClientJudgesAuthenticParameters: a server that holds the key can still be wrong.
func TestClientJudgesAuthenticParameters(t *testing.T) {
	f := newFixture(t)
	cfg, err := f.client.validate()
	if err != nil {
		t.Fatal(err)
	}
	server, _ := f.server.validate()
	good := server.payload2(&ClientInfo{Version: protocolVersion}, f.now)
	if _, err := cfg.parsePayload2(good); err != nil {
		t.Fatal(err)
	}
	zero := func(at int) []byte { b := bytes.Clone(good); copy(b[at:], make([]byte, 4)); return b }
	with := func(at int, v byte) []byte { b := bytes.Clone(good); b[at] = v; return b }
	for name, b := range map[string][]byte{
		"short": good[:49], "long": append(bytes.Clone(good), 0), "version 0": with(0, 0), "version 3": with(0, 3), "flags": with(1, 1),
		"record maximum 0": zero(34), "idle 0": zero(38), "rekey records 0": zero(42), "rekey bytes 0": zero(46),
	} {
		if _, err := cfg.parsePayload2(b); !errors.Is(err, ErrHandshake) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
