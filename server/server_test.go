package server_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/batch"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
	"github.com/tianxia-mmo/tianxia/server"
)

func TestZoneMakesTwentyTicksPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, server.Config{}, pond(nil))
		if st := s.Stats(); st.Tick != 0 {
			t.Errorf("tick %d before it serves", st.Tick)
		}
		serve(t, s)
		elapse(time.Minute - time.Millisecond)
		if st := s.Stats(); st.Tick != 60*20 || st.Overruns != 0 || st.Skipped != 0 {
			t.Errorf("within a minute: %+v, want 1,200 ticks, all in time", st)
		}
	})
}

// TestLateZoneCatchesUpWithinItsBound blocks one tick of a zone for a while; the same arithmetic by hand stands beside each case.
func TestLateZoneCatchesUpWithinItsBound(t *testing.T) {
	for _, c := range []struct {
		block    time.Duration
		catchUp  int
		overruns uint64
		skipped  uint64
	}{
		{40 * time.Millisecond, 5, 0, 0},
		{100 * time.Millisecond, 5, 0, 0},   // one tick late is no overrun
		{101 * time.Millisecond, 5, 1, 0},   // the next begins 51 ms late
		{300 * time.Millisecond, 5, 4, 0},   // 250, 200, 150, 100 late; then 50 and 0
		{301 * time.Millisecond, 5, 1, 5},   // 251 ms are more than five ticks: given up
		{301 * time.Millisecond, 100, 5, 0}, // and made up where that is allowed
		{time.Hour, 5, 1, 72_000 - 1},
		{101 * time.Millisecond, 1, 1, 1},
	} {
		t.Run(fmt.Sprintf("%v of %d", c.block, c.catchUp), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, server.Config{CatchUp: c.catchUp}, pond(func(z *game.Zone) {
					if z.Tick() == 3 {
						<-time.After(c.block)
					}
				}))
				serve(t, s)
				now := c.block.Truncate(period) + 100*period + period/2 // between two ticks: they fall on multiples of the period again
				elapse(now)
				if due := uint64(now/period) + 1; uint64(s.Stats().Tick) != due-c.skipped {
					t.Errorf("%d ticks, want %d that were due less %d", s.Stats().Tick, due, c.skipped)
				}
				if st := s.Stats(); st.Overruns != c.overruns || st.Skipped != c.skipped {
					t.Errorf("%d overruns, %d skipped; want %d, %d", st.Overruns, st.Skipped, c.overruns, c.skipped)
				}
			})
		})
	}
}

func TestStepsAreMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, server.Config{}, pond(func(z *game.Zone) {
			if z.Tick()%20 == 0 {
				<-time.After(30 * time.Millisecond)
			} else {
				<-time.After(2 * time.Millisecond)
			}
		}))
		l := attach(t, s)
		serve(t, s)
		tell(t, l, open(1, "Ann"), open(2, "Bo"))
		elapse(2 * time.Minute)
		st := s.Stats()
		if st.StepP50 != 2*time.Millisecond || st.StepP99 != 30*time.Millisecond {
			t.Errorf("steps take %v and %v, want 2 ms and 30 ms", st.StepP50, st.StepP99)
		}
		if st.Players != 2 || st.Entities != 2 || st.ZoneStats.Publications == 0 && st.ZoneStats.BatchBytes == 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestGatewaysComeAndGoBeforeAndWhileItServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, server.Config{}, pond(nil))
		early := attach(t, s)
		tell(t, early, open(1, "Ann"))
		stop := serve(t, s)
		synctest.Wait()
		late := attach(t, s)
		h := late.Hello()
		if h.Game != "pond" || h.Gateway != early.Hello().Gateway+1 || h.Schema != s.Schema() || len(h.Zones) != 1 || h.Zones[0].TickHz != 20 || h.Zones[0].Params.PositionBits != 17 {
			t.Errorf("hello %+v", h)
		}
		tell(t, late, open(2, "Bo"), open(3, "Cy"), link.Up{Kind: 99, Conn: 2})
		elapse(2 * period)
		synctest.Wait()
		if n := s.Stats().Players; n != 3 {
			t.Fatalf("%d players, want 3", n)
		}
		for i, l := range []*gate{early, late} {
			first := heard(t, l, link.Batch)[0]
			if hd, err := batch.DecodeHeader(first.Payload); err != nil || hd.Kind != batch.KindSnapshot {
				t.Errorf("gateway %d: the first batch is %+v, %v; want a snapshot", i, hd, err)
			}
		}
		tell(t, late, link.Up{Kind: link.CloseSession, Conn: 3, Code: 1000})
		elapse(period)
		synctest.Wait()
		if n := s.Stats().Players; n != 2 {
			t.Errorf("%d players after one left, want 2", n)
		}
		_ = late.Close()
		elapse(time.Minute + 2*period) // its session lingers
		synctest.Wait()
		if st := s.Stats(); st.Players != 1 || st.Entities != 1 || st.LostLinks != 0 {
			t.Errorf("after a gateway left: %+v, want the other's player alone", st)
		}
		never := attach(t, s) // attached, and the server ends before its next tick
		stop()
		if !closed(early) || !closed(never) {
			t.Error("a link is open after the end")
		}
		if _, err := s.Attach(context.Background()); err == nil || !strings.Contains(err.Error(), "the server has stopped") {
			t.Errorf("attach after the end: %v", err)
		}
	})
}

