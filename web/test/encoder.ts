/**
 * The other side of the wire, for tests: an encoder of state frames written from the manual and not from the decoder, and the server's half of the
 * handshake.
 */
import { type Bytes, ByteReader, ByteWriter, concat, unbase64 } from "../sdk/bytes.ts";
import { LAYOUT } from "../sdk/gen/plains.ts";
import { type Layout, parseLayout } from "../sdk/layout.ts";
import { reckon } from "../sdk/motion.ts";
import { prologue, SymmetricState } from "../sdk/noise.ts";
import type { Suite } from "../sdk/suite.ts";
import { BitWriter, type Content, count, encodeDelta, encodeFull } from "./bits.ts";

/** State is an entity of the sample game. */
export interface State {
  x: number;
  z: number;
  vx: number;
  vz: number;
  yaw: number;
  hp: number;
}

/** Base is what the client holds of an entity. */
export interface Base extends State {
  tick: number;
}

export interface SectionSpec {
  row: number;
  positionBits: number;
  /** zone is the id of the row's zone, 1 unless given; its origin is 0, 0 unless given. */
  zone?: number;
  originX?: number;
  originZ?: number;
  lastTick: number;
  tick: number;
  lastInput: number;
  input: number;
  width: number;
  leaves?: number[];
  enters?: { index: number; id: bigint; kind: number; age: number; state: State }[];
  updates?: ({ index: number; age: number; full: State } | { index: number; age: number; from: Base; to: State; hypothesis?: boolean })[];
}

const plains = parseLayout(unbase64(LAYOUT));

/** content is an entity of the sample game as the layout has it. */
export function content(s: State, tick: number): Content {
  return { tick, Transform: { x: s.x, z: s.z, vx: s.vx, vz: s.vz, yaw: s.yaw }, Vitals: { hp: s.hp }, Purse: { coins: 0 } } as Content;
}

/** encodeState writes a state frame by a layout all of whose kinds are like the sample game's first. */
export function encodeState(sections: SectionSpec[], layout = plains): Bytes {
  const w = new BitWriter();
  sections.forEach((s, i) => {
    if (i > 0) w.prefix("1");
    section(w, s, layout);
  });
  return w.prefix("0").done();
}

function section(w: BitWriter, s: SectionSpec, layout: Layout): void {
  sectionHead(w, s);
  for (const index of s.leaves ?? []) w.bits(index, s.width);
  for (const e of s.enters ?? []) {
    enterHead(w, s.width, e, s.zone);
    encodeFull(w, layout, 1, 0, s.positionBits, content(e.state, (s.tick - e.age) | 0), s.originX, s.originZ);
  }
  for (const u of s.updates ?? []) {
    w.bits(u.index, s.width);
    const tick = (s.tick - u.age) | 0;
    if ("full" in u) {
      w.prefix("11");
      age(w, u.age);
      encodeFull(w, layout, 1, 0, s.positionBits, content(u.full, tick), s.originX, s.originZ);
      continue;
    }
    if (u.age === 0) w.prefix("0");
    else {
      w.prefix("10");
      age(w, u.age);
    }
    const { from, to } = u;
    const dt = (tick - from.tick) | 0;
    const moved = (["vx", "vz", "yaw"] as const).some((k) => to[k] !== from[k]) || to.x !== reckon(from.x, from.vx, dt) || to.z !== reckon(from.z, from.vz, dt);
    encodeDelta(w, layout, 1, 0, content(from, from.tick), content(to, moved ? tick : from.tick), u.hypothesis ?? false);
  }
}

/** sectionHead writes what stands before a section's entities. */
export function sectionHead(w: BitWriter, s: Pick<SectionSpec, "row" | "lastTick" | "tick" | "lastInput" | "input" | "width"> & { leaves?: unknown[]; enters?: unknown[]; updates?: unknown[] }): void {
  w.bits(s.row, 4);
  const dt = (s.tick - s.lastTick) | 0;
  if (dt === 1) w.prefix("0");
  else if (dt >= 0 && dt <= 62) w.prefix("1").bits(dt, 6);
  else w.prefix("1").bits(63, 6).bits(s.tick, 32);
  const di = s.input - s.lastInput;
  if (di >= 0 && di <= 2) w.bits(di, 2);
  else w.bits(3, 2).bits(s.input, 32);
  w.bits(s.width, 4);
  for (const list of [s.leaves, s.enters, s.updates]) count(w, list?.length ?? 0);
}

