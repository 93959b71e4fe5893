/** The other side of the wire, for tests: an encoder of entities by layout, written from the drawings of the wire form and not from the decoder. */
import { isDeepStrictEqual } from "node:util";
import { type Bytes, unhex } from "../sdk/bytes.ts";
import { type Component, type Field, type Layout, ranged, Type } from "../sdk/layout.ts";
import { Polar } from "../sdk/motion.ts";
import type { Json } from "./values.ts";

export class BitWriter {
  private readonly out: number[] = [];
  at = 0;

  bits(value: number | bigint, n: number): this {
    const v = BigInt.asUintN(64, BigInt(value));
    for (let i = 0; i < n; i++, this.at++) {
      if (this.at % 8 === 0) this.out.push(0);
      this.out[this.out.length - 1]! |= Number((v >> BigInt(i)) & 1n) << this.at % 8;
    }
    return this;
  }

  /** prefix writes a string of 0 and 1 in stream order. */
  prefix(code: string): this {
    for (const c of code) this.bits(c === "1" ? 1 : 0, 1);
    return this;
  }

  done(): Bytes {
    return Uint8Array.from(this.out);
  }
}

const utf8 = new TextEncoder();
const zigzag = (v: bigint): bigint => BigInt.asUintN(64, (v << 1n) ^ (v >> 63n));

/** short writes u in the first of the classes that holds it: `0`, `10`, `110` … by their bits; the last one goes without a closing 0. */
function short(w: BitWriter, u: bigint, classes: number[]): void {
  const k = classes.findIndex((bits, i) => i === classes.length - 1 || u < 1n << BigInt(bits));
  w.prefix("1".repeat(k) + (k < classes.length - 1 ? "0" : "")).bits(u, classes[k]!);
}

export function count(w: BitWriter, n: number): void {
  if (n === 0) w.prefix("0");
  else if (n < 16) w.prefix("10").bits(n, 4);
  else if (n < 2048) w.prefix("110").bits(n, 11);
  else w.prefix("111").bits(n, 20);
}

export function velocity(w: BitWriter, v: number, old: number): void {
  if (v - old >= -16 && v - old <= 15) w.prefix("0").bits(v - old + 16, 5);
  else if (v >= -128 && v <= 127) w.prefix("10").bits(v + 128, 8);
  else if (v >= -32768 && v <= 32767) w.prefix("110").bits(v, 16);
  else w.prefix("111").bits(v, 32);
}

function residual(w: BitWriter, v: number): void {
  const u = Number(BigInt.asUintN(32, zigzag(BigInt(v))));
  if (u === 0) w.prefix("0");
  else if (u <= 8) w.prefix("10").bits(u - 1, 3);
  else if (u < 64) w.prefix("110").bits(u, 6);
  else if (u < 2048) w.prefix("1110").bits(u, 11);
  else w.prefix("1111").bits(u, 32);
}

function angle(w: BitWriter, v: number, old: number, k: number): void {
  const near = 2 ** (k - 5);
  const turn = ((((v - old) % 2 ** k) + 2 ** k + 2 ** (k - 1)) % 2 ** k) - 2 ** (k - 1);
  if (k <= 4) w.bits(v, k);
  else if (turn >= -near && turn < near) w.prefix("0").bits(turn + near, k - 4);
  else w.prefix("1").bits(v, k);
}

function num32(w: BitWriter, v: number, old: number): void {
  short(w, BigInt.asUintN(32, zigzag(BigInt((v - old) | 0))), [4, 8, 16, 32]);
}

function num64(w: BitWriter, v: string, old: string): void {
  short(w, zigzag(BigInt.asIntN(64, BigInt(v) - BigInt(old))), [4, 8, 16, 32, 64]);
}

function text(w: BitWriter, b: Uint8Array): void {
  count(w, b.length);
  for (const c of b) w.bits(c, 8);
}

const GO_NAN = 0x7ff8000000000001n; // JSON does not tell one from another

