package gobind

import (
	"fmt"
	"strings"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// short is the name of a route in Go: that of its message, without the Request of a request.
func short(r *model.Route) string {
	name := r.Message.GoIdent.GoName
	if cut, ok := strings.CutSuffix(name, "Request"); ok && r.Reply != nil && cut != "" {
		return cut
	}
	return name
}

// handled tells whether a zone handles what clients send on a route.
func handled(r *model.Route) bool {
	return r.Direction&protocol.ClientToServer != 0 && r.Affinity == protocol.Zone
}

// told tells whether the server pushes on a route.
func told(r *model.Route) bool {
	return r.Direction&protocol.ServerToClient != 0 && r.Reply == nil
}

// game writes the registration of handlers, and what the server sends.
func (g *generator) game(f *file) {
	f.p("// Game is a game of schema %s: its methods register what happens in it. It is made once, before any zone, and not changed afterwards.", g.Name)
	f.p("type Game struct{ *game.Game }\n")
	f.p("// NewGame makes a game without any handlers.")
	f.p("func NewGame() *Game {")
	if len(g.Components) > 0 {
		f.p("codec, err := NewCodec()")
	} else {
		f.p("codec, err := delta.NewCodec(NewLayout(), nil)")
	}
	f.p("if err != nil {")
	f.p("panic(fmt.Sprintf(\"%s: the generated layout: %%v\", err)) // the generator has finished it before", g.BindName)
	f.p("}")
	f.p("g := &Game{&game.Game{")
	f.p("Name: %q,", g.Name)
	f.p("Schema: game.Schema{Codec: codec, Fingerprint: protocol.FingerprintOf(Fingerprint), Routes: Routes()},")
	f.p("}}")
	if len(g.Tables) > 0 {
		f.p("if g.Schema.Tables, err = NewTablesSchema(tables.Config{}); err != nil {")
		f.p("panic(fmt.Sprintf(\"%s: the generated tables: %%v\", err)) // the generator has checked them before", g.BindName)
		f.p("}")
	}
	if g.Avatar != nil {
		f.p("g.OnJoin(nil)")
		f.p("g.OnRespawn(nil)")
	}
	f.p("return g")
	f.p("}\n")
	g.routes(f)
	if g.Avatar != nil {
		g.join(f)
	}
	for _, r := range g.Routes {
		if handled(r) {
			g.handler(f, r)
			if r.Reply != nil {
				g.laterHandler(f, r)
			}
		}
	}
	for _, c := range g.Calls {
		g.callHandler(f, c)
		g.caller(f, c)
	}
	for _, r := range g.Routes {
		if told(r) {
			g.push(f, r)
		}
	}
}

func (g *generator) routes(f *file) {
	if len(g.Routes) > 0 {
		f.p("// The routes of schema %s.", g.Name)
		f.p("const (")
		for _, r := range g.Routes {
			f.p("Route%s uint16 = %d", short(r), r.ID)
		}
		f.p(")\n")
	}
	f.p("// Routes is the schema's route table, by number.")
	f.p("func Routes() []protocol.Route {")
	f.p("return []protocol.Route{")
	for _, r := range g.Routes {
		w := literal{}
		w.add("ID", "Route"+short(r))
		w.text("Name", r.Name)
		w.add("Kind", map[protocol.Kind]string{protocol.Push: "protocol.Push", protocol.Request: "protocol.Request"}[r.Kind])
		w.add("Direction", map[protocol.Direction]string{
			protocol.ClientToServer: "protocol.ClientToServer", protocol.ServerToClient: "protocol.ServerToClient", protocol.BothWays: "protocol.BothWays",
		}[r.Direction])
		w.add("States", statesOf(r.States))
		if affinity, ok := map[protocol.Affinity]string{protocol.Gateway: "Gateway", protocol.Zone: "Zone", protocol.Service: "Service"}[r.Affinity]; ok {
			w.add("Affinity", "protocol."+affinity)
		}
		w.num("MaxBytes", int64(r.MaxBytes))
		w.float("Rate", r.Rate)
		w.num("Burst", int64(r.Burst))
		w.num("Cost", int64(r.Cost))
		if r.Delivery != protocol.Reliable {
			w.add("Delivery", map[protocol.Delivery]string{protocol.AOIEvent: "protocol.AOIEvent", protocol.Latest: "protocol.Latest"}[r.Delivery])
		}
		w.flag("Idempotent", r.Idempotent)
		w.text("Message", string(r.Message.Desc.FullName()))
		if r.Reply != nil {
			w.text("Reply", string(r.Reply.Desc.FullName()))
		}
		w.text("Right", r.Right)
		w.flag("Audit", r.Audit)
		f.p("{%s},", w.String())
	}
	f.p("}")
	f.p("}\n")
}

// statesOf is a set of states in Go: "protocol.Authenticated | protocol.Playing".
func statesOf(set protocol.States) string {
	if set == protocol.AnyState {
		return "protocol.AnyState"
	}
	var words []string
	for _, s := range []struct {
		state protocol.States
		word  string
	}{{protocol.Secured, "Secured"}, {protocol.Authenticated, "Authenticated"}, {protocol.Playing, "Playing"}} {
		if set&s.state != 0 {
			words = append(words, "protocol."+s.word)
		}
	}
	return strings.Join(words, " | ")
}

func (g *generator) join(f *file) {
	avatar := g.Avatar.Message.GoIdent.GoName
	f.p("// OnJoin says what happens when a player joins: it has got a %s in the middle of the zone, which join may move and change. An error refuses the player.", avatar)
	f.p("func (g *Game) OnJoin(join func(z *game.Zone, p *game.Player, h %s) error) {", avatar)
	f.p("g.Game.OnJoin = func(z *game.Zone, p *game.Player) error { return embody(z, p, join) }")
	f.p("}\n")
	f.p("// OnRespawn says what happens when a player comes back after its avatar has died: it has got another %s in the middle of the zone, which respawn may move and change.", avatar)
	f.p("func (g *Game) OnRespawn(respawn func(z *game.Zone, p *game.Player, h %s) error) {", avatar)
	f.p("g.Game.OnRespawn = func(z *game.Zone, p *game.Player) error { return embody(z, p, respawn) }")
	f.p("}\n")
	f.p("// embody gives a player an avatar in the middle of the zone.")
	f.p("func embody(z *game.Zone, p *game.Player, then func(z *game.Zone, p *game.Player, h %s) error) error {", avatar)
	f.p("c := z.Config()")
	f.p("h, err := Spawn%sQ(z, c.X+c.Width/2, c.Y+c.Height/2)", avatar)
	f.p("if err != nil { return err }")
	f.p("if err := z.Control(p, h.Entity); err != nil {")
	f.p("z.Despawn(h.Entity)")
	f.p("return err")
	f.p("}")
	f.p("if then == nil { return nil }")
	f.p("return then(z, p, h)")
	f.p("}\n")
	f.p("// avatarOf is the avatar of a player, or the refusal of a message that needs one.")
	f.p("func avatarOf(p *game.Player, route string) (%s, error) {", avatar)
	f.p("h, ok := %sOf(p.Avatar())", avatar)
	f.p("if !ok || h.Dead() { return h, &game.Error{Code: protocol.ErrorWrongState, Message: route + \": there is no living avatar\"} }")
	f.p("return h, nil")
	f.p("}\n")
}

// avatar is what handlers of a route are given besides the player: a parameter, and what is handed over for it. A command has none: an operator may give it who
// is not in the world.
func (g *generator) avatar(r *model.Route) (parameter, argument string) {
	if g.Avatar == nil || r.Right != "" {
		return "", ""
	}
	return ", h " + g.Avatar.Message.GoIdent.GoName, ", h"
}

// manners says of a handler what the schema has besides its message.
func (g *generator) manners(f *file, r *model.Route) {
	if _, h := g.avatar(r); h != "" {
		f.p("// h is the player's avatar; who has none that lives is refused.")
	}
	switch {
	case r.Right != "" && r.Audit:
		f.p("// It needs the right %q and is put on record; p may be an operator, without connection or avatar.", r.Right)
	case r.Right != "":
		f.p("// It needs the right %q; p may be an operator, without connection or avatar.", r.Right)
	case r.Audit:
		f.p("// Every message is put on record.")
	}
}

func (g *generator) handler(f *file, r *model.Route) {
	name, message := short(r), f.name(r.Message.GoIdent)
	result, zero := "error", ""
	if r.Reply != nil {
		result, zero = fmt.Sprintf("(*%s, error)", f.name(r.Reply.GoIdent)), "nil, "
	}
	avatar, h := g.avatar(r)
	f.p("// On%s says what a zone does with route %d %q: %s", name, r.ID, r.Name, sentence(leading(r.Message.Comments), r.Message.GoIdent.GoName))
	g.manners(f, r)
	if r.Tick != nil {
		f.p("// It runs at the tick that the message names, or as soon as it can.")
	}
	if r.Seq != nil {
		f.p("// An input that is not newer than the last one is refused; each that is taken is reported to the player's client.")
	}
	f.p("func (g *Game) On%s(handle func(z *game.Zone, p *game.Player%s, m *%s) %s) {", name, avatar, message, result)
	call := "OnPush"
	switch {
	case r.Reply != nil:
		call = "OnRequest"
	case r.Tick != nil:
		call = "OnPushAt"
	}
	tick := ""
	if r.Tick != nil {
		tick = fmt.Sprintf("func(m *%s) uint32 { return uint32(m.%s) }, ", message, r.Tick.GoName)
	}
	f.p("game.%s(g.Game, %s, %sfunc(z *game.Zone, p *game.Player, m *%s) %s {", call, declaration(r), tick, message, result)
	if r.Seq != nil {
		f.p("seq := uint32(m.%s)", r.Seq.GoName)
		f.p("if int32(seq-p.InputSeq) <= 0 {")
		f.p("return %s&game.Error{Code: protocol.ErrorMalformed, Message: fmt.Sprintf(\"%%s: input %%d is not newer than the last one\", %q, seq)}", zero, r.Name)
		f.p("}")
		f.p("p.InputSeq = seq")
		f.p("z.Applied(p, seq)")
	}
	if h != "" {
		f.p("h, err := avatarOf(p, %q)", r.Name)
		f.p("if err != nil { return %serr }", zero)
	}
	f.p("return handle(z, p%s, m)", h)
	f.p("})")
	f.p("}\n")
}

// declaration is a route as its handler's registration states it; the rest is in the schema's table.
func declaration(r *model.Route) string {
	return fmt.Sprintf("protocol.Route{ID: Route%s, Name: %q, MaxBytes: %d}", short(r), r.Name, r.MaxBytes)
}

// laterHandler writes the registration of a handler that answers in a later tick.
func (g *generator) laterHandler(f *file, r *model.Route) {
	name, message, reply := short(r), f.name(r.Message.GoIdent), f.name(r.Reply.GoIdent)
	avatar, h := g.avatar(r)
	f.p("// On%[1]sLater is On%[1]s for what takes longer than the tick: reply is kept and used once, by Send or Fail. An error that handle returns is the answer.", name)
	g.manners(f, r)
	f.p("func (g *Game) On%sLater(handle func(z *game.Zone, p *game.Player%s, m *%s, reply game.Reply[*%s]) error) {", name, avatar, message, reply)
	if h == "" {
		f.p("game.OnDeferred(g.Game, %s, handle)", declaration(r))
	} else {
		f.p("game.OnDeferred(g.Game, %s, func(z *game.Zone, p *game.Player, m *%s, reply game.Reply[*%s]) error {", declaration(r), message, reply)
		f.p("h, err := avatarOf(p, %q)", r.Name)
		f.p("if err != nil { return err }")
		f.p("return handle(z, p, h, m, reply)")
		f.p("})")
	}
	f.p("}\n")
}

// sentence is a comment of the schema about a message as the rest of a line.
func sentence(text, name string) string {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return name + "."
	}
	return text
}

