/**
 * The client: connects, logs in, and comes back when a connection ends for a reason that allows it: with its ticket, so that nothing is lost, or else
 * with a new login, and then it says so. Says at any moment in words what it is doing. Zone rows and state begin anew with every connection.
 */
import { type Bytes, unhex } from "./bytes.ts";
import { type Bootstrap, RefusedError } from "./bootstrap.ts";
import { browserAfter, browserSocket } from "./browser.ts";
import { Code, describeDisconnect, ErrorCode, policyOf } from "./codes.ts";
import { Connection, type ConnectionEvents, type Ended, type Socket } from "./connection.ts";
import { type Goaway, type LoginResponse, type Queue, type Resumed, Route, type Warning } from "./gen/mmo.ts";
import { HandshakeError, type KeyCert, type Resumption, SUBPROTOCOL, TicketError, verifyCert } from "./noise.ts";
import { Backoff } from "./policy.ts";
import { type After, RequestError } from "./requests.ts";
import { Session } from "./session.ts";
import { pickSuite, type Suite } from "./suite.ts";
import type { Channel } from "./wire.ts";

const RESUME_MS = 5000;
const ERRORS_KEPT = 50;

/** State of a client, in a word or two; {@link Client.describe} has the sentence. */
export type State = "idle" | "connecting" | "securing" | "logging in" | "resuming" | "queued" | "playing" | "reconnecting" | "ended";

/** ClientConfig: what a client is given. Everything but the first four has a default for browsers. */
export interface ClientConfig {
  /**
   * bootstrap is asked before every login, because tokens are good for one; and before a resume only if keys or addresses may have changed. A
   * {@link RefusedError} ends the client, others are tried again.
   */
  bootstrap(): Promise<Bootstrap>;
  /** program names the client for the operator, "web/0.1". */
  program: string;
  /** fingerprint of this client's schema, hexadecimal: FINGERPRINT of the generated file. */
  fingerprint: string;
  events: ClientEvents;
  socket?(url: string, protocols: string[]): Socket;
  suite?(): Promise<Suite>;
  now?(): number;
  /** wallSeconds since 1970, for certificates. */
  wallSeconds?(): number;
  random?(): number;
  /** after calls job later and returns how to cancel it. */
  after?: After;
}

/** ClientEvents are called in the order of the bytes. The optional ones are worth a line on the screen. */
export interface ClientEvents {
  /** playing begins a new session, when it has entered the world: whatever was known from an earlier session is void. */
  playing(login: LoginResponse): void;
  push(route: number, payload: Bytes): void;
  state(payload: Bytes, arrivedMs: number): void;
  /** changed: the state is another one. */
  changed(): void;
  /** opened: a new connection is secured; whatever zone rows and state an earlier one told is void. */
  opened?(): void;
  /** loggedIn begins a new session, perhaps with a wait in the queue. */
  loggedIn?(login: LoginResponse): void;
  /** resumed: the session goes on, and nothing was lost. */
  resumed?(resumed: Resumed): void;
  /** notRecovered: the session is gone; messages and answers may have been missed. A new login follows by itself, with a token of bootstrap's. */
  notRecovered?(reason: string): void;
  /** queue tells the place in the login queue. */
  queue?(queue: Queue): void;
  /** warning: what goes on like this ends in a disconnect that is final. */
  warning?(warning: Warning): void;
  /** goaway: the connection will be given up and the session resumed, by itself, after reconnectAfterMs. */
  goaway?(goaway: Goaway): void;
  /** refused: the server did not take a push on that route. */
  refused?(route: number, error: RequestError): void;
}

