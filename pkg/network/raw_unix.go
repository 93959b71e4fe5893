//go:build unix

package network

import (
	"fmt"
	"io"
	"syscall"
)

// rawSocket reads and writes a socket by system calls of its own; Go's sockets are non-blocking underneath. It writes exactly once, and
// it has a buffer to read into only once there is something to read. Closures and their arguments live here, not on the stack,
// so that nothing is allocated.
type rawSocket struct {
	rc syscall.RawConn // nil: there is none

	// Of the holder of Conn.mu.
	writeOnce func(fd uintptr) bool
	buf       []byte // in
	written   int    // out
	writeErr  error  // out

	// Of the reader.
	readOnce func(fd uintptr) bool
	into     *decoder // in
	got      int      // out
	readErr  error    // out
}

func (s *rawSocket) init(rc syscall.RawConn) {
	s.rc, s.writeOnce, s.readOnce = rc, s.tryWrite, s.tryRead
}

func (s *rawSocket) ok() bool { return s.rc != nil }

// write returns how much of b the kernel took, possibly nothing. It must not run beside another write of the same socket: it
// would wait for that one.
func (s *rawSocket) write(b []byte) (int, error) {
	s.buf, s.written, s.writeErr = b, 0, nil
	err := s.rc.Write(s.writeOnce)
	s.buf = nil
	if err == nil {
		err = s.writeErr
	}
	return s.written, err
}

// tryWrite always reports done: false would make the runtime wait for the socket.
func (s *rawSocket) tryWrite(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), s.buf)
		switch err {
		case nil:
			s.written = n
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
		default:
			s.writeErr = fmt.Errorf("write(2): %w", err)
		}
		return true
	}
}

// read waits for bytes and reads them into d, at least one unless it fails. d has no borrowed buffer while it waits.
func (s *rawSocket) read(d *decoder) (int, error) {
	s.into, s.got, s.readErr = d, 0, nil
	err := s.rc.Read(s.readOnce)
	if err == nil {
		err = s.readErr
	}
	return s.got, err
}

// tryRead reports done unless there is nothing to read: then the runtime waits and calls it again.
func (s *rawSocket) tryRead(fd uintptr) bool {
	space := s.into.space()
	for {
		n, err := syscall.Read(int(fd), space)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			s.into.idle()
			return false
		case err != nil:
			s.readErr = fmt.Errorf("read(2): %w", err)
		case n == 0:
			s.readErr = io.EOF
		}
		s.got = max(n, 0)
		return true
	}
}
