//go:build unix

package network

import (
	"fmt"
	"syscall"
)

// rawWriter makes exactly one non-blocking write(2) on a socket; Go's sockets are non-blocking underneath. The closure and its
// arguments live here, not on the stack, so that a write allocates nothing. Its user holds Conn.mu.
type rawWriter struct {
	rc   syscall.RawConn
	once func(fd uintptr) bool

	buf []byte // in
	n   int    // out
	err error  // out
}

func newRawWriter(rc syscall.RawConn) *rawWriter {
	w := &rawWriter{rc: rc}
	w.once = w.writeOnce
	return w
}

// write returns how much of b the kernel took, possibly nothing. It must not run beside another write of the same socket: it
// would wait for that one.
func (w *rawWriter) write(b []byte) (int, error) {
	w.buf, w.n, w.err = b, 0, nil
	err := w.rc.Write(w.once)
	w.buf = nil
	if err == nil {
		err = w.err
	}
	return w.n, err
}

// writeOnce always reports done: false would make the runtime wait for the socket.
func (w *rawWriter) writeOnce(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), w.buf)
		switch err {
		case nil:
			w.n = n
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
		default:
			w.err = fmt.Errorf("write(2): %w", err)
		}
		return true
	}
}
