/**
 * A session: what outlives connections. It counts the server's numbered messages, acknowledges them, keeps the ticket that opens the way back and
 * the requests that wait for answers. It knows no socket and reads no clock: frames come in through receive, frames go out through a {@link Wire},
 * time is given.
 *
 *              login accepted              connection lost
 *      none ───────────────────▶ live ─────────────────────▶ cut
 *       ▲                         ▲                          │ ▲
 *       │                         │ RESUMED recovered  attach│ │ lost
 *       │     RESUMED not         └──────────── resuming ◀───┘ │
 *       └─────────────────────────────────────────┴────────────┘
 *         ticket refused, too late, none came: forget
 *
 * A numbered message is taken if it is the next one, ignored if it came before, and anything else is a gap: the server is broken, and the connection
 * ends. So a program sees every one of them once and in order, or is told (notRecovered) that some may be missing.
 */
import { type Bytes, MalformedError } from "./bytes.ts";
import { Control, encodeAck, encodeControl, encodePush, encodeRequest, type Frame, FrameType } from "./frames.ts";
import {
  decodeError, decodeGoaway, decodeLoginResponse, decodeQueue, decodeResumed, decodeTicket, decodeWarning, encodeLoginRequest, encodeResume,
  type Goaway, type LoginRequest, type LoginResponse, type Queue, type Resumed, Route, type Warning,
} from "./gen/mmo.ts";
import { type Resumption, SECRET_SIZE, TICKET_MOST } from "./noise.ts";
import { type After, RequestError, Requests } from "./requests.ts";
import type { Channel } from "./wire.ts";

const REQUEST_MS = 5000;

/** Wire is a secured connection, seen from a session. */
export interface Wire {
  /** send lets a frame leave, in the order of the calls. */
  send(frame: Bytes): void;
  /** wake lets a record leave soon, though nothing may wait to be sent: {@link Session.tail} has something for it. */
  wake(): void;
}

/** LinkRules are a connection's, from the server's hello. */
export interface LinkRules {
  /** ackEvery numbered messages an ACK leaves, or ackAfterMs after the first of them. */
  ackEvery: number;
  ackAfterMs: number;
  /** idleTimeoutMs is how long a server may take to notice that a connection is lost: only then the session begins to linger. */
  idleTimeoutMs: number;
}

/** Phase of a session, drawn above. */
export type Phase = "none" | "live" | "cut" | "resuming";

/** SessionEvents are called while a frame is being received, in the order of the frames. */
export interface SessionEvents {
  /** loggedIn begins a new session. */
  loggedIn(login: LoginResponse): void;
  /** resumed: nothing was lost; zone rows and state begin anew. */
  resumed(resumed: Resumed): void;
  /** notRecovered: the session is gone, with messages and answers that may have been on their way. */
  notRecovered(reason: string): void;
  push(route: number, payload: Bytes): void;
  /** refused is an ERROR that answers no request: of a push on that route. */
  refused(route: number, error: RequestError): void;
  queue(queue: Queue): void;
  warning(warning: Warning): void;
  goaway(goaway: Goaway): void;
}

/** Clock gives a session its time, milliseconds. */
export interface Clock {
  now(): number;
  after: After;
}

/** UnreadableError: the server sends what this client has never asked for, and would again. */
export class UnreadableError extends MalformedError {
  override name = "UnreadableError";
}

interface Login {
  id: number;
  resolve(login: LoginResponse): void;
  reject(error: Error): void;
  cancel(): void;
}

/** Session of one client; it serves for all of them, one after another. */
export class Session implements Channel {
  phase: Phase = "none";
  /** lastSeq is the number of the last numbered message that was taken. */
  lastSeq = 0;
  private readonly requests: Requests;
  private wire: Wire | undefined;
  private rules: LinkRules = { ackEvery: 1, ackAfterMs: 0, idleTimeoutMs: 0 };
  private owed = 0; // numbered messages that came since the last ACK, repeated ones included: the server has not seen the ACK
  private cancelAck: (() => void) | undefined;
  private ticket: Resumption | undefined;
  private lingerMs = 0;
  private goodUntil = 0; // of the ticket, while the session is cut
  private waitingLogin: Login | undefined;

