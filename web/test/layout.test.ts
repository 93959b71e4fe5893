import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { BitReader, type Bytes, hex, MalformedError, unbase64, unhex } from "../sdk/bytes.ts";
import { compatible, IncompatibleError, incompatible } from "../sdk/fingerprint.ts";
import * as plains from "../sdk/gen/plains.ts";
import { camel, type Field, type Layout, parseLayout, Type } from "../sdk/layout.ts";
import { Polar } from "../sdk/motion.ts";
import { Store } from "../sdk/store.ts";
import { compareText } from "../sdk/values.ts";
import { BitWriter, type Content, encodeDelta, encodeFull } from "./bits.ts";
import { content } from "./encoder.ts";
import { LAYOUT as SINK } from "./gen/sink.ts";
import { changed, fieldOf, writeTable } from "./tables.ts";
import { contentOf, toJson } from "./values.ts";
import type { Vectors } from "./vectors.test.ts";

const vectors = JSON.parse(readFileSync("../examples/sink/testdata/vectors.json", "utf8")) as Vectors;

/** random is the same every time. */
function random(seed: number): (n: number) => number {
  return (n) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
}

function refuses(what: string, job: () => unknown): void {
  try {
    job();
  } catch (e) {
    assert.ok(e instanceof MalformedError, `${what}: ${String((e as Error).stack ?? e)}`);
  }
}

test("tables: what is parsed is what was written, of every schema", () => {
  for (const table of [unbase64(plains.LAYOUT), unbase64(SINK), unhex(vectors.layout)]) {
    const l = parseLayout(table);
    assert.deepEqual(parseLayout(writeTable(l)), l);
    assert.ok(l.kinds.size > 1 && l.tickHz === 20);
  }
  assert.equal(hex(parseLayout(unbase64(plains.LAYOUT)).fingerprint), plains.FINGERPRINT);
  assert.deepEqual(["hp", "hit_points", "a__b_", "f_01"].map(camel), ["hp", "hitPoints", "aB", "f01"]);
});

test("tables: what no layout can be is refused", () => {
  const first = (l: Layout): Field => l.components.get(2)!.fields[0]!;
  const cases: Record<string, (l: Layout) => void> = {
    "no ticks": (l) => (l.tickHz = 0),
    "component 0": (l) => (l.components.get(2)!.id = 0),
    "field 0": (l) => (first(l).id = 0),
    "field twice": (l) => l.components.get(2)!.fields.push(first(l)),
    "type 17": (l) => (first(l).type = 17),
    "audience server": (l) => (first(l).audience = 3),
    "too few bits": (l) => (first(l).bits = 15),
    "too many bits": (l) => (first(l).bits = 54),
    "a range upside down": (l) => (first(l).min = 70000n),
    "a range beyond its type": (l) => Object.assign(first(l), { limit: 2n ** 31n, bits: 40 }),
    "an enum without bits": (l) => Object.assign(first(l), { type: Type.enum, bits: 0 }),
    "steps of nothing": (l) => Object.assign(first(l), { type: Type.steps, quantum: 0 }),
    "a string without max": (l) => Object.assign(first(l), { type: Type.string }),
    "a list of nothing": (l) => Object.assign(first(l), { type: Type.list, max: 5 }),
    "a list of lists": (l) => Object.assign(first(l), { type: Type.list, max: 5, fields: [fieldOf({ id: 1, type: Type.list, max: 1, fields: [fieldOf({ id: 1, type: Type.bool })] })] }),
    "an optional list": (l) => Object.assign(first(l), { type: Type.list, max: 5, optional: true, fields: [fieldOf({ id: 1, type: Type.bool })] }),
    "a map by float": (l) => Object.assign(first(l), { type: Type.map, max: 5, fields: [fieldOf({ id: 1, type: Type.float32 }), fieldOf({ id: 2, type: Type.bool })] }),
    "an empty message": (l) => Object.assign(first(l), { type: Type.message }),
    "a state beyond a frame": (l) => Object.assign(first(l), { type: Type.bytes, max: 65536 }),
    "two places": (l) => {
      l.components.set(7, { ...l.components.get(1)!, id: 7 });
      l.kinds.get(1)!.components.push(l.components.get(7)!);
    },
    "an optional component of another kind": (l) => (l.kinds.get(1)!.optional = [{ ...l.components.get(2)!, id: 9 }]),
    "an optional component twice": (l) => (l.kinds.get(1)!.optional = [l.components.get(2)!, l.components.get(2)!]),
    "an optional place": (l) => (l.kinds.get(1)!.optional = [l.components.get(1)!]),
    "an optional component without fields": (l) => {
      l.components.set(8, { id: 8, name: "Void", fields: [], motion: undefined, worst: [] });
      l.kinds.get(1)!.components.push(l.components.get(8)!);
      l.kinds.get(1)!.optional = [l.components.get(8)!];
    },
    "a component that is not there": (l) => l.kinds.get(1)!.components.push({ ...l.components.get(1)!, id: 9 }),
    "a component twice": (l) => l.kinds.get(1)!.components.push(l.components.get(2)!),
    "kind 65535": (l) => (l.kinds.get(1)!.id = 65535),
    "a quantum that drifts": (l) => (l.components.get(1)!.fields[0]!.quantum = 0.003),
    "axes that differ": (l) => l.components.get(1)!.fields.filter((f) => f.id === 2 || f.id === 4).forEach((f) => (f.quantum *= 2)),
    "a velocity with a range": (l) => Object.assign(l.components.get(1)!.fields[2]!, { bits: 8, limit: 9n }),
    "an axis that is not there": (l) => (l.components.get(1)!.motion!.vx = 99),
    "an axis twice": (l) => (l.components.get(1)!.motion!.z = l.components.get(1)!.motion!.x),
    "polar without a heading": (l) => Object.assign(l.components.get(1)!.motion!, { polar: true, heading: 0 }),
  };
  for (const [name, change] of Object.entries(cases)) assert.throws(() => parseLayout(changed(plains.LAYOUT, change)), MalformedError, name);
  let deep = fieldOf({ id: 1, type: Type.bool });
  for (let i = 0; i < 10; i++) deep = fieldOf({ id: 1, type: Type.message, fields: [deep] });
  assert.throws(() => parseLayout(changed(plains.LAYOUT, (l) => (l.components.get(2)!.fields = [deep]))), /8 levels/);
  assert.throws(() => parseLayout(new Uint8Array(2 ** 20 + 1)), MalformedError);
});

