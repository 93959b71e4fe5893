/**
 * The store: the components of entities in columns, read by a layout. The columns are those of this page's schema; the layout may be another one, the
 * server's: what the page does not know is read all the same, because the next field begins where it ends, and kept out of sight.
 *
 *   full state of an audience  = the motion, then every group of fields, component by component
 *   delta                      = [moved 1 · motion] · per group `0` as before | `1` group            moved: only for AOI, only of a kind with a place
 *   group                      = full: every field | delta: per field `0` as before | `1` new form, without the bit if there is only one
 */
import { type BitReader, type Bytes, MalformedError } from "./bytes.ts";
import { Column, type Slot } from "./columns.ts";
import { Audience, type Component, type Field, type KindLayout, type Layout, match, parseLayout } from "./layout.ts";
import { MotionCodec, Motions } from "./motion.ts";
import { codec } from "./values.ts";

/** Kind reads the entities of one kind. */
interface Kind {
  readonly name: string;
  readonly motion: MotionCodec | undefined;
  /** groups by audience. */
  readonly groups: Slot[][][];
  /** columns that the full state of those who see an entity does not fill. */
  readonly resets: Column[];
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
  private readonly codecs = new Map<Component, MotionCodec>();
  private size = 0;

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
    this.codecs.clear();
    this.motions.high = high(this.mine) || high(this.layout);
    this.motions.grow(this.size);
  }

  grow(size: number): void {
    this.size = size;
    this.motions.grow(size);
    for (const c of this.columns.values()) c.grow(size);
  }

  /** full reads what an audience gets of an entity; tick is the base tick. */
  full(r: BitReader, kind: number, i: number, audience: number, tick: number, positionBits: number): void {
    const k = this.kind(kind);
    if (audience === Audience.aoi) k.motion?.full(r, i, tick, positionBits);
    for (const group of k.groups[audience]!) for (const s of group) s.column.put(i, s.codec.full(r), tick);
  }

  /** delta reads what has changed; tick is the new base tick if the entity moved. */
  delta(r: BitReader, kind: number, i: number, audience: number, tick: number): void {
    const k = this.kind(kind);
    if (audience === Audience.aoi && k.motion !== undefined && r.bit() === 1) k.motion.delta(r, i, tick);
    for (const group of k.groups[audience]!) {
      if (r.bit() === 0) continue;
      for (const s of group) if (group.length === 1 || r.bit() === 1) s.column.put(i, s.codec.delta(r, s.column.at(i)), tick);
    }
  }

  /** begin makes an index that of an entity of a kind, with default values. */
  begin(kind: number, i: number): void {
    const k = this.kind(kind);
    this.motions.begin(i, k.motion?.turn ?? 0);
    for (const c of k.resets) c.reset(i);
  }

  private kind(id: number): Kind {
    let k = this.kinds.get(id);
    if (k === undefined) {
      const layout = this.layout.kinds.get(id);
      if (layout === undefined) throw new MalformedError(`entity of kind ${id}, which the layout does not have`);
      this.kinds.set(id, (k = this.compile(layout)));
    }
    return k;
  }

  private compile(layout: KindLayout): Kind {
    const groups: Slot[][][] = [[], [], []];
    let motion: MotionCodec | undefined;
    const resets = new Set<Column>();
    for (const c of this.mine.kinds.get(layout.id)?.components ?? []) {
      for (const f of c.fields) if (!moves(c, f)) resets.add(this.columns.get(f)!);
    }
    for (const c of layout.components) {
      if (c.motion !== undefined) motion = this.motionCodec(c);
      for (const f of c.fields) if (!moves(c, f)) resets.add(this.slot(c, f).column);
      groups.forEach((list, audience) => {
        const group = c.fields.filter((f) => f.audience === audience).map((f) => (audience === Audience.aoi && c.motion ? undefined : this.slot(c, f)));
        if (group.length > 0 && group[0] !== undefined) list.push(group as Slot[]);
      });
    }
    return { name: layout.name, motion, groups, resets: [...resets] };
  }

  private motionCodec(c: Component): MotionCodec {
    let m = this.codecs.get(c);
    if (m === undefined) this.codecs.set(c, (m = new MotionCodec(c, this.motions, (f) => this.slot(c, f))));
    return m;
  }

  /** slot binds a field of the layout to the column of the field that it is in this page's schema, or to one of its own. */
  private slot(c: Component, f: Field): Slot {
    let s = this.slots.get(f);
    if (s === undefined) {
      const known = this.mine.components.get(c.id)?.fields.find((o) => o.id === f.id);
      const column = (known && this.columns.get(known)) ?? new Column(f, false);
      this.slots.set(f, (s = { audience: f.audience, column, codec: codec(f, known) }));
    }
    return s;
  }
}

/** moves tells whether a field is kept in motions. */
function moves(c: Component, f: Field): boolean {
  const m = c.motion;
  return m !== undefined && [m.x, m.y, m.z, m.vx, m.vy, m.vz, m.heading].includes(f.id);
}

function high(l: Layout): boolean {
  return [...l.components.values()].some((c) => c.motion !== undefined && c.motion.y !== 0);
}
