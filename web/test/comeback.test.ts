/** What a client does when a connection ends, and what it tells: resumes, new logins, gateways in turn, the queue. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RefusedError } from "../sdk/bootstrap.ts";
import { hex, unhex } from "../sdk/bytes.ts";
import type { Client } from "../sdk/client.ts";
import { Control, encodeControl, FrameType } from "../sdk/frames.ts";
import { encodeError, encodeGoaway, encodeKick, encodeQueue, encodeWarning } from "../sdk/gen/mmo.ts";
import { RequestError } from "../sdk/requests.ts";
import { bench, boot, frame, isAck, isLogin, isRequest, logIn, numbered, type Peer, resume, taking, ticket } from "./peer.ts";

type Bench = ReturnType<typeof bench>;

/** playing brings a client into the world, with the ticket A as message 1. */
async function playing(b: Bench, client: Client, lingerMs?: number): Promise<Peer> {
  client.start();
  const peer = await b.peer(0);
  await logIn(peer, false, [ticket(1, "A", lingerMs)]);
  await b.when(() => client.state === "playing");
  await peer.until(isAck(1));
  return peer;
}

async function lose(b: Bench, client: Client, peer: Peer, code = 1006): Promise<void> {
  peer.onclose!({ code, reason: "" });
  await b.when(() => client.state === "reconnecting" || client.state === "ended");
}

test("a lost connection is resumed at once, with every numbered message once and what was asked once", async () => {
  let boots = 0;
  const b = bench({ bootstrap: async () => (boots++, boot) }, [{}, { tickets: taking("A") }]);
  const pushes: string[] = [];
  const told: string[] = [];
  const client = b.client({
    push: (route, payload) => pushes.push(`${route} ${hex(payload)}`), resumed: () => told.push("resumed"), notRecovered: () => told.push("not recovered"),
    opened: () => told.push("opened"), loggedIn: () => told.push("logged in"), playing: () => told.push("playing"),
  });
  const one = await playing(b, client);
  await one.say(numbered(2, 70, unhex("02")), frame(0, 71, unhex("aa")));
  const arrived = client.request(80, unhex("01"));
  const lost = client.request(80, unhex("02"));
  const first = await one.until(isRequest(80));
  await lose(b, client, one);
  assert.equal(b.wait(), 25, "at once: 0 to 50 ms");
  assert.equal(client.describe(), "reconnecting in 1 s: the connection was lost");
  const meanwhile = client.request(80, unhex("03"));
  client.push(64, unhex("ff")); // pushes are lost with the connection
  b.again();
  const two = await b.peer(1);
  // message 2 is repeated, 3 is new, and answers the first request; the second never came
  assert.equal(await resume(two, { lastRequest: first.id }, [
    numbered(2, 70, unhex("02")), numbered(3, 70, unhex("03")), frame(2 | 8, 80, unhex("a1"), first.id, 4), ticket(5, "B"),
  ]), 2);
  assert.equal(hex(await arrived), "a1");
  await two.until(isAck(5));
  const sent = two.frames.filter((f) => f.type === FrameType.request).map((f) => [f.id, hex(f.payload)]);
  assert.deepEqual(sent, [[first.id + 1, "02"], [first.id + 2, "03"]], "the same id again, then what was asked in between");
  await two.say(frame(2 | 8, 80, unhex("a3"), first.id + 2, 6), frame(3 | 8, 80, encodeError({ code: 1001, message: "no", retryAfterMs: 0 }), first.id + 1, 7));
  assert.equal(hex(await meanwhile), "a3");
  await assert.rejects(lost, (e) => e instanceof RequestError && e.code === 1001 && !e.mayHaveActed);
  assert.deepEqual(pushes, ["70 02", "71 aa", "70 03"]);
  assert.deepEqual(told, ["opened", "logged in", "playing", "opened", "resumed"]);
  assert.deepEqual([boots, client.reconnects, client.resumes, client.losses, two.frames.some((f) => f.route === 64)], [1, 1, 1, 0, false]);
  client.stop();
});