func TestRequestIsAnsweredToItsGatewayAndRefusedJoinIsAKick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, server.Config{}, pond(nil))
		a, b := attach(t, s), attach(t, s)
		tell(t, a, open(1, "Ann"))
		tell(t, b, open(2, "nobody"))
		serve(t, s)
		elapse(period)
		synctest.Wait()
		tell(t, a, message(1, routeEcho, 5, 77))
		tell(t, b, message(1, routeEcho, 6, 78))
		elapse(period)
		synctest.Wait()
		got := heard(t, a, link.ToClient)
		if len(got) != 2 || got[0].Route != protocol.RouteAvatar || got[1].Type != protocol.TypeResponse || got[1].ID != 5 || got[1].Conn != 1 || got[0].Seq != 2 || got[1].Seq != 3 {
			t.Errorf("gateway 1 got %+v, want avatar and answer, behind the ticket", got)
		}
		kicks := heard(t, b, link.Kick)
		if len(kicks) != 1 || kicks[0].Conn != 2 || kicks[0].Code != protocol.DisconnectKicked || string(kicks[0].Payload) != "go away" {
			t.Errorf("gateway 2 got %+v, want a kick", kicks)
		}
	})
}

func TestStatusIsToldToEveryGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, server.Config{StatusTick: 4}, pond(nil))
		a, b := attach(t, s), attach(t, s)
		tell(t, a, open(1, "Ann"))
		serve(t, s)
		elapse(4*period - time.Millisecond)
		for _, l := range []*gate{a, b} {
			got := heard(t, l, link.Broadcast)
			var m mmov1.Status
			if len(got) != 1 || got[0].Route != protocol.RouteStatus || proto.Unmarshal(got[0].Payload, &m) != nil || m.Players != 1 || m.Entities != 1 {
				t.Errorf("broadcasts %+v with %v, want one status", got, &m)
			}
		}
	})
}

func TestGatewayThatDoesNotReadLosesBatchesAndRecoversBySnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, server.Config{Pipe: link.PipeConfig{Batches: 3}, StatusTick: 1 << 30}, pond(nil))
		slow, fast := attach(t, s), attach(t, s)
		rep := replica.NewZone(1, slow.Hello().Zones[0].Epoch, deltatest.Codec(), slow.Hello().Zones[0].Params)
		serve(t, s)
		for range 10 {
			synctest.Wait()
			if n := len(heard(t, fast, link.Batch)); n != 1 {
				t.Errorf("the gateway that reads got %d batches in a tick", n)
			}
			elapse(period)
		}
		synctest.Wait()
		if n := s.Stats().LostBatches; n != 8 {
			t.Errorf("%d batches lost, want 8 of 11", n)
		}
		for i, d := range heard(t, slow, link.Batch) {
			if err := rep.Apply(d.Payload); err != nil {
				t.Errorf("batch %d: %v", i, err)
			}
		}
		elapse(period)
		synctest.Wait()
		if got := heard(t, slow, link.Batch); len(got) != 1 || !errors.Is(rep.Apply(got[0].Payload), replica.ErrGap) {
			t.Errorf("%d batches, want one that shows the gap", len(got))
		}
		tell(t, slow, link.Up{Kind: link.RequestSnapshot, Zone: 1})
		elapse(period)
		synctest.Wait()
		got := heard(t, slow, link.Batch)
		if len(got) != 1 || rep.Apply(got[0].Payload) != nil || !rep.Ready() || rep.Tick() != s.Stats().Tick {
			t.Errorf("after the snapshot: %d batches, replica at tick %d of %d, ready %v", len(got), rep.Tick(), s.Stats().Tick, rep.Ready())
		}
	})
}

