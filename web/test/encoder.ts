/**
 * The other side of the wire, for tests: a bit writer, an encoder of state frames written from the manual and not from the decoder, and
 * the server's half of the handshake.
 */
import { type Bytes, ByteReader, ByteWriter, concat } from "../sdk/bytes.ts";
import { prologue, SymmetricState } from "../sdk/noise.ts";
import type { Suite } from "../sdk/suite.ts";

export class BitWriter {
  private readonly out: number[] = [];
  private at = 0;

  bits(value: number | bigint, n: number): this {
    const v = BigInt.asUintN(64, BigInt(value));
    for (let i = 0; i < n; i++, this.at++) {
      if (this.at % 8 === 0) this.out.push(0);
      this.out[this.out.length - 1]! |= Number((v >> BigInt(i)) & 1n) << this.at % 8;
    }
    return this;
  }

  /** prefix writes a string of 0 and 1 in stream order. */
  prefix(code: string): this {
    for (const c of code) this.bits(c === "1" ? 1 : 0, 1);
    return this;
  }

  done(): Bytes {
    return Uint8Array.from(this.out);
  }
}

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
  lastTick: number;
  tick: number;
  lastInput: number;
  input: number;
  width: number;
  leaves?: number[];
  enters?: { index: number; id: bigint; kind: number; age: number; state: State }[];
  updates?: ({ index: number; age: number; full: State } | { index: number; age: number; from: Base; to: State; hypothesis?: boolean })[];
}

export function encodeState(sections: SectionSpec[]): Bytes {
  const w = new BitWriter();
  sections.forEach((s, i) => {
    if (i > 0) w.prefix("1");
    section(w, s);
  });
  return w.prefix("0").done();
}

function section(w: BitWriter, s: SectionSpec): void {
  w.bits(s.row, 4);
  const dt = (s.tick - s.lastTick) | 0;
  if (dt === 1) w.prefix("0");
  else if (dt >= 0 && dt <= 62) w.prefix("1").bits(dt, 6);
  else w.prefix("1").bits(63, 6).bits(s.tick, 32);
  const di = s.input - s.lastInput;
  if (di >= 0 && di <= 2) w.bits(di, 2);
  else w.bits(3, 2).bits(s.input, 32);
  w.bits(s.width, 4);
  const leaves = s.leaves ?? [];
  const enters = s.enters ?? [];
  const updates = s.updates ?? [];
  for (const list of [leaves, enters, updates]) count(w, list.length);
  for (const index of leaves) w.bits(index, s.width);
  for (const e of enters) {
    w.bits(e.index, s.width);
    if (e.id < 1n << 32n) w.prefix("0").bits(e.id, 32);
    else w.prefix("1").bits(e.id, 64);
    if (e.kind < 15) w.bits(e.kind, 4);
    else w.bits(15, 4).bits(e.kind, 16);
    age(w, e.age);
    full(w, e.state, s.positionBits);
  }
  for (const u of updates) {
    w.bits(u.index, s.width);
    if ("full" in u) {
      w.prefix("11");
      age(w, u.age);
      full(w, u.full, s.positionBits);
    } else {
      if (u.age === 0) w.prefix("0");
      else {
        w.prefix("10");
        age(w, u.age);
      }
      delta(w, u.from, u.to, (s.tick - u.age) | 0, u.hypothesis ?? false);
    }
  }
}

function count(w: BitWriter, n: number): void {
  if (n === 0) w.prefix("0");
  else if (n < 16) w.prefix("10").bits(n, 4);
  else if (n < 2048) w.prefix("110").bits(n, 11);
  else w.prefix("111").bits(n, 20);
}

function age(w: BitWriter, a: number): void {
  if (a === 0) w.prefix("0");
  else if (a < 32) w.prefix("10").bits(a, 5);
  else if (a < 1024) w.prefix("110").bits(a, 10);
  else w.prefix("111").bits(a, 32);
}

function velocity(w: BitWriter, v: number, old: number): void {
  if (v - old >= -16 && v - old <= 15) w.prefix("0").bits(v - old + 16, 5);
  else if (v >= -128 && v <= 127) w.prefix("10").bits(v + 128, 8);
  else w.prefix("11").bits(v, 16);
}

