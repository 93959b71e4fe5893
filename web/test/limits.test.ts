import assert from "node:assert/strict";
import { test } from "node:test";
import { BitReader, MalformedError, unbase64, unhex } from "../sdk/bytes.ts";
import { Column } from "../sdk/columns.ts";
import { IncompatibleError } from "../sdk/fingerprint.ts";
import { LAYOUT } from "../sdk/gen/plains.ts";
import { type Component, type Field, type Layout, match, parseLayout, Type } from "../sdk/layout.ts";
import { Motions } from "../sdk/motion.ts";
import { Plains } from "../sdk/plains.ts";
import { Store } from "../sdk/store.ts";
import { codec } from "../sdk/values.ts";
import { ProtoReader, ProtoWriter } from "../sdk/wire.ts";
import { anew, BitWriter, count, encodeFull, full } from "./bits.ts";
import { content } from "./encoder.ts";
import { changed, fieldOf, writeTable } from "./tables.ts";

const reader = (w: BitWriter): BitReader => {
  const r = new BitReader();
  r.reset(w.done());
  return r;
};
const part = (id: number, ...fields: Field[]): Component => ({ id, name: `C${id}`, fields, motion: undefined, worst: [] });
const layoutOf = (components: Component[], kinds: [number, Component[]][]): Layout => ({
  name: "t", fingerprint: unhex("0100010000000000"), tickHz: 20, components: new Map(components.map((c) => [c.id, c])),
  kinds: new Map(kinds.map(([id, components]) => [id, { id, name: `K${id}`, components, optional: [] }])),
});
const listOf = (max: number): Field => fieldOf({ id: 1, type: Type.list, max, fields: [fieldOf({ id: 1, type: Type.bool })] });
const mapOf = (max: number): Field => fieldOf({ id: 1, type: Type.map, max, fields: [fieldOf({ id: 1, type: Type.int32 }), fieldOf({ id: 2, type: Type.bool })] });

test("an update that changes nothing copies nothing, and a frame copies so much at most", () => {
  const list = listOf(65536);
  const map = mapOf(7000);
  const bools: boolean[] = Array(65536).fill(false);
  const entries = new Map(Array.from({ length: 7000 }, (_, i) => [i, false]));
  const nothing = new BitWriter();
  count(nothing, 40000);
  nothing.prefix("00");
  assert.equal(codec(list, list).delta(reader(nothing), bools), bools);
  assert.equal(codec(map, map).delta(reader(new BitWriter().prefix("000")), entries), entries);
  for (const [f, old, one] of [[list, bools, (w: BitWriter) => w.prefix("0" + "101000" + "101000" + "1")], [map, entries, (w: BitWriter) => w.prefix("0" + "101000" + "0" + "0")]] as const) {
    const w = new BitWriter();
    for (let i = 0; i < 400; i++) one(w);
    const r = reader(w);
    let n = 0;
    assert.throws(() => {
      for (; n < 400; n++) codec(f, f).delta(r, old);
    }, /copies too much/);
    assert.ok(n > 10 && n < 200, `${n} copies`);
    r.reset(w.done());
    codec(f, f).delta(r, old); // the next frame begins anew
  }
});

test("a list says how many elements follow, and is refused before they are read if they cannot", () => {
  const f = listOf(65536);
  for (const form of ["full", "delta"] as const) {
    let read = 0;
    const w = new BitWriter();
    if (form === "delta") w.prefix("00");
    count(w, 60000);
    const r = reader(w.bits(0, 64));
    const bit = r.bit.bind(r);
    r.bit = () => (read++, bit());
    assert.throws(() => codec(f, f)[form](r, []), MalformedError);
    assert.ok(read < 10, `${form}: ${read} bits read`);
  }
});

test("tables: as many components and kinds as in Go, ids up to 65535 and 65534", () => {
  const parts = (n: number): Component[] => Array.from({ length: n }, (_, i) => part(i === 0 ? 65535 : i, fieldOf({ id: 1, type: Type.bool })));
  const kinds = (n: number, c: Component): [number, Component[]][] => Array.from({ length: n }, (_, i) => [65534 - i, [c]]);
  const parse = (components: number, k: number): Layout => {
    const list = parts(components);
    const l = layoutOf(list, kinds(k, list[0]!));
    for (const p of [...list, ...l.kinds.values()]) p.name = "";
    for (const p of list) for (const f of p.fields) Object.assign(f, { name: "" });
    return parseLayout(slim(l));
  };
  const most = parse(1024, 4096);
  assert.deepEqual([most.components.size, most.kinds.size, most.components.has(65535), most.kinds.has(65534)], [1024, 4096, true, true]);
  assert.throws(() => parse(1025, 1), MalformedError);
  assert.throws(() => parse(1, 4097), MalformedError);
  const padded = (n: number): Uint8Array<ArrayBuffer> => {
    const t = unbase64(LAYOUT);
    return new ProtoWriter().bytes(t).uvarint(250).blob(new Uint8Array(n - t.length - 5)).done();
  };
  assert.equal(padded(65000).length, 65000);
  parseLayout(padded(65000));
  assert.throws(() => parseLayout(padded(65001)), /table of 65001 bytes/);
  const c = part(2, fieldOf({ id: 1, type: Type.bool }));
  const twice = layoutOf([c], []);
  twice.components.set(3, c);
  assert.throws(() => parseLayout(writeTable(twice)), /component 2/, "an id that is taken");
});

