//go:build unix

package sock

import (
	"net"
	"syscall"
)

// rawWriter makes write system calls that do not wait; Go's sockets are non-blocking underneath. The closure and its arguments live here, so that a write
// allocates nothing. Its user holds the lane's lock.
type rawWriter struct {
	rc   syscall.RawConn
	once func(fd uintptr)

	buf []byte // in
	n   int    // out
	err error  // out
}

// newRawWriter answers nil when the socket gives no access to its descriptor.
func newRawWriter(nc net.Conn) *rawWriter {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	w := &rawWriter{rc: rc}
	w.once = w.writeOnce
	return w
}

// write returns how much of b the socket took, possibly nothing. Control rather than Write: it takes no lock of the runtime's and looks at no deadline, and the
// lane's lock keeps others from writing.
func (w *rawWriter) write(b []byte) (int, error) {
	w.buf, w.n, w.err = b, 0, nil
	err := w.rc.Control(w.once)
	w.buf = nil
	if err == nil {
		err = w.err
	}
	return w.n, err
}

func (w *rawWriter) writeOnce(fd uintptr) {
	for {
		n, err := syscall.Write(int(fd), w.buf)
		switch err {
		case nil:
			w.n = n
		case syscall.EINTR:
			continue
		case syscall.EAGAIN: // full
		default:
			w.err = err
		}
		return
	}
}
