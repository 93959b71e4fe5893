package security

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"math"
	mathrand "math/rand/v2"
	"testing"
	"time"
)

// faults maps every way in which a channel like this has been broken, or could be, to the test that tries it. Those that
// need a network or a session directory (handshakes that drip, two gateways that race for one ticket) are tried there.
func faults() []struct {
	fault string
	test  func(*testing.T)
} {
	return []struct {
		fault string
		test  func(*testing.T)
	}{
		{"any bit of HS1 flipped, both suites", TestEveryBitOfTheHandshakeCounts},
		{"any bit of HS2 flipped, both suites", TestEveryBitOfTheAnswerCounts},
		{"any bit of a record flipped, both suites", TestEveryBitAndLengthOfARecordCounts},
		{"HS1 or HS2 truncated or extended at every length", TestTruncatedOrExtendedHandshakeIsRefused},
		{"record truncated at every length, its tag included", TestEveryBitAndLengthOfARecordCounts},
		{"work done for a record of a wrong size", TestTruncatedOrExtendedHandshakeIsRefused},
		{"low-order points, and an all-zero result of X25519", TestLowOrderPointsAreRefused},
		{"wrong key id, suite, version, realm, subprotocol", TestServerRefusals},
		{"expired previous key, rotated key", TestKeyRotation},
		{"forged, expired, future or older certificate in a refusal", TestClientDoesNotTrustTheCertOfARefusal},
		{"expired, future or forged certificate at the start", TestClientRefusesToStart},
		{"any bit of a certificate flipped", TestKeyCertChangedAnywhereIsRefused},
		{"a key used for a suite that the root did not allow", TestSuitesTheRootDidNotAllow},
		{"versions downgraded on the way", TestVersionDowngradeBreaksTheHandshake},
		{"HS1 replayed", TestReplayedHS1GivesOtherKeysAndChangesNothing},
		{"HS1 of another login answered to a client", TestAnswerToAnotherHandshakeIsRefused},
		{"nonces from 0 again under the same key after a reconnect", TestReplayedHS1GivesOtherKeysAndChangesNothing},
		{"a stolen ticket without its secret", TestWithoutTheTicketsSecretNothingFollows},
		{"an empty secret, one too many or too few", TestFinishRefusesMisuse},
		{"record replayed, reordered, dropped, duplicated, joined, in clear", TestAnythingButTheNextRecordEndsTheSession},
		{"a sequence of records shuffled at random", TestShuffledRecordsNeverOpenOutOfOrder},
		{"HS1 in the middle of a session", TestAnythingButTheNextRecordEndsTheSession},
		{"type or flags of a record outside of the additional data", TestAnythingButTheNextRecordEndsTheSession},
		{"one key for both directions", TestReflectedRecordIsRefused},
		{"record of another session", TestRecordOfAnotherSessionIsRefused},
		{"a failure that does not end the session", TestAnythingButTheNextRecordEndsTheSession},
		{"rekey one record or byte early or late, both directions", TestRekeyBoundary},
		{"sides that disagree about it", TestRekeyOffByOneIsNoticed},
		{"rekey at 2^16 records", TestRekeyAtTheManualsLimit},
		{"rekey at 2^26 bytes", TestRekeyAtTheManualsBytes},
		{"counter at 2^64-1", TestCounterEnd},
		{"a nonce used twice under one key", TestNoNonceIsUsedTwiceAcrossRekeys},
		{"nonce random or on the wire", TestVectors},
		{"empty frame list", TestEmptyFrameListIsARecord},
		{"ticket forged, truncated, of another key", TestForgedOrTruncatedTicketIsRefused},
		{"ticket expired", TestTicketExpires},
		{"ticket of a key that was rotated away", TestTicketKeysRotate},
		{"ticket nonce used twice", TestNoTicketNonceIsUsedTwice},
		{"halves of a session in two goroutines", TestHalvesRunInTheirOwnGoroutines},
		{"keys and secrets in logs", TestSecretsAreNotPrinted},
		{"secrets in files that others read", TestSecretFilesThatOthersCanReadAreRefused},
		{"tokens: alg none, HS256, kid, crit, times, audience", TestJWTMistakesOfOthers},
		{"clocks five minutes apart", TestClockSkew},
	}
}

