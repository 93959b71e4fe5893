package game

import (
	"fmt"
	"slices"
)

// SetOwner says whose an entity is: a summoner's, a thrower's. The owner may live in any zone, or not any more; it is an id for the game's rules, and crosses borders with the entity.
// Nobody, the zero Entity, ends it.
func (e Entity) SetOwner(b Being) {
	e.z.own()
	x := e.get()
	if b == nil {
		x.owner = 0
		return
	}
	x.owner = b.entity().id
}

// Owner is the id of the entity whose this one is; 0: nobody's.
func (e Entity) Owner() EntityID { return e.get().owner }

// maxChildren bounds the children of one entity.
const maxChildren = 1024

// SetParent makes an entity a part of another: it keeps its place beside it, moves with its velocity, crosses borders and despawns with it. What has a parent is not moved by
// rules of its own. Nobody, the zero Entity, sets it free where it is.
func (e Entity) SetParent(b Being) error {
	e.z.own()
	e.placed()
	z := e.z
	if b == nil || b.entity() == (Entity{}) {
		z.unrelate(e)
		return nil
	}
	p := b.entity()
	px := p.placed()
	for up := p; ; {
		if up.id == e.id {
			return fmt.Errorf("entity %d cannot be a part of entity %d, which is a part of it", e.id, p.id)
		}
		next, ok := z.Entity(z.ents[up.slot].parent)
		if !ok {
			break
		}
		up = next
	}
	if len(px.children) >= maxChildren {
		return fmt.Errorf("entity %d has %d children already", p.id, maxChildren)
	}
	if n := z.family(p) + z.size(e); n > maxTravellers {
		return fmt.Errorf("entity %d would be one of %d that move as one, at most %d can", e.id, n, maxTravellers)
	}
	z.unrelate(e)
	ex, ey := e.Position()
	bx, by := p.Position()
	z.attach(e, p, ex-bx, ey-by)
	return nil
}

// family is how many move as one with an entity, itself among them.
func (z *Zone) family(e Entity) int {
	for {
		p, ok := z.Entity(z.ents[e.slot].parent)
		if !ok {
			return z.size(e)
		}
		e = p
	}
}

// size is how many there are of an entity and its children.
func (z *Zone) size(e Entity) int {
	n := 1
	for _, id := range z.ents[e.slot].children {
		if c, ok := z.Entity(id); ok {
			n += z.size(c)
		}
	}
	return n
}

func (z *Zone) attach(e, p Entity, offX, offY int32) {
	x, px := &z.ents[e.slot], &z.ents[p.slot]
	x.parent, x.offX, x.offY = p.id, offX, offY
	px.children = append(px.children, e.id)
	if !px.leads {
		px.leads = true
		z.parents = append(z.parents, p)
	}
}

// unrelate takes an entity out of its parent's children.
func (z *Zone) unrelate(e Entity) {
	x := e.get()
	if p, ok := z.Entity(x.parent); ok {
		px := &z.ents[p.slot]
		px.children = slices.DeleteFunc(px.children, func(c EntityID) bool { return c == e.id })
	}
	x.parent, x.offX, x.offY = 0, 0, 0
}

// Parent is the entity that this one is a part of; ok is false if there is none.
func (e Entity) Parent() (p Entity, ok bool) { return e.z.Entity(e.get().parent) }

// Children calls yield for the entities that are parts of this one, in order of becoming so.
func (e Entity) Children(yield func(Entity) bool) {
	for _, id := range slices.Clone(e.get().children) {
		if c, ok := e.z.Entity(id); ok && !yield(c) {
			return
		}
	}
}

// followParents moves children to their places.
func (z *Zone) followParents() {
	n := 0
	for _, p := range z.parents {
		if !p.Alive() {
			continue
		}
		if len(z.ents[p.slot].children) == 0 {
			z.ents[p.slot].leads = false
			continue
		}
		z.parents[n] = p
		n++
		if z.ents[p.slot].parent == 0 {
			z.follow(p)
		}
	}
	z.parents = z.parents[:n]
}

func (z *Zone) follow(p Entity) {
	px, py := p.Position()
	vx, vy := p.Velocity()
	for _, id := range z.ents[p.slot].children {
		c, ok := z.Entity(id)
		if !ok {
			continue
		}
		s := &z.ents[c.slot]
		if x, y := z.nearest(s.kind, z.bounds, px+s.offX, py+s.offY); z.bounds.holds(x, y) {
			c.SetPosition(x, y)
		}
		c.SetVelocity(vx, vy)
		z.follow(c)
	}
}

// Die is an entity's death: OnDeath is called, once whatever happens, and the entity is despawned at the end of the next tick, so that those who see it see what became of it and hear what is
// emitted about it. Until then it is Dead: it is not visited, and its player's messages that need an avatar are refused. by is who killed it, 0: nobody.
// A player whose avatar it was gets OnRespawn so many ticks later; 0: never, the game has rules of its own. Die tells whether this call was the one that killed: what it is worth is given once.
func (z *Zone) Die(b Being, by EntityID, respawn uint32) bool {
	z.own()
	e := b.entity()
	x := e.get()
	if x.dead {
		return false
	}
	x.dead = true
	z.dying = append(z.dying, e)
	p := x.player
	if z.game.OnDeath != nil {
		_ = z.hook("OnDeath", p, func() error { z.game.OnDeath(z, e, by); return nil })
	}
	if p != nil && respawn > 0 {
		z.RespawnIn(p, respawn)
	}
	return true
}

// Dead tells whether Die was called for the entity, which is despawned at the end of the tick after.
func (e Entity) Dead() bool { return e.get().dead }

// RespawnIn has OnRespawn called for a player in so many ticks, unless it has left or has a living avatar by then.
func (z *Zone) RespawnIn(p *Player, ticks uint32) {
	z.own()
	z.After(ticks, func() {
		if p.gone || p.avatar.Alive() && !p.avatar.Dead() || z.game.OnRespawn == nil {
			return
		}
		if err := z.hook("OnRespawn", p, func() error { return z.game.OnRespawn(z, p) }); err != nil {
			z.stats.Refused++
		}
	})
}

// bury despawns who has lain dead for a whole tick.
func (z *Zone) bury() {
	n := 0
	for _, e := range z.dying {
		if !e.Alive() {
			continue
		}
		if x := &z.ents[e.slot]; !x.lies {
			x.lies = true
			z.dying[n] = e
			n++
			continue
		}
		z.Despawn(e)
	}
	z.dying = z.dying[:n]
}
