package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// talk is one thing that is said in a game: a frame without payload, and who sends it.
type talk struct {
	frame     protocol.Frame
	direction protocol.Direction
	states    protocol.States // in which its sender may send it
	max       int             // bytes of the payload
}

// framework tells whether every game has it.
func (t talk) framework() bool {
	return t.frame.Route < protocol.FirstGameRoute
}

// tally is what became of the messages of a talk.
type tally struct {
	messages, tooLarge int
	largest            int // bytes, of those that fit
	inJSON             int // of those that fit, how many did as JSON too
}

// check says everything that can be said in the games, and prints whether it was understood.
func check(all []*game, o *options, c console) error {
	if o.game != "" {
		g, err := pick(all, o.game)
		if err != nil {
			return err
		}
		all = []*game{g}
	}
	failed, talks, messages := 0, 0, 0
	for i, g := range all {
		own := g.talks()
		if i > 0 { // the framework's are the same everywhere
			own = slices.DeleteFunc(own, func(t talk) bool { return t.framework() })
		}
		section := ""
		for _, t := range own {
			title := "game " + g.name
			if t.framework() {
				title = "framework"
			}
			n, err := g.try(t, o)
			talks, messages = talks+1, messages+n.messages
			if err == nil && o.quiet {
				continue
			}
			if title != section {
				fmt.Fprintln(c.out, title)
				section = title
			}
			if err != nil {
				failed++
			}
			fmt.Fprintln(c.out, g.verdict(t, n, err))
		}
	}
	if failed > 0 {
		return fmt.Errorf("FAIL: %d of %d kinds of frames in %s", failed, talks, count(len(all), "game"))
	}
	fmt.Fprintf(c.out, "PASS: %d kinds of frames in %s, %d messages both ways\n", talks, count(len(all), "game"), messages)
	return nil
}

// verdict is the line about a talk.
func (g *game) verdict(t talk, n tally, err error) string {
	title := g.title(t.frame, t.direction)
	switch {
	case err != nil:
		return fmt.Sprintf("  FAIL  %s: %v", title, err)
	case n.messages == 0: // a frame of fixed layout
		return fmt.Sprintf("  PASS  %-46s %5d bytes", title, len(t.frame.Payload))
	}
	return fmt.Sprintf("  PASS  %-46s %5d messages, largest %d of %d bytes, %d as JSON", title, n.messages, n.largest, t.max, n.inJSON)
}

func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

// talks are all kinds of frames of a game, state frames apart: those are the replica's.
func (g *game) talks() (all []talk) {
	const both = protocol.BothWays
	for _, r := range g.list {
		for _, d := range []protocol.Direction{protocol.ClientToServer, protocol.ServerToClient} {
			if r.Direction&d == 0 {
				continue
			}
			stated, _ := g.routes.Lookup(r.ID)
			states := stated.States
			if d == protocol.ServerToClient {
				states = protocol.AnyState
			}
			max := stated.MaxBytes
			if r.Kind == protocol.Push {
				all = append(all, talk{protocol.Frame{Type: protocol.TypePush, Route: r.ID}, d, states, max})
				continue
			}
			all = append(all, talk{protocol.Frame{Type: protocol.TypeRequest, Route: r.ID, ID: 7}, d, states, max},
				talk{protocol.Frame{Type: protocol.TypeResponse, Route: r.ID, ID: 7}, d ^ both, protocol.AnyState, max},
				talk{protocol.Frame{Type: protocol.TypeError, Route: r.ID, ID: 7}, d ^ both, protocol.AnyState, protocol.DefaultMaxBytes})
		}
	}
	ack := protocol.Frame{Type: protocol.TypeAck, Seq: 1 << 31}
	all = append(all, talk{ack, protocol.ClientToServer, protocol.Authenticated | protocol.Playing, 0})
	for id := range uint16(protocol.FirstFrameworkRoute) {
		for _, d := range []protocol.Direction{protocol.ClientToServer, protocol.ServerToClient} {
			f := protocol.Frame{Type: protocol.TypeControl, Route: id, Payload: make([]byte, map[uint16]int{
				protocol.RoutePing: protocol.PingSize, protocol.RoutePong: protocol.PongSize, protocol.RouteEcho: protocol.EchoSize}[id])}
			if g.routes.Check(f, protocol.AnyState, d) == protocol.ErrorNone {
				states := protocol.AnyState
				if id == protocol.RouteResume {
					states = protocol.Secured
				}
				all = append(all, talk{f, d, states, protocol.DefaultMaxBytes})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b talk) int { // the framework's first, control routes before its others
		return min(int(a.frame.Route), protocol.FirstGameRoute) - min(int(b.frame.Route), protocol.FirstGameRoute)
	})
	return all
}

// try says a talk many times.
func (g *game) try(t talk, o *options) (n tally, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("it panics: %v", fault)
		}
	}()
	if err := g.allowed(t); err != nil {
		return n, err
	}
	if t.frame.Type == protocol.TypeAck || t.frame.Type == protocol.TypeControl && g.fixed(t.frame.Route) {
		return n, g.there(t.frame)
	}
	desc := g.payload(t.frame)
	if desc == nil {
		return n, errors.New("its message is not known")
	}
	kind, err := g.types(string(desc.FullName()))
	if err != nil {
		return n, err
	}
	chance := rand.New(rand.NewPCG(o.seed, uint64(t.frame.Route)<<8|uint64(t.frame.Type)))
	for round := range o.rounds {
		m := kind.New()
		if round > 0 { // the first one is empty
			fill(m, chance, 0.05+0.95*chance.Float64(), 5)
		}
		if err := g.say(t, m, chance, &n); err != nil {
			return n, fmt.Errorf("message %d of seed %d: %w", round+1, o.seed, err)
		}
	}
	if err := g.stretched(t, kind); err != nil {
		return n, err
	}
	if n.messages == n.tooLarge {
		return n, fmt.Errorf("no message of %d fits its %d bytes", n.messages, t.max)
	}
	return n, nil
}

