package client

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

func TestRowThatComesAgainTakesTheOldOnesPlace(t *testing.T) {
	c := &Client{}
	if err := c.Mirror.Use(deltatest.Codec(), nil); err != nil {
		t.Fatal(err)
	}
	var told []uint32
	c.handler.Zone = func(z *mmov1.Zone) { told = append(told, z.Zone) }
	row := func(index, zone uint32) error {
		b, err := proto.Marshal(&mmov1.Zone{Index: index, Zone: zone, PositionBits: 17, OriginX: -320, OriginZ: 1 << 20, Tick: 9})
		if err != nil {
			t.Fatal(err)
		}
		return c.zone(protocol.Frame{Type: protocol.TypePush, Route: protocol.RouteZone, Payload: b})
	}
	if err := errors.Join(row(0, 5), row(1, 6), row(0, 7)); err != nil {
		t.Fatal(err)
	}
	if len(c.Zones) != 2 || c.Zones[0].Zone != 7 || c.Zones[1].Zone != 6 || len(told) != 3 {
		t.Errorf("rows %v, told of %d", c.Zones, told)
	}
	if r := c.Mirror.Rows[0]; r.Zone != 7 || r.Params.OriginX != -320 || r.Params.OriginZ != 1<<20 || r.Tick != 9 {
		t.Errorf("the mirror has %+v", r)
	}
	c.Mirror.Entities = append(c.Mirror.Entities, replica.Entity{Live: true, Zone: 0, ID: 1})
	if err := row(0, 8); !errors.Is(err, replica.ErrMalformed) || len(c.Zones) != 2 || c.Zones[0].Zone != 7 {
		t.Errorf("a row with an entity is replaced: %v", err)
	}
}
