/** The ground under the crowd: grid, walls, borders of zones and of the world, the view's circle, marks. Metres in, lines in CSS pixels out; words are DOM. */
import type { Camera } from "./camera.ts";
import type { Lines } from "./lines.ts";
import type { Theme } from "./palette.ts";

/** Box is a rectangle of the world, metres. */
export interface Box {
  x: number;
  z: number;
  width: number;
  height: number;
}

/** Scene is what the ground shows besides the grid; metres. */
export interface Scene {
  /** bounds of what may be walked on. */
  bounds: Box;
  /** zones around, the own one first. */
  zones: readonly (Box & { zone: number })[];
  walls: readonly Box[];
  own: { x: number; z: number } | undefined;
  enterRadius: number;
  leaveRadius: number;
  /** ghost is the own avatar by the server's last word. */
  ghost: { x: number; z: number } | undefined;
  target: { x: number; z: number } | undefined;
  name: string;
  /** word is what a player must be told at once, at the avatar. */
  word: string;
  now: number;
  still: boolean;
}

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];
const LABEL_FROM_PX = 130; // a smaller circle needs no figures
const MARGIN_PX = 8;
const HALF_LINE_PX = 9;
const LABEL_RISE_PX = 90; // of zones' names above the avatar, to be out of its way

/** drawGround puts the frame's lines. */
export function drawGround(to: Lines, cam: Camera, s: Scene, theme: Theme): void {
  grid(to, cam, s.bounds, theme);
  for (const w of s.walls) wall(to, cam, w, theme);
  if (s.zones.length > 1 || differs(s.zones[0], s.bounds)) for (const z of s.zones) zoneBorder(to, cam, z, s.bounds, theme);
  border(to, cam, s.bounds, theme);
  if (s.own === undefined) return;
  const x = cam.screenX(s.own.x);
  const z = cam.screenZ(s.own.z);
  to.disc(x, z, s.enterRadius * cam.scale, theme.aoiFill);
  to.ring(x, z, s.enterRadius * cam.scale, 1.4, theme.aoi, 0.75);
  to.ring(x, z, s.leaveRadius * cam.scale, 1.1, theme.aoi, 0.42, 5.5);
  if (s.ghost !== undefined && Math.hypot(s.ghost.x - s.own.x, s.ghost.z - s.own.z) > 0.05) {
    to.ring(cam.screenX(s.ghost.x), cam.screenZ(s.ghost.z), Math.max(5, 0.9 * cam.scale), 1, theme.ownLine, 0.5, 3);
  }
  if (s.target !== undefined) {
    const tx = cam.screenX(s.target.x);
    const tz = cam.screenZ(s.target.z);
    to.line(x, z, tx, tz, 1, theme.ownLine, 0.22);
    to.ring(tx, tz, 6 + (s.still ? 0 : Math.sin(s.now / 160) * 1.5), 1.5, theme.ownLine, 0.85);
    to.disc(tx, tz, 1.6, theme.ownLine);
  }
}

function differs(a: Box | undefined, b: Box): boolean {
  return a !== undefined && (a.x !== b.x || a.z !== b.z || a.width !== b.width || a.height !== b.height);
}

function wall(to: Lines, cam: Camera, w: Box, theme: Theme): void {
  const l = cam.screenX(w.x);
  const t = cam.screenZ(w.z);
  const r = cam.screenX(w.x + w.width);
  const b = cam.screenZ(w.z + w.height);
  to.line(l, (t + b) / 2, r, (t + b) / 2, b - t, theme.wall);
  edges(to, l, t, r, b, 1.2, theme.wallEdge, 1);
}

