/** Directions, and the functions between them and coordinates, by CORDIC: the twin of pkg/game/fixed/angle.go. */
import { lerp, type Q } from "./fixed.ts";

/** Angle is a direction in 65536ths of a turn, 0 … 65535: 0 is +x, QUARTER is +y. */
export type Angle = number;

export const QUARTER = 16384;
export const TURNED = 32768;

const TURNS = 24;
const CORDIC = 652032874; // 2^30 ÷ what all turns together lengthen a vector by
const ARCTANS = [
  536870912, 316933406, 167458907, 85004756, 42667331, 21354465, 10679838, 5340245, 2670163, 1335087, 667544, 333772, 166886, 83443, 41722, 20861, 10430, 5215,
  2608, 1304, 652, 326, 163, 81,
]; // of 2^-i, in units of 2^-32 turns

/** sin returns the sine of a, at most 0.51 steps off. */
export function sin(a: Angle): Q {
  return wave(a, true);
}

/** cos returns the cosine of a, at most 0.51 steps off. */
export function cos(a: Angle): Q {
  return wave(a, false);
}

function wave(a: Angle, sine: boolean): Q {
  const quarters = ((a + QUARTER / 2) >> 14) & 3;
  let rest = ((a - (quarters << 14)) << 16) | 0; // −45° … 45°
  const negative = rest < 0;
  if (negative) rest = -rest;
  let x = CORDIC;
  let y = 0;
  for (let i = 0; i < TURNS; i++) {
    const dx = y >> i;
    const dy = x >> i;
    if (rest >= 0) {
      x -= dx;
      y += dy;
      rest -= ARCTANS[i]!;
    } else {
      x += dx;
      y -= dy;
      rest += ARCTANS[i]!;
    }
  }
  const c = (x + 8192) >> 14;
  const s = negative ? -((y + 8192) >> 14) : (y + 8192) >> 14;
  const odd = (quarters & 1) === 1;
  if (sine) return (quarters === 0 ? s : quarters === 1 ? c : quarters === 2 ? -s : -c) | 0;
  return (odd ? (quarters === 1 ? -s : s) : quarters === 0 ? c : -c) | 0;
}

/** atan2 returns the direction of the vector (x, y), at most 0.51 steps off; that of (0, 0) is 0. */
export function atan2(y: number, x: number): Angle {
  let ax = Math.abs(x);
  let ay = Math.abs(y);
  const steep = ay > ax;
  if (steep) [ax, ay] = [ay, ax];
  if (ax === 0) return 0;
  const s = Math.clz32(ax) - 3;
  if (s >= 0) {
    ax <<= s;
    ay <<= s;
  } else {
    ax >>>= -s;
    ay >>>= -s;
  }
  let a = steepness(ax, ay);
  if (steep) a = QUARTER - a;
  if (x < 0) a = TURNED - a;
  if (y < 0) a = -a;
  return a & 65535;
}

function steepness(x: number, y: number): Angle {
  let a = 0;
  for (let i = 0; i < TURNS; i++) {
    const dx = y >> i;
    const dy = x >> i;
    if (y >= 0) {
      x += dx;
      y -= dy;
      a += ARCTANS[i]!;
    } else {
      x -= dx;
      y += dy;
      a -= ARCTANS[i]!;
    }
  }
  return (a + 32768) >>> 16;
}

/** lerpAngle returns the direction at part t of the way from a to b, the shorter way round. */
export function lerpAngle(a: Angle, b: Angle, t: Q): Angle {
  return (a + lerp(0, ((b - a) << 16) >> 16, t)) & 65535;
}
