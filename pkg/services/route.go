package services

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// route is one method of one path.
type route struct {
	method string
	path   string // "{id}" stands for one element
	handle func(c *call) (answer, error)
}

// call is one request on its way through.
type call struct {
	ctx  context.Context
	r    *http.Request
	from netip.Addr             // the client, seen through trusted proxies
	id   string                 // what stood in the place of {id}
	body func() ([]byte, error) // reads it
}

// answer is what a handler has to say: a JSON object, or nothing.
type answer struct {
	status int
	body   any               // nil: none
	raw    []byte            // in place of body
	header map[string]string // beyond what every answer has
}

// face serves a table of routes.
type face struct {
	s      *Services
	routes []route
}

// ServeHTTP implements http.Handler.
func (f *face) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := f.s
	s.count.requests.Add(1)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	from, proto := client(r, s.cfg.Trusted)
	allowed := s.cors(h, r)
	handle, id, err := f.match(r)
	switch {
	case proto != "https" && !s.cfg.AllowPlain:
		err = httpsRequired()
	case !allowed:
		err = originRefused()
	case r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "":
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		if wait := s.requests.Take(prefixOf(from), s.cfg.Accounts.Now()); wait > 0 {
			s.count.limited.Add(1)
			err = tooManyRequests(wait)
		}
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Timeout)
	defer cancel()
	c := &call{ctx: ctx, r: r, from: from, id: id, body: func() ([]byte, error) { return readBody(w, r, s.cfg.MaxBody) }}
	a, err := handle(c)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	write(w, a)
}

// match finds the route of a request. Paths are taken as they are: one that would need cleaning is unknown.
func (f *face) match(r *http.Request) (handle func(*call) (answer, error), id string, err error) {
	if r.URL.RawQuery != "" {
		return nil, "", badRequest("unknown_query", "the path takes no query", "send what you have to say in the body, or not at all")
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var methods []string
	for _, route := range f.routes {
		id, ok := matches(route.path, r.URL.EscapedPath())
		if !ok {
			continue
		}
		if route.method == method {
			return route.handle, id, nil
		}
		methods = append(methods, route.method)
	}
	if methods != nil {
		return nil, "", methodNotAllowed(methods)
	}
	return nil, "", pathUnknown()
}

func matches(pattern, path string) (id string, ok bool) {
	before, after, wild := strings.Cut(pattern, "{id}")
	if !wild {
		return "", path == pattern
	}
	id, ok = strings.CutPrefix(path, before)
	if !ok {
		return "", false
	}
	id, ok = strings.CutSuffix(id, after)
	return id, ok && id != "" && !strings.Contains(id, "/")
}

// cors tells browsers whose pages may read the answer, and says whether the request may go on: a page of a foreign origin may not.
func (s *Services) cors(h http.Header, r *http.Request) (allowed bool) {
	origin := r.Header.Get("Origin")
	if slices.Contains(s.cfg.Origins, "*") {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.Set("Vary", "Origin") // also where there was none: a cache must not hand one origin's answer to another
		switch {
		case origin == "":
			return true // no browser, or a page of our own that reads
		case slices.Contains(s.cfg.Origins, origin):
			h.Set("Access-Control-Allow-Origin", origin)
		default:
			u, err := url.Parse(origin)
			return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) // a page of our own
		}
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-None-Match")
	h.Set("Access-Control-Expose-Headers", "Retry-After, ETag")
	h.Set("Access-Control-Max-Age", strconv.Itoa(int(10*time.Minute/time.Second)))
	return true
}
