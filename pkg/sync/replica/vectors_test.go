package replica

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

var update = flag.Bool("update", false, "rewrite testdata")

type vectorEntity struct {
	Index int             `json:"index"`
	ID    string          `json:"id"`
	Kind  uint16          `json:"kind"`
	State json.RawMessage `json:"state"` // as of its base, see delta.KindCodec.AppendJSON
}

type vectorFrame struct {
	Hex    string `json:"hex"`
	Expect struct {
		Tick     uint32         `json:"tick"`
		Input    uint32         `json:"input"`
		Entities []vectorEntity `json:"entities"`
	} `json:"expect"`
}

// TestVectorsAreFresh keeps the frames that other languages' decoders are tested with equal to what the encoder writes.
func TestVectorsAreFresh(t *testing.T) {
	var v struct {
		Layout string `json:"layout"` // hex of the layout table
		Zone   struct {
			Index        int    `json:"index"`
			Zone         uint32 `json:"zone"`
			Tick         uint32 `json:"tick"`
			PositionBits uint8  `json:"position_bits"`
		} `json:"zone"`
		Frames []vectorFrame `json:"frames"`
	}
	w := newWorld(t, 77, 60, 1, Config{})
	p := w.clients[0]
	v.Zone.Zone = 7
	v.Zone.Tick, v.Zone.PositionBits = p.m.Rows[0].Tick, w.params().PositionBits
	v.Layout = hex.EncodeToString(w.codec.Layout.Table())
	for range 60 {
		before := p.m.Frames
		var bw delta.Writer
		w.clients = nil
		w.step() // the zone's half; the frame is built here, to keep its bytes
		w.clients = []*player{p}
		w.look(p)
		if w.tick%25 < 8 { // a stall, then bases that are several publications old
			continue
		}
		p.cl.Echo(p.m.Frames, w.tick)
		if _, ok := p.cl.Frame(&bw, w.tick); !ok {
			continue
		}
		if err := p.m.Decode(bw.Bytes()); err != nil || p.m.Frames == before {
			t.Fatal(err)
		}
		v.Frames = append(v.Frames, vector(p.m, bw.Bytes()))
	}
	fresh(t, "testdata/frames.json", v)
}

// fresh compares a file with what it should hold, or rewrites it.
func fresh(t *testing.T, path string, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%s is not what the encoder writes now (%v): run go test ./pkg/sync/replica -run Vectors -update", path, err)
	}
}

type vectorRow struct {
	Index        uint8  `json:"index"`
	Zone         uint32 `json:"zone"`
	Tick         uint32 `json:"tick"`
	Input        uint32 `json:"input"`
	PositionBits uint8  `json:"position_bits"`
	OriginX      int32  `json:"origin_x"`
	OriginZ      int32  `json:"origin_z"`
}

func rowVector(i uint8, r *Row) vectorRow {
	return vectorRow{i, r.Zone, r.Tick, r.Input, r.Params.PositionBits, r.Params.OriginX, r.Params.OriginZ}
}

// crossingStep is a row that comes, or a frame and what it makes of the client.
type crossingStep struct {
	Row    *vectorRow      `json:"row,omitempty"`
	Hex    string          `json:"hex,omitempty"`
	Expect *crossingExpect `json:"expect,omitempty"`
}

type crossingExpect struct {
	Rows     []vectorRow      `json:"rows"`
	Entities []crossingEntity `json:"entities"`
	Enters   int              `json:"enters"` // so far
	Leaves   int              `json:"leaves"`
	Moves    int              `json:"moves"`
}

type crossingEntity struct {
	vectorEntity
	Row uint8 `json:"row"`
}

