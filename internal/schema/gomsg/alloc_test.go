package gomsg

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/tianxia-mmo/tianxia/internal/schema/gomsg/internal/allkinds"
	"github.com/tianxia-mmo/tianxia/internal/schema/gomsg/internal/allkinds/part"
)

// settled are messages that take no memory once their like has been parsed.
func settled() map[string]fastMessage {
	long := strings.Repeat("long ", 100)
	list := full(&allkinds.List{})
	list.AllTime = nil // the standard library reads those
	return map[string]fastMessage{
		"numbers": &allkinds.Steer{Seq: 5, Tick: 600, Vx: -7, Vz: 8},
		"strings": &allkinds.Welcome{SessionId: 1, Name: "Guan Yu", Rights: []string{"spectate", "play"}, Server: long},
		"nested":  &allkinds.Bag{Items: []*allkinds.Item{{Name: "axe", Gems: []uint32{1, 1000}}, {Name: long}}, Steer: &allkinds.Steer{Seq: 1}},
		"deep": &allkinds.Tree{Left: &allkinds.Tree{Left: &allkinds.Tree{Leaf: &allkinds.Tree_Text{Text: long}}},
			Leaf: &allkinds.Tree_Graft{Graft: &allkinds.Tree{Value: 1}}, Children: []*allkinds.Tree{{}, {Value: 3}}},
		"optional": &allkinds.Optional{MayBool: proto.Bool(false), MayBytes: []byte{}, MayString: proto.String("x"), MayDouble: proto.Float64(0)},
		"lists":    list,
		"oneofs":   &allkinds.Choice{Late: &allkinds.Choice_LateB{LateB: "x"}, Kind: &allkinds.Choice_IsPart{IsPart: &part.Part{Name: "y"}}},
		"bytes":    &allkinds.Choice{Kind: &allkinds.Choice_IsBytes{IsBytes: []byte(long)}},
		"map":      &allkinds.Map{ToInt32: map[int32]int32{1: 2, 300: 400}, ToBool: map[int32]bool{-1: true}},
	}
}

func TestAppendingIntoRoomTakesNoMemory(t *testing.T) {
	messages := settled()
	texts := map[string]string{}
	for i := range stackKeys {
		texts[fmt.Sprint(i)] = "text"
	}
	messages["full map"] = &allkinds.Map{ByString: texts, ByBool: map[bool]string{true: "x"}}
	for name, m := range messages {
		room := make([]byte, 0, m.SizeFast())
		if n := testing.AllocsPerRun(100, func() {
			if _, err := m.AppendFast(room); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations with room", name, n)
		}
		if n := testing.AllocsPerRun(100, func() {
			if _, err := m.AppendFast(nil); err != nil {
				t.Fatal(err)
			}
		}); n != 1 {
			t.Errorf("%s: %v allocations without room, not 1", name, n)
		}
		if n := testing.AllocsPerRun(100, func() { m.SizeFast() }); n != 0 {
			t.Errorf("%s: %v allocations to size", name, n)
		}
	}
}

func TestParsingTheLikeAgainTakesNoMemory(t *testing.T) {
	for name, m := range settled() {
		b, err := m.AppendFast(nil)
		if err != nil {
			t.Fatal(err)
		}
		into := fresh(m)
		if n := testing.AllocsPerRun(100, func() {
			if err := into.ParseFast(b); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if !proto.Equal(into, m) {
			t.Errorf("%s: %v, want %v", name, into, m)
		}
	}
}

func TestOnlyStringsThatChangedAreCopied(t *testing.T) {
	first, _ := (&allkinds.Welcome{Name: "Guan Yu", Rights: []string{"spectate", "play"}}).AppendFast(nil)
	second, _ := (&allkinds.Welcome{Name: "Guan Yu", Rights: []string{"spectate", "talk"}}).AppendFast(nil)
	m := &allkinds.Welcome{}
	if n := testing.AllocsPerRun(100, func() {
		if m.ParseFast(first) != nil || m.ParseFast(second) != nil {
			t.Fatal("refused")
		}
	}); n != 2 {
		t.Errorf("%v allocations, want 2: one for each change of a right", n)
	}
}
