package fixed_test

import (
	"fmt"

	"github.com/tianxia-mmo/tianxia/pkg/game/fixed"
)

func Example() {
	wish := fixed.Vec{X: 300, Y: -400}       // quanta per tick
	speed := wish.Clamp(80)                  // never longer than 80
	slowed := speed.Scale(fixed.Ratio(2, 3)) // through mud
	fmt.Println(speed, slowed, slowed.Angle(), slowed.Rotate(fixed.Quarter))
	// Output: {48 -64} {32 -43} 55825 {43 32}
}
