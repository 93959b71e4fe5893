package browser

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/plains"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/web"
)

const side = 80 // metres, of a world of two zones

// bootWorld starts a server with a world of two zones.
func bootWorld(t *testing.T, cfg plains.Config) *tianxia.Node {
	t.Helper()
	a := tianxia.App{
		New: func(int) (*game.Game, []game.Config, error) {
			zones, err := plains.World(1, side*320, 2)
			return plains.New(cfg), zones, err
		},
		Web: web.Assets(),
	}
	n, stop := bootApp(t, a, "127.0.0.1:0", 0)
	t.Cleanup(stop)
	return n
}

// walker gives the page a function that walks to a place by keys, around the corners of whatever is in the way, and tells how far it is.
const walker = `window.walkTo = (x, z) => {
	const keys = walkTo.keys ??= new Set();
	clearInterval(walkTo.timer);
	walkTo.there = false;
	const press = (code, on) => {
		if (keys.has(code) === on) return;
		if (on) keys.add(code); else keys.delete(code);
		dispatchEvent(new KeyboardEvent(on ? "keydown" : "keyup", { code }));
	};
	walkTo.timer = setInterval(() => {
		const at = window.tianxia.stats().predicted;
		const dx = at === null ? 0 : x - at.x, dz = at === null ? 0 : z - at.z;
		press("KeyD", dx > 0.5); press("KeyA", dx < -0.5); press("KeyS", dz > 0.5); press("KeyW", dz < -0.5);
		if (at !== null && Math.abs(dx) <= 0.5 && Math.abs(dz) <= 0.5) {
			walkTo.there = true;
			clearInterval(walkTo.timer);
		}
	}, 40);
	return true;
}`

// watcher measures, frame by frame, by how much the drawn avatar goes farther than it can walk, 5 m/s, and in how many frames nothing is predicted.
const watcher = `(() => {
	let last = null;
	window.worst = window.lost = 0;
	const look = () => {
		requestAnimationFrame(look);
		const now = performance.now(), at = window.tianxia.stats().predicted;
		if (at !== null && last !== null) window.worst = Math.max(window.worst, Math.hypot(at.x - last.at.x, at.z - last.at.z) - 5 * (now - last.now) / 1000);
		if (at === null) window.lost++;
		last = at === null ? null : { at, now };
	};
	requestAnimationFrame(look);
	return true;
})()`

func TestAvatarWalksOverABorderAsPredicted(t *testing.T) {
	n := bootWorld(t, plains.Config{Walkers: 60})
	ctx, c := browse(t, n.Addr())
	open(t, ctx, n.URL())
	until(t, ctx, "the own avatar", `window.tianxia && window.tianxia.stats().own && window.tianxia.stats().predicted && window.tianxia.stats().walls > 0`)
	evaluate[any](t, ctx, walker+"; 0")
	start := evaluate[point](t, ctx, `window.tianxia.stats().own`)
	home := evaluate[int](t, ctx, `window.tianxia.stats().zone`)
	if want := 1 + int(start.X/(side/2)); home != want {
		t.Errorf("at %v the page says zone %d, want %d", start, home, want)
	}
	until(t, ctx, "the page knows both zones", `window.tianxia.stats().zones.length === 2`)
	border := evaluate[[]struct{ X, Z, Width, Height float64 }](t, ctx, `window.tianxia.stats().border.sort((a, b) => a.x - b.x)`)
	if border[0].X != 0 || border[0].Width != side/2 || border[1].X != side/2 || border[1].Z != 0 || border[1].Height != side {
		t.Errorf("the page draws the zones as %+v", border)
	}
	evaluate[bool](t, ctx, watcher)
	there := 3 - home
	x := 14.0
	if there == 2 {
		x = side - 14
	}
	evaluate[bool](t, ctx, `walkTo(`+ftoa(x)+`, 36)`)
	until(t, ctx, "the other zone has it", `window.tianxia.stats().zone === `+strconv.Itoa(there))
	if *screenshot != "" {
		keep(t, ctx, strings.TrimSuffix(*screenshot, ".png")+"-border.png")
	}
	until(t, ctx, "it goes on to where it was sent", `(p => Math.hypot(p.x - `+ftoa(x)+`, p.z - 36) < 1.5)(window.tianxia.stats().own)`)
	until(t, ctx, "prediction and server agree at rest", `(s => Math.hypot(s.own.x - s.predicted.x, s.own.z - s.predicted.z) < 0.02)(window.tianxia.stats())`)
	worst, mean := evaluate[float64](t, ctx, `window.worst`), evaluate[float64](t, ctx, `window.tianxia.stats().errorMetres`)
	t.Logf("over the border the drawn avatar was at most %.3f m ahead of a walk; mean error of prediction %.4f m", worst, mean)
	if worst > 0.5 || math.IsNaN(worst) {
		t.Errorf("the avatar jumped by %.2f m", worst)
	}
	if lost := evaluate[int](t, ctx, `window.lost`); lost > 0 {
		t.Errorf("in %d frames there was no prediction", lost)
	}
	c.none(t)
}

