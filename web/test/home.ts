/**
 * A session's server for tests, written from the protocol's rules and not from the client: it numbers, keeps what is not acknowledged, issues tickets
 * and spends them, and holds the client to its own part. And a world around both: links that lose what is under way when they are cut, at any byte of
 * any record, and time that passes when the test says so.
 */
import assert from "node:assert/strict";
import { type Bytes, ByteReader, ByteWriter, concat, hex } from "../sdk/bytes.ts";
import { Control, decodeFrames, encodeControl, type Frame, FrameType } from "../sdk/frames.ts";
import { decodeLoginRequest, decodeResume, encodeError, encodeLoginResponse, encodeResumed, encodeTicket, Route } from "../sdk/gen/mmo.ts";
import type { Session, Wire } from "../sdk/session.ts";

export const PUSH = 64; // numbered; its payload counts from 1
export const LATEST = 65; // not numbered
export const ASK = 66; // answered with its own payload, odd ones with an error

/** Chance is a small generator of numbers: the same seed, the same story. */
export class Chance {
  constructor(private seed: number) {}

  /** below n, whole. */
  below(n: number): number {
    this.seed = (this.seed + 0x6d2b79f5) | 0;
    let t = Math.imul(this.seed ^ (this.seed >>> 15), this.seed | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % n;
  }
}

/** Time passes by hand. */
export class Time {
  ms = 0;
  private readonly jobs: { at: number; job: () => void }[] = [];

  readonly now = (): number => this.ms;

  readonly after = (ms: number, job: () => void): (() => void) => {
    const entry = { at: this.ms + ms, job };
    this.jobs.push(entry);
    return () => {
      const i = this.jobs.indexOf(entry);
      if (i >= 0) this.jobs.splice(i, 1);
    };
  };

  pass(ms: number): void {
    this.ms += ms;
    for (;;) {
      const due = this.jobs.filter((j) => j.at <= this.ms).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) return;
      this.jobs.splice(this.jobs.indexOf(due), 1);
      due.job();
    }
  }
}

/** Pipe is one direction of a link: bytes under way. */
class Pipe {
  private under: Bytes = new Uint8Array(0);
  private arrived: Bytes = new Uint8Array(0);

  get waiting(): number {
    return this.under.length;
  }

  put(record: Bytes): void {
    this.under = concat(this.under, new ByteWriter().u32(record.length).bytes(record).done());
  }

  /** move lets n bytes arrive, and gives the records that are whole then. */
  move(n: number): Bytes[] {
    this.arrived = concat(this.arrived, this.under.subarray(0, n));
    this.under = this.under.slice(n);
    const whole: Bytes[] = [];
    for (;;) {
      const r = new ByteReader(this.arrived);
      if (r.left < 4) return whole;
      const length = r.u32();
      if (r.left < length) return whole;
      whole.push(r.bytes(length).slice());
      this.arrived = this.arrived.slice(4 + length);
    }
  }
}

/** Link is a connection of both sides; the client's end is a {@link Wire}. */
export class Link implements Wire {
  readonly up = new Pipe();
  readonly down = new Pipe();
  /** state of the server's side: what it waits for. */
  waitsFor: "login" | "resume" | "anything" = "login";
  home: Life | undefined;
  /** woken: the client's end has something to send, perhaps only an ACK. */
  woken = false;
  private frames: Bytes[] = [];

  constructor(private readonly session: Session) {}

  send(frame: Bytes): void {
    this.frames.push(frame);
    this.woken = true;
  }

  wake(): void {
    this.woken = true;
  }

  /** flush is the end of a turn: what the client has for the server leaves in one record. */
  flush(): void {
    this.woken = false;
    const tail = this.session.tail();
    const frames = tail === undefined ? this.frames : [...this.frames, tail];
    this.frames = [];
    if (frames.length > 0) this.up.put(concat(...frames));
  }
}

const framed = (head: number, seq: number | undefined, route: number, id: number | undefined, payload: Bytes): Bytes => {
  const w = new ByteWriter().u8(head | (seq === undefined ? 0 : 8)).uvarint(route);
  if (id !== undefined) w.uvarint(id);
  if (seq !== undefined) w.uvarint(seq);
  return w.uvarint(payload.length).bytes(payload).done();
};

/** Life is a session as its server knows it. */
export class Life {
  /** outbox holds what is numbered and not acknowledged. */
  readonly outbox: { seq: number; frame: Bytes }[] = [];
  seq = 0;
  acked = 0;
  lastRequest: number;
  pushes = 0;
  link: Link | undefined;
  /** answers are due, in any order. */
  readonly answers: Frame[] = [];
  /** spentBelow: tickets of a lower generation no longer work. */
  spentBelow = 0;
  generation = 0;
  readonly ticketAt: number[] = []; // seq of the message that carried the ticket of a generation
  alive = true;

  constructor(readonly id: number, loginRequest: number) {
    this.lastRequest = loginRequest;
  }

  /** say numbers a message, and sends it if there is anybody. */
  say(make: (seq: number) => Bytes): void {
    const seq = ++this.seq;
    const frame = make(seq);
    this.outbox.push({ seq, frame });
    this.link?.down.put(frame);
  }

  ack(seq: number): void {
    assert.ok(seq >= this.acked && seq <= this.seq, `ack of ${seq}, after ${this.acked}, of ${this.seq}`);
    this.acked = seq;
    while (this.outbox.length > 0 && this.outbox[0]!.seq <= seq) this.outbox.shift();
    while (this.generation > this.spentBelow + 1 && this.ticketAt[this.spentBelow + 1]! <= seq) this.spentBelow++;
  }

