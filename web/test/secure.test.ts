import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { type Bytes, concat, hex, unhex } from "../sdk/bytes.ts";
import { Handshake, HandshakeError, verifyCert } from "../sdk/noise.ts";
import { nobleSuite } from "../sdk/noble.ts";
import { Opener, Sealer } from "../sdk/records.ts";
import { pickSuite, type Suite, webCryptoSuite } from "../sdk/suite.ts";
import { helloPayload, respond, signedCert } from "./encoder.ts";

const VECTORS = "../pkg/security/testdata/handshake.json";
const suites: Suite[] = [(await webCryptoSuite())!, nobleSuite()];
const schema = unhex("0102030405060708");
const staticPrivate = new Uint8Array(32).map((_, i) => i * 7 + 1) as Bytes;
const rule = { records: 65536, bytes: 1 << 26 };

test("node has WebCrypto with X25519 and Ed25519, so both suites are tested", async () => {
  assert.ok(suites[0]);
  assert.equal((await pickSuite()).label, "WebCrypto");
});

test("without crypto.subtle the fallback is picked and says so", async () => {
  const real = Object.getOwnPropertyDescriptor(globalThis, "crypto")!;
  Object.defineProperty(globalThis, "crypto", { configurable: true, value: { getRandomValues: (a: Uint8Array) => a } });
  try {
    assert.equal((await pickSuite()).label, "JS fallback");
  } finally {
    Object.defineProperty(globalThis, "crypto", real);
  }
});

