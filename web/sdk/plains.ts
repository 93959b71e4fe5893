/**
 * The sample game's client: a {@link Client} with a replica, a clock and a predictor wired to it. A page asks it once per drawn frame
 * where everything is; all times are milliseconds of the clock that the client was given.
 */
import { type Bytes, MalformedError } from "./bytes.ts";
import { Client, type ClientConfig, type ClientEvents } from "./client.ts";
import { TickClock } from "./clock.ts";
import { since } from "./columns.ts";
import { type Avatar, dispatch as dispatchFramework, type LoginResponse, type Pushes as FrameworkPushes, Route, type Status, type Zone } from "./gen/mmo.ts";
import { callSpectate, dispatch, FINGERPRINT, type MoveRefused, type Pushes, sendMove, World } from "./gen/plains.ts";
import { LAYOUT_ROUTE } from "./layout.ts";
import type { Motion } from "./motion.ts";
import { type Driver, Predictor, type Want } from "./predict.ts";
import type { Replica, ReplicaEvents } from "./replica.ts";

const MAX_EXTRAPOLATION_TICKS = 10; // beyond the last section nothing is known: stop drawing ahead after half a second
const DELAY = { least: 2, most: 3, slewPerMs: 0.0005 };
const EXPECT_TICKS = 5; // a section comes at least this often

/** PlainsConfig is a client's, with the game's own events. */
export interface PlainsConfig extends Omit<ClientConfig, "events" | "fingerprint"> {
  entities?: ReplicaEvents;
  changed?(): void;
  /** session: what the client says of connections and sessions. */
  session?: Pick<ClientEvents, "opened" | "loggedIn" | "resumed" | "notRecovered" | "queue" | "warning" | "goaway" | "refused">;
  refused?(refused: MoveRefused): void;
}

/** Plains plays. */
export class Plains {
  readonly client: Client;
  readonly world: World;
  readonly replica: Replica;
  clock = new TickClock(50);
  predictor: Predictor | undefined;
  login: LoginResponse | undefined;
  status: Status | undefined;
  /** spectating is the radius in force, position quanta; 0 is none. */
  spectating = 0;
  refusals = 0;
  /** delay of others behind what has arrived, ticks; adapts to jitter. */
  delay = 2.5;
  /** renewing: a connection has begun, and has told nothing of the world yet. */
  renewing = false;
  private inputs = 0; // seq of the last input: a session refuses what it has had, whatever connection it comes over
  private delayAt = 0;
  private avatar: Avatar | undefined;
  private lastArrival = NaN;
  private readonly own: Motion = { x: 0, z: 0, vx: 0, vz: 0, yaw: 0 };
  private readonly now: () => number;

  constructor(private readonly config: PlainsConfig) {
    this.now = config.now ?? (() => performance.now());
    this.world = new World(config.entities);
    this.replica = this.world.replica;
    this.client = new Client({
      ...config,
      fingerprint: FINGERPRINT,
      events: {
        ...config.session,
        playing: () => undefined,
        push: (route, payload) => this.push(route, payload),
        state: (payload, arrivedMs) => this.state(payload, arrivedMs),
        changed: () => config.changed?.(),
        opened: () => {
          this.renewing = true;
          this.predictor = undefined;
          config.session?.opened?.();
        },
        loggedIn: (login) => {
          this.begin(login);
          config.session?.loggedIn?.(login);
        },
      },
    });
  }

  /** renew drops what the last connection told of the world, when the next one begins to tell it anew: until then the last picture stays. */
  private renew(): void {
    if (!this.renewing) return;
    for (let i = this.replica.count - 1; i >= 0; i--) this.config.entities?.leave?.(this.replica.live[i]!);
    this.replica.clear();
    this.lastArrival = NaN;
    this.renewing = false;
  }

  /** begin: a new session has a new avatar, and no view but its own. Those of a session that was resumed stay. */
  private begin(login: LoginResponse): void {
    this.login = login;
    this.avatar = undefined;
    this.spectating = 0;
  }

  /** push hands on what is said outside of state frames; what a newer server may say besides, this client does not know. */
  private push(route: number, payload: Bytes): void {
    if (route === Route.zone || route === LAYOUT_ROUTE) this.renew();
    if (route === LAYOUT_ROUTE) this.replica.adopt(payload);
    else if (!dispatch(route, payload, this.pushes)) dispatchFramework(route, payload, this.pushes);
  }

