//go:build !race

package fixed_test

import (
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game/fixed"
)

func TestNothingIsAllocated(t *testing.T) {
	sum := int32(0)
	if n := testing.AllocsPerRun(100, func() {
		v := fixed.Vec{X: 300, Y: 400}.Clamp(80).Rotate(1000).Add(fixed.Polar(10, 99))
		sum += v.Length() + int32(v.Angle()) + int32(fixed.Q(v.X).Mul(3).Div(7).Sqrt()) + fixed.Lerp(1, 9, fixed.Half)
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkMul(b *testing.B) {
	q := fixed.Q(0)
	for i := range b.N {
		q += fixed.Q(i).Mul(fixed.Q(i + 5))
	}
	_ = q
}

func BenchmarkDiv(b *testing.B) {
	q := fixed.Q(0)
	for i := range b.N {
		q += fixed.Q(i).Div(fixed.Q(i&1023 + 5))
	}
	_ = q
}

func BenchmarkSqrt(b *testing.B) {
	q := fixed.Q(0)
	for i := range b.N {
		q += fixed.Q(i & 0xffffff).Sqrt()
	}
	_ = q
}

func BenchmarkSinCos(b *testing.B) {
	q := fixed.Q(0)
	for i := range b.N {
		s, c := fixed.SinCos(fixed.Angle(i * 977))
		q += s + c
	}
	_ = q
}

func BenchmarkAtan2(b *testing.B) {
	a := fixed.Angle(0)
	for i := range b.N {
		a += fixed.Atan2(int32(i&1023)-512, int32(i&511)-200)
	}
	_ = a
}

func BenchmarkNormalise(b *testing.B) {
	n := int32(0)
	for i := range b.N {
		n += fixed.Vec{X: int32(i & 1023), Y: 500}.Normalise(80).X
	}
	_ = n
}
