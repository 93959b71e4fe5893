package aoi

import "encoding/binary"

// list is one observer's visible set as of the last Tick: n slots.
type list struct{ at, n uint32 }

// lists keeps all visible sets, three bytes per slot (they are most of a space's
// memory), in pages without pointers:
//
//	page: pageBytes; sets one after the other: n slots of 3 bytes little-endian
//	at:   offset of the set in mem; for a set larger than a page, index in large
//
// Every Tick writes all sets anew, in the order in which it reads them but for
// what moved in between, and a page whose last set is gone is written again. So
// memory streams through the cache instead of being gathered, holes close by
// themselves, and all that is needed twice is the few pages between reading and
// writing. (Blocks of size classes, one per observer, took half again as much
// memory and a fifth more time.)
type lists struct {
	mem  []byte
	sets []uint16 // sets in each page
	free []uint32 // empty pages
	page uint32   // being written
	used uint32   // bytes of it

	large     [][]byte
	freeLarge []uint32
}

const (
	slotBytes = 3
	pageBytes = 4096
	// pageSlots leaves a byte at the end: a slot is loaded as 4 bytes.
	pageSlots = (pageBytes - 1) / slotBytes
	maxPages  = (1 << 32) / pageBytes // at is 32 bits
)

// bytes returns the slots of l, for load, and one byte more.
func (m *lists) bytes(l list) []byte {
	if l.n > pageSlots {
		return m.large[l.at]
	}
	return m.mem[l.at:][:slotBytes*l.n+1]
}

func load(b []byte, i int) uint32 {
	return binary.LittleEndian.Uint32(b[slotBytes*i:]) & (1<<24 - 1)
}

func store(b []byte, i int, slot uint32) {
	b = b[slotBytes*i : slotBytes*i+slotBytes]
	b[0], b[1], b[2] = byte(slot), byte(slot>>8), byte(slot>>16)
}

// replace gives l room for n slots in place of what it had, and returns it.
func (m *lists) replace(l *list, n int) []byte {
	if l.n > pageSlots && n > pageSlots { // in place; it has been read
		l.n = uint32(n)
		m.large[l.at] = resized(m.large[l.at], slotBytes*n+1)
		return m.large[l.at]
	}
	m.release(l)
	switch {
	case n == 0:
		return nil
	case n > pageSlots:
		*l = list{m.takeLarge(), uint32(n)}
		m.large[l.at] = make([]byte, slotBytes*n+1, slotBytes*(n+n/8)+1)
		return m.large[l.at]
	}
	size := uint32(slotBytes * n)
	if len(m.sets) == 0 || m.used+size+1 > pageBytes {
		m.turn()
	}
	*l = list{m.page*pageBytes + m.used, uint32(n)}
	m.used += size
	m.sets[m.page]++
	return m.bytes(*l)
}

// turn begins a page.
func (m *lists) turn() {
	if len(m.sets) > 0 && m.sets[m.page] == 0 {
		m.free = append(m.free, m.page)
	}
	m.used = 0
	if n := len(m.free); n > 0 {
		m.page = m.free[n-1]
		m.free = m.free[:n-1]
		return
	}
	if len(m.sets) == maxPages {
		panic("aoi: more than 1.4 billion visible pairs")
	}
	m.page = uint32(len(m.sets))
	m.sets = append(m.sets, 0)
	size := len(m.sets) * pageBytes
	if size > cap(m.mem) {
		// By a sixteenth: append would add a quarter.
		grown := make([]byte, len(m.mem), size+size/(16*pageBytes)*pageBytes)
		copy(grown, m.mem)
		m.mem = grown
	}
	m.mem = m.mem[:size]
}

// release empties l.
func (m *lists) release(l *list) {
	switch {
	case l.n > pageSlots:
		m.large[l.at] = nil
		m.freeLarge = append(m.freeLarge, l.at)
	case l.n > 0:
		page := l.at / pageBytes
		if m.sets[page]--; m.sets[page] == 0 && page != m.page {
			m.free = append(m.free, page)
		}
	}
	*l = list{}
}

func (m *lists) takeLarge() uint32 {
	if n := len(m.freeLarge); n > 0 {
		at := m.freeLarge[n-1]
		m.freeLarge = m.freeLarge[:n-1]
		return at
	}
	m.large = append(m.large, nil)
	return uint32(len(m.large) - 1)
}
