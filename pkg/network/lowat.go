//go:build linux || darwin

package network

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// setNotSentLowat bounds the unsent bytes in the kernel. Best effort.
func setNotSentLowat(rc syscall.RawConn, bytes int) {
	_ = rc.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bytes)
	})
}
