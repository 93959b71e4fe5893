import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type Bytes, ByteWriter, hex, MalformedError, unhex } from "../sdk/bytes.ts";
import { callLogin, dispatch, type Kick, Route } from "../sdk/gen/mmo.ts";
import * as every from "./every/every.ts";

const vectors = (JSON.parse(readFileSync("test/every/vectors.json", "utf8")) as string[]).map(unhex);

test("generated messages: what Go wrote is read, and written again byte for byte", () => {
  const list = vectors.map(every.decodeEvery);
  list.forEach((m, i) => assert.equal(hex(every.encodeEvery(m)), hex(vectors[i]!), `message ${i}`));
  const [none, full, negative, nested] = list as [every.Every, every.Every, every.Every, every.Every];
  assert.deepEqual([none.string, none.uint64, none.maybe, none.inner, none.numbers, none.byName.size], ["", 0n, undefined, undefined, [], 0]);
  assert.deepEqual(
    [full.double, full.float, full.int32, full.int64, full.uint32, full.uint64, full.sint32, full.sint64, full.fixed32, full.fixed64, full.sfixed32, full.sfixed64, full.bool],
    [-1.5, Math.fround(0.1), -1, -(2n ** 63n), 2 ** 32 - 1, 2n ** 64n - 1n, -(2 ** 31), 2n ** 63n - 1n, 2 ** 32 - 1, 2n ** 64n - 1n, -5, -6n, true],
  );
  assert.deepEqual([full.string, hex(full.bytes), full.colour, full.maybe, full.maybeColour], ["天下", "000102ff", every.Colour.ODD, 0, every.Colour.NONE]);
  assert.deepEqual(full.inner, { depth: 1, inner: { depth: 2, inner: { depth: 0 } } });
  assert.deepEqual([full.doubles, full.numbers, full.wides, full.flags], [[0, -0, NaN, Infinity], [0, 1, -1, 2 ** 31 - 1], [0n, -1n, 2n ** 63n - 1n], [true, false]]);
  assert.deepEqual([full.strings, full.colours, full.inners, full.loose], [["", "a"], [0, 3, -2], [{ depth: 0 }, { depth: 300 }], [1, -1]]);
  assert.deepEqual([full.byName.get(""), full.byNumber.get(-3n), full.byFlag.get(true), full.byFixed.get(-1)?.length], [7, { depth: 9 }, 3, 1]);
  assert.deepEqual([full.text, full.number, negative.number, Object.is(negative.float, -0), nested.nested], ["", undefined, 5, true, { depth: 0 }]);
});

test("generated messages: of a oneof the last one counts, and packed numbers may come one by one", () => {
  assert.deepEqual(Object.keys(every.decodeEvery(unhex("c20200" + "c80205"))).filter((k) => ["text", "number", "nested"].includes(k)), ["number"]);
  assert.deepEqual(every.decodeEvery(unhex("a80101" + "aa01020203")).numbers, [1, 2, 3]);
});

test("generated messages: hostile bytes end in a MalformedError, nesting too", () => {
  let deep: Bytes = new Uint8Array(0);
  for (let i = 0; i < 100; i++) deep = new ByteWriter().u8(0x12).uvarint(deep.length).bytes(deep).done();
  assert.throws(() => every.decodeEveryInner(deep), MalformedError);
  assert.throws(() => every.decodeEvery(unhex("7201ff")), MalformedError, "not UTF-8");
  let seed = 5;
  const rnd = (n: number): number => ((seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 8) % n;
  for (let i = 0; i < 4000; i++) {
    const bytes = vectors[1]!.slice(0, rnd(2) === 0 ? undefined : rnd(vectors[1]!.length));
    for (let k = rnd(4); k >= 0 && bytes.length > 0; k--) bytes[rnd(bytes.length)]! ^= 1 << rnd(8);
    try {
      every.decodeEvery(bytes);
    } catch (e) {
      assert.ok(e instanceof MalformedError, String(e));
    }
  }
});

test("generated senders and dispatchers: routes by number, requests wait for their answer", async () => {
  const sent: [number, string][] = [];
  const to = {
    push: (route: number, payload: Bytes) => void sent.push([route, hex(payload)]),
    request: async (route: number, payload: Bytes) => (sent.push([route, hex(payload)]), unhex("0805")),
  };
  every.sendEvery(to, every.decodeEvery(unhex("1803")));
  assert.equal((await callLogin(to, { token: "a", client: "" })).sessionId, 5n);
  assert.deepEqual(sent, [[64, "1803"], [Route.login, "0a0161"]]);
  const seen: unknown[] = [];
  const kick: Kick = { code: 1, reason: "" };
  assert.equal(kick.code, 1);
  assert.equal(dispatch(Route.avatar, unhex("0809"), { avatar: (a) => seen.push(a) }), true);
  assert.equal(dispatch(Route.status, unhex("ff"), {}), true, "without a handler nothing is decoded");
  assert.equal(dispatch(9999, unhex(""), {}), false);
  assert.deepEqual(seen, [{ entity: 9n, zone: 0 }]);
});
