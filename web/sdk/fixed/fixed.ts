/**
 * Arithmetic for movement rules that run on a server in Go (pkg/game/fixed) and here, and must agree to the last bit. The same functions, and a shared file of
 * cases that keeps both equal.
 *
 * All numbers are whole: quanta and factors are int32, a {@link Q} has 16 fraction bits, an {@link Angle} is 0 … 65535, 65536 to the turn. Arguments must be in
 * those ranges; results are. JavaScript's numbers keep whole values exactly up to 2^53: products that would be larger are taken in two halves, and no value on
 * the way passes 2^53 unless the comment at its place says why nothing is lost. Division, and Math.sqrt, give a first guess that exact arithmetic corrects.
 *
 * Nothing wraps around: what does not fit becomes the largest or smallest value. Rounding is symmetrical.
 */

/** Q is a number with 16 fraction bits: −32768 … 32767.99998 in steps of 1/65536. */
export type Q = number;

/** ONE is 1 as a Q. */
export const ONE = 65536;
export const HALF = 32768;
export const MAX = 2147483647;
export const MIN = -2147483648;

/** saturated brings a whole number into the range of int32, and -0 to 0. */
export function saturated(v: number): number {
  return v > MAX ? MAX : v < MIN ? MIN : v | 0;
}

/** fromInt returns n as a Q. */
export function fromInt(n: number): Q {
  return saturated(n * ONE);
}

/** toInt returns the whole number nearest to a; halves go away from zero. */
export function toInt(a: Q): number {
  return nearest(a) | 0;
}

/** floor returns the largest whole number that is not above a. */
export function floor(a: Q): number {
  return a >> 16;
}

/** add returns a + b. */
export function add(a: Q, b: Q): Q {
  return saturated(a + b);
}

/** sub returns a − b. */
export function sub(a: Q, b: Q): Q {
  return saturated(a - b);
}

/** mul returns a · b, rounded to the nearest step (halves away from zero). If one of both is in quanta, so is the result. */
export function mul(a: Q, b: Q): Q {
  const x = Math.abs(a);
  const y = Math.abs(b);
  const high = Math.floor(x / ONE); // ≤ 2^15
  const p = high * y + Math.floor(((x - high * ONE) * y + HALF) / ONE);
  return saturated(a < 0 !== b < 0 ? -p : p);
}

/** div returns a ÷ b, rounded to the nearest step (halves away from zero). A division by zero gives MAX or MIN by the sign of a, and 0 ÷ 0 is 0. */
export function div(a: Q, b: Q): Q {
  if (b === 0) return infinite(a);
  const d = Math.abs(b);
  const q = Math.floor((Math.abs(a) * 2 * ONE + d) / (2 * d)); // a quotient below 2^53 never rounds up to a whole number that it does not reach
  return saturated(a < 0 !== b < 0 ? -q : q);
}

/** mulDiv returns a · b ÷ c, rounded towards zero, without losing anything on the way. A division by zero saturates as div does. */
export function mulDiv(a: number, b: number, c: number): number {
  if (c === 0) return infinite(Math.sign(a) * Math.sign(b));
  const q = quotient(Math.abs(a), Math.abs(b), Math.abs(c));
  return saturated((a < 0) !== (b < 0) !== c < 0 ? -q : q);
}

/** sqrt returns the square root, rounded to the nearest step; that of a negative number is 0. */
export function sqrt(a: Q): Q {
  if (a <= 0) return 0;
  const n = a * ONE; // < 2^47
  let r = Math.floor(Math.sqrt(n));
  while (r * r > n) r--;
  while ((r + 1) * (r + 1) <= n) r++;
  return n - r * r > r ? r + 1 : r;
}

/** lerp returns the place at part t of the way from a to b, rounded to the nearest; t is limited to 0 … ONE. */
export function lerp(a: number, b: number, t: Q): number {
  const part = t < 0 ? 0 : t > ONE ? ONE : t;
  return (a + nearest((b - a) * part)) | 0; // (b − a) · part ≤ 2^48
}

function infinite(sign: number): number {
  return sign > 0 ? MAX : sign < 0 ? MIN : 0;
}

/** nearest drops 16 fraction bits of a whole number below 2^52; halves go away from zero. */
export function nearest(p: number): number {
  return p < 0 ? -Math.floor((HALF - p) / ONE) : Math.floor((p + HALF) / ONE);
}

/** quotient is a · b ÷ c of numbers of at most 32 bits, rounded down; 2^32 stands for whatever is larger. */
export function quotient(a: number, b: number, c: number): number {
  let q = Math.floor((a * b) / c); // rounded twice: at most one off where it is below 2^32
  if (q > 4294967296) return 4294967296;
  const ah = Math.floor(a / ONE);
  const qh = Math.floor(q / ONE);
  // a·b − q·c is less than 2c, so that its halves cancel, and each of them is below 2^49
  const rest = (ah * b - qh * c) * ONE + ((a - ah * ONE) * b - (q - qh * ONE) * c);
  if (rest < 0) q--;
  else if (rest >= c) q++;
  return q;
}
