package tianxia

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/config"
	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// GatewayTLS names the files of a gateway's certificates towards its server.
type GatewayTLS struct {
	Cert string `yaml:"cert" doc:"file with the gateway's own certificate, PEM, for a server that asks for one"`
	Key  string `yaml:"key" doc:"file with the certificate's key, PEM"`
	CA   string `yaml:"ca" doc:"file with the certificates that the server's must be signed by, PEM; empty: the authorities that the system trusts"`
	Name string `yaml:"name" doc:"name in the server's certificate; empty: the host of the endpoint"`
}

// GatewayFile is what a gateway process can be told, in config/gateway.yaml, the environment or flags. The doc tags say what each key is for.
type GatewayFile struct {
	Listen  string        `yaml:"listen" doc:"host:port for clients, the page and the health checks /healthz and /readyz"`
	TCP     string        `yaml:"tcp" doc:"host:port for clients over TCP without WebSocket; empty: none"`
	Plain   string        `yaml:"plain" doc:"DEVELOPMENT: host:port for tools that speak JSON over a WebSocket without encryption; empty: none"`
	Page    bool          `yaml:"page" doc:"serve the demo page at /"`
	Origins []string      `yaml:"origins" doc:"web origins whose pages may connect, besides the gateway's own, as in https://play.example; \"*\": all"`
	Proxies ProxiesFile   `yaml:"proxies" doc:"what stands between the clients and the gateway, and is believed when it says who they are"`
	Drain   time.Duration `yaml:"drain" doc:"when told to stop: time in which clients are asked to go on at another gateway, before those that stayed are sent away; a second signal ends it at once; 0: none"`
	Realm   string        `yaml:"realm" doc:"name of this set of gateways: clients say it in the handshake, and a login service's tokens are for it"`
	Keys    string        `yaml:"keys" doc:"file with the keyring that mmo keys made, read again when it changes; empty: development keys, which the gateways of this host share"`
	Login   LoginFile     `yaml:"login" doc:"who may play"`
	Limits  GatewayLimits `yaml:"limits" doc:"what one gateway, and one client, may use"`
	RPC     GatewayRPC    `yaml:"rpc" doc:"how the gateway reaches its server"`
	Log     LogFile       `yaml:"log" doc:"what goes to standard error"`
}

// ProxiesFile says who is believed about where clients are: without it, all that come through a proxy have its address, and share the limits of one.
type ProxiesFile struct {
	Addresses []AddressRange `yaml:"addresses" doc:"of proxies and load balancers, as in 10.0.0.0/8: what they say in X-Forwarded-For counts"`
	Protocol  bool           `yaml:"protocol" doc:"they open each connection with the PROXY protocol (version 1 or 2), at listen and at tcp; X-Forwarded-For then counts nothing"`
}

// LoginFile says who may play: those whom a login service gives a token, or, without one, anybody.
type LoginFile struct {
	JWKS   string   `yaml:"jwks" doc:"address of the login service's public keys, as in https://login.example/v1/jwks.json; empty: the development login"`
	Issuer string   `yaml:"issuer" doc:"the iss of the login service's tokens"`
	Public bool     `yaml:"public" doc:"allow the development login, which asks nobody who they are, on addresses that others can reach"`
	Rights []string `yaml:"rights" doc:"of every player that the development login lets in"`
}

// GatewayLimits bounds what clients use.
type GatewayLimits struct {
	Connections int           `yaml:"connections" doc:"open at once; beyond, clients are answered with 503"`
	Handshake   time.Duration `yaml:"handshake" doc:"time from the connection to the client's handshake"`
	Login       time.Duration `yaml:"login" doc:"time from there to an accepted login"`
	Idle        time.Duration `yaml:"idle" doc:"silence after which a connection is closed"`
	Queue       config.Bytes  `yaml:"queue" doc:"bytes waiting for one client, beyond which it is too slow; at least 64 KiB"`
	QueueAge    time.Duration `yaml:"queue_age" doc:"age of the message that has waited longest for one client, at which it is too slow; at least 1s"`
	FrameRate   int           `yaml:"frame_rate" doc:"frames per second that one client may send for long; one that goes on sending more is warned, then sent away"`
	FrameBurst  int           `yaml:"frame_burst" doc:"frames that one client may send at once"`
	ByteRate    config.Bytes  `yaml:"byte_rate" doc:"bytes of messages per second that one client may send for long"`
	ByteBurst   config.Bytes  `yaml:"byte_burst" doc:"bytes of messages that one client may send at once"`
	JSONRate    int           `yaml:"json_rate" doc:"messages in JSON per second that one client may send for long; they count as frames too"`
	JSONBurst   int           `yaml:"json_burst" doc:"messages in JSON that one client may send at once"`
	Addresses   AddressLimits `yaml:"addresses" doc:"what may come from one address: an IPv4 address, or the first 64 bits of an IPv6 one; this machine's own are not bounded"`
}

