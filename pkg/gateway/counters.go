package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/security"
)

// This file counts what goes through a gateway. Frames are counted by sharded atomics, one shard per reader by its session's number and one for the flusher: two adds without
// contention, some 10 ns. Everything that happens less often than frames is behind a mutex.

// Traffic counts frames and their bytes: whole frames for those to clients, payloads alone for those of clients.
type Traffic struct {
	Frames, Bytes uint64
}

// Counts is what a gateway has counted since its start, except Queues.
type Counts struct {
	In         map[string]Traffic // frames from clients by type: push, request, …
	Out        map[string]Traffic // frames to clients by type, when they were queued: those of Shed that had been are among them
	Deliveries map[string]Traffic // the messages among Out by class: reliable, aoi_event, latest
	Shed       map[string]uint64  // messages of these classes that were not sent because a newer one replaced them or the client was behind
	Violations uint64             // frames of clients that were dropped because they were beyond a limit
	Warnings   uint64             // clients that were told of it
	Errors     map[string]uint64  // ERROR frames by their code's name; a game's codes are "game"
	Kicks      map[string]uint64  // sessions ended by the gateway or the server by the disconnect code's name
	Denials    map[string]uint64  // connections refused for what comes from their address: refused_held, …
	Handshakes map[string]uint64  // finished, by suite: nk, nkpsk2
	Rejects    map[string]uint64  // handshakes refused, by the name of the code of REJECT
	Resumes    map[string]uint64  // recovered, not_recovered
	Queues     Queues             // now
}

// Queues tells how much waits in the outbound queues of all sessions, as of the last second's look.
type Queues struct {
	Frames, Bytes int           // of all sessions
	Longest       int           // bytes of the session that has most
	Oldest        time.Duration // age of the frame that has waited longest
}

// add counts one session's queue in.
func (q *Queues) add(frames, bytes int, age time.Duration) {
	q.Frames += frames
	q.Bytes += bytes
	q.Longest, q.Oldest = max(q.Longest, bytes), max(q.Oldest, age)
}

// The cells of a shard. Frame types are three bits.
const (
	cellIn       = 0
	cellOut      = 8
	cellClass    = 16 // reliable, aoi_event, latest, and one for what has no class
	cellShed     = 20
	cellViolated = 24
	cells        = 25
)

// classless is the delivery of frames that are no messages: state and control.
const classless = protocol.Latest + 1

// readerShards divide the readers, so that they seldom meet at one cache line. The flusher has the one after them.
const (
	readerShards = 8
	flusherShard = readerShards
)

type counters struct {
	shards [readerShards + 1]countShard

	mu     sync.Mutex
	rare   map[rareKey]uint64
	queues Queues
}

// countShard is a whole number of cache lines of 64 bytes, and one more against its neighbour's prefetching.
type countShard struct {
	cells [cells]struct{ frames, bytes atomic.Uint64 }
	_     [64 + (64-cells*16%64)%64]byte
}

// rareKey names a counter that moves seldom.
type rareKey struct {
	kind rareKind
	code uint32
	name string // instead of code
}

type rareKind uint8

const (
	rareError rareKind = iota
	rareKick
	rareDenial
	rareHandshake
	rareReject
	rareResume
	rareWarning
)

func newCounters() *counters { return &counters{rare: map[rareKey]uint64{}} }

// shard is where the reader of session id counts.
func (c *counters) shard(id uint64) *countShard { return &c.shards[id%readerShards] }

// flusher is where the flusher counts.
func (c *counters) flusher() *countShard { return &c.shards[flusherShard] }

func (s *countShard) add(cell int, frames, bytes uint64) {
	s.cells[cell].frames.Add(frames)
	if bytes != 0 {
		s.cells[cell].bytes.Add(bytes)
	}
}

// in counts a frame of a client.
func (s *countShard) in(f protocol.Frame) {
	s.add(cellIn+int(f.Type&7), 1, uint64(len(f.Payload)))
}

// out counts a frame of size bytes for a client; class is classless for what is no message.
func (s *countShard) out(t protocol.FrameType, class protocol.Delivery, size int) {
	s.add(cellOut+int(t&7), 1, uint64(size))
	s.add(cellClass+int(class&3), 1, uint64(size))
}

