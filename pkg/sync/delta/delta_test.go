package delta_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

func randomState(r *rand.Rand, bits uint8) deltatest.State {
	v := func() int32 {
		switch r.IntN(5) {
		case 0:
			return 0
		case 1:
			return r.Int32N(161) - 80
		case 2:
			return r.Int32N(256) - 128
		case 3:
			return int32(int16(r.Uint32()))
		}
		return int32(r.Uint32())
	}
	s := deltatest.State{X: int32(r.Uint32() & (1<<bits - 1)), Z: int32(r.Uint32() & (1<<bits - 1)), VX: v(), VZ: v(), Yaw: r.Uint32N(1024), HP: r.Int32N(65536)}
	if r.IntN(2) == 0 {
		s.Title = strings.Repeat("ü", r.IntN(20))
		for range r.IntN(10) {
			s.Items = append(s.Items, r.Uint32N(1<<r.UintN(32)))
		}
	}
	return s
}

// TestFullAndDeltaComeBackForAnyStates: any two states, and those that games make of one another.
func TestFullAndDeltaComeBackForAnyStates(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	c := deltatest.Codec()
	n := 20_000
	if testing.Short() {
		n = 3_000
	}
	for _, kind := range []uint16{1, deltatest.Bearer} {
		k := c.Kind(kind)
		for i := range n {
			p := delta.Params{PositionBits: uint8(1 + r.IntN(31))}
			sa, sb := randomState(r, p.PositionBits), randomState(r, p.PositionBits)
			a := sa.Record(k)
			a.Tick = r.Uint32()
			tick := a.Tick + 1 + uint32(r.IntN(100))
			switch r.IntN(5) {
			case 0: // as predicted, then turned
				sb = deltatest.StateOf(k, a, tick)
				sb.VX = r.Int32N(161) - 80
			case 1: // turned before the move
				sb = deltatest.StateOf(k, a, tick-1)
				sb.VX, sb.VZ = r.Int32N(161)-80, r.Int32N(161)-80
				sb.X, sb.Z = sb.X+sb.VX, sb.Z+sb.VZ
			case 2:
				sb = deltatest.StateOf(k, a, tick)
				sb.HP = r.Int32N(65536)
			case 3:
				sb = deltatest.StateOf(k, a, tick)
				sb.Items = append(sb.Items, 7)
			}
			if kind == 1 {
				sb.Title, sb.Items = "", nil
			}
			b := sb.Record(k)
			b.Tick = a.Tick
			if at := deltatest.StateOf(k, a, tick); at.X != sb.X || at.Z != sb.Z || at.VX != sb.VX || at.VZ != sb.VZ || at.Yaw != sb.Yaw {
				b.Tick = tick
			} else {
				sb.X, sb.Z = sa.X, sa.Z // the motion keeps its base
				sb.Into(k, b)
			}
			var w delta.Writer
			k.Delta(&w, a, b, delta.AOI)
			var got delta.Record
			got.Copy(a)
			rd := delta.NewReader(w.Bytes())
			k.ReadDelta(&rd, &got, delta.AOI, tick)
			if rd.Err() != nil || rd.Pos() != w.Bits() || got.Tick != b.Tick || !delta.EqualRecord(&got, b) {
				t.Fatalf("kind %d case %d: base %+v, sent %+v, got %+v (%v)", kind, i, a, b, got, rd.Err())
			}
			w.Reset()
			a = sa.Record(k)
			k.Full(&w, p, a, delta.AOI)
			rd = delta.NewReader(w.Bytes())
			k.ReadFull(&rd, p, &got, delta.AOI, 5)
			if rd.Err() != nil || rd.Pos() != w.Bits() || got.Tick != 5 || !delta.EqualRecord(&got, a) {
				t.Fatalf("kind %d case %d: full %+v came back as %+v (%v)", kind, i, a, got, rd.Err())
			}
		}
	}
}

