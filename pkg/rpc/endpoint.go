package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/shm"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/sock"
)

// Kinds of transports, as transport.Conn.Kind names them.
const (
	kindShm    = "shm"
	kindUds    = "uds"
	kindTCP    = "tcp"
	kindTLS    = "tls"
	kindInproc = "inproc"
)

// shmSuffix is added to the path of a socket for the one over which shared memory is agreed on.
const shmSuffix = ".shm"

// route is one way to reach an endpoint.
type route struct {
	kind string
	addr string // path, host:port or name
}

func (r route) String() string { return r.kind + "://" + r.addr }

// local tells whether the route leads nowhere but to processes of the same machine.
func (r route) local() bool { return r.kind == kindShm || r.kind == kindUds || r.kind == kindInproc }

// parseEndpoint gives the routes of an endpoint, the best first. Only "unix" has two: shared memory is forced with "shm", done without with "uds".
func parseEndpoint(s string) ([]route, error) {
	scheme, addr, ok := strings.Cut(s, "://")
	if !ok {
		if !strings.ContainsAny(s, `/\`) {
			return nil, fmt.Errorf("rpc: endpoint %q is neither a path nor a URL: write %q for a socket here, or %q", s, "unix:///path/of.sock", "tcp://host:port")
		}
		scheme, addr = "unix", s
	}
	if addr == "" {
		return nil, fmt.Errorf("rpc: endpoint %q names nothing behind %s://", s, scheme)
	}
	switch scheme {
	case "unix":
		if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" { // where there is no shared memory
			return []route{{kindUds, addr}}, nil
		}
		return []route{{kindShm, addr}, {kindUds, addr}}, nil
	case kindShm, kindUds, kindInproc:
		return []route{{scheme, addr}}, nil
	case kindTCP, kindTLS:
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return nil, fmt.Errorf("rpc: endpoint %q: %w: write %s://host:port", s, err, scheme)
		}
		return []route{{scheme, addr}}, nil
	}
	return nil, fmt.Errorf("rpc: endpoint %q: no transport is called %q: use unix, shm, uds, tcp, tls or inproc", s, scheme)
}

// network is what is needed to use routes.
type network struct {
	inproc    *inproc.Network
	tls       *tls.Config
	transport transport.Config
}

var errNoNetwork = errors.New("inproc endpoints need the same *inproc.Network in the InProc of both ends")

func (n *network) dial(ctx context.Context, r route) (transport.Conn, error) {
	switch r.kind {
	case kindShm:
		return shm.Dial(ctx, r.addr+shmSuffix, n.transport)
	case kindUds:
		return sock.DialUnix(ctx, r.addr, n.transport)
	case kindTCP:
		return sock.DialTCP(ctx, r.addr, nil, n.transport)
	case kindTLS:
		return sock.DialTCP(ctx, r.addr, clientTLS(n.tls, r.addr), n.transport)
	}
	if n.inproc == nil {
		return nil, errNoNetwork
	}
	return n.inproc.Dial(ctx, r.addr, n.transport)
}

func (n *network) listen(r route) (transport.Listener, error) {
	switch r.kind {
	case kindShm:
		return shm.Listen(r.addr+shmSuffix, n.transport)
	case kindUds:
		return sock.ListenUnix(r.addr, n.transport)
	case kindTCP:
		return sock.ListenTCP(r.addr, nil, n.transport)
	case kindTLS:
		if n.tls == nil {
			return nil, errors.New("a tls endpoint needs a certificate: set ServerConfig.TLS, or listen on tcp://")
		}
		return sock.ListenTCP(r.addr, n.tls, n.transport)
	}
	if n.inproc == nil {
		return nil, errNoNetwork
	}
	return n.inproc.Listen(r.addr, n.transport)
}

// clientTLS names the server that is dialled, if the user has not.
func clientTLS(own *tls.Config, addr string) *tls.Config {
	if own != nil && own.ServerName != "" {
		return own
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS13}
	if own != nil {
		cfg = own.Clone()
	}
	cfg.ServerName, _, _ = net.SplitHostPort(addr)
	return cfg
}

// advertised is the endpoint that others are told for one that is listened on: with the port that it got, with an absolute path, and with an address instead of
// "all of them".
func advertised(endpoint string, bound route) string {
	switch {
	case strings.HasPrefix(endpoint, "inproc:"):
		return endpoint
	case bound.local():
		path := bound.addr
		if abs, err := filepath.Abs(path); err == nil {
			path = abs
		}
		if scheme, _, ok := strings.Cut(endpoint, "://"); ok {
			return scheme + "://" + path
		}
		return "unix://" + path
	}
	host, port, err := net.SplitHostPort(bound.addr)
	if err != nil {
		return bound.String()
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = ownAddress()
	}
	return bound.kind + "://" + net.JoinHostPort(host, port)
}

// ownAddress is an address of this machine that others may reach; the loopback address when there is none.
func ownAddress() string {
	all, _ := net.InterfaceAddrs() // without addresses there is the loopback
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	return "127.0.0.1"
}
