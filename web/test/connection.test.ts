import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bytes, ByteWriter, concat, hex, unhex } from "../sdk/bytes.ts";
import { type Bootstrap, Client, type ClientConfig, parseBootstrap, RefusedError } from "../sdk/client.ts";
import type { Socket } from "../sdk/connection.ts";
import { Control, decodeFrames, type Frame, FrameType } from "../sdk/frames.ts";
import { encodeZone } from "../sdk/gen/mmo.ts";
import { decodeMove, FINGERPRINT, LAYOUT } from "../sdk/gen/plains.ts";
import { type Layout, parseLayout, Type } from "../sdk/layout.ts";
import { Plains } from "../sdk/plains.ts";
import { Opener, Sealer } from "../sdk/records.ts";
import { webCryptoSuite } from "../sdk/suite.ts";
import { BitWriter, type Content, encodeFull } from "./bits.ts";
import { content, encodeState, enterHead, helloPayload, respond, sectionHead, signedCert, type SectionSpec } from "./encoder.ts";
import { changed, fieldOf } from "./tables.ts";

const suite = (await webCryptoSuite())!;
const staticPrivate = new Uint8Array(32).fill(5);
const schema = unhex(FINGERPRINT);
const { root, cert } = await signedCert(suite, staticPrivate);
const boot: Bootstrap = { realm: "dev", root, cert, token: "tok", ws: "/ws", fingerprint: schema, build: "test" };

/** Peer is a socket with the server behind it, in memory; frames arrive at `frames`, and waiters wake when they do. */
class Peer implements Socket {
  binaryType = "";
  protocol = "mmo.v1";
  onopen: ((e: any) => void) | null = null;
  onmessage: ((e: { data: unknown }) => void) | null = null;
  onclose: ((e: { code: number; reason: string }) => void) | null = null;
  onerror: ((e: any) => void) | null = null;
  readonly frames: Frame[] = [];
  records = 0;
  /** theirs is the fingerprint that the client said. */
  theirs = "";
  closedWith: number | undefined;
  private sealer: Sealer | undefined;
  private opener: Opener | undefined;
  private wake: (() => void)[] = [];
  private queue: Promise<void> = Promise.resolve();

  constructor(private readonly schema: Bytes, private readonly rekey = 4) {
    setImmediate(() => this.onopen?.({}));
  }

  send(data: Bytes): void {
    this.queue = this.queue.then(() => this.receive(data.slice()));
  }

  private async receive(data: Bytes): Promise<void> {
    if (this.sealer === undefined) {
      const r = await respond(suite, data, staticPrivate, "dev", helloPayload({ schema: this.schema, rekeyRecords: this.rekey }));
      this.theirs = hex(r.payload1.subarray(16));
      const rule = { records: this.rekey, bytes: 1 << 26 };
      this.sealer = await Sealer.create(suite, r.keyS2C, rule);
      this.opener = await Opener.create(suite, r.keyC2S, rule);
      this.deliver(r.hs2);
      return;
    }
    this.records++;
    this.frames.push(...decodeFrames(await this.opener!.open(data)));
    for (const w of this.wake.splice(0)) w();
  }

  deliver(record: Bytes): void {
    this.onmessage?.({ data: record.slice().buffer });
  }

  async say(...frames: Bytes[]): Promise<void> {
    this.deliver(await this.sealer!.seal(concat(...frames)));
  }

  close(code?: number): void {
    this.closedWith = code;
  }

  /** until waits for a frame that fits, past or future. */
  async until(fits: (f: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const f = this.frames.find(fits);
      if (f !== undefined) return f;
      await new Promise<void>((r) => this.wake.push(r));
    }
  }
}

const zone = encodeZone({
  index: 0, zone: 7, epoch: 1, tick: 100, tickHz: 20, positionBits: 20, quantaPerMetre: 320, width: 32000, height: 32000, enterRadius: 16000, leaveRadius: 17600,
});
const frame = (head: number, route: number, payload: Bytes, id?: number): Bytes => {
  const w = new ByteWriter().u8(head).uvarint(route);
  if (id !== undefined) w.uvarint(id);
  return w.uvarint(payload.length).bytes(payload).done();
};
const stateFrame = (s: SectionSpec): Bytes => {
  const body = encodeState([s]);
  return new ByteWriter().u8(6).uvarint(body.length).bytes(body).done();
};
const isLogin = (f: Frame): boolean => f.type === FrameType.request && f.route === 32;
const isEcho = (n: number) => (f: Frame): boolean => f.type === FrameType.control && f.route === Control.echo && f.payload[0] === n;

