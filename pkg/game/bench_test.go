package game_test

import (
	"fmt"
	"testing"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// throng is a zone with n players spread evenly over it, who see about eight others each.
func throng(t testing.TB, n int) *game.Zone {
	g := &game.Game{Name: "throng", Schema: schema(), OnJoin: func(z *game.Zone, p *game.Player) error {
		i, c := int32(p.Session), z.Config()
		e, err := z.Spawn(1, i%100*(c.Width/100), i/100%100*(c.Height/100))
		if err != nil {
			return err
		}
		return z.Control(p, e)
	}}
	z := newZone(t, g, game.Config{Width: 1 << 18, Height: 1 << 18, EnterRadius: 4000, LeaveRadius: 4400})
	z.Step([]game.Input{attach(1), attach(2)})
	z.Step(throngs(n, func(s game.SessionID) game.Input { return join(1, s) }))
	z.Step(nil)
	return z
}

// throngs is one input of every player.
func throngs(n int, input func(game.SessionID) game.Input) (in []game.Input) {
	for i := range n {
		in = append(in, input(game.SessionID(i+1)))
	}
	return in
}

// BenchmarkThrongGoes is the one tick in which everybody loses the connection, comes back, or leaves. It must grow with the number of players, not with its square:
// a tick has some dozens of milliseconds.
func BenchmarkThrongGoes(b *testing.B) {
	for _, c := range []struct {
		name  string
		input func(game.SessionID) game.Input
	}{
		{"disconnect", disconnect},
		{"reconnect", func(s game.SessionID) game.Input { return connect(2, s, 1<<40+uint64(s)) }},
		{"leave", leave},
	} {
		for _, n := range []int{1000, 10000} {
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) {
				in := throngs(n, c.input)
				for b.Loop() {
					b.StopTimer()
					z := throng(b, n)
					b.StartTimer()
					z.Step(in)
				}
			})
		}
	}
}
