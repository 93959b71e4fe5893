package gateway_test

import (
	"testing"
	"testing/synctest"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

func TestKickIsHeardWithoutNonBlockingWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, link.PipeConfig{}, nil)
		p := s.play(1)
		p.push(protocol.RouteZone)
		s.down(link.Down{Kind: link.Kick, Session: p.session, Code: protocol.DisconnectKicked, Reason: "you know why"})
		p.closed(protocol.DisconnectKicked)
	})
}
