package schema

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/runtime/protoimpl"

	"github.com/tianxia-mmo/tianxia/proto_define/mmo"
)

// place is where something stands in a .proto file; line and column count from 1.
type place struct {
	file      string // relative to the root
	line, col int
}

// mistakes gathers what is wrong with a schema: it is usually edited in several places at once.
type mistakes struct {
	root string
	list []mistake
}

type mistake struct {
	place
	text string
}

// add notes a mistake once: one cause may be met on several ways.
func (m *mistakes) add(at place, format string, args ...any) {
	found := mistake{at, fmt.Sprintf(format, args...)}
	if !slices.Contains(m.list, found) {
		m.list = append(m.list, found)
	}
}

// err joins the mistakes by place; nil: there are none.
func (m *mistakes) err() error {
	slices.SortStableFunc(m.list, func(a, b mistake) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line), cmp.Compare(a.col, b.col), cmp.Compare(a.text, b.text))
	})
	worded := make([]error, len(m.list))
	for i, f := range m.list {
		worded[i] = fmt.Errorf("%s:%d:%d: %s", below(m.root, f.file), f.line, f.col, f.text)
	}
	return errors.Join(worded...)
}

// below is the name of a file of the tree as editors find it.
func below(root, file string) string {
	if filepath.IsAbs(file) || strings.HasPrefix(filepath.ToSlash(file), filepath.ToSlash(root)+"/") {
		return file
	}
	return filepath.Join(root, filepath.FromSlash(file))
}

// Numbers of fields in descriptor.proto, of which paths to places are made.
const (
	nameTag        = 1
	methodInTag    = 2
	methodOutTag   = 3
	fieldNumberTag = 3
	fieldScalarTag = 5
	fieldTypeTag   = 6
)

// at is the place of something of a descriptor: of its name, or of what path leads to, or of the nearest thing around it that has a place.
func at(d protoreflect.Descriptor, path ...int32) place {
	locations := d.ParentFile().SourceLocations()
	for full := append(pathOf(d), path...); len(full) > 0; full = full[:len(full)-1] {
		if loc := locations.ByPath(full); loc.Path != nil {
			return place{d.ParentFile().Path(), loc.StartLine + 1, loc.StartColumn + 1}
		}
		// An option that is set piece by piece has no place as a whole: take its first piece.
		if len(full) > len(pathOf(d))+1 {
			for i := range locations.Len() {
				if loc := locations.Get(i); len(loc.Path) > len(full) && slices.Equal(loc.Path[:len(full)], full) {
					return place{d.ParentFile().Path(), loc.StartLine + 1, loc.StartColumn + 1}
				}
			}
		}
	}
	return place{d.ParentFile().Path(), 1, 1}
}

// named is the place of a descriptor's name.
func named(d protoreflect.Descriptor) place { return at(d, nameTag) }

// typed is the place of a field's type.
func typed(d protoreflect.FieldDescriptor) place {
	if d.IsMap() || d.Message() != nil || d.Enum() != nil {
		return at(d, fieldTypeTag)
	}
	return at(d, fieldScalarTag)
}

// pathOf is the way to a descriptor from its file, in the terms of source code info.
func pathOf(d protoreflect.Descriptor) protoreflect.SourcePath {
	var tag int32
	parent := d.Parent()
	_, nested := parent.(protoreflect.MessageDescriptor)
	switch d := d.(type) {
	case protoreflect.FileDescriptor:
		return nil
	case protoreflect.MessageDescriptor:
		tag = 4
		if nested {
			tag = 3
		}
	case protoreflect.FieldDescriptor:
		tag = 2
		if d.IsExtension() {
			return nil
		}
	case protoreflect.EnumDescriptor:
		tag = 5
		if nested {
			tag = 4
		}
	case protoreflect.EnumValueDescriptor:
		tag = 2
	case protoreflect.OneofDescriptor:
		tag = 8
	case protoreflect.ServiceDescriptor:
		tag = 6
	case protoreflect.MethodDescriptor:
		tag = 2
	default:
		return nil
	}
	return append(pathOf(parent), tag, int32(d.Index()))
}

// option is the place of an option of ours, "route.rate.burst", or of the element index of a repeated one.
func option(d protoreflect.Descriptor, names string, index ...int) place {
	return at(d, optionPath(d, names, index...)...)
}

// given tells whether an option is written down, be it with the value that it has anyway.
func given(d protoreflect.Descriptor, names string) bool {
	return d.ParentFile().SourceLocations().ByPath(append(pathOf(d), optionPath(d, names)...)).Path != nil
}

func optionPath(d protoreflect.Descriptor, names string, index ...int) []int32 {
	tag := int32(7)
	switch d.(type) {
	case protoreflect.FileDescriptor, protoreflect.FieldDescriptor:
		tag = 8
	case protoreflect.MethodDescriptor:
		tag = 4
	}
	words := strings.Split(names, ".")
	extension := extensions()[words[0]].TypeDescriptor()
	path := []int32{tag, int32(extension.Number())}
	message := extension.Message()
	for _, word := range words[1:] {
		field := message.Fields().ByName(protoreflect.Name(word))
		path = append(path, int32(field.Number()))
		message = field.Message()
	}
	for _, i := range index {
		path = append(path, int32(i))
	}
	return path
}

// extensions are the options of ours, by short name.
func extensions() map[string]*protoimpl.ExtensionInfo {
	return map[string]*protoimpl.ExtensionInfo{
		"schema": mmo.E_Schema, "route": mmo.E_Route, "component": mmo.E_Component, "kind": mmo.E_Kind, "sync": mmo.E_Sync, "rpc": mmo.E_Rpc, "call": mmo.E_Call,
		"table": mmo.E_Table, "column": mmo.E_Column,
	}
}

// optionOf is the value of an option of ours; nil: it is not set.
func optionOf[M proto.Message](d protoreflect.Descriptor, extension *protoimpl.ExtensionInfo) (none M) {
	options := d.Options()
	if options == nil || !proto.HasExtension(options, extension) {
		return none
	}
	return proto.GetExtension(options, extension).(M)
}
