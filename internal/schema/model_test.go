package schema

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tianxia-mmo/tianxia/internal/schema/model"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

const manualMarks = "# Manual\n<!-- mmo gen game.v1: begin -->\n<!-- mmo gen game.v1: end -->\nby hand\n"

// fullGame uses most of what a schema can say.
const fullGame = `syntax = "proto3";
package game.v1;
import "mmo/options.proto";
option go_package = "example.test/game/game/v1;gamev1";
option (mmo.schema) = {manual: "docs/manual.md", tick_hz: 20};

// Mood is how someone feels.
enum Mood { MOOD_CALM = 0; MOOD_WILD = 5; }

// Place is where it is.
message Place {
  option (mmo.component) = {id: 3, position: {x: "x", z: "z", vx: "vx", vz: "vz", heading: "yaw", polar: true}};
  double x = 1 [(mmo.sync) = {quantize: 0.003125, interp: LINEAR, predicted: true}];
  double z = 2 [(mmo.sync) = {quantize: 0.003125, interp: LINEAR, predicted: true}];
  double vx = 3 [(mmo.sync) = {quantize: 0.0625}];
  double vz = 4 [(mmo.sync) = {quantize: 0.0625}];
  float yaw = 5 [(mmo.sync) = {bits: 10, interp: ANGLE}];
}

// Stats | of everything.
message Stats {
  option (mmo.component) = {id: 7, persist: true};
  bool alive = 1;
  sint32 hp = 2 [(mmo.sync) = {range: {min: -5, max: 1000}, priority: HIGH}];
  uint32 level = 3 [(mmo.sync) = {bits: 7, audience: OWNER}];
  sfixed64 gold = 4 [(mmo.sync) = {audience: SERVER}];
  fixed64 big = 5;
  Mood mood = 6;
  float exact = 7;
  double exact64 = 8;
  float share = 9 [(mmo.sync) = {bits: 8, range: {min: -1, max: 1}}];
  float heat = 10 [(mmo.sync) = {quantize: 0.1, range: {min: -0.3, max: 0.3}}];
  uint64 target = 11 [(mmo.sync) = {entity: true, audience: PARTY}];
  string title = 12 [(mmo.sync) = {max: 20}];
  bytes blob = 13 [(mmo.sync) = {persist: false}];
  Buff best = 14;
  repeated Buff buffs = 15 [(mmo.sync) = {max: 8}];
  map<string, uint32> items = 16;
  optional int32 rank = 17;
  sint32 small = 18 [(mmo.sync) = {bits: 5}];
}

message Buff {
  uint32 kind = 1 [(mmo.sync) = {range: {max: 9}}];
  float left = 2 [(mmo.sync) = {quantize: 0.5}];
}

// Hero is a player.
message Hero { option (mmo.kind) = {id: 2, components: ["Place", "game.v1.Stats"], sees: 50, layer: "actor", avatar: true}; }

// Move goes.
message Move {
  option (mmo.route) = {id: 64, from: CLIENT, max_bytes: 64, input: {seq: "seq", tick: "tick"}, rate: {per_second: 30.5}};
  uint32 seq = 1;
  uint32 tick = 2;
}
message Ask { option (mmo.route) = {id: 66, name: "ask", from: CLIENT, reply: "Answer", states: [SECURED], affinity: GATEWAY, idempotent: true}; string text = 1; }
message Answer { string text = 1; }
message HitBy { option (mmo.route) = {id: 65, from: SERVER, delivery: AOI_EVENT}; uint64 who = 1; }
`

func loaded(t *testing.T, source string) *model.Schema {
	t.Helper()
	tree, err := Load(lay(t, map[string]string{"game/v1/game.proto": source}))
	if err != nil {
		t.Fatal(err)
	}
	return tree.Schemas[0]
}

