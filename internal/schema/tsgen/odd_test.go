package tsgen_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/compiler/protogen"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/internal/schema/tsgen"
)

// odd and peer hold each other's types, of the same names, and things that are called as the runtime's. npm run check compiles what comes of them.
const odd = `option (mmo.schema) = {typescript: "web/test/every/odd.ts", sdk: "../../sdk"};
import "peer/v1/peer.proto";
enum Tone { TONE_NONE = 0; TONE_LOUD = 1; }
message Text { string s = 1; peer.v1.Text other = 2; repeated peer.v1.Tone tones = 3; Tone tone = 4; }
message Say { option (mmo.route) = {id: 64, from: BOTH}; Text text = 1; peer.v1.Text.Inner inner = 2; peer.v1.Text.Mood mood = 3; map<int32, peer.v1.Text.Inner> inners = 4;
  peer.v1.Vital vital = 5; peer.v1.Mark mark = 6; }
message AskRequest { option (mmo.route) = {id: 65, from: CLIENT, reply: "Answer"}; } message Answer { peer.v1.Text text = 1; }
message Life { option (mmo.component) = {id: 1}; int32 hp = 1; optional int32 has = 2; optional float heat = 3 [(mmo.sync) = {quantize: 0.5}]; }
message Outer { option (mmo.component) = {id: 2}; Life life = 1; repeated peer.v1.Mark marks = 2; peer.v1.Text text = 3; }
message Bag { Life life = 1; repeated Hero heroes = 2; }
message World { option (mmo.component) = {id: 3}; bool up = 1; } message Part { option (mmo.component) = {id: 4}; bool up = 1; }
message Columns { option (mmo.component) = {id: 5}; bool columns = 1; } message Bytes { option (mmo.component) = {id: 6}; bytes b = 1; }
message Int32Array { option (mmo.component) = {id: 7}; int32 n = 1; } message Entities { option (mmo.component) = {id: 8}; bool constructor = 1; }
message ProtoReader { string a = 1; } message ProtoWriter { ProtoReader r = 1; } message Channel { ProtoWriter w = 1; } message EntityView { Channel c = 1; }
message ReplicaEvents { EntityView e = 1; } message IterableIterator { ReplicaEvents e = 1; } message Promise { IterableIterator i = 1; }
message Hero { option (mmo.kind) = {id: 1, components: ["Life", "Outer", "World", "Part", "Columns", "Bytes", "Int32Array", "Entities"]}; }
message Route { option (mmo.kind) = {id: 2, components: ["Life"]}; } message Kind { option (mmo.kind) = {id: 3, components: ["Life"]}; }
`

const peer = `option (mmo.schema) = {typescript: "web/test/every/peer.ts", sdk: "../../sdk"};
enum Tone { TONE_NONE = 0; TONE_SOFT = 1; }
message Text { string s = 1; Inner inner = 2; message Inner { uint32 depth = 1; } enum Mood { MOOD_NONE = 0; MOOD_GLAD = 1; } }
message Mark { uint32 n = 1; }
message Vital { option (mmo.component) = {id: 1}; int32 hp = 1; Mark mark = 2; }
message Rock { option (mmo.kind) = {id: 1, components: ["Vital"]}; }
`

func TestTypesOfTheSameNamesAndOfTheRuntimesGetOthers(t *testing.T) {
	tree := load(t, "odd", odd, "peer", peer)
	for _, s := range tree.Schemas {
		for _, k := range s.Kinds {
			if k.Def.Name == "Hero" { // the front end refuses kind Entity for another reason
				k.Def.Name = "Entity"
				k.Message.GoIdent.GoName = "Entity"
			}
		}
	}
	files, err := tsgen.Generate(tree)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		golden(t, name, content)
		if strings.Contains(string(content), `from "./`+strings.TrimPrefix(name, "web/test/every/")+`"`) {
			t.Errorf("%s imports from itself", name)
		}
	}
	for _, want := range []string{
		"type Text as TextFromPeer", "type Tone as ToneFromPeer", "writeText as writeTextFromPeer", "type TextInner", "readTextInner", "EntityView as EntityViewFromViews",
		"export interface Life {", "export class EntityView extends EntityViewFromViews<World> {", "writeVital",
	} {
		if !strings.Contains(string(files["web/test/every/odd.ts"]), want) {
			t.Errorf("odd.ts lacks %q", want)
		}
	}
	for _, want := range []string{"export function readVital(", "export function readMark(", "export function decodeTextInner("} {
		if !strings.Contains(string(files["web/test/every/peer.ts"]), want) {
			t.Errorf("peer.ts lacks %q", want)
		}
	}
}