func TestNumberedMessagesWaitForRoomAndALinkWithoutRoomForMoreIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, server.Config{Pipe: link.PipeConfig{DownMessage: 10}}, pond(nil))
		full, other := attach(t, s), attach(t, s)
		serve(t, s)
		tell(t, full, open(1, "Ann"), open(2, "Bo"))
		tell(t, other, open(3, "Cy"))
		elapse(2 * period)
		synctest.Wait()
		full.hear() // there is room again
		full.downs = nil
		tell(t, full, message(1, routeFlood, 0, 5))
		elapse(period)
		synctest.Wait()
		if st := s.Stats(); st.LostLinks != 0 || st.Players != 3 {
			t.Fatalf("the messages fit, but: %+v", st)
		}
		if err := full.Send(link.Up{Kind: link.FromClient, Conn: first(full.Hello().Gateway) | 2, Epoch: full.epochs[2], Route: routeFlood, Payload: []byte{8, 20}}); err != nil {
			t.Fatal(err)
		}
		beat(3)
		if st := s.Stats(); st.LostLinks != 0 || st.Players != 3 {
			t.Fatalf("numbered messages that have no room must wait, but: %+v", st)
		}
		var seqs []uint32
		for range 3 {
			for _, d := range full.got(2) {
				if d.Seq != 0 {
					seqs = append(seqs, d.Seq)
				}
			}
			full.downs = nil
			beat(1)
		}
		for i, seq := range seqs {
			if seq != uint32(i)+3 {
				t.Fatalf("numbers %v, want 3, 4, 5 …", seqs)
			}
		}
		if len(seqs) != 20 {
			t.Errorf("%d messages came, want 20", len(seqs))
		}
		if err := full.Send(link.Up{Kind: link.FromClient, Conn: first(full.Hello().Gateway) | 2, Epoch: full.epochs[2], Route: routeFlood, Payload: []byte{8, 20}}); err != nil {
			t.Fatal(err)
		}
		beat(2)
		if err := s.Kick(t.Context(), 1001, protocol.DisconnectKicked, "no room to say so"); err != nil {
			t.Fatal(err)
		}
		elapse(time.Minute + 3*period) // the sessions linger
		synctest.Wait()
		if st := s.Stats(); st.LostLinks != 1 || st.Players != 1 || st.Entities != 1 {
			t.Errorf("%d links lost, %d players, %d entities; want 1, 1, 1", st.LostLinks, st.Players, st.Entities)
		}
		if !closed(full.Link) || closed(other.Link) {
			t.Error("the wrong link is closed")
		}
		if err := full.Send(open(4, "Di")); !errors.Is(err, link.ErrClosed) {
			t.Errorf("send on the lost link: %v", err)
		}
	})
}

func TestGatewaysOfOtherProcessesJoinByPortAndAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, server.Config{}, pond(nil))
		stop := serve(t, s)
		join := func(number uint32) (*gate, link.Hello) {
			l, p := link.Pipe(link.Hello{Gateway: number}, link.PipeConfig{}) // as link.Dial makes it of the server's answer
			h, err := s.Join(p, link.GatewayInfo{Instance: "gateway"})
			if err != nil {
				t.Fatal(err)
			}
			return newGate(t, l), h
		}
		a, ha := join(1)
		b, hb := join(2)
		if ha.Gateway != 1 || hb.Gateway != 2 || ha.Game != "pond" || len(ha.Zones) != 1 || ha.Zones[0].Epoch == 0 {
			t.Errorf("hellos %+v and %+v", ha, hb)
		}
		tell(t, a, open(1, "Ann"), open(2, "Bo"))
		tell(t, b, open(3, "Cy"))
		elapse(2 * period)
		synctest.Wait()
		if st := s.Stats(); st.Gateways != 2 || st.Players != 3 {
			t.Errorf("%d gateways, %d players; want 2 and 3", st.Gateways, st.Players)
		}
		_ = a.Close() // as if its process had died
		elapse(time.Minute + 2*period)
		synctest.Wait()
		if st := s.Stats(); st.Gateways != 1 || st.GatewaysLost != 1 || st.Players != 1 || st.Entities != 1 {
			t.Errorf("after one is gone: %+v, want the other with its player", st)
		}
		stop()
		_, p := link.Pipe(link.Hello{}, link.PipeConfig{})
		if _, err := s.Join(p, link.GatewayInfo{}); err == nil || !strings.Contains(err.Error(), "the server has stopped") {
			t.Errorf("join after the end: %v", err)
		}
	})
}