/** slim writes a layout of bools without what is default, as Go does. */
function slim(l: Layout): Uint8Array<ArrayBuffer> {
  const w = new ProtoWriter().uvarint(24).uint32(l.tickHz);
  for (const c of l.components.values()) w.uvarint(34).message((w) => w.uvarint(8).uint32(c.id).uvarint(26).message((w) => w.uvarint(8).uint32(1).uvarint(24).uint32(1)));
  for (const k of l.kinds.values()) w.uvarint(42).message((w) => w.uvarint(8).uint32(k.id).uvarint(24).uint32(k.components[0]!.id));
  return w.done();
}

test("a range needs bits, two ends and room for what lies between", () => {
  const with_ = (over: Partial<Field>): void => void parseLayout(changed(LAYOUT, (l) => Object.assign(l.components.get(2)!.fields[0]!, { bits: 16, min: 0n, limit: 65535n, ...over })));
  with_({});
  for (const bad of [{ bits: 0 }, { min: 7n, limit: 7n }, { type: Type.uint32, min: -1n }, { type: Type.uint64, min: -1n }, { type: Type.uint32, limit: 2n ** 32n, bits: 40 }]) {
    assert.throws(() => with_(bad), /bits for its range/);
  }
  with_({ type: Type.uint32, limit: 2n ** 32n - 1n, bits: 32 });
  with_({ type: Type.int64, min: -5n, limit: 60000n });
});

test("an index used again begins with defaults, whatever was there: of another kind, with lists and strings", () => {
  const name = part(1, fieldOf({ id: 1, type: Type.string, max: 9 }), fieldOf({ id: 2, type: Type.int32, interp: 1 }), fieldOf({ id: 3, type: Type.int32, audience: 1 }));
  const bag = part(2, listOf(9), fieldOf({ id: 2, type: Type.int32, bits: 8, min: 5n, limit: 90n }));
  const l = layoutOf([name, bag], [[1, [name, bag]], [2, [bag]]]);
  const s = new Store(writeTable(l));
  s.grow(2);
  const tell = (kind: number, audience: number, value: any): void => {
    const w = new BitWriter();
    encodeFull(w, l, kind, audience, 20, value);
    s.full(reader(w), kind, 1, audience, 10, 20);
  };
  const columns = (): unknown[] => [[1, 1], [1, 2], [1, 3], [2, 1], [2, 2]].map(([c, f]) => s.column(c!, f!).at(1));
  const defaults = ["", 0, 0, [], 5];
  assert.deepEqual(columns(), defaults, "after growth");
  s.begin(1, 1);
  tell(1, 0, { C1: { f1: "grey", f2: 77 }, C2: { f1: [true], f2: 30 } });
  tell(1, 1, { C1: { f3: 4 } });
  assert.deepEqual(columns(), ["grey", 77, 4, [true], 30]);
  s.end(1, 1);
  assert.deepEqual(columns(), defaults, "nothing is held of who has left");
  s.begin(2, 1);
  tell(2, 0, { C2: { f1: [], f2: 6 } });
  assert.deepEqual(columns(), ["", 0, 0, [], 6]);
  assert.equal(s.column(1, 2).sample(1, 10), 0, "the history of columns");
  s.grow(9);
  assert.deepEqual([s.column(2, 2).at(8), s.column(1, 1).at(8), s.column(2, 2).at(1)], [5, "", 6]);
});

test("an index used again has no history of motion", () => {
  const l = parseLayout(unbase64(LAYOUT));
  const s = new Store(unbase64(LAYOUT));
  s.grow(1);
  for (const [x, tick] of [[1000, 10], [5000, 20]] as const) {
    s.begin(1, 0);
    const w = new BitWriter();
    encodeFull(w, l, 1, 0, 20, content({ x, z: 0, vx: 0, vz: 0, yaw: 0, hp: 1 }, tick));
    s.full(reader(w), 1, 0, 0, tick, 20);
  }
  const out = { x: 0, z: 0, yaw: 0 };
  s.motions.sample(0, 12, out);
  assert.equal(out.x, 5000);
});

