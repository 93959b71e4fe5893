package tianxia

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
	"github.com/tianxia-mmo/tianxia/server"
)

// presence is a server's place in a registry. There is one server to a registry, unless it says rpc.also: every gateway takes one server, whichever it finds, so that a second one
// would split the players between two worlds without a word. The rule holds by the id: all servers that are meant to be alone have the same, and the registry lets one of them in.
type presence struct {
	*registry.Directory
	dir        string
	also       bool
	registered chan struct{} // closed when gateways can find the server
}

// aloneID is the id of a server that is meant to be the only one.
const aloneID = "server-1"

// maxSockets is how many servers of one directory can have a socket of their own.
const maxSockets = 64

// letGo is how long a server that runs already may take to go: it may be ending, or be dead and not known to be for a moment.
const letGo = 500 * time.Millisecond

// openPresence opens the registry's directory and looks whether there is room for a server.
func openPresence(ctx context.Context, f *ServerRPC, log *slog.Logger) (*presence, error) {
	dir, err := directory(f.Registry)
	if err != nil {
		return nil, fmt.Errorf("rpc.registry: %w", err)
	}
	p := &presence{dir: dir, also: f.Also, registered: make(chan struct{})}
	if p.Directory, err = registry.OpenDirectory(dir, registry.DirectoryConfig{Log: log}); err != nil {
		return nil, fmt.Errorf("rpc.registry: %w", err)
	}
	if p.also {
		return p, nil
	}
	if err := p.alone(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// alone returns an error that names the servers that run already, once they had the time to go.
func (p *presence) alone(ctx context.Context) error {
	w, err := p.Watch(ctx, link.Service)
	if err != nil {
		return fmt.Errorf("rpc.registry: %w", err)
	}
	defer w.Close()
	waiting, cancel := context.WithTimeout(ctx, letGo)
	defer cancel()
	var others []registry.Instance
	for {
		list, err := w.Next(waiting)
		switch {
		case err == nil && len(list) == 0:
			return nil
		case err == nil:
			others = list
		case len(others) > 0 && ctx.Err() == nil && waiting.Err() != nil:
			return p.taken(others)
		default:
			return fmt.Errorf("rpc.registry: %w", err)
		}
	}
}

// taken says who is there, and what to do.
func (p *presence) taken(others []registry.Instance) error {
	var names []string
	for _, o := range others {
		name := o.ID
		if pid := o.Labels[labelProcess]; pid != "" {
			name += " (process " + pid + ")"
		}
		names = append(names, name)
	}
	who := strings.Join(names, ", ")
	if who == "" { // it came between two looks
		who = aloneID
	}
	return fmt.Errorf("a world server runs already in %s: %s; a second one would split the players between two worlds: stop it, or give this one another -rpc.registry; -rpc.also if two worlds are wanted", p.dir, who)
}

// labelProcess is the label of an instance that holds its process id.
const labelProcess = "process"

// Register is what the rpc server calls when it accepts connections.
func (p *presence) Register(ctx context.Context, i registry.Instance) (registry.Registration, error) {
	r, err := p.Directory.Register(ctx, i)
	if errors.Is(err, registry.ErrTaken) && !p.also { // another was faster than we from looking to here
		if err := p.alone(ctx); err != nil {
			return nil, err
		}
		r, err = p.Directory.Register(ctx, i) // and has gone since
	}
	if err == nil {
		close(p.registered)
	}
	return r, err
}

// listen offers the server's links where the file says, and returns with everything bound. The caller serves and closes what it gets.
func (p *presence) listen(f *ServerRPC, s *server.Server, log *slog.Logger) (*rpc.Server, error) {
	keys, err := f.TLS.config()
	if err != nil {
		return nil, fmt.Errorf("rpc.tls: %w", err)
	}
	cfg := rpc.ServerConfig{Registry: p, Token: []byte(f.Token), TLS: keys, Log: log, Labels: map[string]string{labelProcess: strconv.Itoa(os.Getpid())}}
	for slot := 1; ; slot++ { // the first socket that no living server has
		socket := filepath.Join(p.dir, "server-"+strconv.Itoa(slot)+".sock")
		cfg.Endpoints = slices.Clone(f.Listen)
		auto := slices.Index(f.Listen, autoEndpoint)
		more := auto >= 0 && p.also && slot < maxSockets
		if auto >= 0 {
			if more && answers(socket) {
				continue
			}
			cfg.ID, cfg.Endpoints[auto] = "server-"+strconv.Itoa(slot), "unix://"+filepath.ToSlash(socket)
		} else if !p.also {
			cfg.ID = aloneID
		}
		srv, err := rpc.NewServer(cfg)
		if err == nil {
			link.Register(srv, s.Join, link.Config{Log: log, Tickets: s})
			if err = srv.Listen(); err == nil {
				return srv, nil
			}
			_ = srv.Close()
		}
		if more && answers(socket) { // another server was faster
			continue
		}
		if auto >= 0 && !p.also && answers(socket) {
			return nil, p.taken(nil)
		}
		return nil, fmt.Errorf("rpc.listen: %w", err)
	}
}
