import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { BitReader, hex, unhex } from "../sdk/bytes.ts";
import type { Motion } from "../sdk/motion.ts";
import { Store } from "../sdk/store.ts";
import { BitWriter, type Content, encodeDelta, encodeFull } from "./bits.ts";
import { axisOf, contentOf } from "./values.ts";

const VECTORS = "../examples/sink/testdata/vectors.json";

export interface Step {
  op: "full" | "delta";
  tick: number;
  bits: number;
  hex: string;
  value: Content;
}

export interface Vectors {
  layout: string;
  cases: { kind: number; audience: number; position_bits: number; origin_x?: number; origin_z?: number; tick: number; steps: Step[] }[];
  reckon: { kind: number; ticks: number[]; values: Content[] }[];
}

const v = JSON.parse(readFileSync(VECTORS, "utf8")) as Vectors;
const INDEX = 3;

function fresh(): Store {
  const s = new Store(unhex(v.layout));
  s.grow(8);
  return s;
}

for (const c of v.cases) {
  test(`Go's vectors are decoded: kind ${c.kind}, audience ${c.audience}, ${c.steps.length} steps`, () => {
    const s = fresh();
    s.begin(c.kind, INDEX);
    const r = new BitReader();
    c.steps.forEach((step, n) => {
      const bytes = unhex(step.hex);
      r.reset(bytes);
      if (step.op === "full") s.full(r, c.kind, INDEX, c.audience, step.tick | 0, c.position_bits, c.origin_x, c.origin_z);
      else s.delta(r, c.kind, INDEX, c.audience, step.tick | 0);
      assert.equal(bytes.length * 8 - r.left, step.bits, `step ${n}: bits read`);
      assert.deepEqual(contentOf(s, c.kind, INDEX, c.audience), step.value, `step ${n}`);
    });
  });
}

test("the encoder of the tests writes Go's vectors bit for bit", () => {
  const { layout } = fresh();
  for (const c of v.cases) {
    c.steps.forEach((step, n) => {
      const w = new BitWriter();
      if (step.op === "full") encodeFull(w, layout, c.kind, c.audience, c.position_bits, step.value, c.origin_x, c.origin_z);
      else encodeDelta(w, layout, c.kind, c.audience, c.steps[n - 1]!.value, step.value);
      assert.deepEqual([w.at, hex(w.done())], [step.bits, step.hex], `kind ${c.kind}, audience ${c.audience}, step ${n}`);
    });
  }
});

for (const c of v.reckon) {
  test(`Go's reckoning: kind ${c.kind}, in one step and in any`, () => {
    const s = fresh();
    const place = s.layout.kinds.get(c.kind)!.components.find((k) => k.motion)!;
    const out: Required<Motion> = { x: 0, y: 0, z: 0, vx: 0, vy: 0, vz: 0, yaw: 0 };
    const read = (): Record<string, number> => Object.fromEntries(place.fields.flatMap((f) => {
      const axis = axisOf(place, f);
      return axis === undefined ? [] : [[f.name, out[axis]]];
    }));
    const want = (n: number): Record<string, number> => Object.fromEntries(Object.keys(read()).map((name) => [name, c.values[n]![place.name][name]]));
    const set = (n: number): void => {
      for (const f of place.fields) {
        const axis = axisOf(place, f);
        if (axis !== undefined) out[axis] = c.values[n]![place.name][f.name];
      }
    };
    s.begin(c.kind, INDEX);
    c.ticks.forEach((_, from) => {
      set(from);
      s.motions.forget(INDEX);
      s.motions.publish(INDEX, c.ticks[from]! | 0, out);
      for (let to = from; to < c.ticks.length; to++) {
        s.motions.stateAt(INDEX, c.ticks[to]! | 0, out);
        assert.deepEqual(read(), want(to), `from ${from} to ${to}`);
      }
    });
  });
}
