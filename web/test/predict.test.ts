import assert from "node:assert/strict";
import { test } from "node:test";
import { RoundTrip, TickClock } from "../sdk/clock.ts";
import { All, Rects } from "../sdk/fixed/terrain.ts";
import { Predictor } from "../sdk/predict.ts";
import type { Move } from "../sdk/gen/plains.ts";
import { aim, MAX_SPEED, type Mover, step } from "../sdk/rules.ts";

const W = 3200;
const H = 3200;
const field = new All({ x: 0, y: 0, width: W, height: H });

test("the rule: walls clamp, report velocity 0, and the want outlives them", () => {
  const m: Mover = { x: 5, z: 100, vx: 0, vz: 0, wantVx: -10, wantVz: 7 };
  step(m, W, H);
  assert.deepEqual(m, { x: 0, z: 107, vx: 0, vz: 7, wantVx: -10, wantVz: 7 });
  m.wantVx = 10;
  step(m, W, H);
  assert.deepEqual([m.x, m.vx], [10, 10]);
  m.x = W - 3;
  step(m, W, H);
  assert.deepEqual([m.x, m.vx], [W - 1, 0]);
});

test("aim never breaks the speed limit", () => {
  for (let a = 0; a < 360; a++) {
    const v = aim(Math.cos(a) * 1000, Math.sin(a) * 1000);
    assert.ok(v.vx ** 2 + v.vz ** 2 <= MAX_SPEED ** 2 && v.vx ** 2 + v.vz ** 2 > 78 ** 2);
  }
  assert.deepEqual(aim(0, 0), { vx: 0, vz: 0 });
});

/** Server is the zone's side: inputs apply at their tick, or at once when late. */
class Server {
  tick = 1000;
  applied = 0;
  readonly m: Mover = { x: 1600, z: 1600, vx: 0, vz: 0, wantVx: 0, wantVz: 0 };
  private readonly queue: Move[] = [];

  receive(m: Move): void {
    this.queue.push(m);
  }

  run(): void {
    this.tick++;
    while (this.queue.length > 0 && this.queue[0]!.tick <= this.tick) {
      const i = this.queue.shift()!;
      this.applied = i.seq;
      this.m.wantVx = i.vx;
      this.m.wantVz = i.vz;
    }
    step(this.m, W, H);
  }
}

/** play runs client and server over a line with the given delays (ms, one way) in 10 ms steps; returns the largest jump drawn, m. */
function play(up: (ms: number) => number, down: (ms: number) => number, seconds: number): { p: Predictor; s: Server; jump: number } {
  const s = new Server();
  const wires: { at: number; run(): void }[] = [];
  let now = 0;
  const clock = new TickClock(50);
  const p = new Predictor(50, (m) => wires.push({ at: now + up(now), run: () => s.receive({ ...m }) }));
  const rtt = new RoundTrip();
  let jump = 0;
  let drawn: { x: number; z: number } | undefined;
  let seed = 1;
  for (now = 0; now < seconds * 1000; now += 10) {
    wires.filter((w) => w.at <= now).sort((a, b) => a.at - b.at).forEach((w) => {
      wires.splice(wires.indexOf(w), 1);
      w.run();
    });
    if (now % 50 === 0) {
      s.run();
      const { tick, applied } = s;
      const own = { x: s.m.x, z: s.m.z, vx: s.m.vx, vz: s.m.vz };
      const sent = now;
      wires.push({
        at: now + down(now),
        run: () => {
          clock.arrived(tick, now);
          rtt.add(now - sent + up(now));
          p.reconcile(tick, applied, own, field, now);
        },
      });
    }
    if (clock.ready) p.advance(clock.seen(now) + rtt.medianMs / 50 + p.margin, now, () => undefined);
    if (now > 1000 && now % 370 === 0) {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      p.steer(seed % 5 === 0 ? { vx: 0, vz: 0 } : aim(Math.cos(seed), Math.sin(seed)), now);
    }
    if (p.ready) {
      const at = p.position(now);
      if (drawn !== undefined && now > 1000) jump = Math.max(jump, Math.hypot(at.x - drawn.x, at.z - drawn.z) / 320);
      drawn = at;
    }
  }
  return { p, s, jump };
}

test("prediction replay: with any steady delay every input lands in its tick and the error is exactly 0", () => {
  for (const ms of [0, 20, 90, 240]) {
    const { p, s, jump } = play(() => ms, () => ms, 20);
    assert.ok(s.applied > 20, "inputs were sent");
    assert.equal(p.lateInputs, 0, `${ms} ms: late inputs`);
    assert.equal(p.peakError, 0, `${ms} ms: error`);
    assert.equal(p.verdict, "matched");
    assert.ok(jump < 0.16, `${ms} ms: drawn jump ${jump} m in 10 ms (walking is 0.05)`);
  }
});

