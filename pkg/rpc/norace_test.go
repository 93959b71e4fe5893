//go:build !race

package rpc_test

// raceEnabled says that the race detector runs, which allocates.
const raceEnabled = false
