/**
 * Everyone on the screen: turns the replica into instances for the renderer, frame by frame. Those who enter fade in with a pulse, those
 * who leave fade out where they were going. All positions in quanta until they are put.
 */
import { Kind } from "../sdk/gen/plains.ts";
import type { Replica, Sample } from "../sdk/index.ts";
import { colourOf, type Theme } from "./palette.ts";
import { type Renderer, Shape } from "./renderer.ts";

const FADE_IN_MS = 350;
const PULSE_MS = 900;
const FADE_OUT_MS = 450;
const GHOSTS = 512;
const RADIUS_M = 1.2;

interface Ghost {
  x: number;
  z: number;
  vx: number;
  vz: number;
  yaw: number;
  colour: number;
  walking: boolean;
  at: number;
}

/** Circle is the own view: centre and leave radius in quanta. */
export interface Circle {
  x: number;
  z: number;
  leave: number;
}

export class Crowd {
  private born = new Float64Array(0);
  private colour = new Uint8Array(0);
  private ghosts: Ghost[] = [];
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
      const born = new Float64Array(Math.max(1024, 2 * index));
      born.set(this.born);
      this.born = born;
      const colour = new Uint8Array(born.length);
      colour.set(this.colour);
      this.colour = colour;
    }
    const now = this.now();
    this.born[index] = now < this.quietUntil ? -now : now; // negative: fades in, but does not pulse
    this.colour[index] = colourOf(r.id[index]!, r.kind[index]!, this.colours);
  }

  left(r: Replica, index: number): void {
    if (this.ghosts.length >= GHOSTS) return;
    r.sample(index, this.renderTick, this.at);
    const b = r.base(index);
    this.ghosts.push({
      x: this.at.x, z: this.at.z, yaw: this.radians(r, index), vx: r.motions.vx[b]!, vz: r.motions.vz[b]!, colour: this.colour[index]!, at: this.now(),
      walking: r.motions.vx[b] !== 0 || r.motions.vz[b] !== 0,
    });
  }

  /**
   * put draws everybody but `own` relative to the camera's centre (metres). renderTick is a fraction; q is quanta per metre. Those
   * outside the own view are dimmed: they are there by a spectator's right only.
   */
  put(
    to: Renderer, r: Replica, theme: Theme, own: number, renderTick: number, q: number, cx: number, cz: number, view: Circle | undefined, still: boolean,
  ): void {
    const now = this.now();
    this.renderTick = renderTick;
    const leave2 = view === undefined ? 0 : view.leave * view.leave;
    for (let i = 0; i < r.count; i++) {
      const index = r.live[i]!;
      if (index === own) continue;
      r.sample(index, renderTick, this.at);
      const b = r.base(index);
      const walking = r.motions.vx[b] !== 0 || r.motions.vz[b] !== 0;
      const c = theme.entities[this.colour[index]!]!;
      const born = this.born[index]!;
      const age = now - Math.abs(born);
      let alpha = still ? 1 : Math.min(1, age / FADE_IN_MS);
      let pulse = 0;
      if (view !== undefined) {
        const dx = this.at.x - view.x;
        const dz = this.at.z - view.z;
        if (dx * dx + dz * dz > leave2) alpha *= 0.6;
        else if (born > 0 && age < PULSE_MS && !still) pulse = 1 - age / PULSE_MS;
      }
      const shape = r.kind[index] === Kind.hero ? Shape.player : walking ? Shape.walking : Shape.resting;
      to.put(this.at.x / q - cx, this.at.z / q - cz, this.radians(r, index), RADIUS_M, c[0], c[1], c[2], alpha, shape, pulse);
    }
    this.putGhosts(to, theme, now, q, cx, cz, still);
  }

  /** radians of the heading sampled last; a kind without one looks along +x. */
  private radians(r: Replica, index: number): number {
    return (this.at.yaw * 2 * Math.PI) / (r.motions.turn[index]! || 1);
  }

  private putGhosts(to: Renderer, theme: Theme, now: number, q: number, cx: number, cz: number, still: boolean): void {
    if (still) this.ghosts.length = 0;
    let kept = 0;
    for (const g of this.ghosts) {
      const age = now - g.at;
      if (age >= FADE_OUT_MS) continue;
      const c = theme.entities[g.colour]!;
      const f = 1 - age / FADE_OUT_MS;
      const ticks = age / 50;
      to.put((g.x + g.vx * ticks) / q - cx, (g.z + g.vz * ticks) / q - cz, g.yaw, RADIUS_M * (0.6 + 0.4 * f), c[0], c[1], c[2], f * 0.7,
        g.walking ? Shape.walking : Shape.resting, 0);
      this.ghosts[kept++] = g;
    }
    this.ghosts.length = kept;
  }
}
