package tianxia_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// manuals are the protocol manual and its twin; their blocks of code are the same.
var manuals = [2]string{"docs/ProtoDesignMaunal_v1.0.md", "docs/ProtoDesignMaunal_v1.0.zh-CN.md"}

// standsInTheManuals fails if a block of the manuals is not what was computed.
func standsInTheManuals(t *testing.T, what, block string) {
	t.Helper()
	var stale []string
	for _, name := range manuals {
		if b, err := os.ReadFile(name); err != nil || !strings.Contains(strings.ReplaceAll(string(b), "\r\n", "\n"), "```text\n"+block+"```\n") {
			stale = append(stale, name)
		}
	}
	if len(stale) > 0 {
		t.Errorf("%s: not as computed in %s\n\twhy: people write clients from it\n\tfix: make this a block of text of both manuals:\n%s", what, strings.Join(stale, " and "), block)
	}
}

// sheet is a block of the manual: a name and bytes in hex, 32 to a line.
type sheet struct{ strings.Builder }

func (s *sheet) note(text string) { s.WriteString(text + "\n") }

func (s *sheet) put(name string, b []byte) {
	for first := true; first || len(b) > 0; first = false {
		n := min(len(b), 32)
		fmt.Fprintf(s, "%-24s%x\n", name, b[:n])
		name, b = "", b[n:]
	}
}

func upFrom(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func gcm(t *testing.T, key []byte, counter uint64) (cipher.AEAD, []byte) {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return aead, binary.BigEndian.AppendUint64(make([]byte, 4), counter)
}

func mac(key []byte, data ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	for _, d := range data {
		m.Write(d)
	}
	return m.Sum(nil)
}

// hkdf is that of Noise, for up to three outputs.
func hkdf(ck, input []byte) (one, two, three []byte) {
	temp := mac(ck, input)
	one = mac(temp, []byte{1})
	two = mac(temp, one, []byte{2})
	return one, two, mac(temp, two, []byte{3})
}

// noiseSteps is the state of a handshake as the manual draws it, with a line of the sheet for each step.
type noiseSteps struct {
	t        *testing.T
	s        *sheet
	h, ck, k []byte
}

func (n *noiseSteps) mixHash(b []byte) {
	sum := sha256.Sum256(append(bytes.Clone(n.h), b...))
	n.h = sum[:]
}

func (n *noiseSteps) mixKey(name string, input []byte) {
	n.ck, n.k, _ = hkdf(n.ck, input)
	n.s.put(name+" ck", n.ck)
	n.s.put(name+" k", n.k)
}

func (n *noiseSteps) dh(name string, private, public []byte) {
	own, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		n.t.Fatal(err)
	}
	peer, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		n.t.Fatal(err)
	}
	secret, err := own.ECDH(peer)
	if err != nil {
		n.t.Fatal(err)
	}
	n.s.put(name+" shared secret", secret)
	n.mixKey(name, secret)
}

func (n *noiseSteps) payload(name string, plain []byte) []byte {
	n.s.put(name, plain)
	aead, nonce := gcm(n.t, n.k, 0)
	sealed := aead.Seal(nil, nonce, plain, n.h)
	n.mixHash(sealed)
	n.s.put(name+" sealed", sealed)
	n.s.put(name+" h", n.h)
	return sealed
}

func publicOf(t *testing.T, private []byte) []byte {
	t.Helper()
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return key.PublicKey().Bytes()
}

