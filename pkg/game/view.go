package game

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/aoi"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// Control makes an entity the player's avatar: its view moves with it. It is despawned when the player leaves.
func (z *Zone) Control(p *Player, e Entity) error {
	x, y := e.Position()
	enter, leave := z.radii(e)
	h, err := z.space.Add(float32(x), float32(y), aoi.Opts{Hidden: true, Radius: float32(enter), LeaveRadius: float32(leave)})
	if err != nil {
		return fmt.Errorf("control entity %d: %w", e.id, err)
	}
	if p.looks {
		z.dropView(p, p.view, p.spectator, p.spectates)
	}
	p.avatar, p.view, p.looks = e, h, true
	z.bindObserver(h, p)
	return z.Push(p, protocol.RouteAvatar, &mmov1.Avatar{Entity: uint64(e.id), Zone: z.cfg.Zone})
}

// radii are those of an avatar's view, in quanta: its kind's, or the zone's.
func (z *Zone) radii(e Entity) (enter, leave int32) {
	if sees := e.get().kind.codec.Kind.Sees; sees > 0 {
		enter = int32(min(max(math.Round(sees/z.quantum), 1), 1<<23))
		return enter, enter + enter/10
	}
	return z.cfg.EnterRadius, z.cfg.LeaveRadius
}

// Spectate adds an observer of a radius (quanta) around the zone's centre to the player's view; 0 removes it. It returns the radius in force, which
// Config.MaxSpectate bounds.
func (z *Zone) Spectate(p *Player, radius int32) (int32, error) {
	radius = min(max(radius, 0), z.cfg.MaxSpectate)
	switch {
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
	return radius, nil
}

// dropView removes one of a player's observers; what the other one still sees stays in view.
func (z *Zone) dropView(p *Player, h, other aoi.Handle, hasOther bool) {
	if p.Connected() {
		z.space.Visible(h, func(target aoi.Handle) bool {
			if !hasOther || !z.space.Sees(other, target) {
				z.src.Leave(p.conn, z.slotOf[target])
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

// Emit sends a message of a route that the game declared to every player in whose view an entity is as of the last tick. Of a route of Delivery Reliable that
// includes those who linger without a connection, by what their avatars and spectators see: it is numbered and waits for them. What else is emitted is lost for
// them. It fails as Push does.
func (z *Zone) Emit(about Being, route uint16, m proto.Message) error {
	e := about.entity()
	e.get()
	r, ok := z.routes.Lookup(route)
	waits := ok && r.Delivery == protocol.Reliable
	for _, p := range z.players {
		if p.gone || !waits && !p.Connected() || !z.sees(p, e) {
			continue
		}
		if err := z.Push(p, route, m); err != nil {
			return err
		}
	}
	return nil
}

// sees tells whether a living entity is in a player's view as of the last tick. Without a connection there is no view that is replicated: the interest index knows.
func (z *Zone) sees(p *Player, e Entity) bool {
	switch x := &z.ents[e.slot]; {
	case p.Connected():
		return z.src.Sees(p.conn, e.slot)
	case !x.kind.places:
		return false // it has no handle in the index
	default:
		return p.looks && z.space.Sees(p.view, x.aoi) || p.spectates && z.space.Sees(p.spectator, x.aoi)
	}
}

// Seen is the number of entities in a session's view as of the last tick, 0 if the session is not here or has no connection to be shown it.
func (z *Zone) Seen(s SessionID) int {
	if p := z.player(s); p != nil {
		return z.src.View(p.conn)
	}
	return 0
}

// interest moves the players' views to their avatars and tells the source of replication who sees whom now.
func (z *Zone) interest() {
	for _, slot := range z.despawned {
		z.src.Despawn(slot)
	}
	for _, slot := range z.spawned {
		if e := &z.ents[slot]; e.id != 0 {
			z.src.Spawn(slot, uint64(e.id), e.kind.codec.Kind.ID, &e.state, z.tick)
		}
	}
	for _, p := range z.players {
		if p.gone || !p.looks || !p.avatar.Alive() {
			continue // who lost its avatar goes on seeing the place where it was
		}
		x, y := p.avatar.Position()
		if err := z.space.Move(p.view, float32(x), float32(y)); err != nil {
			panic(fmt.Sprintf("game: view of session %d: %v", p.Session, err))
		}
	}
	ev := z.space.Tick()
	for _, l := range ev.Leaves {
		if p := z.observer[l.Observer]; p != nil && !z.seesOtherwise(p, l) {
			z.src.Leave(p.conn, z.slotOf[l.Target])
		}
	}
	for _, e := range ev.Enters {
		if p := z.observer[e.Observer]; p != nil {
			z.src.Enter(p.conn, z.slotOf[e.Target])
		}
	}
	for _, p := range z.blinded {
		z.forgetDead(p)
	}
	clear(z.blinded)
	z.blinded = z.blinded[:0]
	z.free = append(z.free, z.despawned...)
	z.spawned, z.despawned = z.spawned[:0], z.despawned[:0]
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

// seesOtherwise tells whether a player's other observer still sees what one lost.
func (z *Zone) seesOtherwise(p *Player, pair aoi.Pair) bool {
	if p.spectates && pair.Observer == p.spectator {
		return p.looks && z.space.Sees(p.view, pair.Target)
	}
	return p.spectates && z.space.Sees(p.spectator, pair.Target)
}

func (z *Zone) bindObserver(h aoi.Handle, p *Player) {
	for int(h) >= len(z.observer) {
		z.observer = append(z.observer, nil)
	}
	z.observer[h] = p
}
