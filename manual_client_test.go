package tianxia_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"
	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// stranger is a client written from the manual: over TCP, without pkg/client, pkg/security and pkg/network.
type stranger struct {
	t              *testing.T
	version        byte
	realm          string
	cert           []byte
	addr           string
	conn           net.Conn
	seal, open     []byte
	sealed, opened uint64
	states         uint16
	last           uint32 // numbered message
	ticket         *mmov1.Ticket
	refusal        []byte // REJECT, if there was one
}

func (s *stranger) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// write sends a message behind its length.
func (s *stranger) write(b []byte) {
	s.t.Helper()
	_, err := s.conn.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...))
	s.must(err)
}

func (s *stranger) read() ([]byte, error) {
	var one [1]byte
	length := []byte{}
	for {
		if _, err := io.ReadFull(s.conn, one[:]); err != nil {
			return nil, err
		}
		if length = append(length, one[0]); one[0] < 0x80 {
			break
		}
	}
	n, _ := binary.Uvarint(length)
	b := make([]byte, n)
	_, err := io.ReadFull(s.conn, b)
	return b, err
}

// connect shakes hands, with the ticket if there is one; false: it was refused.
func (s *stranger) connect(ticket *mmov1.Ticket) bool {
	s.t.Helper()
	var err error
	s.conn, err = net.Dial("tcp", s.addr)
	s.must(err)
	s.must(s.conn.SetDeadline(time.Now().Add(patience)))
	s.t.Cleanup(func() { _ = s.conn.Close() })
	s.sealed, s.opened, s.states = 0, 0, 0
	suite, name := byte(1), "Noise_NK_25519_AESGCM_SHA256"
	if ticket != nil {
		suite, name = 2, "Noise_NKpsk2_25519_AESGCM_SHA256"
	}
	n := &noiseSteps{t: s.t, s: &sheet{}}
	n.h = append([]byte(name), make([]byte, 32-len(name))...)
	n.ck = n.h
	key, static := s.cert[1:5], s.cert[5:37]
	n.mixHash(append(append(append([]byte("MMOGW\x01"), suite, s.version, s.version), key...), fmt.Sprintf("\x06mmo.v1%c%s", len(s.realm), s.realm)...))
	n.mixHash(static)
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	s.must(err)
	e := private.PublicKey().Bytes()
	n.mixHash(e)
	if ticket != nil {
		n.mixKey("e", e)
	}
	n.dh("es", private.Bytes(), static)
	payload := make([]byte, 24) // random, and the fingerprint of nobody
	_, _ = rand.Read(payload[:16])
	payload = append(payload, ticket.GetTicket()...)
	s.write(append(append(append([]byte{0x40, suite}, key...), s.version, s.version), append(e, n.payload("payload 1", payload)...)...))

	hs2, err := s.read()
	s.must(err)
	if hs2[0] == 0x50 {
		s.refusal = hs2
		return false
	}
	if len(hs2) != 103 || hs2[0] != 0x48 {
		s.t.Fatalf("an answer of %d bytes, %x", len(hs2), hs2[0])
	}
	re := hs2[1:33]
	n.mixHash(re)
	if ticket != nil {
		n.mixKey("e", re)
	}
	n.dh("ee", private.Bytes(), re)
	if ticket != nil {
		var temp []byte
		n.ck, temp, n.k = hkdf(n.ck, ticket.Secret)
		n.mixHash(temp)
	}
	aead, nonce := gcm(s.t, n.k, 0)
	info, err := aead.Open(nil, nonce, hs2[33:], n.h)
	s.must(err)
	if len(info) != 54 || info[0] != protocol.Version {
		s.t.Fatalf("server parameters %x", info)
	}
	s.seal, s.open, _ = hkdf(n.ck, nil)
	return true
}

// say sends a record of frames.
func (s *stranger) say(frames ...protocol.Frame) {
	s.t.Helper()
	var plain []byte
	for _, f := range frames {
		plain = append(plain, bytes.Join(fields(f), nil)...)
	}
	aead, nonce := gcm(s.t, s.seal, s.sealed)
	s.sealed++
	s.write(aead.Seal([]byte{0x58}, nonce, plain, []byte{0x58}))
}

// hear reads records until one has a frame that is wanted, and returns that.
func (s *stranger) hear(what string, wanted func(protocol.Frame) bool) (found protocol.Frame) {
	s.t.Helper()
	for ok := false; !ok; {
		record, err := s.read()
		if err != nil {
			s.t.Fatalf("%s does not come: %v", what, err)
		}
		aead, nonce := gcm(s.t, s.open, s.opened)
		s.opened++
		plain, err := aead.Open(nil, nonce, record[1:], record[:1])
		s.must(err)
		for len(plain) > 0 {
			var f protocol.Frame
			f, plain, err = protocol.Next(plain)
			s.must(err)
			if s.take(f) && !ok && wanted(f) {
				found, ok = f, true
			}
		}
	}
	return found
}

