/**
 * The client's half of the handshake (manual §3), with the server's static key taken from a key certificate that a pinned root signed.
 * Suite 1, `Noise_NK_25519_AESGCM_SHA256`, is for a fresh login; suite 2, `Noise_NKpsk2_25519_AESGCM_SHA256`, for coming back with a
 * ticket, whose secret is the pre-shared key. Pure: bytes in, bytes out; the connection moves them.
 *
 *   KeyCert (119)       = version u8 | key_id u32 | x25519 (32) | not_before u64 s | not_after u64 s | suites u16 | Ed25519 signature (64)
 *   HS1 (80 + ticket)   = 0x40 | suite u8 | key_id u32 | version_min u8 | version_max u8 | noise message 1 (e, es; payload 1)
 *   payload 1           = random (16) | fingerprint (8) | ticket (suite 2: 1..256 bytes, suite 1: none)
 *   HS2 (103)           = 0x48 | noise message 2 (e, ee, in suite 2 psk; payload 2)
 *   payload 2 (54)      = version u8 | flags u8 | fingerprint (8) | time u64 µs | connection id (16) | record_max u32 | idle_timeout_ms u32
 *                       | rekey_records u32 | rekey_bytes u32 | ack_every u16 | ack_after_ms u16
 *   REJECT              = 0x50 | code u16 | rest
 */
import { type Bytes, ByteReader, ByteWriter, concat, MalformedError } from "./bytes.ts";
import { Code } from "./codes.ts";
import type { Aead, KeyPair, Suite } from "./suite.ts";

export const SUBPROTOCOL = "mmo.v1";
/** LOGIN is suite 1, RESUME is suite 2. */
const LOGIN = 1;
const RESUME = 2;
const VERSION_MIN = 4;
const VERSION_MAX = 4;
// Neither name is longer than the hash: zero-padded rather than hashed.
const LOGIN_NAME = "Noise_NK_25519_AESGCM_SHA256";
const RESUME_NAME = "Noise_NKpsk2_25519_AESGCM_SHA256";
const CERT_SIZE = 119;
const PAYLOAD2_SIZE = 54;
const TAG = 16;
const HS2_SIZE = 1 + 32 + PAYLOAD2_SIZE + TAG;
/** TICKET_MOST is the longest ticket, SECRET_SIZE the length of its secret, bytes. */
export const TICKET_MOST = 256;
export const SECRET_SIZE = 32;
const utf8 = new TextEncoder();
const NOTHING: Bytes = new Uint8Array(0);

/** HandshakeError carries the disconnect code that fits, so that the reconnect policy needs no second table. */
export class HandshakeError extends Error {
  override name = "HandshakeError";

  constructor(readonly code: number, message: string) {
    super(message);
  }
}

/** TicketError: this ticket does not open the way back, a fresh login may. Neither answer that leads here is authenticated: it costs a session, no secret. */
export class TicketError extends HandshakeError {
  override name = "TicketError";
}

/** KeyCert is a verified certificate of the server's static key. */
export interface KeyCert {
  keyId: number;
  publicKey: Bytes;
  /** resumes: the certificate allows suite 2. */
  resumes: boolean;
}

/** Resumption is what a ticket message gave. */
export interface Resumption {
  /** ticket is opaque, 1 to 256 bytes. */
  ticket: Bytes;
  /** secret of the ticket, 32 bytes. */
  secret: Bytes;
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
  if ((suites & (1 << (LOGIN - 1))) === 0) throw new HandshakeError(Code.badHandshake, "the key certificate does not allow suite 1");
  return { keyId, publicKey, resumes: (suites & (1 << (RESUME - 1))) !== 0 };
}

/** gcmNonce = 4 zero bytes ‖ counter u64 big-endian (Noise's rule for AESGCM). */
export function gcmNonce(counter: bigint): Bytes {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, counter, false);
  return nonce;
}

/** SymmetricState is Noise §5.2 with the suite's hash and cipher, and what §9 adds for a pre-shared key. */
export class SymmetricState {
  private ck: Bytes;
  private h: Bytes;
  private cipher: Aead | undefined;
  private n = 0n;

  constructor(private readonly suite: Suite, private readonly withSecret: boolean) {
    this.h = new Uint8Array(32);
    this.h.set(utf8.encode(withSecret ? RESUME_NAME : LOGIN_NAME));
    this.ck = this.h.slice();
  }

  /** mixEphemeral takes either side's ephemeral key; with a pre-shared key in the pattern it is mixed into the keys too (§9.2). */
  async mixEphemeral(publicKey: Bytes): Promise<void> {
    await this.mixHash(publicKey);
    if (this.withSecret) await this.mixKey(publicKey);
  }

