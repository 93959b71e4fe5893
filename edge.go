package tianxia

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// edge is what faces the clients: the gateway with keys made for this run, the page, the development login and the health checks.
type edge struct {
	gateway *gateway.Gateway
	page    fs.FS    // nil: none
	rights  []string // of every development token
	tokens  security.DevTokens
	root    ed25519.PublicKey
	cert    security.KeyCert
}

// openEdge makes the keys that live as long as the process, and the gateway that uses them.
func openEdge(cfg gateway.Config, page fs.FS, rights []string) (*edge, error) {
	root, err := security.NewRoot(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("development keys: %w", err)
	}
	now := time.Now()
	key, err := root.Issue(rand.Reader, uint32(now.Unix()), now.Add(-time.Minute), now.Add(30*24*time.Hour)) // a key id per start: clients of the last one learn the new key
	if err != nil {
		return nil, fmt.Errorf("development keys: %w", err)
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("development tokens: %w", err)
	}
	e := &edge{page: page, rights: rights, root: root.Public(), cert: key.Cert(), tokens: security.DevTokens{Secret: secret}}
	cfg.Verifier, cfg.Security.Current, cfg.Security.Realm = e.tokens, key, devRealm
	if cfg.Version == "" {
		cfg.Version = Version()
	}
	e.gateway, err = gateway.New(cfg)
	return e, err
}

// handler serves the page, the development login, the health checks and the WebSocket on one listener.
func (e *edge) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /ws", e.gateway)
	mux.HandleFunc("GET /dev/session", e.devSession)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { health(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if h, ok := e.gateway.Server(); ok {
			health(w, http.StatusOK, fmt.Sprintf("ready: serves %q, schema %v", h.Game, h.Schema))
		} else {
			health(w, http.StatusServiceUnavailable, "not ready: there is no world server")
		}
	})
	if e.page != nil {
		files := http.FileServerFS(e.page)
		mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Cache-Control", "no-cache")
			h.Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'")
			h.Set("X-Content-Type-Options", "nosniff")
			files.ServeHTTP(w, r)
		})
	}
	return mux
}

func health(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // who does not wait for the answer does not want it
}

// devSession hands a page all it needs to connect: keys, and a token of a new player. Development only: it asks nobody who they are.
func (e *edge) devSession(w http.ResponseWriter, r *http.Request) {
	if !localName(r.Host) { // a page of another origin cannot read this; nor can one that rebinds its name to us
		http.Error(w, fmt.Sprintf("the development login answers under an IP address or localhost, not under %q", r.Host), http.StatusForbidden)
		return
	}
	server, ok := e.gateway.Server()
	if !ok { // pages try again by themselves
		w.Header().Set("Retry-After", "1")
		http.Error(w, "the world server is away; try again", http.StatusServiceUnavailable)
		return
	}
	token, err := e.token(r.URL.Query().Get("name"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(devLogin{ // an error here is the client's, who has gone
		Realm: devRealm, Root: base64.StdEncoding.EncodeToString(e.root), Cert: base64.StdEncoding.EncodeToString(e.cert.Marshal()),
		Token: token, WS: "/ws", SchemaHash: hex.EncodeToString(server.Schema[:]), Build: Version(),
	})
}

// token makes a new player of this name.
func (e *edge) token(name string) (string, error) {
	if name == "" {
		name = "guest"
	}
	if len(name) > security.MaxTokenName {
		return "", fmt.Errorf("name of %d bytes, at most %d fit", len(name), security.MaxTokenName)
	}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", fmt.Errorf("player id: %w", err)
	}
	player := binary.LittleEndian.Uint64(id[:])>>11 | 1 // not 0, and exact as a JavaScript number
	return e.tokens.Issue(security.Identity{Player: player, Name: name, Rights: e.rights}, 10*time.Minute, time.Now())
}

// localName tells whether a Host header names this machine by address or as localhost.
func localName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	return net.ParseIP(host) != nil || host == "localhost" || strings.HasSuffix(host, ".localhost")
}
