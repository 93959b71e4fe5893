/**
 * The client's half of the handshake (manual §3): `Noise_NK_25519_AESGCM_SHA256` with the server's static key taken from a key
 * certificate that a pinned root signed. Pure: bytes in, bytes out; the connection moves them.
 *
 *   KeyCert (119) = version u8 | key_id u32 | x25519 (32) | not_before u64 s | not_after u64 s | suites u16 | Ed25519 signature (64)
 *   HS1 (80)      = 0x40 | suite u8 | key_id u32 | version_min u8 | version_max u8 | noise message 1
 *   HS2 (99)      = 0x48 | noise message 2
 *   REJECT        = 0x50 | code u16 | rest
 */
import { type Bytes, ByteReader, ByteWriter, concat, MalformedError } from "./bytes.ts";
import { Code } from "./codes.ts";
import type { Aead, KeyPair, Suite } from "./suite.ts";

export const SUBPROTOCOL = "mmo.v1";
const SUITE = 1;
const VERSION_MIN = 2;
const VERSION_MAX = 2;
const PROTOCOL_NAME = "Noise_NK_25519_AESGCM_SHA256";
const CERT_SIZE = 119;
const HS2_SIZE = 99;
const TAG = 16;
const utf8 = new TextEncoder();
const NOTHING: Bytes = new Uint8Array(0);

/** HandshakeError carries the disconnect code that fits, so that the reconnect policy needs no second table. */
export class HandshakeError extends Error {
  override name = "HandshakeError";

  constructor(readonly code: number, message: string) {
    super(message);
  }
}

/** KeyCert is a verified certificate of the server's static key. */
export interface KeyCert {
  keyId: number;
  publicKey: Bytes;
}

/** verifyCert checks signature, validity (nowSeconds since 1970) and that the certificate allows suite 1. */
export async function verifyCert(suite: Suite, cert: Bytes, root: Bytes, nowSeconds: number): Promise<KeyCert> {
  if (cert.length !== CERT_SIZE) throw new HandshakeError(Code.badHandshake, `key certificate of ${cert.length} bytes, not ${CERT_SIZE}`);
  const r = new ByteReader(cert);
  const version = r.u8();
  if (version !== 1) throw new HandshakeError(Code.versionRefused, `key certificate version ${version}`);
  const keyId = r.u32();
  const publicKey = r.bytes(32).slice();
  const notBefore = r.u64();
  const notAfter = r.u64();
  const suites = r.u16();
  const signature = r.bytes(64);
  const signed = concat(utf8.encode("GW1-keycert"), cert.subarray(0, CERT_SIZE - 64));
  if (!(await suite.verify(root, signature.slice(), signed))) {
    throw new HandshakeError(Code.badHandshake, "the key certificate is not signed by the pinned root key");
  }
  const now = BigInt(Math.floor(nowSeconds));
  if (now < notBefore || now > notAfter) {
    throw new HandshakeError(Code.badHandshake, "the key certificate is not valid now; is this machine's clock right?");
  }
  if ((suites & (1 << (SUITE - 1))) === 0) throw new HandshakeError(Code.badHandshake, "the key certificate does not allow suite 1");
  return { keyId, publicKey };
}

/** gcmNonce = 4 zero bytes ‖ counter u64 big-endian (Noise's rule for AESGCM). */
export function gcmNonce(counter: bigint): Bytes {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, counter, false);
  return nonce;
}

/** SymmetricState is Noise §5.2 with this suite's hash and cipher. */
export class SymmetricState {
  private ck: Bytes;
  private h: Bytes;
  private cipher: Aead | undefined;
  private n = 0n;

  constructor(private readonly suite: Suite) {
    this.h = new Uint8Array(32);
    this.h.set(utf8.encode(PROTOCOL_NAME)); // 28 bytes: shorter than the hash, so zero-padded rather than hashed
    this.ck = this.h.slice();
  }

  async mixHash(data: Bytes): Promise<void> {
    this.h = await this.suite.sha256(concat(this.h, data));
  }

  private async hkdf2(input: Bytes): Promise<[Bytes, Bytes]> {
    const temp = await this.suite.hmac(this.ck, input);
    const one = await this.suite.hmac(temp, new Uint8Array([1]));
    const two = await this.suite.hmac(temp, concat(one, new Uint8Array([2])));
    return [one, two];
  }

  async mixKey(input: Bytes): Promise<void> {
    const [ck, key] = await this.hkdf2(input);
    this.ck = ck;
    this.cipher = await this.suite.aead(key);
    this.n = 0n;
  }

  async encryptAndHash(plain: Bytes): Promise<Bytes> {
    const sealed = await this.cipher!.seal(gcmNonce(this.n++), this.h, plain);
    await this.mixHash(sealed);
    return sealed;
  }

  async decryptAndHash(sealed: Bytes): Promise<Bytes> {
    const plain = await this.cipher!.open(gcmNonce(this.n++), this.h, sealed);
    await this.mixHash(sealed);
    return plain;
  }

  /** split returns the key of client → server, then that of server → client. */
  split(): Promise<[Bytes, Bytes]> {
    return this.hkdf2(NOTHING);
  }
}

