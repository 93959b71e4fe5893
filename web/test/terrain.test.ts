import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { All, Grid, type Ground, parseGrid, type Rect, Rects } from "../sdk/fixed/terrain.ts";

interface VectorMap {
  bounds?: { X: number; Y: number; Width: number; Height: number };
  rects?: Rect[];
  file?: string;
  walks: number[][];
}

const maps = JSON.parse(readFileSync("../pkg/game/terrain/testdata/terrain.json", "utf8")) as VectorMap[];

function make(v: VectorMap): Ground {
  if (v.file !== undefined) return new Grid(parseGrid(Buffer.from(v.file, "base64")));
  const b = v.bounds!;
  return new Rects({ x: b.X, y: b.Y, width: b.Width, height: b.Height }, v.rects ?? []);
}

test("walks over rectangles and grids end where the zone's do, by the Go vectors", (t) => {
  let walks = 0;
  const out = { x: 0, y: 0 };
  maps.forEach((v, number) => {
    const map = make(v);
    for (const [x, y, dx, dy, radius, free, nx, ny] of v.walks as [number, number, number, number, number, number, number, number][]) {
      const name = `map ${number}: a body of ${radius} from ${x}, ${y} by ${dx}, ${dy}`;
      assert.equal(map.free(x, y, radius), free === 1, name);
      map.walk(x, y, dx, dy, radius, out);
      assert.ok(out.x === nx && out.y === ny, `${name} came to ${out.x}, ${out.y}, want ${nx}, ${ny}`);
      walks++;
    }
  });
  assert.ok(walks >= 5000);
  t.diagnostic(`${walks} walks on ${maps.length} maps`);
});

test("a map of nothing has bounds, and takes in who is outside", () => {
  const all = new All({ x: -10, y: 5, width: 20, height: 10 });
  const out = { x: 0, y: 0 };
  assert.deepEqual({ ...all.walk(0, 6, 3, 4, 9, out) }, { x: 3, y: 10 });
  assert.deepEqual({ ...all.walk(-500, 2000, 1, 1, 9, out) }, { x: -10, y: 14 });
  assert.ok(all.free(-10, 14) && !all.free(10, 14) && !all.free(0, 4));
});

test("a grid file with a byte too few or too many, or another header, is refused", () => {
  const bytes = new Uint8Array(Buffer.from(maps.find((v) => (v.file ?? "").length > 60)!.file!, "base64"));
  assert.ok(bytes[4] !== 0, "it has cells to speak of");
  parseGrid(bytes);
  assert.throws(() => parseGrid(bytes.subarray(0, bytes.length - 1)), RangeError);
  assert.throws(() => parseGrid(new Uint8Array([...bytes, 0])), RangeError);
  for (const at of [0, 4, 20]) {
    const wrong = bytes.slice();
    wrong[at] = 255;
    assert.throws(() => parseGrid(wrong), RangeError);
  }
  assert.throws(() => new Rects({ x: 0, y: 0, width: 5, height: 5 }, [[1, 1, 1, 2]]), RangeError);
});