func TestMistakesHaveTheirPlace(t *testing.T) {
	const life = `message Life { option (mmo.component) = {id: 1}; int32 hp = 1; } message Hero { option (mmo.kind) = {id: 1, components: ["Life"]}; }`
	const ping = "\nmessage Ping { option (mmo.route) = {id: 64, from: BOTH}; }"
	route := func(name string) func(*model.Tree) {
		return func(t *model.Tree) { t.Schemas[0].Routes[0].Name = name }
	}
	for _, c := range []struct {
		name, source string
		change       func(*model.Tree) // to what the front end refuses as well
		words        []string
	}{
		{"a type that comes with protobuf", "import \"google/protobuf/timestamp.proto\";\nmessage M { option (mmo.route) = {id: 64, from: CLIENT};\n  google.protobuf.Timestamp at = 1; }", nil,
			[]string{"spot/v1/spot.proto:8:3: schema spot.v1: TypeScript: field at of spot.v1.M: google.protobuf.Timestamp has no TypeScript", "message of your own", "int64"}},
		{"one in a map", "import \"google/protobuf/duration.proto\";\nmessage M { option (mmo.route) = {id: 64, from: CLIENT};\n  map<string, google.protobuf.Duration> at = 1; }", nil,
			[]string{"spot/v1/spot.proto:8:3: ", "field at of spot.v1.M: google.protobuf.Duration has no TypeScript"}},
		{"presence and a field", "message Life { option (mmo.component) = {id: 1}; optional int32 hp = 1;\n  bool has_hp = 2; } message Hero { option (mmo.kind) = {id: 1, components: [\"Life\"]}; }", nil,
			[]string{"spot/v1/spot.proto:7:3: ", "field has_hp of component Life: the columns of fields hp and has_hp both have hasHp: rename one of the fields"}},
		{"a route without a last part", ping, route("spot."), []string{"spot/v1/spot.proto:7:1: ", `route name "spot." gives its functions no name`}},
		{"a route without a name", ping, route(""), []string{"spot/v1/spot.proto:7:1: ", `route name "" gives`}},
		{"a route of quotes", ping, route(`spot."x"`), []string{"spot/v1/spot.proto:7:1: ", `route name "spot.\"x\"" gives`}},
		{"a route of verbs", ping, route("spot.100%d"), []string{"spot/v1/spot.proto:7:1: ", `route name "spot.100%d" gives`}},
		{"two routes of one name", ping + " message Pong { option (mmo.route) = {id: 65, from: CLIENT}; }", func(t *model.Tree) {
			t.Schemas[0].Routes[0].Name, t.Schemas[0].Routes[1].Name = "spot.a_b", "spot.aB"
		}, []string{"spot/v1/spot.proto:7:61: ", `routes "spot.a_b" and "spot.aB" are both called spotAB: rename one`}},
		{"two messages of one name", ping + "\nmessage Other { }", func(t *model.Tree) { message(t, "Other").GoIdent.GoName = "Ping" },
			[]string{"spot/v1/spot.proto:8:1: ", "message spot.v1.Ping and message spot.v1.Other are both called Ping: rename one of them"}},
		{"a message and a view", "message Other { }\n" + life, func(t *model.Tree) { message(t, "Other").GoIdent.GoName = "HeroView" },
			[]string{"spot/v1/spot.proto:7:", "message spot.v1.Other and kind Hero are both called HeroView: rename one of them"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree, err := try(t, "spot", own("spot")+c.source)
			switch {
			case err != nil && c.change == nil:
				return // the front end has found it, and knows the place
			case err != nil:
				t.Fatal(err)
			}
			if c.change != nil {
				c.change(tree)
			}
			_, err = tsgen.Generate(tree)
			for _, w := range c.words {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("error %v lacks %q", err, w)
				}
			}
		})
	}
}

// message finds a message of a tree by its name.
func message(t *model.Tree, name string) (found *protogen.Message) {
	for _, f := range t.Schemas[0].Files {
		for _, m := range f.Messages {
			if string(m.Desc.Name()) == name {
				found = m
			}
		}
	}
	return found
}
