/**
 * The movement rule of the sample game: the same function as the zone's, in integers, so that prediction is exact. Quanta: positions
 * 1/320 m, velocities 1/16 m/s; at 20 Hz one velocity quantum is one position quantum per tick.
 */

/** MAX_SPEED is 5 m/s in velocity quanta; a wanted velocity is a vector of at most this length. */
export const MAX_SPEED = 80;

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
  m.vx = m.wantVx | 0;
  m.vz = m.wantVz | 0;
  let nx = (m.x + m.vx) | 0;
  if (nx < 0) {
    nx = 0;
    m.vx = 0;
  }
  if (nx > w - 1) {
    nx = w - 1;
    m.vx = 0;
  }
  let nz = (m.z + m.vz) | 0;
  if (nz < 0) {
    nz = 0;
    m.vz = 0;
  }
  if (nz > h - 1) {
    nz = h - 1;
    m.vz = 0;
  }
  m.x = nx;
  m.z = nz;
}

/** aim returns the wanted velocity of full speed in the direction (dx, dz), rounded towards zero so that it never breaks the limit. */
export function aim(dx: number, dz: number, speed = MAX_SPEED): { vx: number; vz: number } {
  const length = Math.hypot(dx, dz);
  if (length === 0) return { vx: 0, vz: 0 };
  return { vx: Math.trunc((dx / length) * speed) | 0, vz: Math.trunc((dz / length) * speed) | 0 };
}
