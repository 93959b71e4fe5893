/**
 * The codes that every field of a state frame is made of. "`10` + 8" reads: the bits 1, 0, then 8 bits, low bit first.
 *
 *   age, count  = `0`: 0 | `10` + 5, 4 | `110` + 10, 11 | `111` + 32, 20
 *   velocity    = `0` + 5: old + n − 16 | `10` + 8: n − 128 | `110` + 16: two's complement | `111` + 32
 *   residual    = `0`: 0 | `10` + 3: n + 1 | `110` + 6 | `1110` + 11 | `1111` + 32                          zigzag
 *   angle       = `0` + k−4: old + n − 2^(k−5) | `1` + k; plain k bits if k ≤ 4                             k bits to the turn
 *   ranged      = n bits if n ≤ 8, else `0` + 4 | `10` + 8 | `11` + n; the short ones the zigzag of new − old
 *   num32       = `0` + 4 | `10` + 8 | `110` + 16 | `111` + 32                                              zigzag of new − old
 *   num64       = `0` + 4 | `10` + 8 | `110` + 16 | `1110` + 32 | `1111` + 64                               zigzag of new − old
 *   entity      = `0`: nobody | `10` + 16 | `110` + 32 | `111` + 64
 *   text        = count · 8 bits per byte
 */
import { type BitReader, type Bytes, MalformedError } from "./bytes.ts";

/** ones reads ones up to a zero, at most `most`, and returns how many there were. */
function ones(r: BitReader, most: number): number {
  let n = 0;
  while (n < most && r.bit() === 1) n++;
  return n;
}

const unzigzag = (u: number): number => (u >>> 1) ^ -(u & 1);

const COUNT = [0, 4, 11, 20];
const AGE = [0, 5, 10, 32];
const NUM = [4, 8, 16, 32];
const RESIDUAL = [0, 3, 6, 11, 32];

/** short reads a value of one of four widths. */
const short = (r: BitReader, widths: number[]): number => r.bits(widths[ones(r, 3)]!);

export const readCount = (r: BitReader): number => short(r, COUNT);

export const readAge = (r: BitReader): number => short(r, AGE);

export function readVelocity(r: BitReader, old: number): number {
  const k = ones(r, 3);
  if (k === 0) return (old + r.bits(5) - 16) | 0;
  if (k === 1) return r.bits(8) - 128;
  return k === 2 ? (r.bits(16) << 16) >> 16 : r.bits(32) | 0;
}

export function readResidual(r: BitReader): number {
  const k = ones(r, 4);
  return unzigzag(r.bits(RESIDUAL[k]!) + (k === 1 ? 1 : 0));
}

export function readAngle(r: BitReader, old: number, k: number): number {
  if (k <= 4 || r.bit() === 1) return r.bits(k);
  return (old + r.bits(k - 4) - 2 ** (k - 5)) & (2 ** k - 1);
}

/** readRangedFull reads a value of n ≤ 53 bits that counts from the range's least. */
export function readRangedFull(r: BitReader, n: number, span: number): number {
  return within(r.wide(n), span);
}

export function readRanged(r: BitReader, old: number, n: number, span: number): number {
  if (n <= 8) return within(r.bits(n), span);
  const k = ones(r, 2);
  return within(k === 2 ? r.wide(n) : old + unzigzag(r.bits(k === 0 ? 4 : 8)), span);
}

function within(v: number, span: number): number {
  if (v < 0 || v > span) throw new MalformedError("value outside its range");
  return v;
}

/** readNum32 returns 32 bits; the caller says whether they are signed. */
export function readNum32(r: BitReader, old: number): number {
  return (old + unzigzag(short(r, NUM))) | 0;
}

/** readNum64 returns a number beyond 64 bits, which the caller cuts. */
export function readNum64(r: BitReader, old: bigint): bigint {
  const k = ones(r, 4);
  const u = k === 4 ? r.big() : BigInt(r.bits(NUM[k]!));
  return old + ((u >> 1n) ^ -(u & 1n));
}

export function readEntity(r: BitReader): bigint {
  const k = ones(r, 3);
  return k === 3 ? r.big() : BigInt(r.bits(16 * k));
}

/** readText reads at most `most` bytes. */
export function readText(r: BitReader, most: number): Bytes {
  const n = readCount(r);
  if (n > most || n * 8 > r.left) throw new MalformedError("text longer than it may be");
  const out = new Uint8Array(n);
  for (let i = 0; i < n; i++) out[i] = r.bits(8);
  return out;
}
