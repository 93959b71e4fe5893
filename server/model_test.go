package server_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/server"
)

// walker is a client as the protocol wants it, without bytes: what it knows of its session, and what it was told.
type walker struct {
	m       *model
	player  uint64
	gate    *gate
	conn    uint64 // 0: it has no connection
	asked   bool   // for a session; the answer has not come
	resumed bool   // and that is how
	live    bool   // the connection has a session
	in      bool   // in the world

	session  uint64
	last     uint32            // numbered messages that it has
	tickets  []ticketOf        // all that it ever got, the latest last
	request  uint32            // the latest
	open     map[uint32]uint32 // requests that are not answered, with their value
	notSaid  []uint32          // of them, in order: not known to have reached the server
	answered int
}

type ticketOf struct {
	session    uint64
	generation uint32
	last       uint32 // what the client had when it got the next one
}

// model plays gateways and clients at random against one server, and checks what each client is told.
type model struct {
	t     *testing.T
	r     *rand.Rand
	s     *server.Server
	gates []*gate
	next  uint64
	who   []*walker

	logins, resumes, lost, stale, superseded int
}

func (m *model) fresh() uint64 { m.next++; return m.next }

// forget is what a client does whose session is over.
func (w *walker) forget() {
	*w = walker{m: w.m, player: w.player, gate: w.gate, conn: w.conn, open: map[uint32]uint32{}}
}

func (w *walker) up(u link.Up) {
	u.Conn = w.conn
	tell(w.m.t, w.gate, u)
}

func (w *walker) login() {
	w.forget()
	w.gate, w.conn, w.asked = w.m.gates[w.m.r.IntN(len(w.m.gates))], w.m.fresh(), true
	o := link.Opening{Player: w.player, Name: fmt.Sprint("player ", w.player)}
	w.up(link.Up{Kind: link.OpenSession, Payload: o.Append(nil)})
	w.m.logins++
}

func (w *walker) resume(k ticketOf, last uint32) {
	w.gate, w.conn, w.asked, w.resumed = w.m.gates[w.m.r.IntN(len(w.m.gates))], w.m.fresh(), true, true
	r := link.Resumption{Session: k.session, Generation: k.generation, LastSeq: last}
	w.up(link.Up{Kind: link.ResumeSession, Payload: r.Append(nil)})
}

// cut loses the connection; mostly the gateway notices.
func (w *walker) cut(noticed bool) {
	if noticed {
		w.up(link.Up{Kind: link.CloseSession})
	}
	w.conn, w.asked, w.live, w.in = 0, false, false, false
}

func (w *walker) ask() {
	w.request++
	v := w.m.r.Uint32N(1000)
	w.open[w.request] = v
	w.notSaid = append(w.notSaid, w.request)
	w.up(message(0, routeEcho, w.request, v))
}

// act does something that a client may do.
func (w *walker) act() {
	r := w.m.r
	switch n := r.IntN(20); {
	case w.conn == 0 && w.session != 0 && n < 14:
		w.resume(w.tickets[len(w.tickets)-1], w.last)
	case w.conn == 0 && n < 16:
		w.login()
	case w.conn == 0 || w.asked:
		if w.conn != 0 && n < 2 {
			w.cut(true)
		}
	case !w.live:
	case n < 4 && w.in:
		w.ask()
	case n < 7 && w.in:
		w.up(message(0, routeFlood, 0, 1+r.Uint32N(5)))
	case n < 12:
		w.up(link.Up{Kind: link.Ack, Seq: w.last - min(w.last, r.Uint32N(4))})
	case n < 15:
		w.cut(r.IntN(3) > 0)
	case n == 15:
		w.up(link.Up{Kind: link.CloseSession, Code: 1000})
		w.conn = 0
		w.forget()
	case n == 16 && len(w.tickets) > 2: // a thief has an old ticket
		w.m.stale++
		thief := &walker{m: w.m, player: w.player}
		thief.resume(w.tickets[len(w.tickets)-3], w.tickets[len(w.tickets)-3].last)
		w.m.who = append(w.m.who, thief)
	}
}

