// Package shm carries frames between two processes of one machine and one user through shared memory: transport.Conn over github.com/cloudwego/shmipc-go, version 0.2.0 exactly.
// Linux on amd64 and arm64 only; elsewhere Dial and Listen answer an error that wraps errors.ErrUnsupported.
//
// Any goroutine may call the methods of a connection; a lane has many writers, one at a time under its lock, and one reader. A connection ends by Close of either side, by the
// death of the peer's process, or by a peer that breaks the rules; Done closes at once, and Close waits until no goroutine of ours can touch the memory any more.
//
// # How it works
//
// The ends meet on a unix socket of ours, the control socket: credentials are compared, then versions and sizes, and only then does the library see the peer. The control
// socket lives as long as the connection; it tells a goodbye from a death. The library has a socket of its own for waking the peer. Each process also holds the other's end of that
// one, so that the library never hears of a death by itself: it would unmap the memory under whoever is writing. We hear of it on the control socket, stop the writers, and
// then end the library's session. The readers are what the library waits for: on every lane a callback of ours is parked, from the first block to the last.
//
// A lane is one stream of the library that lives as long as the connection. A batch is one block, which is one whole slice of shared memory, so that frames are written where the
// peer reads them. Every lane and direction has a pool of slices of its own (told apart by a size of its own): one process takes slices and the other gives them back, which
// the library's free list, that knows no tags, needs in order to be correct. How many blocks were consumed stands in a page of shared counters. A writer that has a full window on the
// way keeps its frames in private memory, and the peer sends a block to wake it when there is room again.
//
// Lane 0 takes frames up to 32 KiB and copies what it receives; the bulk lanes take more than 64 KiB and hand out the shared memory itself until Release. The memory is
// writable by both processes: whoever may connect must be trusted as the own process is.
//
// # What it does to the process
//
// The library's log level is global: the first Dial or Listen turns its log off, because it writes to standard output. Its one dispatcher goroutine is never stopped, and
// a session that ends holds it up for some milliseconds. A connection costs about 0.5 MB of heap in each process, besides the shared memory, five descriptors and three goroutines of ours.
package shm