func TestPlayerFightsWolvesTalksDiesAndComesBack(t *testing.T) {
	n := bootWorld(t, plains.Config{Walkers: 20, Wolves: 16, Coins: 40, Den: true})
	ctx, c := browse(t, n.Addr())
	open(t, ctx, n.URL())
	until(t, ctx, "wolves and coins", `window.tianxia && window.tianxia.stats().own && [3, 4].every(k => window.tianxia.entities().some(e => e.kind === k))`)
	enter := func(text string) {
		t.Helper()
		err := chromedp.Run(ctx, input.DispatchKeyEvent(input.KeyDown).WithCode("Enter").WithKey("Enter"), chromedp.WaitVisible("#line", chromedp.ByQuery),
			chromedp.SendKeys("#line", text+"\r", chromedp.ByQuery))
		if err != nil {
			t.Fatal(err)
		}
	}
	enter("/shout are there <b>wolves</b>?")
	until(t, ctx, "a line of chat, as text", `document.querySelector('#said li[data-circle="zone"]')?.textContent.endsWith("are there <b>wolves</b>?")`)

	// Wolves come by themselves to whoever comes near; a key that is held strikes at whoever is in reach.
	evaluate[any](t, ctx, walker+"; 0")
	evaluate[int](t, ctx, `window.striking = setInterval(() => {
		const at = window.tianxia.stats().predicted, far = (e) => Math.hypot(e.x - at.x, e.z - at.z);
		const [wolf] = at === null ? [] : window.tianxia.entities().filter((e) => e.kind === 3).sort((a, b) => far(a) - far(b));
		if (wolf !== undefined && far(wolf) > 3) walkTo(wolf.x, wolf.z);
		dispatchEvent(new KeyboardEvent("keydown", { code: "Space" }));
	}, 200); 0`)
	until(t, ctx, "a blow lands", `window.tianxia.stats().landed > 0`)
	if *screenshot != "" {
		keep(t, ctx, strings.TrimSuffix(*screenshot, ".png")+"-fight.png")
	}
	evaluate[int](t, ctx, `clearInterval(window.striking); 0`)
	me := evaluate[string](t, ctx, `window.tianxia.stats().me`)
	until(t, ctx, "the wolves win", `document.getElementById("prompt").textContent.startsWith("You have died")`)
	if *screenshot != "" {
		keep(t, ctx, strings.TrimSuffix(*screenshot, ".png")+"-dead.png")
	}
	until(t, ctx, "another hero", `(s => s.me !== "`+me+`" && s.own && s.predicted && s.hp > 0)(window.tianxia.stats())`)
	if dead := evaluate[string](t, ctx, `document.body.dataset.dead`); dead != "no" {
		t.Errorf("the page shows the new hero as a dead one")
	}
	c.none(t)
}

func TestKeyLeadsIntoADenAndOut(t *testing.T) {
	n := bootWorld(t, plains.Config{Den: true})
	ctx, c := browse(t, n.Addr())
	open(t, ctx, n.URL())
	until(t, ctx, "the own avatar", `window.tianxia && window.tianxia.stats().own && window.tianxia.stats().predicted`)
	evaluate[any](t, ctx, walker+"; 0")
	home := evaluate[int](t, ctx, `window.tianxia.stats().zone`)
	evaluate[bool](t, ctx, `walkTo(`+ftoa(side/4+side/2*float64(home-1))+`, `+ftoa(side/2)+`)`)
	prompt := func(words string) string { return `document.getElementById("prompt").textContent === "` + words + `"` }
	until(t, ctx, "the mouth, at rest", prompt("E enters the den")+` && walkTo.there`)
	through := func() {
		t.Helper()
		if err := chromedp.Run(ctx, input.DispatchKeyEvent(input.KeyDown).WithCode("KeyE").WithKey("e")); err != nil {
			t.Fatal(err)
		}
	}
	through()
	until(t, ctx, "a zone of its own", `(s => s.zone > 2 && s.inside && s.own && s.predicted && s.zones.length === 1)(window.tianxia.stats())`)
	until(t, ctx, "the way out", prompt("E leaves the den"))
	if *screenshot != "" {
		keep(t, ctx, strings.TrimSuffix(*screenshot, ".png")+"-den.png")
	}
	through()
	until(t, ctx, "the world again", `(s => s.zone === `+strconv.Itoa(home)+` && !s.inside && s.own && s.predicted)(window.tianxia.stats())`)
	c.none(t)
}
