//go:build !linux && !darwin

package sock

import (
	"net"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// unixPeer knows nothing but the path: the permissions of the socket decide who may connect.
func unixPeer(_ net.Conn, path string) (transport.Peer, error) {
	return transport.Peer{Addr: path, UID: -1}, nil
}
