package browser

import (
	"bytes"
	"compress/gzip"
	"context"
	"flag"
	"io"
	"io/fs"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/tianxia-mmo/tianxia"
	"github.com/tianxia-mmo/tianxia/examples/plains"
	"github.com/tianxia-mmo/tianxia/examples/plains/bot"
	"github.com/tianxia-mmo/tianxia/pkg/game"
	"github.com/tianxia-mmo/tianxia/web"
)

var screenshot = flag.String("screenshot", "", "keep a picture of the page in this `file`")

// patience is a very wide bound: two busy cores draw WebGL in software here.
const patience = 60 * time.Second

func boot(t *testing.T, bots int) *tianxia.Node {
	t.Helper()
	n, stop := bootAt(t, "127.0.0.1:0", bots)
	t.Cleanup(stop)
	return n
}

// bootAt starts a server; stop ends it and waits, and may be called once.
func bootAt(t *testing.T, addr string, bots int) (n *tianxia.Node, stop func()) {
	t.Helper()
	a := tianxia.App{
		New: func(bots int) (*game.Game, []game.Config, error) {
			return plains.New(plains.Config{Walkers: 1000}), []game.Config{{Seed: 1, Width: plains.SideFor(1000 + bots)}}, nil
		},
		Bot: bot.Play,
		Web: web.Assets(),
	}
	return bootApp(t, a, addr, bots)
}

func bootApp(t *testing.T, a tianxia.App, addr string, bots int) (n *tianxia.Node, stop func()) {
	t.Helper()
	n, err := tianxia.Open(a, tianxia.NodeConfig{Addr: addr, Bots: bots})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Serve(ctx) }()
	return n, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// complaints collects what a clean page has none of.
type complaints struct {
	mu   sync.Mutex
	list []string
}

func (c *complaints) add(s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, s)
}

// browse opens a browser that records console errors and requests to anybody but host.
func browse(t *testing.T, host string, extra ...chromedp.ExecAllocatorOption) (context.Context, *complaints) {
	t.Helper()
	found := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"} {
		if p, err := exec.LookPath(name); err == nil {
			found = p
			break
		}
	}
	if found == "" {
		t.Fatal("needs Chromium: on Debian apt-get install chromium (test.sh skips this module by name where there is none)")
	}
	opts := append([]chromedp.ExecAllocatorOption{
		chromedp.ExecPath(found), chromedp.Headless, chromedp.NoSandbox, chromedp.NoFirstRun, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 860),
		chromedp.Flag("use-angle", "swiftshader"), chromedp.Flag("enable-unsafe-swiftshader", true), chromedp.Flag("ignore-gpu-blocklist", true),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
	}, extra...)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 3*patience)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) }) // waits until the browser has let go of its folder
	c := &complaints{}
	chromedp.ListenTarget(ctx, func(ev any) {
		switch e := ev.(type) {
		case *runtime.EventExceptionThrown:
			c.add("exception: " + e.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
				for _, a := range e.Args {
					c.add("console: " + string(a.Value) + a.Description)
				}
			}
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError {
				c.add("log: " + e.Entry.Text + " " + e.Entry.URL)
			}
		case *network.EventRequestWillBeSent:
			if u, err := url.Parse(e.Request.URL); err != nil || u.Scheme != "data" && u.Scheme != "blob" && u.Host != host {
				c.add("request to another origin: " + e.Request.URL)
			}
		}
	})
	dark := emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}})
	if err := chromedp.Run(ctx, network.Enable(), log.Enable(), runtime.Enable(), dark); err != nil {
		t.Fatal(err)
	}
	return ctx, c
}

func (c *complaints) none(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.list {
		t.Error(s)
	}
}

// until evaluates a JavaScript condition until it holds.
func until(t *testing.T, ctx context.Context, what, condition string) {
	t.Helper()
	err := chromedp.Run(ctx, chromedp.Poll(condition, nil, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(patience)))
	if err != nil {
		var stats string
		_ = chromedp.Run(ctx, chromedp.Evaluate(`JSON.stringify([window.tianxia?.stats(), window.tianxia?.errors])`, &stats))
		t.Fatalf("%s: %v\npage: %s", what, err, stats)
	}
}