test("tables: hostile bytes end in a MalformedError", () => {
  const rnd = random(11);
  const good = unhex(vectors.layout);
  for (let i = 0; i < 2000; i++) {
    const bytes = good.slice(0, rnd(4) === 0 ? rnd(good.length) : undefined);
    for (let k = rnd(5); k >= 0; k--) bytes[rnd(bytes.length)] = rnd(256);
    refuses("table", () => new Store(bytes));
  }
});

test("entities: hostile bytes end in a MalformedError, and what they leave is bounded", () => {
  const rnd = random(3);
  const table = unhex(vectors.layout);
  const r = new BitReader();
  for (const c of vectors.cases) {
    const s = new Store(table);
    s.grow(4);
    const steps = c.steps.map((step) => unhex(step.hex));
    for (let i = 0; i < 150; i++) {
      s.begin(c.kind, 1);
      for (const [n, good] of [steps[0]!, steps[1 + rnd(steps.length - 1)]!, steps[1 + rnd(steps.length - 1)]!].entries()) {
        const bytes = rnd(8) === 0 ? new Uint8Array(1 + rnd(80)).map(() => rnd(256)) : good.slice();
        for (let k = rnd(4); k > 0; k--) bytes[rnd(bytes.length)]! ^= 1 << rnd(8);
        r.reset(bytes);
        refuses(`kind ${c.kind}`, () => {
          if (n === 0) s.full(r, c.kind, 1, c.audience, 5, c.position_bits, c.origin_x, c.origin_z);
          else s.delta(r, c.kind, 1, c.audience, 5 + rnd(100));
        });
      }
      for (const k of s.layout.kinds.get(c.kind)!.components) {
        for (const f of k.fields) {
          if (f.type !== Type.list && f.type !== Type.map) continue;
          const v = s.column(k.id, f.id).at(1);
          assert.ok((v.length ?? v.size) <= f.max);
        }
      }
    }
  }
});

