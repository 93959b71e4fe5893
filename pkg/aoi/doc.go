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
// grid shows in the answer.
//
// # Arithmetic
//
// Every decision, in Tick and in Within alike, is this and nothing else, each
// operation rounded to float32 (no fused multiply-add on any platform):
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
// # Cost
//
// A tick sorts all entries into a grid (about 25 ns each) and then, for every
// observer, walks what it saw (about 4 ns per target) and what stands in the
// grid cells that its enter circle touches (about 1 ns per candidate, some 2.3
// candidates per target inside the circle at the cell size that the space
// chooses by itself). Measured on a shared 2-core EPYC, one thread, everybody an
// observer of about 52 targets and everybody moving: 360 to 430 ns per entity
// and tick at 10,000 entities, 510 to 660 at 100,000.
//
// There is no cheap and no expensive tick: nothing is rebuilt now and then,
// spawns and teleports are no special case, and speed costs only through the
// events it causes (some 20 to 40 ns each). A tick in which nothing changed at all
// costs nothing. An observer that sees the whole world costs O(entries), for
// itself alone. Crowds cost what they are: n observers in one view are n² pairs.
//
// The grid is a torus of about as many cells as there are entries: places far
// apart share cells, so that an empty, vast or lopsided world needs neither
// memory nor tuning.
//
// Memory is about 90 bytes per entry, 3 bytes per visible target and 8 bytes
// per event of a tick: 250 bytes per walking entity that sees 52, 330 if it
// moves a tenth of its radius per tick. The sets of
// one space may hold 1.4 billion pairs. Ticks allocate nothing once the buffers
// have reached their working size; after a burst they shrink again.
//
// # Use
//
// A Space belongs to one goroutine, as a rule its zone's; no method may be
// called concurrently with another on the same Space. Spaces share nothing. The
// package starts no goroutine and holds no resource: drop a Space to stop it.
package aoi
