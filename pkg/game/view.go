package game

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
)

// Control makes an entity the player's avatar: its view moves with it. It is despawned when the player leaves, and takes the player with it when it crosses into another zone.
func (z *Zone) Control(p *Player, b Being) error {
	z.own()
	e := b.entity()
	s := e.placed()
	if p.gone {
		return fmt.Errorf("control entity %d: player %q is not in zone %d (any more)", e.id, p.Name, z.cfg.Zone)
	}
	if s.player != nil && s.player != p {
		return fmt.Errorf("control entity %d: it is the avatar of %q", e.id, s.player.Name)
	}
	old, had := p.view, p.looks
	p.looks = false // a new view: it sees what its avatar comes to see, whatever the one before saw
	if err := z.look(p, e); err != nil {
		p.view, p.looks = old, had
		return fmt.Errorf("control entity %d: %w", e.id, err)
	}
	before := p.avatar
	p.avatar, p.lost = e, false
	s.player = p
	z.owners = append(z.owners, p)
	if had {
		z.dropView(p, old, p.spectator, p.spectates)
	}
	if before != e && before.Alive() {
		z.ents[before.slot].player = nil
		z.disown(p, before)
	}
	z.tellAvatar(p)
	return nil
}

// look makes a player see what an entity sees.
func (z *Zone) look(p *Player, e Entity) error {
	x, y := e.Position()
	enter, leave := z.radii(e)
	return z.lookFrom(p, x, y, enter, leave)
}

// lookFrom makes a player see what is around a place.
func (z *Zone) lookFrom(p *Player, x, y, enter, leave int32) error {
	if p.looks && (p.eyeX != x || p.eyeY != y) {
		if err := z.moveView(p, x, y); err != nil {
			return err
		}
	}
	if p.looks && (p.enter != enter || p.leave != leave) {
		if err := z.space.SetRadius(p.view, float32(enter), float32(leave)); err != nil {
			return err
		}
	}
	if err := z.veil(p); err != nil {
		return err
	}
	if !p.looks {
		lx, ly := z.local(x, y)
		h, err := z.space.Add(lx, ly, aoi.Opts{Hidden: true, Radius: float32(enter), LeaveRadius: float32(leave), Mask: maskOf(p.ignores), Nearest: z.cfg.MaxVisible})
		if err != nil {
			return err
		}
		p.view, p.looks, p.veiled = h, true, p.ignores
		z.bindObserver(h, p)
	}
	p.eyeX, p.eyeY, p.enter, p.leave = x, y, enter, leave
	return nil
}

func (z *Zone) moveView(p *Player, x, y int32) error {
	lx, ly := z.local(x, y)
	if err := z.space.Move(p.view, lx, ly); err != nil {
		return err
	}
	p.eyeX, p.eyeY = x, y
	return nil
}

// radii are those of an avatar's view, in quanta: its kind's, or the zone's.
func (z *Zone) radii(e Entity) (enter, leave int32) { return z.radiiOf(e.get().kind) }

func (z *Zone) radiiOf(k *kind) (enter, leave int32) {
	if sees := k.codec.Kind.Sees; sees > 0 {
		enter = int32(min(max(math.Round(sees/z.quantum), 1), 1<<23))
		return enter, enter + enter/10
	}
	return z.cfg.EnterRadius, z.cfg.LeaveRadius
}

// Spectate adds an observer of a radius (quanta) around the zone's centre to the player's view; 0 removes it. It returns the radius in force, which
// Config.MaxSpectate bounds. It shows this zone only, and ends when the player crosses into another.
func (z *Zone) Spectate(p *Player, radius int32) (int32, error) {
	z.own()
	radius = min(max(radius, 0), z.cfg.MaxSpectate)
	switch {
	case p.gone:
		return 0, fmt.Errorf("spectate: player %q is not in zone %d (any more)", p.Name, z.cfg.Zone)
	case radius == 0 && p.spectates:
		p.spectates = false
		z.dropView(p, p.spectator, p.view, p.looks)
	case radius > 0 && !p.spectates:
		h, err := z.space.Add(float32(z.cfg.Width/2), float32(z.cfg.Height/2), aoi.Opts{Hidden: true, Radius: float32(radius), LeaveRadius: float32(radius)})
		if err != nil {
			return 0, fmt.Errorf("spectate: %w", err)
		}
		p.spectator, p.spectates = h, true
		z.bindObserver(h, p)
	case radius > 0:
		if err := z.space.SetRadius(p.spectator, float32(radius), float32(radius)); err != nil {
			return 0, fmt.Errorf("spectate: %w", err)
		}
	}
	p.radius = radius
	return radius, nil
}

