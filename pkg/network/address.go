package network

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// addrOf is the IP address in a, the zero AddrPort if there is none.
func addrOf(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return plain(tcp.AddrPort())
}

// plain writes an IPv4 address in IPv6 form as IPv4, and drops the zone: addresses are compared with those of others.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// trusts tells whether a is one of the proxies.
func trusts(trusted []netip.Prefix, a netip.Addr) bool {
	for _, p := range trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// forwarded finds the client behind trusted proxies: the rightmost address of X-Forwarded-For that is not a trusted proxy. Each proxy appends the
// address of whoever spoke to it, so everything to the left of that one was written by a stranger. What is no address ends the
// search at the proxy that let it through.
func forwarded(peer netip.AddrPort, headers []string, trusted []netip.Prefix) netip.AddrPort {
	for i := len(headers) - 1; i >= 0; i-- {
		rest, more := headers[i], true
		for more {
			if !trusts(trusted, peer.Addr()) {
				return peer
			}
			hop := rest
			comma := strings.LastIndexByte(rest, ',')
			if more = comma >= 0; more {
				rest, hop = rest[:comma], rest[comma+1:]
			}
			next, ok := parseHop(strings.Trim(hop, " \t"))
			if !ok {
				return peer
			}
			peer = next
		}
	}
	return peer
}

// parseHop reads an address with or without a port: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1] or [2001:db8::1]:80.
func parseHop(s string) (netip.AddrPort, bool) {
	const longest = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535")
	if len(s) > longest {
		return netip.AddrPort{}, false
	}
	if a, err := netip.ParseAddrPort(s); err == nil {
		return plain(a), true
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if s, ok = strings.CutSuffix(inner, "]"); !ok || !strings.Contains(s, ":") {
			return netip.AddrPort{}, false
		}
	}
	a, err := netip.ParseAddr(s)
	return plain(netip.AddrPortFrom(a, 0)), err == nil
}

// validPrefixes refuses the zero Prefix, which contains nothing and is a mistake.
func validPrefixes(trusted []netip.Prefix) error {
	for i, p := range trusted {
		if !p.IsValid() {
			return fmt.Errorf("network: Trusted[%d] is no prefix; make it with netip.ParsePrefix", i)
		}
	}
	return nil
}
