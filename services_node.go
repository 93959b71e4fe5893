package tianxia

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/security"
	"github.com/tianxia-mmo/tianxia/pkg/services"
	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
	"github.com/tianxia-mmo/tianxia/server"
)

// loginNode is the login service of a server process, on listeners of its own.
type loginNode struct {
	services           *services.Services
	players, operators net.Listener // operators is nil if there is no interface for them
	tls                *tls.Config  // nil: in the clear, on loopback alone
	file               *keyFile
	ring               atomic.Pointer[security.Keyring]
	log                *slog.Logger
}

const (
	loginConnections = 4096            // at once, on each of the two listeners
	loginStop        = 2 * time.Second // for requests under way when the service stops
	loginPath        = "/v1/"
	adminPath        = "/v1/admin/"
)

// openLogin makes a login service that listens and is otherwise at rest; nil: it is off. Kicks and bans reach the server.
func openLogin(f *ServicesFile, zone *server.Server, log *slog.Logger) (*loginNode, error) {
	if f.Listen == "" {
		return nil, nil
	}
	n := &loginNode{log: log}
	fail := func(key string, err error) (*loginNode, error) {
		return nil, errors.Join(fmt.Errorf("services.%s: %w", key, err), n.Close())
	}
	file, ring, err := openKeyFile(f.Keyring, keysSettle)
	if err != nil {
		return fail("keyring", err)
	}
	signer, jwks, err := openSigner(f.Signer, f.Issuer, f.Realm, log)
	if err != nil {
		return fail("signer", err)
	}
	n.file = file
	n.ring.Store(&ring)
	if f.TLS.Cert != "" {
		if n.tls, _, err = loadTLS(f.TLS.Cert, f.TLS.Key, ""); err != nil {
			return fail("tls", err)
		}
		n.tls.MinVersion = tls.VersionTLS12 // browsers and engines of players, not our own processes
	}
	n.services, err = services.New(services.Config{
		Accounts: accounts.Config{MaxCharacters: f.MaxCharacters, Issuer: signer, Revoker: zone},
		Keys: func() services.Keys {
			k := keysOf(*n.ring.Load(), f.Realm, f.Gateways)
			k.Schema = zone.Schema()
			return k
		},
		JWKS:       func() *security.JWKS { return jwks },
		Admin:      services.AdminConfig{Enabled: f.Admin.Listen != "", Secret: f.Admin.Secret},
		Origins:    f.Origins,
		Trusted:    prefixes(f.Trusted),
		AllowPlain: true, // the listeners see to that: without TLS they are on loopback, as the file's Validate says
		Log:        log,
	})
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	if n.players, _, err = listen(f.Listen, 1); err != nil {
		return fail("listen", err)
	}
	if f.Admin.Listen != "" {
		if n.operators, _, err = listen(f.Admin.Listen, 1); err != nil {
			return fail("admin.listen", err)
		}
	}
	return n, nil
}

// keysOf is what is public of a keyring.
func keysOf(ring security.Keyring, realm string, gateways []string) services.Keys {
	k := services.Keys{Realm: realm, Root: ring.Root, Current: ring.Current.Cert(), Gateways: gateways}
	if !ring.Previous.IsZero() {
		k.Previous = ring.Previous.Cert()
	}
	return k
}

// Close ends the listeners. It may be called twice.
func (n *loginNode) Close() error {
	if n == nil {
		return nil
	}
	var errs []error
	for _, ln := range []net.Listener{n.players, n.operators} {
		if ln == nil {
			continue
		}
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// serve answers until ctx ends or a listener fails; everything has stopped when it returns. Without a service it waits for ctx.
func (n *loginNode) serve(ctx context.Context) error {
	if n == nil {
		<-ctx.Done()
		return nil
	}
	players, operators := http.NewServeMux(), http.NewServeMux()
	players.Handle(loginPath, n.services.Handler())
	operators.Handle(adminPath, n.services.Admin())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 2)
	var wg sync.WaitGroup
	wg.Go(func() { _ = n.services.Run(ctx) }) // its error is ctx's
	wg.Go(func() {
		n.file.watch(ctx, n.log, func(ring security.Keyring) error { n.ring.Store(&ring); return nil })
	})
	for _, l := range []struct {
		ln net.Listener
		h  http.Handler
	}{{n.players, players}, {n.operators, operators}} {
		if l.ln == nil {
			continue
		}
		s := newHTTPServer(l.h, loginConnections, n.log)
		s.TLSConfig = n.tls.Clone() // a server changes its own
		stopped := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(stopped)
			grace, done := context.WithTimeout(context.Background(), loginStop)
			defer done()
			if s.Shutdown(grace) != nil {
				_ = s.Close()
			}
		})
		wg.Go(func() {
			if err := s.serve(l.ln); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
				cancel()
			}
			if !stop() {
				<-stopped
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return fmt.Errorf("login service: %w", err)
	default:
		return nil
	}
}

// announce says where the service is.
func (n *loginNode) announce(w io.Writer) {
	if n == nil {
		return
	}
	scheme := "https"
	if n.tls == nil {
		scheme = "http"
	}
	fmt.Fprintf(w, "  login      %s://%s%s   (accounts are kept in memory: they end with this process)\n", scheme, n.players.Addr(), loginPath)
	if n.operators != nil {
		fmt.Fprintf(w, "  operators  %s://%s%s\n", scheme, n.operators.Addr(), adminPath)
	}
}

// devIssuer gives out development tokens, with the rights that everybody has here.
type devIssuer struct {
	tokens security.DevTokens
	rights []string
}

// Issue implements accounts.Issuer.
func (d devIssuer) Issue(id security.Identity, ttl time.Duration, now time.Time) (string, error) {
	rights := slices.Clone(id.Rights)
	for _, r := range d.rights {
		if !slices.Contains(rights, r) && len(rights) < security.MaxTokenRights {
			rights = append(rights, r)
		}
	}
	id.Rights = rights
	return d.tokens.Issue(id, ttl, now)
}

// devServices is a login service on the clients' listener of a development node, in the clear.
func (n *Node) devServices() (*services.Services, error) {
	book := n.cfg.Accounts
	book.Issuer, book.Revoker = devIssuer{*n.keys.tokens, n.rights}, n.server
	gateways := []string{"ws://" + reachable(n.Addr()) + "/ws"}
	if tcp := n.TCPAddr(); tcp != "" {
		gateways = append(gateways, "tcp://"+reachable(tcp))
	}
	return services.New(services.Config{
		Accounts: book, AllowPlain: true, Log: n.cfg.Log,
		Admin: services.AdminConfig{Enabled: n.cfg.AdminSecret != "", Secret: n.cfg.AdminSecret},
		Keys: func() services.Keys {
			k := keysOf(n.keys.ring(), n.keys.realm, gateways)
			k.Schema = n.server.Schema()
			return k
		},
	})
}