  constructor(private readonly events: SessionEvents, private readonly clock: Clock) {
    this.requests = new Requests(clock.after);
  }

  // ---- connections ------------------------------------------------------------------------------------------------------------

  /** attach gives the session a connection, and returns the frames that must leave on it before any other. */
  attach(wire: Wire, rules: LinkRules): Bytes[] {
    if (this.wire !== undefined) throw new Error("a session has one connection at a time: detach the old one first");
    this.wire = wire;
    this.rules = rules;
    this.clearAck();
    if (this.phase === "none") return [];
    this.phase = "resuming";
    return [encodeControl(Control.resume, encodeResume({ lastSeq: this.lastSeq }))];
  }

  /** detach: that connection is over; of any other it is without effect. */
  detach(wire: Wire): void {
    if (this.wire !== wire) return;
    this.wire = undefined;
    this.clearAck();
    this.endLogin(new RequestError(0, "the connection ended"));
    if (this.phase === "none") return;
    // Lost while resuming counts too: the server may have let the session go on, and waits anew. A ticket that is too old costs one refusal.
    this.phase = "cut";
    this.goodUntil = this.clock.now() + this.lingerMs + this.rules.idleTimeoutMs;
    if (this.ticket === undefined) this.forget("the connection was lost before a ticket had come");
  }

  /** resumption is what a cut session may be asked back with; undefined: there is none, or too much time has passed. */
  get resumption(): Resumption | undefined {
    return this.phase === "cut" && this.clock.now() <= this.goodUntil ? this.ticket : undefined;
  }

  /** forget gives the session up. Requests that were sent fail, those that were not wait for the next one. */
  forget(reason: string): void {
    if (this.phase === "none") return;
    this.reset();
    this.requests.lose(`the session was not recovered (${reason}): whether the server acted is not known`);
    this.events.notRecovered(reason);
  }

  /** close ends it for good: every request fails. */
  close(reason: string): void {
    this.wire = undefined;
    this.reset();
    this.endLogin(new RequestError(0, reason));
    this.requests.drop(reason);
  }

  private reset(): void {
    this.phase = "none";
    this.lastSeq = 0;
    this.ticket = undefined;
    this.clearAck();
  }

  // ---- what goes out ----------------------------------------------------------------------------------------------------------

  /** login asks for a new session on the connection that is attached. */
  login(m: LoginRequest, deadlineMs = REQUEST_MS): Promise<LoginResponse> {
    const { wire } = this;
    if (this.phase !== "none" || wire === undefined || this.waitingLogin !== undefined) {
      return Promise.reject(new Error("login needs a secured connection without a session"));
    }
    const id = this.requests.takeId();
    return new Promise((resolve, reject) => {
      const cancel = this.clock.after(deadlineMs, () => this.endLogin(new RequestError(0, `no answer to the login within ${deadlineMs} ms`, 0, true)));
      this.waitingLogin = { id, resolve, reject, cancel };
      wire.send(encodeRequest(Route.login, id, encodeLoginRequest(m)));
    });
  }

  private endLogin(answer: LoginResponse | RequestError): void {
    const w = this.waitingLogin;
    if (w === undefined) return;
    this.waitingLogin = undefined;
    w.cancel();
    if (answer instanceof RequestError) w.reject(answer);
    else w.resolve(answer);
  }

  /** push sends what has no answer. Without a live session it is dropped, and with a connection it may be lost: what must arrive is a request. */
  push(route: number, payload: Bytes): void {
    if (this.phase === "live") this.wire!.send(encodePush(route, payload));
  }

  /**
   * request resolves with the response's payload or rejects with a {@link RequestError}. It is carried out at most once: after a resume it is sent
   * again only if the session's server says that it never came. Asked without a live session, it leaves as soon as there is one.
   */
  request(route: number, payload: Bytes, deadlineMs = REQUEST_MS): Promise<Bytes> {
    const answer = this.requests.add(route, payload, deadlineMs);
    if (this.phase === "live") this.sendWaiting();
    return answer;
  }

