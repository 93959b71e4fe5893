package tsgen

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// route is a route with its name in TypeScript.
type route struct {
	*model.Route
	key string
}

// nameRoutes names routes by the last part of theirs: "plains.move_refused" → moveRefused; all of it where that is taken.
func (g *generator) nameRoutes() error {
	g.names["Route"], g.names["Kind"] = "the routes", "the kinds"
	taken := map[string]int{}
	last := func(r *model.Route) string { return member(camel(r.Name[strings.LastIndexByte(r.Name, '.')+1:])) }
	for _, r := range g.s.Routes {
		taken[last(r)]++
	}
	by := map[string]string{}
	for _, r := range g.s.Routes {
		key := last(r)
		if taken[key] > 1 {
			key = camel(strings.ReplaceAll(r.Name, ".", "_"))
		}
		if key != word(key) || key == "" || key[0] >= '0' && key[0] <= '9' {
			return g.wrong(r.Message.Desc, "route name %q gives its functions no name: its last part is made of letters, digits and _, and begins with a letter", r.Name)
		}
		if other, twice := by[key]; twice {
			return g.wrong(r.Message.Desc, "routes %q and %q are both called %s: rename one of them", other, r.Name, key)
		}
		by[key] = r.Name
		g.routes = append(g.routes, route{r, key})
	}
	return nil
}

func (g *generator) routeConsts() error {
	if len(g.routes) == 0 {
		return nil
	}
	g.p("")
	g.doc("", "Route has the numbers of the schema's routes.")
	g.p("export const Route = {")
	for _, r := range g.routes {
		g.p("  %s: %d,", r.key, r.ID)
	}
	g.p("} as const;")
	return nil
}

// senders writes send and call functions for what clients may send.
func (g *generator) senders() error {
	for _, r := range g.routes {
		if r.Direction&protocol.ClientToServer == 0 {
			continue
		}
		message, err := g.messageType(r, r.Message)
		if err != nil {
			return err
		}
		channel, doc := g.sdk("wire", "type Channel"), comment(r.Message.Comments, r.Name+" is a message.")
		g.p("")
		if r.Reply == nil {
			if err := g.declare("send"+title(r.key), "route "+r.Name, r.Message.Desc); err != nil {
				return err
			}
			g.doc("", fmt.Sprintf("Route %d. %s", r.ID, doc))
			g.p("export function send%s(to: %s, m: %s): void {\n  to.push(Route.%s, %s(m));\n}", title(r.key), channel, message, r.key, g.function("encode", r.Message))
			continue
		}
		reply, err := g.messageType(r, r.Reply)
		if err != nil {
			return err
		}
		if err := g.declare("call"+title(r.key), "route "+r.Name, r.Message.Desc); err != nil {
			return err
		}
		g.doc("", fmt.Sprintf("Route %d. %s It rejects with a RequestError if it is refused, or not answered in time.", r.ID, doc))
		g.p("export async function call%s(to: %s, m: %s, deadlineMs?: number): Promise<%s> {", title(r.key), channel, message, reply)
		g.p("  return %s(await to.request(Route.%s, %s(m), deadlineMs));\n}", g.function("decode", r.Reply), r.key, g.function("encode", r.Message))
	}
	return nil
}

// messageType is the type of a route's message.
func (g *generator) messageType(r route, m *protogen.Message) (string, error) {
	t, err := g.named(m.Desc, m.GoIdent.GoName)
	if err != nil {
		return "", g.wrong(r.Message.Desc, "route %s: %v", r.Name, err)
	}
	return t, nil
}

// pushes writes the dispatcher of what the server sends unasked.
func (g *generator) pushes() error {
	var list []route
	for _, r := range g.routes {
		if r.Direction&protocol.ServerToClient != 0 && r.Reply == nil {
			list = append(list, r)
		}
	}
	if len(list) == 0 {
		return nil
	}
	for _, name := range []string{"Pushes", "dispatch"} {
		if err := g.declare(name, "the dispatcher of pushes", list[0].Message.Desc); err != nil {
			return err
		}
	}
	g.p("")
	g.doc("", "Pushes are what the server sends unasked; what has no handler is not decoded.")
	g.p("export interface Pushes {")
	for _, r := range list {
		message, err := g.messageType(r, r.Message)
		if err != nil {
			return err
		}
		g.doc("  ", comment(r.Message.Comments, r.Name))
		g.p("  %s?(m: %s): void;", r.key, message)
	}
	g.p("}")
	g.p("")
	g.doc("", "dispatch hands a push on; false: it is not one of this schema.")
	g.p("export function dispatch(route: number, payload: %s, to: Pushes): boolean {\n  switch (route) {", g.bytes())
	for _, r := range list {
		g.p("    case Route.%s: to.%s?.(%s(payload)); return true;", r.key, r.key, g.function("decode", r.Message))
	}
	g.p("    default: return false;\n  }\n}")
	return nil
}
