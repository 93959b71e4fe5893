package gateway_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// TestIncompatibleClientIsToldWhyOverTLSToo: there the connection has no non-blocking write, and the reason follows the handshake at once.
func TestIncompatibleClientIsToldWhyOverTLSToo(t *testing.T) {
	s := newStage(t, link.PipeConfig{}, nil)
	web := httptest.NewTLSServer(s.gw)
	t.Cleanup(func() { _ = s.stop(); web.Close() })
	s.url = "ws" + strings.TrimPrefix(web.URL, "https") + "/ws"
	s.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // the test's own server
		return d.DialContext(ctx, network, addr)
	}
	s.client.SchemaHash = protocol.NewFingerprint(9, 9, [4]byte{9})
	for range 5 {
		p := s.connect(true)
		for p.read() == nil {
		}
		if p.kick.Code != uint32(protocol.DisconnectSchemaMismatch) || !strings.Contains(p.kick.Reason, "the server is older") {
			t.Fatalf("the client was told %d %q, want why it cannot play", p.kick.Code, p.kick.Reason)
		}
	}
}

func TestGatewayRefusesAGameThatItCannotServe(t *testing.T) {
	large := deltatest.Layout()
	large.Component(deltatest.Bag).Fields[0].Max = 30_000
	if err := large.Finish(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		layout []byte
		change func(*gateway.Config)
		say    string
	}{
		"an entity larger than a record":           {large.Table(), func(c *gateway.Config) { c.Security.RecordMax = 8 << 10; c.Replica.MaxFrame = 4 << 10 }, `an entity of kind "Bearer" may take 3`},
		"a queue too small to learn the layout in": {deltatest.Layout().Table(), func(c *gateway.Config) { c.QueueBytes = 2048 }, "QueueBytes of 2048 cannot hold the layout"},
		"no layout": {nil, nil, "ticks per second"},
	} {
		h := hello(t)
		h.Layout = c.layout
		s := newStage(t, link.PipeConfig{}, nil)
		cfg := gateway.Config{Connect: s.connectTo, Verifier: s.tokens, Security: s.keys}
		if c.change != nil {
			c.change(&cfg)
		}
		g, err := gateway.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.CanServe(h); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v, want %q", name, err, c.say)
		}
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}
}
