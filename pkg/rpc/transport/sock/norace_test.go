//go:build !race

package sock

const raced = false
