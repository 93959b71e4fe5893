package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/pkg/client"
	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// keysFile is what a development server's /dev/session answers, and what -keys reads.
type keysFile struct {
	Realm string `json:"realm"`
	Root  string `json:"root"`
	Cert  string `json:"cert"`
	Token string `json:"token"`
}

// config finds out whom to connect to, with which keys.
func (o *options) config(ctx context.Context) (client.Config, error) {
	var cfg client.Config
	var err error
	if o.url == "" && o.keys == "" && o.root == "" {
		if cfg, err = tianxia.DevLogin(ctx, o.server, o.name); err != nil {
			return cfg, fmt.Errorf("%w\nStart a world with \"mmo\" and give its page with -server, or give -url and keys by hand", err)
		}
	} else if cfg, err = o.byHand(); err != nil {
		return cfg, err
	}
	if o.token != "" {
		cfg.Token = o.token
	}
	if o.tcp != "" {
		cfg.URL = "tcp://" + o.tcp
	}
	cfg.Name = "secure_ws_client"
	return cfg, nil
}

// byHand puts the flags and the file together; a flag wins.
func (o *options) byHand() (cfg client.Config, err error) {
	k := keysFile{}
	if o.keys != "" {
		b, err := os.ReadFile(o.keys)
		if err != nil {
			return cfg, fmt.Errorf("-keys: %w", err)
		}
		if err := json.Unmarshal(b, &k); err != nil {
			return cfg, fmt.Errorf("-keys %s: not the JSON that /dev/session answers: %w", o.keys, err)
		}
	}
	for _, f := range []struct {
		flag string
		from string
		to   *string
	}{{"realm", o.realm, &k.Realm}, {"root", o.root, &k.Root}, {"cert", o.cert, &k.Cert}, {"token", o.token, &k.Token}} {
		if f.from != "" {
			*f.to = f.from
		}
		if *f.to == "" && f.flag != "realm" {
			return cfg, &usageError{fmt.Sprintf("-%s is missing, and -keys does not have it", f.flag)}
		}
	}
	root, err := base64.StdEncoding.DecodeString(k.Root)
	if err != nil || len(root) != ed25519.PublicKeySize {
		return cfg, &usageError{fmt.Sprintf("-root is not %d bytes in base64", ed25519.PublicKeySize)}
	}
	cert, err := base64.StdEncoding.DecodeString(k.Cert)
	if err == nil {
		cfg.Security.Cert, err = security.ParseKeyCert(cert)
	}
	if err != nil {
		return cfg, &usageError{fmt.Sprintf("-cert is no key certificate in base64: %v", err)}
	}
	cfg.URL, cfg.Token, cfg.Security.Root, cfg.Security.Realm = o.url, k.Token, root, k.Realm
	return cfg, nil
}

// advice adds the fix to an error of connecting, where there is one.
func advice(err error) error {
	var (
		refused *network.RefusedError
		reject  *security.Reject
		server  *client.Error
		hint    string
	)
	switch {
	case errors.As(err, &refused) && refused.Status == 404:
		hint = "the path of a gateway's WebSocket is most often /ws"
	case errors.As(err, &reject) && reject.Code == security.RejectMalformed:
		hint = "the keys are not this gateway's, or the realm is another: compare -root, -cert and -realm"
	case errors.As(err, &reject) && reject.Code == security.RejectVersion:
		hint = fmt.Sprintf("the server speaks protocol versions %d to %d, this program %d: take the program of the server's release", reject.VersionMin, reject.VersionMax, protocol.Version)
	case errors.Is(err, security.ErrCertForged):
		hint = "-root is not the root that signed -cert"
	case errors.Is(err, security.ErrCertExpired), errors.Is(err, security.ErrCertNotYetValid):
		hint = "get the present certificate, and look at this machine's clock"
	case errors.As(err, &server) && server.Code == protocol.ErrorUnauthorized:
		hint = "tokens are good for a short time, and some for one login: get a new one"
	case errors.As(err, &server) && server.Code == protocol.ErrorMalformed:
		hint = "the gateway seems to take no JSON: try -protobuf"
	case strings.Contains(err.Error(), "connection refused"):
		hint = "nothing listens there: is the server running, and is the port right?"
	case errors.Is(err, context.DeadlineExceeded):
		hint = "nothing answered in time; -timeout gives it longer"
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w\n%s", err, hint)
}

// report prints what the handshake agreed on.
func report(p *printer, c *client.Client, shaken time.Time) {
	pattern := map[uint8]string{security.SuiteNK: "Noise_NK_25519_AESGCM_SHA256", security.SuiteNKpsk2: "Noise_NKpsk2_25519_AESGCM_SHA256"}[c.Suite]
	i, k := c.Info, c.Cert
	left := time.Until(time.Unix(int64(k.NotAfter), 0))
	p.row("suite", "%d, %s", c.Suite, pattern)
	p.row("key", "id %d, good from %s to %s, %d days more", k.KeyID, day(int64(k.NotBefore)), day(int64(k.NotAfter)), int(left.Hours()/24))
	p.row("version", "%d", i.Version)
	p.row("schema", "%s", hex.EncodeToString(i.SchemaHash[:]))
	p.row("records", "of %d bytes at most, a new key after %d records or %d bytes", i.RecordMax, i.RekeyRecords, i.RekeyBytes)
	p.row("silence", "of %v ends the connection", i.IdleTimeout)
	p.row("acks", "after %d numbered messages or %v", i.AckEvery, i.AckAfter)
	p.row("clock", "of the server %s", ahead(i.Time.Sub(shaken)))
	l := c.Login
	p.row("session", "%d of player %d %q, rights %v, server %s", l.GetSessionId(), l.GetPlayerId(), l.GetName(), l.GetRights(), l.GetServer())
	if l.GetQueued() {
		p.row("queue", "the world is full: waiting to be let in")
	}
	p.event("connected", "", "suite", c.Suite, "pattern", pattern, "key_id", k.KeyID, "key_not_before", k.NotBefore, "key_not_after", k.NotAfter, "version", i.Version,
		"schema", hex.EncodeToString(i.SchemaHash[:]), "record_max", i.RecordMax, "idle_timeout_ms", i.IdleTimeout.Milliseconds(), "rekey_records", i.RekeyRecords, "rekey_bytes", i.RekeyBytes,
		"ack_every", i.AckEvery, "ack_after_ms", i.AckAfter.Milliseconds(), "session", fmt.Sprint(l.GetSessionId()), "player", fmt.Sprint(l.GetPlayerId()), "name", l.GetName(),
		"rights", l.GetRights(), "server", l.GetServer(), "queued", l.GetQueued())
}

func day(unix int64) string { return time.Unix(unix, 0).UTC().Format("2006-01-02 15:04:05Z") }

func ahead(d time.Duration) string {
	if d = d.Round(time.Millisecond); d < 0 {
		return fmt.Sprintf("%v behind ours", -d)
	}
	return fmt.Sprintf("%v ahead of ours", d)
}
