package sock

import (
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/conformance"
)

func BenchmarkConn(b *testing.B) {
	for _, kind := range kinds() {
		b.Run(kind, func(b *testing.B) {
			conformance.Bench(b, func(tb testing.TB) (transport.Conn, transport.Conn) { return open(tb, kind, transport.Config{}) })
		})
	}
}
