// Package lock reads, compares and writes schema.lock: what a schema has promised to programs that are already out there, so that no later version breaks
// them unnoticed. Ids are never used again, and nothing that has an id changes its form.
//
// Everything is a plain function of its arguments: any goroutine may call it, nothing runs on, there is nothing to stop.
package lock

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// Lock is a schema.lock: a head that counts the changes, and the body.
type Lock struct {
	Generation uint16   // counts incompatible changes, from 1
	Revision   uint16   // counts all changes, from 1
	Sum        [4]byte  // first bytes of SHA-256 of the body's text, as the file says; see Body.Sum
	Breaks     []string // reasons of the generations 2 and up, one line each
	Body       Body

	RPC       Body     // what processes of ours promise each other: Methods, Calls, and the Fields and Enums of their messages. Clients know nothing of it, so neither Sum nor Generation do
	RPCBreaks []string // reasons of the changes that broke it, one line each

	Broke  bool // of a lock that Next made: it needed the reason
	Merged bool // the text had both sides of a merge, so its sum need not be that of the body, and the next lock is a new revision
}

// none stands where there is nothing, so that lines keep their number of words.
const none = "-"

// Body is what is promised. Sort puts it into the order of the file.
type Body struct {
	TickHz     uint32 // ticks per second of the zones; 0: not said
	Routes     []Route
	Fields     []Field
	Kinds      []Kind
	Components []Component
	States     []State
	Enums      []Enum
	Retired    []Retired
	Methods    []Method // of services; in RPC only
	Calls      []Call   // in RPC only
	Layout     string   // first 8 hexadecimal digits of SHA-256 of the layout table without its fingerprint; "": not said. What the table says is in the sum with it

	Messages []string // that are needed now, those without fields too: a removed field retires if its message stays. The file does not have them
}

// Route is a route: Reply "-" is none.
type Route struct {
	ID                                    uint16
	Name, Kind, Direction, Message, Reply string
}

// Field is a field of a message that a route or a component needs. Label is one, optional, repeated or oneof.
type Field struct {
	Message           string // full name
	Number            uint32
	Name, Type, Label string
}

// Optional is what stands behind the name of a component that entities of the kind may lack. It may come and go, as components may: clients learn it from the layout table.
const Optional = "?"

// Kind is a kind with its components by name, Optional behind those that its entities may lack.
type Kind struct {
	ID         uint16
	Name       string
	Components []string
}

// Component is a component. Motion is how its position is made, "x=1,z=2,vx=3,vz=4", "-" for none.
type Component struct {
	ID           uint16
	Name, Motion string
}

// State is how a field of a component travels. Path is its number, and those of nested ones: an element of a list has 1, key and value of a map 1 and 2.
type State struct {
	Component uint16
	Path      []uint32
	Name      string
	Form      string // what must not change: type, optional, bits, range, quantum, origin, audience; "word" or "word=value" with commas between
	Bound     uint32 // max elements or bytes, which may change; 0: none
}

// Enum is a number of an enum that a route or a component needs, with its names, sorted: more than one are aliases.
type Enum struct {
	Name   string // full name
	Number int32
	Values []string
}

// Method is a method of a service. Form is who says how much: unary, one_way, client_stream, server_stream or both_streams.
type Method struct {
	Name                    string // full: package.Service/Method
	Request, Response, Form string
}

// Call is what entities call on each other, in whatever zones they are. Reply "-" is none.
type Call struct {
	ID             uint16
	Message, Reply string // full names
}

// Retired is an id that was in use once. What is route, kind, component, call, field or enum; of the last two Message is the full name of the message or enum.
type Retired struct {
	What    string
	Message string
	ID      uint32 // of an enum an int32
	Name    string
}

// Key names what a mistake is about: "route 64", "kind 1", "component 2", "field plains.v1.Move 3" or "state 1 5.1".
func (r Route) Key() string { return fmt.Sprintf("route %d", r.ID) }

// Key names the kind.
func (k Kind) Key() string { return fmt.Sprintf("kind %d", k.ID) }

// Key names the component.
func (c Component) Key() string { return fmt.Sprintf("component %d", c.ID) }

// Key names the field.
func (f Field) Key() string { return fmt.Sprintf("field %s %d", f.Message, f.Number) }

// Key names the field and its component.
func (s State) Key() string { return fmt.Sprintf("state %d %s", s.Component, dotted(s.Path)) }

// Key names the enum and the number.
func (e Enum) Key() string { return fmt.Sprintf("enum %s %d", e.Name, e.Number) }

// Key names the method.
func (m Method) Key() string { return "method " + m.Name }

// Key names the call.
func (c Call) Key() string { return fmt.Sprintf("call %d", c.ID) }

// Service is the full name of the method's service.
func (m Method) Service() string {
	name, _, _ := strings.Cut(m.Name, "/")
	return name
}

// Key names the id, as that of what it was.
func (r Retired) Key() string {
	switch r.What {
	case "field":
		return fmt.Sprintf("field %s %d", r.Message, r.ID)
	case "enum":
		return fmt.Sprintf("enum %s %d", r.Message, int32(r.ID))
	}
	return fmt.Sprintf("%s %d", r.What, r.ID)
}

