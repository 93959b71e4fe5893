/**
 * The client's replica: what the server says is visible, decoded from state frames (manual §7) straight into arrays keyed by the
 * connection's local index. Each entity keeps its last {@link RING} publications: the newest is the base that updates are coded
 * against, the older ones let a picture of the recent past be drawn exactly. Everything in integers of 32 bits, as the server does.
 *
 *   state   = section, then `1` section …, then `0`
 *   section = zone index 4 · tick · input · width 4 · leaves count · enters count · updates count · leaves · enters · updates
 *
 * One owner, no clock, no I/O. A malformed frame throws and leaves the replica unusable: the connection ends with it.
 */
import { BitReader, MalformedError } from "./bytes.ts";
import type { Zone } from "./proto.ts";

/** RING is how many publications are kept per entity; a power of two. */
export const RING = 4;

/** BACKWARD_TICKS bounds how far before the oldest publication a position is still reckoned back. */
const BACKWARD_TICKS = 3;

/** Section is what a section said besides its entities. Ticks are int32 that wrap. */
export interface Section {
  row: number;
  tick: number;
  /** input is the last of this client's inputs applied at tick. */
  input: number;
}

/** Motion is a state of motion: positions and velocities in quanta, yaw in 1/1024 turn. */
export interface Motion {
  x: number;
  z: number;
  vx: number;
  vz: number;
  yaw: number;
}

/** Sample is a drawn position: quanta as fractions, yaw in 1/1024 turn. */
export interface Sample {
  x: number;
  z: number;
  yaw: number;
}

/** ReplicaEvents tells of structural changes, during apply. On a leave the arrays still hold the entity. */
export interface ReplicaEvents {
  enter?(index: number): void;
  leave?(index: number): void;
}

interface Row {
  zone: Zone;
  tick: number;
  input: number;
}

const NO_ROW = 255;

/** Replica decodes frames; read its arrays between calls. */
export class Replica {
  /** ids, kinds, health and zone row by local index; meaningful where alive(index). */
  id = new BigUint64Array(0);
  kind = new Uint16Array(0);
  hp = new Uint16Array(0);
  row = new Uint8Array(0);
  /** Publications: index · RING + slot; head is the slot of the newest, held the number kept. */
  pubTick = new Int32Array(0);
  pubX = new Int32Array(0);
  pubZ = new Int32Array(0);
  pubVx = new Int32Array(0);
  pubVz = new Int32Array(0);
  pubYaw = new Uint16Array(0);
  private head = new Uint8Array(0);
  private held = new Uint8Array(0);

  /** live lists the indices of live entities, the first `count` of it, in no order. */
  live = new Uint16Array(0);
  count = 0;
  private place = new Int32Array(0); // index → position in live, -1 when not alive
  private readonly byId = new Map<bigint, number>();
  private readonly rows: (Row | undefined)[] = [];
  private readonly bits = new BitReader();
  private displaced: { index: number; row: number }[] = [];

  /** sections of the last frame applied. */
  readonly sections: Section[] = [];
  /** enters and updates count what was decoded since the replica was made. */
  enters = 0;
  updates = 0;

  constructor(private readonly events: ReplicaEvents = {}) {}

  /** setZone sets a row of the zone table: its next section counts from the row's tick and from input 0. */
  setZone(zone: Zone): void {
    this.rows[zone.index] = { zone, tick: zone.tick | 0, input: 0 };
  }

  /** zone returns a row of the zone table. */
  zone(row: number): Zone | undefined {
    return this.rows[row]?.zone;
  }

  /** lastTick of a row: the tick of its last section. */
  lastTick(row: number): number {
    return this.rows[row]?.tick ?? 0;
  }

  /** rowOf returns the row of a zone id, or -1. */
  rowOf(zoneId: number): number {
    return this.rows.findIndex((r) => r?.zone.zone === zoneId);
  }

  alive(index: number): boolean {
    return index < this.place.length && this.place[index]! >= 0;
  }

