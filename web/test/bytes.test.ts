import assert from "node:assert/strict";
import { test } from "node:test";
import { BitReader, ByteReader, ByteWriter, hex, MalformedError, unbase64, unhex } from "../sdk/bytes.ts";
import { BitWriter } from "./bits.ts";

test("uvarint: round trip at every length, and refusal of too much", () => {
  for (const v of [0, 1, 127, 128, 16383, 16384, 2 ** 28 - 1, 2 ** 31, 2 ** 32 - 1]) {
    const w = new ByteWriter(1).uvarint(v).done();
    assert.equal(new ByteReader(w).uvarint(), v);
  }
  assert.throws(() => new ByteReader(unhex("ffffffff1f")).uvarint(), MalformedError);
  assert.throws(() => new ByteReader(unhex("808080808001")).uvarint(), MalformedError);
  assert.throws(() => new ByteReader(unhex("80")).uvarint(), MalformedError);
  assert.equal(new ByteReader(new ByteWriter().uvarint64(2n ** 64n - 1n).done()).uvarint64(), 2n ** 64n - 1n);
  assert.throws(() => new ByteReader(unhex("ffffffffffffffffff02")).uvarint64(), MalformedError);
});

test("bit reader: low bit first, across bytes, agrees with the writer on random values", () => {
  const r = new BitReader();
  r.reset(unhex("b501"));
  assert.deepEqual([r.bits(3), r.bits(4), r.bit(), r.bits(1), r.left], [5, 6, 1, 1, 7]);
  let seed = 1;
  const next = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0);
  const want: [number, number][] = [];
  const w = new BitWriter();
  for (let i = 0; i < 2000; i++) {
    const n = next() % 33;
    const v = n === 0 ? 0 : next() >>> (32 - n);
    want.push([v, n]);
    w.bits(v, n);
  }
  r.reset(w.done());
  for (const [v, n] of want) assert.equal(r.bits(n), v);
  assert.ok(r.left < 8);
  assert.throws(() => r.bits(8), MalformedError);
});

test("bit reader: nothing beyond the end", () => {
  const r = new BitReader();
  r.reset(new Uint8Array(0));
  assert.throws(() => r.bit(), MalformedError);
  assert.equal(r.bits(0), 0);
});

test("text forms", () => {
  assert.equal(hex(unhex("00ff10")), "00ff10");
  assert.throws(() => unhex("0"), MalformedError);
  assert.throws(() => unhex("zz"), MalformedError);
  assert.equal(hex(unbase64("AP8Q")), "00ff10");
  assert.equal(hex(unbase64("-_8")), "fbff");
  assert.throws(() => unbase64("*"), MalformedError);
});
