package sock

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// unixPeer asks the system whose the other end is: the process that connected, or the one that began to listen.
func unixPeer(nc net.Conn, path string) (transport.Peer, error) {
	peer := transport.Peer{Addr: path, UID: -1}
	rc, err := nc.(*net.UnixConn).SyscallConn()
	if err != nil {
		return peer, err
	}
	var cred *unix.Ucred
	if cerr := rc.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); cerr != nil {
		err = cerr
	}
	if err != nil {
		return peer, fmt.Errorf("ask for the user of the other end: %w", err)
	}
	peer.PID, peer.UID = int(cred.Pid), int(cred.Uid)
	return peer, nil
}
