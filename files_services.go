package tianxia

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
)

// ServicesFile is the login service of a server process: accounts, characters and tokens, for the players; kick and ban, for operators. It is off while Listen is empty.
type ServicesFile struct {
	Listen        string         `yaml:"listen" doc:"host:port where players get accounts and tokens, by HTTPS; empty: there is no login service"`
	TLS           ServicesTLS    `yaml:"tls" doc:"certificate for listen and admin.listen; needed where others can reach them"`
	Realm         string         `yaml:"realm" doc:"of the gateways, as their files say it: the tokens are for it"`
	Issuer        string         `yaml:"issuer" doc:"the iss of the tokens, as the gateways' files say it in login.issuer, such as https://login.example"`
	Signer        string         `yaml:"signer" doc:"file with the key that signs the tokens; made at the first start. Further keys in it are published and sign nothing"`
	Keyring       string         `yaml:"keyring" doc:"file with the gateways' keyring, of which clients are told what is public; read again when it changes"`
	Gateways      []string       `yaml:"gateways" doc:"addresses of the gateways that clients are told, as in wss://gate-1.example/ws or tls://gate-1.example:7777, the preferred first"`
	MaxCharacters int            `yaml:"max_characters" doc:"characters of an account; 0: there are none, the account is the player"`
	Origins       []string       `yaml:"origins" doc:"web origins whose pages may call, besides the service's own, as in https://play.example; \"*\": all"`
	Trusted       []AddressRange `yaml:"trusted" doc:"addresses of proxies in front, as in 10.0.0.0/8, whose X-Forwarded-For and X-Forwarded-Proto are believed"`
	Admin         AdminFile      `yaml:"admin" doc:"what operators can do: find, kick, ban, give rights"`
}

// ServicesTLS names the files of the login service's certificate.
type ServicesTLS struct {
	Cert string `yaml:"cert" doc:"file with the certificate, PEM"`
	Key  string `yaml:"key" doc:"file with the certificate's key, PEM"`
}

// AdminFile is the operators' interface.
type AdminFile struct {
	Listen string `yaml:"listen" doc:"host:port of the operators' interface, /v1/admin/, that the internet should not reach; empty: there is none"`
	Secret string `yaml:"secret" secret:"true" doc:"what operators send as their bearer token: at least 16 bytes, best 32 random ones in hex"`
}

const (
	minAdminSecret = 16    // bytes, as pkg/services has it
	maxCharacters  = 1_000 // of an account
)

// Validate finds what contradicts itself.
func (f *ServicesFile) Validate() error {
	if f.Listen == "" {
		if f.Admin.Listen != "" {
			return errors.New("admin.listen: it is the operators' interface of the login service, which is off: set services.listen, or take it out")
		}
		return nil
	}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case hostPort(f.Listen) != nil:
		wrong("listen: %q: %w", f.Listen, hostPort(f.Listen))
	case f.TLS.Cert == "" && !loopback(f.Listen):
		wrong("listen: %s can be reached by others, and passwords and tokens would travel in the clear: set tls.cert and tls.key, or listen on 127.0.0.1, behind a proxy that ends TLS", f.Listen)
	}
	if err := pair(f.TLS.Cert, f.TLS.Key); err != nil {
		errs = append(errs, err)
	}
	if f.Realm == "" || len(f.Realm) > 255 {
		wrong("realm: %q: need 1 to 255 bytes", f.Realm)
	}
	for _, need := range []struct{ key, value, what string }{
		{"issuer", f.Issuer, "the name that tokens are issued under, the same as login.issuer of the gateways: the service's address will do, as in https://login.example"},
		{"signer", f.Signer, "name the file with the key that signs the tokens; it is made at the first start"},
		{"keyring", f.Keyring, "name the gateways' keyring, which \"mmo keys issue\" makes: clients know the gateways by it"},
	} {
		if need.value == "" {
			wrong("%s: missing: %s", need.key, need.what)
		}
	}
	if len(f.Gateways) == 0 {
		wrong("gateways: missing: clients would not know where to connect; write [wss://gate-1.example/ws]")
	}
	for i, g := range f.Gateways {
		if u, err := url.Parse(g); err != nil || u.Host == "" || !slices.Contains([]string{"ws", "wss", "tcp", "tls"}, u.Scheme) {
			wrong("gateways[%d]: %q: write wss://host/ws, ws://host:port/ws, tls://host:port or tcp://host:port", i, g)
		}
	}
	if f.MaxCharacters < 0 || f.MaxCharacters > maxCharacters {
		wrong("max_characters: %d: need 0 to %d", f.MaxCharacters, maxCharacters)
	}
	errs = append(errs, checkOrigins(f.Origins)...)
	return errors.Join(append(errs, f.checkAdmin()...)...)
}

func (f *ServicesFile) checkAdmin() (errs []error) {
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	a := &f.Admin
	switch {
	case a.Listen == "" && a.Secret == "":
		return nil
	case a.Listen == "":
		wrong("admin.secret: there is no operators' interface that it would open: set admin.listen, or take it out")
	case hostPort(a.Listen) != nil:
		wrong("admin.listen: %q: %w", a.Listen, hostPort(a.Listen))
	case a.Listen == f.Listen && !anyPort(a.Listen):
		wrong("admin.listen: %s is where the players come: give operators a port of their own, which the internet does not reach", a.Listen)
	case f.TLS.Cert == "" && !loopback(a.Listen):
		wrong("admin.listen: %s can be reached by others, and the secret would travel in the clear: set tls.cert and tls.key, or listen on 127.0.0.1", a.Listen)
	}
	if a.Listen != "" && len(a.Secret) < minAdminSecret {
		wrong("admin.secret: %d bytes, and whoever guesses it can ban everybody: give at least %d, best what \"openssl rand -hex 32\" prints, as MMO_SERVICES_ADMIN_SECRET", len(a.Secret), minAdminSecret)
	}
	return errs
}
