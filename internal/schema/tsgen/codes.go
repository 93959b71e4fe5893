package tsgen

import (
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// codes writes the protocol's codes, which belong to no message: one file has them, that of mmo.v1.
func (g *generator) codes() error {
	if g.s.Package != "mmo.v1" {
		return nil
	}
	at := g.s.Files[0].Desc
	if err := g.declare("ErrorCode", "the error codes", at); err != nil {
		return err
	}
	if err := g.declare("DisconnectCode", "the disconnect codes", at); err != nil {
		return err
	}
	g.p("")
	g.doc("", fmt.Sprintf("ErrorCode has the framework's codes of ERROR frames; from %d on they are the game's own.", protocol.FirstGameError))
	g.p("export const ErrorCode = {")
	for _, c := range protocol.ErrorCodes() {
		g.doc("  ", c.Meaning())
		g.p("  %s: %d,", camel(c.String()), c)
	}
	g.p("} as const;")
	g.p("")
	g.doc("", "DisconnectCode has the codes that close a connection: below 4500 the client comes back by itself, from there on it tells the player.")
	g.p("export const DisconnectCode = {")
	for _, c := range protocol.DisconnectCodes() {
		g.doc("  ", c.Meaning())
		g.p("  %s: %d,", camel(c.String()), c)
	}
	g.p("} as const;")
	return nil
}
