package tianxia

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/config"
	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// ServerFile is what a server process can be told, in config/server.yaml, the environment or flags. The doc tags say what each key is for.
type ServerFile struct {
	Bots    int                `yaml:"bots" doc:"bot clients that will play: the world makes room for them"`
	Game    map[string]Setting `yaml:"game" doc:"the game's own settings: its flags by name, as in {walkers: 1000}"`
	CatchUp int                `yaml:"catch_up" doc:"ticks that a late zone makes in a row before it gives up the lost time"`
	RPC     ServerRPC          `yaml:"rpc" doc:"how gateways reach this server"`
	Log     LogFile            `yaml:"log" doc:"what goes to standard error"`
}

// Setting is a value that the game reads by itself, whatever it is.
type Setting string

// UnmarshalText takes any text.
func (s *Setting) UnmarshalText(b []byte) error {
	*s = Setting(b)
	return nil
}

// ServerRPC is how gateways reach a server.
type ServerRPC struct {
	Listen   []string  `yaml:"listen" doc:"endpoints: auto is a socket in the registry's directory, with shared memory on Linux; tls://host:port is for gateways on other hosts, tcp://host:port for tests"`
	Insecure bool      `yaml:"insecure" doc:"allow tcp:// on addresses of the network: whoever reaches it, reads and writes everything"`
	Registry string    `yaml:"registry" doc:"directory in which the processes of this host find each other; empty: the user's own"`
	Also     bool      `yaml:"also" doc:"start beside another server of the same registry: each gateway takes one of them, so that the players are split between two worlds"`
	Token    string    `yaml:"token" secret:"true" doc:"shared secret of the cluster; gateways must have the same"`
	TLS      ServerTLS `yaml:"tls" doc:"certificates for tls:// endpoints"`
}

// ServerTLS names the files of a server's certificates.
type ServerTLS struct {
	Cert string `yaml:"cert" doc:"file with the server's certificate, PEM"`
	Key  string `yaml:"key" doc:"file with the certificate's key, PEM"`
	CA   string `yaml:"ca" doc:"file with the certificates that a gateway's must be signed by, PEM; with it, nobody gets in without a certificate"`
}

// GatewayTLS names the files of a gateway's certificates towards its server.
type GatewayTLS struct {
	Cert string `yaml:"cert" doc:"file with the gateway's own certificate, PEM, for a server that asks for one"`
	Key  string `yaml:"key" doc:"file with the certificate's key, PEM"`
	CA   string `yaml:"ca" doc:"file with the certificates that the server's must be signed by, PEM; empty: the authorities that the system trusts"`
	Name string `yaml:"name" doc:"name in the server's certificate; empty: the host of the endpoint"`
}

// LogFile says what is logged.
type LogFile struct {
	Level  string `yaml:"level" doc:"debug, info, warn or error"`
	Format string `yaml:"format" doc:"text, json, or auto: text on a terminal, json otherwise"`
}

// GatewayFile is what a gateway process can be told, in config/gateway.yaml, the environment or flags. The doc tags say what each key is for.
type GatewayFile struct {
	Listen string        `yaml:"listen" doc:"host:port for clients, the page and the health checks /healthz and /readyz"`
	Page   bool          `yaml:"page" doc:"serve the demo page at /"`
	Login  LoginFile     `yaml:"login" doc:"who may play"`
	Limits GatewayLimits `yaml:"limits" doc:"what one gateway, and one client, may use"`
	RPC    GatewayRPC    `yaml:"rpc" doc:"how the gateway reaches its server"`
	Log    LogFile       `yaml:"log" doc:"what goes to standard error"`
}

// LoginFile says who may play. There is only the development login yet.
type LoginFile struct {
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
	FrameRate   int           `yaml:"frame_rate" doc:"frames per second that one client may send for long"`
	FrameBurst  int           `yaml:"frame_burst" doc:"frames that one client may send at once"`
}

// GatewayRPC is how a gateway reaches its server.
type GatewayRPC struct {
	Server   string     `yaml:"server" doc:"endpoint of a server on another host, as in tls://10.0.0.7:7000; empty: found in the registry"`
	Insecure bool       `yaml:"insecure" doc:"allow a server at tcp:// on another host: whoever is on the way, reads and writes everything"`
	Registry string     `yaml:"registry" doc:"directory in which the processes of this host find each other; empty: the user's own"`
	Token    string     `yaml:"token" secret:"true" doc:"shared secret of the cluster, the same as the server's"`
	TLS      GatewayTLS `yaml:"tls" doc:"certificates for a server at tls://"`
}

// DefaultServerFile is the configuration of a server that is told nothing.
func DefaultServerFile() ServerFile {
	return ServerFile{CatchUp: 5, RPC: ServerRPC{Listen: []string{autoEndpoint}}, Log: LogFile{Level: "info", Format: "auto"}}
}

// DefaultGatewayFile is the configuration of a gateway that is told nothing.
func DefaultGatewayFile() GatewayFile {
	return GatewayFile{
		Listen: "127.0.0.1:8080", Page: true, Login: LoginFile{Rights: []string{"spectate"}}, Log: LogFile{Level: "info", Format: "auto"},
		Limits: GatewayLimits{Connections: 20_000, Handshake: 5 * time.Second, Login: 10 * time.Second, Idle: 30 * time.Second, Queue: 256 << 10, FrameRate: 200, FrameBurst: 400},
	}
}

// minQueue is the least that may wait for one client: the largest record.
const minQueue config.Bytes = 64 << 10

// autoEndpoint stands for a socket in the registry's directory.
const autoEndpoint = "auto"

