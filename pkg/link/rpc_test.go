package link

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
)

// plug is an rpc server and a client of it, over one transport.
type plug struct {
	server *rpc.Server
	client *rpc.Client
	joined chan joined
	asked  chan struct{} // if set, gets one whenever a gateway wants to join
	mu     sync.Mutex
	hello  Hello
	before func(Port) // if set, called while the gateway joins
	refuse error
}

type joined struct {
	port Port
	info GatewayInfo
}

func (p *plug) join(port Port, info GatewayInfo) (Hello, error) {
	if p.asked != nil {
		p.asked <- struct{}{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		return Hello{}, p.refuse
	}
	if p.before != nil {
		p.before(port)
	}
	p.joined <- joined{port, info}
	return p.hello, nil
}

// connect makes a server and a client. kind is a scheme of rpc's endpoints.
func connect(t testing.TB, kind string, cfg Config, limits mux.Config) *plug {
	t.Helper()
	network := inproc.NewNetwork()
	endpoint := kind + "://127.0.0.1:0"
	switch kind {
	case "inproc":
		endpoint = "inproc://server"
	case "uds", "shm":
		dir, err := os.MkdirTemp("", "link")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		endpoint = kind + "://" + filepath.Join(dir, "s")
	}
	p := &plug{joined: make(chan joined, 8)}
	server, err := rpc.NewServer(rpc.ServerConfig{Endpoints: []string{endpoint}, InProc: network, Mux: limits})
	if err != nil {
		t.Fatal(err)
	}
	Register(server, p.join, cfg)
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { served <- server.Serve(ctx) }()
	client, err := rpc.NewClient(rpc.ClientConfig{Endpoint: server.Addrs()[0], InProc: network, ID: "gateway-1", Mux: limits})
	if err != nil {
		t.Fatal(err)
	}
	p.server, p.client = server, client
	t.Cleanup(func() {
		_ = client.Close()
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return p
}

func (p *plug) dial(t testing.TB, cfg Config) (Link, Port, GatewayInfo) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l, err := Dial(ctx, p.client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	j := <-p.joined
	t.Cleanup(func() { _ = j.port.Close(); _ = l.Close() })
	return l, j.port, j.info
}

func transports() []string {
	all := []string{"inproc", "uds", "tcp"}
	if runtime.GOOS == "linux" {
		all = append(all, "shm")
	}
	if runtime.GOOS == "windows" {
		all = []string{"inproc", "tcp"}
	}
	return all
}

func TestEveryTransportConforms(t *testing.T) {
	for _, kind := range transports() {
		t.Run(kind, func(t *testing.T) {
			conformance(t, func(t testing.TB, hello Hello, bounds PipeConfig) (Link, Port) {
				p := connect(t, kind, Config{Bounds: bounds}, mux.Config{})
				p.mu.Lock() // shared memory is nothing that the race detector knows
				p.hello = hello
				p.mu.Unlock()
				l, port, _ := p.dial(t, Config{})
				return l, port
			})
		})
	}
}

func TestAServerLearnsWhoJoins(t *testing.T) {
	noLeak(t)
	p := connect(t, "inproc", Config{}, mux.Config{})
	_, _, info := p.dial(t, Config{Build: "v0.3.1 " + strings.Repeat("x", 300)})
	if info.Instance != "gateway-1" || info.Transport != "inproc" || !strings.HasPrefix(info.Build, "v0.3.1 ") || len(info.Build) != maxBuild {
		t.Errorf("%+v", info)
	}
}

func TestAPortMayBeUsedWhileItsGatewayJoins(t *testing.T) {
	noLeak(t)
	p := connect(t, "inproc", Config{}, mux.Config{})
	p.hello = Hello{Game: "early"}
	p.before = func(port Port) { down(t, port, Down{Kind: Batch}, Down{Kind: ToClient, ID: 1}) }
	l, _, _ := p.dial(t, Config{})
	if got := receive(t, l, 2); l.Hello().Game != "early" || got[0].Kind != Batch || got[1].ID != 1 {
		t.Errorf("%+v, %+v", l.Hello(), got)
	}
}

func TestARefusalTellsTheServersReason(t *testing.T) {
	noLeak(t)
	p := connect(t, "inproc", Config{}, mux.Config{})
	p.refuse = errors.New("the server has stopped")
	_, err := Dial(context.Background(), p.client, Config{})
	if status.CodeOf(err) != status.FailedPrecondition || !strings.Contains(err.Error(), "the server has stopped") {
		t.Errorf("refused with %v", err)
	}
	p.refuse = status.New(status.ResourceExhausted, "enough gateways")
	if _, err = Dial(context.Background(), p.client, Config{}); status.CodeOf(err) != status.ResourceExhausted {
		t.Errorf("refused with %v", err)
	}
}

// speak opens the two streams by hand, with these first words.
func speak(t *testing.T, p *plug, first, second *attach) (m, b *mux.Stream) {
	t.Helper()
	m, err := p.client.Stream(context.Background(), methodMessages, &rpc.CallOptions{Codec: wire{}})
	if err != nil {
		t.Fatal(err)
	}
	if first != nil {
		_ = m.Send(&outgoing{a: first.append(nil)}) // the end of a stream that was refused meanwhile is read from it
	}
	b, err = m.Conn().Open(context.Background(), methodBatches, &mux.CallInfo{Codec: wire{}, Bulk: true})
	if err != nil {
		t.Fatal(err)
	}
	if second != nil {
		_ = b.Send(&outgoing{a: second.append(nil)}) // the end of a stream that was refused meanwhile is read from it
	}
	return m, b
}

func TestStrangeFirstWordsAreRefused(t *testing.T) {
	noLeak(t)
	p := connect(t, "inproc", Config{Timeout: 50 * time.Millisecond}, mux.Config{})
	const noWord = "has opened a stream and not said what for"
	word := func(version, id uint64, stream byte) *attach {
		return &attach{version: version, id: id, stream: stream}
	}
	for _, c := range []struct {
		name          string
		first, second *attach
		want          string
	}{
		{"another version", word(9, 1, messages), word(9, 1, batches), "the gateway speaks version 9 of the link, this server version 3"},
		{"no word", nil, nil, noWord},
		{"one stream only", word(Version, 1, messages), nil, "the stream of batches has not come"},
		{"another number", word(Version, 1, messages), word(Version, 2, batches), "the stream of batches has not come"},
		{"mixed up", word(Version, 1, batches), word(Version, 1, messages), "mixed up"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			if !holds(func() bool { // on a busy machine the first word comes too late
				m, b := speak(t, p, c.first, c.second)
				var in incoming
				err = m.Recv(&in)
				if err := b.Recv(&in); err == nil {
					t.Error("batches: not refused")
				}
				return err == nil || c.first == nil || !strings.Contains(err.Error(), noWord)
			}) || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("messages: refused with %v, want %q", err, c.want)
			}
		})
	}
	var l Link
	var err error
	if !holds(func() bool { l, err = Dial(context.Background(), p.client, Config{}); return err == nil }) { // it serves on
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	up(t, l, Up{Kind: CloseSession})
	receive(t, (<-p.joined).port, 1)
	t.Run("the same stream twice", func(t *testing.T) {
		var err, other error
		if !holds(func() bool { // the second has to come before the first is given up
			m, b := speak(t, p, word(Version, 9, messages), nil)
			again, _ := speak(t, p, word(Version, 9, messages), nil)
			var in incoming
			err, other = m.Recv(&in), again.Recv(&in)
			_ = b.Recv(&in)
			return strings.Contains(fmt.Sprint(err, other), "is open already")
		}) {
			t.Errorf("refused with %v and %v", err, other)
		}
	})
}

func TestDialEndsWithItsContextAndItsTime(t *testing.T) {
	noLeak(t)
	p := connect(t, "inproc", Config{}, mux.Config{})
	p.asked = make(chan struct{}, 8)
	p.mu.Lock() // join hangs
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-p.asked; cancel() }()
	if _, err := Dial(ctx, p.client, Config{}); err == nil || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := Dial(context.Background(), p.client, Config{Timeout: 20 * time.Millisecond}); err == nil || !strings.Contains(err.Error(), "no answer within 20ms") {
		t.Errorf("too late: %v", err)
	}
	p.mu.Unlock()
	if err := endOf((<-p.joined).port); !errors.Is(err, ErrClosed) { // what joined too late ends
		t.Error(err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), time.Minute)
	l, err := Dial(ctx, p.client, Config{Build: "in time"})
	if err != nil {
		t.Fatal(err)
	}
	cancel() // bounds only the dialling
	j := <-p.joined
	for ; j.info.Build != "in time"; j = <-p.joined { // the one that was too late joins if its streams came before
		if err := endOf(j.port); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	up(t, l, Up{Kind: CloseSession})
	receive(t, j.port, 1)
	_ = l.Close()
}

func TestALostConnectionEndsBothEndsAtOnce(t *testing.T) {
	for _, kind := range transports() {
		t.Run(kind, func(t *testing.T) {
			noLeak(t)
			p := connect(t, kind, Config{Linger: time.Hour}, mux.Config{Heartbeat: -1}) // what is not noticed at once is not noticed at all
			l, port, _ := p.dial(t, Config{Linger: time.Hour})
			up(t, l, Up{Kind: CloseSession})
			receive(t, port, 1)
			for _, peer := range p.client.Peers() { // the server may list it a moment later
				_ = peer.Close()
			}
			for _, err := range []error{endOf(l), endOf(port)} {
				if !errors.Is(err, ErrClosed) {
					t.Error(err)
				}
			}
			if err := l.Send(Up{Kind: CloseSession}); !errors.Is(err, ErrClosed) {
				t.Errorf("send after the end: %v", err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			again, err := Dial(ctx, p.client, Config{}) // the client has connected again
			if err != nil {
				t.Fatal(err)
			}
			_ = again.Close()
			_ = endOf((<-p.joined).port)
		})
	}
}

func TestManyGatewaysOverOneConnectionDoNotMix(t *testing.T) {
	noLeak(t)
	p := connect(t, "inproc", Config{}, mux.Config{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			l, err := Dial(ctx, p.client, Config{Build: fmt.Sprint(i)})
			if err != nil {
				t.Error(err)
				return
			}
			up(t, l, Up{Kind: FromClient, Payload: []byte(fmt.Sprint(i))})
			if d := receive(t, l, 2); string(d[0].Payload) != fmt.Sprint(i) || string(d[1].Payload) != fmt.Sprint(i) {
				t.Errorf("gateway %d got %+v", i, d)
			}
			_ = l.Close()
		})
	}
	for range 8 {
		j := <-p.joined
		wg.Go(func() {
			u := receive(t, j.port, 1)
			if string(u[0].Payload) != j.info.Build {
				t.Errorf("gateway %s sent %+v", j.info.Build, u)
			}
			down(t, j.port, Down{Kind: Batch, Payload: u[0].Payload}, Down{Kind: Kick, Payload: u[0].Payload})
			_ = endOf(j.port)
		})
	}
	wg.Wait()
}
