/**
 * Motion: places and velocities of entities. Each entity keeps its last publications: the newest is the base that updates are coded against, the
 * older ones let a picture of the recent past be drawn exactly. Everything in integers of 32 bits, as the server does.
 *
 *   full  = axes of the position · velocity per axis, against 0 · the other fields' full form       x, z: position_bits of the zone, from its origin, unless they have a range
 *   delta = velocity · per other field `0` as before | `1` new form · position
 *     velocity = `0` as before | `1` velocity per axis
 *     position = `0` as predicted | `1` [hypothesis 1, only if the velocity changed] · residual per axis
 *   polar:
 *     full  = axes · heading · speed in full · [velocity y, against 0] · the other fields
 *     delta = heading (`0` | `1` angle) · speed · [y: `0` | `1` velocity] · other fields · position
 *     speed = `0` [`0` as before | `1` + 11] | `1` velocity x · velocity z
 *     speed in full = `0` + 11 | `1` velocity x · velocity z, against 0
 */
import { readAngle, readNum32, readRangedFull, readResidual, readVelocity } from "./bitcodes.ts";
import { type BitReader, MalformedError } from "./bytes.ts";
import { blend, Ring, RING, since, type Slot, widened } from "./columns.ts";
import { type Component, type Field, ranged } from "./layout.ts";

/** BACKWARD_TICKS bounds how far before the oldest publication a position is still reckoned back. */
const BACKWARD_TICKS = 3;

/** Motion is a state of motion: positions and velocities in quanta, yaw in steps of the heading. y is there if the layout has heights. */
export interface Motion {
  x: number;
  z: number;
  vx: number;
  vz: number;
  yaw: number;
  y?: number;
  vy?: number;
}

/** Sample is a drawn position: quanta as fractions, yaw in steps of the heading. */
export interface Sample {
  x: number;
  z: number;
  yaw: number;
  y?: number;
}

/** reckon is the prediction that server, gateway and client share: a closed form, so it does not matter who evaluates it when. */
export function reckon(position: number, velocity: number, ticks: number): number {
  return (position + Math.imul(velocity, ticks)) | 0;
}

/** Motions keeps publications: places by {@link Ring}. */
export class Motions extends Ring {
  x = new Int32Array(0);
  y = new Int32Array(0);
  z = new Int32Array(0);
  vx = new Int32Array(0);
  vy = new Int32Array(0);
  vz = new Int32Array(0);
  yaw = new Uint16Array(0);
  /** turn is the number of steps to a turn of each entity's heading, 0 if it has none. */
  turn = new Int32Array(0);

  /** high says whether the layout has heights. */
  constructor(public high: boolean) {
    super();
  }

  override grow(n: number): void {
    super.grow(n);
    this.turn = widened(this.turn, n);
    for (const key of ["x", "z", "vx", "vz"] as const) this[key] = widened(this[key], n * RING);
    if (this.high) for (const key of ["y", "vy"] as const) this[key] = widened(this[key], n * RING);
    this.yaw = widened(this.yaw, n * RING);
  }

  /** begin prepares an index for an entity that enters. */
  begin(index: number, turn: number): void {
    this.forget(index);
    this.turn[index] = turn;
    const p = this.base(index);
    this.tick[p] = this.x[p] = this.z[p] = this.vx[p] = this.vz[p] = this.yaw[p] = 0;
    if (this.high) this.y[p] = this.vy[p] = 0;
  }

  publish(index: number, tick: number, m: Required<Motion>): void {
    const p = this.push(index, tick);
    this.x[p] = m.x;
    this.z[p] = m.z;
    this.vx[p] = m.vx;
    this.vz[p] = m.vz;
    this.yaw[p] = m.yaw;
    if (this.high) {
      this.y[p] = m.y;
      this.vy[p] = m.vy;
    }
  }

  /** stateAt reckons an entity at a tick from its base, exactly as the server does. */
  stateAt(index: number, tick: number, out: Motion): void {
    const p = this.base(index);
    const dt = (tick - this.tick[p]!) | 0;
    out.vx = this.vx[p]!;
    out.vz = this.vz[p]!;
    out.x = reckon(this.x[p]!, out.vx, dt);
    out.z = reckon(this.z[p]!, out.vz, dt);
    out.yaw = this.yaw[p]!;
    if (this.high) out.y = reckon(this.y[p]!, (out.vy = this.vy[p]!), dt);
  }

