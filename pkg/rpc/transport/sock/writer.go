package sock

import "time"

// run is the writer goroutine.
func (l *lane) run() {
	var out [][]byte
	for range l.kick {
		out = l.drain(out)
		l.mu.Lock()
		broken, ended, bye := l.broken, l.ended, l.bye
		l.mu.Unlock()
		switch {
		case ended:
			if broken == nil && bye != nil {
				l.conn.leave(bye)
			}
			_ = l.conn.sock.Close()
			return
		case broken != nil:
			l.awaitReason(broken)
		}
	}
}

// drain writes until nothing waits or a write fails. Meanwhile batches pile up in other buffers. out is an empty list to reuse.
func (l *lane) drain(out [][]byte) [][]byte {
	wrote := 0
	for {
		l.mu.Lock()
		if l.broken != nil || l.ended && l.bye == nil {
			l.mu.Unlock()
			return nil
		}
		if wrote > 0 {
			l.settle(wrote)
		}
		if l.size == 0 {
			l.busy = false
			l.backlog.Store(0)
			l.mu.Unlock()
			return out
		}
		sent := l.sent
		out, l.full = append(l.full, l.tail), out[:0]
		l.tail = l.unused()
		wrote = l.size
		l.size, l.sent = 0, 0
		l.mu.Unlock()

		if sent == 0 { // otherwise Flush has counted it
			l.conn.batchesOut.Add(1)
		}
		var err error
		for i, b := range out {
			if err == nil {
				err = l.writeAll(b[sent:])
			}
			sent = 0
			out[i] = nil
			l.mu.Lock()
			l.recycle(b)
			if err != nil && l.broken == nil {
				l.breakLocked(err)
			}
			l.mu.Unlock()
		}
		out = out[:0]
	}
}

// writeAll blocks until b is written.
func (l *lane) writeAll(b []byte) error {
	for len(b) > 0 {
		n, err := l.conn.nc.Write(b)
		l.conn.bytesOut.Add(uint64(n))
		l.backlog.Add(-int64(n))
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// awaitReason leaves it to the reader to find out why writing failed, and ends the connection if it does not.
func (l *lane) awaitReason(err error) {
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case <-l.conn.done:
	case <-patience.C:
		l.conn.vanished(err)
	}
}
