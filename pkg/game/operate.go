package game

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// commands are the handlers of the commands that every game has, by route. Each call makes new ones: zones share nothing.
func commands() map[uint16]*handler {
	g := &Game{Schema: Schema{Routes: protocol.FrameworkRoutes()}}
	OnRequest(g, protocol.Route{ID: protocol.RouteTeleport}, teleport)
	OnRequest(g, protocol.Route{ID: protocol.RouteSpawn}, spawn)
	OnRequest(g, protocol.Route{ID: protocol.RouteDespawn}, despawn)
	OnRequest(g, protocol.Route{ID: protocol.RouteInspect}, inspect)
	OnRequest(g, protocol.Route{ID: protocol.RouteGive}, give)
	return g.handlers
}

// maxNamed is how many names an error offers where one was not found.
const maxNamed = 8

func malformed(format string, args ...any) error {
	return &Error{protocol.ErrorMalformed, fmt.Sprintf(format, args...)}
}

func wrongState(format string, args ...any) error {
	return &Error{protocol.ErrorWrongState, fmt.Sprintf(format, args...)}
}

func teleport(z *Zone, p *Player, m *mmov1.TeleportRequest) (*mmov1.TeleportResponse, error) {
	e, err := z.subject(p, m.Player, EntityID(m.Entity))
	if err != nil {
		return nil, err
	}
	s := e.get()
	if !s.kind.places {
		return nil, wrongState("entity %d of kind %q has no place", e.id, s.kind.codec.Kind.Name)
	}
	x, y, err := z.quanta(m.X, m.Z)
	if err != nil {
		return nil, err
	}
	was := &mmov1.TeleportResponse{Entity: uint64(e.id)}
	was.X, was.Z = z.metres(e)
	if m.Zone == z.cfg.Zone || m.Zone == 0 && z.cfg.World == 0 { // there is no other zone that it could lie in
		err = z.refuses(s.kind, x, y)
	}
	if err == nil {
		err = z.Transfer(e, Destination{X: x, Y: y, Zone: m.Zone})
	}
	if err != nil {
		return nil, wrongState("teleport to %v, %v m: %v", m.X, m.Z, err)
	}
	return was, nil
}

func spawn(z *Zone, p *Player, m *mmov1.SpawnRequest) (*mmov1.SpawnResponse, error) {
	k, err := z.kindNamed(m.Kind)
	if err != nil {
		return nil, err
	}
	var x, y int32
	switch {
	case (m.X == nil) != (m.Z == nil):
		return nil, malformed("x without z, or z without x: give both, or neither for the place of your own avatar")
	case m.X != nil:
		x, y, err = z.quanta(*m.X, *m.Z)
	case p.Avatar().Alive() && p.Avatar().get().kind.places:
		x, y = p.Avatar().Position()
	default:
		err = malformed("no place: whoever has no avatar gives x and z, in metres")
	}
	if err != nil {
		return nil, err
	}
	e, err := z.Spawn(k, x, y)
	if err != nil {
		return nil, wrongState("%v", err)
	}
	return &mmov1.SpawnResponse{Entity: uint64(e.id)}, nil
}

func despawn(z *Zone, _ *Player, m *mmov1.DespawnRequest) (*mmov1.DespawnResponse, error) {
	if m.Entity == 0 {
		return nil, malformed("no entity is named: give its id")
	}
	e, err := z.entityNamed(EntityID(m.Entity))
	if err != nil {
		return nil, err
	}
	switch p := z.playerAmong(e); {
	case p != nil && p.avatar == e:
		return nil, wrongState("entity %d is the avatar of player %q: kick the player, or teleport the avatar", e.id, p.Name)
	case p != nil:
		return nil, wrongState("entity %d is the parent of entity %d, the avatar of player %q, which would go with it: teleport it away, or kick the player", e.id, p.avatar.id, p.Name)
	}
	kind := e.get().kind.codec.Kind.Name
	z.Despawn(e)
	return &mmov1.DespawnResponse{Kind: kind}, nil
}

// playerAmong is a player whose avatar an entity is, or is, at whatever remove, the parent of; nil: there is none.
func (z *Zone) playerAmong(e Entity) *Player {
	s := e.get()
	if s.player != nil {
		return s.player
	}
	for _, id := range s.children {
		if child, ok := z.Entity(id); ok {
			if p := z.playerAmong(child); p != nil {
				return p
			}
		}
	}
	return nil
}

func give(z *Zone, p *Player, m *mmov1.GiveRequest) (*mmov1.GiveResponse, error) {
	if z.game.OnGive == nil {
		return nil, &Error{protocol.ErrorUnknownRoute, fmt.Sprintf("game %q hands nothing out: it sets no Game.OnGive", z.game.Name)}
	}
	to := p
	switch {
	case m.Player != "":
		var err error
		if to, err = z.playerNamed(m.Player); err != nil {
			return nil, err
		}
	case z.sessions[p.Session] != p:
		return nil, malformed("no player is named, and whoever commands is none")
	}
	switch {
	case m.What == "":
		return nil, malformed("what is empty: say what to give, as the game calls it")
	case m.Amount == 0:
		return nil, malformed("an amount of 0 gives nothing")
	}
	if err := z.game.OnGive(z, to, m.What, m.Amount); err != nil {
		return nil, err
	}
	return &mmov1.GiveResponse{Player: to.ID}, nil
}

