/** The session alone: frames in, frames out, time by hand. Random stories of it are in model.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bytes, hex, MalformedError, unhex } from "../sdk/bytes.ts";
import { Control, decodeFrames, encodeControl, FrameType } from "../sdk/frames.ts";
import { decodeResume, encodeError, encodeTicket } from "../sdk/gen/mmo.ts";
import { Backoff } from "../sdk/policy.ts";
import { RequestError } from "../sdk/requests.ts";
import { type LinkRules, Session, UnreadableError, type Wire } from "../sdk/session.ts";
import { Time } from "./home.ts";
import { frame, numbered, resumed, ticket } from "./peer.ts";

const rules: LinkRules = { ackEvery: 4, ackAfterMs: 100, idleTimeoutMs: 30_000 };

class Paper implements Wire {
  frames: Bytes[] = [];
  wakes = 0;
  send(frame: Bytes): void {
    this.frames.push(frame);
  }
  wake(): void {
    this.wakes++;
  }
}

function bench() {
  const time = new Time();
  const told: string[] = [];
  const session = new Session({
    loggedIn: () => told.push("logged in"), resumed: () => told.push("resumed"), notRecovered: (reason) => told.push(`lost: ${reason}`),
    push: (route, payload) => told.push(`${route} ${hex(payload)}`), refused: (route, e) => told.push(`refused ${route}: ${e.message}`),
    queue: (q) => told.push(`place ${q.position}`), warning: (w) => told.push(w.message), goaway: (g) => told.push(g.reason),
  }, { now: time.now, after: time.after });
  const hear = (...frames: Bytes[]): void => frames.forEach((f) => session.receive(decodeFrames(f)[0]!));
  /** live brings it to life on a wire, with the first request's id used. */
  const live = (wire = new Paper()): Paper => {
    assert.deepEqual(session.attach(wire, rules), []);
    void session.login({ token: "t", client: "c" });
    hear(frame(2, 32, unhex("0801"), decodeFrames(wire.frames[0]!)[0]!.id));
    wire.frames = [];
    return wire;
  };
  return { time, told, session, hear, live };
}

test("an ACK leaves after so many messages, or so long after the first, or along with anything else, and only then", () => {
  const { time, session, hear, live } = bench();
  const wire = live();
  assert.equal(session.tail(), undefined);
  hear(numbered(1, 70, unhex("")), numbered(2, 70, unhex("")), numbered(3, 70, unhex("")));
  assert.equal(wire.wakes, 0);
  time.pass(99);
  assert.equal(wire.wakes, 0);
  time.pass(1);
  assert.equal(wire.wakes, 1, "by time");
  assert.equal(hex(session.tail()!), "0403");
  hear(numbered(4, 70, unhex("")));
  time.pass(50);
  assert.equal(hex(session.tail()!), "0404", "riding along");
  time.pass(1000);
  assert.equal(wire.wakes, 1, "which leaves nothing to do");
  hear(...[5, 6, 7, 8].map((n) => numbered(n, 70, unhex(""))));
  assert.equal(wire.wakes, 2, "by count");
  assert.deepEqual([hex(session.tail()!), session.tail()], ["0408", undefined]);
  hear(frame(0, 71, unhex(""))); // no number
  assert.equal(session.tail(), undefined);
  hear(numbered(8, 70, unhex(""))); // a repetition: its ACK has been lost
  time.pass(100);
  assert.equal(hex(session.tail()!), "0408");
});

test("a repetition is ignored, a gap and a number outside of a session are refused", () => {
  const { session, hear } = bench();
  session.attach(new Paper(), rules);
  assert.throws(() => hear(numbered(1, 70, unhex(""))), /outside of a session/);
  const other = bench();
  other.live();
  other.hear(numbered(1, 70, unhex("01")), numbered(1, 70, unhex("01")), numbered(2, 70, unhex("02")), numbered(1, 70, unhex("01")));
  assert.deepEqual(other.told, ["logged in", "70 01", "70 02"]);
  assert.throws(() => other.hear(numbered(4, 70, unhex(""))), MalformedError);
  assert.equal(other.session.lastSeq, 2);
  assert.throws(() => other.hear(resumed({})), /RESUMED without a RESUME/);
});

test("a message whose handler throws is not met again", () => {
  const { time } = bench();
  let calls = 0;
  const session = new Session({
    loggedIn: () => undefined, resumed: () => undefined, notRecovered: () => undefined, refused: () => undefined, queue: () => undefined, warning: () => undefined,
    goaway: () => undefined,
    push: () => {
      calls++;
      throw new Error("a mistake of the game's");
    },
  }, { now: time.now, after: time.after });
  const wire = new Paper();
  session.attach(wire, rules);
  void session.login({ token: "t", client: "c" });
  session.receive(decodeFrames(frame(2, 32, unhex("0801"), 1))[0]!);
  for (let i = 0; i < 2; i++) {
    try {
      session.receive(decodeFrames(numbered(1, 70, unhex("")))[0]!);
    } catch {
      // the connection would end
    }
  }
  assert.deepEqual([calls, session.lastSeq], [1, 1]);
});

