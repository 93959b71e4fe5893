/** Requests that wait for their answers, over as many connections as that takes. */
import type { Bytes } from "./bytes.ts";
import { ErrorCode, errorName } from "./codes.ts";
import { encodeRequest } from "./frames.ts";
import { type ErrorMessage } from "./gen/mmo.ts";

const MOST = 1024; // requests that wait at once: far more than a player makes, and a bound for a page that does not look at refusals
const LAST_ID = 0xffffffff;

/** After calls job later, and returns how to cancel it. */
export type After = (ms: number, job: () => void) => () => void;

/** RequestError is an ERROR frame in answer to a request, a deadline that passed, or a session that ended. */
export class RequestError extends Error {
  override name = "RequestError";

  /** code is the ERROR frame's, 0 when there was none; mayHaveActed: nobody knows whether the server did what was asked. */
  constructor(readonly code: number, message: string, readonly retryAfterMs = 0, readonly mayHaveActed = false) {
    super(message);
  }

  static of(e: ErrorMessage): RequestError {
    return new RequestError(e.code, `${errorName(e.code)}: ${e.message}`, e.retryAfterMs, e.code === ErrorCode.unavailable);
  }
}

interface Waiting {
  readonly route: number;
  readonly payload: Bytes;
  resolve(payload: Bytes): void;
  reject(error: Error): void;
  cancel(): void;
}

/**
 * Requests gives out ids when a request first goes onto a wire, not when it is made: so ids ascend in the order of sending, the login's among them,
 * whatever was asked while there was no connection. They are never used again, not even by the next session.
 */
export class Requests {
  private nextId = 1;
  private readonly sent = new Map<number, Waiting>(); // by id, which is the order of sending
  private readonly unsent: Waiting[] = [];

  constructor(private readonly after: After) {}

  /** count of those that wait. */
  get count(): number {
    return this.sent.size + this.unsent.length;
  }

  /** takeId is the id of a request that the caller looks after itself. */
  takeId(): number {
    if (this.nextId > LAST_ID) throw new RangeError("all 2^32 request ids of this client are used: make a new one");
    return this.nextId++;
  }

  /** add makes one wait. It leaves with the next call of {@link Requests.flush}. */
  add(route: number, payload: Bytes, deadlineMs: number): Promise<Bytes> {
    if (this.count >= MOST) return Promise.reject(new RequestError(ErrorCode.overloaded, `${MOST} requests wait for an answer already`));
    return new Promise((resolve, reject) => {
      const w: Waiting = { route, payload, resolve, reject, cancel: this.after(deadlineMs, () => this.expire(w, deadlineMs)) };
      this.unsent.push(w);
    });
  }

  private expire(w: Waiting, deadlineMs: number): void {
    const at = this.unsent.indexOf(w);
    if (at >= 0) {
      this.unsent.splice(at, 1);
      w.reject(new RequestError(0, `not sent within ${deadlineMs} ms: there was no session to send it in`));
      return;
    }
    for (const [id, other] of this.sent) if (other === w) this.sent.delete(id);
    w.reject(new RequestError(0, `no answer within ${deadlineMs} ms`, 0, true));
  }

  /** flush sends, in order, what was never sent. */
  flush(send: (frame: Bytes) => void): void {
    for (const w of this.unsent.splice(0)) {
      const id = this.takeId();
      this.sent.set(id, w);
      send(encodeRequest(w.route, id, w.payload));
    }
  }

  /** repeat sends again, in order and under the same ids, what the session's server has not seen: all above last. */
  repeat(last: number, send: (frame: Bytes) => void): void {
    for (const [id, w] of this.sent) if (id > last) send(encodeRequest(w.route, id, w.payload));
  }

  /** settle ends one request by its answer; false: nobody waits for it, its deadline has passed. */
  settle(id: number, answer: Bytes | RequestError): boolean {
    const w = this.sent.get(id);
    if (w === undefined) return false;
    this.sent.delete(id);
    w.cancel();
    if (answer instanceof RequestError) w.reject(answer);
    else w.resolve(answer);
    return true;
  }

  /** lose rejects those that were sent: their session is gone, and what the server did with them is not known. Those never sent go on waiting. */
  lose(reason: string): void {
    for (const id of [...this.sent.keys()]) this.settle(id, new RequestError(0, reason, 0, true));
  }

  /** drop rejects all. */
  drop(reason: string): void {
    this.lose(reason);
    for (const w of this.unsent.splice(0)) {
      w.cancel();
      w.reject(new RequestError(0, reason));
    }
  }
}