/** zoneBorder draws the sides of a zone that are not the world's. */
function zoneBorder(to: Lines, cam: Camera, z: Box, world: Box, theme: Theme): void {
  const [l, t, r, b] = [cam.screenX(z.x), cam.screenZ(z.z), cam.screenX(z.x + z.width), cam.screenZ(z.z + z.height)];
  const side = (ax: number, ay: number, bx: number, by: number): void => {
    to.line(ax, ay, bx, by, 6, theme.zone, 0.16);
    to.line(ax, ay, bx, by, 1.6, theme.zone, 0.9);
  };
  if (z.x > world.x) side(l, t, l, b);
  if (z.z > world.z) side(l, t, r, t);
  if (z.x + z.width < world.x + world.width) side(r, t, r, b);
  if (z.z + z.height < world.z + world.height) side(l, b, r, b);
}

function edges(to: Lines, l: number, t: number, r: number, b: number, width: number, c: Theme["border"], alpha: number): void {
  to.line(l, t, r, t, width, c, alpha);
  to.line(l, b, r, b, width, c, alpha);
  to.line(l, t, l, b, width, c, alpha);
  to.line(r, t, r, b, width, c, alpha);
}

function grid(to: Lines, cam: Camera, s: Box, theme: Theme): void {
  const minor = STEPS.find((m) => m * cam.scale >= 26) ?? STEPS.at(-1)!;
  const a = cam.worldAt(0, 0);
  const b = cam.worldAt(cam.width, cam.height);
  const x0 = Math.max(s.x, a.x);
  const z0 = Math.max(s.z, a.z);
  const x1 = Math.min(s.x + s.width, b.x);
  const z1 = Math.min(s.z + s.height, b.z);
  const left = cam.screenX(x0);
  const right = cam.screenX(x1);
  const top = cam.screenZ(z0);
  const bottom = cam.screenZ(z1);
  for (let i = Math.ceil(x0 / minor); i * minor <= x1; i++) {
    const px = Math.round(cam.screenX(i * minor)) + 0.5;
    to.line(px, top, px, bottom, 1, i % 5 === 0 ? theme.gridStrong : theme.grid);
  }
  for (let i = Math.ceil(z0 / minor); i * minor <= z1; i++) {
    const pz = Math.round(cam.screenZ(i * minor)) + 0.5;
    to.line(left, pz, right, pz, 1, i % 5 === 0 ? theme.gridStrong : theme.grid);
  }
}

function border(to: Lines, cam: Camera, s: Box, theme: Theme): void {
  const l = cam.screenX(s.x);
  const t = cam.screenZ(s.z);
  const r = cam.screenX(s.x + s.width);
  const b = cam.screenZ(s.z + s.height);
  const { width: w, height: h } = cam;
  // what lies beyond, as four broad lines
  if (l > 0) to.line(l / 2, 0, l / 2, h, l, theme.void);
  if (r < w) to.line((r + w) / 2, 0, (r + w) / 2, h, w - r, theme.void);
  const from = Math.max(0, l);
  const until = Math.min(w, r);
  if (t > 0) to.line(from, t / 2, until, t / 2, t, theme.void);
  if (b < h) to.line(from, (b + h) / 2, until, (b + h) / 2, h - b, theme.void);
  for (const [width, alpha] of [[7, 0.14], [1.5, 0.85]] as const) edges(to, l, t, r, b, width, theme.border, alpha);
}

/** Labels are the few words on the map: DOM nodes moved by transforms, kept inside the part of the window that nothing covers. */
export class Labels {
  private readonly name: Label;
  private readonly enter: Label;
  private readonly leave: Label;
  private readonly word: Label;
  private readonly zones: Label[] = [];

  constructor(private readonly parent: HTMLElement) {
    this.name = new Label(parent, "who");
    this.enter = new Label(parent, "radius");
    this.leave = new Label(parent, "radius");
    this.word = new Label(parent, "word");
  }