test("RESUME says the last number; a resumption lasts for the time that the server waits, and some more", () => {
  const { time, told, session, hear, live } = bench();
  const wire = live();
  assert.equal(session.resumption, undefined, "not while it lives");
  hear(ticket(1, "A", 60_000), numbered(2, 70, unhex("")));
  session.detach(new Paper()); // another wire's end is nobody's business
  assert.equal(session.phase, "live");
  session.detach(wire);
  assert.equal(hex(session.resumption!.ticket), "41");
  time.pass(90_000);
  assert.ok(session.resumption);
  const next = new Paper();
  const [first] = session.attach(next, rules);
  assert.equal(decodeResume(decodeFrames(first!)[0]!.payload).lastSeq, 2);
  assert.throws(() => session.attach(new Paper(), rules), /one connection at a time/);
  session.detach(next); // before an answer: the server may have heard it, and waits anew
  time.pass(90_000);
  assert.ok(session.resumption);
  time.pass(1);
  assert.equal(session.resumption, undefined);
  session.forget("too late");
  session.forget("twice is once");
  assert.deepEqual(told.slice(1), ["70 ", "lost: too late"]);
});

test("tickets of a wrong size are refused", () => {
  for (const bad of [{ ticket: new Uint8Array(0), secret: new Uint8Array(32) }, { ticket: new Uint8Array(257), secret: new Uint8Array(32) }, { ticket: new Uint8Array(9), secret: new Uint8Array(16) }]) {
    const b = bench();
    b.live();
    assert.throws(() => b.hear(numbered(1, 37, encodeTicket({ ...bad, lingerMs: 1 }))), MalformedError);
  }
});

test("JSON is refused by name on every type that may carry it", () => {
  const b = bench();
  b.live();
  const json = new TextEncoder().encode("{}");
  for (const f of [frame(0x20, 70, json), frame(0x22, 70, json, 2), frame(0x23, 70, json, 2), frame(0x25, Control.kick, json), frame(0x28, 70, json, undefined, 1)]) {
    assert.throws(() => b.hear(f), UnreadableError);
  }
});

test("requests: a bound, deadlines told apart, errors that answer none, and an end for all", async () => {
  const { time, told, session, hear, live } = bench();
  const early = session.request(80, unhex("01"), 1000);
  time.pass(1000);
  await assert.rejects(early, (e) => e instanceof RequestError && !e.mayHaveActed && /not sent within 1000 ms/.test(e.message));
  const wire = live();
  const late = session.request(80, unhex("02"), 1000);
  time.pass(1000);
  await assert.rejects(late, (e) => e instanceof RequestError && e.mayHaveActed && /no answer within 1000 ms/.test(e.message));
  hear(frame(2 | 8, 80, unhex("aa"), 2, 1)); // its answer comes after all
  assert.equal(session.lastSeq, 1);
  hear(frame(3 | 8, 64, encodeError({ code: 5, message: "slow down", retryAfterMs: 0 }), 0, 2));
  assert.deepEqual(told, ["logged in", "refused 64: rate_limited: slow down"]);
  const away = session.request(80, unhex("03"));
  const { id } = decodeFrames(wire.frames.at(-1)!)[0]!;
  hear(frame(3 | 8, 80, encodeError({ code: 10, message: "the shop is away", retryAfterMs: 0 }), id, 3));
  await assert.rejects(away, (e) => e instanceof RequestError && e.mayHaveActed && e.code === 10);
  const waiting = Array.from({ length: 1024 }, () => session.request(80, unhex("04")));
  await assert.rejects(session.request(80, unhex("05")), /1024 requests wait/);
  assert.equal(wire.frames.filter((f) => decodeFrames(f)[0]!.type === FrameType.request).length, 1024 + 2);
  session.close("you left");
  for (const w of await Promise.allSettled(waiting)) assert.ok(w.status === "rejected" && /you left/.test(w.reason.message));
});

test("a login needs a secured connection without a session, and ends with its connection", async () => {
  const { session, live } = bench();
  await assert.rejects(session.login({ token: "", client: "" }), /needs a secured connection/);
  const wire = new Paper();
  session.attach(wire, rules);
  const login = session.login({ token: "", client: "" });
  session.detach(wire);
  await assert.rejects(login, /the connection ended/);
  live();
  await assert.rejects(session.login({ token: "", client: "" }), /needs a secured connection/);
});

test("control frames of a later version are passed over", () => {
  const b = bench();
  b.live();
  b.hear(encodeControl(31, unhex("0801")));
  assert.deepEqual(b.told, ["logged in"]);
});

test("back-off: at once, then doubling to ten seconds, and from the start again after a steady session", () => {
  const b = new Backoff();
  b.live(0);
  assert.deepEqual([0, 1, 2, 3, 4, 5, 6, 7].map(() => b.next(100, 1)), [50, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
  b.live(3200);
  assert.equal(b.next(5199, 1), 10_000, "it came and went");
  b.live(6000);
  assert.equal(b.next(11_000, 1), 50);
  assert.equal(b.next(11_000, 0), 0);
});
