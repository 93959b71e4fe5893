package security

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"math"
	"strconv"
	"testing"
	"time"
)

func benchmarkSizes(b *testing.B, run func(b *testing.B, size int)) {
	for _, size := range []int{64, 1024} {
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

// BenchmarkSealBare is the standard library alone: the floor of BenchmarkSeal.
func BenchmarkSealBare(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, size int) {
		block, err := aes.NewCipher(pattern(1, 32))
		if err != nil {
			b.Fatal(err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			b.Fatal(err)
		}
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

func BenchmarkRekey(b *testing.B) {
	sealer, _ := pair(b, wide())
	b.ReportAllocs()
	for b.Loop() {
		sealer.d.rekey()
	}
}

func BenchmarkAccept(b *testing.B) {
	f := newFixture(b)
	_, hs1 := f.start(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := Accept(&f.server, hs1, f.now); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAcceptFloor is what no responder can save: one key and two Diffie-Hellman results.
func BenchmarkAcceptFloor(b *testing.B) {
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
	f := newFixture(b)
	b.ReportAllocs()
	for b.Loop() {
		f.connect(b)
	}
}

// BenchmarkRefuse is what a flood of strangers costs: an unknown key, refused before any scalar multiplication.
func BenchmarkRefuse(b *testing.B) {
	f := newFixture(b)
	_, hs1 := f.start(b)
	hs1[2]++
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := Accept(&f.server, hs1, f.now); err == nil {
			b.Fatal("accepted")
		}
	}
}

func BenchmarkVerifyToken(b *testing.B) {
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
