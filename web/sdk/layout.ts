/**
 * Layouts: a game's replicated state as data (mmo.v1.Layout). A page carries the table of its own schema; a server whose schema is another one
 * sends its own (route 36) before the zone table. Parsing refuses what no layout can be, before anything is allocated by its numbers.
 */
import { type Bytes, ByteWriter, MalformedError } from "./bytes.ts";
import { incompatible, IncompatibleError } from "./fingerprint.ts";
import { ProtoReader } from "./wire.ts";

/** LAYOUT_ROUTE is the route of the server's layout table. */
export const LAYOUT_ROUTE = 36;

/** Type is what a field holds; the numbers are mmo.v1.LayoutType's. */
export enum Type {
  bool = 1, int32, uint32, int64, uint64, enum, float32, float64, steps, angle, entity, string, bytes, message, list, map,
}

/** Audience is who gets a field. Fields that never leave the server are in no table. */
export const Audience = { aoi: 0, owner: 1, party: 2 } as const;
const AUDIENCES = 3;

/** Interp is how one value blends into the next. */
export const Interp = { jump: 0, linear: 1, turn: 2 } as const;

/** Field describes one field. Values travel and are kept in steps: whole numbers, which for quantised floats count quanta above the origin. */
export interface Field {
  id: number;
  name: string;
  type: number;
  /** bits of a ranged number (0: not ranged), an enum or an angle. */
  bits: number;
  min: bigint;
  limit: bigint;
  quantum: number;
  origin: number;
  optional: boolean;
  audience: number;
  interp: number;
  /** max elements or bytes. */
  max: number;
  /** fields of a message; the element of a list; key and value of a map. */
  fields: Field[];
}

/** Motion names the fields of place and velocity by number; 0: there is none. */
export interface MotionFields {
  x: number;
  y: number;
  z: number;
  vx: number;
  vy: number;
  vz: number;
  heading: number;
  polar: boolean;
}

export interface Component {
  id: number;
  name: string;
  fields: Field[];
  motion: MotionFields | undefined;
  /** worst bits of its full state, by audience. */
  worst: number[];
}

export interface KindLayout {
  id: number;
  name: string;
  components: Component[];
  /** optional are those of the components that an entity may lack. */
  optional: Component[];
}

export interface Layout {
  name: string;
  /** fingerprint of the schema, 8 bytes. */
  fingerprint: Bytes;
  tickHz: number;
  components: Map<number, Component>;
  kinds: Map<number, KindLayout>;
}

const MAX_TABLE = 65_000;
const MAX_COMPONENTS = 1 << 10;
const MAX_KINDS = 1 << 12;
const MAX_PARTS = 16; // components of a kind
const MAX_DEPTH = 8;
const MAX_FIELDS = 1 << 12; // of a component
const MAX_ELEMENTS = 1 << 16;
const MAX_PART_BITS = 1 << 18; // of the worst full state of one audience
const MAX_ID = 65535; // of a component; a kind's is less
const MAX_RANGE_BITS = 53;

/** ranged tells whether a number travels as its distance from a least value. */
export function ranged(f: Field): boolean {
  return f.bits > 0 && ((f.type >= Type.int32 && f.type <= Type.uint64) || f.type === Type.steps);
}

/** camel is the name of a field in TypeScript: hit_points → hitPoints. */
export function camel(name: string): string {
  return name.replace(/_+(.?)/g, (_, c: string) => c.toUpperCase());
}

