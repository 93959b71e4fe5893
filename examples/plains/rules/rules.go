// Package rules is the movement rule of plains: pure integer functions, the same as in web/sdk/rules.ts, so that a client predicts
// exactly what the zone will do. Any goroutine may call them.
package rules

import (
	"github.com/tianxia-mmo/tianxia/pkg/game/fixed"
	"github.com/tianxia-mmo/tianxia/pkg/game/terrain"
)

// MaxSpeed is how fast anyone may walk, in velocity quanta (1/16 m/s): 5 m/s.
const MaxSpeed = 80

// Radius of a walker, in position quanta: 35 cm.
const Radius = 112

// Motion is a walker: where it is, how it really moves, and how it wants to.
type Motion struct {
	X      int32 `json:"x"` // position quanta
	Z      int32 `json:"z"`
	VX     int16 `json:"vx"` // velocity quanta = position quanta per tick
	VZ     int16 `json:"vz"`
	WantVX int16 `json:"wantVx"`
	WantVZ int16 `json:"wantVz"`
}

// Ground is what walkers walk on: any map of pkg/game/terrain.
type Ground interface {
	Walk(x, y, dx, dy, radius int32) (nx, ny int32)
}

// Step makes one tick: along the wanted velocity, up to the walls of a zone of w × h quanta. At a wall that axis stands still, and says so:
// an observer's prediction must not walk on.
func Step(m Motion, w, h int32) Motion {
	x, z := terrain.All{Width: w, Height: h}.Walk(m.X, m.Z, int32(m.WantVX), int32(m.WantVZ), Radius)
	return arrive(m, x, z, m.WantVX, m.WantVZ)
}

// Walk makes one tick on a map: along the wanted velocity, at most at MaxSpeed, along whatever is in the way. An axis that does not get as far as it wants
// says 0.
func Walk(m Motion, ground Ground) Motion {
	v := fixed.Vec{X: int32(m.WantVX), Y: int32(m.WantVZ)}.Clamp(MaxSpeed)
	x, z := ground.Walk(m.X, m.Z, v.X, v.Y, Radius)
	return arrive(m, x, z, int16(v.X), int16(v.Y))
}

func arrive(m Motion, x, z int32, vx, vz int16) Motion {
	if m.X+int32(vx) != x {
		vx = 0
	}
	if m.Z+int32(vz) != z {
		vz = 0
	}
	m.X, m.Z, m.VX, m.VZ = x, z, vx, vz
	return m
}

// Allowed is the speed check: a wanted velocity must not be longer than MaxSpeed.
func Allowed(vx, vz int32) bool { return fixed.Vec{X: vx, Y: vz}.Within(MaxSpeed) }
