package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	hello "github.com/tianxia-mmo/tianxia/examples/hello/bind"
	plains "github.com/tianxia-mmo/tianxia/examples/plains/bind"
	sink "github.com/tianxia-mmo/tianxia/examples/sink/bind"
	"github.com/tianxia-mmo/tianxia/internal/schema"
	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"
)

// game is what can be said in a game.
type game struct {
	name      string
	list      []protocol.Route // the framework's and its own
	routes    *protocol.Routes
	converter *protocol.Converter
	types     func(name string) (protoreflect.MessageType, error)
}

// source is a game that was not put together yet.
type source struct {
	name        string
	list        []protocol.Route
	descriptors []byte
	types       func(name string) (protoreflect.MessageType, error)
}

// loadGames returns the sample games, or those below a folder of .proto files.
func loadGames(folder string) (all []*game, err error) {
	var sources []source
	if folder == "" {
		sources, err = samples()
	} else {
		sources, err = fromFolder(folder)
	}
	if err != nil {
		return nil, err
	}
	for _, s := range sources {
		g, err := newGame(s)
		if err != nil {
			return nil, fmt.Errorf("game %s: %w", s.name, err)
		}
		all = append(all, g)
	}
	return all, nil
}

func newGame(s source) (*game, error) {
	g := &game{name: s.name, list: s.list, types: s.types}
	var err error
	if g.routes, err = protocol.NewRoutes(s.list...); err != nil {
		return nil, err
	}
	g.converter, err = protocol.NewConverter(g.routes, s.descriptors)
	return g, err
}