for (const suite of suites) {
  const name = suite?.label;

  test(`${name}: handshake against a responder, keys agree, records flow both ways`, async () => {
    const { root, cert } = await signedCert(suite, staticPrivate);
    const key = await verifyCert(suite, cert, root, 1500);
    assert.equal(key.keyId, 9);
    const h = await Handshake.start({ suite, cert: key, realm: "dev", fingerprint: schema });
    assert.equal(h.hs1.length, 80);
    assert.equal(hex(h.hs1.subarray(0, 8)), "4001090000000202");
    const server = await respond(suites[0]!, h.hs1, staticPrivate, "dev", helloPayload({ schema }));
    assert.equal(hex(server.payload1.subarray(16)), hex(schema));
    const secured = await h.finish(server.hs2);
    assert.deepEqual([hex(secured.keyC2S), hex(secured.keyS2C)], [hex(server.keyC2S), hex(server.keyS2C)]);
    assert.deepEqual([secured.hello.recordMax, secured.hello.idleTimeoutMs, hex(secured.hello.fingerprint)], [65536, 30000, hex(schema)]);
  });

  test(`${name}: a wrong realm, a flipped bit and a reject end the handshake with the right code`, async () => {
    const { root, cert } = await signedCert(suite, staticPrivate);
    const key = await verifyCert(suite, cert, root, 1500);
    const fresh = () => Handshake.start({ suite, cert: key, realm: "dev", fingerprint: schema });
    const h = await fresh();
    await assert.rejects(respond(suites[0]!, h.hs1, staticPrivate, "other", helloPayload({ schema })));
    const server = await respond(suites[0]!, h.hs1, staticPrivate, "dev", helloPayload({ schema }));
    server.hs2[50]! ^= 1;
    await assert.rejects(h.finish(server.hs2), (e) => e instanceof HandshakeError && e.code === 4500);
    for (const [record, code] of [["500100", 4011], ["5003000205", 4504], ["500500", 4004], ["500400", 4500], ["48", 4500]] as const) {
      await assert.rejects((await fresh()).finish(unhex(record)), (e) => e instanceof HandshakeError && e.code === code, record);
    }
    const zero = concat(new Uint8Array([0x48]), new Uint8Array(98)); // an all-zero public key is a low-order point
    await assert.rejects((await fresh()).finish(zero), (e) => e instanceof HandshakeError && e.code === 4500);
  });

  test(`${name}: certificates are refused when forged, out of date or for another suite`, async () => {
    const { root, cert } = await signedCert(suite, staticPrivate);
    for (const at of [0, 5, 40, 118]) {
      const bad = cert.slice();
      bad[at]! ^= 1;
      await assert.rejects(verifyCert(suite, bad, root, 1500), HandshakeError);
    }
    await assert.rejects(verifyCert(suite, cert, root, 999), HandshakeError);
    await assert.rejects(verifyCert(suite, cert, root, 2001), HandshakeError);
    await assert.rejects(verifyCert(suite, cert.slice(1), root, 1500), HandshakeError);
    const other = await signedCert(suite, staticPrivate, 9, 1000n, 2000n, 2);
    await assert.rejects(verifyCert(suite, other.cert, other.root, 1500), HandshakeError);
  });

  test(`${name}: records keep the order of the calls, through rekeys, against the other suite`, async () => {
    const key = new Uint8Array(32).fill(3);
    const small = { records: 5, bytes: 1000 };
    const sealer = await Sealer.create(suite, key, small);
    const opener = await Opener.create(suites.find((s) => s !== suite)!, key, small);
    const plains = Array.from({ length: 23 }, (_, i) => new Uint8Array((i * 37) % 300).fill(i) as Bytes);
    const records = await Promise.all(plains.map((p) => sealer.seal(p))); // all in flight at once
    assert.equal(records[0]![0], 0x58);
    const opened = await Promise.all(records.map((r) => opener.open(r)));
    assert.deepEqual(opened.map(hex), plains.map(hex));
  });

  test(`${name}: a replay, a gap or a flipped bit fails and stays failed`, async () => {
    const key = new Uint8Array(32).fill(4);
    const sealer = await Sealer.create(suite, key, rule);
    const [a, b, c] = await Promise.all([1, 2, 3].map((i) => sealer.seal(new Uint8Array([i]))));
    const opener = async () => Opener.create(suite, key, rule);
    const replay = await opener();
    await replay.open(a!);
    await assert.rejects(replay.open(a!));
    await assert.rejects(replay.open(b!), "nothing opens after a failure");
    await assert.rejects((await opener()).open(b!));
    const flipped = a!.slice();
    flipped[flipped.length - 1]! ^= 1;
    await assert.rejects((await opener()).open(flipped));
    await assert.rejects((await opener()).open(concat(new Uint8Array([0x50]), c!.subarray(1))));
  });

  const missing = !existsSync(VECTORS);
  test(`${name}: Go vectors ${VECTORS}`, { skip: missing && `${VECTORS} is not there yet` }, async () => {
    const v = JSON.parse(readFileSync(VECTORS, "utf8"));
    const root = unhex(v.root_public);
    const cert = unhex(v.cert);
    const notBefore = Number(new DataView(cert.buffer).getBigUint64(37, true));
    const key = await verifyCert(suite, cert, root, notBefore);
    const payload1 = unhex(v.payload1);
    const h = await Handshake.start({
      suite, cert: key, realm: v.realm, fingerprint: payload1.slice(16), random: payload1.slice(0, 16), ephemeral: unhex(v.client_ephemeral_private),
    });
    assert.equal(hex(h.hs1), v.hs1);
    const secured = await h.finish(unhex(v.hs2));
    assert.equal(hex(secured.keyC2S), v.key_c2s);
    assert.equal(hex(secured.keyS2C), v.key_s2c);
    const hello = secured.hello;
    const rekey = { records: hello.rekeyRecords, bytes: hello.rekeyBytes };
    const c2s = await Sealer.create(suite, secured.keyC2S, rekey);
    const s2c = await Opener.create(suite, secured.keyS2C, rekey);
    for (const r of v.records as { dir: string; plain: string; record: string }[]) {
      if (/^(c2s|client)/.test(r.dir)) assert.equal(hex(await c2s.seal(unhex(r.plain))), r.record);
      else assert.equal(hex(await s2c.open(unhex(r.record))), r.plain);
    }
  });
}
