package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// tickets is a server's book of tickets.
type tickets struct {
	mu    sync.Mutex
	grant map[string]link.Grant
	err   error // instead of an answer
	asked int
}

func (k *tickets) Secret(_ context.Context, ticket []byte) (link.Grant, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	if k.err != nil {
		return link.Grant{}, k.err
	}
	g, ok := k.grant[string(ticket)]
	if !ok {
		return g, link.ErrNoTicket
	}
	return g, nil
}

// withTickets is a stage whose server knows one ticket, of session 77.
func withTickets(t *testing.T) (*stage, *tickets, *security.Resumption) {
	r := &security.Resumption{Ticket: []byte("a ticket"), Secret: [32]byte{1, 2, 3}}
	k := &tickets{grant: map[string]link.Grant{"a ticket": {Session: 77, Generation: 4, Secret: r.Secret}}}
	return overLoopback(t, link.PipeConfig{Tickets: k}, nil), k, r
}

func resumeFrame(t *testing.T, last uint32) []byte {
	t.Helper()
	b, err := proto.Marshal(&mmov1.Resume{LastSeq: last})
	if err != nil {
		t.Fatal(err)
	}
	return protocol.AppendControl(nil, protocol.RouteResume, b)
}

// comesBack connects with a ticket, and says what it has.
func comesBack(s *stage, r *security.Resumption, last uint32, more ...byte) *peer {
	s.t.Helper()
	p := s.connect(false)
	p.shake(r)
	p.send(append(resumeFrame(s.t, last), more...))
	u := s.up(link.ResumeSession)
	p.session = u.Conn
	if got, err := link.ParseResumption(u.Payload); err != nil || got != (link.Resumption{Session: 77, Generation: 4, LastSeq: last}) {
		s.t.Errorf("the server is asked to resume %+v, %v", got, err)
	}
	return p
}

func TestResumedSessionGoesOn(t *testing.T) {
	s, _, r := withTickets(t)
	s.batch(true)
	p := comesBack(s, r, 5, protocol.AppendPing(nil, 1)...)
	s.opens(p, link.Session{ID: 77, Epoch: epochOf(p), LastRequest: 12, Recovered: true})
	s.down(link.Down{Kind: link.ToClient, Conn: p.session, Type: protocol.TypePush, Route: routeGot, Seq: 6, Payload: []byte("missed")})
	s.down(link.Down{Kind: link.Entered, Zone: 5, Conn: p.session})
	var m mmov1.Resumed
	p.control(protocol.RouteResumed, &m)
	if !m.Recovered || m.SessionId != 77 || m.LastRequest != 12 {
		t.Errorf("resumed as %v", &m)
	}
	if f := p.push(routeGot); f.Seq != 6 || f.Flags&protocol.FlagREL == 0 || string(f.Payload) != "missed" {
		t.Errorf("what was missed comes as %+v", f)
	}
	p.push(protocol.RouteZone)
	p.send(protocol.AppendFrame(nil, protocol.Frame{Type: protocol.TypeAck, Seq: 6}))
	if u := s.up(link.Ack); u.Conn != p.session || u.Epoch != epochOf(p) || u.Seq != 6 {
		t.Errorf("the acknowledgement came as %+v", u)
	}
	if st := s.gw.Stats(); st.Counts.Handshakes["nkpsk2"] != 1 || st.Counts.Resumes["recovered"] != 1 || st.Sessions != 1 {
		t.Errorf("counted %+v", st.Counts)
	}
}

func TestClientWithNothingToResumeMayLogIn(t *testing.T) {
	s, _, r := withTickets(t)
	p := comesBack(s, r, 5)
	s.down(link.Down{Kind: link.NotRecovered, Conn: p.session, Payload: []byte("it is over")})
	var m mmov1.Resumed
	p.control(protocol.RouteResumed, &m)
	if m.Recovered || m.Reason != "it is over" {
		t.Errorf("resumed as %v", &m)
	}
	p.send(resumeFrame(t, 5)) // the ticket was used
	if e, _ := p.failure(); protocol.ErrorCode(e.Code) != protocol.ErrorWrongState {
		t.Errorf("a second resume is answered by %v", e)
	}
	p.send(s.login(1, 30))
	if u := s.up(link.OpenSession); u.Conn != p.session {
		t.Errorf("connection %d opens a session, want %d", u.Conn, p.session)
	}
	s.opens(p, link.Session{ID: 78, Epoch: 9})
	if f := p.frame(func(f protocol.Frame) bool { return f.Type == protocol.TypeResponse }); f.ID != 30 {
		t.Errorf("the login is answered by %+v", f)
	}
	if n := s.gw.Stats().Counts.Resumes["not_recovered"]; n != 1 {
		t.Errorf("not_recovered was counted %d times", n)
	}
}

