package security

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	keyringVersion = 1
	maxKeyFile     = 16 << 10 // bytes
	clockSkew      = 10 * time.Minute
)

// Keyring is what a gateway needs to prove who it is: the public key that its clients pin, and the server keys that the
// root certified. Its String shows nothing secret.
type Keyring struct {
	// Root is what clients pin; its private half is not here.
	Root ed25519.PublicKey
	// Current is the key that clients shall use.
	Current ServerKey
	// Previous is still accepted; zero: there is none.
	Previous ServerKey
}

// Check reports why a keyring is not fit for use at now: a certificate of another root, of another time or not for logins,
// or one id for two keys. A previous key may have expired, since nobody is served with it then.
func (k Keyring) Check(now time.Time) error {
	if k.Current.IsZero() {
		return errors.New("keyring: no current key")
	}
	if err := k.Current.cert.Verify(k.Root, now); err != nil {
		return fmt.Errorf("keyring: current key: %w", err)
	}
	if k.Previous.IsZero() {
		return nil
	}
	if err := k.Previous.cert.Verify(k.Root, now); err != nil && !errors.Is(err, ErrCertExpired) {
		return fmt.Errorf("keyring: previous key: %w", err)
	}
	if k.Previous.cert.KeyID == k.Current.cert.KeyID {
		return fmt.Errorf("keyring: current and previous key have the same id %d", k.Current.cert.KeyID)
	}
	return nil
}

// Next is the keyring after a rotation: root certifies a new current key from rand (nil: the system's randomness) until
// now + valid, and the current one becomes the previous. An empty keyring becomes the first. The new key counts from ten
// minutes ago, for clients whose clocks are slow, but not from before the one that it follows: clients take no older key.
func (k Keyring) Next(root Root, rand io.Reader, now time.Time, valid time.Duration) (Keyring, error) {
	fail := func(err error) (Keyring, error) { return Keyring{}, fmt.Errorf("next server key: %w", err) }
	if valid < time.Minute {
		return fail(fmt.Errorf("valid for %v, want at least a minute", valid))
	}
	if !k.Current.IsZero() && !k.Root.Equal(root.Public()) {
		return fail(errors.New("the keyring is another root's: clients that pin it would not take a key of this one"))
	}
	from := now.Add(-clockSkew)
	if after := second(k.Current.cert.NotBefore); !k.Current.IsZero() && after.After(from) {
		from = after
	}
	id, err := k.freshID(randomOr(rand))
	if err != nil {
		return fail(err)
	}
	key, err := root.Issue(rand, id, from, now.Add(valid))
	if err != nil {
		return fail(err)
	}
	return Keyring{Root: root.Public(), Current: key, Previous: k.Current}, nil
}

// freshID draws the id of the next key. It is not counted: a root never gives one id to two keys, even if a keyring is lost
// and made anew, because a client that knew the older key of the two could not be told that its key is unknown.
func (k *Keyring) freshID(rand io.Reader) (uint32, error) {
	for range 4 {
		var b [4]byte
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return 0, err
		}
		if id := binary.LittleEndian.Uint32(b[:]); id != 0 && id != k.Current.cert.KeyID && id != k.Previous.cert.KeyID {
			return id, nil
		}
	}
	return 0, errors.New("the randomness repeats itself")
}

// keyringFile is the file of a keyring: JSON with base64 for bytes.
//
//	{"version": 1, "root": 32 bytes,
//	 "current":  {"certificate": 119 bytes, "private": 32 bytes},
//	 "previous": the same, may be missing}
type keyringFile struct {
	Version  int       `json:"version"`
	Root     []byte    `json:"root"`
	Current  keyEntry  `json:"current"`
	Previous *keyEntry `json:"previous,omitempty"`
}

type keyEntry struct {
	Certificate []byte `json:"certificate"`
	Private     []byte `json:"private"`
}

// LoadKeyring reads the file of a keyring. It refuses one that others than its owner and group may read, and one whose
// keys the root in it did not certify; Check tells whether they are good at a certain time.
func LoadKeyring(path string) (Keyring, error) {
	b, err := readSecret(path)
	if err != nil {
		return Keyring{}, fmt.Errorf("load keyring: %w", err)
	}
	defer clear(b)
	k, err := parseKeyring(b)
	if err != nil {
		return Keyring{}, fmt.Errorf("load keyring %s: %w", path, err)
	}
	return k, nil
}