func dotted(path []uint32) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(path), " ", "."), "[]")
}

// Sort puts the body into the order of the file.
func (b *Body) Sort() {
	slices.SortFunc(b.Routes, func(x, y Route) int { return cmp.Compare(x.ID, y.ID) })
	slices.SortFunc(b.Fields, func(x, y Field) int {
		return cmp.Or(cmp.Compare(x.Message, y.Message), cmp.Compare(x.Number, y.Number))
	})
	slices.SortFunc(b.Kinds, func(x, y Kind) int { return cmp.Compare(x.ID, y.ID) })
	slices.SortFunc(b.Components, func(x, y Component) int { return cmp.Compare(x.ID, y.ID) })
	slices.SortFunc(b.States, func(x, y State) int {
		return cmp.Or(cmp.Compare(x.Component, y.Component), slices.Compare(x.Path, y.Path))
	})
	for i := range b.Enums {
		slices.Sort(b.Enums[i].Values)
	}
	slices.SortFunc(b.Enums, func(x, y Enum) int { return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.Number, y.Number)) })
	slices.SortFunc(b.Methods, func(x, y Method) int { return cmp.Compare(x.Name, y.Name) })
	slices.SortFunc(b.Calls, func(x, y Call) int { return cmp.Compare(x.ID, y.ID) })
	slices.SortFunc(b.Retired, func(x, y Retired) int {
		return cmp.Or(cmp.Compare(order(x.What), order(y.What)), cmp.Compare(x.Message, y.Message), cmp.Compare(int32(x.ID), int32(y.ID)))
	})
}

func order(what string) int {
	return slices.Index([]string{"route", "kind", "component", "call", "field", "enum"}, what)
}

// Text is the body as the file has it; the body must be sorted.
func (b *Body) Text() []byte {
	var w bytes.Buffer
	if b.TickHz > 0 {
		fmt.Fprintf(&w, "tick_hz %d\n", b.TickHz)
	}
	for _, r := range b.Routes {
		fmt.Fprintf(&w, "route %d %s %s %s %s %s\n", r.ID, r.Name, r.Kind, r.Direction, r.Message, r.Reply)
	}
	for _, m := range b.Methods {
		fmt.Fprintf(&w, "%s %s %s %s\n", m.Key(), m.Request, m.Response, m.Form)
	}
	for _, c := range b.Calls {
		fmt.Fprintf(&w, "%s %s %s\n", c.Key(), c.Message, c.Reply)
	}
	for _, f := range b.Fields {
		fmt.Fprintf(&w, "field %s %d %s %s %s\n", f.Message, f.Number, f.Name, f.Type, f.Label)
	}
	for _, k := range b.Kinds {
		fmt.Fprintf(&w, "kind %d %s %s\n", k.ID, k.Name, cmp.Or(strings.Join(k.Components, ","), none))
	}
	for _, c := range b.Components {
		fmt.Fprintf(&w, "component %d %s %s\n", c.ID, c.Name, c.Motion)
	}
	for _, s := range b.States {
		fmt.Fprintf(&w, "state %d %s %s %s %d\n", s.Component, dotted(s.Path), s.Name, s.Form, s.Bound)
	}
	for _, e := range b.Enums {
		fmt.Fprintf(&w, "%s %s\n", e.Key(), strings.Join(e.Values, ","))
	}
	for _, r := range b.Retired {
		fmt.Fprintf(&w, "retired %s %s\n", r.Key(), r.Name)
	}
	if b.Layout != "" {
		fmt.Fprintf(&w, "layout %s\n", b.Layout)
	}
	return w.Bytes()
}

// Sum is what a fingerprint has of the body.
func (b *Body) Sum() [4]byte {
	sum := sha256.Sum256(b.Text())
	return [4]byte(sum[:4])
}

// head opens every lock.
const head = `# What this schema has promised to programs that are already out there: ids and forms that must not change.
# Written by mmo gen. Commit it; never edit it. After a merge conflict keep both sides of everything, drop the marks
# of the conflict, and run mmo gen again.
`

// rpcPrefix begins every line of what processes promise each other.
const rpcPrefix = "rpc "

// rpcBreak begins the reason of a change that broke it.
const rpcBreak = "# rpc break: "

// rpcHead opens it.
const rpcHead = "\n# What processes of ours promise each other. Clients know nothing of it: it is neither in the sum nor in the generation.\n"

// Text is the whole file.
func (l *Lock) Text() []byte {
	var w bytes.Buffer
	fmt.Fprintf(&w, "%sgeneration %d\nrevision %d\nsum %x\n", head, l.Generation, l.Revision, l.Sum)
	for i, reason := range l.Breaks {
		fmt.Fprintf(&w, "# generation %d: %s\n", i+2, reason)
	}
	w.WriteByte('\n')
	w.Write(l.Body.Text())
	own := l.RPC.Text()
	if len(own)+len(l.RPCBreaks) > 0 {
		w.WriteString(rpcHead)
	}
	for _, reason := range l.RPCBreaks {
		fmt.Fprintf(&w, "%s%s\n", rpcBreak, reason)
	}
	for line := range bytes.Lines(own) {
		w.WriteString(rpcPrefix)
		w.Write(line)
	}
	return w.Bytes()
}
