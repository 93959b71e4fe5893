/**
 * Prediction of the own avatar: inputs act at once here, and the server's answer is checked against what was predicted.
 *
 * The clock of prediction runs ahead of the server by a round trip and a margin, so that an input for the tick now being walked
 * reaches the zone before that tick. Ticks are simulated with the zone's own rule (rules.ts); between ticks head-1 and head the
 * position is interpolated. A section (tick T, last input s, own state at T) replays the inputs after s on that state; what the eye
 * would see as a jump is carried as an offset that fades in about 100 ms. Time is given in milliseconds of a monotonic clock.
 *
 * Places are the world's, so that a border between zones is nothing special: the next section is another zone's, and counts on.
 */
import type { Ground } from "./fixed/terrain.ts";
import type { Move } from "./gen/plains.ts";
import { type Mover, walk } from "./rules.ts";

const HISTORY = 64; // ticks of predicted states kept: power of two, beyond any sane round trip
const SNAP_QUANTA = 4 * 320; // a correction of more than 4 m is a teleport, not an error to smooth
const FADE_MS = 45; // time constant: after 100 ms a tenth of an error is left
const MAX_SLEW = 0.05;
const JUMP_TICKS = 8;
const MOST_INPUTS = 256; // unacknowledged; a server that takes none for this long gets no more of them
const MARGIN = { least: 1, start: 1.5, most: 6, late: 0.5, decayPerTick: 0.002 };

/** Verdict puts the prediction error into a word. */
export type Verdict = "waiting" | "matched" | "drifting" | "diverging";

/** Want is a wanted velocity in quanta. */
export interface Want {
  vx: number;
  vz: number;
}

/** Driver says what the avatar should want at the tick after `state`; undefined leaves the want as it is. */
export type Driver = (state: Readonly<Mover>, tick: number) => Want | undefined;

const still = (): Mover => ({ x: 0, z: 0, vx: 0, vz: 0, wantVx: 0, wantVz: 0 });

function copy(from: Mover, to: Mover): void {
  to.x = from.x;
  to.z = from.z;
  to.vx = from.vx;
  to.vz = from.vz;
  to.wantVx = from.wantVx;
  to.wantVz = from.wantVz;
}

/** Predictor owns the inputs of one avatar. send is called for each input, in order. */
export class Predictor {
  private readonly states = Array.from({ length: HISTORY }, still);
  private readonly stateTick = new Float64Array(HISTORY).fill(NaN);
  private readonly scratch = still();
  private inputs: Move[] = []; // from the last acknowledged one on
  private head = NaN; // the newest simulated tick
  private clock = NaN; // predicted tick as a fraction
  private clockAt = 0;
  private offsetX = 0;
  private offsetZ = 0;
  private offsetAt = 0;
  private ground: Ground | undefined;
  private forgiven = false; // an answer may be a teleport's
  /** margin in ticks on top of the round trip; grows when inputs come too late. */
  margin = MARGIN.start;
  /** lateInputs counts inputs that the zone got after their tick. */
  lateInputs = 0;
  private judged = 0; // inputs up to this seq were already counted as late
  /** error of the last checked tick, quanta; NaN before the first. */
  error = NaN;
  private errorMean = 0;
  private errorPeak = 0;
  private checks = 0;

  /** seq is that of the last input that this session has sent: inputs go on from there. */
  constructor(private readonly tickMs: number, private readonly send: (input: Move) => void, private seq = 0) {}

  /** ready is true once there is a state to predict from. */
  get ready(): boolean {
    return !Number.isNaN(this.head) && !Number.isNaN(this.clock);
  }

  /** tick is the newest simulated tick. */
  get tick(): number {
    return this.head;
  }

  /** state is the newest predicted state, or undefined before the first section. */
  get state(): Readonly<Mover> | undefined {
    return this.ready ? this.at(this.head) : undefined;
  }

  /** meanError and peakError in quanta; the peak fades by half in about 1.5 s of sections. */
  get meanError(): number {
    return this.errorMean;
  }

  get peakError(): number {
    return this.errorPeak;
  }

  /** verdict: matched within 1 cm, drifting within half a metre. */
  get verdict(): Verdict {
    if (this.checks < 5) return "waiting";
    if (this.errorPeak <= 3.2) return "matched";
    return this.errorPeak <= 160 ? "drifting" : "diverging";
  }

  private at(tick: number): Mover {
    return this.states[tick & (HISTORY - 1)]!;
  }

  private has(tick: number): boolean {
    return this.stateTick[tick & (HISTORY - 1)] === tick;
  }

  private store(tick: number, state: Mover): void {
    copy(state, this.at(tick));
    this.stateTick[tick & (HISTORY - 1)] = tick;
  }

  /** advance moves the prediction clock towards `target` (a tick as a fraction) and simulates the ticks that begin. */
  advance(target: number, nowMs: number, drive: Driver): void {
    if (Number.isNaN(this.head)) return;
    const dt = Math.max(0, nowMs - this.clockAt) / this.tickMs;
    this.clockAt = nowMs;
    const ahead = target - (this.clock + dt);
    if (!(Math.abs(ahead) < JUMP_TICKS)) this.clock = target;
    else this.clock += dt + Math.max(-dt * MAX_SLEW, Math.min(dt * MAX_SLEW, ahead));
    const until = Math.ceil(this.clock);
    if (Math.abs(until - this.head) > HISTORY / 2) {
      this.head = NaN; // the page slept: wait for a section and begin again from there
      return;
    }
    while (this.head < until) {
      const next = this.head + 1;
      const want = drive(this.at(this.head), next);
      if (want !== undefined) this.input(next, want);
      copy(this.at(this.head), this.scratch);
      this.simulate(this.scratch, next, 0);
      this.head = next;
    }
  }

