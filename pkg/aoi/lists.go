package aoi

// list is what a block of eyes looks at: blocks of targets, and a row of each.
type list struct {
	made   bool
	blocks []uint32
	rows   []row
}

// find returns where in a list a block of targets is, or -1.
func (l *list) find(b uint32) int {
	for i, o := range l.blocks {
		if o == b {
			return i
		}
	}
	return -1
}

// pool keeps the memory of lists, most of a space's: in steps of some entries, and what one list gives up waits for the next, so that lists that grow and shrink all the
// time allocate nothing. Long ones, of crowds and of those who see far, are left to the garbage collector.
type pool struct {
	waiting [poolSteps + 1][]list // by steps
	limit   int                   // how many of a size wait at most
}

const (
	step      = 4
	poolSteps = 64
)

// resize gives a list room for n entries. What is in it is lost if it does not shrink within its room.
func (p *pool) resize(l *list, n int) {
	if room := cap(l.blocks); n > room || room-n >= 2*step+n/4 || n == 0 {
		if p.put(l); n > 0 {
			p.take(l, n)
		}
	}
	l.blocks, l.rows = l.blocks[:n], l.rows[:n]
}

func (p *pool) take(l *list, n int) {
	k := (n + step - 1) / step
	for i := k; i <= min(k+2, poolSteps); i++ { // somewhat too much room is better than new memory
		if last := len(p.waiting[i]) - 1; last >= 0 {
			l.blocks, l.rows = p.waiting[i][last].blocks, p.waiting[i][last].rows
			p.waiting[i] = p.waiting[i][:last]
			return
		}
	}
	room := k * step
	if k > poolSteps {
		room = n + n/8
	}
	l.blocks, l.rows = make([]uint32, 0, room), make([]row, 0, room)
}

func (p *pool) put(l *list) {
	if k := cap(l.blocks) / step; k > 0 && k <= poolSteps && len(p.waiting[k]) < p.limit && cap(l.blocks) == k*step && cap(l.rows) == k*step {
		p.waiting[k] = append(p.waiting[k], list{blocks: l.blocks[:0], rows: l.rows[:0]})
	}
	l.blocks, l.rows = nil, nil
}

// add appends a block of targets of which nobody sees anything yet.
func (p *pool) add(l *list, b uint32) {
	if n := len(l.blocks); n == cap(l.blocks) {
		old := *l
		p.take(l, n+1+n/64*4) // long ones grow by more at a time
		l.blocks, l.rows = append(l.blocks, old.blocks...), append(l.rows, old.rows...)
		p.put(&old)
	}
	l.blocks, l.rows = append(l.blocks, b), append(l.rows, row{})
}

// drop takes out an entry of which nobody sees anything.
func (l *list) drop(i int) {
	n := len(l.blocks) - 1
	l.blocks[i], l.rows[i] = l.blocks[n], l.rows[n]
	l.blocks, l.rows = l.blocks[:n], l.rows[:n]
}

// trim gives up room that a list will not need again soon.
func (p *pool) trim(l *list) {
	n := len(l.blocks)
	if n == 0 || cap(l.blocks) <= 2*n+4*step {
		return
	}
	old := *l
	l.blocks, l.rows = nil, nil
	p.take(l, n)
	l.blocks, l.rows = append(l.blocks, old.blocks...), append(l.rows, old.rows...)
	p.put(&old)
}

// keep bounds how many lists of a size wait, and lets go of the others.
func (p *pool) keep(n int) {
	p.limit = n
	for k, w := range p.waiting {
		if len(w) > n {
			clear(w[n:])
			p.waiting[k] = w[:n]
		}
	}
}
