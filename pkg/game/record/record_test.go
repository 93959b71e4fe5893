package record_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/record"
)

func TestARecordingReplaysToTheSameWorld(t *testing.T) {
	for _, c := range []struct {
		name     string
		cfg      record.Config
		compared uint64
	}{
		{"entities", record.Config{}, 200},
		{"entities, thinned out", record.Config{Every: 7, FlushTicks: 3}, 29},
		{"world", record.Config{Detail: record.World, FlushTicks: 1}, 200},
		{"inputs", record.Config{Detail: record.Inputs, FlushTicks: 1000}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := recorded(t, meadow(), meadowConfig(), c.cfg, 200)
			rep := replayed(t, b, meadow(), record.Options{})
			if rep.Difference != nil || rep.Ticks != 200 || rep.Compared != c.compared || !rep.End.Closed || rep.End.Ticks != 200 || rep.Last != meadowConfig().FirstTick+199 {
				t.Errorf("report %+v", rep)
			}
			z := newZone(t, meadow(), meadowConfig())
			for n := range 200 {
				z.Step(visit(n))
			}
			if rep.Hash != z.Hash() {
				t.Errorf("the replay ended at hash %016x, the zone at %016x", rep.Hash, z.Hash())
			}
			t.Logf("%d bytes per tick", len(b)/200)
		})
	}
}

// TestAReaderYieldsWhatWasRecorded looks at the file itself: a replay that compared nothing would be equal, too.
func TestAReaderYieldsWhatWasRecorded(t *testing.T) {
	d, err := record.NewReader(bytes.NewReader(recorded(t, meadow(), meadowConfig(), record.Config{Every: 2}, 100)))
	if err != nil {
		t.Fatal(err)
	}
	h := d.Header()
	z := newZone(t, meadow(), meadowConfig())
	if want := z.Config(); h.Game != "meadow" || h.Fingerprint != z.Fingerprint() || h.Build != record.Build() || h.Config.Every != 2 || h.Zone.Width != want.Width || h.Zone.LeaveRadius != want.LeaveRadius || h.Zone.Seed != 7 {
		t.Errorf("header %+v", h)
	}
	for n := range 100 {
		x, err := d.Next()
		if err != nil {
			t.Fatal(err)
		}
		want := visit(n)
		z.Step(want)
		if len(x.Inputs) != len(want) || len(want) > 0 && !reflect.DeepEqual(x.Inputs, want) {
			t.Errorf("tick %d: inputs %+v, want %+v", n, x.Inputs, want)
		}
		if x.Number != z.Tick() || x.Hashed != (n%2 == 0) || x.Compared != x.Hashed || x.Hashed && x.Hash != z.Hash() {
			t.Errorf("tick %d: %+v", n, x)
		}
	}
	for range 2 {
		if _, err := d.Next(); err != io.EOF {
			t.Errorf("behind the last tick: %v", err)
		}
	}
}

func TestATornFileIsGoodUpToItsLastWholeChunk(t *testing.T) {
	b := recorded(t, meadow(), meadowConfig(), record.Config{FlushTicks: 8}, 100)
	seen := map[uint64]bool{}
	for n := 0; n < len(b); n += 11 { // the end, the shortest chunk, has 22 bytes
		rep, err := record.Replay(bytes.NewReader(b[:n]), meadow(), record.Options{})
		switch {
		case errors.Is(err, record.ErrTorn), n == 0 && errors.Is(err, record.ErrNotRecording):
			if len(seen) > 0 {
				t.Fatalf("%d bytes: %v, but a shorter piece had ticks", n, err)
			}
		case err != nil:
			t.Fatalf("%d of %d bytes: %v", n, len(b), err)
		case !rep.End.Torn || rep.End.Closed || rep.Difference != nil || rep.Ticks%8 != 0 && rep.Ticks != 100:
			t.Fatalf("%d of %d bytes: %+v", n, len(b), rep)
		default:
			seen[rep.Ticks] = true
		}
	}
	if want := 14; len(seen) != want { // 0, 8, … 96 and 100
		t.Errorf("pieces of %d lengths, want %d: %v", len(seen), want, seen)
	}
}

