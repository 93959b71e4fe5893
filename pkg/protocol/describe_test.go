package protocol_test

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

func TestDescriptorsHoldWhatRoutesNeedAndNothingElse(t *testing.T) {
	for name, file := range games() {
		list := routesOf(file)
		b, err := protocol.Descriptors(list)
		if err != nil {
			t.Fatal(err)
		}
		var set descriptorpb.FileDescriptorSet
		if err := proto.Unmarshal(b, &set); err != nil {
			t.Fatal(err)
		}
		files, err := protodesc.NewFiles(&set)
		if err != nil {
			t.Fatal(err)
		}
		needed := map[protoreflect.FullName]bool{}
		var need func(m protoreflect.MessageDescriptor)
		need = func(m protoreflect.MessageDescriptor) {
			if needed[m.FullName()] {
				return
			}
			needed[m.FullName()] = true
			for i := range m.Fields().Len() {
				if inner := m.Fields().Get(i).Message(); inner != nil {
					need(inner)
				}
				if e := m.Fields().Get(i).Enum(); e != nil {
					needed[e.FullName()] = true
				}
			}
		}
		for _, k := range kindsOf(t, list) {
			need(k.message.Descriptor())
		}
		there := 0
		files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
			if f.Services().Len()+f.Extensions().Len() > 0 || f.Options().(*descriptorpb.FileOptions).GetGoPackage() != "" {
				t.Errorf("%s: %s has services, extensions or options", name, f.Path())
			}
			for i := range f.Enums().Len() {
				if e := f.Enums().Get(i); !needed[e.FullName()] {
					t.Errorf("%s: nobody needs %s", name, e.FullName())
				}
			}
			for i := range f.Messages().Len() {
				m := f.Messages().Get(i)
				if there++; !needed[m.FullName()] {
					t.Errorf("%s: nobody needs %s", name, m.FullName())
				}
				was, err := protoregistry.GlobalFiles.FindDescriptorByName(m.FullName())
				if err != nil {
					t.Fatal(err)
				}
				if have, want := fieldsOf(m), fieldsOf(was.(protoreflect.MessageDescriptor)); !slices.Equal(have, want) {
					t.Errorf("%s: %s has %q, want %q", name, m.FullName(), have, want)
				}
			}
			return true
		})
		if there < 10 || len(b) > 8<<10 {
			t.Errorf("%s: %d messages in %d bytes", name, there, len(b))
		}
		slices.Reverse(list)
		if again, err := protocol.Descriptors(list); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s: the order of routes changes the descriptors (%v)", name, err)
		}
	}
}

// fieldsOf is what of a message's fields decides about its encodings.
func fieldsOf(m protoreflect.MessageDescriptor) (all []string) {
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		text := f.Kind().String() + " " + string(f.Name()) + " " + f.JSONName() + " " + f.Cardinality().String()
		if f.IsPacked() {
			text += " packed"
		}
		if f.HasPresence() {
			text += " optional"
		}
		if f.IsMap() {
			text += " map"
		}
		if f.Message() != nil {
			text += " " + string(f.Message().FullName())
		}
		if f.Enum() != nil {
			text += " " + string(f.Enum().FullName())
		}
		if one := f.ContainingOneof(); one != nil {
			text += " in " + string(one.Name())
		}
		all = append(all, text)
	}
	return all
}
