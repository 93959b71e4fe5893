import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type Bytes, concat, hex, unhex } from "../sdk/bytes.ts";
import { Handshake, HandshakeError, prologue, TicketError, verifyCert } from "../sdk/noise.ts";
import { nobleSuite } from "../sdk/noble.ts";
import { Opener, Sealer } from "../sdk/records.ts";
import { pickSuite, type Suite, webCryptoSuite } from "../sdk/suite.ts";
import { answer } from "./psk.ts";
import { helloPayload, respond, signedCert } from "./encoder.ts";

interface Vector {
  suite: number;
  root_public: string;
  server_static_private: string;
  not_before: number;
  cert: string;
  realm: string;
  prologue: string;
  client_ephemeral_private: string;
  server_ephemeral_private: string;
  ticket?: string;
  secret?: string;
  payload1: string;
  hs1: string;
  payload2: string;
  hs2: string;
  key_c2s: string;
  key_s2c: string;
  records: { dir: "c2s" | "s2c"; plain: string; record: string }[];
  rejects: { code: number; record: string }[];
}

const vectors = JSON.parse(readFileSync("../pkg/security/testdata/handshake.json", "utf8")) as Vector & { resume: Vector };
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
    assert.equal(hex(h.hs1.subarray(0, 8)), "4001090000000404");
    const server = await respond(suites[0]!, h.hs1, staticPrivate, "dev", helloPayload({ schema }));
    assert.equal(hex(server.payload1.subarray(16)), hex(schema));
    const secured = await h.finish(server.hs2);
    assert.deepEqual([hex(secured.keyC2S), hex(secured.keyS2C)], [hex(server.keyC2S), hex(server.keyS2C)]);
    const { hello } = secured;
    assert.deepEqual([hello.recordMax, hello.idleTimeoutMs, hello.ackEvery, hello.ackAfterMs, hex(hello.fingerprint)], [65536, 30000, 16, 100, hex(schema)]);
    assert.equal(server.hs2.length, 103);
  });

  test(`${name}: a ticket's handshake against another implementation of NKpsk2, for tickets of any size`, async () => {
    const { root, cert } = await signedCert(suite, staticPrivate);
    const key = await verifyCert(suite, cert, root, 1500);
    assert.equal(key.resumes, true);
    for (const size of [1, 16, 33, 200, 256]) {
      const resume = { ticket: suite.random(size), secret: suite.random(32) };
      const h = await Handshake.start({ suite, cert: key, realm: "dev", fingerprint: schema, resume });
      assert.deepEqual([h.hs1.length, hex(h.hs1.subarray(0, 8))], [80 + size, "4002090000000404"]);
      const theirs = answer(h.hs1, staticPrivate, suite.random(32), prologue(2, 4, 4, 9, "mmo.v1", "dev"), resume.secret, helloPayload({ schema }));
      assert.equal(hex(theirs.payload1.subarray(16)), hex(schema) + hex(resume.ticket));
      const secured = await h.finish(new Uint8Array(theirs.hs2));
      assert.deepEqual([hex(secured.keyC2S), hex(secured.keyS2C)], [hex(theirs.keyC2S), hex(theirs.keyS2C)]);
    }
  });

  test(`${name}: a ticket that is refused, or whose secret is another one, is told apart from a server that is not the right one`, async () => {
    const { root, cert } = await signedCert(suite, staticPrivate);
    const key = await verifyCert(suite, cert, root, 1500);
    const resume = { ticket: suite.random(64), secret: suite.random(32) };
    const fresh = () => Handshake.start({ suite, cert: key, realm: "dev", fingerprint: schema, resume });
    await assert.rejects((await fresh()).finish(unhex("500600")), TicketError);
    const h = await fresh();
    const theirs = await respond(suites[0]!, h.hs1, staticPrivate, "dev", helloPayload({ schema }), () => suite.random(32));
    assert.equal(hex(theirs.ticket), hex(resume.ticket));
    await assert.rejects(h.finish(theirs.hs2), TicketError);
    const again = await fresh();
    const right = await respond(suites[0]!, again.hs1, staticPrivate, "dev", helloPayload({ schema }), () => resume.secret);
    assert.equal(hex((await again.finish(right.hs2)).keyC2S), hex(right.keyC2S));
    const wrongs = [{ ...resume, ticket: new Uint8Array(0) }, { ...resume, ticket: new Uint8Array(257) }, { ...resume, secret: new Uint8Array(31) }];
    for (const wrong of wrongs) await assert.rejects(Handshake.start({ suite, cert: key, realm: "dev", fingerprint: schema, resume: wrong }), HandshakeError);
    const one = await signedCert(suite, staticPrivate, 9, 1000n, 2000n, 1);
    const loginOnly = await verifyCert(suite, one.cert, one.root, 1500);
    assert.equal(loginOnly.resumes, false);
    await assert.rejects(Handshake.start({ suite, cert: loginOnly, realm: "dev", fingerprint: schema, resume }), /does not allow suite 2/);
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
    for (const [record, code] of [["500100", 4011], ["5003000205", 4504], ["500500", 4004], ["500400", 4500], ["48", 4500], ["500600", 0]] as const) {
      await assert.rejects((await fresh()).finish(unhex(record)), (e) => e instanceof HandshakeError && e.code === code, record);
    }
    const zero = concat(new Uint8Array([0x48]), new Uint8Array(102)); // an all-zero public key is a low-order point
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

  for (const [what, v] of [["login", vectors], ["resume", vectors.resume]] as const) {
    test(`${name}: Go's vectors, ${what}`, async () => {
      const root = unhex(v.root_public);
      const key = await verifyCert(suite, unhex(v.cert), root, v.not_before);
      const payload1 = unhex(v.payload1);
      const resume = v.suite === 2 ? { ticket: unhex(v.ticket!), secret: unhex(v.secret!) } : undefined;
      const h = await Handshake.start({
        suite, cert: key, realm: v.realm, fingerprint: payload1.slice(16, 24), random: payload1.slice(0, 16), ephemeral: unhex(v.client_ephemeral_private), resume,
      });
      assert.equal(hex(h.hs1), v.hs1);
      if (resume !== undefined) {
        const theirs = answer(h.hs1, unhex(v.server_static_private), unhex(v.server_ephemeral_private), unhex(v.prologue), resume.secret, unhex(v.payload2));
        assert.deepEqual([hex(theirs.hs2), hex(theirs.keyC2S), hex(theirs.keyS2C)], [v.hs2, v.key_c2s, v.key_s2c], "the other implementation agrees with Go");
      }
      const secured = await h.finish(unhex(v.hs2));
      assert.deepEqual([hex(secured.keyC2S), hex(secured.keyS2C)], [v.key_c2s, v.key_s2c]);
      const rekey = { records: secured.hello.rekeyRecords, bytes: secured.hello.rekeyBytes };
      const c2s = await Sealer.create(suite, secured.keyC2S, rekey);
      const s2c = await Opener.create(suite, secured.keyS2C, rekey);
      for (const r of v.records) {
        if (r.dir === "c2s") assert.equal(hex(await c2s.seal(unhex(r.plain))), r.record);
        else assert.equal(hex(await s2c.open(unhex(r.record))), r.plain);
      }
      for (const { record } of v.rejects) await assert.rejects(h.finish(unhex(record)), HandshakeError);
    });
  }
}
