package gomsg

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tianxia-mmo/tianxia/internal/schema/gomsg/internal/allkinds"
	"github.com/tianxia-mmo/tianxia/internal/schema/gomsg/internal/allkinds/part"
)

var deterministic = proto.MarshalOptions{Deterministic: true}

// appendLikeStd compares AppendFast and SizeFast with the standard library and returns the bytes; ok is false when both refuse.
func appendLikeStd(t testing.TB, m fastMessage) (b []byte, ok bool) {
	t.Helper()
	want, wantErr := deterministic.Marshal(m)
	got, err := m.AppendFast([]byte("before"))
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("AppendFast: %v, standard library: %v, of %v", err, wantErr, m)
	}
	if err != nil {
		return nil, false
	}
	if !bytes.Equal(got, append([]byte("before"), want...)) {
		t.Fatalf("AppendFast gives %x, the standard library %x, of %v", got[6:], want, m)
	}
	if m.SizeFast() != len(want) {
		t.Fatalf("SizeFast is %d of %d bytes of %v", m.SizeFast(), len(want), m)
	}
	if got, err = m.AppendFast(nil); err != nil || !bytes.Equal(got, want) || cap(got) > 2*len(want)+16 {
		t.Fatalf("AppendFast(nil): %d bytes of room for %d, %v", cap(got), len(want), err)
	}
	return want, true
}

// parseLikeStd parses b into m and compares with the standard library.
func parseLikeStd(t testing.TB, m fastMessage, b []byte) (ok bool) {
	t.Helper()
	want := fresh(m)
	wantErr := proto.Unmarshal(b, want)
	lent := bytes.Clone(b)
	err := m.ParseFast(lent)
	for i := range lent {
		lent[i] = 0xff // whoever kept a part of it will show
	}
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%T.ParseFast: %v, standard library: %v, of %x", m, err, wantErr, b)
	}
	if err != nil {
		if !proto.Equal(m, fresh(m)) {
			t.Fatalf("%T holds %v after the error %v", m, m, err)
		}
		return false
	}
	equalToStd(t, m, want, b)
	return true
}

// equalToStd compares what m and want hold, floats by their bits.
func equalToStd(t testing.TB, m, want fastMessage, b []byte) {
	t.Helper()
	if !proto.Equal(m, want) {
		t.Fatalf("%T: %v, want %v, of %x", m, m, want, b)
	}
	partial := proto.MarshalOptions{Deterministic: true, AllowPartial: true}
	have, err := partial.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if wanted, err := partial.Marshal(want); err != nil || !bytes.Equal(have, wanted) {
		t.Fatalf("%T holds %x, want %x (%v), of %x", m, have, wanted, err, b)
	}
}

func TestRandomMessagesTravelAsWithTheStandardLibrary(t *testing.T) {
	eachKind(t, func(t *testing.T, of fastMessage, chance *rand.Rand) {
		kept, sent := fresh(of), 0
		for range 60 {
			m := fresh(of)
			fill(m.ProtoReflect(), chance, 3)
			b, ok := appendLikeStd(t, m)
			if !ok {
				continue // a required field of a foreign message is missing
			}
			sent++
			parseLikeStd(t, fresh(of), b)
			parseLikeStd(t, kept, b)
			for range 3 {
				parseLikeStd(t, kept, mutate(b, chance))
			}
		}
		if sent == 0 {
			t.Error("no message was sent")
		}
	})
}

func TestAnyBytesParseAsWithTheStandardLibrary(t *testing.T) {
	eachKind(t, func(t *testing.T, of fastMessage, chance *rand.Rand) {
		kept := fresh(of)
		accepted, refused := 0, 0
		for range 1500 {
			b := scrawl(of.ProtoReflect().Descriptor(), chance, 4)
			if chance.IntN(4) == 0 {
				b = mutate(b, chance)
			}
			parseLikeStd(t, fresh(of), b)
			if parseLikeStd(t, kept, b) {
				accepted++
			} else {
				refused++
			}
			appendLikeStd(t, kept)
		}
		if accepted < 150 || refused < 15 {
			t.Errorf("%d accepted, %d refused: the bytes do not try much", accepted, refused)
		}
	})
}

