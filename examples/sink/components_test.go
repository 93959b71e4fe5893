package sink_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/tianxia-mmo/tianxia/proto_define/sink/v1"

	"github.com/tianxia-mmo/tianxia/examples/sink/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

func newZone(t testing.TB) *game.Zone {
	t.Helper()
	z, err := game.NewZone(bind.NewGame().Define(), game.Config{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// edit runs a test in a zone of its own, as if within a tick: elsewhere nothing of a zone may be changed.
func edit(t testing.TB, test func(z *game.Zone)) {
	t.Helper()
	z := newZone(t)
	z.Edit(func() { test(z) })
}

func omnibus(t testing.TB, z *game.Zone) bind.Omnibus {
	t.Helper()
	o, err := bind.SpawnOmnibus(z, 10, 20)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func hero(t testing.TB, z *game.Zone) bind.Hero {
	t.Helper()
	h, err := bind.SpawnHero(z, 10, 20)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// panicOf is the text with which a function panics; "" if it does not.
func panicOf(f func()) (text string) {
	defer func() {
		if x := recover(); x != nil {
			text = fmt.Sprint(x)
		}
	}()
	f()
	return ""
}

func TestGettersGiveWhatSettersSet(t *testing.T) {
	edit(t, func(z *game.Zone) {
		o := omnibus(t, z)
		s, r, f := o.Scalars(), o.Ranges(), o.Flat()
		s.SetFlag(true)
		s.SetI32(-5)
		s.SetU32(math.MaxUint32)
		s.SetI64(math.MinInt64)
		s.SetU64(math.MaxUint64)
		s.SetSingle(1.5)
		s.SetDouble(math.Inf(-1))
		s.SetMood(pb.Mood_MOOD_SAD)
		s.SetFoe(77)
		if !s.Flag() || s.I32() != -5 || s.U32() != math.MaxUint32 || s.I64() != math.MinInt64 || s.U64() != math.MaxUint64 || s.Single() != 1.5 ||
			!math.IsInf(s.Double(), -1) || s.Mood() != pb.Mood_MOOD_SAD || s.Foe() != 77 {
			t.Errorf("scalars: %v", s)
		}
		r.SetSmall(100)
		r.SetFar(-1125899906842624)
		r.SetMoney(1000000000000)
		r.SetHalf(99.8)
		r.SetFine(-180)
		r.SetTilt(-1)
		r.SetLoose(-0.0624)
		r.SetTurn3(-math.Pi / 4)
		r.SetTurn16(5 * math.Pi)
		if r.Small() != 100 || r.Far() != -1125899906842624 || r.Money() != 1000000000000 || r.Half() != 100 || r.Fine() != -180 || r.Tilt() != -1 || r.Loose() != 0 ||
			r.QTurn3() != 7 || r.QTurn16() != 1<<15 || r.QHalf() != 200 || r.QTilt() != 0 {
			t.Errorf("ranges: %v", r)
		}
		f.SetSign("天下")
		f.SetYaw(math.Pi / 2)
		if f.Sign() != "天下" || f.QYaw() != 256 || f.Yaw() != math.Pi/2 {
			t.Errorf("flat: %v", f)
		}
		o.Texts().SetRaw([]byte{1, 2})
		raw := o.Texts().Raw()
		raw[0] = 9
		if got := o.Texts().Raw(); !slices.Equal(got, []byte{1, 2}) {
			t.Errorf("raw bytes %v: what a getter returns is a copy", got)
		}
	})
}

func TestDefaultsAreTheEndOfTheRangeNearestToZero(t *testing.T) {
	edit(t, func(z *game.Zone) {
		o := omnibus(t, z)
		if o.Ranges().Small() != 1 || o.Ranges().Money() != 5 || o.Ranges().Half() != 0 || o.Optionals().Ranged() != 10 || o.Optionals().HasRanged() {
			t.Errorf("%v", o)
		}
	})
}

func TestSettersPanicWithComponentFieldValueAndRange(t *testing.T) {
	edit(t, func(z *game.Zone) {
		o := omnibus(t, z)
		for _, c := range []struct {
			say string
			f   func()
		}{
			{"Ranges.small: 101 is not within 1 to 100", func() { o.Ranges().SetSmall(101) }},
			{"Ranges.small: 0 is not within 1 to 100", func() { o.Ranges().SetSmall(0) }},
			{"Ranges.octet: 256 is not within 0 to 255", func() { o.Ranges().SetOctet(256) }},
			{"Ranges.far: -1125899906842625 is not within -1125899906842624 to 1125899906842623", func() { o.Ranges().SetFar(-1125899906842625) }},
			{"Ranges.money: 4 is not within 5 to 1000000000000", func() { o.Ranges().SetMoney(4) }},
			{"Ranges.half: NaN is not within -20 to 100", func() { o.Ranges().SetHalf(math.NaN()) }},
			{"Ranges.half: 100.3 is not within -20 to 100", func() { o.Ranges().SetHalf(100.3) }},
			{"Ranges.half in steps: 201 is not within -40 to 200", func() { o.Ranges().SetQHalf(201) }},
			{"Ranges.loose: +Inf is not within", func() { o.Ranges().SetLoose(math.Inf(1)) }},
			{"Ranges.turn3: NaN is no finite number", func() { o.Ranges().SetTurn3(math.NaN()) }},
			{"Ranges.turn3 in steps: 8 is not within 0 to 7", func() { o.Ranges().SetQTurn3(8) }},
			{"Flat.mood: 8 is not within 0 to 7", func() { o.Flat().SetMood(8) }},
			{"Flat.mood: -1 is not within 0 to 7", func() { o.Flat().SetMood(-1) }},
			{"Flat.sign: 13 bytes, at most 12", func() { o.Flat().SetSign("0123456789abc") }},
			{"Flat.sign: \"\\xff\" is not UTF-8", func() { o.Flat().SetSign("\xff") }},
			{"Flat.x: NaN is not within", func() { o.Flat().SetPos(math.NaN(), 0) }},
			{"is outside the zone", func() { o.Flat().SetPos(-1, 0) }},
			{"Flat.vz: -Inf is not within", func() { o.Flat().SetVel(0, math.Inf(-1)) }},
			{"Flat speed in steps: -1 is not within 0 to 65535", func() { o.Flat().SetCourse(0, -1) }},
			{"Lists.ranged: 1001 is not within -100 to 1000", func() { bind.Lists(o.Entity).RangedAppend(1001) }},
			{"Lists.blobs: 5 elements, at most 4", func() {
				for range 5 {
					o.Lists().BlobsAppend(nil)
				}
			}},
			{"Maps.by_int32: 11 entries, at most 10", func() {
				for i := range int32(11) {
					o.Maps().ByInt32Put(i, 1)
				}
			}},
			{"Sword.weight: 60 is not within 0 to 50", func() { o.Nested().SetLeft(&pb.Sword{Weight: 60}) }},
			{"Gem.cut: 10 is not within 0 to 9", func() { o.Maps().ByFixed64Put(1, &pb.Gem{Cut: 10}) }},
			{"has no component 2", func() { bind.Space(o.Entity).Pos() }},
		} {
			if got := panicOf(c.f); !strings.Contains(got, c.say) {
				t.Errorf("%q, want %q", got, c.say)
			}
		}
		o.Zone().Despawn(o.Entity)
		if got := panicOf(func() { o.Flat().Sign() }); !strings.Contains(got, "does not live") {
			t.Errorf("%q", got)
		}
		if got := o.Flat().String() + o.String(); !strings.HasPrefix(got, "Flat{}Omnibus") {
			t.Errorf("a dead entity shows as %q", got)
		}
	})
}

func TestSetterThatPanicsChangesNothing(t *testing.T) {
	edit(t, func(z *game.Zone) {
		o := omnibus(t, z)
		o.Nested().SetLeft(&pb.Sword{Id: 5, Hilt: &pb.Hilt{Length: 3}})
		_ = panicOf(func() { o.Nested().SetLeft(&pb.Sword{Id: 6, Weight: 60}) })
		if got := o.Nested().Left(); got.Id != 5 || got.Hilt.Length != 3 {
			t.Errorf("%v", got)
		}
		_ = panicOf(func() { o.Optionals().SetRanged(21) })
		if o.Optionals().HasRanged() {
			t.Error("a refused value is there")
		}
	})
}

func TestAddStopsAtTheEnds(t *testing.T) {
	edit(t, func(z *game.Zone) {
		o := omnibus(t, z)
		s, r := o.Scalars(), o.Ranges()
		for _, c := range []struct {
			name      string
			got, want any
		}{
			{"small up", r.AddSmall(1000), int32(100)},
			{"small down", r.AddSmall(-1000), int32(1)},
			{"small", r.AddSmall(5), int32(6)},
			{"octet down", r.AddOctet(-1), uint32(0)},
			{"octet up", r.AddOctet(math.MaxInt32), uint32(255)},
			{"far up", r.AddFar(math.MaxInt64), int64(1125899906842623)},
			{"far down", r.AddFar(math.MinInt64), int64(-1125899906842624)},
			{"money down", r.AddMoney(math.MinInt64), uint64(5)},
			{"money", r.AddMoney(10), uint64(15)},
			{"money up", r.AddMoney(math.MaxInt64), uint64(1000000000000)},
			{"half", r.AddHalf(1.2), 1.0},
			{"half up", r.AddHalf(math.Inf(1)), 100.0},
			{"i32 up", s.AddI32(math.MaxInt32), int32(math.MaxInt32)},
			{"i32 over", s.AddI32(5), int32(math.MaxInt32)},
			{"u32 under", s.AddU32(-5), uint32(0)},
			{"i64 under", s.AddI64(math.MinInt64), int64(math.MinInt64)},
			{"i64 under again", s.AddI64(-1), int64(math.MinInt64)},
			{"u64 under", s.AddU64(-1), uint64(0)},
			{"u64", s.AddU64(7), uint64(7)},
			{"single over", s.AddSingle(float32(math.Inf(1))), float32(math.MaxFloat32)},
			{"double", s.AddDouble(2.5), 2.5},
		} {
			if c.got != c.want {
				t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
			}
		}
		s.SetU64(math.MaxUint64 - 1)
		if s.AddU64(5) != math.MaxUint64 || r.Small() != 6 || r.Half() != 100 {
			t.Error("a sum went around, or was not kept")
		}
		if got := panicOf(func() { r.AddHalf(math.NaN()) }); !strings.Contains(got, "Ranges.half: NaN") {
			t.Errorf("%q", got)
		}
	})
}

func TestOptionalFieldsComeAndGo(t *testing.T) {
	edit(t, func(z *game.Zone) {
		o := omnibus(t, z).Optionals()
		o.SetRanged(15)
		o.SetName("")
		o.SetBlob(nil)
		o.SetWide(-1)
		if !o.HasRanged() || o.Ranged() != 15 || !o.HasName() || o.Name() != "" || !o.HasBlob() || !o.HasWide() || o.Wide() != -1 || o.HasMood() {
			t.Errorf("%v", o)
		}
		o.ClearRanged()
		o.ClearName()
		o.ClearBlob()
		o.ClearWide()
		if o.HasRanged() || o.Ranged() != 10 || o.HasName() || o.HasBlob() || o.HasWide() || o.Wide() != 0 {
			t.Errorf("%v", o)
		}
	})
}

func TestNestedMessagesAreCopies(t *testing.T) {
	edit(t, func(z *game.Zone) {
		n := omnibus(t, z).Nested()
		if n.Left() != nil || n.HasLeft() {
			t.Error("absent at first")
		}
		sword := &pb.Sword{Id: 9, Weight: 2.5, Hilt: &pb.Hilt{Length: -4, Gem: &pb.Gem{Cut: 9, Name: proto.String("ruby")}, Marks: []uint32{1, 2}}, Tag: &pb.Tag{Number: 3}}
		n.SetLeft(sword)
		got := n.Left()
		if !proto.Equal(got, sword) {
			t.Errorf("%v, want %v", got, sword)
		}
		sword.Hilt.Marks[0] = 7
		got.Hilt.Gem.Cut = 1
		if again := n.Left(); again.Hilt.Marks[0] != 1 || again.Hilt.Gem.Cut != 9 {
			t.Error("shared with what was set, or what was got")
		}
		n.SetLeft(&pb.Sword{})
		if got := n.Left(); got.Hilt != nil || got.Tag != nil {
			t.Errorf("%v of an empty message", got)
		}
		n.SetLeft(nil)
		if n.HasLeft() {
			t.Error("nil takes it away")
		}
	})
}

func TestLists(t *testing.T) {
	edit(t, func(z *game.Zone) {
		l := omnibus(t, z).Lists()
		for i := range 5 {
			l.NumbersAppend(int32(i * i))
			l.TagsAppend(&pb.Tag{Number: uint32(i)})
		}
		l.NumbersSet(2, -1)
		l.NumbersRemove(0)
		l.TagsRemove(4)
		l.StepsAppend(1.2)
		l.NamesAppend("x")
		var got []int32
		for i, n := range l.NumbersAll() {
			if n != l.NumbersAt(i) {
				t.Error("All and At differ")
			}
			got = append(got, n)
		}
		if !slices.Equal(got, []int32{1, -1, 9, 16}) || l.TagsLen() != 4 || l.TagsAt(3).Number != 3 || l.StepsAt(0) != 1 || l.NamesAt(0) != "x" {
			t.Errorf("%v", l)
		}
		for _, f := range []func(){func() { l.NumbersAt(4) }, func() { l.NumbersSet(4, 0) }, func() { l.NumbersRemove(-1) }} {
			if panicOf(f) == "" {
				t.Error("an index out of range goes through")
			}
		}
	})
}

func TestMapsAreInOrderOfTheirKeys(t *testing.T) {
	edit(t, func(z *game.Zone) {
		m := omnibus(t, z).Maps()
		m.BySint32Put(5, "five")
		m.BySint32Put(-5, "minus five")
		m.BySint32Put(0, "zero")
		m.BySint32Put(5, "FIVE")
		m.BySint32Delete(0)
		m.BySint32Delete(1)
		var keys []int32
		for k := range m.BySint32All() {
			keys = append(keys, k)
		}
		v, ok := m.BySint32Get(5)
		_, gone := m.BySint32Get(0)
		if !slices.Equal(keys, []int32{-5, 5}) || m.BySint32Len() != 2 || v != "FIVE" || !ok || gone {
			t.Errorf("%v", m)
		}
		m.ByBoolPut(true, 1)
		m.ByBoolPut(false, 2)
		m.ByStringPut("b", &pb.Sword{Id: 1})
		m.ByStringPut("a", &pb.Sword{Id: 2})
		if got := maps.Collect(m.ByBoolAll()); len(got) != 2 || got[false] != 2 {
			t.Errorf("%v", got)
		}
		for k, v := range m.ByStringAll() {
			if k != "a" || v.Id != 2 {
				t.Errorf("first %q: %v", k, v)
			}
			break
		}
	})
}

func TestPlacesAndVelocities(t *testing.T) {
	edit(t, func(z *game.Zone) {
		fish, err := bind.SpawnFish(z, 50, 60)
		if err != nil {
			t.Fatal(err)
		}
		d := fish.Dive()
		d.SetPos(1.5, -3, 2)
		d.SetVel(1, -0.5, 0)
		if x, y, z := d.Pos(); x != 1.5 || y != -3 || z != 2 {
			t.Errorf("at %v, %v, %v", x, y, z)
		}
		if x, y, z := d.QVel(); x != 16 || y != -8 || z != 0 {
			t.Errorf("velocity %v, %v, %v", x, y, z)
		}
		if x, y := fish.Position(); x != 480 || y != 640 {
			t.Errorf("the entity is at %d, %d: the interest index did not hear of it", x, y)
		}
		if got := panicOf(func() { d.SetPos(101, 0, 0) }); !strings.Contains(got, "Dive.x: 101 is not within 0 to 100") {
			t.Errorf("%q", got)
		}
		if got := panicOf(func() { d.SetQPos(0, 3201, 0) }); !strings.Contains(got, "Dive.y in steps: 3201 is not within -16000 to 3200") {
			t.Errorf("%q", got)
		}
		if _, err := bind.SpawnFish(z, 101, 0); err == nil || !strings.Contains(err.Error(), "Dive.x in steps: 32320 is not within 0 to 32000") {
			t.Errorf("spawned outside the range: %v", err)
		}
		if _, err := bind.SpawnHero(z, math.NaN(), 0); err == nil {
			t.Error("spawned nowhere")
		}
		if _, err := bind.SpawnHero(z, -1, 0); err == nil {
			t.Error("spawned outside the zone")
		}
	})
}

// TestSetCourseGivesTheVelocityOfThePolarCode for every heading: else its short form would not hold.
func TestSetCourseGivesTheVelocityOfThePolarCode(t *testing.T) {
	edit(t, func(z *game.Zone) {
		b, err := bind.SpawnBeetle(z, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		p := delta.NewPolar(10)
		for heading := range uint32(1024) {
			for _, speed := range []int32{0, 1, 16, 77, 2047, 65535} {
				b.Course().SetCourse(heading+1024, speed)
				x, z := b.Course().QVel()
				wx, wz := p.Velocity(heading, speed)
				if x != wx || z != wz || b.Course().QYaw() != heading {
					t.Fatalf("heading %d, speed %d: %d, %d, want %d, %d", heading, speed, x, z, wx, wz)
				}
			}
		}
	})
}

func TestSettersOfFixedFieldsAllocateNothing(t *testing.T) {
	edit(t, func(z *game.Zone) {
		h := hero(t, z)
		h.Flat().SetSign("abcdef")
		n := int32(0)
		if allocs := testing.AllocsPerRun(200, func() {
			n++
			f := h.Flat()
			f.SetQPos(n, n)
			f.SetVel(float64(n), 1)
			f.SetCourse(uint32(n), n)
			f.SetYaw(float64(n))
			f.SetGaze(1)
			f.ClearGaze()
			f.SetSign("abc")
			f.SetSign("abcd")
			h.Ranges().AddSmall(1)
			h.Ranges().SetHalf(5)
			_, _ = f.Pos()
		}); allocs != 0 {
			t.Errorf("%v allocations, want none", allocs)
		}
	})
}
