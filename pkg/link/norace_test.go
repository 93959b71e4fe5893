//go:build !race

package link

// raced says that the race detector runs, which allocates.
const raced = false
