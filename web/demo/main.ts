/** The demo page: wires the sample game's client to canvas, keys and panel. Parameters: ?zoom=world, ?bot=1, ?name=…. */
import { parseBootstrap, Plains, type Driver, RefusedError } from "../sdk/index.ts";
import { Camera } from "./camera.ts";
import { Chat } from "./chat.ts";
import { Controls } from "./controls.ts";
import { bar, Crowd, mix, type Picture } from "./crowd.ts";
import { testDoor } from "./door.ts";
import { type Box, drawGround, Labels, type Scene } from "./ground.ts";
import { Meter, type Rates } from "./meter.ts";
import { arrange, curtain, element, Hint, narrow, Note, press, storedName } from "./page.ts";
import { bytes, type Kind, Panel } from "./panel.ts";
import { readTheme } from "./palette.ts";
import { Play } from "./play.ts";
import { Renderer, Shape } from "./renderer.ts";
import { Spectator } from "./spectate.ts";

const PROGRAM = "web/0.1";
const PANEL_MS = 250;

const parameters = new URLSearchParams(location.search);
const motion = matchMedia("(prefers-reduced-motion: reduce)");

const stage = element("stage");
const crowdCanvas = element<HTMLCanvasElement>("crowd");
const renderer = Renderer.create(crowdCanvas);
const labels = new Labels(stage);
const camera = new Camera();
const meter = new Meter();
const panel = new Panel(element("rows"));
let theme = readTheme();
const crowd = new Crowd(theme.entities.length, () => performance.now());
const note = new Note();
const hint = new Hint();
const name = parameters.get("name") ?? storedName();

const plains = new Plains({
  program: PROGRAM,
  bootstrap: async () => {
    const answer = await fetch(`/dev/session?name=${encodeURIComponent(name)}`, { cache: "no-store", signal: AbortSignal.timeout(5000) }).catch(() => {
      throw new Error("the server does not answer");
    });
    if (!answer.ok) {
      const words = (await answer.text()).slice(0, 200).trim() || `/dev/session answered ${answer.status}`;
      throw answer.status >= 400 && answer.status < 500 ? new RefusedError(words) : new Error(words);
    }
    return parseBootstrap(await answer.json());
  },
  entities: { enter: (index) => crowd.entered(plains.replica, index), leave: (index) => entityLeft(index) },
  changed: () => stateChanged(),
  session: {
    resumed: () => note.show("Reconnected: the session went on, nothing was missed.", "session"),
    notRecovered: (reason) => note.show(`The session was not recovered (${reason}): messages may have been missed. Logging in anew.`, "session"),
    warning: (w) => note.show(`The server warns: ${w.message || `code ${w.code}`}`),
    refused: (_route, error) => note.show(error.message.replace(/^game error \d+: /, "")),
    goaway: (g) => note.show(`This server is going away (${g.reason || "no reason given"}): moving over in ${(g.reconnectAfterMs / 1000).toFixed(1)} s.`),
  },
  refused: (r) => note.show(`The server refused a move: speed ${(r.speed / 16).toFixed(1)} m/s, allowed ${(r.limit / 16).toFixed(1)} m/s.`),
  hit: (hit) => crowd.hit(plains.replica.indexOf(hit.target)),
  fell: (fell) => {
    crowd.fell(fell.target);
    if (fell.target === plains.me) play.died();
  },
  said: (said) => chat.hear(said),
  embodied: () => {
    controls.target = undefined;
    crowd.quiet(1500);
    play.born();
  },
});
const play = new Play(plains, crowd, camera);
const chat = new Chat((text) => plains.say(text));

/** entityLeft: those who leave in play fade out; nobody does when a new connection forgets the old world, or the avatar is in another. */
function entityLeft(index: number): void {
  if (plains.client.state === "playing" && !plains.renewing && plains.isAround(plains.replica.row[index]!)) crowd.left(plains.replica, index);
}

const controls = new Controls(stage, camera, {
  steered: () => {
    const state = plains.predictor?.state;
    const want = state === undefined ? undefined : controls.want(state);
    if (want !== undefined) plains.steer(want, performance.now());
  },
  zoom: (factor) => {
    camera.zoom(factor);
    zoomChanged();
  },
  command: (command) => commands[command](),
  strikeAt: (px, py) => play.strikeAt(px, py),
  used: () => hint.dismiss(),
});