// disown takes what was a player's avatar, and is none any more, out of its view, unless its spectator sees it; the view of the next avatar may find it again.
func (z *Zone) disown(p *Player, e Entity) {
	if p.Connected() && !(p.spectates && z.space.Sees(p.spectator, z.ents[e.slot].aoi)) {
		z.src.Leave(p.conn, e.slot)
	}
}

// dropView removes one of a player's observers; what the other one still sees stays in view, and its avatar.
func (z *Zone) dropView(p *Player, h, other aoi.Handle, hasOther bool) {
	if p.Connected() {
		z.space.Visible(h, func(target aoi.Handle) bool {
			if slot := z.slotOf[target]; !p.controls(slot) && (!hasOther || !z.space.Sees(other, target)) {
				z.src.Leave(p.conn, slot)
			}
			return true
		})
		z.blinded = append(z.blinded, p)
	}
	z.observer[h] = nil
	if err := z.space.Remove(h); err != nil {
		panic(fmt.Sprintf("game: observer of session %d is not in the interest index: %v", p.Session, err))
	}
}

// sees tells whether a living entity is in a player's view as of the last tick. Without a connection there is no view that is replicated: the interest index knows.
func (z *Zone) sees(p *Player, e Entity) bool {
	switch x := &z.ents[e.slot]; {
	case p.Connected():
		return z.src.Sees(p.conn, e.slot)
	case !x.kind.places:
		return false // it has no handle in the index
	default:
		return p.controls(e.slot) || p.looks && z.space.Sees(p.view, x.aoi) || p.spectates && z.space.Sees(p.spectator, x.aoi)
	}
}

// Seen is the number of entities of this zone in a session's view as of the last tick, 0 if the session is not here or has no connection to be shown it.
func (z *Zone) Seen(s SessionID) int {
	if p := z.player(s); p != nil {
		return z.src.View(p.conn)
	}
	if p := z.visiting[s]; p != nil {
		return z.src.View(p.conn)
	}
	return 0
}

// Visitors is the number of players of other zones whose views touch this one.
func (z *Zone) Visitors() int { return len(z.visiting) }

// followAvatars moves the players' views to their avatars. Who lost its avatar goes on seeing the place where it was.
func (z *Zone) followAvatars() {
	for _, p := range z.players {
		if p.gone || !p.looks || !p.avatar.Alive() {
			continue
		}
		if x, y := p.avatar.Position(); x != p.eyeX || y != p.eyeY {
			if err := z.moveView(p, x, y); err != nil {
				panic(fmt.Sprintf("game: view of session %d: %v", p.Session, err))
			}
		}
	}
}

// forgetDead takes what died in this tick out of the view of a player who lost an observer in it: that observer reports no leave of it. Many may lose theirs in the
// tick in which many die, so it walks the dead or the view, whichever are fewer; either way in the order of dying.
func (z *Zone) forgetDead(p *Player) {
	if p.gone || !p.Connected() {
		return // there is no view
	}
	dead := z.despawned
	if z.src.View(p.conn) < len(dead) {
		z.dead = slices.DeleteFunc(z.src.AppendView(z.dead[:0], p.conn), func(slot uint32) bool { return z.ents[slot].id != 0 })
		slices.SortFunc(z.dead, func(a, b uint32) int { return cmp.Compare(z.ents[a].died, z.ents[b].died) })
		dead = z.dead
	}
	for _, slot := range dead {
		z.src.Leave(p.conn, slot)
	}
}
