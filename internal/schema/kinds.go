package schema

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/proto_define/mmo"
)

const (
	maxKindID = 1<<16 - 2
	maxSees   = 1 << 24
)

// kinds fills the schema's kinds by id.
func (b *builder) kinds(s *schema) {
	taken := map[uint32]protoreflect.Descriptor{}
	id := func(m *protogen.Message) uint32 { return optionOf[*mmo.Kind](m.Desc, mmo.E_Kind).Id }
	for _, m := range byID(marked(s, "kind"), id) {
		d, o := m.Desc, optionOf[*mmo.Kind](m.Desc, mmo.E_Kind)
		b.claim(taken, d, "kind", o.Id, maxKindID)
		s.places[fmt.Sprintf("kind %d", o.Id)] = option(d, "kind.id")
		if len(m.Fields) > 0 {
			b.add(named(m.Fields[0].Desc), "kind %s has fields: a kind only names its components, move the fields into one", d.Name())
		}
		k := delta.Kind{ID: uint16(o.Id), Name: string(d.Name()), Sees: o.Sees, Layer: o.Layer}
		home := b.members(s, m, o, &k)
		b.optional(s, m, o, &k)
		switch {
		case !(o.Sees >= 0 && o.Sees < maxSees) || math.Signbit(o.Sees):
			b.add(option(d, "kind.sees"), "sees %v: a radius in the units of the position, 0 (the zone's) to %d", o.Sees, maxSees)
		case o.Sees > 0 && home == nil:
			b.add(option(d, "kind.sees"), "sees %v for a kind without a place: add a component with position, or drop sees", o.Sees)
		}
		if o.Layer != "" && !regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`).MatchString(o.Layer) {
			b.add(option(d, "kind.layer"), "layer %q: a word of small letters, digits and _, at most 32", o.Layer)
		}
		entry := &model.Kind{Message: m}
		if o.Avatar {
			switch {
			case s.Avatar != nil:
				b.add(option(d, "kind.avatar"), "kind %s is an avatar as is %s at %s: players who join get one kind, drop avatar here or there",
					d.Name(), s.Avatar.Message.Desc.Name(), b.where(option(s.Avatar.Message.Desc, "kind.avatar")))
			case home == nil:
				b.add(option(d, "kind.avatar"), "avatar of a kind without a place: players join somewhere, add a component with position")
			}
			if s.Avatar == nil {
				s.Avatar = entry
			}
		}
		s.layout.Kinds = append(s.layout.Kinds, k)
		s.Kinds = append(s.Kinds, entry)
	}
}

// members fills the components of a kind and returns the one with a place; nil: it has none.
func (b *builder) members(s *schema, m *protogen.Message, o *mmo.Kind, k *delta.Kind) (home *delta.Component) {
	d := m.Desc
	var names []string
	for _, c := range s.Components {
		names = append(names, string(c.Message.Desc.Name()))
	}
	if len(o.Components) == 0 {
		b.add(option(d, "kind"), "kind %s has no components: there would be nothing to send, name them with components: [\"…\"]", d.Name())
	}
	for i, name := range o.Components {
		spot := option(d, "kind.components", i)
		short := strings.TrimPrefix(name, s.Package+".")
		at := slices.Index(names, short)
		switch {
		case at < 0 && b.message(s, short) != nil && b.owner[b.message(s, short).Desc.FullName()] == s:
			b.add(spot, "message %s is no component: give it option (mmo.component) = {id: …};", short)
		case at < 0 && b.message(s, short) != nil:
			b.add(spot, "component %s is not of package %s: a kind is made of components of its own schema, declare one here", short, s.Package)
		case at < 0:
			b.add(spot, "component %q is not declared in package %s: %s", name, s.Package, didYouMean(name, names))
		case slices.Contains(o.Components[:i], name):
			b.add(spot, "component %s is named twice: drop one", short)
		case i == delta.MaxComponents:
			b.add(spot, "kind %s has %d components: at most %d, merge some that change together", d.Name(), len(o.Components), delta.MaxComponents)
		default:
			c := &s.layout.Components[at]
			k.Components = append(k.Components, c.ID)
			if c.Motion == nil {
				continue
			}
			if home != nil {
				b.add(spot, "component %s has a place, as has %s: an entity is in one place, keep one", short, home.Name)
			}
			home = c
		}
	}
	return home
}

// optional fills the components that entities of a kind may lack.
func (b *builder) optional(s *schema, m *protogen.Message, o *mmo.Kind, k *delta.Kind) {
	d := m.Desc
	own := make([]string, len(o.Components))
	for i, name := range o.Components {
		own[i] = strings.TrimPrefix(name, s.Package+".")
	}
	for i, name := range o.Optional {
		spot := option(d, "kind.optional", i)
		short := strings.TrimPrefix(name, s.Package+".")
		at := slices.IndexFunc(s.layout.Components, func(c delta.Component) bool { return c.Name == short })
		switch {
		case !slices.Contains(own, short):
			b.add(spot, "optional %q is no component of kind %s: name it in components as well, %s", name, d.Name(), didYouMean(short, own))
		case slices.ContainsFunc(o.Optional[:i], func(n string) bool { return strings.TrimPrefix(n, s.Package+".") == short }):
			b.add(spot, "optional names component %s twice: drop one", short)
		case at < 0: // members has refused it
		case s.layout.Components[at].Motion != nil:
			b.add(spot, "component %s has a place, so it cannot be optional: without one nobody would see the entity; drop it here, or move what comes and goes into a component of its own", short)
		default:
			k.Optional = append(k.Optional, s.layout.Components[at].ID)
		}
	}
}

// checkStraySync refuses options of fields that belong to no component: they would do nothing.
func (b *builder) checkStraySync() {
	for _, file := range b.plugin.Files {
		if !file.Generate {
			continue
		}
		eachMessage(file.Messages, func(m *protogen.Message) {
			if b.reached[m.Desc.FullName()] {
				return
			}
			for _, f := range m.Fields {
				if optionOf[*mmo.Sync](f.Desc, mmo.E_Sync) != nil {
					b.add(option(f.Desc, "sync"), "option (mmo.sync) on a field of %s, which is no component and in none: it would do nothing, drop it or give the message option (mmo.component)", m.Desc.Name())
				}
			}
		})
	}
}
