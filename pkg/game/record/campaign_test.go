package record_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/record"
)

var recordings = flag.Int("recordings", 200, "random `recordings` to make and to replay")

// TestRandomRecordingsReplayToTheSameHash plays a frontier of two zones and a crowd of players, each time otherwise, and replays each zone alone, on another number of processors.
func TestRandomRecordingsReplayToTheSameHash(t *testing.T) {
	n := *recordings
	if testing.Short() {
		n = min(n, 12)
	}
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	seen := map[string]int{}
	for seed := range uint64(n) {
		runtime.GOMAXPROCS(before)
		g := newFrontier()
		w := newWorld(t, g, seed)
		for range 60 + w.r.IntN(80) {
			w.step()
		}
		for i, z := range w.zones {
			if err := w.recorders[i].Close(); err != nil {
				t.Fatal(err)
			}
			runtime.GOMAXPROCS(1 + int(seed+uint64(i))%4)
			rep := replayed(t, w.files[i].Bytes(), g, record.Options{})
			if rep.Difference != nil || rep.Hash != z.Hash() || rep.Last != z.Tick() || !rep.End.Closed || rep.Compared == 0 {
				v, err := record.Trail(bytes.NewReader(w.files[i].Bytes()), g, record.Options{}, rep.Ticks)
				t.Fatalf("seed %d, zone %d: %v\nhash %016x, recorded %016x\n%v %v", seed, i+1, rep.Difference, rep.Hash, z.Hash(), v, err)
			}
			w.note(z, seen)
		}
	}
	t.Logf("%d recordings: %v", 2*n, seen)
	for _, what := range []string{"panics", "quarantined", "timeouts", "late replies", "departures", "arrivals", "refused", "kicks", "answers", "operated", "shed", "results"} {
		if seen[what] == 0 {
			t.Errorf("no %s: the story is too dull", what)
		}
	}
}

// world is two zones side by side, what carries things between them, and a crowd.
type world struct {
	t         *testing.T
	r         *rand.Rand
	zones     []*game.Zone
	recorders []*record.Recorder
	files     []*bytes.Buffer
	next      [][]game.Input // by zone
	late      []late
	tick      int

	sessions []game.SessionID
	homes    map[game.SessionID]int // zone
	conns    map[game.SessionID]uint64
	last     uint64
	request  uint32
	counted  map[string]int
}

// late is an input that comes in a later tick.
type late struct {
	tick, zone int
	in         game.Input
}

func newWorld(t *testing.T, g *game.Game, seed uint64) *world {
	w := &world{t: t, r: rand.New(rand.NewPCG(seed, 3)), homes: map[game.SessionID]int{}, conns: map[game.SessionID]uint64{}, counted: map[string]int{}}
	whole := game.Config{Seed: seed, World: 1, Width: 4000, Height: 1500, Margin: 200, EnterRadius: 400, FirstTick: ^uint32(0) - 50, ReplyTicks: 12, AsyncTicks: 9, MaxAsync: 6, Panics: 3, Rewind: 8}
	configs := game.Grid(whole, 2, 1)
	for i, c := range configs {
		z := newZone(t, g, c)
		h := record.HeaderOf(g, z)
		h.Config = record.Config{Detail: record.Detail(seed % 2), Every: 1 + uint32(seed%3), FlushTicks: 1 + uint32(seed%29)}
		f := &bytes.Buffer{}
		r, err := record.Start(f, h)
		if err != nil {
			t.Fatal(err)
		}
		w.zones, w.recorders, w.files = append(w.zones, z), append(w.recorders, r), append(w.files, f)
		w.next = append(w.next, []game.Input{
			{Kind: game.AttachGateway, Gateway: 1}, {Kind: game.Neighbours, Payload: game.AppendNeighbours(nil, game.NeighboursOf(z.Config(), configs, z.Reach()))},
		})
		_ = i
	}
	return w
}

func (w *world) step() {
	w.crowd()
	w.late = slices.DeleteFunc(w.late, func(l late) bool {
		if l.tick <= w.tick {
			w.next[l.zone] = append(w.next[l.zone], l.in)
		}
		return l.tick <= w.tick
	})
	in := w.next
	w.next = make([][]game.Input, len(w.zones))
	for i, z := range w.zones {
		out := z.Step(in[i])
		w.recorders[i].Tick(z, in[i])
		w.carry(i, out)
	}
	w.tick++
}

func (w *world) tell(zone int, in game.Input) { w.next[zone] = append(w.next[zone], in) }

// someday lets an input come in one of the next ticks.
func (w *world) someday(zone int, in game.Input) {
	w.late = append(w.late, late{w.tick + 1 + w.r.IntN(8), zone, in})
}

