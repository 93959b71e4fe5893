// Package model is a compiled schema as the generators see it: checked, with every default filled in. internal/schema builds it from .proto files; the
// generators only read it, so any number of them may use one at the same time.
package model

import (
	"slices"
	"time"

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
	Services    []*Service           // by full name
	Calls       []*Call              // by id
	Tables      []*Table             // by name
}

// Plays tells whether the schema says anything that players take part in, or is only there for calls between processes.
func (s *Schema) Plays() bool {
	return len(s.Services) == 0 || len(s.Routes)+len(s.Components)+len(s.Kinds)+len(s.Calls) > 0
}

// Route is a message type that travels.
type Route struct {
	protocol.Route
	Message *protogen.Message
	Reply   *protogen.Message // nil: it is a push
	Seq     *protogen.Field   // of an input: its number and the tick it is meant for; nil: none
	Tick    *protogen.Field
}

// Call is a message type by which entities call each other.
type Call struct {
	ID      uint16
	Name    string // in logs and errors: "plains.strike"
	Message *protogen.Message
	Reply   *protogen.Message // nil: nothing but an error answers
	Kind    *Kind             // that it is for; nil: any
}

// Table is a message whose values designers keep in a file.
type Table struct {
	Name    string // of the file, without its ending
	Message *protogen.Message
	Key     *protogen.Field // that tells rows apart
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

// Optional tells whether entities of the kind may lack one of its components.
func (k *Kind) Optional(c *Component) bool { return slices.Contains(k.Def.Optional, c.Def.ID) }

// Service is a set of methods that processes call on each other.
type Service struct {
	*protogen.Service
	Name    string    // full: "world.v1.World"
	Methods []*Method // in the order of their declaration
}

// Method is a method of a service.
type Method struct {
	*protogen.Method
	Name       string // full: "world.v1.World/Move"
	Form       Form
	Idempotent bool
	Inline     bool
	Pooled     bool
	Bulk       bool
	Timeout    time.Duration   // of a call that does not say its own; 0: the client's
	Key        *protogen.Field // of the request; nil: none
}

// Form is who says how much in a method.
type Form uint8

// The forms of methods.
const (
	Unary        Form = iota // one request, one answer
	OneWay                   // one request, no answer
	ClientStream             // many requests, one answer
	ServerStream             // one request, many answers
	BothStreams              // many of both, each when it likes
)

// String is the form as the lock has it.
func (f Form) String() string {
	return [...]string{"unary", "one_way", "client_stream", "server_stream", "both_streams"}[f]
}
