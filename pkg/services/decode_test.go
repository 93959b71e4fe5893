package services

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{}`, `{"name":"anna","password":"correct horse"}`, `{"rights":["a","b"],"name":""}`, `{"name":"\ud83d\ude00"}`, `{"name":"a","name":"b"}`, "[", "{\"name\":\"\xff\"}", `{"rights":[]} `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		name, rights := "unset", []string{"unset"}
		err := decodeObject(body, []member{{name: "name", text: &name}, {name: "rights", list: &rights, optional: true}})
		if err != nil {
			var r *refusal
			if !errors.As(err, &r) || r.code != "bad_json" || r.fix == "" || !utf8.ValidString(r.message) {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		var twin map[string]any // whatever passes here is a JSON object to everyone else, with the same values
		if err := json.Unmarshal(body, &twin); err != nil {
			t.Fatalf("%q passes, but is no JSON: %v", body, err)
		}
		if twin["name"] != name || len(twin) > 2 || len(rights) > maxList {
			t.Errorf("%q reads as %q, %q and as %v", body, name, rights, twin)
		}
	})
}

func FuzzForwarded(f *testing.F) {
	f.Add("203.0.113.1, 10.1.1.1", "198.51.100.1")
	f.Add("[2001:db8::1]:80,fe80::1%eth0", "::ffff:10.0.0.1, unknown")
	f.Add(strings.Repeat(",", 100), "")
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, first, second string) {
		peer := netip.MustParseAddr("10.0.0.1")
		from := forwarded(peer, []string{first, second}, trusted)
		if !from.IsValid() || from.Is4In6() || from.Zone() != "" {
			t.Errorf("%q, %q: %v", first, second, from)
		}
		if last := second[strings.LastIndexByte(second, ',')+1:]; !isTrusted(from, trusted) {
			return
		} else if hop, ok := parseHop(strings.TrimSpace(last)); ok && !isTrusted(hop, trusted) {
			t.Errorf("%q, %q: %v, but the nearest hop is %v", first, second, from, hop)
		}
	})
}

func TestClientSeenThroughProxies(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ffff::/48")}
	for _, c := range []struct {
		name, remote string
		headers      []string
		want         string
	}{
		{"direct", "203.0.113.9:1", nil, "203.0.113.9"},
		{"direct, lies", "203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9"},
		{"one proxy", "10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"two proxies", "10.0.0.1:1", []string{"198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"two headers", "10.0.0.1:1", []string{"198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"forged beginning", "10.0.0.1:1", []string{"192.0.2.66, 198.51.100.1,10.0.0.2"}, "198.51.100.1"},
		{"no header", "10.0.0.1:1", nil, "10.0.0.1"},
		{"nonsense", "10.0.0.1:1", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		{"nonsense behind a proxy", "10.0.0.1:1", []string{"unknown, 10.0.0.2"}, "10.0.0.2"},
		{"with ports", "10.0.0.1:1", []string{"[2001:db8::7]:443, 10.0.0.2:80"}, "2001:db8::7"},
		{"IPv6 proxy", "[2001:db8:ffff::1]:1", []string{"2001:db8::7"}, "2001:db8::7"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"more hops than are looked at", "10.0.0.1:1", []string{"198.51.100.1" + strings.Repeat(", 10.0.0.3", 40)}, "10.0.0.3"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.TLS = c.remote, &tls.ConnectionState{}
		r.Header["X-Forwarded-For"] = c.headers
		if from, scheme := client(r, trusted); from.String() != c.want || scheme != "https" {
			t.Errorf("%s: %v by %s, want %s", c.name, from, scheme, c.want)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "@"
	if from, scheme := client(r, trusted); from.IsValid() || scheme != "http" || prefixOf(from).IsValid() {
		t.Errorf("a peer without address: %v by %s", from, scheme)
	}
}
