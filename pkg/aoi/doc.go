// Package aoi decides who sees whom: positions and radii go in, enter and leave
// pairs come out, once per tick.
//
// A [Space] holds entries on a flat plane (x, z). An entry may be observed, an
// observer, or both. A target becomes visible to an observer when
//
//	d² ≤ enter²
//
// and stays visible while d² ≤ leave², with leave ≥ enter, so that a target
// walking along the edge does not flicker. The circle is exact: no cell of the
// grid shows in the answer. Targets have layers and observers a mask of those
// they see; an observer may be bound to its nearest K targets, in which those it
// sees already have a bonus, so that a crowd does not flicker either.
//
// # Arithmetic
//
// Every decision, in Tick and in the queries alike, is this and nothing else,
// each operation rounded to float32 (no fused multiply-add on any platform):
//
//	dx, dz = target.x − observer.x, target.z − observer.z
//	d²     = dx·dx + dz·dz          compared with enter·enter or leave·leave
//
// It is symmetric, and cannot overflow inside the bounds that Config allows.
// For integer coordinates up to ±2^24 it is exact while d² ≤ 2^24 (4096 units);
// beyond that d² carries a relative error below 2^-22, which moves the edge of
// a radius of 16,000 units by less than 0.002 units: two integer positions are
// judged wrongly only if their true distance is that close to the radius.
//
// # How it works
//
// Targets lie in blocks of 16, each in a square cell of a grid; observers, called
// eyes, lie in blocks of 16 too. A block of eyes has a list of the blocks of
// targets in its reach, and for each of them a row of bits: who sees which slot.
// The list stays as it is while everybody stays in the box of its block, which is
// a cell and a skin around it. So a tick compares blocks with blocks: it rules
// out for 16 eyes at once what is wholly out of reach, wholly within, or has not
// moved, computes 16 distances at once for the rest, and what it reports is the new bits XOR
// the old ones. Whoever changes its block takes its bits along. Nothing is
// rebuilt at once but what has just come: cells follow the density, some entries per tick. docs/aoi.md
// has drawings, and docs/adr/0009 why.
//
// Blocks are compared by one of several kernels: portable Go, AVX2, AVX-512. All
// give the same results in the same order, bit for bit, and so does any number
// of workers.
//
// # Cost
//
// Moving costs some 10 ns per entity, looking some 25 (AVX-512) to 200 ns
// (portable) per observer of 50 targets who walks among walkers, an event some 5 to 10 ns,
// a change of block, which a walker makes every hundred ticks or so, about half a
// microsecond. An observer at rest pays only for the blocks in which something
// moved, and a tick in which nothing changed at all costs nothing. Observers that see all
// of a block pay next to nothing for it, so that a spectator of the whole
// world costs about 1 ns per target. Crowds cost what they are: n observers in
// one view are n² pairs, with some bits kept for each; bind them to the nearest.
//
// There is one structure for all regimes; it turns into the simpler ones by itself. In a
// tiny zone all stand in one cell, and a tick is a comparison of all pairs, 16
// at a time. In a huge sparse world cells grow until a few share each, and the table
// of cells is a torus of about as many places as there are blocks: neither memory nor tuning for
// what is empty. With few observers among many entities only their lists exist,
// and the cost is that of moving.
//
// # Use
//
// A Space belongs to one goroutine, as a rule its zone's; no method may be
// called concurrently with another on the same Space. Spaces share nothing, and
// there may be any number. Config.Workers makes a Tick share its work among
// goroutines that end with it; otherwise the package starts none and holds no
// resource: drop a Space to stop it.
package aoi