// subject is the entity that a command is about: that of an id, a player's avatar, or the caller's own.
func (z *Zone) subject(p *Player, player string, id EntityID) (Entity, error) {
	switch {
	case player != "" && id != 0:
		return Entity{}, malformed("player %q and entity %d: name one of them", player, id)
	case id != 0:
		return z.entityNamed(id)
	case player != "":
		named, err := z.playerNamed(player)
		if err != nil {
			return Entity{}, err
		}
		p = named
	}
	switch a := p.Avatar(); {
	case a.Alive():
		return a, nil
	case player != "":
		return Entity{}, wrongState("player %q has no living avatar", player)
	}
	return Entity{}, malformed("no entity or player is named, and whoever commands has no living avatar")
}

func (z *Zone) entityNamed(id EntityID) (Entity, error) {
	e, ok := z.Entity(id)
	switch {
	case ok:
		return e, nil
	case id.Birthplace() != z.cfg.Zone:
		return e, wrongState("no entity %d in zone %d: its number is of zone %d, it may live there", id, z.cfg.Zone, id.Birthplace())
	}
	return e, wrongState("no entity %d in zone %d: it has died, or gone over to another zone", id, z.cfg.Zone)
}

// playerNamed finds a player by its name, or else by its number in digits.
func (z *Zone) playerNamed(name string) (*Player, error) {
	var found []*Player
	var here []string
	number, err := strconv.ParseUint(name, 10, 64)
	byNumber := z.byID[number]
	for p := range z.Players {
		if p.Name == name {
			found = append(found, p)
		}
		here = append(here, p.Name)
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		var numbers []string
		for _, p := range found {
			numbers = append(numbers, strconv.FormatUint(p.ID, 10))
		}
		return nil, malformed("%d players in zone %d are called %q: name one by its number: %s", len(found), z.cfg.Zone, name, some(numbers))
	case err == nil && number != 0 && byNumber != nil:
		return byNumber, nil
	case len(here) == 0:
		return nil, wrongState("no player %q in zone %d: there are no players here", name, z.cfg.Zone)
	}
	for i := range min(len(here), maxNamed) {
		here[i] = strconv.Quote(here[i])
	}
	return nil, wrongState("no player %q in zone %d; players here: %s", name, z.cfg.Zone, some(here))
}

func (z *Zone) kindNamed(name string) (Kind, error) {
	var all []string
	for i := range z.codec.Layout.Kinds {
		k := &z.codec.Layout.Kinds[i]
		if k.Name == name {
			return Kind(k.ID), nil
		}
		all = append(all, k.Name)
	}
	if len(all) == 0 {
		return 0, malformed("no kind %q: the game has none at all", name)
	}
	return 0, malformed("no kind %q; kinds of the game: %s", name, some(all))
}

// some lists names, the first few if there are many.
func some(names []string) string {
	if more := len(names) - maxNamed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), more)
	}
	return strings.Join(names, ", ")
}

// quanta is a place in metres as world quanta.
func (z *Zone) quanta(x, y float64) (qx, qy int32, err error) {
	fx, fy := math.Round(x/z.quantum), math.Round(y/z.quantum)
	if !(math.Abs(fx) < 1<<31 && math.Abs(fy) < 1<<31) {
		return 0, 0, malformed("%v, %v is no place in a world: give metres from its corner", x, y)
	}
	return int32(fx), int32(fy), nil
}

// metres is where a placed entity is, in the units of the schema.
func (z *Zone) metres(e Entity) (x, y float64) {
	qx, qy := e.Position()
	return float64(qx) * z.quantum, float64(qy) * z.quantum
}

// maxArguments bounds what a record of a command shows of its message, in bytes.
const maxArguments = 4096

// Arguments is the message of a route that the game handles as JSON, for records of commands: of one that does not parse, how long it is, and of a long one its beginning. Any goroutine may call it.
func (g *Game) Arguments(route uint16, payload []byte) string {
	h, ok := g.handlers[route]
	if !ok {
		h, ok = commands()[route]
	}
	if !ok {
		return fmt.Sprintf("%d bytes for route %d, which nothing handles", len(payload), route)
	}
	m, err := h.parse(payload)
	if err != nil {
		return fmt.Sprintf("%d bytes that are no message of %s", len(payload), h.route.Name)
	}
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return fmt.Sprintf("%d bytes that have no JSON: %v", len(payload), err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, b); err != nil { // protojson puts in space at random
		return fmt.Sprintf("%d bytes that have no JSON: %v", len(payload), err)
	}
	if line.Len() <= maxArguments {
		return line.String()
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(string(line.Bytes()[:maxArguments]), ""), line.Len())
}