func TestAFlippedBitIsNoticed(t *testing.T) {
	b := recorded(t, meadow(), meadowConfig(), record.Config{FlushTicks: 8}, 40)
	step := 3
	if testing.Short() {
		step = 53
	}
	for bit := 0; bit < len(b)*8; bit += step {
		c := bytes.Clone(b)
		c[bit/8] ^= 1 << (bit % 8)
		d, err := record.NewReader(bytes.NewReader(c))
		n := 0
		for err == nil {
			if _, err = d.Next(); err == nil {
				n++
			}
		}
		damage := (*record.Damage)(nil)
		switch {
		case errors.As(err, &damage), errors.Is(err, record.ErrNotRecording), errors.Is(err, record.ErrVersion), errors.Is(err, record.ErrTorn):
		case err == io.EOF && d.End().Torn: // a length that is too large now
		default:
			t.Fatalf("bit %d of byte %d flipped: %d ticks, then %v", bit%8, bit/8, n, err)
		}
	}
}

// TestAMissingChunkIsNoticed takes chunks out of a file, one at a time and whole, so that every checksum is right.
func TestAMissingChunkIsNoticed(t *testing.T) {
	b := recorded(t, meadow(), meadowConfig(), record.Config{FlushTicks: 8}, 40)
	chunks := 0
	for at := 10; at < len(b); chunks++ {
		end := at + 9 + int(binary.LittleEndian.Uint32(b[at+5:])) + 4
		without := append(bytes.Clone(b[:at]), b[end:]...)
		_, err := record.Replay(bytes.NewReader(without), meadow(), record.Options{})
		if damage := (*record.Damage)(nil); end < len(b) && (!errors.As(err, &damage) || damage.At != int64(at)) || end == len(b) && err != nil {
			t.Errorf("without chunk %d: %v", chunks, err)
		}
		_, err = record.Replay(bytes.NewReader(sealed(without)), meadow(), record.Options{}) // numbered anew
		if damage := (*record.Damage)(nil); end < len(b) && !errors.As(err, &damage) {
			t.Errorf("without chunk %d, numbered anew: %v", chunks, err)
		}
		at = end
	}
	if chunks != 7 {
		t.Errorf("%d chunks, want a header, five of ticks, and an end", chunks)
	}
}