// allowed looks whether the sender may send the talk in exactly its states, and the other side not at all.
func (g *game) allowed(t talk) error {
	for _, state := range []protocol.States{protocol.Secured, protocol.Authenticated, protocol.Playing} {
		want := protocol.ErrorNone
		if t.states&state == 0 {
			want = protocol.ErrorWrongState
		}
		if code := g.routes.Check(t.frame, state, t.direction); code != want {
			return fmt.Errorf("in state %#x it is %v, not %v", uint8(state), code, want)
		}
	}
	if other := g.routes.Check(t.frame, protocol.AnyState, t.direction^protocol.BothWays); other == protocol.ErrorNone && !g.mutual(t.frame) {
		return errors.New("the other side may send it too")
	}
	return nil
}

// mutual tells whether both sides may send a frame of this kind.
func (g *game) mutual(f protocol.Frame) bool {
	r, ok := g.routes.Lookup(f.Route)
	return ok && r.Direction == protocol.BothWays || f.Type == protocol.TypeError // a server may refuse whatever comes
}

// there sends a frame as bytes.
func (g *game) there(f protocol.Frame) error {
	b := protocol.AppendFrame(nil, f)
	back, rest, err := protocol.Next(b)
	switch {
	case err != nil:
		return fmt.Errorf("its frame %x: %w", b, err)
	case len(rest) > 0 || len(b) != protocol.FrameSize(f):
		return fmt.Errorf("its frame %x has %d bytes, %d were counted and %d are left", b, len(b), protocol.FrameSize(f), len(rest))
	case back.Type != f.Type || back.Flags != f.Flags || back.Route != f.Route || back.ID != f.ID || back.Seq != f.Seq || !bytes.Equal(back.Payload, f.Payload):
		return fmt.Errorf("its frame %x comes back as another one: %+v", b, back)
	}
	return nil
}

// say sends one message: as bytes, in a frame, as JSON and back, and damaged.
func (g *game) say(t talk, m protoreflect.Message, chance *rand.Rand, n *tally) error {
	n.messages++
	f := t.frame
	var err error
	if f.Payload, err = canonical(m); err != nil {
		return err
	}
	if f.Type != protocol.TypeRequest && f.Type != protocol.TypeControl && t.direction == protocol.ServerToClient {
		f.Flags, f.Seq = protocol.FlagREL, uint32(n.messages)
	}
	if len(f.Payload) > t.max {
		n.tooLarge++
		return g.refused(f, t)
	}
	n.largest = max(n.largest, len(f.Payload))
	if err := g.there(f); err != nil {
		return err
	}
	if err := g.throughJSON(f, t, m, n); err != nil {
		return err
	}
	return g.damaged(f, t, chance)
}