  place(cam: Camera, s: Scene): void {
    const own = s.own;
    const near = s.enterRadius * cam.scale > LABEL_FROM_PX;
    this.name.show(own !== undefined);
    this.enter.show(own !== undefined && near);
    this.leave.show(own !== undefined && near);
    this.word.show(own !== undefined && s.word !== "");
    this.placeZones(cam, s);
    if (own === undefined) return;
    const x = cam.screenX(own.x);
    const z = cam.screenZ(own.z);
    if (s.word !== "") this.word.put(cam, s.word, x, z + Math.max(24, 2.6 * cam.scale), 0.5);
    const lift = Math.max(26, 2.9 * cam.scale);
    this.name.put(cam, s.name, x, z - lift < cam.top + HALF_LINE_PX ? z + lift : z - lift, 0.5);
    if (!near) return;
    const k = Math.SQRT1_2;
    const enter = s.enterRadius * cam.scale;
    const leave = s.leaveRadius * cam.scale;
    const at = this.leave.put(cam, `leave ${s.leaveRadius.toFixed(0)} m`, x - (leave + 8) * k, z - (leave + 12) * k, 1);
    this.enter.put(cam, `enter ${s.enterRadius.toFixed(0)} m`, x - (enter - 12) * k, z - (enter - 12) * k, 0, at);
  }

  /** placeZones writes on both sides of each border whose the land is, as near to the avatar as the border comes. */
  private placeZones(cam: Camera, s: Scene): void {
    const [home, ...others] = s.zones;
    const words: { text: string; x: number; z: number; anchor: number }[] = [];
    if (home !== undefined && s.own !== undefined) {
      for (const o of others) {
        const x = clamp(s.own.x, o.x, o.x + o.width);
        const z = clamp(s.own.z, o.z, o.z + o.height) - (LABEL_RISE_PX / cam.scale);
        const side = Math.sign(o.x + o.width / 2 - (home.x + home.width / 2)); // which way the other one lies, 0: above or below
        words.push({ text: `zone ${o.zone}`, x: cam.screenX(x) + 12 * side, z: cam.screenZ(z), anchor: side < 0 ? 1 : 0 });
        words.push({ text: `zone ${home.zone}`, x: cam.screenX(x) - 12 * side, z: cam.screenZ(z) + (side === 0 ? 40 : 0), anchor: side < 0 ? 0 : 1 });
      }
    }
    while (this.zones.length < words.length) this.zones.push(new Label(this.parent, "zone"));
    this.zones.forEach((label, i) => {
      const w = words[i];
      const seen = w !== undefined && w.x > 0 && w.x < cam.width - cam.inset && w.z > cam.top && w.z < cam.height - cam.bottom;
      label.show(seen);
      if (seen) label.put(cam, w.text, w.x, w.z, w.anchor);
    });
  }
}

/** Lying is where a label lies, CSS pixels: its left edge, its middle line, its width. */
interface Lying {
  left: number;
  y: number;
  width: number;
}

class Label {
  private readonly node: HTMLElement;
  private width = 0;

  constructor(parent: HTMLElement, kind: string) {
    this.node = parent.appendChild(document.createElement("span"));
    this.node.className = `mark ${kind}`;
    this.node.setAttribute("aria-hidden", "true");
  }

  show(on: boolean): void {
    this.node.hidden = !on;
  }

  /** put writes the text with `anchor` of its width left of x; clamped onto another label it goes below that. */
  put(cam: Camera, text: string, x: number, y: number, anchor: number, other?: Lying): Lying {
    if (this.node.textContent !== text || this.width === 0) {
      this.node.textContent = text;
      this.width = this.node.offsetWidth;
    }
    const width = this.width;
    const left = clamp(x - anchor * width, MARGIN_PX, cam.width - cam.inset - MARGIN_PX - width);
    y = clamp(y, cam.top + HALF_LINE_PX, cam.height - cam.bottom - HALF_LINE_PX);
    if (other !== undefined && Math.abs(other.y - y) < 2 * HALF_LINE_PX && left < other.left + other.width && other.left < left + width) {
      y = other.y + 2 * HALF_LINE_PX;
    }
    this.node.style.transform = `translate(${left.toFixed(1)}px, ${y.toFixed(1)}px) translate(0, -50%)`;
    return { left, y, width };
  }
}

function clamp(v: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, v));
}
