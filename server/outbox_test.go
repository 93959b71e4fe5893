package server

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestOutboxAgreesWithAListOfEverything holds the outbox against a twin that forgets nothing.
func TestOutboxAgreesWithAListOfEverything(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		var o outbox
		var all []letter
		acked := uint32(0)
		for range 400 {
			switch r.IntN(4) {
			case 0, 1:
				for range r.IntN(20) {
					l := letter{id: r.Uint32(), payload: make([]byte, r.IntN(50))}
					all = append(all, l)
					if seq := o.add(l); seq != uint32(len(all)) {
						t.Fatalf("seed %d: message %d has number %d", seed, len(all), seq)
					}
				}
			case 2:
				seq := uint32(r.IntN(len(all) + 3))
				if ok := o.ack(seq); ok != (int(seq) <= len(all)) {
					t.Fatalf("seed %d: ack of %d of %d: %v", seed, seq, len(all), ok)
				} else if ok {
					acked = max(acked, seq)
				}
			case 3:
				for n := o.acked() + 1; n <= o.last(); n++ {
					if l := o.at(n); l.id != all[n-1].id {
						t.Fatalf("seed %d: message %d of id %d, want %d", seed, n, l.id, all[n-1].id)
					}
				}
			}
			bytes := 0
			for _, l := range all[acked:] {
				bytes += len(l.payload) + letterCost
			}
			if o.bytes != bytes || o.waiting() != len(all)-int(acked) || o.acked() != acked || o.last() != uint32(len(all)) {
				t.Fatalf("seed %d: %d bytes in %d letters after %d up to %d; want %d, %d, %d, %d",
					seed, o.bytes, o.waiting(), o.acked(), o.last(), bytes, len(all)-int(acked), acked, len(all))
			}
			if i := slices.IndexFunc(o.letters[:o.gone], func(l letter) bool { return l.payload != nil }); i >= 0 {
				t.Fatal("an acknowledged message is held on to")
			}
		}
	}
}
