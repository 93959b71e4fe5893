package gametest

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/replica"
)

// Client is a player with its client.
type Client struct {
	Session game.SessionID
	Name    string
	// Mirror is what the client sees; nil for a game without entities.
	Mirror *replica.Mirror
	// Enters and Leaves count what its Mirror was told.
	Enters, Leaves int

	w       *World
	home    *place
	conn    uint64
	view    *replica.Client
	inbox   []game.Message
	request uint32
	seen    map[game.EntityID]bool
}

// Join has a new player log in; it is in the world after the next tick.
func (w *World) Join(name string, rights ...string) *Client {
	w.next++
	c := &Client{Session: game.SessionID(w.next), Name: name, w: w, home: w.places[0]}
	w.clients = append(w.clients, c)
	c.connect()
	c.home.in = append(c.home.in, game.Input{Kind: game.Join, Gateway: gateway, Session: c.Session, Conn: c.conn, Player: uint64(c.Session), Name: name, Rights: rights})
	return c
}

func (c *Client) connect() {
	c.w.next++
	c.conn = c.w.next
	c.seen = map[game.EntityID]bool{}
	if c.home.rep == nil {
		return
	}
	c.view = replica.NewClient(replica.Config{})
	c.Mirror = &replica.Mirror{}
	c.Mirror.Enter = func(_ int, e *replica.Entity) {
		c.Enters++
		if id := game.EntityID(e.ID); c.seen[id] {
			c.w.t.Errorf("%s is shown entity %d twice", c.Name, id)
		} else {
			c.seen[id] = true
		}
	}
	c.Mirror.Leave = func(_ int, e *replica.Entity) {
		c.Leaves++
		delete(c.seen, game.EntityID(e.ID))
	}
	if err := c.Mirror.Use(c.w.game.Schema.Codec, nil); err != nil {
		c.w.t.Fatal(err)
	}
}

// Push sends a message.
func (c *Client) Push(route uint16, m proto.Message) { c.send(route, 0, m) }

// Request sends a message that is answered, and returns the number by which Reply finds the answer.
func (c *Client) Request(route uint16, m proto.Message) uint32 {
	c.request++
	c.send(route, c.request, m)
	return c.request
}

func (c *Client) send(route uint16, id uint32, m proto.Message) {
	c.w.t.Helper()
	b, err := protocol.Marshal(m)
	if err != nil {
		c.w.t.Fatal(err)
	}
	c.home.in = append(c.home.in, game.Input{Kind: game.Receive, Session: c.Session, Route: route, ID: id, Payload: b})
}

// Reply is the answer to a request so far; ok is false if there is none. An error is a *game.Error.
func (c *Client) Reply(id uint32, m proto.Message) (ok bool, err error) {
	c.w.t.Helper()
	for i := range c.inbox {
		x := &c.inbox[i]
		if x.ID != id || id == 0 {
			continue
		}
		if x.Type == protocol.TypeError {
			return true, FailureOf(x)
		}
		if err := protocol.Unmarshal(x.Payload, m); err != nil {
			c.w.t.Fatal(err)
		}
		return true, nil
	}
	return false, nil
}

// Take returns what came on a route since the last Take of it, in order.
func (c *Client) Take(route uint16) (all []game.Message) {
	c.inbox = slices.DeleteFunc(c.inbox, func(m game.Message) bool {
		if m.Route != route {
			return false
		}
		all = append(all, m)
		return true
	})
	return all
}

// Heard is Take with the messages parsed; one that is no M fails the test. M is a pointer, as *hellov1.Hit.
//
//	hits := gametest.Heard[*hellov1.Hit](ann, bind.RouteHit)
func Heard[M proto.Message](c *Client, route uint16) (all []M) {
	c.w.t.Helper()
	for _, x := range c.Take(route) {
		if err := FailureOf(&x); err != nil {
			c.w.t.Errorf("%s heard an error on route %d: %v", c.Name, route, err)
			continue
		}
		var none M
		m := none.ProtoReflect().New().Interface().(M)
		if err := protocol.Unmarshal(x.Payload, m); err != nil {
			c.w.t.Errorf("%s heard on route %d what is no %T: %v", c.Name, route, m, err)
			continue
		}
		all = append(all, m)
	}
	return all
}

// Player is the player in the zone where it is now; nil: it is on its way, or gone.
func (c *Client) Player() *game.Player {
	p, _ := c.home.zone.PlayerOf(c.Session)
	return p
}

// Zone is the zone where the player is, or where it is going.
func (c *Client) Zone() *game.Zone { return c.home.zone }

// Avatar is the player's avatar; the zero Entity: it has none now.
func (c *Client) Avatar() game.Entity {
	if p := c.Player(); p != nil {
		return p.Avatar()
	}
	return game.Entity{}
}

// Put moves the player's avatar, in world quanta. Farther past a border of its zone than half of Config.Margin (4 m by default) it is handed over, and arrives two ticks later. Nearer it stays in its zone, whose rules that look for
// neighbours, as Zone.Nearest, do not find what lives in the other one.
func (c *Client) Put(x, y int32) {
	c.w.t.Helper()
	c.home.zone.Edit(func() {
		if err := c.home.zone.Transfer(c.Avatar(), game.Destination{X: x, Y: y}); err != nil {
			c.w.t.Fatal(err)
		}
	})
}

// Sees tells whether the client's mirror holds an entity.
func (c *Client) Sees(id game.EntityID) bool { return c.seen[id] }

// Seen is an entity as the client's mirror has it; ok is false if it has none of this id. It is valid until the next tick. Bindings read it: bind.VitalsRead(e, &m).
func (c *Client) Seen(id game.EntityID) (e *replica.Entity, ok bool) {
	if c.Mirror == nil || !c.seen[id] {
		return nil, false
	}
	for i := range c.Mirror.Entities {
		if e := &c.Mirror.Entities[i]; e.Live && e.ID == uint64(id) {
			return e, true
		}
	}
	return nil, false
}

// View lists what the client's mirror holds, in order.
func (c *Client) View() []game.EntityID {
	ids := []game.EntityID{}
	for id := range c.seen {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Cut takes the player's connection: it lingers.
func (c *Client) Cut() {
	if c.conn == 0 {
		return
	}
	c.home.in = append(c.home.in, game.Input{Kind: game.Disconnect, Session: c.Session})
	c.conn = 0
	if c.view != nil {
		c.view.Close()
		c.view = nil
	}
}

// Resume gives the player a new connection, and its client an empty mirror.
func (c *Client) Resume() {
	c.Cut()
	c.connect()
	c.home.in = append(c.home.in, game.Input{Kind: game.Connect, Gateway: gateway, Session: c.Session, Conn: c.conn})
}

// Leave ends the player's session.
func (c *Client) Leave() {
	c.w.end(c)
	c.home.in = append(c.home.in, game.Input{Kind: game.Leave, Session: c.Session})
}

func (w *World) end(c *Client) {
	if c.view != nil {
		c.view.Close()
		c.view = nil
	}
	c.conn = 0
	w.clients = slices.DeleteFunc(w.clients, func(x *Client) bool { return x == c })
	for g := range w.groups {
		w.groups[g] = slices.DeleteFunc(w.groups[g], func(x *Client) bool { return x == c })
	}
}