func TestMergingReadsAsWithTheStandardLibrary(t *testing.T) {
	eachKind(t, func(t *testing.T, of fastMessage, chance *rand.Rand) {
		for range 1000 {
			m, want := fresh(of), fresh(of)
			for range 3 {
				b := scrawl(of.ProtoReflect().Descriptor(), chance, 4)
				wantErr := proto.UnmarshalOptions{Merge: true, AllowPartial: true}.Unmarshal(b, want)
				err := m.ReadFast(b, true, protowire.DefaultRecursionLimit)
				if (err == nil) != (wantErr == nil) {
					t.Fatalf("%v, standard library: %v, of %x", err, wantErr, b)
				}
				if err != nil {
					break
				}
				equalToStd(t, m, want, b)
			}
		}
	})
}

func TestMessagesNestAsDeepAsWithTheStandardLibrary(t *testing.T) {
	wraps := map[string]func(inner []byte) []byte{
		"field": func(inner []byte) []byte {
			return protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), inner)
		},
		"list": func(inner []byte) []byte {
			return protowire.AppendBytes(protowire.AppendTag(nil, 3, protowire.BytesType), inner)
		},
		"map": func(inner []byte) []byte {
			entry := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), inner)
			return protowire.AppendBytes(protowire.AppendTag(nil, 4, protowire.BytesType), entry)
		},
		"oneof": func(inner []byte) []byte {
			return protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), inner)
		},
		"group": func(inner []byte) []byte {
			return protowire.AppendTag(append(protowire.AppendTag(nil, 9, protowire.StartGroupType), inner...), 9, protowire.EndGroupType)
		},
	}
	for name, wrap := range wraps {
		t.Run(name, func(t *testing.T) {
			levels := 0
			var b []byte
			for _, stop := range []int{4999, 5000, 5001, 9999, 10000, 10001} {
				for ; levels < stop; levels++ {
					b = wrap(b)
				}
				want, got := proto.Unmarshal(b, &allkinds.Tree{}), (&allkinds.Tree{}).ParseFast(b)
				if (want == nil) != (got == nil) {
					t.Errorf("%d levels: %v, standard library: %v", levels, got, want)
				}
			}
		})
	}
	// A foreign message and one of another package count on.
	var inner []byte
	for range 9998 {
		inner = protowire.AppendBytes(protowire.AppendTag(nil, 3, protowire.BytesType), inner) // Part.inner
	}
	for range 4 {
		b := protowire.AppendBytes(protowire.AppendTag(nil, 18, protowire.BytesType), inner)
		want, got := proto.Unmarshal(b, &allkinds.One{}), (&allkinds.One{}).ParseFast(b)
		if (want == nil) != (got == nil) {
			t.Errorf("other package: %v, standard library: %v", got, want)
		}
		inner = protowire.AppendBytes(protowire.AppendTag(nil, 3, protowire.BytesType), inner)
	}
	for limit := range 5 { // Foreign, Struct, entry, Value
		b, err := (&allkinds.Foreign{Struct: &structpb.Struct{Fields: map[string]*structpb.Value{"a": structpb.NewNumberValue(1)}},
			Structs: map[int32]*structpb.Struct{1: {}}}).AppendFast(nil)
		if err != nil {
			t.Fatal(err)
		}
		got := (&allkinds.Foreign{}).ReadFast(b, false, limit)
		want := error(nil)
		if limit > 0 {
			want = proto.UnmarshalOptions{RecursionLimit: limit}.Unmarshal(b, &allkinds.Foreign{})
		}
		if limit > 0 && (want == nil) != (got == nil) || limit == 0 && got == nil {
			t.Errorf("foreign message, %d levels: %v, standard library: %v", limit, got, want)
		}
	}
}

