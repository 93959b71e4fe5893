package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// Recorder writes down what a zone is told and what came out.
type Recorder struct {
	cfg   Config
	zone  uint32
	owned io.Closer // the file, if Open made it

	mu      sync.Mutex
	sink    *sink
	over    error  // why no more ticks are taken; nil: they are
	b       []byte // chunk of ticks that is being filled
	waiting uint32 // ticks in it
	next    uint32 // tick that comes next
	ticks   uint64 // taken so far
	image   image

	once  sync.Once // closes owned
	close error     // what came of it
}

// Stats says what a recorder has done.
type Stats struct {
	Ticks   uint64 // taken
	Written uint64 // bytes
	Waiting uint64 // bytes that wait for the disk
	Over    bool   // no more ticks are taken
}

// errClosed is why a closed recorder takes no ticks.
var errClosed = errors.New("the recorder is closed")

// Open begins a recording in a new file, which only its owner may read: it holds all that players send. The zone must not have been stepped yet.
func Open(path string, h Header) (*Recorder, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("record zone %d: %s is there already, and a recording never goes on in a file: move it away or choose another name", h.Zone.Zone, path)
	}
	if err != nil {
		return nil, fmt.Errorf("record zone %d: %w", h.Zone.Zone, err)
	}
	r, err := Start(f, h)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close(), os.Remove(path))
	}
	r.owned = f
	return r, nil
}

// Start begins a recording that goes to w, which is written to by one goroutine until Close has returned. If w can be cut with Truncate, as a file can, and appends, a write that fails leaves nothing torn.
func Start(w io.Writer, h Header) (*Recorder, error) {
	if err := h.Config.validate(); err != nil {
		return nil, fmt.Errorf("record zone %d: %w", h.Zone.Zone, err)
	}
	if h.Build == "" {
		h.Build = Build()
	}
	text, err := h.marshal()
	if err != nil {
		return nil, fmt.Errorf("record zone %d: %w", h.Zone.Zone, err)
	}
	if len(text) > maxBody || len(h.Tables) > maxBody {
		return nil, fmt.Errorf("record zone %d: header of %d bytes and tables of %d bytes: each may have %d", h.Zone.Zone, len(text), len(h.Tables), maxBody)
	}
	c := h.Config
	r := &Recorder{cfg: c, zone: h.Zone.Zone, next: h.Zone.FirstTick, sink: newSink(w, c.QueueBytes, c.Log.With("zone", h.Zone.Zone))}
	if err := r.begin(w, text, h.Tables); err != nil {
		return nil, fmt.Errorf("record zone %d: %w", h.Zone.Zone, err)
	}
	r.b = r.sink.room()
	go r.sink.run()
	return r, nil
}

// begin writes what comes before the ticks, in the caller's goroutine: who cannot even do that should know at once.
func (r *Recorder) begin(w io.Writer, header, tables []byte) error {
	start := binary.LittleEndian.AppendUint16([]byte(magic), version)
	if _, err := w.Write(start); err != nil {
		return err
	}
	r.sink.at.offset = int64(len(start))
	r.sink.written.Add(uint64(len(start)))
	if err := r.sink.write(chunkHeader, append(beginChunk(nil), header...), 0); err != nil {
		return err
	}
	if len(tables) > 0 {
		if err := r.sink.write(chunkTables, append(beginChunk(nil), tables...), 0); err != nil {
			return err
		}
	}
	r.sink.previous = r.sink.at // these are not given up for an end
	return nil
}

// Tick takes the tick that z has just stepped, and the inputs that it was given, with their payloads as they were. Every tick must come, in order: a recording with a hole would
// replay to something else. It copies what it keeps, waits for nothing, and does nothing once the recording has ended.
func (r *Recorder) Tick(z *game.Zone, inputs []game.Input) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over != nil {
		return
	}
	if err := r.sink.failed.Load(); err != nil {
		r.over = *err // the sink has logged it
		return
	}
	if tick := z.Tick(); tick != r.next {
		r.end(fmt.Errorf("tick %d came where tick %d was due: Tick must be called once after every Step, from the first on", tick, r.next))
		return
	}
	if r.waiting == 0 {
		r.b = binary.LittleEndian.AppendUint32(r.b, r.next)
	}
	r.append(z, inputs)
	r.next++
	r.waiting++
	r.ticks++
	if len(r.b) >= fullBody || r.waiting >= r.cfg.FlushTicks {
		r.flush()
	}
}

// append writes the tick, as the package comment draws it.
func (r *Recorder) append(z *game.Zone, inputs []game.Input) {
	flags := uint64(0)
	if r.cfg.Detail != Inputs && r.ticks%uint64(r.cfg.Every) == 0 {
		flags = 1
		if r.cfg.Detail == Entities {
			flags = 3
		}
	}
	r.b = binary.AppendUvarint(r.b, uint64(len(inputs))<<2|flags)
	for i := range inputs {
		r.b = game.AppendInput(r.b, &inputs[i])
	}
	if flags&1 != 0 {
		r.b = binary.LittleEndian.AppendUint64(r.b, z.Hash())
	}
	if flags&2 != 0 {
		r.image.look(z)
		at := len(r.b)
		r.b = r.image.append(append(r.b, 0, 0, 0, 0))
		binary.LittleEndian.PutUint32(r.b[at:], uint32(len(r.b)-at-4))
	}
}

// flush hands the ticks so far to the sink.
func (r *Recorder) flush() {
	if r.waiting == 0 {
		return
	}
	if n := len(r.b) - chunkHead; n > maxBody {
		r.end(fmt.Errorf("tick %d and those before it have %d bytes of inputs, a chunk may have %d", r.next-1, n, maxBody))
		return
	}
	if !r.sink.put(chunk{kind: chunkTicks, b: r.b, ticks: uint64(r.waiting)}) {
		r.end(fmt.Errorf("%w: %d bytes were waiting at tick %d, Config.QueueBytes is %d; record to a faster disk, with less Detail, or with a larger Every",
			ErrSlow, r.sink.pending.Load(), r.next-1, r.cfg.QueueBytes))
		return
	}
	r.b, r.waiting = r.sink.room(), 0
}

// end ends the recording with a reason. What was handed over is still written.
func (r *Recorder) end(why error) {
	r.over = why
	r.b, r.image = nil, image{}
	r.sink.log.Error("recording ended early", "error", why, "tick", r.next, "ticks", r.ticks-uint64(r.waiting))
	r.sink.finish(End{Reason: why.Error()})
}

// Err tells why the recording has ended early; nil while it goes on.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.early()
}

func (r *Recorder) early() error {
	if err := r.sink.failed.Load(); err != nil {
		return *err
	}
	if errors.Is(r.over, errClosed) {
		return nil
	}
	return r.over
}

// Stats returns what the recorder has done so far.
func (r *Recorder) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Stats{Ticks: r.ticks, Written: r.sink.written.Load(), Waiting: uint64(max(r.sink.pending.Load(), 0)), Over: r.over != nil || r.sink.failed.Load() != nil}
}

// Close writes what waits, ends the file and waits until that is done. It returns why the recording ended early, if it did.
func (r *Recorder) Close() error {
	r.mu.Lock()
	if r.over == nil {
		r.flush()
	}
	if r.over == nil {
		r.over = errClosed
	}
	r.sink.finish(End{Closed: true})
	r.mu.Unlock() // a Tick that comes too late must not wait for the disk
	<-r.sink.done
	r.once.Do(func() {
		if r.owned != nil {
			r.close = r.owned.Close()
		}
	})
	return errors.Join(r.Err(), r.close)
}
