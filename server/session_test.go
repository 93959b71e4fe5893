package server_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/server"
)

// beat lets the server make some ticks.
func beat(ticks int) {
	elapse(time.Duration(ticks) * period)
	synctest.Wait()
}

// got takes everything that a connection was told, batches and broadcasts left out.
func (g *gate) got(conn uint64) (list []link.Down) {
	g.t.Helper()
	g.hear()
	rest := g.downs[:0]
	for _, d := range g.downs {
		switch {
		case d.Kind == link.Batch || d.Kind == link.Broadcast:
		case d.Conn == conn:
			list = append(list, d)
		default:
			rest = append(rest, d)
		}
	}
	g.downs = rest
	return list
}

func kinds(downs []link.Down) (list []link.DownKind) {
	for _, d := range downs {
		list = append(list, d.Kind)
	}
	return list
}

// kicked is the code of the kick among what a connection was told, 0: there is none.
func kicked(downs []link.Down) protocol.DisconnectCode {
	for _, d := range downs {
		if d.Kind == link.Kick {
			return d.Code
		}
	}
	return 0
}

// back makes the word of a client that comes back with a ticket.
func back(t testing.TB, s *server.Server, conn uint64, ticket []byte, last uint32) link.Up {
	t.Helper()
	g, err := s.Secret(context.Background(), ticket)
	if err != nil {
		t.Fatal(err)
	}
	r := link.Resumption{Session: g.Session, Generation: g.Generation, LastSeq: last}
	return link.Up{Kind: link.ResumeSession, Conn: conn, Payload: r.Append(nil)}
}

// ticketIn is the latest ticket among what a connection was told, and its number.
func ticketIn(t testing.TB, downs []link.Down) (ticket []byte, seq uint32) {
	t.Helper()
	for _, d := range downs {
		if d.Kind == link.ToClient && d.Route == protocol.RouteTicket {
			var m mmov1.Ticket
			if err := proto.Unmarshal(d.Payload, &m); err != nil || len(m.Secret) != 32 || m.LingerMs == 0 {
				t.Fatalf("ticket %v, %v", &m, err)
			}
			ticket, seq = m.Ticket, d.Seq
		}
	}
	if ticket == nil {
		t.Fatalf("no ticket in %+v", downs)
	}
	return ticket, seq
}

// stage is a server with a gateway.
func stage(t *testing.T, cfg server.Config) (*server.Server, *gate) {
	t.Helper()
	s := newServer(t, cfg, pond(nil))
	g := attach(t, s)
	serve(t, s)
	return s, g
}

func TestTicketIsSpentWhenItsSuccessorIsAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, g := stage(t, server.Config{})
		tell(t, g, open(1, "Ann"))
		beat(3)
		downs := g.got(1)
		if !slices.Equal(kinds(downs), []link.DownKind{link.Opened, link.ToClient, link.Entered, link.ToClient}) {
			t.Fatalf("a login is answered by %+v", downs)
		}
		first, _ := ticketIn(t, downs)
		firstBack := back(t, s, 2, first, 2)
		tell(t, g, firstBack)
		beat(2)
		if old := g.got(1); kicked(old) != protocol.DisconnectResumedElsewhere {
			t.Errorf("the connection before is told %+v", old)
		}
		downs = g.got(2)
		if !slices.Equal(kinds(downs), []link.DownKind{link.Opened, link.ToClient, link.Entered}) || downs[1].Seq != 3 {
			t.Errorf("who comes back is told %+v", downs)
		}
		again := back(t, s, 3, first, 2) // the answer was lost on its way
		tell(t, g, again)
		beat(2)
		third, seq := ticketIn(t, g.got(3))
		if seq != 4 {
			t.Errorf("the third ticket has number %d, want 4 behind the second", seq)
		}
		if _, err := s.Secret(t.Context(), first); err != nil {
			t.Errorf("the first ticket, before the third is acknowledged: %v", err)
		}
		tell(t, g, link.Up{Kind: link.Ack, Conn: 3, Seq: 4})
		beat(2)
		if _, err := s.Secret(t.Context(), first); !errors.Is(err, link.ErrNoTicket) {
			t.Errorf("the first ticket, after the third was acknowledged: %v", err)
		}
		again.Conn = 4 // it passed the handshake earlier, and comes late
		tell(t, g, again)
		beat(2)
		if late := g.got(4); !slices.Equal(kinds(late), []link.DownKind{link.NotRecovered}) {
			t.Errorf("a spent ticket is answered by %+v", late)
		}
		tell(t, g, back(t, s, 5, third, 4))
		beat(2)
		if now := g.got(5); len(now) == 0 || now[0].Kind != link.Opened {
			t.Errorf("the third ticket is answered by %+v", now)
		}
		if st := s.Stats(); st.Sessions != 1 || st.Players != 1 || st.Resumed != 3 || st.NotRecovered != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestResumeThatCannotBeWholeIsNone(t *testing.T) {
	for name, last := range map[string]uint32{"of messages that were never sent": 9, "of messages that it has acknowledged": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, g := stage(t, server.Config{})
				tell(t, g, open(1, "Ann"))
				beat(3)
				ticket, _ := ticketIn(t, g.got(1))
				tell(t, g, link.Up{Kind: link.Ack, Conn: 1, Seq: 2})
				beat(2)
				tell(t, g, back(t, s, 2, ticket, last))
				beat(2)
				if d := g.got(2); !slices.Equal(kinds(d), []link.DownKind{link.NotRecovered}) {
					t.Errorf("told %+v", d)
				}
				if s.Stats().Sessions != 1 || kicked(g.got(1)) != 0 { // it may have been late
					t.Error("the session that goes on was touched")
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s, g := stage(t, server.Config{})
		tell(t, g, open(1, "Ann"))
		beat(3)
		tell(t, g, message(1, routeFlood, 0, 50))
		beat(2)
		downs := g.got(1)
		ticket, _ := ticketIn(t, downs)
		tell(t, g, back(t, s, 2, ticket, downs[len(downs)-1].Seq)) // which says that it has all of them
		beat(20)
		if n := s.Stats().Unacknowledged; n > 1000 {
			t.Errorf("%d bytes are kept, want those of a ticket", n)
		}
	})
}

func TestOvertakenConnectionIsNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, g := stage(t, server.Config{})
		other := attach(t, s)
		tell(t, g, open(1, "Ann"))
		beat(3)
		ticket, _ := ticketIn(t, g.got(1))
		tell(t, other, back(t, s, 1, ticket, 1))
		beat(2)
		before := s.Stats().Strangers
		tell(t, g, message(1, routeEcho, 5, 7), link.Up{Kind: link.CloseSession, Conn: 1, Code: 1000}, link.Up{Kind: link.Ack, Conn: 1, Seq: 3})
		old := message(1, routeEcho, 6, 8)
		old.Epoch = other.epochs[1] - 1 // an earlier session's
		tell(t, other, old)
		beat(2)
		if st := s.Stats(); st.Players != 1 || st.Strangers != before+3 { // the goodbye of a connection that has none is no news
			t.Errorf("%d players, %d refused, want 1 and 3 more than %d", st.Players, st.Strangers, before)
		}
		for _, d := range append(g.got(1), other.got(1)...) {
			if d.Type == protocol.TypeResponse {
				t.Errorf("answered: %+v", d)
			}
		}
	})
}

func TestRequestIsExecutedOnceHoweverOftenItComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, g := stage(t, server.Config{})
		tell(t, g, open(1, "Ann"))
		beat(3)
		tell(t, g, message(1, routeEcho, 5, 7), message(1, routeEcho, 5, 7), message(1, routeEcho, 4, 8), message(1, routeEcho, 6, 9))
		beat(2)
		var ids []uint32
		downs := g.got(1)
		for _, d := range downs {
			if d.Type == protocol.TypeResponse {
				ids = append(ids, d.ID)
			}
		}
		if !slices.Equal(ids, []uint32{5, 6}) {
			t.Errorf("answered: %v", ids)
		}
		ticket, _ := ticketIn(t, downs)
		tell(t, g, back(t, s, 2, ticket, 1))
		beat(2)
		x, err := link.ParseSession(g.got(2)[0].Payload)
		if err != nil || x.LastRequest != 6 || !x.Recovered {
			t.Errorf("who comes back is told %+v, %v", x, err)
		}
	})
}

// slowly is a directory that answers when it is told to.
type slowly struct {
	link.Directory
	answers chan error
	epoch   atomic.Uint64
}

