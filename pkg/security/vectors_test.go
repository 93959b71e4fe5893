package security

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/flynn/noise"
)

var update = flag.Bool("update", false, "write testdata/handshake.json anew")

// vectors is testdata/handshake.json: every byte of one handshake of suite 1 and of the records after it, so that a client
// in another language can be written without a server; under "resume" the same for a handshake of suite 2 of the same
// server, with keys and randomness of its own. All values are hex unless they are numbers or names.
type vectors struct {
	Comment             string `json:"comment"`
	Suite               uint8  `json:"suite"`            // second byte of hs1 and the seventh of prologue
	Ticket              string `json:"ticket,omitempty"` // suite 2: what payload1 ends with; opaque to a client
	Secret              string `json:"secret,omitempty"` // suite 2: the pre-shared key, 32 bytes, that came with the ticket
	RootSeed            string `json:"root_seed"`        // Ed25519
	RootPublic          string `json:"root_public"`
	ServerStaticPrivate string `json:"server_static_private"` // X25519
	ServerStaticPublic  string `json:"server_static_public"`
	KeyID               uint32 `json:"key_id"`
	NotBefore           uint64 `json:"not_before"` // s since 1970
	NotAfter            uint64 `json:"not_after"`  // s since 1970
	Cert                string `json:"cert"`       // 119 bytes
	Now                 int64  `json:"now"`        // s since 1970; payload2 adds 123456 µs
	Realm               string `json:"realm"`
	Subprotocol         string `json:"subprotocol"`
	Prologue            string `json:"prologue"`
	// The ephemeral X25519 private keys, which the randomness of a test has to yield.
	ClientEphemeralPrivate string `json:"client_ephemeral_private"`
	ServerEphemeralPrivate string `json:"server_ephemeral_private"`
	Payload1               string `json:"payload1"` // random (16) | schema hash (8) | ticket
	HS1                    string `json:"hs1"`      // the whole record
	Payload2               string `json:"payload2"` // 54 bytes
	HS2                    string `json:"hs2"`      // the whole record
	HandshakeHash          string `json:"handshake_hash"`
	KeyC2S                 string `json:"key_c2s"`
	KeyS2C                 string `json:"key_s2c"`
	RekeyRecords           uint32 `json:"rekey_records"`
	RekeyBytes             uint32 `json:"rekey_bytes"`
	KeyC2SAfterRekey       string `json:"key_c2s_after_rekey"` // the first rekey
	KeyS2CAfterRekey       string `json:"key_s2c_after_rekey"`
	// Records of both directions, each in the order in which they are sealed, from counter 0 on.
	Records []recordVector `json:"records"`
	// Rejects are the refusals that a client of the suite must understand.
	Rejects []rejectVector `json:"rejects"`
	Resume  *vectors       `json:"resume,omitempty"`
}

type recordVector struct {
	Dir    string `json:"dir"` // c2s or s2c
	Plain  string `json:"plain"`
	Record string `json:"record"`
	Rekeys bool   `json:"rekeys"` // the key of this direction changes directly after this record
}

type rejectVector struct {
	Code   uint16 `json:"code"`
	Record string `json:"record"`
}