// Validate finds what contradicts itself.
func (f *ServerFile) Validate() error {
	switch {
	case f.Bots < 0:
		return fmt.Errorf("bots: %d; need 0 or more", f.Bots)
	case f.CatchUp < 1:
		return fmt.Errorf("catch_up: %d; need at least 1 tick", f.CatchUp)
	}
	return nil
}

// Validate finds what contradicts itself.
func (r *ServerRPC) Validate() error {
	if len(r.Listen) == 0 {
		return errors.New("listen: no endpoint, so no gateway could come; leave the key out, or name auto or tls://host:port")
	}
	if len(r.Listen) > registry.MaxEndpoints {
		return fmt.Errorf("listen: %d endpoints, at most %d; one for each network will do", len(r.Listen), registry.MaxEndpoints)
	}
	encrypted := false
	var errs []error
	for n, e := range r.Listen {
		wrong := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("listen[%d]: "+format, append([]any{n}, args...)...))
		}
		scheme, addr, ok := strings.Cut(e, "://")
		encrypted = encrypted || scheme == "tls"
		switch {
		case slices.Contains(r.Listen[:n], e):
			wrong("%s is there twice; name it once", e)
		case e == autoEndpoint:
		case !ok || addr == "" || len(e) > registry.MaxEndpoint || !slices.Contains([]string{"unix", "shm", "uds", "tcp", "tls"}, scheme):
			wrong("%q is no endpoint: write auto, tls://host:port, tcp://host:port or unix:///path", e)
		case scheme != "tls" && scheme != "tcp":
		case hostPort(addr) != nil:
			wrong("%s: %w", e, hostPort(addr))
		case scheme == "tls" && (r.TLS.Cert == "" || r.TLS.Key == ""):
			wrong("%s needs tls.cert and tls.key", e)
		case scheme == "tls" && r.TLS.CA == "" && r.Token == "":
			wrong("%s would let anybody in: set tls.ca, so that gateways need a certificate, or token", e)
		case scheme == "tcp" && !r.Insecure && !loopback(addr):
			wrong("%s is in the clear for everybody on the network: use tls://, or say insecure: true if you mean it", e)
		}
	}
	errs = append(errs, pair(r.TLS.Cert, r.TLS.Key))
	if !encrypted {
		errs = append(errs, unused("listen on tls://host:port, or take it out", [][2]string{{"cert", r.TLS.Cert}, {"key", r.TLS.Key}, {"ca", r.TLS.CA}}))
	}
	return errors.Join(errs...)
}

// unused refuses keys of the section tls that no endpoint would look at: whoever set them believes that something is encrypted.
func unused(fix string, keys [][2]string) error {
	for _, k := range keys {
		if k[1] != "" {
			return fmt.Errorf("tls.%s: no endpoint uses it, so nothing would be encrypted; %s", k[0], fix)
		}
	}
	return nil
}

// hostPort judges the address of a listener: host, which may be empty for all addresses, and a port number.
func hostPort(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return errors.New("want host:port, as in 127.0.0.1:8080, with an IPv6 address in brackets")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("the port %q is no number from 0 to 65535, where 0 takes any", port)
	}
	return nil
}

// Validate finds what contradicts itself.
func (f *GatewayFile) Validate() error {
	if err := hostPort(f.Listen); err != nil {
		return fmt.Errorf("listen: %q: %w", f.Listen, err)
	}
	if !f.Login.Public && !loopback(f.Listen) {
		return fmt.Errorf("listen: %s can be reached by others, and the development login lets anybody in as anybody: listen on 127.0.0.1, or set login.public to true to play on a network that you trust", f.Listen)
	}
	return nil
}

// Validate finds what contradicts itself.
func (l *LoginFile) Validate() error {
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

// Validate finds what contradicts itself.
func (l *GatewayLimits) Validate() error {
	for _, v := range []struct {
		key string
		n   int64
	}{
		{"connections", int64(l.Connections)}, {"handshake", int64(l.Handshake)}, {"login", int64(l.Login)}, {"idle", int64(l.Idle / time.Millisecond)}, {"queue", int64(l.Queue)},
		{"frame_rate", int64(l.FrameRate)}, {"frame_burst", int64(l.FrameBurst)},
	} {
		if v.n < 1 {
			return fmt.Errorf("%s: must be positive", v.key)
		}
	}
	if l.Queue < minQueue {
		return fmt.Errorf("queue: %v, need at least %v: a client that comes to a crowd is sent as much at once", l.Queue, minQueue)
	}
	return nil
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

func pair(cert, key string) error {
	if (cert == "") != (key == "") {
		return errors.New("tls: cert and key come together or not at all")
	}
	return nil
}

// Validate finds what contradicts itself.
func (l *LogFile) Validate() error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return fmt.Errorf("level: %q; write debug, info, warn or error", l.Level)
	}
	if !slices.Contains([]string{"auto", "text", "json"}, l.Format) {
		return fmt.Errorf("format: %q; write auto, text or json", l.Format)
	}
	return nil
}

// logger writes to w what the file lets through.
func (l *LogFile) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.Level)) // Validate has seen it
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "json" || l.Format == "auto" && !isTerminal(w) {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// gateway is the part of the file that the package gateway knows.
func (f *GatewayFile) gateway(log *slog.Logger) gateway.Config {
	l := &f.Limits
	return gateway.Config{
		MaxConnections: l.Connections, HandshakeTimeout: l.Handshake, LoginTimeout: l.Login, QueueBytes: int(l.Queue), FrameRate: l.FrameRate, FrameBurst: l.FrameBurst,
		Security: security.ServerConfig{IdleTimeout: l.Idle}, Log: log,
	}
}

// loopback tells whether an address can be reached from this machine alone.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// directory is the registry's folder.
func directory(set string) (string, error) {
	if set != "" {
		return set, nil
	}
	return registry.DefaultDirectory()
}
