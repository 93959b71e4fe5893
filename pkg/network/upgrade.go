package network

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gobwas/ws"
)

// Upgrade turns an HTTP/1.1 request into a connection. A request that is refused is answered with an HTTP error that says why, and the error
// is a *RefusedError. Extensions (permessage-deflate) are never accepted. Bytes that came behind the request are not lost. Start the reader in a
// goroutine of its own and return from the handler: see the package comment.
func Upgrade(w http.ResponseWriter, r *http.Request, cfg Config) (*Conn, error) {
	if err := cfg.validate(); err != nil {
		http.Error(w, "server misconfigured", http.StatusInternalServerError)
		return nil, err
	}
	if refused := cfg.judge(r); refused != nil {
		if refused.Status == http.StatusUpgradeRequired {
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Sec-WebSocket-Version", "13")
		}
		if r.ContentLength != 0 {
			w.Header().Set("Connection", "close") // or net/http waits for the body before it answers
		}
		http.Error(w, refused.Reason, refused.Status)
		return nil, refused
	}
	var up ws.HTTPUpgrader
	up.Timeout = cfg.WriteTimeout
	if cfg.Subprotocol != "" {
		up.Protocol = func(p string) bool { return p == cfg.Subprotocol }
	}
	nc, rw, hs, err := up.Upgrade(r, w)
	if err == nil && hs.Protocol != cfg.Subprotocol {
		err = errors.New("subprotocol not chosen") // judge saw it in the list
	}
	if err != nil {
		if nc != nil {
			_ = nc.Close()
		}
		var rejected *ws.ConnectionRejectedError
		if errors.As(err, &rejected) {
			return nil, &RefusedError{Status: rejected.StatusCode(), Reason: rejected.Error()}
		}
		return nil, fmt.Errorf("network: upgrade: %w", err)
	}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	peer := forwarded(peerOf(nc), r.Header["X-Forwarded-For"], cfg.Trusted)
	socket, unread := unwrap(nc)
	return newConn(socket, &cfg, origin{early: append(early, unread...), peer: peer}), nil
}

// judge looks for a reason to refuse the request.
func (c *Config) judge(r *http.Request) *RefusedError {
	refuse := func(status int, reason string) *RefusedError { return &RefusedError{Status: status, Reason: reason} }
	switch {
	case r.Method != http.MethodGet:
		return refuse(http.StatusMethodNotAllowed, "the upgrade is a GET")
	case r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return refuse(http.StatusHTTPVersionNotSupported, "WebSocket wants HTTP/1.1")
	case r.ContentLength != 0:
		return refuse(http.StatusBadRequest, "the upgrade has no body")
	case !hasToken(r.Header["Connection"], "upgrade") || !hasToken(r.Header["Upgrade"], "websocket"):
		return refuse(http.StatusUpgradeRequired, "this is a WebSocket endpoint")
	case len(r.Header["Sec-Websocket-Version"]) != 1 || r.Header.Get("Sec-WebSocket-Version") != "13":
		return refuse(http.StatusUpgradeRequired, "Sec-WebSocket-Version must be 13")
	case len(r.Header["Sec-Websocket-Key"]) != 1 || !validKey(r.Header.Get("Sec-WebSocket-Key")):
		return refuse(http.StatusBadRequest, "Sec-WebSocket-Key must be 16 bytes in base64")
	case c.Subprotocol != "" && !offers(r.Header["Sec-Websocket-Protocol"], c.Subprotocol):
		return refuse(http.StatusBadRequest, "subprotocol "+c.Subprotocol+" must be offered")
	case !c.originAllowed(r):
		return refuse(http.StatusForbidden, "origin not allowed")
	}
	return nil
}

func (c *Config) originAllowed(r *http.Request) bool {
	if c.CheckOrigin != nil {
		return c.CheckOrigin(r)
	}
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		return true
	}
	if len(origins) > 1 {
		return false
	}
	if slices.ContainsFunc(c.Origins, func(o string) bool { return strings.EqualFold(o, origins[0]) }) {
		return true
	}
	u, err := url.Parse(origins[0])
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

func validKey(key string) bool {
	raw, err := base64.StdEncoding.DecodeString(key)
	return err == nil && len(raw) == 16
}

// hasToken looks for a token in comma-separated header values, ignoring case.
func hasToken(values []string, token string) bool {
	return listed(values, func(t string) bool { return strings.EqualFold(t, token) })
}

// offers is hasToken with case: subprotocols have it.
func offers(values []string, protocol string) bool {
	return listed(values, func(t string) bool { return t == protocol })
}

func listed(values []string, match func(string) bool) bool {
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			if match(strings.TrimSpace(t)) {
				return true
			}
		}
	}
	return false
}
