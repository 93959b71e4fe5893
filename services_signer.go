package tianxia

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// This file keeps the key that signs a login service's tokens. Its file is PEM with PKCS #8, as openssl genpkey -algorithm ed25519 writes it. The first key signs; further ones are
// published along with it, so that tokens of the last key stay good, or the next one is known before it signs.

const (
	maxSignerFile = 16 << 10 // bytes
	maxSigners    = 8        // keys of a file
	pemPrivateKey = "PRIVATE KEY"
)

// openSigner reads the keys of a file, which is made if it does not exist.
func openSigner(path, issuer, realm string, log *slog.Logger) (*security.Signer, *security.JWKS, error) {
	keys, err := loadSigners(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = newSignerFile(path); err == nil {
			log.Info("a key that signs tokens was made; keep its file, for tokens of another key are not taken", "file", path)
		} else if errors.Is(err, fs.ErrExist) { // another process was faster
			err = nil
		}
		if err == nil {
			keys, err = loadSigners(path)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	var first *security.Signer
	var sets []*security.JWKS
	for _, key := range keys {
		s, err := security.NewSigner(security.SignerConfig{Key: key, Issuer: issuer, Audience: realm})
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		if first == nil {
			first = s
		}
		sets = append(sets, s.JWKS())
	}
	set, err := security.MergeJWKS(sets...)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return first, set, nil
}

// loadSigners reads the keys of a file that nobody but its owner and its group may read.
func loadSigners(path string) ([]crypto.Signer, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // before Open, which waits at a pipe
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.Mode().Perm()&0o027 != 0 && runtime.GOOS != "windows": // permissions say nothing there
		return nil, fmt.Errorf("%s holds the key that signs tokens, and with mode %04o others may read or change it: run \"chmod 600 %s\", and make a new key if it lay open for long",
			path, info.Mode().Perm(), path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSignerFile+1))
	if err != nil {
		return nil, err
	}
	defer clear(b)
	keys, err := parseSigners(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// parseSigners reads PEM blocks of private keys, and nothing else.
func parseSigners(b []byte) (keys []crypto.Signer, err error) {
	if len(b) > maxSignerFile {
		return nil, fmt.Errorf("more than %d bytes: it is something else", maxSignerFile)
	}
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			break
		}
		if b = rest; block.Type != pemPrivateKey || len(keys) == maxSigners {
			return nil, fmt.Errorf("a block %q: want 1 to %d blocks %q, as \"openssl genpkey -algorithm ed25519\" writes them", block.Type, maxSigners, pemPrivateKey)
		}
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", len(keys)+1, err)
		}
		s, ok := key.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("key %d signs nothing: want one of Ed25519", len(keys)+1)
		}
		keys = append(keys, s)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("no key: want a block %q in PEM form, as \"openssl genpkey -algorithm ed25519\" writes it", pemPrivateKey)
	}
	return keys, nil
}

// newSignerFile writes a new key to a file of mode 0600, whole or not at all. It replaces nothing: then the error is fs.ErrExist.
func newSignerFile(path string) (err error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key that signs tokens: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("make a key that signs tokens: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // the second name, or what was not finished
	err = pem.Encode(f, &pem.Block{Type: pemPrivateKey, Bytes: der})
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path) // unlike a rename it replaces nothing
}