/** prologue binds what HS1 says in clear, the subprotocol and the realm. */
export function prologue(suite: number, min: number, max: number, keyId: number, subprotocol: string, realm: string): Bytes {
  const sub = utf8.encode(subprotocol);
  const rlm = utf8.encode(realm);
  return new ByteWriter()
    .bytes(utf8.encode("MMOGW")).u8(1).u8(suite).u8(min).u8(max).u32(keyId)
    .u8(sub.length).bytes(sub).u8(rlm.length).bytes(rlm).done();
}

/** ServerHello is payload 2: what the server chose. Sizes in bytes. */
export interface ServerHello {
  version: number;
  /** fingerprint of the server's schema, 8 bytes. */
  fingerprint: Bytes;
  serverTimeUs: bigint;
  connectionId: Bytes;
  recordMax: number;
  idleTimeoutMs: number;
  rekeyRecords: number;
  rekeyBytes: number;
}

/** Secured is the outcome of a handshake. */
export interface Secured {
  hello: ServerHello;
  keyC2S: Bytes;
  keyS2C: Bytes;
}

/** HandshakeInput is what a client must know before it begins. ephemeral and random are given by vectors only. */
export interface HandshakeInput {
  suite: Suite;
  cert: KeyCert;
  realm: string;
  /** fingerprint of this client's schema, 8 bytes. */
  fingerprint: Bytes;
  ephemeral?: Bytes;
  random?: Bytes;
}

/** Handshake makes HS1 and reads the answer; use it once. */
export class Handshake {
  private constructor(
    private readonly suite: Suite,
    private readonly state: SymmetricState,
    private readonly e: KeyPair,
    /** hs1 is the record to send. */
    readonly hs1: Bytes,
  ) {}

  static async start(input: HandshakeInput): Promise<Handshake> {
    const { suite, cert } = input;
    const state = new SymmetricState(suite);
    await state.mixHash(prologue(SUITE, VERSION_MIN, VERSION_MAX, cert.keyId, SUBPROTOCOL, input.realm));
    await state.mixHash(cert.publicKey);
    const e = await suite.keyPair(input.ephemeral);
    await state.mixHash(e.publicKey);
    await state.mixKey(await suite.dh(e, cert.publicKey));
    const sealed = await state.encryptAndHash(concat(input.random ?? suite.random(16), input.fingerprint));
    const hs1 = new ByteWriter(80)
      .u8(0x40).u8(SUITE).u32(cert.keyId).u8(VERSION_MIN).u8(VERSION_MAX).bytes(e.publicKey).bytes(sealed).done();
    return new Handshake(suite, state, e, hs1);
  }

  /** finish reads HS2 or REJECT. */
  async finish(record: Bytes): Promise<Secured> {
    if (record.length >= 3 && record[0] === 0x50) throw rejected(record);
    if (record.length !== HS2_SIZE || record[0] !== 0x48) {
      throw new HandshakeError(Code.badHandshake, `the answer to the handshake has ${record.length} bytes and kind 0x${(record[0] ?? 0).toString(16)}`);
    }
    const re = record.slice(1, 33);
    let payload: Bytes;
    try {
      await this.state.mixHash(re);
      await this.state.mixKey(await this.suite.dh(this.e, re));
      payload = await this.state.decryptAndHash(record.slice(33, 33 + 50 + TAG));
    } catch {
      throw new HandshakeError(Code.badHandshake, "the server could not prove that it owns the certified key");
    }
    const hello = parseHello(payload);
    const [keyC2S, keyS2C] = await this.state.split();
    return { hello, keyC2S, keyS2C };
  }
}

function rejected(record: Bytes): HandshakeError {
  const code = new ByteReader(record.subarray(1)).u16();
  switch (code) {
    case 1:
      return new HandshakeError(Code.keyUnknown, "the server has a new key");
    case 3:
      return new HandshakeError(Code.versionRefused, `the server speaks protocol versions ${record[3] ?? "?"} to ${record[4] ?? "?"}, this page ${VERSION_MIN}`);
    case 5:
      return new HandshakeError(Code.overloaded, "the server is busy");
    default:
      return new HandshakeError(Code.badHandshake, `the server refused the handshake (reason ${code})`);
  }
}

/** parseHello reads payload 2 (50 bytes). */
export function parseHello(payload: Bytes): ServerHello {
  const r = new ByteReader(payload);
  const version = r.u8();
  r.u8(); // flags
  const hello: ServerHello = {
    version,
    fingerprint: r.bytes(8).slice(),
    serverTimeUs: r.u64(),
    connectionId: r.bytes(16).slice(),
    recordMax: r.u32(),
    idleTimeoutMs: r.u32(),
    rekeyRecords: r.u32(),
    rekeyBytes: r.u32(),
  };
  if (r.left !== 0) throw new MalformedError("server hello longer than 50 bytes");
  if (version < VERSION_MIN || version > VERSION_MAX) throw new HandshakeError(Code.versionRefused, `the server chose protocol version ${version}`);
  if (hello.rekeyRecords === 0 || hello.rekeyBytes === 0) throw new HandshakeError(Code.badHandshake, "the server hello asks for a rekey at 0");
  return hello;
}
