/**
 * Everyone on the screen: turns the replica into instances for the renderer, frame by frame. Those who enter fade in with a pulse, those
 * who leave fade out where they were going, those who were hit flash. All positions in quanta until they are put.
 */
import { Kind } from "../sdk/gen/plains.ts";
import type { Replica, Sample } from "../sdk/index.ts";
import type { Lines } from "./lines.ts";
import { colourOf, type Rgb, type Theme } from "./palette.ts";
import { type Renderer, Shape } from "./renderer.ts";

const FADE_IN_MS = 350;
const PULSE_MS = 900;
const FADE_OUT_MS = 450;
const DEATH_MS = 1400;
const FLASH_MS = 280;
const GHOSTS = 512;
const LEAST_BAR_PX = 7; // of an entity's radius: bars on smaller ones would be all that one sees
const FULL_HP = 100; // of heroes and walkers; what wolves have says the server's table, so the most seen counts

/** How a kind looks: its radius in metres, and whether it can be struck. */
const looks: Record<number, { radius: number; shape: number; flat?: true; prey?: true }> = {
  [Kind.hero]: { radius: 1.2, shape: Shape.player, prey: true },
  [Kind.walker]: { radius: 0.9, shape: Shape.pebble },
  [Kind.wolf]: { radius: 1.5, shape: Shape.wolf, prey: true },
  [Kind.coin]: { radius: 0.62, shape: Shape.coin, flat: true },
  [Kind.den]: { radius: 2.4, shape: Shape.den, flat: true },
};
const stranger = { radius: 1, shape: Shape.dart };

interface Ghost {
  id: bigint;
  kind: number;
  x: number;
  z: number;
  vx: number;
  vz: number;
  yaw: number;
  colour: number;
  at: number;
  dead: boolean;
}

/** View is the own one: centre and leave radius in quanta. */
export interface View {
  x: number;
  z: number;
  leave: number;
}

/** Picture is what a frame is drawn with: tick is a fraction, q quanta per metre, cx and cz the camera's centre in metres. */
export interface Picture {
  theme: Theme;
  own: number;
  tick: number;
  q: number;
  cx: number;
  cz: number;
  /** view: those outside it are dimmed, they are there by a spectator's right only. */
  view: View | undefined;
  still: boolean;
  /** hp by local index. */
  hp?: ArrayLike<number>;
  /** around tells of which rows entities are drawn; default: all. */
  around?(row: number): boolean;
}

export class Crowd {
  private born = new Float64Array(0);
  private hitAt = new Float64Array(0);
  private colour = new Uint8Array(0);
  private ghosts: Ghost[] = [];
  private readonly strongest = new Map<number, number>(); // by zone row: points of a wolf that nobody has hit
  private quietUntil = 0;
  private readonly at: Sample = { x: 0, z: 0, yaw: 0 };
  /** renderTick is where departing entities were last drawn. */
  private renderTick = 0;

  constructor(private readonly colours: number, private readonly now: () => number) {}

  /** quiet suppresses pulses for a while: at login and when a spectator's view opens everybody enters at once. */
  quiet(ms: number): void {
    this.quietUntil = this.now() + ms;
  }

  /** entered and left are the replica's events. */
  entered(r: Replica, index: number): void {
    if (index >= this.born.length) {
      const n = Math.max(1024, 2 * index);
      const grown = <T extends Float64Array | Uint8Array>(old: T, wide: T): T => (wide.set(old), wide);
      this.born = grown(this.born, new Float64Array(n));
      this.hitAt = grown(this.hitAt, new Float64Array(n));
      this.colour = grown(this.colour, new Uint8Array(n));
    }
    const now = this.now();
    this.born[index] = now < this.quietUntil ? -now : now; // negative: fades in, but does not pulse
    this.hitAt[index] = -FLASH_MS;
    this.colour[index] = colourOf(r.id[index]!, r.kind[index]!, this.colours);
  }

  left(r: Replica, index: number): void {
    if (this.ghosts.length >= GHOSTS) return;
    r.sample(index, this.renderTick, this.at);
    const b = r.base(index);
    this.ghosts.push({
      id: r.id[index]!, kind: r.kind[index]!, x: this.at.x, z: this.at.z, yaw: this.radians(r, index), vx: r.motions.vx[b]!, vz: r.motions.vz[b]!,
      colour: this.colour[index]!, at: this.now(), dead: false,
    });
  }

  /** hit makes an entity flash, or -1 nobody. */
  hit(index: number): void {
    if (index >= 0) this.hitAt[index] = this.now();
  }

  /** fell makes of somebody who has just left one who has died; the word about it comes a moment later. */
  fell(id: bigint): void {
    const ghost = this.ghosts.find((g) => g.id === id);
    if (ghost === undefined) return;
    Object.assign(ghost, { dead: true, at: this.now(), vx: 0, vz: 0 });
  }

  /** flash is how freshly somebody was hit, 0 to 1. */
  flash(index: number): number {
    return Math.max(0, 1 - (this.now() - (this.hitAt[index] ?? -FLASH_MS)) / FLASH_MS);
  }

  /** put draws everybody but `own`: first what lies on the ground. */
  put(to: Renderer, r: Replica, p: Picture): void {
    this.renderTick = p.tick;
    const rows = Array.from({ length: 16 }, (_, row) => p.around?.(row) ?? true);
    for (const flat of [true, false]) {
      for (let i = 0; i < r.count; i++) {
        const index = r.live[i]!;
        const look = looks[r.kind[index]!] ?? stranger;
        if (("flat" in look) === flat && index !== p.own && rows[r.row[index]!]) this.one(to, r, p, index, look);
      }
    }
    this.putGhosts(to, p);
  }

