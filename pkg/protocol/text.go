package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// A frame as text, for the listener of developers: one JSON object, whose members come in this order and only where the type has them.
//
//	{"t":"push","r":"plains.move","q":12,"d":{…}}        r is a name or a number, d the message as JSON
//	{"t":"req","r":64,"i":7,"d":{…}}                     i is the id of the request
//	{"t":"resp","r":64,"i":7,"q":13,"d":{…}}             q is the sequence of a numbered message
//	{"t":"err","r":64,"i":7,"d":{…}}
//	{"t":"ctrl","r":"goaway","d":{…}}
//	{"t":"ctrl","r":"ping","d":{"client":"5"}}           times in µs; pong: client, server; echo: processed; bye has no d
//	{"t":"ack","q":12}
//
// State frames have no text: they are bits.

// word is what a frame type is called in text; "" for state frames.
func (t FrameType) word() string {
	switch t {
	case TypePush:
		return "push"
	case TypeRequest:
		return "req"
	case TypeResponse:
		return "resp"
	case TypeError:
		return "err"
	case TypeAck:
		return "ack"
	case TypeControl:
		return "ctrl"
	}
	return ""
}

// AppendText appends f, which the sender of direction d sends, to dst as a JSON object. Its payload is protobuf, or JSON if f says so. On an error dst comes
// back as it was.
func (c *Converter) AppendText(dst []byte, f Frame, d Direction) ([]byte, error) {
	kind, fields := f.Type.word(), fieldsOf(f.Type)
	if kind == "" {
		return dst, fmt.Errorf("frame as text: %v has none", f.Type)
	}
	out := append(append(append(dst, `{"t":"`...), kind...), '"')
	if fields&hasRoute != 0 {
		out = c.appendRoute(append(out, `,"r":`...), f)
	}
	if fields&hasID != 0 && f.ID != 0 {
		out = strconv.AppendUint(append(out, `,"i":`...), uint64(f.ID), 10)
	}
	if f.Flags&FlagREL != 0 || fields&hasSeq != 0 {
		out = strconv.AppendUint(append(out, `,"q":`...), uint64(f.Seq), 10)
	}
	if fields&hasPayload == 0 {
		return append(out, '}'), nil
	}
	if f.Type == TypeControl && f.Route < FirstFrameworkRoute && c.routes.rules[f.Route].exact {
		text, err := appendFixed(out, f)
		if err != nil {
			return dst, fmt.Errorf("frame as text: %w", err)
		}
		return append(text, '}'), nil
	}
	out = append(out, `,"d":`...)
	if f.Flags&FlagJSON != 0 {
		if err := checkJSON(f.Payload); err != nil {
			return dst, fmt.Errorf("frame as text: %v of route %d: %w", f.Type, f.Route, err)
		}
		return append(append(out, f.Payload...), '}'), nil
	}
	text, err := c.ToJSON(out, f, d)
	if err != nil {
		return dst, err
	}
	return append(text, '}'), nil
}

// appendRoute appends the name of f's route, or its number if it has none, as in a refusal of what was not known.
func (c *Converter) appendRoute(dst []byte, f Frame) []byte {
	name := ""
	if f.Type == TypeControl {
		name = controlName(f.Route)
	} else if r, ok := c.routes.Lookup(f.Route); ok {
		name = r.Name
	}
	if name == "" {
		return strconv.AppendUint(dst, uint64(f.Route), 10)
	}
	quoted, err := json.Marshal(name)
	if err != nil { // no string fails
		return strconv.AppendUint(dst, uint64(f.Route), 10)
	}
	return append(dst, quoted...)
}

// appendFixed appends d of a control frame of fixed layout.
func appendFixed(dst []byte, f Frame) ([]byte, error) {
	switch f.Route {
	case RoutePing:
		client, err := ParsePing(f.Payload)
		return fmt.Appendf(dst, `,"d":{"client":"%d"}`, client), err
	case RoutePong:
		client, server, err := ParsePong(f.Payload)
		return fmt.Appendf(dst, `,"d":{"client":"%d","server":"%d"}`, client, server), err
	case RouteEcho:
		processed, err := ParseEcho(f.Payload)
		return fmt.Appendf(dst, `,"d":{"processed":%d}`, processed), err
	}
	if len(f.Payload) > 0 {
		return dst, sizeError(controlName(f.Route), len(f.Payload), 0)
	}
	return dst, nil
}

// ParseText reads a frame from a JSON object as AppendText writes it; members may come in any order, and no other ones. The payload is the text of d, which
// aliases b, with FlagJSON: FromJSON makes the message of it. It is binary for control frames of fixed layout. A missing d is an empty message.
// Whether the route exists there and may be used is Check's question.
func (c *Converter) ParseText(b []byte) (Frame, error) {
	var t textFrame
	if err := members(b, t.set); err != nil {
		return Frame{}, fmt.Errorf("parse frame: %w", err)
	}
	f, err := c.frame(&t)
	if err != nil {
		return Frame{}, fmt.Errorf("parse frame: %w", err)
	}
	return f, nil
}

// textFrame is a frame's members, d and r as they stand there.
type textFrame struct {
	kind        string
	route, data []byte
	id, seq     *uint32
}

