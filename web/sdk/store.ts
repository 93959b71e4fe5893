/**
 * The store: the components of entities in columns, read by a layout. The columns are those of this page's schema; the layout may be another one, the
 * server's: what the page does not know is read all the same, because the next field begins where it ends, and kept out of sight.
 *
 *   full state of an audience  = the motion, then every group of fields, component by component
 *   delta                      = [moved 1 · motion] · per group `0` as before | `1` group            moved: only for AOI, only of a kind with a place
 *   group                      = full: every field | delta: per field `0` as before | `1` new form, without the bit if there is only one
 */
import { type BitReader, type Bytes, MalformedError } from "./bytes.ts";
import { Column, type Slot, widened } from "./columns.ts";
import { Audience, type Component, type Field, type KindLayout, type Layout, match, MOTION, parseLayout } from "./layout.ts";
import { MotionCodec, Motions } from "./motion.ts";
import { codec } from "./values.ts";

/** Kind reads the entities of one kind. */
interface Kind {
  readonly motion: MotionCodec | undefined;
  /** groups by audience. */
  readonly groups: Slot[][][];
}

/** Part is a component of kinds: its group of fields by audience. */
interface Part {
  readonly groups: Slot[][];
  readonly motion: MotionCodec | undefined;
}

/** Store keeps entities; index by local index below size. */
export class Store {
  readonly mine: Layout;
  /** layout by which is read. */
  layout: Layout;
  readonly motions: Motions;
  private readonly columns = new Map<Field, Column>(); // of fields of mine, and of the layout's that mine lacks
  private readonly slots = new Map<Field, Slot>(); // of the layout's fields
  private readonly kinds = new Map<number, Kind>();
  private readonly parts = new Map<Component, Part>();
  private told = new Uint8Array(0); // by index: a bit per audience whose full state was read

  constructor(table: Bytes) {
    this.mine = this.layout = parseLayout(table);
    this.motions = new Motions(high(this.mine));
    for (const c of this.mine.components.values()) for (const f of c.fields) if (!moves(c, f)) this.columns.set(f, new Column(f));
  }

  /** column of a field of this page's schema. Place, velocity and heading have none: they are in motions. */
  column(component: number, field: number): Column {
    const f = this.mine.components.get(component)?.fields.find((f) => f.id === field);
    const c = f && this.columns.get(f);
    if (c === undefined) throw new RangeError(`component ${component} has no column ${field}`);
    return c;
  }

  /** knows tells whether this page's schema has a kind. */
  knows(kind: number): boolean {
    return this.mine.kinds.has(kind);
  }

  /** use reads by another layout from now on; undefined: by this page's own. Only for a state without entities. */
  use(layout: Layout | undefined): void {
    if (layout !== undefined) match(this.mine, layout);
    this.layout = layout ?? this.mine;
    this.slots.clear();
    this.kinds.clear();
    this.parts.clear();
    this.motions.high = high(this.mine) || high(this.layout);
    this.motions.grow(this.told.length);
  }

  grow(size: number): void {
    this.motions.grow(size);
    for (const c of this.columns.values()) c.grow(size);
    this.told = widened(this.told, size);
  }

  /** full reads what an audience gets of an entity; tick is the base tick. */
  full(r: BitReader, kind: number, i: number, audience: number, tick: number, positionBits: number): void {
    const k = this.kind(kind);
    this.told[i]! |= 1 << audience;
    if (audience === Audience.aoi) k.motion?.full(r, i, tick, positionBits);
    for (const group of k.groups[audience]!) for (const s of group) s.column.put(i, s.codec.full(r), tick);
  }

  /** delta reads what has changed since the audience's full state; tick is the new base tick if the entity moved. */
  delta(r: BitReader, kind: number, i: number, audience: number, tick: number): void {
    const k = this.kind(kind);
    if (audience === Audience.aoi && k.motion !== undefined && r.bit() === 1) k.motion.delta(r, i, tick);
    for (const group of k.groups[audience]!) {
      if (r.bit() === 0) continue;
      for (const s of group) if (group.length === 1 || r.bit() === 1) s.column.put(i, s.codec.delta(r, s.column.at(i)), tick);
    }
  }

  /** begin makes an unused index that of an entity of a kind, with default values. */
  begin(kind: number, i: number): void {
    const k = this.kind(kind);
    this.motions.begin(i, k.motion?.turn ?? 0);
  }

  /** end gives the index of an entity of a kind its defaults back: the next one may be of a kind without these components. */
  end(kind: number, i: number): void {
    const k = this.kind(kind);
    const reset = (s: Slot): void => s.column.reset(i);
    // What was told took a bit at least; the columns of other audiences are as they were.
    k.groups.forEach((groups, audience) => this.told[i]! & (1 << audience) && groups.forEach((g) => g.forEach(reset)));
    k.motion?.slots.forEach(reset);
    this.told[i] = 0;
  }

  private kind(id: number): Kind {
    let k = this.kinds.get(id);
    if (k === undefined) {
      const layout = this.layout.kinds.get(id);
      if (layout === undefined) throw new MalformedError(`entity of unknown kind ${id}`);
      this.kinds.set(id, (k = this.compile(layout)));
    }
    return k;
  }

  private compile(layout: KindLayout): Kind {
    const parts = layout.components.map((c) => this.part(c));
    const groups = [0, 1, 2].map((audience) => parts.map((p) => p.groups[audience]!).filter((g) => g.length > 0));
    return { motion: parts.find((p) => p.motion)?.motion, groups };
  }

  /** part compiles a component once, for all kinds that have it. */
  private part(c: Component): Part {
    let p = this.parts.get(c);
    if (p === undefined) {
      const groups = [0, 1, 2].map((audience) =>
        c.fields.filter((f) => f.audience === audience && !(audience === Audience.aoi && c.motion)).map((f) => this.slot(c, f)));
      this.parts.set(c, (p = { groups, motion: c.motion && new MotionCodec(c, this.motions, (f) => this.slot(c, f)) }));
    }
    return p;
  }

  /** slot binds a field of the layout to the column of the field that it is in this page's schema, or to one of its own. */
  private slot(c: Component, f: Field): Slot {
    let s = this.slots.get(f);
    if (s === undefined) {
      const known = this.mine.components.get(c.id)?.fields.find((o) => o.id === f.id);
      const column = (known && this.columns.get(known)) ?? new Column(f, false);
      this.slots.set(f, (s = { column, codec: codec(f, known) }));
    }
    return s;
  }
}

/** moves tells whether a field is kept in motions. */
function moves(c: Component, f: Field): boolean {
  return c.motion !== undefined && MOTION.some((key) => c.motion![key] === f.id);
}

function high(l: Layout): boolean {
  return [...l.components.values()].some((c) => c.motion?.y);
}
