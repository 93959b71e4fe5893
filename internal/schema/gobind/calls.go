package gobind

import (
	"fmt"
	"slices"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// HandlerNames are the methods of Game by which a route that a zone handles is handled: at once, and later if it is answered.
func HandlerNames(r *model.Route) []string {
	n := "On" + short(r)
	if r.Reply == nil {
		return []string{n}
	}
	return []string{n, n + "Later"}
}

// SenderNames are the functions that send what the server pushes on a route: to one player always, and to those for whom its delivery is meant. An AOI event is
// about an entity, so only those hear of it who see one; what the next one replaces is not about an entity.
func SenderNames(r *model.Route) []string {
	n := short(r)
	names := []string{"Push" + n}
	if r.Delivery != protocol.Latest {
		names = append(names, "Emit"+n)
	}
	if r.Delivery != protocol.AOIEvent {
		names = append(names, "Broadcast"+n, "Push"+n+"ToGroup")
	}
	return names
}

// push writes what the server sends of its own accord on a route: to a player, to who sees an entity, to everyone, to a group.
func (g *generator) push(f *file, r *model.Route) {
	name, message, names := short(r), f.name(r.Message.GoIdent), SenderNames(r)
	what := fmt.Sprintf("route %d %q", r.ID, r.Name)
	text := sentence(leading(r.Message.Comments), r.Message.GoIdent.GoName)
	waits := ""
	if r.Delivery == protocol.Reliable {
		waits = " Who lingers without a connection gets it on coming back."
	}
	f.p("// Push%s sends a player %s: %s", name, what, text)
	f.p("// It fails if the message is too large, or holds text that is not UTF-8.")
	f.p("func Push%[1]s(z *game.Zone, p *game.Player, m *%[2]s) error { return z.Push(p, Route%[1]s, m) }\n", name, message)
	if slices.Contains(names, "Emit"+name) {
		f.p("// Emit%s sends %s to every player who sees e: %s%s", name, what, text, waits)
		f.p("func Emit%[1]s(z *game.Zone, e game.Being, m *%[2]s) error { return z.Emit(e, Route%[1]s, m) }\n", name, message)
	}
	if slices.Contains(names, "Broadcast"+name) {
		f.p("// Broadcast%s sends %s to every player of the zone: %s%s", name, what, text, waits)
		f.p("func Broadcast%[1]s(z *game.Zone, m *%[2]s) error { return z.Broadcast(Route%[1]s, m) }\n", name, message)
		f.p("// Push%sToGroup sends %s to the players of a group, in whatever zones they are: %s%s", name, what, text, waits)
		f.p("func Push%[1]sToGroup(z *game.Zone, to game.GroupID, m *%[2]s) error { return z.PushGroup(to, Route%[1]s, m) }\n", name, message)
	}
}

// callHandler writes the registration of what an entity does when it is called.
func (g *generator) callHandler(f *file, c *model.Call) {
	name, message := c.Message.GoIdent.GoName, f.name(c.Message.GoIdent)
	result, answer, nothing := "error", "emptypb.Empty", "nil, "
	if c.Reply != nil {
		answer = f.name(c.Reply.GoIdent)
		result = fmt.Sprintf("(*%s, error)", answer)
	}
	who, e := "e game.Entity", "e"
	if c.Kind != nil {
		kind := c.Kind.Message.GoIdent.GoName
		who, e = "k "+kind, "k"
	}
	f.p("// On%s says what an entity does when it is called by %d %q: %s", name, c.ID, c.Name, sentence(leading(c.Message.Comments), name))
	if c.Kind != nil {
		f.p("// Entities of other kinds refuse it.")
	}
	f.p("// It runs in the entity's zone, in a tick after that of the call, and changes nothing in other zones. Who calls may be anybody: from says who, and where it was.")
	f.p("func (g *Game) On%s(handle func(z *game.Zone, %s, from game.Caller, m *%s) %s) {", name, who, message, result)
	if c.Kind == nil && c.Reply != nil {
		f.p("game.OnCall(g.Game, %q, %d, handle)", c.Name, c.ID)
		f.p("}\n")
		return
	}
	f.p("game.OnCall(g.Game, %q, %d, func(z *game.Zone, e game.Entity, from game.Caller, m *%s) (*%s, error) {", c.Name, c.ID, message, answer)
	if c.Kind != nil {
		kind := c.Kind.Message.GoIdent.GoName
		f.p("k, ok := %sOf(e)", kind)
		f.p("if !ok { return nil, &game.Error{Code: protocol.ErrorWrongState, Message: fmt.Sprintf(\"%%s: entity %%d is no %s\", %q, e.ID())} }", kind, c.Name)
	}
	if c.Reply != nil {
		nothing = ""
	}
	f.p("return %shandle(z, %s, from, m)", nothing, e)
	f.p("})")
	f.p("}\n")
}

// caller writes what calls an entity.
func (g *generator) caller(f *file, c *model.Call) {
	name, message := c.Message.GoIdent.GoName, f.name(c.Message.GoIdent)
	f.p("// Ask%s calls an entity, wherever it lives, by %d %q: %s", name, c.ID, c.Name, sentence(leading(c.Message.Comments), name))
	if c.Reply == nil {
		f.p("// then runs in a later tick of z, with nil when the entity has done it and otherwise with why it has not; it may be nil. from may be nil too. Ask%s fails, and calls nobody, if the game does not handle the call, or the message holds text which is not UTF-8.", name)
		f.p("func Ask%s(z *game.Zone, from game.Being, to game.EntityID, m *%s, a game.Async, then func(error)) error {", name, message)
		f.p("return game.Call(z, from, to, %d, m, a, func(_ *emptypb.Empty, err error) {", c.ID)
		f.p("if then != nil { then(err) }")
		f.p("})")
		f.p("}\n")
		return
	}
	f.p("// then runs in a later tick of z, with the answer or why there is none; it may be nil. from may be nil too. Ask%s fails, and calls nobody, if the game does not handle the call, or the message holds text which is not UTF-8.", name)
	f.p("func Ask%s(z *game.Zone, from game.Being, to game.EntityID, m *%s, a game.Async, then func(*%s, error)) error {", name, message, f.name(c.Reply.GoIdent))
	f.p("return game.Call(z, from, to, %d, m, a, then)", c.ID)
	f.p("}\n")
}
