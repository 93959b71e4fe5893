package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func encodeUp(b []byte, u Up) []byte {
	size, fields := u.measure()
	return appendUp(b, &u, size, fields)
}

func encodeDown(b []byte, d Down) []byte {
	size, fields := d.measure()
	return append(appendDownHead(b, &d, size, fields), d.Payload...)
}

func TestRecordsComeBackAndHaveTheSizeThatWasMeasured(t *testing.T) {
	for _, u := range append(sampleUps(), Up{}) {
		b := encodeUp(nil, u)
		size, n := binary.Uvarint(b)
		if int(size) != len(b)-n {
			t.Errorf("%d: size %d of %d bytes", u.Kind, size, len(b)-n)
		}
		if got, err := parseUp(b[n:]); err != nil || !reflect.DeepEqual(got, u) {
			t.Errorf("got %+v, %v", got, err)
		}
		for i := range b[n:] {
			if i > 200 {
				break
			}
			if got, err := parseUp(b[n : n+i]); err == nil && len(got.Payload) == len(u.Payload) { // a payload ends where its record does
				t.Errorf("%d of %d bytes were taken: %+v", i, len(b)-n, got)
			}
		}
	}
	for _, d := range sampleDowns() {
		b := encodeDown(nil, d)
		size, n := binary.Uvarint(b)
		if int(size) != len(b)-n {
			t.Errorf("%d: size %d of %d bytes", d.Kind, size, len(b)-n)
		}
		if got, mark, err := parseDown(b[n:]); err != nil || mark != 0 || !reflect.DeepEqual(got, d) {
			t.Errorf("got %+v, %d, %v", got, mark, err)
		}
	}
	b := appendMark(nil, 300)
	if d, mark, err := parseDown(b[1:]); err != nil || d.Kind != 0 || mark != 300 || int(b[0]) != len(b)-1 {
		t.Errorf("mark: %+v, %d, %v", d, mark, err)
	}
}

func TestAnInputCostsFewBytes(t *testing.T) {
	u := Up{Kind: FromClient, Conn: 3<<40 | 1234, Route: 70, Payload: make([]byte, 12)}
	if n := len(encodeUp(nil, u)); n > 12+11 {
		t.Errorf("%d bytes for a payload of 12", n)
	}
}

// TestPackedRecordsAreAssembled cuts random records into messages as the sender does and puts them together again.
func TestPackedRecordsAreAssembled(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		limit := 16 + r.IntN(200)
		var waiting []byte
		var want [][]byte
		for range r.IntN(40) {
			rec := make([]byte, 1+r.IntN(1+r.IntN(1+r.IntN(2000))))
			for i := range rec {
				rec[i] = byte(r.Uint32())
			}
			want = append(want, rec)
			waiting = append(binary.AppendUvarint(waiting, uint64(len(rec))), rec...)
		}
		var got [][]byte
		var a assembler
		for rest := 0; len(waiting) > 0; {
			n := min(rest, limit)
			if rest -= n; n == 0 {
				n, rest = pack(waiting, limit)
			}
			if n == 0 || n > limit {
				t.Fatalf("a message of %d bytes, the limit is %d", n, limit)
			}
			if err := a.feed(bytes.Clone(waiting[:n]), func(b []byte) error { got = append(got, b); return nil }); err != nil {
				t.Fatal(err)
			}
			waiting = waiting[n:]
		}
		if !reflect.DeepEqual(got, want) || a.need != 0 {
			t.Fatalf("%d records became %d", len(want), len(got))
		}
	}
}

func TestAHugeRecordIsNotAllocatedOnItsWord(t *testing.T) {
	var a assembler
	b := append(binary.AppendUvarint(nil, MaxRecord), 1, 2, 3)
	if err := a.feed(b, nil); err != nil || cap(a.whole) > 2*firstGrow || a.need != MaxRecord-3 {
		t.Errorf("%v, room for %d bytes, %d missing", err, cap(a.whole), a.need)
	}
	if err := new(assembler).feed(binary.AppendUvarint(nil, MaxRecord+1), nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("a record beyond the limit: %v", err)
	}
	l, p, _, _ := twinPair(t, Hello{}, Config{Bounds: PipeConfig{UpBytes: 1 << 30}})
	if err := l.Send(Up{Kind: FromClient, Payload: make([]byte, MaxRecord)}); err == nil || errors.Is(err, ErrFull) || errors.Is(err, ErrClosed) {
		t.Errorf("sent up: %v", err)
	}
	if err := p.Send(Down{Kind: Batch, Payload: make([]byte, MaxRecord)}); err == nil || errors.Is(err, ErrFull) || errors.Is(err, ErrClosed) {
		t.Errorf("sent down: %v", err)
	}
	if err := p.Send(Down{}); err == nil {
		t.Error("a Down without a kind was sent")
	}
}

func FuzzParseUp(f *testing.F) {
	for _, u := range sampleUps()[:5] {
		b := encodeUp(nil, u)
		_, n := binary.Uvarint(b)
		f.Add(b[n:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := parseUp(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		again := encodeUp(nil, u)
		_, n := binary.Uvarint(again)
		if v, err := parseUp(again[n:]); err != nil || !reflect.DeepEqual(u, v) && len(u.Payload) > 0 {
			t.Fatalf("%+v became %+v, %v", u, v, err)
		}
	})
}

func FuzzParseDown(f *testing.F) {
	for _, d := range sampleDowns() {
		d.Payload = d.Payload[:min(len(d.Payload), 3)]
		b := encodeDown(nil, d)
		_, n := binary.Uvarint(b)
		f.Add(b[n:])
	}
	f.Add(appendMark(nil, 3)[1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		d, mark, err := parseDown(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if d.Kind == 0 {
			if again := appendMark(nil, mark); len(again) > len(b)+1 {
				t.Fatalf("mark %d", mark)
			}
			return
		}
		again := encodeDown(nil, d)
		_, n := binary.Uvarint(again)
		if v, _, err := parseDown(again[n:]); err != nil || !reflect.DeepEqual(d, v) && len(d.Payload) > 0 {
			t.Fatalf("%+v became %+v, %v", d, v, err)
		}
	})
}

// FuzzStream reads a stream of messages as a port does: bytes, cut as the first of them says.
func FuzzStream(f *testing.F) {
	head := slices.Clip(receipt{1, 5, 0}.append(nil))
	b := []byte{200}
	b = append(b, head...)
	for _, u := range sampleUps()[:5] {
		b = encodeUp(b, u)
	}
	f.Add(b)
	f.Add([]byte{12, 0, 0, 0, 20, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		size, most, total := int(b[0])+1, len(b), 0
		opener, acceptor := newTwin()
		for b = b[1:]; len(b) > 0; b = b[min(size, len(b)):] {
			if err := opener.Send(&outgoing{a: b[:min(size, len(b))]}); err != nil {
				t.Fatal(err)
			}
		}
		_ = opener.CloseSend()
		r, out := &receiver{s: acceptor}, &sender{sent: receipt{100, 1000, 8}}
		var err error
		for err == nil {
			err = r.next(out, func(rec []byte) error {
				total += len(rec)
				_, err := parseUp(rec)
				return err
			})
		}
		if err = r.ended(err); err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
		if cap(r.a.whole) > 2*firstGrow || total > most || out.sent.n < 0 || out.sent.bytes < 0 || out.sent.lossy < 0 {
			t.Fatalf("room for %d bytes, %d of %d read, %+v under way", cap(r.a.whole), total, most, out.sent)
		}
	})
}