const commands = {
  whole: (): void => {
    camera.whole(!spectator.sees);
    zoomChanged();
  },
  pilot: (): void => {
    controls.pilot = !controls.pilot;
    controls.target = undefined;
    press("pilot", controls.pilot);
  },
  drop: (): void => plains.client.drop(),
  strike: (): void => play.strike(),
  talk: (): void => chat.open(),
  mouth: (): void => play.mouth(),
  graph: (): void => {
    const root = element("panel");
    root.hidden = !root.hidden;
    press("graph", !root.hidden);
    resize();
  },
};

// ---- what the page says ---------------------------------------------------------------------------------------------------------

const glyphs: Record<string, string> = { playing: "●", reconnecting: "↻", resuming: "↻", queued: "⧗", ended: "✕" };

function showState(): void {
  const client = plains.client;
  const node = element("state");
  let words = client.describe(performance.now());
  if (client.state === "playing" && plains.login !== undefined) words = `playing as ${plains.login.name || name}`;
  const [glyph, text] = [node.children[0]!, node.children[1]!];
  if (text.textContent !== words) {
    text.textContent = words;
    arrange(camera);
  }
  glyph.textContent = glyphs[client.state] ?? "◌";
  node.dataset["kind"] = client.state === "playing" ? "good" : client.state === "ended" ? "bad" : "warn";
  document.body.dataset["live"] = client.state === "playing" ? "yes" : "no";
}

function stateChanged(): void {
  showState();
  const client = plains.client;
  element("drop").toggleAttribute("disabled", client.connection === undefined);
  if (client.state === "securing") crowd.quiet(2500);
  if (client.state === "playing") {
    element("curtain").hidden = true;
    crowd.quiet(1500);
    spectator.refused = false;
  }
  if (client.state !== "playing") note.hide("spectate");
  if (client.state === "ended") curtain(plains.login === undefined ? "Not connected" : "Disconnected", client.describe().replace(/^disconnected: /, ""), true);
}

const spectator = new Spectator(plains, camera, crowd, note);

function zoomChanged(): void {
  press("whole", spectator.sees);
  spectator.soon();
}

// ---- drawing --------------------------------------------------------------------------------------------------------------------

let dpr = 1;
let last = performance.now();
let lastPanel = 0;
let drawn = 0;
let scriptMs = 0;
let moving = 0;
let ownHeading = 0;
let lastSeen: { x: number; z: number } | undefined; // where the camera stays while there is no avatar, metres
let startZoomed = parameters.get("zoom") === "world";

function resize(): void {
  dpr = Math.min(2, devicePixelRatio || 1);
  const { clientWidth: w, clientHeight: h } = stage;
  crowdCanvas.width = Math.round(w * dpr);
  crowdCanvas.height = Math.round(h * dpr);
  camera.resize(w, h);
  arrange(camera);
}

const drive: Driver = (state) => controls.want(state);

function frame(): void {
  requestAnimationFrame(frame);
  const now = performance.now();
  const dt = Math.min(250, now - last);
  last = now;
  plains.advance(now, drive);
  const scene = look(now, dt);
  if (scene !== undefined) {
    labels.place(camera, scene);
    drawCrowd(now, scene);
  }
  play.show(now);
  drawn++;
  scriptMs += performance.now() - now;
  if (now - lastPanel >= PANEL_MS) fillPanel(now);
}

/** look places the camera and says what lies on the ground. */
function look(now: number, dt: number): Scene | undefined {
  const zone = plains.zone;
  if (zone === undefined) return undefined;
  const q = zone.quantaPerMetre;
  const { land } = plains;
  controls.world = land.bounds;
  controls.quanta = q;
  const bounds = metres(land.bounds, q);
  camera.know(bounds.width, bounds.height, zone.leaveRadius / q, bounds.x, bounds.z);
  const at = ownPosition(now);
  if (startZoomed) {
    startZoomed = false;
    camera.whole(true);
    zoomChanged();
  }
  if (at !== undefined) lastSeen = { x: at.x / q, z: at.z / q };
  if (lastSeen !== undefined) camera.follow(lastSeen.x, lastSeen.z, dt, motion.matches);
  const server = plains.serverPosition();
  return {
    bounds, zones: land.zones.map((z) => ({ zone: z.zone, ...metres(z, q) })),
    walls: land.walls.map((w) => metres({ x: w.x0, y: w.z0, width: w.x1 - w.x0, height: w.z1 - w.z0 }, q)),
    own: at && { x: at.x / q, z: at.z / q }, enterRadius: zone.enterRadius / q, leaveRadius: zone.leaveRadius / q,
    ghost: server && { x: server.x / q, z: server.z / q },
    target: controls.target && !controls.pilot ? { x: controls.target.x / q, z: controls.target.z / q } : undefined,
    name: plains.login?.name || name, word: play.saying(now), now, still: motion.matches,
  };
}