// client writes a client's calls and the dispatch of what it is told.
func (g *generator) client(f *file) {
	var pushes []*model.Route
	for _, r := range g.Routes {
		name, message := short(r), f.name(r.Message.GoIdent)
		if told(r) {
			pushes = append(pushes, r)
		}
		if r.Direction&protocol.ClientToServer == 0 {
			continue
		}
		text := sentence(leading(r.Message.Comments), r.Message.GoIdent.GoName)
		if r.Reply == nil {
			f.p("// Send%s sends route %d %q: %s", name, r.ID, r.Name, text)
			f.p("func Send%[1]s(c protocol.Caller, m *%[2]s) error { return c.Push(Route%[1]s, m) }\n", name, message)
			continue
		}
		reply := f.name(r.Reply.GoIdent)
		f.p("// Call%s sends route %d %q and waits for the reply, until ctx ends: %s", name, r.ID, r.Name, text)
		f.p("func Call%s(ctx context.Context, c protocol.Caller, m *%s) (*%s, error) {", name, message, reply)
		f.p("reply := &%s{}", reply)
		f.p("if err := c.Request(ctx, Route%s, m, reply); err != nil { return nil, err }", name)
		f.p("return reply, nil")
		f.p("}\n")
	}
	f.p("// Pushes says what a client does with what a server of schema %s tells it; nil fields are skipped.", g.Name)
	f.p("type Pushes struct {")
	for _, r := range pushes {
		f.p("// %s is called with route %d %q: %s", short(r), r.ID, r.Name, sentence(leading(r.Message.Comments), r.Message.GoIdent.GoName))
		f.p("%s func(m *%s)", short(r), f.name(r.Message.GoIdent))
	}
	f.p("}\n")
	f.p("// Dispatch parses a push and calls its field; known is false for routes that are not the schema's. err says that the payload does not parse.")
	f.p("func (p *Pushes) Dispatch(route uint16, payload []byte) (known bool, err error) {")
	if len(pushes) > 0 {
		f.p("switch route {")
		for _, r := range pushes {
			name := short(r)
			f.p("case Route%s:", name)
			f.p("if p.%s == nil { return true, nil }", name)
			f.p("m := &%s{}", f.name(r.Message.GoIdent))
			f.p("if err := protocol.Unmarshal(payload, m); err != nil { return true, err }")
			f.p("p.%s(m)", name)
			f.p("return true, nil")
		}
		f.p("}")
	}
	f.p("return false, nil")
	f.p("}\n")
}
