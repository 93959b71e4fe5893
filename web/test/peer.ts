/** A server in memory for tests of the whole client: sockets, frames, and timers that are worked by hand. */
import assert from "node:assert/strict";
import type { Bootstrap } from "../sdk/bootstrap.ts";
import { type Bytes, ByteWriter, concat, hex, unhex } from "../sdk/bytes.ts";
import { Client, type ClientConfig, type ClientEvents } from "../sdk/client.ts";
import type { Socket } from "../sdk/connection.ts";
import { Control, decodeFrames, encodeControl, type Frame, FrameType } from "../sdk/frames.ts";
import { decodeLoginRequest, decodeResume, encodeLoginResponse, encodeResumed, encodeTicket, type Resumed } from "../sdk/gen/mmo.ts";
import { FINGERPRINT } from "../sdk/gen/plains.ts";
import { Opener, Sealer } from "../sdk/records.ts";
import { webCryptoSuite } from "../sdk/suite.ts";
import { helloPayload, respond, signedCert } from "./encoder.ts";

export const suite = (await webCryptoSuite())!;
export const schema = unhex(FINGERPRINT);
const staticPrivate = new Uint8Array(32).fill(5);
const { root, cert } = await signedCert(suite, staticPrivate);
export const boot: Bootstrap = { realm: "dev", root, cert, token: "tok", ws: "/ws", fingerprint: schema, build: "test" };

/** PeerRules say how a peer greets. tickets it takes, by their hexadecimal, with their secrets. */
export interface PeerRules {
  schema?: Bytes;
  tickets?: Map<string, Bytes>;
  ackEvery?: number;
  url?: string;
}

/** Peer is a socket with the server behind it, in memory; frames arrive at `frames`, and waiters wake when they do. */
export class Peer implements Socket {
  binaryType = "";
  protocol = "mmo.v1";
  onopen: ((e: any) => void) | null = null;
  onmessage: ((e: { data: unknown }) => void) | null = null;
  onclose: ((e: { code: number; reason: string }) => void) | null = null;
  onerror: ((e: any) => void) | null = null;
  readonly frames: Frame[] = [];
  /** first are the frames of the first record. */
  first: Frame[] | undefined;
  records = 0;
  /** theirs is the fingerprint that the client said, suite the one it chose. */
  theirs = "";
  suite = 0;
  refused = false;
  closedWith: number | undefined;
  private sealer: Sealer | undefined;
  private opener: Opener | undefined;
  private wake: (() => void)[] = [];
  private queue: Promise<void> = Promise.resolve();

  constructor(readonly rules: PeerRules) {
    setImmediate(() => this.onopen?.({}));
  }

  send(data: Bytes): void {
    this.queue = this.queue.then(() => this.receive(data.slice()));
  }

  private async receive(data: Bytes): Promise<void> {
    if (this.sealer === undefined) {
      this.suite = data[1]!;
      await this.greet(data);
      return;
    }
    this.records++;
    const frames = decodeFrames(await this.opener!.open(data));
    this.first ??= frames;
    this.frames.push(...frames);
    for (const w of this.wake.splice(0)) w();
  }

