package game_test

import (
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tianxia-mmo/tianxia/pkg/game"
)

// TestAFloodOfOnePlayerDelaysNobodyElse has one player fill its mailbox in every tick: what the others send is handled in the tick in which it arrives.
func TestAFloodOfOnePlayerDelaysNobodyElse(t *testing.T) {
	l := newLab(t)
	handled := map[string]int{}
	game.OnPush(l.Game, protocolRoute(95), func(_ *game.Zone, p *game.Player, _ *wrapperspb.Int64Value) error { handled[p.Name]++; return nil })
	w := l.open(game.Config{PerTick: 32, Mailbox: 256})
	bad, anna, ben := w.Join("bad"), w.Join("anna"), w.Join("ben")
	w.Tick(1)
	for n := 1; n <= 20; n++ {
		for range 1000 {
			bad.Push(95, wrapperspb.Int64(1))
		}
		anna.Push(95, wrapperspb.Int64(1))
		ben.Push(95, wrapperspb.Int64(1))
		w.Tick(1)
		if handled["anna"] != n || handled["ben"] != n || handled["bad"] > 32*n {
			t.Fatalf("tick %d: handled %v", n, handled)
		}
	}
	if s := w.Zone(0).Stats(); handled["bad"] != 32*20 || s.Refused < 1000 || bad.Player().Waiting() > 256 {
		t.Errorf("handled %v, refused %d, %d wait", handled, s.Refused, bad.Player().Waiting())
	}
}
