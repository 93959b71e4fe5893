package game

import (
	"github.com/tianxia-mmo/tianxia/pkg/aoi"
)

// interest is what a zone asks of its index of places: *aoi.Space says what each does. Places are quanta from the zone's corner, see Zone.local.
type interest interface {
	Add(x, y float32, o aoi.Opts) (aoi.Handle, error)
	Move(h aoi.Handle, x, y float32) error
	SetRadius(h aoi.Handle, enter, leave float32) error
	SetMask(h aoi.Handle, mask uint32) error
	Remove(h aoi.Handle) error

	Tick() aoi.Events
	Sees(observer, target aoi.Handle) bool
	Visible(observer aoi.Handle, yield func(target aoi.Handle) bool)

	Within(x, y, radius float32, yield func(h aoi.Handle) bool)
	Box(minX, minY, maxX, maxY float32, yield func(h aoi.Handle) bool)
	Sector(x, y, radius, dirX, dirY, half float32, yield func(h aoi.Handle) bool)
	Nearest(x, y, radius float32, n int, yield func(h aoi.Handle) bool)
}

var _ interest = (*aoi.Space)(nil)

// exact is up to where a float32 holds every whole number.
const exact = 1 << 24

// openInterest makes the index of a zone.
func openInterest(c aoi.Config) (interest, error) { return aoi.New(c) }

// interestConfig says what index a zone needs: entities stand up to a quarter of exact beyond its rectangle, and views of other zones' players farther.
func interestConfig(c *Config) aoi.Config {
	return aoi.Config{MinX: -exact, MinZ: -exact, MaxX: 2 * exact, MaxZ: 2 * exact, Workers: c.InterestWorkers}
}

// local is a place as the interest index has it: exact within 2^24 quanta of the zone's corner.
func (z *Zone) local(x, y int32) (float32, float32) {
	return float32(int64(x) - int64(z.cfg.X)), float32(int64(y) - int64(z.cfg.Y))
}

// interest tells the source of replication who sees whom now.
func (z *Zone) interest() {
	for _, slot := range z.despawned {
		if x := &z.ents[slot]; x.departed {
			z.src.Depart(slot, x.toZone, x.toEpoch)
			x.departed = false
		} else {
			z.src.Despawn(slot)
		}
	}
	for _, slot := range z.spawned {
		if e := &z.ents[slot]; e.id != 0 {
			z.src.Spawn(slot, uint64(e.id), e.kind.codec.Kind.ID, &e.state, z.tick)
			e.unborn = false
		}
	}
	if z.shed >= 2 && z.tick&(1<<(z.shed-1)-1) != 0 && len(z.despawned) == 0 && len(z.blinded) == 0 {
		z.stats.Shed.Interest++ // views stay as they were; what was spawned enters them with the next look
	} else {
		z.lookAround()
	}
	z.showOwn()
	for _, p := range z.blinded {
		z.forgetDead(p)
	}
	clear(z.blinded)
	z.blinded = z.blinded[:0]
	z.free = append(z.free, z.despawned...)
	z.spawned, z.despawned = z.spawned[:0], z.despawned[:0]
}

func (z *Zone) lookAround() {
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
}

// seesOtherwise tells whether a player still sees what one of its observers lost: with the other one, or because it is its avatar.
func (z *Zone) seesOtherwise(p *Player, pair aoi.Pair) bool {
	if p.controls(z.slotOf[pair.Target]) {
		return true
	}
	if p.spectates && pair.Observer == p.spectator {
		return p.looks && z.space.Sees(p.view, pair.Target)
	}
	return p.spectates && z.space.Sees(p.spectator, pair.Target)
}

// showOwn shows their avatars to players who have a new one, or a new connection: a player sees its avatar though its view ignores that layer, or has no room for it. It stays in view as long as it is the
// avatar (seesOtherwise), and leaves it with it (take, Control).
func (z *Zone) showOwn() {
	for _, p := range z.owners {
		if a := p.avatar; !p.gone && p.Connected() && a.Alive() {
			z.src.Enter(p.conn, a.slot)
		}
	}
	clear(z.owners)
	z.owners = z.owners[:0]
}

// controls tells whether the player's avatar lives in a slot.
func (p *Player) controls(slot uint32) bool { return p.avatar.slot == slot && p.avatar.Alive() }

func (z *Zone) bindObserver(h aoi.Handle, p *Player) {
	for int(h) >= len(z.observer) {
		z.observer = append(z.observer, nil)
	}
	z.observer[h] = p
}

func (z *Zone) bind(h aoi.Handle, slot uint32) {
	for int(h) >= len(z.slotOf) {
		z.slotOf = append(z.slotOf, 0)
	}
	z.slotOf[h] = slot
}
