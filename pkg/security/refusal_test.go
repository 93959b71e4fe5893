package security

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestServerRefusals(t *testing.T) { eachSuite(t, serverRefusals) }

func serverRefusals(t *testing.T, base *fixture) {
	suite, _ := base.suite()
	tests := []struct {
		name   string
		server func(*ServerConfig)
		hs1    func([]byte)
		want   RejectCode
		rest   int
	}{
		{"suite 0", nil, func(b []byte) { b[1] = 0 }, RejectSuite, 0},
		{"suite 3", nil, func(b []byte) { b[1] = 3 }, RejectSuite, 0},
		{"the other suite", nil, func(b []byte) { b[1] ^= 3 }, RejectMalformed, 0},
		{"only older versions", func(c *ServerConfig) { c.VersionMin, c.VersionMax = protocolVersion+1, protocolVersion+2 }, nil, RejectVersion, 2},
		{"only newer versions", nil, func(b []byte) { b[6], b[7] = protocolVersion+1, protocolVersion+2 }, RejectVersion, 2},
		{"the version before", nil, func(b []byte) { b[6], b[7] = protocolVersion-1, protocolVersion-1 }, RejectVersion, 2},
		{"versions upside down", nil, func(b []byte) { b[6], b[7] = 2, 1 }, RejectMalformed, 0},
		{"version 0", nil, func(b []byte) { b[6], b[7] = 0, 0 }, RejectVersion, 2},
		{"unknown key", nil, func(b []byte) { b[2]++ }, RejectKeyUnknown, KeyCertSize},
		{"sealed record first", nil, func(b []byte) { b[0] = RecordData }, RejectMalformed, 0},
		{"HS2 first", nil, func(b []byte) { b[0] = RecordHS2 }, RejectMalformed, 0},
		{"another record version", nil, func(b []byte) { b[0] = 0x80 }, RejectMalformed, 0},
		{"reserved bit", nil, func(b []byte) { b[0] |= 1 }, RejectMalformed, 0},
		{"another realm", func(c *ServerConfig) { c.Realm = "prod" }, nil, RejectMalformed, 0},
		{"another subprotocol", func(c *ServerConfig) { c.Subprotocol = "mmo.v2" }, nil, RejectMalformed, 0},
		{"wider versions forged", nil, func(b []byte) { b[7] = 9 }, RejectMalformed, 0},
		{"config without key", func(c *ServerConfig) { c.Current = ServerKey{} }, nil, RejectBusy, 0},
		{"no randomness", func(c *ServerConfig) { c.Rand = bytes.NewReader(nil) }, nil, RejectBusy, 0},
		{"no randomness for the key", func(c *ServerConfig) { c.Rand = bytes.NewReader(make([]byte, 16)) }, nil, RejectBusy, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			if suite == SuiteNKpsk2 {
				f = resuming(t)
			}
			_, hs1 := f.start(t)
			if test.server != nil {
				test.server(&f.server)
			}
			if test.hs1 != nil {
				test.hs1(hs1)
			}
			hs2, s, info, err := f.accept(hs1)
			r := asReject(t, err)
			if r.Code != test.want || hs2 != nil || s != nil || info != (ClientInfo{}) {
				t.Fatalf("%v, want %v", err, test.want)
			}
			if len(r.Bytes) != 3+test.rest || r.Bytes[0] != RecordReject || RejectCode(binary.LittleEndian.Uint16(r.Bytes[1:])) != test.want {
				t.Errorf("record is %x", r.Bytes)
			}
			if r.Err == nil {
				t.Error("nothing for the log")
			}
		})
	}
}

func TestServerChoosesTheHighestCommonVersion(t *testing.T) {
	for _, test := range []struct{ clientMin, clientMax, serverMin, serverMax, want uint8 }{
		{1, 1, 1, 3, 1}, {1, 2, 1, 3, 2}, {2, 9, 1, 3, 3}, {3, 3, 3, 3, 3}, {1, 255, 200, 255, 255},
	} {
		f := newFixture(t)
		f.client.VersionMin, f.client.VersionMax = test.clientMin, test.clientMax
		f.server.VersionMin, f.server.VersionMax = test.serverMin, test.serverMax
		h, hs1 := f.start(t)
		hs2, _, seen, err := f.accept(hs1)
		if err != nil {
			t.Fatal(err)
		}
		_, info, err := h.Finish(hs2)
		if err != nil || info.Version != test.want || seen.Version != test.want {
			t.Errorf("%+v: client %d, server %d, %v", test, info.Version, seen.Version, err)
		}
	}
}