func TestGatewaySpeaksForItsOwnSessionsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, server.Config{}, pond(nil))
		honest, liar := attach(t, s), attach(t, s)
		serve(t, s)
		tell(t, honest, open(1, "Ann"))
		tell(t, liar, open(2, "Bo"))
		elapse(2 * period)
		synctest.Wait()
		honest.hear()
		liar.hear()
		ann := first(honest.Hello().Gateway) | 1
		echo := message(ann, routeEcho, 5, 77)
		for _, u := range []link.Up{{Kind: link.CloseSession, Conn: ann, Epoch: honest.epochs[1]}, echo, open(ann+1, "Cy"), open(7, "Di"), open(ann|1<<63, "Ed")} {
			if err := liar.Send(u); err != nil { // as it is: tell would make it the liar's own
				t.Fatal(err)
			}
		}
		elapse(period)
		synctest.Wait()
		if st := s.Stats(); st.Players != 2 || st.Entities != 2 || st.Strangers != 5 || st.ZoneStats.Refused != 0 {
			t.Errorf("%d players, %d entities, %d refused; want Ann and Bo alone, and 5 refused", st.Players, st.Entities, st.Strangers)
		}
		for _, d := range heard(t, honest, link.ToClient) {
			if d.Type == protocol.TypeResponse {
				t.Error("the other gateway's request was answered to this one")
			}
		}
		tell(t, honest, message(1, routeEcho, 6, 78))
		tell(t, liar, message(2, routeEcho, 7, 79), link.Up{Kind: link.CloseSession, Conn: 2, Code: 1000})
		elapse(period)
		synctest.Wait()
		if st := s.Stats(); st.Players != 1 || st.Strangers != 5 {
			t.Errorf("%d players, %d refused, want Ann, and no more refused", st.Players, st.Strangers)
		}
	})
}

func TestNoTwoStartsShareAnEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		epoch := func() uint32 {
			return newServer(t, server.Config{}, pond(nil)).Hello().Zones[0].Epoch
		}
		first := epoch()
		elapse(40 * time.Millisecond)
		if second := epoch(); int32(second-first) <= 0 {
			t.Errorf("epoch %d after epoch %d", second, first)
		}
		if e := newServer(t, server.Config{Zones: []game.Config{{Epoch: 7}}}, pond(nil)).Hello().Zones[0].Epoch; e != 7 {
			t.Errorf("epoch %d, want the 7 that was asked for", e)
		}
	})
}

func TestServerThatCannotRunSaysWhy(t *testing.T) {
	twice := pond(nil)
	twice.Declare(protocol.Route{ID: routeEcho, Name: "pond.again"})
	for _, c := range []struct {
		cfg server.Config
		g   *game.Game
		say string
	}{
		{server.Config{CatchUp: -1}, pond(nil), "CatchUp of -1 ticks"},
		{server.Config{Zones: []game.Config{{Width: -1}}}, pond(nil), "each side must be"},
		{server.Config{}, twice, `id is taken by "pond.`},
	} {
		if _, err := server.New(c.cfg, c.g); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%v, want %q", err, c.say)
		}
	}
	a, b := newServer(t, server.Config{}, pond(nil)), newServer(t, server.Config{}, pond(nil))
	other := pond(nil)
	other.Declare(protocol.Route{ID: 70, Name: "pond.more"})
	if a.Schema() != b.Schema() || a.Schema() == newServer(t, server.Config{}, other).Schema() {
		t.Error("the schema must be a function of the routes")
	}
}

func TestContextThatHasEndedClosesWhatWasAttached(t *testing.T) {
	s := newServer(t, server.Config{}, pond(nil))
	l := attach(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Serve(ctx); err != nil || !closed(l) {
		t.Errorf("serve: %v, link closed %v", err, closed(l))
	}
}
