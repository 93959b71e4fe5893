package services

import (
	"net/http"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
)

// playerRoutes is what the players may ask for.
func (s *Services) playerRoutes() []route {
	routes := []route{
		{"POST", "/v1/guest", s.guest},
		{"POST", "/v1/accounts", s.register},
		{"POST", "/v1/login", s.login},
		{"POST", "/v1/logout", s.logout},
		{"GET", "/v1/account", s.visited(s.account)},
		{"POST", "/v1/upgrade", s.visited(s.upgrade)},
		{"POST", "/v1/password", s.visited(s.password)},
		{"GET", "/v1/characters", s.visited(s.characters)},
		{"POST", "/v1/characters", s.visited(s.createCharacter)},
		{"POST", "/v1/characters/{id}/select", s.visited(s.selectCharacter)},
		{"DELETE", "/v1/characters/{id}", s.visited(s.deleteCharacter)},
		{"POST", "/v1/token", s.visited(s.token)},
	}
	if s.cfg.Keys != nil {
		routes = append(routes, route{"GET", "/v1/keys", s.keys})
	}
	if s.cfg.JWKS != nil {
		routes = append(routes, route{"GET", "/v1/jwks.json", s.jwks})
	}
	return routes
}

// visited wants the session that the request names.
func (s *Services) visited(handle func(c *call, v accounts.Visit) (answer, error)) func(c *call) (answer, error) {
	return func(c *call) (answer, error) {
		v, err := s.accounts.Visit(c.ctx, c.bearer())
		if err != nil {
			return answer{}, err
		}
		return handle(c, v)
	}
}

// bearer is the token of the Authorization header, "" if there is none.
func (c *call) bearer() string {
	scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

// accountBody is the JSON of an account. Numbers are text, because those of JavaScript end at 2^53.
type accountBody struct {
	Account string `json:"account"`
	Name    string `json:"name,omitempty"`
	Guest   bool   `json:"guest"`
}

func accountOf(a accounts.Account) accountBody {
	return accountBody{Account: a.ID.String(), Name: a.Name, Guest: a.Guest()}
}

// entryBody is the JSON of a login.
type entryBody struct {
	accountBody
	Created bool   `json:"created"`
	Secret  string `json:"secret,omitempty"`
	Session string `json:"session"`
	Expires string `json:"expires"`
}

func entered(e accounts.Entry, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	status := http.StatusOK
	if e.Created {
		status = http.StatusCreated
	}
	return answer{status: status, body: entryBody{accountOf(e.Account), e.Created, e.Secret, e.Session, stamp(e.Expires)}}, nil
}

// stamp is a time on the wire: RFC 3339, UTC, whole seconds.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func done() (answer, error) { return answer{status: http.StatusNoContent}, nil }

func (s *Services) guest(c *call) (answer, error) {
	var secret string
	if err := c.decode(member{name: "secret", text: &secret, optional: true}); err != nil {
		return answer{}, err
	}
	return entered(s.accounts.Guest(c.ctx, c.from, secret))
}

func (s *Services) register(c *call) (answer, error) {
	var name, password string
	if err := c.decode(member{name: "name", text: &name}, member{name: "password", text: &password}); err != nil {
		return answer{}, err
	}
	return entered(s.accounts.Register(c.ctx, c.from, name, password))
}

func (s *Services) login(c *call) (answer, error) {
	var name, password string
	if err := c.decode(member{name: "name", text: &name}, member{name: "password", text: &password}); err != nil {
		return answer{}, err
	}
	return entered(s.accounts.Login(c.ctx, c.from, name, password))
}

func (s *Services) logout(c *call) (answer, error) {
	if err := s.accounts.Logout(c.ctx, c.bearer()); err != nil {
		return answer{}, err
	}
	return done()
}

func (s *Services) upgrade(c *call, v accounts.Visit) (answer, error) {
	var name, password string
	if err := c.decode(member{name: "name", text: &name}, member{name: "password", text: &password}); err != nil {
		return answer{}, err
	}
	return entered(s.accounts.Upgrade(c.ctx, c.from, v, name, password))
}

func (s *Services) password(c *call, v accounts.Visit) (answer, error) {
	var old, replacement string
	if err := c.decode(member{name: "old", text: &old}, member{name: "new", text: &replacement}); err != nil {
		return answer{}, err
	}
	return entered(s.accounts.ChangePassword(c.ctx, c.from, v, old, replacement))
}
