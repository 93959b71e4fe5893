package main

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// converters turn JSON into protobuf and back in this program, for gateways that take no JSON. They know the messages that are linked in: the framework's and those of the
// sample games.
type converters map[string]*protocol.Converter // by game

func (n *names) converters() (converters, error) {
	all := converters{}
	for game, routes := range n.games {
		if game != "" {
			routes = append(n.games[""], routes...)
		}
		table, err := protocol.NewRoutes(routes...)
		if err != nil {
			return nil, fmt.Errorf("routes of %q: %w", game, err)
		}
		messages, err := protocol.Descriptors(routes)
		if err != nil {
			return nil, fmt.Errorf("messages of %q: %w", game, err)
		}
		if all[game], err = protocol.NewConverter(table, messages); err != nil {
			return nil, fmt.Errorf("messages of %q: %w", game, err)
		}
	}
	return all, nil
}

// of is the converter of the game that is played, as far as that is known.
func (p *player) converter() *protocol.Converter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.convert[p.game]; c != nil {
		return c
	}
	return p.convert[""]
}

// raw is a message that is bytes already.
type raw struct {
	proto.Message
	b []byte
}

func (r *raw) SizeFast() int                       { return len(r.b) }
func (r *raw) AppendFast(b []byte) ([]byte, error) { return append(b, r.b...), nil }
func (r *raw) ParseFast(b []byte) error            { r.b = append([]byte(nil), b...); return nil }

// ask sends a request in JSON and returns the answer in JSON, whatever the connection speaks.
func (p *player) ask(ctx context.Context, route uint16, message []byte) ([]byte, error) {
	if p.convert == nil {
		return p.RequestJSON(ctx, route, message)
	}
	c := p.converter()
	b, err := c.FromJSON(nil, protocol.Frame{Type: protocol.TypeRequest, Route: route, ID: 1, Payload: message}, protocol.ClientToServer)
	if err != nil {
		return nil, err
	}
	var answer raw
	if err := p.Request(ctx, route, &raw{b: b}, &answer); err != nil {
		return nil, err
	}
	return c.ToJSON(nil, protocol.Frame{Type: protocol.TypeResponse, Route: route, ID: 1, Payload: answer.b}, protocol.ServerToClient)
}

// say sends a push in JSON.
func (p *player) say(route uint16, message []byte) error {
	if p.convert == nil {
		return p.PushJSON(route, message)
	}
	b, err := p.converter().FromJSON(nil, protocol.Frame{Type: protocol.TypePush, Route: route, Payload: message}, protocol.ClientToServer)
	if err != nil {
		return err
	}
	return p.Push(route, &raw{b: b})
}

// text is a push as JSON; what nobody here knows is a string of hexadecimal digits.
func (p *player) text(route uint16, payload []byte) []byte {
	if p.convert == nil {
		return append([]byte(nil), payload...)
	}
	b, err := p.converter().ToJSON(nil, protocol.Frame{Type: protocol.TypePush, Route: route, Payload: payload}, protocol.ServerToClient)
	if err != nil {
		return fmt.Appendf(nil, "\"%x\"", payload)
	}
	return b
}
