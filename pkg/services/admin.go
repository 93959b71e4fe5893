package services

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/services/accounts"
)

// adminRoutes is what operators may ask for.
func (s *Services) adminRoutes() []route {
	return []route{
		{"POST", "/v1/admin/find", s.operator(s.find)},
		{"POST", "/v1/admin/kick", s.operator(s.kick)},
		{"POST", "/v1/admin/ban", s.operator(s.ban)},
		{"POST", "/v1/admin/unban", s.operator(s.unban)},
		{"POST", "/v1/admin/rights", s.operator(s.rights)},
		{"GET", "/v1/admin/stats", s.operator(s.stats)},
	}
}

// operator lets nobody through but those who know the secret.
func (s *Services) operator(handle func(c *call) (answer, error)) func(c *call) (answer, error) {
	return func(c *call) (answer, error) {
		sum := sha256.Sum256([]byte(c.bearer()))
		if subtle.ConstantTimeCompare(sum[:], s.admin[:]) != 1 {
			s.cfg.Log.Warn("operator refused", "from", c.from, "path", c.r.URL.Path)
			return answer{}, &refusal{status: http.StatusUnauthorized, code: "not_an_operator", message: "the bearer token is not the operators'",
				fix: "send Authorization: Bearer with the secret of the service's configuration", header: map[string]string{"WWW-Authenticate": "Bearer"}}
		}
		return handle(c)
	}
}

// target is the three ways to name an account.
type target struct{ account, name, player string }

func (t *target) members(more ...member) []member {
	return append(more, member{name: "account", text: &t.account, optional: true}, member{name: "name", text: &t.name, optional: true},
		member{name: "player", text: &t.player, optional: true})
}

func (t *target) parse() (parsed accounts.Target, err error) {
	parsed.Name = t.name
	var n uint64
	if t.account != "" {
		if n, err = number(t.account); err != nil {
			return accounts.Target{}, err
		}
		parsed.Account = accounts.ID(n)
	}
	if t.player != "" {
		if n, err = number(t.player); err != nil {
			return accounts.Target{}, err
		}
		parsed.Player = accounts.PlayerID(n)
	}
	return parsed, nil
}

// aim decodes a request that names an account.
func (c *call) aim(more ...member) (accounts.Target, error) {
	var t target
	if err := c.decode(t.members(more...)...); err != nil {
		return accounts.Target{}, err
	}
	return t.parse()
}

// banBody is the JSON of a ban.
type banBody struct {
	Until  string `json:"until"`
	Reason string `json:"reason"`
}

// knownBody is the JSON of an account for operators.
type knownBody struct {
	accountBody
	Created string   `json:"created"`
	Rights  []string `json:"rights"`
	Players []string `json:"players"`
	Ban     *banBody `json:"ban,omitempty"`
}

// known answers with an account.
func (s *Services) known(c *call, a accounts.Account) (answer, error) {
	players, err := s.accounts.Players(c.ctx, a.ID)
	if err != nil {
		return answer{}, err
	}
	body := knownBody{accountBody: accountOf(a), Created: stamp(a.Created), Rights: append([]string{}, a.Rights...), Players: make([]string, 0, len(players))}
	for _, p := range players {
		body.Players = append(body.Players, p.String())
	}
	if a.Ban.In(s.cfg.Accounts.Now()) {
		body.Ban = &banBody{stamp(a.Ban.Until), a.Ban.Reason}
	}
	return answer{status: http.StatusOK, body: body}, nil
}

func (s *Services) find(c *call) (answer, error) {
	t, err := c.aim()
	if err != nil {
		return answer{}, err
	}
	a, err := s.accounts.Find(c.ctx, t)
	if err != nil {
		return answer{}, err
	}
	return s.known(c, a)
}

func (s *Services) kick(c *call) (answer, error) {
	var player, reason string
	if err := c.decode(member{name: "player", text: &player}, member{name: "reason", text: &reason}); err != nil {
		return answer{}, err
	}
	id, err := number(player)
	if err != nil {
		return answer{}, err
	}
	err = s.accounts.Kick(c.ctx, accounts.PlayerID(id), reason)
	s.acted(c, "kick", err, "player", id, "reason", reason)
	if err != nil {
		return answer{}, err
	}
	return done()
}

func (s *Services) ban(c *call) (answer, error) {
	var until, reason string
	t, err := c.aim(member{name: "until", text: &until}, member{name: "reason", text: &reason})
	if err != nil {
		return answer{}, err
	}
	end, err := time.Parse(time.RFC3339, until)
	if err != nil {
		return answer{}, badRequest("bad_time", "until is no time", "send it like 2027-01-31T18:00:00Z; 9999-12-31T23:59:59Z is for ever")
	}
	a, err := s.accounts.Ban(c.ctx, t, end, reason)
	s.acted(c, "ban", err, "account", a.ID, "until", end, "reason", reason)
	if err != nil {
		return answer{}, err
	}
	return s.known(c, a)
}

func (s *Services) unban(c *call) (answer, error) {
	t, err := c.aim()
	if err != nil {
		return answer{}, err
	}
	a, err := s.accounts.Unban(c.ctx, t)
	s.acted(c, "unban", err, "account", a.ID)
	if err != nil {
		return answer{}, err
	}
	return s.known(c, a)
}

func (s *Services) rights(c *call) (answer, error) {
	var rights []string
	t, err := c.aim(member{name: "rights", list: &rights})
	if err != nil {
		return answer{}, err
	}
	a, err := s.accounts.SetRights(c.ctx, t, rights)
	s.acted(c, "rights", err, "account", a.ID, "rights", rights)
	if err != nil {
		return answer{}, err
	}
	return s.known(c, a)
}

func (s *Services) stats(*call) (answer, error) {
	return answer{status: http.StatusOK, body: s.Stats()}, nil
}

// acted writes the line of an operator's act, also of one that failed half-way.
func (s *Services) acted(c *call, act string, err error, more ...any) {
	s.cfg.Log.Info("operator acted", append([]any{"act", act, "from", c.from, "error", err}, more...)...)
}