func TestCommonUpdatesAreSmall(t *testing.T) {
	k := deltatest.Codec().Kind(1)
	a := deltatest.State{X: 1000, Z: 1000, VX: 80, HP: 100, Yaw: 5}.Record(k)
	for _, c := range []struct {
		what string
		tick uint32
		to   deltatest.State
		bits int
	}{
		{"a turn as predicted", 3, deltatest.State{X: 1240, Z: 1000, VX: 56, VZ: 56, HP: 100, Yaw: 133}, 1 + 1 + 10 + 10 + 1 + 11 + 1 + 1},
		{"a stop", 3, deltatest.State{X: 1240, Z: 1000, HP: 100, Yaw: 5}, 1 + 1 + 10 + 6 + 1 + 1 + 1},
		{"health", 0, deltatest.State{X: 1000, Z: 1000, VX: 80, HP: 93, Yaw: 5}, 1 + 1 + 5},
	} {
		b := c.to.Record(k)
		b.Tick = c.tick
		var w delta.Writer
		k.Delta(&w, a, b, delta.AOI)
		if w.Bits() != c.bits {
			t.Errorf("%s takes %d bits, want %d", c.what, w.Bits(), c.bits)
		}
	}
}

func TestReckoningDoesNotDependOnTheSplitOfTheInterval(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	k := deltatest.Codec().Kind(1)
	for range 10_000 {
		p := randomState(r, 20).Record(k)
		p.Tick = r.Uint32()
		var once, steps delta.Record
		once.Copy(p)
		steps.Copy(p)
		end := p.Tick
		for range 1 + r.IntN(5) {
			end += r.Uint32N(10_000)
			k.Reckon(&steps, end)
		}
		k.Reckon(&once, end)
		if !delta.EqualRecord(&once, &steps) || once.Tick != steps.Tick {
			t.Fatalf("%+v: in steps %+v, in one %+v", p, steps, once)
		}
	}
}

func TestOnlySurprisesArePublished(t *testing.T) {
	k := deltatest.Codec().Kind(1)
	base := deltatest.State{X: 1000, Z: 1000, VX: 80, HP: 7}
	motion, health := delta.DirtyBit(0, delta.AOI), delta.DirtyBit(1, delta.AOI)
	for _, c := range []struct {
		what      string
		change    func(s *deltatest.State)
		dirty     uint64
		surprised uint64
		tick      uint32
	}{
		{"as predicted", func(*deltatest.State) {}, deltatest.All, 0, 100},
		{"health alone keeps the motion's base", func(s *deltatest.State) { s.HP = 5 }, deltatest.All, health, 100},
		{"a turn", func(s *deltatest.State) { s.VX = 0 }, deltatest.All, motion, 130},
		{"both", func(s *deltatest.State) { s.VX, s.HP = 0, 1 }, deltatest.All, motion | health, 130},
		{"standing still though predicted to move, without a dirty bit", func(s *deltatest.State) { s.X = 1000 }, 0, motion, 130},
		{"health that no dirty bit tells of is not looked at", func(s *deltatest.State) { s.HP = 5 }, motion, 0, 100},
	} {
		p := base.Record(k)
		p.Tick = 100
		s := deltatest.StateOf(k, p, 130)
		c.change(&s)
		rec := s.Record(k)
		if got := k.Surprise(p, rec, delta.AOI, c.dirty, 130); got != c.surprised || rec.Tick != c.tick {
			t.Errorf("%s: surprised %#x with base tick %d, want %#x with %d", c.what, got, rec.Tick, c.surprised, c.tick)
		}
		k.Publish(p, rec, delta.AOI, c.surprised)
		if again := k.Surprise(p, rec, delta.AOI, c.dirty, 130); again != 0 {
			t.Errorf("%s: published, and surprising still: %#x", c.what, again)
		}
	}
}