// hear takes what a gateway has for a client.
func (w *walker) hear(d *link.Down) {
	t := w.m.t
	switch d.Kind {
	case link.Opened:
		x, err := link.ParseSession(d.Payload)
		if err != nil || x.Recovered != w.resumed || !w.asked {
			t.Fatalf("player %d: %+v, %v", w.player, x, err)
		}
		w.asked, w.live, w.resumed = false, true, false
		if w.open == nil {
			t.Fatalf("player %d: a spent ticket opened session %d", w.player, x.ID)
		}
		if x.Recovered {
			w.m.resumes++
			if x.ID != w.session || x.LastRequest > w.request {
				t.Fatalf("player %d: session %d, request %d; want %d, at most %d", w.player, x.ID, x.LastRequest, w.session, w.request)
			}
			again := slices.DeleteFunc(w.notSaid, func(id uint32) bool { return id <= x.LastRequest })
			w.notSaid = nil
			for _, id := range again {
				w.up(message(0, routeEcho, id, w.open[id]))
				w.notSaid = append(w.notSaid, id)
			}
			return
		}
		w.session = x.ID
	case link.Entered:
		w.in = true
	case link.NotRecovered:
		if w.open != nil {
			w.m.lost++
			w.up(link.Up{Kind: link.CloseSession, Code: 1000})
			w.forget()
		}
		w.conn, w.asked, w.resumed = 0, false, false
	case link.Kick:
		switch d.Code {
		case protocol.DisconnectSuperseded, protocol.DisconnectResumedElsewhere:
			w.m.superseded++
		default:
			t.Fatalf("player %d: kicked with %s: %s", w.player, d.Code, d.Payload)
		}
		w.conn = 0
		w.forget()
	case link.ToClient:
		w.message(d)
	}
}

func (w *walker) message(d *link.Down) {
	t := w.m.t
	if !w.live {
		t.Fatalf("player %d: a message before its session: %+v", w.player, d)
	}
	if d.Seq == 0 {
		return
	}
	if d.Seq != w.last+1 {
		t.Fatalf("player %d, session %d: message %d comes after %d", w.player, w.session, d.Seq, w.last)
	}
	w.last = d.Seq
	switch {
	case d.Route == protocol.RouteTicket:
		var k mmov1.Ticket
		if err := proto.Unmarshal(d.Payload, &k); err != nil {
			t.Fatal(err)
		}
		g, err := w.m.s.Secret(context.Background(), k.Ticket)
		if err != nil && !errors.Is(err, link.ErrNoTicket) { // an older one, sent again
			t.Fatal(err)
		}
		if n := len(w.tickets); n > 0 {
			w.tickets[n-1].last = w.last - 1
		}
		w.tickets = append(w.tickets, ticketOf{session: w.session, generation: g.Generation})
	case d.Type == protocol.TypeResponse:
		var v wrapperspb.UInt32Value
		want, ok := w.open[d.ID]
		if err := proto.Unmarshal(d.Payload, &v); err != nil || !ok || v.Value != want {
			t.Fatalf("player %d: request %d is answered by %d, want %d, waiting %v, %v", w.player, d.ID, v.Value, want, ok, err)
		}
		delete(w.open, d.ID)
		w.notSaid = slices.DeleteFunc(w.notSaid, func(id uint32) bool { return id == d.ID })
		w.answered++
	case d.Type == protocol.TypeError:
		t.Fatalf("player %d: request %d failed: %q", w.player, d.ID, d.Payload)
	}
}

// gateways lets one come or go.
func (m *model) gateways() {
	if len(m.gates) < 2 || len(m.gates) < 4 && m.r.IntN(40) == 0 {
		m.gates = append(m.gates, attach(m.t, m.s))
		return
	}
	if m.r.IntN(60) != 0 {
		return
	}
	i := m.r.IntN(len(m.gates))
	_ = m.gates[i].Close()
	for _, w := range m.who {
		if w.gate == m.gates[i] && w.conn != 0 {
			w.cut(false)
		}
	}
	m.gates = slices.Delete(m.gates, i, i+1)
}

