/**
 * The sample game's client: a {@link Client} with a replica, a clock and a predictor wired to it. A page asks it once per drawn frame
 * where everything is; all times are milliseconds of the clock that the client was given.
 */
import { type Bytes, MalformedError } from "./bytes.ts";
import { Client, type ClientConfig, type ClientEvents } from "./client.ts";
import { TickClock } from "./clock.ts";
import { since } from "./columns.ts";
import { type Avatar, dispatch as dispatchFramework, type LoginResponse, type Pushes as FrameworkPushes, Route, type Status, type Zone } from "./gen/mmo.ts";
import {
  callAttack, callSpectate, dispatch, type Fell, FINGERPRINT, type Ground, type Hit, type MoveRefused, type Pushes, Route as GameRoute, type Said, sendEnterDen,
  sendMove, sendQuitDen, sendSay, World,
} from "./gen/plains.ts";
import { Land } from "./land.ts";
import { LAYOUT_ROUTE } from "./layout.ts";
import type { Motion } from "./motion.ts";
import { type Driver, Predictor, type Want } from "./predict.ts";
import type { Replica, ReplicaEvents } from "./replica.ts";
import type { RequestError } from "./requests.ts";

const MAX_EXTRAPOLATION_TICKS = 10; // beyond the last section nothing is known: stop drawing ahead after half a second
const DELAY = { least: 2, most: 3, slewPerMs: 0.0005 };
const EXPECT_TICKS = 5; // a section comes at least this often
const ROWS = 15; // of the zone table
const SILENT_TICKS = 60; // a zone of which nothing was heard for so long is out of sight

/** PlainsConfig is a client's, with the game's own events. */
export interface PlainsConfig extends Omit<ClientConfig, "events" | "fingerprint"> {
  entities?: ReplicaEvents;
  changed?(): void;
  /** session: what the client says of connections and sessions. */
  session?: Pick<ClientEvents, "opened" | "loggedIn" | "resumed" | "notRecovered" | "queue" | "warning" | "goaway" | "refused">;
  refused?(refused: MoveRefused): void;
  /** hit, fell: somebody in sight was struck, or has died of it. */
  hit?(hit: Hit): void;
  fell?(fell: Fell): void;
  said?(said: Said): void;
  /** embodied: the own avatar is another entity than before: the first, or the one after a death. */
  embodied?(): void;
}

