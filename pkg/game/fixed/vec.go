package fixed

import (
	"math"
	"math/bits"
)

// Vec is a vector on the ground plane, usually of quanta: a way, or a velocity.
type Vec struct{ X, Y int32 }

// Add returns v + w; each axis saturates by itself.
func (v Vec) Add(w Vec) Vec {
	return Vec{int32(saturated(int64(v.X) + int64(w.X))), int32(saturated(int64(v.Y) + int64(w.Y)))}
}

// Sub returns v − w; each axis saturates by itself.
func (v Vec) Sub(w Vec) Vec {
	return Vec{int32(saturated(int64(v.X) - int64(w.X))), int32(saturated(int64(v.Y) - int64(w.Y)))}
}

// Scale returns v times q, each axis rounded as by Q.Scale.
func (v Vec) Scale(q Q) Vec { return Vec{q.Scale(v.X), q.Scale(v.Y)} }

// Length returns how long v is, rounded down, at most MaxInt32.
func (v Vec) Length() int32 {
	n := uint64(magnitude(v.X))*uint64(magnitude(v.X)) + uint64(magnitude(v.Y))*uint64(magnitude(v.Y))
	return int32(min(root(n), math.MaxInt32))
}

// Within says whether v is at most r long, exactly. Nothing is within a negative distance.
func (v Vec) Within(r int32) bool {
	n := uint64(magnitude(v.X))*uint64(magnitude(v.X)) + uint64(magnitude(v.Y))*uint64(magnitude(v.Y))
	return r >= 0 && n <= uint64(r)*uint64(r)
}

// Normalise returns the vector of the given length in the direction of v. Each axis is rounded towards zero, so that the result is never longer than asked
// for, and at most 1 + length·2^-29 short of the true value. A vector of nothing and a length below 1 give nothing.
func (v Vec) Normalise(length int32) Vec {
	x, y := magnitude(v.X), magnitude(v.Y)
	m := max(x, y)
	if m == 0 || length <= 0 {
		return Vec{}
	}
	if s := bits.LeadingZeros32(m) - 2; s > 0 { // short vectors get digits, so that their length has some
		x, y = x<<s, y<<s
	}
	n := uint64(x)*uint64(x) + uint64(y)*uint64(y)
	h := root(n)
	if h*h < n {
		h++ // up, so that the result is not too long
	}
	l := uint64(length)
	return Vec{int32(signed(int64(uint64(x)*l/h), v.X < 0)), int32(signed(int64(uint64(y)*l/h), v.Y < 0))}
}

// Clamp returns v, or if it is longer than limit the vector of that length in its direction: see Normalise.
func (v Vec) Clamp(limit int32) Vec {
	if v.Within(limit) {
		return v
	}
	return v.Normalise(limit)
}

// Rotate returns v turned by a, from +x towards +y. Each axis is rounded to the nearest and saturates; the error is at most half a quantum and 2^-16 of the
// length.
func (v Vec) Rotate(a Angle) Vec {
	s, c := SinCos(a)
	x, y, sin, cos := int64(v.X), int64(v.Y), int64(s), int64(c)
	return Vec{int32(saturated(nearest(x*cos - y*sin))), int32(saturated(nearest(x*sin + y*cos)))}
}

// Angle returns the direction of v; see Atan2.
func (v Vec) Angle() Angle { return Atan2(v.Y, v.X) }

// Polar returns the vector of a length and a direction, each axis rounded towards zero: up to 200 quanta it is never too long, beyond by at most 2^-16 of it.
func Polar(length int32, a Angle) Vec {
	s, c := SinCos(a)
	return Vec{int32(int64(length) * int64(c) / int64(One)), int32(int64(length) * int64(s) / int64(One))}
}