func (d *slowly) Claim(ctx context.Context, _ link.Claim) (uint64, error) {
	select {
	case err := <-d.answers:
		return d.epoch.Add(1), err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func TestLoginWhoseConnectionEndsBeforeTheDirectoryAnswersIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &slowly{answers: make(chan error)}
		s, g := stage(t, server.Config{Directory: d})
		tell(t, g, open(1, "Ann"), open(2, "Bo"), open(2, "Bo again"))
		beat(1)
		tell(t, g, link.Up{Kind: link.CloseSession, Conn: 1})
		beat(1)
		d.answers <- nil // Bo's: nobody waits for Ann's any more
		beat(2)
		if st := s.Stats(); st.Sessions != 1 || st.Players != 1 || st.Strangers != 1 {
			t.Errorf("%+v, want Bo alone, once", st)
		}
		for i, err := range []error{link.ErrTokenUsed, link.ErrBarred, errors.New("the database is away")} {
			tell(t, g, open(uint64(3+i), "x"))
			beat(1)
			d.answers <- err
			beat(1)
		}
		for conn, want := range map[uint64]protocol.DisconnectCode{3: protocol.DisconnectBadToken, 4: protocol.DisconnectBanned, 5: protocol.DisconnectOverloaded} {
			if got := kicked(g.got(conn)); got != want {
				t.Errorf("connection %d: %s, want %s", conn, got, want)
			}
		}
		tell(t, g, open(6, "left waiting at the end"))
		beat(1)
	})
}

func TestTokenOpensOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, g := stage(t, server.Config{})
		with := func(conn, player uint64, token string) link.Up {
			o := link.Opening{Player: player, Token: token, Ends: time.Now().Add(time.Minute)}
			return link.Up{Kind: link.OpenSession, Conn: conn, Payload: o.Append(nil)}
		}
		tell(t, g, with(1, 7, "a"))
		beat(2)
		tell(t, g, with(2, 7, "a"), with(3, 8, "b"))
		beat(2)
		if code := kicked(g.got(2)); code != protocol.DisconnectBadToken {
			t.Errorf("a used token: %s", code)
		}
		if kicked(g.got(1)) != 0 || kicked(g.got(3)) != 0 {
			t.Error("others were kicked for it")
		}
		elapse(10 * time.Minute) // its time is over, and whoever verifies it says so
		tell(t, g, with(4, 9, "a"), with(5, 0, "c"))
		beat(2)
		if code := kicked(g.got(4)); code != 0 {
			t.Errorf("a token that is forgotten: %s", code)
		}
		if code := kicked(g.got(5)); code != protocol.DisconnectBadToken {
			t.Errorf("player 0: %s", code)
		}
	})
}

func TestAcknowledgementOfWhatWasNeverSentEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, g := stage(t, server.Config{})
		tell(t, g, open(1, "Ann"))
		beat(3)
		tell(t, g, link.Up{Kind: link.Ack, Conn: 1, Seq: 3})
		beat(2)
		if code := kicked(g.got(1)); code != protocol.DisconnectBadFrame || s.Stats().Sessions != 0 {
			t.Errorf("%s, %d sessions", code, s.Stats().Sessions)
		}
	})
}

func TestClientThatAcknowledgesNothingIsASlowConsumer(t *testing.T) {
	for name, cfg := range map[string]server.Config{"messages": {OutboxMessages: 20}, "bytes": {OutboxBytes: 20 * 66}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, g := stage(t, cfg)
				tell(t, g, open(1, "Ann"), open(2, "Bo"))
				beat(3)
				for range 4 {
					tell(t, g, message(1, routeFlood, 0, 4), message(2, routeFlood, 0, 4))
					beat(2)
					for _, d := range g.got(2) {
						if d.Seq != 0 {
							tell(t, g, link.Up{Kind: link.Ack, Conn: 2, Seq: d.Seq})
						}
					}
				}
				if st := s.Stats(); st.Sessions != 2 || kicked(g.got(1)) != 0 {
					t.Errorf("18 unacknowledged: %+v", st)
				}
				tell(t, g, message(1, routeFlood, 0, 4))
				beat(3)
				if code := kicked(g.got(1)); code != protocol.DisconnectSlowConsumer || s.Stats().Sessions != 1 {
					t.Errorf("22 unacknowledged: %s, %d sessions", code, s.Stats().Sessions)
				}
			})
		})
	}
}

func TestLostConnectionLingersAndGoodbyeDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, g := stage(t, server.Config{Linger: 2 * time.Second})
		tell(t, g, open(1, "Ann"), open(2, "Bo"), open(3, "Cy"))
		beat(3)
		ticket, _ := ticketIn(t, g.got(1))
		tell(t, g, link.Up{Kind: link.CloseSession, Conn: 1}, link.Up{Kind: link.CloseSession, Conn: 2, Code: 1000})
		beat(2)
		if st := s.Stats(); st.Players != 2 || st.Entities != 2 || st.Sessions != 2 || st.Lingering != 1 {
			t.Errorf("%+v, want Ann and Cy, and Ann lingers", st)
		}
		elapse(2 * time.Second)
		beat(2)
		if st := s.Stats(); st.Players != 1 || st.Entities != 1 || st.Sessions != 1 || st.Lingering != 0 {
			t.Errorf("%+v, want Cy alone", st)
		}
		if _, err := s.Secret(t.Context(), ticket); !errors.Is(err, link.ErrNoTicket) {
			t.Errorf("the ticket of a session that is over: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s, g := stage(t, server.Config{Linger: -1})
		tell(t, g, open(1, "Ann"))
		beat(3)
		for _, d := range g.got(1) {
			if d.Route == protocol.RouteTicket {
				t.Error("a ticket where nothing lingers")
			}
		}
		tell(t, g, link.Up{Kind: link.CloseSession, Conn: 1})
		beat(2)
		if st := s.Stats(); st.Sessions != 0 || st.Players != 0 {
			t.Errorf("%+v, want nobody", st)
		}
	})
}