test("a page reads by another schema what it knows, and drops the rest", () => {
  const mine = unbase64(SINK);
  const theirs = changed(mine, (l) => {
    l.fingerprint[2]! += 1;
    for (const c of l.components.values()) {
      c.fields.unshift(fieldOf({ id: 900, type: Type.list, max: 3, fields: [fieldOf({ id: 1, type: Type.string, max: 4 })] }));
      c.fields.push(fieldOf({ id: 901, type: Type.int32, optional: true }));
      c.fields = c.fields.filter((f) => f.name !== "mood" && f.name !== "wide");
      for (const f of c.fields) if (f.type === Type.message) f.fields.push(fieldOf({ id: 902, type: Type.map, max: 2, fields: [fieldOf({ id: 1, type: Type.bool }), fieldOf({ id: 2, type: Type.entity })] }));
    }
    l.components.set(800, { id: 800, name: "New", motion: undefined, worst: [], fields: [fieldOf({ id: 1, type: Type.bytes, max: 9, audience: 0 })] });
    for (const k of l.kinds.values()) if (k.components.length < 16) k.components.unshift(l.components.get(800)!);
    l.kinds.set(4000, { ...l.kinds.get(3)!, id: 4000, name: "Ghost" });
  });
  const layout = parseLayout(theirs);
  /** grown is a vector's content as a server of the newer schema would have it. */
  const grown = (value: any, kind: number, step: number): Content => {
    const out: any = value.tick === undefined ? {} : { tick: value.tick };
    for (const c of layout.kinds.get(kind)!.components) {
      const n = c.motion === undefined ? step : value.tick % 7; // a change in a motion is a new base
      if (value[c.name] === null) {
        out[c.name] = null;
        continue;
      }
      out[c.name] = Object.fromEntries(c.fields.map((f) => {
        const old = value[c.name]?.[f.name];
        if (f.type === Type.message && old) return [f.name, { ...old, f902: n % 2 === 0 ? [] : [[true, String(n)]] }];
        if (old !== undefined) return [f.name, old];
        return [f.name, f.type === Type.list ? Array(n % 4).fill("ab") : f.id === 901 ? (n % 3 === 0 ? null : n) : "0".repeat(2 * (n % 9))];
      }));
    }
    return out;
  };
  /** known leaves of an entity what both sides know. */
  const known = (value: any): any => {
    const out: any = {};
    for (const [name, c] of Object.entries<any>(value)) {
      if (name === "tick") out.tick = c;
      else out[name] = c && Object.fromEntries(Object.entries(c).filter(([f]) => f !== "mood" && f !== "wide"));
    }
    return out;
  };
  let compared = 0;
  for (const c of vectors.cases.filter((c) => c.audience === 0)) {
    const s = new Store(mine);
    s.grow(4);
    s.use(layout);
    const r = new BitReader();
    s.begin(c.kind, 2);
    let last: Content | undefined;
    c.steps.slice(0, 12).forEach((step, n) => {
      const now = grown(step.value, c.kind, n);
      const w = new BitWriter();
      if (last === undefined) encodeFull(w, layout, c.kind, 0, c.position_bits, now, c.origin_x, c.origin_z);
      else encodeDelta(w, layout, c.kind, 0, last, now);
      r.reset(w.done());
      if (last === undefined) s.full(r, c.kind, 2, 0, step.tick | 0, c.position_bits, c.origin_x, c.origin_z);
      else s.delta(r, c.kind, 2, 0, step.tick | 0);
      last = now;
      s.layout = s.mine; // to write it as the page sees it
      assert.deepEqual(known(contentOf(s, c.kind, 2, 0)), known(step.value), `kind ${c.kind}, step ${n}`);
      s.layout = layout;
      compared++;
    });
    if (c.kind === 6) { // what the server does not send keeps its default
      const f = s.mine.components.get(8)!.fields.find((f) => f.name === "mood")!;
      assert.equal(toJson(f, s.column(8, f.id).at(2)), null);
      assert.equal(s.column(6, 14).at(2), 0);
    }
  }
  assert.ok(compared > 50);
});

test("an entity of a kind that the page does not know has its place, and no view", () => {
  const table = changed(plains.LAYOUT, (l) => {
    l.fingerprint[2]! += 1;
    l.kinds.set(77, { ...l.kinds.get(1)!, id: 77, name: "Ghost" });
  });
  const world = new plains.World();
  const { replica } = world;
  replica.adopt(table);
  assert.equal(hex(replica.fingerprint), hex(parseLayout(table).fingerprint));
  replica.setZone({ index: 0, zone: 1, epoch: 1, tick: 9, tickHz: 20, positionBits: 20, quantaPerMetre: 320, width: 9, height: 9, enterRadius: 1, leaveRadius: 1, originX: 0, originZ: 0, margin: 0 });
  const w = new BitWriter().bits(0, 4).prefix("0").bits(0, 2).bits(1, 4).prefix("0").prefix("10").bits(2, 4).prefix("0");
  for (const [index, kind] of [[0, 77], [1, 2]] as const) {
    w.bits(index, 1).prefix("0").bits(index + 5, 32);
    if (kind < 15) w.bits(kind, 4);
    else w.bits(15, 4).bits(kind, 16);
    encodeFull(w.prefix("0"), parseLayout(table), kind, 0, 20, content({ x: 320, z: 64, vx: 16, vz: 0, yaw: 256, hp: 7 }, 10));
  }
  replica.apply(w.prefix("0").done());
  assert.deepEqual([[...world.unknowns()], [...world.walkers()], [...world.heroes()]], [[0], [1], []]);
  const walker = world.walker(1);
  assert.deepEqual([walker.id, walker.kind, walker.vitals.hp, world.vitals.hp[1]], [6n, plains.Kind.walker, 7, 7]);
  assert.deepEqual([walker.transform.x, walker.transform.z, walker.transform.vx, walker.transform.yaw], [1, 0.2, 1, Math.PI / 2]);
  assert.equal(world.walker(1, 12).transform.x, 1 + 2 * 0.05, "at a tick, it is where it is drawn");
  for (const i of [0, 2, 99]) assert.throws(() => world.hero(i), /no Hero at index/);
  const out = { x: 0, z: 0, vx: 0, vz: 0, yaw: 0 };
  replica.stateAt(0, 12, out);
  assert.equal(out.x, 320 + 2 * 16);
  assert.throws(() => replica.adopt(table), MalformedError, "not behind a zone");
  replica.clear();
  assert.equal(hex(replica.fingerprint), plains.FINGERPRINT, "the next connection begins with the page's own");
});

