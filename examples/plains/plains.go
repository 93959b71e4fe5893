// Package plains is the sample game: grass, walkers that wander about, wolves that do not, coins, a den, and the players among them.
//
// It is meant to be read as a first lesson, in this order: plains.go puts the game together, land.go lays out its world, walk.go moves everyone, fight.go is about blows and
// death, wolves.go about those who deal them, coins.go about what they leave, chat.go about what is said, den.go about a way into another place. Entities, messages, and the
// rows of data/ are declared in proto_define/plains/v1/plains.proto, from which package bind is generated; package rules holds what a client must know to predict its own steps.
//
// A Game is made once and runs in any number of zones. Three places keep what it remembers: components, which go wherever their entity goes; world, which is a zone's own;
// memory, which is a player's in that zone. Nothing here starts a goroutine or looks at a clock: the same inputs make the same world.
package plains

import (
	"errors"
	"fmt"
	"slices"

	plainsv1 "github.com/tianxia-mmo/tianxia/proto_define/plains/v1"

	"github.com/tianxia-mmo/tianxia/examples/plains/bind"
	"github.com/tianxia-mmo/tianxia/examples/plains/rules"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/pkg/game/movement"
	"github.com/tianxia-mmo/tianxia/pkg/protocol"
)

// RightSpectate is the right that a login token must grant for SpectateRequest.
const RightSpectate = "spectate"

// Codes of refusals, as clients get them.
const (
	CodeCannot     protocol.ErrorCode = 1000 + iota // it makes no sense here or now
	CodeOutOfReach                                  // the target is too far away, or behind a wall
	CodeTooSoon                                     // the last blow was a moment ago
)

// Config of the game. Its zero value is an empty meadow.
type Config struct {
	Walkers int  // per zone
	Wolves  int  // per zone; those who die come back. There are none, and no coins, without game.Config.Tables, which World sets
	Coins   int  // heaps per zone; what is picked up comes back
	Den     bool // in the middle of each zone is the mouth of a den
}

// world is what one zone remembers that no entity does.
type world struct {
	*game.Zone
	cfg    Config
	checks *movement.Checks
}

// memory is what a zone remembers of a player.
type memory struct {
	guard   movement.Guard
	journey plainsv1.Journey // of an avatar that has died, for the next one
}

// New makes the game: it says which function is for what. Setup is called for every new zone, the others when something happens in one.
func New(cfg Config) *game.Game {
	g := bind.NewGame()
	g.Setup = func(z *game.Zone) error { return setup(z, cfg) }
	g.OnJoin(join)
	g.OnRespawn(join)
	g.OnArrive = func(z *game.Zone, p *game.Player) { _ = showGround(z, p) }
	g.OnDeath = died
	g.OnGive = give
	g.OnMove(move)
	g.OnSpectate(spectate)
	g.OnAttackLater(attack)
	g.OnStrike(strike)
	g.OnSlain(slain)
	g.OnSay(say)
	g.OnEnterDen(enterDen)
	g.OnQuitDen(quitDen)
	g.Instance("den", denConfig)
	return g.Game
}

// setup fills a zone. Systems run every tick, or as often as they say, in the order in which they are added here.
func setup(z *game.Zone, cfg Config) (err error) {
	w := &world{Zone: z, cfg: cfg}
	z.Data = w
	if w.inDen() {
		w.cfg = Config{Wolves: 5, Coins: 12, Den: true}
	}
	w.checks, err = movement.NewChecks(movement.Rules{MaxSpeed: rules.MaxSpeed, SpeedSlack: 1, MaxReach: reach, TickHz: z.TickHz(), InputsPerSecond: 2 * z.TickHz()})
	if err != nil {
		return err
	}
	for range w.cfg.Walkers {
		w.addWalker()
	}
	if w.cfg.Den {
		c := z.Config()
		w.add(bind.KindDen, c.X+c.Width/2, c.Y+c.Height/2)
	}
	w.populate()
	z.System(w.walk)
	z.Visit(game.Every(5).Shed(), bind.KindWolf, w.hunt) // each wolf four times a second, and less often when the zone has too much to do
	z.Visit(game.Every(4), bind.KindHero, w.pickUp)
	z.SystemEvery(game.Every(10*z.TickHz()), w.populate)
	return nil
}

// of is the world that a zone is.
func of(z *game.Zone) *world { return z.Data.(*world) }

// remember is what the zone remembers of a player.
func remember(p *game.Player) *memory {
	if p.Data == nil {
		p.Data = &memory{}
	}
	return p.Data.(*memory)
}

// join gives a new player, or one who comes back from death, a hero somewhere.
func join(z *game.Zone, p *game.Player, h bind.Hero) error {
	h.Transform().SetQPos(of(z).somewhere())
	h.Vitals().SetHp(heroHP)
	h.Fight().SetReady(z.Tick())
	return errors.Join(h.Journey().From(&remember(p).journey), showGround(z, p))
}

// populate brings wolves and coins up to their numbers, once there are tables that say what they are.
func (w *world) populate() {
	if w.Tables() == nil {
		return
	}
	for n := len(slices.Collect(w.OfKind(bind.KindWolf))); n < w.cfg.Wolves; n++ {
		w.settle(bind.Wolf{Entity: w.addSomewhere(bind.KindWolf)})
	}
	for n := len(slices.Collect(w.OfKind(bind.KindCoin))); n < w.cfg.Coins; n++ {
		heaps := &bind.TablesOf(w.Zone).Coins
		bind.Worth(w.addSomewhere(bind.KindCoin)).SetCoins(heaps.At(w.Rand.IntN(heaps.Len())).Coins)
	}
}

// addSomewhere spawns something at a place by chance.
func (w *world) addSomewhere(k game.Kind) game.Entity {
	x, z := w.somewhere()
	return w.add(k, x, z)
}

// add spawns something where it can be: a place that somewhere has found, or one where somebody stands. Were it not, that system's turn would end, and the world go on.
func (w *world) add(k game.Kind, x, z int32) game.Entity {
	e, err := w.Spawn(k, x, z)
	if err != nil {
		panic(fmt.Sprintf("plains: %v", err))
	}
	return e
}

func refuse(code protocol.ErrorCode, why string) error { return &game.Error{Code: code, Message: why} }

// quanta is a length in metres as the zone counts it.
func quanta(metres float64) int32 { return int32(metres * bind.QuantaPerMetre) }
