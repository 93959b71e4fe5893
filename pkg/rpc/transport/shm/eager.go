//go:build linux && (amd64 || arm64)

package shm

import "github.com/tianxia-mmo/tianxia/pkg/rpc/transport"

var _ transport.Eager = (*conn)(nil)

// Eager implements transport.Eager: a block goes into a queue that both ends see, and a system call follows only when the peer sleeps.
func (*conn) Eager() bool { return true }
