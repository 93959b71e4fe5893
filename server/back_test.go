package server_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/server"
)

func TestKickMeetsALoginThatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &slowly{answers: make(chan error)}
		s, g := stage(t, server.Config{Directory: d})
		tell(t, g, open(1, "Ann"))
		beat(1)
		if err := s.Kick(t.Context(), 1001, protocol.DisconnectBanned, "out"); err != nil {
			t.Fatal(err)
		}
		beat(1)
		d.answers <- nil
		beat(2)
		if code := kicked(g.got(1)); code != protocol.DisconnectBanned || s.Stats().Sessions != 0 {
			t.Errorf("%s, %d sessions", code, s.Stats().Sessions)
		}
		tell(t, g, open(2, "Bo")) // whom the directory never answers
		elapse(4 * time.Second)
		beat(1)
		if code := kicked(g.got(2)); code != protocol.DisconnectOverloaded {
			t.Errorf("a directory that hangs: %s", code)
		}
	})
}

func TestWhoLogsInAgainKeepsThePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, g := stage(t, server.Config{MaxPlayers: 1, QueueMax: 2})
		for conn := range uint64(3) {
			tell(t, g, open(conn+1, "x"))
			beat(2)
		}
		again := func(conn, as uint64) {
			u := open(as, "x")
			u.Conn = conn
			tell(t, g, u)
			beat(3)
		}
		again(11, 1)
		again(12, 2)
		if !slices.Contains(kinds(g.got(11)), link.Entered) {
			t.Error("a player of the full world who logs in again waits")
		}
		if at := places(t, g.got(12)); len(at) == 0 || at[0] != 1 {
			t.Errorf("who was first in the queue and logs in again is at %v", at)
		}
		if st := s.Stats(); st.Players != 1 || st.Queued != 2 || st.Sessions != 3 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestRequestThatItsGatewayRefusedIsAnsweredAfterAResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, g := stage(t, server.Config{})
		in := open(1, "Ann")
		in.ID = 4
		tell(t, g, in)
		beat(3)
		tell(t, g, message(1, routeEcho, 6, 1), message(1, routeEcho, 7, 1), message(1, routeEcho, 9, 1)) // 5 and 8 were refused on the way
		beat(2)
		downs := g.got(1)
		ticket, _ := ticketIn(t, downs)
		tell(t, g, back(t, s, 2, ticket, downs[len(downs)-1].Seq))
		beat(2)
		var ids []uint32
		for _, d := range g.got(2) {
			var e mmov1.Error
			if d.Type == protocol.TypeError && proto.Unmarshal(d.Payload, &e) == nil && protocol.ErrorCode(e.Code) == protocol.ErrorOverloaded && d.Seq != 0 {
				ids = append(ids, d.ID)
			}
		}
		if !slices.Equal(ids, []uint32{5, 8}) {
			t.Errorf("answered as refused: %v, want 5 and 8", ids)
		}
	})
}

// TestReturnOfManyWithMuchUnacknowledgedCostsNoLink: what has no room goes with later ticks, one who comes back again and again takes no more than its part, and everything comes once.
func TestReturnOfManyWithMuchUnacknowledgedCostsNoLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const players, each = 20, 40
		s, g := stage(t, server.Config{Pipe: link.PipeConfig{DownMessage: 200}})
		tickets := map[uint64][]byte{}
		for conn := range uint64(players) {
			tell(t, g, open(conn+1, "x"))
		}
		beat(3)
		for conn := range uint64(players) {
			tickets[conn+1], _ = ticketIn(t, g.got(conn+1))
		}
		for conn := range uint64(players) {
			tell(t, g, message(conn+1, routeFlood, 0, each))
			beat(2)
			g.got(conn + 1)
		}
		for conn := range uint64(players) {
			u := back(t, s, 100+conn, tickets[conn+1], 1)
			tell(t, g, u)
			u.Conn += 100 // and once more, before anything could be answered
			tell(t, g, u)
		}
		next := map[uint64]uint32{}
		for range 40 {
			beat(1)
			for conn := range uint64(players) {
				for _, d := range g.got(200 + conn) {
					if d.Seq == 0 {
						continue
					}
					if want := max(next[conn], 1) + 1; d.Seq != want {
						t.Fatalf("player %d: message %d, want %d", conn, d.Seq, want)
					}
					next[conn] = d.Seq
					tell(t, g, link.Up{Kind: link.Ack, Conn: 200 + conn, Seq: d.Seq})
				}
			}
		}
		if st := s.Stats(); st.LostLinks != 0 || st.Players != players {
			t.Errorf("%d links lost, %d players", st.LostLinks, st.Players)
		}
		for conn := range uint64(players) {
			if next[conn] < each+3 {
				t.Errorf("player %d has %d messages, want %d", conn, next[conn], each+3)
			}
		}
	})
}

func TestWhoComesBackIsSentNoMoreThanItAcknowledges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, g := stage(t, server.Config{OutboxBytes: 1 << 20, OutboxMessages: 10_000})
		tell(t, g, open(1, "Ann"))
		beat(3)
		ticket, _ := ticketIn(t, g.got(1))
		tell(t, g, message(1, routeFlood, 0, 4000)) // 66 bytes each
		beat(2)
		tell(t, g, back(t, s, 2, ticket, 1))
		beat(20)
		last := uint32(1)
		take := func() (n int) {
			for _, d := range g.got(2) {
				if d.Seq != 0 {
					n, last = n+1, d.Seq
				}
			}
			return n
		}
		if n := take(); n < 400 || n > 520 {
			t.Errorf("%d messages came unacknowledged, want about 500: 32 KiB", n)
		}
		for range 12 {
			tell(t, g, link.Up{Kind: link.Ack, Conn: 2, Seq: last})
			beat(2)
			take()
		}
		if last != 4003 {
			t.Errorf("%d is the last that came, want 4,003", last)
		}
	})
}
