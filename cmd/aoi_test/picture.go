package main

import (
	"bufio"
	"cmp"
	"fmt"
	"image/color"
	"image/png"
	"math"
	"os"
	"runtime"
	"slices"
	"time"
)

// A picture is a map of the world above a strip with figures. What one observer sees is highlighted there, and shown enlarged through a lens over the emptiest corner.
const (
	pictureSide = 1200
	stripHeight = 116
	mapSide     = pictureSide - stripHeight - 24
	mapLeft     = (pictureSide - mapSide) / 2
	mapTop      = 12
	lensRadius  = 236
)

// inks are the colours of a picture.
type inks struct{ grid, dot, seen, held, circle, text, faint ink }

func palette() inks {
	return inks{
		grid: ink{120, 150, 210, 0.1}, dot: ink{150, 172, 214, 0.55}, seen: ink{255, 203, 92, 1}, held: ink{255, 116, 92, 1},
		circle: ink{104, 222, 255, 0.95}, text: ink{236, 242, 255, 1}, faint: ink{150, 166, 200, 1},
	}
}

// scene is a world at a tick and the observer whose view is drawn.
type scene struct {
	job
	*world
	*crew
	observer int32
	visible  []bool // by entity
	seen     int
	mean     float64 // visible targets per observer
	events   float64 // per tick
	ns       float64 // per entity and tick
	clock    string
}

// drawTo draws a workload into a file.
func drawTo(o *options, c console) error {
	j := o.job(o.workloads[0], o.kernels[0])
	if o.ticks == 0 || j.whole {
		j.plan.ticks = j.workload.ticks
	}
	s, err := newScene(j, o.ticks)
	if err != nil {
		return fmt.Errorf("draw %s: %w", j.name, err)
	}
	if err := writePNG(o.png, s.draw()); err != nil {
		return fmt.Errorf("draw %s: %w", j.name, err)
	}
	_, err = fmt.Fprintf(c.out, "%s: %s after %s, entity %d sees %s of %s\n", o.png, j.name, plural(s.shown(o.ticks), "tick"), s.observer,
		thousands(float64(s.seen)), thousands(float64(len(s.x))))
	return err
}

func writePNG(path string, c *canvas) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, f.Close()) }()
	b := bufio.NewWriter(f)
	if err := png.Encode(b, c.RGBA); err != nil {
		return err
	}
	return b.Flush()
}

// shown is how many ticks go by before the picture: a hundred, or a flash mob on its way.
func (j job) shown(ticks int) int {
	switch {
	case ticks > 0:
		return ticks
	case j.whole:
		return j.plan.ticks / 3
	}
	return 100
}

func newScene(j job, ticks int) (*scene, error) {
	runtime.LockOSThread() // for the clock
	defer runtime.UnlockOSThread()
	w := j.build(j.plan)
	s := &scene{job: j, world: w, crew: reserve(w), visible: make([]bool, len(w.x))}
	pairs, err := s.start(j, w)
	if err != nil {
		return nil, err
	}
	now, clock := clockFor(j.workers)
	s.clock = clock
	spent := time.Duration(0)
	n := j.shown(ticks)
	for range n {
		w.step()
		start := now()
		ev, err := s.tick(w)
		if err != nil {
			return nil, err
		}
		spent += now() - start
		pairs += len(ev.Enters) - len(ev.Leaves)
		s.events += float64(len(ev.Enters)+len(ev.Leaves)) / float64(n)
	}
	s.mean = float64(pairs) / float64(max(w.observers(), 1))
	s.ns = float64(spent) / float64(n) / float64(len(w.x))
	s.observer = s.pick()
	for t := range targets(s.crew, s.observer) {
		s.visible[t] = true
		s.seen++
	}
	return s, nil
}

// away2 is how far an entity is from the observer, squared.
func (s *scene) away2(t int32) float32 {
	return distance2(s.x[t]-s.x[s.observer], s.z[t]-s.z[s.observer])
}

// pick chooses an observer with the usual radius who sees more than four fifths of the others do, and not at the edge of the world.
func (s *scene) pick() int32 {
	type one struct {
		entity int32
		sees   int
	}
	var all []one
	usual := usualRadius(s.world)
	for i := range s.x {
		if r := s.opts[i].Radius; r < usual*0.9 || r > usual*1.1 {
			continue
		}
		edge := min(s.x[i], s.z[i], s.side-s.x[i], s.side-s.z[i])
		if edge < min(2*usual, s.side/4) && len(all) > 0 {
			continue
		}
		n := 0
		for range targets(s.crew, int32(i)) {
			n++
		}
		all = append(all, one{int32(i), n})
	}
	slices.SortFunc(all, func(a, b one) int { return cmp.Or(cmp.Compare(a.sees, b.sees), cmp.Compare(a.entity, b.entity)) })
	return all[len(all)*4/5].entity
}

