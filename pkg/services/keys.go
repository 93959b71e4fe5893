package services

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// Keys is what a client needs before it connects to a gateway. Nothing in it is secret, but a client that is not of the browser should have Root
// built in rather than believe whoever answers.
type Keys struct {
	// Realm is the gateways', at most 255 bytes.
	Realm string
	// Root is the key that the certificates are signed with.
	Root ed25519.PublicKey
	// Current is the certificate of the key to use.
	Current security.KeyCert
	// Previous is that of the key used before; the zero value: none.
	Previous security.KeyCert
	// Gateways are their addresses, as in "wss://gate-1.example/ws" or "tls://gate-1.example:7777", in the order of preference.
	Gateways []string
	// Subprotocol of the WebSocket. "" means security.DefaultSubprotocol.
	Subprotocol string
	// Schema is the fingerprint of the schema that the servers speak, a hint only: the handshake decides. Zero: unknown.
	Schema [8]byte
}

// check finds what no client could connect with.
func (k Keys) check(now time.Time) error {
	if len(k.Realm) > 255 {
		return fmt.Errorf("the realm has %d bytes: the handshake takes 255", len(k.Realm))
	}
	if len(k.Gateways) == 0 {
		return errors.New("no gateway: clients would not know where to connect")
	}
	if err := k.Current.Verify(k.Root, now); err != nil {
		return fmt.Errorf("the current key: %w", err)
	}
	return nil
}

// keysBody is the JSON of Keys; bytes are in base64 with padding, the fingerprint in hex.
type keysBody struct {
	Realm       string   `json:"realm"`
	Root        string   `json:"root"`
	Current     string   `json:"current"`
	Previous    string   `json:"previous,omitempty"`
	Gateways    []string `json:"gateways"`
	Subprotocol string   `json:"subprotocol"`
	Schema      string   `json:"schema,omitempty"`
}

func (s *Services) keys(c *call) (answer, error) {
	k := s.cfg.Keys()
	text := base64.StdEncoding.EncodeToString
	body := keysBody{Realm: k.Realm, Root: text(k.Root), Current: text(k.Current.Marshal()), Gateways: k.Gateways, Subprotocol: k.Subprotocol}
	if k.Previous != (security.KeyCert{}) {
		body.Previous = text(k.Previous.Marshal())
	}
	if body.Subprotocol == "" {
		body.Subprotocol = security.DefaultSubprotocol
	}
	if k.Schema != ([8]byte{}) {
		body.Schema = hex.EncodeToString(k.Schema[:])
	}
	age := s.cfg.KeysMaxAge
	if left := time.Unix(int64(min(k.Current.NotAfter, 1<<40)), 0).Sub(s.cfg.Accounts.Now()); left < age { // nobody shall keep a key that is over
		age = max(left, 0)
	}
	return c.cacheable(body, "application/json", age)
}

func (s *Services) jwks(c *call) (answer, error) {
	return c.cacheable(s.cfg.JWKS(), "application/jwk-set+json", s.cfg.KeysMaxAge)
}

// cacheable answers with a body that anyone may keep for a while, or says that the client's copy is still good.
func (c *call) cacheable(value any, kind string, age time.Duration) (answer, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return answer{}, fmt.Errorf("encode %T: %w", value, err)
	}
	body = append(body, '\n')
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	header := map[string]string{
		"Cache-Control": fmt.Sprintf("public, max-age=%d", int64(age/time.Second)), "ETag": tag, "Content-Type": kind,
	}
	for _, have := range strings.Split(c.r.Header.Get("If-None-Match"), ",") {
		if have = strings.TrimPrefix(strings.TrimSpace(have), "W/"); have == tag || have == "*" {
			return answer{status: http.StatusNotModified, header: header}, nil
		}
	}
	return answer{status: http.StatusOK, raw: body, header: header}, nil
}
