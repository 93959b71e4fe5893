package main

import (
	"fmt"
	"slices"
	"strconv"

	hello "github.com/tianxia-mmo/tianxia/examples/hello/bind"
	plains "github.com/tianxia-mmo/tianxia/examples/plains/bind"
	sink "github.com/tianxia-mmo/tianxia/examples/sink/bind"
	"github.com/tianxia-mmo/tianxia/internal/utils/spell"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// names are the routes that have one here: the framework's and those of the sample games. A server does not tell the names of its routes, so those of other games go by number.
type names struct {
	byName map[string]uint16
	byID   map[string]map[uint16]string // by game, "" is the framework
	games  map[string][]protocol.Route
}

func newNames() *names {
	n := &names{byName: map[string]uint16{}, byID: map[string]map[uint16]string{}}
	n.games = map[string][]protocol.Route{"": protocol.FrameworkRoutes(), "hello": hello.Routes(), "plains": plains.Routes(), "sink": sink.Routes()}
	for game, routes := range n.games {
		n.byID[game] = map[uint16]string{}
		for _, r := range routes {
			n.byName[r.Name], n.byID[game][r.ID] = r.ID, r.Name
		}
	}
	return n
}

// route reads a route that a person wrote.
func (n *names) route(s string) (uint16, error) {
	if id, err := strconv.ParseUint(s, 10, 16); err == nil {
		return uint16(id), nil
	}
	if id, ok := n.byName[s]; ok {
		return id, nil
	}
	var known []string
	for name := range n.byName {
		known = append(known, name)
	}
	return 0, &usageError{fmt.Sprintf("route %q is unknown here%s; routes of other games than the samples go by their number, as in 64", s, spell.Suggestion(s, sorted(known), ""))}
}

// name is a route as people read it: "plains.move (64)".
func (n *names) name(game string, id uint16) string {
	for _, g := range []string{"", game} {
		if name := n.byID[g][id]; name != "" {
			return fmt.Sprintf("%s (%d)", name, id)
		}
	}
	return strconv.Itoa(int(id))
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}
