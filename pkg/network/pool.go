package network

import "sync"

// maxPooled is the largest buffer of a transient writer kept for reuse, in bytes: a rare giant must not stay for ever.
const maxPooled = 256 << 10

// Pool lends byte buffers to many connections: to their readers while there is something to read, and to their transient writers. The
// zero value works; safe for concurrent use.
type Pool struct {
	bufs  sync.Pool // of *[]byte, for writers
	small sync.Pool // of *[readSmall]byte
	wide  sync.Pool // of *[readWide]byte
}

// copyOf returns a pooled buffer that holds b. A nil pool allocates.
func (p *Pool) copyOf(b []byte) *[]byte {
	var buf *[]byte
	if p != nil {
		buf, _ = p.bufs.Get().(*[]byte)
	}
	if buf == nil {
		buf = new([]byte)
	}
	*buf = append((*buf)[:0], b...)
	return buf
}

func (p *Pool) put(buf *[]byte) {
	if p != nil && cap(*buf) <= maxPooled {
		p.bufs.Put(buf)
	}
}

// buffer returns one of size bytes for reading, with anything in it. A nil pool, and another size than the two, allocates.
func (p *Pool) buffer(size int) []byte {
	if p != nil {
		switch size {
		case readSmall:
			if b, ok := p.small.Get().(*[readSmall]byte); ok {
				return b[:]
			}
		case readWide:
			if b, ok := p.wide.Get().(*[readWide]byte); ok {
				return b[:]
			}
		}
	}
	return make([]byte, size)
}

// putBuffer takes a buffer back that nobody uses any more.
func (p *Pool) putBuffer(b []byte) {
	if p == nil {
		return
	}
	switch cap(b) {
	case readSmall:
		p.small.Put((*[readSmall]byte)(b[:readSmall]))
	case readWide:
		p.wide.Put((*[readWide]byte)(b[:readWide]))
	}
}
