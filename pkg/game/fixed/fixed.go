// Package fixed is arithmetic for movement rules that run on a server in Go and on a client in TypeScript and must agree to the last bit.
//
// Three kinds of number are enough for that: whole quanta (int32) for positions and velocities, Q for factors, Angle for directions. web/sdk/fixed has the
// same functions, and a shared file of cases keeps both equal. Floating point takes no part: two compilers may round, fuse or reorder it differently.
//
// Nothing wraps around: what does not fit becomes the largest or smallest value, in both languages, so that whoever is pushed too hard does not shoot off in
// the opposite direction. Rounding is symmetrical, so that walking left is as fast as walking right.
//
// Functions are pure, allocate nothing, and may be called from any goroutine.
package fixed

import (
	"math"
	"math/bits"
)

// Q is a number with 16 fraction bits in an int32: −32768 … 32767.99998 in steps of 1/65536. This format is chosen because products of two, and of one with
// any quantum, are exact in 64 bits, and in TypeScript in two halves below 2^53; a factor of a movement (a share, a sine, a slow-down) needs no more.
type Q int32

// Values of Q.
const (
	Shift   = 16
	One   Q = 1 << Shift
	Half  Q = One / 2
	Max   Q = math.MaxInt32
	Min   Q = math.MinInt32
)

// FromInt returns n, or the nearest value that Q has.
func FromInt(n int32) Q { return saturated(int64(n) << Shift) }

// Ratio returns a ÷ b as Div does: Ratio(1, 3) is a third.
func Ratio(a, b int32) Q { return Q(a).Div(Q(b)) }

// Int returns the whole number nearest to a; halves go away from zero.
func (a Q) Int() int32 { return int32(nearest(int64(a))) }

// Floor returns the largest whole number that is not above a.
func (a Q) Floor() int32 { return int32(a >> Shift) }

// Add returns a + b; exact unless it saturates.
func (a Q) Add(b Q) Q { return saturated(int64(a) + int64(b)) }

// Sub returns a − b; exact unless it saturates.
func (a Q) Sub(b Q) Q { return saturated(int64(a) - int64(b)) }

// Mul returns a · b, rounded to the nearest step; halves go away from zero. The error is at most half a step, 2^-17.
func (a Q) Mul(b Q) Q { return saturated(nearest(int64(a) * int64(b))) }

// Div returns a ÷ b, rounded to the nearest step; halves go away from zero. The error is at most half a step. A division by zero saturates: Max or Min by the
// sign of a, and 0 ÷ 0 is 0.
func (a Q) Div(b Q) Q {
	if b == 0 {
		return infinite(int64(a))
	}
	n, d := uint64(magnitude(int32(a)))<<(Shift+1), uint64(magnitude(int32(b)))
	return saturated(signed(int64((n+d)/(2*d)), (a < 0) != (b < 0)))
}

// Scale returns n quanta times a, rounded to the nearest quantum; halves go away from zero.
func (a Q) Scale(n int32) int32 { return int32(saturated(nearest(int64(a) * int64(n)))) }

// Sqrt returns the square root, rounded to the nearest step; that of a negative number is 0.
func (a Q) Sqrt() Q {
	if a <= 0 {
		return 0
	}
	n := uint64(a) << Shift
	r := root(n)
	if n-r*r > r { // above (r + ½)², which no whole number equals
		r++
	}
	return Q(r)
}

// MulDiv returns a · b ÷ c, rounded towards zero, without losing anything on the way. A division by zero saturates as Q.Div does.
func MulDiv(a, b, c int32) int32 {
	p := int64(a) * int64(b)
	if c == 0 {
		return int32(infinite(p))
	}
	return int32(saturated(p / int64(c)))
}

// Lerp returns the place that lies at part t of the way from a to b, rounded to the nearest quantum; t below 0 counts as 0, above One as One.
func Lerp(a, b int32, t Q) int32 {
	t = min(max(t, 0), One)
	return int32(int64(a) + nearest((int64(b)-int64(a))*int64(t)))
}

func infinite(sign int64) Q {
	switch {
	case sign > 0:
		return Max
	case sign < 0:
		return Min
	}
	return 0
}

func saturated(v int64) Q { return Q(min(max(v, math.MinInt32), math.MaxInt32)) }

// nearest drops 16 fraction bits.
func nearest(p int64) int64 {
	const half = 1 << (Shift - 1)
	if p < 0 {
		return -((half - p) >> Shift)
	}
	return (p + half) >> Shift
}

// magnitude is the absolute value; that of MinInt32 is 2^31.
func magnitude(v int32) uint32 {
	if v < 0 {
		return -uint32(v)
	}
	return uint32(v)
}

func signed(v int64, negative bool) int64 {
	if negative {
		return -v
	}
	return v
}

// root is the whole square root, rounded down. It doubles the number of right digits with each division, as Newton's method does, but begins with few digits
// of n and takes more as they begin to matter (M. Dickinson's adaptive-precision integer square root): five divisions for 64 bits, at most one too high.
func root(n uint64) uint64 {
	if n == 0 {
		return 0
	}
	c := uint(bits.Len64(n)-1) / 2 // the root has c+1 bits
	a, d := uint64(1), uint(0)
	for s := bits.Len(c) - 1; s >= 0; s-- {
		e := d
		d = c >> s
		a = a<<(d-e-1) + n>>(2*c-e-d+1)/a
	}
	if hi, lo := bits.Mul64(a, a); hi > 0 || lo > n {
		a--
	}
	return a
}
