package gobind

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
)

// ServiceNames are the names that a service has in the package of bindings, those of its methods aside.
func ServiceNames(v *model.Service) []string {
	n := v.GoName
	return []string{n + "Client", "New" + n + "Client", n + "Server", "Unimplemented" + n + "Server", "Register" + n + "Server", n + "Service"}
}

// MethodName is the name of the constant that holds the full name of a method.
func MethodName(v *model.Service, m *model.Method) string { return v.GoName + "Method" + m.GoName }

// MethodNames are the methods that the stubs of a service have for a method of it, the server's first.
func MethodNames(m *model.Method) []string {
	switch m.Form {
	case model.Unary:
		return []string{m.GoName, m.GoName + "Into", m.GoName + "Async"}
	case model.OneWay:
		if n := notifyName(m); n != m.GoName {
			return []string{m.GoName, n}
		}
	}
	return []string{m.GoName}
}

// notifyName is what calls a method that does not answer.
func notifyName(m *model.Method) string {
	if strings.HasPrefix(m.GoName, "Notify") {
		return m.GoName
	}
	return "Notify" + m.GoName
}

// rpc writes the stubs of services: what calls them and what serves them.
func (g *generator) rpc(f *file) {
	for _, v := range g.Services {
		g.methodNames(f, v)
		g.rpcClient(f, v)
		g.rpcServer(f, v)
		g.unimplemented(f, v)
	}
}

func (g *generator) methodNames(f *file, v *model.Service) {
	f.p("// %sService is the full name of service %s, by which clients find those who serve it.", v.GoName, v.GoName)
	f.p("const %sService = %q\n", v.GoName, v.Name)
	if len(v.Methods) == 0 {
		return
	}
	f.p("// The full names of its methods, for interceptors, logs, and calls without stubs.")
	f.p("const (")
	for _, m := range v.Methods {
		f.p("%s = %q", MethodName(v, m), m.Name)
	}
	f.p(")\n")
}

// about writes the comment of something of a service: what it is, what the schema says of it, and what there is to know besides.
func (f *file) about(what string, c protogen.CommentSet, deprecated bool, more ...string) {
	f.doc("%s", what)
	if text := strings.TrimSpace(leading(c)); text != "" {
		f.p("//")
		f.doc("%s", text)
	}
	if len(more) > 0 {
		f.p("//")
		f.doc("%s", strings.Join(more, "\n"))
	}
	if deprecated {
		f.p("//")
		f.p("// Deprecated: Do not use.")
	}
}

func deprecatedMethod(m *model.Method) bool {
	o, _ := m.Desc.Options().(*descriptorpb.MethodOptions)
	return o.GetDeprecated()
}

func deprecatedService(v *model.Service) bool {
	o, _ := v.Desc.Options().(*descriptorpb.ServiceOptions)
	return o.GetDeprecated()
}

// rpcClient writes what calls a service.
func (g *generator) rpcClient(f *file, v *model.Service) {
	f.about(fmt.Sprintf("%sClient calls service %s. Any goroutine may use it; copies are the same client.", v.GoName, v.Name), v.Comments, deprecatedService(v))
	f.p("type %sClient struct{ c rpc.Caller }\n", v.GoName)
	f.p("// New%[1]sClient calls through c: a client of the service, which chooses among those who serve it, or one peer.", v.GoName)
	f.p("func New%[1]sClient(c rpc.Caller) %[1]sClient { return %[1]sClient{c} }\n", v.GoName)
	for _, m := range v.Methods {
		switch m.Form {
		case model.Unary:
			g.unary(f, v, m)
		case model.OneWay:
			g.oneWay(f, v, m)
		default:
			g.stream(f, v, m)
		}
	}
}

// call is a call of package rpc with the method's name, more arguments, and the options: what the schema says of the method before the caller's own. What it
// needs stands in lines before: one closure for all, which does not outlive the call and stays on the stack, where a longer list of options would not.
func (f *file) call(function, types string, v *model.Service, m *model.Method, more ...string) string {
	var set []string
	if m.Idempotent {
		set = append(set, "o.Idempotent = true")
	}
	if m.Timeout > 0 {
		set = append(set, "o.Timeout = "+duration(m.Timeout))
	}
	if m.Bulk {
		set = append(set, "o.Bulk = true")
	}
	if m.Key != nil {
		set = append(set, setKey(m.Key))
	}
	options := "opts..."
	if len(set) > 0 {
		f.p("all := func(o *rpc.CallOptions) {")
		for _, line := range set {
			f.p("%s", line)
		}
		f.p("for _, set := range opts { set(o) }")
		f.p("}")
		options = "all"
	}
	return fmt.Sprintf("rpc.%s%s(%s, %s)", function, types, strings.Join(append([]string{"ctx", "c.c", MethodName(v, m)}, more...), ", "), options)
}