// AddressLimits bounds what comes from one client address; many players may share one.
type AddressLimits struct {
	Rate    float64        `yaml:"rate" doc:"connections per second that one address may open for long"`
	Burst   int            `yaml:"burst" doc:"connections that one address may open at once"`
	Opening int            `yaml:"opening" doc:"connections of one address that have not finished their handshake"`
	Open    int            `yaml:"open" doc:"connections of one address"`
	Hold    time.Duration  `yaml:"hold" doc:"time for which an address is refused after a client of it was sent away for flooding"`
	Exempt  []AddressRange `yaml:"exempt" doc:"addresses that are not bounded, as in 192.0.2.0/24"`
}

// AddressRange is a range of addresses: 10.0.0.0/8, or 10.0.0.7 for that one alone.
type AddressRange struct{ netip.Prefix }

// UnmarshalText reads a range.
func (r *AddressRange) UnmarshalText(b []byte) error {
	if a, err := netip.ParseAddr(string(b)); err == nil {
		a = a.Unmap().WithZone("")
		r.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	p, err := netip.ParsePrefix(string(b))
	switch {
	case err != nil:
		return errors.New("no address and no range of addresses: write 10.0.0.7, 10.0.0.0/8 or 2001:db8::/32")
	case p.Masked() != p:
		return fmt.Errorf("%v has bits behind its %d: write %v", p, p.Bits(), p.Masked())
	}
	r.Prefix = p
	return nil
}

func prefixes(list []AddressRange) (out []netip.Prefix) {
	for _, r := range list {
		out = append(out, r.Prefix)
	}
	return out
}

// GatewayRPC is how a gateway reaches its server.
type GatewayRPC struct {
	Server   string     `yaml:"server" doc:"endpoint of a server on another host, as in tls://10.0.0.7:7000; empty: found in the registry"`
	Insecure bool       `yaml:"insecure" doc:"allow a server at tcp:// on another host: whoever is on the way, reads and writes everything"`
	Registry string     `yaml:"registry" doc:"directory in which the processes of this host find each other; empty: the user's own"`
	Token    string     `yaml:"token" secret:"true" doc:"shared secret of the cluster, the same as the server's"`
	TLS      GatewayTLS `yaml:"tls" doc:"certificates for a server at tls://"`
}

// DefaultGatewayFile is the configuration of a gateway that is told nothing.
func DefaultGatewayFile() GatewayFile {
	return GatewayFile{
		Listen: "127.0.0.1:8080", Page: true, Origins: []string{}, Proxies: ProxiesFile{Addresses: []AddressRange{}}, Drain: 10 * time.Second,
		Realm: devRealm, Login: LoginFile{Rights: []string{"spectate"}}, Log: LogFile{Level: "info", Format: "auto"},
		Limits: GatewayLimits{
			Connections: 20_000, Handshake: 5 * time.Second, Login: 10 * time.Second, Idle: 30 * time.Second, Queue: 256 << 10, QueueAge: 5 * time.Second,
			FrameRate: 200, FrameBurst: 400, ByteRate: 64 << 10, ByteBurst: 128 << 10, JSONRate: 50, JSONBurst: 100,
			Addresses: AddressLimits{Rate: 50, Burst: 300, Opening: 200, Open: 1000, Hold: 10 * time.Second, Exempt: []AddressRange{}},
		},
	}
}

// minQueue is the least that may wait for one client: the largest record.
const minQueue config.Bytes = 64 << 10

// maxDrain bounds a drain: whoever stops a process waits for it.
const maxDrain = time.Hour

// Validate finds what contradicts itself.
func (f *GatewayFile) Validate() error {
	open := f.Login.JWKS == "" && !f.Login.Public // the development login, for this machine alone
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	taken := map[string]string{}
	for _, l := range []struct{ key, addr string }{{"listen", f.Listen}, {"tcp", f.TCP}, {"plain", f.Plain}} {
		if l.addr == "" && l.key != "listen" {
			continue
		}
		switch err := hostPort(l.addr); {
		case err != nil:
			wrong("%s: %q: %w", l.key, l.addr, err)
		case taken[l.addr] != "" && !anyPort(l.addr):
			wrong("%s: %s is taken by %s: each needs a port of its own", l.key, l.addr, taken[l.addr])
		case loopback(l.addr):
		case l.key == "plain" && !f.Login.Public:
			wrong("plain: %s can be reached by others, and everything said there is in the clear: listen on 127.0.0.1, or set login.public to true to play on a network that you trust", l.addr)
		case open:
			wrong("%s: %s can be reached by others, and the development login lets anybody in as anybody: listen on 127.0.0.1, or set login.public to true to play on a network that you trust", l.key, l.addr)
		}
		taken[l.addr] = l.key
	}
	if f.Realm == "" || len(f.Realm) > 255 {
		wrong("realm: %q: need 1 to 255 bytes", f.Realm)
	}
	if f.Login.JWKS != "" && f.Keys == "" {
		wrong("keys: a gateway that takes the tokens of a login service needs keys that its clients pin: make them with \"mmo keys new-root\" and \"mmo keys issue\"")
	}
	if f.Drain < 0 || f.Drain > maxDrain {
		wrong("drain: %v: need 0 to %v", f.Drain, maxDrain)
	}
	return errors.Join(append(errs, checkOrigins(f.Origins)...)...)
}

// anyPort tells whether the system chooses the port.
func anyPort(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	return err == nil && port == "0"
}

// checkOrigins judges the web origins of pages; "*" stands for all.
func checkOrigins(list []string) (errs []error) {
	for i, origin := range list {
		if u, err := url.Parse(origin); origin != "*" && (err != nil || u.Scheme == "" || u.Host == "" || origin != u.Scheme+"://"+u.Host) {
			errs = append(errs, fmt.Errorf("origins[%d]: %q: write scheme and host alone, as browsers send it: https://play.example", i, origin))
		}
	}
	return errs
}

// Validate finds what contradicts itself.
func (p *ProxiesFile) Validate() error {
	if p.Protocol && len(p.Addresses) == 0 {
		return errors.New("protocol: whom to believe is not said, and anybody could pretend to be anywhere: name the load balancers in addresses")
	}
	return nil
}

// Validate finds what contradicts itself.
func (l *LoginFile) Validate() error {
	switch {
	case (l.JWKS == "") != (l.Issuer == ""):
		return errors.New("jwks and issuer come together or not at all")
	case l.JWKS != "" && l.Public:
		return errors.New("public: it is about the development login, and jwks turns that off: take one of them out")
	case l.JWKS != "":
		if u, err := url.Parse(l.JWKS); err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(net.JoinHostPort(u.Hostname(), "0"))) {
			return fmt.Errorf("jwks: %q: write https://host/v1/jwks.json; http is for a service of this machine alone, because who is on the way could let anybody in", l.JWKS)
		}
	}
	if len(l.Rights) > security.MaxTokenRights {
		return fmt.Errorf("rights: %d, a token holds at most %d", len(l.Rights), security.MaxTokenRights)
	}
	for _, r := range l.Rights {
		if r == "" || len(r) > security.MaxTokenRight {
			return fmt.Errorf("rights: %q: need 1 to %d bytes", r, security.MaxTokenRight)
		}
	}
	return nil
}

