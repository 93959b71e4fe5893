/** The demo page: wires the sample game's client to canvas, keys and panel. Parameters: ?zoom=world, ?bot=1, ?name=…. */
import { parseBootstrap, Plains, type Driver, RefusedError, RequestError } from "../sdk/index.ts";
import { Camera } from "./camera.ts";
import { Controls } from "./controls.ts";
import { Crowd } from "./crowd.ts";
import { testDoor } from "./door.ts";
import { drawGround, Labels, type Scene } from "./ground.ts";
import { Meter, type Rates } from "./meter.ts";
import { arrange, curtain, element, Hint, narrow, Note, press, storedName } from "./page.ts";
import { bytes, type Kind, Panel } from "./panel.ts";
import { readTheme } from "./palette.ts";
import { Renderer, Shape } from "./renderer.ts";

const PROGRAM = "web/0.1";
const PANEL_MS = 250;
const SPECTATE_SETTLE_MS = 200;
const FILLED_MS = 2000; // a spectator's replica that has not grown for so long is as full as it gets

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
    goaway: (g) => note.show(`This server is going away (${g.reason || "no reason given"}): moving over in ${(g.reconnectAfterMs / 1000).toFixed(1)} s.`),
  },
  refused: (r) => note.show(`The server refused a move: speed ${(r.speed / 16).toFixed(1)} m/s, allowed ${(r.limit / 16).toFixed(1)} m/s.`),
});

/** entityLeft: those who leave in play fade out; when a new connection forgets the old world, nobody does. */
function entityLeft(index: number): void {
  if (plains.client.state === "playing" && !plains.renewing) crowd.left(plains.replica, index);
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
  used: () => hint.dismiss(),
});

const commands = {
  whole: (): void => {
    camera.whole(!seesWhole());
    zoomChanged();
  },
  pilot: (): void => {
    controls.pilot = !controls.pilot;
    controls.target = undefined;
    press("pilot", controls.pilot);
  },
  drop: (): void => plains.client.drop(),
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
    spectateRefused = false;
  }
  if (client.state !== "playing") note.hide("spectate");
  if (client.state === "ended") curtain(plains.login === undefined ? "Not connected" : "Disconnected", client.describe().replace(/^disconnected: /, ""), true);
}

// ---- the spectator's view -------------------------------------------------------------------------------------------------------

let spectateTimer: ReturnType<typeof setTimeout> | undefined;
let spectateRefused = false;
let spectateBusy = false;

/** seesWhole says whether the view is the whole world, by the button, by the wheel, or because it is that small. */
function seesWhole(): boolean {
  return camera.isWhole || plains.spectating > 0;
}

function zoomChanged(): void {
  press("whole", seesWhole());
  clearTimeout(spectateTimer);
  spectateTimer = setTimeout(() => void matchSpectating(), SPECTATE_SETTLE_MS);
}

/** matchSpectating asks for a world-wide view when the camera looks beyond the own one, and gives it back when it does not. */
async function matchSpectating(): Promise<void> {
  const zone = plains.zone;
  if (zone === undefined || plains.client.state !== "playing" || spectateBusy) return;
  const wholeRadius = Math.ceil(Math.hypot(zone.width, zone.height));
  const wanted = camera.seesBeyond(zone.leaveRadius / zone.quantaPerMetre) || (camera.isWhole && wholeRadius > zone.leaveRadius);
  if (wanted === plains.spectating > 0 || (wanted && spectateRefused)) return;
  spectateBusy = true;
  crowd.quiet(1500);
  try {
    await plains.spectate(wanted ? wholeRadius : 0);
    filled = { most: 0, at: performance.now(), said: false };
    if (plains.spectating > 0) note.show("Spectating the whole world · the circle is your own view", "spectate");
    else note.hide("spectate");
  } catch (error) {
    spectateRefused = wanted;
    if (error instanceof RequestError) note.show(`The server does not let you spectate (${error.message}); only your own view is shown.`);
  } finally {
    spectateBusy = false;
  }
}