func TestWhatIsNoRecordingIsSaid(t *testing.T) {
	good := recorded(t, meadow(), meadowConfig(), record.Config{}, 3)
	later := bytes.Clone(good)
	binary.LittleEndian.PutUint16(later[8:], 9)
	for _, c := range []struct {
		name, b, want string
		is            error
	}{
		{"a text", "# Notes\nsomething", `it begins with "# Notes\nso"`, record.ErrNotRecording},
		{"nothing", "", `it begins with ""`, record.ErrNotRecording},
		{"line ends changed", strings.Replace(string(good), "\r\n", "\n", 1), "as binary", record.ErrNotRecording},
		{"another version", string(later), "version 9, this build reads version 1", record.ErrVersion},
		{"the beginning of one", string(good[:9]), "after 9 bytes", record.ErrTorn},
		{"a piece of the header", string(good[:40]), "nothing to replay", record.ErrTorn},
	} {
		if _, err := record.NewReader(strings.NewReader(c.b)); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// disk is a file on a disk with little room. As a real one it takes what fits.
type disk struct {
	mu   sync.Mutex
	b    []byte
	room int
}

var errFull = errors.New("no space left on device")

func (d *disk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(p), d.room-len(d.b))
	d.b = append(d.b, p[:n]...)
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func (d *disk) bytes() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.Clone(d.b)
}

// cuttable is a disk whose file can be cut.
type cuttable struct{ disk }

func (d *cuttable) Truncate(size int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.b = d.b[:size]
	return nil
}

// diary is a log that can be read.
func diary(b *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// TestAFullDiskEndsTheRecordingAndSaysSoInTheFile fills disks of every size between the head of a recording and all of it.
func TestAFullDiskEndsTheRecordingAndSaysSoInTheFile(t *testing.T) {
	g := meadow()
	whole := len(recorded(t, g, meadowConfig(), record.Config{FlushTicks: 4}, 60))
	told := 0
	for room := 1200; room < whole; room += 61 {
		z := newZone(t, g, meadowConfig())
		h := record.HeaderOf(g, z)
		var said bytes.Buffer
		h.Config = record.Config{FlushTicks: 4, Log: diary(&said)}
		d := &cuttable{disk{room: room}}
		r, err := record.Start(d, h)
		if err != nil {
			t.Fatal(err)
		}
		play(t, r, z, 60)
		if err := r.Close(); !errors.Is(err, errFull) || !errors.Is(r.Err(), errFull) || !r.Stats().Over {
			t.Fatalf("room for %d bytes: closed with %v, %v", room, err, r.Err())
		}
		if n := strings.Count(said.String(), "recording ended early"); n != 1 || !strings.Contains(said.String(), "no space") {
			t.Fatalf("room for %d bytes: the log says %q", room, &said)
		}
		rep := replayed(t, d.b, g, record.Options{})
		if rep.Difference != nil || rep.End.Closed || rep.Ticks >= 60 || rep.End.Torn == strings.Contains(rep.End.Reason, "no space left") {
			t.Fatalf("room for %d bytes: %+v", room, rep)
		}
		if !rep.End.Torn {
			told++
		} else if rep.Ticks > 0 {
			t.Errorf("room for %d bytes: %d ticks, and the file does not tell why it ended", room, rep.Ticks)
		}
	}
	if told < 20 {
		t.Errorf("%d files tell why they ended: the story is too dull", told)
	}
}

func TestAWriterThatCannotBeCutIsLeftTorn(t *testing.T) {
	g := meadow()
	z := newZone(t, g, meadowConfig())
	h := record.HeaderOf(g, z)
	h.Config.FlushTicks = 2
	d := &disk{room: 4000}
	r, err := record.Start(d, h)
	if err != nil {
		t.Fatal(err)
	}
	play(t, r, z, 60)
	if err := r.Close(); !errors.Is(err, errFull) {
		t.Errorf("closed with %v", err)
	}
	if rep := replayed(t, d.b, g, record.Options{}); !rep.End.Torn || rep.Ticks == 0 || rep.Difference != nil {
		t.Errorf("%+v", rep)
	}
}

func TestADiskWithoutRoomForTheHeadIsSaidAtOnce(t *testing.T) {
	g := meadow()
	if _, err := record.Start(&disk{room: 50}, record.HeaderOf(g, newZone(t, g, meadowConfig()))); !errors.Is(err, errFull) || !strings.Contains(err.Error(), "record zone 1") {
		t.Errorf("%v", err)
	}
}

// TestASlowDiskEndsTheRecordingAndNeverTheTick holds the disk while ticks come: none may wait, and the file says where it ended.
func TestASlowDiskEndsTheRecordingAndNeverTheTick(t *testing.T) {
	g := meadow()
	z := newZone(t, g, meadowConfig())
	h := record.HeaderOf(g, z)
	var said bytes.Buffer
	h.Config = record.Config{FlushTicks: 1, QueueBytes: 64 << 10, Log: diary(&said)}
	d := &disk{room: 1 << 30}
	r, err := record.Start(d, h)
	if err != nil {
		t.Fatal(err)
	}
	play(t, r, z, 2)
	// Nothing is written from here on. The write that may be under way sees the channel or not.
	d.mu.Lock()
	n := 0
	for ; r.Err() == nil; n++ {
		if n > 1000 {
			t.Fatal("1,000 ticks were taken without a disk: the queue has no bound")
		}
		z.Step(nil)
		r.Tick(z, nil)
	}
	if s := r.Stats(); !s.Over || s.Waiting > 64<<10 {
		t.Errorf("%+v", s)
	}
	d.mu.Unlock()
	if err := r.Close(); !errors.Is(err, record.ErrSlow) || r.Close() == nil {
		t.Errorf("closed with %v", err)
	}
	if !strings.Contains(said.String(), "recording ended early") || !strings.Contains(said.String(), "zone=1") {
		t.Errorf("the log says %q", &said)
	}
	rep := replayed(t, d.bytes(), g, record.Options{})
	if rep.Difference != nil || rep.End.Closed || rep.End.Torn || !strings.Contains(rep.End.Reason, "too slow") || rep.Ticks < 2 || rep.Ticks > uint64(n)+2 {
		t.Errorf("%d ticks were stepped: %+v", n+2, rep)
	}
}

func TestAMissingTickEndsTheRecording(t *testing.T) {
	g := meadow()
	z := newZone(t, g, meadowConfig())
	var b bytes.Buffer
	r, err := record.Start(&b, record.HeaderOf(g, z))
	if err != nil {
		t.Fatal(err)
	}
	play(t, r, z, 5)
	z.Step(nil)
	play(t, r, z, 5)
	if err := r.Close(); err == nil || !strings.Contains(err.Error(), "once after every Step") {
		t.Errorf("closed with %v", err)
	}
	rep := replayed(t, b.Bytes(), g, record.Options{})
	if rep.End.Closed || rep.End.Torn || !strings.Contains(rep.End.Reason, "was due") || rep.Difference != nil {
		t.Errorf("%+v", rep)
	}
}

func TestAFileIsNeverWrittenOver(t *testing.T) {
	g := meadow()
	z := newZone(t, g, meadowConfig())
	path := filepath.Join(t.TempDir(), "zone-1.rec")
	r, err := record.Open(path, record.HeaderOf(g, z))
	if err != nil {
		t.Fatal(err)
	}
	play(t, r, z, 25)
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	z.Step(nil)
	r.Tick(z, nil) // too late, and harmless
	if s := r.Stats(); s.Ticks != 25 || !s.Over || r.Err() != nil {
		t.Errorf("%+v, %v", s, r.Err())
	}
	if _, err := record.Open(path, record.HeaderOf(g, z)); err == nil || !strings.Contains(err.Error(), "there already") {
		t.Errorf("opened again: %v", err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("mode %v, %v: others may read what players have written", info.Mode(), err)
	}
	if rep := replayed(t, b, g, record.Options{}); rep.Ticks != 25 || rep.Difference != nil {
		t.Errorf("%+v", rep)
	}
}

func TestConfigRefusesWhatItCannotDo(t *testing.T) {
	g := meadow()
	z := newZone(t, g, meadowConfig())
	for _, c := range []record.Config{{Detail: 9}, {Every: 1<<20 + 1}, {FlushTicks: 1<<20 + 1}, {QueueBytes: -1}} {
		h := record.HeaderOf(g, z)
		h.Config = c
		if _, err := record.Start(io.Discard, h); err == nil || !strings.Contains(err.Error(), "need") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestALargeInputIsAChunkOfItsOwn(t *testing.T) {
	g := meadow()
	z := newZone(t, g, meadowConfig())
	var b bytes.Buffer
	h := record.HeaderOf(g, z)
	h.Config.QueueBytes = 1
	r, err := record.Start(&b, h)
	if err != nil {
		t.Fatal(err)
	}
	in := []game.Input{{Kind: game.Receive, Session: 5, Route: 9, Payload: bytes.Repeat([]byte("x"), 3<<20)}}
	z.Step(in)
	r.Tick(z, in)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if rep := replayed(t, b.Bytes(), g, record.Options{}); rep.Ticks != 1 || rep.Difference != nil {
		t.Errorf("%+v", rep)
	}
}