func TestEveryFaultHasItsTest(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range faults() {
		if f.test == nil || seen[f.fault] {
			t.Errorf("%q has no test, or stands there twice", f.fault)
		}
		seen[f.fault] = true
	}
}

func TestAnswerToAnotherHandshakeIsRefused(t *testing.T) {
	eachSuite(t, func(t *testing.T, f *fixture) {
		first, _ := f.start(t)
		_, hs1 := f.start(t)
		hs2, _, _, err := f.accept(hs1)
		if err != nil {
			t.Fatal(err)
		}
		if s, _, err := first.Finish(hs2); !errors.Is(err, ErrHandshake) || s != nil {
			t.Errorf("%v", err)
		}
	})
}

// TestAnswerOfTheOtherSuiteIsRefused: nobody on the way can make a resumption a login, or the other way round.
func TestAnswerOfTheOtherSuiteIsRefused(t *testing.T) {
	f := resuming(t)
	for range 2 {
		h, _ := f.start(t)
		f.client.Resume, f.secret = nil, [32]byte{}
		_, hs1 := f.start(t)
		hs2, _, _, err := f.accept(hs1)
		if err != nil {
			t.Fatal(err)
		}
		if s, _, err := h.Finish(hs2); !errors.Is(err, ErrHandshake) || s != nil {
			t.Errorf("%v", err)
		}
	}
}

func TestEmptyFrameListIsARecord(t *testing.T) {
	eachSuite(t, func(t *testing.T, f *fixture) {
		client, server := f.connect(t)
		for _, frames := range [][]byte{nil, {}} {
			record := client.Sealer.Seal(nil, frames)
			if got, err := server.Opener.Open(record); err != nil || len(got) != 0 || len(record) != Overhead {
				t.Errorf("%x, %v", got, err)
			}
		}
		mustTalk(t, client, server, "after them")
	})
}

func TestShuffledRecordsNeverOpenOutOfOrder(t *testing.T) {
	random := mathrand.New(mathrand.NewPCG(1, 2))
	for range 200 {
		sealer, opener := pair(t, limits{records: 3, bytes: 50})
		var records [][]byte
		for i := range 12 {
			records = append(records, sealer.Seal(nil, []byte{byte(i)}))
		}
		order := random.Perm(len(records))
		for n, at := range order {
			got, err := opener.Open(bytes.Clone(records[at]))
			if n != at {
				if !errors.Is(err, ErrBadRecord) || got != nil {
					t.Fatalf("order %v: record %d as number %d: %v", order, at, n, err)
				}
				break
			}
			if err != nil || got[0] != byte(at) {
				t.Fatalf("record %d: %v", at, err)
			}
		}
	}
}

func TestRekeyAtTheManualsBytes(t *testing.T) {
	const size, full = 1 << 20, 1 << 26
	for _, short := range []int{1, 0, -1} { // bytes that the record at the limit lacks
		sealer, opener := pair(t, wide())
		first, plain, buffer := sealer.d.aead, make([]byte, size+1), make([]byte, 0, size+1+Overhead)
		sum := 0
		for i := range full/size + 1 {
			n := size
			if i == full/size-1 {
				n -= short
			}
			sum += n
			buffer = sealer.Seal(buffer[:0], plain[:n])
			if _, err := opener.Open(buffer); err != nil {
				t.Fatalf("record %d: %v", i, err)
			}
			if changed := sealer.d.aead != first; changed != (sum >= full) {
				t.Fatalf("key changed %v after %d bytes", changed, sum)
			}
		}
	}
}

// nonceCheck stands in for a direction's cipher and remembers every nonce that was used under its key.
type nonceCheck struct {
	cipher.AEAD
	t            *testing.T
	sealed       map[[12]byte]bool
	opened       map[[12]byte]bool
	seals, opens int
}

