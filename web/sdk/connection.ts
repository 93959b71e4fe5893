/**
 * One connection: a WebSocket from its handshake to its end. It keeps records in order, measures the round trip, echoes state frames, notices
 * silence, and ends exactly once, with a disconnect code. What outlives it is the session's; coming back is the client's business.
 *
 * Frames sent in one turn of the event loop leave in one record: the tag, the copy and the promise are paid per record.
 */
import { type Bytes, concat, MalformedError } from "./bytes.ts";
import { RoundTrip } from "./clock.ts";
import { Code } from "./codes.ts";
import { compatible, incompatible, IncompatibleError } from "./fingerprint.ts";
import { Control, decodeFrames, decodePong, encodeControl, encodeEcho, encodePing, type Frame, FrameType } from "./frames.ts";
import { decodeKick } from "./gen/mmo.ts";
import { Handshake, HandshakeError, type HandshakeInput, type Secured, type ServerHello, SUBPROTOCOL } from "./noise.ts";
import { Opener, Sealer } from "./records.ts";
import { UnreadableError, type Wire } from "./session.ts";

const HANDSHAKE_MS = 5000;
const PING_MS = 1000;
const SILENT_PINGS = 10; // answered by nothing at all: nobody is there any more, whatever TCP still hopes
const TAG_AND_HEADER = 17;

/** Socket is the part of WebSocket that is used; tests bring their own. */
export interface Socket {
  binaryType: string;
  readonly protocol: string;
  send(data: Bytes): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: any) => void) | null;
}

/** Ended says how a connection ended. */
export interface Ended {
  code: number;
  reason: string;
  /** retryAfterMs is how long a refused login is asked to wait. */
  retryAfterMs?: number;
}

/** ConnectionEvents are called in the order of the bytes. arrivedMs is when the record came in, before it was opened. */
export interface ConnectionEvents {
  /** secured comes once, before any frame; what it returns leaves in the first record, before anything else. */
  secured(connection: Connection, hello: ServerHello): Bytes[];
  /** frame is every frame but STATE, PONG and KICK. */
  frame(f: Frame): void;
  state(payload: Bytes, arrivedMs: number): void;
  /** tail is asked before a record leaves: a frame that wants to ride along. */
  tail(): Bytes | undefined;
  ended(end: Ended): void;
}

/** Traffic counts bytes of records and frames since the connection began. */
export interface Traffic {
  bytesIn: number;
  bytesOut: number;
  recordsIn: number;
  recordsOut: number;
  stateFrames: number;
  stateBytes: number;
}

/** Connection: make one with {@link Connection.open}; it is usable when that resolves. */
export class Connection implements Wire {
  readonly traffic: Traffic = { bytesIn: 0, bytesOut: 0, recordsIn: 0, recordsOut: 0, stateFrames: 0, stateBytes: 0 };
  readonly roundTrip = new RoundTrip();
  /** pattern of the handshake, in Noise's words. */
  readonly pattern: "NK" | "NKpsk2";
  private sealer!: Sealer;
  private opener: Promise<Opener>;
  private recordMax = 65536;
  private first: { resolve(record: Bytes): void; reject(error: Error): void } | undefined;
  private inbound: Promise<void> = Promise.resolve(); // settles when the last record that came was dispatched
  private outgoing: Bytes[] = [];
  private flushing = false;
  private echoDue = false;
  private silent = 0; // pings since anything came
  /** schema is the fingerprint of the server's. */
  schema: Bytes = new Uint8Array(8);
  private pinger: ReturnType<typeof setInterval> | undefined;
  private kick: Ended | undefined;
  private over: Ended | undefined;

  private constructor(private readonly socket: Socket, input: HandshakeInput, private readonly events: ConnectionEvents, private readonly now: () => number) {
    this.pattern = input.resume === undefined ? "NK" : "NKpsk2";
    let resolve!: (o: Opener) => void;
    this.opener = new Promise((r) => (resolve = r));
    this.setOpener = resolve;
  }

  private setOpener: (o: Opener) => void;

