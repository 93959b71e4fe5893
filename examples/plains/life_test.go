package plains

import (
	"testing"

	"google.golang.org/protobuf/proto"

	mmov1 "github.com/tianxia-mmo/tianxia/proto_define/mmo/v1"
	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game/gametest"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

func TestWordsReachThoseTheyAreFor(t *testing.T) {
	w := open(t, Config{})
	anna, far := stand(w, 45, 50, "anna")[0], stand(w, 2, 2, "far")[0]
	east := stand(w, 55, 50, "east")[0]
	all := []*gametest.Client{anna, far, east}
	speak(anna, "/join us")
	speak(east, "/join us")
	w.Tick(2)
	for _, c := range []struct {
		text, want string
		circle     plainsv1.Circle
		heard      [3]bool // by anna, far, east
	}{
		{" hello ", "hello", plainsv1.Circle_CIRCLE_NEAR, [3]bool{true, false, true}},
		{"/shout to all", "to all", plainsv1.Circle_CIRCLE_ZONE, [3]bool{true, true, false}},
		{"/p to us", "to us", plainsv1.Circle_CIRCLE_PARTY, [3]bool{true, false, true}},
		{"  ", "", 0, [3]bool{}},
	} {
		speak(anna, c.text)
		w.Tick(3)
		for i, x := range all {
			got := x.Take(bind.RouteSaid)
			if (len(got) == 1) != c.heard[i] {
				t.Errorf("%q: %s heard %d", c.text, x.Name, len(got))
				continue
			}
			for _, m := range got {
				var s plainsv1.Said
				if err := proto.Unmarshal(m.Payload, &s); err != nil || s.Text != c.want || s.Circle != c.circle || s.Name != "anna" || !m.Numbered {
					t.Errorf("%q: %s heard %v (reliable: %v), %v", c.text, x.Name, &s, m.Numbered, err)
				}
			}
		}
	}
	speak(anna, "/quit")
	w.Tick(1)
	speak(anna, "/p alone")
	w.Tick(2)
	if n := len(east.Take(bind.RouteSaid)); n != 0 {
		t.Errorf("who has left its party was heard by %d", n)
	}
}

func TestWolvesHuntBiteAndGoHome(t *testing.T) {
	w := open(t, Config{})
	c := stand(w, 20, 50, "anna")[0]
	wolf := wolfAt(t, w.Zone(0), 30, 50, 40)
	w.Tick(40)
	if d := w.Zone(0).Distance(wolf, c.Avatar()); d > 3 || wolf.Hunt().Prey() != c.Avatar().ID() {
		t.Errorf("after two seconds it is at %.1f m, its prey is %d", d, wolf.Hunt().Prey())
	}
	w.Tick(60)
	if hp := hero(c).Vitals().Hp(); hp >= heroHP || hp < heroHP-6*5 {
		t.Errorf("after five seconds the hero has %d points: it was to be bitten once a second", hp)
	}
	put(c, 5, 5)
	w.Tick(60)
	x, z := wolf.Transform().Pos()
	if d := w.Zone(0).DistanceQ(int32(x*320), int32(z*320), 30*320, 50*320); d > 2 || wolf.Hunt().Prey() != 0 {
		t.Errorf("its prey gone, the wolf is %.1f m from home and hunts %d", d, wolf.Hunt().Prey())
	}
}

func TestAZoneKeepsItsWolvesAndCoins(t *testing.T) {
	w := open(t, Config{Wolves: 3, Coins: 10})
	wolves, coins := 0, 0
	for i := range 2 {
		for e := range bind.Wolves(w.Zone(i)) {
			wolves++
			if e.Vitals().Hp() != 40 {
				t.Errorf("a grey wolf with %d points", e.Vitals().Hp())
			}
		}
		for e := range bind.Coins(w.Zone(i)) {
			coins++
			w.Zone(i).Edit(func() { w.Zone(i).Despawn(e) })
		}
	}
	if wolves != 6 || coins != 20 {
		t.Errorf("%d wolves and %d coins in two zones", wolves, coins)
	}
	w.Tick(200)
	if w.Zone(0).Len() != 13 {
		t.Errorf("%d entities after ten seconds, want coins back", w.Zone(0).Len())
	}
}

func TestCoinsArePickedUpOnce(t *testing.T) {
	w := open(t, Config{})
	c := stand(w, 20, 20, "anna", "bo")
	w.Zone(0).Edit(func() { of(w.Zone(0)).drop(20*320, 21*320, 5) })
	w.Tick(4)
	if a, b := hero(c[0]).Purse().Coins(), hero(c[1]).Purse().Coins(); a+b != 5 || a*b != 0 {
		t.Errorf("they have %d and %d coins, want 5 for one", a, b)
	}
}

func TestCoinsAreGivenByCommand(t *testing.T) {
	w := open(t, Config{})
	c := stand(w, 20, 20, "anna")[0]
	for _, x := range []struct {
		what   string
		amount int64
		want   uint32
		fails  bool
	}{{"coins", 30, 30, false}, {"coins", -1 << 40, 0, false}, {"hats", 1, 0, true}} {
		_, err := w.Operate(0, "ops", []string{"gm"}, protocol.RouteGive, &mmov1.GiveRequest{Player: "anna", What: x.what, Amount: x.amount})
		if (err != nil) != x.fails || hero(c).Purse().Coins() != x.want {
			t.Errorf("give %s %d: %v, purse %d", x.what, x.amount, err, hero(c).Purse().Coins())
		}
	}
	if len(w.Audits) != 3 {
		t.Errorf("%d uses on record, want 3", len(w.Audits))
	}
}

func TestAWolfMadeByCommandIsAtHomeThere(t *testing.T) {
	w := open(t, Config{})
	stand(w, 20, 20, "anna")
	x, z := 40.0, 60.0
	if _, err := w.Operate(0, "ops", []string{"gm"}, protocol.RouteSpawn, &mmov1.SpawnRequest{Kind: "Wolf", X: &x, Z: &z}); err != nil {
		t.Fatal(err)
	}
	w.Tick(6)
	for e := range bind.Wolves(w.Zone(0)) {
		if e.Vitals().Hp() != 40 || e.Hunt().HomeX() != 40*320 {
			t.Errorf("it is %v", e)
		}
	}
}

func TestTooManyWishesAreRefused(t *testing.T) {
	w := open(t, Config{})
	c := stand(w, 20, 20, "anna")[0]
	for i := range uint32(60) {
		c.Push(bind.RouteMove, &plainsv1.Move{Seq: i + 1, Vx: 10})
	}
	w.Tick(3)
	counts := of(c.Zone()).checks.Counts()
	if n := len(c.Take(bind.RouteMoveRefused)); n < 30 || uint64(n) != counts.TooOften {
		t.Errorf("%d of 60 at once were refused, %+v", n, counts)
	}
}

func TestHeroesWalkAcrossTheBorderAndStopAtWalls(t *testing.T) {
	w := open(t, Config{})
	c := stand(w, 47, 28, "anna")[0]
	w.Zone(0).Edit(func() { hero(c).Purse().SetCoins(7) })
	c.Push(bind.RouteMove, &plainsv1.Move{Seq: 1, Vx: 48, Vz: 64})
	w.Tick(80)
	x, z := bind.Transform(c.Avatar()).Pos()
	if c.Zone().Config().Zone != 2 || x != 47+80*48/320. || z >= 30 || z < 29.6 {
		t.Errorf("in zone %d at %v, %v", c.Zone().Config().Zone, x, z)
	}
	if hero(c).Purse().Coins() != 7 {
		t.Errorf("its purse holds %d coins, want the 7 that it had", hero(c).Purse().Coins())
	}
	if n := len(c.Take(bind.RouteGround)); n != 2 {
		t.Errorf("it was told of the ground %d times, want once in each zone", n)
	}
}

func TestADenIsEnteredAndLeftAtItsMouth(t *testing.T) {
	w := open(t, Config{Den: true})
	c := stand(w, 5, 5, "anna", "bo", "carl")
	for _, x := range c {
		x.Push(bind.RouteEnterDen, &plainsv1.EnterDen{})
	}
	w.Tick(3)
	if w.Zones() != 2 || len(c[0].Take(bind.RouteEnterDen)) != 1 {
		t.Error("a den opens far from its mouth")
	}
	speak(c[0], "/join wolves")
	speak(c[1], "/join wolves")
	for _, x := range c {
		put(x, 26, 48)
	}
	w.Tick(2)
	for _, x := range c {
		x.Push(bind.RouteEnterDen, &plainsv1.EnterDen{})
	}
	w.Tick(5)
	if w.Zones() != 4 || c[0].Zone() != c[1].Zone() || c[0].Zone() == c[2].Zone() || !of(c[0].Zone()).inDen() {
		t.Fatalf("%d zones, they are in %d, %d and %d; want a den for the party and one for the third",
			w.Zones(), c[0].Zone().Config().Zone, c[1].Zone().Config().Zone, c[2].Zone().Config().Zone)
	}
	c[0].Push(bind.RouteEnterDen, &plainsv1.EnterDen{})
	c[2].Push(bind.RouteQuitDen, &plainsv1.QuitDen{})
	w.Tick(5)
	if x, z := bind.Transform(c[2].Avatar()).Pos(); c[2].Zone() != w.Zone(0) || x != 26 || z != 48 {
		t.Errorf("it came out in zone %d at %v, %v", c[2].Zone().Config().Zone, x, z)
	}
	c[2].Push(bind.RouteQuitDen, &plainsv1.QuitDen{})
	w.Tick(3)
	if len(c[0].Take(bind.RouteEnterDen)) != 1 || len(c[2].Take(bind.RouteQuitDen)) != 1 || w.Zones() != 4 {
		t.Error("who is inside enters, or who is outside comes out")
	}
}
