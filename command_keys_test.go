package tianxia_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// keysIn runs "mmo keys" with the two files in a folder of the test's own.
type keysIn struct {
	t          *testing.T
	root, ring string
}

func newKeysIn(t *testing.T) keysIn {
	folder := t.TempDir()
	return keysIn{t: t, root: filepath.Join(folder, "root.key"), ring: filepath.Join(folder, "keyring.json")}
}

// run takes the flags that follow the action and, unless they are there, adds those that name the files.
func (k keysIn) run(action string, args ...string) (code int, out, errs string) {
	k.t.Helper()
	flags := map[string]string{"new-root": "-root=" + k.root, "issue": "-root=" + k.root + " -keyring=" + k.ring, "rotate": "-root=" + k.root + " -keyring=" + k.ring, "show": "-keyring=" + k.ring}[action]
	args = append(append([]string{"keys", action}, strings.Fields(flags)...), args...) // of two flags of one name, the later counts
	var stdout, stderr bytes.Buffer
	code = (tianxia.App{}).Run(k.t.Context(), args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func (k keysIn) must(action string, args ...string) (out string) {
	k.t.Helper()
	code, out, errs := k.run(action, args...)
	if code != 0 || errs != "" {
		k.t.Fatalf("keys %s %q: code %d, %s", action, args, code, errs)
	}
	return out
}

func TestKeysFromTheFirstRootToARotation(t *testing.T) {
	k := newKeysIn(t)
	pin := regexp.MustCompile(`Pin this in the clients: (\S+)\n`).FindStringSubmatch(k.must("new-root"))
	if pin == nil {
		t.Fatal("nothing to pin")
	}
	issued := k.must("issue", "-days", "30")
	rotated := k.must("rotate")
	shown := k.must("show")
	for _, path := range []string{k.root, k.ring} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	ring, err := security.LoadKeyring(k.ring)
	if err != nil || ring.Check(time.Now()) != nil {
		t.Fatal(err, ring.Check(time.Now()))
	}
	root, err := base64.StdEncoding.DecodeString(pin[1])
	if err != nil || !bytes.Equal(root, ring.Root) {
		t.Errorf("pinned %x, the keyring has %x", root, ring.Root)
	}
	cert := base64.StdEncoding.EncodeToString(ring.Previous.Cert().Marshal())
	if !strings.Contains(issued, cert) || !strings.Contains(rotated, cert) || !strings.Contains(shown, cert) || !strings.Contains(shown, "(30 days left)") || !strings.Contains(shown, "(90 days left)") {
		t.Errorf("shown:\n%s", shown)
	}
	seed, err := security.LoadRoot(k.root)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]byte{seed.Seed(), ring.Current.Private(), ring.Previous.Private()} {
		if strings.Contains(issued+rotated+shown, base64.StdEncoding.EncodeToString(secret)) {
			t.Error("a secret is printed")
		}
	}
	if out := k.must("rotate"); !strings.Contains(out, "which was the previous one, is gone") {
		t.Errorf("the second rotation says %s", out)
	}
}

func TestKeysSayWhatIsWrong(t *testing.T) {
	k := newKeysIn(t)
	open := filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(open, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(want int, message, action string, args ...string) {
		t.Helper()
		if code, _, errs := k.run(action, args...); code != want || !strings.Contains(errs, message) {
			t.Errorf("keys %s %q: code %d, want %d with %q, got:\n%s", action, args, code, want, message, errs)
		}
	}
	run(2, `unknown action "isue" (did you mean issue?)`, "isue")
	run(2, `unknown action ""`, "")
	run(2, `unknown flag -day (did you mean -days?)`, "issue", "-day", "3")
	run(2, "unknown flag -root", "show", "-root", "x")
	run(2, "-days 0: need 1 to 3650", "issue", "-days", "0")
	run(2, "-days -1: need 1 to 3650", "issue", "-days=-1")
	run(2, "which is not a number", "issue", "-days", "soon")
	run(2, `"x" is not expected here: files are named by flags`, "rotate", "x")
	run(2, "must name a file", "new-root", "-root=")
	run(1, `make one with "mmo keys new-root"`, "issue")
	run(1, `make one with "mmo keys new-root"`, "rotate")
	run(1, `make one with "mmo keys issue"`, "show")
	k.must("new-root")
	run(1, "-force destroys it", "new-root")
	run(1, `make one with "mmo keys issue"`, "rotate")
	run(1, "no such file or directory", "issue", "-keyring", filepath.Join(k.root+".none", "x"))
	run(1, "chmod 600 "+open, "show", "-keyring", open)
	run(1, "chmod 600 "+open, "issue", "-root", open)
	run(1, "no regular file", "show", "-keyring", t.TempDir())
	run(1, "no file of a keyring", "show", "-keyring", k.root)
	k.must("issue")
	run(1, `run "mmo keys rotate" to give it a new key`, "issue")
	run(1, "no file of a root key", "rotate", "-root", k.ring)
	before := k.must("show")
	k.must("new-root", "-force")
	run(1, "another root's", "rotate")
	if after := k.must("show"); after != before {
		t.Error("a rotation that failed changed the keyring")
	}
	k.must("issue", "-force")
	if after := k.must("show"); after == before {
		t.Error("-force made no new keyring")
	}
}

func TestKeysThatNoGatewayCouldUseAreShownAsSuch(t *testing.T) {
	k := newKeysIn(t)
	root, err := security.NewRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		issued time.Time
		want   string
	}{{time.Now().Add(-48 * time.Hour), "(expired)"}, {time.Now().Add(time.Hour), "(not yet good)"}} {
		ring, err := security.Keyring{}.Next(root, nil, test.issued, 24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if err := ring.Save(k.ring); err != nil {
			t.Fatal(err)
		}
		if code, out, errs := k.run("show"); code != 1 || !strings.Contains(out, test.want) || !strings.Contains(errs, "a gateway cannot use it") {
			t.Errorf("code %d, %s%s", code, out, errs)
		}
	}
}

func TestKeysHelp(t *testing.T) {
	for _, args := range [][]string{{"keys", "help"}, {"keys", "-h"}, {"help", "keys"}, {"keys", "issue", "-h"}} {
		var out, errs bytes.Buffer
		if code := (tianxia.App{Name: "mygame"}).Run(t.Context(), args, &out, &errs); code != 0 || errs.Len() > 0 || !strings.Contains(out.String(), "mygame keys rotate") {
			t.Errorf("%q: code %d, %s%s", args, code, out.String(), errs.String())
		}
	}
	var out, errs bytes.Buffer
	if code := (tianxia.App{}).Run(t.Context(), []string{"keys"}, &out, &errs); code != 2 || !strings.Contains(errs.String(), "Flags:") || out.Len() > 0 {
		t.Errorf("code %d, %s", code, errs.String())
	}
}
