/**
 * The store: the components of entities in columns, read by a layout. The columns are those of this page's schema; the layout may be another one, the
 * server's: what the page does not know is read all the same, because the next field begins where it ends, and kept out of sight.
 *
 *   full state of an audience  = the motion, then every group of fields, component by component
 *                                of an optional component: `0` absent | `1` group
 *   delta                      = [moved 1 · motion] · per group `0` as before | `1` group            moved: only for AOI, only of a kind with a place
 *                                of an optional component: `0` as before | `1` group in full, if it was absent | `10` group | `11` absent from now on
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
  readonly groups: Group[][];
  /** seen are the components by number: the audiences that tell whether an entity has it; none: it always has. */
  readonly seen: Map<number, number[]>;
}

/** Group is what an audience gets of a component. */
interface Group {
  readonly slots: Slot[];
  readonly component: number;
  /** bit of an optional component in present, by its place in the kind; 0: it is always there. */
  readonly bit: number;
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
  private readonly present = [0, 1, 2].map(() => new Uint16Array(0)); // by audience and index: bits of optional components that are there

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
    this.present.forEach((bits, audience) => (this.present[audience] = widened(bits, size)));
  }

  /** full reads what an audience gets of an entity; tick is the base tick. Bits and origin are the zone's. */
  full(r: BitReader, kind: number, i: number, audience: number, tick: number, positionBits: number, originX = 0, originZ = 0): void {
    const k = this.kind(kind);
    this.told[i]! |= 1 << audience;
    if (audience === Audience.aoi) k.motion?.full(r, i, tick, positionBits, originX, originZ);
    for (const g of k.groups[audience]!) {
      if (g.bit !== 0 && r.bit() === 0) this.lose(g, i, audience);
      else this.whole(r, g, i, audience, tick);
    }
  }

  private whole(r: BitReader, g: Group, i: number, audience: number, tick: number): void {
    this.present[audience]![i]! |= g.bit;
    for (const s of g.slots) s.column.put(i, s.codec.full(r), tick);
  }

  private lose(g: Group, i: number, audience: number): void {
    this.present[audience]![i]! &= ~g.bit;
    for (const s of g.slots) s.column.reset(i);
  }

  /** delta reads what has changed since the audience's full state; tick is the new base tick if the entity moved. */
  delta(r: BitReader, kind: number, i: number, audience: number, tick: number): void {
    const k = this.kind(kind);
    if (audience === Audience.aoi && k.motion !== undefined && r.bit() === 1) k.motion.delta(r, i, tick);
    for (const g of k.groups[audience]!) {
      if (r.bit() === 0) continue;
      if (g.bit !== 0 && (this.present[audience]![i]! & g.bit) === 0) this.whole(r, g, i, audience, tick);
      else if (g.bit !== 0 && r.bit() === 1) this.lose(g, i, audience);
      else for (const s of g.slots) if (g.slots.length === 1 || r.bit() === 1) s.column.put(i, s.codec.delta(r, s.column.at(i)), tick);
    }
  }

  /**
   * has tells whether an entity of a kind has a component, by the server's layout: what everyone gets of an optional one tells, or if that is nothing, what
   * anyone does.
   */
  has(kind: number, i: number, component: number): boolean {
    const seen = this.kind(kind).seen.get(component);
    if (seen === undefined || seen.length === 0) return seen !== undefined;
    return seen.some((audience) => this.gets(kind, i, component, audience));
  }

  /** gets tells whether an audience was told of a component of an entity. */
  gets(kind: number, i: number, component: number, audience: number): boolean {
    return this.kind(kind).groups[audience]!.some((g) => g.component === component && (g.bit === 0 || (this.present[audience]![i]! & g.bit) !== 0));
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
    k.groups.forEach((groups, audience) => this.told[i]! & (1 << audience) && groups.forEach((g) => g.slots.forEach(reset)));
    k.motion?.slots.forEach(reset);
    for (const bits of this.present) bits[i] = 0;
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
    const group = (slots: Slot[], n: number): Group => {
      const c = layout.components[n]!;
      return { slots, component: c.id, bit: layout.optional.includes(c) ? 1 << n : 0 };
    };
    const groups = [0, 1, 2].map((audience) => parts.map((p, n) => group(p.groups[audience]!, n)).filter((g) => g.slots.length > 0));
    const seen = new Map(layout.components.map((c) => [c.id, layout.optional.includes(c) ? audiencesOf(c) : []]));
    return { motion: parts.find((p) => p.motion)?.motion, groups, seen };
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

/** audiencesOf are those by which a client knows that a component is there. */
function audiencesOf(c: Component): number[] {
  const all = [...new Set(c.fields.map((f) => f.audience))];
  return all.includes(Audience.aoi) ? [Audience.aoi] : all;
}

/** moves tells whether a field is kept in motions. */
function moves(c: Component, f: Field): boolean {
  return c.motion !== undefined && MOTION.some((key) => c.motion![key] === f.id);
}

function high(l: Layout): boolean {
  return [...l.components.values()].some((c) => c.motion?.y);
}