let filled = { most: 0, at: 0, said: false };

/** fullNote says so when a spectator's replica has stopped growing short of the world; undefined while it grows or holds all. */
function fullNote(now: number): string | undefined {
  const { replica, status } = plains;
  if (plains.spectating === 0 || status === undefined) return undefined;
  const n = replica.count;
  if (n > filled.most * 1.002) filled = { ...filled, most: n, at: now };
  // some come and go between two messages of the server's status
  if (now - filled.at < FILLED_MS || n >= status.entities * 0.98 - 8) return undefined;
  return `${n.toLocaleString("en")} of ${status.entities.toLocaleString("en")}: a client holds no more`;
}

// ---- drawing --------------------------------------------------------------------------------------------------------------------

let dpr = 1;
let last = performance.now();
let lastPanel = 0;
let drawn = 0;
let scriptMs = 0;
let moving = 0;
let ownHeading = 0;
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
  drawn++;
  scriptMs += performance.now() - now;
  if (now - lastPanel >= PANEL_MS) fillPanel(now);
}

/** look places the camera and says what lies on the ground. */
function look(now: number, dt: number): Scene | undefined {
  const zone = plains.zone;
  if (zone === undefined) return undefined;
  const q = zone.quantaPerMetre;
  controls.world = zone;
  controls.quanta = q;
  camera.know(zone.width / q, zone.height / q, zone.leaveRadius / q);
  const at = ownPosition(now);
  if (startZoomed) {
    startZoomed = false;
    camera.whole(true);
    zoomChanged();
  }
  if (at !== undefined) camera.follow(at.x / q, at.z / q, dt, motion.matches);
  const server = plains.serverPosition();
  return {
    width: zone.width / q, height: zone.height / q, own: at && { x: at.x / q, z: at.z / q },
    enterRadius: zone.enterRadius / q, leaveRadius: zone.leaveRadius / q,
    ghost: server && { x: server.x / q, z: server.z / q },
    target: controls.target && !controls.pilot ? { x: controls.target.x / q, z: controls.target.z / q } : undefined,
    name: plains.login?.name || name, now, still: motion.matches,
  };
}

function ownPosition(now: number): { x: number; z: number } | undefined {
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
  drawGround(renderer.lines, camera, scene, theme);
  crowd.put(renderer, plains.replica, theme, own, plains.renderTick(now, zone.index), q, camera.x, camera.z, view, motion.matches);
  if (scene.own !== undefined) {
    const s = plains.predictor?.state;
    if (s !== undefined && (s.wantVx !== 0 || s.wantVz !== 0)) {
      const turn = Math.atan2(s.wantVz, s.wantVx) - ownHeading;
      ownHeading += Math.atan2(Math.sin(turn), Math.cos(turn)) * (motion.matches ? 1 : 0.3);
    }
    renderer.put(scene.own.x - camera.x, scene.own.z - camera.z, ownHeading, 1.35, ...theme.own, 1, Shape.own, 0);
  }
  renderer.draw(camera.scale * dpr, 2.2 * dpr);
}

function fillPanel(now: number): void {
  const seconds = (now - lastPanel) / 1000;
  lastPanel = now;
  showState();
  press("whole", seesWhole());
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
  const full = playing ? fullNote(now) : undefined;
  if (full !== undefined && !filled.said) {
    filled.said = true;
    note.show(full, "spectate");
  }
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
  Object.assign(window, { tianxia: testDoor(plains, () => ({ drawn: renderer?.count ?? 0, moving })) });
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
  for (const id of ["whole", "pilot", "drop", "graph"] as const) element(id).onclick = () => commands[id]();
  element("dock").addEventListener("click", () => hint.dismiss());
  new ResizeObserver(() => arrange(camera)).observe(element("dock")); // a pressed button is wider
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
  // A session that was not recovered has no view but its own: ask again for the spectator's once the avatar is there.
  setInterval(() => void matchSpectating(), 1000);
  requestAnimationFrame(frame);
}

start();
