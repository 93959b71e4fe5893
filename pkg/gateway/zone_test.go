package gateway_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// twin is a stage whose world has a second zone, 6, that opens while it runs.
type twin struct {
	*stage
	right *batch.Source
}

func newTwin(t *testing.T) *twin {
	s := &twin{stage: overLoopback(t, link.PipeConfig{}, func(c *gateway.Config) { c.Replica.SlackTicks = 1000 })}
	s.openOther()
	return s
}

func (s *twin) openOther() {
	p := delta.Params{PositionBits: 11, OriginX: 900, OriginZ: -50}
	s.right = batch.NewSource(6, 1, deltatest.Codec(), p)
	s.right.AttachGateway(3)
	s.down(link.Down{Kind: link.ZoneOpened, Payload: link.AppendZone(nil, &link.Zone{ID: 6, Epoch: 1, Params: p, TickHz: 20, QuantaPerMetre: 320, Width: 1000, Height: 900, EnterRadius: 50, LeaveRadius: 60})})
}

// both makes a tick of both zones, whose batches come one after the other.
func (s *twin) both() {
	s.t.Helper()
	s.batch(true)
	out := s.right.Finish(s.tick, nil)
	s.down(link.Down{Kind: link.Batch, Zone: 6, Payload: slices.Clone(out[0].Bytes)})
}

// until reads until the client has what it should.
func (p *peer) until(what string, holds func() bool) {
	p.s.t.Helper()
	for n := 0; !holds(); n++ {
		if err := p.read(); err != nil || n > 1000 {
			p.s.t.Fatalf("waiting until %s: %v", what, err)
		}
	}
}

// tell notes what the mirror is told.
func (p *peer) tell() *[]string {
	told := &[]string{}
	p.mirror.Enter = func(_ int, e *replica.Entity) { *told = append(*told, fmt.Sprint("enter ", e.ID)) }
	p.mirror.Leave = func(_ int, e *replica.Entity) { *told = append(*told, fmt.Sprint("leave ", e.ID)) }
	p.mirror.Move = func(_ int, e *replica.Entity, from uint8) {
		*told = append(*told, fmt.Sprint("move ", e.ID, " from row ", from))
	}
	return told
}

func record(x, hp int32) *delta.Record {
	return deltatest.State{X: x, HP: hp}.Record(deltatest.Codec().Kind(1))
}

func TestEntityThatCrossesStaysTheSameAtAClientAndAClosedZoneLeaves(t *testing.T) {
	s := newTwin(t)
	s.both()
	p := s.play(1)
	told := p.tell()
	id := uint64(4<<32 | 1)
	s.src.AddObserver(p.session, 3)
	s.src.Spawn(0, id, 1, record(990, 5), s.tick+1)
	s.src.Enter(p.session, 0)
	s.both()
	var z mmov1.Zone
	if err := unmarshal(p.push(protocol.RouteZone), &z); err != nil || z.Zone != 5 || z.Index != 0 {
		t.Fatalf("the first row is %v, %v: want that of the home zone", &z, err)
	}
	s.both()
	p.until("the entity is there", func() bool { return p.mirror.Live == 1 })
	s.right.AddObserver(p.session, 3) // a visiting observer, before anything is seen there
	s.both()
	if err := unmarshal(p.push(protocol.RouteZone), &z); err != nil || z.Zone != 6 || z.Index != 1 || z.OriginX != 900 || z.OriginZ != -50 {
		t.Fatalf("the next row is %v, %v", &z, err)
	}
	s.src.Depart(0, 6, 1)
	s.src.Leave(p.session, 0)
	s.both()
	s.right.Spawn(0, id, 1, record(1010, 5), s.tick+1)
	s.right.Enter(p.session, 0)
	s.both()
	p.until("it has crossed", func() bool { return len(*told) > 1 })
	if want := []string{"enter " + fmt.Sprint(id), "move " + fmt.Sprint(id) + " from row 0"}; !slices.Equal(*told, want) {
		t.Fatalf("the client is told %q, want %q", *told, want)
	}
	if e := &p.mirror.Entities[0]; !e.Live || e.Zone != 1 || deltatest.StateOf(e.Codec, &e.Base, s.tick).X != 1010 {
		t.Errorf("the client has %+v", e)
	}
	s.down(link.Down{Kind: link.ZoneClosed, Zone: 6})
	p.until("what the zone held has left", func() bool { return p.mirror.Live == 0 })
	if h, _ := s.gw.Server(); len(h.Zones) != 1 || h.Zones[0].ID != 5 {
		t.Errorf("the server's zones are %+v", h.Zones)
	}
	s.openOther() // again, in another row or the same
	s.right.AddObserver(p.session, 3)
	s.both()
	if err := unmarshal(p.push(protocol.RouteZone), &z); err != nil || z.Zone != 6 {
		t.Errorf("after it opened again the row is %v, %v", &z, err)
	}
}