func TestPolarGivesBackEverySpeedOnEveryHeading(t *testing.T) {
	for bits := uint8(5); bits <= 12; bits++ {
		if testing.Short() && bits > 8 && bits != 10 {
			continue
		}
		p := delta.NewPolar(bits)
		for h := range uint32(1) << bits {
			for speed := int32(0); speed < 2048; speed += 1 + speed/16 {
				vx, vz := p.Velocity(h, speed)
				if s, ok := p.Speed(h, vx, vz); !ok {
					t.Fatalf("%d bits: heading %d at %d gives %d, %d, which no speed gives", bits, h, speed, vx, vz)
				} else if x, z := p.Velocity(h, s); x != vx || z != vz {
					t.Fatalf("%d bits: heading %d: speed %d gives %d, %d, its own %d, %d", bits, h, s, x, z, vx, vz)
				}
			}
		}
	}
}

// TestPolarTableIsFarFromEveryRoundingBorder: another language's cosine differs in the last place, and must still give the same table.
func TestPolarTableIsFarFromEveryRoundingBorder(t *testing.T) {
	for i := range 1 << 12 {
		v := math.Cos(float64(i)*2*math.Pi/(1<<12)) * (1 << 14)
		if d := math.Abs(v - math.Floor(v) - 0.5); d < 1e-7 {
			t.Errorf("heading %d of 4096: %v is %g from the border", i, v, d)
		}
	}
}

func TestNumbersComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 50_000 {
		a, b := r.Uint64()>>r.UintN(64), r.Uint64()>>r.UintN(64)
		if r.IntN(3) == 0 {
			b = a + uint64(r.IntN(600)) - 300
		}
		n := uint(1 + r.IntN(53))
		k := uint(1 + r.IntN(16))
		mask := uint64(1)<<n - 1
		turn := uint32(1)<<k - 1
		text := []byte(strings.Repeat("é", r.IntN(40)))
		var w delta.Writer
		w.Num64(b, a)
		w.Num32(uint32(b), uint32(a))
		w.Velocity(int32(b), int32(a))
		w.Residual(int32(b))
		w.Ranged(b&mask, a&mask, n)
		w.Angle(uint32(b)&turn, uint32(a)&turn, k)
		w.Entity(b)
		w.Age(uint32(b))
		w.Count(int(b & delta.MaxCount))
		w.Text(text)
		w.Put64(b)
		rd := delta.NewReader(w.Bytes())
		got := []uint64{rd.Num64(a), uint64(rd.Num32(uint32(a))), uint64(uint32(rd.Velocity(int32(a)))), uint64(uint32(rd.Residual())), rd.Ranged(a&mask, n, mask),
			uint64(rd.Angle(uint32(a)&turn, k)), rd.Entity(), uint64(rd.Age()), uint64(rd.Count())}
		want := []uint64{b, uint64(uint32(b)), uint64(uint32(b)), uint64(uint32(b)), b & mask, uint64(uint32(b) & turn), b, uint64(uint32(b)), b & delta.MaxCount}
		back := rd.Text(nil, 200, true)
		if fmt.Sprint(got) != fmt.Sprint(want) || !bytes.Equal(back, text) || rd.Get64() != b || rd.Err() != nil || rd.Pos() != w.Bits() {
			t.Fatalf("%d against %d: got %v, want %v; %q; %v", b, a, got, want, back, rd.Err())
		}
	}
}

func TestHostileBitsFailInsteadOfLying(t *testing.T) {
	put := func(parts ...uint64) delta.Reader { // value, size, value, size …
		var w delta.Writer
		for i := 0; i < len(parts); i += 2 {
			w.Put(parts[i], uint(parts[i+1]))
		}
		return delta.NewReader(bytes.Clone(w.Bytes()))
	}
	r := put(3|200<<2, 12)
	if r.Ranged(0, 10, 100); r.Err() == nil {
		t.Error("a ranged value above its range was read")
	}
	r = put(200, 10)
	if r.RangedFull(10, 100); r.Err() == nil {
		t.Error("a whole ranged value above its range was read")
	}
	r = put(1|2<<2, 6, 'a', 8, 'b', 8)
	if r.Text(nil, 1, true); r.Err() == nil {
		t.Error("a text above its limit was read")
	}
	r = put(1|1<<2, 6, 0xFF, 8)
	if r.Text(nil, 9, true); r.Err() == nil {
		t.Error("a text that is not UTF-8 was read")
	}
	r = put(7|delta.MaxCount<<3, 23)
	if r.Text(nil, 1<<20, false); r.Err() == nil {
		t.Error("a text of a megabyte was read from three bytes")
	}
	if r.Get(56) != 0 || r.Left() != 0 || !r.Failed() {
		t.Error("a failed reader reads on")
	}
}