func (t *textFrame) set(name string, value []byte) (err error) {
	switch name {
	case "t":
		t.kind, err = textOf(value)
	case "r":
		t.route = value
	case "d":
		t.data = value
	case "i":
		t.id, err = uint32Of(value)
	case "q":
		t.seq, err = uint32Of(value)
	default:
		return fmt.Errorf("member %.40q is none of t, r, i, q and d", name)
	}
	if err != nil {
		return fmt.Errorf("member %s: %w", name, err)
	}
	return nil
}

// frame puts a frame together.
func (c *Converter) frame(t *textFrame) (f Frame, err error) {
	known := false
	for k := range FrameType(8) {
		if t.kind != "" && k.word() == t.kind {
			f.Type, known = k, true
		}
	}
	if !known {
		return f, fmt.Errorf("t is %.40q: need push, req, resp, err, ctrl or ack", t.kind)
	}
	fields := fieldsOf(f.Type)
	switch {
	case t.route == nil && fields&hasRoute != 0:
		return f, fmt.Errorf("%s without r: name its route", t.kind)
	case t.route != nil && fields&hasRoute == 0:
		return f, fmt.Errorf("%s with r: it has no route", t.kind)
	case t.id != nil && fields&hasID == 0:
		return f, fmt.Errorf("%s with i: only req, resp and err have an id", t.kind)
	case t.seq == nil && fields&hasSeq != 0:
		return f, fmt.Errorf("%s without q: say the sequence of the last message received", t.kind)
	case t.seq != nil && fields&(hasSeq|mayREL) == 0:
		return f, fmt.Errorf("%s with q: it has no sequence", t.kind)
	case t.data != nil && fields&hasPayload == 0:
		return f, fmt.Errorf("%s with d: it carries no message", t.kind)
	}
	if t.id != nil {
		f.ID = *t.id
	}
	if t.seq != nil {
		f.Seq = *t.seq
		if fields&mayREL != 0 {
			f.Flags |= FlagREL
		}
	}
	if fields&hasPayload == 0 {
		return f, nil
	}
	if f.Route, err = c.routeOf(f.Type, t.route); err != nil {
		return f, err
	}
	if f.Type == TypeControl && f.Route < FirstFrameworkRoute && c.routes.rules[f.Route].exact {
		f.Payload, err = parseFixed(f.Route, t.data)
		return f, err
	}
	f.Flags |= FlagJSON
	if f.Payload = t.data; f.Payload == nil {
		f.Payload = []byte("{}")
	}
	return f, nil
}

// routeOf reads r: a number, or the name of a route.
func (c *Converter) routeOf(t FrameType, value []byte) (uint16, error) {
	if value[0] != '"' {
		n, err := strconv.ParseUint(string(value), 10, 16)
		if err != nil {
			return 0, fmt.Errorf("r is %.40s: need the name of a route, or its number, 0 to %d", value, MaxRoute)
		}
		return uint16(n), nil
	}
	name, err := textOf(value)
	if err != nil {
		return 0, fmt.Errorf("member r: %w", err)
	}
	if t == TypeControl {
		for id := range uint16(FirstFrameworkRoute) {
			if name != "" && controlName(id) == name {
				return id, nil
			}
		}
		return 0, fmt.Errorf("there is no control route %.40q", name)
	}
	id, ok := c.routes.names[name]
	if !ok {
		return 0, fmt.Errorf("there is no route %.40q", name)
	}
	return id, nil
}

// parseFixed reads d of a control frame of fixed layout.
func parseFixed(route uint16, data []byte) ([]byte, error) {
	given := map[string]uint64{}
	if data != nil {
		err := members(data, func(name string, value []byte) error {
			n, err := strconv.ParseUint(unquoted(value), 10, 64)
			if err != nil {
				return fmt.Errorf("%.40q is %.40s: need a whole number of at most 64 bits", name, value)
			}
			given[name] = n
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("in d of %s, %w", controlName(route), err)
		}
	}
	take := func(name string) uint64 {
		n := given[name]
		delete(given, name)
		return n
	}
	var b []byte
	switch route {
	case RoutePing:
		b = AppendPing(nil, take("client"))[controlHead:]
	case RoutePong:
		b = AppendPong(nil, take("client"), take("server"))[controlHead:]
	case RouteEcho:
		if given["processed"] > math.MaxUint16 {
			return nil, fmt.Errorf("processed is %d: it counts to %d and begins again", given["processed"], math.MaxUint16)
		}
		b = AppendEcho(nil, uint16(take("processed")))[controlHead:]
	}
	for name := range given {
		return nil, fmt.Errorf("%s has no member %.40q", controlName(route), name)
	}
	return b, nil
}

// controlHead is the size of the head of a whole control frame of fixed layout: type, route, length.
const controlHead = 3

func unquoted(value []byte) string {
	if len(value) > 1 && value[0] == '"' {
		value = value[1 : len(value)-1]
	}
	return string(value)
}

func textOf(value []byte) (string, error) {
	var s string
	if err := json.Unmarshal(value, &s); err != nil || value[0] != '"' {
		return "", errors.New("need a text in quotes")
	}
	return s, nil
}

func uint32Of(value []byte) (*uint32, error) {
	n, err := strconv.ParseUint(string(value), 10, 32)
	if err != nil {
		return nil, fmt.Errorf("%.40s is no whole number of at most 32 bits", value)
	}
	v := uint32(n)
	return &v, nil
}
