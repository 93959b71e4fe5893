package fixed

import "math/bits"

// Angle is a direction in 65536ths of a turn, so that it wraps around as directions do: 0 is +x, Quarter is +y. A step is 0.0055 degrees.
type Angle uint16

// Angles.
const (
	Quarter Angle = 1 << 14
	Turned  Angle = 1 << 15 // half a turn
)

// Both directions of the arithmetic are CORDIC (J. Volder 1959, J. Walther 1971): a vector is turned by ever smaller angles whose tangents are powers of two,
// which takes shifts and additions only. Vectors have 30 fraction bits, angles 32 bits to the turn, and 24 turns leave 2^-23 radians.
const (
	turns  = 24
	cordic = 652032874 // 2^30 ÷ what all turns together lengthen a vector by: Π 1/√(1 + 4^-i)
)

// arctans holds arctan(2^-i) in units of 2^-32 turns. Nobody changes it.
var arctans = [turns]int32{
	536870912, 316933406, 167458907, 85004756, 42667331, 21354465, 10679838, 5340245, 2670163, 1335087, 667544, 333772,
	166886, 83443, 41722, 20861, 10430, 5215, 2608, 1304, 652, 326, 163, 81,
}

// SinCos returns the sine and the cosine of a. Each is at most 0.51 steps (7.8e-6) off, exact at whole quarters, and symmetrical: sin(−a) = −sin(a).
func SinCos(a Angle) (sin, cos Q) {
	quarters := uint16(a+Quarter/2) >> 14
	rest := int32(int16(uint16(a)-quarters<<14)) << 16 // −45° … 45°
	negative := rest < 0
	if negative {
		rest = -rest
	}
	x, y := int32(cordic), int32(0)
	for i := range turns {
		back := rest >> 31 // −1 to turn back, 0 to turn on: v^back − back is −v or v; a branch here is guessed wrong every other time
		dx, dy, da := (y>>i^back)-back, (x>>i^back)-back, (arctans[i]^back)-back
		x, y, rest = x-dx, y+dy, rest-da
	}
	const half = 1 << 13
	c, s := Q((x+half)>>14), Q((y+half)>>14)
	if negative {
		s = -s
	}
	switch quarters {
	case 0:
		return s, c
	case 1:
		return c, -s
	case 2:
		return -s, -c
	}
	return -c, s
}

// Sin returns the sine of a; see SinCos.
func Sin(a Angle) Q {
	s, _ := SinCos(a)
	return s
}

// Cos returns the cosine of a; see SinCos.
func Cos(a Angle) Q {
	_, c := SinCos(a)
	return c
}

// Atan2 returns the direction of the vector (x, y), at most 0.51 steps off, exact on the axes; that of (0, 0) is 0. Any units will do.
func Atan2(y, x int32) Angle {
	ax, ay := magnitude(x), magnitude(y)
	steep := ay > ax
	if steep {
		ax, ay = ay, ax
	}
	if ax == 0 {
		return 0
	}
	if s := bits.LeadingZeros32(ax) - 3; s >= 0 { // 2^28 … 2^29: all turns together lengthen to less than 2^31
		ax, ay = ax<<s, ay<<s
	} else {
		ax, ay = ax>>-s, ay>>-s
	}
	a := steepness(int32(ax), int32(ay))
	if steep {
		a = Quarter - a
	}
	if x < 0 {
		a = Turned - a
	}
	if y < 0 {
		a = -a
	}
	return a
}

// steepness is the direction of a vector between 0° and 45°.
func steepness(x, y int32) Angle {
	a := int32(0)
	for i := range turns {
		back := y >> 31
		dx, dy, da := (y>>i^back)-back, (x>>i^back)-back, (arctans[i]^back)-back
		x, y, a = x+dx, y-dy, a+da
	}
	return Angle(uint32(a+1<<15) >> 16)
}

// LerpAngle returns the direction at part t of the way from a to b, the shorter way round; of two equal ones it is the one with falling angles. t is limited
// as in Lerp.
func LerpAngle(a, b Angle, t Q) Angle {
	return a + Angle(Lerp(0, int32(int16(b-a)), t))
}
