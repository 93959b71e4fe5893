package security

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func newKeyring(t testing.TB) (Root, Keyring) {
	t.Helper()
	root, err := NewRoot(bytes.NewReader(pattern(0x10, 32)))
	if err != nil {
		t.Fatal(err)
	}
	_, _, now := vectorTimes()
	k, err := Keyring{}.Next(root, bytes.NewReader(pattern(0x30, 36)), now, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return root, k
}

func TestKeyringIsLoadedAsItWasSaved(t *testing.T) {
	root, k := newKeyring(t)
	_, _, now := vectorTimes()
	next, err := k.Next(root, nil, now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]Keyring{"one key": k, "two keys": next} {
		path := filepath.Join(t.TempDir(), "keyring.json")
		if err := k.SaveNew(path); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
		got, err := LoadKeyring(path)
		if err != nil || !got.Root.Equal(k.Root) || got.Current.Cert() != k.Current.Cert() || got.Previous.Cert() != k.Previous.Cert() || !bytes.Equal(got.Current.Private(), k.Current.Private()) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if err := got.Check(now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got.Previous.IsZero() != k.Previous.IsZero() {
			t.Errorf("%s: previous key %v", name, got.Previous)
		}
		server := ServerConfig{Current: got.Current, Previous: got.Previous}
		if err := server.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestRotationKeepsClientsIn(t *testing.T) {
	root, first := newKeyring(t)
	_, _, now := vectorTimes()
	second, err := first.Next(root, nil, now.Add(time.Hour), 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if second.Previous.Cert() != first.Current.Cert() || second.Current.Cert().KeyID == first.Current.Cert().KeyID {
		t.Errorf("%v after %v", second, first)
	}
	f := newFixture(t)
	f.now, f.root = now.Add(time.Hour), root
	f.server.Current, f.server.Previous = second.Current, second.Previous
	f.client.Root, f.client.Now = root.Public(), f.now
	for _, cert := range []KeyCert{first.Current.Cert(), second.Current.Cert()} {
		f.client.Cert = cert
		client, server := f.connect(t)
		mustTalk(t, client, server, "after a rotation")
	}
	f.server.Previous = ServerKey{} // a further rotation; now the client has to learn the new key
	f.client.Cert = first.Current.Cert()
	h, hs1 := f.start(t)
	_, _, _, err = f.accept(hs1)
	if _, _, err = h.Finish(asReject(t, err).Bytes); asReject(t, err).Cert == nil {
		t.Errorf("the client does not take the new key: %v", err)
	}
}

func TestNextKeyIsNeverOlderThanTheOneBefore(t *testing.T) {
	root, k := newKeyring(t)
	_, _, now := vectorTimes()
	from := now.Add(-10 * time.Minute).Unix()
	if got := k.Current.Cert().NotBefore; got != uint64(from) {
		t.Errorf("from %d, want %d", got, from)
	}
	next, err := k.Next(root, nil, now.Add(-time.Hour), 24*time.Hour) // this clock is slow
	if err != nil || next.Current.Cert().NotBefore != uint64(from) {
		t.Errorf("from %d, want %d, %v", next.Current.Cert().NotBefore, from, err)
	}
}

func TestNextKeyNeverHasAnIDThatIsInUse(t *testing.T) {
	root, k := newKeyring(t)
	_, _, now := vectorTimes()
	drawn := append(append(pattern(0x30, 4), 0, 0, 0, 0), pattern(0x60, 36)...) // the current key's id, then 0, then another
	next, err := k.Next(root, bytes.NewReader(drawn), now, time.Hour)
	if err != nil || next.Current.Cert().KeyID != 0x63626160 {
		t.Fatalf("%v, %v", next, err)
	}
	drawn = append(append(append(pattern(0x30, 4), 0, 0, 0, 0), pattern(0x60, 4)...), pattern(0x20, 36)...)
	if next, err = next.Next(root, bytes.NewReader(drawn), now, time.Hour); err != nil || next.Current.Cert().KeyID != 0x23222120 {
		t.Errorf("%v, %v", next, err)
	}
}

func TestNextRefuses(t *testing.T) {
	root, k := newKeyring(t)
	_, _, now := vectorTimes()
	stranger, err := NewRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"another root":   second3(k.Next(stranger, nil, now, time.Hour)),
		"no time":        second3(k.Next(root, nil, now, 0)),
		"no randomness":  second3(k.Next(root, bytes.NewReader(nil), now, time.Hour)),
		"little of it":   second3(k.Next(root, bytes.NewReader(pattern(1, 20)), now, time.Hour)),
		"no root":        second3(Keyring{}.Next(Root{}, nil, now, time.Hour)),
		"before 1970":    second3(Keyring{}.Next(root, nil, time.Unix(0, 0), time.Hour)),
		"only used ids":  second3(k.Next(root, bytes.NewReader(pattern(0x30, 4)), now, time.Hour)),
		"only id 0":      second3(k.Next(root, bytes.NewReader(make([]byte, 4)), now, time.Hour)),
		"always zero":    second3(k.Next(root, zeros{}, now, time.Hour)),
		"already behind": second3(k.Next(root, nil, now.Add(-48*time.Hour), time.Hour)),
	} {
		if err == nil {
			t.Errorf("%s: a key was made", name)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func second3(_ Keyring, err error) error { return err }

func TestKeyringCheck(t *testing.T) {
	root, k := newKeyring(t)
	_, _, now := vectorTimes()
	next, err := k.Next(root, nil, now.Add(20*time.Hour), 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	same := next
	same.Previous = same.Current
	for name, test := range map[string]struct {
		ring Keyring
		now  time.Time
		want error
	}{
		"good":             {k, now, nil},
		"empty":            {Keyring{}, now, errors.ErrUnsupported},
		"expired":          {k, now.Add(25 * time.Hour), ErrCertExpired},
		"too early":        {k, now.Add(-time.Hour), ErrCertNotYetValid},
		"previous expired": {next, now.Add(25 * time.Hour), nil},
		"one key twice":    {same, now.Add(20 * time.Hour), errors.ErrUnsupported},
		"of another root":  {Keyring{Root: pattern(0, 32), Current: k.Current}, now, ErrCertForged},
		"without a root":   {Keyring{Current: k.Current}, now, errors.ErrUnsupported},
	} {
		err := test.ring.Check(test.now)
		if (err == nil) != (test.want == nil) || test.want != nil && test.want != errors.ErrUnsupported && !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func write(t testing.TB, mode fs.FileMode, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}

// keyringText is the file of a keyring, with one change.
func keyringText(t testing.TB, change func(map[string]any)) string {
	t.Helper()
	_, k := newKeyring(t)
	path := filepath.Join(t.TempDir(), "ring")
	if err := k.Save(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil || change == nil {
		return string(b)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	change(m)
	if b, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestKeyringFileFaults(t *testing.T) {
	current := func(m map[string]any) map[string]any { return m["current"].(map[string]any) }
	b64 := base64.StdEncoding.EncodeToString
	for name, test := range map[string]struct{ text, want string }{
		"empty":               {"", "no file of a keyring"},
		"null":                {"null", "version 0"},
		"no JSON":             {"key: value", "no file of a keyring"},
		"cut":                 {keyringText(t, nil)[:100], "no file of a keyring"},
		"something behind":    {keyringText(t, nil) + "{}", "2 bytes behind its end"},
		"too long":            {keyringText(t, nil) + strings.Repeat(" ", maxKeyFile), "more than 16384 bytes"},
		"another version":     {keyringText(t, func(m map[string]any) { m["version"] = 2 }), "version 2, this program reads 1"},
		"unknown member":      {keyringText(t, func(m map[string]any) { m["rooot"] = "" }), `unknown field "rooot"`},
		"a root's file":       {`{"note":"","version":1,"root_seed":"AAAA"}`, "no file of a keyring"},
		"no root":             {keyringText(t, func(m map[string]any) { delete(m, "root") }), "root key of 0 bytes"},
		"another root":        {keyringText(t, func(m map[string]any) { m["root"] = b64(pattern(1, 32)) }), "not signed by the root"},
		"no current key":      {keyringText(t, func(m map[string]any) { delete(m, "current") }), "current key: parse key certificate of 0 bytes"},
		"no private key":      {keyringText(t, func(m map[string]any) { delete(current(m), "private") }), "current key: load server key"},
		"another private key": {keyringText(t, func(m map[string]any) { current(m)["private"] = b64(pattern(1, 32)) }), "private key is not the certificate's"},
		"previous is current": {keyringText(t, func(m map[string]any) { m["previous"] = m["current"] }), "the same id"},
		"empty previous":      {keyringText(t, func(m map[string]any) { m["previous"] = map[string]any{} }), "previous key: parse"},
	} {
		path := write(t, 0o600, test.text)
		k, err := LoadKeyring(path)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) || !reflect.DeepEqual(k, Keyring{}) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestSecretFilesThatOthersCanReadAreRefused(t *testing.T) {
	text := keyringText(t, nil)
	for mode, good := range map[fs.FileMode]bool{
		0o600: true, 0o400: true, 0o640: true, 0o440: true,
		0o644: false, 0o604: false, 0o660: false, 0o602: false, 0o601: false, 0o777: false,
	} {
		path := write(t, mode, text)
		_, err := LoadKeyring(path)
		if (err == nil) != good {
			t.Errorf("mode %04o: %v", mode, err)
		}
		if err != nil && (!strings.Contains(err.Error(), fmt.Sprintf("mode %04o", mode)) || !strings.Contains(err.Error(), "chmod 600 "+path)) {
			t.Errorf("mode %04o, the message does not help: %v", mode, err)
		}
	}
	if _, err := LoadRoot(write(t, 0o644, "{}")); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("root: %v", err)
	}
	if _, err := LoadKeyring(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := LoadKeyring(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}

func TestSaveIsWholeOrNotAtAll(t *testing.T) {
	_, k := newKeyring(t)
	folder := t.TempDir()
	path := filepath.Join(folder, "keyring.json")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := k.SaveNew(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("replaced: %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Error("a refused save changed the file")
	}
	link := filepath.Join(folder, "link")
	if err := os.Symlink("keyring.json", link); err != nil {
		t.Fatal(err)
	}
	if err := k.Save(link); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKeyring(path); err != nil { // mode 0600 now
		t.Errorf("saved through a link: %v", err)
	}
	if err := k.Save(folder); err == nil {
		t.Error("saved over a folder")
	}
	if err := k.Save(filepath.Join(folder, "none", "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("saved into a folder that is not there: %v", err)
	}
	if err := k.SaveNew(filepath.Join(folder, "none", "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("saved into a folder that is not there: %v", err)
	}
	if err := (Keyring{}).Save(path); err == nil {
		t.Error("saved nothing over a keyring")
	}
	names, err := os.ReadDir(folder)
	if err != nil || len(names) != 2 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

func TestOnlyOneOfManySavesANewFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.key")
	var saved atomic.Int32
	var last atomic.Value
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			root, err := NewRoot(nil)
			if err != nil {
				t.Error(err)
				return
			}
			switch err := root.Save(path); {
			case err == nil:
				saved.Add(1)
				last.Store(string(root.Public()))
			case !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	root, err := LoadRoot(path)
	if err != nil || saved.Load() != 1 || string(root.Public()) != last.Load() {
		t.Errorf("%d roots were saved, %v", saved.Load(), err)
	}
}

func TestRootIsLoadedAsItWasSaved(t *testing.T) {
	root, _ := newKeyring(t)
	path := filepath.Join(t.TempDir(), "root.key")
	if err := root.Save(path); err != nil {
		t.Fatal(err)
	}
	if got, err := LoadRoot(path); err != nil || !bytes.Equal(got.Seed(), root.Seed()) {
		t.Error(err)
	}
	if err := root.Save(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a root was replaced: %v", err)
	}
	if err := root.SaveOver(path); err != nil {
		t.Error(err)
	}
	if err := (Root{}).Save(path + "2"); err == nil {
		t.Error("saved an empty root")
	}
	for name, text := range map[string]string{
		"a keyring": keyringText(t, nil), "short": `{"version":1,"root_seed":"AAAA"}`, "version 9": `{"version":9}`, "empty": "",
	} {
		if _, err := LoadRoot(write(t, 0o600, text)); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
}

func TestKeyringIsNotPrinted(t *testing.T) {
	_, k := newKeyring(t)
	if s := fmt.Sprintf("%v %+v %#v %v", k, k, k, &k); strings.Contains(s, "52 53 54") || strings.Contains(s, "0x34, 0x35") || !strings.Contains(s, "secret") {
		t.Errorf("a private key is printed: %s", s)
	}
}

func FuzzParseKeyring(f *testing.F) {
	good := keyringText(f, nil)
	f.Add([]byte(good))
	f.Add([]byte(`{"version":1,"root":"","current":{"certificate":"","private":""}}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := parseKeyring(b)
		if err != nil {
			if !reflect.DeepEqual(k, Keyring{}) {
				t.Fatal("half a keyring")
			}
			return
		}
		if k.Current.IsZero() || len(k.Root) != 32 || k.Current.cert.Verify(k.Root, second(k.Current.cert.NotBefore)) != nil {
			t.Fatalf("%v", k)
		}
	})
}
