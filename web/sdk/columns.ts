/**
 * Columns: what is kept of entities, as arrays by local index. A column belongs to a field of this page's schema and stays the same object whatever
 * the server's schema is; its array is replaced when it grows. Values are in steps. {@link Ring} keeps the last publications of what is drawn
 * between ticks.
 */
import { type Field, Interp, ranged, Type } from "./layout.ts";
import { type Codec, codec } from "./values.ts";

/** RING is how many publications are kept per entity; a power of two. */
export const RING = 4;

/** widened returns an array of n elements that begins as the old one. */
export function widened<T extends { length: number }>(old: T, n: number): T {
  const out = new (old.constructor as new (n: number) => T)(n);
  (out as unknown as Int32Array).set(old as unknown as Int32Array);
  return out;
}

/** since is how many ticks lie from one to another, the short way round: ticks wrap at 2^31. Both may be fractions. */
export function since(tick: number, from: number): number {
  const d = tick - from;
  return d - Math.round(d / 2 ** 32) * 2 ** 32;
}

/** Ring numbers places for the last publications of each entity: index · RING + slot. */
export class Ring {
  tick = new Int32Array(0);
  private head = new Uint8Array(0); // slot of the newest
  private held = new Uint8Array(0); // number kept
  /** newer is what seek found next to its answer, or -1. */
  newer = -1;

  grow(n: number): void {
    this.tick = widened(this.tick, n * RING);
    this.head = widened(this.head, n);
    this.held = widened(this.held, n);
  }

  /** base is the place of the newest publication. */
  base(index: number): number {
    return index * RING + this.head[index]!;
  }

  /** empty tells whether nothing is kept of an entity. */
  empty(index: number): boolean {
    return this.held[index] === 0;
  }

  /** forget drops an entity's history. */
  forget(index: number): void {
    this.held[index] = 0;
  }

  /** push gives the place of a new publication; one of the same tick takes the place of the last. */
  push(index: number, tick: number): number {
    const held = this.held[index]!;
    if (held === 0) {
      this.head[index] = 0;
      this.held[index] = 1;
    } else {
      const age = (tick - this.tick[this.base(index)]!) | 0;
      if (age > 0) {
        this.head[index] = (this.head[index]! + 1) & (RING - 1);
        this.held[index] = Math.min(RING, held + 1);
      } else if (age < 0) {
        this.held[index] = 1; // an older base than the last: the history before it means nothing now
      }
    }
    const p = this.base(index);
    this.tick[p] = tick;
    return p;
  }

  /** seek finds the publication in force at a fractional tick: the one with the greatest tick ≤ r, or the oldest. newer is the one after it. */
  seek(index: number, r: number): number {
    const head = this.head[index]!;
    this.newer = -1;
    let p = index * RING + head;
    for (let i = 0; i < this.held[index]!; i++) {
      p = index * RING + ((head - i) & (RING - 1));
      if (since(r, this.tick[p]!) >= 0) return p;
      this.newer = p;
    }
    this.newer = -1;
    return p;
  }
}

/** Values is an array of a column. */
export type Values =
  | Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array | Float32Array | Float64Array | BigInt64Array | BigUint64Array
  | unknown[];

/** storage makes the empty array of a field: the narrowest that holds its range. The generator of typed views decides by the same rule. */
function storage(f: Field): Values {
  switch (f.type) {
    case Type.bool: return new Uint8Array(0);
    case Type.int32: case Type.uint32: case Type.steps: {
      const fits = (low: bigint, high: bigint): boolean => ranged(f) && f.min >= low && f.limit < high;
      if (fits(0n, 256n)) return new Uint8Array(0);
      if (fits(0n, 65536n)) return new Uint16Array(0);
      if (fits(-128n, 128n)) return new Int8Array(0);
      if (fits(-32768n, 32768n)) return new Int16Array(0);
      return f.type === Type.uint32 ? new Uint32Array(0) : new Int32Array(0);
    }
    case Type.int64: return new BigInt64Array(0);
    case Type.uint64: case Type.entity: return new BigUint64Array(0);
    case Type.enum: return new Int32Array(0);
    case Type.angle: return f.bits <= 8 ? new Uint8Array(0) : new Uint16Array(0);
    case Type.float32: return new Float32Array(0);
    case Type.float64: return new Float64Array(0);
    default: return [];
  }
}

/** Column keeps one field of all entities. */
export class Column {
  /** array by local index, in steps; where has is 0, the value is absent. */
  array: Values;
  has: Uint8Array | undefined;
  private readonly ring: Ring | undefined; // of fields that blend
  private past = new Float64Array(0); // by place of the ring
  private readonly turn: number; // steps to the turn, of angles
  private readonly zero: unknown;

  /** A column that is not known is of no use but to read updates: it holds only what was said, without room set aside. */
  constructor(readonly field: Field, readonly known = true) {
    this.zero = codec(field, field).zero;
    this.array = known ? storage(field) : [];
    if (known && field.optional) this.has = new Uint8Array(0);
    const small = field.type < Type.entity && field.type !== Type.int64 && field.type !== Type.uint64;
    if (known && small && !field.optional && field.interp !== Interp.jump) this.ring = new Ring();
    this.turn = field.interp === Interp.turn && field.type === Type.angle ? 2 ** field.bits : 0;
  }

  grow(n: number): void {
    if (!this.known) return;
    const old = this.array.length;
    if (Array.isArray(this.array)) this.array.length = n;
    else this.array = widened(this.array, n);
    if (this.zero || Array.isArray(this.array)) (this.array as unknown[]).fill(this.zero, old);
    if (this.has !== undefined) this.has = widened(this.has, n);
    if (this.ring !== undefined) {
      this.ring.grow(n);
      this.past = widened(this.past, n * RING);
    }
  }

  /** reset gives an entity the field's default. */
  reset(i: number): void {
    this.ring?.forget(i);
    this.set(i, this.zero);
  }

  private set(i: number, v: unknown): void {
    if (this.has !== undefined) this.has[i] = v === undefined ? 0 : 1;
    if (v !== undefined || Array.isArray(this.array)) this.array[i] = v as never;
  }

  /** put keeps a value that holds from a tick on. */
  put(i: number, v: unknown, tick: number): void {
    this.set(i, v);
    if (this.ring !== undefined && (this.ring.empty(i) || this.past[this.ring.base(i)] !== this.array[i])) this.past[this.ring.push(i, tick)] = v as number;
  }

  /** at returns an entity's value, undefined where it is absent. */
  at(i: number): any {
    return this.has !== undefined && this.has[i] === 0 ? undefined : (this.array[i] ?? this.zero);
  }

  /** sample returns a number at a fractional tick: as it was, and over the last tick before a change a blend from the old to the new. */
  sample(i: number, r: number): number {
    const ring = this.ring;
    if (ring === undefined || ring.empty(i)) return Number(this.array[i]);
    const p = ring.seek(i, r);
    const v = this.past[p]!;
    if (ring.newer < 0) return v;
    const f = since(r, ring.tick[ring.newer]!) + 1;
    return f <= 0 ? v : blend(v, this.past[ring.newer]!, f, this.turn);
  }
}

/** blend goes from a to b, of angles the short way round; turn is the number of steps to a turn, 0 if there is none. */
export function blend(a: number, b: number, f: number, turn: number): number {
  const d = turn === 0 ? b - a : ((b - a + 1.5 * turn) & (turn - 1)) - turn / 2;
  return a + d * f;
}

/** Slot is a field as it travels, bound to the column that keeps it. */
export interface Slot {
  readonly column: Column;
  readonly codec: Codec;
}
