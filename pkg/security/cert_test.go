package security

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"
)

func TestKeyCertRoundTripAndVerify(t *testing.T) {
	root, server := vectorServer(t)
	cert := server.Current.Cert()
	encoded := cert.Marshal()
	if len(encoded) != KeyCertSize || KeyCertSize != 119 {
		t.Fatalf("%d bytes, the manual says 119", len(encoded))
	}
	parsed, err := ParseKeyCert(encoded)
	if err != nil || parsed != cert {
		t.Fatalf("%+v, %v", parsed, err)
	}
	notBefore, notAfter, now := vectorTimes()
	other, err := NewRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	noSuite := cert
	noSuite.Suites = 2
	noSuite.Signature = [64]byte(ed25519.Sign(root.private, noSuite.signed()))
	tests := []struct {
		name string
		cert KeyCert
		root ed25519.PublicKey
		now  time.Time
		want error
	}{
		{"good", cert, root.Public(), now, nil},
		{"first second", cert, root.Public(), notBefore, nil},
		{"last second", cert, root.Public(), notAfter, nil},
		{"too early", cert, root.Public(), notBefore.Add(-time.Second), ErrCertNotYetValid},
		{"before 1970", cert, root.Public(), time.Time{}, ErrCertNotYetValid},
		{"too late", cert, root.Public(), notAfter.Add(time.Second), ErrCertExpired},
		{"another root", cert, other.Public(), now, ErrCertForged},
		{"another suite", noSuite, root.Public(), now, ErrCertSuite},
	}
	for _, test := range tests {
		if err := test.cert.Verify(test.root, test.now); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	if err := cert.Verify(nil, now); err == nil {
		t.Error("verified without a root")
	}
}

func TestKeyCertChangedAnywhereIsRefused(t *testing.T) {
	root, server := vectorServer(t)
	_, _, now := vectorTimes()
	encoded := server.Current.Cert().Marshal()
	for i := range encoded {
		for bit := range 8 {
			changed := bytes.Clone(encoded)
			changed[i] ^= 1 << bit
			cert, err := ParseKeyCert(changed)
			if i == 0 {
				if !errors.Is(err, ErrCertVersion) {
					t.Errorf("version %d: %v", changed[0], err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := cert.Verify(root.Public(), now); !errors.Is(err, ErrCertForged) {
				t.Errorf("byte %d bit %d: %v", i, bit, err)
			}
		}
	}
	for n := range 200 {
		if n == KeyCertSize {
			continue
		}
		if _, err := ParseKeyCert(make([]byte, n)); !errors.Is(err, ErrCertSize) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestKeysAreStoredAndRestored(t *testing.T) {
	root, server := vectorServer(t)
	again, err := RootFromSeed(root.Seed())
	if err != nil || !again.Public().Equal(root.Public()) {
		t.Fatalf("root: %v", err)
	}
	key, err := NewServerKey(server.Current.Cert(), server.Current.Private())
	if err != nil || key.Cert() != server.Current.Cert() || key.IsZero() || !(ServerKey{}).IsZero() {
		t.Fatalf("server key: %v", err)
	}
	if _, err := NewServerKey(server.Current.Cert(), pattern(1, 32)); err == nil {
		t.Error("a private key of another certificate was taken")
	}
	if _, err := NewServerKey(server.Current.Cert(), pattern(1, 31)); err == nil {
		t.Error("a private key of 31 bytes was taken")
	}
	if _, err := RootFromSeed(pattern(1, 31)); err == nil {
		t.Error("a seed of 31 bytes was taken")
	}
}

func TestIssueRefusesContradictions(t *testing.T) {
	root, _ := vectorServer(t)
	notBefore, notAfter, _ := vectorTimes()
	for name, issue := range map[string]func() (ServerKey, error){
		"empty root":  func() (ServerKey, error) { return Root{}.Issue(nil, 1, notBefore, notAfter) },
		"no time":     func() (ServerKey, error) { return root.Issue(nil, 1, notAfter, notBefore) },
		"before 1970": func() (ServerKey, error) { return root.Issue(nil, 1, time.Time{}, notAfter) },
		"no chance":   func() (ServerKey, error) { return root.Issue(bytes.NewReader(nil), 1, notBefore, notAfter) },
	} {
		if _, err := issue(); err == nil {
			t.Errorf("%s: issued", name)
		}
	}
	if _, err := NewRoot(bytes.NewReader(pattern(0, 31))); err == nil {
		t.Error("a root of 31 random bytes")
	}
}

func FuzzParseKeyCert(f *testing.F) {
	root, server := vectorServer(f)
	_, _, now := vectorTimes()
	good := server.Current.Cert()
	f.Add(good.Marshal())
	f.Add([]byte{})
	f.Add(make([]byte, KeyCertSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		cert, err := ParseKeyCert(b)
		if err != nil {
			return
		}
		if !bytes.Equal(cert.Marshal(), b) {
			t.Fatal("another encoding of the same certificate")
		}
		if err := cert.Verify(root.Public(), now); err == nil && cert != good {
			t.Fatalf("forged: %+v", cert)
		} else if err != nil && err.Error() == "" {
			t.Fatal("error without words")
		}
	})
}
