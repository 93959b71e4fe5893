package sink_test

import (
	"fmt"
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

func TestIntoAndFromAreInverse(t *testing.T) {
	edit(t, func(z *game.Zone) {
		o, err := bind.SpawnOmnibus(z, 10, 20)
		if err != nil {
			t.Fatal(err)
		}
		twin, err := bind.SpawnOmnibus(z, 30, 40)
		if err != nil {
			t.Fatal(err)
		}
		codec := bind.NewLayout()
		c := newChance(codec, 4)
		c.narrow, c.params.PositionBits = true, 16 // within the zone
		for range 300 {
			for i := range codec.Components {
				def := &codec.Components[i]
				if !o.Has(def.ID) {
					continue
				}
				v := o.Cell(def.ID).Edit(delta.AOI)
				for j := range def.Fields {
					c.set(&def.Fields[j], v, c.place(def, &def.Fields[j]))
				}
				same := func(how string) {
					a, b := o.Cell(def.ID).View(), twin.Cell(def.ID).View()
					if !slices.Equal(a.W, b.W) || !slices.EqualFunc(a.V, b.V, func(x, y delta.Var) bool { return delta.EqualVar(&x, &y) }) {
						t.Fatalf("%s through %s: %v, %v", def.Name, how, a, b)
					}
				}
				exchange(t, o.Entity, twin.Entity, def.ID, same)
			}
		}
	})
}

// exchange copies a component by way of its message, and by way of what is stored.
func exchange(t *testing.T, from, to game.Entity, id uint16, same func(string)) {
	t.Helper()
	try := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	switch id {
	case bind.ComponentFlat:
		var m pb.Flat
		bind.Flat(from).Into(&m)
		try(bind.Flat(to).From(&m))
	case bind.ComponentScalars:
		var m pb.Scalars
		bind.Scalars(from).Into(&m)
		try(bind.Scalars(to).From(&m))
	case bind.ComponentRanges:
		b, err := bind.Ranges(from).AppendPersist([]byte("prefix"))
		try(err)
		try(bind.Ranges(to).ParsePersist(b[6:]))
	case bind.ComponentOptionals:
		var m pb.Optionals
		bind.Optionals(from).Into(&m)
		try(bind.Optionals(to).From(&m))
	case bind.ComponentTexts:
		b, err := bind.Texts(from).AppendPersist(nil)
		try(err)
		try(bind.Texts(to).ParsePersist(b))
	case bind.ComponentNested:
		b, err := bind.Nested(from).AppendPersist(nil)
		try(err)
		try(bind.Nested(to).ParsePersist(b))
	case bind.ComponentLists:
		var m pb.Lists
		bind.Lists(from).Into(&m)
		try(bind.Lists(to).From(&m))
	case bind.ComponentMaps:
		b, err := bind.Maps(from).AppendPersist(nil)
		try(err)
		try(bind.Maps(to).ParsePersist(b))
	case bind.ComponentWide:
		var m pb.Wide
		if !bind.WideRead(seen{from, bind.NewLayout()}, &m) {
			t.Error("an entity that has the component has none")
		}
		try(bind.Wide(to).From(&m))
	case bind.ComponentShares:
		var m pb.Shares
		bind.Shares(from).Into(&m)
		try(bind.Shares(to).From(&m))
	default:
		return
	}
	same("its message")
}

func TestFromWithSomethingOutOfRangeChangesNothing(t *testing.T) {
	edit(t, func(z *game.Zone) {
		o := omnibus(t, z)
		o.Ranges().SetSmall(50)
		if err := o.Ranges().From(&pb.Ranges{Small: 60, Octet: 256}); err == nil || !strings.Contains(err.Error(), "Ranges.octet: 256 is not within 0 to 255") {
			t.Error(err)
		}
		if err := o.Flat().From(&pb.Flat{X: 1e6}); err == nil || !strings.Contains(err.Error(), "outside the zone") {
			t.Error(err)
		}
		if err := o.Lists().From(&pb.Lists{Tags: make([]*pb.Tag, 11)}); err == nil || !strings.Contains(err.Error(), "Lists.tags: 11 elements, at most 10") {
			t.Error(err)
		}
		if o.Ranges().Small() != 50 {
			t.Error("a field was changed")
		}
		if x, _ := o.Flat().Pos(); x != 10 {
			t.Error("the entity was moved")
		}
		if err := o.Ranges().From(nil); err != nil || o.Ranges().Small() != 1 {
			t.Errorf("nothing at all stands for the defaults: %v, %v", err, o.Ranges())
		}
	})
}

func TestWhatIsStoredLeavesTheRestAlone(t *testing.T) {
	edit(t, func(z *game.Zone) {
		o := omnibus(t, z)
		s := o.Shares()
		s.SetOwnB("mine")
		s.SetAllA(4)
		b, err := s.AppendPersist(nil)
		if err != nil {
			t.Fatal(err)
		}
		var m pb.Shares
		if err := proto.Unmarshal(b, &m); err != nil || m.OwnB != "" || m.AllA != 4 {
			t.Errorf("stored %v, %v", &m, err)
		}
		s.SetAllA(5)
		s.SetOwnB("still mine")
		if err := s.ParsePersist(b); err != nil || s.AllA() != 4 || s.OwnB() != "still mine" {
			t.Errorf("%v, %v", s, err)
		}
		if err := s.ParsePersist([]byte{0xff}); err == nil || s.AllA() != 4 {
			t.Errorf("%v, %v", s, err)
		}
	})
}

func TestStoredEnumeratorsThatAreGoneLoadAsTheyAreIfTheyFit(t *testing.T) {
	edit(t, func(z *game.Zone) {
		const fits, beyond, below = pb.Mood(7), pb.Mood(8), pb.Mood(-1) // of three bits
		for _, c := range []struct{ stored, want pb.Mood }{{pb.Mood_MOOD_SAD, pb.Mood_MOOD_SAD}, {fits, fits}, {beyond, 0}, {below, 0}} {
			o := omnibus(t, z)
			load := func(parse func([]byte) error, m proto.Message) {
				t.Helper()
				b, err := proto.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				if err := parse(b); err != nil {
					t.Errorf("mood %d: %v", c.stored, err)
				}
			}
			load(o.Flat().ParsePersist, &pb.Flat{X: 1, Z: 2, Mood: c.stored})
			load(o.Scalars().ParsePersist, &pb.Scalars{I32: 5, Mood: c.stored})
			load(o.Optionals().ParsePersist, &pb.Optionals{Mood: &c.stored})
			load(o.Lists().ParsePersist, &pb.Lists{Moods: []pb.Mood{1, c.stored, 2}})
			load(o.Maps().ParsePersist, &pb.Maps{BySint64: map[int64]pb.Mood{-3: c.stored, 3: 2}})
			if o.Lists().MoodsLen() != 3 {
				t.Fatalf("stored mood %d: the list is %v", c.stored, o.Lists())
			}
			moods, _ := o.Maps().BySint64Get(-3)
			if got := []pb.Mood{o.Flat().Mood(), o.Scalars().Mood(), o.Optionals().Mood(), o.Lists().MoodsAt(1), moods}; !slices.Equal(got, slices.Repeat([]pb.Mood{c.want}, len(got))) {
				t.Errorf("stored mood %d loads as %v, want %v", c.stored, got, c.want)
			}
			if o.Scalars().I32() != 5 || o.Lists().MoodsAt(2) != 2 || !o.Optionals().HasMood() {
				t.Errorf("stored mood %d: what is stored beside it is lost", c.stored)
			}
			if err := o.Scalars().From(&pb.Scalars{Mood: beyond}); err == nil {
				t.Error("a game set a mood of which there is none")
			}
		}
	})
}

func TestStoredListsAndTextsThatAreTooLongAreRefused(t *testing.T) {
	edit(t, func(z *game.Zone) {
		o := omnibus(t, z)
		o.Texts().SetShort("kept")
		for _, c := range []struct {
			parse func([]byte) error
			m     proto.Message
			say   string
		}{
			{o.Texts().ParsePersist, &pb.Texts{Short: "longer"}, "Texts.short: 6 bytes, at most 5"},
			{o.Lists().ParsePersist, &pb.Lists{Flags: make([]bool, 11)}, "Lists.flags: 11 elements, at most 10"},
			{o.Maps().ParsePersist, &pb.Maps{Purse: map[uint32]uint64{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6}}, "Maps.purse: 6 elements, at most 5"},
		} {
			b, err := proto.Marshal(c.m)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.parse(b); err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("%v does not say %q", err, c.say)
			}
		}
		if o.Texts().Short() != "kept" {
			t.Error("a field was changed")
		}
	})
}