func parseKeyring(b []byte) (Keyring, error) {
	var f keyringFile
	if err := decodeStrict(b, "keyring", &f); err != nil {
		return Keyring{}, err
	}
	if f.Version != keyringVersion {
		return Keyring{}, fmt.Errorf("version %d, this program reads %d", f.Version, keyringVersion)
	}
	k := Keyring{Root: f.Root}
	var err error
	if k.Current, err = f.Current.key(k.Root); err != nil {
		return Keyring{}, fmt.Errorf("current key: %w", err)
	}
	if f.Previous == nil {
		return k, nil
	}
	if k.Previous, err = f.Previous.key(k.Root); err != nil {
		return Keyring{}, fmt.Errorf("previous key: %w", err)
	}
	if k.Previous.cert.KeyID == k.Current.cert.KeyID {
		return Keyring{}, fmt.Errorf("current and previous key have the same id %d", k.Current.cert.KeyID)
	}
	return k, nil
}

// key judges an entry of a file. Its times are judged when it is used, not when it is read.
func (e *keyEntry) key(root ed25519.PublicKey) (ServerKey, error) {
	cert, err := ParseKeyCert(e.Certificate)
	if err != nil {
		return ServerKey{}, err
	}
	if err := cert.Verify(root, second(cert.NotBefore)); err != nil {
		return ServerKey{}, err
	}
	return NewServerKey(cert, e.Private)
}

// Save writes the keyring to a file that only its owner may read: whole or not at all, in place of one that is there.
func (k Keyring) Save(path string) error { return k.save(path, true) }

// SaveNew is Save, but refuses to replace a file; the error then is fs.ErrExist.
func (k Keyring) SaveNew(path string) error { return k.save(path, false) }

func (k Keyring) save(path string, replace bool) error {
	f := keyringFile{Version: keyringVersion, Root: k.Root, Current: k.Current.entry()}
	if !k.Previous.IsZero() {
		previous := k.Previous.entry()
		f.Previous = &previous
	}
	b, err := json.MarshalIndent(f, "", "  ")
	if err == nil {
		_, err = parseKeyring(b) // nothing is stored that could not be loaded
	}
	if err == nil {
		err = writeSecret(path, append(b, '\n'), replace)
	}
	if err != nil {
		return fmt.Errorf("save keyring: %w", err)
	}
	return nil
}

func (k ServerKey) entry() keyEntry {
	if k.IsZero() {
		return keyEntry{}
	}
	return keyEntry{Certificate: k.cert.Marshal(), Private: k.Private()}
}

// String hides the keys.
func (k Keyring) String() string {
	return fmt.Sprintf("Keyring(current %d, previous %d, secret)", k.Current.cert.KeyID, k.Previous.cert.KeyID)
}

// GoString hides the keys.
func (k Keyring) GoString() string { return k.String() }

// rootFile is the file of a root: JSON with base64 for bytes. The note is for who finds it.
type rootFile struct {
	Note    string `json:"note"`
	Version int    `json:"version"`
	Seed    []byte `json:"root_seed"` // 32 bytes
}

// Save writes the root to a file that only its owner may read. It never replaces a file, since clients that pin a root are
// lost with it; the error then is fs.ErrExist. Keep the file away from gateways.
func (r Root) Save(path string) error { return r.save(path, false) }

// SaveOver is Save, but replaces a file that is there.
func (r Root) SaveOver(path string) error { return r.save(path, true) }

func (r Root) save(path string, replace bool) error {
	if len(r.private) != ed25519.PrivateKeySize {
		return errors.New("save root key: the root is empty")
	}
	b, err := json.MarshalIndent(rootFile{
		Note: "Whoever has this can pretend to be any server of yours. Keep it offline; gateways need a keyring only.", Version: keyringVersion, Seed: r.Seed(),
	}, "", "  ")
	if err == nil {
		err = writeSecret(path, append(b, '\n'), replace)
	}
	if err != nil {
		return fmt.Errorf("save root key: %w", err)
	}
	return nil
}

// LoadRoot reads what Root.Save wrote, and refuses a file that others than its owner and group may read.
func LoadRoot(path string) (Root, error) {
	b, err := readSecret(path)
	if err != nil {
		return Root{}, fmt.Errorf("load root key: %w", err)
	}
	defer clear(b)
	var f rootFile
	err = decodeStrict(b, "root key", &f)
	if err == nil && f.Version != keyringVersion {
		err = fmt.Errorf("version %d, this program reads %d", f.Version, keyringVersion)
	}
	if err != nil {
		return Root{}, fmt.Errorf("load root key %s: %w", path, err)
	}
	r, err := RootFromSeed(f.Seed)
	if err != nil {
		return Root{}, fmt.Errorf("load root key %s: %w", path, err)
	}
	return r, nil
}

// decodeStrict reads exactly one JSON object without members that are not known, such as those of another kind of file.
func decodeStrict(b []byte, what string, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("it is no file of a %s: %w", what, err)
	}
	if rest := bytes.TrimSpace(b[d.InputOffset():]); len(rest) > 0 {
		return fmt.Errorf("%d bytes behind its end", len(rest))
	}
	return nil
}