func (m *model) deliver() {
	for _, g := range m.gates {
		g.hear()
		downs := g.downs
		g.downs = nil
		for i := range downs {
			if downs[i].Kind == link.Batch || downs[i].Kind == link.Broadcast {
				continue
			}
			for _, w := range m.who {
				if w.gate == g && w.conn == downs[i].Conn && w.conn != 0 {
					w.hear(&downs[i])
					break
				}
			}
		}
	}
	m.who = slices.DeleteFunc(m.who, func(w *walker) bool { return w.open == nil && w.conn == 0 }) // thieves who were sent away
}

// TestEveryNumberedMessageComesOnceInOrderOrTheSessionIsOver plays clients that lose connections and gateways, come back, are overtaken and robbed of old tickets, in random order.
func TestEveryNumberedMessageComesOnceInOrderOrTheSessionIsOver(t *testing.T) {
	rounds := 1500
	if testing.Short() {
		rounds = 300
	}
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			g, zones := pond(nil), []game.Config(nil)
			if seed >= 2 { // players are driven about between zones and instances meanwhile
				g, zones = hopping(), game.Grid(game.Config{Width: 4000, Height: 2000, EnterRadius: 300, LeaveRadius: 330, Margin: 100, Seed: seed}, 2, 2)
			}
			m := &model{t: t, r: rand.New(rand.NewPCG(seed, 4)), s: newServer(t, server.Config{Zones: zones, Linger: 3 * time.Second, StatusTick: 1 << 30, MaxPlayers: 7, InstanceIdle: time.Second}, g)}
			for i := range uint64(10) {
				m.who = append(m.who, &walker{m: m, player: 100 + i%9, open: map[uint32]uint32{}}) // the last two are one player
			}
			stop := serve(t, m.s)
			for range rounds {
				m.gateways()
				for _, w := range slices.Clone(m.who) {
					if m.r.IntN(3) == 0 && w.open != nil {
						w.act()
					}
				}
				elapse(period)
				synctest.Wait()
				m.deliver()
			}
			if m.resumes < rounds/10 || m.superseded == 0 || m.lost == 0 || m.stale == 0 && !testing.Short() {
				t.Errorf("seed %d: %d logins, %d resumes, %d not recovered, %d superseded, %d stolen tickets: the story is too dull", seed, m.logins, m.resumes, m.lost, m.superseded, m.stale)
			}
			m.settle()
			if st := m.s.Stats(); seed >= 2 && (st.HandOvers < uint64(rounds)/4 || st.ZoneStats.Refused > st.ZoneStats.Arrivals) {
				t.Errorf("seed %d: %d hand-overs, %+v: the story is too dull, or hand-overs are refused", seed, st.HandOvers, st.ZoneStats)
			}
			stop()
		})
	}
}

// settle lets everybody come back, and wants every request answered and every session in the world once.
func (m *model) settle() {
	m.t.Helper()
	m.who = slices.DeleteFunc(m.who, func(w *walker) bool { return w.open == nil })
	for range 200 {
		for _, w := range m.who {
			if w.conn == 0 && w.session != 0 {
				w.resume(w.tickets[len(w.tickets)-1], w.last)
			}
			if w.live {
				w.up(link.Up{Kind: link.Ack, Seq: w.last})
			}
		}
		elapse(period)
		synctest.Wait()
		m.deliver()
	}
	live := map[uint64]int{}
	for _, w := range m.who {
		if w.live {
			live[w.player]++
			if len(w.open) != 0 {
				m.t.Errorf("player %d: requests %v are not answered", w.player, w.open)
			}
		}
	}
	for p, n := range live {
		if n > 1 {
			m.t.Errorf("player %d has %d live sessions", p, n)
		}
	}
	if st := m.s.Stats(); st.Sessions-st.Lingering != len(live) || st.Players > 7 {
		m.t.Errorf("the server counts %d sessions of which %d linger, and %d players; %d clients are live, 7 may play", st.Sessions, st.Lingering, st.Players, len(live))
	}
}