func TestOddStructsAppendAsWithTheStandardLibrary(t *testing.T) {
	long := strings.Repeat("x", 20000)
	tests := map[string]fastMessage{
		"nil message":         (*allkinds.One)(nil),
		"nil in a list":       &allkinds.List{AllTree: []*allkinds.Tree{nil, {}}, AllTime: []*timestamppb.Timestamp{nil, {}}, AllBytes: [][]byte{nil, {}}},
		"nil in a map":        &allkinds.Map{ToTree: map[int32]*allkinds.Tree{1: nil}, ToTimestamp: map[int32]*timestamppb.Timestamp{1: nil}},
		"nil in a oneof":      &allkinds.Choice{Kind: &allkinds.Choice_IsTree{}},
		"foreign nil, oneof":  &allkinds.Choice{Kind: &allkinds.Choice_IsTime{}},
		"nil wrapper":         &allkinds.Choice{Kind: (*allkinds.Choice_IsTree)(nil)},
		"empty bytes":         &allkinds.Optional{MayBytes: []byte{}, MayString: proto.String("")},
		"bad field":           &allkinds.One{OneString: "\xff"},
		"bad optional field":  &allkinds.Optional{MayString: proto.String("\xff")},
		"bad element":         &allkinds.List{AllString: []string{"", "\xff"}},
		"bad key":             &allkinds.Map{ByString: map[string]string{"\xff": ""}},
		"bad value":           &allkinds.Map{ByString: map[string]string{"": "\xff"}},
		"bad oneof":           &allkinds.Choice{Kind: &allkinds.Choice_IsString{IsString: "\xff"}},
		"bad nested":          &allkinds.One{OneTree: &allkinds.Tree{Left: &allkinds.Tree{Leaf: &allkinds.Tree_Text{Text: "\xff"}}}},
		"required is missing": &allkinds.Foreign{Option: &descriptorpb.UninterpretedOption{Name: []*descriptorpb.UninterpretedOption_NamePart{{}}}},
		"long, many levels": &allkinds.Tree{Left: &allkinds.Tree{Left: &allkinds.Tree{Leaf: &allkinds.Tree_Text{Text: long}}},
			Named: map[string]*allkinds.Tree{long: {Children: []*allkinds.Tree{{Leaf: &allkinds.Tree_Text{Text: long[:130]}}}}}},
		"unsorted oneofs": &allkinds.Choice{Before: 1, Between: 2, After: proto.Int32(3), Late: &allkinds.Choice_LateB{LateB: "x"},
			Kind: &allkinds.Choice_IsFirst{IsFirst: 4}},
	}
	for name, m := range tests {
		t.Run(name, func(t *testing.T) {
			b, ok := appendLikeStd(t, m)
			if ok == (strings.HasPrefix(name, "bad") || strings.HasPrefix(name, "required")) {
				t.Fatalf("accepted: %v", ok)
			}
			if ok {
				parseLikeStd(t, fresh(m), b)
			}
		})
	}
}

func TestUnknownFieldsSurvive(t *testing.T) {
	m := &allkinds.Bag{Items: []*allkinds.Item{{Id: 3, Count: 4, Name: "axe", Gems: []uint32{7, 8}}}, Steer: &allkinds.Steer{Seq: 1, Tick: 300, Vx: -4}}
	b, err := m.AppendFast(nil)
	if err != nil {
		t.Fatal(err)
	}
	stranger := &allkinds.Bare{}
	if err := stranger.ParseFast(b); err != nil {
		t.Fatal(err)
	}
	if again, err := stranger.AppendFast(nil); err != nil || !bytes.Equal(again, b) {
		t.Errorf("came out as %x (%v), went in as %x", again, err, b)
	}
	if err := stranger.ParseFast(nil); err != nil || stranger.SizeFast() != 0 {
		t.Errorf("%d bytes are left of the message before (%v)", stranger.SizeFast(), err)
	}
}