  /** open runs the handshake on a fresh socket. It rejects when that fails; ended is then not called. */
  static async open(socket: Socket, input: HandshakeInput, events: ConnectionEvents, now: () => number): Promise<Connection> {
    const c = new Connection(socket, input, events, now);
    const timer = setTimeout(() => c.end(Code.handshakeTimeout, "the server did not answer the handshake"), HANDSHAKE_MS);
    try {
      await c.secure(input);
    } catch (error) {
      const e = error instanceof HandshakeError ? error : new HandshakeError(c.over?.code ?? 1006, c.over?.reason || String((error as Error)?.message ?? error));
      c.over ??= { code: e.code, reason: e.message };
      clearInterval(c.pinger);
      closeQuietly(socket, e.code);
      throw e;
    } finally {
      clearTimeout(timer);
    }
    c.ping();
    return c;
  }

  private async secure(input: HandshakeInput): Promise<void> {
    const s = this.socket;
    s.binaryType = "arraybuffer";
    const answer = new Promise<Bytes>((resolve, reject) => (this.first = { resolve, reject }));
    answer.catch(() => undefined); // it is awaited below, perhaps after it failed
    const opened = new Promise<void>((resolve) => (s.onopen = () => resolve()));
    s.onmessage = (event) => this.message(event.data);
    s.onclose = (event) => {
      // The last records, a KICK among them, may still be opening: they count first.
      if (this.pinger === undefined) this.closed(event.code, event.reason);
      else void this.inbound.then(() => this.closed(event.code, event.reason));
    };
    s.onerror = () => undefined; // a close event follows, with what little is known
    const handshake = await Handshake.start(input);
    await Promise.race([opened, answer]);
    if (s.protocol !== SUBPROTOCOL) throw new HandshakeError(Code.badHandshake, `the server chose the subprotocol "${s.protocol}", not ${SUBPROTOCOL}`);
    this.transmit(handshake.hs1);
    const secured = await handshake.finish(await answer);
    this.checkSchema(secured, input.fingerprint);
    const rule = { records: secured.hello.rekeyRecords, bytes: secured.hello.rekeyBytes };
    this.recordMax = secured.hello.recordMax;
    this.sealer = await Sealer.create(input.suite, secured.keyC2S, rule);
    const opener = await Opener.create(input.suite, secured.keyS2C, rule);
    if (this.over !== undefined) throw new HandshakeError(this.over.code, this.over.reason);
    this.pinger = setInterval(() => this.ping(), PING_MS); // from here on an end is an event, not a failed open
    for (const frame of this.events.secured(this, secured.hello)) this.send(frame);
    this.setOpener(opener);
  }

  private checkSchema(secured: Secured, mine: Bytes): void {
    this.schema = secured.hello.fingerprint;
    if (!compatible(mine, this.schema)) throw new HandshakeError(Code.schemaMismatch, incompatible(mine, this.schema).message);
  }

  /** send lets a frame leave with the next record. */
  send(frame: Bytes): void {
    if (this.over !== undefined) return;
    this.outgoing.push(frame);
    this.wake();
  }

  /** wake lets a record leave at the end of this turn, if there is anything to put into it. */
  wake(): void {
    if (this.flushing || this.over !== undefined) return;
    this.flushing = true;
    queueMicrotask(() => void this.flush());
  }

  /** bye leaves on purpose: the session ends, the server does not wait for this player to come back. */
  bye(): void {
    this.send(encodeControl(Control.bye, new Uint8Array(0)));
    void this.flush().then(() => this.end(1000, "left"));
  }

  /** end closes the connection from this side; safe to call again. */
  end(code: number, reason: string): void {
    closeQuietly(this.socket, code);
    this.closed(code, reason);
  }

  private ping(): void {
    // Counted and not timed: a page in the background, or a machine that slept, is behind with its timers but has not asked yet.
    if (this.silent++ >= SILENT_PINGS) return this.end(0, "nothing was heard of the server for too long");
    this.send(encodePing(BigInt(Math.round(this.now() * 1000))));
  }