  issue(): void {
    const generation = this.generation++;
    const ticket = new ByteWriter().u32(this.id).u32(generation).done();
    this.ticketAt[generation] = this.seq + 1;
    this.say((seq) => framed(0, seq, Route.ticket, undefined, encodeTicket({ ticket, secret: new Uint8Array(32).fill(7), lingerMs: 60_000 })));
  }
}

/** Home is the server. */
export class Home {
  readonly lives: Life[] = [];
  /** done counts how often each request was carried out, by its payload. */
  readonly done = new Map<string, number>();
  private lastId = 0; // of all requests of this client, whatever the session

  constructor(private readonly chance: Chance) {}

  get current(): Life | undefined {
    return this.lives.at(-1);
  }

  /** redeem is the handshake of suite 2: false is a REJECT. */
  redeem(link: Link, ticket: Bytes): boolean {
    const r = new ByteReader(ticket);
    const [id, generation] = [r.u32(), r.u32()];
    const life = this.lives[id]!;
    if (life.alive) assert.ok(generation >= life.spentBelow, "a client that is offered a ticket, and says so, uses the old one no more");
    else if (this.chance.below(2) === 0) return false; // the one server refuses it, the other lets RESUME find out
    link.home = life;
    link.waitsFor = "resume";
    return true;
  }

  /** take is a record of the client's. */
  take(link: Link, record: Bytes): void {
    decodeFrames(record).forEach((f, n) => {
      if (link.waitsFor === "resume") {
        assert.ok(f.type === FrameType.control && f.route === Control.resume && n === 0, "RESUME is the first frame of the first record");
        this.resume(link, decodeResume(f.payload).lastSeq);
      } else if (link.waitsFor === "login") {
        assert.ok(f.type === FrameType.request && f.route === Route.login, `frame type ${f.type}, route ${f.route} before the login`);
        this.login(link, f);
      } else this.frame(link.home!, f, link);
    });
  }

  private login(link: Link, f: Frame): void {
    this.ascend(f.id);
    assert.equal(decodeLoginRequest(f.payload).token, "tok");
    const old = this.current;
    if (old !== undefined) this.end(old); // one session per player
    const life = new Life(this.lives.length, f.id);
    this.lives.push(life);
    link.home = life;
    life.link = link;
    link.waitsFor = "anything";
    link.down.put(framed(2, undefined, Route.login, f.id, encodeLoginResponse({ sessionId: BigInt(life.id + 1), playerId: 1n, name: "n", rights: [], server: "", queued: false })));
    life.issue();
  }

  private resume(link: Link, last: number): void {
    const life = link.home!;
    const say = (recovered: boolean): void => link.down.put(encodeControl(Control.resumed, encodeResumed({
      recovered, sessionId: BigInt(life.id + 1), lastRequest: recovered ? life.lastRequest : 0, queued: false, reason: recovered ? "" : "its server is gone",
    })));
    if (!life.alive) {
      link.waitsFor = "login";
      link.home = undefined;
      return say(false);
    }
    if (life.link !== undefined) life.link.waitsFor = "anything"; // that one is over; what is still under way on it reaches nobody
    if (life.link !== undefined) life.link.home = undefined;
    life.link = link;
    link.waitsFor = "anything";
    say(true);
    const from = last - this.chance.below(3); // a careful server may repeat a little
    for (const { seq, frame } of life.outbox) if (seq > from) link.down.put(frame);
    life.ack(last);
    life.issue();
  }

  private frame(life: Life | undefined, f: Frame, link: Link): void {
    if (life === undefined || life.link !== link) return;
    if (f.type === FrameType.ack) return life.ack(f.seq!);
    if (f.type !== FrameType.request) return;
    this.ascend(f.id);
    assert.ok(f.id > life.lastRequest, `request ${f.id} after ${life.lastRequest} has come already`);
    life.lastRequest = f.id;
    const key = hex(f.payload);
    this.done.set(key, (this.done.get(key) ?? 0) + 1);
    life.answers.push(f);
  }

  /** ascend: what has come is above all that came before; what was lost on the way may come again. */
  private ascend(id: number): void {
    assert.ok(id > this.lastId, `request ${id} after ${this.lastId}`);
    this.lastId = id;
  }

  /** answer gives one of the answers that are due. */
  answer(life: Life): void {
    if (life.answers.length === 0) return;
    const [f] = life.answers.splice(this.chance.below(life.answers.length), 1);
    const odd = f!.payload[0]! % 2 === 1;
    const payload = odd ? encodeError({ code: 1000, message: hex(f!.payload), retryAfterMs: 0 }) : f!.payload;
    life.say((seq) => framed(odd ? 3 : 2, seq, f!.route, f!.id, payload));
  }

  push(life: Life): void {
    const n = ++life.pushes;
    life.say((seq) => framed(0, seq, PUSH, undefined, new ByteWriter().u32(life.id).u32(n).done()));
  }

  latest(life: Life): void {
    life.link?.down.put(framed(0, undefined, LATEST, undefined, new Uint8Array(3)));
  }

  /** end: the session's server dies, or the session has waited for too long. */
  end(life: Life): void {
    life.alive = false;
    if (life.link !== undefined) life.link.home = undefined;
    life.link = undefined;
  }
}