// duration is a duration as Go code.
func duration(d time.Duration) string {
	for _, unit := range []struct {
		d    time.Duration
		name string
	}{{time.Hour, "Hour"}, {time.Minute, "Minute"}, {time.Second, "Second"}} {
		if d == unit.d {
			return "time." + unit.name
		}
		if d%unit.d == 0 {
			return fmt.Sprintf("%d * time.%s", d/unit.d, unit.name)
		}
	}
	return fmt.Sprintf("%d * time.Millisecond", d/time.Millisecond)
}

// spoken is a duration without what is 0 of it.
func spoken(d time.Duration) string {
	return strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(d.String())
}

// setKey makes a field of the request the key of the call; an optional one that is not set is none.
func setKey(k *protogen.Field) string {
	x := "req." + k.GoName
	if k.Desc.HasPresence() && k.Desc.Kind() != protoreflect.BytesKind {
		return fmt.Sprintf("if %s != nil { o.Key = %s }", x, keyText(k, "*"+x))
	}
	return "o.Key = " + keyText(k, x)
}

func keyText(k *protogen.Field, x string) string {
	switch k.Desc.Kind() {
	case protoreflect.StringKind:
		return x
	case protoreflect.BytesKind:
		return "string(" + x + ")"
	case protoreflect.BoolKind:
		return "strconv.FormatBool(" + x + ")"
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return "strconv.FormatUint(uint64(" + x + "), 10)"
	}
	return "strconv.FormatInt(int64(" + x + "), 10)"
}

// manners says what the options of a method mean for who calls it.
func manners(m *model.Method) (says []string) {
	if m.Idempotent {
		says = append(says, "It may be made again after a failure: doing it twice does what doing it once does.")
	}
	if m.Timeout > 0 {
		says = append(says, fmt.Sprintf("It takes at most %s, unless opts say otherwise.", spoken(m.Timeout)))
	}
	if m.Key != nil {
		says = append(says, fmt.Sprintf("Calls with the same %s go to the same instance, as long as there is one.", m.Key.Desc.Name()))
	}
	if m.Bulk {
		says = append(says, "Its messages travel apart from calls and other streams, so that large ones do not delay those.")
	}
	return says
}

func (g *generator) unary(f *file, v *model.Service, m *model.Method) {
	req, resp := f.name(m.Input.GoIdent), f.name(m.Output.GoIdent)
	old := deprecatedMethod(m)
	f.about(fmt.Sprintf("%s calls %s and waits for the answer.", m.GoName, m.Name), m.Comments, old, manners(m)...)
	f.p("func (c %sClient) %s(ctx context.Context, req *%s, opts ...rpc.CallOption) (*%s, error) {", v.GoName, m.GoName, req, resp)
	f.p("return %s", f.call("Call", "["+resp+"]", v, m, "req"))
	f.p("}\n")
	f.about(fmt.Sprintf("%sInto is %[1]s with a message for the answer, whose content it replaces: it may be used again and again.", m.GoName), protogen.CommentSet{}, old)
	f.p("func (c %sClient) %sInto(ctx context.Context, req *%s, resp *%s, opts ...rpc.CallOption) error {", v.GoName, m.GoName, req, resp)
	f.p("return %s", f.call("CallInto", "", v, m, "req", "resp"))
	f.p("}\n")
	f.about(fmt.Sprintf("%sAsync is %[1]s without waiting: the future has the answer.", m.GoName), protogen.CommentSet{}, old)
	f.p("func (c %sClient) %sAsync(ctx context.Context, req *%s, opts ...rpc.CallOption) rpc.Future[%s] {", v.GoName, m.GoName, req, resp)
	f.p("return %s", f.call("Go", "["+resp+"]", v, m, "req"))
	f.p("}\n")
}

func (g *generator) oneWay(f *file, v *model.Service, m *model.Method) {
	f.about(fmt.Sprintf("%s sends %s, which is not answered: nil says that it was handed over, not that it was done.", notifyName(m), m.Name), m.Comments, deprecatedMethod(m), manners(m)...)
	f.p("func (c %sClient) %s(ctx context.Context, req *%s, opts ...rpc.CallOption) error {", v.GoName, notifyName(m), f.name(m.Input.GoIdent))
	f.p("return %s", f.call("Notify", "", v, m, "req"))
	f.p("}\n")
}

