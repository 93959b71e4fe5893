package network

import "sync"

// maxPooled is the largest buffer kept for reuse, in bytes: a rare giant must not stay for ever.
const maxPooled = 256 << 10

// Pool lends byte buffers to the transient writers of many connections. The zero value works; safe for concurrent use.
type Pool struct {
	bufs sync.Pool // of *[]byte
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