func evaluate[T any](t *testing.T, ctx context.Context, expression string) (v T) {
	t.Helper()
	if err := chromedp.Run(ctx, chromedp.Evaluate(expression, &v)); err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

type point struct{ X, Z float64 }

func (p point) distance(q point) float64 { return math.Hypot(p.X-q.X, p.Z-q.Z) }

func open(t *testing.T, ctx context.Context, page string) {
	t.Helper()
	if err := chromedp.Run(ctx, chromedp.Navigate(page)); err != nil {
		t.Fatal(err)
	}
}

func TestPageShowsALivingWorldOfAThousand(t *testing.T) {
	n := boot(t, 3)
	ctx, c := browse(t, n.Addr())
	start := time.Now()
	open(t, ctx, n.URL()+"?zoom=world")
	until(t, ctx, "1,000 entities in the client's replica", `window.tianxia && window.tianxia.entities().length >= 1000`)
	took := time.Since(start)
	t.Logf("1,000 entities replicated %v after navigation", took)
	if took > 20*time.Second { // on an idle machine it is about one; this one may be drawing in software beside other tests
		t.Errorf("it took %v to show 1,000 entities", took)
	}
	before := evaluate[map[string]point](t, ctx, `Object.fromEntries(window.tianxia.entities().map(e => [e.id, {X: e.x, Z: e.z}]))`)
	frames := evaluate[int](t, ctx, `window.tianxia.stats().frames`)
	until(t, ctx, "a second of frames", `window.tianxia.stats().frames > `+strconv.Itoa(frames+20))
	after := evaluate[map[string]point](t, ctx, `Object.fromEntries(window.tianxia.entities().map(e => [e.id, {X: e.x, Z: e.z}]))`)
	moved := 0
	for id, p := range after {
		if q, ok := before[id]; ok && p.distance(q) > 0.5 {
			moved++
		}
	}
	if moved < 500 {
		t.Errorf("%d of %d entities moved within a second, want most", moved, len(after))
	}
	if drawn := evaluate[int](t, ctx, `window.tianxia.stats().drawn`); drawn < 1000 {
		t.Errorf("%d entities are drawn, want at least 1,000", drawn)
	}
	if *screenshot != "" {
		until(t, ctx, "graphs with something in them, and the hint gone", `window.tianxia.stats().frames > 340`)
		keep(t, ctx, *screenshot)
	}
	c.none(t)
}

func keep(t *testing.T, ctx context.Context, file string) {
	t.Helper()
	var png []byte
	if err := chromedp.Run(ctx, chromedp.CaptureScreenshot(&png)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, png, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestKeyPressMovesTheAvatarAsPredicted(t *testing.T) {
	n := boot(t, 0)
	ctx, c := browse(t, n.Addr())
	open(t, ctx, n.URL())
	until(t, ctx, "the own avatar", `window.tianxia && window.tianxia.stats().own && window.tianxia.stats().predicted`)
	if visible := evaluate[int](t, ctx, `window.tianxia.stats().visible`); visible < 5 || visible > 200 {
		t.Errorf("%d entities visible at close range, want some fifty", visible)
	}
	start := evaluate[point](t, ctx, `window.tianxia.stats().own`)
	key := "KeyD"
	if start.X > 200 { // away from the wall that is near
		key = "KeyA"
	}
	press := func(kind input.KeyType) chromedp.Action {
		return input.DispatchKeyEvent(kind).WithCode(key).WithKey(strings.ToLower(key[3:]))
	}
	if err := chromedp.Run(ctx, press(input.KeyDown)); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "the server moves the avatar by 5 m", `Math.hypot(window.tianxia.stats().own.x - `+ftoa(start.X)+`, window.tianxia.stats().own.z - `+ftoa(start.Z)+`) > 5`)
	if err := chromedp.Run(ctx, press(input.KeyUp)); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "prediction and server agree at rest", `(s => Math.hypot(s.own.x - s.predicted.x, s.own.z - s.predicted.z) < 0.02)(window.tianxia.stats())`)
	rest := evaluate[point](t, ctx, `window.tianxia.stats().own`)
	x := 620.0 // of the page: the avatar stands near its middle; a click beside it, away from the near wall
	if start.X > 200 {
		x = 320
	}
	if err := chromedp.Run(ctx, chromedp.MouseClickXY(x, 350)); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "a click makes the avatar walk", `Math.hypot(window.tianxia.stats().own.x - `+ftoa(rest.X)+`, window.tianxia.stats().own.z - `+ftoa(rest.Z)+`) > 2`)
	if refused := evaluate[int](t, ctx, `window.tianxia.stats().refusals`); refused != 0 {
		t.Errorf("%d inputs of the page were refused", refused)
	}
	c.none(t)
}