function float(w: BitWriter, v: number | string, bits: 32 | 64): void {
  const view = new DataView(new ArrayBuffer(8));
  const n = typeof v === "number" ? v : Number(v.replace("Inf", "Infinity"));
  if (bits === 32) w.bits((view.setFloat32(0, n), view.getUint32(0)), 32);
  else w.bits(Number.isNaN(n) ? GO_NAN : (view.setFloat64(0, n), view.getBigUint64(0)), 64);
}

const hasPresence = (f: Field): boolean => f.optional || f.type === Type.message;

export function full(w: BitWriter, f: Field, v: any): void {
  if (hasPresence(f)) w.bits(v === null ? 0 : 1, 1);
  if (v !== null || !hasPresence(f)) fullValue(w, f, v);
}

function fullValue(w: BitWriter, f: Field, v: any): void {
  if (ranged(f)) {
    w.bits(BigInt(v) - f.min, f.bits);
    return;
  }
  switch (f.type) {
    case Type.bool: w.bits(v ? 1 : 0, 1); break;
    case Type.int32: case Type.uint32: case Type.steps: num32(w, v, 0); break;
    case Type.int64: case Type.uint64: num64(w, v, "0"); break;
    case Type.enum: case Type.angle: w.bits(v, f.bits); break;
    case Type.float32: float(w, v, 32); break;
    case Type.float64: float(w, v, 64); break;
    case Type.entity: {
      const id = BigInt(v);
      if (id === 0n) w.prefix("0");
      else if (id < 1n << 16n) w.prefix("10").bits(id, 16);
      else if (id < 1n << 32n) w.prefix("110").bits(id, 32);
      else w.prefix("111").bits(id, 64);
      break;
    }
    case Type.string: text(w, utf8.encode(v)); break;
    case Type.bytes: text(w, unhex(v)); break;
    case Type.message: for (const g of f.fields) full(w, g, v[g.name]); break;
    case Type.list:
      count(w, v.length);
      for (const e of v) element(w, f.fields[0]!, e);
      break;
    case Type.map:
      count(w, v.length);
      for (const e of v) entry(w, f, e);
  }
}

/** element is full, without the presence that an element's own message always has. */
function element(w: BitWriter, e: Field, v: any): void {
  if (e.type === Type.message) fullValue(w, e, v);
  else full(w, e, v);
}

function entry(w: BitWriter, f: Field, [k, v]: [any, any]): void {
  element(w, f.fields[0]!, k);
  element(w, f.fields[1]!, v);
}

/** anew writes the new form of a field that differs. */
export function anew(w: BitWriter, f: Field, a: any, b: any): void {
  if (hasPresence(f)) {
    w.bits(b === null ? 0 : 1, 1);
    if (b === null) return;
    if (a === null) return fullValue(w, f, b);
  }
  if (ranged(f)) {
    const [v, old] = [BigInt(b) - f.min, BigInt(a) - f.min];
    if (f.bits <= 8) w.bits(v, f.bits);
    else if (zigzag(v - old) < 16n) w.prefix("0").bits(zigzag(v - old), 4);
    else if (zigzag(v - old) < 256n) w.prefix("10").bits(zigzag(v - old), 8);
    else w.prefix("11").bits(v, f.bits);
    return;
  }
  switch (f.type) {
    case Type.bool: break;
    case Type.int32: case Type.uint32: case Type.steps: num32(w, b, a); break;
    case Type.int64: case Type.uint64: num64(w, b, a); break;
    case Type.angle: angle(w, b, a, f.bits); break;
    case Type.message: fieldsAnew(w, f.fields, a, b); break;
    case Type.list: listAnew(w, f.fields[0]!, a, b); break;
    case Type.map: mapAnew(w, f, a, b); break;
    default: fullValue(w, f, b);
  }
}

function fieldsAnew(w: BitWriter, fields: Field[], a: any, b: any): void {
  for (const f of fields) {
    const same = isDeepStrictEqual(a[f.name], b[f.name]);
    if (fields.length > 1) w.bits(same ? 0 : 1, 1);
    if (!same) anew(w, f, a[f.name], b[f.name]);
  }
}

function valueAnew(w: BitWriter, e: Field, a: any, b: any): void {
  if (e.type === Type.message) fieldsAnew(w, e.fields, a, b);
  else anew(w, e, a, b);
}

