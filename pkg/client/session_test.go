package client

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// model is a session against a server that keeps the rules, joined by two queues that may be cut anywhere. Nothing of it knows sockets or clocks.
type model struct {
	t   *testing.T
	r   *rand.Rand
	now time.Time
	s   session

	toServer, toClient []protocol.Frame // in flight on the connection there is
	connected          bool

	// The server.
	known       bool   // it has the session
	generation  int    // of the server's session
	seq, acked  uint32 // numbered messages
	lastRequest uint32
	executed    map[string]int // by generation and id

	// What came of it all.
	heard      uint32 // last number of this generation that was handled
	clientGen  int
	open       map[uint32]*request
	settled    map[uint32]int
	recovered  int
	forgotten  int
	repeated   int
	resent     int
	unexecuted int
}

func (m *model) step() {
	m.now = m.now.Add(time.Duration(m.r.IntN(30)) * time.Millisecond)
	switch n := m.r.IntN(100); {
	case n < 25:
		m.deliverToServer()
	case n < 50:
		m.deliverToClient()
	case n < 65:
		m.ask()
	case n < 80:
		m.emit()
	case n < 88:
		m.acknowledge()
	case n < 93:
		m.cut()
	case n < 94 && m.known:
		m.known = false // the server dies
		m.cut()
	default:
		m.connect()
	}
	m.check()
}

func (m *model) ask() {
	r, err := m.s.ask(64, 0, []byte("?"))
	if err != nil {
		m.t.Fatal(err)
	}
	m.open[r.id] = r
	if r.sent {
		m.toServer = append(m.toServer, r.frame())
	}
}

func (m *model) emit() {
	if !m.known {
		return
	}
	if m.seq++; m.connected {
		m.toClient = append(m.toClient, protocol.Frame{Type: protocol.TypePush, Flags: protocol.FlagREL, Route: 65, Seq: m.seq})
	}
}

func (m *model) acknowledge() {
	if m.s.ack(m.now, m.r.IntN(2) == 0) {
		m.toServer = append(m.toServer, protocol.Frame{Type: protocol.TypeAck, Seq: m.s.acknowledge()})
	}
}

func (m *model) cut() {
	if !m.connected {
		return
	}
	m.connected, m.toServer, m.toClient = false, nil, nil
	m.s.lost()
}

// connect goes through handshake and answer at once: nothing of the session can happen in between.
func (m *model) connect() {
	if m.connected {
		return
	}
	m.s.open(4, 20*time.Millisecond)
	m.connected = true
	var list []*request
	switch last := m.s.resume(); {
	case m.known && m.clientGen == m.generation: // RESUMED
		if last < m.acked || last > m.seq {
			m.t.Fatalf("resume after %d, acknowledged %d, numbered %d", last, m.acked, m.seq)
		}
		m.acked = last
		list = m.s.resumed(m.lastRequest)
		for seq := last + 1; seq <= m.seq; seq++ { // which repeats what was lost; now and then more, as a careless server might
			m.toClient = append(m.toClient, protocol.Frame{Type: protocol.TypePush, Flags: protocol.FlagREL, Route: 65, Seq: seq})
		}
		if last > 0 && m.r.IntN(3) == 0 {
			m.toClient = append([]protocol.Frame{{Type: protocol.TypePush, Flags: protocol.FlagREL, Route: 65, Seq: last}}, m.toClient...)
		}
		m.recovered++
		m.resent += len(list)
	default: // not recovered: a new login
		for _, r := range m.s.forget() {
			r.fail(errors.New("gone"))
		}
		m.generation++
		m.clientGen, m.known, m.heard = m.generation, true, 0
		for range m.r.IntN(3) { // while a token is fetched
			m.ask()
		}
		m.seq, m.acked, m.lastRequest = 0, 0, m.s.nextID()
		before := make([]uint32, len(m.s.waiting))
		for i, r := range m.s.waiting {
			before[i] = r.id
		}
		list = m.s.loggedIn()
		for i, r := range list {
			delete(m.open, before[i])
			m.open[r.id] = r
		}
		m.forgotten++
	}
	for _, r := range list {
		m.toServer = append(m.toServer, r.frame())
	}
}

func (m *model) deliverToServer() {
	if len(m.toServer) == 0 || !m.known {
		return
	}
	f := m.toServer[0]
	m.toServer = m.toServer[1:]
	if f.Type == protocol.TypeAck {
		if f.Seq <= m.acked || f.Seq > m.seq {
			m.t.Fatalf("ACK %d of %d to %d", f.Seq, m.acked, m.seq)
		}
		m.acked = f.Seq
		return
	}
	if f.ID <= m.lastRequest {
		m.t.Fatalf("request %d after %d", f.ID, m.lastRequest)
	}
	m.lastRequest = f.ID
	key := fmt.Sprint(m.generation, f.ID)
	if m.executed[key]++; m.executed[key] > 1 {
		m.t.Fatalf("request %s was executed twice", key)
	}
	m.emit()
	answer := &m.toClient[len(m.toClient)-1]
	answer.Type, answer.ID = protocol.TypeResponse, f.ID
	m.answers(f.ID)
}

// answers notes that the numbered message of this number is the answer to id; a repetition after a cut finds it here.
func (m *model) answers(id uint32) { m.settled[m.seq<<8|uint32(m.generation&0xFF)] = int(id) }

