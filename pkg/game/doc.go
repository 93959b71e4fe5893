// Package game is the pure world: zones, entities, players and the rules of a studio's game, without socket, clock, log or database.
//
// A Game is what a studio writes: routes, handlers, systems, and what happens when a player joins or leaves. A Zone is a rectangle of its world. Its only entry
// is Step: inputs of one tick in, outputs out; the same inputs and seed give the same Hash. A Zone and everything obtained from it belong to one goroutine, its
// owner; nothing here starts one or has to be stopped.
//
// The order within a tick: inputs in the order of the slice → each player's mailbox in the order of joining → systems → interest → encoding.
package game
