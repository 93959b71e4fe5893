package security

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"
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
	secret [32]byte // of the ticket, if the client resumes
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	root, server := vectorServer(t)
	_, _, now := vectorTimes()
	server.Rand = nil
	client := ClientConfig{Root: root.Public(), Cert: server.Current.Cert(), Realm: server.Realm, SchemaHash: server.SchemaHash, Now: now}
	return &fixture{root: root, server: server, client: client, now: now}
}

// resuming is a fixture whose client comes with a ticket.
func resuming(t testing.TB) *fixture {
	t.Helper()
	f := newFixture(t)
	f.secret = [32]byte(pattern(0x71, 32))
	f.client.Resume = &Resumption{Ticket: pattern(0x91, ticketSize), Secret: f.secret}
	return f
}

// eachSuite runs a test for a fresh login and for a resumption.
func eachSuite(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Run("suite 1", func(t *testing.T) { test(t, newFixture(t)) })
	t.Run("suite 2", func(t *testing.T) { test(t, resuming(t)) })
}

// accept answers an HS1 as a server does, that knows the secret of whatever ticket it is shown.
func (f *fixture) accept(hs1 []byte) (hs2 []byte, s *Session, info ClientInfo, err error) {
	h, err := Begin(&f.server, hs1, f.now)
	if err != nil {
		return nil, nil, info, err
	}
	secret := &f.secret
	if h.Ticket == nil {
		secret = nil
	}
	if hs2, s, err = h.Finish(secret); err != nil {
		return hs2, s, info, err
	}
	return hs2, s, h.Info, nil
}

// suite of the fixture's client, and the length of its HS1.
func (f *fixture) suite() (suite uint8, size int) {
	if f.client.Resume == nil {
		return SuiteNK, HS1Size
	}
	return SuiteNKpsk2, HS1Size + len(f.client.Resume.Ticket)
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
	hs2, server, _, err := f.accept(hs1)
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
	eachSuite(t, func(t *testing.T, f *fixture) {
		suite, size := f.suite()
		f.server.IdleTimeout, f.server.RecordMax = 12345*time.Millisecond, 32<<10
		f.server.AckEvery, f.server.AckAfter = 9, 250*time.Millisecond
		h, hs1 := f.start(t)
		if len(hs1) != size || HS1Size != 80 {
			t.Errorf("HS1 is %d bytes, the manual says 80 and the ticket", len(hs1))
		}
		hs2, server, seen, err := f.accept(hs1)
		if err != nil {
			t.Fatal(err)
		}
		if len(hs2) != HS2Size || HS2Size != 103 {
			t.Errorf("HS2 is %d bytes, the manual says 103", len(hs2))
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
			AckEvery: 9, AckAfter: 250 * time.Millisecond, Resumes: suite == SuiteNKpsk2,
		}
		if info != want {
			t.Errorf("client knows %+v, want %+v", info, want)
		}
		known := ClientInfo{
			Suite: suite, KeyID: vectorKeyID, VersionMin: protocolVersion, VersionMax: protocolVersion, Version: protocolVersion,
			SchemaHash: f.client.SchemaHash, SchemaMatches: true, ConnectionID: seen.ConnectionID,
		}
		if seen != known || seen.ConnectionID == [16]byte{} {
			t.Errorf("server knows %+v, want %+v", seen, known)
		}
		if _, _, err := h.Finish(hs2); !errors.Is(err, ErrHandshake) {
			t.Errorf("finished twice: %v", err)
		}
	})
}

func TestAFailedHandshakeTakesNoSecondAnswer(t *testing.T) {
	eachSuite(t, func(t *testing.T, f *fixture) {
		h, hs1 := f.start(t)
		hs2, _, _, err := f.accept(hs1)
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
	})
}

func TestReplayedHS1GivesOtherKeysAndChangesNothing(t *testing.T) {
	eachSuite(t, func(t *testing.T, f *fixture) {
		_, hs1 := f.start(t)
		before, kept := f.server, bytes.Clone(hs1)
		first, a, infoA, errA := f.accept(hs1)
		second, b, infoB, errB := f.accept(hs1)
		if errA != nil || errB != nil || bytes.Equal(first, second) || infoA.ConnectionID == infoB.ConnectionID {
			t.Fatal("two answers to one HS1 are the same", errA, errB)
		}
		if bytes.Equal(a.Sealer.Seal(nil, []byte("x")), b.Sealer.Seal(nil, []byte("x"))) {
			t.Error("two sessions share a key")
		}
		if !reflect.DeepEqual(f.server, before) || !bytes.Equal(hs1, kept) {
			t.Error("a handshake changed the config or the record that it was given")
		}
	})
}

