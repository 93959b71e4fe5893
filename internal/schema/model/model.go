// Package model is a compiled schema as the generators see it: checked, with every default filled in. internal/schema builds it from .proto files; the
// generators only read it, so any number of them may use one at the same time.
package model

import (
	"google.golang.org/protobuf/compiler/protogen"

	"github.com/tianxia-mmo/tianxia/pkg/protocol"
	"github.com/tianxia-mmo/tianxia/pkg/sync/delta"
)

// Tree is everything below one folder of .proto files.
type Tree struct {
	Plugin  *protogen.Plugin // its Files have Generate set for the tree's own files
	Module  string           // path of the Go module that the tree lies in
	Schemas []*Schema        // the proto packages that carry option (mmo.schema), by name
}

// Schema is one proto package that carries option (mmo.schema).
type Schema struct {
	Package string // "plains.v1"
	Name    string // its first element, "plains"
	Files   []*protogen.File

	Bind       string // Go import path of the bindings; "": none
	BindName   string // name of that package
	TypeScript string // file of the TypeScript output, relative to the folder of go.mod; "": none
	SDK        string // folder of the TypeScript runtime, relative to the folder of TypeScript
	Manual     string // Markdown file with marks, relative to the folder of go.mod; "": none

	Fingerprint protocol.Fingerprint // of the lock
	Layout      *delta.Layout        // finished; with the fields that never leave the server
	Routes      []*Route             // by id
	Components  []*Component         // by id, in the order of Layout.Components
	Kinds       []*Kind              // by id, in the order of Layout.Kinds
	Avatar      *Kind                // that players who join get; nil: none
}

// Route is a message type that travels.
type Route struct {
	protocol.Route
	Message *protogen.Message
	Reply   *protogen.Message // nil: it is a push
	Seq     *protogen.Field   // of an input: its number and the tick it is meant for; nil: none
	Tick    *protogen.Field
}

// Component is a component with its message; a field of Def has the number of the message's field.
type Component struct {
	Def     *delta.Component
	Message *protogen.Message
	Persist bool
}

// Kind is an archetype of entities.
type Kind struct {
	Def        *delta.Kind
	Message    *protogen.Message
	Components []*Component // in the order in which they travel
}