// shed counts messages of a class that are not sent.
func (s *countShard) shed(class protocol.Delivery, n int) {
	s.add(cellShed+int(class&3), uint64(n), 0)
}

// violation counts a frame beyond a limit.
func (s *countShard) violation() { s.add(cellViolated, 1, 0) }

func (c *counters) count(k rareKey) {
	c.mu.Lock()
	c.rare[k]++
	c.mu.Unlock()
}

// refused counts an ERROR frame; a game's codes are one, so that no client's request makes the table grow.
func (c *counters) refused(code protocol.ErrorCode) {
	c.count(rareKey{kind: rareError, code: uint32(min(code, protocol.FirstGameError))})
}

func (c *counters) kicked(code protocol.DisconnectCode) {
	c.count(rareKey{kind: rareKick, code: uint32(code)})
}
func (c *counters) warned()            { c.count(rareKey{kind: rareWarning}) }
func (c *counters) denied(why *denial) { c.count(rareKey{kind: rareDenial, name: why.reason}) }

// shaken counts a finished handshake of suite 1, or 2 if it resumes.
func (c *counters) shaken(resumes bool) {
	name := "nk"
	if resumes {
		name = "nkpsk2"
	}
	c.count(rareKey{kind: rareHandshake, name: name})
}

func (c *counters) rejected(code security.RejectCode) {
	c.count(rareKey{kind: rareReject, code: uint32(code)})
}

func (c *counters) resumed(recovered bool) {
	name := "not_recovered"
	if recovered {
		name = "recovered"
	}
	c.count(rareKey{kind: rareResume, name: name})
}

// queued tells how long the queues are.
func (c *counters) queued(q Queues) {
	c.mu.Lock()
	c.queues = q
	c.mu.Unlock()
}

// snapshot adds everything up.
func (c *counters) snapshot() Counts {
	n := Counts{
		In: map[string]Traffic{}, Out: map[string]Traffic{}, Deliveries: map[string]Traffic{}, Shed: map[string]uint64{}, Errors: map[string]uint64{},
		Kicks: map[string]uint64{}, Denials: map[string]uint64{}, Handshakes: map[string]uint64{}, Rejects: map[string]uint64{}, Resumes: map[string]uint64{},
	}
	var sum [cells]Traffic
	for i := range c.shards {
		for j := range sum {
			sum[j].Frames += c.shards[i].cells[j].frames.Load()
			sum[j].Bytes += c.shards[i].cells[j].bytes.Load()
		}
	}
	for t := range protocol.FrameType(8) {
		name := t.String()
		if v := sum[cellIn+int(t)]; v.Frames > 0 {
			n.In[name] = v
		}
		if v := sum[cellOut+int(t)]; v.Frames > 0 {
			n.Out[name] = v
		}
	}
	for class, name := range [...]string{protocol.Reliable: "reliable", protocol.AOIEvent: "aoi_event", protocol.Latest: "latest"} {
		if v := sum[cellClass+class]; v.Frames > 0 {
			n.Deliveries[name] = v
		}
		if v := sum[cellShed+class].Frames; v > 0 {
			n.Shed[name] = v
		}
	}
	n.Violations = sum[cellViolated].Frames
	c.mu.Lock()
	defer c.mu.Unlock()
	n.Queues = c.queues
	for k, v := range c.rare {
		switch k.kind {
		case rareError:
			name := protocol.ErrorCode(k.code).String()
			if k.code >= uint32(protocol.FirstGameError) {
				name = "game"
			}
			n.Errors[name] += v
		case rareKick:
			n.Kicks[protocol.DisconnectCode(k.code).String()] += v
		case rareDenial:
			n.Denials[k.name] += v
		case rareHandshake:
			n.Handshakes[k.name] += v
		case rareReject:
			n.Rejects[security.RejectCode(k.code).String()] += v
		case rareResume:
			n.Resumes[k.name] += v
		case rareWarning:
			n.Warnings += v
		}
	}
	return n
}
