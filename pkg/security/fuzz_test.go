package security

import (
	"bytes"
	"errors"
	"testing"
)

func FuzzBeginSuite1(f *testing.F) { fuzzBegin(f, newFixture(f)) }

func FuzzBeginSuite2(f *testing.F) { fuzzBegin(f, resuming(f)) }

func fuzzBegin(f *testing.F, fix *fixture) {
	fix.client.Rand = bytes.NewReader(pattern(1, 48)) // fuzzing processes must agree on the seed
	_, hs1 := fix.start(f)
	f.Add(hs1)
	f.Add([]byte{})
	f.Add(hs1[:7])
	f.Add(append([]byte{RecordHS1, SuiteNK, vectorKeyID, 0, 0, 0, protocolVersion, protocolVersion}, make([]byte, 72)...))
	f.Add(append([]byte{RecordHS1, SuiteNKpsk2, vectorKeyID, 0, 0, 0, protocolVersion, protocolVersion}, make([]byte, 73)...))
	f.Add(append([]byte{RecordHS1, SuiteNKpsk2, vectorKeyID, 0, 0, 0, protocolVersion, protocolVersion}, make([]byte, 72+MaxTicket)...))
	f.Add([]byte{RecordHS1, 9, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		kept := bytes.Clone(b)
		hs2, s, info, err := fix.accept(b)
		if !bytes.Equal(b, kept) {
			t.Fatal("the record was written to")
		}
		if err == nil {
			if !bytes.Equal(b, hs1) || len(hs2) != HS2Size || s == nil || info.Suite != b[1] {
				t.Fatalf("accepted %x", b)
			}
			return
		}
		r := asReject(t, err)
		if r.Code == RejectBusy || s != nil || hs2 != nil {
			t.Fatalf("%v", err)
		}
		if _, err := parseReject(r.Bytes); err != nil {
			t.Fatalf("a client cannot read %x: %v", r.Bytes, err)
		}
	})
}

func FuzzFinishSuite1(f *testing.F) { fuzzFinish(f, newFixture(f)) }

func FuzzFinishSuite2(f *testing.F) { fuzzFinish(f, resuming(f)) }

func fuzzFinish(f *testing.F, fix *fixture) {
	same := func(t testing.TB) (*ClientHandshake, []byte) {
		cfg := fix.client // the fuzz function may run in several goroutines
		cfg.Rand = bytes.NewReader(pattern(1, 48))
		h, hs1, err := NewClient(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return h, hs1
	}
	_, hs1 := same(f)
	fix.server.Rand = bytes.NewReader(pattern(2, 48)) // fuzzing processes must agree on the seed
	hs2, _, _, err := fix.accept(hs1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(hs2)
	f.Add([]byte{})
	f.Add(append([]byte{RecordReject, 1, 0}, fix.client.Cert.Marshal()...))
	f.Add([]byte{RecordReject, 3, 0, 2, 3})
	f.Add([]byte{RecordReject, 5, 0})
	f.Add([]byte{RecordReject, 6, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, _ := same(t)
		s, info, err := h.Finish(b)
		if err == nil {
			if !bytes.Equal(b, hs2) || !info.SchemaMatches {
				t.Fatalf("took %x", b)
			}
			return
		}
		var r *Reject
		if s != nil || (!errors.As(err, &r) && !errors.Is(err, ErrHandshake)) {
			t.Fatalf("%v", err)
		}
		if r != nil && r.Cert != nil {
			t.Fatalf("a certificate was taken from %x", b)
		}
	})
}

// FuzzParseReject: whatever is read as a refusal, is written the same way again.
func FuzzParseReject(f *testing.F) {
	_, server := vectorServer(f)
	f.Add(newReject(RejectKeyUnknown, nil, server.Current.cert.Marshal()...).Bytes)
	f.Add(newReject(RejectVersion, nil, protocolVersion, protocolVersion).Bytes)
	f.Add(newReject(RejectTicket, nil).Bytes)
	f.Add(BusyReject().Bytes)
	f.Add([]byte{RecordReject})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseReject(b)
		if err != nil {
			if r != nil || !errors.Is(err, ErrHandshake) {
				t.Fatalf("%v", err)
			}
			return
		}
		if again := newReject(r.Code, nil, b[3:]...); b[0] == RecordReject && !bytes.Equal(again.Bytes, b) {
			t.Fatalf("%x became %x", b, again.Bytes)
		}
		if r.Cert != nil || len(b) > 3+KeyCertSize || r.Error() == "" {
			t.Fatalf("%+v", r)
		}
	})
}

func FuzzOpen(f *testing.F) {
	sealer, _ := pair(f, wide())
	good := sealer.Seal(nil, []byte("some frames"))
	f.Add(good)
	f.Add([]byte{})
	f.Add([]byte{RecordData})
	f.Add(make([]byte, Overhead))
	f.Add(append([]byte{RecordData}, make([]byte, 100)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, opener := pair(t, wide())
		forged := !bytes.Equal(b, good)
		got, err := opener.Open(b)
		if forged != (err != nil) || (err != nil && (got != nil || !errors.Is(err, ErrBadRecord))) {
			t.Fatalf("%x: %v", got, err)
		}
		if _, err := opener.Open(bytes.Clone(good)); forged && !errors.Is(err, ErrSessionClosed) {
			t.Fatalf("the session goes on after a forgery: %v", err)
		}
	})
}