/** parseLayout reads a layout table. */
export function parseLayout(table: Bytes): Layout {
  if (table.length > MAX_TABLE) bad(`table of ${table.length} bytes`);
  const l: Layout = { name: "", fingerprint: new Uint8Array(8), tickHz: 0, components: new Map(), kinds: new Map() };
  const kinds: KindRow[] = [];
  const r = new ProtoReader(table);
  while (r.next()) {
    switch (r.number) {
      case 1: l.name = r.string(); break;
      case 2: l.fingerprint = new ByteWriter(8).u64(r.fixed64()).done(); break;
      case 3: l.tickHz = r.uint32(); break;
      case 4: {
        const c = r.message(component);
        if (c.id < 1 || c.id > MAX_ID || l.components.has(c.id) || l.components.size === MAX_COMPONENTS)
          bad(`component ${c.id}: the id is taken or no id, or there are too many`);
        l.components.set(c.id, c);
        break;
      }
      case 5: kinds.push(r.message(kind)); break;
    }
  }
  if (l.tickHz < 1 || l.tickHz > 1000 || kinds.length > MAX_KINDS) bad(`${l.tickHz} ticks per second, ${kinds.length} kinds`);
  for (const c of l.components.values()) if (c.motion !== undefined) checkMotion(c, c.motion, l.tickHz);
  for (const k of kinds) {
    const no = (what: string): never => bad(`kind ${k.id}: ${what}`);
    if (k.id < 1 || k.id >= MAX_ID || l.kinds.has(k.id) || k.ids.length > MAX_PARTS) no("the id is taken or no id, or there are too many components");
    const components = k.ids.map((id) => l.components.get(id) ?? no(`component ${id} is not there`));
    if (twice(k.ids) || components.filter((c) => c.motion).length > 1) no("a component is named twice, or more than one has a place");
    const optional = components.filter((c) => k.optional.includes(c.id));
    if (twice(k.optional) || optional.length < k.optional.length || optional.some((c) => c.motion || c.fields.length === 0))
      no("an optional component is none of its own, or named twice, or has a place, or no fields");
    const worst = [0, 0, 0];
    for (const c of components) c.worst.forEach((bits, audience) => (worst[audience]! += bits + (bits > 0 && optional.includes(c) ? 1 : 0)));
    if (Math.max(...worst) > MAX_PART_BITS) no("a full state may be too large");
    l.kinds.set(k.id, { id: k.id, name: k.name, components, optional });
  }
  return l;
}

function bad(what: string): never {
  throw new MalformedError(`layout: ${what}`);
}

/** KindRow is a kind as the table has it. */
interface KindRow {
  id: number;
  name: string;
  ids: number[];
  optional: number[];
}

function kind(r: ProtoReader): KindRow {
  const k: KindRow = { id: 0, name: "", ids: [], optional: [] };
  while (r.next()) {
    switch (r.number) {
      case 1: k.id = r.uint32(); break;
      case 2: k.name = r.string(); break;
      case 3: r.numbers(k.ids, (r) => r.uint32()); break;
      case 6: r.numbers(k.optional, (r) => r.uint32()); break;
    }
  }
  return k;
}

function component(r: ProtoReader): Component {
  const c: Component = { id: 0, name: "", fields: [], motion: undefined, worst: [0, 0, 0] };
  const count = { fields: 0 };
  while (r.next()) {
    switch (r.number) {
      case 1: c.id = r.uint32(); break;
      case 2: c.name = r.string(); break;
      case 3: c.fields.push(r.message((r) => field(r, 0, count))); break;
      case 4: c.motion = r.message(motion); break;
    }
  }
  distinct(c.fields);
  for (const f of c.fields) c.worst[f.audience]! += worstBits(f);
  return c;
}

/** MOTION are the fields of a place, in the order of their numbers. */
export const MOTION = ["x", "y", "z", "vx", "vy", "vz", "heading"] as const;

function motion(r: ProtoReader): MotionFields {
  const m: MotionFields = { x: 0, y: 0, z: 0, vx: 0, vy: 0, vz: 0, heading: 0, polar: false };
  while (r.next()) {
    const key = MOTION[r.number - 1];
    if (key !== undefined) m[key] = r.uint32();
    else if (r.number === 8) m.polar = r.bool();
  }
  return m;
}

/** twice tells whether a list has anything more than once. */
function twice(list: unknown[]): boolean {
  return new Set(list).size !== list.length;
}

function distinct(fields: Field[]): void {
  if (twice(fields.map((f) => f.id))) bad("a field number is taken twice");
}

