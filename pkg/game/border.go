package game

import (
	"fmt"
	"math"
)

// rect is a part of the ground plane, in world quanta: x0 ≤ x < x1, y0 ≤ y < y1.
type rect struct{ x0, y0, x1, y1 int32 }

func (r rect) holds(x, y int32) bool { return x >= r.x0 && x < r.x1 && y >= r.y0 && y < r.y1 }

// nearest is the place in r that is nearest to a place.
func (r rect) nearest(x, y int32) (int32, int32) {
	return min(max(x, r.x0), r.x1-1), min(max(y, r.y0), r.y1-1)
}

// touches tells whether a circle reaches into r.
func (r rect) touches(x, y, radius int32) bool {
	nx, ny := r.nearest(x, y)
	dx, dy, d := int64(nx)-int64(x), int64(ny)-int64(y), int64(radius)
	return dx*dx+dy*dy <= d*d
}

// Neighbour is another zone of the same world, which touches this one or is in sight from it.
type Neighbour struct {
	Zone, Epoch         uint32
	X, Y, Width, Height int32 // world quanta
	Margin              int32 // that it holds beyond its borders
}

func (n *Neighbour) rect() rect { return rect{n.X, n.Y, n.X + n.Width, n.Y + n.Height} }

// AppendNeighbours writes the payload of an input Neighbours.
func AppendNeighbours(b []byte, all []Neighbour) []byte {
	e := enc{b}
	e.u(uint64(len(all)))
	for i := range all {
		n := &all[i]
		e.u(uint64(n.Zone))
		e.u(uint64(n.Epoch))
		for _, v := range []int32{n.X, n.Y, n.Width, n.Height, n.Margin} {
			e.i(v)
		}
	}
	return e.b
}

// ParseNeighbours reads what AppendNeighbours wrote.
func ParseNeighbours(b []byte) ([]Neighbour, error) {
	d := dec{b: b}
	var all []Neighbour
	for n := d.count("neighbours", 1<<10, 7); n > 0 && d.err == nil; n-- {
		x := Neighbour{Zone: uint32(d.u("zone", math.MaxUint32)), Epoch: uint32(d.u("epoch", math.MaxUint32)), X: d.i("x"), Y: d.i("y"), Width: d.i("width"), Height: d.i("height"), Margin: d.i("margin")}
		if const24 := int32(1 << 24); x.Width < 1 || x.Height < 1 || x.Width > const24 || x.Height > const24 || x.Margin < 0 || x.Margin > const24 ||
			x.X > math.MaxInt32-4*const24 || x.Y > math.MaxInt32-4*const24 || x.X < math.MinInt32+4*const24 || x.Y < math.MinInt32+4*const24 {
			d.fail("rectangle of a neighbour")
		}
		all = append(all, x)
	}
	if d.err == nil && len(d.b) > 0 {
		d.fail("end of the neighbours")
	}
	return all, d.err
}

// NeighboursOf finds the neighbours of a zone among others: those of its world into which a view of a reach (quanta, see Zone.Reach) may go from it, of which those that touch it are those to which its entities cross.
func NeighboursOf(c Config, others []Config, reach int32) (all []Neighbour) {
	far := int64(max(reach, 0)) + int64(c.Margin)
	for _, o := range others {
		by := far + int64(o.Margin)
		if o.Zone == c.Zone || c.World == 0 || o.World != c.World || int64(o.X) > int64(c.X)+int64(c.Width)+by || int64(c.X) > int64(o.X)+int64(o.Width)+by ||
			int64(o.Y) > int64(c.Y)+int64(c.Height)+by || int64(c.Y) > int64(o.Y)+int64(o.Height)+by {
			continue
		}
		all = append(all, Neighbour{o.Zone, o.Epoch, o.X, o.Y, o.Width, o.Height, o.Margin})
	}
	return all
}

// View is what a player of one zone sees of another: that zone is to show it there, as Watch, or not any more, as Unwatch.
type View struct {
	Zone         uint32 // that is looked into
	End          bool
	Session      SessionID
	Gateway      uint32
	Conn         uint64
	X, Y         int32  // world quanta
	Enter, Leave int32  // quanta
	Ignores      uint32 // layers that it does not show, a bit each; the zones of a world agree on them
}

// border sets the neighbours. Who stands beyond a border that has none any more is pulled back by the next movement.
func (z *Zone) border(payload []byte) {
	all, err := ParseNeighbours(payload)
	if err != nil {
		z.stats.Refused++
		return
	}
	z.neighbours = all
	m := z.cfg.Margin
	z.bounds, z.keeps = z.rect, z.rect
	for i := range all {
		r := all[i].rect()
		wide := r.x0 < z.rect.x1 && r.x1 > z.rect.x0 // above or below
		tall := r.y0 < z.rect.y1 && r.y1 > z.rect.y0
		grow := func(edge, keep *int32, by int32) { *edge, *keep = *edge+by, *keep+by/2 }
		switch {
		case tall && r.x0 == z.rect.x1 && z.bounds.x1 == z.rect.x1:
			grow(&z.bounds.x1, &z.keeps.x1, m)
		case tall && r.x1 == z.rect.x0 && z.bounds.x0 == z.rect.x0:
			grow(&z.bounds.x0, &z.keeps.x0, -m)
		case wide && r.y0 == z.rect.y1 && z.bounds.y1 == z.rect.y1:
			grow(&z.bounds.y1, &z.keeps.y1, m)
		case wide && r.y1 == z.rect.y0 && z.bounds.y0 == z.rect.y0:
			grow(&z.bounds.y0, &z.keeps.y0, -m)
		}
	}
	for _, k := range z.kindOrder {
		if !k.places {
			continue
		}
		for _, slot := range k.slots {
			if slot == none {
				continue
			}
			x, y := int32(z.ents[slot].state.W[k.place.X]), int32(z.ents[slot].state.W[k.place.Z])
			if z.bounds.holds(x, y) {
				continue
			}
			if x, y = z.nearest(k, z.bounds, x, y); z.bounds.holds(x, y) {
				(Entity{z, slot, z.ents[slot].id}).SetPosition(x, y)
			}
		}
	}
}

