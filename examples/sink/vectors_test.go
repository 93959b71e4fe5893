package sink_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/tianxia-mmo/tianxia/examples/sink/bind"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

var update = flag.Bool("update", false, "write the golden vectors anew")

const vectorsFile = "testdata/vectors.json"

// vectors are what every language's codec is checked against. Ticks are absolute; value is what AppendJSON says of the record after the step.
type vectors struct {
	Layout string       `json:"layout"` // hex of the layout's table
	Cases  []vectorCase `json:"cases"`
	Reckon []reckonCase `json:"reckon"`
}

// vectorCase is a chain of updates of one entity for one audience, the first of them in full.
type vectorCase struct {
	Kind         uint16       `json:"kind"`
	Audience     uint8        `json:"audience"`
	PositionBits uint8        `json:"position_bits"`
	OriginX      int32        `json:"origin_x"` // left out if both are 0
	OriginZ      int32        `json:"origin_z"`
	Tick         uint32       `json:"tick"` // of the first step
	Steps        []vectorStep `json:"steps"`
}

type vectorStep struct {
	Op    string          `json:"op"` // full or delta
	Tick  uint32          `json:"tick"`
	Bits  int             `json:"bits"`
	Hex   string          `json:"hex"`
	Value json.RawMessage `json:"value"`
}

func (v *vectorCase) params() delta.Params {
	return delta.Params{PositionBits: v.PositionBits, OriginX: v.OriginX, OriginZ: v.OriginZ}
}

// reckonCase moves the record that values[0] shows on to each tick in turn.
type reckonCase struct {
	Kind   uint16            `json:"kind"`
	Ticks  []uint32          `json:"ticks"`
	Values []json.RawMessage `json:"values"`
}

// makeVectors draws the same vectors every time.
func makeVectors(t testing.TB, codec *delta.Codec) vectors {
	l := *codec.Layout
	l.Fingerprint = 1<<16 | 1 // the vectors stay the same through changes of the schema that leave the layout alone
	v := vectors{Layout: hex.EncodeToString(l.Table())}
	for i := range codec.Layout.Kinds {
		k := codec.Kind(codec.Layout.Kinds[i].ID)
		for _, a := range []delta.Audience{delta.AOI, delta.Owner, delta.Party} {
			if k.Has(a) {
				v.Cases = append(v.Cases, makeCase(codec, k, a, 0, 0))
			}
		}
		if k.Places() {
			v.Reckon = append(v.Reckon, makeReckon(codec, k))
		}
	}
	for i := range codec.Layout.Kinds { // zones that do not begin at the world's corner: of them everything but the first step is as of others
		k := codec.Kind(codec.Layout.Kinds[i].ID)
		if !k.Places() {
			continue
		}
		for _, corner := range [][2]int32{{-2560, -1 << 20}, {1 << 30, 77}} {
			c := makeCase(codec, k, delta.AOI, corner[0], corner[1])
			c.Steps = c.Steps[:2]
			v.Cases = append(v.Cases, c)
		}
	}
	return v
}

func makeCase(codec *delta.Codec, k *delta.KindCodec, a delta.Audience, originX, originZ int32) vectorCase {
	c := newChance(codec.Layout, uint64(k.Kind.ID)*8+uint64(a))
	c.params.OriginX, c.params.OriginZ = originX, originZ
	c.params.PositionBits = uint8(12 + 5*c.IntN(3))
	tick := c.Uint32()
	v := vectorCase{Kind: k.Kind.ID, Audience: uint8(a), PositionBits: c.params.PositionBits, OriginX: originX, OriginZ: originZ, Tick: tick}
	var p, s delta.Record
	k.Init(&p)
	k.Init(&s)
	c.fill(k, &s)
	p.Copy(&s)
	p.Tick, s.Tick = tick, tick
	var w delta.Writer
	k.Full(&w, c.params, &s, a)
	add := func(op string) {
		v.Steps = append(v.Steps, vectorStep{op, tick, w.Bits(), hex.EncodeToString(w.Bytes()), k.AppendJSON(nil, &p, a)})
	}
	add("full")
	for size := len(v.Steps[0].Value); (size < 14_000 || len(v.Steps) < 12) && len(v.Steps) < 40; {
		dt := 1 + c.Uint32N(1<<c.IntN(8))
		tick += dt
		c.change(k, &s, int32(tick-p.Tick))
		all := k.Surprise(&p, &s, a, ^uint64(0), tick)
		if all == 0 {
			continue
		}
		w.Reset()
		k.Delta(&w, &p, &s, a)
		k.Publish(&p, &s, a, all)
		add("delta")
		size += len(v.Steps[len(v.Steps)-1].Value)
	}
	return v
}

func makeReckon(codec *delta.Codec, k *delta.KindCodec) reckonCase {
	c := newChance(codec.Layout, uint64(k.Kind.ID)+1000)
	var r delta.Record
	k.Init(&r)
	for _, id := range k.Kind.Components { // only the motion: the rest stays
		if def := codec.Layout.Component(id); def.Motion != nil {
			v, _ := k.View(&r, id)
			for i := range def.Fields {
				c.set(&def.Fields[i], v, c.place(def, &def.Fields[i]))
			}
		}
	}
	r.Tick = 1<<32 - 20 // it wraps on the way
	v := reckonCase{Kind: k.Kind.ID, Ticks: []uint32{r.Tick}, Values: []json.RawMessage{motionJSON(k, &r)}}
	for range 6 {
		k.Reckon(&r, r.Tick+c.Uint32N(30))
		v.Ticks, v.Values = append(v.Ticks, r.Tick), append(v.Values, motionJSON(k, &r))
	}
	return v
}

func motionJSON(k *delta.KindCodec, r *delta.Record) json.RawMessage {
	return k.AppendJSON(nil, r, delta.AOI)
}

// encode is one step to a line, so that a difference shows.
func (v *vectors) encode() []byte {
	var b bytes.Buffer
	line := func(x any) {
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(x); err != nil {
			panic(err)
		}
		b.Truncate(b.Len() - 1)
	}
	fmt.Fprintf(&b, "{\"layout\": %q,\n\"cases\": [", v.Layout)
	for i, c := range v.Cases {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\n{\"kind\": %d, \"audience\": %d, \"position_bits\": %d, ", c.Kind, c.Audience, c.PositionBits)
		if c.OriginX != 0 || c.OriginZ != 0 {
			fmt.Fprintf(&b, "\"origin_x\": %d, \"origin_z\": %d, ", c.OriginX, c.OriginZ)
		}
		fmt.Fprintf(&b, "\"tick\": %d, \"steps\": [", c.Tick)
		for j, s := range c.Steps {
			if j > 0 {
				b.WriteByte(',')
			}
			b.WriteByte('\n')
			line(s)
		}
		b.WriteString("\n]}")
	}
	b.WriteString("\n],\n\"reckon\": [")
	for i, r := range v.Reckon {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		line(r)
	}
	b.WriteString("\n]}\n")
	return b.Bytes()
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func interpreter(t testing.TB) *delta.Codec {
	t.Helper()
	c, err := delta.NewCodec(bind.NewLayout(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestVectorsAreWhatTheCodecWrites(t *testing.T) {
	v := makeVectors(t, interpreter(t))
	content := v.encode()
	if *update {
		if err := os.WriteFile(vectorsFile, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, content) {
		t.Errorf("%s is not what the codec writes now: if the wire form or the schema was meant to change, run go test ./examples/sink -update", vectorsFile)
	}
}