func (n *nonceCheck) Seal(dst, nonce, plaintext, ad []byte) []byte {
	if n.sealed[[12]byte(nonce)] {
		n.t.Fatalf("nonce %x sealed twice under one key", nonce)
	}
	n.sealed[[12]byte(nonce)] = true
	n.seals++
	return n.AEAD.Seal(dst, nonce, plaintext, ad)
}

func (n *nonceCheck) Open(dst, nonce, ciphertext, ad []byte) ([]byte, error) {
	if n.opened[[12]byte(nonce)] {
		n.t.Fatalf("nonce %x opened twice under one key", nonce)
	}
	n.opened[[12]byte(nonce)] = true
	n.opens++
	return n.AEAD.Open(dst, nonce, ciphertext, ad)
}

// watch puts a nonceCheck before a direction's cipher, once for each key.
func watch(t *testing.T, d *direction, of map[cipher.AEAD]*nonceCheck) {
	t.Helper()
	if _, watched := d.aead.(*nonceCheck); watched {
		return
	}
	if of[d.aead] == nil {
		of[d.aead] = &nonceCheck{AEAD: d.aead, t: t, sealed: map[[12]byte]bool{}, opened: map[[12]byte]bool{}}
	}
	d.aead = of[d.aead]
}

// TestNoNonceIsUsedTwiceAcrossRekeys runs both directions of a session for long, with records of any size and many rekeys. All ciphers
// are watched from their first use on, the rekeys' included.
func TestNoNonceIsUsedTwiceAcrossRekeys(t *testing.T) {
	records := 60_000
	if testing.Short() {
		records = 6_000
	}
	random := mathrand.New(mathrand.NewPCG(3, 4))
	f := newFixture(t)
	f.server.RekeyRecords, f.server.RekeyBytes = 200, 20_000
	client, server := f.connect(t)
	checks, plain := map[cipher.AEAD]*nonceCheck{}, make([]byte, 600)
	var counters [2]uint64
	for range records {
		way := random.IntN(2)
		sealer, opener := client.Sealer, server.Opener
		if way == 1 {
			sealer, opener = server.Sealer, client.Opener
		}
		watch(t, &sealer.d, checks)
		watch(t, &opener.d, checks)
		if sealer.d.counter != counters[way] {
			t.Fatalf("counter %d, want %d: it runs on through rekeys", sealer.d.counter, counters[way])
		}
		counters[way]++
		frames := plain[:random.IntN(len(plain))*random.IntN(2)]
		if got, err := opener.Open(sealer.Seal(nil, frames)); err != nil || len(got) != len(frames) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	seals := 0
	for _, c := range checks {
		seals += c.seals
		if c.seals > 201 || c.opens > 200 {
			t.Errorf("a key sealed %d records and opened %d", c.seals, c.opens)
		}
	}
	if seals < records || len(checks) < records/100 {
		t.Errorf("%d seals under %d keys were watched", seals, len(checks))
	}
}

// TestCounterNearItsEndStillRekeys: the counter runs on, so its end does not depend on when keys change.
func TestCounterNearItsEndStillRekeys(t *testing.T) {
	sealer, opener := pair(t, limits{records: 2, bytes: 1000})
	sealer.d.counter, opener.d.counter = math.MaxUint64-4, math.MaxUint64-4
	for i := range 4 {
		if _, err := opener.Open(sealer.Seal(nil, []byte{byte(i)})); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
	}
	if sealer.Seal(nil, []byte("x")) != nil {
		t.Error("sealed past the end")
	}
}

// TestHS1OfYesterdayIsAnsweredLikeAnyOther: it is replayable by design, and so worth nothing by itself.
func TestHS1OfYesterdayIsAnsweredLikeAnyOther(t *testing.T) {
	eachSuite(t, func(t *testing.T, f *fixture) {
		_, hs1 := f.start(t)
		f.now = f.now.Add(24 * time.Hour)
		_, s, _, err := f.accept(hs1)
		if err != nil {
			t.Fatal(err)
		}
		// Whoever replays it has not the ephemeral key, so whatever he sends ends the session before a frame is seen.
		if _, err := s.Opener.Open(append([]byte{RecordData}, make([]byte, 40)...)); !errors.Is(err, ErrBadRecord) {
			t.Errorf("%v", err)
		}
	})
}