func TestStringsShowUnits(t *testing.T) {
	edit(t, func(z *game.Zone) {
		h := hero(t, z)
		h.Flat().SetSign("hi")
		h.Flat().SetYaw(math.Pi)
		const want = `Flat{x: 10, z: 20, vx: 0, vz: 0, yaw: 3.14159, gaze: -, mood: MOOD_CALM, sign: "hi", stamina: 0, secret: 0}`
		if got := h.Flat().String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if got := h.String(); !strings.HasPrefix(got, "Hero 1{Flat{x: 10,") || !strings.HasSuffix(got, "party_b: false}}") {
			t.Error(got)
		}
		o := omnibus(t, z)
		o.Maps().ByStringPut("k", &pb.Sword{Id: 3})
		o.Lists().TurnsAppend(0)
		if got := o.Maps().String(); !strings.Contains(got, `by_string: {"k": Sword{id: 3, weight: 0, hilt: -, tag: -}}`) {
			t.Error(got)
		}
	})
}

// seen stands for an entity in a client's replica.
type seen struct {
	game.Entity
	layout *delta.Layout
}

func (s seen) View(component uint16) (delta.View, bool) {
	if !s.Has(component) {
		return delta.View{}, false
	}
	return s.Cell(component).View(), true
}

func (s seen) Layout() *delta.Layout { return s.layout }

// TestReadingAForeignLayoutPanicsInsteadOfLying: what lies where is another schema's.
func TestReadingAForeignLayoutPanicsInsteadOfLying(t *testing.T) {
	edit(t, func(z *game.Zone) {
		o := omnibus(t, z)
		var m pb.Ranges
		if !bind.RangesRead(seen{o.Entity, bind.NewLayout()}, &m) {
			t.Error("the component was not read")
		}
		other := bind.NewLayout()
		other.Fingerprint++
		defer func() {
			if got := fmt.Sprint(recover()); !strings.Contains(got, "set client.Config.Codec to what NewCodec makes") {
				t.Errorf("panic %q", got)
			}
		}()
		bind.RangesRead(seen{o.Entity, other}, &m)
	})
}
