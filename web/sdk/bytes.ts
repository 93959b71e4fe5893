/**
 * Readers and writers of bytes and bits, and the two text forms of bytes that the protocol meets (hex, base64).
 * Little-endian throughout. A reader throws {@link MalformedError} at the first byte that is not there; it never allocates by a
 * length that it has not checked.
 */

/** MalformedError is what every decoder of outside bytes throws; nothing else escapes one. */
export class MalformedError extends Error {
  override name = "MalformedError";
}

const MAX_COPIES = 1 << 20; // elements of lists and maps, by the updates of one frame

/** Bytes is a byte array over a plain (not shared) buffer, as WebCrypto and WebSocket want it. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** ByteReader walks over a byte array. */
export class ByteReader {
  pos = 0;
  private readonly view: DataView;

  constructor(readonly data: Bytes) {
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  /** left is the number of bytes not yet read. */
  get left(): number {
    return this.data.length - this.pos;
  }

  private take(n: number): number {
    if (n > this.left) throw new MalformedError(`wanted ${n} bytes, ${this.left} left`);
    const at = this.pos;
    this.pos += n;
    return at;
  }

  u8(): number {
    return this.view.getUint8(this.take(1));
  }

  u16(): number {
    return this.view.getUint16(this.take(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  u64(): bigint {
    return this.view.getBigUint64(this.take(8), true);
  }

  /** bytes returns a view of the next n bytes, not a copy. */
  bytes(n: number): Bytes {
    const at = this.take(n);
    return this.data.subarray(at, at + n);
  }

  /** uvarint reads a base-128 varint of at most 5 bytes and 32 bits. */
  uvarint(): number {
    let value = 0;
    for (let i = 0; i < 5; i++) {
      const b = this.u8();
      if (i === 4 && b > 0x0f) throw new MalformedError("uvarint above 32 bits");
      value += (b & 0x7f) * 2 ** (7 * i);
      if (b < 0x80) return value;
    }
    throw new MalformedError("uvarint longer than 5 bytes");
  }

  /** uvarint64 reads a base-128 varint of at most 10 bytes and 64 bits. */
  uvarint64(): bigint {
    let value = 0n;
    for (let i = 0; i < 10; i++) {
      const b = this.u8();
      if (i === 9 && b > 1) throw new MalformedError("uvarint above 64 bits");
      value |= BigInt(b & 0x7f) << BigInt(7 * i);
      if (b < 0x80) return value;
    }
    throw new MalformedError("uvarint longer than 10 bytes");
  }
}

/** ByteWriter appends to a growing buffer. */
export class ByteWriter {
  private buf: Bytes;
  private view: DataView;
  private n = 0;

  constructor(capacity = 64) {
    this.buf = new Uint8Array(capacity);
    this.view = new DataView(this.buf.buffer);
  }

  get length(): number {
    return this.n;
  }

  private room(n: number): number {
    const at = this.n;
    this.n += n;
    if (this.n > this.buf.length) {
      const grown = new Uint8Array(Math.max(this.n, this.buf.length * 2));
      grown.set(this.buf.subarray(0, at));
      this.buf = grown;
      this.view = new DataView(grown.buffer);
    }
    return at;
  }

  u8(v: number): this {
    const at = this.room(1); // may replace the view: before it is used
    this.view.setUint8(at, v);
    return this;
  }

  u16(v: number): this {
    const at = this.room(2); // may replace the view: before it is used
    this.view.setUint16(at, v, true);
    return this;
  }

  u32(v: number): this {
    const at = this.room(4); // may replace the view: before it is used
    this.view.setUint32(at, v, true);
    return this;
  }

  u64(v: bigint): this {
    const at = this.room(8); // may replace the view: before it is used
    this.view.setBigUint64(at, v, true);
    return this;
  }

  bytes(v: Uint8Array): this {
    const at = this.room(v.length);
    this.buf.set(v, at);
    return this;
  }

  uvarint(v: number): this {
    while (v >= 0x80) {
      this.u8((v % 0x80) | 0x80);
      v = Math.floor(v / 0x80);
    }
    return this.u8(v);
  }

  uvarint64(v: bigint): this {
    while (v >= 0x80n) {
      this.u8(Number(v & 0x7fn) | 0x80);
      v >>= 7n;
    }
    return this.u8(Number(v));
  }

  /** done returns a copy of what was written. */
  done(): Bytes {
    return this.buf.slice(0, this.n);
  }
}

/**
 * BitReader reads the bit stream of state frames: bit k is bit (k mod 8, low first) of byte k/8, values low bit first. One reader
 * is meant to be reset and used again: the decoder runs for every frame and allocates nothing.
 */
export class BitReader {
  private data: Uint8Array = new Uint8Array(0);
  private at = 0;
  private end = 0;
  private copies = 0;

  reset(data: Uint8Array): void {
    this.data = data;
    this.at = 0;
    this.end = data.length * 8;
    this.copies = MAX_COPIES;
  }

  /** spend counts elements that are copied because an update builds on them: a few bits must not cost a list of any length again and again. */
  spend(elements: number): void {
    if ((this.copies -= elements) < 0) throw new MalformedError("state frame copies too much");
  }

  /** left is the number of bits not yet read. */
  get left(): number {
    return this.end - this.at;
  }

  /** bit reads one bit. */
  bit(): number {
    if (this.at >= this.end) throw new MalformedError("state frame ends early");
    const b = (this.data[this.at >>> 3]! >>> (this.at & 7)) & 1;
    this.at++;
    return b;
  }

  /** bits reads an unsigned value of n bits, n from 0 to 32. */
  bits(n: number): number {
    if (this.end - this.at < n) throw new MalformedError("state frame ends early");
    let value = 0;
    let got = 0;
    while (got < n) {
      const shift = this.at & 7;
      const take = Math.min(8 - shift, n - got);
      value |= ((this.data[this.at >>> 3]! >>> shift) & ((1 << take) - 1)) << got;
      got += take;
      this.at += take;
    }
    return value >>> 0;
  }

  /** wide reads an unsigned value of n bits, n from 0 to 53. */
  wide(n: number): number {
    if (n <= 32) return this.bits(n);
    const low = this.bits(32);
    return low + this.bits(n - 32) * 2 ** 32;
  }

  /** big reads 64 bits. */
  big(): bigint {
    const low = BigInt(this.bits(32));
    return low | (BigInt(this.bits(32)) << 32n);
  }
}

/** utf8 reads text; bytes that are not UTF-8 throw. */
export function utf8(data: Uint8Array): string {
  try {
    return decoder.decode(data);
  } catch {
    throw new MalformedError("text that is not UTF-8");
  }
}

const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** hex writes bytes as lower-case hexadecimal. */
export function hex(data: Uint8Array): string {
  let s = "";
  for (const b of data) s += b.toString(16).padStart(2, "0");
  return s;
}

/** unhex reads what {@link hex} writes; anything else throws. */
export function unhex(text: string): Bytes {
  if (text.length % 2 !== 0 || /[^0-9a-fA-F]/.test(text)) throw new MalformedError("not hexadecimal");
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

/** unbase64 reads standard or URL-safe base64, padded or not. */
export function unbase64(text: string): Bytes {
  try {
    return Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  } catch {
    throw new MalformedError("not base64");
  }
}

/** concat joins byte arrays. */
export function concat(...parts: Uint8Array[]): Bytes {
  let n = 0;
  for (const p of parts) n += p.length;
  const out = new Uint8Array(n);
  n = 0;
  for (const p of parts) {
    out.set(p, n);
    n += p.length;
  }
  return out;
}
