package link

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// What the two ends say of sessions (numbers are uvarint unless a size is given; a text is size and bytes; n × is a number and as many):
//
//	opening     player · name · n × right · token · token's end u64 LE, s since 1970, 0: unknown
//	resumption  session · generation · last seq
//	session     id · epoch · last request · flags u8: recovered 1, queued 2
//	grant       session · generation · secret (32)

// Opening is a login: whom the token names. Its holder has proved that it is theirs.
type Opening struct {
	Player uint64
	Name   string
	Rights []string
	Token  string    // id of the token, "": it may be used again
	Ends   time.Time // of the token, whole seconds; zero: unknown
}

// Resumption is what a client that came back says and has proved, by the secret of its ticket.
type Resumption struct {
	Session    uint64
	Generation uint32 // of the ticket
	LastSeq    uint32 // the last numbered message that the client has
}

// Session is what a gateway must know of the session that its connection has now.
type Session struct {
	ID    uint64
	Epoch uint64
	// LastRequest is the highest id of a request that the server has seen from this session.
	LastRequest uint32
	Recovered   bool // the answer to a Resumption, not to an Opening
	Queued      bool // it waits until the world has room; Entered tells when it is in
}

// Grant is what a ticket stands for.
type Grant struct {
	Session    uint64
	Generation uint32
	Secret     [32]byte // pre-shared key of the handshake
}

// ErrNoTicket: a ticket that opens nothing. Why is not told.
var ErrNoTicket = errors.New("link: the ticket opens no session")

// Tickets tells what tickets stand for.
type Tickets interface {
	// Secret does not spend the ticket. ErrNoTicket, or a failure to ask.
	Secret(ctx context.Context, ticket []byte) (Grant, error)
}

// Claim asks that a player be the sessions' of one server from now on.
type Claim struct {
	Player uint64
	Token  string    // id of the login token, "": none
	Ends   time.Time // of the token; zero: unknown
}

// Errors of a Directory.
var (
	// ErrTokenUsed: another login has used the token.
	ErrTokenUsed = errors.New("link: the login token has been used")
	// ErrBarred: the player is shut out.
	ErrBarred = errors.New("link: the player is shut out")
)

// Directory knows who plays where. The one that a server makes for itself, in memory, serves the sessions of that server; one on a database serves many.
type Directory interface {
	// Claim mints the epoch of a new session of the player: above every earlier one. ErrTokenUsed, ErrBarred, or a failure to ask.
	Claim(ctx context.Context, c Claim) (epoch uint64, err error)
	// Bar shuts a player out until a time; one in the past lets it in again.
	Bar(ctx context.Context, player uint64, until time.Time) error
}

// MaxRights bounds the rights of an Opening, maxText a text in it, in bytes.
const (
	MaxRights = 64
	maxText   = 1 << 10
)

// Append appends the bytes of o.
func (o *Opening) Append(b []byte) []byte {
	b = binary.AppendUvarint(b, o.Player)
	b = appendText(b, o.Name)
	b = binary.AppendUvarint(b, uint64(len(o.Rights)))
	for _, r := range o.Rights {
		b = appendText(b, r)
	}
	b = appendText(b, o.Token)
	ends := int64(0)
	if !o.Ends.IsZero() {
		ends = o.Ends.Unix()
	}
	return binary.LittleEndian.AppendUint64(b, uint64(ends))
}

// ParseOpening reads the payload of an OpenSession.
func ParseOpening(b []byte) (o Opening, err error) {
	c := cursor{b: b}
	o.Player = c.uvarint("player", math.MaxUint64)
	o.Name = c.short("name")
	n := c.count("number of rights", 1)
	if n > MaxRights {
		c.fail(fmt.Sprintf("%d rights, at most %d are allowed", n, MaxRights))
		n = 0
	}
	for range n {
		o.Rights = append(o.Rights, c.short("right"))
	}
	o.Token = c.short("token")
	if ends := c.u64("end of the token"); ends != 0 {
		o.Ends = time.Unix(int64(min(ends, math.MaxInt64)), 0)
	}
	c.payload(0)
	return o, c.err
}

// short reads a text of a bounded size.
func (c *cursor) short(what string) string {
	t := c.text(what)
	if len(t) > maxText {
		c.fail(what + " is too long")
		return ""
	}
	return string(t)
}

// Append appends the bytes of r.
func (r *Resumption) Append(b []byte) []byte {
	b = binary.AppendUvarint(b, r.Session)
	b = binary.AppendUvarint(b, uint64(r.Generation))
	return binary.AppendUvarint(b, uint64(r.LastSeq))
}

// ParseResumption reads the payload of a ResumeSession.
func ParseResumption(b []byte) (r Resumption, err error) {
	c := cursor{b: b}
	r.Session = c.uvarint("session", math.MaxUint64)
	r.Generation = uint32(c.uvarint("generation", math.MaxUint32))
	r.LastSeq = uint32(c.uvarint("last seq", math.MaxUint32))
	c.payload(0)
	return r, c.err
}

const (
	sessionRecovered = 1
	sessionQueued    = 2
)

// Append appends the bytes of s.
func (s *Session) Append(b []byte) []byte {
	b = binary.AppendUvarint(b, s.ID)
	b = binary.AppendUvarint(b, s.Epoch)
	b = binary.AppendUvarint(b, uint64(s.LastRequest))
	flags := byte(0)
	if s.Recovered {
		flags |= sessionRecovered
	}
	if s.Queued {
		flags |= sessionQueued
	}
	return append(b, flags)
}

// ParseSession reads the payload of an Opened.
func ParseSession(b []byte) (s Session, err error) {
	c := cursor{b: b}
	s.ID = c.uvarint("session", math.MaxUint64)
	s.Epoch = c.uvarint("epoch", math.MaxUint64)
	s.LastRequest = uint32(c.uvarint("last request", math.MaxUint32))
	flags := c.byte("flags")
	if flags&^(sessionRecovered|sessionQueued) != 0 {
		c.fail("flags")
	}
	s.Recovered, s.Queued = flags&sessionRecovered != 0, flags&sessionQueued != 0
	c.payload(0)
	return s, c.err
}

func (g *Grant) append(b []byte) []byte {
	b = binary.AppendUvarint(b, g.Session)
	b = binary.AppendUvarint(b, uint64(g.Generation))
	return append(b, g.Secret[:]...)
}

func parseGrant(b []byte) (g Grant, err error) {
	c := cursor{b: b}
	g.Session = c.uvarint("session", math.MaxUint64)
	g.Generation = uint32(c.uvarint("generation", math.MaxUint32))
	if c.err == nil && len(c.b) != len(g.Secret) {
		c.fail("secret")
	}
	copy(g.Secret[:], c.b)
	return g, c.err
}