// carry takes to the zones what one of them has given out.
func (w *world) carry(from int, out *game.Outputs) {
	for _, d := range out.Departures {
		to := from
		if d.Refused == "" && d.To.X >= w.zones[1].Config().X {
			to = 1
		} else if d.Refused == "" {
			to = 0
		}
		in := game.Input{Kind: game.Arrive, Payload: bytes.Clone(d.Payload)}
		for _, s := range d.Players {
			w.homes[s] = to
			in.Conns = append(in.Conns, game.Conn{Session: s, Gateway: 1, Conn: w.conns[s]})
		}
		if d.Refused == "" {
			w.tell(to, in)
		}
	}
	for _, v := range out.Views {
		in := game.Input{Kind: game.Watch, Session: v.Session, Gateway: v.Gateway, Conn: v.Conn, X: v.X, Y: v.Y, Enter: v.Enter, Leave: v.Leave, Zone: uint32(from + 1)}
		if v.End {
			in = game.Input{Kind: game.Unwatch, Session: v.Session, Zone: uint32(from + 1)}
		}
		w.tell(int(v.Zone-1), in)
	}
	for _, j := range out.Jobs {
		w.job(from, j)
	}
	for _, a := range out.Asks {
		w.someday(w.r.IntN(2), game.Input{Kind: game.Ask, Entity: a.Entity, From: a.From, Zone: uint32(from + 1), Number: a.Number, Route: a.Route, Payload: bytes.Clone(a.Payload)})
	}
	for _, a := range out.Answers {
		in := game.Input{Kind: game.Done, Number: a.Number, Payload: bytes.Clone(a.Payload)}
		if a.Err != nil {
			in.Code, in.Text = game.Failure(a.Err)
		}
		if a.Moved {
			in.Code, in.Text = game.Failure(game.ErrNowhere)
		}
		w.someday(int(a.Zone-1), in)
	}
	for _, k := range out.Kicks {
		w.someday(from, game.Input{Kind: game.Leave, Session: k.Session})
		w.forget(k.Session)
	}
	w.counted["kicks"] += len(out.Kicks)
	w.counted["answers"] += len(out.Answers)
	w.counted["operated"] += len(out.Operated)
	w.counted["results"] += len(out.Jobs)
}

// job does work; some never ends.
func (w *world) job(from int, j game.Job) {
	if w.r.IntN(5) == 0 {
		return
	}
	b, err := j.Run(context.Background())
	in := game.Input{Kind: game.Done, Number: j.Number, Payload: b}
	if err != nil {
		in.Code, in.Text = game.Failure(err)
	}
	w.someday(from, in)
}

func (w *world) forget(s game.SessionID) {
	w.sessions = slices.DeleteFunc(w.sessions, func(o game.SessionID) bool { return o == s })
}

// crowd lets players come, act and go, and the shell do what it does now and then.
func (w *world) crowd() {
	for range 1 + w.r.IntN(3) {
		zone := w.r.IntN(2)
		if w.r.IntN(4) == 0 || len(w.sessions) == 0 {
			w.join(zone)
			continue
		}
		s := w.sessions[w.r.IntN(len(w.sessions))]
		zone = w.homes[s]
		w.request++
		send := func(route uint16, id, v uint32) {
			w.tell(zone, game.Input{Kind: game.Receive, Session: s, Route: route, ID: id, Payload: payload(num(v))})
		}
		switch n := w.r.IntN(40); {
		case n < 16:
			send(routeAct, 0, (w.zones[zone].Tick()+w.r.Uint32N(5))&0xff|w.r.Uint32()<<8)
		case n < 22:
			send(routeAsk, w.request, w.r.Uint32())
		case n < 28:
			send(routeLater, w.request, w.r.Uint32())
		case n < 30:
			send(routeRaise, w.request, w.r.Uint32())
		case n == 30:
			w.tell(zone, game.Input{Kind: game.Receive, Session: s, Route: routeAsk, ID: w.request, Payload: []byte{0xff}})
		case n == 31:
			w.tell(zone, game.Input{Kind: game.Leave, Session: s})
			w.forget(s)
		case n == 32:
			w.conns[s] = 0
			w.tell(zone, game.Input{Kind: game.Disconnect, Session: s})
		case n < 35:
			w.last++
			w.conns[s] = w.last
			w.tell(zone, game.Input{Kind: game.Connect, Session: s, Gateway: 1, Conn: w.last})
		default:
			w.shell(n, w.r.IntN(2))
		}
	}
}

func (w *world) join(zone int) {
	w.last++
	s := game.SessionID(w.last)
	w.sessions, w.homes[s], w.conns[s] = append(w.sessions, s), zone, w.last
	in := game.Input{Kind: game.Join, Gateway: 1, Session: s, Conn: w.last, Player: 1 + w.last%20, Name: fmt.Sprint("player ", s)}
	if w.r.IntN(2) == 0 {
		in.Rights = []string{rightRaise}
	}
	w.tell(zone, in)
}

func (w *world) shell(n, zone int) {
	switch n {
	case 35:
		w.tell(zone, game.Input{Kind: game.RequestSnapshot, Gateway: 1})
	case 36:
		w.tell(zone, game.Input{Kind: game.Shed, Number: w.r.Uint64N(4)})
	case 37:
		w.tell(zone, game.Input{Kind: game.Release})
	case 38:
		w.tell(zone, game.Input{Kind: game.Operate, Name: "ops", Rights: []string{rightRaise}, Route: routeRaise, ID: w.request, Payload: payload(num(w.r.Uint32()))})
	case 39:
		if w.r.IntN(10) == 0 {
			w.tell(zone, game.Input{Kind: game.DetachGateway, Gateway: 1})
			w.tell(zone, game.Input{Kind: game.AttachGateway, Gateway: 1})
		}
	}
}

// note counts what has happened.
func (w *world) note(z *game.Zone, seen map[string]int) {
	s := z.Stats()
	for what, n := range map[string]uint64{
		"panics": s.Panics, "quarantined": uint64(len(z.Quarantined())), "timeouts": s.Timeouts, "late replies": s.LateReplies, "departures": s.Departures, "arrivals": s.Arrivals, "refused": s.Refused,
		"shed": s.Shed.Systems + s.Shed.Visits,
	} {
		seen[what] += int(n)
	}
	for what, n := range w.counted {
		seen[what] += n
	}
	clear(w.counted)
}