  private sendWaiting(): void {
    this.requests.flush((frame) => this.wire!.send(frame));
  }

  /** tail is asked whenever a record is about to leave: an ACK rides along as soon as there is anything to acknowledge. */
  tail(): Bytes | undefined {
    if (this.owed === 0) return undefined;
    this.clearAck();
    return encodeAck(this.lastSeq);
  }

  private clearAck(): void {
    this.owed = 0;
    this.cancelAck?.();
    this.cancelAck = undefined;
  }

  private owe(): void {
    this.owed++;
    if (this.owed >= this.rules.ackEvery) this.wire?.wake();
    else this.cancelAck ??= this.clock.after(this.rules.ackAfterMs, () => this.wire?.wake());
  }

  // ---- what comes in ----------------------------------------------------------------------------------------------------------

  /** receive takes every frame but STATE, PONG and KICK, which are the connection's. It throws a MalformedError at what no server may send. */
  receive(f: Frame): void {
    if (f.json) throw new UnreadableError("the server sent JSON, which this client never asks for and does not read");
    if (f.type === FrameType.control) return this.control(f);
    if (f.seq !== undefined && f.type !== FrameType.ack && !this.take(f.seq)) return;
    switch (f.type) {
      case FrameType.push:
        if (f.route === Route.ticket) this.adopt(f.payload);
        else this.events.push(f.route, f.payload);
        break;
      case FrameType.response:
        if (f.id === this.waitingLogin?.id) this.begin(decodeLoginResponse(f.payload));
        else this.requests.settle(f.id, f.payload);
        break;
      case FrameType.error:
        this.error(f);
        break;
      default:
        break; // no route has a client answer a request, and nobody acknowledges what a client sends
    }
  }

  private take(seq: number): boolean {
    if (this.phase !== "live") throw new MalformedError(`numbered message ${seq} outside of a session`);
    if (seq > this.lastSeq + 1) throw new MalformedError(`numbered message ${seq} after ${this.lastSeq}: what lies between is missing`);
    const isNext = seq === this.lastSeq + 1;
    if (isNext) this.lastSeq = seq; // before it is handed on: a handler that throws must not meet it again and again
    this.owe();
    return isNext;
  }

  private adopt(payload: Bytes): void {
    const t = decodeTicket(payload);
    if (t.ticket.length === 0 || t.ticket.length > TICKET_MOST || t.secret.length !== SECRET_SIZE) {
      throw new MalformedError(`a ticket of ${t.ticket.length} bytes with a secret of ${t.secret.length}`);
    }
    this.ticket = { ticket: t.ticket.slice(), secret: t.secret.slice() }; // copies: the payload is a view of a whole record
    this.lingerMs = t.lingerMs;
  }

  private begin(login: LoginResponse): void {
    this.phase = "live";
    this.events.loggedIn(login);
    this.endLogin(login);
    this.sendWaiting();
  }

  private error(f: Frame): void {
    const e = RequestError.of(decodeError(f.payload));
    if (f.id !== 0 && f.id === this.waitingLogin?.id) this.endLogin(e);
    else if (f.id === 0) this.events.refused(f.route, e);
    else this.requests.settle(f.id, e);
  }

  private control(f: Frame): void {
    if (f.route === Control.resumed) this.resumed(decodeResumed(f.payload));
    else if (f.route === Control.queue) this.events.queue(decodeQueue(f.payload));
    else if (f.route === Control.warning) this.events.warning(decodeWarning(f.payload));
    else if (f.route === Control.goaway) this.events.goaway(decodeGoaway(f.payload));
  }

  private resumed(r: Resumed): void {
    if (this.phase !== "resuming") throw new MalformedError("RESUMED without a RESUME");
    if (!r.recovered) return this.forget(r.reason || "the server does not have it any more");
    this.phase = "live";
    this.events.resumed(r);
    this.requests.repeat(r.lastRequest, (frame) => this.wire!.send(frame));
    this.sendWaiting();
  }
}