// onMap is where a place of the world is in the picture.
func (s *scene) onMap(x, z float32) (float64, float64) {
	return mapLeft + float64(x/s.side)*mapSide, mapTop + mapSide - float64(z/s.side)*mapSide
}

func (s *scene) draw() *canvas {
	c, inks := newCanvas(pictureSide, color.RGBA{10, 14, 28, 255}), palette()
	s.drawDensity(c)
	s.drawCells(c, inks)
	dot := min(max(130/math.Sqrt(float64(len(s.x))), 0.7), 2.4)
	full := float64(len(s.x)) * math.Pi * dot * dot / (mapSide * mapSide) // part of the map that dots would fill
	dim := inks.dot.faded(min(1, 0.4/full))
	for i := range s.x {
		x, y := s.onMap(s.x[i], s.z[i])
		if s.visible[i] {
			c.disc(x, y, dot*1.25, inks.seen)
		} else {
			c.disc(x, y, dot, dim)
		}
	}
	s.drawLens(c, inks)
	s.drawStrip(c, inks)
	return c
}

// drawDensity lays a light under crowds: how many entities are around a pixel, blurred.
func (s *scene) drawDensity(c *canvas) {
	const step = 4 // pixels per field
	n := mapSide/step + 2
	field := make([]float64, n*n)
	for i := range s.x {
		x, y := s.onMap(s.x[i], s.z[i])
		field[int((y-mapTop)/step)*n+int((x-mapLeft)/step)]++
	}
	field = blurred(blurred(field, n), n)
	most := max(slices.Max(field), 4*float64(len(s.x))*step*step/(mapSide*mapSide)) // a uniform world stays calm
	for y := range mapSide {
		for x := range mapSide {
			fx, fy := float64(x)/step, float64(y)/step
			px, py := fx-math.Floor(fx), fy-math.Floor(fy)
			at := field[int(fy)*n+int(fx):]
			v := math.Sqrt(((at[0]*(1-px)+at[1]*px)*(1-py) + (at[n]*(1-px)+at[n+1]*px)*py) / most)
			c.blend(mapLeft+x, mapTop+y, ink{uint8(26 + 40*v), uint8(44 + 96*v), uint8(92 + 108*v), 0.25 + 0.6*v}, 1)
		}
	}
}

// blurred spreads every row of a square normally, and returns it with rows and columns exchanged: twice is all of it.
func blurred(field []float64, n int) []float64 {
	const reach, deviation = 9, 3.0 // in fields
	out := make([]float64, n*n)
	for d := -reach; d <= reach; d++ {
		part := math.Exp(-float64(d*d) / (2 * deviation * deviation))
		for y := range n {
			for x := max(0, -d); x < min(n, n-d); x++ {
				out[x*n+y] += part * field[y*n+x+d]
			}
		}
	}
	return out
}

// drawCells draws lines every usual radius: the cells of a plain grid.
func (s *scene) drawCells(c *canvas, inks inks) {
	for v := float32(0); v <= s.side; v += usualRadius(s.world) {
		x, _ := s.onMap(v, 0)
		_, y := s.onMap(0, v)
		c.line(x, mapTop, x, mapTop+mapSide, 1, inks.grid)
		c.line(mapLeft, y, mapLeft+mapSide, y, 1, inks.grid)
	}
}

// drawLens enlarges the surroundings of the observer.
func (s *scene) drawLens(c *canvas, inks inks) {
	o := s.observer
	enter, leave := s.opts[o].Radius, s.opts[o].LeaveRadius
	mapX, mapY := s.onMap(s.x[o], s.z[o])
	scale := float64(mapSide / s.side)
	small := float64(leave) * scale * 1.18
	c.ring(mapX, mapY, float64(enter)*scale, 1.4, 0, inks.circle)
	c.ring(mapX, mapY, small, 1.6, 0, inks.text.faded(0.9))

	x, y := s.lensAt(mapX, mapY)
	tangents(mapX, mapY, small, x, y, lensRadius, func(x0, y0, x1, y1 float64) { c.line(x0, y0, x1, y1, 1.2, inks.text.faded(0.45)) })
	c.disc(x, y, lensRadius+9, ink{6, 9, 20, 0.55})
	c.disc(x, y, lensRadius, ink{13, 19, 38, 1})
	zoom := lensRadius / (float64(leave) * 1.18)
	c.clipX, c.clipY, c.clipR = x, y, lensRadius
	c.glow(x, y, float64(enter)*zoom, ink{70, 130, 190, 0.5})
	drawn := 0
	for i := range s.x {
		if math.Sqrt(float64(s.away2(int32(i)))) < float64(leave)*1.3 {
			drawn++
		}
	}
	dot := min(max(110/math.Sqrt(float64(drawn+1)), 1.4), 4.6)
	for _, lit := range []bool{false, true} { // what is seen lies on top
		for i := range s.x {
			px, py := x+float64(s.x[i]-s.x[o])*zoom, y-float64(s.z[i]-s.z[o])*zoom
			if s.visible[i] != lit || int32(i) == o || math.Hypot(px-x, py-y) > lensRadius+8 {
				continue
			}
			switch {
			case !lit:
				c.disc(px, py, dot*0.8, inks.dot)
			case s.away2(int32(i)) > square(enter):
				c.disc(px, py, dot*1.15, inks.held)
			default:
				c.disc(px, py, dot, inks.seen)
			}
		}
	}
	c.ring(x, y, float64(enter)*zoom, 2.2, 0, inks.circle)
	c.ring(x, y, float64(leave)*zoom, 1.8, 72, inks.circle)
	c.glow(x, y, 20, inks.text.faded(0.7))
	c.disc(x, y, 6.5, inks.text)
	c.clipR = 0
	c.ring(x, y, lensRadius, 2.4, 0, inks.text.faded(0.9))
}