// TestVectorsOfSeveralZonesAreFresh keeps the frames of a client in a world of several zones, whose rows come and go and whose entities cross.
func TestVectorsOfSeveralZonesAreFresh(t *testing.T) {
	var v struct {
		Layout string         `json:"layout"`
		Steps  []crossingStep `json:"steps"`
	}
	l := newLand(t, 4, 14, 1, chaos{cross: 12, die: 200, stall: 30, close: 25})
	v.Layout = hex.EncodeToString(l.codec.Layout.Table())
	p := l.seers[0]
	enters, leaves := 0, 0
	p.m.Enter, p.m.Leave = func(int, *Entity) { enters++ }, func(int, *Entity) { leaves++ }
	p.heard = func(frame []byte, row *Row, index uint8) {
		if row != nil {
			r := rowVector(index, row)
			v.Steps = append(v.Steps, crossingStep{Row: &r})
			return
		}
		s := crossingStep{Hex: hex.EncodeToString(frame)}
		s.Expect = &crossingExpect{Enters: enters, Leaves: leaves, Moves: p.moves}
		for i := range p.m.Rows {
			if r := &p.m.Rows[i]; r.Open {
				s.Expect.Rows = append(s.Expect.Rows, rowVector(uint8(i), r))
			}
		}
		for i := range p.m.Entities {
			if e := &p.m.Entities[i]; e.Live {
				s.Expect.Entities = append(s.Expect.Entities, crossingEntity{vectorEntity{i, fmt.Sprint(e.ID), e.Kind, e.Codec.AppendJSON(nil, &e.Base, delta.AOI)}, e.Zone})
			}
		}
		v.Steps = append(v.Steps, s)
	}
	for range 120 {
		l.step()
	}
	if p.moves < 10 || leaves < 5 {
		t.Errorf("%d moves and %d leaves are too few to test anybody with", p.moves, leaves)
	}
	fresh(t, "testdata/crossing.json", v)
}

func vector(m *Mirror, b []byte) (f vectorFrame) {
	f.Hex = hex.EncodeToString(b)
	f.Expect.Tick, f.Expect.Input = m.Rows[0].Tick, m.Rows[0].Input
	for i, e := range m.Entities {
		if e.Live {
			f.Expect.Entities = append(f.Expect.Entities, vectorEntity{i, fmt.Sprint(e.ID), e.Kind, e.Codec.AppendJSON(nil, &e.Base, delta.AOI)})
		}
	}
	return f
}

func FuzzMirror(f *testing.F) {
	w := newWorld(&testing.T{}, 3, 40, 1, Config{})
	p := w.clients[0]
	for range 20 {
		w.clients = nil
		w.step()
		w.look(p)
		p.cl.Echo(p.m.Frames, w.tick)
		var bw delta.Writer
		if _, ok := p.cl.Frame(&bw, w.tick); ok {
			f.Add(bytes.Clone(bw.Bytes()))
			p.m.Frames++
		}
	}
	codec := deltatest.Codec()
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newMirror(t, codec)
		if err := m.OpenZone(0, 7, delta.Params{PositionBits: 17}, 100); err != nil {
			t.Fatal(err)
		}
		for range 3 { // a first frame may make entities that the next one changes
			if err := m.Decode(b); err != nil {
				if !errors.Is(err, ErrMalformed) {
					t.Fatal(err)
				}
				break
			}
		}
		if m.Live > len(b)*8 || len(m.Entities) > 1<<15 {
			t.Fatalf("%d entities out of %d bytes", m.Live, len(b))
		}
	})
}

func FuzzApply(f *testing.F) {
	w := newWorld(&testing.T{}, 3, 40, 2, Config{})
	for range 10 {
		w.step()
		f.Add(bytes.Clone(w.out[0].Bytes))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld(t, 3, 20, 2, Config{})
		for range 3 {
			w.step()
		}
		p := w.clients[0]
		z := w.gateways[p.gw].zone
		_ = z.Apply(b)
		var bw delta.Writer
		p.cl.Frame(&bw, w.tick) // damaged batches from a server may show wrong things, but must not panic
	})
}

func ExampleMirror() {
	m := Mirror{}
	err := m.Use(deltatest.Codec(), nil)
	if err == nil {
		err = m.OpenZone(0, 7, delta.Params{PositionBits: 17}, 99)
	}
	if err != nil {
		fmt.Println(err)
	}
	var w delta.Writer
	w.Put(0, 4+1+2+4+3) // row 0, tick + 1, input as before, width 0, nothing left, entered or updated
	w.Put(0, 1)         // no other section
	fmt.Println(m.Decode(w.Bytes()), m.Rows[0].Tick)
	// Output: <nil> 100
}
