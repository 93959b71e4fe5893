package game

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Order of what a zone says: a client gets the state of a tick, then the tick's events about entities, then its messages in the order in which they were sent; those of an earlier tick before. What goes on a route of
// Delivery Reliable arrives once and in order whatever becomes of connections; events and messages of other deliveries may be lost.

// GroupID names a group of players: a party, a guild, a channel.
type GroupID uint64

// outgoing encodes a message of a route that the server may push.
func (z *Zone) outgoing(what string, route uint16, m proto.Message) (Message, error) {
	z.own()
	r, ok := z.routes.Lookup(route)
	if !ok || r.Kind != protocol.Push || r.Direction&protocol.ServerToClient == 0 {
		return Message{}, fmt.Errorf("%s on route %d: the game declares no such route for the server", what, route)
	}
	b, err := encode(m, r.MaxBytes)
	if err != nil {
		return Message{}, fmt.Errorf("%s on route %d %q: %w", what, route, r.Name, err)
	}
	return Message{Type: protocol.TypePush, Route: route, Payload: b, Numbered: r.Delivery == protocol.Reliable}, nil
}

func (z *Zone) to(s SessionID, m Message) {
	m.Session = s
	z.out.Messages = append(z.out.Messages, m)
}

// Push sends a player, in the tick that is being stepped, a message of a route that the game declared. It fails, and sends nothing, for a route that is not the server's to push, a message above
// the route's MaxBytes, and one that holds text which is not UTF-8. p may have crossed into another zone since: the message reaches it there. Who has logged out gets nothing.
func (z *Zone) Push(p *Player, route uint16, m proto.Message) error {
	if p == nil {
		return fmt.Errorf("push on route %d: to nobody: the player is nil", route)
	}
	msg, err := z.outgoing("push", route, m)
	if err == nil {
		z.to(p.Session, msg)
	}
	return err
}

// Emit tells everyone who sees an entity something about it, from whichever zone they look. On a route of Delivery AoiEvent or Latest it is an event: it travels once to each gateway, and is lost for those
// who cannot take it now, and for all if the entity despawns or crosses in this same tick; one that dies stays for another. On a Reliable one it is a numbered message to each player in whose view the entity is as of the last tick; that includes those who linger without a connection, by
// what their avatars and spectators see. It fails as Push does.
func (z *Zone) Emit(about Being, route uint16, m proto.Message) error {
	e := about.entity()
	e.get()
	msg, err := z.outgoing("emit", route, m)
	if err != nil {
		return err
	}
	if !msg.Numbered {
		z.src.Event(e.slot, route, msg.Payload)
		return nil
	}
	for _, p := range z.players {
		if !p.gone && z.sees(p, e) {
			z.to(p.Session, msg)
		}
	}
	for _, p := range z.visitors {
		if !p.gone && z.sees(p, e) {
			z.to(p.Session, msg)
		}
	}
	return nil
}

// Broadcast sends every player of the zone a message, as Push does; it is encoded once.
func (z *Zone) Broadcast(route uint16, m proto.Message) error {
	msg, err := z.outgoing("broadcast", route, m)
	if err != nil {
		return err
	}
	for p := range z.Players {
		z.to(p.Session, msg)
	}
	return nil
}

// JoinGroup makes a player a member of a group, for as long as its session lasts and in whatever zones. Groups come to be with their first member and end with their last. An
// operator without a session cannot be one.
func (z *Zone) JoinGroup(p *Player, g GroupID) {
	z.own()
	if p.Session == 0 {
		return
	}
	z.out.Groups = append(z.out.Groups, Grouping{Group: g, Session: p.Session, Join: true, At: len(z.out.Messages)})
}

// LeaveGroup is the opposite of JoinGroup.
func (z *Zone) LeaveGroup(p *Player, g GroupID) {
	z.own()
	if p.Session == 0 {
		return
	}
	z.out.Groups = append(z.out.Groups, Grouping{Group: g, Session: p.Session, At: len(z.out.Messages)})
}

// PushGroup sends every member of a group a message, as Push does. Whoever joined before in this tick gets it.
func (z *Zone) PushGroup(g GroupID, route uint16, m proto.Message) error {
	msg, err := z.outgoing("push to a group", route, m)
	if err == nil {
		z.out.Groups = append(z.out.Groups, Grouping{Group: g, Message: msg, At: len(z.out.Messages)})
	}
	return err
}

func encode(m proto.Message, most int) ([]byte, error) {
	b, err := protocol.Marshal(m)
	if err == nil && len(b) > most {
		err = fmt.Errorf("%d bytes, the route's MaxBytes is %d", len(b), most)
	}
	return b, err
}

// KickPlayer ends a player's session: its client is told why, and OnLeave follows in a later tick.
func (z *Zone) KickPlayer(p *Player, reason string) {
	z.own()
	z.out.Kicks = append(z.out.Kicks, Kick{p.Session, protocol.DisconnectKicked, strings.ToValidUTF8(reason, "?")})
}
