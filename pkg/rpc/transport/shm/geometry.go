//go:build linux && (amd64 || arm64)

package shm

import (
	"fmt"

	"github.com/cloudwego/shmipc-go"
)

// The mapping is cut into classes of slices, smallest first: the page of counters, lane 0 towards the server, lane 0 towards the client, bulk lane 1 towards
// the server and so on. No two have slices of one size: by size the library finds the list that a slice is taken from and goes back to.
const (
	sliceHeader = 20 // the library's, before every slice
	smallStride = 32 << 10
	bulkStride  = 72 << 10
	pageStride  = 8 << 10
	classStep   = 64 // between the sizes of two classes

	pageBlock  = pageStride - sliceHeader
	smallBlock = smallStride - sliceHeader // of lane 0, at least
	bulkBlock  = bulkStride - sliceHeader  // of the others, at least

	maxBulkLanes = 16
	minWindow    = 8
	smallWindow  = 64
	bulkWindow   = 64

	defaultShared = 32 << 20
	defaultBulk   = 4
	maxShared     = 1 << 30

	// queueCap is how many blocks may be on their way in one direction before the library sleeps; the windows of all lanes together stay below half of it.
	queueCap = 4096
)

// direction is which way a lane's blocks go.
type direction int

const (
	toServer direction = 0
	toClient direction = 1
)

// geometry is what the sizes of everything follow from; the ends agree on it.
type geometry struct {
	shared int // bytes of the mapping
	bulk   int // lanes besides the first
}

// class is what the blocks of one lane and direction are like.
type class struct {
	block  int    // bytes, block header included
	window uint64 // blocks that may be on their way
}

func (g geometry) lanes() int { return 1 + g.bulk }

func (g geometry) class(lane int, d direction) class {
	base, most, step := smallBlock, smallWindow, int(d)
	if lane > 0 {
		base, most, step = bulkBlock, bulkWindow, 2*(lane-1)+int(d)
	}
	c := class{block: base + classStep*step}
	classes := 1 + 2*g.lanes()
	region := g.shared - 36*classes - 8 // headers of the library's lists and of the whole
	slices := region * g.percent(lane, d) / 100 / (c.block + sliceHeader)
	c.window = uint64(min(most, max(0, slices*6/10)))
	return c
}

// percent of the mapping that the class has. All of them and the page's one make 100.
func (g geometry) percent(lane int, d direction) int {
	if g.bulk == 0 {
		return 49 + int(d)
	}
	each := 75 / (2 * g.bulk)
	if lane > 0 {
		return each
	}
	rest := 99 - 2*g.bulk*each
	return (rest + int(d)) / 2
}

func (g geometry) pairs() []*shmipc.SizePercentPair {
	pairs := []*shmipc.SizePercentPair{{Size: pageBlock, Percent: 1}}
	for i := range g.lanes() {
		for _, d := range []direction{toServer, toClient} {
			pairs = append(pairs, &shmipc.SizePercentPair{Size: uint32(g.class(i, d).block), Percent: uint32(g.percent(i, d))})
		}
	}
	return pairs
}

// check refuses what cannot work.
func (g geometry) check() error {
	if g.bulk < 0 || g.bulk > maxBulkLanes {
		return fmt.Errorf("%d bulk lanes: there can be 0 to %d", g.bulk, maxBulkLanes)
	}
	if g.shared > maxShared {
		return fmt.Errorf("%d bytes of shared memory are too many: at most %d", g.shared, maxShared)
	}
	if g.fits() {
		return nil
	}
	least := geometry{shared: 1 << 20, bulk: g.bulk}
	for !least.fits() {
		least.shared += 1 << 20
	}
	return fmt.Errorf("%d bytes of shared memory are too few for %d bulk lanes: at least %d, or fewer lanes", g.shared, g.bulk, least.shared)
}

func (g geometry) fits() bool {
	if g.shared < 2<<20 { // two slices for the page: the library never gives away the last one
		return false
	}
	for i := range g.lanes() {
		if g.class(i, toServer).window < minWindow || g.class(i, toClient).window < minWindow {
			return false
		}
	}
	return true
}
