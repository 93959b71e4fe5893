import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as angle from "../sdk/fixed/angle.ts";
import * as fixed from "../sdk/fixed/fixed.ts";
import * as vec from "../sdk/fixed/vec.ts";

const out = { x: 0, y: 0 };
const pair = (v: vec.Vec): number[] => [v.x, v.y];
const turn = (a: number): number => a & 65535;

/** Every function by its name in the Go vectors: arguments, and what it gives. */
const operations: Record<string, [number, (a: number, b: number, c: number) => number[]]> = {
  fromInt: [1, (a) => [fixed.fromInt(a)]],
  toInt: [1, (a) => [fixed.toInt(a)]],
  floor: [1, (a) => [fixed.floor(a)]],
  add: [2, (a, b) => [fixed.add(a, b)]],
  sub: [2, (a, b) => [fixed.sub(a, b)]],
  mul: [2, (a, b) => [fixed.mul(a, b)]],
  div: [2, (a, b) => [fixed.div(a, b)]],
  mulDiv: [3, (a, b, c) => [fixed.mulDiv(a, b, c)]],
  sqrt: [1, (a) => [fixed.sqrt(a)]],
  lerp: [3, (a, b, c) => [fixed.lerp(a, b, c)]],
  lerpAngle: [3, (a, b, c) => [angle.lerpAngle(turn(a), turn(b), c)]],
  sin: [1, (a) => [angle.sin(turn(a))]],
  cos: [1, (a) => [angle.cos(turn(a))]],
  atan2: [2, (a, b) => [angle.atan2(a, b)]],
  length: [2, (a, b) => [vec.length(a, b)]],
  within: [3, (a, b, c) => [vec.within(a, b, c) ? 1 : 0]],
  normalise: [3, (a, b, c) => pair(vec.normalise(a, b, c, out))],
  clamp: [3, (a, b, c) => pair(vec.clamp(a, b, c, out))],
  rotate: [3, (a, b, c) => pair(vec.rotate(a, b, turn(c), out))],
  polar: [2, (a, b) => pair(vec.polar(a, turn(b), out))],
};

test("fixed point gives the same bits as in Go, by the Go vectors", (t) => {
  const vectors = JSON.parse(readFileSync("../pkg/game/fixed/testdata/fixed.json", "utf8")) as Record<string, number[][]>;
  assert.deepEqual(Object.keys(vectors).sort(), Object.keys(operations).sort());
  let cases = 0;
  for (const [name, rows] of Object.entries(vectors)) {
    const [args, run] = operations[name]!;
    for (const row of rows) {
      const [a = 0, b = 0, c = 0] = row.slice(0, args);
      const got = run(a, b, c);
      const want = row.slice(args);
      assert.ok(got.length === want.length && got.every((v, i) => Object.is(v, want[i])), `${name}(${row.slice(0, args).join(", ")}) is ${got.join(", ")}, want ${want.join(", ")}`);
      cases++;
    }
  }
  assert.ok(cases >= 10_000);
  t.diagnostic(`${cases} cases`);
});

test("every sine and cosine is that of floating point within 0.51 steps", () => {
  for (let a = 0; a < 65536; a++) {
    const turnsOf = (a * 2 * Math.PI) / 65536;
    assert.ok(Math.abs(angle.sin(a) - Math.sin(turnsOf) * fixed.ONE) <= 0.51 && Math.abs(angle.cos(a) - Math.cos(turnsOf) * fixed.ONE) <= 0.51, `angle ${a}`);
  }
});
