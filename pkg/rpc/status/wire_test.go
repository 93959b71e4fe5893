package status_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tianxia-mmo/tianxia/pkg/rpc/status"
)

// reference is google.rpc.Status as protobuf itself reads and writes it.
func reference(t testing.TB) protoreflect.MessageDescriptor {
	field := func(name string, number int32, typ descriptorpb.FieldDescriptorProto_Type, label descriptorpb.FieldDescriptorProto_Label) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{Name: &name, Number: &number, Type: typ.Enum(), Label: label.Enum()}
	}
	const one, many = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, descriptorpb.FieldDescriptorProto_LABEL_REPEATED
	details := field("details", 3, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, many)
	details.TypeName = proto.String(".google.protobuf.Any")
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("status_reference.proto"), Package: proto.String("reference"), Syntax: proto.String("proto3"),
		Dependency: []string{anypb.File_google_protobuf_any_proto.Path()},
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Status"), Field: []*descriptorpb.FieldDescriptorProto{
			field("code", 1, descriptorpb.FieldDescriptorProto_TYPE_INT32, one), field("message", 2, descriptorpb.FieldDescriptorProto_TYPE_STRING, one), details}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().Get(0)
}

// fromReference reads b with protobuf.
func fromReference(t testing.TB, d protoreflect.MessageDescriptor, b []byte) (*status.Error, error) {
	m := dynamicpb.NewMessage(d)
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, err
	}
	fields := d.Fields()
	e := &status.Error{Code: status.Code(uint32(int32(m.Get(fields.ByNumber(1)).Int()))), Message: m.Get(fields.ByNumber(2)).String()}
	list := m.Get(fields.ByNumber(3)).List()
	for i := range list.Len() {
		inner, err := proto.Marshal(list.Get(i).Message().Interface())
		if err != nil {
			t.Fatal(err)
		}
		detail := &anypb.Any{}
		if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(inner, detail); err != nil {
			t.Fatal(err)
		}
		e.Details = append(e.Details, detail)
	}
	return e, nil
}

func equal(a, b *status.Error) bool {
	if a.Code != b.Code || a.Message != b.Message || len(a.Details) != len(b.Details) {
		return false
	}
	for i := range a.Details {
		if a.Details[i].TypeUrl != b.Details[i].TypeUrl || !bytes.Equal(a.Details[i].Value, b.Details[i].Value) {
			return false
		}
	}
	return true
}

