/**
 * Fingerprints of schemas: 8 bytes that both sides of a handshake exchange.
 *
 *   generation u16 | revision u16 | hash (4)            numbers little-endian
 *
 * Schemas of one generation understand each other; the lower revision is the older one.
 */
import { type Bytes, ByteReader, hex } from "./bytes.ts";

/** IncompatibleError: page and server cannot understand each other. Its message is for the player: who is older, and what to do. */
export class IncompatibleError extends Error {
  override name = "IncompatibleError";
}

/** describeFingerprint writes a fingerprint as people compare it: "2.14-9f3a01bc". */
export function describeFingerprint(f: Bytes): string {
  const r = new ByteReader(f);
  return `${r.u16()}.${r.u16()}-${hex(r.bytes(4))}`;
}

/** compatible tells whether schemas with these fingerprints understand each other. */
export function compatible(mine: Bytes, theirs: Bytes): boolean {
  const differ = age(mine) ^ age(theirs);
  return hex(mine) === hex(theirs) || (differ !== 0 && differ >>> 16 === 0);
}

/** age orders schemas: by generation, then by revision. */
function age(f: Bytes): number {
  const r = new ByteReader(f);
  return r.u16() * 2 ** 16 + r.u16();
}

/** incompatible makes the error for two fingerprints; what says what does not fit, if more is known than that. */
export function incompatible(mine: Bytes, theirs: Bytes, what = ""): IncompatibleError {
  const d = age(mine) - age(theirs);
  const advice =
    d < 0 ? "this page is older than the server: reload it"
    : d > 0 ? "the server is older than this page: wait until it is updated, then reload"
    : "page and server were made from two schemas that call themselves the same revision: run mmo gen for both and rebuild web/dist";
  return new IncompatibleError(`${advice} (schema ${describeFingerprint(mine)} here, ${describeFingerprint(theirs)} there${what === "" ? "" : `; ${what}`})`);
}
