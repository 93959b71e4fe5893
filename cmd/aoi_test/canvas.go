package main

import (
	"image"
	"image/color"
	"math"
)

// canvas draws smooth shapes: each pixel takes as much of a colour as its distance to the shape's edge says. Lengths are pixels.
type canvas struct {
	*image.RGBA
	clipX, clipY, clipR float64 // nothing is drawn outside of this circle; clipR 0: everywhere
}

func newCanvas(side int, ground color.RGBA) *canvas {
	c := &canvas{RGBA: image.NewRGBA(image.Rect(0, 0, side, side))}
	for y := range side {
		for x := range side {
			c.SetRGBA(x, y, ground)
		}
	}
	return c
}

// ink is an opaque colour and how much of it is taken.
type ink struct {
	r, g, b uint8
	alpha   float64
}

func (i ink) faded(by float64) ink { i.alpha *= by; return i }

// blend lays ink over a pixel.
func (c *canvas) blend(x, y int, i ink, cover float64) {
	if !(image.Point{X: x, Y: y}).In(c.Rect) {
		return
	}
	if c.clipR > 0 {
		cover *= min(max(c.clipR+0.5-math.Hypot(float64(x)+0.5-c.clipX, float64(y)+0.5-c.clipY), 0), 1)
	}
	a := min(max(cover, 0), 1) * i.alpha
	if a <= 0 {
		return
	}
	at := c.PixOffset(x, y)
	for k, v := range [3]uint8{i.r, i.g, i.b} {
		old := float64(c.Pix[at+k])
		c.Pix[at+k] = uint8(old + a*(float64(v)-old) + 0.5)
	}
}

// shape draws whatever is at most 0 by a signed distance, within a box.
func (c *canvas) shape(x0, y0, x1, y1 float64, i ink, distance func(x, y float64) float64) {
	for y := int(math.Floor(y0 - 1)); y <= int(math.Ceil(y1+1)); y++ {
		for x := int(math.Floor(x0 - 1)); x <= int(math.Ceil(x1+1)); x++ {
			c.blend(x, y, i, 0.5-distance(float64(x)+0.5, float64(y)+0.5))
		}
	}
}

func (c *canvas) disc(x, y, r float64, i ink) {
	c.shape(x-r, y-r, x+r, y+r, i, func(px, py float64) float64 { return math.Hypot(px-x, py-y) - r })
}

// glow is a disc that fades towards its edge.
func (c *canvas) glow(x, y, r float64, i ink) {
	for py := int(y - r); py <= int(y+r); py++ {
		for px := int(x - r); px <= int(x+r); px++ {
			if d := math.Hypot(float64(px)+0.5-x, float64(py)+0.5-y) / r; d < 1 {
				c.blend(px, py, i, (1-d)*(1-d))
			}
		}
	}
}

// ring is a circle of some width, in so many dashes, or 0: without a gap.
func (c *canvas) ring(x, y, r, width float64, dashes int, i ink) {
	c.shape(x-r-width, y-r-width, x+r+width, y+r+width, i, func(px, py float64) float64 {
		d := math.Abs(math.Hypot(px-x, py-y)-r) - width/2
		if dashes == 0 || d > 1 {
			return d
		}
		turn := math.Atan2(py-y, px-x)/(2*math.Pi) + 0.5
		_, part := math.Modf(turn * float64(dashes))
		along := (math.Abs(part-0.5) - 0.3) * 2 * math.Pi * r / float64(dashes) // beyond the end of a dash
		return max(d, along)
	})
}

// line has round ends.
func (c *canvas) line(x0, y0, x1, y1, width float64, i ink) {
	dx, dy := x1-x0, y1-y0
	length2 := max(dx*dx+dy*dy, 1e-9)
	c.shape(min(x0, x1)-width, min(y0, y1)-width, max(x0, x1)+width, max(y0, y1)+width, i, func(px, py float64) float64 {
		t := min(max(((px-x0)*dx+(py-y0)*dy)/length2, 0), 1)
		return math.Hypot(px-x0-t*dx, py-y0-t*dy) - width/2
	})
}

// panel is a filled box with round corners.
func (c *canvas) panel(x0, y0, x1, y1, corner float64, i ink) {
	c.shape(x0, y0, x1, y1, i, func(px, py float64) float64 {
		dx := max(x0+corner-px, px-x1+corner)
		dy := max(y0+corner-py, py-y1+corner)
		return math.Hypot(max(dx, 0), max(dy, 0)) + min(max(dx, dy), 0) - corner
	})
}