// lensAt is the corner of the map with the fewest entities under a lens, away from the observer.
func (s *scene) lensAt(fromX, fromY float64) (x, y float64) {
	const inset = lensRadius + 18
	fewest := math.Inf(1)
	for _, corner := range [][2]float64{{mapLeft + mapSide - inset, mapTop + inset}, {mapLeft + inset, mapTop + inset},
		{mapLeft + mapSide - inset, mapTop + mapSide - inset}, {mapLeft + inset, mapTop + mapSide - inset}} {
		n := 0.0
		for i := range s.x {
			if px, py := s.onMap(s.x[i], s.z[i]); math.Hypot(px-corner[0], py-corner[1]) < lensRadius {
				n++
			}
		}
		if math.Hypot(fromX-corner[0], fromY-corner[1]) < lensRadius+90 {
			n += float64(len(s.x))
		}
		if n < fewest {
			fewest, x, y = n, corner[0], corner[1]
		}
	}
	return x, y
}

// tangents yields the two lines that touch two circles from outside.
func tangents(x0, y0, r0, x1, y1, r1 float64, yield func(x0, y0, x1, y1 float64)) {
	away := math.Hypot(x1-x0, y1-y0)
	if away <= math.Abs(r1-r0) {
		return
	}
	along, open := math.Atan2(y1-y0, x1-x0), math.Acos((r0-r1)/away)
	for _, angle := range []float64{along - open, along + open} {
		sin, cos := math.Sincos(angle)
		yield(x0+r0*cos, y0+r0*sin, x1+r1*cos, y1+r1*sin)
	}
}

// drawStrip writes the name, what the colours mean, and figures.
func (s *scene) drawStrip(c *canvas, inks inks) {
	const top = pictureSide - stripHeight
	c.panel(0, top, pictureSide, pictureSide+20, 0, ink{6, 9, 20, 1})
	c.line(0, top, pictureSide, top, 1.2, inks.text.faded(0.2))
	c.write(mapLeft, top+48, 25, inks.text, s.name)
	x := float64(mapLeft)
	enter, leave := s.opts[s.observer].Radius, s.opts[s.observer].LeaveRadius
	swatch := func(draw func(x, y float64), text string) {
		draw(x+7, top+86)
		x = c.write(x+22, top+91, 10.5, inks.faint, text) + 24
	}
	swatch(func(x, y float64) { c.disc(x, y, 5, inks.seen) }, "visible")
	swatch(func(x, y float64) { c.disc(x, y, 5, inks.held) }, "still visible")
	swatch(func(x, y float64) { c.disc(x, y, 4, inks.dot) }, "others")
	swatch(func(x, y float64) { c.ring(x, y, 6, 2, 0, inks.circle) }, fmt.Sprintf("enter %.3g", enter))
	swatch(func(x, y float64) { c.ring(x, y, 6, 2, 6, inks.circle) }, fmt.Sprintf("leave %.3g", leave))
	right := float64(pictureSide - mapLeft)
	for _, f := range [][2]string{{"kernel", s.space.Kernel().String()}, {"ns/entity/tick", short(s.ns)}, {"events/tick", thousands(s.events)},
		{"mean visible", short(s.mean)}, {"sees", thousands(float64(s.seen))}, {"entities", thousands(float64(len(s.x)))}} {
		width := max(long(18, f[1]), long(9, f[0]))
		c.write(right-width, top+40, 18, inks.text, f[1])
		c.write(right-width, top+60, 9, inks.faint, f[0])
		right -= width + 26
	}
}