func TestKickAndBarEndTheSessionAndItsTickets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, g := stage(t, server.Config{})
		tell(t, g, open(1, "Ann"), open(2, "Bo"))
		beat(3)
		ann, _ := ticketIn(t, g.got(1))
		bo, _ := ticketIn(t, g.got(2))
		if err := errors.Join(s.Kick(t.Context(), 1001, protocol.DisconnectKicked, "rude"), s.Kick(t.Context(), 99, protocol.DisconnectKicked, ""), s.Bar(t.Context(), 1002, time.Now().Add(time.Minute)), s.Kick(t.Context(), 1002, protocol.DisconnectBanned, "")); err != nil {
			t.Fatal(err)
		}
		beat(2)
		downs := g.got(1)
		if kicked(downs) != protocol.DisconnectKicked || string(downs[len(downs)-1].Payload) != "rude" {
			t.Errorf("Ann is told %+v", downs)
		}
		if code := kicked(g.got(2)); code != protocol.DisconnectBanned {
			t.Errorf("Bo is told %s", code)
		}
		for _, k := range [][]byte{ann, bo} {
			if _, err := s.Secret(t.Context(), k); !errors.Is(err, link.ErrNoTicket) {
				t.Errorf("the ticket of an ended session: %v", err)
			}
		}
		again := open(2, "Bo")
		again.Conn = 4
		tell(t, g, open(3, "Cy"), again)
		beat(2)
		if code := kicked(g.got(4)); code != protocol.DisconnectBanned {
			t.Errorf("Bo comes again: %s", code)
		}
		if err := s.Unbar(t.Context(), 1002); err != nil {
			t.Fatal(err)
		}
		again.Conn = 5
		tell(t, g, again)
		beat(3)
		if d := g.got(5); len(d) == 0 || d[0].Kind != link.Opened {
			t.Errorf("Bo is let in again: %+v", d)
		}
	})
	s := newServer(t, server.Config{}, pond(nil))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Serve(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Kick(t.Context(), 1, protocol.DisconnectKicked, ""); err == nil {
		t.Error("a server that has stopped kicks")
	}
}

func TestTicketsAreRenewedBeforeTheirKeysGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nap atomic.Int64 // of the zone: lost time is not made up
		s := newServer(t, server.Config{CatchUp: 1}, pond(func(*game.Zone) {
			if d := time.Duration(nap.Swap(0)); d > 0 {
				<-time.After(d)
			}
		}))
		g := attach(t, s)
		serve(t, s)
		tell(t, g, open(1, "Ann"))
		beat(3)
		old, seq := ticketIn(t, g.got(1))
		tell(t, g, link.Up{Kind: link.Ack, Conn: 1, Seq: seq})
		for range 2 {
			synctest.Wait()
			nap.Store(int64(6*time.Hour + time.Minute))
			elapse(6*time.Hour + 2*time.Minute)
			synctest.Wait()
			next, seq := ticketIn(t, g.got(1))
			if _, err := s.Secret(t.Context(), next); err != nil {
				t.Errorf("the new ticket: %v", err)
			}
			tell(t, g, link.Up{Kind: link.Ack, Conn: 1, Seq: seq})
		}
		beat(2)
		if _, err := s.Secret(t.Context(), old); !errors.Is(err, link.ErrNoTicket) {
			t.Errorf("the old ticket: %v", err)
		}
	})
}

func TestServerConfigThatContradictsItselfIsRefused(t *testing.T) {
	for _, cfg := range []server.Config{{OutboxBytes: -1}, {OutboxMessages: -1}, {MaxPlayers: -1}, {LoginRate: -1}, {QueueMax: -1}, {ServiceCalls: -1}, {ServiceTimeout: -1}, {Linger: 2 * time.Hour}, {QueueGrace: 2 * time.Hour}} {
		if _, err := server.New(cfg, pond(nil)); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}
