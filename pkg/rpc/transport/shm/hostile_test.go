//go:build linux && (amd64 || arm64)

package shm

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/transport"
)

func TestLyingBlocksEndTheConnectionByName(t *testing.T) {
	for name, c := range map[string]struct {
		lane int
		lie  func(block []byte)
		want error
	}{
		"UsedBeyondTheBlock":     {0, func(b []byte) { binary.LittleEndian.PutUint32(b[4:], 1<<30) }, errBlock},
		"WrongNumber":            {0, func(b []byte) { b[8]++ }, errBlock},
		"WrongLane":              {1, func(b []byte) { b[14]++ }, errBlock},
		"UnknownKind":            {0, func(b []byte) { b[12] = 9 }, errBlock},
		"AHandshakeInTheMiddle":  {1, func(b []byte) { b[12] = kindStart; clear(b[4:12]) }, errBlock},
		"NoMagic":                {0, func(b []byte) { b[0]++ }, errBlock},
		"FrameTooLong":           {0, func(b []byte) { binary.LittleEndian.PutUint32(b[blockHeader:], 1<<20) }, errFrame},
		"FrameBeyondTheBatch":    {1, func(b []byte) { binary.LittleEndian.PutUint32(b[blockHeader:], 101) }, errFrame},
		"FrameTooShort":          {1, func(b []byte) { binary.LittleEndian.PutUint32(b[blockHeader:], transport.MinFrame-1) }, errFrame},
		"AnEndThatIsNoFrame":     {0, func(b []byte) { binary.LittleEndian.PutUint32(b[blockHeader:], 90) }, errFrame},
		"FrameOfNothing":         {0, func(b []byte) { clear(b[blockHeader:][:4]) }, errFrame},
		"UsedThatCutsTheOnlyOne": {1, func(b []byte) { binary.LittleEndian.PutUint32(b[4:], 99) }, errFrame},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t, transport.Config{})
			l := client.list[c.lane]
			if err := lie(l, c.lie); err != nil {
				t.Fatal(err)
			}
			if _, err := server.Lanes()[c.lane].Receive(); !errors.Is(err, c.want) {
				t.Fatal(err)
			}
			waitFor(t, "Done of the liar", client.Done())
			if errors.Is(client.Err(), transport.ErrClosed) || !strings.Contains(client.Err().Error(), c.want.Error()) {
				t.Errorf("the liar was told: %v", client.Err())
			}
		})
	}
}

// lie sends a frame of 100 bytes whose block f has changed behind the lane's back.
func lie(l *lane, f func(block []byte)) error {
	l.Lock()
	defer l.Unlock()
	frame, err := l.Reserve(100)
	if err != nil {
		return err
	}
	fillFrame(frame, 1)
	block := l.w.block
	header{used: 100, seq: uint32(l.w.sent), lane: l.index}.put(block)
	f(block)
	l.w.block = nil
	return l.stream.Flush(false)
}

func TestCountersThatMakeNoSenseEndTheConnection(t *testing.T) {
	client, _ := pair(t, transport.Config{})
	l := client.list[1]
	l.w.shared.consumed.Store(1 << 40)
	for i := uint64(0); ; i++ {
		err := send(l, 64, i, true)
		if err == nil && i <= l.w.out.window {
			continue
		}
		if !errors.Is(err, errCounters) {
			t.Fatal(err)
		}
		break
	}
	waitFor(t, "Done", client.Done())
}
