package tianxia

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// edgeKeys is who a gateway is, and how it knows players.
type edgeKeys struct {
	realm    string
	held     atomic.Pointer[security.Keyring]
	verifier security.Verifier
	tokens   *security.DevTokens // nil: there is no development login
	from     string              // where the keys are from, for people
	set      io.Closer           // of a login service's keys; nil: none
	file     *keyFile            // that the keys are from, and are read again; nil: they stay
}

// ring are the keys at present.
func (k *edgeKeys) ring() security.Keyring { return *k.held.Load() }

// Close ends what keeps keys up to date.
func (k *edgeKeys) Close() error {
	if k.set == nil {
		return nil
	}
	return k.set.Close()
}

const (
	devKeyLife  = 30 * 24 * time.Hour
	devKeysFile = "dev-keyring.json"
)

// newDevKeys makes development keys; tokens are signed by a secret that comes of them, so that gateways with the same keys take each other's.
func newDevKeys() (security.Keyring, error) {
	root, err := security.NewRoot(rand.Reader)
	if err != nil {
		return security.Keyring{}, fmt.Errorf("development keys: %w", err)
	}
	ring, err := security.Keyring{}.Next(root, rand.Reader, time.Now(), devKeyLife)
	if err != nil {
		return ring, fmt.Errorf("development keys: %w", err)
	}
	return ring, nil
}

func devKeysOf(ring security.Keyring, from string) *edgeKeys {
	mac := hmac.New(sha256.New, ring.Current.Private())
	mac.Write([]byte("tianxia development tokens"))
	tokens := &security.DevTokens{Secret: mac.Sum(nil)}
	k := &edgeKeys{realm: devRealm, verifier: tokens, tokens: tokens, from: from}
	k.held.Store(&ring)
	return k
}

// devKeys makes the keys of one run.
func devKeys() (*edgeKeys, error) {
	ring, err := newDevKeys()
	if err != nil {
		return nil, err
	}
	return devKeysOf(ring, "made for this run"), nil
}

// sharedDevKeys takes the development keys that the gateways of this host share, so that clients may go from one to another, or makes them. Where they cannot be kept, they
// are made for this run.
func sharedDevKeys(dir string, log *slog.Logger) (*edgeKeys, error) {
	path := filepath.Join(dir, devKeysFile)
	ring, err := security.LoadKeyring(path)
	if err == nil && ring.Check(time.Now().Add(time.Hour)) == nil { // and not about to expire
		return devKeysOf(ring, "in "+path), nil
	}
	old := err == nil || !errors.Is(err, fs.ErrNotExist)
	if ring, err = newDevKeys(); err != nil {
		return nil, err
	}
	if err = os.MkdirAll(dir, 0o700); err == nil && old {
		err = ring.Save(path)
	} else if err == nil {
		if err = ring.SaveNew(path); errors.Is(err, fs.ErrExist) { // another gateway was faster
			if ring, err = security.LoadKeyring(path); err != nil {
				return nil, fmt.Errorf("development keys: %w", err)
			}
		}
	}
	if err != nil {
		log.Warn("development keys cannot be kept: clients cannot go on at another gateway of this host", "error", err)
		return devKeysOf(ring, "made for this run"), nil
	}
	return devKeysOf(ring, "in "+path), nil
}

// keys is who a gateway process is: what its file says, or development keys.
func (f *GatewayFile) keys(log *slog.Logger) (*edgeKeys, error) {
	if f.Login.JWKS == "" {
		dir, err := directory(f.RPC.Registry)
		if err != nil {
			return nil, err
		}
		k, err := sharedDevKeys(dir, log)
		if err != nil || f.Keys == "" {
			return k, err
		}
		file, ring, err := openKeyFile(f.Keys, 0)
		if err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
		k = devKeysOf(ring, "in "+f.Keys)
		k.realm, k.file = f.Realm, file
		return k, nil
	}
	file, ring, err := openKeyFile(f.Keys, 0)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	set, err := security.OpenRemoteKeys(security.RemoteKeysConfig{URL: f.Login.JWKS})
	if err != nil {
		return nil, fmt.Errorf("login.jwks: %w", err)
	}
	v, err := security.NewJWT(security.JWTConfig{Keys: set, Issuer: f.Login.Issuer, Audience: f.Realm})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("login: %w", err), set.Close())
	}
	k := &edgeKeys{realm: f.Realm, verifier: v, from: "in " + f.Keys, set: set, file: file}
	k.held.Store(&ring)
	return k, nil
}

func loadKeys(path string) (security.Keyring, error) {
	ring, err := security.LoadKeyring(path)
	if err == nil {
		err = ring.Check(time.Now())
	}
	if err != nil {
		return ring, fmt.Errorf("%s: %w; \"mmo keys\" makes and rotates them", path, err)
	}
	return ring, nil
}

// rekey has clients and the gateway go by another keyring.
func (e *edge) rekey(ring security.Keyring) error {
	if err := e.gateway.Rekey(ring.Current, ring.Previous); err != nil {
		return err
	}
	e.keys.held.Store(&ring)
	return nil
}