// vectorFile is what pkg/security keeps for clients of other languages, as far as the manual repeats it.
type vectorFile struct {
	Suite                                                  uint8
	Ticket, Secret, Prologue, Payload1, HS1, Payload2, HS2 string
	Cert                                                   string
	RootPublic                                             string `json:"root_public"`
	StaticPrivate                                          string `json:"server_static_private"`
	StaticPublic                                           string `json:"server_static_public"`
	ClientPrivate                                          string `json:"client_ephemeral_private"`
	ServerPrivate                                          string `json:"server_ephemeral_private"`
	Hash                                                   string `json:"handshake_hash"`
	C2S                                                    string `json:"key_c2s"`
	S2C                                                    string `json:"key_s2c"`
	C2SNext                                                string `json:"key_c2s_after_rekey"`
	Resume                                                 *vectorFile
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// walkThrough computes a handshake and the first record of each direction from nothing but X25519, AES, HMAC and SHA-256.
func walkThrough(t *testing.T, v *vectorFile, first, answer []byte) string {
	s := &sheet{}
	n := &noiseSteps{t: t, s: s}
	name, psk := "Noise_NK_25519_AESGCM_SHA256", v.Suite == 2
	if psk {
		name = "Noise_NKpsk2_25519_AESGCM_SHA256"
	}
	static, client, server := unhex(t, v.StaticPrivate), unhex(t, v.ClientPrivate), unhex(t, v.ServerPrivate)
	public := publicOf(t, static)
	s.note(fmt.Sprintf("suite %d: %s", v.Suite, name))
	if !psk {
		cert := unhex(t, v.Cert)
		if !ed25519.Verify(unhex(t, v.RootPublic), append([]byte("GW1-keycert"), cert[:55]...), cert[55:]) || !bytes.Equal(cert[5:37], public) {
			t.Error("the certificate is not what the manual's section 3 says")
		}
		s.put("root public key", unhex(t, v.RootPublic))
		s.put("KeyCert", cert)
		s.put("server static private", static)
		s.put("server static public", public)
	} else {
		s.put("ticket", unhex(t, v.Ticket))
		s.put("secret", unhex(t, v.Secret))
	}
	s.put("client e private", client)
	s.put("client e public", publicOf(t, client))
	s.put("server e private", server)
	s.put("server e public", publicOf(t, server))
	s.note("--- both sides")
	n.h = append([]byte(name), make([]byte, 32-len(name))...)
	n.ck = n.h
	s.put("name: h = ck", n.h)
	s.put("prologue", unhex(t, v.Prologue))
	n.mixHash(unhex(t, v.Prologue))
	s.put("prologue h", n.h)
	n.mixHash(public)
	s.put("s h", n.h)
	s.note("--- message 1, client to server: e, es")
	e := publicOf(t, client)
	n.mixHash(e)
	s.put("e h", n.h)
	if psk {
		n.mixKey("e", e)
	}
	n.dh("es", client, public)
	payload := unhex(t, v.Payload1)
	hs1 := append(unhex(t, v.HS1)[:8], append(bytes.Clone(e), n.payload("payload 1", payload)...)...)
	s.put("HS1", hs1)
	s.note("--- message 2, server to client: e, ee" + map[bool]string{true: ", psk"}[psk])
	re := publicOf(t, server)
	n.mixHash(re)
	s.put("e h", n.h)
	if psk {
		n.mixKey("e", re)
	}
	n.dh("ee", client, re)
	if psk {
		ck, temp, k := hkdf(n.ck, unhex(t, v.Secret))
		n.ck, n.k = ck, k
		n.mixHash(temp)
		s.put("psk ck", ck)
		s.put("psk temp", temp)
		s.put("psk h", n.h)
		s.put("psk k", k)
	}
	hs2 := append([]byte{0x48}, append(bytes.Clone(re), n.payload("payload 2", unhex(t, v.Payload2))...)...)
	s.put("HS2", hs2)
	s.note("--- split, and the first record of each direction")
	c2s, s2c, _ := hkdf(n.ck, nil)
	s.put("key client to server", c2s)
	s.put("key server to client", s2c)
	for _, r := range []struct {
		who        string
		key, plain []byte
	}{{"client", c2s, first}, {"server", s2c, answer}} {
		aead, nonce := gcm(t, r.key, 0)
		s.put(r.who+"'s frames", r.plain)
		s.put(r.who+"'s record", aead.Seal([]byte{0x58}, nonce, r.plain, []byte{0x58}))
	}
	aead, nonce := gcm(t, c2s, 1<<64-1)
	next := aead.Seal(nil, nonce, make([]byte, 32), nil)[:32]
	if !psk {
		s.put("c2s key after a rekey", next)
	}
	for what, pair := range map[string][2]string{
		"HS1": {hex.EncodeToString(hs1), v.HS1}, "HS2": {hex.EncodeToString(hs2), v.HS2}, "hash": {hex.EncodeToString(n.h), v.Hash}, "static key": {hex.EncodeToString(public), v.StaticPublic},
		"c2s": {hex.EncodeToString(c2s), v.C2S}, "s2c": {hex.EncodeToString(s2c), v.S2C}, "rekey": {hex.EncodeToString(next), v.C2SNext},
	} {
		if pair[0] != pair[1] {
			t.Errorf("suite %d: %s by the manual's steps is %s, pkg/security has %s", v.Suite, what, pair[0], pair[1])
		}
	}
	return s.String()
}

// TestManualsHandshakeIsRight computes the worked example from primitives, compares it with the vectors of pkg/security, opens its records with pkg/security, and looks for it in the manuals.
func TestManualsHandshakeIsRight(t *testing.T) {
	b, err := os.ReadFile("pkg/security/testdata/handshake.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectorFile
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	v.Resume.StaticPrivate = v.StaticPrivate
	frames := exampleFrames(t)
	fresh := walkThrough(t, &v, frames["login"], frames["logged in"])
	again := walkThrough(t, v.Resume, frames["resume"], frames["resumed"])
	standsInTheManuals(t, "the handshake of suite 1", fresh)
	standsInTheManuals(t, "the handshake of suite 2", again)
	for i, x := range []struct{ block, ticket, secret string }{{fresh, "", ""}, {again, v.Resume.Ticket, v.Resume.Secret}} {
		opensWithSecurity(t, byte(i), x.block, unhex(t, x.ticket), unhex(t, x.secret))
	}
}

// opensWithSecurity runs the real handshake with the example's randomness and gives it the records of the block.
func opensWithSecurity(t *testing.T, suite byte, block string, ticket, secret []byte) {
	t.Helper()
	root, err := security.NewRoot(bytes.NewReader(upFrom(0x10, 32)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_795_000_000, 123_456_000)
	key, err := root.Issue(bytes.NewReader(upFrom(0x40, 32)), 7, time.Unix(1_767_225_600, 0), time.Unix(4_922_899_200, 0))
	if err != nil {
		t.Fatal(err)
	}
	seeds := [][4]byte{{0xA0, 0x60, 0x80, 0xC0}, {0xB0, 0x28, 0x48, 0xD0}}[suite]
	fingerprint := [8]byte(upFrom(0xE0, 8))
	server := security.ServerConfig{
		Current: key, Realm: "dev", SchemaHash: fingerprint, RekeyRecords: 4, RekeyBytes: 200,
		Rand: bytes.NewReader(append(upFrom(seeds[3], 16), upFrom(seeds[2], 32)...)),
	}
	client := security.ClientConfig{
		Root: root.Public(), Cert: key.Cert(), Realm: "dev", SchemaHash: fingerprint, Now: now,
		Rand: bytes.NewReader(append(upFrom(seeds[0], 16), upFrom(seeds[1], 32)...)),
	}
	var psk *[32]byte
	if suite == 1 {
		psk = (*[32]byte)(secret)
		client.Resume = &security.Resumption{Ticket: ticket, Secret: *psk}
	}
	h, hs1, err := security.NewClient(client)
	if err != nil {
		t.Fatal(err)
	}
	began, err := security.Begin(&server, hs1, now)
	if err != nil {
		t.Fatal(err)
	}
	hs2, atServer, err := began.Finish(psk)
	if err != nil {
		t.Fatal(err)
	}
	atClient, _, err := h.Finish(hs2)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := atServer.Opener.Open(valueOf(t, block, "client's record"))
	if err != nil || !bytes.Equal(opened, valueOf(t, block, "client's frames")) {
		t.Errorf("suite %d: the client's record opens to %x, %v", suite+1, opened, err)
	}
	opened, err = atClient.Opener.Open(valueOf(t, block, "server's record"))
	if err != nil || !bytes.Equal(opened, valueOf(t, block, "server's frames")) {
		t.Errorf("suite %d: the server's record opens to %x, %v", suite+1, opened, err)
	}
}

// valueOf reads a value back out of a block.
func valueOf(t *testing.T, block, name string) (b []byte) {
	t.Helper()
	_, rest, ok := strings.Cut(block, "\n"+name+" ")
	if !ok {
		t.Fatalf("the block has no %s", name)
	}
	for i, line := range strings.Split(rest, "\n") {
		if i > 0 && !strings.HasPrefix(line, " ") {
			break
		}
		b = append(b, unhex(t, strings.TrimSpace(line))...)
	}
	return b
}