// TestVersionDowngradeBreaksTheHandshake: somebody on the way removes the newer version from the client's range.
func TestVersionDowngradeBreaksTheHandshake(t *testing.T) {
	f := newFixture(t)
	f.client.VersionMin, f.client.VersionMax = 1, 2
	f.server.VersionMin, f.server.VersionMax = 1, 2
	_, hs1 := f.start(t)
	hs1[7] = 1
	_, _, _, err := f.accept(hs1)
	if r := asReject(t, err); r.Code != RejectMalformed {
		t.Errorf("%v", err)
	}
}

func TestKeyRotation(t *testing.T) {
	f := newFixture(t)
	notBefore, notAfter, _ := vectorTimes()
	old := f.server.Current
	f.server.Current = f.issue(t, 8, notBefore.Add(time.Hour), notAfter)

	h, hs1 := f.start(t)
	_, _, _, err := f.accept(hs1)
	_, _, err = h.Finish(asReject(t, err).Bytes)
	r := asReject(t, err)
	if r.Code != RejectKeyUnknown || r.Cert == nil || *r.Cert != f.server.Current.Cert() {
		t.Fatalf("%v", err)
	}
	f.client.Cert = *r.Cert // one retry
	client, server := f.connect(t)
	mustTalk(t, client, server, "with the new key")

	f.client.Cert = old.Cert()
	f.server.Previous = old
	client, server = f.connect(t)
	mustTalk(t, client, server, "with the previous key")

	f.server.Previous = f.issue(t, 6, notBefore, f.now.Add(-time.Second))
	f.client.Cert, f.client.Now = f.server.Previous.Cert(), f.now.Add(-time.Hour) // a client whose clock is behind
	_, hs1 = f.start(t)
	_, _, _, err = f.accept(hs1)
	if r := asReject(t, err); r.Code != RejectKeyUnknown {
		t.Errorf("expired previous key: %v", err)
	}
}

// TestClientDoesNotTrustTheCertOfARefusal: nobody vouches for a REJECT, only the root for the certificate in it.
func TestClientDoesNotTrustTheCertOfARefusal(t *testing.T) {
	f := newFixture(t)
	notBefore, notAfter, now := vectorTimes()
	stranger, err := NewRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := stranger.Issue(nil, 9, notBefore, notAfter)
	if err != nil {
		t.Fatal(err)
	}
	flipped := f.issue(t, 9, notBefore, notAfter).Cert()
	flipped.Public[3] ^= 1
	for _, test := range []struct {
		name string
		cert KeyCert
		want error
	}{
		{"forged", forged.Cert(), ErrCertForged},
		{"changed", flipped, ErrCertForged},
		{"expired", f.issue(t, 9, notBefore, now.Add(-time.Second)).Cert(), ErrCertExpired},
		{"not yet valid", f.issue(t, 9, now.Add(time.Second), notAfter).Cert(), ErrCertNotYetValid},
		{"older than ours", f.issue(t, 9, notBefore.Add(-time.Hour), notAfter).Cert(), ErrHandshake},
		{"the same", f.client.Cert, ErrHandshake},
	} {
		h, _ := f.start(t)
		_, _, err := h.Finish(newReject(RejectKeyUnknown, nil, test.cert.Marshal()...).Bytes)
		if r := asReject(t, err); r.Cert != nil || !errors.Is(err, test.want) {
			t.Errorf("%s: cert %v, %v", test.name, r.Cert != nil, err)
		}
	}
}

