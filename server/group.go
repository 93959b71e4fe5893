package server

import (
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// group is players who are told things together, in whatever zones they are: in order of joining.
type group struct{ members []*session }

// Bounds of groups: beyond, joining is refused, and logged once.
const (
	maxMembers = 10_000
	maxGroups  = 1000 // of one session
)

// group carries out what a zone wants of groups.
func (s *Server) group(g *game.Grouping) {
	if g.Session == 0 {
		if to := s.groups[g.Group]; to != nil {
			for _, x := range to.members {
				s.deliver(x, &g.Message)
			}
		}
		return
	}
	x := s.sessions[uint64(g.Session)]
	if x == nil {
		return
	}
	if !g.Join {
		s.ungroup(x, g.Group)
		return
	}
	to := s.groups[g.Group]
	if to == nil {
		to = &group{}
		s.groups[g.Group] = to
	}
	switch {
	case slices.Contains(x.groups, g.Group):
	case len(to.members) >= maxMembers || len(x.groups) >= maxGroups:
		s.cfg.Log.Error("a group is full, or a session is in too many", "group", g.Group, "members", len(to.members), "session", x.id, "groups", len(x.groups))
	default:
		to.members = append(to.members, x)
		x.groups = append(x.groups, g.Group)
	}
}

// ungroup takes a session out of a group.
func (s *Server) ungroup(x *session, id game.GroupID) {
	x.groups = slices.DeleteFunc(x.groups, func(g game.GroupID) bool { return g == id })
	g := s.groups[id]
	if g == nil {
		return
	}
	g.members = slices.DeleteFunc(g.members, func(m *session) bool { return m == x })
	if len(g.members) == 0 {
		delete(s.groups, id)
	}
}

// deliver sends a session a message of a zone.
func (s *Server) deliver(x *session, m *game.Message) {
	if l := (letter{m.Type, m.Route, m.ID, m.Payload}); m.Numbered {
		s.number(x, l)
	} else {
		s.send(x, 0, &l)
	}
}
