package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/measure"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// Commands of WebSocket clients.
const (
	doConnect = "connect" // Args[0] connections more
	doEcho    = "echo"    // Callers messages of Payload bytes in flight on each connection for Duration; Values tell messages
	doReceive = "receive" // read Args[0] messages of a broadcast on each connection
)

// generator is the client process: all its connections speak to one system.
type generator struct {
	system, addr string
	root, cert   []byte
	conns        []*load
}

// load is one connection that makes it. The socket is bare and the frames are built by hand, so that all systems meet the same client.
type load struct {
	nc   net.Conn
	br   *bufio.Reader
	keys *security.Session // nil: unsealed
	out  []byte            // frames of one burst
	in   []byte            // body of a frame that is read
}

func (s *setup) callWS(_ context.Context, stdin io.Reader, stdout io.Writer) error {
	g := &generator{system: s.system, addr: s.endpoint}
	if s.system == systemSealed {
		root, cert, _ := strings.Cut(s.cert, " ")
		var err, also error
		g.root, err = hex.DecodeString(root)
		g.cert, also = hex.DecodeString(cert)
		if err := errors.Join(err, also); err != nil {
			return fmt.Errorf("-cert: %w", err)
		}
	}
	defer func() {
		for _, l := range g.conns {
			_ = l.nc.Close()
		}
	}()
	return measure.Serve(stdin, stdout, measure.Reply{Ready: s.endpoint, AtNS: time.Now().UnixNano()}, g.command)
}

func (g *generator) command(r measure.Request) (measure.Reply, error) {
	n := 0
	if len(r.Args) > 0 {
		var err error
		if n, err = strconv.Atoi(r.Args[0]); err != nil {
			return measure.Reply{}, err
		}
	}
	var total atomic.Uint64
	var err error
	switch r.Do {
	case doConnect:
		err = g.connect(n)
	case doEcho:
		end := time.Now().Add(r.Duration)
		err = g.each(func(l *load) error {
			for { // at least once
				if err := l.burst(r.Callers, r.Payload); err != nil {
					return err
				}
				total.Add(uint64(r.Callers))
				if time.Now().After(end) {
					return nil
				}
			}
		})
	case doReceive:
		err = g.each(func(l *load) error {
			for range n {
				if _, err := l.read(); err != nil {
					return err
				}
			}
			return nil
		})
	default:
		err = fmt.Errorf("unknown command %q", r.Do)
	}
	return measure.Reply{Values: map[string]uint64{"messages": total.Load()}}, err
}

// each runs f for every connection at once.
func (g *generator) each(f func(*load) error) error {
	var all sync.WaitGroup
	errs := make([]error, len(g.conns))
	for i, l := range g.conns {
		all.Go(func() { errs[i] = f(l) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// connect opens n connections more, a few at a time.
func (g *generator) connect(n int) error {
	const atOnce = 16
	var all sync.WaitGroup
	var mu sync.Mutex
	var bad error
	tokens := make(chan struct{}, atOnce)
	for range n {
		tokens <- struct{}{}
		all.Go(func() {
			l, err := g.open()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				bad = err
			} else {
				g.conns = append(g.conns, l)
			}
			<-tokens
		})
	}
	all.Wait()
	return bad
}

const upgradeRequest = "GET /ws HTTP/1.1\r\nHost: rivals.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

func (g *generator) open() (*load, error) {
	nc, err := net.Dial("tcp", g.addr)
	if err != nil {
		return nil, err
	}
	l := &load{nc: nc, br: bufio.NewReaderSize(nc, 2048)}
	if _, err := io.WriteString(nc, upgradeRequest); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(l.br, nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("answer %s", resp.Status)
	}
	if g.system != systemSealed {
		return l, nil
	}
	cert, err := security.ParseKeyCert(g.cert)
	if err != nil {
		return nil, err
	}
	h, hs1, err := security.NewClient(security.ClientConfig{Root: g.root, Cert: cert, Now: time.Now()})
	if err != nil {
		return nil, err
	}
	l.frame(func(b []byte) []byte { return append(b, hs1...) })
	if err := l.flush(); err != nil {
		return nil, err
	}
	hs2, err := l.read()
	if err != nil {
		return nil, err
	}
	l.keys, _, err = h.Finish(hs2)
	return l, err
}

// frame appends a masked frame to out, with the payload that fill appends.
func (l *load) frame(fill func([]byte) []byte) {
	const room = 8 // the header of payloads of 126 to 65,535 bytes
	start := len(l.out)
	l.out = fill(append(l.out, make([]byte, room)...))
	payload := l.out[start+room:]
	mask := [4]byte{1, 2, 3, 4}
	ws.Cipher(payload, mask, 0)
	head := l.out[start : start+room]
	if len(payload) < 126 { // two bytes less
		copy(l.out[start+room-2:], payload)
		l.out = l.out[:len(l.out)-2]
		head = head[:room-2]
		head[1] = 0x80 | byte(len(payload))
	} else {
		head[1], head[2], head[3] = 0x80|126, byte(len(payload)>>8), byte(len(payload))
	}
	head[0] = 0x82
	copy(head[len(head)-4:], mask[:])
}

func (l *load) flush() error {
	_, err := l.nc.Write(l.out)
	l.out = l.out[:0]
	return err
}

// read reads one frame of the server; what it returns is valid until the next.
func (l *load) read() ([]byte, error) {
	h, err := ws.ReadHeader(l.br)
	if err != nil {
		return nil, err
	}
	if int64(cap(l.in)) < h.Length {
		l.in = make([]byte, h.Length)
	}
	l.in = l.in[:h.Length]
	_, err = io.ReadFull(l.br, l.in)
	return l.in, err
}

// burst sends messages in one write and waits until as many bytes have come back.
func (l *load) burst(messages, payload int) error {
	body := make([]byte, payload)
	for range messages {
		l.frame(func(b []byte) []byte {
			if l.keys == nil {
				return append(b, body...)
			}
			return l.keys.Sealer.Seal(b, body)
		})
	}
	if err := l.flush(); err != nil {
		return err
	}
	for back := 0; back < messages*payload; {
		m, err := l.read()
		if err == nil && l.keys != nil {
			m, err = l.keys.Opener.Open(m)
		}
		if err != nil {
			return err
		}
		back += len(m)
	}
	return nil
}
