/**
 * Noise_NKpsk2_25519_AESGCM_SHA256, written from the specification over node's crypto and nothing of the SDK's: what both agree on is not one
 * mistake made twice. The responder only.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from "node:crypto";

const NAME = "Noise_NKpsk2_25519_AESGCM_SHA256";
const PKCS8 = Buffer.from("302e020100300506032b656e04220420", "hex");
const SPKI = Buffer.from("302a300506032b656e032100", "hex");

const sha = (...parts: Uint8Array[]): Buffer => createHash("sha256").update(Buffer.concat(parts)).digest();
const mac = (key: Uint8Array, ...parts: Uint8Array[]): Buffer => createHmac("sha256", key).update(Buffer.concat(parts)).digest();
const privateKey = (raw: Uint8Array): KeyObject => createPrivateKey({ key: Buffer.concat([PKCS8, raw]), format: "der", type: "pkcs8" });
const publicKey = (raw: Uint8Array): KeyObject => createPublicKey({ key: Buffer.concat([SPKI, raw]), format: "der", type: "spki" });
const publicOf = (key: KeyObject): Buffer => createPublicKey(key).export({ format: "der", type: "spki" }).subarray(12);

function hkdf(ck: Uint8Array, input: Uint8Array): Buffer[] {
  const t = mac(ck, input);
  const a = mac(t, Buffer.of(1));
  const b = mac(t, a, Buffer.of(2));
  return [a, b, mac(t, b, Buffer.of(3))];
}

/** answer takes HS1 of suite 2, and gives HS2 and both keys. */
export function answer(hs1: Uint8Array, server: Uint8Array, ephemeral: Uint8Array, prologue: Uint8Array, secret: Uint8Array, payload2: Uint8Array) {
  const nonce = Buffer.alloc(12); // every message is the first under its key
  const s = privateKey(server);
  const e = privateKey(ephemeral);
  const re = hs1.subarray(8, 40);
  let ck: Uint8Array = Buffer.from(NAME);
  let h: Uint8Array = sha(ck, prologue);
  h = sha(h, publicOf(s)); // pre-message <- s
  h = sha(h, re); // -> e
  ck = hkdf(ck, re)[0]!;
  const [next, k] = hkdf(ck, diffieHellman({ privateKey: s, publicKey: publicKey(re) })) as [Buffer, Buffer]; // es
  ck = next;
  const sealed1 = hs1.subarray(40);
  const open = createDecipheriv("aes-256-gcm", k, nonce).setAAD(h).setAuthTag(sealed1.subarray(-16));
  const payload1 = Buffer.concat([open.update(sealed1.subarray(0, -16)), open.final()]);
  h = sha(h, sealed1);
  h = sha(h, publicOf(e)); // <- e
  ck = hkdf(ck, publicOf(e))[0]!;
  ck = hkdf(ck, diffieHellman({ privateKey: e, publicKey: publicKey(re) }))[0]!; // ee
  const [ck2, tempH, k2] = hkdf(ck, secret) as [Buffer, Buffer, Buffer]; // psk
  h = sha(h, tempH);
  const seal = createCipheriv("aes-256-gcm", k2, nonce).setAAD(h);
  const sealed2 = Buffer.concat([seal.update(payload2), seal.final(), seal.getAuthTag()]);
  const [keyC2S, keyS2C] = hkdf(ck2, Buffer.alloc(0)) as [Buffer, Buffer];
  return { payload1, hs2: Buffer.concat([Buffer.of(0x48), publicOf(e), sealed2]), keyC2S, keyS2C };
}
