package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/gateway"
	"github.com/tianxia-mmo/tianxia/pkg/link"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// plainClient speaks to the development listener.
type plainClient struct {
	t    *testing.T
	conn *network.Conn
}

// plainly opens a development listener and a client of it.
func plainly(t *testing.T, s *stage) *plainClient {
	t.Helper()
	web := httptest.NewServer(s.gw.Plain())
	t.Cleanup(func() { _ = s.stop(); web.Close() })
	conn, err := network.Dial(context.Background(), "ws"+strings.TrimPrefix(web.URL, "http"), network.DialConfig{Config: network.Config{Text: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(1000, "") })
	return &plainClient{t, conn}
}

func (p *plainClient) say(text string) {
	p.t.Helper()
	if err := p.conn.SendText(append(make([]byte, network.HeaderRoom), text...)); err != nil {
		p.t.Fatal(err)
	}
}

// hears waits for a text that begins like this.
func (p *plainClient) hears(start string) string {
	p.t.Helper()
	for {
		_ = p.conn.SetReadDeadline(time.Now().Add(patience))
		b, err := p.conn.Next()
		if err != nil {
			p.t.Fatalf("instead of %s: %v", start, err)
		}
		if !p.conn.Text() || !json.Valid(b) {
			p.t.Fatalf("%q is no text of JSON", b)
		}
		if strings.HasPrefix(string(b), start) {
			return string(b)
		}
	}
}

func TestDevelopersPlayInPlainText(t *testing.T) {
	j := &journal{Handler: slog.DiscardHandler}
	s := speakingJSON(t, func(c *gateway.Config) { c.Log = slog.New(j) })
	p := plainly(t, s)
	if j.count("DEVELOPMENT LISTENER") != 1 {
		t.Errorf("the log says %q", j.lines)
	}
	p.say(`{"t":"push","r":"test.talk","d":{}}`)
	if e := p.hears(`{"t":"err"`); !strings.Contains(e, `"message":"wrong_state"`) {
		t.Errorf("a push before the login is answered by %s", e)
	}
	p.say(`{"t":"req","r":"login","i":3,"d":{"token":"` + s.token(8) + `"}}`)
	u := s.up(link.OpenSession)
	s.down(link.Down{Kind: link.Opened, Conn: u.Conn, Payload: (&link.Session{ID: 5, Epoch: 6}).Append(nil)})
	s.down(link.Down{Kind: link.Entered, Zone: 5, Conn: u.Conn})
	if r := p.hears(`{"t":"resp","r":"login","i":3,"d":{`); !strings.Contains(r, `"playerId":"8"`) {
		t.Errorf("the login is answered by %s", r)
	}
	p.say(`{"t":"req","r":"test.know","i":4,"d":{"message":"who?"}}`)
	if u := s.up(link.FromClient); u.ID != 4 || u.Route != routeKnow || u.Epoch != 6 {
		t.Errorf("the server hears %+v", u)
	}
	s.down(link.Down{Kind: link.ToClient, Conn: u.Conn, Type: protocol.TypeResponse, Route: routeKnow, ID: 4, Seq: 1})
	p.hears(`{"t":"resp","r":"test.know","i":4,"q":1,"d":{}}`)
	p.say(`{"t":"ack","q":1}`)
	if u := s.up(link.Ack); u.Seq != 1 {
		t.Errorf("the server hears %+v", u)
	}
	s.batch(true)
	s.down(link.Down{Kind: link.Broadcast, Type: protocol.TypePush, Route: protocol.RouteStatus})
	p.hears(`{"t":"push","r":"status","d":{}}`)
	p.say(`{"t":"ctrl","r":"ping","d":{"client":"7"}}`)
	p.hears(`{"t":"ctrl","r":"pong","d":{"client":"7"`)
	p.say(`nonsense`)
	p.hears(`{"t":"err","r":0,"d":{"code":4,`)
	p.say(`{"t":"ctrl","r":"resume","d":{"lastSeq":1}}`)
	p.hears(`{"t":"err","r":7,`)
	if st := s.gw.Stats(); st.Sessions != 1 || st.StateFrames != 0 {
		t.Errorf("%d sessions, %d state frames", st.Sessions, st.StateFrames)
	}
	s.down(link.Down{Kind: link.Kick, Conn: u.Conn, Code: protocol.DisconnectKicked, Payload: []byte("enough")})
	p.hears(`{"t":"ctrl","r":"kick","d":{"code":4508,"reason":"enough"}}`)
	var c *network.CloseError
	if _, err := p.conn.Next(); !errors.As(err, &c) || protocol.DisconnectCode(c.Code) != protocol.DisconnectKicked {
		t.Errorf("the connection ended with %v", err)
	}
}

func TestBinaryMessageOnTheDevelopmentListenerEndsIt(t *testing.T) {
	s := speakingJSON(t, nil)
	p := plainly(t, s)
	if err := p.conn.Send(make([]byte, network.HeaderRoom+3)); err != nil {
		t.Fatal(err)
	}
	p.hears(`{"t":"ctrl","r":"kick","d":{"code":4509`)
}

func TestDevelopersAreLimitedToo(t *testing.T) {
	s := speakingJSON(t, func(c *gateway.Config) {
		c.Limits.JSONRate, c.Limits.JSONBurst = 1, 2
		c.Limits.Violations = gateway.Violations{Warn: 3, Kick: 4, Grace: time.Nanosecond, Decay: 0.001}
	})
	p := plainly(t, s)
	late := time.After(patience)
	for s.gw.Stats().Counts.Kicks["flooding"] == 0 { // one a second is let through, however few come in that
		_ = p.conn.SendText(append(make([]byte, network.HeaderRoom), `nonsense`...)) // it may be busy, or closed just now
		select {
		case <-time.After(time.Millisecond):
		case <-late:
			t.Fatal("a flood goes on for ever")
		}
	}
	p.hears(`{"t":"ctrl","r":"warning"`)
	p.hears(`{"t":"ctrl","r":"kick","d":{"code":4511`)
}

func TestDevelopmentListenerNeedsDescriptors(t *testing.T) {
	s := overLoopback(t, link.PipeConfig{}, nil)
	w := httptest.NewRecorder()
	s.gw.Plain().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusNotImplemented {
		t.Errorf("answered by %d %s", w.Code, w.Body)
	}
	s.ended("refused_no_json", 1)
}

// A developer who does not read is a slow consumer like any other.
func TestDeveloperWhoDoesNotReadIsCutOff(t *testing.T) {
	s := speakingJSON(t, func(c *gateway.Config) { c.QueueBytes = 8 << 10; c.Network.SendBuffer = 4 << 10 })
	p := plainly(t, s)
	p.say(`{"t":"req","r":"login","i":3,"d":{"token":"` + s.token(8) + `"}}`)
	u := s.up(link.OpenSession)
	s.down(link.Down{Kind: link.Opened, Conn: u.Conn, Payload: (&link.Session{ID: 5, Epoch: 6}).Append(nil)})
	late := time.After(patience)
	for s.gw.Stats().Disconnects["slow_consumer"] == 0 {
		_ = s.port.Send(link.Down{Kind: link.ToClient, Conn: u.Conn, Type: protocol.TypeResponse, Route: routeKnow, ID: 4, Seq: 1, Payload: make([]byte, 0)})
		select {
		case <-late:
			t.Fatal("it goes on for ever")
		default:
		}
	}
}