func TestErrorsNameTheFieldAndWhatIsWrong(t *testing.T) {
	_, append := (&allkinds.Bag{Items: []*allkinds.Item{{Name: "\xff"}}}).AppendFast(nil)
	tests := []struct {
		err  error
		want string
	}{
		{append, "gomsg.allkinds.Item.name is not UTF-8"},
		{(&allkinds.Bag{}).ParseFast([]byte{10, 3, 26, 1, 0xff}), "gomsg.allkinds.Item.name is not UTF-8"},
		{(&allkinds.Bag{}).ParseFast([]byte{10, 2, 8, 0x80}), "gomsg.allkinds.Item, field 1: unexpected EOF"},
		{(&allkinds.Bag{}).ParseFast([]byte{10, 3, 8}), "gomsg.allkinds.Bag, field 1: unexpected EOF"},
		{(&allkinds.Bag{}).ParseFast([]byte{0}), "gomsg.allkinds.Bag: no field can have the number 0"},
		{(&allkinds.One{}).ParseFast([]byte{0x92, 1, 1, 8}), "gomsg.part.Part, field 1: unexpected EOF"},
		{(&allkinds.One{}).ParseFast([]byte{0xa2, 1, 1, 8}), "gomsg.allkinds.One.one_time: "},
	}
	for _, test := range tests {
		if test.err == nil || !strings.Contains(test.err.Error(), test.want) {
			t.Errorf("%v, want %s", test.err, test.want)
		}
	}
}

func TestPartsAreUsedAgain(t *testing.T) {
	m := &allkinds.Bag{}
	first := &allkinds.Bag{Items: []*allkinds.Item{{Id: 1, Name: "axe"}, {Id: 2, Name: "bow", Gems: []uint32{1, 2, 3}}}, Steer: &allkinds.Steer{Seq: 1}}
	second := &allkinds.Bag{Items: []*allkinds.Item{{Id: 9}}, Steer: &allkinds.Steer{Tick: 4}}
	b, err := first.AppendFast(nil)
	if err != nil || m.ParseFast(b) != nil {
		t.Fatal(err)
	}
	item, steer := m.Items[0], m.Steer
	if b, err = second.AppendFast(nil); err != nil || m.ParseFast(b) != nil {
		t.Fatal(err)
	}
	if !proto.Equal(m, second) {
		t.Errorf("%v, want %v", m, second)
	}
	if m.Items[0] != item || m.Steer != steer {
		t.Error("new messages were made where old ones were at hand")
	}
	if left := m.Items[:2][1]; left != nil {
		t.Errorf("the list still holds %v behind its end", left)
	}
}

func TestPartsOfAnotherPackageAreUsedAgain(t *testing.T) {
	m := &allkinds.One{OnePart: &part.Part{Name: "old", Number: 4, Inner: &part.Part{}}}
	held := m.OnePart
	b, err := (&allkinds.One{OnePart: &part.Part{Name: "new"}}).AppendFast(nil)
	if err != nil || m.ParseFast(b) != nil {
		t.Fatal(err)
	}
	if m.OnePart != held || !proto.Equal(held, &part.Part{Name: "new"}) {
		t.Errorf("%v", m)
	}
}

func FuzzParseFast(f *testing.F) {
	chance := rand.New(rand.NewPCG(1, 2))
	all := kinds()
	for i, m := range all {
		for range 4 {
			f.Add(byte(i), scrawl(m.ProtoReflect().Descriptor(), chance, 3), scrawl(m.ProtoReflect().Descriptor(), chance, 3))
		}
	}
	f.Fuzz(func(t *testing.T, which byte, before, b []byte) {
		m := fresh(all[int(which)%len(all)])
		parseLikeStd(t, m, before)
		if parseLikeStd(t, m, b) {
			appendLikeStd(t, m)
		}
	})
}
