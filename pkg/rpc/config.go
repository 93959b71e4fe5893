package rpc

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport/inproc"
)

// Balance says which of several instances gets a call that names neither a key nor an instance.
type Balance uint8

// The ways to balance.
const (
	// P2C takes the less loaded of two chosen at random, by latency, calls in flight and weight.
	P2C Balance = iota
	// RoundRobin takes one after the other, whatever their load and weight.
	RoundRobin
)

// ClientConfig describes a client. Endpoint, or Service and Registry, are needed; other zero fields take their default.
type ClientConfig struct {
	Service  string            // every instance that serves it, as the registry tells
	Registry registry.Registry // for Service
	Endpoint string            // one server: "/run/world.sock", "unix://…", "shm://…", "uds://…", "tcp://host:port", "tls://host:port", "inproc://name"

	ID     string          // of this process, told to servers; default: a random one
	Token  []byte          // shared secret of the cluster; servers need the same
	TLS    *tls.Config     // for tls endpoints; default: the system's authorities
	InProc *inproc.Network // for inproc endpoints: the server's
	Host   string          // id of this machine; instances with the same one are reached locally. Default: the system's, see registry.HostID

	Balance            Balance                   // of calls that name neither key nor instance; default P2C
	Interceptors       []ClientInterceptor       // around calls, the first outermost
	StreamInterceptors []ClientStreamInterceptor // around the opening of streams, the first outermost
	Codec              Codec                     // of calls that name none; default Protobuf
	Timeout            time.Duration             // of a call that names none, all attempts together; 0: none. Streams have none
	ConnectTimeout     time.Duration             // that a call without any limit waits for a connection; default 3 s
	DialTimeout        time.Duration             // of one attempt to connect over one transport; default 3 s
	MaxAttempts        int                       // of one call, the first included; default 3
	RetryBudget        float64                   // repeated calls as a fraction of calls, besides a few per second; default 0.1, negative: none

	Mux       mux.Config       // limits of each connection; Hello, Handler, Owner, Dialled and Draining are set by the client, Codecs are added to ours
	Transport transport.Config // limits of each connection's transport

	Log     *slog.Logger // default: none
	Metrics Metrics      // default: none
	Trace   Tracer       // default: none

	// OnConnect is called with each new connection, before it gets calls, and may make calls on it. OnDisconnect follows when it has ended, with the reason. Both may be
	// called for several connections at once; they must not close the client.
	OnConnect    func(*Peer)
	OnDisconnect func(*Peer, error) // default: nobody is told
}

func (c *ClientConfig) validate() error {
	if err := c.Mux.Check(); err != nil {
		return err
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 3 * time.Second
	}
	if c.DialTimeout == 0 {
		c.DialTimeout = 3 * time.Second
	}
	if c.MaxAttempts == 0 {
		c.MaxAttempts = 3
	}
	if c.RetryBudget == 0 {
		c.RetryBudget = 0.1
	}
	if c.Codec == nil {
		c.Codec = Protobuf{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.ID == "" {
		c.ID = randomID("client")
	}
	if c.Host == "" {
		c.Host = registry.HostID()
	}
	c.Mux.Codecs = codecs(c.Mux.Codecs, c.Codec)
	switch {
	case c.Service == "" && c.Endpoint == "":
		return errors.New("rpc client: whom to call? set Service and Registry, or Endpoint")
	case c.Service != "" && c.Endpoint != "":
		return fmt.Errorf("rpc client: Service %q and Endpoint %q exclude each other: set one", c.Service, c.Endpoint)
	case c.Service != "" && c.Registry == nil:
		return fmt.Errorf("rpc client: a Registry is needed to find service %q: set it, or an Endpoint instead of the service", c.Service)
	case c.Timeout < 0 || c.ConnectTimeout < 0 || c.DialTimeout < 0 || c.MaxAttempts < 1:
		return fmt.Errorf("rpc client: Timeout %s, ConnectTimeout %s, DialTimeout %s and MaxAttempts %d must not be negative",
			c.Timeout, c.ConnectTimeout, c.DialTimeout, c.MaxAttempts)
	case c.RetryBudget > 1:
		return fmt.Errorf("rpc client: a RetryBudget of %v would double the load: it is a fraction of calls, at most 1", c.RetryBudget)
	case c.Balance > RoundRobin:
		return fmt.Errorf("rpc client: Balance %d is unknown: use P2C or RoundRobin", c.Balance)
	}
	if c.Endpoint != "" {
		if _, err := parseEndpoint(c.Endpoint); err != nil {
			return err
		}
	}
	return nil
}

// ServerConfig describes a server. Endpoints are needed; other zero fields take their default.
type ServerConfig struct {
	ID        string            // of this instance, unique in the cluster: letters, digits and . _ -; default: a random one
	Endpoints []string          // to listen on, the one that clients should prefer first; see ClientConfig. "unix://p" is socket p and, on Linux, shared memory over p.shm
	Advertise []string          // what the registry is told instead of Endpoints, such as an address in front of a router
	Registry  registry.Registry // to be found by; default: none
	Weight    int               // share of the load compared with others; default 1
	Labels    map[string]string // told to the registry
	Host      string            // id of this machine; default: the system's, see registry.HostID

	Token  []byte          // shared secret of the cluster; clients need the same
	TLS    *tls.Config     // for tls endpoints, with a certificate
	InProc *inproc.Network // for inproc endpoints

	Interceptors       []ServerInterceptor       // around handlers, the first outermost
	StreamInterceptors []ServerStreamInterceptor // around handlers of streams, the first outermost
	Codec              Codec                     // of calls back to clients that name none; default Protobuf
	DrainTimeout       time.Duration             // that Serve waits for what is under way when its context ends; default 10 s

	Mux       mux.Config       // limits of each connection; Hello, Handler, Owner and Dialled are set by the server, Codecs are added to ours
	Transport transport.Config // limits of each connection's transport

	Log     *slog.Logger // default: none
	Metrics Metrics      // default: none
	Trace   Tracer       // default: none

	// OnConnect is called with each new connection; its calls may already be under way. OnDisconnect follows when it has ended, with the reason. Both may be called for
	// several connections at once; they must not close the server.
	OnConnect    func(*Peer)
	OnDisconnect func(*Peer, error) // default: nobody is told
}

func (c *ServerConfig) validate() error {
	if err := c.Mux.Check(); err != nil {
		return err
	}
	if c.ID == "" {
		c.ID = randomID("server")
	}
	if c.Host == "" {
		c.Host = registry.HostID()
	}
	if c.DrainTimeout == 0 {
		c.DrainTimeout = 10 * time.Second
	}
	if c.Codec == nil {
		c.Codec = Protobuf{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Mux.Codecs = codecs(c.Mux.Codecs, c.Codec)
	if len(c.Endpoints) == 0 {
		return errors.New(`rpc server: nowhere to listen: set Endpoints, such as "unix:///run/world.sock" or "tcp://:7000"`)
	}
	for _, e := range c.Endpoints {
		if _, err := parseEndpoint(e); err != nil {
			return err
		}
	}
	if c.DrainTimeout < 0 || c.Weight < 0 {
		return fmt.Errorf("rpc server: DrainTimeout %s and Weight %d must not be negative", c.DrainTimeout, c.Weight)
	}
	return nil
}

func randomID(kind string) string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return kind + "-" + hex.EncodeToString(b[:])
}
