//go:build linux && (amd64 || arm64)

package shm

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

func TestGeometryFillsTheMappingAndKeepsItsDistance(t *testing.T) {
	for bulk := range maxBulkLanes + 1 {
		g := geometry{shared: 256 << 20, bulk: bulk}
		if err := g.check(); err != nil {
			t.Fatal(err)
		}
		percent, inFlight := uint32(0), uint64(0)
		last := uint32(0)
		for _, p := range g.pairs() {
			percent += p.Percent
			if p.Size <= last || p.Size%4 != 0 {
				t.Errorf("%d bulk lanes: a class of %d bytes behind one of %d", bulk, p.Size, last)
			}
			last = p.Size
		}
		for i := range g.lanes() {
			inFlight += g.class(i, toServer).window
		}
		if percent != 100 || inFlight > queueCap/2 {
			t.Errorf("%d bulk lanes: %d percent, %d blocks on their way", bulk, percent, inFlight)
		}
	}
	g := geometry{shared: defaultShared, bulk: defaultBulk}
	if w := g.class(0, toClient).window; w != smallWindow {
		t.Errorf("window of lane 0: %d", w)
	}
	if w := g.class(1, toServer).window; w < 16 {
		t.Errorf("window of a bulk lane: %d", w)
	}
	if smallBlock-blockHeader > 32<<10 || bulkBlock-blockHeader < 64<<10+256 {
		t.Errorf("frames of %d and %d bytes", smallBlock-blockHeader, bulkBlock-blockHeader)
	}
}

func TestGeometryRefusesWhatIsTooSmallAndSaysHowMuchIsNeeded(t *testing.T) {
	for _, g := range []geometry{{1 << 20, 0}, {8 << 20, 4}, {-1, 0}, {defaultShared, -1}, {defaultShared, maxBulkLanes + 1}, {maxShared + 1, 0}} {
		err := g.check()
		if err == nil {
			t.Errorf("%+v was taken", g)
		}
		t.Log(err)
	}
}

// FuzzBlock: whatever is in a block, its frames are inside of it and whole.
func FuzzBlock(f *testing.F) {
	good := make([]byte, 200)
	header{used: 48, seq: 7, kind: kindData, flags: flagKick, lane: 3}.put(good)
	binary.LittleEndian.PutUint32(good[blockHeader:], 16)
	binary.LittleEndian.PutUint32(good[blockHeader+16:], 32)
	f.Add(good)
	f.Add(good[:10])
	long := append([]byte(nil), good...)
	binary.LittleEndian.PutUint32(long[blockHeader:], 1<<31)
	f.Add(long)
	f.Fuzz(func(t *testing.T, block []byte) {
		h, err := parseHeader(block)
		if err != nil {
			if !errors.Is(err, errBlock) {
				t.Fatal(err)
			}
			return
		}
		again := make([]byte, blockHeader)
		h.put(again)
		if second, err := parseHeader(append(again, block[blockHeader:]...)); err != nil || second != h {
			t.Fatalf("%+v became %+v: %v", h, second, err)
		}
		frames := block[blockHeader : blockHeader+h.used]
		if err := checkFrames(frames, 100); err != nil {
			if !errors.Is(err, errFrame) {
				t.Fatal(err)
			}
			return
		}
		total := 0
		_ = split(frames, func(frame []byte) error { // panics if they are not whole
			if total += len(frame); len(frame) < transport.MinFrame || len(frame) > 100 {
				t.Fatalf("a frame of %d bytes", len(frame))
			}
			return nil
		})
		if total != h.used {
			t.Fatalf("%d bytes of %d", total, h.used)
		}
	})
}

func FuzzControl(f *testing.F) {
	f.Add([]byte{'T', 'X', 'S', 'C', controlProtocol, msgHello, helloBody, 0}, appendHello(nil, geometry{defaultShared, 4}), 5)
	f.Add([]byte{'T', 'X', 'S', 'C', controlProtocol, msgBye, 9, 0}, bye{sent: []uint64{1 << 60}, reason: "\x00 because\n"}.append(nil), 1)
	f.Add([]byte{}, []byte{255}, 255)
	f.Fuzz(func(t *testing.T, head, body []byte, lanes int) {
		if kind, length, err := parseControl(head); err == nil && (kind < msgHello || kind > msgBye || length > maxControlBody) {
			t.Fatalf("message %d of %d bytes", kind, length)
		}
		if g, err := parseHello(body); err == nil {
			if again, err := parseHello(appendHello(nil, g)); err != nil || again != g || g.check() != nil {
				t.Fatalf("%+v became %+v: %v", g, again, err)
			}
		}
		if lanes &= 31; lanes == 0 {
			return
		}
		if y, err := parseBye(body, lanes); err == nil {
			if len(y.sent) != lanes {
				t.Fatalf("%d lanes of %d", len(y.sent), lanes)
			}
			for _, r := range y.reason {
				if r < ' ' {
					t.Fatalf("%q", y.reason)
				}
			}
		}
	})
}
