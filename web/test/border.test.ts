/** The sample game's client at a border between two zones, against a server in memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bytes, ByteWriter } from "../sdk/bytes.ts";
import { encodeAvatar, encodeZone, type Zone } from "../sdk/gen/mmo.ts";
import { encodeFell, encodeGround, encodeHit, encodeSaid, Route } from "../sdk/gen/plains.ts";
import { Plains } from "../sdk/plains.ts";
import { encodeState, type SectionSpec } from "./encoder.ts";
import { bench, frame, isEcho, logIn, numbered, ticket } from "./peer.ts";

const MARGIN = 2560;
const ME = (6n << 32n) | 9n; // numbered by zone 7

const row = (index: number): Zone => ({
  index, zone: 7 + index, epoch: 1, tick: 100, tickHz: 20, positionBits: 20, quantaPerMetre: 320, width: 32_000, height: 64_000, enterRadius: 16_000, leaveRadius: 17_600,
  originX: index * 32_000 - MARGIN, originZ: -MARGIN, margin: MARGIN,
});
const stateFrame = (...sections: SectionSpec[]): Bytes => {
  const body = encodeState(sections);
  return new ByteWriter().u8(6).uvarint(body.length).bytes(body).done();
};
const section = (index: number, s: Partial<SectionSpec>): SectionSpec => ({
  row: index, zone: 7 + index, originX: index * 32_000 - MARGIN, originZ: -MARGIN, positionBits: 20, lastTick: 100, tick: 101, lastInput: 0, input: 0, width: 4, ...s,
});

test("an avatar that is handed over keeps its index, its prediction and its clock, and is where it was", async () => {
  const b = bench();
  const heard: string[] = [];
  const moved: number[] = [];
  const plains = new Plains({
    ...b.config, changed: () => b.poke(), entities: { leave: () => heard.push("leave"), move: (i) => moved.push(i) },
    hit: (h) => heard.push(`hit ${h.damage}`), fell: () => (heard.push("fell"), b.poke()), said: (s) => heard.push(s.text), embodied: () => (heard.push("embodied"), b.poke()),
  });
  plains.client.start();
  const peer = await b.peer(0);
  await logIn(peer);
  const at = (x: number) => ({ x, z: 320, vx: 80, vz: 0, yaw: 0, hp: 100 });
  const zone = (index: number): Bytes => frame(0, 33, encodeZone(row(index)));
  const ground = encodeGround({ x: 0, z: 0, width: 64_000, height: 64_000, walls: [{ x0: 1, z0: 5000, x1: 9, z1: 6000 }] });
  await peer.say(ticket(1, "A"), zone(0), numbered(2, 34, encodeAvatar({ entity: ME, zone: 7 })), numbered(3, Route.ground, ground),
    stateFrame(section(0, { enters: [{ index: 2, id: ME, kind: 1, age: 0, state: at(31_900) }] })));
  await peer.until(isEcho(1));
  await b.when(() => plains.client.state === "playing");
  const { predictor, clock } = plains;
  assert.deepEqual(plains.land.zones.map((z) => [z.zone, z.x]), [[7, 0]]);
  plains.advance(performance.now(), () => undefined);
  const before = plains.predictor!.position(performance.now());

  await peer.say(zone(1), stateFrame(section(1, {}), section(0, { lastTick: 101, tick: 102 })));
  await peer.until(isEcho(2));
  assert.deepEqual(plains.land.zones.map((z) => [z.zone, z.x]), [[7, 0], [8, 32_000]]);
  await peer.say(numbered(4, 34, encodeAvatar({ entity: ME, zone: 8 })),
    stateFrame(section(0, { lastTick: 102, tick: 104 }), section(1, { lastTick: 101, tick: 104, enters: [{ index: 2, id: ME, kind: 1, age: 0, state: at(32_140) }] })));
  await peer.until(isEcho(3));
  assert.equal(plains.zone!.zone, 8);
  assert.deepEqual([plains.predictor === predictor, plains.clock === clock, plains.land.zones[0]!.zone, moved, heard], [true, true, 8, [2], ["embodied"]]);
  assert.deepEqual(plains.serverPosition(), { x: 32_140, z: 320 });
  plains.advance(performance.now(), () => undefined);
  const after = plains.predictor!.position(performance.now());
  assert.ok(after.x >= before.x && after.x - before.x < 1600 && Math.abs(after.z - 320) < 1, `from ${before.x} to ${after.x}`);
  assert.equal(plains.predictor!.error, 0, "the neighbour's first word is what was predicted");

  await peer.say(frame(0, Route.hit, encodeHit({ target: ME, by: 1n, damage: 6 })), numbered(5, Route.said, encodeSaid({ name: "x", entity: 1n, circle: 0, text: "hello" })),
    frame(0, Route.fell, encodeFell({ target: ME, by: 1n })));
  await b.when(() => heard.includes("fell"));
  assert.deepEqual([heard, plains.dead], [["embodied", "hit 6", "hello", "fell"], true]);
  await peer.say(numbered(6, 34, encodeAvatar({ entity: ME + 5n, zone: 8 })));
  await b.when(() => heard.at(-1) === "embodied");
  assert.equal(plains.dead, false);
  assert.ok(plains.predictor !== predictor, "the next life is predicted anew");
  plains.client.stop();
});
