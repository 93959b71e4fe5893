package tables_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tianxia-mmo/tianxia/pkg/game/tables"
	sinkv1 "github.com/tianxia-mmo/tianxia/proto_define/sink/v1"
)

// messageOf makes a message Row of fields in the text form of descriptors.
func messageOf(t *testing.T, options, fields string) proto.Message {
	t.Helper()
	file := &descriptorpb.FileDescriptorProto{}
	text := `name: "t.proto" package: "t" syntax: "proto3"
message_type { name: "Row" options {` + options + `}
  field { name: "id" number: 1 type: TYPE_UINT32 label: LABEL_OPTIONAL } ` + fields + ` }
message_type { name: "Self" field { name: "self" number: 1 type: TYPE_MESSAGE type_name: ".t.Self" label: LABEL_OPTIONAL } }`
	if err := prototext.Unmarshal([]byte(text), file); err != nil {
		t.Fatal(err)
	}
	d, err := protodesc.NewFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return dynamicpb.NewMessage(d.Messages().Get(0))
}

func TestSchemasThatContradictThemselvesAreRefused(t *testing.T) {
	const rows = `[mmo.table] { name: "rows" key: "id" }`
	field := func(of, column string) string {
		return `field { name: "x" number: 2 label: LABEL_OPTIONAL ` + of + ` options { [mmo.column] { ` + column + ` } } }`
	}
	const number, text, flag = "type: TYPE_INT32", "type: TYPE_STRING", "type: TYPE_BOOL"
	for _, c := range []struct{ name, options, fields, says string }{
		{"no table", "", "", "message t.Row is no table"},
		{"no key", `[mmo.table] { name: "rows" }`, "", "message t.Row is no table"},
		{"unknown key", `[mmo.table] { name: "rows" key: "di" }`, "", `key "di" of t.Row: name a field that is`},
		{"key with a default", `[mmo.table] { name: "rows" key: "x" }`, field(number, `default: "1"`), `key "x" of t.Row`},
		{"key that is no key", `[mmo.table] { name: "rows" key: "x" }`, field(flag, ""), `key "x" of t.Row`},
		{"bytes", rows, field("type: TYPE_BYTES", ""), "field t.Row.x is bytes, which no file can hold"},
		{"itself", rows, field(`type: TYPE_MESSAGE type_name: ".t.Self"`, ""), "message t.Self holds itself"},
		{"range of text", rows, field(text, "min: 1"), "min and max bound numbers"},
		{"range upside down", rows, field(number, "min: 2 max: 1"), "min 2 is above max 1"},
		{"unknown table", rows, field(number, `table: "rose"`), `there is no table "rose", there are rows`},
		{"another type of key", rows, field(number, `table: "rows"`), "field t.Row.x is int32, and the keys of table rows are uint32"},
		{"no key of any table", rows, field(flag, `table: "rows"`), "table on a field that is no key"},
		{"default that does not fit", rows, field(number, `default: "x"`), `default "x": want a whole number, got the text "x"`},
		{"default out of range", rows, field(number, `min: 1 default: "0"`), `default "0": want 1 or more, got 0`},
		{"required with a default", rows, field(number, `required: true default: "0"`), "required contradicts default"},
		{"default of a message", rows, field(`type: TYPE_MESSAGE type_name: ".t.Row"`, ""), "message t.Row holds itself"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := tables.NewSchema(tables.Config{}, nil, messageOf(t, c.options, c.fields)); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want something with %q", err, c.says)
			}
		})
	}
	if _, err := tables.NewSchema(tables.Config{}, nil, messageOf(t, rows, field("type: TYPE_UINT32", `table: "rows" default: "0"`))); err != nil {
		t.Error(err)
	}
	if _, err := tables.NewSchema(tables.Config{}, nil, &sinkv1.Monster{}, &sinkv1.Item{}, &sinkv1.Item{}); err == nil || !strings.Contains(err.Error(), `two tables "items"`) {
		t.Error(err)
	}
}

func TestRowsOfTheWrongSchemaPanic(t *testing.T) {
	set := load(t, good(nil))
	for name, run := range map[string]func(){
		"unknown table":   func() { tables.RowsOf(set, "itmes", (*sinkv1.Item).GetName) },
		"another message": func() { tables.RowsOf(set, "items", (*sinkv1.Monster).GetName) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r := recover(); r == nil || !strings.Contains(r.(string), "generate the bindings again") {
					t.Errorf("it said %v", r)
				}
			}()
			run()
		})
	}
}

func TestSchemasOfTheSameMessagesAreEqual(t *testing.T) {
	one, wide := schemaOf(t, tables.Config{}), schemaOf(t, tables.Config{MaxRows: 7})
	few, err := tables.NewSchema(tables.Config{}, nil, &sinkv1.Monster{}, &sinkv1.Item{})
	if err != nil {
		t.Fatal(err)
	}
	if !one.Equal(wide) || one.Equal(few) || one.Equal(nil) || !(*tables.Schema)(nil).Equal(nil) {
		t.Error("schemas of the same messages differ, or others do not")
	}
}
