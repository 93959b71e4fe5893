//go:build race

package main

// raced says that the race detector runs, under which brute force takes forty times as long: the tests do less then.
const raced = true
