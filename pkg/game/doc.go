// Package game is the pure world: zones, entities, players and the rules of a studio's game, without socket, clock, log or database. This is its reference in short;
// docs/game.md teaches it step by step.
//
// # Concepts
//
// A [Game] is what a studio writes: handlers of messages, systems, timers, calls, and hooks for what happens to players. It is made once, before any zone, and holds no state of a world.
//
// A [Zone] is a rectangle of a world, or an instance. Its only entry is [Zone.Step]: the inputs of one tick in, outputs out; the same inputs and seed give the same [Zone.Hash]. A Zone and
// everything obtained from it belong to one goroutine, its owner; nothing here starts one or has to be stopped. Zones whose rectangles touch form one seamless world.
//
// An [Entity] has a kind and the components that the schema gives it. The value is a handle: keep its ID, or ask Alive, if it is to outlive the tick. A [Player] is a session in this zone;
// its avatar is the entity that [Zone.Control] gave it.
//
// # A tick
//
//  1. Inputs, in the order of the slice: players come and go, entities arrive, results of work and calls come in.
//  2. Messages of players: each player's mailbox, in the order of joining, at most Config.PerTick of each.
//  3. Timers and delayed calls that are due, in the order of starting.
//  4. Systems, in the order of adding.
//  5. The dead are despawned, children follow their parents, who has crossed a border or was transferred is handed over.
//  6. Interest: who sees whom. A view is a circle around an avatar, bound to the nearest by Config.MaxVisible, without the layers that [Zone.Ignore] names, and always with the avatar.
//  7. Encoding: what changed in a way that observers did not predict.
//
// A client gets the state of a tick, then the tick's events about entities, then its messages, in the order in which they were sent.
//
// # What may be done where
//
// Handlers, hooks, timers, systems, calls and continuations may change their own zone in any way, and no other: [Zone.Transfer] sends an entity to another zone, [Call] asks one there. Setup
// may add systems and spawn. Between ticks a zone may only be read, by its owner; tests and tools that own one use [Zone.Edit]. Other goroutines touch nothing: their results come in by
// [Go]. Misuse panics with advice; Config.Strict looks at every use whether it comes from the owner's goroutine.
//
// Entities may be spawned and despawned while Entities, OfKind or a visit goes over them: new ones are not among them, those that have gone are not either. So it
// is with Within, Box and Sector, which yield what was there when they began, wherever it has moved meanwhile.
//
// # Crossing
//
// An avatar, or any entity, that goes beyond half the margin of a border is handed over at the end of the tick and lives in the neighbour from the next tick on, under the same id.
//
//	goes along                                             stays behind, or ends
//	components, those of audience SERVER too               Zone.Data, Player.Data, Entity tags
//	owner, children with their places                      functions of Zone.After
//	timers, which run in the tick in which they were due   a spectator's view
//	session, name, rights, ignored layers, input numbers   the *Player and Entity values: they are not Here, not Alive
//	messages that wait, which are handled when due         results with DropIfGone for that player, which are dropped
//	answers: a Reply of the old zone still reaches it      groups need nothing: they belong to the session
//
// OnDepart is called in the old zone and OnArrive in the new one, not OnLeave and OnJoin. Nothing is in two zones, and for the time between two ticks a thing on its way is in none. A zone that
// cannot take a hand-over, because its game knows the kind, timer, route or layer no longer, gives it back.
//
// # Answers that take time
//
// [OnDeferred] answers a request in a later tick. [Go] has work done elsewhere, [Call] has another entity do something; their continuations run once, in a later tick, with an error after
// Config.AsyncTicks. Whatever a continuation has captured may have gone by then: look again ([Player.Here], [Entity.Alive]). Results are inputs, so that a recording replays without doing the work again.
//
// # Faults and load
//
// A panic ends the call in which it happens and is reported in Outputs.Panics; what the call had changed stays. A handler, timer, system or call that panics Config.Panics times within
// Config.PanicTicks is not called any more until an input Release; hooks and delayed calls always are. A timer that comes due meanwhile is lost: one that starts itself again does not go on after the release.
//
// Under load an input Shed sets a level of 1 to [MaxShed]: schedules with Shed become half as often at each level, and from level 2 on views change in every second tick, then in every fourth.
// Handlers, timers and other systems are never shed.
//
// # Determinism
//
// Replay, rewinding and the search for faults need rules that do the same again. Game code therefore uses no time but Zone.Tick, no chance but Zone.Rand, no goroutines, no files or network but
// by Go, no state outside of its zone, and never lets the order of a map decide: range over Players, Entities, OfKind, or sorted keys. Floating point is safe on one architecture; package
// fixed is on all.
package game
