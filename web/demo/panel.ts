/** The net graph: rows of a label, a small curve and a value. Fed a few times a second, it never measures anything itself. */
import type { Theme } from "./palette.ts";

const POINTS = 60;

/** Kind colours a value; the words say the same. */
export type Kind = "plain" | "good" | "warn" | "bad";

/** Row is one line of the panel. */
class Row {
  private readonly valueNode: HTMLElement;
  private readonly canvas: HTMLCanvasElement | undefined;
  private readonly points: number[] = [];
  private shown = "";

  constructor(parent: HTMLElement, label: string, curve: boolean, title: string) {
    const row = parent.appendChild(document.createElement("div"));
    row.className = curve ? "row" : "row wide";
    row.title = title;
    const name = row.appendChild(document.createElement("span"));
    name.className = "label";
    name.textContent = label;
    if (curve) {
      this.canvas = row.appendChild(document.createElement("canvas"));
      this.canvas.setAttribute("aria-hidden", "true");
    }
    this.valueNode = row.appendChild(document.createElement("span"));
    this.valueNode.className = "value";
    this.valueNode.textContent = "–";
  }

  /** set shows a value with its unit; point is what the curve gets. */
  set(value: string, unit = "", point?: number, kind: Kind = "plain"): void {
    const next = `${value}|${unit}|${kind}`;
    if (next !== this.shown) {
      this.shown = next;
      this.valueNode.textContent = value;
      this.valueNode.dataset["kind"] = kind;
      if (unit !== "") {
        const small = this.valueNode.appendChild(document.createElement("small"));
        small.textContent = unit;
      }
    }
    if (point !== undefined && Number.isFinite(point)) {
      this.points.push(point);
      if (this.points.length > POINTS) this.points.shift();
    }
  }

  /** clear says that the value is not known now; the curve keeps what was. */
  clear(): void {
    this.set("–");
  }

  draw(theme: Theme, dpr: number): void {
    const canvas = this.canvas;
    if (canvas === undefined || this.points.length < 2) return;
    const w = 68 * dpr;
    const h = 18 * dpr;
    if (canvas.width !== w) canvas.width = w;
    if (canvas.height !== h) canvas.height = h;
    const c = canvas.getContext("2d")!;
    c.clearRect(0, 0, w, h);
    const top = Math.max(1e-9, ...this.points) * 1.12;
    const x = (i: number): number => w - ((this.points.length - 1 - i) / (POINTS - 1)) * w;
    const y = (v: number): number => h - 1.5 * dpr - (v / top) * (h - 3 * dpr);
    c.beginPath();
    this.points.forEach((v, i) => (i === 0 ? c.moveTo(x(i), y(v)) : c.lineTo(x(i), y(v))));
    c.strokeStyle = theme.spark;
    c.lineWidth = 1.25 * dpr;
    c.lineJoin = "round";
    c.stroke();
    c.lineTo(w, h);
    c.lineTo(x(0), h);
    c.globalAlpha = 0.14;
    c.fillStyle = theme.spark;
    c.fill();
    c.globalAlpha = 1;
  }
}

/** Panel builds all rows once. */
export class Panel {
  readonly hp: Row;
  readonly coins: Row;
  readonly zone: Row;
  readonly rtt: Row;
  readonly jitter: Row;
  readonly frames: Row;
  readonly bytesIn: Row;
  readonly bytesOut: Row;
  readonly visible: Row;
  readonly total: Row;
  readonly perPair: Row;
  readonly stale: Row;
  readonly error: Row;
  readonly verdict: Row;
  readonly p50: Row;
  readonly p99: Row;
  readonly overruns: Row;
  readonly draw: Row;
  private readonly rows: Row[] = [];
  private readonly suite: HTMLElement;

  constructor(private readonly root: HTMLElement) {
    const add = (label: string, title: string, curve = true): Row => {
      const row = new Row(root, label, curve, title);
      this.rows.push(row);
      return row;
    };
    this.heading("You");
    this.hp = add("Health", "Points of your hero");
    this.coins = add("Coins", "Walk over coins to pick them up; wolves drop some", false);
    this.zone = add("In", "The zone that your hero is in, and how many it sees into", false);
    this.heading("Network");
    this.rtt = add("Round trip", "Smoothed time from PING to PONG");
    this.jitter = add("Jitter", "How late sections come against the least delayed, 90th percentile");
    this.frames = add("Frames in", "State frames per second; silence means: as predicted");
    this.bytesIn = add("Bytes in", "Sealed records received, per second");
    this.bytesOut = add("Bytes out", "Sealed records sent, per second");
    this.heading("World");
    this.visible = add("Visible", "Entities in this client's replica; \"at most\": the server gives one client no more");
    this.total = add("In the world", "All entities of the server, and how many are players", false);
    this.perPair = add("Per entity·tick", "Bytes of state frames per visible entity and server tick, over the last two seconds: what the server's status line calls B/entity");
    this.stale = add("Staleness", "How much longer than promised nothing was heard");
    this.heading("Prediction");
    this.error = add("Error", "Distance between the predicted and the true position of your avatar at the same tick");
    this.verdict = add("Verdict", "matched: within 1 cm · drifting: within half a metre · diverging: more", false);
    this.heading("Server tick and page");
    this.p50 = add("Tick p50", "Half of the server's ticks took less");
    this.p99 = add("Tick p99", "99 of 100 of the server's ticks took less");
    this.overruns = add("Late ticks", "Ticks that began later than they should have, since the server started", false);
    this.draw = add("Drawing", "Script time per drawn frame, and frames per second");
    this.heading("Channel");
    this.suite = root.appendChild(document.createElement("p"));
    this.suite.className = "suite";
  }

  private heading(text: string): void {
    this.root.appendChild(document.createElement("h2")).textContent = text;
  }

  /** channel names the cipher suite, pattern and all, and who runs it. */
  channel(label: string | undefined, server: string, pattern = "NK"): void {
    const suite = label === undefined ? "–" : `Noise ${pattern} · X25519 · AES-256-GCM · SHA-256 (${label})`;
    const text = server === "" ? suite : `${suite} · gateway ${server}`;
    if (this.suite.textContent !== text) this.suite.textContent = text;
  }

  /** disconnected clears what was true of a connection; drawing goes on without one. */
  disconnected(): void {
    for (const row of this.rows) if (row !== this.draw) row.clear();
    this.channel(undefined, "");
  }

  redraw(theme: Theme, dpr: number): void {
    for (const row of this.rows) row.draw(theme, dpr);
  }
}

/** bytes writes a rate with a unit that fits. */
export function bytes(n: number): [string, string] {
  return n < 10_000 ? [n.toFixed(0), "B/s"] : [(n / 1000).toFixed(1), "kB/s"];
}
