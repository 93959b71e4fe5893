package security

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestTicketOfAnyLengthArrives(t *testing.T) {
	for _, n := range []int{1, 2, ticketSize, MaxTicket - 1, MaxTicket} {
		f := resuming(t)
		f.client.Resume.Ticket = pattern(3, n)
		client, hs1 := f.start(t)
		h, err := Begin(&f.server, hs1, f.now)
		if err != nil || len(hs1) != HS1Size+n || len(hs1) > MaxHandshake {
			t.Fatalf("ticket of %d bytes: HS1 of %d bytes, %v", n, len(hs1), err)
		}
		clear(hs1) // the ticket must not lie in the caller's buffer
		if !bytes.Equal(h.Ticket, pattern(3, n)) {
			t.Fatalf("ticket of %d bytes arrived as %x", n, h.Ticket)
		}
		hs2, _, err := h.Finish(&f.secret)
		if err != nil {
			t.Fatal(err)
		}
		if _, info, err := client.Finish(hs2); err != nil || !info.Resumes {
			t.Fatal(info, err)
		}
	}
}

// TestWithoutTheTicketsSecretNothingFollows: who stole a ticket but not its secret can neither read the answer nor write a
// record that opens.
func TestWithoutTheTicketsSecretNothingFollows(t *testing.T) {
	for bit := range 256 {
		f := resuming(t)
		f.client.Resume.Secret[bit/8] ^= 1 << (bit % 8)
		h, hs1 := f.start(t)
		hs2, _, _, err := f.accept(hs1)
		if err != nil {
			t.Fatal(err)
		}
		if s, _, err := h.Finish(hs2); !errors.Is(err, ErrHandshake) || s != nil {
			t.Fatalf("bit %d of the secret is wrong: %v", bit, err)
		}
	}
}

func TestRefusedTicket(t *testing.T) {
	f := resuming(t)
	client, hs1 := f.start(t)
	h, err := Begin(&f.server, hs1, f.now)
	if err != nil {
		t.Fatal(err)
	}
	refused := h.Refuse()
	if !bytes.Equal(refused.Bytes, []byte{RecordReject, 6, 0}) || !errors.Is(refused, ErrTicket) {
		t.Errorf("%x, %v", refused.Bytes, refused)
	}
	if _, _, err := h.Finish(&f.secret); asReject(t, err).Code != RejectBusy {
		t.Errorf("finished after the refusal: %v", err)
	}
	_, _, err = client.Finish(refused.Bytes)
	if r := asReject(t, err); r.Code != RejectTicket || !strings.Contains(err.Error(), "ticket_refused") {
		t.Errorf("the client hears %v", err)
	}
}

func TestFinishRefusesMisuse(t *testing.T) {
	for name, test := range map[string]struct {
		fixture *fixture
		secret  *[32]byte
		want    string
	}{
		"no secret for a ticket":     {resuming(t), nil, "a secret given is false with suite 2"},
		"a secret for a fresh login": {newFixture(t), &[32]byte{1}, "a secret given is true with suite 1"},
		"an empty secret":            {resuming(t), &[32]byte{}, "all zeros"},
	} {
		_, hs1 := test.fixture.start(t)
		h, err := Begin(&test.fixture.server, hs1, test.fixture.now)
		if err != nil {
			t.Fatal(err)
		}
		hs2, s, err := h.Finish(test.secret)
		if r := asReject(t, err); r.Code != RejectBusy || hs2 != nil || s != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := h.Finish(&test.fixture.secret); err == nil || !strings.Contains(err.Error(), "answered already") {
			t.Errorf("%s, then once more: %v", name, err)
		}
	}
}

// TestSuitesTheRootDidNotAllow: a certificate of before suite 2 is good for logins and for nothing else, on both sides.
func TestSuitesTheRootDidNotAllow(t *testing.T) {
	f := resuming(t)
	cert := f.client.Cert
	if !cert.Allows(SuiteNK) || !cert.Allows(SuiteNKpsk2) || cert.Allows(0) || cert.Allows(3) || cert.Allows(17) || cert.Suites != 3 {
		t.Errorf("suites %#x", cert.Suites)
	}
	old := cert
	old.Suites = 1
	old.Signature = [64]byte(ed25519.Sign(f.root.private, old.signed()))
	_, hs1 := f.start(t)
	f.client.Cert = old
	if _, _, err := NewClient(f.client); !errors.Is(err, ErrCertSuite) {
		t.Errorf("the client resumes: %v", err)
	}
	key, err := NewServerKey(old, f.server.Current.Private())
	if err != nil {
		t.Fatal(err)
	}
	f.server.Current = key
	_, err = Begin(&f.server, hs1, f.now)
	if r := asReject(t, err); r.Code != RejectSuite || len(r.Bytes) != 3 {
		t.Errorf("the server resumes: %v", err)
	}
	f.client.Resume = nil
	client, server := f.connect(t)
	mustTalk(t, client, server, "after a login")
}

func TestSecretOfATicketIsNotPrinted(t *testing.T) {
	r := Resumption{Ticket: []byte{1}, Secret: [32]byte(pattern(100, 32))}
	if s := fmt.Sprintf("%v %+v %#v %v %#v", r, r, r, &r, ClientConfig{Resume: &r}.Resume); strings.Contains(s, "100") || strings.Contains(s, "0x64") {
		t.Errorf("the secret is printed: %s", s)
	}
}
