//go:build race

package inproc

// raced says that the race detector runs, which allocates.
const raced = true
