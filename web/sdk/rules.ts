/**
 * The movement rule of the sample game: the same function as the zone's, in integers, so that prediction is exact. Quanta: positions
 * 1/320 m, velocities 1/16 m/s; at 20 Hz one velocity quantum is one position quantum per tick.
 */
import type { Ground } from "./fixed/terrain.ts";
import { clamp } from "./fixed/vec.ts";

/** MAX_SPEED is 5 m/s in velocity quanta; a wanted velocity is a vector of at most this length. */
export const MAX_SPEED = 80;

/** RADIUS of a walker in position quanta: 35 cm. */
export const RADIUS = 112;

/** Mover is what a step works on. want is the velocity asked for; it persists while a wall holds the avatar back. */
export interface Mover {
  x: number;
  z: number;
  vx: number;
  vz: number;
  wantVx: number;
  wantVz: number;
}

/** step advances one tick in a zone of w × h quanta. A clamped axis reports velocity 0. */
export function step(m: Mover, w: number, h: number): void {
  const vx = m.wantVx | 0;
  const vz = m.wantVz | 0;
  arrive(m, Math.min(Math.max(m.x + vx, 0), w - 1), Math.min(Math.max(m.z + vz, 0), h - 1), vx, vz);
}

/** walk advances one tick on a map: along the wanted velocity, at most at MAX_SPEED, along whatever is in the way. An axis that is held reports velocity 0. */
export function walk(m: Mover, ground: Ground): void {
  const v = clamp(m.wantVx | 0, m.wantVz | 0, MAX_SPEED, { x: 0, y: 0 });
  const to = ground.walk(m.x, m.z, v.x, v.y, RADIUS, { x: 0, y: 0 });
  arrive(m, to.x, to.y, v.x, v.y);
}

function arrive(m: Mover, x: number, z: number, vx: number, vz: number): void {
  m.vx = m.x + vx === x ? vx : 0;
  m.vz = m.z + vz === z ? vz : 0;
  m.x = x;
  m.z = z;
}

/** aim returns the wanted velocity of full speed in the direction (dx, dz), rounded towards zero so that it never breaks the limit. */
export function aim(dx: number, dz: number, speed = MAX_SPEED): { vx: number; vz: number } {
  const length = Math.hypot(dx, dz);
  if (length === 0) return { vx: 0, vz: 0 };
  return { vx: Math.trunc((dx / length) * speed) | 0, vz: Math.trunc((dz / length) * speed) | 0 };
}
