package network

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// Dial opens a connection to a URL: ws and wss are WebSocket, tcp and tls (both need a port) the length-prefixed framing of Accept. A server
// that answers without upgrading gives a *RefusedError. ctx bounds the dialling, not the connection.
func Dial(ctx context.Context, url string, cfg DialConfig) (*Conn, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	var c *Conn
	var err error
	switch scheme, _, _ := strings.Cut(url, "://"); scheme {
	case "tcp", "tls":
		c, err = dialPrefixed(ctx, url, &cfg)
	default:
		c, err = dialWS(ctx, url, &cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("network: dial %s: %w", url, err)
	}
	return c, nil
}

func dialWS(ctx context.Context, url string, cfg *DialConfig) (*Conn, error) {
	d := ws.Dialer{
		Timeout:   cfg.Timeout,
		NetDial:   cfg.NetDial,
		TLSConfig: cfg.TLS,
		Header:    ws.HandshakeHeaderHTTP(cfg.Header),
	}
	if cfg.Subprotocol != "" {
		d.Protocols = []string{cfg.Subprotocol}
	}
	nc, br, hs, err := d.Dial(ctx, url)
	if err != nil {
		var status ws.StatusError
		if errors.As(err, &status) {
			err = &RefusedError{Status: int(status), Reason: strings.ToLower(http.StatusText(int(status)))}
		}
		return nil, err
	}
	var early []byte
	if br != nil {
		buffered, _ := br.Peek(br.Buffered())
		early = append(early, buffered...)
		ws.PutReader(br)
	}
	if hs.Protocol != cfg.Subprotocol {
		_ = nc.Close()
		return nil, &RefusedError{Status: http.StatusSwitchingProtocols, Reason: "server did not choose subprotocol " + cfg.Subprotocol}
	}
	if err := nc.SetDeadline(time.Time{}); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return newConn(nc, &cfg.Config, origin{client: true, mask: cfg.Mask, early: early, peer: peerOf(nc)}), nil
}

func dialPrefixed(ctx context.Context, to string, cfg *DialConfig) (*Conn, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	if u.Hostname() == "" || u.Port() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("a %s URL is %s://host:port and nothing else", u.Scheme, u.Scheme)
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	dial := cfg.NetDial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	nc, err := dial(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "tls" {
		conf := &tls.Config{}
		if cfg.TLS != nil {
			conf = cfg.TLS.Clone()
		}
		if conf.ServerName == "" {
			conf.ServerName = u.Hostname()
		}
		secure := tls.Client(nc, conf)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = nc.Close()
			return nil, err
		}
		nc = secure
	}
	return newConn(nc, &cfg.Config, origin{client: true, prefixed: true, peer: peerOf(nc)}), nil
}
