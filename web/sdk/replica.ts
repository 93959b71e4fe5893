/**
 * The client's replica: what the server says is visible, decoded from state frames (manual §7) straight into arrays keyed by the
 * connection's local index. Which fields there are says a layout table; {@link Store} keeps them.
 *
 *   state   = section, then `1` section …, then `0`
 *   section = zone index 4 · tick · input · width 4 · leaves count · enters count · updates count · leaves · enters · updates
 *
 * One owner, no clock, no I/O. A malformed frame throws and leaves the replica unusable: the connection ends with it.
 */
import { readAge, readCount } from "./bitcodes.ts";
import { BitReader, type Bytes, hex, MalformedError } from "./bytes.ts";
import { widened } from "./columns.ts";
import type { Zone } from "./gen/mmo.ts";
import { Audience, parseLayout } from "./layout.ts";
import type { Motion, Motions, Sample } from "./motion.ts";
import { Store } from "./store.ts";

/** Section is what a section said besides its entities. Ticks are int32 that wrap. */
export interface Section {
  row: number;
  tick: number;
  /** input is the last of this client's inputs applied at tick. */
  input: number;
}

/**
 * ReplicaEvents tells of structural changes, during apply. On a leave the arrays still hold the entity. A move is of an entity that stays in sight while another zone
 * shows it from now on: it keeps its index and its history.
 */
export interface ReplicaEvents {
  enter?(index: number): void;
  leave?(index: number): void;
  move?(index: number, fromRow: number): void;
}

interface Row {
  zone: Zone;
  tick: number;
  input: number;
}

const NO_ROW = 255;

/** Replica decodes frames; read its arrays between calls. */
export class Replica {
  /** ids, kinds and zone row by local index; meaningful where alive(index). */
  id = new BigUint64Array(0);
  kind = new Uint16Array(0);
  row = new Uint8Array(0);
  /** store holds the components. */
  readonly store: Store;
  /** motions holds the last publications of place and velocity. */
  readonly motions: Motions;

  /** live lists the indices of live entities, the first `count` of it, in no order. */
  live = new Uint16Array(0);
  count = 0;
  private place = new Int32Array(0); // index → position in live, -1 when not alive
  private last = new Float64Array(0); // index → the number of its last update
  private readonly byId = new Map<bigint, number>();
  private readonly rows: (Row | undefined)[] = [];
  private readonly bits = new BitReader();

  /** sections of the last frame applied. */
  readonly sections: Section[] = [];
  /** enters, moves and updates count what was decoded since the replica was made. */
  enters = 0;
  moves = 0;
  updates = 0;

  /** table is the layout table of this page's schema. */
  constructor(table: Bytes, private readonly events: ReplicaEvents = {}) {
    this.store = new Store(table);
    this.motions = this.store.motions;
  }

  /**
   * adopt reads by the server's layout table from now on; it comes before the first zone. A table that does not fit this page throws an
   * IncompatibleError, whose message is for the player.
   */
  adopt(table: Bytes): void {
    if (this.rows.length > 0) throw new MalformedError("a layout table behind the first zone");
    this.store.use(parseLayout(table));
  }

  /** fingerprint of the schema by which frames are read. */
  get fingerprint(): Bytes {
    return this.store.layout.fingerprint;
  }

