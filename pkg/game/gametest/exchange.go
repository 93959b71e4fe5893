package gametest

import (
	"context"
	"fmt"
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// exchange carries what zones give each other.
func (w *World) exchange(p *place) {
	w.t.Helper()
	from := p.zone.Config()
	for i := range p.out.Departures {
		w.handOver(p, &p.out.Departures[i])
	}
	for _, id := range p.out.Gone {
		delete(w.where, id)
	}
	for _, v := range p.out.Views {
		if to := w.zone(v.Zone); to != nil {
			in := game.Input{Kind: game.Watch, Session: v.Session, Gateway: v.Gateway, Conn: v.Conn, X: v.X, Y: v.Y, Enter: v.Enter, Leave: v.Leave, Ignores: v.Ignores, Zone: from.Zone}
			if v.End {
				in = game.Input{Kind: game.Unwatch, Session: v.Session}
			}
			to.in = append(to.in, in)
		}
	}
	for _, a := range p.out.Asks {
		w.ask(p, a)
	}
	for _, a := range p.out.Answers {
		w.answer(&a)
	}
	for _, j := range p.out.Jobs {
		if w.Hold {
			w.held = append(w.held, HeldJob{Job: j, Zone: p.zone})
		} else {
			p.finish(&j)
		}
	}
}

// finish runs a job and has its result among the inputs of the next tick.
func (p *place) finish(j *game.Job) {
	b, err := j.Run(context.Background())
	in := game.Input{Kind: game.Done, Number: j.Number, Payload: b}
	if err != nil {
		in.Code, in.Text = game.Failure(err)
	}
	p.in = append(p.in, in)
}

// HeldJob is a job that World.Hold keeps, with the zone that has begun it.
type HeldJob struct {
	game.Job
	Zone *game.Zone
}

// Jobs lists the jobs that are held, in the order in which they were begun.
func (w *World) Jobs() []HeldJob { return slices.Clone(w.held) }

// Finish runs a job that was held and gives its result to its zone, in the next tick. One that is not held, or no more, fails the test.
func (w *World) Finish(j HeldJob) {
	w.t.Helper()
	i := slices.IndexFunc(w.held, func(x HeldJob) bool { return x.Zone == j.Zone && x.Number == j.Number })
	if i < 0 {
		w.t.Errorf("job %d %q is not held: it was finished before, or was begun without World.Hold", j.Number, j.Name)
		return
	}
	j = w.held[i]
	w.held = slices.Delete(w.held, i, i+1)
	for _, p := range w.places {
		if p.zone == j.Zone {
			p.finish(&j.Job)
		}
	}
}

func (w *World) handOver(from *place, d *game.Departure) {
	w.t.Helper()
	to := w.destination(from, d)
	in := game.Input{Kind: game.Arrive, Payload: d.Payload}
	for _, s := range d.Players {
		c := game.Conn{Session: s}
		if x := w.client(s); x != nil {
			x.home = to
			if x.conn != 0 {
				c.Gateway, c.Conn = gateway, x.conn
			}
		}
		in.Conns = append(in.Conns, c)
	}
	for _, id := range d.Entities {
		w.where[id] = to
	}
	to.in = append(to.in, in)
}

func (w *World) destination(from *place, d *game.Departure) *place {
	w.t.Helper()
	if d.Refused != "" {
		w.t.Errorf("zone %d refused a hand-over of %v: %s", from.zone.Config().Zone, d.Entities, d.Refused)
	}
	to := &d.To
	switch {
	case to.Instance != "":
		key := fmt.Sprint(to.Instance, " ", to.Key)
		if w.inst[key] == nil {
			template := w.game.InstanceOf(to.Instance)
			if template == nil {
				return from
			}
			c := template(to.Key)
			w.zones++
			c.Zone, c.World, c.FirstTick = w.zones, 0, from.zone.Tick()+1
			c.Instance, c.Key = to.Instance, to.Key
			if c.Tables == nil {
				c.Tables = w.places[0].zone.Tables()
			}
			w.inst[key] = w.add(c)
		}
		return w.inst[key]
	case to.Zone != 0:
		if p := w.zone(to.Zone); p != nil {
			return p
		}
		return from
	}
	world := from.zone.Config().World
	for _, p := range w.places {
		c := p.zone.Config()
		if world != 0 && c.World == world && to.X >= c.X && to.X < c.X+c.Width && to.Y >= c.Y && to.Y < c.Y+c.Height {
			return p
		}
	}
	return from
}

func (w *World) ask(from *place, a game.Asked) {
	zone := from.zone.Config().Zone
	at := w.where[a.Entity]
	if at == nil {
		at = w.zone(a.Entity.Birthplace())
	}
	if at == nil {
		code, text := game.Failure(game.ErrNowhere)
		from.in = append(from.in, game.Input{Kind: game.Done, Number: a.Number, Code: code, Text: text})
		return
	}
	w.asked[askKey{zone, a.Number}] = a
	at.in = append(at.in, game.Input{Kind: game.Ask, Zone: zone, Number: a.Number, Entity: a.Entity, From: a.From, Route: a.Route, Payload: a.Payload})
}

func (w *World) answer(a *game.Answer) {
	from := w.zone(a.Zone)
	key := askKey{a.Zone, a.Number}
	in := game.Input{Kind: game.Done, Number: a.Number, Payload: a.Payload}
	if a.Moved {
		if at := w.where[a.Entity]; at != nil {
			if _, lives := at.zone.Entity(a.Entity); !lives && len(at.in) > 0 { // on its way
				w.ask(from, w.asked[key])
				return
			}
			if _, lives := at.zone.Entity(a.Entity); lives {
				w.ask(from, w.asked[key])
				return
			}
		}
		in.Code, in.Text = game.Failure(game.ErrNowhere)
	} else if a.Err != nil {
		in.Code, in.Text = game.Failure(a.Err)
	}
	delete(w.asked, key)
	from.in = append(from.in, in)
}

// emit carries what a zone says.
func (w *World) emit(p *place) {
	w.t.Helper()
	groups := p.out.Groups
	for i, m := range p.out.Messages {
		for ; len(groups) > 0 && groups[0].At <= i; groups = groups[1:] {
			w.group(&groups[0])
		}
		if c := w.client(m.Session); c != nil {
			c.inbox = append(c.inbox, m)
		}
	}
	for i := range groups {
		w.group(&groups[i])
	}
	for _, k := range p.out.Kicks {
		if c := w.client(k.Session); c != nil {
			w.end(c)
			c.home.in = append(c.home.in, game.Input{Kind: game.Leave, Session: c.Session})
		}
	}
	for _, x := range p.out.Panics {
		w.Panics = append(w.Panics, x)
		if !w.Lenient {
			w.t.Errorf("%s panicked: %s\n%s", x.Where, x.Value, x.Stack)
		}
	}
	w.Audits = append(w.Audits, p.out.Audits...)
	for _, o := range p.out.Operated {
		w.answers[o.ID] = &o
	}
}

func (w *World) group(g *game.Grouping) {
	c := w.client(g.Session)
	switch {
	case g.Session == 0:
		for _, c := range w.groups[g.Group] {
			m := g.Message
			m.Session = c.Session
			c.inbox = append(c.inbox, m)
		}
	case c == nil:
	case g.Join && !slices.Contains(w.groups[g.Group], c):
		w.groups[g.Group] = append(w.groups[g.Group], c)
	case !g.Join:
		w.groups[g.Group] = slices.DeleteFunc(w.groups[g.Group], func(x *Client) bool { return x == c })
	}
}

// FailureOf is the error that a message carries; nil: it is none.
func FailureOf(m *game.Message) error {
	if m.Type != protocol.TypeError {
		return nil
	}
	code, text, err := game.ParseFailure(m.Payload)
	if err != nil {
		return err
	}
	return &game.Error{Code: code, Message: text}
}
