import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { MalformedError, unbase64, unhex } from "../sdk/bytes.ts";
import type { Zone } from "../sdk/gen/mmo.ts";
import { LAYOUT } from "../sdk/gen/plains.ts";
import { parseLayout } from "../sdk/layout.ts";
import { type Motion, reckon, type Sample } from "../sdk/motion.ts";
import { Replica } from "../sdk/replica.ts";
import { BitWriter, encodeFull } from "./bits.ts";
import { type Base, content, encodeState, sectionHead, type SectionSpec, type State } from "./encoder.ts";
import { changed } from "./tables.ts";
import { contentOf } from "./values.ts";

const VECTORS = "../pkg/sync/replica/testdata/frames.json";
const CROSSING = "../pkg/sync/replica/testdata/crossing.json";
const zone = (over: Partial<Zone> = {}): Zone => ({
  index: 0, zone: 1, epoch: 1, tick: 100, tickHz: 20, positionBits: 20, quantaPerMetre: 320, width: 640_000, height: 640_000,
  enterRadius: 16_000, leaveRadius: 17_600, originX: 0, originZ: 0, margin: 0, ...over,
});
const state = (over: Partial<State> = {}): State => ({ x: 1000, z: 2000, vx: 0, vz: 0, yaw: 0, hp: 100, ...over });
const section = (over: Partial<SectionSpec> = {}): SectionSpec => ({
  row: 0, positionBits: 20, lastTick: 100, tick: 101, lastInput: 0, input: 0, width: 8, ...over,
});

const plainsLayout = parseLayout(unbase64(LAYOUT));

/** TABLE is the sample game's with more kinds. */
const TABLE = changed(LAYOUT, (l) => {
  for (const id of [14, 15, 60000]) l.kinds.set(id, { ...l.kinds.get(1)!, id });
});

function fresh(): Replica {
  const r = new Replica(TABLE);
  r.setZone(zone());
  return r;
}

interface Listed extends State {
  index: number;
  id: string;
  kind: number;
  base: number;
}

/** contents lists the replica as vectors do: the state at the publication. */
function contents(r: Replica): Listed[] {
  const vitals = [...r.store.mine.components.values()].find((c) => c.motion === undefined)!;
  const hp = r.store.column(vitals.id, vitals.fields[0]!.id).array;
  const m = r.motions;
  return [...r.live.subarray(0, r.count)].sort((a, b) => a - b).map((index) => {
    const b = r.base(index);
    return {
      index, id: r.id[index]!.toString(), kind: r.kind[index]!, base: m.tick[b]! >>> 0, x: m.x[b]!, z: m.z[b]!,
      vx: m.vx[b]!, vz: m.vz[b]!, yaw: m.yaw[b]!, hp: hp[index]! as number,
    };
  });
}

test("reckoning: exact in 32-bit integers, and it wraps rather than rounds", () => {
  assert.equal(reckon(1000, -80, 7), 440);
  assert.equal(reckon(0x7fffffff, 1, 1), -0x80000000);
  assert.equal(reckon(0, 32767, 65538), Math.imul(32767, 65538));
});

test("an entity enters, moves as predicted in silence, is corrected, leaves", () => {
  const r = fresh();
  r.apply(encodeState([section({ enters: [{ index: 5, id: 77n, kind: 14, age: 3, state: state({ vx: 10, vz: -20 }) }] })]));
  assert.deepEqual(contents(r), [{ index: 5, id: "77", kind: 14, base: 98, ...state({ vx: 10, vz: -20 }) }]);
  const m: Motion = { x: 0, z: 0, vx: 0, vz: 0, yaw: 0 };
  r.stateAt(5, 108, m);
  assert.deepEqual([m.x, m.z], [1100, 1800]);
  const from: Base = { ...state({ vx: 10, vz: -20 }), tick: 98 };
  r.apply(encodeState([section({ lastTick: 101, tick: 110, input: 2, updates: [{ index: 5, age: 2, from, to: state({ x: 1100, z: 1803, vx: 0, vz: 5, hp: 90 }) }] })]));
  assert.deepEqual(contents(r), [{ index: 5, id: "77", kind: 14, base: 108, ...state({ x: 1100, z: 1803, vx: 0, vz: 5, hp: 90 }) }]);
  assert.deepEqual(r.sections, [{ row: 0, tick: 110, input: 2 }]);
  r.apply(encodeState([section({ lastTick: 110, tick: 111, lastInput: 2, input: 2, leaves: [5] })]));
  assert.equal(r.count, 0);
  assert.equal(r.indexOf(77n), -1);
});