func TestFieldsTravelAsTheirOptionsSay(t *testing.T) {
	s := loaded(t, fullGame)
	words := func(f *delta.Field) string {
		return strings.TrimSpace(fmt.Sprintf("%s %s max=%d interp=%d priority=%d predicted=%t persist=%t", f.Name, stateForm(f), f.Max, f.Interp, f.Priority, f.Predicted, f.Persist))
	}
	want := map[string]string{
		"x":       "steps,quantum=0.003125 max=0 interp=1 priority=0 predicted=true persist=false",
		"yaw":     "angle,bits=10 max=0 interp=2 priority=0 predicted=false persist=false",
		"alive":   "bool max=0 interp=0 priority=0 predicted=false persist=true",
		"hp":      "int32,bits=10,min=-5,max=1000 max=0 interp=0 priority=2 predicted=false persist=true",
		"level":   "uint32,bits=7,min=0,max=127,owner max=0 interp=0 priority=0 predicted=false persist=true",
		"gold":    "int64,server max=0 interp=0 priority=0 predicted=false persist=true",
		"big":     "uint64 max=0 interp=0 priority=0 predicted=false persist=true",
		"mood":    "enum,bits=3 max=0 interp=0 priority=0 predicted=false persist=true",
		"exact":   "float32 max=0 interp=0 priority=0 predicted=false persist=true",
		"exact64": "float64 max=0 interp=0 priority=0 predicted=false persist=true",
		"share":   "steps,bits=8,min=0,max=255,quantum=0.00784313725490196,origin=-1 max=0 interp=0 priority=0 predicted=false persist=true",
		"heat":    "steps,bits=3,min=-3,max=3,quantum=0.1 max=0 interp=0 priority=0 predicted=false persist=true",
		"target":  "entity,party max=0 interp=0 priority=0 predicted=false persist=false",
		"title":   "string max=20 interp=0 priority=0 predicted=false persist=true",
		"blob":    "bytes max=255 interp=0 priority=0 predicted=false persist=false",
		"best":    "message max=0 interp=0 priority=0 predicted=false persist=true",
		"buffs":   "list max=8 interp=0 priority=0 predicted=false persist=true",
		"items":   "map max=64 interp=0 priority=0 predicted=false persist=true",
		"rank":    "int32,optional max=0 interp=0 priority=0 predicted=false persist=true",
		"small":   "int32,bits=5,min=-16,max=15 max=0 interp=0 priority=0 predicted=false persist=true",
	}
	for i := range s.Layout.Components {
		for j := range s.Layout.Components[i].Fields {
			f := &s.Layout.Components[i].Fields[j]
			if want[f.Name] != "" && words(f) != f.Name+" "+want[f.Name] {
				t.Errorf("%s\nwant\n%s %s", words(f), f.Name, want[f.Name])
			}
			delete(want, f.Name)
		}
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
	stats := s.Components[1].Def
	if got := stateForm(&stats.Field(15).Fields[0]) + " " + stateForm(&stats.Field(15).Fields[0].Fields[0]); got != "message uint32,bits=4,min=0,max=9" {
		t.Errorf("elements are %s", got)
	}
	if e := stats.Field(16).Fields; e[0].Name != "key" || e[0].Type != delta.String || e[0].Max != 255 || e[1].Name != "value" || e[1].Type != delta.Uint32 {
		t.Errorf("entries are %+v", e)
	}
}

func TestRoutesHaveTheirDefaults(t *testing.T) {
	s := loaded(t, fullGame)
	want := []protocol.Route{
		{ID: 64, Name: "game.move", Kind: protocol.Push, Direction: protocol.ClientToServer, States: protocol.Playing, Affinity: protocol.Zone, MaxBytes: 64, Rate: 30.5, Burst: 31},
		{ID: 65, Name: "game.hit_by", Kind: protocol.Push, Direction: protocol.ServerToClient, States: protocol.AnyState, Affinity: protocol.Gateway, MaxBytes: protocol.DefaultMaxBytes,
			Delivery: protocol.AOIEvent},
		{ID: 66, Name: "ask", Kind: protocol.Request, Direction: protocol.ClientToServer, States: protocol.Secured, Affinity: protocol.Gateway, MaxBytes: protocol.DefaultMaxBytes, Idempotent: true},
	}
	for i, r := range s.Routes {
		if r.Route != want[i] {
			t.Errorf("%+v\nwant\n%+v", r.Route, want[i])
		}
	}
	if s.Routes[0].Seq.Desc.Name() != "seq" || s.Routes[0].Tick.Desc.Name() != "tick" || s.Routes[2].Reply.Desc.Name() != "Answer" {
		t.Error("input or reply is missing")
	}
	if _, err := protocol.NewRoutes(append(protocol.FrameworkRoutes(), want...)...); err != nil {
		t.Errorf("the protocol refuses them: %v", err)
	}
	for name, want := range map[string]string{"MoveRefused": "move_refused", "HTTPError": "http_error", "A": "a", "Goto2D": "goto2_d", "a_B": "a_b"} {
		if got := snake(name); got != want {
			t.Errorf("%s becomes %s, want %s", name, got, want)
		}
	}
}

func TestKindsAndPositionsAreConnected(t *testing.T) {
	s := loaded(t, fullGame)
	k := s.Kinds[0]
	if s.Avatar != k || k.Def.Sees != 50 || k.Def.Layer != "actor" || len(k.Components) != 2 || k.Components[0].Def != s.Layout.Component(3) || k.Components[1].Def.Name != "Stats" {
		t.Errorf("kind %+v", k.Def)
	}
	if m := *s.Layout.Components[0].Motion; m != (delta.Motion{X: 1, Z: 2, VX: 3, VZ: 4, Heading: 5, Polar: true}) {
		t.Errorf("motion %+v", m)
	}
	if s.Name != "game" || s.Layout.Name != "game" || s.Layout.TickHz != 20 || s.Layout.Fingerprint != s.Fingerprint.Uint64() || s.Fingerprint.Generation() != 1 {
		t.Errorf("schema %+v, layout %+v", s, s.Layout)
	}
	if _, err := delta.ParseTable(s.Layout.Table()); err != nil {
		t.Errorf("the table cannot be read back: %v", err)
	}
	if _, err := delta.NewCodec(s.Layout, nil); err != nil {
		t.Errorf("the codec refuses it: %v", err)
	}
}

func TestALayoutThatFitsNoMessageIsRefused(t *testing.T) {
	var fields strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&fields, "  bool field_with_quite_a_long_name_%d = %d;\n", i, i+1)
	}
	_, err := Load(lay(t, map[string]string{"game/v1/game.proto": marked1 + "message C { option (mmo.component) = {id: 1};\n" + fields.String() + "}\n"}))
	if err == nil || !strings.Contains(err.Error(), "game.proto:5:1: the layout table has ") || !strings.Contains(err.Error(), "declare fewer fields") {
		t.Errorf("%v", err)
	}
}

