package security

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"math"
	"strconv"
	"testing"
	"time"
)

func benchmarkSizes(b *testing.B, run func(b *testing.B, size int)) {
	for _, size := range []int{64, 256, 1 << 10, 4 << 10, 16 << 10} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			run(b, size)
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, size int) {
		sealer, _ := pair(b, limits{records: 1 << 16, bytes: 1 << 26})
		plain, buffer := make([]byte, size), make([]byte, 0, size+Overhead)
		for b.Loop() {
			sealer.Seal(buffer, plain)
		}
	})
}

func bareGCM(b *testing.B) cipher.AEAD {
	b.Helper()
	block, err := aes.NewCipher(pattern(1, 32))
	if err != nil {
		b.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	return aead
}

// BenchmarkSealBare is the standard library alone: the floor of BenchmarkSeal.
func BenchmarkSealBare(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, size int) {
		aead := bareGCM(b)
		plain, buffer, nonce, ad := make([]byte, size), make([]byte, 0, size+Overhead), make([]byte, 12), []byte{RecordData}
		for b.Loop() {
			aead.Seal(buffer, nonce, plain, ad)
		}
	})
}

// BenchmarkOpen opens one record again and again with the counter set back: what a test may and nobody else.
func BenchmarkOpen(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, size int) {
		sealer, opener := pair(b, limits{records: math.MaxUint32, bytes: math.MaxUint32})
		record := sealer.Seal(nil, make([]byte, size))
		buffer := bytes.Clone(record)
		for b.Loop() {
			copy(buffer, record)
			opener.d.counter, opener.d.records, opener.d.bytes = 0, 0, 0
			if _, err := opener.Open(buffer); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkOpenBare is the standard library alone, with the same copy: the floor of BenchmarkOpen.
func BenchmarkOpenBare(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, size int) {
		aead, nonce, ad := bareGCM(b), make([]byte, 12), []byte{RecordData}
		record := aead.Seal([]byte{RecordData}, nonce, make([]byte, size), ad)
		buffer := bytes.Clone(record)
		for b.Loop() {
			copy(buffer, record)
			if _, err := aead.Open(buffer[1:1], nonce, buffer[1:], ad); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRekey(b *testing.B) {
	sealer, _ := pair(b, wide())
	b.ReportAllocs()
	for b.Loop() {
		sealer.d.rekey()
	}
}

func benchmarkSuites(b *testing.B, run func(b *testing.B, f *fixture)) {
	b.Run("suite1", func(b *testing.B) { run(b, newFixture(b)) })
	b.Run("suite2", func(b *testing.B) { run(b, resuming(b)) })
}

// BenchmarkRespond is Begin and Finish.
func BenchmarkRespond(b *testing.B) {
	benchmarkSuites(b, func(b *testing.B, f *fixture) {
		_, hs1 := f.start(b)
		b.ReportAllocs()
		for b.Loop() {
			if _, _, _, err := f.accept(hs1); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRespondFloor is what no responder can save: one key and two Diffie-Hellman results.
func BenchmarkRespondFloor(b *testing.B) {
	peer, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		key, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		for range 2 {
			if _, err := key.ECDH(peer.PublicKey()); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkHandshakeBothSides(b *testing.B) {
	benchmarkSuites(b, func(b *testing.B, f *fixture) {
		b.ReportAllocs()
		for b.Loop() {
			f.connect(b)
		}
	})
}

// BenchmarkRefuse is what a flood of strangers costs: an unknown key, refused before any scalar multiplication.
func BenchmarkRefuse(b *testing.B) {
	f := newFixture(b)
	_, hs1 := f.start(b)
	hs1[2]++
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := f.accept(hs1); err == nil {
			b.Fatal("accepted")
		}
	}
}

func BenchmarkVerifyDevToken(b *testing.B) {
	now := time.Unix(1_800_000_000, 0)
	token, err := devTokens().Issue(Identity{Player: 7, Name: "ann", Rights: []string{"gm"}}, time.Minute, now)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := devTokens().Verify(token, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyJWT(b *testing.B) {
	for _, alg := range []string{algEdDSA, algES256} {
		b.Run(alg, func(b *testing.B) {
			s := newSigner(b, alg, "")
			token, err := s.Issue(Identity{Player: 7, Name: "ann", Rights: []string{"gm"}}, time.Minute, jwtNow())
			if err != nil {
				b.Fatal(err)
			}
			j := newJWT(b, s.JWKS(), nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := j.Verify(token, jwtNow()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerifyJWTFloor is the signature alone.
func BenchmarkVerifyJWTFloor(b *testing.B) {
	key := ed25519.NewKeyFromSeed(pattern(7, 32))
	message := make([]byte, 300)
	signature, public := ed25519.Sign(key, message), key.Public().(ed25519.PublicKey)
	for b.Loop() {
		if !ed25519.Verify(public, message, signature) {
			b.Fatal("forged")
		}
	}
}

func BenchmarkSealTicket(b *testing.B) {
	k := newTickets(b)
	b.ReportAllocs()
	for b.Loop() {
		sealTicket(b, k)
	}
}

func BenchmarkOpenTicket(b *testing.B) {
	k := newTickets(b)
	ticket := sealTicket(b, k)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Open(ticket, ticketNow()); err != nil {
			b.Fatal(err)
		}
	}
}