test("a second loss waits, longer each time, until a session was steady; the ticket is always the newest", async () => {
  let now = 0;
  const b = bench({ now: () => now }, [{}, { tickets: taking("A") }, { tickets: taking() }, { tickets: taking() }, { tickets: taking("B") }]);
  const client = b.client();
  const one = await playing(b, client);
  await lose(b, client, one);
  b.again();
  const two = await b.peer(1);
  await resume(two, {}, [ticket(2, "B")]);
  await two.until(isAck(2));
  await lose(b, client, two);
  const waits = [b.wait()];
  for (const n of [2, 3]) {
    b.again();
    await lose(b, client, await b.peer(n)); // before any handshake
    waits.push(b.wait());
  }
  assert.deepEqual(waits, [250, 500, 1000], "full jitter: half of the most here");
  b.again();
  const five = await b.peer(4);
  await resume(five, {});
  await b.when(() => client.state === "playing");
  now += 6000;
  await lose(b, client, five, 4003);
  assert.equal(b.wait(), 25);
  assert.deepEqual([client.resumes, client.losses], [2, 0]);
  client.stop();
});

test("a client that has never been in a session backs off from the first failure on", async () => {
  const b = bench();
  const client = b.client();
  client.start();
  const waits: number[] = [];
  for (let n = 0; n < 3; n++) {
    await lose(b, client, await b.peer(n), n === 1 ? 4004 : 1006);
    waits.push(b.wait());
    assert.match(client.describe(), n === 1 ? /overloaded/ : /the connection was lost/);
    b.again();
  }
  assert.deepEqual(waits, [250, 500, 1000]);
  client.stop();
});

test("a session that its server no longer has: the program is told, and the same connection logs in anew", async () => {
  let boots = 0;
  const b = bench({ bootstrap: async () => ({ ...boot, token: `token ${++boots}` }) }, [{}, { tickets: taking("A") }]);
  const told: string[] = [];
  const client = b.client({ notRecovered: (reason) => told.push(reason), loggedIn: () => told.push("logged in"), resumed: () => told.push("resumed") });
  const one = await playing(b, client);
  const open = client.request(80, unhex("01"));
  await one.until(isRequest(80));
  await lose(b, client, one);
  const unsent = client.request(81, unhex("02"));
  b.again();
  const two = await b.peer(1);
  await resume(two, { recovered: false, reason: "the server was started anew" });
  await assert.rejects(open, (e) => e instanceof RequestError && e.mayHaveActed && /started anew/.test(e.message));
  assert.equal(await logIn(two, false, [ticket(1, "C")]), "token 2");
  await two.until(isAck(1));
  const [login, late] = [await two.until(isLogin), await two.until(isRequest(81))];
  assert.ok(login.id > 2 && late.id > login.id, "ids go on");
  await two.say(frame(2 | 8, 81, unhex("a2"), late.id, 2));
  assert.equal(hex(await unsent), "a2");
  assert.deepEqual(told, ["logged in", "the server was started anew", "logged in"]);
  assert.deepEqual([client.state, client.losses, client.resumes, client.reconnects], ["playing", 1, 0, 1]);
  client.stop();
});

test("a refused ticket: the program is told, and a login with suite 1 follows at once", async () => {
  const b = bench({}, [{}, { tickets: taking() }]);
  const told: string[] = [];
  const client = b.client({ notRecovered: (reason) => told.push(reason) });
  const one = await playing(b, client);
  await lose(b, client, one);
  b.again();
  const two = await b.peer(1);
  await b.when(() => client.state === "reconnecting");
  assert.deepEqual([two.suite, two.refused, told], [2, true, ["the server no longer takes the ticket"]]);
  assert.equal(b.wait(), 25);
  b.again();
  const three = await b.peer(2);
  await logIn(three);
  await b.when(() => client.state === "playing");
  assert.equal(three.suite, 1);
  client.stop();
});

test("a token that cannot be had ends the client after a session was not recovered", async () => {
  let refuse = false;
  const b = bench({ bootstrap: async () => {
    if (refuse) throw new RefusedError("sign in again");
    return boot;
  } }, [{}, { tickets: taking("A") }]);
  const client = b.client();
  const one = await playing(b, client);
  refuse = true;
  await lose(b, client, one);
  b.again();
  await resume(await b.peer(1), { recovered: false });
  await b.when(() => client.state === "ended");
  assert.equal(client.describe(), "disconnected: sign in again");
  await assert.rejects(client.request(80, unhex("")), /not started/);
});