// Neighbours are the zones at the borders.
func (z *Zone) Neighbours() []Neighbour { return z.neighbours }

// Bounds is where entities of this zone may be in this tick: its rectangle, and its margin where it has neighbours. x0 ≤ x < x1, y0 ≤ y < y1, world quanta.
func (z *Zone) Bounds() (x0, y0, x1, y1 int32) {
	return z.bounds.x0, z.bounds.y0, z.bounds.x1, z.bounds.y1
}

func (z *Zone) neighbourAt(x, y int32) *Neighbour {
	for i := range z.neighbours {
		if z.neighbours[i].rect().holds(x, y) {
			return &z.neighbours[i]
		}
	}
	return nil
}

func (z *Zone) epochOf(zone uint32) uint32 {
	for i := range z.neighbours {
		if z.neighbours[i].Zone == zone {
			return z.neighbours[i].Epoch
		}
	}
	return 0
}

// watchBorders tells neighbours which players of this zone look into them.
func (z *Zone) watchBorders() {
	if len(z.neighbours) == 0 && !z.watched {
		return
	}
	z.watched = false
	for _, p := range z.players {
		if p.gone {
			continue
		}
		for i := range z.neighbours {
			z.watch(p, &z.neighbours[i])
		}
		n := 0
		for _, v := range p.views { // those of zones that are no neighbours, or not looked into any more
			if v.touched == z.tick {
				p.views[n] = v
				n++
				continue
			}
			z.out.Views = append(z.out.Views, View{Zone: v.Zone, End: true, Session: p.Session})
		}
		p.views = p.views[:n]
		z.watched = z.watched || n > 0
	}
}

// watch tells one neighbour of one player, if that is news.
func (z *Zone) watch(p *Player, n *Neighbour) {
	if !p.looks {
		return
	}
	r := n.rect()
	m := n.Margin
	if !(rect{r.x0 - m, r.y0 - m, r.x1 + m, r.y1 + m}).touches(p.eyeX, p.eyeY, p.leave) {
		return
	}
	v := View{Zone: n.Zone, Session: p.Session, Gateway: p.gateway, Conn: p.conn, X: p.eyeX, Y: p.eyeY, Enter: p.enter, Leave: p.leave, Ignores: p.ignores}
	for i := range p.views {
		if w := &p.views[i]; w.Zone == n.Zone {
			w.touched = z.tick
			if w.View != v {
				w.View = v
				z.out.Views = append(z.out.Views, v)
			}
			return
		}
	}
	p.views = append(p.views, watched{v, z.tick})
	z.out.Views = append(z.out.Views, v)
}

// watched is what a neighbour was told last.
type watched struct {
	View
	touched uint32 // tick in which it was looked into last
}

// watchFrom takes the view of a player whose home is another zone.
func (z *Zone) watchFrom(in *Input) {
	if z.sessions[in.Session] != nil {
		return // it lives here by now
	}
	if in.Conn != 0 && !z.knows(in.Gateway) || in.Enter < 1 || in.Leave < in.Enter || z.layers.check(in.Ignores) != nil {
		z.stats.Refused++
		return
	}
	v := z.visiting[in.Session]
	if v == nil {
		v = &Player{Session: in.Session, visits: true}
		z.visit(v)
	}
	v.ignores = in.Ignores
	if v.conn != in.Conn {
		z.unobserve(v)
		v.gateway, v.conn = in.Gateway, in.Conn
		if v.conn != 0 {
			z.src.AddObserver(v.conn, v.gateway)
			if v.looks {
				z.show(v, v.view)
			}
		}
	}
	if err := z.lookFrom(v, in.X, in.Y, in.Enter, in.Leave); err != nil {
		panic(fmt.Sprintf("game: view of session %d from zone %d: %v", in.Session, in.Zone, err))
	}
}

// unwatch ends the view of a player of another zone. A player who has come here meanwhile is no visitor, and keeps its view.
func (z *Zone) unwatch(in *Input) {
	v := z.visiting[in.Session]
	if v == nil {
		return
	}
	if v.looks {
		z.dropView(v, v.view, 0, false)
		v.looks = false
	}
	z.unobserve(v)
	z.unvisit(v)
}

func (z *Zone) visit(v *Player) {
	z.visitors = append(z.visitors, v)
	z.visiting[v.Session] = v
}

// unvisit forgets a visitor; its observers are the caller's.
func (z *Zone) unvisit(v *Player) {
	delete(z.visiting, v.Session)
	v.gone = true
}
