package main

import "math/rand/v2"

// mob is a flash mob: people of a wide square walk into a disc in its middle, where everyone sees everyone, stay a while, and go home.
type mob struct {
	*stroll
	chance       *rand.Rand
	homeX, homeZ []float32
	fromX, fromZ []float32 // where a walk began
	toX, toZ     []float32 // where it ends
	tick         int
	gathered     int // tick at which everyone is there
	dissolving   int // tick at which everyone goes
	home         int // tick at which everyone is at home again
}

// newFlash makes a mob that gathers for two fifths of the time, stays for one, and dissolves for two.
func newFlash(p plan) *world {
	const radius = enterRadius / 2
	n := p.entities
	w := newWorld(n, roomy(n))
	m := &mob{stroll: newStroll(w, radius), chance: p.chance(6), gathered: max(1, p.ticks*2/5), dissolving: max(2, p.ticks*3/5), home: max(3, p.ticks)}
	for _, list := range []*[]float32{&m.homeX, &m.homeZ, &m.fromX, &m.fromZ, &m.toX, &m.toZ} {
		*list = make([]float32, n)
	}
	for i := range w.x {
		w.x[i], w.z[i] = m.chance.Float32()*w.side, m.chance.Float32()*w.side
		m.toX[i], m.toZ[i] = inDisc(m.chance, w.side/2, w.side/2, radius*0.99)
		m.turn(i, m.chance)
	}
	copy(m.homeX, w.x)
	copy(m.homeZ, w.z)
	copy(m.fromX, w.x)
	copy(m.fromZ, w.z)
	w.dots = []spot{{w.side / 2, w.side / 2, radius}}
	w.step = m.move
	return w
}

func (m *mob) move() {
	m.tick++
	if m.tick == m.dissolving+1 {
		copy(m.fromX, m.x)
		copy(m.fromZ, m.z)
		copy(m.toX, m.homeX)
		copy(m.toZ, m.homeZ)
	}
	switch {
	case m.tick <= m.gathered:
		m.along(float32(m.tick) / float32(m.gathered))
	case m.tick > m.dissolving && m.tick <= m.home:
		m.along(float32(m.tick-m.dissolving) / float32(m.home-m.dissolving))
	case m.tick <= m.dissolving:
		for i := range m.x {
			m.stroll.stroll(i, m.chance)
		}
	}
}

// along puts everyone on the way from where they began to where they go, 0 to 1.
func (m *mob) along(part float32) {
	for i := range m.x {
		m.x[i] = within(m.fromX[i]+part*(m.toX[i]-m.fromX[i]), m.side)
		m.z[i] = within(m.fromZ[i]+part*(m.toZ[i]-m.fromZ[i]), m.side)
	}
}
