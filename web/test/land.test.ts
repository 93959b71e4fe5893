import assert from "node:assert/strict";
import { test } from "node:test";
import type { Zone } from "../sdk/gen/mmo.ts";
import { Land } from "../sdk/land.ts";

const MARGIN = 2560;

function row(zone: number, x: number, z: number, width: number, height: number, margin = MARGIN): Zone {
  return {
    index: zone - 1, zone, epoch: 1, tick: 0, tickHz: 20, positionBits: 20, quantaPerMetre: 320, width, height, enterRadius: 1, leaveRadius: 1,
    originX: x - margin, originZ: z - margin, margin,
  };
}

const ground = { x: 0, z: 0, width: 20_000, height: 20_000, walls: [{ x0: 5000, z0: 0, x1: 5100, z1: 9000 }] };
const out = { x: 0, y: 0 };

test("zones lie side by side, though their rows count from before their corners", () => {
  const land = new Land();
  for (const shown of [undefined, ground]) {
    land.show(shown);
    land.know([row(2, 10_000, 0, 10_000, 20_000), row(1, 0, 0, 10_000, 20_000)]);
    assert.deepEqual(land.zones, [{ zone: 2, x: 10_000, y: 0, width: 10_000, height: 20_000 }, { zone: 1, x: 0, y: 0, width: 10_000, height: 20_000 }]);
    assert.deepEqual({ ...land.bounds }, { x: 0, y: 0, width: 20_000, height: 20_000 });
  }
});

test("nobody walks through a wall, or out of the world; a border between zones holds nobody", () => {
  const land = new Land();
  land.know([row(1, 0, 0, 10_000, 20_000), row(2, 10_000, 0, 10_000, 20_000)]);
  assert.deepEqual({ ...land.ground.walk(4800, 100, 300, 0, 112, out) }, { x: 5100, y: 100 }, "no wall is known");
  land.show(ground);
  assert.deepEqual({ ...land.ground.walk(4800, 200, 300, 0, 112, out) }, { x: 4887, y: 200 });
  assert.deepEqual({ ...land.ground.walk(9990, 200, 80, 0, 112, out) }, { x: 10_070, y: 200 });
  assert.deepEqual({ ...land.ground.walk(19_990, 200, 80, 0, 112, out) }, { x: 19_999, y: 200 });
  land.show(undefined);
  assert.deepEqual({ ...land.ground.walk(4800, 100, 300, 0, 112, out) }, { x: 5100, y: 100 }, "forgotten");
  assert.throws(() => {
    land.show({ ...ground, walls: [{ x0: 9, z0: 0, x1: 3, z1: 9 }] });
    void land.ground;
  }, /need x0 < x1/);
});

test("rows of the world outside are no part of a den, and the den's is none of that", () => {
  const land = new Land();
  const den = row(3, 0, 0, 4000, 4000, 0);
  land.show({ x: 0, z: 0, width: 4000, height: 4000, walls: [] });
  land.know([den, row(1, 0, 0, 10_000, 20_000), row(2, 10_000, 0, 10_000, 20_000)]);
  assert.deepEqual(land.zones.map((z) => z.zone), [3]);
  assert.equal(land.zones[0]!.x, 0);
  land.show(ground);
  land.know([row(1, 0, 0, 10_000, 20_000), den, row(2, 10_000, 0, 10_000, 20_000)]);
  assert.deepEqual(land.zones.map((z) => z.zone), [1, 2]);
});
