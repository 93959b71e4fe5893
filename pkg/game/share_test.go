package game_test

import (
	"context"
	"runtime"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"

	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

func TestMessagesComeInTheOrderInWhichTheyWereSent(t *testing.T) {
	l := newLab(t)
	w := l.open(row(1)...)
	anna := w.Join("anna")
	w.Tick(1)
	z := w.Zone(0)
	z.Edit(func() { z.JoinGroup(anna.Player(), 5) })
	w.Tick(1)
	anna.Take(routeNote)
	z.Edit(func() {
		_ = z.PushGroup(5, routeNote, wrapperspb.String("1"))
		_ = z.Push(anna.Player(), routeNote, wrapperspb.String("2"))
	})
	w.Tick(1)
	var got string
	for _, m := range anna.Take(routeNote) {
		var s wrapperspb.StringValue
		if err := protocol.Unmarshal(m.Payload, &s); err != nil {
			t.Fatal(err)
		}
		got += s.Value
	}
	if got != "12" {
		t.Errorf("sent 1, 2; got %s", got)
	}
}

// One client that has found a message that panics must not take it from everybody.
func TestOnePlayersPanicsCostNobodyElse(t *testing.T) {
	l := newLab(t)
	game.OnRequest(l.Game, protocol.Route{ID: 95, Name: "lab.attack"}, func(_ *game.Zone, _ *game.Player, m *wrapperspb.Int64Value) (*wrapperspb.Int64Value, error) {
		return wrapperspb.Int64(100 / m.Value), nil
	})
	w := l.open(row(1)...)
	w.Lenient = true
	mallory, anna := w.Join("mallory"), w.Join("anna")
	w.Tick(1)
	for range 5 {
		mallory.Request(95, wrapperspb.Int64(0))
	}
	w.Tick(1)
	for _, ticks := range []int{1, 1300} { // more than PanicTicks later, too
		w.Tick(ticks)
		id := anna.Request(95, wrapperspb.Int64(5))
		w.Tick(1)
		if _, err := anna.Reply(id, &wrapperspb.Int64Value{}); err != nil && codeOf(err) == protocol.ErrorUnavailable {
			t.Errorf("anna, %d ticks later: %v", ticks, err)
		}
	}
}

// One player's requests must not use up what all players of the zone may have under way.
func TestOnePlayersWorkLeavesRoomForOthers(t *testing.T) {
	l := newLab(t)
	l.later = func(z *game.Zone, p *game.Player, reply game.Reply[*wrapperspb.Int64Value]) error {
		game.Go(z, game.Async{Name: "shop", Player: p, Ticks: 400}, func(ctx context.Context) (*wrapperspb.Int64Value, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, func(r *wrapperspb.Int64Value, err error) { reply.Fail(err) })
		return nil
	}
	w := l.open(row(1)...)
	_ = w
	z := newZone(t, l.Game, row(1)[0])
	in := []game.Input{attach(1), join(1, 1), join(1, 2)}
	z.Step(in)
	id := uint32(0)
	jobs := 0
	for range 140 { // 7 s: mallory sends 32 a tick
		in = in[:0]
		for range 32 {
			id++
			in = append(in, send(1, routeLater, id, wrapperspb.Int64(1)))
		}
		jobs += len(z.Step(in).Jobs)
	}
	z.Step([]game.Input{send(2, routeLater, 1, wrapperspb.Int64(1))})
	out := z.Step(nil)
	for _, m := range out.Messages {
		if m.Session == 2 {
			code, text := failure(t, m)
			t.Errorf("mallory has %d under way; anna: %v %s", jobs, code, text)
		}
	}
}

// A timer that is put off again and again, as that of a buff or of idleness is, must leave nothing behind.
func TestTimersThatArePutOffCostNoMemory(t *testing.T) {
	l := newLab(t)
	var all []game.Entity
	n := 0
	l.Setup = func(z *game.Zone) error {
		for range 100 {
			e, err := z.Spawn(1, 10, 10)
			if err != nil {
				return err
			}
			all = append(all, e)
		}
		z.System(func() {
			for _, e := range all {
				l.bell.Cancel(e)
				l.bell.After(e, 20*3600, 0) // an hour of idleness
				n++
			}
		})
		return nil
	}
	z := newZone(t, l.Game, row(1)[0])
	z.Step(nil)
	var a, b runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&a)
	for range 2000 {
		z.Step(nil)
	}
	runtime.GC()
	runtime.ReadMemStats(&b)
	if grown := int64(b.HeapAlloc) - int64(a.HeapAlloc); grown > 1<<20 {
		t.Errorf("100 entities with one timer each, put off every tick: %d KiB more after 2,000 ticks", grown>>10)
	}
	runtime.KeepAlive(z)
}

func TestAuditsOfThoseWithoutRightsAreBounded(t *testing.T) {
	l := newLab(t)
	z := newZone(t, l.Game, row(1)[0])
	z.Step([]game.Input{attach(1), join(1, 1)})
	n := 0
	for range 20 {
		var in []game.Input
		for i := range 300 {
			in = append(in, send(1, protocol.RouteInspect, uint32(i+1), &mmov1.InspectRequest{Player: "x"}))
		}
		n += len(z.Step(in).Audits)
	}
	if n > 100 {
		t.Errorf("%d audits in a second of one client that has no right to anything", n)
	}
}
