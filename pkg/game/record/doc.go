// Package record writes down what a zone is told, so that what it did can be done again.
//
// A zone's inputs determine it. A Recorder keeps those of every tick in a file, and next to them fingerprints of what came out; Replay steps a fresh zone through such a file
// and names the first tick, and the entities, that came out otherwise. Trail then looks for the culprit: two fresh zones that are told the same and do not agree have found something
// that depends on more than its inputs (the order of a map, the time, a random number that is not the zone's), and Trail names the phase and the system in which that happened.
//
// A Recorder belongs to the goroutine that owns the zone. It has one goroutine of its own, which writes; Close ends it and waits. Tick never waits for a disk: when the disk cannot keep up,
// or fails, the recording ends there and says so, in the file, in the log and by Err. A file without an end, as a killed process leaves it, is good up to its last whole chunk. Everything else here runs
// in the caller's goroutine and has nothing to stop.
//
// # The file
//
// Numbers of a stated size are little endian, the others are uvarint. Nothing is ever written again in the middle; only a failing disk takes back what it could not finish.
//
//	file     magic: 89 'T' 'X' 'R' 'E' 'C' 0D 0A · version u16 · chunks
//	chunk    type u8 · number u32, counted from 0 · length u32 · body · CRC-32C u32 of all before it in the chunk
//	header   type 1, the first chunk: JSON, see Header
//	tables   type 2, at most one, behind the header: the data tables with which the zone began
//	ticks    type 3: tick u32 of the first · ticks, each one later than the one before
//	end      type 4, the last: ticks u64 in the file · 1 if it was closed in good order, else 0 · why not
//
//	tick     inputs · 4 + 2 if entities follow + 1 if a hash follows · inputs as game.AppendInput writes them
//	         · hash u64 of the zone after the tick · length u32, entities
//	entities what has changed since the last entities, in ascending order of slots:
//	         n · n × { slot } which are empty now
//	         n · n × { slot · id, zigzag, from the one before · kind } which have another entity now
//	         runs × { unchanged slots to skip · n · n × hash u16 } of those who are new or whose hash is another
//	a slot   counted from the one behind the slot before it in its list
//
// The hash of an entity is folded to 16 bits: a difference hides behind it in one of 65,536 ticks, and not in the next one, and the zone's own hash of 64 bits tells in any case that there is one.
package record