func TestTicketThatIsUnknownIsRejected(t *testing.T) {
	s, _, r := withTickets(t)
	r.Ticket = []byte("another")
	p := s.connect(false)
	h, hs1 := p.hello(r)
	p.raw(hs1)
	record, err := p.next()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = h.Finish(record); err == nil || !strings.Contains(err.Error(), "ticket_refused") {
		t.Errorf("the answer is %v, want a refused ticket", err)
	}
	p.closed(protocol.DisconnectTicketRefused)
	s.ended("ticket_refused", 1)
	if n := s.gw.Stats().Counts.Rejects; len(n) != 1 {
		t.Errorf("rejects are %v", n)
	}
}

func TestResumeWhileTheServerDoesNotAnswerSendsTheClientToTryAgain(t *testing.T) {
	s, k, r := withTickets(t)
	k.err = errors.New("nobody is at home")
	p := s.connect(false)
	_, hs1 := p.hello(r)
	p.raw(hs1)
	p.closed(protocol.DisconnectOverloaded)
}

// The key of a replayed HS1 is nobody's: its sender cannot say anything, and until it does nothing happens.
func TestReplayedHandshakeHasNoSideEffects(t *testing.T) {
	s, k, r := withTickets(t)
	first := s.connect(false)
	h, hs1 := first.hello(r)
	first.raw(hs1)
	record, err := first.next()
	if err != nil {
		t.Fatal(err)
	}
	if first.keys, _, err = h.Finish(record); err != nil {
		t.Fatal(err)
	}
	replayed := s.connect(false)
	replayed.raw(hs1)
	answer, err := replayed.next()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(answer, record) {
		t.Error("two handshakes have the same answer")
	}
	replayed.raw(first.keys.Sealer.Seal(nil, resumeFrame(t, 0))) // the only keys that there are are the first one's
	replayed.closed(protocol.DisconnectBadRecord)
	if n := s.asked(link.ResumeSession) + s.asked(link.OpenSession); n != 0 || k.asked != 2 {
		t.Errorf("the server was asked for %d sessions, and for %d secrets", n, k.asked)
	}
	first.raw(hs1) // in the middle of a session
	first.closed(protocol.DisconnectBadRecord)
}

// Which of two is the session's is the server's to say: the gateway asks for both.
func TestTicketUsedTwiceAtOnceIsTheServersToJudge(t *testing.T) {
	s, _, r := withTickets(t)
	a, b := comesBack(s, r, 5), comesBack(s, r, 5)
	s.opens(a, link.Session{ID: 77, Epoch: epochOf(a), Recovered: true})
	s.down(link.Down{Kind: link.Kick, Conn: a.session, Code: protocol.DisconnectResumedElsewhere})
	s.opens(b, link.Session{ID: 77, Epoch: epochOf(b), Recovered: true})
	a.closed(protocol.DisconnectResumedElsewhere)
	var m mmov1.Resumed
	b.control(protocol.RouteResumed, &m)
	if u := s.up(link.CloseSession); u.Conn != a.session {
		t.Errorf("connection %d is closed, want %d", u.Conn, a.session)
	}
}

func TestKickDuringAResumeIsHeard(t *testing.T) {
	s, _, r := withTickets(t)
	p := comesBack(s, r, 5)
	s.down(link.Down{Kind: link.Kick, Conn: p.session, Code: protocol.DisconnectBanned})
	p.closed(protocol.DisconnectBanned)
	if u := s.up(link.CloseSession); u.Conn != p.session || u.Code == 0 {
		t.Errorf("the server is told %+v", u)
	}
}

func TestMalformedResumeEndsTheConnection(t *testing.T) {
	s, _, r := withTickets(t)
	p := s.connect(false)
	p.shake(r)
	p.send(protocol.AppendControl(nil, protocol.RouteResume, []byte{0xFF}))
	p.closed(protocol.DisconnectBadFrame)
}

func TestRekeyedGatewayTakesBothKeysAndTellsTheNewOne(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	root, err := security.NewRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	next, err := root.Issue(nil, 2, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.gw.Rekey(security.ServerKey{}, security.ServerKey{}); err == nil {
		t.Error("no key at all is taken")
	}
	if err := s.gw.Rekey(next, s.keys.Current); err != nil {
		t.Fatal(err)
	}
	s.play(1) // by the certificate of the key before
	s.client.Root, s.client.Cert = root.Public(), next.Cert()
	s.play(2)
	if err := s.gw.Rekey(next, security.ServerKey{}); err != nil {
		t.Fatal(err)
	}
	s.play(3)
}

func TestOfManyAcknowledgementsTheHighestGoesOn(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	p := s.play(1)
	var frames []byte
	for _, seq := range []uint32{3, 9, 4} {
		frames = protocol.AppendFrame(frames, protocol.Frame{Type: protocol.TypeAck, Seq: seq})
	}
	p.send(frames)
	p.send(protocol.AppendFrame(nil, protocol.Frame{Type: protocol.TypeAck, Seq: 9}))
	p.send(protocol.AppendFrame(nil, protocol.Frame{Type: protocol.TypeAck, Seq: 10}))
	for _, want := range []uint32{9, 10} {
		if u := s.up(link.Ack); u.Seq != want {
			t.Errorf("the server hears of %d, want %d", u.Seq, want)
		}
	}
}
