package network

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// accepted is a connection of a listener that knows the PROXY protocol. It is the socket, plus what the header said and what came
// behind it.
type accepted struct {
	net.Conn
	client *net.TCPAddr // nil: the other end of the socket
	early  []byte       // read from the socket, not yet given to the reader
	watch  bool         // an untrusted peer, of which it is not clear yet that it sends no header
	refuse func(error)
}

// RemoteAddr is the client's address, as the proxy told it.
func (a *accepted) RemoteAddr() net.Addr {
	if a.client != nil {
		return a.client
	}
	return a.Conn.RemoteAddr()
}

// Read reads what the client sent.
func (a *accepted) Read(b []byte) (int, error) {
	if a.watch {
		if err := a.inspect(); err != nil {
			return 0, err
		}
	}
	if len(a.early) > 0 {
		n := copy(b, a.early)
		a.early = a.early[n:]
		return n, nil
	}
	return a.Conn.Read(b)
}

// CloseWrite half-closes, which net/http does before it gives a client up.
func (a *accepted) CloseWrite() error {
	if half, ok := a.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// inspect reads until it is clear that no PROXY protocol header comes, and cuts the connection if one does.
func (a *accepted) inspect() error {
	var buf [len(proxyV2Start)]byte
	for {
		n, err := a.Conn.Read(buf[:len(buf)-len(a.early)])
		a.early = append(a.early, buf[:n]...)
		one, two := startsAlike(a.early, proxyV1Start), startsAlike(a.early, proxyV2Start)
		switch {
		case one && len(a.early) >= len(proxyV1Start), two && len(a.early) >= len(proxyV2Start):
			err := badProxy("sent by %v, which is no trusted proxy", a.Conn.RemoteAddr())
			a.refuse(err)
			_ = a.Conn.Close()
			return err
		case !one && !two, err == io.EOF:
			a.watch = false
			return nil
		case err != nil:
			return err
		}
	}
}

// readHeader reads the header of a trusted proxy. deadline is for all of it.
func (a *accepted) readHeader(deadline time.Time) error {
	if err := a.Conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	buf := make([]byte, 0, 2*maxProxyV1)
	for {
		n, err := a.Conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		client, size, bad := parseProxy(buf)
		switch {
		case bad != nil:
			return bad
		case size > 0:
			if client.IsValid() {
				a.client = net.TCPAddrFromAddrPort(client)
			}
			a.early = buf[size:]
			return a.Conn.SetReadDeadline(time.Time{})
		case err != nil:
			return fmt.Errorf("%w: %d bytes of it: %w", ErrProxyHeader, len(buf), err)
		case len(buf) == cap(buf):
			buf = append(make([]byte, 0, proxyV2Head+maxProxyV2), buf...)
		}
	}
}

// unwrap returns the socket itself, where the reading may go on, and the bytes that were read from it already.
func unwrap(nc net.Conn) (net.Conn, []byte) {
	if a, ok := nc.(*accepted); ok && !a.watch {
		return a.Conn, a.early
	}
	return nc, nil
}

// peerOf is the IP address of the other end of a socket.
func peerOf(nc net.Conn) netip.AddrPort { return addrOf(nc.RemoteAddr()) }
