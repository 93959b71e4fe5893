package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// Example joins a gateway to a server that speaks for itself, puts it behind an HTTP path, and stops it. A request that is no upgrade is told so.
func Example() {
	root, err := security.NewRoot(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := root.Issue(nil, 1, time.Now(), time.Now().AddDate(0, 3, 0))
	if err != nil {
		fmt.Println(err)
		return
	}
	layout := delta.Layout{Name: "plains", TickHz: 20} // a game without entities
	toServer, server := link.Pipe(link.Hello{Gateway: 1, Game: "plains", Routes: protocol.FrameworkRoutes(), Layout: layout.Table()}, link.PipeConfig{})
	g, err := gateway.New(gateway.Config{
		Connect:  func(context.Context) (link.Link, error) { return toServer, nil },
		Security: security.ServerConfig{Current: key, Realm: "dev"},
		Verifier: security.DevTokens{Secret: []byte("for development only")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", g)

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- g.Serve(ctx) }()
	<-g.Connected()

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ws", nil))
	fmt.Println(w.Code, g.Stats().Connections)

	cancel()
	fmt.Println(<-done)
	fmt.Println(server.Send(link.Down{Kind: link.Batch}))
	// Output:
	// 426 0
	// <nil>
	// link: closed
}