test("prediction under jitter: late inputs widen the margin, errors are corrected, the picture stays smooth", () => {
  let seed = 9;
  const jitter = (base: number) => () => base + ((seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % 60);
  const { p, jump } = play(jitter(40), () => 40, 40);
  assert.ok(p.meanError < 16, `mean error ${p.meanError} quanta`);
  assert.ok(jump < 0.25, `drawn jump ${jump} m in 10 ms`);
});

test("an own input is drawn within a frame, though the server is 200 ms away", () => {
  const s = new Server();
  const p = new Predictor(50, () => undefined);
  p.reconcile(s.tick, 0, s.m, field, 0);
  p.advance(s.tick + 5.5, 0, () => undefined);
  const before = p.position(1);
  p.steer({ vx: 80, vz: 0 }, 1);
  const sameInstant = p.position(1);
  assert.ok(Math.abs(sameInstant.x - before.x) < 1e-6, "no jump at the moment of the input");
  p.advance(s.tick + 5.5 + 0.32, 17, () => undefined);
  assert.ok(p.position(17).x > before.x + 20, "and movement in the next frame");
});

test("a refused input does not count", () => {
  const sent: Move[] = [];
  const p = new Predictor(50, (m) => sent.push(m));
  const own = { x: 1000, z: 1000, vx: 0, vz: 0 };
  p.reconcile(10, 0, own, field, 0);
  p.advance(14, 0, () => undefined);
  p.steer({ vx: 500, vz: 0 }, 0);
  assert.deepEqual(sent, [{ seq: 1, tick: 14, vx: 500, vz: 0 }]);
  p.refused(1);
  p.reconcile(15, 1, own, field, 50);
  assert.deepEqual([p.state!.x, p.state!.vx], [1000, 0]);
});

test("an input at a wall keeps its want through reconciliation", () => {
  const p = new Predictor(50, () => undefined);
  p.reconcile(10, 0, { x: 0, z: 0, vx: 0, vz: 0 }, field, 0);
  p.advance(13, 0, () => undefined);
  p.steer({ vx: -50, vz: 30 }, 0); // tick 13
  p.reconcile(13, 1, { x: 0, z: 30, vx: 0, vz: 30 }, field, 10);
  p.advance(16, 150, () => undefined);
  assert.deepEqual([p.state!.wantVx, p.state!.vx, p.state!.z], [-50, 0, 120]);
});

test("an avatar slides along a wall here as there, and a teleport is no error of prediction", () => {
  const ground = new Rects({ x: 0, y: 0, width: W, height: H }, [[1200, 0, 1300, 3000]]);
  const p = new Predictor(50, () => undefined);
  p.reconcile(10, 0, { x: 1000, z: 1000, vx: 0, vz: 0 }, ground, 0);
  p.advance(11, 0, () => ({ vx: 50, vz: 20 }));
  p.advance(18, 350, () => undefined);
  assert.equal(p.state!.x, 1200 - 112 - 1, "the wall, a radius before it");
  assert.deepEqual([p.state!.vx, p.state!.vz], [0, 20]);
  for (let t = 12; t < 18; t++) p.reconcile(t, 1, { x: Math.min(1000 + 50 * (t - 10), 1087), z: 1000 + 20 * (t - 10), vx: t < 12 ? 50 : 0, vz: 20 }, ground, 350);
  assert.equal(p.verdict, "matched");
  p.forgive();
  p.reconcile(18, 1, { x: 200, z: 3100, vx: 0, vz: 0 }, field, 400);
  assert.equal(p.verdict, "matched");
  assert.ok(Math.hypot(p.position(400).x - 200, p.position(400).z - 3100) < 50, "it is drawn there at once");
});

test("the clock finds the least delayed section and moves smoothly", () => {
  const c = new TickClock(50);
  let last = -Infinity;
  let most = 0;
  for (let now = 0, seed = 3; now < 20_000; now += 10) {
    if (now % 50 === 0) {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      c.arrived(500 + now / 50, now + (seed % 41)); // up to 40 ms late
    }
    const t = c.seen(now + 45);
    if (now > 200) {
      assert.ok(t > last);
      most = Math.max(most, t - last);
    }
    last = t;
  }
  assert.ok(most < 0.22, "at most 4 % fast");
  assert.ok(Math.abs(last - (500 + 20_035 / 50)) < 0.2, `seen ${last}`);
  assert.ok(c.jitterMs > 25 && c.jitterMs <= 41);
});