/** bench gives a client with a list of sockets and hand-worked timers. */
function bench(over: Partial<Omit<ClientConfig, "fingerprint">> = {}, schemas: Bytes[] = []) {
  const peers: Peer[] = [];
  const timers: { ms: number; job: () => void }[] = [];
  const waiters: { fits: () => boolean; done: () => void }[] = [];
  const poke = (): void => waiters.filter((w) => w.fits()).forEach((w) => w.done());
  const config = {
    program: "test", fingerprint: FINGERPRINT, bootstrap: async () => boot, suite: async () => suite, wallSeconds: () => 1500, random: () => 0.5, now: () => performance.now(),
    socket: () => {
      const p = new Peer(schemas[peers.length] ?? schema);
      peers.push(p);
      poke();
      return p;
    },
    after: (ms: number, job: () => void) => {
      timers.push({ ms, job });
      return () => undefined;
    },
    ...over,
  };
  const when = (fits: () => boolean): Promise<void> => (fits() ? Promise.resolve() : new Promise((done) => waiters.push({ fits, done })));
  return { peers, timers, config, poke, when };
}

async function logIn(peer: Peer): Promise<void> {
  const login = await peer.until(isLogin);
  await peer.say(frame(2, 32, unhex("08011002" + "1a016e"), login.id));
}

test("a client secures, logs in, echoes state, answers late requests, and reports the session", async () => {
  const b = bench();
  const states: Bytes[] = [];
  const client = new Client({ ...b.config, events: { playing: () => undefined, push: () => undefined, state: (p) => states.push(p), changed: () => b.poke() } });
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
  const asked = client.connection!.request(65, unhex("0801"));
  const refusal = assert.rejects(asked, /not_allowed: no/);
  const request = await peer.until((f) => f.type === FrameType.request && f.route === 65);
  await peer.say(frame(3, 65, unhex("080912026e6f"), request.id));
  await refusal;
  await assert.rejects(client.connection!.request(65, unhex(""), 1), /no answer within 1 ms/);
  client.stop();
  assert.equal(client.describe(), "disconnected: you left");
  await peer.until((f) => f.type === FrameType.control && f.route === Control.bye);
});