test("what does not fit says which side is older, what differs, and what to do", () => {
  const against = (revision: number, change: (l: Layout) => void): string => {
    const table = changed(plains.LAYOUT, (l) => {
      const n = l.fingerprint[2]! + 256 * l.fingerprint[3]! + revision;
      l.fingerprint.set([n & 255, n >> 8, 9], 2);
      change(l);
    });
    let message = "";
    assert.throws(() => new plains.World().replica.adopt(table), (e) => (message = (e as Error).message, e instanceof IncompatibleError));
    return message;
  };
  const hp = (l: Layout): Field => l.components.get(2)!.fields[0]!;
  assert.match(against(1, (l) => (hp(l).limit = 100n)), /^this page is older than the server: reload it \(.*; Vitals\.hp is int32 0 to 65535 \(16 bits\) here and int32 0 to 100/);
  assert.match(against(-1, (l) => Object.assign(hp(l), { type: Type.uint32 })), /^the server is older than this page: wait until it is updated, then reload \(.*uint32/);
  assert.match(against(0, (l) => (hp(l).optional = true)), /the same revision: run mmo gen.*optional/);
  assert.match(against(1, (l) => (hp(l).audience = 1)), /audience 1/);
  assert.match(against(1, (l) => (l.name = "sink")), /^this page is for the game plains, the server runs sink: open the page of that game$/);
  assert.match(against(1, (l) => (l.kinds.get(1)!.name = "Villain")), /kind 1 is Hero here and Villain there/);
  assert.match(against(1, (l) => (l.components.get(1)!.motion!.heading = 0)), /position of Transform/);
  assert.match(against(1, (l) => l.components.get(1)!.fields.forEach((f) => (f.quantum *= 2))), /Transform\.x .* in steps of 0\.003125/);
});

test("fingerprints: one generation, or the same", () => {
  const f = (g: number, r: number, h = 1): Bytes => Uint8Array.from([g, 0, r & 255, r >> 8, h, 0, 0, 0]);
  assert.deepEqual([[f(1, 1), f(1, 1)], [f(1, 1), f(1, 600)], [f(1, 1), f(2, 1)], [f(1, 1), f(1, 1, 2)]].map(([a, b]) => compatible(a!, b!)), [true, true, false, false]);
  assert.match(incompatible(f(1, 255), f(1, 256)).message, /^this page is older .*\(schema 1\.255-01000000 here, 1\.256-01000000 there\)$/);
  assert.match(incompatible(f(2, 1), f(1, 256)).message, /^the server is older/);
});

test("keys of maps are in the order of their bytes in UTF-8", () => {
  const words = ["", "a", "ab", "\u007f", "é", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{10ffff}", "a\u{10000}", "a\uffff", "天", "下"];
  for (const a of words) for (const b of words) assert.equal(Math.sign(compareText(a, b)), Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))), `${a} ${b}`);
});

test("polar: no cosine is near the edge where one machine rounds up and another down", () => {
  for (let bits = 5; bits <= 12; bits++) {
    const { cos } = new Polar(bits);
    for (let i = 0; i < cos.length; i++) {
      const exact = Math.cos((i * 2 * Math.PI) / cos.length) * 2 ** 14;
      assert.ok(Math.abs(exact - cos[i]!) < 0.5 - 1e-7, `${i} of 2^${bits}`);
    }
  }
});