/** Client: start, stop, and in between push and request, whatever becomes of connections. */
export class Client implements Channel {
  state: State = "idle";
  connection: Connection | undefined;
  suite: Suite | undefined;
  build = "";
  /** queued is the place in the login queue, while the state is "queued" and it is known. */
  queued: Queue | undefined;
  /** reconnects counts times that a session began or went on after the first. */
  reconnects = 0;
  /** resumes counts those of them that lost nothing, losses the sessions that were not recovered. */
  resumes = 0;
  losses = 0;
  /** errors lists what went wrong, newest last, at most 50. */
  readonly errors: string[] = [];
  readonly session: Session;
  private reason = "";
  private retryAt = 0;
  private readonly backoff = new Backoff();
  private attempt = 0; // numbers connection attempts; an answer to an older one is ignored
  private everBegan = false;
  private sinceKeys = 0; // attempts since bootstrap was asked
  private keysInDoubt = false;
  private gateway = 0; // counts attempts: the URLs take turns
  private boot: Bootstrap | undefined;
  private login: LoginResponse | undefined; // of a session that has not entered the world yet
  private cancelRetry: (() => void) | undefined;
  private cancelWait: (() => void) | undefined; // for RESUMED, or for the time of a GOAWAY
  private readonly now: () => number;
  private readonly after: After;
  private readonly random: () => number;

  constructor(private readonly config: ClientConfig) {
    this.now = config.now ?? (() => performance.now());
    this.after = config.after ?? browserAfter;
    this.random = config.random ?? Math.random;
    const { events } = config;
    this.session = new Session({
      loggedIn: (login) => this.loggedIn(login),
      resumed: (resumed) => this.resumed(resumed),
      notRecovered: (reason) => this.notRecovered(reason),
      push: (route, payload) => {
        if (route === Route.zone && this.session.phase === "live") this.enterWorld();
        events.push(route, payload);
      },
      refused: (route, error) => events.refused?.(route, error),
      queue: (queue) => this.queue(queue),
      warning: (warning) => {
        this.note(`warning of the server: ${warning.message} (code ${warning.code})`);
        events.warning?.(warning);
      },
      goaway: (goaway) => this.goaway(goaway),
    }, { now: this.now, after: config.after ?? browserAfter });
  }

  /** start connects; while connected or connecting it does nothing. While waiting to reconnect it does so at once. */
  start(): void {
    if (this.state !== "idle" && this.state !== "ended" && this.state !== "reconnecting") return;
    this.cancelRetry?.();
    void this.connect(++this.attempt);
  }

  /** stop leaves for good, and the session with it. */
  stop(): void {
    this.attempt++;
    this.cancelRetry?.();
    this.cancelWait?.();
    this.session.close("the client was stopped");
    this.connection?.bye();
    this.connection = undefined;
    this.reason = "you left";
    this.enter("ended");
  }

  /** drop cuts the connection as a bad network would, to see it come back. */
  drop(): void {
    this.connection?.end(3000, "dropped on purpose");
  }

  /** push sends what has no answer; without a session it is dropped. */
  push(route: number, payload: Bytes): void {
    this.session.push(route, payload);
  }

  /** request resolves with the answer, over as many connections as it takes; see {@link Session.request}. */
  request(route: number, payload: Bytes, deadlineMs?: number): Promise<Bytes> {
    if (this.state === "idle" || this.state === "ended") return Promise.reject(new RequestError(0, "the client is not started"));
    return this.session.request(route, payload, deadlineMs);
  }

  /** describe says the state as a sentence for people. */
  describe(nowMs = this.now()): string {
    switch (this.state) {
      case "reconnecting": {
        const seconds = Math.max(0, Math.ceil((this.retryAt - nowMs) / 1000));
        return `reconnecting${seconds > 0 ? ` in ${seconds} s` : ""}: ${this.reason}`;
      }
      case "queued":
        return this.queued === undefined ? "waiting to be let in" : describeQueue(this.queued);
      case "ended":
        return `disconnected: ${this.reason}`;
      default:
        return this.state;
    }
  }

  /** note keeps an error for the page and for tests. */
  note(error: string): void {
    this.errors.push(error);
    if (this.errors.length > ERRORS_KEPT) this.errors.shift();
  }

  private enter(state: State): void {
    this.state = state;
    this.config.events.changed();
  }

  // ---- one attempt ------------------------------------------------------------------------------------------------------------

