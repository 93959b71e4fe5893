package network

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// proxyV2 builds a version 2 header.
func proxyV2(command, family byte, body string) string {
	return proxyV2Start + string([]byte{command, family}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(body)))) + body
}

const (
	addrs4 = "\xcb\x00\x71\x09\xc0\x00\x02\x01\x04\xd2\x01\xbb" // 203.0.113.9:1234 to 192.0.2.1:443
	addrs6 = " \x01\r\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09 \x01\r\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x04\xd2\x01\xbb"
)

type proxyCase struct{ name, in, want, err string } // want "-": the socket's address

func proxyTable() []proxyCase {
	return []proxyCase{
		{"v1 IPv4", "PROXY TCP4 203.0.113.9 192.0.2.1 1234 443\r\n", "203.0.113.9:1234", ""},
		{"v1 IPv6", "PROXY TCP6 2001:db8::9 2001:db8::1 1234 443\r\n", "[2001:db8::9]:1234", ""},
		{"v1 IPv4 in IPv6", "PROXY TCP6 ::ffff:203.0.113.9 ::1 1234 443\r\n", "203.0.113.9:1234", ""},
		{"v1 unknown", "PROXY UNKNOWN\r\n", "-", ""},
		{"v1 unknown with addresses", "PROXY UNKNOWN ffff::1 ffff::1 65535 65535\r\n", "-", ""},
		{"v1 longest", "PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n", "-", ""},
		{"v1 too long", "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", "", "more than 107"},
		{"v1 endless", "PROXY TCP4 " + strings.Repeat("1", 200), "", "more than 107"},
		{"v1 LF", "PROXY TCP4 203.0.113.9 192.0.2.1 1234 443\n", "", "CR LF"},
		{"v1 CR inside", "PROXY UNKNOWN \r \r\n", "", "CR LF"},
		{"v1 wrong family", "PROXY TCP6 203.0.113.9 192.0.2.1 1234 443\r\n", "", "addresses"},
		{"v1 zone", "PROXY TCP6 fe80::1%lo ::1 1234 443\r\n", "", "addresses"},
		{"v1 UDP", "PROXY UDP4 203.0.113.9 192.0.2.1 1234 443\r\n", "", "line"},
		{"v1 lower case", "proxy TCP4 203.0.113.9 192.0.2.1 1234 443\r\n", "", "starts with"},
		{"v1 two blanks", "PROXY TCP4  203.0.113.9 192.0.2.1 1234 443\r\n", "", "line"},
		{"v1 port too large", "PROXY TCP4 203.0.113.9 192.0.2.1 65536 443\r\n", "", "addresses"},
		{"v1 port with zero", "PROXY TCP4 203.0.113.9 192.0.2.1 0123 443\r\n", "", "addresses"},
		{"v1 port with sign", "PROXY TCP4 203.0.113.9 192.0.2.1 +123 443\r\n", "", "addresses"},
		{"v1 wrong server", "PROXY TCP4 203.0.113.9 server 1234 443\r\n", "", "addresses"},
		{"v1 leading zero", "PROXY TCP4 203.0.113.09 192.0.2.1 1234 443\r\n", "", "addresses"},
		{"v1 something behind", "PROXY TCP4 203.0.113.9 192.0.2.1 1234 443 x\r\n", "", "line"},
		{"v1 nothing", "PROXY \r\n", "", "line"},
		{"v2 IPv4", proxyV2(0x21, 0x11, addrs4), "203.0.113.9:1234", ""},
		{"v2 IPv6", proxyV2(0x21, 0x21, addrs6), "[2001:db8::9]:1234", ""},
		{"v2 extensions", proxyV2(0x21, 0x11, addrs4+"\x04\x00\x01x"), "203.0.113.9:1234", ""},
		{"v2 local", proxyV2(0x20, 0x00, ""), "-", ""},
		{"v2 local with rubbish", proxyV2(0x20, 0x11, "abc"), "-", ""},
		{"v2 unspecified", proxyV2(0x21, 0x00, "abc"), "-", ""},
		{"v2 Unix socket", proxyV2(0x21, 0x31, strings.Repeat("p", 216)), "-", ""},
		{"v2 UDP", proxyV2(0x21, 0x12, addrs4), "", "family"},
		{"v2 unknown family", proxyV2(0x21, 0x41, addrs4), "", "family"},
		{"v2 version 1", proxyV2(0x11, 0x11, addrs4), "", "command 0x11"},
		{"v2 command 2", proxyV2(0x22, 0x11, addrs4), "", "command 0x22"},
		{"v2 addresses cut", proxyV2(0x21, 0x11, addrs4[:11]), "", "11 bytes"},
		{"v2 IPv6 in 12 bytes", proxyV2(0x21, 0x21, addrs4), "", "12 bytes"},
		{"v2 largest", proxyV2(0x20, 0x00, strings.Repeat("e", maxProxyV2)), "-", ""},
		{"v2 too large", proxyV2(0x20, 0x00, strings.Repeat("e", maxProxyV2+1)), "", "more than 4096"},
		{"v2 wrong signature", "\r\n\r\n\x00\r\nQUIX\n" + addrs4, "", "starts with"},
		{"neither", "GET / HTTP/1.1\r\n", "", "starts with"},
		{"TLS", "\x16\x03\x01", "", "starts with"},
	}
}

func TestProxyHeaders(t *testing.T) {
	for _, tc := range proxyTable() {
		t.Run(tc.name, func(t *testing.T) {
			client, size, err := parseProxy([]byte(tc.in + "behind"))
			if tc.err != "" {
				if !errors.Is(err, ErrProxyHeader) || !strings.Contains(err.Error(), tc.err) || client.IsValid() {
					t.Errorf("%v %v, want %q", client, err, tc.err)
				}
				return
			}
			want := netip.AddrPort{}
			if tc.want != "-" {
				want = netip.MustParseAddrPort(tc.want)
			}
			if client != want || size != len(tc.in) || err != nil {
				t.Errorf("%v, %d bytes, %v; want %v, %d bytes", client, size, err, tc.want, len(tc.in))
			}
		})
	}
}

// However the header is cut, the answer is that of the whole, and a wrong one is never good for a moment.
func FuzzProxy(f *testing.F) {
	for _, tc := range proxyTable() {
		f.Add([]byte(tc.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		client, size, err := parseProxy(in)
		if err != nil && (size != 0 || client.IsValid() || !errors.Is(err, ErrProxyHeader)) || size > len(in) || size > proxyV2Head+maxProxyV2 {
			t.Fatalf("%v %d %v", client, size, err)
		}
		if client.IsValid() && (client.Addr().Zone() != "" || client.Addr().Is4In6()) {
			t.Errorf("address %v", client)
		}
		for cut := range min(len(in), 300) {
			c, n, e := parseProxy(in[:cut])
			switch {
			case size > 0 && cut < size && (n != 0 || e != nil):
				t.Errorf("after %d of %d bytes: %v %d %v", cut, size, c, n, e)
			case size > 0 && cut >= size && (n != size || c != client):
				t.Errorf("after %d bytes: %v %d %v, want %v %d", cut, c, n, e, client, size)
			case err != nil && n != 0:
				t.Errorf("good after %d bytes, but then %v", cut, err)
			}
		}
	})
}
