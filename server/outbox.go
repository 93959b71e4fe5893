package server

import "github.com/tianxia-mmo/tianxia/pkg/protocol"

// letter is a numbered message on its way to a client.
type letter struct {
	typ     protocol.FrameType
	route   uint16
	id      uint32
	payload []byte
}

// letterCost is what a letter counts beside its payload, in bytes.
const letterCost = 64

// outbox numbers a session's messages and keeps those that its client has not acknowledged. Messages are numbered from 1.
type outbox struct {
	base    uint32   // number before that of letters[0]
	letters []letter // unacknowledged, in order
	gone    int      // of letters, at its head: acknowledged and emptied, not yet moved out
	bytes   int      // of letters[gone:], with their cost
}

// last is the number of the latest message, 0: there was none.
func (o *outbox) last() uint32 { return o.base + uint32(len(o.letters)) }

// acked is the number up to which the client has everything.
func (o *outbox) acked() uint32 { return o.base + uint32(o.gone) }

// waiting is how many messages are unacknowledged.
func (o *outbox) waiting() int { return len(o.letters) - o.gone }

// add numbers a message.
func (o *outbox) add(l letter) (seq uint32) {
	o.letters = append(o.letters, l)
	o.bytes += l.size()
	return o.last()
}

// ack takes the client's word that it has everything up to seq; false if no message of that number was ever sent. A number that was acknowledged before says nothing new.
func (o *outbox) ack(seq uint32) bool {
	if seq > o.last() {
		return false
	}
	for o.waiting() > 0 && o.acked() < seq {
		l := &o.letters[o.gone]
		o.bytes -= l.size()
		*l = letter{}
		o.gone++
	}
	switch n := len(o.letters); {
	case o.gone == n: // the usual case: nothing is on its way
		o.base += uint32(n)
		o.gone = 0
		if o.letters = o.letters[:0]; cap(o.letters) > keepLetters {
			o.letters = nil
		}
	case o.gone > n/2: // moved seldom enough to cost a constant per letter
		o.base += uint32(o.gone)
		o.letters = append(o.letters[:0], o.letters[o.gone:]...)
		clear(o.letters[len(o.letters):n])
		o.gone = 0
	}
	return true
}

// keepLetters is how much room a quiet outbox keeps.
const keepLetters = 64

// at is the message of a number above acked and up to last.
func (o *outbox) at(seq uint32) *letter { return &o.letters[seq-o.base-1] }

// size is what a letter counts, in bytes.
func (l *letter) size() int { return len(l.payload) + letterCost }
