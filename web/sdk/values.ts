/**
 * Values: the wire form of every type of field, compiled from a layout into closures. A value is what TypeScript code sees, in steps: numbers,
 * bigints for 64 bits, booleans, strings, Bytes, objects, arrays, Maps; undefined for what is absent. Values are never changed once made.
 *
 *   full form                                              new form, against the old value
 *   bool      1                                            nothing: it is the other one
 *   optional  `0` absent | `1` full                        `0` absent | `1` new form, or full if it was absent
 *   message   `0` absent | `1` full of each field          `0` absent | `1` new forms of its fields, or full of each if it was absent
 *   list      count · full of each element                 kept count · old count · new count · min(old, new) elements anew · the others in full
 *   map       count · full of key and value, by key        removed · changed · added
 */
import { readAngle, readCount, readEntity, readNum32, readNum64, readRanged, readRangedFull, readText } from "./bitcodes.ts";
import { type BitReader, MalformedError, utf8 } from "./bytes.ts";
import { camel, type Field, ranged, Type } from "./layout.ts";

/** Codec reads values of one field. zero is the value of an entity of which nothing was said. */
export interface Codec {
  readonly zero: any;
  full(r: BitReader): any;
  /** delta reads what was written because the value differs from old. */
  delta(r: BitReader, old: any): any;
}

const scratch = /* @__PURE__ */ new DataView(/* @__PURE__ */ new ArrayBuffer(8));

const plain = (zero: unknown, full: (r: BitReader) => unknown): Codec => ({ zero, full, delta: full });

/** codec compiles a field as it travels. own is the field as this page knows it, whose names nested values get; undefined: not at all. */
export function codec(f: Field, own: Field | undefined): Codec {
  const value = f.type === Type.message ? body(f.fields, own?.fields ?? []) : present(f, own);
  if (!f.optional && f.type !== Type.message) return value;
  return {
    zero: undefined,
    full: (r) => (r.bit() === 1 ? value.full(r) : undefined),
    delta: (r, old) => (r.bit() === 0 ? undefined : old === undefined ? value.full(r) : value.delta(r, old)),
  };
}

function present(f: Field, own: Field | undefined): Codec {
  if (ranged(f)) return rangedCodec(f);
  switch (f.type) {
    case Type.bool:
      return { zero: false, full: (r) => r.bit() === 1, delta: (_, old) => !old };
    case Type.int32:
    case Type.steps:
      return { zero: 0, full: (r) => readNum32(r, 0), delta: readNum32 };
    case Type.uint32:
      return { zero: 0, full: (r) => readNum32(r, 0) >>> 0, delta: (r, old) => readNum32(r, old) >>> 0 };
    case Type.int64:
    case Type.uint64: {
      const cut = f.type === Type.int64 ? BigInt.asIntN : BigInt.asUintN;
      return { zero: 0n, full: (r) => cut(64, readNum64(r, 0n)), delta: (r, old) => cut(64, readNum64(r, old)) };
    }
    case Type.enum:
      return plain(0, (r) => r.bits(f.bits));
    case Type.angle:
      return { zero: 0, full: (r) => r.bits(f.bits), delta: (r, old) => readAngle(r, old, f.bits) };
    case Type.float32:
      return plain(0, (r) => (scratch.setUint32(0, r.bits(32)), scratch.getFloat32(0)));
    case Type.float64:
      return plain(0, (r) => (scratch.setBigUint64(0, r.big()), scratch.getFloat64(0)));
    case Type.entity:
      return plain(0n, readEntity);
    case Type.string:
      return plain("", (r) => utf8(readText(r, f.max)));
    case Type.bytes:
      return plain(new Uint8Array(0), (r) => readText(r, f.max));
    case Type.list:
      return list(f, own);
    default:
      return map(f, own);
  }
}

/** zeroOf is the default of a number: 0, or the end of its range that is nearest. */
function zeroOf(f: Field): bigint {
  return f.min > 0n ? f.min : f.limit < 0n ? f.limit : 0n;
}

function rangedCodec(f: Field): Codec {
  const { bits } = f;
  const span = Number(f.limit - f.min);
  const own: (v: number | bigint) => any = f.type === Type.int64 || f.type === Type.uint64 ? BigInt : Number;
  const min = own(f.min);
  return {
    zero: own(zeroOf(f)),
    full: (r) => min + own(readRangedFull(r, bits, span)),
    delta: (r, old) => min + own(readRanged(r, Number(old - min), bits, span)),
  };
}

