package client

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/network"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// silences is how often in a row nothing may be heard for its share of the server's idle timeout before the connection counts as lost.
const silences = 3

// step handles one frame. It reads a record if none is left.
func (c *Client) step() error {
	if c.out.conn == nil {
		return c.ended // Serve after its end
	}
	for len(c.pending) == 0 {
		b, err := c.out.conn.Next()
		if err != nil {
			if err = c.quiet(err); err != nil {
				return err
			}
			continue
		}
		c.heard = true
		if c.pending, err = c.out.keys.Opener.Open(b); err != nil {
			return err
		}
	}
	f, rest, err := protocol.Next(c.pending)
	if err != nil {
		return err
	}
	c.pending = rest
	return c.frame(f)
}

// quiet is called when reading failed. If that was for the time alone, it shows the server a sign of life, or says that the server gives none. No timer runs for this: it
// is the socket's read deadline.
func (c *Client) quiet(err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) || c.out.conn.Cause() != nil {
		return err
	}
	if c.silent++; c.heard {
		c.silent = 0
	}
	if c.silent >= silences {
		return fmt.Errorf("%w for %v", ErrSilent, c.Info.IdleTimeout)
	}
	c.mu.Lock()
	spoke := c.out.spoke
	c.mu.Unlock()
	if !spoke || !c.heard {
		c.Ping()
		if err := c.Flush(); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.out.spoke = false // the ping aside
	c.mu.Unlock()
	c.heard = false
	return c.out.conn.SetReadDeadline(time.Now().Add(c.Info.IdleTimeout / silences))
}

func (c *Client) frame(f protocol.Frame) error {
	if fresh, err := c.take(f); !fresh {
		return err
	}
	switch f.Type {
	case protocol.TypeState:
		if err := c.Mirror.Decode(f.Payload); err != nil {
			return err
		}
		c.mu.Lock()
		c.out.echo = c.Mirror.Frames
		c.mu.Unlock()
		if c.handler.State != nil {
			c.handler.State()
		}
	case protocol.TypeControl:
		return c.control(f)
	case protocol.TypeResponse:
		if c.Login == nil && f.Route == protocol.RouteLogin {
			return c.loggedIn(f)
		}
		c.answer(f.ID, reply{payload: append([]byte(nil), f.Payload...), json: f.Flags&protocol.FlagJSON != 0})
	case protocol.TypeError:
		return c.failed(f)
	case protocol.TypePush:
		return c.pushed(f)
	}
	return nil
}

