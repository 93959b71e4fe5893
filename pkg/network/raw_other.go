//go:build !unix

package network

import "syscall"

// rawSocket does not exist here: transient writers write everything, and reads go through the net package.
type rawSocket struct{}

func (*rawSocket) init(syscall.RawConn) {}

func (*rawSocket) ok() bool { return false }

func (*rawSocket) write([]byte) (int, error) { return 0, nil }

func (*rawSocket) read(*decoder) (int, error) { return 0, nil }
