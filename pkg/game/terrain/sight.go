package terrain

// line is a line of sight over square cells. Places are squares, so a cell reaches half a quantum beyond the middle of its outer places; in halves of quanta
// every middle is even and every border odd. A line that touches a border, or a corner, touches both sides of it: nobody looks between two corners that meet.
//
// Along an axis a line is at most 2^24 quanta long; products below stay under 2^52 for cells of up to 2^20 quanta, and under 2^60 for any.
type line struct {
	x0, y0, x1, y1 int64 // from the corner of the bounds
	dx, dy         int64
	side           int64 // of a cell, quanta
}

func newLine(x0, y0, x1, y1 int32, b *Bounds, side int64) (line, bool) {
	l := line{int64(x0) - int64(b.X), int64(y0) - int64(b.Y), int64(x1) - int64(b.X), int64(y1) - int64(b.Y), int64(x1) - int64(x0), int64(y1) - int64(y0), side}
	if l.dx < 0 { // always from left to right, so that both see each other
		l.x0, l.y0, l.x1, l.y1, l.dx, l.dy = l.x1, l.y1, l.x0, l.y0, -l.dx, -l.dy
	}
	return l, l.dx <= MaxSight && l.dy <= MaxSight && l.dy >= -MaxSight
}

// columns returns the first and the last one of n that the line touches; none if first > last.
func (l *line) columns(n int64) (first, last int64) {
	return max(floorDiv(l.x0, l.side), 0), min(floorDiv(l.x1, l.side), n-1)
}

// rows returns the rows of n that the line touches in a column that it touches.
func (l *line) rows(column, n int64) (low, high int64) {
	if l.dx == 0 {
		return max(floorDiv(min(l.y0, l.y1), l.side), 0), min(floorDiv(max(l.y0, l.y1), l.side), n-1)
	}
	// the part of the line over the column, in halves from the line's begin; heights there, in halves ÷ dx from the border of the begin's row
	from := max(2*column*l.side-1-2*l.x0, 0)
	to := min(2*(column+1)*l.side-1-2*l.x0, 2*l.dx)
	row := floorDiv(l.y0, l.side)
	begin := (2*(l.y0-row*l.side) + 1) * l.dx
	a, b := begin+l.dy*from, begin+l.dy*to
	if a > b {
		a, b = b, a
	}
	cell := 2 * l.side * l.dx
	return max(row-floorDiv(-a, cell)-1, 0), min(row+floorDiv(b, cell), n-1) // ⌈a ÷ cell⌉ − 1 and ⌊b ÷ cell⌋
}

// meets says whether the line touches a box. Two convex shapes miss each other if their shadows do, on the axes or on the line's normal.
func (l *line) meets(b *box, corner [2]int32) bool {
	x0, x1 := 2*(int64(b.low[0])-int64(corner[0]))-1, 2*(int64(b.high[0])-int64(corner[0]))+1
	y0, y1 := 2*(int64(b.low[1])-int64(corner[1]))-1, 2*(int64(b.high[1])-int64(corner[1]))+1
	// only what lies within the line's own box matters, and keeps the products small
	x0, x1 = max(x0, 2*l.x0), min(x1, 2*l.x1)
	y0, y1 = max(y0, 2*min(l.y0, l.y1)), min(y1, 2*max(l.y0, l.y1))
	if x0 > x1 || y0 > y1 {
		return false
	}
	side := func(x, y int64) int64 { return l.dx*(y-2*l.y0) - l.dy*(x-2*l.x0) }
	a, c, d, e := side(x0, y0), side(x1, y0), side(x0, y1), side(x1, y1)
	return min(a, c, d, e) <= 0 && max(a, c, d, e) >= 0
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
