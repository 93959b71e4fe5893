package tianxia

import (
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
	"github.com/tianxia-mmo/tianxia/pkg/services"
)

// edge is what faces the clients: the gateway, the page, the development login and the health checks.
type edge struct {
	gateway *gateway.Gateway
	page    fs.FS    // nil: none
	rights  []string // of every development token
	keys    *edgeKeys
	login   *services.Services // for development; nil: none
}

// openEdge makes the gateway that uses the keys.
func openEdge(cfg gateway.Config, keys *edgeKeys, page fs.FS, rights []string) (*edge, error) {
	e := &edge{page: page, rights: rights, keys: keys}
	cfg.Verifier, cfg.Security.Current, cfg.Security.Previous, cfg.Security.Realm = keys.verifier, keys.ring().Current, keys.ring().Previous, keys.realm
	if cfg.Version == "" {
		cfg.Version = Version()
	}
	var err error
	e.gateway, err = gateway.New(cfg)
	return e, err
}

// handler serves the page, the development login, the health checks and the WebSocket on one listener.
func (e *edge) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /ws", e.gateway)
	if e.keys.tokens != nil {
		mux.Handle("GET /dev/session", named(http.HandlerFunc(e.devSession))) // a page of another origin cannot read it; nor can one that rebinds its name to us
	}
	if e.login != nil {
		mux.Handle(loginPath, named(e.login.Handler()))
		mux.Handle(adminPath, named(e.login.Admin()))
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { health(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		h, ok := e.gateway.Server()
		switch {
		case !ok:
			health(w, http.StatusServiceUnavailable, "not ready: there is no world server")
		case !e.gateway.Ready():
			health(w, http.StatusServiceUnavailable, "not ready: it drains, and lets nobody in any more")
		default:
			health(w, http.StatusOK, fmt.Sprintf("ready: serves %q, schema %v", h.Game, h.Schema))
		}
	})
	if e.page != nil {
		files := http.FileServerFS(e.page)
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { // of every method, or it would contradict the paths that take all
			h := w.Header()
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				h.Set("Allow", "GET, HEAD")
				http.Error(w, "this is a page: GET it", http.StatusMethodNotAllowed)
				return
			}
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
	ring := e.keys.ring()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(devLogin{ // an error here is the client's, who has gone
		Realm: e.keys.realm, Root: base64.StdEncoding.EncodeToString(ring.Root), Cert: base64.StdEncoding.EncodeToString(ring.Current.Cert().Marshal()),
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
	return e.tokenOf(binary.LittleEndian.Uint64(id[:])>>11|1, name) // not 0, and exact as a JavaScript number
}

func (e *edge) tokenOf(player uint64, name string) (string, error) {
	return e.keys.tokens.Issue(security.Identity{Player: player, Name: name, Rights: e.rights}, 10*time.Minute, time.Now())
}

// localName tells whether a Host header names this machine by address or as localhost.
func localName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	return net.ParseIP(host) != nil || host == "localhost" || strings.HasSuffix(host, ".localhost")
}
