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

	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
)

// ServerFile is what a server process can be told, in config/server.yaml, the environment or flags. The doc tags say what each key is for.
type ServerFile struct {
	Bots     int                `yaml:"bots" doc:"bot clients that will play: the world makes room for them"`
	Game     map[string]Setting `yaml:"game" doc:"the game's own settings: its flags by name, as in {walkers: 1000}"`
	Tables   string             `yaml:"tables" doc:"folder of the game's data tables, read again whenever it changes; empty: those that the game has by itself"`
	Record   string             `yaml:"record" doc:"folder in which every zone's inputs are recorded, for mmo replay; empty: nothing is recorded"`
	CatchUp  int                `yaml:"catch_up" doc:"ticks that a late zone makes in a row before it gives up the lost time"`
	Sessions SessionsFile       `yaml:"sessions" doc:"how many play, and what becomes of who loses the connection"`
	Services ServicesFile       `yaml:"services" doc:"the login service; off while services.listen is empty"`
	RPC      ServerRPC          `yaml:"rpc" doc:"how gateways reach this server"`
	Log      LogFile            `yaml:"log" doc:"what goes to standard error"`
}

// SessionsFile says how many play, and what becomes of who loses the connection.
type SessionsFile struct {
	Linger     time.Duration `yaml:"linger" doc:"how long a session waits for a client that lost its connection, with its avatar in the world; 0: not at all"`
	MaxPlayers int           `yaml:"max_players" doc:"players in the world at once; who comes later waits in the login queue; 0: no bound"`
	LoginRate  float64       `yaml:"login_rate" doc:"players per second that enter the world; the others wait; 0: no bound"`
	QueueGrace time.Duration `yaml:"queue_grace" doc:"how long who waits in the queue may be without a connection and keep the place; 0: not at all"`
}

// Validate finds what contradicts itself.
func (f *SessionsFile) Validate() error {
	switch {
	case f.Linger < 0 || f.QueueGrace < 0 || f.Linger > time.Hour || f.QueueGrace > time.Hour:
		return fmt.Errorf("linger %v and queue_grace %v: need 0 to 1h", f.Linger, f.QueueGrace)
	case f.MaxPlayers < 0 || f.LoginRate < 0 || f.LoginRate != f.LoginRate:
		return fmt.Errorf("max_players %d and login_rate %v: need 0 or more", f.MaxPlayers, f.LoginRate)
	}
	return nil
}

// orNever is how a server's config says what a file's 0 means.
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// Setting is a value that the game reads by itself, whatever it is.
type Setting string

// UnmarshalText takes any text.
func (s *Setting) UnmarshalText(b []byte) error {
	*s = Setting(b)
	return nil
}

// settings are the game's flags by name.
func settings(all map[string]Setting) map[string]string {
	flags := map[string]string{}
	for name, v := range all {
		flags[name] = string(v)
	}
	return flags
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

// LogFile says what is logged.
type LogFile struct {
	Level  string `yaml:"level" doc:"debug, info, warn or error"`
	Format string `yaml:"format" doc:"text, json, or auto: text on a terminal, json otherwise"`
}

// DefaultServerFile is the configuration of a server that is told nothing.
func DefaultServerFile() ServerFile {
	return ServerFile{
		CatchUp: 5, Sessions: SessionsFile{Linger: time.Minute, QueueGrace: 2 * time.Minute}, RPC: ServerRPC{Listen: []string{autoEndpoint}}, Log: LogFile{Level: "info", Format: "auto"},
		Services: ServicesFile{Realm: devRealm, Gateways: []string{}, Origins: []string{}, Trusted: []AddressRange{}},
	}
}

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
