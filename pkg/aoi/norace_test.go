//go:build !race

package aoi

// raced says that the race detector runs, under which these loops take forty times as long: the tests do less then.
const raced = false