func TestClientReadsRefusals(t *testing.T) {
	f := newFixture(t)
	for _, code := range []RejectCode{RejectSuite, RejectMalformed, RejectBusy, RejectTicket} {
		h, _ := f.start(t)
		_, _, err := h.Finish(newReject(code, nil).Bytes)
		if r := asReject(t, err); r.Code != code || r.Cert != nil || !strings.Contains(err.Error(), code.String()) {
			t.Errorf("%v: %v", code, err)
		}
	}
	h, _ := f.start(t)
	_, _, err := h.Finish([]byte{RecordReject, 3, 0, 4, 6})
	if r := asReject(t, err); r.VersionMin != 4 || r.VersionMax != 6 {
		t.Errorf("%+v", r)
	}
	for _, b := range [][]byte{
		{RecordReject}, {RecordReject, 2}, {RecordReject, 0, 0}, {RecordReject, 7, 0}, {RecordReject, 2, 1}, {RecordReject, 5, 0, 0}, {RecordReject, 6, 0, 0},
		{RecordReject, 3, 0, 1}, {RecordReject, 1, 0}, append([]byte{RecordReject, 1, 0}, make([]byte, KeyCertSize+1)...),
	} {
		h, _ := f.start(t)
		_, _, err := h.Finish(b)
		var r *Reject
		if !errors.Is(err, ErrHandshake) || errors.As(err, &r) {
			t.Errorf("%x: %v", b, err)
		}
		if _, _, err := h.Finish(b); !errors.Is(err, ErrHandshake) {
			t.Errorf("a failed handshake goes on: %v", err)
		}
	}
}

func TestClientRefusesToStart(t *testing.T) {
	notBefore, notAfter, _ := vectorTimes()
	long := strings.Repeat("x", 256)
	for name, change := range map[string]func(*ClientConfig){
		"expired":            func(c *ClientConfig) { c.Now = notAfter.Add(time.Second) },
		"not yet valid":      func(c *ClientConfig) { c.Now = notBefore.Add(-time.Second) },
		"forged":             func(c *ClientConfig) { c.Cert.Signature[0] ^= 1 },
		"no root":            func(c *ClientConfig) { c.Root = nil },
		"no cert":            func(c *ClientConfig) { c.Cert = KeyCert{} },
		"long realm":         func(c *ClientConfig) { c.Realm = long },
		"long subprotocol":   func(c *ClientConfig) { c.Subprotocol = long },
		"versions reversed":  func(c *ClientConfig) { c.VersionMin, c.VersionMax = 2, 1 },
		"version 0":          func(c *ClientConfig) { c.VersionMin, c.VersionMax = 0, 1 },
		"empty ticket":       func(c *ClientConfig) { c.Resume = &Resumption{Secret: [32]byte{1}} },
		"long ticket":        func(c *ClientConfig) { c.Resume = &Resumption{Ticket: make([]byte, MaxTicket+1), Secret: [32]byte{1}} },
		"no secret":          func(c *ClientConfig) { c.Resume = &Resumption{Ticket: make([]byte, 1)} },
		"no randomness":      func(c *ClientConfig) { c.Rand = bytes.NewReader(nil) },
		"half of randomness": func(c *ClientConfig) { c.Rand = bytes.NewReader(make([]byte, 20)) },
	} {
		f := newFixture(t)
		change(&f.client)
		if h, hs1, err := NewClient(f.client); err == nil || h != nil || hs1 != nil {
			t.Errorf("%s: started, %v", name, err)
		}
	}
}

func TestServerConfigContradictions(t *testing.T) {
	long := strings.Repeat("x", 256)
	for name, change := range map[string]func(*ServerConfig){
		"no key":           func(c *ServerConfig) { c.Current = ServerKey{} },
		"one key id":       func(c *ServerConfig) { c.Previous = c.Current },
		"long realm":       func(c *ServerConfig) { c.Realm = long },
		"long subprotocol": func(c *ServerConfig) { c.Subprotocol = long },
		"reversed":         func(c *ServerConfig) { c.VersionMin, c.VersionMax = 3, 2 },
		"no time to ack":   func(c *ServerConfig) { c.AckAfter = time.Microsecond },
		"late acks":        func(c *ServerConfig) { c.AckAfter = 65536 * time.Millisecond },
		"negative acks":    func(c *ServerConfig) { c.AckAfter = -time.Second },
		"version 0":        func(c *ServerConfig) { c.VersionMin, c.VersionMax = 0, 2 },
		"tiny records":     func(c *ServerConfig) { c.RecordMax = 1023 },
		"huge records":     func(c *ServerConfig) { c.RecordMax = 16<<20 + 1 },
		"no patience":      func(c *ServerConfig) { c.IdleTimeout = time.Microsecond },
		"negative":         func(c *ServerConfig) { c.IdleTimeout = -time.Second },
		"eternity":         func(c *ServerConfig) { c.IdleTimeout = 50 * 24 * time.Hour },
	} {
		f := newFixture(t)
		if err := f.server.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&f.server)
		if err := f.server.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
