/** Layout tables for tests: written by hand, or a page's own with something changed. */
import { type Bytes, ByteReader, unbase64 } from "../sdk/bytes.ts";
import { type Field, type Layout, parseLayout } from "../sdk/layout.ts";
import { ProtoWriter } from "../sdk/wire.ts";

/** writeTable is the inverse of parseLayout, for layouts that it would refuse too. */
export function writeTable(l: Layout): Bytes {
  const w = new ProtoWriter().uvarint(10).string(l.name).uvarint(17).fixed64(new ByteReader(l.fingerprint).u64()).uvarint(24).uint32(l.tickHz);
  for (const c of l.components.values()) {
    w.uvarint(34).message((w) => {
      w.uvarint(8).uint32(c.id).uvarint(18).string(c.name);
      for (const f of c.fields) w.uvarint(26).message((w) => field(w, f));
      const m = c.motion;
      if (m === undefined) return;
      w.uvarint(34).message((w) => {
        [m.x, m.y, m.z, m.vx, m.vy, m.vz, m.heading].forEach((id, i) => w.uvarint((i + 1) * 8).uint32(id));
        w.uvarint(64).bool(m.polar);
      });
    });
  }
  for (const k of l.kinds.values()) {
    w.uvarint(42).message((w) => {
      w.uvarint(8).uint32(k.id).uvarint(18).string(k.name);
      w.uvarint(26).message((w) => k.components.forEach((c) => w.uint32(c.id)));
      if (k.optional.length > 0) w.uvarint(50).message((w) => k.optional.forEach((c) => w.uint32(c.id)));
    });
  }
  return w.done();
}

function field(w: ProtoWriter, f: Field): void {
  w.uvarint(8).uint32(f.id).uvarint(18).string(f.name).uvarint(24).uint32(f.type).uvarint(32).uint32(f.bits).uvarint(40).sint64(f.min);
  w.uvarint(49).double(f.quantum).uvarint(57).double(f.origin).uvarint(64).bool(f.optional).uvarint(72).uint32(f.audience).uvarint(80).uint32(f.interp);
  w.uvarint(104).uint32(f.max).uvarint(120).sint64(f.limit);
  for (const g of f.fields) w.uvarint(114).message((w) => field(w, g));
}

/** changed is a page's table after change. */
export function changed(table: string | Bytes, change: (l: Layout) => void): Bytes {
  const l = parseLayout(typeof table === "string" ? unbase64(table) : table);
  change(l);
  return writeTable(l);
}

/** fieldOf makes a field with defaults. */
export function fieldOf(over: Partial<Field> & { id: number; type: number }): Field {
  return { name: `f${over.id}`, bits: 0, min: 0n, limit: 0n, quantum: 0, origin: 0, optional: false, audience: 0, interp: 0, max: 0, fields: [], ...over };
}