// canonical is a message's bytes, which the generated code writes as the library does.
func canonical(m protoreflect.Message) ([]byte, error) {
	want, err := proto.MarshalOptions{Deterministic: true}.Marshal(m.Interface())
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	fast, ok := m.Interface().(protocol.Fast)
	if !ok {
		return want, nil
	}
	have, err := protocol.Marshal(fast)
	if err != nil || fast.SizeFast() != len(want) || len(have) != len(want) {
		return nil, fmt.Errorf("generated code writes %d bytes and counts %d, the library %d (%v)", len(have), fast.SizeFast(), len(want), err)
	}
	back := m.New().Interface()
	if err := protocol.Unmarshal(have, back); err != nil {
		return nil, fmt.Errorf("generated code does not read what it wrote: %w", err)
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(back)
	if err != nil || !bytes.Equal(again, want) {
		return nil, fmt.Errorf("generated code reads %x as %x (%v)", have, again, err)
	}
	return want, nil
}

// refused looks whether what is too large goes nowhere.
func (g *game) refused(f protocol.Frame, t talk) error {
	if code := g.routes.Check(f, protocol.AnyState, t.direction); code != protocol.ErrorTooLarge {
		return fmt.Errorf("%d bytes, above %d, are %v", len(f.Payload), t.max, code)
	}
	var fault *protocol.ConvertError
	if _, err := g.converter.ToJSON(nil, f, t.direction); !errors.As(err, &fault) || fault.Code != protocol.ErrorTooLarge {
		return fmt.Errorf("%d bytes, above %d, become JSON: %v", len(f.Payload), t.max, err)
	}
	return nil
}

// stretched makes a message as large as its route allows, and then by a byte larger: the first one passes, the second one does not. Messages whose size
// nothing but their numbers decides stay as they are.
func (g *game) stretched(t talk, kind protoreflect.MessageType) error {
	fields := kind.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if field.Kind() != protoreflect.StringKind || field.IsList() || field.IsMap() {
			continue
		}
		m := kind.New()
		for n := t.max - 8; n <= t.max; n++ {
			m.Set(field, protoreflect.ValueOfString(strings.Repeat("a", n)))
			f := t.frame
			var err error
			if f.Payload, err = canonical(m); err != nil {
				return err
			}
			if len(f.Payload) > t.max {
				if err := g.refused(f, t); err != nil {
					return err
				}
			} else if code := g.routes.Check(f, protocol.AnyState, t.direction); code != protocol.ErrorNone {
				return fmt.Errorf("%d bytes of %d are %v", len(f.Payload), t.max, code)
			}
		}
		return nil
	}
	return nil
}

// throughJSON sends a message in JSON: the bytes that come out are those that went in.
func (g *game) throughJSON(f protocol.Frame, t talk, m protoreflect.Message, n *tally) error {
	text, err := g.converter.ToJSON(nil, f, t.direction)
	var fault *protocol.ConvertError
	if errors.As(err, &fault) && fault.Code == protocol.ErrorTooLarge {
		return nil // names and digits take more room than a record has
	}
	if err != nil {
		return err
	}
	n.inJSON++
	other := m.New().Interface()
	if err := protojson.Unmarshal(text, other); err != nil {
		return fmt.Errorf("the library does not read %s: %w", text, err)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(other)
	if err != nil || !bytes.Equal(b, f.Payload) {
		return fmt.Errorf("the library reads %s as %x, it was %x (%v)", text, b, f.Payload, err)
	}
	j := f
	j.Flags, j.Payload = j.Flags|protocol.FlagJSON, text
	if err := g.there(j); err != nil {
		return err
	}
	if b, err = g.converter.FromJSON(nil, j, t.direction); err != nil || !bytes.Equal(b, f.Payload) {
		return fmt.Errorf("%x became %s and then %x (%v)", f.Payload, text, b, err)
	}
	object, err := g.converter.AppendText(nil, f, t.direction)
	if err != nil {
		return err
	}
	if p, err := g.converter.ParseText(object); err != nil || p.Type != f.Type || p.Route != f.Route || p.ID != f.ID || p.Seq != f.Seq || !bytes.Equal(p.Payload, text) {
		return fmt.Errorf("%s is read as %+v (%v)", object, p, err)
	}
	return nil
}

// damaged changes some bytes: whatever comes of it is read or refused, and what is read can be written.
func (g *game) damaged(f protocol.Frame, t talk, chance *rand.Rand) error {
	b := protocol.AppendFrame(nil, f)
	for range 1 + chance.IntN(3) {
		switch at := chance.IntN(len(b)); chance.IntN(3) {
		case 0:
			b[at] ^= 1 << chance.IntN(8)
		case 1:
			b[at] = byte(chance.Uint32())
		default:
			b = append(b[:at:at], b[min(at+1+chance.IntN(3), len(b)-1):]...)
		}
	}
	for len(b) > 0 {
		back, rest, err := protocol.Next(b)
		var fault *protocol.FrameError
		if err != nil {
			if !errors.As(err, &fault) || fault.Offset > len(b) || strings.TrimSpace(fault.Field) == "" {
				return fmt.Errorf("%x is refused without a reason: %w", b, err)
			}
			return nil
		}
		if g.routes.Check(back, protocol.AnyState, t.direction) == protocol.ErrorNone && back.Type != protocol.TypeState && back.Type != protocol.TypeAck {
			convert := g.converter.ToJSON
			if back.Flags&protocol.FlagJSON != 0 {
				convert = g.converter.FromJSON
			}
			var refused *protocol.ConvertError
			if _, err := convert(nil, back, t.direction); err != nil && !errors.As(err, &refused) {
				return fmt.Errorf("%x is refused without a code: %w", back.Payload, err)
			}
		}
		b = rest
	}
	return nil
}
