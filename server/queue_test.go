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

// places are the positions in the queue that a connection was told.
func places(t testing.TB, downs []link.Down) (list []uint32) {
	t.Helper()
	for _, d := range downs {
		if d.Kind == link.ToClient && d.Type == protocol.TypeControl && d.Route == protocol.RouteQueue {
			var q mmov1.Queue
			if err := proto.Unmarshal(d.Payload, &q); err != nil {
				t.Fatal(err)
			}
			list = append(list, q.Position)
		}
	}
	return list
}

func TestWhoFindsTheWorldFullWaitsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, g := stage(t, server.Config{MaxPlayers: 1, QueueMax: 3, QueueGrace: 5 * time.Second})
		for conn := range uint64(5) {
			tell(t, g, open(conn+1, "x"))
			beat(2)
		}
		if st := s.Stats(); st.Players != 1 || st.Queued != 3 || st.Sessions != 4 {
			t.Errorf("%+v, want one who plays and three who wait", st)
		}
		if code := kicked(g.got(5)); code != protocol.DisconnectOverloaded {
			t.Errorf("a full queue: %s", code)
		}
		second := g.got(2)
		if x, err := link.ParseSession(second[0].Payload); err != nil || !x.Queued || slices.Contains(kinds(second), link.Entered) || places(t, second)[0] != 1 {
			t.Errorf("who waits is told %+v", second)
		}
		ticket, _ := ticketIn(t, second)
		tell(t, g, message(2, routeEcho, 3, 1)) // the route is none of a session that waits
		beat(2)
		if d := g.got(2); len(d) == 0 || d[0].Type != protocol.TypeError {
			t.Errorf("a request to the zone from the queue: %+v", d)
		}
		tell(t, g, link.Up{Kind: link.CloseSession, Conn: 2}, link.Up{Kind: link.CloseSession, Conn: 1, Code: 1000})
		beat(2)
		if third := g.got(3); !slices.Equal(places(t, third), []uint32{2, 0}) && !slices.Contains(places(t, third), 0) || !slices.Contains(kinds(third), link.Entered) {
			t.Errorf("who is next while the first is away is told %v, %v", places(t, third), kinds(third))
		}
		tell(t, g, back(t, s, 6, ticket, 1))
		beat(2)
		if again := g.got(6); again[0].Kind != link.Opened || !slices.Contains(places(t, again), 1) {
			t.Errorf("back in the queue at %v, want 1", places(t, again))
		}
		tell(t, g, link.Up{Kind: link.CloseSession, Conn: 4})
		elapse(6 * time.Second)
		beat(2)
		if st := s.Stats(); st.Queued != 1 || st.Sessions != 2 {
			t.Errorf("%+v: who was away for too long has lost the place", st)
		}
		g.got(6)
		elapse(4 * time.Second)
		if told := places(t, g.got(6)); len(told) < 2 || len(told) > 3 {
			t.Errorf("within 4 s the place is told %d times", len(told))
		}
	})
}

func TestLoginRateLetsInSoManyASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, g := stage(t, server.Config{LoginRate: 2})
		elapse(5 * time.Second)
		for conn := range uint64(12) {
			tell(t, g, open(conn+1, "x"))
		}
		beat(2)
		if st := s.Stats(); st.Players != 2 || st.Queued != 10 {
			t.Errorf("%d play, %d wait; want 2 and 10", st.Players, st.Queued)
		}
		elapse(3 * time.Second)
		synctest.Wait()
		if n := s.Stats().Players; n < 7 || n > 8 {
			t.Errorf("%d play after three seconds, want about 8", n)
		}
		elapse(3 * time.Second)
		synctest.Wait()
		if st := s.Stats(); st.Players != 12 || st.Queued != 0 {
			t.Errorf("%d play, %d wait; want all to play", st.Players, st.Queued)
		}
	})
}
