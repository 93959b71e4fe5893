// Package protocol holds what travels inside a sealed record: frames, the table of routes, control payloads, error and
// disconnect codes, and the schema's fingerprint. docs/ProtoDesignMaunal_v1.0.md sections 5 and 6 are its contract.
//
// Everything here is a plain function of its arguments, without I/O, clocks or shared state, and may be called from any
// goroutine. A *Routes never changes after NewRoutes and may be shared by all of them. Nothing runs, so nothing stops.
package protocol

// Version is the protocol version that this code speaks. Any change of bytes on the wire raises it and adds a line here.
//
//	1  2026-11-22  first version: records sealed by Noise NK keys, frames of types 0-6, state frames of layout 1
//	2  2026-11-22  generated layouts: states of any components, route 36 tells the layout, fingerprints instead of schema hashes
//	3  2026-11-23  sessions that outlive their connection: suite 2, tickets, numbered messages and ACK, RESUME, a login queue, payloads in JSON
//	4  2026-11-23  worlds of several zones: entities cross and keep their index, rows change, origins, short ids of the section's zone; components that an entity may lack
const Version = 4

// Subprotocol is the WebSocket subprotocol of Version; it is bound into the handshake's prologue.
const Subprotocol = "mmo.v1"

// Limits of the route number space.
const (
	// FirstFrameworkRoute is the lowest route that is not a control route.
	FirstFrameworkRoute = 32
	// FirstGameRoute is the lowest route that a game may declare.
	FirstGameRoute = 64
	// MaxRoute is the highest route number.
	MaxRoute = 65535
	// DefaultMaxBytes is the payload limit of a route that states none, in bytes.
	DefaultMaxBytes = 4096
	// MaxRouteBytes is the highest payload limit that a route may state, in bytes: a record of a client carries no more.
	MaxRouteBytes = 64 << 10
)
