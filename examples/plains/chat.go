package plains

import (
	"hash/fnv"
	"strings"

	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// say is what a player types: words for those around, or a command that begins with a slash. A Said is reliable, as its route says: whoever has no connection for a moment
// hears it afterwards.
func say(z *game.Zone, p *game.Player, h bind.Hero, m *plainsv1.Say) error {
	said := &plainsv1.Said{Name: p.Name, Entity: uint64(h.ID()), Text: strings.TrimSpace(m.Text)}
	command, words, _ := strings.Cut(said.Text, " ")
	switch command {
	case "/shout":
		said.Circle, said.Text = plainsv1.Circle_CIRCLE_ZONE, words
		return bind.BroadcastSaid(z, said)
	case "/join", "/quit":
		if old := h.Journey().Party(); old != 0 {
			z.LeaveGroup(p, game.GroupID(old))
		}
		h.Journey().SetParty(0)
		if command == "/join" && words != "" {
			h.Journey().SetParty(partyNamed(words))
			z.JoinGroup(p, game.GroupID(partyNamed(words)))
		}
		return nil
	case "/p":
		if h.Journey().Party() == 0 {
			return refuse(CodeCannot, "you are in no party: /join one by its name")
		}
		said.Circle, said.Text = plainsv1.Circle_CIRCLE_PARTY, words
		return bind.PushSaidToGroup(z, game.GroupID(h.Journey().Party()), said)
	case "":
		return nil
	}
	return bind.EmitSaid(z, h, said) // to all who see the speaker, from whichever zone
}

// partyNamed is the number of a party.
func partyNamed(name string) uint64 {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(name)) // it never fails
	return hash.Sum64() | 1<<63     // above all numbers of players
}
