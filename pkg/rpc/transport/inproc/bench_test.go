package inproc

import (
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/conformance"
)

func BenchmarkPipe(b *testing.B) {
	conformance.Bench(b, func(testing.TB) (transport.Conn, transport.Conn) { return Pipe(transport.Config{}) })
}
