package tianxia

import (
	"crypto/ed25519"
	"testing"
)

func FuzzParseDevLogin(f *testing.F) {
	f.Add([]byte(`{"realm":"dev","root":"AAAA","cert":"AAAA","token":"x","ws":"/ws","schema_hash":"0011223344556677"}`))
	f.Add([]byte("<!doctype html>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, c, err := parseDevLogin(b)
		if err == nil && len(c.Root) != ed25519.PublicKeySize {
			t.Fatalf("a root key of %d bytes was taken", len(c.Root))
		}
	})
}
