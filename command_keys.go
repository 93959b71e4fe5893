package tianxia

import (
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/internal/utils/spell"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// keys is the command line of the keys that clients know a gateway by. One value serves one run.
type keys struct {
	name           string // of the program
	now            time.Time
	stdout, stderr io.Writer

	root, ring string // files
	days       int
	force      bool
}

// keysActions are what the command does; nobody changes the table.
var keysActions = []struct{ name, help string }{
	{"new-root", "draw a root key, which certifies server keys; clients pin its public half"},
	{"issue", "make a keyring with a first server key, which a gateway needs"},
	{"rotate", "put a new server key into a keyring; the one so far is still accepted"},
	{"show", "print what is public of a keyring, and how long it is good"},
}

func (a App) keys(args []string, stdout, stderr io.Writer) int {
	k := &keys{name: a.name() + " keys", now: time.Now(), stdout: stdout, stderr: stderr}
	if len(args) == 0 {
		k.usage(stderr)
		return exitUsage
	}
	action, args := args[0], args[1:]
	if action == "help" || action == "-h" || action == "--help" || action == "-help" {
		k.usage(stdout)
		return exitOK
	}
	run := map[string]func() error{"new-root": k.newRoot, "issue": k.issue, "rotate": k.rotate, "show": k.show}[action]
	if run == nil {
		var known []string
		for _, x := range keysActions {
			known = append(known, x.name)
		}
		fmt.Fprintf(stderr, "%s: unknown action %q%s\nRun \"%s help\" for the list.\n", k.name, action, spell.Suggestion(action, known, ""), k.name)
		return exitUsage
	}
	switch help, err := k.parse(action, args); {
	case help:
		k.usage(stdout)
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "%s %s: %v\n", k.name, action, err)
		return exitUsage
	}
	if err := run(); err != nil {
		fmt.Fprintf(stderr, "%s %s: %v\n", k.name, action, err)
		return exitFailed
	}
	return exitOK
}

// flagSet has the flags of an action; "" has those of all.
func (k *keys) flagSet(action string) *flag.FlagSet {
	f := flag.NewFlagSet(k.name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&k.root, "root", "root.key", "`file` of the root key; keep it where no gateway can read it")
	f.StringVar(&k.ring, "keyring", "keyring.json", "`file` of the keyring, for the gateways")
	f.IntVar(&k.days, "days", 90, "how many `days` a server key is good")
	f.BoolVar(&k.force, "force", false, "replace a file that is there (new-root, issue)")
	keep := map[string]string{"new-root": "root force", "issue": "root keyring days force", "rotate": "root keyring days", "show": "keyring"}[action]
	if action == "" {
		return f
	}
	own := flag.NewFlagSet(k.name, flag.ContinueOnError)
	own.SetOutput(io.Discard)
	for name := range strings.FieldsSeq(keep) {
		x := f.Lookup(name)
		own.Var(x.Value, x.Name, x.Usage)
	}
	return own
}

func (k *keys) parse(action string, args []string) (help bool, err error) {
	f := k.flagSet(action)
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return true, nil
	case err != nil:
		return false, errors.New(explain(f, err))
	case f.NArg() > 0:
		return false, fmt.Errorf("%q is not expected here: files are named by flags, as in -keyring=file", f.Arg(0))
	case k.root == "" || k.ring == "":
		return false, errors.New("-root and -keyring must name a file")
	case k.days < 1 || k.days > 3650:
		return false, fmt.Errorf("-days %d: need 1 to 3650", k.days)
	}
	return false, nil
}

func (k *keys) usage(w io.Writer) {
	fmt.Fprintf(w, "%s makes and shows the keys by which clients know that a gateway is yours.\n\n", k.name)
	for _, x := range keysActions {
		fmt.Fprintf(w, "  %s %-9s %s\n", k.name, x.name, x.help)
	}
	fmt.Fprint(w, "\nFirst new-root, once, on a machine that is kept offline; then issue, and rotate before the key's time is over.\n"+
		"Give the keyring to the gateways and the root's public half to the clients. The root key goes nowhere.\n\nFlags:\n")
	f := k.flagSet("")
	f.SetOutput(w)
	f.PrintDefaults()
}