function listAnew(w: BitWriter, e: Field, a: any[], b: any[]): void {
  let kept = 0;
  while (kept < a.length && kept < b.length && isDeepStrictEqual(a[kept], b[kept])) kept++;
  let [m, n] = [a.length - kept, b.length - kept];
  while (m > 0 && n > 0 && isDeepStrictEqual(a[kept + m - 1], b[kept + n - 1])) [m, n] = [m - 1, n - 1];
  for (const c of [kept, m, n]) count(w, c);
  for (let i = kept; i < kept + n; i++) {
    if (i >= kept + m) element(w, e, b[i]);
    else if (isDeepStrictEqual(a[i], b[i])) w.prefix("0");
    else valueAnew(w.prefix("1"), e, a[i], b[i]);
  }
}

function mapAnew(w: BitWriter, f: Field, a: [any, any][], b: [any, any][]): void {
  const find = (list: [any, any][], key: any): [any, any] | undefined => list.find((e) => e[0] === key);
  const places = (which: number[], then?: (i: number) => void): void => {
    count(w, which.length);
    let next = 0;
    for (const i of which) {
      count(w, i - next);
      next = i + 1;
      then?.(i);
    }
  };
  const all = a.map((_, i) => i);
  places(all.filter((i) => find(b, a[i]![0]) === undefined));
  places(
    all.filter((i) => find(b, a[i]![0]) !== undefined && !isDeepStrictEqual(find(b, a[i]![0]), a[i])),
    (i) => valueAnew(w, f.fields[1]!, a[i]![1], find(b, a[i]![0])![1]),
  );
  const more = b.filter((e) => find(a, e[0]) === undefined);
  count(w, more.length);
  for (const e of more) entry(w, f, e);
}

/** Content is an entity for one audience, as vectors write it; tick is the base tick. */
export type Content = { tick?: number } & { [component: string]: any };

function parts(l: Layout, kind: number): Component[] {
  return l.kinds.get(kind)!.components;
}

interface Axes {
  position: Field[];
  velocity: Field[];
  rest: Field[];
  heading: Field | undefined;
}

function axes(c: Component): Axes {
  const m = c.motion!;
  const find = (ids: number[]): Field[] => ids.filter((id) => id !== 0).map((id) => c.fields.find((f) => f.id === id)!);
  const [position, velocity] = [find([m.x, m.y, m.z]), find([m.vx, m.vy, m.vz])];
  const heading = m.polar ? c.fields.find((f) => f.id === m.heading) : undefined;
  return { position, velocity, heading, rest: c.fields.filter((f) => f.audience === 0 && !position.includes(f) && !velocity.includes(f) && f !== heading) };
}

export function encodeFull(w: BitWriter, l: Layout, kind: number, audience: number, positionBits: number, v: Content, originX = 0, originZ = 0): void {
  const moving = audience === 0 ? parts(l, kind).find((c) => c.motion) : undefined;
  if (moving !== undefined) {
    const at = v[moving.name];
    const { position, velocity: speed, rest, heading } = axes(moving);
    for (const f of position) {
      if (ranged(f)) w.bits(at[f.name] - Number(f.min), f.bits);
      else if (f.id === moving.motion!.y) num32(w, at[f.name], 0);
      else w.bits((at[f.name] - (f.id === moving.motion!.x ? originX : originZ)) >>> 0, positionBits);
    }
    if (heading === undefined) for (const f of speed) velocity(w, at[f.name], 0);
    else {
      const polar = new Polar(heading.bits);
      const [vx, vz] = [speed[0]!, speed.at(-1)!].map((f) => at[f.name]);
      w.bits(at[heading.name], heading.bits);
      const s = polar.speed(at[heading.name], vx, vz);
      if (s >= 0) w.prefix("0").bits(s, 11);
      else [vx, vz].forEach((v, i) => velocity(i === 0 ? w.prefix("1") : w, v, 0));
      if (speed.length === 3) velocity(w, at[speed[1]!.name], 0);
    }
    for (const f of rest) full(w, f, at[f.name]);
  }
  for (const c of parts(l, kind)) {
    const fields = c.fields.filter((f) => f.audience === audience);
    if (c === moving || fields.length === 0) continue;
    if (optional(l, kind, c)) w.bits(v[c.name] === null ? 0 : 1, 1);
    if (v[c.name] !== null) for (const f of fields) full(w, f, v[c.name][f.name]);
  }
}

