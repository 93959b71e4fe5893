package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/measure"
)

// The ping-pong sends the length of the payload, four bytes, little-endian, and the payload; back comes the same. One connection per caller, one write and as few reads
// as the socket allows: no protocol over a socket can take less time.

// most bytes of a ping; larger ones are not from us.
const mostBytes = 64 << 20

type pingPong struct {
	path  string
	mu    sync.Mutex
	conns []net.Conn // one per caller, kept from cell to cell
}

func (p *pingPong) callers(cell measure.Cell) ([]func() error, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.conns) < cell.Callers {
		conn, err := net.Dial("unix", p.path)
		if err != nil {
			return nil, fmt.Errorf("connect caller %d: %w", len(p.conns), err)
		}
		p.conns = append(p.conns, conn)
	}
	callers := make([]func() error, cell.Callers)
	for i := range callers {
		conn, ping, pong := p.conns[i], make([]byte, 4+cell.Payload), make([]byte, 4+cell.Payload)
		binary.LittleEndian.PutUint32(ping, uint32(cell.Payload))
		callers[i] = func() error {
			if _, err := conn.Write(ping); err != nil {
				return err
			}
			_, err := io.ReadFull(conn, pong)
			return err
		}
	}
	return callers, nil
}

func (p *pingPong) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		conn.Close()
	}
	p.conns = nil
	return nil
}

// servePings answers until the listener is closed.
func servePings(l net.Listener) error {
	var (
		mu      sync.Mutex
		open    = map[net.Conn]bool{}
		serving sync.WaitGroup
	)
	defer serving.Wait()
	defer func() {
		mu.Lock()
		defer mu.Unlock()
		for conn := range open {
			conn.Close()
		}
	}()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		} else if err != nil {
			return err
		}
		mu.Lock()
		open[conn] = true
		mu.Unlock()
		serving.Go(func() {
			pong(conn)
			conn.Close()
			mu.Lock()
			delete(open, conn)
			mu.Unlock()
		})
	}
}

// pong answers one connection until it ends or sends what is no ping.
func pong(conn net.Conn) {
	buffer := make([]byte, 4+1<<10)
	for {
		n, err := io.ReadAtLeast(conn, buffer, 4) // header and payload come together as a rule
		if err != nil {
			return
		}
		size := int(binary.LittleEndian.Uint32(buffer))
		if size > mostBytes || n > 4+size {
			return
		}
		if 4+size > len(buffer) {
			buffer = append(make([]byte, 0, 4+size), buffer[:n]...)[:4+size]
		}
		if _, err := io.ReadFull(conn, buffer[n:4+size]); err != nil {
			return
		}
		if _, err := conn.Write(buffer[:4+size]); err != nil {
			return
		}
	}
}