  private async connect(attempt: number): Promise<void> {
    const stale = (): boolean => attempt !== this.attempt;
    let connection: Connection | undefined;
    try {
      this.enter("connecting");
      this.suite ??= await (this.config.suite ?? pickSuite)();
      const { boot, cert } = await this.keys(this.suite);
      if (stale()) return;
      const resume = this.wayBack(cert);
      this.enter("securing");
      const urls = typeof boot.ws === "string" ? [boot.ws] : boot.ws;
      const url = urls[this.gateway++ % urls.length]!;
      this.keysInDoubt = ++this.sinceKeys > urls.length; // all were tried: they may have moved
      const socket = this.config.socket?.(url, [SUBPROTOCOL]) ?? browserSocket(url);
      const input = { suite: this.suite, cert, realm: boot.realm, fingerprint: unhex(this.config.fingerprint), resume };
      connection = await Connection.open(socket, input, this.connectionEvents(attempt), this.now);
      if (stale()) return connection.end(1000, "no longer wanted");
      if (resume === undefined) await this.logIn(attempt, boot.token);
    } catch (error) {
      if (stale()) return connection?.end(1000, "no longer wanted");
      this.fail(error);
    }
  }

  /** keys are those of the last bootstrap where a resume needs no more; a login needs a token of its own. */
  private async keys(suite: Suite): Promise<{ boot: Bootstrap; cert: KeyCert }> {
    const wall = this.config.wallSeconds?.() ?? Date.now() / 1000;
    const kept = this.session.resumption === undefined ? undefined : this.boot;
    if (kept !== undefined && !this.keysInDoubt) {
      try {
        return { boot: kept, cert: await verifyCert(suite, kept.cert, kept.root, wall) };
      } catch {
        // it has run out since: ask for another
      }
    }
    let boot: Bootstrap;
    try {
      boot = await this.config.bootstrap();
    } catch (error) {
      if (kept === undefined) throw error;
      boot = kept; // whoever gives out tokens is away; the gateways may not be
    }
    this.boot = boot;
    this.build = boot.build;
    this.sinceKeys = 0;
    return { boot, cert: await verifyCert(suite, boot.cert, boot.root, wall) };
  }

  /** wayBack is what the session can be resumed with; if it cannot, it is over, and a login is next. */
  private wayBack(cert: KeyCert): Resumption | undefined {
    const resume = cert.resumes ? this.session.resumption : undefined;
    if (resume === undefined) this.session.forget(cert.resumes ? "it took too long to come back" : "this server takes no tickets");
    return resume;
  }

  private connectionEvents(attempt: number): ConnectionEvents {
    const { session, config } = this;
    const current = (): boolean => attempt === this.attempt;
    let connection: Connection | undefined;
    return {
      secured: (c, hello) => {
        if (!current()) return [];
        this.connection = connection = c;
        const first = session.attach(c, hello);
        config.events.opened?.();
        this.enter(session.phase === "resuming" ? "resuming" : "logging in");
        if (session.phase === "resuming") this.wait(RESUME_MS, () => c.end(Code.handshakeTimeout, "the server did not answer RESUME"));
        return first;
      },
      // Of a connection that was left nothing counts any more, though it may still be sending its BYE.
      frame: (f) => {
        if (current()) session.receive(f);
      },
      state: (payload, arrivedMs) => {
        if (current()) config.events.state(payload, arrivedMs);
      },
      tail: () => (current() ? session.tail() : undefined),
      ended: (end) => {
        if (connection !== undefined) session.detach(connection);
        if (current()) this.lost(end);
      },
    };
  }

  /** wait is for one thing at a time. */
  private wait(ms: number, job: () => void): void {
    this.cancelWait?.();
    this.cancelWait = this.after(ms, job);
  }

  private async logIn(attempt: number, token: string): Promise<void> {
    await this.session.login({ token, client: this.config.program });
    if (attempt !== this.attempt) return;
    if (this.login?.queued === false) this.enterWorld();
  }

  // ---- what the session says --------------------------------------------------------------------------------------------------

  private loggedIn(login: LoginResponse): void {
    this.began();
    this.login = login;
    this.config.events.loggedIn?.(login);
    if (login.queued) this.enter("queued");
  }