function metres(b: { x: number; y: number; width: number; height: number }, q: number): Box {
  return { x: b.x / q, z: b.y / q, width: b.width / q, height: b.height / q };
}

function ownPosition(now: number): { x: number; z: number } | undefined {
  if (plains.ownIndex() < 0) return undefined;
  return plains.predictor?.ready ? plains.predictor.position(now) : plains.serverPosition();
}

function drawCrowd(now: number, scene: Scene): void {
  if (renderer === undefined) return;
  const zone = plains.zone!;
  const q = zone.quantaPerMetre;
  const own = plains.ownIndex();
  const view = scene.own && { x: scene.own.x * q, z: scene.own.z * q, leave: zone.leaveRadius };
  renderer.begin();
  renderer.lines.begin(dpr);
  renderer.over.begin(dpr);
  drawGround(renderer.lines, camera, scene, theme);
  const hp = plains.world.vitals.hp;
  const picture: Picture = { theme, own, tick: plains.renderTick(now), q, cx: camera.x, cz: camera.z, view, still: motion.matches, hp, around: (row) => plains.isAround(row) };
  const screen = (x: number, z: number): readonly [number, number] => [camera.screenX(x), camera.screenZ(z)];
  crowd.put(renderer, plains.replica, picture);
  crowd.bars(renderer.over, plains.replica, picture, camera.scale, screen);
  if (scene.own !== undefined) {
    const s = plains.predictor?.state;
    if (s !== undefined && (s.wantVx !== 0 || s.wantVz !== 0)) {
      const turn = Math.atan2(s.wantVz, s.wantVx) - ownHeading;
      ownHeading += Math.atan2(Math.sin(turn), Math.cos(turn)) * (motion.matches ? 1 : 0.3);
    }
    const flash = crowd.flash(own);
    renderer.put(scene.own.x - camera.x, scene.own.z - camera.z, ownHeading, 1.35, ...mix(theme.own, theme.dyingRgb, flash), 1, Shape.own, 0);
    const full = crowd.full(plains.replica, own, hp[own]!);
    if (hp[own]! < full) bar(renderer.over, screen(scene.own.x, scene.own.z), hp[own]! / full, camera.scale * 1.15, theme);
  }
  renderer.draw(camera.scale * dpr, 2.2 * dpr);
}

function fillPanel(now: number): void {
  const seconds = (now - lastPanel) / 1000;
  lastPanel = now;
  showState();
  press("whole", spectator.sees);
  const { client, replica } = plains;
  const rates = meter.take(plains, now);
  moving = 0;
  for (let i = 0; i < replica.count; i++) {
    const b = replica.base(replica.live[i]!);
    if (replica.motions.vx[b] !== 0 || replica.motions.vz[b] !== 0) moving++;
  }
  const fps = drawn / seconds;
  const ms = scriptMs / Math.max(1, drawn);
  drawn = scriptMs = 0;
  const playing = client.state === "playing";
  const full = playing ? spectator.full(now) : undefined;
  if (element("panel").hidden) return;
  if (playing) fillConnection(now, rates, full);
  else panel.disconnected();
  panel.draw.set(ms.toFixed(1), `ms · ${fps.toFixed(0)} fps`, ms);
  panel.redraw(theme, dpr);
}