/** body compiles the fields of a message, without its presence. Fields that the page does not know are kept under their number: updates build on them. */
function body(fields: Field[], own: Field[]): Codec {
  const parts = fields.map((f) => {
    const known = own.find((o) => o.id === f.id);
    return { key: known === undefined ? `$${f.id}` : camel(known.name), codec: codec(f, known) };
  });
  const zero: Record<string, unknown> = {};
  for (const f of own) zero[camel(f.name)] = codec(f, f).zero;
  return {
    zero,
    full: (r) => {
      const m = { ...zero };
      for (const p of parts) m[p.key] = p.codec.full(r);
      return m;
    },
    delta: (r, old) => {
      const m = { ...old };
      for (const p of parts) if (parts.length === 1 || r.bit() === 1) m[p.key] = p.codec.delta(r, m[p.key]);
      return m;
    },
  };
}

/** element compiles an element of a list or map; a message in it always is. */
function element(f: Field, own: Field | undefined): Codec {
  return f.type === Type.message ? body(f.fields, own?.fields ?? []) : codec(f, own);
}

/** readElements reads a number of elements, each of which takes at least a bit and which with those that are there may be most. */
function readElements(r: BitReader, there: number, most: number): number {
  const n = readCount(r);
  if (n + there > most || n > r.left) throw new MalformedError("more elements than there may be");
  return n;
}

function misfit(): never {
  throw new MalformedError("an update does not fit its list or map");
}

function list(f: Field, own: Field | undefined): Codec {
  const e = element(f.fields[0]!, own?.fields[0]);
  return {
    zero: [],
    full: (r) => {
      const out = [];
      for (let n = readElements(r, 0, f.max); n > 0; n--) out.push(e.full(r));
      return out;
    },
    delta: (r, old: unknown[]) => {
      const [kept, m, n] = [readCount(r), readCount(r), readCount(r)];
      if (kept + m > old.length || n > r.left || old.length - m + n > f.max) misfit();
      if (m + n === 0) return old;
      r.spend(old.length + n);
      const out = old.slice(0, kept + Math.min(m, n));
      for (let i = kept; i < kept + n; i++) {
        if (i >= kept + m) out.push(e.full(r));
        else if (r.bit() === 1) out[i] = e.delta(r, out[i]);
      }
      for (let i = kept + m; i < old.length; i++) out.push(old[i]);
      return out;
    },
  };
}

type Entry = [any, any];

function map(f: Field, own: Field | undefined): Codec {
  const key = codec(f.fields[0]!, undefined);
  const value = element(f.fields[1]!, own?.fields[1]);
  const order: (a: any, b: any) => number = f.fields[0]!.type === Type.string ? compareText : (a, b) => (a < b ? -1 : Number(a > b));
  const ascending = (entries: Entry[]): Map<unknown, unknown> => {
    for (let i = 1; i < entries.length; i++) if (order(entries[i - 1]![0], entries[i]![0]) >= 0) throw new MalformedError("a map's keys out of order");
    return new Map(entries);
  };
  const read = (r: BitReader, entries: Entry[], n: number): Entry[] => {
    for (; n > 0; n--) entries.push([key.full(r), value.full(r)]);
    return entries;
  };
  return {
    zero: new Map(),
    full: (r) => ascending(read(r, [], readElements(r, 0, f.max))),
    delta: (r, old: Map<unknown, unknown>) => {
      let entries: (Entry | undefined)[] | undefined;
      const copy = (): (Entry | undefined)[] => (r.spend(old.size), [...old]);
      /** each reads places in the old map, each counted from behind the last one, and returns how many. */
      const each = (change: (e: Entry) => Entry | undefined): number => {
        const count = readCount(r);
        for (let n = count, at = 0; n > 0; n--) {
          entries ??= copy();
          at += readCount(r);
          entries[at] = change(entries[at] ?? misfit());
          at++;
        }
        return count;
      };
      const removed = each(() => undefined);
      each(([k, v]) => [k, value.delta(r, v)]);
      const n = readElements(r, old.size - removed, f.max);
      if (n === 0 && entries === undefined) return old;
      const kept = (entries ?? copy()).filter((e) => e !== undefined) as Entry[];
      return ascending(n === 0 ? kept : read(r, kept, n).sort((a, b) => order(a[0], b[0])));
    },
  };
}

/** compareText orders as bytes of UTF-8 do, which is by code point: surrogates stand for what is above all else. */
export function compareText(a: string, b: string): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return lift(x) - lift(y);
  }
  return a.length - b.length;
}

function lift(unit: number): number {
  return unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x10000 : unit;
}