  /** mixSecret is the token psk. */
  async mixSecret(secret: Bytes): Promise<void> {
    const [ck, hash, key] = await this.hkdf(secret);
    this.ck = ck;
    await this.mixHash(hash);
    this.cipher = await this.suite.aead(key);
    this.n = 0n;
  }

  async mixHash(data: Bytes): Promise<void> {
    this.h = await this.suite.sha256(concat(this.h, data));
  }

  /** hkdf gives three outputs; where Noise wants two, the third is left. */
  private async hkdf(input: Bytes): Promise<[Bytes, Bytes, Bytes]> {
    const temp = await this.suite.hmac(this.ck, input);
    const one = await this.suite.hmac(temp, new Uint8Array([1]));
    const two = await this.suite.hmac(temp, concat(one, new Uint8Array([2])));
    return [one, two, await this.suite.hmac(temp, concat(two, new Uint8Array([3])))];
  }

  async mixKey(input: Bytes): Promise<void> {
    const [ck, key] = await this.hkdf(input);
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
  async split(): Promise<[Bytes, Bytes]> {
    const [c2s, s2c] = await this.hkdf(NOTHING);
    return [c2s, s2c];
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
  /** ackEvery is after how many numbered messages the client acknowledges at the latest, ackAfterMs how long after the first. */
  ackEvery: number;
  ackAfterMs: number;
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
  /** resume makes it suite 2. */
  resume?: Resumption | undefined;
}

/** Handshake makes HS1 and reads the answer; use it once. */
export class Handshake {
  private constructor(
    private readonly suite: Suite,
    private readonly state: SymmetricState,
    private readonly e: KeyPair,
    private readonly secret: Bytes | undefined,
    /** hs1 is the record to send. */
    readonly hs1: Bytes,
  ) {}

  static async start(input: HandshakeInput): Promise<Handshake> {
    const { suite, cert, resume } = input;
    if (resume !== undefined) checkResumption(resume, cert);
    const id = resume === undefined ? LOGIN : RESUME;
    const state = new SymmetricState(suite, resume !== undefined);
    await state.mixHash(prologue(id, VERSION_MIN, VERSION_MAX, cert.keyId, SUBPROTOCOL, input.realm));
    await state.mixHash(cert.publicKey);
    const e = await suite.keyPair(input.ephemeral);
    await state.mixEphemeral(e.publicKey);
    await state.mixKey(await suite.dh(e, cert.publicKey));
    const sealed = await state.encryptAndHash(concat(input.random ?? suite.random(16), input.fingerprint, resume?.ticket ?? NOTHING));
    const hs1 = new ByteWriter(80 + TICKET_MOST)
      .u8(0x40).u8(id).u32(cert.keyId).u8(VERSION_MIN).u8(VERSION_MAX).bytes(e.publicKey).bytes(sealed).done();
    return new Handshake(suite, state, e, resume?.secret, hs1);
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
      await this.state.mixEphemeral(re);
      await this.state.mixKey(await this.suite.dh(this.e, re));
      if (this.secret !== undefined) await this.state.mixSecret(this.secret);
      payload = await this.state.decryptAndHash(record.slice(33));
    } catch {
      if (this.secret !== undefined) throw new TicketError(0, "the server does not know the ticket's secret");
      throw new HandshakeError(Code.badHandshake, "the server could not prove that it owns the certified key");
    }
    const hello = parseHello(payload);
    const [keyC2S, keyS2C] = await this.state.split();
    return { hello, keyC2S, keyS2C };
  }
}

function checkResumption(resume: Resumption, cert: KeyCert): void {
  const { ticket, secret } = resume;
  if (!cert.resumes) throw new HandshakeError(Code.badHandshake, "the key certificate does not allow suite 2: log in with suite 1");
  if (ticket.length === 0 || ticket.length > TICKET_MOST || secret.length !== SECRET_SIZE) {
    throw new HandshakeError(Code.badHandshake, `a ticket of ${ticket.length} bytes with a secret of ${secret.length}: 1 to ${TICKET_MOST} and ${SECRET_SIZE} are right`);
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
    case 6:
      return new TicketError(0, "the server no longer takes the ticket");
    default:
      return new HandshakeError(Code.badHandshake, `the server refused the handshake (reason ${code})`);
  }
}

/** parseHello reads payload 2. */
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
    ackEvery: r.u16(),
    ackAfterMs: r.u16(),
  };
  if (r.left !== 0) throw new MalformedError(`server hello longer than ${PAYLOAD2_SIZE} bytes`);
  if (version < VERSION_MIN || version > VERSION_MAX) throw new HandshakeError(Code.versionRefused, `the server chose protocol version ${version}`);
  if (hello.rekeyRecords === 0 || hello.rekeyBytes === 0) throw new HandshakeError(Code.badHandshake, "the server hello asks for a rekey at 0");
  return hello;
}
