package schema

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/proto_define/mmo"
)

// maxMethodName bounds the full name of a method in bytes: one byte of a call says how long it is.
const maxMethodName = 255

// services finds what processes call on each other, and checks that something comes of it.
func (b *builder) services(byPackage map[protoreflect.FullName]*schema) {
	for _, file := range b.plugin.Files {
		if !file.Generate {
			continue
		}
		s := byPackage[file.Desc.Package()]
		for _, declared := range file.Services {
			d := declared.Desc
			switch {
			case s == nil:
				b.add(named(d), "service %s in package %q, which is no schema: nothing would come of it, add option (mmo.schema) = {bind: %q}; to one file of the package",
					d.Name(), d.ParentFile().Package(), b.suggestBind(file))
				continue
			case s.Bind == "":
				b.add(named(d), "service %s has no package for its Go stubs: messages lie below everything and cannot hold them, add bind: %q to option (mmo.schema) in %s",
					d.Name(), b.suggestBind(file), s.file.Desc.Path())
			}
			v := &model.Service{Service: declared, Name: string(d.FullName())}
			for _, m := range declared.Methods {
				v.Methods = append(v.Methods, b.method(v, m))
			}
			s.Services = append(s.Services, v)
			s.places["service "+v.Name] = named(d)
		}
	}
	for _, s := range byPackage { // files come in the order of their names: where a service stands means nothing
		slices.SortFunc(s.Services, func(a, c *model.Service) int { return strings.Compare(a.Name, c.Name) })
	}
}

// suggestBind is a package for stubs that would do.
func (b *builder) suggestBind(file *protogen.File) string {
	name, _, _ := strings.Cut(string(file.Desc.Package()), ".")
	return b.module + "/" + strings.ReplaceAll(name, "_", "") + "rpc"
}

// method fills in what a method is, and checks what its option says.
func (b *builder) method(v *model.Service, declared *protogen.Method) *model.Method {
	d := declared.Desc
	m := &model.Method{Method: declared, Name: v.Name + "/" + string(d.Name())}
	switch {
	case d.IsStreamingClient() && d.IsStreamingServer():
		m.Form = model.BothStreams
	case d.IsStreamingClient():
		m.Form = model.ClientStream
	case d.IsStreamingServer():
		m.Form = model.ServerStream
	}
	if len(m.Name) > maxMethodName {
		b.add(named(d), "method %s has a full name of %d bytes: a call has room for %d, shorten it, or the names of service or package", d.Name(), len(m.Name), maxMethodName)
	}
	o := optionOf[*mmo.RpcOptions](d, mmo.E_Rpc)
	if o == nil {
		return m
	}
	wrong := func(name, format string, args ...any) { b.add(option(d, "rpc."+name), format, args...) }
	stream := m.Form != model.Unary
	m.Idempotent, m.Inline, m.Pooled, m.Bulk, m.Timeout = o.Idempotent, o.Inline, o.Pooled, o.Bulk, time.Duration(o.TimeoutMs)*time.Millisecond
	switch {
	case o.OneWay && stream:
		wrong("one_way", "one_way on a stream: the end of a stream is an answer, drop one_way or stream")
	case o.OneWay && len(declared.Output.Fields) > 0:
		b.add(at(d, methodOutTag), "method %s is one_way and answers with %s, which has fields: nobody would get it, return google.protobuf.Empty or another message without fields, or drop one_way",
			d.Name(), declared.Output.Desc.FullName())
	case o.OneWay:
		m.Form = model.OneWay
	}
	if o.Idempotent && stream {
		wrong("idempotent", "idempotent on a stream: only calls are made again, as what a stream has brought is known to its caller alone; drop it")
	}
	if o.Inline && stream {
		wrong("inline", "inline on a stream: its handler waits for messages, where they are read nothing may wait; drop it")
	}
	if o.Pooled && stream {
		wrong("pooled", "pooled on a stream: its handler says itself into which message it receives, drop it")
	}
	if o.Bulk && !stream {
		wrong("bulk", "bulk on a method without stream: a single message takes the way that fits its size anyhow, drop it")
	}
	if o.Key != "" {
		b.key(m, o.Key)
	}
	return m
}

// key finds the field of the request that says where it goes.
func (b *builder) key(m *model.Method, name string) {
	d, request := m.Desc, m.Input
	f := fieldNamed(request, name)
	wrong := func(format string, args ...any) { b.add(option(d, "rpc.key"), format, args...) }
	switch {
	case d.IsStreamingClient():
		wrong("key on a stream of requests: the instance is chosen before the first is there, drop it and choose by the call's options")
	case f == nil:
		wrong("key %q is no field of %s: %s", name, request.Desc.Name(), didYouMean(name, fieldNames(request.Desc, false)))
	case f.Desc.IsList() || f.Desc.IsMap() || f.Desc.Message() != nil || f.Desc.Kind() == protoreflect.FloatKind || f.Desc.Kind() == protoreflect.DoubleKind:
		wrong("key %q is %s: what is the same must look the same, name a field that is a whole number, bool, enum, string or bytes", name, typeName(f.Desc))
	case f.Oneof != nil && !f.Oneof.Desc.IsSynthetic():
		wrong("key %q is part of oneof %s: it may be another field that is set, name one that always is", name, f.Oneof.Desc.Name())
	}
	m.Key = f
}
