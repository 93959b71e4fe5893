package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/lxzan/gws"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/measure"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// The WebSocket systems that are compared. Each echoes what it is sent and can send one message to all of its connections.
const (
	systemSealed = "tianxia-sealed" // pkg/network with records of pkg/security, answers to what one read brought go out in one record
	systemPlain  = "tianxia-plain"  // the same without pkg/security
	systemGWS    = "gws"            // bare: its defaults, nothing sealed
	systemGobwas = "gobwas"         // bare: a header and a body read for each message; a broadcast is one compiled frame
)

// wsSystems are all of them; nobody changes the list.
var wsSystems = []string{systemSealed, systemPlain, systemGWS, systemGobwas}

// Commands of WebSocket servers.
const (
	doBroadcast = "broadcast" // a payload to all connections, Args[0] times; Values tell sends, busy and cpu_ns
	doMemory    = "memory"    // Values tell rss, the resident bytes after collecting garbage, heap and stack of them in use, and conns
)

// member is one connection as a broadcast sees it.
type member struct {
	seq    int      // a broadcast goes in the order of joining
	raw    net.Conn // gobwas
	gws    *gws.Conn
	conn   *network.Conn
	sealer *security.Sealer
}

// wsServer serves one system.
type wsServer struct {
	system string
	secure security.ServerConfig
	pool   network.Pool

	batches sync.Pool // of *batch

	serving sync.WaitGroup
	mu      sync.Mutex
	members map[any]member
	joined  int
}

func (s *setup) serveWS(_ context.Context, stdin io.Reader, stdout io.Writer) error {
	server := &wsServer{system: s.system, members: map[any]member{}}
	cert, err := server.newKey()
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", s.endpoint)
	if err != nil {
		return err
	}
	over := make(chan error, 1)
	go func() { over <- server.serve(ln) }()
	ready := measure.Reply{Ready: ln.Addr().String(), AtNS: time.Now().UnixNano(), Note: cert}
	err = measure.Serve(stdin, stdout, ready, server.command)
	return errors.Join(err, ln.Close(), <-over)
}

// newKey makes a key that lives as long as the process, and returns root and certificate for the clients.
func (s *wsServer) newKey() (string, error) {
	root, err := security.NewRoot(rand.Reader)
	if err != nil {
		return "", err
	}
	now := time.Now()
	if s.secure.Current, err = root.Issue(rand.Reader, 1, now.Add(-time.Hour), now.Add(24*time.Hour)); err != nil {
		return "", err
	}
	return hex.EncodeToString(root.Public()) + " " + hex.EncodeToString(s.secure.Current.Cert().Marshal()), nil
}

// serve runs until the listener is closed, and ends all connections.
func (s *wsServer) serve(ln net.Listener) error {
	defer s.serving.Wait()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, m := range s.members {
			m.close()
		}
	}()
	var err error
	if s.system == systemGobwas {
		err = s.serveGobwas(ln)
	} else {
		err = http.Serve(ln, s)
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (m member) close() {
	switch {
	case m.raw != nil:
		_ = m.raw.Close()
	case m.gws != nil:
		_ = m.gws.NetConn().Close()
	default:
		_ = m.conn.Close(0, "")
	}
}

func (s *wsServer) join(key any, m member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joined++
	m.seq = s.joined
	s.members[key] = m
}

func (s *wsServer) leave(key any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.members, key)
}

// ServeHTTP upgrades.
func (s *wsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.system == systemGWS {
		c, err := gws.NewUpgrader(echoGWS{s: s}, &gws.ServerOption{}).Upgrade(w, r)
		if err == nil {
			s.join(c, member{gws: c})
			s.serving.Go(c.ReadLoop)
		}
		return
	}
	c, err := network.Upgrade(w, r, network.Config{Pool: &s.pool})
	if err != nil {
		return
	}
	m := member{conn: c}
	var opener *security.Opener
	if s.system == systemSealed {
		keys, err := s.handshake(c)
		if err != nil {
			_ = c.Close(0, "")
			return
		}
		m.sealer, opener = keys.Sealer, keys.Opener
	}
	s.join(c, m)
	// The handshake needed a deep stack; a new goroutine begins with a small one.
	s.serving.Go(func() { s.echo(c, m.sealer, opener) })
}

func (s *wsServer) handshake(c *network.Conn) (*security.Session, error) {
	hs1, err := c.Next()
	if err != nil {
		return nil, err
	}
	h, err := security.Begin(&s.secure, hs1, time.Now())
	if err != nil {
		return nil, err
	}
	hs2, keys, err := h.Finish(nil)
	if err != nil {
		return nil, err
	}
	return keys, c.Send(append(make([]byte, network.HeaderRoom), hs2...))
}

