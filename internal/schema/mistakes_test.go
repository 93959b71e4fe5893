package schema

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestMistakesAreShownWhereTheyAre: each source holds one mistake, at the mark §, and says with what words it is explained.
func TestMistakesAreShownWhereTheyAre(t *testing.T) {
	field := func(f string) string { return "message C { option (mmo.component) = {id: 1};\n  " + f + "\n}\n" }
	route := func(o string) string {
		return "message M { option (mmo.route) = {" + o + "};\n  uint32 seq = 1; sint32 far = 2; }\n"
	}
	pos := func(p, fields string) string {
		return "message C { option (mmo.component) = {id: 1, position: {" + p + "}};\n" + fields + "}\n"
	}
	placeComponent2 := strings.Replace(placeComponent, "id: 1", "id: 2", 1)
	const plane = `  double x = 1 [(mmo.sync) = {quantize: 0.05}]; double z = 2 [(mmo.sync) = {quantize: 0.05}];
  double vx = 3 [(mmo.sync) = {quantize: 1}]; double vz = 4 [(mmo.sync) = {quantize: 1}];
`
	many := ""
	for i := range 17 {
		many += fmt.Sprintf("message C%d { option (mmo.component) = {id: %d}; bool b = 1; }\n", i, i+1)
	}
	seventeen := ""
	for i := range 16 {
		seventeen += fmt.Sprintf("\"C%d\", ", i)
	}
	wide := "" // ten messages of ten fields each, one within the other: a hundred million fields
	for i := range 8 {
		wide += fmt.Sprintf("message W%d {", i)
		for j := range 10 {
			wide += fmt.Sprintf(" W%d f%d = %d;", i+1, j, j+1)
		}
		wide += " }\n"
	}
	wide += "message W8 { bool b = 1; }\n"
	deep := func(levels int) (text string) { // the last but one is where it is too much
		for i := 1; i < levels; i++ {
			mark := ""
			if i == levels-1 {
				mark = "§"
			}
			text += fmt.Sprintf("message L%d { %sL%d l = 1; }\n", i, mark, i+1)
		}
		return text + fmt.Sprintf("message L%d { bool b = 1; }\n", levels)
	}
	tests := []struct{ name, body, says string }{
		// What the compiler finds, with a way out.
		{"unknown option", "message M { option §(mmo.rout) = {id: 64}; }", "did you mean (mmo.route)?"},
		{"unknown field option", field("int32 a = 1 [§(mmo.sink) = {bits: 1}];"), "did you mean (mmo.sync)?"},
		{"unknown file option", "option §(mmo.shema) = {};", "did you mean (mmo.schema)?"},
		{"unknown part of an option", field("float a = 1 [(mmo.sync) = {§quantise: 1}];"), "did you mean quantize?"},
		{"unknown part, dotted", field("float a = 1 [(mmo.sync).§quantise = 1];"), "did you mean quantize?"},
		{"unknown part of a part", field("float a = 1 [(mmo.sync) = {range: {§mox: 1}}];"), "did you mean max?"},
		{"nothing near", field("float a = 1 [(mmo.sync) = {§colour: 1}];"), "(mmo.sync) has quantize, bits, range"},
		{"unknown enumerator", field("float a = 1 [(mmo.sync) = {interp: §LINEER}];"), "did you mean LINEAR?"},
		{"small letters", route("id: 64, from: §client"), "did you mean CLIENT?"},
		{"quoted enumerator", route(`id: 64, from: §"CLIENT"`), "without quotes"},
		{"without parentheses", field("float a = 1 [§mmo.sync = {bits: 1}];"), "in parentheses: (mmo.sync)"},
		{"on the wrong thing", field("float a = 1 [§(mmo.route) = {id: 64}];"), "is for a message"},
		{"sync on a message", "message M { option §(mmo.sync) = {bits: 1}; }", "is for a field"},
		{"no literal", field("float a = 1 [(mmo.sync) = §4];"), "write (mmo.sync) = {name: value"},
		{"unknown type", "message Thing {}\nmessage M { §Thnig a = 1; }", "did you mean Thing?"},
		// Routes.
		{"route without id", "message M { §option (mmo.route) = {from: CLIENT}; }", "such as id: 64"},
		{"route of the framework", route("§id: 40, from: CLIENT"), "take one of 64 to 65535"},
		{"control route", route("§id: 4, from: CLIENT"), "control route"},
		{"route above all", route("§id: 65536, from: CLIENT"), "64 to 65535"},
		{"route id twice", route("id: 64, from: CLIENT") + "message N { option (mmo.route) = {§id: 64, from: CLIENT}; }", "game.proto:6:35: take another one, such as 65"},
		{"route name twice", route(`id: 64, name: "a", from: CLIENT`) + `message N { option (mmo.route) = {id: 65, §name: "a", from: CLIENT}; }`, "is taken by M at"},
		{"route name with a space", route(`id: 64, §name: "a b", from: CLIENT`), "words of small letters"},
		{"route name with a dot at its end", route(`id: 64, from: CLIENT, §name: "game.look."`), "words of small letters"},
		{"route name with a dot at its beginning", route(`id: 64, from: CLIENT, §name: ".look"`), "words of small letters"},
		{"route name with a quote", route(`id: 64, from: CLIENT, §name: "a\"b"`), "words of small letters"},
		{"route name with a percent sign", route(`id: 64, from: CLIENT, §name: "a%d"`), "words of small letters"},
		{"route name with a dash", route(`id: 64, from: CLIENT, §name: "a-b"`), "words of small letters"},
		{"route name with an accent", route(`id: 64, from: CLIENT, §name: "é"`), "words of small letters"},
		{"route names alike", route(`id: 64, from: CLIENT, name: "look"`) + "message N { option (mmo.route) = {id: 65, from: CLIENT, name: \"x.look\"}; }\n" +
			"message O { option (mmo.route) = {id: 66, from: CLIENT, §name: \"x_look\"}; }", "rename one of them"},
		{"nobody sends", "message M { §option (mmo.route) = {id: 64}; }", "add from: CLIENT, SERVER or BOTH"},
		{"unknown reply", "message Answer { bool ok = 1; }\n" + route(`id: 64, from: CLIENT, §reply: "Anwser"`), "did you mean Answer?"},
		{"states of the server", route("id: 64, from: SERVER, states: [§PLAYING]"), "make it from: BOTH"},
		{"affinity of the server", route("id: 64, from: SERVER, §affinity: ZONE"), "make it from: BOTH"},
		{"service of the server", route("id: 64, from: SERVER, §affinity: SERVICE"), "make it from: BOTH"},
		{"zone before login", route("id: 64, from: CLIENT, states: [§SECURED]"), "nobody is in a zone before that"},
		{"zone before the world", route("id: 64, from: CLIENT, states: [§AUTHENTICATED, PLAYING]"), "say states: [PLAYING]"},
		{"zone in any state", route("id: 64, from: CLIENT, states: [§ANY]"), "say states: [PLAYING]"},
		{"service before login", route("id: 64, from: CLIENT, affinity: SERVICE, states: [§SECURED, PLAYING]"), "say states: [AUTHENTICATED, PLAYING]"},
		{"service in any state", route("id: 64, from: CLIENT, affinity: SERVICE, states: [§ANY]"), "say states: [AUTHENTICATED, PLAYING]"},
		{"state twice", route("id: 64, from: CLIENT, states: [PLAYING, §PLAYING]"), "drop one"},
		{"any and more", route("id: 64, from: CLIENT, affinity: GATEWAY, states: [SECURED, §ANY]"), "say states: [ANY] alone"},
		{"event of a client", route("id: 64, from: CLIENT, §delivery: AOI_EVENT"), "always reliable"},
		{"event with a reply", "message A { bool b = 1; }\n" + route(`id: 64, from: SERVER, reply: "A", §delivery: LATEST`), "drop delivery or reply"},
		{"too large", route("id: 64, from: CLIENT, §max_bytes: 100000"), "at most 65536"},
		{"rate of the server", route("id: 64, from: SERVER, §rate: {per_second: 1}"), "drop it"},
		{"rate not finite", route("id: 64, from: CLIENT, rate: {§per_second: nan}"), "need 0 to 1000000"},
		{"burst below cost", route("id: 64, from: CLIENT, rate: {per_second: 1, §burst: 2, cost: 3}"), "raise burst or lower cost"},
		{"rate without refill", route("id: 64, from: CLIENT, §rate: {burst: 2}"), "nothing would refill"},
		{"empty rate", route("id: 64, from: CLIENT, §rate: {}"), "give per_second"},
		{"input of the server", route(`id: 64, from: SERVER, §input: {seq: "seq"}`), "inputs come from players"},
		{"input without fields", route(`id: 64, from: CLIENT, §input: {}`), "seq:"},
		{"input misspelt", route(`id: 64, from: CLIENT, input: {§seq: "sqe"}`), "did you mean seq?"},
		{"input of a wrong type", route(`id: 64, from: CLIENT, input: {§tick: "far"}`), "make it uint32"},
		{"input twice", route(`id: 64, from: CLIENT, input: {seq: "seq", §tick: "seq"}`), "two fields"},
		{"input with a reply", "message A { bool b = 1; }\n" + route(`id: 64, from: CLIENT, reply: "A", §input: {seq: "seq"}`), "have no answer"},
		{"input at the gateway", route(`id: 64, from: CLIENT, affinity: GATEWAY, §input: {seq: "seq"}`), "ticks are the zone's"},
		{"two marks", "message M { option (mmo.route) = {id: 64, from: CLIENT};\n  §option (mmo.component) = {id: 1};\n  bool b = 1; }", "move the rest into a message of its own"},
		{"nested route", "message O { bool b = 1; message M { §option (mmo.route) = {id: 64, from: CLIENT}; } }", "move it to the top"},
		// Components.
		{"component without id", "message C { §option (mmo.component) = {}; bool b = 1; }", "such as id: 1"},
		{"component id twice", field("bool b = 1;") + "message D { option (mmo.component) = {§id: 1}; bool b = 1; }", "is taken by C at"},
		{"component above all", "message C { option (mmo.component) = {§id: 70000}; bool b = 1; }", "need 1 to 65535"},
		{"component of nothing", "message §C { option (mmo.component) = {id: 1}; }", "add one"},
		{"oneof", field("oneof o { §bool b = 1; }"), "optional fields"},
		{"recursive", field("Tree t = 1;") + "message Tree { repeated §Tree next = 1; }", "keep keys in place"},
		{"empty message", "message Nothing {}\n" + field("§Nothing n = 1;"), "make the field a bool"},
		{"too deep", deep(9) + field("L1 l = 1;"), "nested more than 8 deep"},
		{"too many fields", wide + field("§W1 w = 1;"), "make it smaller"},
		{"negative enumerator", "enum E { Z = 0; N = -1; }\n" + field("§E e = 1;"), "renumber it"},
		{"enum with too few bits", "enum E { Z = 0; F = 4; }\n" + field("E e = 1 [(mmo.sync) = {§bits: 2}];"), "need 3 to 31"},
		{"range of a float", field("float a = 1 [(mmo.sync) = {§range: {max: 1}}];"), "add quantize: <step> or bits"},
		{"quantize on a string", field("string a = 1 [(mmo.sync) = {§quantize: 1}];"), "only numbers have it"},
		{"quantize on an integer", field("int32 a = 1 [(mmo.sync) = {§quantize: 1}];"), "whole numbers travel whole"},
		{"quantum of 0", field("float a = 1 [(mmo.sync) = {§quantize: 0}];"), "positive, finite"},
		{"quantum below 0", field("float a = 1 [(mmo.sync) = {§quantize: -1}];"), "positive, finite"},
		{"quantum infinite", field("float a = 1 [(mmo.sync) = {§quantize: inf}];"), "positive, finite"},
		{"quantum nan, dotted", field("float a = 1 [§(mmo.sync).quantize = nan];"), "positive, finite"},
		{"bits of a float", field("float a = 1 [(mmo.sync) = {§bits: 8}];"), "add range"},
		{"angle without bits", field("float a = 1 [(mmo.sync) = {§interp: ANGLE}];"), "such as bits: 10"},
		{"angle of too many bits", field("float a = 1 [(mmo.sync) = {§bits: 17, interp: ANGLE}];"), "need 1 to 16"},
		{"angle with quantize", field("float a = 1 [(mmo.sync) = {§quantize: 1, interp: ANGLE}];"), "fraction of the turn"},
		{"angle with a range", field("float a = 1 [(mmo.sync) = {§range: {max: 1}, bits: 4, interp: ANGLE}];"), "whole turn"},
		{"angle of an integer", field("int32 a = 1 [(mmo.sync) = {§interp: ANGLE}];"), "float or double in radians"},
		{"range upside down", field("int32 a = 1 [(mmo.sync) = {§range: {min: 2, max: 1}}];"), "swap them"},
		{"range of one value", field("int32 a = 1 [(mmo.sync) = {§range: {min: 2, max: 2}}];"), "give min and max"},
		{"range not finite", field("int32 a = 1 [(mmo.sync) = {§range: {max: inf}}];"), "finite numbers"},
		{"range not whole", field("int32 a = 1 [(mmo.sync) = {§range: {max: 1.5}}];"), "are whole"},
		{"range beyond the type", field("uint32 a = 1 [(mmo.sync) = {§range: {min: -1, max: 1}}];"), "holds 0 to 4294967295"},
		{"range that begins beyond JavaScript", field("int64 a = 1 [(mmo.sync) = {§range: {min: -9007199254740994, max: -9007199254740000}}];"), "at most 53 bits"},
		{"quantum too fine", field("double a = 1 [(mmo.sync) = {§quantize: 0.9e-9}];"), "choose other units"},
		{"quantum too coarse", field("double a = 1 [(mmo.sync) = {§quantize: 1.1e9}];"), "choose other units"},
		{"quantum of nothing", field("double a = 1 [(mmo.sync) = {§quantize: 5e-324}];"), "choose other units"},
		{"range too far", field("double a = 1 [(mmo.sync) = {bits: 31, §range: {max: 1.1e15}}];"), "at most 1e+15"},
		{"range beyond a float", field("float a = 1 [(mmo.sync) = {bits: 4, §range: {min: -1e39}}];"), "at most 1e+15"},
		{"bits too fine", field("double a = 1 [(mmo.sync) = {§bits: 31, range: {max: 1}}];"), "choose other bits or units"},
		{"bits too coarse", field("double a = 1 [(mmo.sync) = {§bits: 1, range: {max: 1e14}}];"), "choose other bits or units"},
		{"range beyond JavaScript", field("int64 a = 1 [(mmo.sync) = {§range: {max: 1e18}}];"), "at most 53 bits"},
		{"too few bits for the range", field("int32 a = 1 [(mmo.sync) = {range: {max: 9}, §bits: 3}];"), "need 4 to 53"},
		{"too many bits for the type", field("int32 a = 1 [(mmo.sync) = {§bits: 33}];"), "need 1 to 32"},
		{"bits and quantize", field("float a = 1 [(mmo.sync) = {quantize: 1, §bits: 3}];"), "drop bits"},
		{"bits, range and quantize", field("float a = 1 [(mmo.sync) = {quantize: 1, range: {max: 3}, §bits: 3}];"), "drop bits"},
		{"steps too coarse", field("float a = 1 [(mmo.sync) = {§quantize: 2, range: {max: 1}}];"), "make them finer"},
		{"steps too many", field("double a = 1 [(mmo.sync) = {§quantize: 1e-9, range: {max: 10}}];"), "make them coarser"},
		{"steps finer than a float", field("float a = 1 [(mmo.sync) = {§quantize: 1e-6, range: {max: 100}}];"), "make the field double"},
		{"range of a bool", field("bool a = 1 [(mmo.sync) = {§range: {max: 1}}];"), "only numbers have it"},
		{"linear bool", field("bool a = 1 [(mmo.sync) = {§interp: LINEAR}];"), "nothing between"},
		{"linear list", field("repeated int32 a = 1 [(mmo.sync) = {§interp: LINEAR}];"), "nothing between"},
		{"max of a number", field("int32 a = 1 [(mmo.sync) = {§max: 4}];"), "range: {max"},
		{"max of 0", field("repeated int32 a = 1 [(mmo.sync) = {§max: 0}];"), "need 1 to 65536 elements"},
		{"max above all", field("string a = 1 [(mmo.sync) = {§max: 65537}];"), "need 1 to 65536 bytes"},
		{"entity of 32 bits", field("uint32 a = 1 [(mmo.sync) = {§entity: true}];"), "make the field uint64"},
		{"entity with a range", field("uint64 a = 1 [(mmo.sync) = {entity: true, §range: {max: 4}}];"), "no quantity"},
		{"stored entity", field("uint64 a = 1 [(mmo.sync) = {entity: true, §persist: true}];"), "do not outlive their zone"},
		{"stored list of entities", "message C { option (mmo.component) = {id: 1, persist: true};\n repeated uint64 a = 1 [(mmo.sync) = {§entity: true}]; }", "persist: false"},
		{"stored message with an entity", "message I { uint64 by = 1 [(mmo.sync) = {entity: true}]; }\nmessage C { option (mmo.component) = {id: 1, persist: true};\n §I i = 1; }", "say persist: false"},
		{"audience of a nested field", "message I { bool b = 1 [(mmo.sync) = {§audience: OWNER}]; }\n" + field("I i = 1;"), "set it on field i"},
		{"predicted on the server", field("float a = 1 [(mmo.sync) = {audience: SERVER, §predicted: true}];"), "never leaves the server"},
		{"predicted by the party", field("float a = 1 [(mmo.sync) = {audience: PARTY, §predicted: true}];"), "say audience: OWNER"},
		{"tolerance that falls", field("float a = 1 [(mmo.sync) = {tolerance: [{distance: 2, by: 1}, §{distance: 1, by: 1}]}];"), "rise from one to the next"},
		{"tolerance of nothing", field("float a = 1 [(mmo.sync) = {tolerance: [§{distance: 2}]}];"), "by how much"},
		{"tolerance of a string", field("string a = 1 [(mmo.sync) = {tolerance: [§{distance: 2, by: 1}]}];"), "only numbers"},
		{"tolerance of an entity", field("uint64 a = 1 [(mmo.sync) = {entity: true, tolerance: [§{distance: 2, by: 1}]}];"), "only numbers"},
		{"tolerance of a message", "message I { bool b = 1; }\n" + field("I a = 1 [(mmo.sync) = {tolerance: [§{distance: 2, by: 1}]}];"), "only numbers"},
		{"sync outside", "message M { int32 a = 1 [§(mmo.sync) = {bits: 4}]; }", "it would do nothing"},
		// Positions.
		{"position misspelt", pos(`§x: "xx", z: "z", vx: "vx", vz: "vz"`, plane), "did you mean x?"},
		{"position without vz", "message C { option (mmo.component) = {id: 1, §position: {x: \"x\", z: \"z\", vx: \"vx\"}};\n" + plane + "}", "position without vz"},
		{"height without its velocity", "message C { option (mmo.component) = {id: 1, §position: {x: \"x\", y: \"y\", z: \"z\", vx: \"vx\", vz: \"vz\"}};\n" + plane + " double y = 5 [(mmo.sync) = {quantize: 0.05}]; }", "position without vy"},
		{"position twice", pos(`x: "x", §z: "x", vx: "vx", vz: "vz"`, plane), "names field \"x\" twice"},
		{"position not quantised", pos(`§x: "a", z: "z", vx: "vx", vz: "vz"`, plane+"double a = 9;"), "is not quantised"},
		{"position for the owner", pos(`§x: "a", z: "z", vx: "vx", vz: "vz"`, plane+"double a = 9 [(mmo.sync) = {quantize: 0.05, audience: OWNER}];"), "drop optional and audience"},
		{"velocity with a range", pos(`x: "x", z: "z", §vx: "a", vz: "vz"`, plane+"double a = 9 [(mmo.sync) = {quantize: 1, range: {max: 9}}];"), "drop range and bits"},
		{"quanta of two axes", pos(`x: "x", z: "a", vx: "vx", vz: "vz"`, plane+"double a = 9 [(mmo.sync) = {§quantize: 0.1}];"), "write quantize: 0.05"},
		{"quantum that rounds", "message C { option (mmo.component) = {id: 1, position: {x: \"x\", z: \"z\", vx: \"vx\", vz: \"vz\"}};\n" +
			strings.Replace(strings.ReplaceAll(plane, "0.05", "0.04"), "quantize: 0.04", "§quantize: 0.04", 1) + "}", "write quantize: 0.05 here, or 0.8 for the velocity"},
		{"quantum that nearly fits", "message C { option (mmo.component) = {id: 1, position: {x: \"x\", z: \"z\", vx: \"vx\", vz: \"vz\"}};\n" +
			strings.Replace(strings.NewReplacer("0.05", "0.003126", "quantize: 1", "quantize: 0.0625").Replace(plane), "quantize: 0.003126", "§quantize: 0.003126", 1) + "}", "write quantize: 0.003125 here"},
		{"quantum of places too fine", "message C { option (mmo.component) = {id: 1, position: {x: \"x\", z: \"z\", vx: \"vx\", vz: \"vz\"}};\n" +
			strings.Replace(strings.NewReplacer("0.05", "0.9e-6", "quantize: 1", "quantize: 18e-6").Replace(plane), "quantize: 0.9e-6", "§quantize: 0.9e-6", 1) + "}", "steps of at least 1e-06"},
		{"quanta of two components", placeComponent + "message C { option (mmo.component) = {id: 2, position: {x: \"x\", z: \"z\", vx: \"vx\", vz: \"vz\"}};\n" +
			strings.Replace(plane, "quantize", "§quantize", 1) + "}", "write quantize: 0.003125"},
		{"heading that is no angle", pos(`x: "x", z: "z", vx: "vx", vz: "vz", §heading: "a"`, plane+"double a = 9;"), "give it bits: 10"},
		{"polar without heading", "message C { option (mmo.component) = {id: 1, §position: {x: \"x\", z: \"z\", vx: \"vx\", vz: \"vz\", polar: true}};\n" + plane + "}", "position without heading"},
		{"polar heading too fine", pos(`x: "x", z: "z", vx: "vx", vz: "vz", polar: true, §heading: "a"`, plane+"double a = 9 [(mmo.sync) = {bits: 13, interp: ANGLE}];"), "polar needs 5 to 12"},
		// Kinds.
		{"kind without id", placeComponent + "message K { §option (mmo.kind) = {components: [\"Place\"]}; }", "such as id: 1"},
		{"kind id twice", placeComponent + "message K { option (mmo.kind) = {id: 1, components: [\"Place\"]}; }\nmessage L { option (mmo.kind) = {§id: 1, components: [\"Place\"]}; }", "is taken by K at"},
		{"kind above all", placeComponent + "message K { option (mmo.kind) = {§id: 65535, components: [\"Place\"]}; }", "need 1 to 65534"},
		{"kind with fields", placeComponent + "message K { option (mmo.kind) = {id: 1, components: [\"Place\"]}; bool §b = 1; }", "move the fields into one"},
		{"kind of nothing", "message K { §option (mmo.kind) = {id: 1}; }", "name them"},
		{"component misspelt", placeComponent + "message K { option (mmo.kind) = {id: 1, components: [§\"Plaec\"]}; }", "did you mean Place?"},
		{"component that is none", "message M { bool b = 1; }\nmessage K { option (mmo.kind) = {id: 1, components: [§\"M\"]}; }", "give it option (mmo.component)"},
		{"component of another schema", "message K { option (mmo.kind) = {id: 1, components: [§\"mmo.Sync\"]}; }", "of its own schema"},
		{"component twice", placeComponent + "message K { option (mmo.kind) = {id: 1, components: [\"Place\", §\"Place\"]}; }", "drop one"},
		{"too many components", many + "message K { option (mmo.kind) = {id: 1, components: [" + seventeen + "§\"C16\"]}; }", "at most 16"},
		{"two places", placeComponent + strings.NewReplacer("Place", "Spot", "id: 1", "id: 2").Replace(placeComponent) + "message K { option (mmo.kind) = {id: 1, components: [\"Place\", §\"Spot\"]}; }", "keep one"},
		{"two avatars", placeComponent + "message K { option (mmo.kind) = {id: 1, avatar: true, components: [\"Place\"]}; }\nmessage L { option (mmo.kind) = {id: 2, §avatar: true, components: [\"Place\"]}; }", "drop avatar here or there"},
		{"avatar without a place", field("bool b = 1;") + "message K { option (mmo.kind) = {id: 1, §avatar: true, components: [\"C\"]}; }", "add a component with position"},
		{"sees below 0", placeComponent + "message K { option (mmo.kind) = {id: 1, §sees: -1, components: [\"Place\"]}; }", "a radius"},
		{"sees without a place", field("bool b = 1;") + "message K { option (mmo.kind) = {id: 1, §sees: 4, components: [\"C\"]}; }", "drop sees"},
		{"optional place", placeComponent + "message K { option (mmo.kind) = {id: 1, components: [\"Place\"], optional: [§\"Place\"]}; }", "has a place, so it cannot be optional"},
		{"optional misspelt", field("bool b = 1;") + placeComponent2 + "message K { option (mmo.kind) = {id: 1, components: [\"Place\", \"C\"], optional: [§\"Plaec\"]}; }", "did you mean Place?"},
		{"optional of another kind", field("bool b = 1;") + placeComponent2 + "message K { option (mmo.kind) = {id: 1, components: [\"Place\"], optional: [§\"C\"]}; }", "name it in components as well"},
		{"optional twice", field("bool b = 1;") + "message K { option (mmo.kind) = {id: 1, components: [\"C\"], optional: [\"C\", §\"game.v1.C\"]}; }", "twice: drop one"},
		{"layer with capitals", placeComponent + "message K { option (mmo.kind) = {id: 1, §layer: \"The Sky\", components: [\"Place\"]}; }", "small letters"},
		{"too large", field("repeated string a = 1 [(mmo.sync) = {max: 65536}];") + "message K { §option (mmo.kind) = {id: 1, components: [\"C\"]}; }", "lower max of its lists"},
		// Names.
		{"two Go names", "message A_B { bool b = 1; }\nmessage A { message §B { bool b = 1; } }", "rename one of them"},
		{"a method of protobuf", "message M { bool §proto_reflect = 1; }", "rename it"},
		{"capitals and small letters", "message Look { bool b = 1; }\nmessage §look { bool b = 1; }", "rename one of them"},
		{"a method's name", "message M { bool §size_fast = 1; }", "rename it"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, line, col := spotOf(marked1 + test.body)
			root := lay(t, map[string]string{"game/v1/game.proto": source})
			_, err := Load(root)
			if err == nil {
				t.Fatal("it was accepted")
			}
			text := filepath.ToSlash(err.Error())
			if strings.Contains(text, "\n") {
				t.Errorf("more than one mistake:\n%s", text)
			}
			if want := fmt.Sprintf("%s/game/v1/game.proto:%d:%d: ", filepath.ToSlash(root), line, col); !strings.HasPrefix(text, want) {
				t.Errorf("it is at\n%s\nwant\n%s", text, want)
			}
			if !strings.Contains(text, test.says) {
				t.Errorf("it says\n%s\nwant %q", text, test.says)
			}
			if strings.Count(strings.TrimPrefix(text, root), ": ") < 2 {
				t.Errorf("it gives no reason or way out:\n%s", text)
			}
			if strings.Contains(text, "%!") {
				t.Errorf("it is badly worded:\n%s", text)
			}
		})
	}
}
