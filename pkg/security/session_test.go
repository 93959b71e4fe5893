package security

import (
	"bytes"
	"errors"
	"math"
	"sync"
	"testing"
)

// pair is one direction with the given limits and a fixed key.
func pair(t testing.TB, l limits) (*Sealer, *Opener) {
	t.Helper()
	sealer, opener := &Sealer{}, &Opener{}
	key := [keySize]byte(pattern(1, keySize))
	if err := errors.Join(sealer.init(key, l), opener.init(key, l)); err != nil {
		t.Fatal(err)
	}
	return sealer, opener
}

func wide() limits { return limits{records: 1 << 16, bytes: 1 << 26} }

func TestSealAppendsToAPrefix(t *testing.T) {
	sealer, opener := pair(t, wide())
	record := sealer.Seal([]byte("prefix"), []byte("frames"))
	if string(record[:6]) != "prefix" || len(record) != 6+len("frames")+Overhead || record[6] != RecordData {
		t.Fatalf("%x", record)
	}
	if got, err := opener.Open(record[6:]); err != nil || string(got) != "frames" || cap(got) != len(got) {
		t.Fatalf("%q, %v", got, err)
	}
	room := make([]byte, 0, 256)
	if record = sealer.Seal(room, []byte("more")); &record[0] != &room[:1][0] {
		t.Error("dst with room was not used")
	}
	if got, err := opener.Open(record); err != nil || &got[0] != &record[1] {
		t.Errorf("not opened in place: %v", err)
	}
}

func TestAnythingButTheNextRecordEndsTheSession(t *testing.T) {
	const sealed = 4
	for name, attack := range map[string]func(records [][]byte) []byte{
		"replayed":       func(r [][]byte) []byte { return r[0] },
		"dropped":        func(r [][]byte) []byte { return r[2] },
		"empty":          func(r [][]byte) []byte { return nil },
		"header only":    func(r [][]byte) []byte { return r[1][:1] },
		"tag only":       func(r [][]byte) []byte { return make([]byte, Overhead) },
		"without header": func(r [][]byte) []byte { return r[1][1:] },
		"two at once":    func(r [][]byte) []byte { return append(bytes.Clone(r[1]), r[2]...) },
		"plaintext":      func(r [][]byte) []byte { return append([]byte{RecordData}, "hello, this is not sealed"...) },
		"handshake":      func(r [][]byte) []byte { return append([]byte{RecordHS1}, r[1][1:]...) },
		"reserved bit":   func(r [][]byte) []byte { return append([]byte{RecordData | 1}, r[1][1:]...) },
	} {
		sealer, opener := pair(t, wide())
		var records [][]byte
		for i := range sealed {
			records = append(records, sealer.Seal(nil, []byte{byte(i), 1, 2, 3}))
		}
		if _, err := opener.Open(bytes.Clone(records[0])); err != nil {
			t.Fatal(err)
		}
		if got, err := opener.Open(bytes.Clone(attack(records))); !errors.Is(err, ErrBadRecord) || got != nil {
			t.Errorf("%s: %x, %v", name, got, err)
		}
		if got, err := opener.Open(bytes.Clone(records[1])); !errors.Is(err, ErrSessionClosed) || got != nil {
			t.Errorf("after %s the right record: %x, %v", name, got, err)
		}
	}
}

func TestEveryBitAndLengthOfARecordCounts(t *testing.T) {
	eachSuite(t, everyBitAndLengthOfARecordCounts)
}

func everyBitAndLengthOfARecordCounts(t *testing.T, f *fixture) {
	client, server := f.connect(t)
	record := client.Sealer.Seal(nil, pattern(0, 40))
	aead := server.Opener.d.aead
	fresh := func() *Opener { // the server's, as if it had seen nothing yet
		o := &Opener{}
		o.d.aead, o.d.ad, o.d.limits = aead, [1]byte{RecordData}, wide()
		return o
	}
	if got, err := fresh().Open(bytes.Clone(record)); err != nil || !bytes.Equal(got, pattern(0, 40)) {
		t.Fatalf("the unchanged record: %x, %v", got, err)
	}
	for i := range record {
		for bit := range 8 {
			opener := fresh()
			changed := bytes.Clone(record)
			changed[i] ^= 1 << bit
			if got, err := opener.Open(changed); !errors.Is(err, ErrBadRecord) || got != nil {
				t.Fatalf("byte %d bit %d: %v", i, bit, err)
			}
		}
		if got, err := fresh().Open(bytes.Clone(record)[:i]); !errors.Is(err, ErrBadRecord) || got != nil {
			t.Fatalf("cut to %d bytes: %v", i, err)
		}
	}
}

func TestReflectedRecordIsRefused(t *testing.T) {
	eachSuite(t, func(t *testing.T, f *fixture) {
		client, server := f.connect(t)
		toServer, toClient := client.Sealer.Seal(nil, []byte("to the server")), server.Sealer.Seal(nil, []byte("to the client"))
		if _, err := client.Opener.Open(toServer); !errors.Is(err, ErrBadRecord) {
			t.Errorf("client opened its own record: %v", err)
		}
		if _, err := server.Opener.Open(toClient); !errors.Is(err, ErrBadRecord) {
			t.Errorf("server opened its own record: %v", err)
		}
	})
}

func TestRecordOfAnotherSessionIsRefused(t *testing.T) {
	eachSuite(t, func(t *testing.T, f *fixture) { // in suite 2: of the same ticket, even
		a, _ := f.connect(t)
		_, b := f.connect(t)
		if _, err := b.Opener.Open(a.Sealer.Seal(nil, []byte("stray"))); !errors.Is(err, ErrBadRecord) {
			t.Errorf("%v", err)
		}
	})
}

