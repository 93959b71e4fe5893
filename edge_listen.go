package tianxia

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/network"
)

// doors are the listeners of a gateway: of HTTP with its WebSockets and, where they are wanted, of TCP and of development.
type doors struct {
	web, tcp, plain net.Listener // tcp and plain may be nil
	busy            string       // the address that was wanted for web, if it was taken
}

// openDoors listens. Web takes one of several ports, upwards. tcp and plain may be empty.
func openDoors(web string, ports int, tcp, plain string) (*doors, error) {
	d := &doors{}
	var err error
	if d.web, d.busy, err = listen(web, ports); err != nil {
		return nil, err
	}
	for _, l := range []struct {
		ln   *net.Listener
		addr string
	}{{&d.tcp, tcp}, {&d.plain, plain}} {
		if l.addr == "" {
			continue
		}
		if *l.ln, _, err = listen(l.addr, 1); err != nil {
			return nil, errors.Join(err, d.Close())
		}
	}
	return d, nil
}

// behind has load balancers tell who the clients are, by the PROXY protocol.
func (d *doors) behind(balancers []netip.Prefix, log *slog.Logger) {
	for _, ln := range []*net.Listener{&d.web, &d.tcp} {
		if *ln != nil {
			*ln = network.Listen(*ln, network.ListenConfig{Trusted: balancers, OnRefused: func(socket netip.AddrPort, err error) {
				log.Debug("a connection was cut", "socket", socket, "error", err)
			}})
		}
	}
}

// Close ends the listeners. It may be called twice.
func (d *doors) Close() error {
	var errs []error
	for _, ln := range []net.Listener{d.web, d.tcp, d.plain} {
		if ln == nil {
			continue
		}
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// serve lets clients in by all doors until stop is called, which waits; failed is told when one of them fails before.
func (e *edge) serve(d *doors, log *slog.Logger, failed func(error)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	run := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil && !errors.Is(err, http.ErrServerClosed) {
				failed(err)
			}
		})
	}
	web := e.http(log)
	run(func() error { return web.serve(d.web) })
	if d.tcp != nil {
		run(func() error { return e.gateway.ServeTCP(ctx, d.tcp) })
	}
	plain := e.httpOf(nil, log)
	if d.plain != nil {
		plain.Handler = named(e.gateway.Plain())
		run(func() error { return plain.serve(d.plain) })
	}
	return func() {
		cancel()
		_ = web.Close()
		_ = plain.Close()
		wg.Wait()
	}
}

// named lets requests through that name this machine by address or as localhost: a page of elsewhere that rebinds its own name to us does not.
func named(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !localName(r.Host) {
			http.Error(w, fmt.Sprintf("what is for development answers under an IP address or localhost, not under %q", r.Host), http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// empty asks the clients to go on at another gateway, and waits until they have gone, for at most the time given. It ends at once if nobody is there.
func (e *edge) empty(d time.Duration, log *slog.Logger) {
	if d <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := e.gateway.Drain(ctx, d*3/4); err != nil { // the last quarter is for those who were asked last
		log.Info("the time to drain is over; who stayed is sent away", "connections", e.gateway.Stats().Connections)
	}
}

// at is where clients find the doors.
func (d *doors) at() whereabouts {
	return whereabouts{web: addrOf(d.web), tcp: addrOf(d.tcp), plain: addrOf(d.plain), busy: d.busy}
}

func addrOf(ln net.Listener) string {
	if ln == nil {
		return ""
	}
	return ln.Addr().String()
}
