package tianxia_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// TestGameMastersCommandFromAClientAndOthersAreRefused boots a node twice: of one every player is a game master, of the other none.
func TestGameMastersCommandFromAClientAndOthersAreRefused(t *testing.T) {
	for _, rights := range [][]string{{"gm"}, {"spectate"}} {
		t.Run(rights[0], func(t *testing.T) {
			n, _ := boot(t, app(0), tianxia.NodeConfig{Rights: rights})
			c := dial(t, n, nil)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			came := make(chan error, 1)
			asked := false
			until(t, c, "the end of the commands", func() bool {
				if _, ok := c.Own(); ok && !asked {
					asked = true
					go func() { came <- command(ctx, c) }()
				}
				select {
				case err := <-came:
					var refused *client.Error
					switch denied := errors.As(err, &refused) && refused.Code == protocol.ErrorNotAllowed && strings.Contains(refused.Message, `gm.teleport needs the right "gm"`); {
					case rights[0] == "gm" && err != nil:
						t.Error(err)
					case rights[0] != "gm" && !denied:
						t.Errorf("without the right: %v", err)
					}
					return true
				default:
					return false
				}
			})
		})
	}
}

// command moves the client's own avatar, looks at it, and looks at somebody who is not there.
func command(ctx context.Context, c *client.Client) error {
	var was mmov1.TeleportResponse
	if err := c.Request(ctx, protocol.RouteTeleport, &mmov1.TeleportRequest{X: 12, Z: 34}, &was); err != nil {
		return err
	}
	var seen mmov1.InspectResponse
	if err := c.Request(ctx, protocol.RouteInspect, &mmov1.InspectRequest{Entity: was.Entity}, &seen); err != nil {
		return err
	}
	var e struct {
		Kind     string
		Position struct{ X, Z float64 }
		Player   struct{ Name string }
	}
	if err := json.Unmarshal([]byte(seen.Json), &e); err != nil || e.Kind != "Hero" || e.Position.X != 12 || e.Position.Z != 34 || e.Player.Name != "tester" {
		return fmt.Errorf("%s (%v)", seen.Json, err)
	}
	answer, err := c.RequestJSON(ctx, protocol.RouteInspect, []byte(`{"player": "bob"}`))
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Code != protocol.ErrorWrongState || !strings.Contains(refused.Message, `no player "bob" in zone 1; players here: "tester"`) {
		return fmt.Errorf("of somebody who is not there: %s, %w", answer, err)
	}
	return nil
}