  private readonly pushes: Pushes & FrameworkPushes = {
    zone: (zone) => this.addZone(zone),
    avatar: (avatar) => (this.avatar = avatar),
    status: (status) => (this.status = status),
    moveRefused: (refused) => {
      this.refusals++;
      this.predictor?.refused(refused.seq);
      this.config.refused?.(refused);
    },
  };

  private addZone(zone: Zone): void {
    this.replica.setZone(zone, this.client.connection?.schema);
    const tickMs = 1000 / zone.tickHz;
    this.clock = new TickClock(tickMs);
    this.predictor = new Predictor(tickMs, (input) => {
      this.inputs = input.seq;
      sendMove(this.client, input);
    }, this.inputs);
  }

  private state(payload: Bytes, arrivedMs: number): void {
    this.renew();
    this.replica.apply(payload);
    this.lastArrival = arrivedMs;
    const ownIndex = this.ownIndex();
    for (const section of this.replica.sections) {
      const zone = this.replica.zone(section.row);
      if (zone === undefined) throw new MalformedError("section without a zone");
      this.clock.arrived(section.tick, arrivedMs);
      if (ownIndex >= 0 && this.replica.row[ownIndex] === section.row) {
        this.replica.stateAt(ownIndex, section.tick, this.own);
        this.predictor?.reconcile(section.tick, section.input, this.own, zone.width, zone.height, this.now());
      }
    }
  }

  /** zone is the row that the avatar is in, or the first known. */
  get zone(): Zone | undefined {
    const row = this.avatar === undefined ? -1 : this.replica.rowOf(this.avatar.zone);
    return this.replica.zone(row >= 0 ? row : 0);
  }

  /** ownIndex is the replica's index of the own avatar, or -1. */
  ownIndex(): number {
    return this.avatar === undefined ? -1 : this.replica.indexOf(this.avatar.entity);
  }

  /** serverPosition is the own avatar by the last section, in quanta, without prediction; undefined while it is not visible. */
  serverPosition(): { x: number; z: number } | undefined {
    const i = this.ownIndex();
    if (i < 0) return undefined;
    this.replica.stateAt(i, this.replica.lastTick(this.replica.row[i]!), this.own);
    return { x: this.own.x, z: this.own.z };
  }

  /** advance moves the prediction to now; call it once per drawn frame. */
  advance(nowMs: number, drive: Driver): void {
    this.adaptDelay(nowMs);
    if (this.client.state !== "playing" || !this.clock.ready || this.predictor === undefined) return;
    const rtt = this.client.connection?.roundTrip.medianMs ?? 0;
    this.predictor.advance(this.clock.seen(nowMs) + rtt / this.clock.tickMs + this.predictor.margin, nowMs, drive);
  }

  /** steer changes the wanted velocity at once. */
  steer(want: Want, nowMs: number): void {
    if (this.client.state === "playing") this.predictor?.steer(want, nowMs);
  }

  /** renderTick is the tick, as a fraction, at which others are drawn in the given zone row. */
  renderTick(nowMs: number, row = 0): number {
    if (!this.clock.ready) return 0;
    const last = this.replica.lastTick(row);
    return last + Math.min(since(this.clock.seen(nowMs) - this.delay, last), MAX_EXTRAPOLATION_TICKS);
  }

  private adaptDelay(nowMs: number): void {
    const wanted = Math.min(DELAY.most, Math.max(DELAY.least, DELAY.least + this.clock.jitterMs / this.clock.tickMs - 0.25));
    const limit = Math.max(0, nowMs - this.delayAt) * DELAY.slewPerMs;
    this.delayAt = nowMs;
    this.delay += Math.max(-limit, Math.min(limit, wanted - this.delay));
  }

  /** staleMs is how much longer than expected nothing has been heard of the world. */
  staleMs(nowMs: number): number {
    if (Number.isNaN(this.lastArrival)) return 0;
    return Math.max(0, nowMs - this.lastArrival - EXPECT_TICKS * this.clock.tickMs);
  }

  /** spectate asks for a second observer of the given radius (quanta, 0 removes it); returns the radius now in force. */
  async spectate(radius: number): Promise<number> {
    const got = await callSpectate(this.client, { radius });
    this.spectating = got.radius;
    return got.radius;
  }
}
