/**
 * The client: connects, logs in, and does it again when a connection ends for a reason that allows it. Says at any moment in words
 * what it is doing. Sessions are fresh at each login in this version: every connection begins with an empty replica.
 */
import { type Bytes, MalformedError, unbase64, unhex } from "./bytes.ts";
import { describeDisconnect, policyOf } from "./codes.ts";
import { Connection, type Ended, RequestError, type Socket } from "./connection.ts";
import { HandshakeError, SUBPROTOCOL, verifyCert } from "./noise.ts";
import { callLogin, type LoginResponse } from "./gen/mmo.ts";
import { pickSuite, type Suite } from "./suite.ts";

const BACKOFF_MS = 500;
const BACKOFF_MAX_MS = 10_000;
const UNAUTHORIZED = 6;

/** RefusedError: thrown by a bootstrap when asking again will not help; its message is for the player. */
export class RefusedError extends Error {}

/** Bootstrap is what a client needs before it can connect; a development server gives it at /dev/session. */
export interface Bootstrap {
  realm: string;
  /** root is the pinned Ed25519 key, 32 bytes. */
  root: Bytes;
  /** cert is the server's key certificate, 119 bytes. */
  cert: Bytes;
  token: string;
  /** ws is the URL of the WebSocket, absolute or relative to the page. */
  ws: string;
  /** fingerprint of the server's schema, 8 bytes. */
  fingerprint: Bytes;
  build: string;
}

/** parseBootstrap checks the JSON of /dev/session. */
export function parseBootstrap(json: unknown): Bootstrap {
  const o = (json ?? {}) as Record<string, unknown>;
  const text = (key: string): string => {
    const v = o[key];
    if (typeof v !== "string") throw new MalformedError(`the session bootstrap lacks "${key}"`);
    return v;
  };
  const b: Bootstrap = {
    realm: text("realm"), root: unbase64(text("root")), cert: unbase64(text("cert")), token: text("token"),
    ws: text("ws"), fingerprint: unhex(text("schema_hash")), build: text("build"),
  };
  if (b.root.length !== 32) throw new MalformedError(`root key of ${b.root.length} bytes, not 32`);
  if (b.fingerprint.length !== 8) throw new MalformedError(`schema fingerprint of ${b.fingerprint.length} bytes, not 8`);
  return b;
}

/** State of a client, in one word; {@link Client.describe} has the sentence. */
export type State = "idle" | "connecting" | "securing" | "logging in" | "playing" | "reconnecting" | "ended";

/** ClientConfig: what a client is given. Everything but the first four has a default for browsers. */
export interface ClientConfig {
  /** bootstrap is asked before every connection: keys and tokens may have changed. A {@link RefusedError} ends the client, others are tried again. */
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
  after?(ms: number, job: () => void): () => void;
}

/** ClientEvents; playing begins a session, and whatever was known from an earlier connection is void. */
export interface ClientEvents {
  playing(login: LoginResponse): void;
  push(route: number, payload: Bytes): void;
  state(payload: Bytes, arrivedMs: number): void;
  changed(): void;
}

/** Client: start, stop, and in between send and request. */
export class Client {
  state: State = "idle";
  connection: Connection | undefined;
  suite: Suite | undefined;
  build = "";
  /** reconnects counts sessions after the first. */
  reconnects = 0;
  /** errors lists what went wrong, newest last, at most 50. */
  readonly errors: string[] = [];
  private reason = "";
  private retryAt = 0;
  private failures = 0;
  private sessions = 0;
  private attempt = 0; // numbers connection attempts; an answer to an older one is ignored
  private cancelRetry: (() => void) | undefined;
  private readonly now: () => number;

  constructor(private readonly config: ClientConfig) {
    this.now = config.now ?? (() => performance.now());
  }

  /** start connects; while connected or connecting it does nothing. */
  start(): void {
    if (this.state !== "idle" && this.state !== "ended" && this.state !== "reconnecting") return;
    this.cancelRetry?.();
    void this.connect(++this.attempt);
  }

  /** stop leaves for good. */
  stop(): void {
    this.attempt++;
    this.cancelRetry?.();
    this.connection?.bye();
    this.connection = undefined;
    this.reason = "you left";
    this.enter("ended");
  }