func (m *model) deliverToClient() {
	if len(m.toClient) == 0 {
		return
	}
	f := m.toClient[0]
	m.toClient = m.toClient[1:]
	fresh, err := m.s.take(f, m.now)
	if err != nil {
		m.t.Fatal(err)
	}
	if !fresh {
		m.repeated++
		return
	}
	if m.heard++; f.Seq != m.heard {
		m.t.Fatalf("heard %d, want %d", f.Seq, m.heard)
	}
	if id, ok := m.settled[f.Seq<<8|uint32(m.generation&0xFF)]; ok {
		r := m.s.settled(uint32(id))
		if r == nil {
			m.t.Fatalf("the answer to %d came, and nobody waits", id)
		}
		r.settle(reply{})
	}
}

// check looks whether every request that is open still waits, and every other one was settled once, with the truth.
func (m *model) check() {
	for id, r := range m.open {
		select {
		case a := <-r.answer:
			delete(m.open, id)
			ran := false
			for g := range m.generation + 1 {
				ran = ran || m.executed[fmt.Sprint(g, id)] > 0
			}
			switch {
			case a.err == nil && !ran:
				m.t.Fatalf("request %d was answered and not executed", id)
			case errors.Is(a.err, ErrNotExecuted) && ran:
				m.t.Fatalf("request %d was executed, and said not to be", id)
			case errors.Is(a.err, ErrNotExecuted):
				m.unexecuted++
			}
		default:
			if at, ok := m.s.find(id); !ok || m.s.waiting[at] != r {
				m.t.Fatalf("request %d waits for ever", id)
			}
		}
	}
	if len(m.open) != len(m.s.waiting) || m.s.acked > m.s.last || m.s.due.IsZero() != (m.s.acked == m.s.last || !m.connected) {
		m.t.Fatalf("%d open, %d wait; acknowledged %d of %d, due %v", len(m.open), len(m.s.waiting), m.s.acked, m.s.last, m.s.due)
	}
}

func TestSessionKeepsItsPromisesWhateverHappens(t *testing.T) {
	rounds, total := 300, model{}
	if testing.Short() {
		rounds = 40
	}
	for seed := range uint64(rounds) {
		m := &model{t: t, r: rand.New(rand.NewPCG(seed, 5)), now: time.Unix(0, 0), executed: map[string]int{}, open: map[uint32]*request{}, settled: map[uint32]int{}}
		for range 400 {
			m.step()
		}
		m.connect()
		for len(m.toServer)+len(m.toClient) > 0 { // in peace, everything is answered
			m.deliverToServer()
			m.deliverToClient()
		}
		if m.check(); len(m.open) > 0 || m.heard != m.seq {
			t.Fatalf("seed %d: %d requests are open, heard %d of %d", seed, len(m.open), m.heard, m.seq)
		}
		total.recovered += m.recovered
		total.forgotten += m.forgotten
		total.repeated += m.repeated
		total.resent += m.resent
		total.unexecuted += m.unexecuted
	}
	if total.recovered < rounds || total.forgotten < rounds || total.repeated < rounds/10 || total.resent < rounds || total.unexecuted < rounds/10 {
		t.Errorf("a walk that saw too little: %d recovered, %d forgotten, %d repeated, %d sent again, %d not executed",
			total.recovered, total.forgotten, total.repeated, total.resent, total.unexecuted)
	}
}

func TestSessionRefusesGapsAndWhatComesTooEarly(t *testing.T) {
	var s session
	s.open(4, time.Second)
	push := func(seq uint32) protocol.Frame {
		return protocol.Frame{Type: protocol.TypePush, Flags: protocol.FlagREL, Seq: seq}
	}
	if _, err := s.take(push(1), time.Time{}); !errors.Is(err, ErrBroken) {
		t.Errorf("numbered before the answer: %v", err)
	}
	s.loggedIn()
	if _, err := s.take(push(2), time.Time{}); !errors.Is(err, ErrBroken) {
		t.Errorf("2 first: %v", err)
	}
	if fresh, err := s.take(push(1), time.Time{}); !fresh || err != nil {
		t.Errorf("1: %v, %v", fresh, err)
	}
	if fresh, err := s.take(push(0), time.Time{}); fresh || err != nil {
		t.Errorf("0: %v, %v", fresh, err)
	}
}

func TestSessionBoundsWhatWaits(t *testing.T) {
	var s session
	for range 4 {
		if _, err := s.ask(64, 0, make([]byte, maxQueue/4)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.ask(64, 0, make([]byte, 1)); !errors.Is(err, ErrFull) {
		t.Errorf("more than fits: %v", err)
	}
	s.settled(2)
	if _, err := s.ask(64, 0, make([]byte, 1)); err != nil {
		t.Errorf("after an answer: %v", err)
	}
}

func TestSessionAcknowledgesInTime(t *testing.T) {
	var s session
	s.open(100, time.Second)
	s.loggedIn()
	now := time.Unix(1000, 0)
	for seq := range uint32(3) { // the first one's time counts
		if _, err := s.take(protocol.Frame{Type: protocol.TypePush, Flags: protocol.FlagREL, Seq: seq + 1}, now.Add(time.Duration(seq)*300*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	if s.ack(now.Add(999*time.Millisecond), false) || !s.ack(now.Add(time.Second), false) || s.acknowledge() != 3 || s.ack(now.Add(time.Hour), true) {
		t.Errorf("acknowledged %d of %d, due %v", s.acked, s.last, s.due)
	}
}