// take tells whether a frame is to be handled: a repetition is not.
func (c *Client) take(f protocol.Frame) (bool, error) {
	if f.Flags&protocol.FlagREL == 0 {
		return true, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh, err := c.session.take(f, time.Now())
	if due := c.session.due; !due.IsZero() {
		c.wake(due)
	}
	return fresh, err
}

func (c *Client) control(f protocol.Frame) error {
	switch f.Route {
	case protocol.RoutePong:
		sent, _, err := protocol.ParsePong(f.Payload)
		if err != nil {
			return err
		}
		c.RTT = time.Since(c.epoch) - time.Duration(sent)*time.Microsecond
		if c.handler.Pong != nil {
			c.handler.Pong(c.RTT)
		}
	case protocol.RouteKick:
		return told(f, &mmov1.Kick{}, func(m *mmov1.Kick) { c.kicked = &KickError{protocol.DisconnectCode(m.Code), m.Reason} })
	case protocol.RouteResumed:
		var m mmov1.Resumed
		if err := parse(f, &m); err != nil {
			return err
		}
		return c.resumed(&m)
	case protocol.RouteQueue:
		return told(f, &mmov1.Queue{}, func(m *mmov1.Queue) {
			if c.handler.Queue != nil {
				c.handler.Queue(m.Position, m.Length, milliseconds(m.EtaMs))
			}
		})
	case protocol.RouteWarning:
		return told(f, &mmov1.Warning{}, func(m *mmov1.Warning) {
			if c.handler.Warning != nil {
				c.handler.Warning(protocol.ErrorCode(m.Code), m.Message)
			}
		})
	case protocol.RouteGoaway:
		return told(f, &mmov1.Goaway{}, c.asked)
	}
	return nil
}

// told parses a message and hands it on.
func told[M proto.Message](f protocol.Frame, m M, then func(M)) error {
	if err := parse(f, m); err != nil {
		return err
	}
	then(m)
	return nil
}

func milliseconds(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }

// asked notes that the gateway wants to be left.
func (c *Client) asked(m *mmov1.Goaway) {
	after := milliseconds(m.ReconnectAfterMs)
	c.mu.Lock()
	if !c.cfg.Reconnect.Off && c.session.ticket.bytes != nil { // without a ticket, staying until the end is all that there is
		c.leaveAt, c.goaway = time.Now().Add(after), m.Reason
		c.wake(c.leaveAt)
	}
	c.mu.Unlock()
	if c.handler.Goaway != nil {
		c.handler.Goaway(m.Reason, after)
	}
}

// wake makes tick run at a time, unless it runs earlier anyway; mu is held. There is one timer at most, made when it is first needed.
func (c *Client) wake(at time.Time) {
	if c.ended != nil || !c.wakeAt.IsZero() && !at.Before(c.wakeAt) {
		return
	}
	c.wakeAt = at
	if d := time.Until(at); c.timer == nil {
		c.timer = time.AfterFunc(d, c.tick)
	} else {
		c.timer.Reset(d)
	}
}

// tick sends the acknowledgement that is due, and leaves the gateway when it is time.
func (c *Client) tick() {
	c.mu.Lock()
	c.wakeAt = time.Time{}
	_ = c.flush() // Serve finds the end of the connection
	if due := c.session.due; !due.IsZero() && c.out.conn != nil {
		c.wake(later(due)) // the socket is busy, or it was too early
	}
	var leave *network.Conn
	if !c.leaveAt.IsZero() {
		if time.Now().Before(c.leaveAt) {
			c.wake(c.leaveAt)
		} else {
			c.leaveAt, leave = time.Time{}, c.out.conn
			c.left = fmt.Errorf("%w: %s", errGoaway, c.goaway)
		}
	}
	c.mu.Unlock()
	if leave != nil {
		_ = leave.Close(1000, "goaway")
	}
}

// later is a point in time, and not the present: a socket that takes nothing is not asked more often than this.
func later(at time.Time) time.Time {
	if soon := time.Now().Add(50 * time.Millisecond); at.Before(soon) {
		return soon
	}
	return at
}

func (c *Client) pushed(f protocol.Frame) error {
	switch f.Route {
	case protocol.RouteZone:
		return c.zone(f)
	case protocol.RouteLayout:
		return c.learn(f)
	case protocol.RouteAvatar:
		c.Avatar = &mmov1.Avatar{}
		return parse(f, c.Avatar)
	case protocol.RouteStatus:
		c.Status = &mmov1.Status{}
		return parse(f, c.Status)
	case protocol.RouteTicket:
		return c.ticket(f)
	}
	if c.handler.Push != nil {
		c.handler.Push(f.Route, f.Payload)
	}
	return nil
}

// zone takes a row of the zone table, be it a new one or one that was another zone's.
func (c *Client) zone(f protocol.Frame) error {
	z := &mmov1.Zone{}
	if err := parse(f, z); err != nil {
		return err
	}
	p := delta.Params{PositionBits: uint8(min(z.PositionBits, 255)), OriginX: z.OriginX, OriginZ: z.OriginZ}
	if err := c.Mirror.OpenZone(uint8(min(z.Index, 255)), z.Zone, p, z.Tick); err != nil {
		return err
	}
	if i := slices.IndexFunc(c.Zones, func(o *mmov1.Zone) bool { return o.Index == z.Index }); i >= 0 {
		c.Zones[i] = z
	} else {
		c.Zones = append(c.Zones, z)
	}
	if c.handler.Zone != nil {
		c.handler.Zone(z)
	}
	return nil
}

// ticket keeps what the next resume needs.
func (c *Client) ticket(f protocol.Frame) error {
	var m mmov1.Ticket
	if err := parse(f, &m); err != nil {
		return err
	}
	t := ticket{bytes: m.Ticket, linger: milliseconds(m.LingerMs)}
	if len(t.bytes) < 1 || len(t.bytes) > 256 || len(m.Secret) != len(t.secret) {
		return fmt.Errorf("%w: a ticket of %d bytes with a secret of %d", ErrBroken, len(m.Ticket), len(m.Secret))
	}
	copy(t.secret[:], m.Secret)
	if t.linger == 0 {
		t.linger = unknownLinger
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session.ticket = t
	return nil
}

// learn takes the layout of a server whose schema is not the client's own.
func (c *Client) learn(f protocol.Frame) error {
	table := f.Payload
	if f.Flags&protocol.FlagJSON != 0 {
		var m mmov1.Layout
		err := parse(f, &m)
		if err == nil {
			table, err = proto.Marshal(&m)
		}
		if err != nil {
			return err
		}
	}
	l, err := delta.ParseTable(table)
	if err != nil {
		return err
	}
	codec, err := delta.NewCodec(l, nil)
	if err != nil {
		return err
	}
	c.Layout = l
	own := c.cfg.Codec
	if own == nil {
		return c.Mirror.Use(codec, nil)
	}
	if err := c.Mirror.Use(codec, own.Layout); err != nil {
		if l.Name != own.Layout.Name {
			return fmt.Errorf("%w: connect to a server of the other game", err)
		}
		mine, theirs := protocol.FingerprintOf(own.Layout.Fingerprint), protocol.FingerprintOf(l.Fingerprint)
		return fmt.Errorf("%w (%s)", err, protocol.SchemaMismatch(mine, theirs))
	}
	return nil
}

func (c *Client) failed(f protocol.Frame) error {
	var m mmov1.Error
	if err := parse(f, &m); err != nil {
		return err
	}
	e := &Error{protocol.ErrorCode(m.Code), m.Message, milliseconds(m.RetryAfterMs)}
	if c.Login == nil {
		return e
	}
	if f.ID != 0 && c.answer(f.ID, reply{err: e}) {
		return nil
	}
	if c.handler.Error != nil {
		c.handler.Error(f.Route, f.ID, e)
	}
	return nil
}

// answer hands a request its answer; false: nobody waits for it.
func (c *Client) answer(id uint32, a reply) bool {
	c.mu.Lock()
	r := c.session.settled(id)
	c.mu.Unlock()
	if r == nil {
		return false
	}
	r.settle(a)
	return true
}