// echo answers what one read brought with one message.
func (s *wsServer) echo(c *network.Conn, sealer *security.Sealer, opener *security.Opener) {
	roused := false
	defer func() {
		if !roused {
			s.leave(c)
			_ = c.Close(0, "")
		}
	}()
	var b *batch // borrowed while there is something to answer
	for {
		m, err := c.Next()
		if roused = err == network.ErrRoused; roused {
			s.serving.Go(func() { s.echo(c, sealer, opener) }) // with a small stack
			return
		}
		if err == nil && opener != nil {
			m, err = opener.Open(m)
		}
		if err != nil {
			return
		}
		if b == nil {
			b, _ = s.batches.Get().(*batch)
		}
		if b == nil {
			b = newBatch()
		}
		b.frames = append(b.frames, m...)
		if c.Ready() {
			continue
		}
		out := b.frames
		if sealer != nil {
			b.out = sealer.Seal(b.out[:network.HeaderRoom], b.frames[network.HeaderRoom:])
			out = b.out
		}
		for err = c.Send(out); errors.Is(err, network.ErrBusy); err = c.Send(out) {
			if writing := c.Writing(); writing != nil {
				<-writing
			}
		}
		if err != nil {
			return
		}
		b.frames = b.frames[:network.HeaderRoom]
		s.batches.Put(b)
		b = nil
	}
}

// batch is the room for answers: header room and frames, and the same sealed.
type batch struct{ frames, out []byte }

func newBatch() *batch {
	return &batch{frames: make([]byte, network.HeaderRoom, 1024), out: make([]byte, network.HeaderRoom, 1024)}
}

// echoGWS is the handler of gws.
type echoGWS struct {
	gws.BuiltinEventHandler
	s *wsServer
}

// OnMessage echoes.
func (e echoGWS) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	_ = c.WriteMessage(m.Opcode, m.Bytes())
}

// OnClose forgets the connection.
func (e echoGWS) OnClose(c *gws.Conn, _ error) { e.s.leave(c) }

// serveGobwas is the bare loop of its documentation.
func (s *wsServer) serveGobwas(ln net.Listener) error {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return err
		}
		if _, err := ws.Upgrade(nc); err != nil {
			_ = nc.Close()
			continue
		}
		s.join(nc, member{raw: nc})
		s.serving.Go(func() {
			defer s.leave(nc)
			defer nc.Close()
			for {
				h, err := ws.ReadHeader(nc)
				if err != nil {
					return
				}
				payload := make([]byte, h.Length)
				if _, err := io.ReadFull(nc, payload); err != nil {
					return
				}
				ws.Cipher(payload, h.Mask, 0)
				if err := ws.WriteFrame(nc, ws.NewBinaryFrame(payload)); err != nil {
					return
				}
			}
		})
	}
}

func (s *wsServer) command(r measure.Request) (measure.Reply, error) {
	switch r.Do {
	case doBroadcast:
		rounds, err := strconv.Atoi(strings.Join(r.Args, ""))
		if err != nil {
			return measure.Reply{}, err
		}
		values, err := s.broadcast(rounds, r.Payload)
		return measure.Reply{Values: values}, err
	case doMemory:
		s.rouse()
		for range 4 { // stacks shrink by half at each collection
			debug.FreeOSMemory()
		}
		rss, err := resident()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		s.mu.Lock()
		defer s.mu.Unlock()
		return measure.Reply{Values: map[string]uint64{"rss": rss, "heap": m.HeapAlloc, "stack": m.StackInuse, "conns": uint64(len(s.members))}}, err
	}
	return measure.Reply{}, fmt.Errorf("unknown command %q", r.Do)
}

// rouse is what a server does to connections that have been quiet for some seconds.
func (s *wsServer) rouse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.members {
		if m.conn != nil {
			m.conn.Rouse()
		}
	}
}

func (s *wsServer) broadcast(rounds, payload int) (map[string]uint64, error) {
	s.mu.Lock()
	members := make([]member, 0, len(s.members))
	for _, m := range s.members {
		members = append(members, m)
	}
	s.mu.Unlock()
	slices.SortFunc(members, func(a, b member) int { return a.seq - b.seq })
	message := make([]byte, payload)
	compiled, err := ws.CompileFrame(ws.NewBinaryFrame(message))
	if err != nil {
		return nil, err
	}
	// A write leaves the processor's caches cold: records are sealed a few in a row, not each before its write.
	const inARow = 32
	arena := make([][]byte, inARow)
	for i := range arena {
		arena[i] = make([]byte, network.HeaderRoom, network.HeaderRoom+security.Overhead+payload)
	}
	busy := uint64(0)
	began := measure.Used()
	for range rounds {
		for row := range slices.Chunk(members, inARow) {
			for i, m := range row {
				if m.sealer != nil {
					arena[i] = m.sealer.Seal(arena[i][:network.HeaderRoom], message)
				}
			}
			for i, m := range row {
				switch {
				case m.raw != nil:
					_, err = m.raw.Write(compiled)
				case m.sealer != nil:
					err = m.conn.Send(arena[i])
				case m.conn != nil:
					err = m.conn.Send(append(arena[i][:network.HeaderRoom], message...))
				default:
					err = m.gws.WriteMessage(gws.OpcodeBinary, message)
				}
				if errors.Is(err, network.ErrBusy) {
					busy++ // lost to this one; a sealed stream would end here
				} else if err != nil {
					return nil, err
				}
			}
		}
	}
	used := measure.Used().Sub(began)
	return map[string]uint64{"sends": uint64(rounds * len(members)), "busy": busy, "cpu_ns": uint64(used.CPU), "mallocs": used.Mallocs}, nil
}

// resident is the resident memory of this process, in bytes; Linux only.
func resident() (uint64, error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, fmt.Errorf("statm is %q", b)
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize()), err
}

func isWS(system string) bool { return slices.Contains(wsSystems, system) }