func (k *keys) newRoot() error {
	root, err := security.NewRoot(nil)
	if err != nil {
		return err
	}
	save := root.Save
	if k.force {
		save = root.SaveOver
	}
	if err := save(k.root); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already. Clients that pin it trust no other root: keep it, or write to another file with -root; -force destroys it", k.root)
	} else if err != nil {
		return err
	}
	fmt.Fprintf(k.stdout, "The root key is in %s: keep it offline and have a copy; gateways never need it.\nPin this in the clients: %s\n",
		k.root, base64.StdEncoding.EncodeToString(root.Public()))
	return nil
}

func (k *keys) issue() error {
	root, err := k.loadRoot()
	if err != nil {
		return err
	}
	ring, err := security.Keyring{}.Next(root, nil, k.now, k.validity())
	if err != nil {
		return err
	}
	save := ring.SaveNew
	if k.force {
		save = ring.Save
	}
	if err := save(k.ring); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: run \"%s rotate\" to give it a new key; -force throws its keys away", k.ring, k.name)
	} else if err != nil {
		return err
	}
	fmt.Fprintf(k.stdout, "The keyring is in %s: give it to the gateways, and to nobody else.\n", k.ring)
	k.print(ring)
	return nil
}

func (k *keys) rotate() error {
	root, err := k.loadRoot()
	if err != nil {
		return err
	}
	ring, err := k.loadRing()
	if err != nil {
		return err
	}
	next, err := ring.Next(root, nil, k.now, k.validity())
	if err != nil {
		return err
	}
	if err := next.Save(k.ring); err != nil {
		return err
	}
	fmt.Fprintf(k.stdout, "%s has a new current key. Clients that know the one before get in with it until it expires; others are told the new one.\n", k.ring)
	if !ring.Previous.IsZero() {
		fmt.Fprintf(k.stdout, "Key %d, which was the previous one, is gone.\n", ring.Previous.Cert().KeyID)
	}
	k.print(next)
	return nil
}

func (k *keys) show() error {
	ring, err := k.loadRing()
	if err != nil {
		return err
	}
	k.print(ring)
	if err := ring.Check(k.now); err != nil {
		return fmt.Errorf("a gateway cannot use it: %w; run \"%s rotate\"", err, k.name)
	}
	return nil
}

func (k *keys) validity() time.Duration { return time.Duration(k.days) * 24 * time.Hour }

func (k *keys) loadRoot() (security.Root, error) {
	root, err := security.LoadRoot(k.root)
	if errors.Is(err, fs.ErrNotExist) {
		return root, fmt.Errorf("there is no root key in %s: make one with \"%s new-root\", or say where it is with -root", k.root, k.name)
	}
	return root, err
}

func (k *keys) loadRing() (security.Keyring, error) {
	ring, err := security.LoadKeyring(k.ring)
	if errors.Is(err, fs.ErrNotExist) {
		return ring, fmt.Errorf("there is no keyring in %s: make one with \"%s issue\", or say where it is with -keyring", k.ring, k.name)
	}
	return ring, err
}

// print shows the public parts of a keyring only.
func (k *keys) print(ring security.Keyring) {
	fmt.Fprintf(k.stdout, "root         %s\n", base64.StdEncoding.EncodeToString(ring.Root))
	k.printKey("current", ring.Current)
	if !ring.Previous.IsZero() {
		k.printKey("previous", ring.Previous)
	}
}

func (k *keys) printKey(what string, key security.ServerKey) {
	cert := key.Cert()
	from, until := time.Unix(int64(cert.NotBefore), 0).UTC(), time.Unix(int64(cert.NotAfter), 0).UTC()
	state := fmt.Sprintf("%.0f days left", until.Sub(k.now).Hours()/24)
	switch left := until.Sub(k.now); {
	case left < 0:
		state = "expired"
	case k.now.Before(from):
		state = "not yet good"
	case left < 48*time.Hour:
		state = fmt.Sprintf("%.0f hours left", left.Hours())
	}
	resume := ""
	if cert.Allows(security.SuiteNKpsk2) {
		resume = " and resume"
	}
	fmt.Fprintf(k.stdout, "%-12s key %d, for login%s, from %s until %s (%s)\n", what, cert.KeyID, resume, from.Format(time.RFC3339), until.Format(time.RFC3339), state)
	fmt.Fprintf(k.stdout, "  certificate %s\n", base64.StdEncoding.EncodeToString(cert.Marshal()))
}