// take keeps count of what comes; false: it is a repetition.
func (s *stranger) take(f protocol.Frame) bool {
	s.t.Helper()
	if f.Type == protocol.TypeState {
		if s.states++; s.states%2 == 0 {
			s.say(protocol.Frame{Type: protocol.TypeControl, Route: 3, Payload: binary.LittleEndian.AppendUint16(nil, s.states)})
		}
	}
	if f.Flags&protocol.FlagREL == 0 {
		return true
	}
	switch {
	case f.Seq <= s.last:
		return false
	case f.Seq != s.last+1:
		s.t.Fatalf("message %d follows %d", f.Seq, s.last)
	}
	s.last = f.Seq
	if f.Route == 37 {
		s.ticket = &mmov1.Ticket{}
		s.must(protocol.Unmarshal(f.Payload, s.ticket))
	}
	return true
}

func (s *stranger) resume() *mmov1.Resumed {
	s.t.Helper()
	s.say(protocol.Frame{Type: protocol.TypeControl, Route: 7, Payload: marshalled(s.t, &mmov1.Resume{LastSeq: s.last})})
	f := s.hear("RESUMED", func(f protocol.Frame) bool { return f.Type == protocol.TypeControl && f.Route == 8 })
	m := &mmov1.Resumed{}
	s.must(protocol.Unmarshal(f.Payload, m))
	return m
}

// TestAClientWrittenFromTheManualPlays logs in, asks, loses its connection, and goes on, by the manual's rules alone.
func TestAClientWrittenFromTheManualPlays(t *testing.T) {
	n, _ := boot(t, app(20), tianxia.NodeConfig{TCP: "127.0.0.1:0"})
	resp, err := http.Get(n.URL() + "dev/session?name=stranger")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var login struct{ Realm, Cert, Token string }
	if err := json.NewDecoder(resp.Body).Decode(&login); err != nil {
		t.Fatal(err)
	}
	s := &stranger{t: t, realm: login.Realm, addr: n.TCPAddr(), version: protocol.Version}
	s.cert, err = base64.StdEncoding.DecodeString(login.Cert)
	s.must(err)
	state := func(f protocol.Frame) bool { return f.Type == protocol.TypeState }
	ask := func(id uint32) {
		s.say(protocol.Frame{Type: protocol.TypeRequest, Route: 65, ID: id, Payload: marshalled(t, &plainsv1.SpectateRequest{Radius: 320})})
		f := s.hear("the response", func(f protocol.Frame) bool { return f.Type == protocol.TypeResponse && f.ID == id })
		if f.Flags&protocol.FlagREL == 0 || !bytes.Equal(f.Payload, marshalled(t, &plainsv1.SpectateResponse{Radius: 320})) {
			t.Errorf("the response to %d is %+v", id, f)
		}
	}

	s.connect(nil)
	s.say(protocol.Frame{Type: protocol.TypeRequest, Route: 32, ID: 1, Payload: marshalled(t, &mmov1.LoginRequest{Token: login.Token, Client: "stranger"})})
	if f := s.hear("the login's response", func(f protocol.Frame) bool { return f.Route == 32 }); f.Type != protocol.TypeResponse || f.Flags != 0 {
		t.Fatalf("the login is answered with %+v", f)
	}
	for range 5 { // some are of frames that were not echoed before the next came
		s.hear("state", state)
	}
	ask(2)
	first := s.ticket
	s.must(s.conn.Close())

	s.connect(s.ticket)
	if m := s.resume(); !m.Recovered || m.LastRequest != 2 {
		t.Fatalf("the session is resumed with %v", m)
	}
	for s.ticket == first { // it may have come in the record of RESUMED
		s.hear("a new ticket", func(protocol.Frame) bool { return true })
	}
	s.hear("state", state)
	s.say(protocol.Frame{Type: protocol.TypeAck, Seq: s.last})
	ask(3) // behind the ACK: the first ticket is spent
	second := s.ticket

	old := s.conn
	s.connect(second)
	if m := s.resume(); !m.Recovered {
		t.Fatalf("the session is not resumed beside its own connection: %v", m)
	}
	if _, err := io.Copy(io.Discard, old); err != nil { // told and closed
		t.Errorf("the older connection: %v", err)
	}
	s.say(protocol.Frame{Type: protocol.TypeControl, Route: 6})
	if _, err := io.Copy(io.Discard, s.conn); err != nil {
		t.Errorf("after BYE: %v", err)
	}
	if s.connect(first) || binary.LittleEndian.Uint16(s.refusal[1:]) != 6 {
		t.Errorf("a spent ticket is answered with %x", s.refusal)
	}
	if s.connect(second) { // the server may hear of the BYE a moment later than the client of the end
		if m := s.resume(); m.Recovered {
			t.Errorf("after BYE the session is resumed with %v", m)
		}
	} else if binary.LittleEndian.Uint16(s.refusal[1:]) != 6 {
		t.Errorf("after BYE the ticket is answered with %x", s.refusal)
	}
	s.version--
	if want := []byte{0x50, 3, 0, protocol.Version, protocol.Version}; s.connect(nil) || !bytes.Equal(s.refusal, want) {
		t.Errorf("the version before is answered with %x, want %x", s.refusal, want)
	}
}