func TestTableComesBackWithoutWhatNeverLeavesTheServer(t *testing.T) {
	l := deltatest.Layout()
	l.Fingerprint = 0x0102030405060708
	v := l.Component(deltatest.Vitals)
	v.Fields = append(v.Fields, delta.Field{ID: 2, Name: "secret", Type: delta.Uint32, Audience: delta.Server}, delta.Field{ID: 3, Name: "mana", Type: delta.Int64, Audience: delta.Owner, Optional: true})
	if err := l.Finish(); err != nil {
		t.Fatal(err)
	}
	got, err := delta.ParseTable(l.Table())
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(l.Table(), []byte("secret")) || got.Component(deltatest.Vitals).Field(2) != nil {
		t.Error("a field of the server travels")
	}
	if got.Fingerprint != l.Fingerprint || got.Name != "test" || !bytes.Equal(got.Table(), l.Table()) {
		t.Errorf("came back as %+v", got)
	}
	// what stays lies where the whole layout has it
	for _, id := range []uint32{1, 3} {
		a, b := v.Field(id), got.Component(deltatest.Vitals).Field(id)
		if a.Word != b.Word || a.Type != b.Type || a.Optional != b.Optional {
			t.Errorf("field %d: %+v and %+v", id, a, b)
		}
	}
}

func TestLayoutsThatCannotBeAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(l *delta.Layout)
		say    string
	}{
		"no tick rate":      {func(l *delta.Layout) { l.TickHz = 0 }, "0 ticks per second"},
		"component twice":   {func(l *delta.Layout) { l.Components[1].ID = 1 }, `component 1 "Vitals": the id is 0 or taken`},
		"kind twice":        {func(l *delta.Layout) { l.Kinds[1].ID = 1 }, "or taken"},
		"kind 65535":        {func(l *delta.Layout) { l.Kinds[1].ID = 65535 }, "not within 1 to 65534"},
		"missing component": {func(l *delta.Layout) { l.Kinds[0].Components[0] = 9 }, "component 9 is not there"},
		"other quantum": {func(l *delta.Layout) {
			l.Components[0].Fields[0].Quantum = 0.01
			l.Components[0].Fields[1].Quantum = 0.01
		}, "is not 0.003125"},
		"range without room": {func(l *delta.Layout) { l.Components[1].Fields[0].Bits = 4 }, "4 bits for the range 0 to 65535"},
		"field twice":        {func(l *delta.Layout) { l.Components[0].Fields[1].ID = 1 }, "the number is 0 or taken"},
		"endless list":       {func(l *delta.Layout) { l.Components[2].Fields[1].Max = 1 << 20 }, "max 1048576"},
		"too large":          {func(l *delta.Layout) { l.Components[2].Fields[0].Max = 1 << 16 }, "lower max"},
		"velocity missing":   {func(l *delta.Layout) { l.Components[0].Motion.VX = 9 }, "must be quantised numbers"},
		"place owned":        {func(l *delta.Layout) { l.Components[0].Fields[0].Audience = delta.Owner }, "everyone gets"},
		"heading not angle":  {func(l *delta.Layout) { l.Components[0].Motion.Heading = 3 }, "heading 3 must be an angle"},
		"wide angle":         {func(l *delta.Layout) { l.Components[0].Fields[4].Bits = 17 }, "17 bits"},
		"optional list":      {func(l *delta.Layout) { l.Components[2].Fields[1].Optional = true }, "not optional"},
		"range of one value": {func(l *delta.Layout) { l.Components[1].Fields[0].Bits, l.Components[1].Fields[0].Limit = 1, 0 }, "1 bits for the range 0 to 0"},
		"range of no bits":   {func(l *delta.Layout) { l.Components[1].Fields[0].Bits = 0 }, "a range from 0 to 65535 without bits"},
		"too many words": {func(l *delta.Layout) {
			for i := range uint32(1100) {
				l.Components[1].Fields = append(l.Components[1].Fields, delta.Field{ID: 10 + i, Name: "x", Type: delta.Uint64, Audience: delta.Owner})
			}
		}, "at most 2048 and 256"},
		"audience inside": {func(l *delta.Layout) {
			l.Components[2].Fields[1].Fields[0].Audience = delta.Server
		}, "has no audience of its own"},
		"two quanta": {func(l *delta.Layout) {
			c := l.Components[0]
			c.ID, c.Fields = 8, slices.Clone(c.Fields)
			for i := range 4 {
				c.Fields[i].Quantum *= 2
			}
			l.Components = append(l.Components, c)
		}, "another component's is 0.003125"},
		"name in another alphabet": {func(l *delta.Layout) { l.Components[1].Fields[0].Name = "\xff" }, "not UTF-8"},
		"unknown type":             {func(l *delta.Layout) { l.Components[1].Fields[0].Type = 99 }, "unknown type 99"},
	} {
		l := deltatest.Layout()
		c.change(l)
		if err := l.Finish(); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v, want %q", name, err, c.say)
		}
	}
}