function full(w: BitWriter, s: State, positionBits: number): void {
  w.bits(s.x, positionBits).bits(s.z, positionBits);
  velocity(w, s.vx, 0);
  velocity(w, s.vz, 0);
  w.bits(s.yaw, 10).bits(s.hp, 16);
}

function residual(w: BitWriter, r: number): void {
  const u = ((r << 1) ^ (r >> 31)) >>> 0;
  if (u === 0) w.prefix("0");
  else if (u <= 8) w.prefix("10").bits(u - 1, 3);
  else if (u < 64) w.prefix("110").bits(u, 6);
  else if (u < 2048) w.prefix("1110").bits(u, 11);
  else w.prefix("1111").bits(u, 32);
}

function delta(w: BitWriter, from: Base, to: State, tick: number, hypothesis: boolean): void {
  const dt = (tick - from.tick) | 0;
  const px = from.x + from.vx * dt;
  const pz = from.z + from.vz * dt;
  const turned = to.vx !== from.vx || to.vz !== from.vz;
  const moved = turned || to.yaw !== from.yaw || to.x !== px || to.z !== pz;
  if (!moved) w.prefix("0");
  else {
    w.prefix("1");
    if (!turned) w.prefix("0");
    else {
      w.prefix("1");
      velocity(w, to.vx, from.vx);
      velocity(w, to.vz, from.vz);
    }
    const turn = ((to.yaw - from.yaw + 512) & 1023) - 512;
    if (turn === 0) w.prefix("0");
    else if (turn >= -32 && turn <= 31) w.prefix("10").bits(turn + 32, 6);
    else w.prefix("11").bits(to.yaw, 10);
    if (to.x === px && to.z === pz && !hypothesis) w.prefix("0");
    else {
      w.prefix("1");
      if (turned) w.bits(hypothesis ? 1 : 0, 1);
      const early = turned && hypothesis;
      residual(w, to.x - (early ? from.x + from.vx * (dt - 1) + to.vx : px));
      residual(w, to.z - (early ? from.z + from.vz * (dt - 1) + to.vz : pz));
    }
  }
  if (to.hp === from.hp) w.prefix("0");
  else w.prefix("1").bits(to.hp, 16);
}

/** Responder is the server's half of the handshake, on the same primitives but its own order of tokens. */
export interface Responder {
  hs2: Bytes;
  payload1: Bytes;
  keyC2S: Bytes;
  keyS2C: Bytes;
}

export async function respond(suite: Suite, hs1: Bytes, staticPrivate: Bytes, realm: string, payload2: Bytes): Promise<Responder> {
  const r = new ByteReader(hs1.subarray(1));
  const [id, keyId, min, max] = [r.u8(), r.u32(), r.u8(), r.u8()];
  const re = r.bytes(32).slice();
  const s = await suite.keyPair(staticPrivate);
  const state = new SymmetricState(suite);
  await state.mixHash(prologue(id, min, max, keyId, "mmo.v1", realm));
  await state.mixHash(s.publicKey);
  await state.mixHash(re);
  await state.mixKey(await suite.dh(s, re));
  const payload1 = await state.decryptAndHash(r.bytes(40).slice());
  const e = await suite.keyPair();
  await state.mixHash(e.publicKey);
  await state.mixKey(await suite.dh(e, re));
  const sealed = await state.encryptAndHash(payload2);
  const [keyC2S, keyS2C] = await state.split();
  return { hs2: concat(new Uint8Array([0x48]), e.publicKey, sealed), payload1, keyC2S, keyS2C };
}

export interface HelloSpec {
  schema: Bytes;
  rekeyRecords?: number;
  rekeyBytes?: number;
}

export function helloPayload(h: HelloSpec): Bytes {
  return new ByteWriter()
    .u8(1).u8(0).bytes(h.schema).u64(1_700_000_000_000_000n).bytes(new Uint8Array(16).fill(7))
    .u32(65536).u32(30000).u32(h.rekeyRecords ?? 65536).u32(h.rekeyBytes ?? 1 << 26).done();
}

/** signedCert makes a root and a certificate of a static key. */
export async function signedCert(
  suite: Suite, staticPrivate: Bytes, keyId = 9, notBefore = 1000n, notAfter = 2000n, suites = 1,
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