  /** drop cuts the connection as a bad network would, to see it come back. */
  drop(): void {
    this.connection?.end(3000, "dropped on purpose");
  }

  /** describe says the state as a sentence for people. */
  describe(nowMs = this.now()): string {
    switch (this.state) {
      case "reconnecting":
        return `reconnecting in ${Math.max(0, Math.ceil((this.retryAt - nowMs) / 1000))} s: ${this.reason}`;
      case "ended":
        return `disconnected: ${this.reason}`;
      default:
        return this.state;
    }
  }

  private enter(state: State): void {
    this.state = state;
    this.config.events.changed();
  }

  private async connect(attempt: number): Promise<void> {
    const stale = (): boolean => attempt !== this.attempt;
    let connection: Connection | undefined;
    try {
      this.enter("connecting");
      this.suite ??= await (this.config.suite ?? pickSuite)();
      const boot = await this.config.bootstrap();
      if (stale()) return;
      this.build = boot.build;
      const cert = await verifyCert(this.suite, boot.cert, boot.root, this.config.wallSeconds?.() ?? Date.now() / 1000);
      if (stale()) return;
      this.enter("securing");
      const socket = this.config.socket?.(boot.ws, [SUBPROTOCOL]) ?? browserSocket(boot.ws);
      connection = await Connection.open(
        socket,
        { suite: this.suite, cert, realm: boot.realm, fingerprint: unhex(this.config.fingerprint) },
        {
          push: (route, payload) => this.config.events.push(route, payload),
          state: (payload, arrivedMs) => this.config.events.state(payload, arrivedMs),
          ended: (end) => {
            if (!stale()) this.lost(end);
          },
        },
        this.now,
      );
      if (stale()) return connection.end(1000, "no longer wanted");
      this.connection = connection;
      this.enter("logging in");
      const login = await callLogin(connection, { token: boot.token, client: this.config.program });
      if (stale()) return;
      this.failures = 0;
      if (this.sessions++ > 0) this.reconnects++;
      this.config.events.playing(login);
      this.enter("playing");
    } catch (error) {
      if (stale()) return connection?.end(1000, "no longer wanted");
      connection?.end(1000, "login failed");
      if (!stale()) this.lost(endOf(error), error instanceof RefusedError);
    }
  }

  private lost(end: Ended, refused = false): void {
    this.attempt++; // whatever still runs of this connection is void
    this.connection = undefined;
    this.reason = describeDisconnect(end.code, end.reason);
    this.note(`${this.reason} (code ${end.code}${end.reason === "" || end.reason === this.reason ? "" : `: ${end.reason}`})`);
    if (refused || policyOf(end.code) === "terminal") return this.enter("ended");
    // full jitter: a crowd that lost its server at one moment must not come back at one moment
    const delay = end.retryAfterMs ?? (this.config.random ?? Math.random)() * Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** this.failures);
    this.failures++;
    this.retryAt = this.now() + delay;
    const after = this.config.after ?? browserAfter;
    this.cancelRetry = after(delay, () => this.start());
    this.enter("reconnecting");
  }

  /** note keeps an error for the page and for tests. */
  note(error: string): void {
    this.errors.push(error);
    if (this.errors.length > 50) this.errors.shift();
  }
}

function endOf(error: unknown): Ended {
  if (error instanceof HandshakeError) return { code: error.code, reason: error.message };
  if (error instanceof RequestError) {
    const end: Ended = { code: error.code === UNAUTHORIZED ? 4506 : 0, reason: error.message };
    if (error.retryAfterMs > 0) end.retryAfterMs = error.retryAfterMs;
    return end;
  }
  return { code: 0, reason: (error as Error)?.message ?? String(error) };
}

function browserAfter(ms: number, job: () => void): () => void {
  const timer = setTimeout(job, ms);
  return () => clearTimeout(timer);
}

function browserSocket(path: string): Socket {
  const url = new URL(path, location.href);
  if (url.protocol === "https:") url.protocol = "wss:";
  else if (url.protocol === "http:") url.protocol = "ws:";
  return new WebSocket(url, [SUBPROTOCOL]) as unknown as Socket;
}
