package record_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game/record"
)

// sealed gives every chunk of a file the number and checksum that it should have, so that a fuzzer gets behind them.
func sealed(b []byte) []byte {
	b = bytes.Clone(b)
	for at, n := 10, uint32(0); at+13 <= len(b); n++ {
		end := at + 9 + int(binary.LittleEndian.Uint32(b[at+5:]))
		if end < at || end+4 > len(b) {
			break
		}
		binary.LittleEndian.PutUint32(b[at+1:], n)
		binary.LittleEndian.PutUint32(b[end:], crc32.Checksum(b[at:end], crc32.MakeTable(crc32.Castagnoli)))
		at = end + 4
	}
	return b
}

// FuzzReplay feeds whatever bytes to the reader and, if it has a head, to a replay. Whatever comes is an error of a known kind or a report.
func FuzzReplay(f *testing.F) {
	whole := recorded(f, meadow(), meadowConfig(), record.Config{FlushTicks: 3}, 16)
	f.Add(whole, true)
	f.Add(whole[:len(whole)/2], true)
	f.Add(whole, false)
	f.Add([]byte("\x89TXREC\r\n\x01\x00"), true)
	g := meadow()
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		if seal {
			b = sealed(b)
		}
		d, err := record.NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		n := uint64(0)
		for err == nil {
			if _, err = d.Next(); err == nil {
				n++
			}
		}
		damage := (*record.Damage)(nil)
		if err != io.EOF && !errors.As(err, &damage) {
			t.Fatalf("reading ended with %v", err)
		}
		if d.End().Ticks != n && !errors.As(err, &damage) {
			t.Fatalf("%d ticks were read, the end says %+v", n, d.End())
		}
		if c := d.Header().Zone; c.Width > 1<<20 || c.Height > 1<<20 || c.Rewind > 0 {
			return // a large world takes its time to be made
		}
		rep, err := record.Replay(bytes.NewReader(b), g, record.Options{Force: true})
		if err == nil && rep.Difference != nil && rep.Difference.String() == "" {
			t.Fatal("a difference without words")
		}
	})
}