  /** indexOf returns the local index of an entity, or -1. */
  indexOf(id: bigint): number {
    return this.byId.get(id) ?? -1;
  }

  /** clear forgets everything, zone table included: a new connection begins with an empty replica. */
  clear(): void {
    for (let i = 0; i < this.count; i++) this.place[this.live[i]!] = -1;
    this.count = 0;
    this.byId.clear();
    this.rows.length = 0;
    this.sections.length = 0;
  }

  /** base returns the index into the pub arrays of an entity's newest publication. */
  base(index: number): number {
    return index * RING + this.head[index]!;
  }

  /** stateAt reckons an entity at a tick from its base, exactly as the server does. */
  stateAt(index: number, tick: number, out: Motion): void {
    const b = this.base(index);
    const dt = (tick - this.pubTick[b]!) | 0;
    out.vx = this.pubVx[b]!;
    out.vz = this.pubVz[b]!;
    out.x = reckon(this.pubX[b]!, out.vx, dt);
    out.z = reckon(this.pubZ[b]!, out.vz, dt);
    out.yaw = this.pubYaw[b]!;
  }

  /**
   * sample draws an entity at a fractional tick: the publication with the greatest base tick ≤ r, extrapolated, and a straight blend
   * over the last tick before a newer publication's base, so that the picture passes exactly through every state the server had.
   */
  sample(index: number, r: number, out: Sample): void {
    const at = index * RING;
    const head = this.head[index]!;
    const held = this.held[index]!;
    let newer = -1;
    let p = at + head;
    let found = false;
    for (let i = 0; i < held; i++) {
      p = at + ((head - i) & (RING - 1));
      if (this.pubTick[p]! <= r) {
        found = true;
        break;
      }
      newer = p;
    }
    const tick = this.pubTick[p]!;
    if (!found) {
      const back = Math.max(r - tick, -BACKWARD_TICKS);
      out.x = this.pubX[p]! + this.pubVx[p]! * back;
      out.z = this.pubZ[p]! + this.pubVz[p]! * back;
      out.yaw = this.pubYaw[p]!;
      return;
    }
    if (newer >= 0 && r > this.pubTick[newer]! - 1) {
      const from = this.pubTick[newer]! - 1;
      const f = r - from;
      const x = this.pubX[p]! + this.pubVx[p]! * (from - tick);
      const z = this.pubZ[p]! + this.pubVz[p]! * (from - tick);
      out.x = x + (this.pubX[newer]! - x) * f;
      out.z = z + (this.pubZ[newer]! - z) * f;
      const turn = ((this.pubYaw[newer]! - this.pubYaw[p]! + 1536) & 1023) - 512;
      out.yaw = this.pubYaw[p]! + turn * f;
      return;
    }
    out.x = this.pubX[p]! + this.pubVx[p]! * (r - tick);
    out.z = this.pubZ[p]! + this.pubVz[p]! * (r - tick);
    out.yaw = this.pubYaw[p]!;
  }

  /** apply decodes one state frame. */
  apply(frame: Uint8Array): void {
    const r = this.bits;
    r.reset(frame);
    this.sections.length = 0;
    this.displaced.length = 0;
    do this.section(r);
    while (r.bit() === 1);
    if (r.left >= 8) throw new MalformedError("state frame with bytes after its end");
    if (this.displaced.length > 0) throw new MalformedError("enter at an index in use");
  }

  private section(r: BitReader): void {
    const index = r.bits(4);
    const row = this.rows[index];
    if (row === undefined) throw new MalformedError(`section of unknown zone index ${index}`);
    row.tick = readTick(r, row.tick);
    const d = r.bits(2);
    row.input = d <= 2 ? (row.input + d) >>> 0 : r.bits(32);
    const width = r.bits(4);
    const leaves = readCount(r);
    const enters = readCount(r);
    const updates = readCount(r);
    // An entity takes at least one bit, so a count beyond what is left is a lie; refuse before looping on it.
    if (leaves + enters + updates > r.left) throw new MalformedError("state frame counts more than it holds");
    for (let i = 0; i < leaves; i++) this.leave(r.bits(width), index);
    for (let i = 0; i < enters; i++) this.enter(r, r.bits(width), index, row);
    for (let i = 0; i < updates; i++) this.update(r, r.bits(width), row);
    this.sections.push({ row: index, tick: row.tick, input: row.input });
  }