func samples() (all []source, err error) {
	linked := func(name string) (protoreflect.MessageType, error) {
		return protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
	}
	for _, s := range []source{{name: "hello", list: hello.Routes()}, {name: "plains", list: plains.Routes()}, {name: "sink", list: sink.Routes()}} {
		s.list = append(protocol.FrameworkRoutes(), s.list...)
		s.types = linked
		if s.descriptors, err = protocol.Descriptors(s.list); err != nil {
			return nil, fmt.Errorf("game %s: %w", s.name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// fromFolder compiles .proto files. Nothing that was compiled into this program counts but the framework's own messages.
func fromFolder(folder string) (all []source, err error) {
	t, err := schema.Load(folder)
	if err != nil {
		return nil, fmt.Errorf("read the games below %s: %w", folder, err)
	}
	set := &descriptorpb.FileDescriptorSet{File: t.Plugin.Request.ProtoFile}
	session := mmov1.File_mmo_v1_session_proto
	if !slices.ContainsFunc(set.File, func(f *descriptorpb.FileDescriptorProto) bool { return f.GetName() == session.Path() }) {
		set.File = append(set.File, withImports(session, set.File)...)
	}
	layout := mmov1.File_mmo_v1_layout_proto
	if !slices.ContainsFunc(set.File, func(f *descriptorpb.FileDescriptorProto) bool { return f.GetName() == layout.Path() }) {
		set.File = append(set.File, withImports(layout, set.File)...)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("link the games below %s: %w", folder, err)
	}
	descriptors, err := proto.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("read the games below %s: %w", folder, err)
	}
	types := func(name string) (protoreflect.MessageType, error) {
		d, err := files.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			return nil, err
		}
		m, ok := d.(protoreflect.MessageDescriptor)
		if !ok {
			return nil, fmt.Errorf("%s is no message", name)
		}
		return dynamicpb.NewMessageType(m), nil
	}
	for _, s := range t.Schemas {
		if strings.HasPrefix(s.Package, "mmo.") || len(s.Routes) == 0 {
			continue
		}
		all = append(all, source{s.Name, append(protocol.FrameworkRoutes(), routesOf(s)...), descriptors, types})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("read the games below %s: no package there has routes: a game's files say option (mmo.schema) and (mmo.route)", folder)
	}
	return all, nil
}

func routesOf(s *model.Schema) (list []protocol.Route) {
	for _, r := range s.Routes {
		route := r.Route
		route.Message = string(r.Message.Desc.FullName())
		if r.Reply != nil {
			route.Reply = string(r.Reply.Desc.FullName())
		}
		list = append(list, route)
	}
	return list
}

// withImports is a file with what it imports, as far as have lacks it.
func withImports(f protoreflect.FileDescriptor, have []*descriptorpb.FileDescriptorProto) (all []*descriptorpb.FileDescriptorProto) {
	if slices.ContainsFunc(have, func(h *descriptorpb.FileDescriptorProto) bool { return h.GetName() == f.Path() }) {
		return nil
	}
	for i := range f.Imports().Len() {
		all = append(all, withImports(f.Imports().Get(i), append(slices.Clone(have), all...))...)
	}
	return append(all, protodesc.ToFileDescriptorProto(f))
}

// pick finds a game by its name; "": plains, or the only one.
func pick(all []*game, name string) (*game, error) {
	var names []string
	for _, g := range all {
		if g.name == name || name == "" && (g.name == "plains" || len(all) == 1) {
			return g, nil
		}
		names = append(names, g.name)
	}
	if name == "" {
		return nil, misuse("there are several games: choose one with -game: %s", strings.Join(names, ", "))
	}
	return nil, misuse("-game %q: there is %s; -proto shows others", name, strings.Join(names, ", "))
}

// controls are the control routes with a message by name, and those of fixed layout.
func controls() map[string]uint16 {
	return map[string]uint16{
		"ping": protocol.RoutePing, "pong": protocol.RoutePong, "echo": protocol.RouteEcho, "goaway": protocol.RouteGoaway, "kick": protocol.RouteKick, "bye": protocol.RouteBye,
		"resume": protocol.RouteResume, "resumed": protocol.RouteResumed, "queue": protocol.RouteQueue, "warning": protocol.RouteWarning,
	}
}

// frameOf is a frame for a route, named or numbered, of the type that is asked for or that the route is for.
func (g *game) frameOf(route string, o *options) (f protocol.Frame, err error) {
	kinds := map[string]protocol.FrameType{
		"push": protocol.TypePush, "req": protocol.TypeRequest, "resp": protocol.TypeResponse, "err": protocol.TypeError, "ctrl": protocol.TypeControl,
	}
	f.Type = kinds[o.kind]
	number, isNumber := strconv.ParseUint(route, 10, 16)
	control, isControl := controls()[route]
	if isNumber == nil && number < protocol.FirstFrameworkRoute {
		control, isControl = uint16(number), true
	}
	var found *protocol.Route
	for i, r := range g.list {
		if r.Name == route || isNumber == nil && uint64(r.ID) == number {
			found = &g.list[i]
		}
	}
	switch {
	case found != nil && o.kind != "ctrl":
		f.Route = found.ID
		if o.kind == "" && found.Kind == protocol.Request {
			f.Type = protocol.TypeRequest
		}
	case isControl && (o.kind == "" || o.kind == "ctrl"):
		f.Type, f.Route = protocol.TypeControl, control
	case isNumber == nil && o.kind == "err":
		f.Route = uint16(number)
	default:
		return f, g.noRoute(route)
	}
	if f.Type == protocol.TypeRequest || f.Type == protocol.TypeResponse || f.Type == protocol.TypeError {
		f.ID = uint32(o.id)
	}
	return f, nil
}

func (g *game) noRoute(route string) error {
	var names []string
	for _, r := range g.list {
		names = append(names, r.Name)
	}
	return misuse("game %s has no route %q: it has %s; and control routes %s", g.name, route, strings.Join(names, ", "),
		"ping, pong, echo, goaway, kick, bye, resume, resumed, queue, warning")
}

// sender is the first direction in which f may be sent, whatever the state; or why it may not be sent.
func (g *game) sender(f protocol.Frame, o *options) (protocol.Direction, error) {
	var code protocol.ErrorCode
	for _, d := range o.directions() {
		if code = g.routes.Check(f, protocol.AnyState, d); code != protocol.ErrorUnknownRoute {
			break
		}
	}
	for _, d := range o.directions() {
		if c := g.routes.Check(f, protocol.AnyState, d); c == protocol.ErrorNone {
			return d, nil
		} else if c != protocol.ErrorUnknownRoute {
			code = c
		}
	}
	return o.directions()[0], errors.New(code.String() + ": " + code.Meaning())
}
