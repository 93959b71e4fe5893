/**
 * What generated views are made of: columns of a component, the parts of an entity, and the world that has them. Steps become units here, and only
 * here: everything below counts in whole numbers.
 */
import type { Bytes } from "./bytes.ts";
import type { Column } from "./columns.ts";
import { camel, type Field, Type } from "./layout.ts";
import type { Motion } from "./motion.ts";
import { Replica, type ReplicaEvents } from "./replica.ts";

/** Entities is a replica with a face: the world of a schema. */
export class Entities {
  readonly replica: Replica;

  constructor(table: Bytes, events: ReplicaEvents) {
    this.replica = new Replica(table, events);
  }

  /** unknowns are the local indices of entities whose kind this page does not know: they have an id and a place. */
  unknowns(): IterableIterator<number> {
    return this.replica.ofKind();
  }

  /** has tells whether a live entity has a component, by its number: one that is optional may be absent, and its columns then hold defaults. */
  has(index: number, component: number): boolean {
    return this.replica.alive(index) && this.replica.store.has(this.replica.kind[index]!, index, component);
  }

  /** entity checks that an index is that of a live entity of a kind. */
  protected entity(index: number, kind: number, name: string): number {
    if (!this.replica.alive(index) || this.replica.kind[index] !== kind) throw new RangeError(`no ${name} at index ${index}`);
    return index;
  }
}

/** Columns are the columns of a component. */
export class Columns {
  readonly columns: readonly Column[];

  constructor(private readonly $replica: Replica, private readonly $component: number, fields: readonly number[]) {
    this.columns = fields.map((f) => $replica.store.column($component, f));
  }

  /** $has tells whether a live entity has the component. Where it is optional and absent, the columns hold defaults. */
  $has(index: number): boolean {
    return this.$replica.alive(index) && this.$replica.store.has(this.$replica.kind[index]!, index, this.$component);
  }
}

/** EntityView is an entity, at a tick as a fraction or as the last section told. It is meant to be made, read and dropped. */
export class EntityView<W extends Entities> {
  constructor(readonly world: W, readonly index: number, readonly tick?: number) {}

  get id(): bigint {
    return this.world.replica.id[this.index]!;
  }

  get kind(): number {
    return this.world.replica.kind[this.index]!;
  }
}

const place: Required<Motion> = { x: 0, y: 0, z: 0, vx: 0, vy: 0, vz: 0, yaw: 0 };

/** Part is a component of an entity. Its own members begin with $: fields have any name that does not. */
export class Part<W extends Entities> {
  constructor(protected readonly $world: W, protected readonly $index: number, protected readonly $tick?: number) {}

  /** $place is where the entity is and how it moves, in quanta; good until the next call. */
  protected $place(): Motion {
    const { replica } = this.$world;
    const i = this.$index;
    if (this.$tick === undefined) {
      replica.stateAt(i, replica.lastTick(replica.row[i]!), place);
      return place;
    }
    const p = replica.motions.sample(i, this.$tick, place);
    place.vx = replica.motions.vx[p]!;
    place.vy = replica.motions.vy[p] ?? 0;
    place.vz = replica.motions.vz[p]!;
    return place;
  }

  protected $sample(c: Column): number {
    return this.$tick === undefined ? (c.array[this.$index] as number) : c.sample(this.$index, this.$tick);
  }
}

/** inUnits turns a value in steps into units, all of it that is nested. */
export function inUnits(f: Field, v: any): any {
  if (v === undefined) return v;
  switch (f.type) {
    case Type.steps: return f.origin + v * f.quantum;
    case Type.angle: return (v * 2 * Math.PI) / 2 ** f.bits;
    case Type.message: return f.fields.reduce((m, g) => ({ ...m, [camel(g.name)]: inUnits(g, v[camel(g.name)]) }), v);
    case Type.list: return v.map((e: unknown) => inUnits(f.fields[0]!, e));
    case Type.map: return new Map([...v].map(([k, e]) => [k, inUnits(f.fields[1]!, e)]));
    default: return v;
  }
}
