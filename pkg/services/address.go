package services

import (
	"net/http"
	"net/netip"
	"strings"
)

// maxHops is how many proxies of X-Forwarded-For are looked at, from the nearest on.
const maxHops = 32

// client returns the address of whoever sent a request and the scheme ("http" or "https") that it was sent by. What the nearest peer says of others
// counts if it is a trusted proxy, and what that proxy's peer says if that is one, too; the first that is not is the client. Whoever is no proxy may
// write what it likes.
func client(r *http.Request, trusted []netip.Prefix) (from netip.Addr, scheme string) {
	scheme = "http"
	if r.TLS != nil {
		scheme = "https"
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, scheme // all that have no address, as those of a Unix socket, share one limit
	}
	from = peer.Addr().Unmap().WithZone("")
	if !isTrusted(from, trusted) {
		return from, scheme
	}
	if said := r.Header.Get("X-Forwarded-Proto"); said != "" {
		scheme = said
	}
	return forwarded(from, r.Header.Values("X-Forwarded-For"), trusted), scheme
}

// forwarded walks the list from its end, which the nearest proxy wrote. What does not parse was written by nobody trusted, so the walk ends before it.
func forwarded(from netip.Addr, headers []string, trusted []netip.Prefix) netip.Addr {
	hops := 0
	for i := len(headers) - 1; i >= 0; i-- {
		rest := headers[i]
		for more := true; more; hops++ {
			if hops == maxHops {
				return from
			}
			var last string
			if at := strings.LastIndexByte(rest, ','); at >= 0 {
				rest, last = rest[:at], rest[at+1:]
			} else {
				last, more = rest, false
			}
			hop, ok := parseHop(strings.TrimSpace(last))
			if !ok {
				return from
			}
			if from = hop; !isTrusted(hop, trusted) {
				return from
			}
		}
	}
	return from
}

// parseHop reads an address, with a port or without.
func parseHop(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	ap, err := netip.ParseAddrPort(s)
	return ap.Addr().Unmap().WithZone(""), err == nil
}

func isTrusted(a netip.Addr, trusted []netip.Prefix) bool {
	for _, p := range trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// prefixOf is what limits go by: whoever has IPv6 has a /64 at least.
func prefixOf(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails for the zero Addr alone
	return p
}