test("after the time that the server waits, or without a ticket, a client logs in anew without trying", async () => {
  let now = 0;
  const b = bench({ now: () => now });
  const told: string[] = [];
  const client = b.client({ notRecovered: (reason) => told.push(reason) });
  const one = await playing(b, client, 60_000);
  await lose(b, client, one);
  now += 60_000 + 30_000 + 1; // the server may notice the loss only after its idle timeout
  b.again();
  const two = await b.peer(1);
  await logIn(two);
  await b.when(() => client.state === "playing");
  assert.deepEqual([two.suite, told], [1, ["it took too long to come back"]]);
  await lose(b, client, two);
  assert.equal(told[1], "the connection was lost before a ticket had come");
  client.stop();
});

test("goaway: the client plays on for the time it is given, then resumes elsewhere; gateways take turns", async () => {
  const urls = ["wss://one.example/ws", "wss://two.example/ws", "wss://three.example/ws"];
  const b = bench({ bootstrap: async () => ({ ...boot, ws: urls }) }, [{}, { tickets: taking("A") }]);
  const told: number[] = [];
  const client = b.client({ goaway: (g) => told.push(g.reconnectAfterMs) });
  const one = await playing(b, client);
  await one.say(encodeControl(Control.goaway, encodeGoaway({ reason: "bye", reconnectAfterMs: 2000 })), numbered(2, 70, unhex("")));
  await one.until(isAck(2));
  assert.deepEqual([client.state, told], ["playing", [2000]]);
  const timer = b.timer(2000);
  assert.equal(timer.cancelled, false);
  timer.job();
  await b.when(() => client.state === "reconnecting");
  assert.match(client.describe(), /the server is shutting down/);
  b.again();
  const two = await b.peer(1);
  await resume(two, {});
  await b.when(() => client.state === "playing");
  client.drop();
  b.again();
  await b.peer(2);
  assert.deepEqual(b.peers.map((p) => p.rules.url), urls);
  client.stop();
});

test("keys are asked for again when the server has a new one, or no gateway answers; who gives them may be away meanwhile", async () => {
  let boots = 0;
  let away = false;
  const b = bench({ bootstrap: async () => {
    boots++;
    if (away) throw new Error("away");
    return boot;
  } });
  const client = b.client();
  const one = await playing(b, client);
  await lose(b, client, one);
  b.again();
  const two = await b.peer(1);
  two.send = () => two.deliver(unhex("500100"));
  await b.when(() => client.state === "reconnecting");
  assert.match(client.describe(), /the server has a new key/);
  assert.equal(boots, 1);
  away = true;
  b.again();
  await b.peer(2); // with the keys that it has
  assert.equal(boots, 2);
  client.stop();
});

test("a queue: places are told, the world begins at place 0, and a resume keeps the place", async () => {
  const b = bench({}, [{}, { tickets: taking("A") }]);
  const places: number[] = [];
  const told: string[] = [];
  const client = b.client({ queue: (q) => places.push(q.position), playing: (l) => told.push(`playing ${l.name}`), loggedIn: (l) => told.push(`queued ${l.queued}`) });
  client.start();
  const one = await b.peer(0);
  const place = (position: number, length: number, etaMs: number) => encodeControl(Control.queue, encodeQueue({ position, length, etaMs }));
  await logIn(one, true, [ticket(1, "A"), place(3, 10, 20_000)]);
  await one.until(isAck(1));
  assert.deepEqual([client.state, client.describe()], ["queued", "waiting to be let in: place 3 of 10, about 20 s"]);
  await lose(b, client, one);
  b.again();
  const two = await b.peer(1);
  await resume(two, { queued: true }, [place(2, 9, 0)]);
  await b.when(() => client.describe() === "waiting to be let in: place 2 of 9");
  await two.say(place(0, 8, 0));
  await b.when(() => client.state === "playing");
  assert.deepEqual([places, told], [[3, 2, 0], ["queued true", "playing n"]]);
  client.stop();
});

test("a warning is told; kicks and terminal codes end the client in words; a token that is refused too", async () => {
  for (const [code, words] of [[4507, /signed in elsewhere/], [4510, /shut this player out/], [4511, /too much after a warning/], [4512, /over another connection/]] as const) {
    const b = bench();
    const warnings: string[] = [];
    const client = b.client({ warning: (w) => warnings.push(w.message) });
    const one = await playing(b, client);
    await one.say(encodeControl(Control.warning, encodeWarning({ code: 5, message: "slow down" })), encodeControl(Control.kick, encodeKick({ code, reason: "" })));
    await lose(b, client, one, 1000); // the KICK inside the channel counts, not the close code outside
    assert.equal(client.state, "ended");
    assert.match(client.describe(), words);
    assert.deepEqual(warnings, ["slow down"]);
  }
  const b = bench();
  const client = b.client();
  client.start();
  const one = await b.peer(0);
  const login = await one.until(isLogin);
  await one.say(frame(3, 32, encodeError({ code: 6, message: "expired", retryAfterMs: 0 }), login.id));
  await b.when(() => client.state === "ended");
  assert.equal(client.describe(), "disconnected: the login token was refused");
  assert.match(client.errors.at(-1)!, /unauthorized: expired/);
});