/** Plains plays. */
export class Plains {
  readonly client: Client;
  readonly world: World;
  readonly replica: Replica;
  /** clock of the server: zones of a world step together. */
  clock = new TickClock(50);
  predictor: Predictor | undefined;
  readonly land = new Land();
  login: LoginResponse | undefined;
  status: Status | undefined;
  /** spectating is the radius in force, position quanta; 0 is none. */
  spectating = 0;
  refusals = 0;
  /** delay of others behind what has arrived, ticks; adapts to jitter. */
  delay = 2.5;
  /** renewing: a connection has begun, and has told nothing of the world yet. */
  renewing = false;
  /** inside a den, as far as this client knows: it has gone in by itself. */
  inside = false;
  private fallen: bigint | undefined; // who of our avatars has died
  private passing: number | undefined; // the zone in which the way into or out of a den was taken
  private tried = false; // the other way through the mouth, when this one was refused
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
        refused: (route, error) => this.pushRefused(route, error),
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
    this.avatar = this.fallen = undefined;
    this.spectating = 0;
    this.inside = false;
    this.land.show(undefined);
  }

  /** push hands on what is said outside of state frames; what a newer server may say besides, this client does not know. */
  private push(route: number, payload: Bytes): void {
    if (route === Route.zone || route === LAYOUT_ROUTE) this.renew();
    if (route === LAYOUT_ROUTE) this.replica.adopt(payload);
    else if (!dispatch(route, payload, this.pushes)) dispatchFramework(route, payload, this.pushes);
  }

  private readonly pushes: Pushes & FrameworkPushes = {
    zone: (zone) => this.addZone(zone),
    avatar: (avatar) => this.embody(avatar),
    status: (status) => (this.status = status),
    ground: (ground) => this.walkOn(ground),
    hit: (hit) => this.config.hit?.(hit),
    said: (said) => this.config.said?.(said),
    fell: (fell) => {
      if (fell.target === this.avatar?.entity) this.fallen = fell.target;
      this.config.fell?.(fell);
    },
    moveRefused: (refused) => {
      this.refusals++;
      this.predictor?.refused(refused.seq);
      this.config.refused?.(refused);
    },
  };

  private addZone(zone: Zone): void {
    this.replica.setZone(zone, this.client.connection?.schema);
    const tickMs = 1000 / zone.tickHz;
    if (this.predictor !== undefined && this.clock.tickMs === tickMs) return; // one more zone of the same world
    this.clock = new TickClock(tickMs);
    this.predict();
  }

  /** predict begins anew, from the next section. */
  private predict(): void {
    this.predictor = new Predictor(this.clock.tickMs, (input) => {
      this.inputs = input.seq;
      sendMove(this.client, input);
    }, this.inputs);
  }

  /** embody takes the word about which entity is the own one, and where: at the beginning, in each zone that it comes into, and after a death. */
  private embody(avatar: Avatar): void {
    const before = this.avatar;
    this.avatar = avatar;
    if (before?.zone !== avatar.zone) {
      this.spectating = 0; // it shows one zone only
      this.predictor?.forgive();
      if (this.passing === before?.zone && this.passing !== undefined) this.inside = !this.inside;
      this.passing = undefined;
    }
    if (before?.entity === avatar.entity) return;
    if (before !== undefined && this.predictor !== undefined) this.predict();
    this.config.embodied?.();
  }

  private walkOn(ground: Ground): void {
    try {
      this.land.show(ground);
      void this.land.ground; // a wall that is none is found here
    } catch (error) {
      throw new MalformedError(`ground: ${(error as Error).message}`);
    }
  }

  private state(payload: Bytes, arrivedMs: number): void {
    this.renew();
    this.replica.apply(payload);
    this.lastArrival = arrivedMs;
    const sections = this.replica.sections;
    const ownIndex = this.ownIndex();
    const own = sections.find((s) => ownIndex >= 0 && this.replica.row[ownIndex] === s.row);
    const newest = own ?? sections.reduce((a, b) => (since(b.tick, a.tick) > 0 ? b : a));
    this.clock.arrived(newest.tick, arrivedMs);
    this.land.know(this.around());
    if (own === undefined) return;
    this.replica.stateAt(ownIndex, own.tick, this.own);
    this.predictor?.reconcile(own.tick, own.input, this.own, this.land.ground, this.now());
  }

  /** around are the rows of zones of which something was heard lately, that of the avatar first. A row stays when its zone is out of sight, and another world may have the same places. */
  private around(): Zone[] {
    const own = this.zone;
    if (own === undefined) return [];
    const newest = this.newestTick();
    return [own, ...this.rows().filter((r) => r.zone !== own.zone && since(newest, this.replica.lastTick(r.index)) < SILENT_TICKS)];
  }

  private rows(): Zone[] {
    return Array.from({ length: ROWS }, (_, i) => this.replica.zone(i)).filter((r) => r !== undefined);
  }

  /** isAround tells whether a row is that of the avatar's zone or of one beside it: what of another world is still in the replica lies somewhere else. */
  isAround(row: number): boolean {
    const id = this.replica.zone(row)?.zone;
    return this.land.zones.some((z) => z.zone === id);
  }

  private newestTick(): number {
    let newest = NaN;
    for (const r of this.rows()) {
      const tick = this.replica.lastTick(r.index);
      if (Number.isNaN(newest) || since(tick, newest) > 0) newest = tick;
    }
    return newest;
  }

  /** zone is the row that the avatar is in, or the first known. */
  get zone(): Zone | undefined {
    const index = this.ownIndex();
    if (index >= 0) return this.replica.zone(this.replica.row[index]!);
    const row = this.avatar === undefined ? -1 : this.replica.rowOf(this.avatar.zone);
    return this.replica.zone(row >= 0 ? row : (this.rows()[0]?.index ?? 0));
  }

  /** dead: the own avatar has died, and there is no new one yet. */
  get dead(): boolean {
    return this.fallen !== undefined && this.fallen === this.avatar?.entity;
  }

  /** me is the id of the own avatar. */
  get me(): bigint | undefined {
    return this.avatar?.entity;
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
    if (this.client.state !== "playing" || !this.clock.ready || this.predictor === undefined || this.ownIndex() < 0) return;
    const rtt = this.client.connection?.roundTrip.medianMs ?? 0;
    this.predictor.advance(this.clock.seen(nowMs) + rtt / this.clock.tickMs + this.predictor.margin, nowMs, drive);
  }

  /** steer changes the wanted velocity at once. */
  steer(want: Want, nowMs: number): void {
    if (this.client.state === "playing" && this.ownIndex() >= 0) this.predictor?.steer(want, nowMs);
  }

  /** renderTick is the tick, as a fraction, at which others are drawn, in all zones. */
  renderTick(nowMs: number): number {
    const last = this.newestTick();
    if (!this.clock.ready || Number.isNaN(last)) return 0;
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

  /** attack strikes at an entity, and tells its points afterwards. It rejects with a RequestError whose words say why not. */
  async attack(target: bigint): Promise<number> {
    return (await callAttack(this.client, { target })).hp;
  }

  /** say something to those around, or a command: "/shout text", "/join party", "/p text", "/quit". */
  say(text: string): void {
    sendSay(this.client, { text });
  }

  /** passMouth goes into the den at whose mouth the avatar stands, or out of it. */
  passMouth(): void {
    this.tried = false;
    this.pass();
  }

  private pass(): void {
    this.passing = this.avatar?.zone;
    if (this.inside) sendQuitDen(this.client, {});
    else sendEnterDen(this.client, {});
  }

  /** pushRefused: a page that was loaded anew does not know on which side of a mouth it is: it tries the other way, once. */
  private pushRefused(route: number, error: RequestError): void {
    const mouth = route === GameRoute.enterDen || route === GameRoute.quitDen;
    if (mouth && this.tried) {
      this.passing = undefined;
      this.inside = !this.inside; // neither way: as before
    }
    if (!mouth || this.tried) {
      this.config.session?.refused?.(route, error);
      return;
    }
    this.tried = true;
    this.inside = !this.inside;
    this.pass();
  }
}