  private async greet(hs1: Bytes): Promise<void> {
    const hello = helloPayload({ schema: this.rules.schema ?? schema, rekeyRecords: 4, ackEvery: this.rules.ackEvery ?? 1 });
    const r = await respond(suite, hs1, staticPrivate, "dev", hello, (t) => this.rules.tickets?.get(hex(t))).catch((e) => {
      if (!(e instanceof RangeError)) throw e;
    });
    if (r === undefined) {
      this.refused = true;
      this.deliver(unhex("500600"));
      return;
    }
    this.theirs = hex(r.payload1.subarray(16));
    const rule = { records: 4, bytes: 1 << 26 };
    this.sealer = await Sealer.create(suite, r.keyS2C, rule);
    this.opener = await Opener.create(suite, r.keyC2S, rule);
    this.deliver(r.hs2);
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

// ---- what a server says ---------------------------------------------------------------------------------------------------------

/** frame writes a frame with the head given; id for requests and answers, seq for what is numbered (0x08 in the head). */
export function frame(head: number, route: number, payload: Bytes, id?: number, seq?: number): Bytes {
  const w = new ByteWriter().u8(head).uvarint(route);
  if (id !== undefined) w.uvarint(id);
  if (seq !== undefined) w.uvarint(seq);
  return w.uvarint(payload.length).bytes(payload).done();
}

/** numbered is a push with a number. */
export const numbered = (seq: number, route: number, payload: Bytes): Bytes => frame(8, route, payload, undefined, seq);

/** ticket is the numbered message with the ticket of that name; its secret is 32 of its bytes. */
export const ticket = (seq: number, name: string, lingerMs = 60_000): Bytes =>
  numbered(seq, 37, encodeTicket({ ticket: new TextEncoder().encode(name), secret: secretOf(name), lingerMs }));

export const secretOf = (name: string): Bytes => new Uint8Array(32).fill(name.charCodeAt(0));

/** taking is a table of tickets that a peer takes. */
export const taking = (...names: string[]): Map<string, Bytes> => new Map(names.map((n) => [hex(new TextEncoder().encode(n)), secretOf(n)]));

export const resumed = (r: Partial<Resumed>): Bytes =>
  encodeControl(Control.resumed, encodeResumed({ recovered: true, sessionId: 1n, lastRequest: 0, queued: false, reason: "", ...r }));

// ---- what a client says ---------------------------------------------------------------------------------------------------------

export const isLogin = (f: Frame): boolean => f.type === FrameType.request && f.route === 32;
export const isEcho = (n: number) => (f: Frame): boolean => f.type === FrameType.control && f.route === Control.echo && f.payload[0] === n;
export const isAck = (n: number) => (f: Frame): boolean => f.type === FrameType.ack && f.seq === n;
export const isRequest = (route: number) => (f: Frame): boolean => f.type === FrameType.request && f.route === route;
const isResume = (f: Frame): boolean => f.type === FrameType.control && f.route === Control.resume;

/** logIn answers the login, and gives the token that it came with. */
export async function logIn(peer: Peer, queued = false, more: Bytes[] = []): Promise<string> {
  const login = await peer.until(isLogin);
  const answer = encodeLoginResponse({ sessionId: 1n, playerId: 2n, name: "n", rights: [], server: "", queued });
  await peer.say(frame(2, 32, answer, login.id), ...more);
  return decodeLoginRequest(login.payload).token;
}

/** resume waits for RESUME, which must be the first frame of the first record, answers it, and gives the last number that the client has. */
export async function resume(peer: Peer, answer: Partial<Resumed>, more: Bytes[] = []): Promise<number> {
  const f = await peer.until(isResume);
  assert.deepEqual([peer.suite, peer.first![0]], [2, f]);
  await peer.say(resumed(answer), ...more);
  return decodeResume(f.payload).lastSeq;
}

/** bench gives a client with a list of sockets and hand-worked timers. */
export function bench(over: Partial<Omit<ClientConfig, "fingerprint">> = {}, rules: PeerRules[] = []) {
  const peers: Peer[] = [];
  interface Timer {
    ms: number;
    job: () => void;
    cancelled: boolean;
  }
  const timers: Timer[] = [];
  let retry: Timer | undefined;
  const waiters: { fits: () => boolean; done: () => void }[] = [];
  const poke = (): void => waiters.filter((w) => w.fits()).forEach((w) => w.done());
  const config = {
    program: "test", fingerprint: FINGERPRINT, bootstrap: async () => boot, suite: async () => suite, wallSeconds: () => 1500, random: () => 0.5, now: () => performance.now(),
    socket: (url: string) => {
      const p = new Peer({ ...rules[peers.length], url });
      peers.push(p);
      poke();
      return p;
    },
    after: (ms: number, job: () => void) => {
      const timer = { ms, job, cancelled: false };
      timers.push(timer);
      return () => void (timer.cancelled = true);
    },
    ...over,
  };
  const when = (fits: () => boolean): Promise<void> => (fits() ? Promise.resolve() : new Promise((done) => waiters.push({ fits, done })));
  const client = (events: Partial<ClientEvents> = {}): Client => {
    const changed = (): void => {
      if (c?.state === "reconnecting") retry = timers.at(-1);
      poke();
    };
    const c: Client = new Client({ ...config, events: { playing: () => undefined, push: () => undefined, state: () => undefined, changed, ...events } });
    return c;
  };
  /** peer waits for the nth socket, from 0. */
  const peer = async (n: number): Promise<Peer> => {
    await when(() => peers.length > n);
    return peers[n]!;
  };
  /** timer is the last of so many milliseconds that was not cancelled. */
  const timer = (ms: number): Timer => timers.filter((t) => t.ms === ms && !t.cancelled).at(-1)!;
  return {
    peers, timers, config, poke, when, client, peer, timer,
    /** wait is how long a client that reconnects waits, again lets it. */
    wait: () => retry!.ms,
    again: () => retry!.job(),
  };
}