/** encodeDelta writes what changed from a to b; the motion has moved if their base ticks differ. */
export function encodeDelta(w: BitWriter, l: Layout, kind: number, audience: number, a: Content, b: Content, hypothesis?: boolean): void {
  const moving = audience === 0 ? parts(l, kind).find((c) => c.motion) : undefined;
  if (moving !== undefined) {
    w.bits(a.tick === b.tick ? 0 : 1, 1);
    if (a.tick !== b.tick) motionDelta(w, moving, a[moving.name], b[moving.name], (b.tick! - a.tick!) | 0, hypothesis);
  }
  for (const c of parts(l, kind)) {
    const fields = c.fields.filter((f) => f.audience === audience);
    if (c === moving || fields.length === 0) continue;
    const same = isDeepStrictEqual(a[c.name], b[c.name]);
    w.bits(same ? 0 : 1, 1);
    if (!same && optional(l, kind, c)) {
      if (a[c.name] === null) {
        for (const f of fields) full(w, f, b[c.name][f.name]);
        continue;
      }
      w.bits(b[c.name] === null ? 1 : 0, 1);
      if (b[c.name] === null) continue;
    }
    if (!same) fieldsAnew(w, fields, a[c.name], b[c.name]);
  }
}

function optional(l: Layout, kind: number, c: Component): boolean {
  return l.kinds.get(kind)!.optional.includes(c);
}

function motionDelta(w: BitWriter, c: Component, a: any, b: any, dt: number, force?: boolean): void {
  const { position, velocity: speed, rest, heading } = axes(c);
  const turned = speed.some((f) => a[f.name] !== b[f.name]);
  if (heading === undefined) {
    w.bits(turned ? 1 : 0, 1);
    if (turned) for (const f of speed) velocity(w, b[f.name], a[f.name]);
  } else {
    polarDelta(w, speed, heading, a, b);
  }
  for (const f of rest) {
    const same = isDeepStrictEqual(a[f.name], b[f.name]);
    w.bits(same ? 0 : 1, 1);
    if (!same) anew(w, f, a[f.name], b[f.name]);
  }
  const off = position.map((f, i) => (b[f.name] - (a[f.name] + Math.imul(a[speed[i]!.name], dt))) | 0);
  const first = position.map((_, i) => (off[i]! + a[speed[i]!.name] - b[speed[i]!.name]) | 0);
  const cost = (list: number[]): bigint => list.reduce((sum, v) => sum + BigInt.asUintN(32, zigzag(BigInt(v))), 0n);
  const hypothesis = turned && (force ?? cost(first) < cost(off));
  if (off.every((v) => v === 0) && !force) {
    w.prefix("0");
    return;
  }
  w.prefix("1");
  if (turned) w.bits(hypothesis ? 1 : 0, 1);
  for (const v of hypothesis ? first : off) residual(w, v);
}

function polarDelta(w: BitWriter, speed: Field[], heading: Field, a: any, b: any): void {
  const polar = new Polar(heading.bits);
  const [x, z] = [speed[0]!.name, speed.at(-1)!.name];
  const [yaw, old] = [b[heading.name], a[heading.name]];
  w.bits(yaw === old ? 0 : 1, 1);
  if (yaw !== old) angle(w, yaw, old, heading.bits);
  const s = polar.speed(yaw, b[x], b[z]);
  if (s < 0) {
    w.prefix("1");
    velocity(w, b[x], a[x]);
    velocity(w, b[z], a[z]);
  } else if (s === polar.speed(old, a[x], a[z])) w.prefix("00");
  else w.prefix("01").bits(s, 11);
  if (speed.length < 3) return;
  const y = speed[1]!.name;
  w.bits(a[y] === b[y] ? 0 : 1, 1);
  if (a[y] !== b[y]) velocity(w, b[y], a[y]);
}

export type { Json };