func ftoa(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// When its connection is cut, the page resumes its session, again and again, and nothing is lost.
func TestPageReconnectsByItself(t *testing.T) {
	n := boot(t, 0)
	ctx, c := browse(t, n.Addr())
	open(t, ctx, n.URL())
	until(t, ctx, "it plays, with a ticket", `window.tianxia && window.tianxia.stats().own && window.tianxia.stats().lastSeq >= 1`)
	before := evaluate[point](t, ctx, `window.tianxia.stats().own`)
	for cut := 1; cut <= 2; cut++ { // the second with the ticket that the first resume brought
		seq := evaluate[int](t, ctx, `window.tianxia.stats().lastSeq`)
		if err := chromedp.Run(ctx, chromedp.Click("#drop", chromedp.ByQuery)); err != nil {
			t.Fatal(err)
		}
		until(t, ctx, "the session goes on", `window.tianxia.stats().resumes >= `+strconv.Itoa(cut)+` && window.tianxia.stats().own && window.tianxia.stats().frames > 5`)
		until(t, ctx, "a new ticket", `window.tianxia.stats().lastSeq > `+strconv.Itoa(seq))
	}
	if pattern := evaluate[string](t, ctx, `window.tianxia.stats().pattern`); pattern != "NKpsk2" {
		t.Errorf("the handshake was %q, want NKpsk2", pattern)
	}
	if note := evaluate[string](t, ctx, `document.getElementById("note").textContent`); !strings.Contains(note, "nothing was missed") {
		t.Errorf("the page says %q of a session that was resumed", note)
	}
	if *screenshot != "" {
		keep(t, ctx, strings.TrimSuffix(*screenshot, ".png")+"-resumed.png")
	}
	after := evaluate[point](t, ctx, `window.tianxia.stats().own`)
	if d := before.distance(after); d > 0.01 { // it stood still: the same avatar is where it was
		t.Errorf("the avatar was at %v and is at %v", before, after)
	}
	key := "d"
	if after.X > 200 { // away from the wall that is near
		key = "a"
	}
	if err := chromedp.Run(ctx, input.DispatchKeyEvent(input.KeyDown).WithCode("Key"+strings.ToUpper(key)).WithKey(key)); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "inputs go on", `Math.hypot(window.tianxia.stats().own.x - `+ftoa(after.X)+`, window.tianxia.stats().own.z - `+ftoa(after.Z)+`) > 3`)
	if losses := evaluate[int](t, ctx, `window.tianxia.stats().losses`); losses != 0 {
		t.Errorf("%d sessions were not recovered: %s", losses, evaluate[string](t, ctx, `window.tianxia.errors.join("\n")`))
	}
	c.none(t)
}

func TestPageLogsInAnewWhereTheSessionIsGoneAndSaysSo(t *testing.T) {
	first, stop := bootAt(t, "127.0.0.1:0", 0)
	ctx, _ := browse(t, first.Addr()) // complaints are in order here: for a while nobody answers
	open(t, ctx, first.URL())
	until(t, ctx, "it plays", `window.tianxia && window.tianxia.stats().own && window.tianxia.stats().lastSeq >= 1`)
	stop()
	until(t, ctx, "the page sees it", `window.tianxia.stats().state === "reconnecting"`)
	_, stop = bootAt(t, first.Addr(), 0) // at the same address, with new keys and nothing of the old world
	defer stop()
	until(t, ctx, "it plays again", `window.tianxia.reconnects >= 1 && window.tianxia.stats().own && window.tianxia.stats().frames > 5`)
	if losses := evaluate[int](t, ctx, `window.tianxia.stats().losses`); losses != 1 {
		t.Errorf("%d losses of a session are told, want 1", losses)
	}
	if said := evaluate[string](t, ctx, `window.tianxia.errors.join("\n")`); !strings.Contains(said, "the session was not recovered") {
		t.Errorf("the page noted only:\n%s", said)
	}
}

func TestPageWorksWithoutTheBrowsersCryptography(t *testing.T) {
	n := boot(t, 0)
	// A name that is neither localhost nor https is no secure context: crypto.subtle is missing there, as on a phone in the LAN.
	host := strings.Replace(n.Addr(), "127.0.0.1", "192.168.77.77", 1)
	ctx, c := browse(t, host, chromedp.Flag("host-resolver-rules", "MAP 192.168.77.77 127.0.0.1"))
	open(t, ctx, "http://"+host+"/")
	until(t, ctx, "it plays", `window.tianxia && window.tianxia.stats().own && window.tianxia.stats().frames > 5`)
	if evaluate[bool](t, ctx, `isSecureContext`) {
		t.Fatal("this was meant to be an insecure context")
	}
	if suite := evaluate[string](t, ctx, `window.tianxia.stats().suite`); !strings.Contains(suite, "fallback") {
		t.Errorf("suite %q does not say that it is a fallback", suite)
	}
	c.none(t)
}

func TestScriptsFitTheirBudget(t *testing.T) {
	total := 0
	err := fs.WalkDir(web.Assets(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".js" {
			return err
		}
		f, err := web.Assets().Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if _, err := io.Copy(z, f); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		total += b.Len()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes gzip", total)
	if most := (50 + 20) << 10; total > most || total == 0 { // tools/web holds the two parts to theirs: every page's, and those of browsers without cryptography
		t.Errorf("scripts have %d bytes gzip, want 1 to %d", total, most)
	}
}
