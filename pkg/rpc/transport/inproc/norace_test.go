//go:build !race

package inproc

const raced = false
