import assert from "node:assert/strict";
import { test } from "node:test";
import { Crowd } from "../demo/crowd.ts";
import type { Theme } from "../demo/palette.ts";
import type { Renderer } from "../demo/renderer.ts";
import { LAYOUT } from "../sdk/gen/plains.ts";
import { parseLayout } from "../sdk/layout.ts";
import { Replica } from "../sdk/replica.ts";
import { encodeState } from "./encoder.ts";
import { changed } from "./tables.ts";

test("everybody looks where they walk, by the bits that the layout gives a heading", () => {
  for (const [bits, yaw] of [[10, 256], [8, 64], [12, 1024]] as const) {
    const table = changed(LAYOUT, (l) => (l.components.get(1)!.fields.find((f) => f.id === l.components.get(1)!.motion!.heading)!.bits = bits));
    const crowd = new Crowd(1, () => 0);
    const r: Replica = new Replica(table, { enter: (i) => crowd.entered(r, i), leave: (i) => crowd.left(r, i) });
    r.setZone({ index: 0, zone: 1, epoch: 1, tick: 9, tickHz: 20, positionBits: 20, quantaPerMetre: 320, width: 9, height: 9, enterRadius: 1, leaveRadius: 1, originX: 0, originZ: 0, margin: 0 });
    const section = { row: 0, positionBits: 20, lastTick: 9, tick: 10, lastInput: 0, input: 0, width: 4 };
    const enters = [{ index: 1, id: 7n, kind: 1, age: 0, state: { x: 1, z: 2, vx: 0, vz: 0, yaw, hp: 1 } }];
    r.apply(encodeState([{ ...section, enters }], parseLayout(table)));
    const headings: number[] = [];
    const put = (): void => crowd.put(
      { put: (_x: number, _z: number, heading: number) => headings.push(heading) } as unknown as Renderer, r,
      { theme: { entities: [[0, 0, 0]] } as unknown as Theme, own: -1, tick: 10, q: 320, cx: 0, cz: 0, view: undefined, still: false },
    );
    put();
    r.apply(encodeState([{ ...section, lastTick: 10, tick: 11, leaves: [1] }], parseLayout(table)));
    put();
    assert.deepEqual(headings, [Math.PI / 2, Math.PI / 2], `${bits} bits`);
  }
});
