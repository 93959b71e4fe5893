package delta_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta/deltatest"
)

// Components of the layout of pilgrims, in the order in which they travel.
const (
	buffs = iota // title and items for everyone, level of 1 to 60, charge of the owner, seed of the server
	body         // a place, always there
	flag         // of one field
	purse        // gold of the owner, rich for the party
	mind         // of the server only
)

// pilgrims has one kind, four of whose five components are optional.
func pilgrims(t testing.TB) *delta.Layout {
	t.Helper()
	l := deltatest.Layout()
	l.Kinds = nil
	l.Components[0].ID = 12
	l.Components = append(l.Components[:1],
		delta.Component{ID: 11, Name: "Buffs", Fields: []delta.Field{
			{ID: 1, Name: "title", Type: delta.String, Max: 20},
			{ID: 2, Name: "items", Type: delta.List, Max: 8, Fields: []delta.Field{{ID: 1, Name: "element", Type: delta.Uint32}}},
			{ID: 3, Name: "level", Type: delta.Int32, Bits: 6, Min: 1, Limit: 60},
			{ID: 4, Name: "charge", Type: delta.Uint32, Audience: delta.Owner},
			{ID: 5, Name: "seed", Type: delta.Uint32, Audience: delta.Server},
		}},
		delta.Component{ID: 13, Name: "Flag", Fields: []delta.Field{{ID: 1, Name: "up", Type: delta.Bool}}},
		delta.Component{ID: 14, Name: "Purse", Fields: []delta.Field{
			{ID: 1, Name: "gold", Type: delta.Uint64, Audience: delta.Owner},
			{ID: 2, Name: "rich", Type: delta.Bool, Audience: delta.Party},
		}},
		delta.Component{ID: 15, Name: "Mind", Fields: []delta.Field{{ID: 1, Name: "plan", Type: delta.Uint32, Audience: delta.Server}}},
	)
	l.Kinds = []delta.Kind{{ID: 1, Name: "Pilgrim", Components: []uint16{11, 12, 13, 14, 15}, Optional: []uint16{11, 13, 14, 15}}}
	if err := l.Finish(); err != nil {
		t.Fatal(err)
	}
	return l
}

