package network

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func prefixes(s ...string) (p []netip.Prefix) {
	for _, s := range s {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

func TestForwardedFindsTheRightmostUntrustedHop(t *testing.T) {
	trusted := prefixes("10.0.0.0/8", "fd00::/8", "192.0.2.7/32")
	for _, tc := range []struct{ name, peer, headers, want string }{
		{"no header", "10.0.0.1:5000", "", "10.0.0.1:5000"},
		{"one hop", "10.0.0.1:5000", "203.0.113.9", "203.0.113.9:0"},
		{"spoofed by a direct client", "203.0.113.9:5000", "198.51.100.1", "203.0.113.9:5000"},
		{"spoofed through the proxy", "10.0.0.1:5000", "198.51.100.1, 203.0.113.9", "203.0.113.9:0"},
		{"spoofed as a trusted one", "10.0.0.1:5000", "10.1.1.1, 203.0.113.9", "203.0.113.9:0"},
		{"two proxies", "10.0.0.1:5000", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9:0"},
		{"two header lines", "10.0.0.1:5000", "198.51.100.1, 203.0.113.9|10.0.0.2", "203.0.113.9:0"},
		{"only proxies", "10.0.0.1:5000", "10.0.0.3, 10.0.0.2", "10.0.0.3:0"},
		{"port", "10.0.0.1:5000", "203.0.113.9:1234", "203.0.113.9:1234"},
		{"IPv6", "[fd00::1]:5000", "2001:db8::9", "[2001:db8::9]:0"},
		{"IPv6 in brackets", "[fd00::1]:5000", "[2001:db8::9]", "[2001:db8::9]:0"},
		{"IPv6 with port", "[fd00::1]:5000", "[2001:db8::9]:1234", "[2001:db8::9]:1234"},
		{"IPv4 in IPv6 form", "10.0.0.1:5000", "203.0.113.9, ::ffff:10.0.0.2", "203.0.113.9:0"},
		{"zone", "10.0.0.1:5000", "fe80::1%eth0", "[fe80::1]:0"},
		{"garbage ends the search", "10.0.0.1:5000", "203.0.113.9, unknown, 10.0.0.2", "10.0.0.2:0"},
		{"empty hop ends the search", "10.0.0.1:5000", "203.0.113.9,", "10.0.0.1:5000"},
		{"host name", "10.0.0.1:5000", "client.example", "10.0.0.1:5000"},
		{"IPv4 in brackets", "10.0.0.1:5000", "[203.0.113.9]", "10.0.0.1:5000"},
		{"blanks", "10.0.0.1:5000", "\t203.0.113.9 ,  10.0.0.2 ", "203.0.113.9:0"},
		{"a single trusted address", "192.0.2.7:1", "203.0.113.9", "203.0.113.9:0"},
		{"and its neighbour", "192.0.2.8:1", "203.0.113.9", "192.0.2.8:1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var headers []string
			if tc.headers != "" {
				headers = strings.Split(tc.headers, "|")
			}
			if got := forwarded(netip.MustParseAddrPort(tc.peer), headers, trusted); got.String() != tc.want {
				t.Errorf("%v, want %s", got, tc.want)
			}
		})
	}
}

// Whatever a stranger writes to the left, the hop that a trusted proxy appended is found.
func FuzzForwarded(f *testing.F) {
	f.Add("198.51.100.1, 10.0.0.9")
	f.Add("[::1]:80,,%")
	trusted, peer, client := prefixes("10.0.0.0/8"), netip.MustParseAddrPort("10.0.0.1:5000"), netip.MustParseAddr("203.0.113.9")
	f.Fuzz(func(t *testing.T, written string) {
		forwarded(peer, []string{written}, trusted)
		if got := forwarded(peer, []string{written, "203.0.113.9 , 10.0.0.2"}, trusted); got.Addr() != client {
			t.Errorf("%q made %v of the client", written, got)
		}
		if got := forwarded(netip.AddrPortFrom(client, 1), []string{written}, trusted); got != netip.AddrPortFrom(client, 1) {
			t.Errorf("%q made %v of a direct client", written, got)
		}
	})
}

func TestUpgradeKnowsTheClientBehindProxies(t *testing.T) {
	for _, tc := range []struct {
		trusted []netip.Prefix
		want    string
	}{{prefixes("127.0.0.0/8"), "203.0.113.9:0"}, {nil, ""}, {prefixes("10.0.0.0/8"), ""}} {
		s := newServer(t, Config{Trusted: tc.trusted})
		cfg := DialConfig{Header: http.Header{"X-Forwarded-For": {"198.51.100.1, 203.0.113.9"}}}
		client, err := Dial(context.Background(), s.ws(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		srv := <-s.conns
		want := tc.want
		if want == "" {
			want = client.nc.LocalAddr().String()
		}
		if got := srv.Client().String(); got != want || srv.RemoteAddr().String() != client.nc.LocalAddr().String() {
			t.Errorf("client %v at %v, want %v", got, srv.RemoteAddr(), want)
		}
		_ = srv.Close(0, "")
		_ = client.Close(0, "")
	}
	if (&Config{Trusted: make([]netip.Prefix, 1)}).validate() == nil {
		t.Error("the zero prefix is valid")
	}
}
