import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, hex, MalformedError, unhex } from "../sdk/bytes.ts";
import { Control, decodeFrames, decodePong, encodeAck, encodeControl, encodeEcho, encodePing, encodePush, encodeRequest, FrameType } from "../sdk/frames.ts";

test("frames: what is encoded is what the manual draws", () => {
  assert.equal(hex(encodePush(64, unhex("0a0b"))), "0040020a0b");
  assert.equal(hex(encodeRequest(300, 5, unhex("ff"))), "01ac020501ff");
  assert.equal(hex(encodeEcho(65_537)), "0503020100");
  assert.equal(hex(encodePing(1n)), "0501080100000000000000");
  assert.equal(hex(encodeControl(Control.bye, unhex(""))), "050600");
  assert.equal(hex(encodeAck(300)), "04ac02");
});

test("frames: a record of many decodes in order", () => {
  const list = decodeFrames(
    concat(encodePush(33, unhex("01")), unhex("0820090102"), unhex("0a20070203aabbcc"), unhex("03400500"), unhex("06020102"), unhex("0409")),
  );
  assert.deepEqual(
    list.map((f) => [f.type, f.route, f.id, f.seq, hex(f.payload)]),
    [
      [FrameType.push, 33, 0, undefined, "01"],
      [FrameType.push, 32, 0, 9, "02"],
      [FrameType.response, 32, 7, 2, "aabbcc"],
      [FrameType.error, 64, 5, undefined, ""],
      [FrameType.state, 0, 0, undefined, "0102"],
      [FrameType.ack, 0, 0, 9, ""],
    ],
  );
});

test("frames: payloads in JSON are told apart, where a payload may be JSON", () => {
  const [push, response, kick] = decodeFrames(unhex("2040027b7d" + "2a400507027b7d" + "2505027b7d"));
  assert.deepEqual([push!.json, response!.json, response!.seq, kick!.json], [true, true, 7, true]);
  for (const bad of ["2409", "260101"]) assert.throws(() => decodeFrames(unhex(bad)), /JSON flag/);
});

test("frames: hostile bytes are refused", () => {
  for (const [name, bytes] of Object.entries({
    "reserved bit": "100000", "another": "400000", "the last": "800000", "type 7": "0700", "route above 65535": "0080800400", "payload beyond the end": "004005aa",
    "reliable control": "0d0100", "reliable ack": "0c01", "reliable state": "0e0100", cut: "01",
  })) {
    assert.throws(() => decodeFrames(unhex(bytes)), MalformedError, name);
  }
});

test("pong", () => {
  assert.deepEqual(decodePong(unhex("0100000000000000" + "0200000000000000")), { client: 1n, server: 2n });
  assert.throws(() => decodePong(unhex("01")), MalformedError);
  assert.throws(() => decodePong(new Uint8Array(17)), MalformedError);
});