  /**
   * sample draws an entity at a fractional tick: the publication with the greatest base tick ≤ r, extrapolated, and a straight blend
   * over the last tick before a newer publication's base, so that the picture passes exactly through every state the server had.
   * It returns the publication's place.
   */
  sample(index: number, r: number, out: Sample): number {
    const p = this.seek(index, r);
    const next = this.newer;
    const ago = since(r, this.tick[p]!);
    const until = next < 0 ? Infinity : since(this.tick[next]! - 1, this.tick[p]!);
    const dt = Math.max(Math.min(ago, until), -BACKWARD_TICKS);
    const f = ago - until;
    out.x = along(this.x, this.vx, p, next, dt, f);
    out.z = along(this.z, this.vz, p, next, dt, f);
    if (this.high) out.y = along(this.y, this.vy, p, next, dt, f);
    out.yaw = f > 0 ? blend(this.yaw[p]!, this.yaw[next]!, f, this.turn[index]!) : this.yaw[p]!;
    return p;
  }
}

function along(at: Int32Array, v: Int32Array, p: number, next: number, dt: number, f: number): number {
  const a = at[p]! + v[p]! * dt;
  return f > 0 ? a + (at[next]! - a) * f : a;
}

const AXES = ["x", "y", "z"] as const;
const VELOCITIES = ["vx", "vy", "vz"] as const;

/** Reads the motion of one component. */
export class MotionCodec {
  /** turn is the number of steps to a turn of the heading, 0 if there is none. */
  readonly turn: number;
  private readonly axes: number[]; // 0 x, 1 y, 2 z
  private readonly fields: Field[];
  private readonly rest: (Slot | "heading")[];
  /** slots of the fields that travel with place and velocity. */
  readonly slots: Slot[];
  private readonly heading: number; // its bits
  private readonly polar: Polar | undefined;
  private readonly m: Required<Motion> = { x: 0, y: 0, z: 0, vx: 0, vy: 0, vz: 0, yaw: 0 };

  /** slots yields the slot of a field that is neither place nor velocity. */
  constructor(c: Component, private readonly motions: Motions, slot: (f: Field) => Slot) {
    const m = c.motion!;
    this.axes = m.y === 0 ? [0, 2] : [0, 1, 2];
    this.fields = AXES.map((a) => c.fields.find((f) => f.id === m[a])!);
    const used = [m.x, m.y, m.z, m.vx, m.vy, m.vz];
    this.heading = c.fields.find((f) => f.id === m.heading)?.bits ?? 0;
    this.turn = this.heading === 0 ? 0 : 2 ** this.heading;
    this.polar = m.polar ? new Polar(this.heading) : undefined;
    this.rest = c.fields
      .filter((f) => f.audience === 0 && !used.includes(f.id) && !(m.polar && f.id === m.heading))
      .map((f) => (f.id === m.heading ? "heading" : slot(f)));
    this.slots = this.rest.filter((s) => s !== "heading");
  }

  /** full reads a full state; originX and originZ are what its place on the ground plane counts from. */
  full(r: BitReader, i: number, tick: number, positionBits: number, originX: number, originZ: number): void {
    const m = this.m;
    m.y = m.vy = m.yaw = 0;
    for (const a of this.axes) {
      const f = this.fields[a]!;
      if (ranged(f)) m[AXES[a]!] = Number(f.min) + readRangedFull(r, f.bits, Number(f.limit - f.min));
      else m[AXES[a]!] = a === 1 ? readNum32(r, 0) : (r.bits(positionBits) + (a === 0 ? originX : originZ)) | 0; // a height may be negative
    }
    if (this.polar !== undefined) {
      m.yaw = r.bits(this.heading);
      this.polar.full(r, m);
      if (this.axes.length === 3) m.vy = readVelocity(r, 0);
    } else {
      for (const a of this.axes) m[VELOCITIES[a]!] = readVelocity(r, 0);
    }
    for (const s of this.rest) {
      if (s === "heading") m.yaw = r.bits(this.heading);
      else s.column.put(i, s.codec.full(r), tick);
    }
    this.motions.publish(i, tick, m);
  }

