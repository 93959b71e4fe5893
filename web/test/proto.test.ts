import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteWriter, hex, MalformedError, unhex } from "../sdk/bytes.ts";
import * as mmo from "../sdk/gen/mmo.ts";
import * as plains from "../sdk/gen/plains.ts";

const p = { ...mmo, ...plains };

const utf8 = new TextEncoder();

test("protobuf: messages to the server, bytes checked by hand", () => {
  assert.equal(hex(p.encodeLoginRequest({ token: "ab", client: "c" })), "0a02616212" + "0163");
  assert.equal(hex(p.encodeMove({ seq: 1, tick: 300, vx: -1, vz: 80 })), "080110ac02180120a001");
  assert.equal(hex(p.encodeMove({ seq: 0, tick: 0xffffffff, vx: 0, vz: 0 })), "10ffffffff0f");
  assert.equal(hex(p.encodeSpectateRequest({ radius: 0 })), "");
  assert.equal(hex(p.encodeSpectateRequest({ radius: 905_097 })), "0889" + "9f37");
});

test("protobuf: a move survives both ways", () => {
  for (const m of [{ seq: 1, tick: 2, vx: 80, vz: -80 }, { seq: 4_000_000_000, tick: 0x80000000, vx: -32768, vz: 32767 }]) {
    assert.deepEqual(p.decodeMove(p.encodeMove(m)), m);
  }
});

test("protobuf: unknown fields of every wire type are skipped, repeated fields gather", () => {
  const w = new ByteWriter();
  w.uvarint(8).uvarint64(2n ** 63n).uvarint(26).uvarint(4).bytes(utf8.encode("天a"));
  w.uvarint((99 << 3) | 0).uvarint(5).uvarint((99 << 3) | 1).u64(1n).uvarint((99 << 3) | 2).uvarint(1).u8(0).uvarint((99 << 3) | 5).u32(1);
  for (const right of ["spectate", "fly"]) w.uvarint(34).uvarint(right.length).bytes(utf8.encode(right));
  assert.deepEqual(p.decodeLoginResponse(w.done()), { sessionId: 2n ** 63n, playerId: 0n, name: "天a", rights: ["spectate", "fly"], server: "", queued: false });
});

test("protobuf: malformed input throws", () => {
  for (const [name, bytes] of Object.entries({ "field 0": "0000", "group": "0b", "length beyond the end": "0aff", "wrong wire type": "0801", cut: "08" })) {
    assert.throws(() => p.decodeLoginResponse(unhex(name === "wrong wire type" ? "1801" : bytes)), MalformedError, name);
  }
});

test("protobuf: zone rows", () => {
  const row = (positionBits: number, tickHz: number, quantaPerMetre = 320) => p.encodeZone({
    index: 1, zone: 0, epoch: 0, tick: 7, tickHz, positionBits, quantaPerMetre, width: 1000, height: 2000, enterRadius: 16000, leaveRadius: 17600, originX: 0, originZ: 0, margin: 0,
  });
  const z = p.decodeZone(row(20, 20));
  assert.deepEqual([z.index, z.tick, z.tickHz, z.positionBits, z.quantaPerMetre, z.width, z.height, z.enterRadius, z.leaveRadius],
    [1, 7, 20, 20, 320, 1000, 2000, 16000, 17600]);
  for (const bad of [row(32, 20), row(0, 20), row(20, 0), row(20, 20, -1), row(20, 20, NaN)]) assert.throws(() => new plains.World().replica.setZone(p.decodeZone(bad)), MalformedError);
});

test("protobuf: the rest of the framework's messages", () => {
  assert.deepEqual(p.decodeError(unhex("0805120268691864")), { code: 5, message: "hi", retryAfterMs: 100 });
  assert.deepEqual(p.decodeKick(unhex("08a223120162")), { code: 4514, reason: "b" });
  assert.deepEqual(p.decodeGoaway(unhex("0a01621064")), { reason: "b", reconnectAfterMs: 100 });
  assert.deepEqual(p.decodeTicket(unhex("0a02aabb12010718e0d403")), { ticket: unhex("aabb"), secret: unhex("07"), lingerMs: 60_000 });
  assert.deepEqual(p.decodeResumed(unhex("080110091805200" + "12a0162")), { recovered: true, sessionId: 9n, lastRequest: 5, queued: true, reason: "b" });
  assert.deepEqual(p.decodeQueue(unhex("0803100a18e807")), { position: 3, length: 10, etaMs: 1000 });
  assert.deepEqual(p.decodeWarning(unhex("080512026869")), { code: 5, message: "hi" });
  assert.equal(hex(p.encodeResume({ lastSeq: 300 })), "08ac02");
  assert.deepEqual(p.decodeAvatar(unhex("08ffffffffffffffffff011003")), { entity: 2n ** 64n - 1n, zone: 3 });
  assert.deepEqual(p.decodeStatus(unhex("0801100218032004" + "2805")), { players: 1, entities: 2, tickUsP50: 3, tickUsP99: 4, tickOverruns: 5n });
  assert.deepEqual(p.decodeMoveRefused(unhex("080110c8011850")), { seq: 1, speed: 200, limit: 80 });
  assert.deepEqual(p.decodeSpectateResponse(unhex("0880f703")), { radius: 64384 });
});
