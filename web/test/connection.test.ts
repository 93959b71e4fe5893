/** The client with its connections and the sample game on top, against a server in memory. What follows a lost connection is in comeback.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseBootstrap, RefusedError } from "../sdk/bootstrap.ts";
import { type Bytes, ByteWriter, hex, unhex } from "../sdk/bytes.ts";
import type { Client } from "../sdk/client.ts";
import { Control, type Frame, FrameType } from "../sdk/frames.ts";
import { encodeZone } from "../sdk/gen/mmo.ts";
import { decodeMove, FINGERPRINT, LAYOUT } from "../sdk/gen/plains.ts";
import { type Layout, parseLayout, Type } from "../sdk/layout.ts";
import { Plains } from "../sdk/plains.ts";
import { BitWriter, type Content, encodeFull } from "./bits.ts";
import { content, encodeState, enterHead, sectionHead, type SectionSpec } from "./encoder.ts";
import { bench, boot, frame, isEcho, isRequest, logIn, numbered, type Peer, resume, schema, taking, ticket } from "./peer.ts";
import { changed, fieldOf } from "./tables.ts";

const zone = encodeZone({
  index: 0, zone: 1, epoch: 1, tick: 100, tickHz: 20, positionBits: 20, quantaPerMetre: 320, width: 32000, height: 32000, enterRadius: 16000, leaveRadius: 17600, originX: 0, originZ: 0, margin: 0,
});
const stateFrame = (s: SectionSpec): Bytes => {
  const body = encodeState([s]);
  return new ByteWriter().u8(6).uvarint(body.length).bytes(body).done();
};
test("a client secures, logs in, echoes state, answers late requests, and reports the session", async () => {
  const b = bench();
  const states: Bytes[] = [];
  const client = b.client({ state: (p) => states.push(p) });
  client.start();
  await b.when(() => b.peers.length > 0);
  await logIn(b.peers[0]!);
  await b.when(() => client.state === "playing");
  const peer = b.peers[0]!;
  await peer.until((f) => f.type === FrameType.control && f.route === Control.ping);
  // two state frames in one record: one echo of 2; then the third
  await peer.say(unhex("06020102"), unhex("0601" + "aa"));
  await peer.until(isEcho(2));
  assert.deepEqual(states.map(hex), ["0102", "aa"]);
  const before = peer.records;
  await peer.say(unhex("0601bb"));
  await peer.until(isEcho(3));
  assert.equal(peer.records, before + 1);
  // an error frame rejects its request by name; a deadline rejects by itself
  const asked = client.request(65, unhex("0801"));
  const refusal = assert.rejects(asked, /not_allowed: no/);
  const request = await peer.until((f) => f.type === FrameType.request && f.route === 65);
  await peer.say(frame(3, 65, unhex("080912026e6f"), request.id));
  await refusal;
  const late = client.request(65, unhex(""), 1);
  b.timer(1).job();
  await assert.rejects(late, /no answer within 1 ms/);
  client.stop();
  assert.equal(client.describe(), "disconnected: you left");
  await peer.until((f) => f.type === FrameType.control && f.route === Control.bye);
});

test("frames of one turn share a record, and an echo rides along", async () => {
  const b = bench();
  let client!: Client;
  client = b.client({ state: () => client.push(64, unhex("01")) });
  client.start();
  await b.when(() => b.peers.length > 0);
  await logIn(b.peers[0]!);
  await b.when(() => client.state === "playing");
  const peer = b.peers[0]!;
  await peer.until((f) => f.route === Control.ping);
  const before = peer.records;
  await peer.say(unhex("0601bb"));
  await peer.until(isEcho(1));
  await peer.until((f) => f.type === FrameType.push && f.route === 64);
  assert.equal(peer.records, before + 1);
  client.stop();
});

test("a bootstrap that is refused ends the client with the server's words; one that fails is tried again", async () => {
  let answer: Error = new Error("the server does not answer");
  const b = bench({ bootstrap: () => Promise.reject(answer) });
  const client = b.client();
  client.start();
  await b.when(() => client.state === "reconnecting");
  assert.equal(b.timers.length, 1);
  answer = new RefusedError("name of 70 bytes, at most 64 fit");
  b.timers[0]!.job();
  await b.when(() => client.state === "ended");
  assert.equal(client.describe(), "disconnected: name of 70 bytes, at most 64 fit");
  assert.equal(client.errors.at(-1), "name of 70 bytes, at most 64 fit (code 0)");
  assert.equal(b.timers.length, 1);
  client.start(); // "Try again" does
  await b.when(() => client.state === "connecting");
  await b.when(() => client.state === "ended");
});

test("a client sends the fingerprint of its own schema, whatever the server's bootstrap says", async () => {
  const b = bench({ bootstrap: async () => ({ ...boot, fingerprint: unhex("0500050005050505") }) });
  const client = b.client();
  client.start();
  await b.when(() => b.peers.length === 1);
  await logIn(b.peers[0]!);
  await b.when(() => client.state === "playing" || client.state === "ended");
  assert.deepEqual([client.state, b.peers[0]!.theirs], ["playing", FINGERPRINT]);
  client.stop();
});

/** fingerprintOf makes the fingerprint of another schema than the page's. */
const fingerprintOf = (generation: number, revision: number): Bytes => new ByteWriter().u16(generation).u16(revision).u32(7).done();
const [generation, revision] = [schema[0]! + 256 * schema[1]!, schema[2]! + 256 * schema[3]!];