// maxCount bounds what is counted, per second or at once.
const maxCount = math.MaxInt32

// Validate finds what contradicts itself.
func (l *GatewayLimits) Validate() error {
	var errs []error
	for _, v := range []struct {
		key string
		n   int64
	}{
		{"connections", int64(l.Connections)}, {"handshake", int64(l.Handshake)}, {"login", int64(l.Login)}, {"idle", int64(l.Idle / time.Millisecond)}, {"queue", int64(l.Queue)},
	} {
		if v.n < 1 {
			errs = append(errs, fmt.Errorf("%s: must be positive", v.key))
		}
	}
	for _, v := range []struct {
		key string
		n   int64
	}{
		{"frame_rate", int64(l.FrameRate)}, {"frame_burst", int64(l.FrameBurst)}, {"byte_rate", int64(l.ByteRate)}, {"byte_burst", int64(l.ByteBurst)},
		{"json_rate", int64(l.JSONRate)}, {"json_burst", int64(l.JSONBurst)},
	} {
		if v.n < 1 || v.n > maxCount {
			errs = append(errs, fmt.Errorf("%s: %d: must be positive, and at most %d", v.key, v.n, maxCount))
		}
	}
	if l.Queue > 0 && l.Queue < minQueue {
		errs = append(errs, fmt.Errorf("queue: %v, need at least %v: a client that comes to a crowd is sent as much at once", l.Queue, minQueue))
	}
	if l.QueueAge < time.Second {
		errs = append(errs, fmt.Errorf("queue_age: %v, need at least 1s: it is looked at once a second", l.QueueAge))
	}
	return errors.Join(errs...)
}

