// Package rules is the movement rule of plains: pure integer functions, the same as in web/sdk/rules.ts, so that a client predicts
// exactly what the zone will do. Any goroutine may call them.
package rules

// MaxSpeed is how fast anyone may walk, in velocity quanta (1/16 m/s): 5 m/s.
const MaxSpeed = 80

// Motion is a walker: where it is, how it really moves, and how it wants to.
type Motion struct {
	X, Z           int32 // position quanta
	VX, VZ         int16 // velocity quanta = position quanta per tick
	WantVX, WantVZ int16
}

// Step makes one tick: along the wanted velocity, up to the walls of a zone of w × h quanta. At a wall that axis stands still, and says so:
// an observer's prediction must not walk on.
func Step(m Motion, w, h int32) Motion {
	m.X, m.VX = axis(m.X, m.WantVX, w)
	m.Z, m.VZ = axis(m.Z, m.WantVZ, h)
	return m
}

func axis(p int32, v int16, size int32) (int32, int16) {
	switch q := p + int32(v); {
	case q < 0:
		return 0, 0
	case q > size-1:
		return size - 1, 0
	default:
		return q, v
	}
}

// Allowed is the speed check: a wanted velocity must not be longer than MaxSpeed.
func Allowed(vx, vz int32) bool {
	return vx >= -MaxSpeed && vx <= MaxSpeed && vz >= -MaxSpeed && vz <= MaxSpeed && vx*vx+vz*vz <= MaxSpeed*MaxSpeed
}
