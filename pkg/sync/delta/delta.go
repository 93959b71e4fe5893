// Package delta is the component codec: an entity's replicated state, its closed-form reckoning, and its bits on the wire.
//
// A Layout describes a game's kinds of entities as data; a Codec codes their Records, with generated groups where a game has them and interpreting the layout where
// not: the bits are the same. Zone, gateway and client hold the same base of an entity and evaluate the same integer formula, so silence means "as predicted". An update is
// coded against a base that both ends know; it never depends on who looks, so one encoded fragment serves every client with the same base. What each audience gets is
// coded apart.
//
// Everything here is a pure value or function: any goroutine may use it, nothing has to be stopped. Decoders refuse what no encoder writes, never panic, and
// allocate at most what the layout's limits allow.
package delta