test("fields that travel with place and velocity are defaults again too", () => {
  const table = changed(LAYOUT, (l) => l.components.get(1)!.fields.push(fieldOf({ id: 30, type: Type.string, max: 9 })));
  const s = new Store(table);
  s.grow(1);
  s.begin(1, 0);
  const w = new BitWriter();
  const v = content({ x: 1, z: 2, vx: 0, vz: 0, yaw: 0, hp: 1 }, 10);
  encodeFull(w, s.layout, 1, 0, 20, { ...v, Transform: { ...v["Transform"], f30: "grey" } } as never);
  s.full(reader(w), 1, 0, 0, 10, 20);
  assert.equal(s.column(1, 30).at(0), "grey");
  s.end(1, 0);
  assert.equal(s.column(1, 30).at(0), "");
});

test("positions outside their range are refused", () => {
  const table = changed(LAYOUT, (l) => Object.assign(l.components.get(1)!.fields.find((f) => f.id === 1)!, { bits: 11, min: 0n, limit: 2000n }));
  const l = parseLayout(table);
  const s = new Store(table);
  s.grow(1);
  s.begin(1, 0);
  const w = new BitWriter();
  encodeFull(w, l, 1, 0, 20, content({ x: 1990, z: 0, vx: 5, vz: 0, yaw: 0, hp: 1 }, 10));
  s.full(reader(w), 1, 0, 0, 10, 20);
  assert.throws(() => s.delta(reader(new BitWriter().prefix("1" + "0" + "0" + "0" + "0")), 1, 0, 0, 13), /position outside its range/);
});

test("nested fields go by number: a new name on the server, one that the page does not have, one that the server does not have", () => {
  const bool = (id: number, name: string): Field => fieldOf({ id, name, type: Type.bool });
  const message = (...fields: Field[]): Field => fieldOf({ id: 1, type: Type.message, fields });
  const mine = message(bool(1, "old_name"), fieldOf({ id: 2, name: "lacking", type: Type.int32, bits: 8, min: 3n, limit: 9n }));
  const theirs = message(bool(1, "new_name"), fieldOf({ id: 7, name: "old_name", type: Type.string, max: 9 }));
  const w = new BitWriter();
  full(w, theirs, { new_name: true, old_name: "x" });
  const a = codec(theirs, mine).full(reader(w));
  assert.deepEqual(a, { oldName: true, lacking: 3, $7: "x" });
  const layout = (f: Field): Layout => layoutOf([part(1, f)], [[1, []]]);
  const [here, there] = [layout(mine), layout(theirs)];
  for (const l of [here, there]) l.kinds.get(1)!.components.push(l.components.get(1)!);
  const s = new Store(writeTable(here));
  s.grow(1);
  s.use(there);
  s.begin(1, 0);
  s.full(reader(w), 1, 0, 0, 5, 20);
  assert.deepEqual(s.column(1, 1).at(0), a, "in the store too");
  // of a message that it does not know, a page keeps all by number, whatever the names are
  const odd = message(bool(1, "same"), fieldOf({ id: 2, name: "same", type: Type.int64 }), fieldOf({ id: 3, name: "__proto__", type: Type.map, max: 2, fields: mapOf(2).fields }));
  const c = codec(odd, undefined);
  const v = c.full(reader(new BitWriter().prefix("1" + "1").prefix("0").bits(6, 4).prefix("0")));
  assert.deepEqual(v, { $1: true, $2: 3n, $3: new Map() });
  assert.deepEqual(c.delta(reader(new BitWriter().prefix("1" + "1" + "1" + "0").bits(2, 4).prefix("0")), v), { $1: false, $2: 4n, $3: new Map() });
  const n = new BitWriter();
  anew(n, odd, { same: true }, null);
  assert.equal(c.delta(reader(n), v), undefined);
});

test("an update of what was never told, and is not the page's, builds on the default", () => {
  const l = layoutOf([part(1, listOf(9))], [[1, []]]);
  l.kinds.get(1)!.components.push(l.components.get(1)!);
  const s = new Store(unbase64(LAYOUT));
  s.grow(1);
  s.layout = l;
  s.begin(1, 0);
  s.delta(reader(new BitWriter().prefix("1" + "0" + "0" + "101000" + "1")), 1, 0, 0, 5); // one more
  assert.throws(() => s.delta(reader(new BitWriter().prefix("1" + "100100" + "0" + "0")), 1, 0, 0, 6), MalformedError); // behind two that are there
});

test("elements fit by their place, whatever numbers they have", () => {
  const layout = (id: number, type: number): Layout => layoutOf([part(1, fieldOf({ id: 1, type: Type.list, max: 3, fields: [fieldOf({ id, type, max: 3 })] }))], []);
  match(layout(1, Type.bool), layout(5, Type.bool));
  assert.throws(() => match(layout(1, Type.bool), layout(5, Type.entity)), IncompatibleError);
});