func TestPositionsOfTheWidestRangeComeBack(t *testing.T) {
	l := deltatest.Layout()
	for i := range 2 {
		f := &l.Components[0].Fields[i]
		f.Bits, f.Min, f.Limit = 32, math.MinInt32, math.MaxInt32
	}
	if err := l.Finish(); err != nil {
		t.Fatal(err)
	}
	c, err := delta.NewCodec(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	k := c.Kind(1)
	for _, s := range []deltatest.State{{X: -5, Z: 7, VX: 3}, {X: math.MinInt32, Z: math.MaxInt32, VZ: -9, HP: 4}} {
		var w delta.Writer
		k.Full(&w, delta.Params{PositionBits: 17}, s.Record(k), delta.AOI)
		var got delta.Record
		k.Init(&got)
		r := delta.NewReader(w.Bytes())
		if k.ReadFull(&r, delta.Params{PositionBits: 17}, &got, delta.AOI, 1); r.Failed() || !deltatest.StateOf(k, &got, 1).Equal(s) {
			t.Errorf("%+v came back as %+v (%v)", s, deltatest.StateOf(k, &got, 1), r.Err())
		}
	}
}

func TestComponentsMayBeNumberedUpTo65535(t *testing.T) {
	l := deltatest.Layout()
	l.Components[1].ID = 65535
	for i := range l.Kinds {
		l.Kinds[i].Components[len(l.Kinds[i].Components)-1] = 65535
	}
	if err := l.Finish(); err != nil {
		t.Fatal(err)
	}
	if got, err := delta.ParseTable(l.Table()); err != nil || got.Component(65535) == nil {
		t.Errorf("came back as %+v, %v", got, err)
	}
}

func TestAddedEntriesOfAMapAscend(t *testing.T) {
	f := func(keys ...uint32) error {
		var w delta.Writer
		w.Count(0) // removed
		w.Count(0) // changed
		w.Count(len(keys))
		for _, k := range keys {
			w.Put(uint64(k), 8)
		}
		r := delta.NewReader(w.Bytes())
		var v delta.Var
		r.ReadMapDelta(&v, 100, func(x, y *delta.Record) int { return int(x.W[0]) - int(y.W[0]) }, nil, func(e *delta.Record) { e.W = []uint32{uint32(r.Get(8))} })
		return r.Err()
	}
	if err := f(1, 2, 9); err != nil {
		t.Error(err)
	}
	if f(2, 1) == nil || f(3, 3) == nil {
		t.Error("keys out of order were taken")
	}
}

func TestStrangersUnderstandWhatTheyShare(t *testing.T) {
	server, client := deltatest.Layout(), deltatest.Layout()
	vitals := func(l *delta.Layout, fields ...delta.Field) {
		l.Component(deltatest.Vitals).Fields = append(fields, l.Component(deltatest.Vitals).Fields...)
		if err := l.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	server.Fingerprint, client.Fingerprint = 2, 1
	vitals(server, delta.Field{ID: 7, Name: "new", Type: delta.Uint64})
	vitals(client, delta.Field{ID: 9, Name: "old", Type: delta.Int32, Bits: 4, Min: 3, Limit: 9})
	m, err := delta.NewMapping(server, client)
	if err != nil {
		t.Fatal(err)
	}
	sc, _ := delta.NewCodec(server, nil)
	k := sc.Kind(deltatest.Bearer)
	var r, into delta.Record
	k.Init(&r)
	v, _ := k.View(&r, deltatest.Vitals)
	v.W[2] = 77 // hp stands behind the server's 64-bit field
	got, ok := m.Component(deltatest.Vitals, v, &into)
	if !ok || len(got.W) != 2 || got.W[0] != 3 || got.W[1] != 77 {
		t.Errorf("mapped to %v, %v; want the default 3 and 77", got, ok)
	}
	bag, _ := k.View(&r, deltatest.Bag)
	bag.V[0].B = []byte("hello")
	bag.V[1].E = []delta.Record{{W: []uint32{5}}, {W: []uint32{6}}}
	if got, ok = m.Component(deltatest.Bag, bag, &into); !ok || string(got.V[0].B) != "hello" || len(got.V[1].E) != 2 || got.V[1].E[1].W[0] != 6 {
		t.Errorf("mapped to %+v, %v", got, ok)
	}
	old := client.Component(deltatest.Vitals).Fields[1]
	for what, change := range map[string]func(f *delta.Field){
		"min": func(f *delta.Field) { f.Min-- }, "limit": func(f *delta.Field) { f.Limit-- }, "quantum": func(f *delta.Field) { f.Quantum = 2 }, "origin": func(f *delta.Field) { f.Origin = 2 },
		"type": func(f *delta.Field) { f.Type = delta.Uint32 }, "optional": func(f *delta.Field) { f.Optional = true }, "audience": func(f *delta.Field) { f.Audience = delta.Owner },
	} {
		change(&client.Component(deltatest.Vitals).Fields[1])
		if _, err := delta.NewMapping(server, client); !errors.Is(err, delta.ErrIncompatible) {
			t.Errorf("another %s: %v", what, err)
		}
		client.Component(deltatest.Vitals).Fields[1] = old
	}
	client.Component(deltatest.Vitals).Fields[1].Bits = 20
	if _, err := delta.NewMapping(server, client); !errors.Is(err, delta.ErrIncompatible) || !strings.Contains(err.Error(), `field 1 "hp" has another type`) {
		t.Errorf("a retyped field: %v", err)
	}
	client.Name = "other"
	if _, err := delta.NewMapping(server, client); !errors.Is(err, delta.ErrIncompatible) || !strings.Contains(err.Error(), `of game "test"`) {
		t.Errorf("another game: %v", err)
	}
}

// TestOneCodecServesAnyGoroutine has something to find only under the race detector.
func TestOneCodecServesAnyGoroutine(t *testing.T) {
	l := deltatest.Layout()
	inner := delta.Field{ID: 1, Name: "element", Type: delta.Message, Fields: []delta.Field{{ID: 1, Name: "a", Type: delta.Uint64}, {ID: 2, Name: "b", Type: delta.String, Max: 9}}}
	l.Components[2].Fields = append(l.Components[2].Fields, delta.Field{ID: 3, Name: "parts", Type: delta.List, Max: 9, Fields: []delta.Field{inner}})
	if err := l.Finish(); err != nil {
		t.Fatal(err)
	}
	c, err := delta.NewCodec(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	k := c.Kind(deltatest.Bearer)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var a, b delta.Record
			k.Init(&a)
			k.Init(&b)
			v, _ := k.View(&b, deltatest.Bag)
			v.V[2].E = make([]delta.Record, 3)
			for i := range v.V[2].E {
				k.Field(deltatest.Bag, 3).NewElement(&v.V[2].E[i])
			}
			var w delta.Writer
			k.Delta(&w, &a, &b, delta.AOI)
			r := delta.NewReader(w.Bytes())
			if k.ReadDelta(&r, &a, delta.AOI, 0); r.Failed() || !delta.EqualRecord(&a, &b) {
				t.Errorf("read %+v, want %+v", a, b)
			}
		})
	}
	wg.Wait()
}

