package fixed_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game/fixed"
)

// edges are values at which arithmetic likes to break.
var edges = []int32{0, 1, -1, 2, -2, 3, 79, 80, -80, 255, 256, 32767, 32768, -32768, 32769, 65535, 65536, -65536, 65537, 98304, 1 << 20, -(1 << 20), 1<<24 + 1,
	1 << 29, 1<<30 - 1, 1 << 30, -(1 << 30), math.MaxInt32 - 1, math.MaxInt32, math.MinInt32 + 1, math.MinInt32}

// any32 is a random number of any magnitude.
func any32(r *rand.Rand) int32 { return int32(r.Uint32()) >> r.IntN(32) }

// pairs calls f with all pairs of edges, and with random ones.
func pairs(seed uint64, n int, f func(a, b int32)) {
	for _, a := range edges {
		for _, b := range edges {
			f(a, b)
		}
	}
	r := rand.New(rand.NewPCG(seed, 1))
	for range n {
		f(any32(r), any32(r))
	}
}

// away rounds a fraction to the nearest whole number, halves away from zero, and saturates: slow, and plain to see.
func away(n, d *big.Int) int32 {
	q := new(big.Rat).SetFrac(n, d)
	half := big.NewRat(int64(q.Sign()), 2)
	q.Add(q, half)
	return limit(new(big.Int).Quo(q.Num(), q.Denom()))
}

func limit(v *big.Int) int32 {
	switch {
	case v.Cmp(big.NewInt(math.MaxInt32)) > 0:
		return math.MaxInt32
	case v.Cmp(big.NewInt(math.MinInt32)) < 0:
		return math.MinInt32
	}
	return int32(v.Int64())
}

func TestArithmeticIsThatOfBigNumbers(t *testing.T) {
	one := big.NewInt(1 << 16)
	infinite := func(sign int) int32 { return []int32{math.MinInt32, 0, math.MaxInt32}[sign+1] }
	pairs(1, 50_000, func(a, b int32) {
		A, B, p := big.NewInt(int64(a)), big.NewInt(int64(b)), big.NewInt(int64(a)*int64(b))
		check := func(name string, got, want int32) {
			if got != want {
				t.Fatalf("%s of %d and %d is %d, want %d", name, a, b, got, want)
			}
		}
		check("sum", int32(fixed.Q(a).Add(fixed.Q(b))), limit(new(big.Int).Add(A, B)))
		check("difference", int32(fixed.Q(a).Sub(fixed.Q(b))), limit(new(big.Int).Sub(A, B)))
		check("product", int32(fixed.Q(a).Mul(fixed.Q(b))), away(p, one))
		check("scaled", fixed.Q(a).Scale(b), away(p, one))
		c := any32(rand.New(rand.NewPCG(uint64(uint32(a)), uint64(uint32(b)))))
		want, wantMulDiv := infinite(A.Sign()), infinite(p.Sign())
		if b != 0 {
			want = away(new(big.Int).Mul(A, one), B)
		}
		if c != 0 {
			wantMulDiv = limit(new(big.Int).Quo(p, big.NewInt(int64(c))))
		}
		check("quotient", int32(fixed.Q(a).Div(fixed.Q(b))), want)
		check("a·b÷c", fixed.MulDiv(a, b, c), wantMulDiv)
		part := min(max(c, 0), 1<<16)
		way := new(big.Int).Mul(new(big.Int).Sub(B, A), big.NewInt(int64(part)))
		lerp := new(big.Rat).SetFrac(way, one)
		lerp.Add(lerp, big.NewRat(int64(lerp.Sign()), 2))
		check("way", fixed.Lerp(a, b, fixed.Q(c)), limit(new(big.Int).Add(A, new(big.Int).Quo(lerp.Num(), lerp.Denom()))))
	})
}

