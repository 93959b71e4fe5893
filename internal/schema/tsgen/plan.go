package tsgen

import (
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
)

// plan says what the files of a tree declare of messages. It is made for all of them together: what one imports the other must have.
type plan struct {
	shown map[protoreflect.FullName]bool // have an interface
	coded map[protoreflect.FullName]bool // have functions that encode and decode too
}

func planOf(t *model.Tree) *plan {
	p := &plan{shown: map[protoreflect.FullName]bool{}, coded: map[protoreflect.FullName]bool{}}
	for _, s := range t.Schemas {
		if s.TypeScript == "" {
			continue
		}
		own := map[protoreflect.FullName]bool{}   // components and kinds
		state := map[protoreflect.FullName]bool{} // with what they hold
		for _, c := range s.Components {
			own[c.Message.Desc.FullName()] = true
			reach(c.Message, state)
			hold(c.Message, p.shown)
		}
		for _, k := range s.Kinds {
			own[k.Message.Desc.FullName()] = true
			reach(k.Message, state)
			hold(k.Message, p.shown)
		}
		for _, r := range s.Routes {
			reach(r.Message, p.coded)
			if r.Reply != nil {
				reach(r.Reply, p.coded)
			}
		}
		rows := map[protoreflect.FullName]bool{} // of tables, which never reach a client, unless something else holds them too
		for _, t := range s.Tables {
			reach(t.Message, rows)
		}
		for _, f := range s.Files {
			each(f.Messages, func(m *protogen.Message) {
				n := m.Desc.FullName()
				if rows[n] {
					return
				}
				if !own[n] {
					p.shown[n] = true
				}
				if !state[n] {
					reach(m, p.coded)
				}
			})
		}
	}
	for n := range p.coded {
		p.shown[n] = true
	}
	return p
}

// hold adds what a message holds.
func hold(m *protogen.Message, to map[protoreflect.FullName]bool) {
	for _, f := range m.Fields {
		if f.Message != nil {
			reach(f.Message, to)
		}
	}
}

// reach adds a message and what it holds.
func reach(m *protogen.Message, to map[protoreflect.FullName]bool) {
	if !to[m.Desc.FullName()] {
		to[m.Desc.FullName()] = true
		hold(m, to)
	}
}
