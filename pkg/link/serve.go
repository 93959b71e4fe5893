package link

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// Service is the name under which servers offer links, for those who look for one in a registry.
const Service = "mmo.link.v1.Link"

// The two streams of a link, which the gateway opens on one connection.
const (
	methodMessages = Service + "/Messages"
	methodBatches  = Service + "/Batches"
)

// GatewayInfo is who wants to join.
type GatewayInfo struct {
	Instance  string // of the gateway's process, as its rpc connection names it
	Build     string // Config.Build of the gateway
	Transport string // "shm", "uds", "tcp", "tls" or "inproc"
	Addr      string // of the gateway's end of the connection
}

// Register offers links on r. Whenever a gateway dials, join is called, on a goroutine of the connection, with this process's end; what join returns is the gateway's
// Hello, or why it is refused. The port may be used before join returns; it reaches the gateway behind the Hello.
//
// A link ends with its port's Close, with the gateway's, or with the connection; whoever stops a server closes its ports first, and then what r belongs to.
func Register(r rpc.Registrar, join func(port Port, gateway GatewayInfo) (Hello, error), cfg Config) {
	cfg.validate()
	s := &service{cfg: cfg, join: join, meetings: map[meetingKey]*meeting{}}
	serveSecret(r, cfg.Tickets)
	r.Register(&mux.Method{Name: methodMessages, Codec: wire{}, Stream: func(ctx context.Context, st *mux.Stream) error { return s.messages(ctx, st) }})
	r.Register(&mux.Method{Name: methodBatches, Codec: wire{}, Stream: func(ctx context.Context, st *mux.Stream) error { return s.batches(ctx, st) }})
}

// service is what both methods share: the places where the two streams of a link meet.
type service struct {
	cfg  Config
	join func(Port, GatewayInfo) (Hello, error)

	mu       sync.Mutex
	meetings map[meetingKey]*meeting
}

type meetingKey struct {
	conn *mux.Conn
	id   uint64
}

type meeting struct {
	came  [2]bool       // the stream of messages, of batches; under service.mu
	both  chan struct{} // state is set
	state stream
	begun chan struct{} // port is set, or stays nil because the gateway was refused
	port  *remotePort
}

var errTwice = status.New(status.AlreadyExists, "link: this stream of the link is open already")

// meet finds the place of an attach, or makes it, for one of its streams.
func (s *service) meet(k meetingKey, stream byte) (*meeting, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.meetings[k]
	if m == nil {
		m = &meeting{both: make(chan struct{}), begun: make(chan struct{})}
		s.meetings[k] = m
	}
	if m.came[stream-1] {
		return nil, errTwice
	}
	m.came[stream-1] = true
	return m, nil
}

// leave frees the place. Streams that come later wait in vain.
func (s *service) leave(k meetingKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.meetings, k)
}

// open reads the first message of a stream.
func (s *service) open(st stream, want byte) (a attach, err error) {
	slow := time.AfterFunc(s.cfg.Timeout, func() {
		st.Cancel(status.New(status.DeadlineExceeded, "link: the gateway has opened a stream and not said what for"))
	})
	defer slow.Stop()
	var m incoming
	if err := st.Recv(&m); err != nil {
		return a, err
	}
	a, err = parseAttach(m.b)
	switch {
	case err != nil:
		return a, status.Errorf(status.InvalidArgument, "%v", err)
	case a.version != Version:
		return a, status.New(status.FailedPrecondition, wrongVersion("server", "gateway", a.version))
	case a.stream != want:
		return a, status.New(status.InvalidArgument, "link: the two streams were mixed up")
	}
	return a, nil
}

// await waits for the other stream's handler.
func (s *service) await(ctx context.Context, c <-chan struct{}, what string) error {
	t := time.NewTimer(s.cfg.Timeout)
	defer t.Stop()
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return status.Errorf(status.DeadlineExceeded, "link: the stream of %s has not come within %s", what, s.cfg.Timeout)
	}
}

func (s *service) batches(ctx context.Context, st *mux.Stream) error {
	a, err := s.open(st, batches)
	if err != nil {
		return err
	}
	k := meetingKey{st.Conn(), a.id}
	m, err := s.meet(k, batches)
	if err != nil {
		return err
	}
	defer s.leave(k)
	m.state = st
	close(m.both)
	if err := s.await(ctx, m.begun, "messages"); err != nil {
		return err
	}
	if m.port == nil {
		return status.New(status.Aborted, "link: the gateway was refused")
	}
	return m.port.serveBatches()
}

func (s *service) messages(ctx context.Context, st *mux.Stream) error {
	a, err := s.open(st, messages)
	if err != nil {
		return err
	}
	k := meetingKey{st.Conn(), a.id}
	m, err := s.meet(k, messages)
	if err != nil {
		return err
	}
	defer s.leave(k)
	peer := st.Conn().Peer()
	info := GatewayInfo{Instance: peer.Hello.Instance, Build: a.build, Transport: peer.Transport, Addr: peer.Addr}
	if err := s.begin(ctx, st, m, info); err != nil {
		close(m.begun)
		return err
	}
	close(m.begun)
	err = m.port.serveMessages()
	if errors.Is(err, ErrMalformed) {
		s.cfg.Log.Warn("link ended: the gateway broke the rules", "gateway", info.Instance, "build", info.Build, "error", err)
	}
	return err
}

// begin lets the gateway join once both streams are there.
func (s *service) begin(ctx context.Context, st stream, m *meeting, info GatewayInfo) error {
	if err := s.await(ctx, m.both, "batches"); err != nil {
		return err
	}
	p := newPort(st, m.state, &s.cfg)
	hello, err := s.join(p, info)
	if err != nil {
		p.stop(err)
		if e := (*status.Error)(nil); errors.As(err, &e) {
			return e
		}
		return status.Errorf(status.FailedPrecondition, "the server refused the gateway: %v", err)
	}
	if err := sendWelcome(st, &s.cfg.Bounds, &hello); err != nil {
		p.stop(err)
		return err
	}
	m.port = p
	return nil
}