func TestWholeNumbers(t *testing.T) {
	for _, n := range edges {
		if got, want := fixed.FromInt(n), limit(new(big.Int).Lsh(big.NewInt(int64(n)), 16)); int32(got) != want {
			t.Errorf("%d became %d, want %d", n, got, want)
		}
		if got, want := fixed.Q(n).Floor(), int32(math.Floor(float64(n)/65536)); got != want {
			t.Errorf("floor of %d is %d, want %d", n, got, want)
		}
		if got, want := fixed.Q(n).Int(), int32(math.Round(float64(n)/65536)); got != want {
			t.Errorf("%d rounds to %d, want %d", n, got, want)
		}
	}
	if third := fixed.Ratio(1, 3); third != 21845 {
		t.Errorf("a third is %d", third)
	}
}

func TestSqrtIsTheNearest(t *testing.T) {
	check := func(a int32) {
		got := int64(fixed.Q(a).Sqrt())
		n := int64(max(a, 0)) << 16
		// (got − ½)² < n < (got + ½)², in quarters
		if lo, hi := (2*got-1)*(2*got-1), (2*got+1)*(2*got+1); got < 0 || 4*n >= hi || got > 0 && 4*n <= lo {
			t.Fatalf("the root of %d is %d", a, got)
		}
	}
	for a := range int32(70_000) {
		check(a)
	}
	pairs(2, 50_000, func(a, _ int32) { check(a) })
}

func TestSineAndCosineOfEveryAngle(t *testing.T) {
	worst := 0.0
	for i := range 1 << 16 {
		a := fixed.Angle(i)
		s, c := fixed.SinCos(a)
		sin, cos := math.Sincos(float64(i) * 2 * math.Pi / 65536)
		worst = max(worst, math.Abs(float64(s)-sin*65536), math.Abs(float64(c)-cos*65536))
		if fixed.Sin(-a) != -s || fixed.Cos(-a) != c || fixed.Sin(a+fixed.Quarter) != c || fixed.Cos(a+fixed.Turned) != -c {
			t.Fatalf("angle %d is not symmetrical", i)
		}
	}
	if worst > 0.51 {
		t.Errorf("%.4f steps off", worst)
	}
	t.Logf("at most %.4f steps off", worst)
	for i, want := range [][2]fixed.Q{{0, fixed.One}, {fixed.One, 0}, {0, -fixed.One}, {-fixed.One, 0}} {
		if s, c := fixed.SinCos(fixed.Angle(i) * fixed.Quarter); s != want[0] || c != want[1] {
			t.Errorf("%d quarters: %d, %d", i, s, c)
		}
	}
}

// turned is how far an angle is from the true one, in steps.
func turned(a fixed.Angle, y, x float64) float64 {
	return math.Abs(math.Remainder(float64(a)-math.Atan2(y, x)*65536/(2*math.Pi), 65536))
}

func TestDirections(t *testing.T) {
	worst := 0.0
	check := func(x, y int32) {
		if x == 0 && y == 0 {
			return
		}
		off := turned(fixed.Atan2(y, x), float64(y), float64(x))
		if worst = max(worst, off); off > 0.51 {
			t.Fatalf("the direction of %d, %d is %d: %.3f steps off", x, y, fixed.Atan2(y, x), off)
		}
	}
	for x := int32(-150); x <= 150; x++ {
		for y := int32(-150); y <= 150; y++ {
			check(x, y)
		}
	}
	pairs(3, 200_000, check)
	t.Logf("at most %.4f steps off", worst)
	for i, v := range []fixed.Vec{{X: 5}, {Y: 1 << 30}, {X: math.MinInt32}, {Y: -1}} {
		if got := v.Angle(); got != fixed.Angle(i)*fixed.Quarter {
			t.Errorf("%v: %d", v, got)
		}
	}
	if fixed.Atan2(0, 0) != 0 {
		t.Error("nothing has a direction")
	}
}

func TestLengthsAreExact(t *testing.T) {
	pairs(4, 50_000, func(x, y int32) {
		square := func(v int64) *big.Int { b := big.NewInt(v); return b.Mul(b, b) }
		n := new(big.Int).Add(square(int64(x)), square(int64(y)))
		length := limit(new(big.Int).Sqrt(n))
		v := fixed.Vec{X: x, Y: y}
		if got := v.Length(); got != length {
			t.Fatalf("%v is %d long, want %d", v, got, length)
		}
		for _, r := range []int32{length, length - 1, length / 2, 0, -5, math.MaxInt32} {
			if got, want := v.Within(r), r >= 0 && n.Cmp(square(int64(r))) <= 0; got != want {
				t.Fatalf("%v within %d: %v", v, r, got)
			}
		}
	})
}