  /** began: a session is there, new or again. */
  private began(): void {
    this.cancelWait?.();
    this.queued = undefined;
    this.sinceKeys = 0;
    if (this.everBegan) this.reconnects++;
    this.everBegan = true;
    this.backoff.live(this.now());
  }

  /** enterWorld: by the login's answer, by the end of the queue or by the first zone row, whichever is first. */
  private enterWorld(): void {
    const { login } = this;
    this.login = this.queued = undefined;
    if (login !== undefined) this.config.events.playing(login);
    if (this.state !== "playing") this.enter("playing");
  }

  private resumed(resumed: Resumed): void {
    this.began();
    this.resumes++;
    this.config.events.resumed?.(resumed);
    if (resumed.queued) this.enter("queued");
    else this.enterWorld();
  }

  private notRecovered(reason: string): void {
    this.losses++;
    this.login = this.queued = undefined;
    this.note(`the session was not recovered: ${reason}`);
    this.config.events.notRecovered?.(reason);
    if (this.state === "resuming") void this.logInAnew(this.attempt); // on the connection that brought the news
  }

  private async logInAnew(attempt: number): Promise<void> {
    this.cancelWait?.();
    this.enter("logging in");
    try {
      this.boot = await this.config.bootstrap();
      if (attempt === this.attempt) await this.logIn(attempt, this.boot.token);
    } catch (error) {
      if (attempt === this.attempt) this.fail(error);
    }
  }

  private queue(queue: Queue): void {
    this.queued = queue;
    this.config.events.queue?.(queue);
    if (queue.position === 0) this.enterWorld();
    else this.enter("queued");
  }

  private goaway(goaway: Goaway): void {
    const { connection } = this;
    this.config.events.goaway?.(goaway);
    this.wait(goaway.reconnectAfterMs, () => connection?.end(Code.shutdown, goaway.reason));
  }

  // ---- the end of a connection, and what follows --------------------------------------------------------------------------------

  /** fail ends an attempt by an error of this side's: it is the reason, not the end of the connection that follows from it. */
  private fail(error: unknown): void {
    const { connection } = this;
    this.lost(endOf(error), error);
    connection?.end(1000, "login failed");
  }

  private lost(end: Ended, error?: unknown): void {
    this.attempt++; // whatever still runs of this connection is void
    this.cancelWait?.();
    if (this.connection !== undefined) this.session.detach(this.connection);
    this.connection = undefined;
    this.reason = describeDisconnect(end.code, end.reason);
    this.note(`${this.reason} (code ${end.code}${end.reason === "" || end.reason === this.reason ? "" : `: ${end.reason}`})`);
    if (error instanceof RefusedError || policyOf(end.code) === "terminal") {
      this.session.close(this.reason);
      return this.enter("ended");
    }
    if (end.code === Code.keyUnknown) this.keysInDoubt = true;
    if (error instanceof TicketError) this.session.forget(end.reason);
    const delay = error instanceof TicketError ? this.backoff.again(this.random()) : (end.retryAfterMs ?? this.backoff.next(this.now(), this.random()));
    this.retryAt = this.now() + delay;
    this.cancelRetry = this.after(delay, () => this.start());
    this.enter("reconnecting");
  }
}

function describeQueue(q: Queue): string {
  const soon = q.etaMs > 0 ? `, about ${Math.max(1, Math.round(q.etaMs / 1000))} s` : "";
  return `waiting to be let in: place ${q.position} of ${Math.max(q.position, q.length)}${soon}`;
}

function endOf(error: unknown): Ended {
  if (error instanceof HandshakeError) return { code: error.code, reason: error.message };
  if (error instanceof RequestError) {
    const end: Ended = { code: error.code === ErrorCode.unauthorized ? Code.badToken : 0, reason: error.message };
    if (error.retryAfterMs > 0) end.retryAfterMs = error.retryAfterMs;
    return end;
  }
  return { code: 0, reason: (error as Error)?.message ?? String(error) };
}
