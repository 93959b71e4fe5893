package delta

import (
	"bytes"
	"slices"
)

// Record is the state of an entity, quantised, as words and variable parts. Where a field lies in it is the Layout's business. The same form serves a
// zone's true state, a publication, a gateway's replica and a client's mirror; a change of it allocates only where a variable part grows.
type Record struct {
	Tick uint32   // base tick of the motion, in a publication
	W    []uint32 // fixed-size fields
	V    []Var    // strings, bytes, lists and maps
}

// Var is a value of variable size: B of a string or bytes field; E of a list, or of a map sorted by key.
type Var struct {
	B []byte
	E []Record
}

// View is the part of a record that belongs to one component.
type View struct {
	W []uint32
	V []Var
}

// Copy makes dst equal to src, using dst's room again.
func (dst *Record) Copy(src *Record) {
	dst.Tick = src.Tick
	dst.W = append(dst.W[:0], src.W...)
	dst.V = resize(dst.V, len(src.V))
	copyVars(dst.V, src.V)
}

func resize[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n] // what lies behind the old length may still own room
	}
	return append(s[:cap(s)], make([]T, n-cap(s))...)
}

func copyVars(dst, src []Var) {
	for i := range src {
		CopyVar(&dst[i], &src[i])
	}
}

// CopyVar makes dst equal to src, using dst's room again.
func CopyVar(dst, src *Var) {
	dst.B = append(dst.B[:0], src.B...)
	dst.E = resize(dst.E, len(src.E))
	for i := range src.E {
		dst.E[i].Copy(&src.E[i])
	}
}

// EqualVar tells whether two variable parts hold the same.
func EqualVar(a, b *Var) bool {
	return bytes.Equal(a.B, b.B) && slices.EqualFunc(a.E, b.E, func(x, y Record) bool { return EqualRecord(&x, &y) })
}

// EqualRecord tells whether two records hold the same, base ticks left aside.
func EqualRecord(a, b *Record) bool {
	if !slices.Equal(a.W, b.W) || len(a.V) != len(b.V) {
		return false
	}
	for i := range a.V {
		if !EqualVar(&a.V[i], &b.V[i]) {
			return false
		}
	}
	return true
}
