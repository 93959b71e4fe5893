package sock

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// Kinds of connections, as Kind tells them.
const (
	kindUnix = "uds"
	kindTCP  = "tcp"
	kindTLS  = "tls"
)

// keepAlive finds peers whose machine is gone, should the layer above have no heartbeat.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
}

// DialTCP connects to host:port and waits until the server has introduced itself: at most 3 s, or until ctx ends. With a TLS configuration the connection is
// encrypted, with TLS 1.3 or later; the server's certificate is checked against the host, and ours is shown if there is one. A server that does not want us
// gives an error that wraps transport.ErrPeerRefused.
func DialTCP(ctx context.Context, addr string, tlsCfg *tls.Config, cfg transport.Config) (transport.Conn, error) {
	if err := validate(&cfg); err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("rpc: dial %q: %w; an address looks like host:port", addr, err)
	}
	d := net.Dialer{KeepAliveConfig: keepAlive()}
	sock, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	peer := transport.Peer{Addr: sock.RemoteAddr().String(), UID: -1}
	tune(sock)
	kind, nc := kindTCP, sock
	if tlsCfg != nil {
		kind = kindTLS
		tlsCfg = modern(tlsCfg)
		if tlsCfg.ServerName == "" {
			tlsCfg.ServerName = host
		}
		tc := tls.Client(sock, tlsCfg)
		if err := within(ctx, sock, func() error { return tc.HandshakeContext(ctx) }); err != nil {
			_ = sock.Close()
			return nil, fmt.Errorf("rpc: dial %s: %w", addr, handshakeFailed(err))
		}
		state := tc.ConnectionState()
		nc, peer.TLS = tc, &state
	}
	if err := introduce(ctx, nc, sock); err != nil {
		_ = sock.Close()
		return nil, fmt.Errorf("rpc: dial %s: %w", addr, handshakeFailed(err))
	}
	return newConn(kind, nc, sock, peer, &cfg), nil
}

// ListenTCP listens on host:port; port 0 takes a free one, see Addr. With a TLS configuration, which needs a certificate, connections are encrypted, with TLS
// 1.3 or later; whether clients must show a certificate is for its ClientAuth to say.
func ListenTCP(addr string, tlsCfg *tls.Config, cfg transport.Config) (transport.Listener, error) {
	if err := validate(&cfg); err != nil {
		return nil, err
	}
	kind := kindTCP
	if tlsCfg != nil {
		kind = kindTLS
		if len(tlsCfg.Certificates) == 0 && tlsCfg.GetCertificate == nil && tlsCfg.GetConfigForClient == nil {
			return nil, fmt.Errorf("rpc: listen on %s: the TLS configuration has no certificate: set Certificates or GetCertificate", addr)
		}
		tlsCfg = modern(tlsCfg)
	}
	lc := net.ListenConfig{KeepAliveConfig: keepAlive()}
	nl, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	return newListener(nl, kind, nl.Addr().String(), tlsCfg, cfg, nil), nil
}

// modern is a copy of a TLS configuration that takes no version before 1.3. Records have their full size from the start: what we write are batches.
func modern(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS13)
	cfg.DynamicRecordSizingDisabled = true
	return cfg
}

// handshakeFailed marks the failures that tell what the server is. Certificates are checked in the handshake by a client, but a client's own is refused by the
// first read.
func handshakeFailed(err error) error {
	var (
		record tls.RecordHeaderError
		remote *net.OpError
		cert   *tls.CertificateVerificationError
		refuse = func(what string) error { return fmt.Errorf("%w: %s: %w", transport.ErrPeerRefused, what, err) }
	)
	switch {
	case errors.Is(err, transport.ErrPeerRefused):
		return err
	case errors.As(err, &record):
		return refuse("it does not speak TLS")
	case errors.As(err, &remote) && remote.Op == "remote error": // an alert
		return refuse("it broke off the TLS handshake")
	case errors.As(err, &cert):
		return fmt.Errorf("the server's certificate is not to be trusted: %w", err)
	}
	return err
}
