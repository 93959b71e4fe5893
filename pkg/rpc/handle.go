package rpc

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/mux"
)

// Registrar takes methods: a *Server, or a *Client for what its servers may call back. Registering a name twice, or a name that cannot be, panics; so does a
// service too many: the names of all of them must fit a connection's first message, in 15 KiB.
type Registrar interface {
	Register(m *mux.Method)
}

// HandleOption is said about a method when it is registered.
type HandleOption func(*handleOptions)

type handleOptions struct {
	inline, pooled, borrowed bool

	codec Codec
}

// Inline runs the handler on the connection's reader: fastest, and nothing else of the connection moves meanwhile. It must not block: no calls, no locks held
// for long.
func Inline() HandleOption { return func(o *handleOptions) { o.inline = true } }

// WithCodec makes this the method's only codec, whatever callers' default is; they have to name it too.
func WithCodec(c Codec) HandleOption { return func(o *handleOptions) { o.codec = c } }

// Pooled reuses requests after the answer was marshalled: the handler must keep neither the request nor parts of it, and an answer may only share its memory
// with the request of its own call.
func Pooled() HandleOption { return func(o *handleOptions) { o.pooled = true } }

// Borrowed hands the handler the connection's own memory, where the codec can (Bytes does): a request is valid until the handler returns, and a large one is not
// copied. The handler runs on the connection's reader, as with Inline; what it does must take microseconds, because even the end of the connection waits for it.
func Borrowed() HandleOption { return func(o *handleOptions) { o.borrowed = true } }

// Handle serves a method with one request and one answer. A nil answer is an empty one. An error travels as *Error if it is one, as UNKNOWN with its text if not.
func Handle[Req, Resp any](r Registrar, method string, fn func(ctx context.Context, req *Req) (*Resp, error), opts ...HandleOption) {
	var o handleOptions
	for _, set := range opts {
		set(&o)
	}
	m := &mux.Method{Name: method, Inline: o.inline, Borrow: o.borrowed, Codec: o.codec, New: func() any { return new(Req) }}
	m.Unary = func(ctx context.Context, req any) (any, error) {
		own, ok := req.(*Req)
		if !ok {
			return nil, fmt.Errorf("rpc: an interceptor made a %T of the request of %s, which is a %T", req, method, own)
		}
		resp, err := fn(ctx, own)
		if err != nil || resp == nil {
			return nil, err
		}
		return resp, nil
	}
	if o.pooled {
		pool := &sync.Pool{New: m.New}
		m.New = pool.Get
		m.Free = pool.Put
	}
	r.Register(m)
}

// ServiceOf is the service that a method belongs to: what stands before the last '/', or else before the last '.'; "" when there is neither.
func ServiceOf(method string) string {
	i := strings.LastIndexByte(method, '/')
	if i < 0 {
		i = strings.LastIndexByte(method, '.')
	}
	return method[:max(i, 0)]
}

// methods are what one end serves. Lookups take no lock: the map is copied when a method is added.
type methods struct {
	in    *incoming
	peers *peers

	mu       sync.Mutex
	byName   atomic.Pointer[map[string]*mux.Method]
	services map[string]bool
	names    int // bytes that the hello of a connection has for names by now: of the instance, its codecs and services
}

// maxNames bounds the names in the hello, in bytes: package mux takes 16 KiB, with what else is in it. Whoever exceeded it could not connect to anybody.
const maxNames = 15 << 10

// sizeNames is what the names in the hello take before there is a service; each is preceded by its length.
func sizeNames(id string, codecs []Codec) (int, error) {
	n := len(id) + 2
	for _, c := range codecs {
		n += len(c.Name()) + 2
	}
	if n > maxNames {
		return 0, fmt.Errorf("the names of the instance (ID, %d bytes) and its codecs take %d bytes together, at most %d: shorten them", len(id), n, maxNames)
	}
	return n, nil
}

// Lookup is mux.Handler.
func (ms *methods) Lookup(name string) *mux.Method {
	if all := ms.byName.Load(); all != nil {
		return (*all)[name]
	}
	return nil
}

// add takes a method, with whatever watches calls wrapped around it, and reports whether its service is new.
func (ms *methods) add(m *mux.Method) bool {
	switch {
	case m == nil || m.Name == "" || len(m.Name) > 255:
		panic("rpc: register: a method needs a name of 1 to 255 bytes")
	case (m.Unary == nil) == (m.Stream == nil):
		panic("rpc: register " + m.Name + ": exactly one of Unary and Stream is needed")
	case m.Unary != nil && m.New == nil:
		panic("rpc: register " + m.Name + ": New is needed to parse requests")
	}
	own := *m
	ms.in.wrap(&own, ms.peers)
	ms.mu.Lock()
	defer ms.mu.Unlock()
	next := map[string]*mux.Method{}
	if all := ms.byName.Load(); all != nil {
		maps.Copy(next, *all)
	}
	if next[m.Name] != nil {
		panic("rpc: register " + m.Name + ": there is a method of this name already")
	}
	next[m.Name] = &own
	isNew := ms.note(ServiceOf(m.Name))
	ms.byName.Store(&next)
	return isNew
}

// addService notes a service that clients may look for, and reports whether it is new.
func (ms *methods) addService(name string) bool {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return ms.note(name)
}

func (ms *methods) note(service string) bool {
	if service == "" || ms.services[service] {
		return false
	}
	n := ms.names + len(service) + 2
	if n > maxNames {
		panic(fmt.Sprintf("rpc: register service %.80q: the names of all %d services take %d bytes with it, at most %d: shorten them, or split the server",
			service, len(ms.services)+1, n, maxNames))
	}
	if ms.services == nil {
		ms.services = map[string]bool{}
	}
	ms.services[service], ms.names = true, n
	return true
}

// list is the services in order.
func (ms *methods) list() []string {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return slices.Sorted(maps.Keys(ms.services))
}
