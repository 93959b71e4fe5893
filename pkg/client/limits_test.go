package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

func TestLoginThatFitsNoRecordFailsAtOnce(t *testing.T) {
	h := newHost(t, func(g *gate) protocol.DisconnectCode {
		if g.shake() {
			_, _ = g.conn.Next()
		}
		return 1000
	})
	h.cfg.Token = strings.Repeat("x", 70_000)
	if _, err := client.Dial(context.Background(), h.cfg); !errors.Is(err, client.ErrFull) {
		t.Errorf("a token of 70 kB: %v", err)
	}
}