func TestAFrameworkSchemaHasRoutesOfItsOwn(t *testing.T) {
	source := strings.NewReplacer("game.v1", "mmo.v9", "game/v1", "mmo/v9", "example.test/game", framework).Replace(marked1) + "message LoginAgain { option (mmo.route) = {id: 63, from: CLIENT}; bool b = 1; }\n"
	tree, err := Load(lay(t, map[string]string{"go.mod": "module " + framework + "\n", "mmo/v9/x.proto": source}))
	if err != nil {
		t.Fatal(err)
	}
	if r := tree.Schemas[0].Routes[0]; r.Name != "login_again" || r.Affinity != protocol.Gateway || r.States != protocol.Playing {
		t.Errorf("route %+v", r.Route)
	}
	_, err = Load(lay(t, map[string]string{"go.mod": "module " + framework + "\n", "mmo/v9/x.proto": strings.Replace(source, "63", "64", 1)}))
	if err == nil || !strings.Contains(err.Error(), "take one of 32 to 63") {
		t.Errorf("a game's id: %v", err)
	}
}

// TestMistakesInImportedMessagesAreShownAtTheField: their own files are not in the tree, so nobody could mend them there.
func TestMistakesInImportedMessagesAreShownAtTheField(t *testing.T) {
	source, line, col := spotOf(strings.Replace(marked1, "import", "import \"google/protobuf/struct.proto\";\nimport", 1) +
		"message C { option (mmo.component) = {id: 1}; §google.protobuf.Struct s = 1; }\n")
	root := lay(t, map[string]string{"game/v1/game.proto": source})
	_, err := Load(root)
	if err == nil {
		t.Fatal("accepted")
	}
	for text := range strings.SplitSeq(err.Error(), "\n") {
		if !strings.Contains(text, fmt.Sprintf("game.proto:%d:%d: ", line, col)) {
			t.Errorf("not at %d:%d: %s", line, col, text)
		}
	}
}

func TestOnlyProto3IsAccepted(t *testing.T) {
	for _, syntax := range []string{`edition = "2023";`, `syntax = "proto2";`} {
		root := lay(t, map[string]string{"game/v1/game.proto": strings.Replace(marked1, `syntax = "proto3";`, syntax, 1) + "message M { }\n"})
		if _, err := Load(root); err == nil || !strings.HasPrefix(err.Error(), root+"/game/v1/game.proto:1:1: ") || !strings.Contains(err.Error(), `write syntax = "proto3"`) {
			t.Errorf("%s: %v", syntax, err)
		}
	}
}

func TestEightLevelsAreNotTooDeep(t *testing.T) {
	var text strings.Builder
	for i := range 7 {
		fmt.Fprintf(&text, "message L%d { L%d l = 1; }\n", i+1, i+2)
	}
	loaded(t, marked1+text.String()+"message L8 { bool b = 1; }\nmessage C { option (mmo.component) = {id: 1}; L1 l = 1; }\n")
}

func TestNumbersThatOnlyJustFitAreTaken(t *testing.T) {
	loaded(t, marked1+`message C { option (mmo.component) = {id: 1};
  int64 low = 1 [(mmo.sync) = {range: {min: -9007199254740992, max: -9007199254740000}}];
  double fine = 2 [(mmo.sync) = {quantize: 1e-9}];
  double coarse = 3 [(mmo.sync) = {quantize: 1e9}];
  double far = 4 [(mmo.sync) = {bits: 31, range: {min: -1e15, max: 1e15}}];
  uint32 nearly = 5 [(mmo.sync) = {tolerance: [{distance: 2, by: 1}]}];
}
`)
}