// TestRekeyBoundary: with limit L the key changes after L, not after L-1 or L+1, in both directions and for both counts.
func TestRekeyBoundary(t *testing.T) {
	f := newFixture(t)
	for _, test := range []struct {
		name   string
		limits limits
		sizes  []int // of the records of one key; the last of them changes it
	}{
		{"one record", limits{1, 1000}, []int{0}},
		{"three records", limits{3, 1000}, []int{7, 0, 9}},
		{"bytes exactly", limits{100, 64}, []int{63, 1}},
		{"bytes by one less, then over", limits{100, 64}, []int{63, 0, 200}},
		{"bytes at once", limits{100, 64}, []int{64}},
		{"bytes one over", limits{100, 64}, []int{65}},
		{"both at once", limits{2, 64}, []int{1, 63}},
		{"empty records count", limits{4, 1}, []int{0, 0, 0, 0}},
		{"one byte", limits{4, 1}, []int{0, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f.server.RekeyRecords, f.server.RekeyBytes = test.limits.records, test.limits.bytes
			client, server := f.connect(t)
			for _, way := range []struct {
				sealer *Sealer
				opener *Opener
			}{{client.Sealer, server.Opener}, {server.Sealer, client.Opener}} {
				for round := range 3 {
					for i, size := range test.sizes {
						before, beforeOpen := way.sealer.d.aead, way.opener.d.aead
						if got, err := way.opener.Open(way.sealer.Seal(nil, make([]byte, size))); err != nil || len(got) != size {
							t.Fatalf("round %d record %d: %v", round, i, err)
						}
						last := i == len(test.sizes)-1
						if (way.sealer.d.aead != before) != last || (way.opener.d.aead != beforeOpen) != last {
							t.Fatalf("round %d record %d: sealer rekeyed %v, opener rekeyed %v, want %v", round, i,
								way.sealer.d.aead != before, way.opener.d.aead != beforeOpen, last)
						}
					}
					if want := uint64((round + 1) * len(test.sizes)); way.sealer.d.counter != want || way.opener.d.counter != want {
						t.Fatalf("counters %d and %d, want %d: they run on", way.sealer.d.counter, way.opener.d.counter, want)
					}
				}
			}
		})
	}
}

func TestRekeyOffByOneIsNoticed(t *testing.T) {
	for _, other := range []limits{{2, 64}, {4, 64}, {3, 63}, {3, 65}} {
		sealer, _ := pair(t, limits{3, 64})
		_, opener := pair(t, other)
		sizes := []int{1, 1, 1, 1, 1}
		if other.bytes != 64 {
			sizes = []int{63, 1, 1}
		}
		failed := false
		for _, size := range sizes {
			_, err := opener.Open(sealer.Seal(nil, make([]byte, size)))
			failed = failed || err != nil
		}
		if !failed {
			t.Errorf("limits {3 64} and %v understand each other", other)
		}
	}
}

func TestRekeyAtTheManualsLimit(t *testing.T) {
	sealer, opener := pair(t, wide())
	first, buffer := sealer.d.aead, make([]byte, 0, 64)
	for i := range 1<<16 + 2 {
		buffer = sealer.Seal(buffer[:0], []byte("x"))
		if _, err := opener.Open(buffer); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		if changed := sealer.d.aead != first; changed != (i >= 1<<16-1) {
			t.Fatalf("record %d: key changed %v", i, changed)
		}
	}
}

func TestCounterEnd(t *testing.T) {
	sealer, opener := pair(t, wide())
	sealer.d.counter, opener.d.counter = math.MaxUint64-1, math.MaxUint64-1
	last := sealer.Seal(nil, []byte("last"))
	if got, err := opener.Open(bytes.Clone(last)); err != nil || string(got) != "last" {
		t.Fatalf("%q, %v", got, err)
	}
	for range 2 {
		if record := sealer.Seal(nil, []byte("one more")); record != nil {
			t.Fatalf("sealed under the rekey's nonce: %x", record)
		}
	}
	if _, err := opener.Open(last); !errors.Is(err, ErrBadRecord) {
		t.Errorf("%v", err)
	}
}

func TestClosedSession(t *testing.T) {
	client, server := newFixture(t).connect(t)
	record := client.Sealer.Seal(nil, []byte("x"))
	client.Close()
	client.Close()
	server.Close()
	if client.Sealer.Seal(nil, []byte("x")) != nil {
		t.Error("sealed after Close")
	}
	if _, err := server.Opener.Open(record); !errors.Is(err, ErrSessionClosed) {
		t.Errorf("opened after Close: %v", err)
	}
}

func TestHalvesRunInTheirOwnGoroutines(t *testing.T) {
	client, server := newFixture(t).connect(t)
	up, down := make(chan []byte, 8), make(chan []byte, 8)
	var wg sync.WaitGroup
	seal := func(s *Sealer, to chan<- []byte) {
		wg.Go(func() {
			defer close(to)
			for i := range 100 {
				to <- s.Seal(nil, []byte{byte(i)})
			}
		})
	}
	open := func(o *Opener, from <-chan []byte) {
		wg.Go(func() {
			next := 0
			for record := range from {
				if got, err := o.Open(record); err != nil || got[0] != byte(next) {
					t.Errorf("record %d: %x, %v", next, got, err)
				}
				next++
			}
		})
	}
	seal(client.Sealer, up)
	seal(server.Sealer, down)
	open(server.Opener, up)
	open(client.Opener, down)
	wg.Wait()
}
