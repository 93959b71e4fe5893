package protocol

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Descriptors returns a serialized FileDescriptorSet of the messages that routes, control routes and ERROR frames carry, as they are linked into this
// program: what NewConverter needs, and no more. Messages that are not reached, services, comments, and options that do not change an encoding are left
// out. Equal schemas give equal bytes.
func Descriptors(routes []Route) ([]byte, error) {
	s := selection{wanted: map[protoreflect.FullName]bool{}, files: map[string]protoreflect.FileDescriptor{}}
	want := func(name string) error {
		if name == "" {
			return nil
		}
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			return fmt.Errorf("message %s is not in this program: import its package", name)
		}
		m, ok := d.(protoreflect.MessageDescriptor)
		if !ok {
			return fmt.Errorf("%s is a %T, not a message", name, d)
		}
		s.message(m)
		return nil
	}
	for _, r := range routes {
		for _, name := range []string{r.Message, r.Reply} {
			if err := want(name); err != nil {
				return nil, fmt.Errorf("describe route %d %q: %w", r.ID, r.Name, err)
			}
		}
	}
	for id := range uint16(FirstFrameworkRoute) {
		if err := want(controlMessage(id)); err != nil {
			return nil, fmt.Errorf("describe control route %d: %w", id, err)
		}
	}
	if err := want(errorMessage); err != nil {
		return nil, fmt.Errorf("describe error frames: %w", err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	for _, path := range slices.Sorted(maps.Keys(s.files)) {
		set.File = append(set.File, s.file(s.files[path]))
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("describe routes: %w", err)
	}
	return b, nil
}

// selection is what a set of messages reaches.
type selection struct {
	wanted map[protoreflect.FullName]bool // messages and enums
	files  map[string]protoreflect.FileDescriptor
}

// message selects m and whatever its fields hold.
func (s *selection) message(m protoreflect.MessageDescriptor) {
	if s.wanted[m.FullName()] {
		return
	}
	s.wanted[m.FullName()] = true
	s.files[m.ParentFile().Path()] = m.ParentFile()
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if f.Message() != nil {
			s.message(f.Message())
		}
		if e := f.Enum(); e != nil {
			s.wanted[e.FullName()] = true
			s.files[e.ParentFile().Path()] = e.ParentFile()
		}
	}
}

// file is what a file declares of the selection.
func (s *selection) file(f protoreflect.FileDescriptor) *descriptorpb.FileDescriptorProto {
	full := protodesc.ToFileDescriptorProto(f)
	out := &descriptorpb.FileDescriptorProto{Name: full.Name, Package: full.Package, Syntax: full.Syntax, Edition: full.Edition}
	if features := full.GetOptions().GetFeatures(); features != nil {
		out.Options = &descriptorpb.FileOptions{Features: features}
	}
	needs := map[string]bool{}
	out.MessageType = s.messages(f.Messages(), full.MessageType, f.Path(), needs)
	out.EnumType = s.enums(f.Enums(), full.EnumType)
	out.Dependency = slices.Sorted(maps.Keys(needs))
	return out
}

// messages is what a list of them declares of the selection; needs collects the other files that fields refer to. A message that is there only for what is
// nested in it has no fields.
func (s *selection) messages(list protoreflect.MessageDescriptors, full []*descriptorpb.DescriptorProto, path string, needs map[string]bool) (out []*descriptorpb.DescriptorProto) {
	for i := range list.Len() {
		d, p := list.Get(i), full[i]
		kept := &descriptorpb.DescriptorProto{
			Name:       p.Name,
			NestedType: s.messages(d.Messages(), p.NestedType, path, needs),
			EnumType:   s.enums(d.Enums(), p.EnumType),
		}
		wanted := s.wanted[d.FullName()]
		if !wanted && len(kept.NestedType) == 0 && len(kept.EnumType) == 0 {
			continue
		}
		if p.GetOptions().GetMapEntry() || p.GetOptions().GetFeatures() != nil {
			kept.Options = &descriptorpb.MessageOptions{MapEntry: p.GetOptions().MapEntry, Features: p.GetOptions().GetFeatures()}
		}
		for j := 0; wanted && j < d.Fields().Len(); j++ {
			f := p.Field[j]
			if o := f.GetOptions(); o != nil {
				f.Options = nil
				if o.Packed != nil || o.Features != nil {
					f.Options = &descriptorpb.FieldOptions{Packed: o.Packed, Features: o.Features}
				}
			}
			kept.Field = append(kept.Field, f)
			for _, at := range []protoreflect.Descriptor{d.Fields().Get(j).Message(), d.Fields().Get(j).Enum()} {
				if at != nil && at.ParentFile().Path() != path {
					needs[at.ParentFile().Path()] = true
				}
			}
		}
		for j := 0; wanted && j < len(p.OneofDecl); j++ {
			kept.OneofDecl = append(kept.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: p.OneofDecl[j].Name})
		}
		out = append(out, kept)
	}
	return out
}

func (s *selection) enums(list protoreflect.EnumDescriptors, full []*descriptorpb.EnumDescriptorProto) (out []*descriptorpb.EnumDescriptorProto) {
	for i := range list.Len() {
		if !s.wanted[list.Get(i).FullName()] {
			continue
		}
		kept := &descriptorpb.EnumDescriptorProto{Name: full[i].Name}
		if o := full[i].GetOptions(); o.GetAllowAlias() || o.GetFeatures() != nil {
			kept.Options = &descriptorpb.EnumOptions{AllowAlias: o.AllowAlias, Features: o.GetFeatures()}
		}
		for _, v := range full[i].Value {
			kept.Value = append(kept.Value, &descriptorpb.EnumValueDescriptorProto{Name: v.Name, Number: v.Number})
		}
		out = append(out, kept)
	}
	return out
}
