//go:build linux && (amd64 || arm64)

package shm

import (
	"errors"
	"sync/atomic"
	"unsafe"
)

// counters of one lane and direction, in shared memory, on cache lines of their own.
type counters struct {
	// consumed is the number of data blocks that the receiver has done with. Only the receiver writes it.
	consumed *atomic.Uint64
	// want is 0, or the value of consumed at which the sender needs a kick. The sender sets it; whoever swaps it back to 0 decides: the receiver kicks, the sender needs none.
	want *atomic.Uint64
}

const cacheLine = 64

// countersOf finds the counters in the page, which both processes see at the same place of the mapping, and so with the same alignment. The caller answers for
// the memory: it must be mapped while the counters are used.
func countersOf(page []byte, lane int, d direction) (counters, error) {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(page)))
	at := int((cacheLine-start%cacheLine)%cacheLine) + (2*lane+int(d))*2*cacheLine
	if at+2*cacheLine > len(page) {
		return counters{}, errors.New("rpc shm: the page of counters is too small")
	}
	return counters{
		consumed: (*atomic.Uint64)(unsafe.Pointer(&page[at])),
		want:     (*atomic.Uint64)(unsafe.Pointer(&page[at+cacheLine])),
	}, nil
}