// pattern is n bytes that tell at a glance what they are.
func pattern(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

const (
	vectorKeyID      = 7
	vectorRealm      = "dev"
	vectorRekeyCount = 4
	vectorRekeyBytes = 200
)

func vectorTimes() (notBefore, notAfter, now time.Time) {
	return time.Unix(1_767_225_600, 0), time.Unix(4_922_899_200, 0), time.Unix(1_795_000_000, 123_456_000)
}

func vectorServer(t testing.TB) (Root, ServerConfig) {
	t.Helper()
	root, err := NewRoot(bytes.NewReader(pattern(0x10, 32)))
	if err != nil {
		t.Fatal(err)
	}
	notBefore, notAfter, _ := vectorTimes()
	key, err := root.Issue(bytes.NewReader(pattern(0x40, 32)), vectorKeyID, notBefore, notAfter)
	if err != nil {
		t.Fatal(err)
	}
	return root, ServerConfig{
		Current: key, Realm: vectorRealm, SchemaHash: [8]byte(pattern(0xE0, 8)),
		RekeyRecords: vectorRekeyCount, RekeyBytes: vectorRekeyBytes,
		Rand: bytes.NewReader(append(pattern(0xC0, 16), pattern(0x80, 32)...)), // connection id, ephemeral key
	}
}

// vectorSeeds are where the patterns of a suite's randomness begin.
type vectorSeeds struct{ random, clientEphemeral, serverEphemeral, connection byte }

func makeVectors(t *testing.T) vectors {
	v, hs1 := makeSuite(t, vectorSeeds{0xA0, 0x60, 0x80, 0xC0}, nil)
	root, server := vectorServer(t)
	_, _, now := vectorTimes()
	v.Rejects = rejectVectors(t, root, hs1, now)
	resume, hs1 := makeSuite(t, vectorSeeds{0xB0, 0x28, 0x48, 0xD0}, &Resumption{Ticket: pattern(0x91, ticketSize), Secret: [32]byte(pattern(0x71, 32))})
	h, err := Begin(&server, hs1, now)
	if err != nil {
		t.Fatal(err)
	}
	refused := h.Refuse()
	resume.Rejects = []rejectVector{{Code: uint16(refused.Code), Record: hex.EncodeToString(refused.Bytes)}}
	v.Resume = &resume
	return v
}

func makeSuite(t *testing.T, seeds vectorSeeds, resume *Resumption) (v vectors, hs1 []byte) {
	root, server := vectorServer(t)
	server.Rand = bytes.NewReader(append(pattern(seeds.connection, 16), pattern(seeds.serverEphemeral, 32)...))
	cert := server.Current.Cert()
	_, _, now := vectorTimes()
	client, hs1, err := NewClient(ClientConfig{
		Root: root.Public(), Cert: cert, Realm: vectorRealm, SchemaHash: server.SchemaHash, Now: now, Resume: resume,
		Rand: bytes.NewReader(append(pattern(seeds.random, 16), pattern(seeds.clientEphemeral, 32)...)),
	})
	if err != nil {
		t.Fatal(err)
	}
	h, err := Begin(&server, hs1, now)
	if err != nil {
		t.Fatal(err)
	}
	suite, ticket, secret := uint8(SuiteNK), []byte(nil), (*[32]byte)(nil)
	if resume != nil {
		suite, ticket, secret = SuiteNKpsk2, resume.Ticket, &resume.Secret
	}
	hs2, serverSide, err := h.Finish(secret)
	if err != nil {
		t.Fatal(err)
	}
	clientSide, _, err := client.Finish(hs2)
	if err != nil {
		t.Fatal(err)
	}
	filled, _ := server.validate()
	v = vectors{
		Comment: "Written by go test ./pkg/security -run TestVectors -update. Numbers inside of the bytes are little-endian.",
		Suite:   suite, Ticket: hex.EncodeToString(ticket),
		RootSeed: hex.EncodeToString(root.Seed()), RootPublic: hex.EncodeToString(root.Public()),
		ServerStaticPrivate: hex.EncodeToString(server.Current.Private()), ServerStaticPublic: hex.EncodeToString(cert.Public[:]),
		KeyID: cert.KeyID, NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, Cert: hex.EncodeToString(cert.Marshal()), Now: now.Unix(),
		Realm: vectorRealm, Subprotocol: DefaultSubprotocol, Prologue: hex.EncodeToString(prologue(suite, protocolVersion, protocolVersion, vectorKeyID, DefaultSubprotocol, vectorRealm)),
		ClientEphemeralPrivate: hex.EncodeToString(pattern(seeds.clientEphemeral, 32)), ServerEphemeralPrivate: hex.EncodeToString(pattern(seeds.serverEphemeral, 32)),
		Payload1: hex.EncodeToString(append(append(pattern(seeds.random, 16), server.SchemaHash[:]...), ticket...)), HS1: hex.EncodeToString(hs1),
		Payload2: hex.EncodeToString(filled.payload2(&h.Info, now)), HS2: hex.EncodeToString(hs2),
		RekeyRecords: vectorRekeyCount, RekeyBytes: vectorRekeyBytes,
	}
	if secret != nil {
		v.Secret = hex.EncodeToString(secret[:])
	}
	plainKeys(t, &v)
	v.Records = append(sealVectors(t, "c2s", clientSide.Sealer, serverSide.Opener), sealVectors(t, "s2c", serverSide.Sealer, clientSide.Opener)...)
	return v, hs1
}

// plainKeys runs the same handshake with the Noise library alone and records what it arrives at.
func plainKeys(t *testing.T, v *vectors) {
	t.Helper()
	unhex := func(s string) []byte { b, _ := hex.DecodeString(s); return b }
	suite := noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256)
	cfg := noise.Config{
		CipherSuite: suite, Pattern: noise.HandshakeNK, Initiator: true, PeerStatic: unhex(v.ServerStaticPublic),
		Prologue: unhex(v.Prologue), Random: bytes.NewReader(unhex(v.ClientEphemeralPrivate)),
	}
	if v.Suite == SuiteNKpsk2 {
		cfg.PresharedKey, cfg.PresharedKeyPlacement = unhex(v.Secret), 2
	}
	hs, err := noise.NewHandshakeState(cfg)
	if err != nil {
		t.Fatal(err)
	}
	message1, _, _, err := hs.WriteMessage(nil, unhex(v.Payload1))
	if err != nil || hex.EncodeToString(message1) != v.HS1[2*hs1HeadSize:] {
		t.Fatalf("the Noise library alone writes another message 1: %x, %v", message1, err)
	}
	payload2, c2s, s2c, err := hs.ReadMessage(nil, unhex(v.HS2)[1:])
	if err != nil || hex.EncodeToString(payload2) != v.Payload2 {
		t.Fatalf("the Noise library alone reads another message 2: %x, %v", payload2, err)
	}
	key := func(c *noise.CipherState) string { k := c.UnsafeKey(); return hex.EncodeToString(k[:]) }
	v.HandshakeHash = hex.EncodeToString(hs.ChannelBinding())
	v.KeyC2S, v.KeyS2C = key(c2s), key(s2c)
	c2s.Rekey()
	s2c.Rekey()
	v.KeyC2SAfterRekey, v.KeyS2CAfterRekey = key(c2s), key(s2c)
}

