/** Values as vectors write them: plain JSON, in steps, 64 bits as strings of digits, bytes as hexadecimal, absent as null, maps as pairs. */
import { hex, unhex } from "../sdk/bytes.ts";
import { camel, type Component, type Field, type Layout, Type } from "../sdk/layout.ts";
import type { Motions } from "../sdk/motion.ts";
import type { Store } from "../sdk/store.ts";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** toJson writes a value of a field. */
export function toJson(f: Field, v: any): Json {
  if (v === undefined) return null;
  switch (f.type) {
    case Type.bool: return Boolean(v);
    case Type.int64: case Type.uint64: case Type.entity: return String(v);
    case Type.float32: case Type.float64: return Number.isFinite(v) ? v : Number.isNaN(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf";
    case Type.bytes: return hex(v);
    case Type.message: return Object.fromEntries(f.fields.map((g) => [g.name, toJson(g, v[camel(g.name)])]));
    case Type.list: return v.map((e: unknown) => toJson(f.fields[0]!, e));
    case Type.map: return [...v].map(([k, e]) => [toJson(f.fields[0]!, k), toJson(f.fields[1]!, e)]);
    default: return v;
  }
}

/** fromJson reads what toJson wrote. */
export function fromJson(f: Field, v: any): any {
  if (v === null) return undefined;
  switch (f.type) {
    case Type.int64: case Type.uint64: case Type.entity: return BigInt(v);
    case Type.float32: case Type.float64: return typeof v === "number" ? v : Number(v.replace("Inf", "Infinity"));
    case Type.bytes: return unhex(v);
    case Type.message: return Object.fromEntries(f.fields.map((g) => [camel(g.name), fromJson(g, v[g.name])]));
    case Type.list: return v.map((e: unknown) => fromJson(f.fields[0]!, e));
    case Type.map: return new Map(v.map(([k, e]: [unknown, unknown]) => [fromJson(f.fields[0]!, k), fromJson(f.fields[1]!, e)]));
    default: return v;
  }
}

const MOTION = ["x", "y", "z", "vx", "vy", "vz", "heading"] as const;

/** axisOf names the array of motions that keeps a field, if one does. */
export function axisOf(c: Component, f: Field): keyof Pick<Motions, "x" | "y" | "z" | "vx" | "vy" | "vz" | "yaw"> | undefined {
  const key = c.motion && MOTION.find((m) => c.motion![m] === f.id);
  return key === "heading" ? "yaw" : key;
}

/** contentOf writes what an audience gets of an entity, as the layout that the state reads by has it. */
export function contentOf(s: Store, kind: number, i: number, audience: number): Json {
  const out: { [key: string]: Json } = {};
  for (const c of s.layout.kinds.get(kind)!.components) {
    if (c.motion !== undefined && audience === 0) out["tick"] = s.motions.tick[s.motions.base(i)]! >>> 0;
    const fields = c.fields.filter((f) => f.audience === audience);
    if (fields.length === 0) continue;
    if (s.layout.kinds.get(kind)!.optional.includes(c) && !s.gets(kind, i, c.id, audience)) {
      out[c.name] = null;
      continue;
    }
    out[c.name] = Object.fromEntries(
      fields.map((f) => {
        const axis = axisOf(c, f);
        return [f.name, axis === undefined ? toJson(f, s.column(c.id, f.id).at(i)) : s.motions[axis][s.motions.base(i)]!];
      }),
    );
  }
  return out;
}

/** kindNamed finds a kind of a layout by name. */
export function kindNamed(l: Layout, name: string): number {
  for (const k of l.kinds.values()) if (k.name === name) return k.id;
  throw new Error(`no kind ${name}`);
}
