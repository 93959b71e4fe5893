import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type Mover, step } from "../sdk/rules.ts";

const VECTORS = "../examples/plains/rules/testdata/steps.json";

test("the movement rule makes the same steps as the zone's, by the Go vectors", () => {
  const { cases } = JSON.parse(readFileSync(VECTORS, "utf8")) as { cases: { w: number; h: number; in: Mover; out: Mover }[] };
  assert.ok(cases.length >= 100);
  for (const c of cases) {
    const m = { ...c.in };
    step(m, c.w, c.h);
    assert.deepEqual(m, c.out, JSON.stringify(c));
  }
});