test("a schema of another generation ends the client with a sentence that says who is older", async () => {
  for (const [theirs, words] of [
    [fingerprintOf(generation + 1, 1), /this page is older than the server: reload it \(schema \d+\.\d+-[0-9a-f]{8} here, \d+\.1-07000000 there\)/],
    [fingerprintOf(generation - 1, 60000), /the server is older than this page/],
    [fingerprintOf(generation, revision), /two schemas that call themselves the same revision/],
  ] as [Bytes, RegExp][]) {
    const b = bench({}, [{ schema: theirs }]);
    const client = b.client();
    client.start();
    await b.when(() => client.state === "ended");
    assert.match(client.describe(), words);
    assert.equal(b.peers[0]!.closedWith, 4505);
  }
});

test("plains against a newer server: its layout table comes first, what the page knows is read, and what does not fit ends it", async () => {
  const theirs = fingerprintOf(generation, revision + 1);
  const table = (change: (l: Layout) => void = () => undefined): Bytes => changed(LAYOUT, (l) => {
    l.fingerprint = theirs;
    l.components.set(9, { id: 9, name: "Mood", motion: undefined, worst: [], fields: [fieldOf({ id: 1, type: Type.string, max: 9 })] });
    l.kinds.get(1)!.components.unshift(l.components.get(9)!);
    change(l);
  });
  const play = async (...frames: Bytes[]): Promise<Plains> => {
    const b = bench({}, [{ schema: theirs }]);
    const plains = new Plains({ ...b.config, changed: () => b.poke() });
    plains.client.start();
    await b.when(() => b.peers.length === 1);
    await logIn(b.peers[0]!);
    await b.peers[0]!.say(...frames);
    await b.when(() => plains.client.state === "playing");
    await Promise.race([b.peers[0]!.until(isEcho(1)), b.when(() => plains.client.state !== "playing")]);
    return plains;
  };
  const w = new BitWriter();
  sectionHead(w, { row: 0, lastTick: 100, tick: 101, lastInput: 0, input: 0, width: 2, enters: [0] });
  enterHead(w, 2, { index: 1, id: 9n, kind: 1, age: 0 });
  const state = { ...content({ x: 320, z: 640, vx: 0, vz: 0, yaw: 0, hp: 93 }, 101), Mood: { f1: "glad" } } as Content;
  encodeFull(w, parseLayout(table()), 1, 0, 20, state);
  const body = w.prefix("0").done();
  const entered = new ByteWriter().u8(6).uvarint(body.length).bytes(body).done();
  const good = await play(frame(0, 36, table()), frame(0, 33, zone), entered);
  const hero = good.world.hero(1);
  assert.deepEqual([hero.vitals.hp, hero.transform.x, hero.transform.z], [93, 1, 2]);
  good.client.stop();
  const bad = await play(frame(0, 36, table((l) => (l.components.get(2)!.fields[0]!.limit = 70000n, l.components.get(2)!.fields[0]!.bits = 17))), frame(0, 33, zone));
  assert.equal(bad.client.state, "ended");
  assert.match(bad.client.describe(), /this page is older than the server: reload it .*Vitals\.hp is int32 0 to 65535 \(16 bits\) here and int32 0 to 70000 \(17 bits\) there/);
  const early = await play(frame(0, 33, zone), entered); // read all the same, it would be answered
  assert.match(early.client.describe(), /a zone before the layout table/);
  early.client.stop();
});

