//go:build !linux || !(amd64 || arm64)

package shm

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

// Dial needs Linux; see the package comment.
func Dial(_ context.Context, path string, _ transport.Config) (transport.Conn, error) {
	return nil, unsupported("dial", path)
}

// Listen needs Linux; see the package comment.
func Listen(path string, _ transport.Config) (transport.Listener, error) {
	return nil, unsupported("listen on", path)
}

func unsupported(what, path string) error {
	return fmt.Errorf("rpc shm: %s %s: there is no shared memory transport for %s/%s: use a unix or tcp endpoint: %w",
		what, path, runtime.GOOS, runtime.GOARCH, errors.ErrUnsupported)
}