func FuzzParseTable(f *testing.F) {
	f.Add(deltatest.Layout().Table())
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := delta.ParseTable(b)
		if err != nil {
			return
		}
		c, err := delta.NewCodec(l, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range l.Kinds { // what was taken must work
			k := c.Kind(l.Kinds[i].ID)
			var r delta.Record
			k.Init(&r)
			var w delta.Writer
			k.Full(&w, delta.Params{PositionBits: 20}, &r, delta.AOI)
			rd := delta.NewReader(w.Bytes())
			if k.ReadFull(&rd, delta.Params{PositionBits: 20}, &r, delta.AOI, 1); rd.Err() != nil {
				t.Fatalf("kind %q: its own default state cannot be read: %v", l.Kinds[i].Name, rd.Err())
			}
		}
	})
}

func FuzzReadState(f *testing.F) {
	c := deltatest.Codec()
	k := c.Kind(deltatest.Bearer)
	p := delta.Params{PositionBits: 17}
	a := deltatest.State{X: 1, Z: 2, VX: 3, HP: 4, Title: "sword", Items: []uint32{1, 2, 3}}.Record(k)
	b := deltatest.State{X: 1, Z: 9, VX: -3, HP: 5, Title: "shield", Items: []uint32{1, 3, 4, 5}}.Record(k)
	b.Tick = 3
	var w delta.Writer
	k.Full(&w, p, a, delta.AOI)
	f.Add(bytes.Clone(w.Bytes()))
	w.Reset()
	k.Delta(&w, a, b, delta.AOI)
	f.Add(bytes.Clone(w.Bytes()))
	f.Fuzz(func(t *testing.T, in []byte) {
		var got delta.Record
		k.Init(&got)
		r := delta.NewReader(in)
		k.ReadFull(&r, p, &got, delta.AOI, 1)
		for range 3 {
			r := delta.NewReader(in)
			if k.ReadDelta(&r, &got, delta.AOI, 2); r.Failed() {
				k.Init(&got) // it is of no use
			}
		}
		v, _ := k.View(&got, deltatest.Bag)
		if len(v.V[0].B) > 200 || len(v.V[1].E) > 64 || cap(v.V[1].E) > 1024 {
			t.Fatalf("%d bytes of text and %d items from %d bytes", len(v.V[0].B), len(v.V[1].E), len(in))
		}
		w.Reset() // whatever was read can be written
		k.Full(&w, p, &got, delta.AOI)
		got.Tick = 9
		k.Delta(&w, a, &got, delta.AOI)
	})
}

func Example() {
	codec := deltatest.Codec() // a game's bindings make their own: bind.NewCodec
	k := codec.Kind(1)
	base := deltatest.State{X: 3200, VX: 80, HP: 100}.Record(k) // 10 m from the corner, 5 m/s
	base.Tick = 1000
	truth := deltatest.State{X: 3200 + 20*80, HP: 100}.Record(k) // a second later it has just stopped

	surprised := k.Surprise(base, truth, delta.AOI, deltatest.All, 1020)
	var w delta.Writer
	k.Delta(&w, base, truth, delta.AOI)
	k.Publish(base, truth, delta.AOI, surprised)
	fmt.Println(w.Bits(), "bits:", string(k.AppendJSON(nil, base, delta.AOI)))
	// Output: 21 bits: {"tick":1020,"Transform":{"x":4800,"z":0,"vx":0,"vz":0,"yaw":0},"Vitals":{"hp":100}}
}