test("text, a forged record or a malformed frame end the connection", async () => {
  const cases: [string, (p: Peer) => Promise<void> | void, RegExp][] = [
    ["text", (p) => p.onmessage!({ data: "hello" }), /text/],
    ["forged", (p) => p.deliver(unhex("58" + "00".repeat(40))), /did not open/],
    ["malformed", (p) => p.say(unhex("ff")), /malformed frame/],
  ];
  for (const [name, attack, words] of cases) {
    const b = bench();
    const client = b.client();
    client.start();
    await b.when(() => b.peers.length === 1);
    await logIn(b.peers[0]!);
    await b.when(() => client.state === "playing");
    await attack(b.peers[0]!);
    await b.when(() => client.state !== "playing");
    assert.match(client.describe(), words, name);
    client.stop();
  }
});

test("plains: zone, avatar and sections give a replica, a prediction, and moves with a tick ahead; a resume goes on with all of them", async () => {
  const b = bench({}, [{}, { tickets: taking("A") }]);
  const left: number[] = [];
  const plains = new Plains({ ...b.config, changed: () => b.poke(), entities: { leave: (i) => left.push(i) } });
  plains.client.start();
  const peer = await b.peer(0);
  await logIn(peer);
  const me = { x: 3200, z: 6400, vx: 0, vz: 0, yaw: 0, hp: 100 };
  const section: SectionSpec = { row: 0, positionBits: 20, lastTick: 100, tick: 101, lastInput: 0, input: 0, width: 4, enters: [{ index: 2, id: 9n, kind: 1, age: 0, state: me }] };
  await peer.say(ticket(1, "A"), frame(0, 33, zone), numbered(2, 34, unhex("08091007")), frame(0, 35, unhex("08011002")), stateFrame(section));
  await peer.until(isEcho(1));
  await b.when(() => plains.client.state === "playing");
  assert.deepEqual(plains.serverPosition(), { x: 3200, z: 6400 });
  assert.equal(plains.status!.entities, 2);
  const isMove = (seq: number) => (f: Frame): boolean => f.type === FrameType.push && f.route === 64 && decodeMove(f.payload).seq === seq;
  const steer = async (at: Peer, seq: number): Promise<void> => {
    const now = performance.now();
    plains.advance(now, () => undefined);
    plains.steer({ vx: 80, vz: 0 }, now);
    const move = decodeMove((await at.until(isMove(seq))).payload);
    assert.deepEqual([move.vx, move.vz], [80, 0]);
    assert.ok(move.tick > 101 && move.tick < 110, `tick ${move.tick}`);
  };
  await steer(peer, 1);
  const asked = plains.spectate(5000);
  const request = await peer.until(isRequest(65));
  await peer.say(frame(2 | 8, 65, unhex("088827"), request.id, 3));
  assert.equal(await asked, 5000);
  await peer.say(numbered(4, 66, unhex("080110c8011850")));
  await peer.say(unhex("0601" + "0f")); // a section of an unknown zone: this connection is over
  await b.when(() => plains.client.state === "reconnecting");
  assert.equal(plains.refusals, 1);
  b.timers.at(-1)!.job();
  const next = await b.peer(1);
  assert.equal(await resume(next, { lastRequest: request.id }), 4);
  await b.when(() => plains.client.state === "playing");
  assert.deepEqual([plains.replica.count, left], [1, []], "the last picture stays until the next one begins");
  await next.say(frame(0, 33, zone));
  await next.say(stateFrame(section));
  await next.until(isEcho(1));
  assert.deepEqual([plains.replica.count, left], [1, [2]], "which begins empty");
  assert.deepEqual(plains.serverPosition(), { x: 3200, z: 6400 }, "the avatar is still the own one");
  assert.equal(plains.spectating, 5000);
  await steer(next, 2);
  plains.client.stop();
});

test("the bootstrap is checked", () => {
  const b64 = (n: number): string => Buffer.alloc(n).toString("base64");
  const good = { realm: "dev", root: b64(32), cert: b64(119), token: "t", ws: "/ws", schema_hash: "0011223344556677", build: "b" };
  assert.equal(hex(parseBootstrap(good).fingerprint), "0011223344556677");
  for (const bad of [{}, null, { ...good, root: b64(31) }, { ...good, schema_hash: "00" }, { ...good, token: 5 }, { ...good, cert: "*" }]) {
    assert.throws(() => parseBootstrap(bad));
  }
});
