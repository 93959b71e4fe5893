import assert from "node:assert/strict";
import { test } from "node:test";
import { Camera } from "../demo/camera.ts";
import { Meter } from "../demo/meter.ts";
import type { Plains } from "../sdk/plains.ts";

/** settle puts a camera at rest over a square world (metres) in a window (CSS pixels). */
function settle(cam: Camera, width: number, height: number, world: number): void {
  cam.resize(width, height);
  cam.know(world, world, 55);
  cam.follow(world - 1, 1, 16, true);
}

function camera(inset = 316): Camera {
  const cam = new Camera();
  cam.inset = inset;
  cam.top = 60;
  cam.bottom = 78;
  return cam;
}

function assertWorldFits(cam: Camera, world: number): void {
  assert.ok(cam.screenX(0) >= 0 && cam.screenX(world) <= cam.width - cam.inset, `x ${cam.screenX(0)} to ${cam.screenX(world)}`);
  assert.ok(cam.screenZ(0) >= cam.top && cam.screenZ(world) <= cam.height - cam.bottom, `z ${cam.screenZ(0)} to ${cam.screenZ(world)}`);
}

test("the whole world stays in view through resize and rotation, until the player zooms", () => {
  const cam = camera();
  settle(cam, 1280, 860, 400);
  assert.ok(!cam.isWhole);
  cam.whole(true);
  for (const [w, h] of [[1280, 860], [900, 500], [844, 390], [1920, 1080]] as const) {
    settle(cam, w, h, 400);
    assertWorldFits(cam, 400);
  }
  cam.zoom(2);
  assert.ok(!cam.isWhole);
  settle(cam, 900, 500, 400);
  assert.ok(cam.screenZ(400) - cam.screenZ(0) > cam.height);
});

test("zooming out as far as it goes is the whole world", () => {
  const cam = camera();
  settle(cam, 1280, 860, 400);
  for (let i = 0; i < 20; i++) cam.zoom(0.7);
  assert.ok(cam.isWhole);
  settle(cam, 844, 390, 400);
  assertWorldFits(cam, 400);
});

test("a world smaller than the own view is centred, not magnified", () => {
  const cam = camera();
  settle(cam, 1280, 860, 30);
  const near = cam.scale;
  cam.whole(true);
  settle(cam, 1280, 860, 30);
  assert.equal(cam.scale, near);
  assertWorldFits(cam, 30);
  assert.ok(cam.isWhole);
  cam.whole(false);
  settle(cam, 1280, 860, 30);
  assert.equal(Math.round(cam.screenX(29)), (1280 - 316) / 2); // back at the avatar
});

test("the meter gives state bytes per visible entity and tick, and nothing across connections", () => {
  const traffic = { bytesIn: 0, bytesOut: 0, stateFrames: 0, stateBytes: 0 };
  const plains = { client: { connection: { traffic } }, replica: { count: 50 }, zone: { tickHz: 20 } };
  const meter = new Meter();
  const take = (now: number): number => meter.take(plains as unknown as Plains, now).perPair;
  assert.ok(Number.isNaN(take(0)));
  for (let now = 250; now <= 4000; now += 250) {
    traffic.stateBytes += 75; // 300 bytes a second over 50 entities at 20 Hz
    assert.ok(Math.abs(take(now) - 0.3) < 1e-9);
  }
  plains.client.connection = { traffic: { ...traffic, stateBytes: 0 } };
  assert.ok(Number.isNaN(take(4250)));
});