  delta(r: BitReader, i: number, tick: number): void {
    const m = this.m;
    const at = this.motions;
    const p = at.base(i);
    const [ovx, ovz, ovy] = [at.vx[p]!, at.vz[p]!, at.high ? at.vy[p]! : 0];
    m.vx = ovx;
    m.vz = ovz;
    m.vy = ovy;
    m.y = at.high ? at.y[p]! : 0;
    m.yaw = at.yaw[p]!;
    if (this.polar !== undefined) {
      const yaw = m.yaw;
      if (r.bit() === 1) m.yaw = readAngle(r, yaw, this.heading);
      this.polar.delta(r, m, yaw);
      if (this.axes.length === 3 && r.bit() === 1) m.vy = readVelocity(r, ovy);
    } else if (r.bit() === 1) {
      for (const a of this.axes) m[VELOCITIES[a]!] = readVelocity(r, m[VELOCITIES[a]!]);
    }
    for (const s of this.rest) {
      if (r.bit() === 0) continue;
      if (s === "heading") m.yaw = readAngle(r, m.yaw, this.heading);
      else s.column.put(i, s.codec.delta(r, s.column.at(i)), tick);
    }
    const turned = m.vx !== ovx || m.vz !== ovz || m.vy !== ovy;
    const off = r.bit() === 1;
    // the hypothesis that the entity turned before it moved: one tick less of the old velocity, one of the new
    const first = off && turned && r.bit() === 1;
    const dt = (tick - at.tick[p]!) | 0;
    for (const a of this.axes) {
      const [axis, old] = a === 0 ? [at.x, ovx] : a === 1 ? [at.y, ovy] : [at.z, ovz];
      let v = reckon(axis[p]!, old, dt);
      if (first) v += m[VELOCITIES[a]!] - old;
      if (off) v += readResidual(r);
      v |= 0;
      const f = this.fields[a]!;
      if (ranged(f) && (v < f.min || v > f.limit)) throw new MalformedError("position outside its range");
      m[AXES[a]!] = v;
    }
    at.publish(i, tick, m);
  }
}

const SHIFT = 14;
const HALF = 1 << (SHIFT - 1);
const SPEED_BITS = 11;
const FAR = 1 << SPEED_BITS;

/** Polar turns a heading and a speed into a velocity, in integers: the same on every machine. */
export class Polar {
  /** cos of each heading, in 1/2^14. */
  readonly cos: Int32Array;
  private readonly mask: number;

  constructor(bits: number) {
    const n = 2 ** bits;
    this.mask = n - 1;
    this.cos = Int32Array.from({ length: n }, (_, i) => Math.round(Math.cos((i * 2 * Math.PI) / n) * 2 ** SHIFT));
  }

  /** velocity is speed in the direction of heading: 0 is +x, a quarter +z. */
  velocity(heading: number, speed: number): [vx: number, vz: number] {
    return [(this.c(heading) * speed + HALF) >> SHIFT, (this.s(heading) * speed + HALF) >> SHIFT];
  }

  private c(heading: number): number {
    return this.cos[heading & this.mask]!;
  }

  private s(heading: number): number {
    return this.c(heading - ((this.mask + 1) >> 2));
  }

  /** speed finds the speed that gives a velocity at a heading, or -1. */
  speed(heading: number, vx: number, vz: number): number {
    if (vx === 0 && vz === 0) return 0;
    if (vx <= -FAR || vx >= FAR || vz <= -FAR || vz >= FAR) return -1;
    const near = (this.c(heading) * vx + this.s(heading) * vz + HALF) >> SHIFT;
    for (const speed of [near, near - 1, near + 1]) {
      const [x, z] = this.velocity(heading, speed);
      if (speed >= 0 && speed < FAR && x === vx && z === vz) return speed;
    }
    return -1;
  }

  full(r: BitReader, m: Motion): void {
    if (r.bit() === 1) this.axes(r, m, 0, 0);
    else [m.vx, m.vz] = this.velocity(m.yaw, r.bits(SPEED_BITS));
  }

  /** delta reads the change of m's velocity; m has its new heading already. */
  delta(r: BitReader, m: Motion, oldYaw: number): void {
    if (r.bit() === 1) return this.axes(r, m, m.vx, m.vz);
    const speed = r.bit() === 1 ? r.bits(SPEED_BITS) : this.speed(oldYaw, m.vx, m.vz);
    if (speed < 0) throw new MalformedError("a speed as before, where there was none");
    [m.vx, m.vz] = this.velocity(m.yaw, speed);
  }

  private axes(r: BitReader, m: Motion, vx: number, vz: number): void {
    m.vx = readVelocity(r, vx);
    m.vz = readVelocity(r, vz);
  }
}