/** fillConnection writes what is known only while playing. */
function fillConnection(now: number, rates: Rates, full: string | undefined): void {
  const { client, predictor, status, replica } = plains;
  const rtt = client.connection?.roundTrip.ms ?? 0;
  panel.rtt.set(rtt.toFixed(rtt < 10 ? 1 : 0), "ms", rtt);
  panel.jitter.set(plains.clock.jitterMs.toFixed(0), "ms", plains.clock.jitterMs);
  panel.frames.set(rates.frames.toFixed(0), "/s", rates.frames);
  panel.bytesIn.set(...bytes(rates.bytesIn), rates.bytesIn);
  panel.bytesOut.set(...bytes(rates.bytesOut), rates.bytesOut);
  panel.visible.set(replica.count.toLocaleString("en"), full === undefined ? "" : "at most", replica.count, full === undefined ? "plain" : "warn");
  if (status !== undefined) {
    panel.total.set(status.entities.toLocaleString("en"), `${status.players} player${status.players === 1 ? "" : "s"}`);
    panel.p50.set((status.tickUsP50 / 1000).toFixed(2), "ms", status.tickUsP50);
    panel.p99.set((status.tickUsP99 / 1000).toFixed(2), "ms", status.tickUsP99);
    panel.overruns.set(status.tickOverruns.toLocaleString("en"), "", undefined, status.tickOverruns > 0n ? "warn" : "plain");
  }
  if (Number.isNaN(rates.perPair)) panel.perPair.clear();
  else panel.perPair.set(rates.perPair.toFixed(2), "B", rates.perPair);
  const stale = plains.staleMs(now);
  panel.stale.set(stale.toFixed(0), "ms", stale, stale > 500 ? "bad" : stale > 100 ? "warn" : "plain");
  const own = plains.ownIndex();
  if (own >= 0) {
    const hp = plains.world.vitals.hp[own]!;
    panel.hp.set(String(hp), "of 100", hp, hp > 60 ? "good" : hp > 30 ? "warn" : "bad");
    panel.coins.set(plains.world.purse.coins[own]!.toLocaleString("en"));
  } else panel.hp.set("dead", "", 0, "bad");
  panel.zone.set(plains.inside ? "a den" : `zone ${plains.zone?.zone ?? "–"}`, plains.land.zones.length > 1 ? `sees ${plains.land.zones.length}` : "");
  const q = plains.zone?.quantaPerMetre ?? 320;
  if (predictor !== undefined && !Number.isNaN(predictor.error)) {
    panel.error.set((predictor.meanError / q).toFixed(3), "m", predictor.error / q);
    const kinds: Record<string, [string, Kind]> = {
      waiting: ["measuring", "plain"], matched: ["✓ matched", "good"], drifting: ["~ drifting", "warn"], diverging: ["✗ diverging", "bad"],
    };
    const [word, kind] = kinds[predictor.verdict]!;
    panel.verdict.set(word, predictor.lateInputs > 0 ? `${predictor.lateInputs} late` : "", undefined, kind);
  }
  panel.channel(client.suite?.label, plains.login?.server ?? "", client.connection?.pattern);
}

// ---- start ----------------------------------------------------------------------------------------------------------------------

function start(): void {
  Object.assign(window, { tianxia: testDoor(plains, () => ({ drawn: renderer?.count ?? 0, moving, blows: play.blows, landed: play.landed, heard: chat.count })) });
  addEventListener("error", (e) => plains.client.note(`script error: ${e.message}`));
  addEventListener("unhandledrejection", (e) => plains.client.note(`script error: ${String(e.reason)}`));
  addEventListener("pagehide", () => plains.client.stop());
  addEventListener("pageshow", (e) => {
    if (e.persisted) plains.client.start(); // back from the browser's cache
  });
  addEventListener("resize", resize);
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => (theme = readTheme()));
  element("zoom-in").onclick = () => (camera.zoom(1.4), zoomChanged());
  element("zoom-out").onclick = () => (camera.zoom(1 / 1.4), zoomChanged());
  element("again").onclick = () => plains.client.start();
  for (const id of ["whole", "pilot", "drop", "graph", "strike", "talk"] as const) element(id).onclick = () => commands[id]();
  element("dock").addEventListener("click", () => hint.dismiss());
  const room = new ResizeObserver(() => arrange(camera));
  for (const id of ["dock", "bar", "vitals"]) room.observe(element(id)); // a pressed button is wider
  element<HTMLDetailsElement>("legend").open = !narrow.matches && innerHeight >= 740;
  if (parameters.get("bot") === "1") commands.pilot();
  if (narrow.matches) commands.graph();
  resize();
  if (renderer === undefined) {
    curtain("This browser has no WebGL2", "The world is drawn with WebGL2, which this browser or its settings do not offer. Any current browser with hardware acceleration switched on does.", false);
    return;
  }
  plains.client.start();
  addEventListener("online", () => {
    if (plains.client.state === "reconnecting") plains.client.start(); // no need to wait out the back-off
  });
  requestAnimationFrame(frame);
}

start();