test("a server with heights for a page without: they are read and kept out of the page's sight", () => {
  const space = (l: Layout): Component => l.components.get(1)!;
  const table = changed(LAYOUT, (l) => {
    const flier: Component = { ...space(l), id: 9, name: "Space", motion: { ...space(l).motion!, y: 20, vy: 21 } };
    flier.fields = [...flier.fields, { ...flier.fields.find((f) => f.id === 2)!, id: 20, name: "y" }, { ...flier.fields.find((f) => f.id === 4)!, id: 21, name: "vy" }];
    l.components.set(9, flier);
    l.kinds.set(9, { id: 9, name: "Bird", components: [flier], optional: [] });
  });
  const l = parseLayout(table);
  const s = new Store(unbase64(LAYOUT));
  s.grow(2);
  s.use(l);
  s.begin(9, 0);
  const w = new BitWriter();
  encodeFull(w, l, 9, 0, 20, { tick: 10, Space: { x: 5, y: -30, z: 6, vx: 1, vy: 2, vz: 3, yaw: 9 } } as never);
  s.full(reader(w), 9, 0, 0, 10, 20);
  const out = { x: 0, y: 0, z: 0, vx: 0, vy: 0, vz: 0, yaw: 0 };
  s.motions.stateAt(0, 12, out);
  assert.deepEqual(out, { x: 7, y: -26, z: 12, vx: 1, vy: 2, vz: 3, yaw: 9 });
});

test("of another game, only that is said; of an older server, what to do", () => {
  const mine = parseLayout(unbase64(LAYOUT));
  assert.throws(() => match(mine, { ...mine, name: "sink" }), { name: "IncompatibleError", message: "this page is for the game plains, the server runs sink: open the page of that game" });
});

test("pictures are drawn across the tick where numbers wrap", () => {
  const last = 2 ** 31 - 1;
  const m = new Motions(false);
  m.grow(1);
  m.begin(0, 1024);
  const at = { x: 0, y: 0, z: 0, vx: 10, vy: 0, vz: 0, yaw: 0 };
  m.publish(0, last - 3, at);
  m.publish(0, -(2 ** 31) + 2, { ...at, x: 100 }); // 6 ticks later
  const out = { x: 0, z: 0, yaw: 0 };
  const drawn = (r: number): number => (m.sample(0, r, out), out.x);
  assert.deepEqual([last - 3, last, last + 1, last + 2.5, last + 3, last + 4, -(2 ** 31) + 2, -(2 ** 31)].map(drawn), [0, 30, 40, 75, 100, 110, 100, 40]);
  const c = new Column(fieldOf({ id: 1, type: Type.int32, interp: 1 }));
  c.grow(1);
  c.put(0, 10, last);
  c.put(0, 20, -(2 ** 31));
  assert.deepEqual([last - 5, last, last + 0.5, last + 1, last + 9, -(2 ** 31)].map((r) => c.sample(0, r)), [10, 10, 15, 20, 20, 20]);
});

test("the tick that is drawn follows the server's across the wrap", () => {
  const plains = new Plains({ program: "test", now: () => 0, bootstrap: () => Promise.reject(new Error("offline")) });
  const tick = 2 ** 31 - 2;
  plains.replica.setZone({ index: 0, zone: 1, epoch: 1, tick, tickHz: 20, positionBits: 20, quantaPerMetre: 320, width: 9, height: 9, enterRadius: 1, leaveRadius: 1, originX: 0, originZ: 0, margin: 0 });
  plains.clock.arrived(tick, 0);
  for (const ms of [50, 100, 150, 200]) {
    plains.replica.apply(new BitWriter().bits(0, 4).prefix("0").bits(0, 6).prefix("000" + "0").done());
    plains.clock.arrived(plains.replica.lastTick(0), ms);
    const drawn = plains.renderTick(ms);
    assert.equal(drawn - plains.replica.lastTick(0), -plains.delay, `at ${ms} ms`);
  }
  assert.equal(plains.replica.lastTick(0), -(2 ** 31) + 2);
});

test("protobuf: groups of unknown fields are skipped, so deep at most and only if they end", () => {
  const read = (hex: string): number => {
    const r = new ProtoReader(unhex(hex));
    let seen = 0;
    while (r.next()) if (r.number === 1) seen = r.uint32();
    return seen;
  };
  assert.equal(read("0801" + "13" + "0807" + "1b" + "2202aabb" + "1c" + "14" + "0805"), 5);
  for (const bad of ["13", "14", "13" + "1c", "1308", "0000", "13" + "0000" + "14", "16", "13".repeat(100) + "14".repeat(100)]) assert.throws(() => read(bad), MalformedError, bad);
  assert.equal(read("13".repeat(60) + "14".repeat(60) + "0802"), 2);
});