func pilgrim(t testing.TB) *delta.KindCodec {
	t.Helper()
	c, err := delta.NewCodec(pilgrims(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Kind(1)
}

// dumb is a pilgrim without any cleverness: what is absent is nil.
type dumb struct {
	buffs *struct {
		title        string
		items        []uint32
		level        int32
		charge, seed uint32
	}
	flag  *bool
	purse *struct {
		gold uint64
		rich bool
	}
	mind *uint32
}

// says is what an audience gets of it besides its place.
func (d *dumb) says(a delta.Audience) string {
	var list []string
	add := func(name string, there bool, form string, args ...any) {
		if there {
			list = append(list, fmt.Sprintf("%q:{%s}", name, fmt.Sprintf(form, args...)))
		} else {
			list = append(list, fmt.Sprintf("%q:null", name))
		}
	}
	b, p := d.buffs, d.purse
	if b == nil {
		b = new(struct {
			title        string
			items        []uint32
			level        int32
			charge, seed uint32
		})
	}
	if p == nil {
		p = new(struct {
			gold uint64
			rich bool
		})
	}
	switch a {
	case delta.AOI:
		items := strings.ReplaceAll(fmt.Sprint(b.items), " ", ",")
		add("Buffs", d.buffs != nil, `"title":%q,"items":%s,"level":%d`, b.title, items, b.level)
		add("Flag", d.flag != nil, `"up":%v`, d.flag != nil && *d.flag)
	case delta.Owner:
		add("Buffs", d.buffs != nil, `"charge":%d`, b.charge)
		add("Purse", d.purse != nil, `"gold":"%d"`, p.gold)
	case delta.Party:
		add("Purse", d.purse != nil, `"rich":%v`, p.rich)
	case delta.Server:
		add("Buffs", d.buffs != nil, `"seed":%d`, b.seed)
		plan := uint32(0)
		if d.mind != nil {
			plan = *d.mind
		}
		add("Mind", d.mind != nil, `"plan":%d`, plan)
	}
	return "{" + strings.Join(list, ",") + "}"
}

// story is a zone's true state of a pilgrim with its twin, and the dirty bits that each audience has not been told of.
type story struct {
	*rand.Rand
	k     *delta.KindCodec
	s     delta.Record
	twin  dumb
	dirty [delta.Audiences]uint64
}

func (y *story) mark(bits uint64) {
	for a := range y.dirty {
		y.dirty[a] |= bits
	}
}

// comeAndGo changes presence.
func (y *story) comeAndGo() {
	i := []int{buffs, flag, purse, mind}[y.IntN(4)]
	there := y.IntN(2) == 0
	y.mark(y.k.SetPresent(&y.s, i, there))
	d := &y.twin
	switch was := [...]bool{d.buffs != nil, true, d.flag != nil, d.purse != nil, d.mind != nil}[i]; {
	case was == there:
	case i == buffs && there:
		d.buffs = new(struct {
			title        string
			items        []uint32
			level        int32
			charge, seed uint32
		})
		d.buffs.level = 1
	case i == buffs:
		d.buffs = nil
	case i == flag && there:
		d.flag = new(bool)
	case i == flag:
		d.flag = nil
	case i == purse && there:
		d.purse = new(struct {
			gold uint64
			rich bool
		})
	case i == purse:
		d.purse = nil
	case there:
		d.mind = new(uint32)
	default:
		d.mind = nil
	}
}

// edit changes a value of what is there.
func (y *story) edit() {
	d, n := &y.twin, y.Uint32N(1<<y.IntN(20))
	if v, ok := y.k.View(&y.s, 11); ok {
		switch y.IntN(5) {
		case 0:
			d.buffs.title = strings.Repeat("x", int(n%20))
			v.V[0].B = append(v.V[0].B[:0], d.buffs.title...)
		case 1:
			if len(d.buffs.items) == 8 {
				d.buffs.items, v.V[1].E = d.buffs.items[:3], v.V[1].E[:3]
			}
			var e delta.Record
			y.k.Field(11, 2).NewElement(&e)
			e.W[0] = n
			d.buffs.items, v.V[1].E = append(d.buffs.items, n), append(v.V[1].E, e)
		case 2:
			d.buffs.level = 1 + int32(n%60)
			v.W[0] = uint32(d.buffs.level)
		case 3:
			d.buffs.charge, v.W[1] = n, n
		case 4:
			d.buffs.seed, v.W[2] = n, n
		}
		y.mark(15 << (4 * buffs))
	}
	if v, ok := y.k.View(&y.s, 13); ok && n%2 == 0 {
		*d.flag = !*d.flag
		v.W[0] ^= 1
		y.mark(delta.DirtyBit(flag, delta.AOI))
	}
	if v, ok := y.k.View(&y.s, 14); ok && n%3 == 0 {
		d.purse.gold, v.W[0] = uint64(n), n
		d.purse.rich, v.W[2] = n&64 != 0, n>>6&1
		y.mark(15 << (4 * purse))
	}
	if v, ok := y.k.View(&y.s, 15); ok {
		*d.mind, v.W[0] = n, n
		y.mark(delta.DirtyBit(mind, delta.Server))
	}
}

// without is what an audience gets but for the place.
func without(k *delta.KindCodec, r *delta.Record, a delta.Audience) string {
	json := string(k.AppendJSON(nil, r, a))
	i, j := strings.Index(json, `"tick":`), strings.Index(json, `"Transform":`)
	if i < 0 || j < 0 {
		return json
	}
	end := j + strings.Index(json[j:], "}") + 1
	rest := json[:j] + strings.TrimPrefix(json[end:], ",")
	return strings.Replace(rest, rest[i:i+strings.Index(rest[i:], ",")+1], "", 1)
}

// TestPresenceIsThatOfADumbTwin: whatever comes and goes, each audience is told apart and seldom, and what it then holds, by an update from the publication before, from any older
// one, or by a full state on top of anything, is what a twin without cleverness holds.
func TestPresenceIsThatOfADumbTwin(t *testing.T) {
	k := pilgrim(t)
	rounds := 6000
	if testing.Short() {
		rounds = 1500
	}
	y := &story{Rand: rand.New(rand.NewPCG(4, 8)), k: k}
	k.Init(&y.s)
	var pub delta.Record
	pub.Copy(&y.s)
	var clients [delta.Audiences]delta.Record
	var older [delta.Audiences][]delta.Record
	for a := range clients {
		clients[a].Copy(&pub)
	}
	p := delta.Params{PositionBits: 20}
	var w delta.Writer
	for tick := uint32(1); tick < uint32(rounds); tick++ {
		for n := y.IntN(4); n > 0; n-- {
			if y.IntN(2) == 0 {
				y.comeAndGo()
			} else {
				y.edit()
			}
		}
		for a := range delta.Audiences {
			if got := without(k, &y.s, a); got != y.twin.says(a) {
				t.Fatalf("the true state is\n%s, not\n%s", got, y.twin.says(a))
			}
			if y.IntN(3) > 0 {
				continue // not told in this tick
			}
			surprised := k.Surprise(&pub, &y.s, a, y.dirty[a], tick)
			y.dirty[a] = 0
			w.Reset()
			k.DeltaOf(&w, &pub, &y.s, a, surprised)
			k.Publish(&pub, &y.s, a, surprised)
			same := func(what string, r *delta.Record) {
				t.Helper()
				if got, want := without(k, r, a), y.twin.says(a); got != want {
					t.Fatalf("tick %d, audience %d: %s gives\n%s, want\n%s", tick, a, what, got, want)
				}
			}
			read := func(what string, r *delta.Record, full bool) {
				t.Helper()
				in := delta.NewReader(w.Bytes())
				if full {
					k.ReadFull(&in, p, r, a, tick)
				} else {
					k.ReadDelta(&in, r, a, tick)
				}
				if in.Failed() || in.Pos() != w.Bits() {
					t.Fatalf("%s: read %d of %d bits, %v", what, in.Pos(), w.Bits(), in.Err())
				}
				same(what, r)
			}
			same("the publication", &pub)
			if surprised != 0 {
				read("an update", &clients[a], false)
			}
			var now, from delta.Record
			now.Copy(&pub)
			if older[a] = append(older[a], now); len(older[a]) > 9 {
				older[a] = older[a][1:]
			}
			from.Copy(&older[a][y.IntN(len(older[a]))])
			w.Reset()
			k.Delta(&w, &from, &pub, a)
			read("an update from an older publication", &from, false)
			from.Copy(&older[a][y.IntN(len(older[a]))])
			w.Reset()
			k.Full(&w, p, &pub, a)
			read("a full state on top of an older one", &from, true)
		}
	}
}

func TestPresenceCostsABitOrTwo(t *testing.T) {
	k := pilgrim(t)
	var none, some, other delta.Record
	k.Init(&none)
	some.Copy(&none)
	p := delta.Params{PositionBits: 17}
	dirty := k.SetPresent(&some, flag, true)
	if want := delta.DirtyBit(flag, delta.AOI); dirty != want || k.SetPresent(&some, flag, true) != 0 {
		t.Errorf("adding a flag makes %b dirty, want %b, and nothing the second time", dirty, want)
	}
	other.Copy(&some)
	if v, ok := k.View(&other, 13); ok {
		v.W[0] = 1
	}
	bits := func(write func(w *delta.Writer)) int {
		var w delta.Writer
		write(&w)
		return w.Bits()
	}
	place := 17*2 + 6*2 + 10
	for what, c := range map[string][2]int{
		"a full state without optional components": {bits(func(w *delta.Writer) { k.Full(w, p, &none, delta.AOI) }), place + 2},
		"a full state with a flag":                 {bits(func(w *delta.Writer) { k.Full(w, p, &some, delta.AOI) }), place + 3},
		"a flag that comes":                        {bits(func(w *delta.Writer) { k.Delta(w, &none, &some, delta.AOI) }), 1 + 1 + 2},
		"a flag that goes":                         {bits(func(w *delta.Writer) { k.Delta(w, &some, &none, delta.AOI) }), 1 + 1 + 2},
		"a flag that changes":                      {bits(func(w *delta.Writer) { k.Delta(w, &some, &other, delta.AOI) }), 1 + 1 + 2},
		"nothing":                                  {bits(func(w *delta.Writer) { k.Delta(w, &some, &some, delta.AOI) }), 1 + 1 + 1},
		"nothing for the party":                    {bits(func(w *delta.Writer) { k.Full(w, p, &none, delta.Party) }), 1},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %d bits, want %d", what, c[0], c[1])
		}
	}
	if delta.EqualRecord(&none, &some) {
		t.Error("a record with a component and one without are equal")
	}
	if _, ok := k.View(&none, 13); ok || k.Present(&none, flag) || !k.Present(&none, body) || k.Optional(body) {
		t.Error("what is absent has a view, or what is not optional is absent")
	}
	defer func() {
		if v := fmt.Sprint(recover()); !strings.Contains(v, "every Pilgrim has a component Transform") {
			t.Errorf("taking the place away: %s", v)
		}
	}()
	k.SetPresent(&none, body, false)
}

func TestTableTellsWhichComponentsAreOptional(t *testing.T) {
	l := pilgrims(t)
	got, err := delta.ParseTable(l.Table())
	if err != nil {
		t.Fatal(err)
	}
	if o := fmt.Sprint(got.Kinds[0].Optional); o != "[11 13 14]" { // of what only the server has, nobody is told
		t.Errorf("optional components came back as %s", o)
	}
	if !bytes.Equal(got.Table(), l.Table()) {
		t.Error("the table of a parsed table is another one")
	}
	c, err := delta.NewCodec(got, nil)
	if err != nil {
		t.Fatal(err)
	}
	there, k := c.Kind(1), pilgrim(t) // a gateway and its zone
	var s, r delta.Record
	k.Init(&s)
	k.SetPresent(&s, mind, true)
	k.SetPresent(&s, purse, true)
	for a := range delta.Server {
		there.Init(&r)
		var w delta.Writer
		k.Full(&w, delta.Params{PositionBits: 9}, &s, a)
		in := delta.NewReader(w.Bytes())
		if there.ReadFull(&in, delta.Params{PositionBits: 9}, &r, a, s.Tick); in.Failed() || in.Pos() != w.Bits() {
			t.Errorf("audience %d: the table's codec reads %d of %d bits", a, in.Pos(), w.Bits())
		}
		if got, want := there.AppendJSON(nil, &r, a), k.AppendJSON(nil, &s, a); !bytes.Equal(got, want) {
			t.Errorf("audience %d: %s, want %s", a, got, want)
		}
		if has := there.Present(&r, purse); has != (a != delta.AOI) {
			t.Errorf("audience %d sees a purse: %v", a, has)
		}
	}
}

func TestOptionalComponentsThatCannotBeAreRefused(t *testing.T) {
	for say, change := range map[string]func(l *delta.Layout){
		"optional component 9 is none of the kind's":       func(l *delta.Layout) { l.Kinds[0].Optional[0] = 9 },
		"optional component 13 is none of the kind's, or ": func(l *delta.Layout) { l.Kinds[0].Optional[0] = 13 },
		`optional component 12 "Transform" has a place`:    func(l *delta.Layout) { l.Kinds[0].Optional[0] = 12 },
		`optional component 13 "Flag" has no fields`:       func(l *delta.Layout) { l.Component(13).Fields = nil },
	} {
		l := pilgrims(t)
		change(l)
		if err := l.Finish(); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v, want %q", err, say)
		}
	}
}