test("health alone leaves motion and its base as they are", () => {
  const r = fresh();
  const s = state({ vx: 3 });
  r.apply(encodeState([section({ enters: [{ index: 0, id: 1n, kind: 1, age: 0, state: s }] })]));
  r.apply(encodeState([section({ lastTick: 101, tick: 102, updates: [{ index: 0, age: 0, from: { ...s, tick: 101 }, to: { ...s, x: 1003, hp: 1 } }] })]));
  assert.deepEqual(contents(r)[0], { index: 0, id: "1", kind: 1, base: 101, ...s, hp: 1 });
});

test("random worlds: every class of every field, two zones, indices used again", () => {
  let seed = 42;
  const rnd = (n: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
  const r = new Replica(TABLE);
  const rows = [zone({ tick: 0xfffffff0 }), zone({ index: 3, zone: 9, tick: 7, positionBits: 31 })];
  rows.forEach((z) => r.setZone(z));
  const tick = rows.map((z) => z.tick | 0);
  const input = [0, 0];
  const world = new Map<number, { row: number; id: bigint; kind: number; base: Base }>();
  const speed = () => [0, 1, 80, 127, -128, 300, -32768, 32767, 1 << 20, -(2 ** 31)][rnd(10)]!;
  const anyState = (bits: number): State => ({ x: rnd(2 ** bits), z: rnd(2 ** bits), vx: speed(), vz: speed(), yaw: rnd(1024), hp: rnd(65536) });
  for (let step = 0; step < 600; step++) {
    const sections: SectionSpec[] = [];
    const before = new Set(world.keys());
    for (const which of rnd(2) === 0 ? [0, 1] : [rnd(2)]) {
      const z = rows[which]!;
      const lastTick = tick[which]!;
      const lastInput = input[which]!;
      tick[which] = (lastTick + [1, 1, 1, 2, 40, 100][rnd(6)]!) | 0;
      input[which] = lastInput + [0, 0, 1, 2, 9][rnd(5)]!;
      const spec = section({ row: z.index, zone: z.zone, positionBits: z.positionBits, lastTick, tick: tick[which]!, lastInput, input: input[which]!, width: 9 });
      const mine = [...world].filter(([, e]) => e.row === which);
      spec.leaves = mine.filter(() => rnd(12) === 0).map(([i]) => i).filter((i) => before.has(i));
      spec.leaves.forEach((i) => world.delete(i));
      spec.enters = [];
      for (let k = rnd(20) === 0 ? 40 : rnd(4); k > 0; k--) {
        const index = rnd(512);
        if (world.has(index)) continue;
        const age = [0, 0, 5, 500, 5000][rnd(5)]!;
        const s = anyState(z.positionBits);
        const e = { row: which, id: rnd(2) === 0 ? BigInt(rnd(2 ** 31)) : (BigInt(rnd(2 ** 31)) << 32n) | 5n, kind: [1, 14, 15, 60000][rnd(4)]!, base: { ...s, tick: (tick[which]! - age) | 0 } };
        if ([...world.values()].some((o) => o.id === e.id)) continue;
        world.set(index, e);
        spec.enters.push({ index, id: e.id, kind: e.kind, age, state: s });
      }
      spec.updates = [];
      for (const [index, e] of world) {
        if (e.row !== which || rnd(3) !== 0 || spec.enters.some((n) => n.index === index)) continue;
        const age = Math.max(0, Math.min([0, 0, 1, 31, 32][rnd(5)]!, (tick[which]! - e.base.tick - 1) | 0));
        const at = (tick[which]! - age) | 0;
        if (rnd(10) === 0) {
          const s = anyState(z.positionBits);
          spec.updates.push({ index, age, full: s });
          e.base = { ...s, tick: at };
          continue;
        }
        const from = e.base;
        const to: State = { ...from, x: reckon(from.x, from.vx, (at - from.tick) | 0), z: reckon(from.z, from.vz, (at - from.tick) | 0) };
        if (rnd(2) === 0) [to.vx, to.vz] = [speed(), from.vz];
        const hypothesis = to.vx !== from.vx && rnd(2) === 0;
        if (hypothesis) to.x = (to.x - from.vx + to.vx) | 0;
        if (rnd(2) === 0) to.x = (to.x + [1, -4, 30, -900, 1 << 24][rnd(5)]!) | 0;
        if (rnd(2) === 0) to.yaw = rnd(2) === 0 ? (from.yaw + rnd(60) - 30) & 1023 : rnd(1024);
        if (rnd(3) === 0) to.hp = rnd(65536);
        const moved = to.vx !== from.vx || to.yaw !== from.yaw || to.x !== reckon(from.x, from.vx, (at - from.tick) | 0);
        if (!moved && age !== 0) continue;
        spec.updates.push({ index, age, from, to, hypothesis });
        e.base = moved ? { ...to, tick: at } : { ...from, hp: to.hp };
      }
      sections.push(spec);
    }
    r.apply(encodeState(sections));
    const want = [...world].sort((a, b) => a[0] - b[0]).map(([index, e]) => {
      const { tick: base, ...s } = e.base;
      return { index, id: e.id.toString(), kind: e.kind, base: base >>> 0, ...s };
    });
    const pick = (c: Listed): Listed => ({ index: c.index, id: c.id, kind: c.kind, base: c.base, x: c.x, z: c.z, vx: c.vx, vz: c.vz, yaw: c.yaw, hp: c.hp });
    assert.deepEqual(contents(r), want.map(pick), `step ${step}`);
  }
  assert.ok(r.enters > 300 && r.updates > 1000);
});

test("an entity that crosses keeps its index and its history, and its row may be another zone's when nothing of it is left", () => {
  const told: string[] = [];
  const r = new Replica(TABLE, { enter: (i) => told.push(`enter ${i}`), leave: (i) => told.push(`leave ${i}`), move: (i, from) => told.push(`move ${i} from ${from}`) });
  r.setZone(zone());
  r.setZone(zone({ index: 1, zone: 2, tick: 50, originX: -500, originZ: 300, margin: 0 }));
  const enters = [{ index: 4, id: 8n, kind: 1, age: 0, state: state({ vx: 10 }) }];
  r.apply(encodeState([section({ enters })]));
  const later = section({ row: 1, lastTick: 50, tick: 105, zone: 2, originX: -500, originZ: 300 });
  r.apply(encodeState([{ ...later, enters: [{ ...enters[0]!, state: state({ x: 1040, vx: 10 }) }] }]));
  assert.deepEqual(told, ["enter 4", "move 4 from 0"]);
  assert.deepEqual([r.count, r.indexOf(8n), r.row[4], r.enters, r.moves], [1, 4, 1, 1, 1]);
  assert.deepEqual(contents(r), [{ index: 4, id: "8", kind: 1, base: 105, ...state({ x: 1040, vx: 10 }) }]);
  const out: Sample = { x: 0, z: 0, yaw: 0 };
  r.sample(4, 102, out);
  assert.equal(out.x, 1010, "drawn in the past, it is still in the old zone");
  assert.throws(() => r.setZone(zone({ index: 1, zone: 3 })), MalformedError, "the row is in use");
  r.setZone(zone({ zone: 3, tick: 7 })); // nothing of row 0 is left
  assert.deepEqual([r.zone(0)?.zone, r.lastTick(0), r.rowOf(1)], [3, 7, -1]);
  const other = [{ ...enters[0]!, id: 9n }, { ...enters[0]!, kind: 14 }];
  for (const e of other) assert.throws(() => r.apply(encodeState([section({ lastTick: 7, tick: 8, zone: 3, enters: [e] })])), MalformedError, "the index is another entity's");
});

test("the short form of an id counts from the section's zone", () => {
  const r = fresh();
  r.setZone(zone({ index: 2, zone: 0x80000001, tick: 50 }));
  const w = new BitWriter();
  sectionHead(w, { row: 2, lastTick: 50, tick: 51, lastInput: 0, input: 0, width: 1, enters: [0] });
  w.bits(0, 1).prefix("0").bits(77, 32).bits(1, 4).prefix("0");
  encodeFull(w, plainsLayout, 1, 0, 20, content(state(), 51));
  r.apply(w.prefix("0").done());
  assert.equal(r.id[0], (0x80000000n << 32n) | 77n);
});

test("pictures between publications: exact at ticks, blended over one tick, bounded backwards", () => {
  const r = fresh();
  const s = state({ x: 0, z: 0, vx: 10 });
  r.apply(encodeState([section({ enters: [{ index: 0, id: 1n, kind: 1, age: 0, state: s }] })])); // base 101
  r.apply(encodeState([section({ lastTick: 101, tick: 105, updates: [{ index: 0, age: 0, from: { ...s, tick: 101 }, to: { ...s, x: 60, vx: 0, yaw: 1000 } }] })]));
  const out: Sample = { x: 0, z: 0, yaw: 0 };
  const at = (t: number) => (r.sample(0, t, out), out.x);
  assert.deepEqual([101, 102.5, 104, 104.5, 105, 109].map(at), [0, 15, 30, 45, 60, 60]);
  at(104.5);
  assert.equal(out.yaw, -12, "the short way round");
  assert.deepEqual([100, 98, 50].map(at), [-10, -30, -30]);
});

test("hostile frames are refused, never looped on", () => {
  const cases: Record<string, Uint8Array> = {
    empty: new Uint8Array(0),
    "unknown zone": encodeState([section({ row: 2 })]),
    "update of nobody": encodeState([section({ updates: [{ index: 1, age: 0, full: state() }] })]),
    "leave of nobody": encodeState([section({ leaves: [1] })]),
    "a million updates in ten bytes": new BitWriter().bits(0, 4).prefix("0").bits(0, 2).bits(0, 4).prefix("00").prefix("111").bits(1_000_000, 20).bits(0, 40).done(),
    "bytes after the end": Uint8Array.from([...encodeState([section()]), 0]),
  };
  for (const [name, bytes] of Object.entries(cases)) assert.throws(() => fresh().apply(bytes), MalformedError, name);
  let seed = 7;
  for (let i = 0; i < 3000; i++) {
    const bytes = new Uint8Array(1 + (i % 60)).map(() => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 24);
    bytes[0]! &= 0xf0; // zone index 0, so that more of the decoder is reached
    try {
      fresh().apply(bytes);
    } catch (e) {
      assert.ok(e instanceof MalformedError, String(e));
    }
  }
});

test("a section updates an index once", () => {
  const r = fresh();
  const s = state();
  r.apply(encodeState([section({ enters: [{ index: 3, id: 1n, kind: 1, age: 0, state: s }, { index: 4, id: 2n, kind: 1, age: 0, state: s }] })]));
  const hp = (index: number, from: number, to: number) => ({ index, age: 0, from: { ...s, tick: 101, hp: from }, to: { ...s, hp: to } });
  r.apply(encodeState([section({ lastTick: 101, tick: 102, updates: [hp(3, 100, 90), hp(4, 100, 90)] }), section({ lastTick: 102, tick: 103, updates: [hp(3, 90, 80)] })]));
  r.apply(encodeState([section({ lastTick: 103, tick: 104, updates: [hp(3, 80, 70)] })]));
  assert.throws(() => r.apply(encodeState([section({ lastTick: 104, tick: 105, updates: [hp(3, 70, 60), hp(3, 60, 50)] })])), /second update of index 3/);
});

test("who leaves is still there for the event, and then leaves nothing behind; a new connection too begins with nothing", () => {
  const seen: unknown[] = [];
  const r: Replica = new Replica(TABLE, { leave: (i) => seen.push(r.store.column(2, 1).at(i)) });
  const enter = (tick: number): void => r.apply(encodeState([section({ lastTick: tick - 1, tick, enters: [{ index: 3, id: 1n, kind: 1, age: 0, state: state({ hp: 55 }) }] })]));
  r.setZone(zone());
  enter(101);
  r.apply(encodeState([section({ lastTick: 101, tick: 102, leaves: [3] })]));
  assert.deepEqual([seen, r.store.column(2, 1).at(3)], [[55], 0]);
  enter(103);
  r.clear();
  assert.equal(r.store.column(2, 1).at(3), 0);
});

test("a zone of another schema than the one that is read by is refused", () => {
  const r = new Replica(TABLE);
  assert.throws(() => r.setZone(zone(), unhex("0100020000000007")), /a zone before the layout table/);
  r.setZone(zone(), r.fingerprint);
});

test(`Go vectors ${VECTORS}`, () => {
  const v = JSON.parse(readFileSync(VECTORS, "utf8"));
  const r = new Replica(unhex(v.layout));
  r.setZone(zone({ index: v.zone.index, zone: v.zone.zone, tick: v.zone.tick, positionBits: v.zone.position_bits }));
  v.frames.forEach((f: { hex: string; expect: { tick: number; input: number; entities: { index: number; id: string; kind: number; state: unknown }[] } }, i: number) => {
    r.apply(unhex(f.hex));
    const last = r.sections.at(-1)!;
    assert.deepEqual([last.tick >>> 0, last.input], [f.expect.tick, f.expect.input], `frame ${i}`);
    const got = [...r.live.subarray(0, r.count)].sort((a, b) => a - b)
      .map((index) => ({ index, id: String(r.id[index]), kind: r.kind[index]!, state: contentOf(r.store, r.kind[index]!, index, 0) }));
    assert.deepEqual(got, f.expect.entities, `frame ${i}`);
  });
});

interface RowVector {
  index: number;
  zone: number;
  tick: number;
  input: number;
  position_bits: number;
  origin_x: number;
  origin_z: number;
}

interface CrossingStep {
  row?: RowVector;
  hex?: string;
  expect: { rows: RowVector[]; entities: { index: number; id: string; kind: number; state: unknown; row: number }[] | null; enters: number; leaves: number; moves: number };
}

test(`Go vectors ${CROSSING}`, () => {
  const v: { layout: string; steps: CrossingStep[] } = JSON.parse(readFileSync(CROSSING, "utf8"));
  let leaves = 0;
  let enters = 0;
  const r = new Replica(unhex(v.layout), { leave: () => leaves++, enter: () => enters++ });
  v.steps.forEach((step, n) => {
    if (step.row !== undefined) {
      const { index, zone: id, tick, position_bits: positionBits, origin_x: originX, origin_z: originZ } = step.row;
      r.setZone(zone({ index, zone: id, tick, positionBits, originX, originZ }));
      return;
    }
    r.apply(unhex(step.hex!));
    const { expect } = step;
    for (const row of expect.rows) assert.deepEqual([r.zone(row.index)?.zone, r.lastTick(row.index) >>> 0], [row.zone, row.tick], `step ${n}`);
    const got = [...r.live.subarray(0, r.count)].sort((a, b) => a - b)
      .map((index) => ({ index, id: String(r.id[index]), kind: r.kind[index]!, state: contentOf(r.store, r.kind[index]!, index, 0), row: r.row[index]! }));
    assert.deepEqual(got, expect.entities ?? [], `step ${n}`);
    assert.deepEqual([enters, leaves, r.moves], [expect.enters, expect.leaves, expect.moves], `step ${n}`);
  });
  assert.ok(r.moves > 10);
});
