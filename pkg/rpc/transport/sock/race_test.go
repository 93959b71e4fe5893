//go:build race

package sock

// raced says that the race detector runs, which allocates.
const raced = true