func TestSchemaMismatchIsReportedToBothSides(t *testing.T) {
	f := newFixture(t)
	f.client.SchemaHash[0] ^= 1
	h, hs1 := f.start(t)
	hs2, _, seen, err := f.accept(hs1)
	if err != nil || seen.SchemaMatches || seen.SchemaHash != f.client.SchemaHash {
		t.Fatalf("%+v, %v", seen, err)
	}
	if _, info, err := h.Finish(hs2); err != nil || info.SchemaMatches || info.SchemaHash != f.server.SchemaHash {
		t.Fatalf("%+v, %v", info, err)
	}
}

func TestEveryBitOfTheHandshakeCounts(t *testing.T) { eachSuite(t, everyBitOfTheHandshakeCounts) }

func everyBitOfTheHandshakeCounts(t *testing.T, f *fixture) {
	f.server.VersionMin, f.server.VersionMax = 1, 255 // so that changed versions reach the prologue
	_, hs1 := f.start(t)
	for i := range hs1 {
		for bit := range 8 {
			changed := bytes.Clone(hs1)
			changed[i] ^= 1 << bit
			hs2, s, _, err := f.accept(changed)
			// X25519 ignores the highest bit of a public key, but the hash of the transcript does not.
			if err == nil || hs2 != nil || s != nil {
				t.Fatalf("HS1 with byte %d bit %d changed was accepted", i, bit)
			}
			asReject(t, err)
		}
	}
}

func TestEveryBitOfTheAnswerCounts(t *testing.T) { eachSuite(t, everyBitOfTheAnswerCounts) }

func everyBitOfTheAnswerCounts(t *testing.T, f *fixture) {
	same := func() (*ClientHandshake, []byte) { // the same HS1 each time, so that one answer fits all
		f.client.Rand = bytes.NewReader(pattern(1, 48))
		return f.start(t)
	}
	h, hs1 := same()
	hs2, _, _, err := f.accept(hs1)
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
	eachSuite(t, truncatedOrExtendedHandshakeIsRefused)
}

func truncatedOrExtendedHandshakeIsRefused(t *testing.T, f *fixture) {
	suite, size := f.suite()
	least, most := sizesOf(suite)
	_, hs1 := f.start(t)
	for n := range 2 * MaxHandshake {
		if n == size {
			continue
		}
		record := append(bytes.Clone(hs1), make([]byte, 2*MaxHandshake)...)[:n]
		_, _, _, err := f.accept(record)
		if r := asReject(t, err); r.Code != RejectMalformed || hex.EncodeToString(r.Bytes) != "500400" {
			t.Fatalf("HS1 of %d bytes: %v", n, err)
		} else if (n < least || n > most) && !strings.Contains(r.Error(), "first record of") {
			t.Fatalf("HS1 of %d bytes was refused for its content, so scalar multiplications were spent: %v", n, err)
		}
	}
	for n := range 2 * HS2Size {
		if n == HS2Size {
			continue
		}
		h, hs1 := f.start(t)
		hs2, _, _, err := f.accept(hs1)
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

func TestLowOrderPointsAreRefused(t *testing.T) { eachSuite(t, lowOrderPointsAreRefused) }

func lowOrderPointsAreRefused(t *testing.T, f *fixture) {
	for _, point := range lowOrderPoints(t) {
		if shared, err := (&x25519{}).DH(pattern(1, 32), point); err == nil {
			t.Errorf("%x gives %x", point, shared)
		}
		// An attacker who knows that the result is zero could compute a valid first message for it; any will do here,
		// because the refusal comes before the tag is looked at.
		_, hs1 := f.start(t)
		copy(hs1[hs1HeadSize:], point)
		_, _, _, err := f.accept(hs1)
		if r := asReject(t, err); r.Code != RejectMalformed || !strings.Contains(r.Error(), "low order") {
			t.Errorf("server, %x: %v", point, err)
		}
		h, hs1 := f.start(t)
		hs2, _, _, err := f.accept(hs1)
		if err != nil {
			t.Fatal(err)
		}
		copy(hs2[1:], point)
		if _, _, err := h.Finish(hs2); !errors.Is(err, ErrHandshake) || !strings.Contains(err.Error(), "low order") {
			t.Errorf("client, %x: %v", point, err)
		}
	}
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
		"short": good[:53], "long": append(bytes.Clone(good), 0), "version 0": with(0, 0), "version before": with(0, protocolVersion-1), "version behind": with(0, protocolVersion+1), "flags": with(1, 1),
		"record maximum 0": zero(34), "idle 0": zero(38), "rekey records 0": zero(42), "rekey bytes 0": zero(46),
		"acknowledge every 0": with(50, 0), "acknowledge after 0": with(52, 0),
	} {
		if _, err := cfg.parsePayload2(b); !errors.Is(err, ErrHandshake) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
