/** Vectors on the ground plane, of int32: the twin of pkg/game/fixed/vec.go. Results go into a Vec that is handed in, so that a step makes no garbage. */
import { cos, sin, type Angle } from "./angle.ts";
import { MAX, nearest, ONE, quotient, saturated } from "./fixed.ts";

/** Vec is a way or a velocity. */
export interface Vec {
  x: number;
  y: number;
}

/** excess is the sign of x² + y² − r², for whole numbers below 2^32, and the value itself where that is below 2^35. */
function excess(x: number, y: number, r: number): number {
  const xh = Math.floor(x / ONE);
  const yh = Math.floor(y / ONE);
  const rh = Math.floor(r / ONE);
  const xl = x - xh * ONE;
  const yl = y - yh * ONE;
  const rl = r - rh * ONE;
  // high · 2^32 + middle · 2^16 + low; the first two together are a whole number below 2^53 times 2^16, and a sum's sign survives rounding
  const high = xh * xh + yh * yh - rh * rh;
  const middle = 2 * (xh * xl + yh * yl - rh * rl);
  return (high * ONE + middle) * ONE + (xl * xl + yl * yl - rl * rl);
}

/** hypot is the length of (x, y), both 0 … 2^31, rounded down. */
function hypot(x: number, y: number): number {
  let r = Math.floor(Math.sqrt(x * x + y * y));
  while (excess(x, y, r) < 0) r--;
  while (excess(x, y, r + 1) >= 0) r++;
  return r;
}

/** length returns how long (x, y) is, rounded down, at most MAX. */
export function length(x: number, y: number): number {
  return Math.min(hypot(Math.abs(x), Math.abs(y)), MAX);
}

/** within says whether (x, y) is at most r long, exactly. */
export function within(x: number, y: number, r: number): boolean {
  return r >= 0 && excess(Math.abs(x), Math.abs(y), r) <= 0;
}

/** normalise makes out the vector of length l in the direction of (x, y), each axis rounded towards zero: never too long. */
export function normalise(x: number, y: number, l: number, out: Vec): Vec {
  let ax = Math.abs(x);
  let ay = Math.abs(y);
  const m = Math.max(ax, ay);
  if (m === 0 || l <= 0) {
    out.x = out.y = 0;
    return out;
  }
  const s = Math.clz32(m) - 2;
  if (s > 0) {
    ax <<= s;
    ay <<= s;
  }
  let h = hypot(ax, ay);
  if (excess(ax, ay, h) > 0) h++;
  const qx = quotient(ax, l, h);
  const qy = quotient(ay, l, h);
  out.x = (x < 0 ? -qx : qx) | 0;
  out.y = (y < 0 ? -qy : qy) | 0;
  return out;
}

/** clamp makes out (x, y), or if that is longer than limit the vector of that length in its direction. */
export function clamp(x: number, y: number, limit: number, out: Vec): Vec {
  if (!within(x, y, limit)) return normalise(x, y, limit, out);
  out.x = x;
  out.y = y;
  return out;
}

/** rotate makes out (x, y) turned by a, from +x towards +y. */
export function rotate(x: number, y: number, a: Angle, out: Vec): Vec {
  const s = sin(a);
  const c = cos(a);
  out.x = saturated(nearest(x * c - y * s)); // each product is at most 2^47
  out.y = saturated(nearest(x * s + y * c));
  return out;
}

/** polar makes out the vector of length l in direction a, each axis rounded towards zero. */
export function polar(l: number, a: Angle, out: Vec): Vec {
  out.x = Math.trunc((l * cos(a)) / ONE) | 0;
  out.y = Math.trunc((l * sin(a)) / ONE) | 0;
  return out;
}
