package tianxia

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/security"
)

func rotated(t *testing.T, root security.Root, ring security.Keyring) security.Keyring {
	t.Helper()
	next, err := ring.Next(root, nil, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func TestKeyringIsReadAgainOnceItHasChangedAndSettled(t *testing.T) {
	root, err := security.NewRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keyring.json")
	first := rotated(t, root, security.Keyring{})
	save := func(ring security.Keyring, at time.Time) {
		t.Helper()
		if err := ring.Save(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now().Add(-time.Hour).Truncate(time.Second)
	save(first, began)
	k, ring, err := openKeyFile(path, 30*time.Second)
	if err != nil || ring.Current.Cert().KeyID != first.Current.Cert().KeyID {
		t.Fatal(ring, err)
	}
	if _, ok, err := k.look(began.Add(time.Hour)); ok || err != nil {
		t.Errorf("a file that has not changed: %v, %v", ok, err)
	}
	second := rotated(t, root, first)
	save(second, began.Add(time.Minute))
	if _, ok, err := k.look(began.Add(time.Minute + 29*time.Second)); ok || err != nil {
		t.Errorf("a change of 29 s ago: %v, %v", ok, err)
	}
	if ring, ok, err := k.look(began.Add(time.Minute + 30*time.Second)); !ok || err != nil || ring.Current.Cert().KeyID != second.Current.Cert().KeyID {
		t.Errorf("a change of 30 s ago: %v, %v, %v", ring, ok, err)
	}
	if _, ok, err := k.look(began.Add(2 * time.Hour)); ok || err != nil {
		t.Errorf("the same again: %v, %v", ok, err)
	}
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	if _, ok, err := k.look(later); ok || err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that is damaged: %v, %v", ok, err)
	}
	if _, ok, err := k.look(later); ok || err != nil {
		t.Errorf("it is said again and again: %v, %v", ok, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := k.look(later); ok || err != nil {
		t.Errorf("a file that is being replaced: %v, %v", ok, err)
	}
}

func TestSignersFileIsMadeOnceAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signer.pem")
	first, set, err := openSigner(path, "login", "plains", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("beside it are %v", left)
	}
	_, again, err := openSigner(path, "login", "plains", slog.New(slog.DiscardHandler))
	if err != nil || again.IDs()[0] != set.IDs()[0] {
		t.Errorf("the second time it is %v, want %v: %v", again.IDs(), set.IDs(), err)
	}
	// A new key in front signs, and tokens of the old one are still good.
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), old...)
	if err := os.WriteFile(path, both, 0o600); err != nil {
		t.Fatal(err)
	}
	second, set, err := openSigner(path, "login", "plains", slog.New(slog.DiscardHandler))
	if err != nil || len(set.IDs()) != 2 {
		t.Fatal(set.IDs(), err)
	}
	v, err := security.NewJWT(security.JWTConfig{Keys: set, Issuer: "login", Audience: "plains"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*security.Signer{first, second} {
		token, err := s.Issue(security.Identity{Player: 7}, time.Minute, time.Now())
		if err == nil {
			_, err = v.Verify(token, time.Now())
		}
		if err != nil {
			t.Error(err)
		}
	}
}

func TestSignersFileThatIsNoneIsRefused(t *testing.T) {
	good := filepath.Join(t.TempDir(), "good.pem")
	if err := newSignerFile(good); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text, say string
		mode      os.FileMode
	}{
		"empty":        {"", "no key", 0o600},
		"no PEM":       {"hello", "no key", 0o600},
		"a cert":       {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}})), `a block "CERTIFICATE"`, 0o600},
		"damaged":      {string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})), "key 1:", 0o600},
		"too many":     {strings.Repeat(string(key), maxSigners+1), "1 to 8 blocks", 0o600},
		"twice":        {strings.Repeat(string(key), 2), "", 0o600},
		"too long":     {strings.Repeat("x", maxSignerFile+1), "it is something else", 0o600},
		"open for all": {string(key), "chmod 600", 0o644},
	} {
		path := filepath.Join(t.TempDir(), "signer.pem")
		if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		if c.mode != 0o600 && runtime.GOOS == "windows" {
			continue
		}
		if _, _, err := openSigner(path, "login", "plains", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), c.say) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", name, err, c.say)
		}
	}
}

func FuzzSigners(f *testing.F) {
	path := filepath.Join(f.TempDir(), "signer.pem")
	if err := newSignerFile(path); err != nil {
		f.Fatal(err)
	}
	key, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(key)
	f.Add(append(key, key...))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := parseSigners(b)
		if err == nil && (len(keys) == 0 || len(keys) > maxSigners) {
			t.Errorf("%d keys", len(keys))
		}
		if err != nil && keys != nil {
			t.Error("keys along with an error")
		}
	})
}

func TestGatewayGoesByRotatedKeysWithoutARestart(t *testing.T) {
	root, err := security.NewRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "keyring.json")
	first := rotated(t, root, security.Keyring{})
	if err := first.Save(path); err != nil {
		t.Fatal(err)
	}
	f := DefaultGatewayFile()
	f.Listen, f.Keys, f.RPC.Registry = "127.0.0.1:0", path, dir
	n, err := openGateway(App{}, f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	defer func() {
		if err := n.Serve(ctx); err != nil {
			t.Error(err)
		}
	}()
	second := rotated(t, root, first)
	if err := second.Save(path); err != nil {
		t.Fatal(err)
	}
	ring, ok, err := n.keys.file.look(time.Now())
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := n.rekey(ring); err != nil {
		t.Fatal(err)
	}
	if got := n.keys.ring().Current.Cert().KeyID; got != second.Current.Cert().KeyID {
		t.Errorf("it goes by key %d, want %d", got, second.Current.Cert().KeyID)
	}
}
