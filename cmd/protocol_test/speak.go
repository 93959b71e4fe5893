package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// encode prints frames.
func encode(g *game, o *options, c console) error {
	if len(o.args) == 0 || isJSON([]byte(o.args[0]), "auto") || o.args[0] == "-" {
		return encodeObjects(g, o, c)
	}
	f, err := g.frameOf(o.args[0], o)
	if err != nil {
		return err
	}
	if len(o.args) > 2 {
		return misuse("%d arguments: encode takes a route and JSON, in quotes", len(o.args))
	}
	fixed := f.Type == protocol.TypeControl && g.fixed(f.Route)
	text := []byte("{}")
	if !fixed || len(o.args) > 1 {
		if text, err = input(o.args[1:], c); err != nil {
			return err
		}
	}
	if fixed { // only whole objects say what these hold
		f, err = g.converter.ParseText(fmt.Appendf(nil, `{"t":"ctrl","r":%d,"d":%s}`, f.Route, text))
		if err != nil {
			return err
		}
	} else {
		f.Flags, f.Payload = protocol.FlagJSON, bytes.TrimSpace(text)
	}
	if o.seq > 0 {
		if f.Type == protocol.TypeRequest || f.Type == protocol.TypeControl {
			return misuse("-seq %d: a request or a control frame has no sequence", o.seq)
		}
		f.Flags, f.Seq = f.Flags|protocol.FlagREL, uint32(o.seq)
	}
	b, err := g.append(nil, f, o)
	if err != nil {
		return err
	}
	return write(b, o.output, c)
}

// encodeObjects prints the frames that objects say: the arguments, or the lines of the input.
func encodeObjects(g *game, o *options, c console) error {
	var lines [][]byte
	if len(o.args) > 0 && o.args[0] != "-" {
		for _, a := range o.args {
			lines = append(lines, []byte(a))
		}
	} else {
		text, err := input(nil, c)
		if err != nil {
			return err
		}
		lines = bytes.Split(text, []byte("\n"))
	}
	var out []byte
	for i, line := range lines {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		f, err := g.converter.ParseText(line)
		if err == nil {
			out, err = g.append(out, f, o)
		}
		if err != nil {
			return fmt.Errorf("frame %d: %w", i+1, err)
		}
	}
	return write(out, o.output, c)
}

// fixed tells whether a control route's payload is no message.
func (g *game) fixed(route uint16) bool {
	return route == protocol.RoutePing || route == protocol.RoutePong || route == protocol.RouteEcho || route == protocol.RouteBye
}

// append appends a frame whose payload is JSON if it says so, in protobuf unless -json is given, and refuses what nobody may send.
func (g *game) append(dst []byte, f protocol.Frame, o *options) ([]byte, error) {
	d, err := g.sender(f, o)
	if err != nil {
		return nil, g.forbidden(f, err)
	}
	if f.Flags&protocol.FlagJSON != 0 {
		payload, err := g.converter.FromJSON(nil, f, d)
		if err != nil {
			return nil, err
		}
		if !o.inJSON {
			f.Flags, f.Payload = f.Flags&^protocol.FlagJSON, payload
		}
	}
	return protocol.AppendFrame(dst, f), nil
}

// forbidden says that nobody, or not who was named, may send a frame.
func (g *game) forbidden(f protocol.Frame, why error) error {
	f.Flags &^= protocol.FlagJSON
	return fmt.Errorf("%s may not be sent: %w", g.title(f, 0), why)
}

// decode prints frames in words.
func decode(g *game, o *options, c console) error {
	b, err := g.record(o, c)
	if err != nil {
		return err
	}
	whole, n := b, 0
	for ; len(b) > 0; n++ {
		at := len(whole) - len(b)
		f, rest, err := protocol.Next(b)
		if err != nil {
			return fmt.Errorf("frame %d, which begins at byte %d: %w", n+1, at, err)
		}
		d, refused := g.sender(f, o)
		title := g.title(f, d)
		if refused != nil {
			title = g.title(f, 0)
		}
		fmt.Fprintf(c.out, "%d at %d, %d bytes: %s\n", n+1, at, len(b)-len(rest), title)
		switch text, err := g.words(f, d); {
		case refused != nil:
			fmt.Fprintf(c.out, "  may not be sent: %v\n", refused)
		case err != nil:
			fmt.Fprintf(c.out, "  %v\n", err)
		case text != "":
			fmt.Fprintf(c.out, "  %s\n", text)
		}
		b = rest
	}
	return nil
}

// record is the bytes of frames from arguments or input.
func (g *game) record(o *options, c console) ([]byte, error) {
	text, err := input(o.args, c)
	if err != nil {
		return nil, err
	}
	if isJSON(text, o.input) {
		return nil, misuse("this is JSON: encode makes frames of it")
	}
	b, err := bytesOf(text, o.input)
	if err == nil && len(b) == 0 {
		return nil, misuse("there are no bytes: a frame has two at least")
	}
	return b, err
}

// words are what a frame says, beyond its title.
func (g *game) words(f protocol.Frame, d protocol.Direction) (string, error) {
	if f.Type == protocol.TypeState {
		return fmt.Sprintf("%d bytes of replicated state", len(f.Payload)), nil
	}
	text, err := g.converter.AppendText(nil, f, d)
	return string(text), err
}

// title names a frame: "push plains.move, client → server".
func (g *game) title(f protocol.Frame, d protocol.Direction) string {
	var b strings.Builder
	b.WriteString(f.Type.String())
	if f.Type != protocol.TypeState && f.Type != protocol.TypeAck {
		name := fmt.Sprintf("route %d", f.Route)
		if r, ok := g.routes.Lookup(f.Route); ok && f.Type != protocol.TypeControl {
			name = r.Name
		}
		for control, id := range controls() {
			if f.Type == protocol.TypeControl && id == f.Route {
				name = control
			}
		}
		b.WriteString(" " + name)
	}
	if d != 0 {
		b.WriteString(map[protocol.Direction]string{protocol.ClientToServer: ", client → server", protocol.ServerToClient: ", server → client"}[d])
	}
	if f.Flags&protocol.FlagREL != 0 {
		fmt.Fprintf(&b, ", number %d", f.Seq)
	}
	if f.Flags&protocol.FlagJSON != 0 {
		b.WriteString(", in JSON")
	}
	return b.String()
}

// convert turns a payload round.
func convert(g *game, o *options, c console) error {
	if len(o.args) == 0 {
		return misuse("convert needs a route: protocol_test convert plains.move '{\"seq\":7}'")
	}
	f, err := g.frameOf(o.args[0], o)
	if err != nil {
		return err
	}
	if f.Type == protocol.TypeControl && g.fixed(f.Route) {
		return misuse("%s has a fixed layout and no JSON: encode and decode know it", o.args[0])
	}
	text, err := input(o.args[1:], c)
	if err != nil {
		return err
	}
	toProto := isJSON(text, o.input)
	if toProto {
		f.Flags, f.Payload = protocol.FlagJSON, text
	} else if f.Payload, err = bytesOf(text, o.input); err != nil {
		return err
	}
	d, err := g.sender(f, o)
	if err != nil {
		return g.forbidden(f, err)
	}
	if toProto {
		b, err := g.converter.FromJSON(nil, f, d)
		if err != nil {
			return err
		}
		return write(b, o.output, c)
	}
	b, err := g.converter.ToJSON(nil, f, d)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "%s\n", b)
	return err
}