  private leave(index: number, row: number): void {
    const moved = this.displaced.findIndex((d) => d.index === index && d.row === row);
    if (moved >= 0) {
      this.displaced.splice(moved, 1); // already gone: another section of this frame took its index first
      return;
    }
    if (!this.alive(index)) throw new MalformedError(`leave of unused index ${index}`);
    this.remove(index);
  }

  private remove(index: number): void {
    this.events.leave?.(index);
    const id = this.id[index]!;
    if (this.byId.get(id) === index) this.byId.delete(id);
    const at = this.place[index]!;
    const last = this.live[--this.count]!;
    this.live[at] = last;
    this.place[last] = at;
    this.place[index] = -1;
    this.row[index] = NO_ROW;
  }

  private enter(r: BitReader, index: number, rowIndex: number, row: Row): void {
    if (index >= this.place.length) this.grow(index + 1);
    if (this.alive(index)) {
      // The leave that frees this index stands in a later section of another zone in the same frame.
      this.displaced.push({ index, row: this.row[index]! });
      this.remove(index);
    }
    const low = r.bit() === 0;
    const first = BigInt(r.bits(32));
    this.id[index] = low ? first : first | (BigInt(r.bits(32)) << 32n);
    const kind = r.bits(4);
    this.kind[index] = kind === 15 ? r.bits(16) : kind;
    this.row[index] = rowIndex;
    this.held[index] = 0;
    this.place[index] = this.count;
    this.live[this.count++] = index;
    this.byId.set(this.id[index]!, index);
    this.full(r, index, (row.tick - readAge(r)) | 0, row.zone.positionBits);
    this.enters++;
    this.events.enter?.(index);
  }

  private update(r: BitReader, index: number, row: Row): void {
    if (!this.alive(index)) throw new MalformedError(`update of unused index ${index}`);
    this.updates++;
    if (r.bit() === 0) {
      this.delta(r, index, row.tick);
    } else if (r.bit() === 0) {
      this.delta(r, index, (row.tick - readAge(r)) | 0);
    } else {
      this.full(r, index, (row.tick - readAge(r)) | 0, row.zone.positionBits);
    }
  }

  private full(r: BitReader, index: number, tick: number, positionBits: number): void {
    const x = r.bits(positionBits) | 0;
    const z = r.bits(positionBits) | 0;
    const vx = readVelocity(r, 0);
    const vz = readVelocity(r, 0);
    const yaw = r.bits(10);
    this.publish(index, tick, x, z, vx, vz, yaw);
    this.hp[index] = r.bits(16);
  }

  private delta(r: BitReader, index: number, tick: number): void {
    if (r.bit() === 1) {
      const b = this.base(index);
      const oldVx = this.pubVx[b]!;
      const oldVz = this.pubVz[b]!;
      let vx = oldVx;
      let vz = oldVz;
      const turned = r.bit() === 1;
      if (turned) {
        vx = readVelocity(r, oldVx);
        vz = readVelocity(r, oldVz);
      }
      let yaw = this.pubYaw[b]!;
      if (r.bit() === 1) yaw = r.bit() === 0 ? (yaw + r.bits(6) - 32) & 1023 : r.bits(10);
      const dt = (tick - this.pubTick[b]!) | 0;
      let x = reckon(this.pubX[b]!, oldVx, dt);
      let z = reckon(this.pubZ[b]!, oldVz, dt);
      if (r.bit() === 1) {
        if (turned && r.bit() === 1) {
          // the hypothesis that the entity turned before it moved: one tick less of the old velocity, one of the new
          x = (x - oldVx + vx) | 0;
          z = (z - oldVz + vz) | 0;
        }
        x = (x + readResidual(r)) | 0;
        z = (z + readResidual(r)) | 0;
      }
      this.publish(index, tick, x, z, vx, vz, yaw);
    }
    if (r.bit() === 1) this.hp[index] = r.bits(16);
  }