// TestPositionsCountFromTheOrigin: a full position is what it was, wherever its zone lies, and the bits are those of the same place in a zone at the world's corner.
func TestPositionsCountFromTheOrigin(t *testing.T) {
	k := deltatest.Codec().Kind(1)
	r := rand.New(rand.NewPCG(3, 3))
	for range 2000 {
		p := delta.Params{PositionBits: uint8(1 + r.IntN(31)), OriginX: int32(r.Uint32()) >> r.IntN(32), OriginZ: int32(r.Uint32()) >> r.IntN(32)}
		s := randomState(r, p.PositionBits)
		var w, corner delta.Writer
		k.Full(&corner, delta.Params{PositionBits: p.PositionBits}, s.Record(k), delta.AOI)
		s.X, s.Z = s.X+p.OriginX, s.Z+p.OriginZ
		k.Full(&w, p, s.Record(k), delta.AOI)
		if !bytes.Equal(w.Bytes(), corner.Bytes()) {
			t.Fatalf("%+v: %x, at the corner %x", p, w.Bytes(), corner.Bytes())
		}
		var got delta.Record
		k.Init(&got)
		in := delta.NewReader(w.Bytes())
		if k.ReadFull(&in, p, &got, delta.AOI, 5); in.Failed() || got.W[0] != uint32(s.X) || got.W[1] != uint32(s.Z) {
			t.Fatalf("%+v: came back as %d, %d, want %d, %d", p, int32(got.W[0]), int32(got.W[1]), s.X, s.Z)
		}
	}
}