// Validate finds what contradicts itself.
func (a *AddressLimits) Validate() error {
	var errs []error
	if !(a.Rate > 0 && a.Rate <= 1e6) {
		errs = append(errs, fmt.Errorf("rate: %v: must be positive, and at most 1000000 connections per second", a.Rate))
	}
	for _, v := range []struct {
		key string
		n   int
	}{{"burst", a.Burst}, {"opening", a.Opening}, {"open", a.Open}} {
		if v.n < 1 || v.n > maxCount {
			errs = append(errs, fmt.Errorf("%s: %d: must be positive, and at most %d", v.key, v.n, maxCount))
		}
	}
	if a.Hold <= 0 {
		errs = append(errs, fmt.Errorf("hold: %v: must be positive; 1ms is as good as none", a.Hold))
	}
	return errors.Join(errs...)
}

// Validate finds what contradicts itself.
func (r *GatewayRPC) Validate() error {
	err := pair(r.TLS.Cert, r.TLS.Key)
	if r.Server == "" { // what is found in the registry may be at tls:// too
		return err
	}
	scheme, addr, wrong := registry.ParseEndpoint(r.Server)
	switch {
	case wrong != nil:
		return errors.Join(err, fmt.Errorf("server: %w", wrong))
	case scheme == "inproc":
		return errors.Join(err, fmt.Errorf("server: %s is inside a process, and the server is another one: write tls://host:port, or leave the key out for one of this host", r.Server))
	case scheme == "tcp" && !r.Insecure && !loopback(addr):
		return errors.Join(err, fmt.Errorf("server: %s is in the clear for everybody on the way: use tls://, or say insecure: true if you mean it", r.Server))
	case scheme != "tls":
		t := &r.TLS
		return errors.Join(err, unused("name a server at tls://host:port, or take it out", [][2]string{{"cert", t.Cert}, {"key", t.Key}, {"ca", t.CA}, {"name", t.Name}}))
	}
	return err
}

// gateway is the part of the file that the package gateway knows.
func (f *GatewayFile) gateway(log *slog.Logger) gateway.Config {
	l, a := &f.Limits, &f.Limits.Addresses
	cfg := gateway.Config{
		MaxConnections: l.Connections, HandshakeTimeout: l.Handshake, LoginTimeout: l.Login, QueueBytes: int(l.Queue), QueueAge: l.QueueAge, FrameRate: l.FrameRate, FrameBurst: l.FrameBurst,
		Limits: gateway.Limits{
			ByteRate: int(l.ByteRate), ByteBurst: int(l.ByteBurst), JSONRate: l.JSONRate, JSONBurst: l.JSONBurst,
			Addresses: gateway.AddressLimits{Handshakes: a.Rate, Burst: a.Burst, HalfOpen: a.Opening, Open: a.Open, Hold: a.Hold, Exempt: prefixes(a.Exempt)},
		},
		Network:  network.Config{Origins: f.Origins},
		Security: security.ServerConfig{IdleTimeout: l.Idle}, Log: log,
	}
	if slices.Contains(f.Origins, "*") { // a page gets nowhere without a token, and there are no cookies that it could abuse
		cfg.Network.CheckOrigin = func(*http.Request) bool { return true }
	}
	if !f.Proxies.Protocol {
		cfg.Network.Trusted = prefixes(f.Proxies.Addresses)
	}
	return cfg
}