function field(r: ProtoReader, depth: number, count: { fields: number }): Field {
  const f: Field = {
    id: 0, name: "", type: 0, bits: 0, min: 0n, limit: 0n, quantum: 0, origin: 0, optional: false, audience: 0, interp: 0, max: 0, fields: [],
  };
  if (++count.fields > MAX_FIELDS || depth > MAX_DEPTH) bad(`more than ${MAX_FIELDS} fields or ${MAX_DEPTH} levels`);
  while (r.next()) {
    switch (r.number) {
      case 1: f.id = r.uint32(); break;
      case 2: f.name = r.string(); break;
      case 3: f.type = r.uint32(); break;
      case 4: f.bits = r.uint32(); break;
      case 5: f.min = r.sint64(); break;
      case 6: f.quantum = r.double(); break;
      case 7: f.origin = r.double(); break;
      case 8: f.optional = r.bool(); break;
      case 9: f.audience = r.uint32(); break;
      case 10: f.interp = r.uint32(); break;
      case 13: f.max = r.uint32(); break;
      case 14: f.fields.push(r.message((r) => field(r, depth + 1, count))); break;
      case 15: f.limit = r.sint64(); break;
    }
  }
  check(f);
  return f;
}

/** inType tells whether a range lies within its type; that of 64 bits is what an int64 holds. */
function inType(f: Field): boolean {
  const wide = f.type === Type.int64 || f.type === Type.uint64;
  const end = 2n ** (wide ? 63n : f.type === Type.uint32 ? 32n : 31n);
  return f.limit < end && f.min >= (f.type === Type.uint32 || f.type === Type.uint64 ? 0n : -end);
}

function check(f: Field): void {
  const no = (what: string): never => bad(`field ${f.id} "${f.name}": ${what}`);
  const container = f.type === Type.list || f.type === Type.map;
  if (f.id === 0 || f.type < Type.bool || f.type > Type.map) no(`type ${f.type}`);
  if (f.audience >= AUDIENCES || f.interp > Interp.turn) no(`audience ${f.audience}, interpolation ${f.interp}`);
  const range = f.limit - f.min;
  if (ranged(f) ? range <= 0n || !inType(f) || f.bits > MAX_RANGE_BITS || range >= 2n ** BigInt(f.bits) : f.bits === 0 && (f.min || f.limit))
    no(`${f.bits} bits for its range`);
  if ((f.type === Type.enum || f.type === Type.angle) && (f.bits < 1 || f.bits > (f.type === Type.enum ? 31 : 16))) no(`${f.bits} bits`);
  if ((f.type === Type.steps && !(f.quantum > 0 && f.quantum < Infinity)) || !Number.isFinite(f.origin)) no(`quantum ${f.quantum}, origin ${f.origin}`);
  if (f.type >= Type.string && f.type !== Type.message && (f.max < 1 || f.max > MAX_ELEMENTS)) no(`max ${f.max}`);
  const n = f.fields.length;
  if (f.type === Type.message ? n === 0 : n !== Math.max(0, f.type - Type.message)) no(`${n} nested fields`); // a list has one, a map two
  if (f.optional && f.type >= Type.message) no("optional");
  if (f.type === Type.map && (f.fields[0]!.optional || !isKey(f.fields[0]!))) no("its keys");
  if (container && f.fields.some((e) => e.type === Type.list || e.type === Type.map || e.optional)) no("its elements");
  distinct(f.fields);
}

function isKey(f: Field): boolean {
  return (f.type >= Type.bool && f.type <= Type.uint64 && !ranged(f)) || f.type === Type.string;
}

/** worstBits bounds the bits of a field's full form. */
function worstBits(f: Field): number {
  const n = f.optional || f.type === Type.message ? 1 : 0;
  if (ranged(f)) return n + f.bits;
  switch (f.type) {
    case Type.bool: return n + 1;
    case Type.int32: case Type.uint32: case Type.steps: return n + 35;
    case Type.int64: case Type.uint64: return n + 68;
    case Type.float32: return n + 32;
    case Type.float64: return n + 64;
    case Type.enum: case Type.angle: return n + f.bits;
    case Type.entity: return n + 67;
    case Type.string: case Type.bytes: return n + 23 + 8 * f.max;
  }
  const inner = f.fields.reduce((sum, e) => sum + worstBits(e), n);
  return f.type === Type.message ? inner : 23 + inner * f.max;
}

