package network

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// Dial opens a connection to a ws or wss URL. A server that answers without upgrading gives a *RefusedError. ctx bounds the dialling, not the
// connection.
func Dial(ctx context.Context, url string, cfg DialConfig) (*Conn, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
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
		return nil, fmt.Errorf("network: dial %s: %w", url, err)
	}
	var early []byte
	if br != nil {
		buffered, _ := br.Peek(br.Buffered())
		early = append(early, buffered...)
		ws.PutReader(br)
	}
	if hs.Protocol != cfg.Subprotocol {
		_ = nc.Close()
		return nil, fmt.Errorf("network: dial %s: %w", url,
			&RefusedError{Status: http.StatusSwitchingProtocols, Reason: "server did not choose subprotocol " + cfg.Subprotocol})
	}
	if err := nc.SetDeadline(time.Time{}); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("network: dial %s: %w", url, err)
	}
	return newConn(nc, &cfg.Config, cfg.Mask, early), nil
}