test("frames of one turn share a record, and an echo rides along", async () => {
  const b = bench();
  let client!: Client;
  client = new Client({
    ...b.config,
    events: { playing: () => undefined, push: () => undefined, state: () => client.connection!.push(64, unhex("01")), changed: () => b.poke() },
  });
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

test("a lost connection comes back with full jitter, doubling; a terminal code does not", async () => {
  const b = bench();
  let boots = 0;
  const client = new Client({
    ...b.config, bootstrap: async () => (boots++, boot),
    events: { playing: () => undefined, push: () => undefined, state: () => undefined, changed: () => b.poke() },
  });
  client.start();
  await b.when(() => b.peers.length === 1);
  b.peers[0]!.onclose!({ code: 1006, reason: "" });
  await b.when(() => client.state === "reconnecting");
  assert.match(client.describe(), /^reconnecting in 1 s: the connection was lost$/);
  assert.equal(b.timers[0]!.ms, 250);
  b.timers[0]!.job();
  await b.when(() => b.peers.length === 2);
  b.peers[1]!.onclose!({ code: 4004, reason: "overloaded" });
  await b.when(() => client.state === "reconnecting");
  assert.equal(b.timers[1]!.ms, 500);
  b.timers[1]!.job();
  await b.when(() => b.peers.length === 3);
  await logIn(b.peers[2]!);
  await b.when(() => client.state === "playing");
  assert.equal(boots, 3, "keys may have changed: asked before each connection");
  client.drop();
  await b.when(() => client.state === "reconnecting");
  assert.equal(b.timers[2]!.ms, 250, "a session resets the back-off");
  b.timers[2]!.job();
  await b.when(() => b.peers.length === 4);
  await logIn(b.peers[3]!);
  await b.when(() => client.state === "playing");
  assert.equal(client.reconnects, 1);
  // the KICK inside the channel counts, not the close code outside
  await b.peers[3]!.say(frame(5, 5, unhex("089b23" + "120a73757065727365646564")));
  b.peers[3]!.onclose!({ code: 1000, reason: "" });
  await b.when(() => client.state === "ended");
  assert.equal(client.describe(), "disconnected: the same player signed in elsewhere");
  assert.equal(b.timers.length, 3);
});

test("a page whose world server goes away says so, keeps asking while there is none, and plays on with the next", async () => {
  const b = bench();
  let away = false;
  const client = new Client({
    ...b.config, bootstrap: async () => {
      if (away) throw new Error("the world server is away; try again"); // what a gateway without a server answers with 503
      return boot;
    },
    events: { playing: () => undefined, push: () => undefined, state: () => undefined, changed: () => b.poke() },
  });
  client.start();
  await b.when(() => b.peers.length === 1);
  await logIn(b.peers[0]!);
  await b.when(() => client.state === "playing");
  away = true;
  await b.peers[0]!.say(frame(5, 5, unhex("08a31f")));
  b.peers[0]!.onclose!({ code: 4003, reason: "server_lost" });
  await b.when(() => client.state === "reconnecting");
  assert.match(client.describe(), /^reconnecting in 1 s: the world server is away$/);
  for (let i = 0; i < 8; i++) {
    const waits = b.timers.length;
    b.timers.at(-1)!.job();
    await b.when(() => client.state === "reconnecting" && b.timers.length > waits);
    assert.match(client.describe(), /the world server is away; try again$/);
  }
  assert.deepEqual(b.timers.map((t) => t.ms), [250, 500, 1000, 2000, 4000, 5000, 5000, 5000, 5000], "full jitter below 10 s: half of it here");
  away = false;
  b.timers.at(-1)!.job();
  await b.when(() => b.peers.length === 2);
  await logIn(b.peers[1]!);
  await b.when(() => client.state === "playing");
  assert.equal(client.reconnects, 1);
  client.stop();
});

test("a bootstrap that is refused ends the client with the server's words; one that fails is tried again", async () => {
  const b = bench();
  let answer: Error = new Error("the server does not answer");
  const client = new Client({
    ...b.config, bootstrap: () => Promise.reject(answer),
    events: { playing: () => undefined, push: () => undefined, state: () => undefined, changed: () => b.poke() },
  });
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
  const client = new Client({ ...b.config, events: { playing: () => undefined, push: () => undefined, state: () => undefined, changed: () => b.poke() } });
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
    const b = bench({}, [theirs]);
    const client = new Client({ ...b.config, events: { playing: () => undefined, push: () => undefined, state: () => undefined, changed: () => b.poke() } });
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
    const b = bench({}, [theirs]);
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

test("text, a forged record or a malformed frame end the connection; goaway is obeyed", async () => {
  const cases: [string, (p: Peer) => Promise<void> | void, RegExp][] = [
    ["text", (p) => p.onmessage!({ data: "hello" }), /text/],
    ["forged", (p) => p.deliver(unhex("58" + "00".repeat(40))), /did not open/],
    ["malformed", (p) => p.say(unhex("ff")), /malformed frame/],
    ["goaway", (p) => p.say(frame(5, 4, unhex("0a03627965" + "10d00f"))), /shutting down/],
  ];
  for (const [name, attack, words] of cases) {
    const b = bench();
    const client = new Client({ ...b.config, events: { playing: () => undefined, push: () => undefined, state: () => undefined, changed: () => b.poke() } });
    client.start();
    await b.when(() => b.peers.length === 1);
    await logIn(b.peers[0]!);
    await b.when(() => client.state === "playing");
    await attack(b.peers[0]!);
    await b.when(() => client.state !== "playing");
    assert.match(client.describe(), words, name);
    if (name === "goaway") assert.equal(b.timers[0]!.ms, 2000);
    client.stop();
  }
});

test("plains: zone, avatar and sections give a replica, a prediction, and moves with a tick ahead", async () => {
  const b = bench();
  const left: number[] = [];
  const plains = new Plains({ ...b.config, changed: () => b.poke(), entities: { leave: (i) => left.push(i) } });
  plains.client.start();
  await b.when(() => b.peers.length === 1);
  await logIn(b.peers[0]!);
  const peer = b.peers[0]!;
  const me = { x: 3200, z: 6400, vx: 0, vz: 0, yaw: 0, hp: 100 };
  const section: SectionSpec = { row: 0, positionBits: 20, lastTick: 100, tick: 101, lastInput: 0, input: 0, width: 4, enters: [{ index: 2, id: 9n, kind: 1, age: 0, state: me }] };
  await peer.say(frame(0, 33, zone), frame(0, 34, unhex("08091007")), frame(0, 35, unhex("08011002")), stateFrame(section));
  await peer.until(isEcho(1));
  await b.when(() => plains.client.state === "playing");
  assert.deepEqual(plains.serverPosition(), { x: 3200, z: 6400 });
  assert.equal(plains.status!.entities, 2);
  const now = performance.now();
  plains.advance(now, () => undefined);
  plains.steer({ vx: 80, vz: 0 }, now);
  const move = decodeMove((await peer.until((f) => f.type === FrameType.push && f.route === 64)).payload);
  assert.deepEqual([move.seq, move.vx, move.vz], [1, 80, 0]);
  assert.ok(move.tick > 101 && move.tick < 110, `tick ${move.tick}`);
  const asked = plains.spectate(5000);
  const request = await peer.until((f) => f.type === FrameType.request && f.route === 65);
  await peer.say(frame(2, 65, unhex("088827"), request.id));
  assert.equal(await asked, 5000);
  await peer.say(frame(0, 66, unhex("080110c8011850")));
  await peer.say(unhex("0601" + "0f")); // a section of an unknown zone: this connection is over, the next begins empty
  await b.when(() => plains.client.state === "reconnecting");
  assert.equal(plains.refusals, 1);
  b.timers[0]!.job();
  await b.when(() => b.peers.length === 2);
  assert.deepEqual([plains.replica.count, left], [0, [2]]);
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
