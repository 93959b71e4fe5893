package tianxia

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// handler serves the page, the development login and the WebSocket on one listener.
func (n *Node) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /ws", n.gateway)
	mux.HandleFunc("GET /dev/session", n.devSession)
	if n.app.Web != nil {
		files := http.FileServerFS(n.app.Web)
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

// devSession hands a page all it needs to connect: keys, and a token of a new player. Development only: it asks nobody who they are.
func (n *Node) devSession(w http.ResponseWriter, r *http.Request) {
	if !localName(r.Host) { // a page of another origin cannot read this; nor can one that rebinds its name to us
		http.Error(w, fmt.Sprintf("the development login answers under an IP address or localhost, not under %q", r.Host), http.StatusForbidden)
		return
	}
	token, err := n.token(r.URL.Query().Get("name"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	schema := n.server.Schema()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(devLogin{ // an error here is the client's, who has gone
		Realm: devRealm, Root: base64.StdEncoding.EncodeToString(n.root), Cert: base64.StdEncoding.EncodeToString(n.cert.Marshal()),
		Token: token, WS: "/ws", SchemaHash: hex.EncodeToString(schema[:]), Build: Version(),
	})
}

// token makes a new player of this name.
func (n *Node) token(name string) (string, error) {
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
	return n.tokens.Issue(security.Identity{Player: player, Name: name, Rights: n.cfg.Rights}, 10*time.Minute, time.Now())
}

// localName tells whether a Host header names this machine by address or as localhost.
func localName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	return net.ParseIP(host) != nil || host == "localhost" || strings.HasSuffix(host, ".localhost")
}