func TestWireFormIsThatOfGoogleRPCStatus(t *testing.T) {
	d := reference(t)
	detail, err := anypb.New(&durationpb.Duration{Seconds: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []*status.Error{
		{}, {Code: status.NotFound}, {Message: "m"}, {Code: 1<<32 - 1, Message: "negative as an int32"}, {Code: 1 << 31}, {Code: 300},
		{Code: status.Internal, Message: "天下", Details: []*anypb.Any{detail, {}, {TypeUrl: "x"}, {Value: []byte{0, 1}}}},
		{Code: status.Unavailable, Fate: status.NotSent},
	} {
		wire := e.AppendWire([]byte("before"))
		wire, ok := bytes.CutPrefix(wire, []byte("before"))
		if !ok || len(wire) != e.SizeWire() {
			t.Errorf("%v: %d bytes appended, SizeWire is %d", e, len(wire), e.SizeWire())
		}
		theirs, err := fromReference(t, d, wire)
		if err != nil || !equal(e, theirs) {
			t.Errorf("%v arrives at protobuf as %v, %v", e, theirs, err)
		}
		ours, err := status.ParseWire(wire)
		if err != nil || !equal(e, ours) || ours.Fate != status.Answered {
			t.Errorf("%v arrives as %v, %v", e, ours, err)
		}
	}
	if e := (*status.Error)(nil); e.SizeWire() != 0 || len(e.AppendWire(nil)) != 0 {
		t.Error("a nil error has bytes")
	}
}

func TestWhatIsTooLargeIsCutAndTheErrorArrives(t *testing.T) {
	big := &anypb.Any{TypeUrl: "x/y", Value: make([]byte, status.MaxWire/3)}
	many := make([]*anypb.Any, status.MaxDetails+5)
	for i := range many {
		many[i] = &anypb.Any{TypeUrl: "x/y"}
	}
	tests := []struct {
		name    string
		e       status.Error
		message int // bytes that arrive
		details int
	}{
		{"message", status.Error{Code: status.Internal, Message: strings.Repeat("a", status.MaxMessage+1)}, status.MaxMessage, 0},
		{"message at the bound", status.Error{Code: status.Internal, Message: strings.Repeat("a", status.MaxMessage)}, status.MaxMessage, 0},
		{"message cut between letters", status.Error{Code: status.Internal, Message: "a" + strings.Repeat("天", status.MaxMessage)}, 8188 + 3, 0},
		{"text that is not UTF-8", status.Error{Code: status.Internal, Message: "a\xff\xfeb"}, 5, 0},
		{"big details", status.Error{Code: status.Internal, Message: "m", Details: []*anypb.Any{big, big, big, big}}, 1, 2},
		{"many details", status.Error{Code: status.Internal, Message: "m", Details: many}, 1, status.MaxDetails},
		{"nil detail", status.Error{Code: status.Internal, Details: []*anypb.Any{nil}}, 0, 1},
		{"type that is not UTF-8", status.Error{Code: status.Internal, Details: []*anypb.Any{{TypeUrl: "\xff"}}}, 0, 1},
	}
	for _, test := range tests {
		wire := test.e.AppendWire(nil)
		if len(wire) > status.MaxWire || len(wire) != test.e.SizeWire() {
			t.Errorf("%s: %d bytes, SizeWire %d", test.name, len(wire), test.e.SizeWire())
		}
		e, err := status.ParseWire(wire)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if e.Code != status.Internal || len(e.Message) != test.message || len(e.Details) != test.details || !utf8.ValidString(e.Message) {
			t.Errorf("%s: arrived with %d bytes of message and %d details, want %d and %d", test.name, len(e.Message), len(e.Details), test.message, test.details)
		}
	}
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	if _, err := status.ParseWire(make([]byte, status.MaxWire+1)); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("too many bytes: %v", err)
	}
	if _, err := status.ParseWire(bytes.Repeat([]byte{3<<3 | 2, 0}, status.MaxDetails+1)); err == nil || !strings.Contains(err.Error(), "details") {
		t.Errorf("too many details: %v", err)
	}
}

// FuzzParseWire holds ParseWire against protobuf: the same bytes are taken, and mean the same.
func FuzzParseWire(f *testing.F) {
	d := reference(f)
	detail, err := anypb.New(&durationpb.Duration{Seconds: 3})
	if err != nil {
		f.Fatal(err)
	}
	f.Add((&status.Error{Code: status.NotFound, Message: "天下", Details: []*anypb.Any{detail, {}}}).AppendWire(nil))
	f.Add([]byte{})
	f.Add([]byte{8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{8, 5, 8, 6, 18, 1, 'a', 18, 0, 26, 2, 10, 0, 13, 1, 2, 3, 4, 9, 1, 2, 3, 4, 5, 6, 7, 8}) // repeated, and code with the type of another field
	f.Add([]byte{35, 8, 1, 36, 18, 1, 0xff})                                                              // a group; text that is not UTF-8
	f.Add(protowire.AppendTag(nil, protowire.MaxValidNumber, protowire.VarintType))
	f.Fuzz(func(t *testing.T, b []byte) {
		ours, err := status.ParseWire(b)
		theirs, theirErr := fromReference(t, d, b)
		switch {
		case err != nil && theirErr == nil:
			if len(b) <= status.MaxWire && len(theirs.Details) <= status.MaxDetails {
				t.Fatalf("refused (%v) what protobuf takes", err)
			}
		case err == nil && theirErr != nil:
			t.Fatalf("took what protobuf refuses (%v)", theirErr)
		case err == nil:
			if !equal(ours, theirs) {
				t.Fatalf("%v, protobuf says %v", ours, theirs)
			}
			wire := ours.AppendWire(nil)
			if len(wire) != ours.SizeWire() {
				t.Fatalf("%d bytes, SizeWire %d", len(wire), ours.SizeWire())
			}
			back, err := status.ParseWire(wire)
			if err != nil {
				t.Fatal(err)
			}
			if len(ours.Message) <= status.MaxMessage && len(wire) < status.MaxWire && !equal(ours, back) {
				t.Fatalf("%v comes back as %v", ours, back)
			}
		}
	})
}
