package schema

import (
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/internal/schema/lock"
	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/proto_define/mmo"
)

// maxCallID is the highest id of a call: it travels between zones in 16 bits.
const maxCallID = 1<<16 - 1

// calls fills what the schema's entities call on each other, by id.
func (b *builder) calls(s *schema) {
	taken := map[uint32]protoreflect.Descriptor{}
	id := func(m *protogen.Message) uint32 { return optionOf[*mmo.Call](m.Desc, mmo.E_Call).Id }
	for _, m := range byID(marked(s, "call"), id) {
		d, o := m.Desc, optionOf[*mmo.Call](m.Desc, mmo.E_Call)
		b.claim(taken, d, "call", o.Id, maxCallID)
		if s.Bind == "" {
			b.add(option(d, "call"), "call %s in a schema without bindings: nobody could make or handle it, add bind: %q to option (mmo.schema) in %s", d.Name(), b.suggestBind(s.file), s.file.Desc.Path())
		}
		c := &model.Call{ID: uint16(o.Id), Name: s.Name + "." + snake(string(d.Name())), Message: m}
		c.Reply = b.callReply(s, d, o)
		c.Kind = b.callKind(s, d, o)
		s.Calls = append(s.Calls, c)
	}
}

// callReply finds the message that answers a call.
func (b *builder) callReply(s *schema, d protoreflect.Descriptor, o *mmo.Call) *protogen.Message {
	if o.Reply == "" {
		return nil
	}
	m := b.message(s, o.Reply)
	switch {
	case m == nil:
		b.add(option(d, "call.reply"), "reply %q is no message of package %s or of a file that it imports: %s", o.Reply, s.Package, didYouMean(o.Reply, s.messageNames()))
	case hasOption(m.Desc, "kind"):
		b.add(option(d, "call.reply"), "reply %q is a kind, which is empty: name a message with fields", o.Reply)
	}
	return m
}

// callKind finds the kind of entities that a call is for.
func (b *builder) callKind(s *schema, d protoreflect.Descriptor, o *mmo.Call) *model.Kind {
	if o.Kind == "" {
		return nil
	}
	short := strings.TrimPrefix(o.Kind, s.Package+".")
	var names []string
	for _, k := range s.Kinds {
		if names = append(names, string(k.Message.Desc.Name())); names[len(names)-1] == short {
			return k
		}
	}
	if m := b.message(s, o.Kind); m != nil {
		b.add(option(d, "call.kind"), "message %s is no kind of package %s: only its entities are called, so give it option (mmo.kind) here, or drop kind", o.Kind, s.Package)
		return nil
	}
	b.add(option(d, "call.kind"), "kind %q is not declared in package %s: %s", o.Kind, s.Package, didYouMean(o.Kind, names))
	return nil
}

// messageNames are the names of the schema's messages, for hints.
func (s *schema) messageNames() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(s.messages)) {
		names = append(names, strings.TrimPrefix(name, s.Package+"."))
	}
	return names
}

// promiseCalls describes what entities call on each other: between zones, which may be those of processes that are not all updated at once.
func (s *schema) promiseCalls(body *lock.Body, needed map[protoreflect.FullName]bool) {
	for _, c := range s.Calls {
		entry := lock.Call{ID: c.ID, Message: string(c.Message.Desc.FullName()), Reply: "-"}
		s.promiseMessage(body, c.Message, needed)
		if c.Reply != nil {
			entry.Reply = string(c.Reply.Desc.FullName())
			s.promiseMessage(body, c.Reply, needed)
		}
		body.Calls = append(body.Calls, entry)
		s.places[entry.Key()] = option(c.Message.Desc, "call.id")
	}
}
