package network

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ErrProxyHeader is why a connection was cut whose PROXY protocol header is malformed, missing, late, or from someone who may not send one.
var ErrProxyHeader = errors.New("network: bad PROXY protocol header")

// Sizes of the PROXY protocol, bytes.
const (
	maxProxyV1   = 107     // the longest line of version 1, with its CRLF
	proxyV2Head  = 16      // signature, command, family and length of version 2
	maxProxyV2   = 4 << 10 // addresses and extensions of version 2 that we are ready to read
	proxyV1Start = "PROXY "
	proxyV2Start = "\r\n\r\n\x00\r\nQUIT\n"
)

// parseProxy reads the PROXY protocol header at the head of b: where the client is, and how many bytes the header takes. Size 0 says that it is
// not all here. The zero AddrPort says that the proxy speaks for itself (LOCAL), or that it does not tell (UNKNOWN): the
// address of the socket counts. Versions 1 and 2 as in HAProxy's proxy-protocol.txt, strictly.
func parseProxy(b []byte) (client netip.AddrPort, size int, err error) {
	switch {
	case startsAlike(b, proxyV1Start):
		return parseProxyV1(b)
	case startsAlike(b, proxyV2Start):
		return parseProxyV2(b)
	}
	return client, 0, badProxy("it starts with %q", b[:min(len(b), proxyV2Head)])
}

// startsAlike tells whether b starts with start, or may do so when more of it is here.
func startsAlike(b []byte, start string) bool {
	n := min(len(b), len(start))
	return string(b[:n]) == start[:n]
}

func badProxy(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProxyHeader, fmt.Sprintf(format, args...))
}

// parseProxyV1 reads the text form, 107 bytes at most:
//
//	PROXY TCP4|TCP6 <client> <server> <client's port> <server's port> CR LF
//	PROXY UNKNOWN anything CR LF
func parseProxyV1(b []byte) (client netip.AddrPort, size int, err error) {
	end := bytes.IndexByte(b[:min(len(b), maxProxyV1)], '\n')
	if end < 0 {
		if len(b) >= maxProxyV1 {
			err = badProxy("a line of more than %d bytes", maxProxyV1)
		}
		return client, 0, err
	}
	line, ok := strings.CutSuffix(string(b[:end+1]), "\r\n")
	if !ok || strings.Contains(line, "\r") {
		return client, 0, badProxy("a line that does not end in CR LF")
	}
	f := strings.Split(line, " ")
	if f[1] == "UNKNOWN" {
		return client, end + 1, nil
	}
	if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
		return client, 0, badProxy("line %q", line)
	}
	client, ok = textAddr(f[2], f[4], f[1] == "TCP4")
	if _, also := textAddr(f[3], f[5], f[1] == "TCP4"); !ok || !also {
		return netip.AddrPort{}, 0, badProxy("addresses in line %q", line)
	}
	return client, end + 1, nil
}

// textAddr reads an address of the family and a port without leading zeros.
func textAddr(host, port string, four bool) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(host)
	if err != nil || a.Is4() != four || a.Zone() != "" {
		return netip.AddrPort{}, false
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(p, 10) != port {
		return netip.AddrPort{}, false
	}
	return plain(netip.AddrPortFrom(a, uint16(p))), true
}

// parseProxyV2 reads the binary form, big-endian:
//
//	signature 12 | version 2 (4 bits) | command 0 LOCAL, 1 PROXY (4 bits) | family (4 bits) | transport (4 bits) | length u16 | then length bytes:
//	  IPv4: client 4 | server 4 | client's port u16 | server's port u16 | extensions
//	  IPv6: client 16 | server 16 | client's port u16 | server's port u16 | extensions
//
// Extensions are skipped. A family that has no IP address is as good as UNKNOWN.
func parseProxyV2(b []byte) (client netip.AddrPort, size int, err error) {
	const local, proxy = 0x20, 0x21
	const unspecified, tcp4, tcp6, unixStream = 0x00, 0x11, 0x21, 0x31
	at := len(proxyV2Start)
	if len(b) > at && b[at] != local && b[at] != proxy {
		return client, 0, badProxy("version and command %#x", b[at])
	}
	if len(b) < proxyV2Head {
		return client, 0, nil
	}
	length, addr := int(binary.BigEndian.Uint16(b[proxyV2Head-2:])), 0
	switch family := b[at+1]; {
	case b[at] == local:
	case family == tcp4:
		addr = 4
	case family == tcp6:
		addr = 16
	case family != unspecified && family != unixStream:
		return client, 0, badProxy("family and transport %#x on a TCP connection", family)
	}
	if length > maxProxyV2 {
		return client, 0, badProxy("%d bytes of addresses and extensions, more than %d", length, maxProxyV2)
	}
	if addr > 0 && length < 2*addr+4 {
		return client, 0, badProxy("%d bytes for two addresses of %d", length, addr)
	}
	if len(b)-proxyV2Head < length {
		return client, 0, nil
	}
	if addr > 0 {
		body := b[proxyV2Head:]
		ip, _ := netip.AddrFromSlice(body[:addr])
		client = plain(netip.AddrPortFrom(ip, binary.BigEndian.Uint16(body[2*addr:])))
	}
	return client, proxyV2Head + length, nil
}
