import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { BitReader, hex, unhex } from "../sdk/bytes.ts";
import { Column } from "../sdk/columns.ts";
import { Type } from "../sdk/layout.ts";
import { type Content, BitWriter, encodeDelta, encodeFull } from "./bits.ts";
import { enterHead, sectionHead } from "./encoder.ts";
import { BeetleView, BirdView, HeroView, Kind, MindView, Mood, OmnibusView, PilgrimView, World } from "./gen/sink.ts";
import { fieldOf } from "./tables.ts";
import type { Vectors } from "./vectors.test.ts";

const vectors = JSON.parse(readFileSync("../examples/sink/testdata/vectors.json", "utf8")) as Vectors;

/** played is a world with one entity after the n-th step of Go's vectors; values are what it then holds, in steps. */
function played(kind: number, n: number): { world: World; v: any } {
  const world = new World();
  const { store } = world.replica;
  store.grow(4);
  store.begin(kind, 1);
  const c = vectors.cases.find((c) => c.kind === kind && c.audience === 0)!;
  c.steps.slice(0, n + 1).forEach((step) => {
    const r = new BitReader();
    r.reset(unhex(step.hex));
    if (step.op === "full") store.full(r, kind, 1, 0, step.tick | 0, c.position_bits, c.origin_x, c.origin_z);
    else store.delta(r, kind, 1, 0, step.tick | 0);
  });
  return { world, v: c.steps[n]!.value };
}

const near = (got: number, want: number): void => assert.ok(Math.abs(got - want) <= 1e-9 * Math.max(1, Math.abs(want)), `${got}, not ${want}`);

test("views are in units, columns in steps", () => {
  for (let n = 0; n < 12; n++) {
    const { world, v } = played(Kind.omnibus, n);
    const e = new OmnibusView(world, 1);
    const [r, x] = [e.ranges, v.Ranges];
    near(r.half, x.half * 0.5);
    near(r.fine, x.fine * 0.01);
    near(r.share, x.share / 255);
    near(r.tilt, -1 + (x.tilt * 2) / 4095);
    near(r.loose, x.loose * 0.125);
    near(r.turn3, (x.turn3 * Math.PI) / 4);
    assert.deepEqual([r.small, r.octet, r.large, r.word, String(r.far), String(r.money), r.roomy], [x.small, x.octet, x.large, x.word, x.far, x.money, x.roomy]);
    assert.deepEqual([world.ranges.half[1], world.ranges.turn16[1], world.ranges.word[1]], [x.half, x.turn16, x.word]);
    assert.deepEqual([r.large, world.ranges.large instanceof Int16Array, world.ranges.word instanceof Uint16Array], [world.ranges.large[1], true, true]);
    const [o, y] = [e.optionals, v.Optionals];
    assert.deepEqual([o.flag, o.any, o.ranged, o.name, o.mood], [y.flag, y.any, y.ranged, y.name, y.mood].map((v) => v ?? undefined));
    assert.deepEqual([String(o.wide), o.blob && hex(o.blob), world.optionals.hasFlag[1]], [String(y.wide ?? undefined), y.blob ?? undefined, y.flag === null ? 0 : 1]);
    if (y.turn === null) assert.equal(o.turn, undefined);
    else near(o.turn!, (y.turn * 2 * Math.PI) / 512);
    if (v.Nested.left === null) assert.equal(e.nested.left, undefined);
    else near(e.nested.left!.weight, v.Nested.left.weight * 0.125);
    assert.deepEqual(e.lists.turns.map((t) => Math.round((t * 64) / Math.PI)), v.Lists.turns);
    assert.deepEqual(e.lists.swords.map((s) => s.weight), v.Lists.swords.map((s: any) => s.weight * 0.125));
    assert.deepEqual([...e.maps.byString].map(([k, s]) => [k, s.weight]), v.Maps.by_string.map(([k, s]: [string, any]) => [k, s.weight * 0.125]));
    assert.deepEqual([...e.maps.byBool], v.Maps.by_bool);
    assert.deepEqual([e.scalars.flag, e.scalars.mood, e.oneFlag.value, e.flat.sign], [v.Scalars.flag, v.Scalars.mood, v.OneFlag.value, v.Flat.sign]);
  }
  assert.equal(Mood.SAD, 4);
});

test("what an entity lacks is undefined, and its columns hold defaults", () => {
  const seen = { there: 0, absent: 0 };
  for (let n = 0; n < 40; n++) {
    const { world, v } = played(Kind.pilgrim, n);
    world.replica.id[1] = 5n;
    const p = new PilgrimView(world, 1);
    const has = (component: number): boolean => world.replica.store.has(Kind.pilgrim, 1, component);
    assert.deepEqual([p.buffs === undefined, p.vigil === undefined, p.purse, p.mind], [true, true, undefined, undefined], "nobody is at the index");
    assert.deepEqual([has(23), has(26), has(24), has(25), has(22), has(1)], [v.Buffs !== null, v.Vigil !== null, false, true, true, false]);
    if (v.Buffs === null) {
      seen.absent++;
      assert.deepEqual([world.buffs.title[1], world.buffs.list[1], world.buffs.notes[1], world.buffs.level[1]], ["", [], new Map(), 1]);
    } else {
      seen.there++;
      assert.deepEqual([world.buffs.title[1], world.buffs.list[1]!.map((b) => b.name), world.buffs.level[1]], [v.Buffs.title, v.Buffs.list.map((b: any) => b.name), v.Buffs.level]);
    }
  }
  assert.ok(seen.there > 5 && seen.absent > 5);
});

