package manual

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

func TestOnlyWhatIsBetweenTheMarksChanges(t *testing.T) {
	const text = "# A\r\n<!-- mmo gen a.v1: begin -->old\n<!-- mmo gen a.v1: end --> tail\n<!-- mmo gen b.v1: begin -->\n<!-- mmo gen b.v1: end -->"
	got, err := Insert("a.md", []byte(text), "a.v1", "\nnew\n")
	want := "# A\r\n<!-- mmo gen a.v1: begin -->\n\nnew\n<!-- mmo gen a.v1: end --> tail\n<!-- mmo gen b.v1: begin -->\n<!-- mmo gen b.v1: end -->"
	if err != nil || string(got) != want {
		t.Fatalf("%q, %v", got, err)
	}
	if again, err := Insert("a.md", got, "a.v1", "\nnew\n"); err != nil || string(again) != want {
		t.Errorf("a second time: %q, %v", again, err)
	}
}

func TestLineEndsOfWindowsStay(t *testing.T) {
	const text = "<!-- mmo gen a.v1: begin -->\r\n<!-- mmo gen a.v1: end -->\r\n"
	got, err := Insert("a.md", []byte(text), "a.v1", "\nnew\n")
	if err != nil || string(got) != "<!-- mmo gen a.v1: begin -->\r\n\r\nnew\r\n<!-- mmo gen a.v1: end -->\r\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestStatesStandInTheOrderOfASession(t *testing.T) {
	for set, want := range map[protocol.States]string{
		protocol.Secured: "secured", protocol.Playing: "playing", protocol.Authenticated | protocol.Playing: "authenticated, playing",
		protocol.AnyState: "secured, authenticated, playing",
	} {
		s := &model.Schema{Package: "a.v1", Routes: []*model.Route{{
			Message: sent(t),
			Route:   protocol.Route{ID: 64, Name: "a", Kind: protocol.Push, Direction: protocol.ClientToServer, States: set, Affinity: protocol.Service, MaxBytes: 9},
		}}}
		if row := "| push | client → server | " + want + " | service |"; !strings.Contains(Tables(s), row) {
			t.Errorf("states %#x: no row with %q in\n%s", uint8(set), row, Tables(s))
		}
	}
}

// sent is a message of the library's, as the generator sees it.
func sent(t *testing.T) *protogen.Message {
	t.Helper()
	file := protodesc.ToFileDescriptorProto(emptypb.File_google_protobuf_empty_proto)
	plugin, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{FileToGenerate: []string{file.GetName()}, ProtoFile: []*descriptorpb.FileDescriptorProto{file}})
	if err != nil {
		t.Fatal(err)
	}
	return plugin.Files[0].Messages[0]
}

func TestMarksThatAreWrongAreExplained(t *testing.T) {
	begin, end := Begin("a.v1")+"\n", End("a.v1")+"\n"
	tests := []struct{ name, text, says string }{
		{"none", "x\n", "a.md:1: no marks for package a.v1: write the two lines"},
		{"no end", "x\n" + begin, "a.md:2: the mark <!-- mmo gen a.v1: begin --> has no end"},
		{"no beginning", "x\n" + end, "a.md:2: the mark <!-- mmo gen a.v1: end --> has no beginning"},
		{"swapped", end + begin, "a.md:1: the mark <!-- mmo gen a.v1: end --> stands before"},
		{"twice", begin + end + begin + end, "a.md:3: the mark <!-- mmo gen a.v1: begin --> stands there 2 times"},
	}
	for _, test := range tests {
		if _, err := Insert("a.md", []byte(test.text), "a.v1", ""); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v\nwant %q", test.name, err, test.says)
		}
	}
}

func ExampleInsert() {
	page := []byte("<!-- mmo gen game.v1: begin -->\n<!-- mmo gen game.v1: end -->\n")
	out, err := Insert("manual.md", page, "game.v1", "| id |\n|---|\n")
	fmt.Printf("%s%v\n", out, err)
	// Output:
	// <!-- mmo gen game.v1: begin -->
	// | id |
	// |---|
	// <!-- mmo gen game.v1: end -->
	// <nil>
}