  /**
   * setZone sets a row of the zone table: its next section counts from the row's tick and from input 0. The row may have been that of a zone of which nothing is
   * left. schema is the server's, if it is known.
   */
  setZone(zone: Zone, schema = this.fingerprint): void {
    // A row that cannot be read with is refused here, so that nobody divides by it later.
    const { positionBits: bits, quantaPerMetre: q } = zone;
    if (zone.index > 14 || zone.tickHz === 0 || !(q > 0 && q < Infinity) || bits < 1 || bits > 31 || zone.width === 0 || zone.height === 0) {
      throw new MalformedError("zone row out of range");
    }
    if (hex(schema) !== hex(this.fingerprint)) throw new MalformedError("a zone before the layout table that it is read by");
    if (this.live.subarray(0, this.count).some((i) => this.row[i] === zone.index)) throw new MalformedError("a zone row is replaced while entities of it live");
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

  /** ofKind goes through the live entities of a kind; without one, through those whose kind this page does not know. Nothing may enter or leave meanwhile. */
  *ofKind(kind?: number): IterableIterator<number> {
    for (let n = 0; n < this.count; n++) {
      const i = this.live[n]!;
      if (kind === undefined ? !this.store.knows(this.kind[i]!) : this.kind[i] === kind) yield i;
    }
  }

  /** clear forgets everything, zone table and the server's layout included: a new connection begins with an empty replica. */
  clear(): void {
    for (const i of this.live.subarray(0, this.count)) {
      this.place[i] = -1;
      this.store.end(this.kind[i]!, i);
    }
    this.count = 0;
    this.byId.clear();
    this.rows.length = 0;
    this.sections.length = 0;
    this.store.use(undefined);
  }

  /** base returns the index into the arrays of motions of an entity's newest publication. */
  base(index: number): number {
    return this.motions.base(index);
  }

  /** stateAt reckons an entity at a tick from its base, exactly as the server does. */
  stateAt(index: number, tick: number, out: Motion): void {
    this.motions.stateAt(index, tick, out);
  }

  /** sample draws an entity at a fractional tick. */
  sample(index: number, r: number, out: Sample): void {
    this.motions.sample(index, r, out);
  }

  /** apply decodes one state frame. */
  apply(frame: Uint8Array): void {
    const r = this.bits;
    r.reset(frame);
    this.sections.length = 0;
    do this.section(r);
    while (r.bit() === 1);
    if (r.left >= 8) throw new MalformedError("state frame with bytes after its end");
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
    const before = this.updates;
    for (let i = 0; i < leaves; i++) this.leave(r.bits(width));
    for (let i = 0; i < enters; i++) this.enter(r, r.bits(width), index, row);
    for (let i = 0; i < updates; i++) this.update(r, r.bits(width), row, before);
    this.sections.push({ row: index, tick: row.tick, input: row.input });
  }

  private leave(index: number): void {
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
    this.store.end(this.kind[index]!, index);
  }

  private enter(r: BitReader, index: number, rowIndex: number, row: Row): void {
    if (index >= this.place.length) this.grow(index + 1);
    const low = r.bit() === 0;
    const first = BigInt(r.bits(32));
    const id = (low ? BigInt((row.zone.zone - 1) >>> 0) : BigInt(r.bits(32))) << 32n | first;
    const short = r.bits(4);
    const kind = short === 15 ? r.bits(16) : short;
    if (this.alive(index)) return this.move(r, index, rowIndex, row, id, kind);
    this.store.begin(kind, index);
    this.id[index] = id;
    this.kind[index] = kind;
    this.row[index] = rowIndex;
    this.place[index] = this.count;
    this.live[this.count++] = index;
    this.byId.set(id, index);
    this.full(r, index, row);
    this.enters++;
    this.events.enter?.(index);
  }

  /** move is an enter at an index in use: the entity has crossed into the section's zone. */
  private move(r: BitReader, index: number, rowIndex: number, row: Row, id: bigint, kind: number): void {
    if (this.id[index] !== id || this.kind[index] !== kind) throw new MalformedError(`enter at index ${index}, which is another entity's`);
    const from = this.row[index]!;
    this.row[index] = rowIndex;
    this.full(r, index, row);
    this.moves++;
    this.events.move?.(index, from);
  }

  /** update reads an update; before it and its section there were some already. A section has one of an index at most: each may copy a long list. */
  private update(r: BitReader, index: number, row: Row, before: number): void {
    if (!this.alive(index)) throw new MalformedError(`update of unused index ${index}`);
    if (this.last[index]! > before) throw new MalformedError(`second update of index ${index}`);
    this.last[index] = ++this.updates;
    if (r.bit() === 0) {
      this.store.delta(r, this.kind[index]!, index, Audience.aoi, row.tick);
    } else if (r.bit() === 0) {
      this.store.delta(r, this.kind[index]!, index, Audience.aoi, (row.tick - readAge(r)) | 0);
    } else {
      this.full(r, index, row);
    }
  }

  private full(r: BitReader, index: number, row: Row): void {
    this.store.full(r, this.kind[index]!, index, Audience.aoi, (row.tick - readAge(r)) | 0, row.zone.positionBits, row.zone.originX ?? 0, row.zone.originZ ?? 0);
  }

  private grow(wanted: number): void {
    let n = Math.max(64, this.place.length);
    while (n < wanted) n *= 2;
    this.id = widened(this.id, n);
    this.kind = widened(this.kind, n);
    this.last = widened(this.last, n);
    const old = this.row.length;
    this.row = widened(this.row, n).fill(NO_ROW, old);
    this.live = widened(this.live, n);
    this.place = widened(this.place, n).fill(-1, old);
    this.store.grow(n);
  }
}

function readTick(r: BitReader, last: number): number {
  if (r.bit() === 0) return (last + 1) | 0;
  const d = r.bits(6);
  return d <= 62 ? (last + d) | 0 : r.bits(32) | 0;
}