test("a login that is refused for now is tried again when the server says", async () => {
  const b = bench();
  const client = b.client();
  client.start();
  const one = await b.peer(0);
  const login = await one.until(isLogin);
  await one.say(frame(3, 32, encodeError({ code: 7, message: "full", retryAfterMs: 7000 }), login.id));
  await b.when(() => client.state === "reconnecting");
  assert.equal(b.wait(), 7000);
  client.stop();
});

test("a gap in the numbers ends the connection, and the session is resumed from before it; JSON ends the client", async () => {
  const b = bench({}, [{}, { tickets: taking("A") }]);
  const client = b.client();
  const one = await playing(b, client);
  await one.say(numbered(3, 70, unhex("")));
  await b.when(() => client.state === "reconnecting");
  assert.match(client.errors.at(-1)!, /numbered message 3 after 1: what lies between is missing/);
  b.again();
  const two = await b.peer(1);
  assert.equal(await resume(two, {}), 1);
  await b.when(() => client.state === "playing");
  await two.say(frame(0x20, 70, new TextEncoder().encode("{}")));
  await b.when(() => client.state === "ended");
  assert.match(client.errors.at(-1)!, /the server sent JSON, which this client never asks for/);
});

test("RESUME that is not answered ends the connection, which is tried again; what the server says instead is refused", async () => {
  const b = bench({}, [{}, { tickets: taking("A") }, { tickets: taking("A") }]);
  const client = b.client();
  const one = await playing(b, client);
  await lose(b, client, one);
  b.again();
  await (await b.peer(1)).until((f) => f.route === Control.resume);
  const timer = b.timer(5000);
  timer.job();
  await b.when(() => client.state === "reconnecting");
  assert.match(client.errors.at(-1)!, /did not answer RESUME/);
  b.again();
  const three = await b.peer(2);
  await three.until((f) => f.route === Control.resume);
  await three.say(numbered(2, 70, unhex("")));
  await b.when(() => client.state === "reconnecting");
  assert.match(client.errors.at(-1)!, /numbered message 2 outside of a session/);
  client.stop();
});

test("a server that falls silent is given up", async (t) => {
  let ping = (): void => assert.fail("no pings");
  const real = globalThis.setInterval;
  t.after(() => (globalThis.setInterval = real));
  globalThis.setInterval = ((job: () => void) => {
    ping = job;
    return 0;
  }) as unknown as typeof setInterval;
  const pass = (seconds: number): void => {
    for (let i = 0; i < seconds; i++) ping();
  };
  const b = bench();
  const client = b.client();
  const one = await playing(b, client);
  pass(9);
  await one.say(frame(0, 71, unhex("")));
  await one.until((f) => f.type === FrameType.control && f.route === Control.ping);
  pass(10);
  assert.equal(client.state, "playing");
  pass(1);
  assert.equal(client.state, "reconnecting");
  assert.match(client.describe(), /nothing was heard of the server for too long/);
  client.stop();
});

test("while nobody gives out tokens a client without a session says so, and asks on with back-off", async () => {
  let now = 0;
  let away = false;
  const b = bench({ now: () => now, bootstrap: async () => {
    if (away) throw new Error("the world server is away; try again"); // what a gateway without a server answers with 503
    return boot;
  } });
  const client = b.client();
  const one = await playing(b, client, 0);
  now += 6000;
  await lose(b, client, one, 4003);
  assert.equal(client.describe(), "reconnecting in 1 s: the world server is away");
  away = true;
  now += 31_000;
  const waits = [];
  for (let i = 0; i < 7; i++) {
    b.again();
    await b.when(() => client.state === "reconnecting");
    assert.match(client.describe(), /the world server is away; try again$/);
    waits.push(b.wait());
  }
  assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 5000, 5000]);
  away = false;
  b.again();
  await logIn(await b.peer(1));
  await b.when(() => client.state === "playing");
  client.stop();
});
