// Command mmogen is mmo gen for go generate: it needs no generated code but the framework's own messages, so it compiles while a game's bindings are broken.
// It ends when it is done, or with -watch at Ctrl-C.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/tianxia-mmo/tianxia/internal/schema"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := schema.Command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