// sealVectors: four small records reach the limit by records; then 199 bytes stay below the limit by bytes, 1 reaches it,
// 250 pass it at once, and one more shows the last key.
func sealVectors(t *testing.T, dir string, sealer *Sealer, opener *Opener) (out []recordVector) {
	t.Helper()
	for i, size := range []int{11, 0, 64, 5, 199, 1, 250, 8} {
		plain := pattern(byte(i*16), size)
		record := sealer.Seal(nil, plain)
		out = append(out, recordVector{Dir: dir, Plain: hex.EncodeToString(plain), Record: hex.EncodeToString(record), Rekeys: sealer.d.records == 0})
		if got, err := opener.Open(bytes.Clone(record)); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%s record %d: %x, %v", dir, i, got, err)
		}
	}
	return out
}

func rejectVectors(t *testing.T, root Root, hs1 []byte, now time.Time) (out []rejectVector) {
	t.Helper()
	notBefore, notAfter, _ := vectorTimes()
	next, err := root.Issue(bytes.NewReader(pattern(0x20, 32)), vectorKeyID+1, notBefore.Add(24*time.Hour), notAfter)
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int, value byte) []byte { b := bytes.Clone(hs1); b[at] = value; return b }
	server := ServerConfig{Current: next, Realm: vectorRealm}
	for _, hs1 := range [][]byte{hs1, change(1, 9), append(change(6, 9)[:7], change(7, 9)[7:]...), hs1[:79]} {
		_, err := Begin(&server, hs1, now)
		r := asReject(t, err)
		out = append(out, rejectVector{Code: uint16(r.Code), Record: hex.EncodeToString(r.Bytes)})
	}
	busy := BusyReject()
	return append(out, rejectVector{Code: uint16(busy.Code), Record: hex.EncodeToString(busy.Bytes)})
}

func TestVectors(t *testing.T) {
	got, err := json.MarshalIndent(makeVectors(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	path := filepath.Join("testdata", "handshake.json")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))) {
		t.Errorf("the bytes on the wire are no longer those of %s; other clients rely on them", path)
	}
}