func TestAClientGetsOneFrameForTheBatchesOfATick(t *testing.T) {
	s := newTwin(t)
	s.both()
	p := s.play(1)
	for i, src := range []*batch.Source{s.src, s.right} {
		src.AddObserver(p.session, 3)
		src.Spawn(0, uint64(4+i)<<32|1, 1, record(950, 0), s.tick+1)
		src.Enter(p.session, 0)
	}
	for p.mirror.Live < 2 {
		s.both()
		if err := p.read(); err != nil {
			t.Fatal(err)
		}
	}
	caughtUp := func() bool { return p.mirror.Rows[0].Tick == s.tick && p.mirror.Rows[1].Tick == s.tick }
	p.send(protocol.AppendEcho(nil, p.mirror.Frames))
	s.src.Input(p.session, 1)
	s.right.Input(p.session, 1)
	s.both()
	p.until("both zones are heard", caughtUp)
	before := p.mirror.Frames
	const ticks = 30
	for n := range int32(ticks) {
		for _, src := range []*batch.Source{s.src, s.right} {
			src.Publish(0, record(950, n+1), deltatest.All, s.tick+1)
		}
		s.both()
		p.until("both zones are heard", caughtUp)
		p.send(protocol.AppendEcho(nil, p.mirror.Frames))
	}
	if got := p.mirror.Frames - before; got != ticks {
		t.Errorf("%d frames in %d ticks of two zones", got, ticks)
	}
}

func TestEventsGoToThoseWhoHaveTheEntity(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	s.batch(true)
	near, far := s.play(1), s.play(2)
	for _, p := range []*peer{near, far} {
		s.src.AddObserver(p.session, 3)
	}
	s.src.Spawn(0, 1, 1, record(10, 5), s.tick+1)
	s.src.Spawn(1, 2, 1, record(20, 5), s.tick+1)
	s.src.Enter(near.session, 0)
	s.src.Enter(far.session, 1)
	for near.mirror.Live == 0 || far.mirror.Live == 0 {
		s.batch(true)
		for _, p := range []*peer{near, far} {
			if p.mirror.Live == 0 {
				if err := p.read(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	s.src.Spawn(2, 3, 1, record(30, 5), s.tick+1)
	s.src.Enter(near.session, 2)
	s.src.Event(2, routeGot, []byte("of what has just come"))
	s.src.Event(0, routeGot, []byte("of the near"))
	s.src.Event(1, routeGot, []byte("of the far"))
	s.batch(true)
	first := near.push(routeGot)
	if second := near.push(routeGot); string(first.Payload) != "of what has just come" || string(second.Payload) != "of the near" || near.mirror.Live != 2 {
		t.Errorf("who is near hears %q and %q with %d entities there", first.Payload, second.Payload, near.mirror.Live)
	}
	if f := far.push(routeGot); string(f.Payload) != "of the far" {
		t.Errorf("who is far hears %q", f.Payload)
	}
	if got := s.gw.Stats().Counts.Deliveries["aoi_event"].Frames; got != 3 {
		t.Errorf("%d events were counted, want 3", got)
	}
}

func TestEventsForAClientThatIsPausedAreDroppedAndCounted(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, func(c *gateway.Config) { c.Replica.SlackTicks = 1 })
	s.batch(true)
	p := s.play(1)
	s.src.AddObserver(p.session, 3)
	s.src.Spawn(0, 1, 1, record(10, 0), s.tick+1)
	s.src.Enter(p.session, 0)
	for n := range int32(400) { // nothing is echoed
		s.src.Publish(0, record(10, n), deltatest.All, s.tick+1)
		s.src.Event(0, routeGot, bytes.Repeat([]byte("x"), 100))
		s.batch(true)
	}
	s.down(link.Down{Kind: link.Kick, Conn: p.session, Code: protocol.DisconnectKicked})
	p.closed(protocol.DisconnectKicked)
	c := s.gw.Stats().Counts
	if sent, shed := c.Deliveries["aoi_event"].Frames, c.Shed["aoi_event"]; shed < 200 || sent > 200 || sent+shed < 390 {
		t.Errorf("%d events went to a client that echoes nothing, %d were counted as dropped", sent, shed)
	}
}

func TestDevelopersHearEventsAboutWhatTheySee(t *testing.T) {
	s := speakingJSON(t, nil)
	s.src = batch.NewSource(5, 2, deltatest.Codec(), params())
	s.src.AttachGateway(3)
	p := plainly(t, s)
	p.say(`{"t":"req","r":"login","i":3,"d":{"token":"` + s.token(8) + `"}}`)
	u := s.up(link.OpenSession)
	s.down(link.Down{Kind: link.Opened, Conn: u.Conn, Payload: (&link.Session{ID: 5, Epoch: 6}).Append(nil)})
	s.down(link.Down{Kind: link.Entered, Zone: 5, Conn: u.Conn})
	p.hears(`{"t":"resp","r":"login"`)
	s.src.AddObserver(u.Conn, 3)
	s.src.Spawn(0, 1, 1, record(10, 5), 1)
	s.src.Enter(u.Conn, 0)
	s.batch(true)
	s.src.Event(0, protocol.RouteStatus, marshal(t, &mmov1.Status{Players: 7}))
	s.batch(true)
	if got := p.hears(`{"t":"push","r":"status"`); !strings.Contains(got, `"players":7`) {
		t.Errorf("an event is %s", got)
	}
}
