import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { checkSteps, StepDifference, type Vectors } from "../sdk/fixed/steps.ts";
import { Grid, type Ground, parseGrid, type Rect, Rects } from "../sdk/fixed/terrain.ts";
import { type Mover, step, walk } from "../sdk/rules.ts";

const FOLDER = "../examples/plains/rules/testdata/";
const read = <T>(name: string): T => JSON.parse(readFileSync(FOLDER + name, "utf8")) as T;

interface Wish {
  vx: number;
  vz: number;
}

/** wanting makes a wish the mover's own. */
function wanting(m: Mover, wish: Wish): Mover {
  m.wantVx = wish.vx;
  m.wantVz = wish.vz;
  return m;
}

function maps(): [Ground, Ground] {
  const { Bounds: b, Rects: rects } = read<{ Bounds: { X: number; Y: number; Width: number; Height: number }; Rects: { X0: number; Y0: number; X1: number; Y1: number }[] }>("village.json");
  const houses = new Rects({ x: b.X, y: b.Y, width: b.Width, height: b.Height }, rects.map((r): Rect => [r.X0, r.Y0, r.X1, r.Y1]));
  return [houses, new Grid(parseGrid(readFileSync(`${FOLDER}hills.grid`)))];
}

test("the movement rule makes the same steps as the zone's, by the Go vectors", (t) => {
  const steps = checkSteps<{ w: number; h: number }, Mover, Wish>(read("steps.json"), (w, m, wish) => step(wanting(m, wish), w.w, w.h));
  assert.ok(steps >= 1000);
  t.diagnostic(`${steps} steps`);
});

test("walks among houses and over hills go as the zone's do, by the Go vectors", (t) => {
  const grounds = maps();
  const steps = checkSteps<{ map: number }, Mover, Wish>(read("walks.json"), (w, m, wish) => walk(wanting(m, wish), grounds[w.map]!));
  assert.ok(steps >= 5000);
  t.diagnostic(`${steps} steps`);
});

test("a twin that differs is found, with the case, the step, the field and both values", () => {
  const vectors: Vectors = read("steps.json");
  let made = 0;
  const broken = (w: { w: number; h: number }, m: Mover, wish: Wish): void => {
    step(wanting(m, wish), w.w, w.h);
    if (++made === 8) m.vz += 1; // one step of all: the third of the second case
  };
  assert.throws(() => checkSteps(vectors, broken), (e: unknown) => {
    assert.ok(e instanceof StepDifference);
    const want = vectors.cases[1]!.want[2]![3]!;
    assert.deepEqual([e.caseName, e.step, e.field, e.got, e.want], ["random 1", 2, "vz", want + 1, want]);
    assert.equal(e.message, `plains step: case "random 1", step 2: vz is ${want + 1}, want ${want}`);
    return true;
  });
  assert.throws(() => checkSteps<unknown, Mover, Wish>(vectors, (_, m) => void (m.x = NaN)), StepDifference);
  const recorded: Vectors = read("recorded.json");
  assert.throws(() => checkSteps(recorded, () => undefined), RangeError); // inputs without results
});
