package tianxia

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	"github.com/tianxia-mmo/tianxia/pkg/rpc/registry"
)

// This file joins the processes: a server that offers links, a gateway that looks for them.

// answers tells whether a living process listens on a socket.
func answers(socket string) bool {
	c, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// connector is a gateway's way to its server.
type connector struct {
	client *rpc.Client
	reg    *registry.Directory // nil: the server's endpoint is known
	where  string              // the server is looked for, for people
}

// openConnector makes a gateway's rpc client, which finds and connects in the background.
func openConnector(f *GatewayRPC, log *slog.Logger) (*connector, error) {
	keys, err := f.TLS.config()
	if err != nil {
		return nil, fmt.Errorf("rpc.tls: %w", err)
	}
	cfg := rpc.ClientConfig{ID: "gateway-" + strconv.Itoa(os.Getpid()), Token: []byte(f.Token), TLS: keys, Log: log}
	c := &connector{}
	if f.Server != "" {
		cfg.Endpoint, c.where = f.Server, "at "+f.Server
	} else {
		dir, err := directory(f.Registry)
		if err != nil {
			return nil, fmt.Errorf("rpc.registry: %w", err)
		}
		if c.reg, err = registry.OpenDirectory(dir, registry.DirectoryConfig{Log: log}); err != nil {
			return nil, fmt.Errorf("rpc.registry: %w", err)
		}
		cfg.Service, cfg.Registry, c.where = link.Service, c.reg, "in "+dir
	}
	if c.client, err = rpc.NewClient(cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("rpc: %w", err), c.Close())
	}
	return c, nil
}

// connect is the gateway's Connect.
func (c *connector) connect(ctx context.Context) (link.Link, error) {
	return link.Dial(ctx, c.client, link.Config{Build: Version()})
}

// Close ends the client and forgets the directory.
func (c *connector) Close() error {
	var errs []error
	if c.client != nil {
		errs = append(errs, c.client.Close())
	}
	if c.reg != nil {
		errs = append(errs, c.reg.Close())
	}
	return errors.Join(errs...)
}

// config is nil without a certificate.
func (t *ServerTLS) config() (*tls.Config, error) {
	if t.Cert == "" {
		return nil, nil
	}
	c, pool, err := loadTLS(t.Cert, t.Key, t.CA)
	if err == nil && pool != nil {
		c.ClientCAs, c.ClientAuth = pool, tls.RequireAndVerifyClientCert
	}
	return c, err
}

func (t *GatewayTLS) config() (*tls.Config, error) {
	c, pool, err := loadTLS(t.Cert, t.Key, t.CA)
	if err == nil {
		c.RootCAs, c.ServerName = pool, t.Name
	}
	return c, err
}

// loadTLS reads the files that are named; pool is nil without ca.
func loadTLS(cert, key, ca string) (c *tls.Config, pool *x509.CertPool, err error) {
	c = &tls.Config{MinVersion: tls.VersionTLS13}
	if cert != "" {
		own, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, nil, fmt.Errorf("cert %s with key %s: %w", cert, key, err)
		}
		c.Certificates = []tls.Certificate{own}
	}
	if ca == "" {
		return c, nil, nil
	}
	b, err := os.ReadFile(ca)
	if err != nil {
		return nil, nil, fmt.Errorf("ca: %w", err)
	}
	pool = x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, nil, fmt.Errorf("ca: %s holds no certificate in PEM form", ca)
	}
	return c, pool, nil
}
