package aoi

import "math"

// tick makes up the calls of one tick, the Tick included, from what the twin says is there now.
// The caller plays each op as it comes, so that the next one knows.
func (g *gen) tick(play func(op) error) error {
	if g.rnd.IntN(8) == 0 {
		g.mood = mood(g.rnd.IntN(int(moods)))
	}
	g.out = g.out[:0]
	flush := func() error {
		for _, o := range g.out {
			if err := play(o); err != nil {
				return err
			}
		}
		g.out = g.out[:0]
		return nil
	}
	for range g.rnd.IntN(g.perTick) + 1 {
		g.call()
		if err := flush(); err != nil {
			return err
		}
	}
	for _, halves := range [2]bool{true, false} { // before and after the Tick
		for range 2 {
			g.query()
		}
		if g.rnd.IntN(4) == 0 || !halves {
			g.emit(op{kind: opSets})
		}
		if halves {
			g.emit(op{kind: opTick})
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}

func (g *gen) emit(o op) { g.out = append(g.out, o) }

func (g *gen) call() {
	if n := len(g.r.live); n == 0 || n < g.entries/2 || n < g.entries && g.rnd.IntN(20) == 0 {
		g.add()
		return
	}
	id := g.r.live[g.rnd.IntN(len(g.r.live))]
	e := &g.r.twin.entries[g.r.ids[id]]
	switch g.mood {
	case allSorts:
		g.any(id, e)
	case strolling:
		g.stroll(id, e)
	case nearlyIdle:
		if g.rnd.IntN(g.perTick) < 2 {
			g.any(id, e)
		}
	case observersMove:
		if e.enter > 0 {
			g.stroll(id, e)
		}
	case othersMove:
		if e.enter == 0 {
			g.stroll(id, e)
		}
	case comeAndGo:
		if g.emit(op{kind: opRemove, id: id}); g.rnd.IntN(2) == 0 { // comes back where it was, or moved away at last
			g.add()
			g.out[len(g.out)-1].x, g.out[len(g.out)-1].z = e.x, e.z
		}
	case tuning:
		g.setting(id, e)
	case thereAndBack:
		x, z := g.somewhere()
		g.emit(op{kind: opMove, id: id, x: x, z: z})
		g.emit(op{kind: opMove, id: id, x: e.x, z: e.z})
	case leaping:
		g.teleport(id)
	}
}

func (g *gen) any(id int, e *twinEntry) {
	switch k := g.rnd.IntN(40); {
	case k < 3:
		g.emit(op{kind: opRemove, id: id})
	case k < 6:
		g.teleport(id)
	case k < 12:
		g.setting(id, e)
	case k < 13 && g.rnd.IntN(4) == 0:
		g.emit(op{kind: opRefused, id: id})
	default:
		g.stroll(id, e)
	}
}

func (g *gen) add() {
	o := op{kind: opAdd, id: g.ids, hidden: g.rnd.IntN(8) == 0}
	g.ids++
	o.x, o.z = g.somewhere()
	o.a, o.b = g.reach()
	if o.b == float32(o.a*1.1) || g.rnd.IntN(4) == 0 {
		o.b = 0 // the default
	}
	if g.opts != nil {
		g.opts(g, &o)
	}
	g.emit(o)
}

func (g *gen) stroll(id int, e *twinEntry) {
	dx, dz := g.spread(g.step), g.spread(g.step)
	if g.integer {
		dx, dz = 2*dx, 2*dz
	}
	if g.drift != nil {
		dx, dz = g.drift(g, e)
	}
	x, z := g.inside(e.x+dx, e.z+dz)
	g.emit(op{kind: opMove, id: id, x: x, z: z})
}

func (g *gen) teleport(id int) {
	x, z := g.somewhere()
	switch g.rnd.IntN(4) {
	case 0: // onto another
		o := g.r.twin.entries[g.r.ids[g.r.live[g.rnd.IntN(len(g.r.live))]]]
		x, z = o.x, o.z
	case 2: // where the last bit of d² decides whether another sees it
		o := g.r.twin.entries[g.r.ids[g.r.live[g.rnd.IntN(len(g.r.live))]]]
		x, z = g.inside(g.brink(o))
	case 1: // a corner
		x, z = g.r.bounds[2*g.rnd.IntN(2)], g.r.bounds[1+2*g.rnd.IntN(2)]
	}
	g.emit(op{kind: opMove, id: id, x: x, z: z})
}

// brink is a place on the enter or leave circle of o, give or take a few units in the last place.
func (g *gen) brink(o twinEntry) (x, z float32) {
	r := o.enter
	if g.rnd.IntN(2) == 0 {
		r = o.leave
	}
	x = o.x + g.spread(r)
	dx := float64(x) - float64(o.x)
	z = o.z + float32(math.Copysign(math.Sqrt(max(float64(r)*float64(r)-dx*dx, 0)), float64(g.spread(1))))
	for range g.rnd.IntN(4) {
		z = math.Nextafter32(z, o.z)
	}
	return x, z
}

func (g *gen) setting(id int, e *twinEntry) {
	switch g.rnd.IntN(6) {
	case 0, 1:
		o := op{kind: opRadius, id: id}
		o.a, o.b = g.reach()
		if g.rnd.IntN(3) == 0 && e.enter > 0 { // off and on again within the tick
			g.emit(op{kind: opRadius, id: id})
			o.a, o.b = e.enter, e.leave
		}
		g.emit(o)
	case 2:
		if g.emit(op{kind: opHidden, id: id, hidden: !e.hidden}); g.rnd.IntN(4) == 0 {
			g.emit(op{kind: opHidden, id: id, hidden: e.hidden})
		}
	case 3:
		g.emit(op{kind: opLayers, id: id, bits: g.layers()})
	case 4:
		g.emit(op{kind: opMask, id: id, mask: g.layers()})
	case 5:
		o := op{id: id}
		anything(g, &o)
		g.emit(op{kind: opNearest, id: id, n: o.n})
	}
}

func (g *gen) query() {
	o := op{kind: opWithin + kind(g.rnd.IntN(4)), zero: g.rnd.IntN(2) == 0, bits: g.layers(), n: g.rnd.IntN(12)}
	o.x, o.z = g.somewhere()
	if len(g.r.live) > 0 && g.rnd.IntN(2) == 0 { // from where one stands
		e := g.r.twin.entries[g.r.ids[g.r.live[g.rnd.IntN(len(g.r.live))]]]
		o.x, o.z = e.x, e.z
	}
	switch o.a, _ = g.reach(); o.kind {
	case opBox:
		o.a, o.b = o.x+o.a, o.z+g.radius*g.rnd.Float32()
		if g.rnd.IntN(4) == 0 { // exactly from one to another, or inside out
			o.a, o.b = g.somewhere()
		}
	case opSector:
		angle := g.rnd.Float64() * 2 * math.Pi
		long := math.Pow(10, float64(g.rnd.IntN(9)-4))
		o.dirX, o.dirZ = float32(long*math.Cos(angle)), float32(long*math.Sin(angle))
		o.b = g.rnd.Float32() * 3.5
	case opNearestTo:
		if g.rnd.IntN(8) == 0 {
			o.a = float32(math.Inf(1))
		}
		if g.rnd.IntN(8) == 0 {
			o.n = math.MaxInt32
		}
	}
	g.emit(o)
}
