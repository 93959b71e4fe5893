package tianxia

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Bounds of what speaks HTTP to a gateway. They end with the upgrade: a client's connection has the gateway's own.
const (
	headerTimeout = 5 * time.Second  // from the connection, or the first byte of a further request, to the end of its header
	readTimeout   = 10 * time.Second // to the end of the request: no body is wanted
	writeTimeout  = time.Minute      // to the end of the answer: the page on a slow line
	idleTimeout   = 30 * time.Second // between two requests
	maxHeader     = 16 << 10         // bytes of a header
	spareRequests = 256              // connections beyond those that players may have: for the page, logins and health checks
)

// httpServer serves a listener of a gateway or a login service.
type httpServer struct {
	http.Server
	slots chan struct{} // one taken by each connection that speaks HTTP
}

// http is the server of the clients' listener, at rest.
func (e *edge) http(log *slog.Logger) *httpServer { return e.httpOf(e.handler(), log) }

// httpOf is a server of players' connections, at rest.
func (e *edge) httpOf(h http.Handler, log *slog.Logger) *httpServer {
	return newHTTPServer(h, e.gateway.MaxConnections()+spareRequests, log)
}

// newHTTPServer makes a server of so many connections at once, at rest.
func newHTTPServer(h http.Handler, connections int, log *slog.Logger) *httpServer {
	s := &httpServer{slots: make(chan struct{}, connections)}
	s.Handler, s.ErrorLog = h, slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout, s.MaxHeaderBytes = headerTimeout, readTimeout, writeTimeout, idleTimeout, maxHeader
	s.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed || state == http.StateHijacked { // one of the two, once, is the end of each; a client's connection is counted by the gateway from here on
			<-s.slots
		}
	}
	return s
}

// serve is Serve, or ServeTLS if there is a TLSConfig, on a listener that waits while there are as many connections as may be; those that come then wait in the system's queue.
func (s *httpServer) serve(ln net.Listener) error {
	ln = &boundedListener{Listener: ln, slots: s.slots, closed: make(chan struct{})}
	if s.TLSConfig != nil {
		return s.ServeTLS(ln, "", "")
	}
	return s.Serve(ln)
}

// boundedListener takes a slot before each connection. Connections are not wrapped, since those of clients are tuned as TCP.
type boundedListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
	}
	return c, err
}

// Close implements net.Listener.
func (l *boundedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}