func TestNormalisedVectorsAreNeverLongerAndHardlyShorter(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	pairs(5, 50_000, func(x, y int32) {
		v, length := fixed.Vec{X: x, Y: y}, max(any32(r), -3)
		w := v.Normalise(length)
		h := math.Hypot(float64(x), float64(y))
		if h == 0 || length <= 0 {
			if w != (fixed.Vec{}) {
				t.Fatalf("%v to %d: %v", v, length, w)
			}
			return
		}
		short := 1 + float64(length)/(1<<29)
		dx, dy := float64(x)/h*float64(length)-float64(w.X), float64(y)/h*float64(length)-float64(w.Y)
		if !w.Within(length) || math.Abs(dx) > short || math.Abs(dy) > short || dx*float64(x) < -1e-3*h || dy*float64(y) < -1e-3*h {
			t.Fatalf("%v to %d: %v, %g and %g off", v, length, w, dx, dy)
		}
		if c := v.Clamp(length); v.Within(length) && c != v || !v.Within(length) && c != w {
			t.Fatalf("%v clamped to %d: %v", v, length, c)
		}
	})
}

func TestRotation(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	pairs(6, 50_000, func(x, y int32) {
		x, y = x/2, y/2
		v, a := fixed.Vec{X: x, Y: y}, fixed.Angle(r.Uint32())
		sin, cos := math.Sincos(float64(a) * 2 * math.Pi / 65536)
		w, h := v.Rotate(a), math.Hypot(float64(x), float64(y))
		wx, wy := float64(x)*cos-float64(y)*sin, float64(x)*sin+float64(y)*cos
		if math.Abs(wx-float64(w.X)) > 0.5+h/65536 || math.Abs(wy-float64(w.Y)) > 0.5+h/65536 {
			t.Fatalf("%v by %d: %v, want %g, %g", v, a, w, wx, wy)
		}
	})
	if got := (fixed.Vec{X: math.MinInt32, Y: math.MinInt32}).Rotate(fixed.Quarter / 2); got.Y != math.MinInt32 {
		t.Errorf("saturates to %v", got)
	}
	for length := range int32(201) {
		for i := range 1 << 16 {
			if i%7 == 0 && !fixed.Polar(length, fixed.Angle(i)).Within(length) {
				t.Fatalf("length %d, angle %d is too long", length, i)
			}
		}
	}
}

func TestAnglesTakeTheShorterWay(t *testing.T) {
	for _, c := range []struct {
		a, b fixed.Angle
		t    fixed.Q
		want fixed.Angle
	}{
		{0, 100, fixed.Half, 50}, {65436, 100, fixed.Half, 0}, {100, 65436, fixed.Half, 0}, {0, fixed.Turned, fixed.Half, 3 * fixed.Quarter},
		{7, 9, -5, 7}, {7, 9, fixed.Max, 9},
	} {
		if got := fixed.LerpAngle(c.a, c.b, c.t); got != c.want {
			t.Errorf("%d to %d at %d: %d, want %d", c.a, c.b, c.t, got, c.want)
		}
	}
}

func TestVectorsSaturateByAxis(t *testing.T) {
	v, w := fixed.Vec{X: math.MaxInt32, Y: -5}, fixed.Vec{X: 1, Y: math.MaxInt32}
	if got := v.Add(w); got != (fixed.Vec{X: math.MaxInt32, Y: math.MaxInt32 - 5}) {
		t.Error(got)
	}
	if got := v.Sub(w); got != (fixed.Vec{X: math.MaxInt32 - 1, Y: math.MinInt32}) {
		t.Error(got)
	}
	if got := w.Scale(-2 * fixed.One); got != (fixed.Vec{X: -2, Y: math.MinInt32}) {
		t.Error(got)
	}
}
