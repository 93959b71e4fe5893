package sock

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// unixPeer asks the system whose the other end is.
func unixPeer(nc net.Conn, path string) (transport.Peer, error) {
	peer := transport.Peer{Addr: path, UID: -1}
	rc, err := nc.(*net.UnixConn).SyscallConn()
	if err != nil {
		return peer, err
	}
	cerr := rc.Control(func(fd uintptr) {
		var cred *unix.Xucred
		if cred, err = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); err == nil {
			peer.UID = int(cred.Uid)
			peer.PID, _ = unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID) // nice to have
		}
	})
	if err == nil {
		err = cerr
	}
	if err != nil {
		return peer, fmt.Errorf("ask for the user of the other end: %w", err)
	}
	return peer, nil
}