  private publish(index: number, tick: number, x: number, z: number, vx: number, vz: number, yaw: number): void {
    const held = this.held[index]!;
    if (held === 0) {
      this.head[index] = 0;
      this.held[index] = 1;
    } else {
      const age = (tick - this.pubTick[this.base(index)]!) | 0;
      if (age > 0) {
        this.head[index] = (this.head[index]! + 1) & (RING - 1);
        this.held[index] = Math.min(RING, held + 1);
      } else if (age < 0) {
        this.held[index] = 1; // an older base than the last: the history before it means nothing now
      }
    }
    const p = this.base(index);
    this.pubTick[p] = tick;
    this.pubX[p] = x;
    this.pubZ[p] = z;
    this.pubVx[p] = vx;
    this.pubVz[p] = vz;
    this.pubYaw[p] = yaw;
  }

  private grow(wanted: number): void {
    let n = Math.max(64, this.place.length);
    while (n < wanted) n *= 2;
    const wide = <T extends { set(from: ArrayLike<number>): void }>(to: T, from: ArrayLike<number>): T => {
      to.set(from);
      return to;
    };
    const id = new BigUint64Array(n);
    id.set(this.id);
    this.id = id;
    this.kind = wide(new Uint16Array(n), this.kind);
    this.hp = wide(new Uint16Array(n), this.hp);
    this.row = wide(new Uint8Array(n).fill(NO_ROW), this.row);
    this.head = wide(new Uint8Array(n), this.head);
    this.held = wide(new Uint8Array(n), this.held);
    this.live = wide(new Uint16Array(n), this.live);
    this.place = wide(new Int32Array(n).fill(-1), this.place);
    this.pubTick = wide(new Int32Array(n * RING), this.pubTick);
    this.pubX = wide(new Int32Array(n * RING), this.pubX);
    this.pubZ = wide(new Int32Array(n * RING), this.pubZ);
    this.pubVx = wide(new Int32Array(n * RING), this.pubVx);
    this.pubVz = wide(new Int32Array(n * RING), this.pubVz);
    this.pubYaw = wide(new Uint16Array(n * RING), this.pubYaw);
  }
}

/** reckon is the prediction that server, gateway and client share: a closed form, so it does not matter who evaluates it when. */
export function reckon(position: number, velocity: number, ticks: number): number {
  return (position + Math.imul(velocity, ticks)) | 0;
}

function readTick(r: BitReader, last: number): number {
  if (r.bit() === 0) return (last + 1) | 0;
  const d = r.bits(6);
  return d <= 62 ? (last + d) | 0 : r.bits(32) | 0;
}

function readCount(r: BitReader): number {
  if (r.bit() === 0) return 0;
  if (r.bit() === 0) return r.bits(4);
  return r.bit() === 0 ? r.bits(11) : r.bits(20);
}

function readAge(r: BitReader): number {
  if (r.bit() === 0) return 0;
  if (r.bit() === 0) return r.bits(5);
  return r.bit() === 0 ? r.bits(10) : r.bits(32);
}

function readVelocity(r: BitReader, old: number): number {
  if (r.bit() === 0) return old + r.bits(5) - 16;
  if (r.bit() === 0) return r.bits(8) - 128;
  return (r.bits(16) << 16) >> 16;
}

function readResidual(r: BitReader): number {
  let u = 0;
  if (r.bit() === 0) return 0;
  if (r.bit() === 0) u = r.bits(3) + 1;
  else if (r.bit() === 0) u = r.bits(6);
  else u = r.bit() === 0 ? r.bits(11) : r.bits(32);
  return (u >>> 1) ^ -(u & 1);
}