/** enterHead writes what stands before the full state of an entity that enters. */
export function enterHead(w: BitWriter, width: number, e: { index: number; id: bigint; kind: number; age: number }, zone = 1): void {
  w.bits(e.index, width);
  if (e.id >> 32n === BigInt((zone - 1) >>> 0)) w.prefix("0").bits(e.id & 0xffffffffn, 32);
  else w.prefix("1").bits(e.id, 64);
  if (e.kind < 15) w.bits(e.kind, 4);
  else w.bits(15, 4).bits(e.kind, 16);
  age(w, e.age);
}

export function age(w: BitWriter, a: number): void {
  if (a === 0) w.prefix("0");
  else if (a < 32) w.prefix("10").bits(a, 5);
  else if (a < 1024) w.prefix("110").bits(a, 10);
  else w.prefix("111").bits(a, 32);
}

/** Responder is the server's half of the handshake, on the same primitives but its own order of tokens. */
export interface Responder {
  hs2: Bytes;
  payload1: Bytes;
  /** ticket of suite 2; empty in suite 1. */
  ticket: Bytes;
  keyC2S: Bytes;
  keyS2C: Bytes;
}

/** respond answers HS1; secretOf gives the secret of a ticket, or undefined: it throws then, and the test says what follows. */
export async function respond(
  suite: Suite, hs1: Bytes, staticPrivate: Bytes, realm: string, payload2: Bytes, secretOf: (ticket: Bytes) => Bytes | undefined = () => undefined,
): Promise<Responder> {
  const r = new ByteReader(hs1.subarray(1));
  const [id, keyId, min, max] = [r.u8(), r.u32(), r.u8(), r.u8()];
  const re = r.bytes(32).slice();
  const s = await suite.keyPair(staticPrivate);
  const state = new SymmetricState(suite, id === 2);
  await state.mixHash(prologue(id, min, max, keyId, "mmo.v1", realm));
  await state.mixHash(s.publicKey);
  await state.mixEphemeral(re);
  await state.mixKey(await suite.dh(s, re));
  const payload1 = await state.decryptAndHash(r.bytes(r.left).slice());
  const ticket = payload1.slice(24);
  const secret = id === 2 ? secretOf(ticket) : undefined;
  if (id === 2 && secret === undefined) throw new RangeError("an unknown ticket");
  const e = await suite.keyPair();
  await state.mixEphemeral(e.publicKey);
  await state.mixKey(await suite.dh(e, re));
  if (secret !== undefined) await state.mixSecret(secret);
  const sealed = await state.encryptAndHash(payload2);
  const [keyC2S, keyS2C] = await state.split();
  return { hs2: concat(new Uint8Array([0x48]), e.publicKey, sealed), payload1: payload1.slice(0, 24), ticket, keyC2S, keyS2C };
}

export interface HelloSpec {
  /** schema is the fingerprint. */
  schema: Bytes;
  rekeyRecords?: number;
  rekeyBytes?: number;
  ackEvery?: number;
  ackAfterMs?: number;
}

export function helloPayload(h: HelloSpec): Bytes {
  return new ByteWriter()
    .u8(4).u8(0).bytes(h.schema).u64(1_700_000_000_000_000n).bytes(new Uint8Array(16).fill(7))
    .u32(65536).u32(30000).u32(h.rekeyRecords ?? 65536).u32(h.rekeyBytes ?? 1 << 26)
    .u16(h.ackEvery ?? 16).u16(h.ackAfterMs ?? 100).done();
}

/** signedCert makes a root and a certificate of a static key. */
export async function signedCert(
  suite: Suite, staticPrivate: Bytes, keyId = 9, notBefore = 1000n, notAfter = 2000n, suites = 3,
): Promise<{ root: Bytes; cert: Bytes }> {
  const pair = (await crypto.subtle.generateKey({ name: "Ed25519" }, true, ["sign", "verify"])) as CryptoKeyPair;
  const pub = (await suite.keyPair(staticPrivate)).publicKey;
  const body = new ByteWriter().u8(1).u32(keyId).bytes(pub).u64(notBefore).u64(notAfter).u16(suites).done();
  const signature = await crypto.subtle.sign({ name: "Ed25519" }, pair.privateKey, concat(new TextEncoder().encode("GW1-keycert"), body));
  return {
    root: new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)),
    cert: concat(body, new Uint8Array(signature)),
  };
}
