// Package movement checks what clients claim about their movement, and remembers where everyone was, for games that judge a shot by what the shooter saw.
//
// Checks hold the limits of a game (Rules) and count refusals by cause; a Guard is what they remember of one player: six numbers, in a component or in the
// player's Data. History is a ring of positions by slot and tick. Nothing here starts a goroutine or reads a clock: ticks are given. A Checks, its Guards and a
// History belong to one goroutine, that of their zone.
//
// Positions and distances are world quanta, speeds quanta per tick.
package movement