func (g *generator) stream(f *file, v *model.Service, m *model.Method) {
	in, out := f.name(m.Input.GoIdent), f.name(m.Output.GoIdent)
	what := map[model.Form]string{
		model.ClientStream: "send to the stream, then CloseAndRecv gives the answer.",
		model.ServerStream: "the stream brings the answers, and io.EOF behind the last.",
		model.BothStreams:  "both sides send when they like; CloseSend ends this one.",
	}[m.Form]
	more := append(manners(m), "The stream lasts as long as ctx at most; who leaves it before its end calls Cancel.")
	f.about(fmt.Sprintf("%s opens %s: %s", m.GoName, m.Name, what), m.Comments, deprecatedMethod(m), more...)
	req := ""
	if m.Form == model.ServerStream {
		req = fmt.Sprintf(", req *%s", in)
	}
	f.p("func (c %sClient) %s(ctx context.Context%s, opts ...rpc.CallOption) (*rpc.ClientStream[%s, %s], error) {", v.GoName, m.GoName, req, in, out)
	open := f.call("OpenStream", fmt.Sprintf("[%s, %s]", in, out), v, m)
	if m.Form != model.ServerStream {
		f.p("return %s", open)
		f.p("}\n")
		return
	}
	f.p("s, err := %s", open)
	f.p("if err != nil { return nil, err }")
	f.p("if err = s.Send(req); err == nil { err = s.CloseSend() }")
	f.p("if err != nil && !errors.Is(err, io.EOF) { // at its end already: receiving says why")
	f.p("s.Cancel()")
	f.p("return nil, err")
	f.p("}")
	f.p("return s, nil")
	f.p("}\n")
}

// signature is a method of a service as who serves it writes it.
func (f *file) signature(m *model.Method) string {
	in, out := f.name(m.Input.GoIdent), f.name(m.Output.GoIdent)
	switch m.Form {
	case model.Unary:
		return fmt.Sprintf("%s(ctx context.Context, req *%s) (*%s, error)", m.GoName, in, out)
	case model.OneWay:
		return fmt.Sprintf("%s(ctx context.Context, req *%s) error", m.GoName, in)
	}
	return fmt.Sprintf("%s(ctx context.Context, s *rpc.ServerStream[%s, %s]) error", m.GoName, in, out)
}

// rpcServer writes what serves a service.
func (g *generator) rpcServer(f *file, v *model.Service) {
	f.about(fmt.Sprintf("%sServer is what serves service %s. Its methods are called from many goroutines at once; an error of package status reaches the caller as it is.", v.GoName, v.Name),
		v.Comments, deprecatedService(v))
	f.p("type %sServer interface {", v.GoName)
	for i, m := range v.Methods {
		if i > 0 {
			f.p("")
		}
		text := strings.TrimSpace(leading(m.Comments))
		if text == "" {
			text = fmt.Sprintf("%s serves %s.", m.GoName, m.Name)
		}
		f.doc("%s", text)
		for _, more := range duties(m) {
			f.p("// %s", more)
		}
		f.p("%s", f.signature(m))
	}
	f.p("}\n")
	f.p("// Register%[1]sServer lets s serve service %[2]s: on a server, or on a client for what the server's side calls back.", v.GoName, v.Name)
	f.p("func Register%[1]sServer(r rpc.Registrar, s %[1]sServer) {", v.GoName)
	for _, m := range v.Methods {
		options := ""
		if m.Inline {
			options = ", rpc.Inline()"
		}
		if m.Pooled {
			options += ", rpc.Pooled()"
		}
		switch m.Form {
		case model.Unary:
			f.p("rpc.Handle(r, %s, s.%s%s)", MethodName(v, m), m.GoName, options)
		case model.OneWay:
			f.p("rpc.Handle(r, %s, func(ctx context.Context, req *%s) (*%s, error) { return nil, s.%s(ctx, req) }%s)",
				MethodName(v, m), f.name(m.Input.GoIdent), f.name(m.Output.GoIdent), m.GoName, options)
		default:
			f.p("rpc.HandleStream(r, %s, s.%s%s)", MethodName(v, m), m.GoName, options)
		}
	}
	f.p("}\n")
}

// duties says what who serves a method has to know besides the schema's comment.
func duties(m *model.Method) (says []string) {
	if m.Inline {
		says = append(says, "It runs where the connection is read, so it must not block.")
	}
	if m.Idempotent {
		says = append(says, "It may come again with the same request.")
	}
	if m.Pooled {
		says = append(says, "It must keep neither the request nor parts of it; its answer may hold them.")
	}
	switch m.Form {
	case model.OneWay:
		says = append(says, "Nobody gets an answer, and so nobody its error.")
	case model.ClientStream:
		says = append(says, "The answer is the one message that it sends before it returns.")
	case model.ServerStream:
		says = append(says, "The request is the first message that it receives, and the only one.")
	}
	return says
}

// unimplemented writes what answers for methods that are not there yet.
func (g *generator) unimplemented(f *file, v *model.Service) {
	f.p("// Unimplemented%[1]sServer refuses every method of service %[2]s. Embedded, it does so for those that are not written yet.", v.GoName, v.Name)
	f.p("type Unimplemented%sServer struct{}\n", v.GoName)
	for _, m := range v.Methods {
		zero := ""
		if m.Form == model.Unary {
			zero = "nil, "
		}
		f.p("// %s answers UNIMPLEMENTED.", m.GoName)
		f.p("func (Unimplemented%sServer) %s {", v.GoName, strings.NewReplacer("ctx context", "context", "req *", "*", "s *rpc", "*rpc").Replace(f.signature(m)))
		f.p("return %sstatus.New(status.Unimplemented, \"method \"+%s+\" is not implemented here\")", zero, MethodName(v, m))
		f.p("}\n")
	}
}