  /** steer applies a want to the tick now being walked, at most once per tick; the driver catches what is left over. */
  steer(want: Want, nowMs: number): void {
    if (!this.ready || !this.has(this.head - 1)) return;
    if (this.inputs.length > 0 && this.inputs.at(-1)!.tick >= this.head) return;
    const before = this.raw();
    if (!this.input(this.head, want)) return;
    copy(this.at(this.head - 1), this.scratch);
    this.simulate(this.scratch, this.head, 0);
    this.carry(before, nowMs);
  }

  private input(tick: number, want: Want): boolean {
    const last = this.inputs.at(-1);
    const now = last ?? { vx: this.at(this.head).wantVx, vz: this.at(this.head).wantVz };
    if ((now.vx === want.vx && now.vz === want.vz) || this.inputs.length >= MOST_INPUTS) return false;
    const move: Move = { seq: ++this.seq, tick, vx: want.vx, vz: want.vz };
    this.inputs.push(move);
    this.send(move);
    return true;
  }

  /** simulate steps m into `tick` with the inputs due by then whose seq is above `after`, and stores it. */
  private simulate(m: Mover, tick: number, after: number): void {
    for (const i of this.inputs) {
      if (i.seq > after && i.tick <= tick) {
        m.wantVx = i.vx;
        m.wantVz = i.vz;
      }
    }
    if (this.ground !== undefined) walk(m, this.ground);
    this.store(tick, m);
  }

  /** refused drops an input that the zone did not take. */
  refused(seq: number): void {
    this.inputs = this.inputs.filter((i) => i.seq !== seq);
  }

  /** forgive says that the avatar is in another zone now: if an answer is far off, it was carried there, and nothing was predicted badly. */
  forgive(): void {
    this.forgiven = true;
  }

  /** reconcile takes the server's word: at tick T, with inputs up to `applied`, the avatar is at `own`, on this ground. */
  reconcile(T: number, applied: number, own: { x: number; z: number; vx: number; vz: number }, ground: Ground, nowMs: number): void {
    this.ground = ground;
    const drawn = this.ready;
    const before = this.raw();
    if (drawn && this.has(T)) {
      const error = Math.hypot(this.at(T).x - own.x, this.at(T).z - own.z);
      if (this.forgiven && error > SNAP_QUANTA) this.forgiven = false;
      else this.judge(error);
    }
    this.noteLate(T, applied);

    // The want in force at T is that of the last applied input; its velocity may be 0 at a wall while the want is not.
    let inForce: Move | undefined;
    for (const i of this.inputs) if (i.seq <= applied) inForce = i;
    this.inputs = this.inputs.filter((i) => i === inForce || i.seq > applied);
    const m: Mover = { ...own, wantVx: inForce?.vx ?? own.vx, wantVz: inForce?.vz ?? own.vz };
    this.store(T, m);
    if (Number.isNaN(this.head) || T > this.head) this.head = T;
    for (let t = T + 1; t <= this.head; t++) this.simulate(m, t, applied);
    if (drawn) this.carry(before, nowMs);
  }

  private judge(error: number): void {
    this.checks++;
    this.error = error;
    this.errorMean += (error - this.errorMean) * 0.05;
    this.errorPeak = Math.max(error, this.errorPeak * 0.97);
    if (this.errorPeak < 0.5) this.errorPeak = error; // do not fade for ever towards a zero that was reached
  }

  private noteLate(T: number, applied: number): void {
    let late = false;
    for (const i of this.inputs) {
      if (i.seq > applied && i.tick <= T && i.seq > this.judged) {
        this.judged = i.seq;
        this.lateInputs++;
        late = true;
      }
    }
    this.margin = late ? Math.min(MARGIN.most, this.margin + MARGIN.late) : Math.max(MARGIN.least, this.margin - MARGIN.decayPerTick);
  }

  private raw(): { x: number; z: number } {
    if (!this.ready) return { x: 0, z: 0 };
    const to = this.at(this.head);
    if (!this.has(this.head - 1)) return { x: to.x, z: to.z };
    const from = this.at(this.head - 1);
    const f = Math.min(1, Math.max(0, this.clock - (this.head - 1)));
    return { x: from.x + (to.x - from.x) * f, z: from.z + (to.z - from.z) * f };
  }

  /** carry keeps the drawn position where it was, as an offset that fades. */
  private carry(before: { x: number; z: number }, nowMs: number): void {
    this.fade(nowMs);
    const after = this.raw();
    this.offsetX += before.x - after.x;
    this.offsetZ += before.z - after.z;
    if (Math.hypot(this.offsetX, this.offsetZ) > SNAP_QUANTA) this.offsetX = this.offsetZ = 0;
  }

  private fade(nowMs: number): void {
    const k = Math.exp(-Math.max(0, nowMs - this.offsetAt) / FADE_MS);
    this.offsetAt = nowMs;
    this.offsetX *= k;
    this.offsetZ *= k;
  }

  /** position is where to draw the avatar now, in quanta. */
  position(nowMs: number): { x: number; z: number } {
    this.fade(nowMs);
    const p = this.raw();
    return { x: p.x + this.offsetX, z: p.z + this.offsetZ };
  }
}
