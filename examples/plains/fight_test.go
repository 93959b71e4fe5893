package plains

import (
	"strings"
	"testing"

	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

func TestABlowHitsWithinReachAndIsSeen(t *testing.T) {
	w := open(t, Config{})
	c := stand(w, 20, 20, "anna", "bo", "carl")
	put(c[1], 22, 20)
	put(c[2], 25, 20)
	w.Tick(1)
	if hp, code := blow(t, w, c[0], c[1].Avatar().ID()); hp != 90 || code != 0 {
		t.Errorf("a blow from 2 m: health %d, code %d", hp, code)
	}
	if _, code := blow(t, w, c[2], c[0].Avatar().ID()); code != CodeOutOfReach {
		t.Errorf("a blow from 5 m: code %d", code)
	}
	for _, x := range c {
		if n := len(x.Take(bind.RouteHit)); n != 1 {
			t.Errorf("%s was told of %d hits, want 1", x.Name, n)
		}
	}
}

func TestNobodyStrikesThroughAWall(t *testing.T) {
	w := open(t, Config{})
	c := stand(w, 45, 29.5, "anna", "bo")
	put(c[1], 45, 31.5)
	w.Tick(1)
	if _, code := blow(t, w, c[0], c[1].Avatar().ID()); code != CodeOutOfReach {
		t.Errorf("through a wall: code %d", code)
	}
	put(c[1], 45, 28)
	w.Tick(10)
	if _, code := blow(t, w, c[0], c[1].Avatar().ID()); code != 0 {
		t.Errorf("on the same side: code %d", code)
	}
}

func TestBlowsNeedTime(t *testing.T) {
	w := open(t, Config{})
	c := stand(w, 20, 20, "anna", "bo")
	if _, code := blow(t, w, c[0], c[1].Avatar().ID()); code != 0 {
		t.Errorf("first blow: code %d", code)
	}
	if _, code := blow(t, w, c[0], c[1].Avatar().ID()); code != CodeTooSoon {
		t.Errorf("a quarter of a second later: code %d", code)
	}
	w.Tick(5)
	if hp, code := blow(t, w, c[0], c[1].Avatar().ID()); code != 0 || hp != 80 {
		t.Errorf("half a second later: health %d, code %d", hp, code)
	}
}

func TestABlowCrossesTheBorderAndSoDoesItsReward(t *testing.T) {
	w := open(t, Config{})
	west := stand(w, 49, 20, "anna")[0]
	east := stand(w, 51, 20, "bo")[0]
	if a, b := west.Zone().Config().Zone, east.Zone().Config().Zone; a != 1 || b != 2 {
		t.Fatalf("they are in zones %d and %d", a, b)
	}
	if hp, code := blow(t, w, west, east.Avatar().ID()); hp != 90 || code != 0 {
		t.Errorf("health %d, code %d", hp, code)
	}
	if n := len(west.Take(bind.RouteHit)); n != 1 {
		t.Errorf("the attacker was told of %d hits beyond the border, want 1", n)
	}
	put(east, 90, 90)
	wolf := wolfAt(t, w.Zone(1), 51, 20, heroDamage)
	w.Tick(10)
	if hp, code := blow(t, w, west, wolf.ID()); hp != 0 || code != 0 || hero(west).Purse().Coins() != 2 {
		t.Errorf("health %d, code %d, %d coins; want the reward of 2", hp, code, hero(west).Purse().Coins())
	}
	if wolf.Alive() {
		t.Error("the wolf lives")
	}
}

func TestOfManyWhoStrikeInOneTickOneHasTheLastHit(t *testing.T) {
	w := open(t, Config{})
	c := stand(w, 20, 20, strings.Split("abcdefghijklmnopqrst", "")...)
	wolf := wolfAt(t, w.Zone(0), 22, 20, 2*heroDamage)
	w.Tick(1)
	var ids []uint32
	for _, x := range c {
		ids = append(ids, x.Request(bind.RouteAttack, &plainsv1.AttackRequest{Target: uint64(wolf.ID())}))
	}
	w.Tick(5)
	hits, killed, late, coins, fell := 0, 0, 0, uint32(0), 0
	for i, x := range c {
		switch hp, code := answer(t, x, ids[i]); {
		case code == CodeCannot:
			late++
		case code == 0 && hp > 0:
			hits++
		case code == 0:
			killed++
		}
		coins += hero(x).Purse().Coins()
		fell += len(x.Take(bind.RouteFell))
	}
	if hits != 1 || killed != 1 || late != 18 || coins != 2 || fell != 20 {
		t.Errorf("%d hits, %d last hits, %d too late, %d coins, %d told; want 1, 1, 18, 2, 20", hits, killed, late, coins, fell)
	}
}

func TestTheDeadLeaveTheirCoinsAndComeBackWithTheirParty(t *testing.T) {
	w := open(t, Config{})
	c := stand(w, 20, 20, "anna", "bo")
	speak(c[1], "/join wolves")
	w.Tick(2)
	w.Zone(0).Edit(func() {
		hero(c[1]).Vitals().SetHp(heroDamage)
		hero(c[1]).Purse().SetCoins(17)
	})
	put(c[0], 22, 20)
	w.Tick(1)
	was := c[1].Avatar().ID()
	if hp, code := blow(t, w, c[0], was); hp != 0 || code != 0 {
		t.Fatalf("health %d, code %d", hp, code)
	}
	if c[1].Avatar().Alive() {
		t.Fatal("it lives")
	}
	lies := uint32(0)
	for e := range bind.Coins(w.Zone(0)) {
		lies += e.Worth().Coins()
	}
	if lies != 17 {
		t.Errorf("%d coins lie there, want 17", lies)
	}
	w.Tick(respawn*20 - 6)
	if c[1].Avatar().Alive() {
		t.Error("it came back early")
	}
	w.Tick(3)
	if h := hero(c[1]); !h.Alive() || h.ID() == was || h.Vitals().Hp() != heroHP || h.Purse().Coins() != 0 || h.Journey().Party() != partyNamed("wolves") {
		t.Errorf("came back as %v", h)
	}
}

func TestWalkersAndStrangersCannotBeFought(t *testing.T) {
	w := open(t, Config{Walkers: 1})
	c := stand(w, 20, 20, "anna", "bo")
	put(c[1], 5, 95)
	w.Tick(3)
	var walker game.EntityID
	for e := range bind.Walkers(w.Zone(0)) {
		walker = e.ID()
	}
	for _, id := range []game.EntityID{walker, c[0].Avatar().ID(), c[1].Avatar().ID()} {
		w.Tick(10)
		if _, code := blow(t, w, c[0], id); code != CodeCannot {
			t.Errorf("target %d: code %d, want %d", id, code, CodeCannot)
		}
	}
	w.Tick(10)
	if _, code := blow(t, w, c[0], 1<<40); code != protocol.ErrorUnavailable {
		t.Errorf("nobody: code %d", code)
	}
}