test("an optional component comes and goes in the views of the world", () => {
  const world = new World();
  const { replica } = world;
  replica.setZone({ index: 0, zone: 1, epoch: 1, tick: 9, tickHz: 20, positionBits: 20, quantaPerMetre: 320, width: 9, height: 9, enterRadius: 1, leaveRadius: 1, originX: 0, originZ: 0, margin: 0 });
  const { layout } = replica.store;
  const state = (buffs: unknown, vigil: unknown): Content => ({
    tick: 10, Buffs: buffs, Transform: { x: 1, z: 2, vx: 0, vz: 0, yaw: 3 }, OneFlag: { value: true }, Vigil: vigil, OneText: { value: "hi" },
  }) as Content;
  const blessed = { title: "blessed", list: [{ name: "haste", left: 9, tags: ["a", "b"] }], notes: [[1, "x"]], level: 60 };
  const states = [state(null, null), state(blessed, null), state(null, { since: null }), state({ ...blessed, level: 1, list: [] }, { since: 4 }), state(null, null)];
  states.forEach((now, n) => {
    const w = new BitWriter();
    sectionHead(w, { row: 0, lastTick: 9 + n, tick: 10 + n, lastInput: 0, input: 0, width: 4, enters: n === 0 ? [1] : [], updates: n === 0 ? [] : [1] });
    if (n === 0) {
      enterHead(w, 4, { index: 2, id: 7n, kind: Kind.pilgrim, age: 0 });
      encodeFull(w, layout, Kind.pilgrim, 0, 20, now);
    } else {
      encodeDelta(w.bits(2, 4).prefix("0"), layout, Kind.pilgrim, 0, states[n - 1]!, now);
    }
    replica.apply(w.prefix("0").done());
    const p = world.pilgrim(2);
    const c = now as any;
    assert.deepEqual([p.buffs?.title, p.buffs?.level, p.buffs?.list.length], [c.Buffs?.title, c.Buffs?.level, c.Buffs?.list.length], `state ${n}`);
    assert.deepEqual([p.vigil === undefined, p.vigil?.since, p.oneText.value, p.purse], [c.Vigil === null, c.Vigil?.since ?? undefined, "hi", undefined]);
    assert.deepEqual([world.buffs.$has(2), world.has(2, 26), world.has(2, 22), world.has(3, 22)], [c.Buffs !== null, c.Vigil !== null, true, false]);
    assert.equal(p.mind instanceof MindView, true, "what never leaves the server is not told of");
  });
  replica.apply(sectionHeadOnly(15, 14));
  assert.equal(world.has(2, 23), false, "it is gone");
});

/** sectionHeadOnly is a frame with one leave, of index 2. */
function sectionHeadOnly(tick: number, lastTick: number): Uint8Array {
  const w = new BitWriter();
  sectionHead(w, { row: 0, lastTick, tick, lastInput: 0, input: 0, width: 4, leaves: [1] });
  return w.bits(2, 4).prefix("0").done();
}

test("places are in metres and radians, with heights, as told or at a tick", () => {
  const { world, v } = played(Kind.bird, 3);
  world.replica.row[1] = 0;
  const tick = v.tick | 0;
  const at = new BirdView(world, 1, tick).space;
  near(at.y, v.Space.y * 0.003125);
  near(at.vy, v.Space.vy * 0.0625);
  near(new BirdView(world, 1, tick + 2).space.y, (v.Space.y + 2 * v.Space.vy) * 0.003125);
  const steps = vectors.cases.find((c) => c.kind === Kind.bird && c.audience === 0)!.steps.map((s) => s.value as any);
  const turned = steps.findIndex((s, n) => n > 0 && s.tick !== steps[n - 1].tick && s.Space.vx !== steps[n - 1].Space.vx && s.Space.vy !== steps[n - 1].Space.vy);
  const before = new BirdView(played(Kind.bird, turned).world, 1, steps[turned - 1].tick | 0).space;
  assert.deepEqual([before.vx, before.vy], [steps[turned - 1].Space.vx * 0.0625, steps[turned - 1].Space.vy * 0.0625], "in the past, the velocity of then");
  const beetle = played(Kind.beetle, 3);
  near(new BeetleView(beetle.world, 1, beetle.v.tick | 0).course.yaw, (beetle.v.Course.yaw * 2 * Math.PI) / 1024);
  near(new BeetleView(beetle.world, 1).course.health, beetle.v.Course.health / 255);
  assert.equal(new HeroView(played(Kind.hero, 0).world, 1).shares.ownA, 0, "what only others are told keeps its default");
});

test("a field that blends is drawn between its last values: straight, and angles the short way round", () => {
  const c = new Column(fieldOf({ id: 1, type: Type.int32, interp: 1 }));
  const turn = new Column(fieldOf({ id: 2, type: Type.angle, bits: 8, interp: 2 }));
  for (const column of [c, turn]) {
    column.grow(3);
    column.reset(1);
  }
  for (const [tick, v] of [[10, 100], [11, 110], [12, 110], [15, 50]] as const) c.put(1, v, tick);
  assert.deepEqual([9, 10, 10.5, 11, 13, 14, 14.5, 15, 20].map((t) => c.sample(1, t)), [100, 100, 105, 110, 110, 110, 80, 50, 50]);
  turn.put(1, 250, 10);
  turn.put(1, 6, 11);
  assert.deepEqual([10, 10.5, 11].map((t) => turn.sample(1, t)), [250, 256, 6]);
  c.reset(1);
  assert.equal(c.sample(1, 12), 0, "whoever takes the index begins anew");
  assert.deepEqual([c.array[1], c.at(1)], [0, 0]);
});