  private async flush(): Promise<void> {
    this.flushing = false;
    const frames = this.outgoing;
    this.outgoing = [];
    if (this.echoDue) {
      this.echoDue = false;
      frames.push(encodeEcho(this.traffic.stateFrames));
    }
    const tail = this.over === undefined ? this.events.tail() : undefined;
    if (tail !== undefined) frames.push(tail);
    const sealed: Promise<Bytes>[] = [];
    for (let from = 0; from < frames.length; ) {
      let size = TAG_AND_HEADER;
      let to = from;
      while (to < frames.length && (to === from || size + frames[to]!.length <= this.recordMax)) size += frames[to++]!.length;
      sealed.push(this.sealer.seal(concat(...frames.slice(from, to))));
      from = to;
    }
    try {
      for (const record of sealed) this.transmit(await record);
    } catch (error) {
      this.end(Code.badRecord, `a record could not be sealed: ${(error as Error).message}`);
    }
  }

  private transmit(record: Bytes): void {
    if (this.over !== undefined) return;
    this.traffic.recordsOut++;
    this.traffic.bytesOut += record.length;
    this.socket.send(record);
  }

  private message(data: unknown): void {
    const arrivedMs = this.now();
    if (this.over !== undefined) return;
    if (!(data instanceof ArrayBuffer)) {
      this.end(Code.textMessage, "the server sent text");
      return;
    }
    const record: Bytes = new Uint8Array(data);
    this.silent = 0;
    this.traffic.recordsIn++;
    this.traffic.bytesIn += record.length;
    if (this.first !== undefined) {
      this.first.resolve(record);
      this.first = undefined;
      return;
    }
    // Opening runs in order inside the opener; taking `opener` by promise keeps that order for records that outrun the handshake.
    this.inbound = this.opener.then((o) => o.open(record)).then(
      (plain) => this.dispatch(plain, arrivedMs),
      () => this.end(Code.badRecord, "a record did not open"),
    );
  }

  private dispatch(plain: Bytes, arrivedMs: number): void {
    if (this.over !== undefined) return;
    try {
      for (const frame of decodeFrames(plain)) {
        if (this.over !== undefined) return; // a frame of this record ended it
        this.frame(frame, arrivedMs);
      }
    } catch (error) {
      if (error instanceof UnreadableError) return this.end(Code.badFrame, error.message);
      if (error instanceof IncompatibleError) return this.end(Code.schemaMismatch, error.message);
      // A handler's own mistake is treated like a bad frame: what it saw may be half applied. Code 0: a fresh connection may help.
      const what = error instanceof MalformedError ? "the server sent a malformed frame" : "a frame could not be handled";
      this.end(0, `${what}: ${(error as Error).message}`);
    }
  }

  private frame(f: Frame, arrivedMs: number): void {
    if (f.type === FrameType.state) {
      this.traffic.stateBytes += f.payload.length;
      this.events.state(f.payload, arrivedMs);
      this.traffic.stateFrames++;
      this.echoDue = true;
      this.wake();
    } else if (f.type === FrameType.control && f.route === Control.pong) {
      this.roundTrip.add(Math.max(0, arrivedMs - Number(decodePong(f.payload).client) / 1000));
    } else if (f.type === FrameType.control && f.route === Control.kick && !f.json) {
      this.kick = decodeKick(f.payload);
    } else {
      this.events.frame(f);
    }
  }

  private closed(code: number, reason: string): void {
    if (this.over !== undefined) return;
    // The KICK inside the channel is authenticated, the close code outside is not.
    const end: Ended = this.kick ?? { code, reason };
    this.over = end;
    clearInterval(this.pinger);
    if (this.pinger === undefined) {
      this.first?.reject(new HandshakeError(end.code, end.reason)); // open() reports it
      this.first = undefined;
    } else {
      this.events.ended(end);
    }
  }
}

function closeQuietly(socket: Socket, code: number): void {
  socket.onclose = null;
  try {
    socket.close(code === 1000 || (code >= 3000 && code <= 4999) ? code : 1000);
  } catch {
    // closing a socket that never opened may throw; it is closed all the same
  }
}