  private one(to: Renderer, r: Replica, p: Picture, index: number, look: { radius: number; shape: number }): void {
    const now = this.now();
    r.sample(index, p.tick, this.at);
    const born = this.born[index]!;
    const age = now - Math.abs(born);
    let alpha = p.still ? 1 : Math.min(1, age / FADE_IN_MS);
    let pulse = 0;
    if (p.view !== undefined) {
      const dx = this.at.x - p.view.x;
      const dz = this.at.z - p.view.z;
      if (dx * dx + dz * dz > p.view.leave * p.view.leave) alpha *= 0.6;
      else if (born > 0 && age < PULSE_MS && !p.still) pulse = 1 - age / PULSE_MS;
    }
    const flash = this.flash(index);
    if (!p.still) pulse = Math.max(pulse, flash);
    const c = mix(this.tint(r.kind[index]!, this.colour[index]!, p.theme), p.theme.flash, flash);
    const x = this.at.x / p.q;
    const z = this.at.z / p.q;
    to.put(x - p.cx, z - p.cz, this.radians(r, index), look.radius, c[0], c[1], c[2], alpha, look.shape, pulse);
  }

  private tint(kind: number, colour: number, theme: Theme): Rgb {
    return kind === Kind.wolf ? theme.wolf : kind === Kind.coin ? theme.coin : kind === Kind.den ? theme.den : theme.entities[colour]!;
  }

  /** full is how many points somebody has who is well, as far as one can know. */
  full(r: Replica, index: number, hp: number): number {
    if (r.kind[index] !== Kind.wolf) return FULL_HP;
    const row = r.row[index]!;
    const most = Math.max(hp, this.strongest.get(row) ?? 0);
    this.strongest.set(row, most);
    return most;
  }

  /** bars puts health bars over those who are not well; scale is CSS pixels per metre, screen gives the place of metres on it. */
  bars(to: Lines, r: Replica, p: Picture, scale: number, screen: (x: number, z: number) => readonly [number, number]): void {
    if (p.hp === undefined || scale < LEAST_BAR_PX) return;
    for (let i = 0; i < r.count; i++) {
      const index = r.live[i]!;
      if (r.kind[index]! > Kind.wolf || index === p.own) continue;
      const hp = p.hp[index]!;
      const full = this.full(r, index, hp);
      if (hp >= full) continue;
      r.sample(index, p.tick, this.at);
      bar(to, screen(this.at.x / p.q, this.at.z / p.q), hp / full, scale, p.theme);
    }
  }

  /** prey is who can be struck and is nearest to a place (quanta), within a distance: the first of the kinds of which there is one, or -1. */
  prey(r: Replica, own: number, x: number, z: number, reach: number, kinds: readonly (readonly number[])[]): number {
    for (const group of kinds) {
      let best = -1;
      let least = reach;
      for (let i = 0; i < r.count; i++) {
        const index = r.live[i]!;
        if (index === own || !group.includes(r.kind[index]!)) continue;
        r.sample(index, this.renderTick, this.at);
        const d = Math.hypot(this.at.x - x, this.at.z - z);
        if (d > least) continue;
        least = d;
        best = index;
      }
      if (best >= 0) return best;
    }
    return -1;
  }

  /** radians of the heading sampled last; a kind without one looks along +x. */
  private radians(r: Replica, index: number): number {
    return (this.at.yaw * 2 * Math.PI) / (r.motions.turn[index]! || 1);
  }

  private putGhosts(to: Renderer, p: Picture): void {
    if (p.still) this.ghosts.length = 0;
    const now = this.now();
    let kept = 0;
    for (const g of this.ghosts) {
      const age = now - g.at;
      const life = g.dead ? DEATH_MS : FADE_OUT_MS;
      if (age >= life) continue;
      const f = 1 - age / life;
      const look = looks[g.kind] ?? stranger;
      const c = mix(this.tint(g.kind, g.colour, p.theme), p.theme.flash, g.dead ? f * f * 0.7 : 0);
      const ticks = age / 50;
      const spin = g.dead ? (1 - f) * 2.4 : 0; // who dies rolls over
      to.put((g.x + g.vx * ticks) / p.q - p.cx, (g.z + g.vz * ticks) / p.q - p.cz, g.yaw + spin, look.radius * (0.5 + 0.5 * f), c[0], c[1], c[2], f * 0.8, look.shape,
        g.dead ? f : 0);
      this.ghosts[kept++] = g;
    }
    this.ghosts.length = kept;
  }
}

/** bar is a health bar over somebody at a place on the screen. */
export function bar(to: Lines, at: readonly [number, number], part: number, scale: number, theme: Theme): void {
  const half = Math.max(11, 1.2 * scale);
  const y = at[1] - Math.max(10, 1.75 * scale);
  const left = at[0] - half;
  to.line(left - 1, y, left + 2 * half + 1, y, 6, theme.trough);
  const filled = Math.max(0, Math.min(1, part)) * 2 * half;
  if (filled > 0) to.line(left, y, left + filled, y, 4, part > 0.6 ? theme.well : part > 0.3 ? theme.hurt : theme.dying);
}

/** mix goes from one colour towards another by a part. */
export function mix(a: Rgb, b: Rgb, part: number): Rgb {
  if (part === 0) return a;
  return [a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part, a[2] + (b[2] - a[2]) * part];
}