function checkMotion(c: Component, m: MotionFields, hz: number): void {
  const no = (what: string): never => bad(`component ${c.id} "${c.name}": position: ${what}`);
  const find = (id: number): Field | undefined => (id === 0 ? undefined : c.fields.find((f) => f.id === id));
  const axis = (p: number, v: number): void => {
    const [x, dx, x0, dx0] = [find(p), find(v), find(m.x), find(m.vx)];
    for (const f of [x, dx]) if (f === undefined || f.type !== Type.steps || f.audience !== Audience.aoi || f.optional) no(`fields ${p} and ${v}`);
    if (x!.quantum !== x0?.quantum || dx!.quantum !== dx0?.quantum || ranged(dx!)) no("the axes differ, or a velocity has a range");
    if (Math.abs(x!.quantum * hz - dx!.quantum) > 1e-9 * dx!.quantum) no(`quantum ${x!.quantum} is not ${dx!.quantum} ÷ ${hz}`);
  };
  axis(m.x, m.vx);
  axis(m.z, m.vz);
  if (m.y !== 0 || m.vy !== 0) axis(m.y, m.vy);
  if (m.heading !== 0 || m.polar) {
    const h = find(m.heading);
    if (h === undefined || h.type !== Type.angle || h.audience !== Audience.aoi || h.optional || (m.polar && (h.bits < 5 || h.bits > 12))) no("its heading");
  }
  const used = MOTION.map((key) => m[key]).filter((id) => id !== 0);
  if (twice(used)) no("a field is named twice");
}

/** match throws an IncompatibleError if what the page knows is something else on the server. What only one of them knows does not matter. */
export function match(mine: Layout, theirs: Layout): void {
  const fail = (what: string): never => {
    throw incompatible(mine.fingerprint, theirs.fingerprint, what);
  };
  if (mine.name !== theirs.name) throw new IncompatibleError(`this page is for the game ${mine.name}, the server runs ${theirs.name}: open the page of that game`);
  for (const c of mine.components.values()) {
    const other = theirs.components.get(c.id);
    if (other === undefined) continue;
    matchFields(c.name, c, other, fail);
    if (place(c) !== place(other)) fail(`the position of ${c.name} is made of other fields`);
  }
  for (const k of mine.kinds.values()) {
    const other = theirs.kinds.get(k.id);
    if (other !== undefined && other.name !== k.name) fail(`kind ${k.id} is ${k.name} here and ${other.name} there`);
  }
}

function place({ motion: m }: Component): string {
  return m === undefined ? "" : MOTION.map((key) => m[key]).join();
}

function matchFields(path: string, mine: Field | Component, theirs: Field | Component, fail: (what: string) => never): void {
  for (const [i, f] of mine.fields.entries()) {
    const inner = "type" in mine && mine.type >= Type.list; // elements, keys and values are what they are by their place
    const other = inner ? theirs.fields[i] : theirs.fields.find((o) => o.id === f.id);
    if (other === undefined) continue;
    const at = `${path}.${f.name}`;
    if (describe(f) !== describe(other)) fail(`${at} is ${describe(f)} here and ${describe(other)} there`);
    matchFields(at, f, other, fail);
  }
}

/** describe says all of a field that values depend on. */
function describe(f: Field): string {
  const words = [f.optional ? "optional" : "", Type[f.type]!];
  if (ranged(f)) words.push(`${f.min} to ${f.limit} (${f.bits} bits)`);
  if (f.type === Type.steps) words.push(`in steps of ${f.quantum} from ${f.origin}`);
  if (f.type === Type.angle) words.push(`of ${f.bits} bits`); // an enum may grow
  if (f.audience !== Audience.aoi) words.push(`for audience ${f.audience}`);
  return words.filter(Boolean).join(" ");
}
