/**
 * The protobuf wire format, for generated messages. Unknown fields are skipped, absent ones keep their default, as protobuf says; of a field that
 * comes twice the last one counts. What cannot be read throws {@link MalformedError}.
 */
import { type Bytes, ByteReader, ByteWriter, MalformedError, utf8 } from "./bytes.ts";

const MAX_DEPTH = 64; // of messages in messages: a stack is finite
const VARINT = 0;
const I64 = 1;
const LEN = 2;
const GROUP = 3;
const I32 = 5;
const ANY = -1; // within a packed list: values stand without keys

const encoder = /* @__PURE__ */ new TextEncoder();
const floats = /* @__PURE__ */ new DataView(/* @__PURE__ */ new ArrayBuffer(8));

/** Channel is what generated senders write to; a Client is one, and a Session. */
export interface Channel {
  push(route: number, payload: Bytes): void;
  request(route: number, payload: Bytes, deadlineMs?: number): Promise<Bytes>;
}

/** ProtoReader walks over the fields of a message: next, look at number, read the value by the field's type. */
export class ProtoReader {
  /** number of the field that next found. */
  number = 0;
  private key = 0; // number · 8 + wire type
  private wire = LEN;
  private unread = false;
  private low = 0; // of the last varint
  private high = 0;
  private readonly r: ByteReader;

  constructor(data: Bytes, private readonly depth = 0) {
    this.r = new ByteReader(data);
  }

  /** next finds the next field; one whose value was not read is skipped. */
  next(): boolean {
    if (this.unread) this.skip(this.key, 0);
    if (this.r.left === 0) return false;
    this.key = this.r.uvarint();
    this.number = this.key >>> 3;
    this.wire = this.key & 7;
    this.unread = true;
    return true;
  }

  /** skip passes a value by; a group is fields up to its end, whose key is one more. */
  private skip(key: number, depth: number): void {
    const wire = key & 7;
    if (wire === VARINT) this.varint();
    else if (wire === I64) this.r.bytes(8);
    else if (wire === LEN) this.chunk();
    else if (wire === GROUP && depth < MAX_DEPTH) for (let k; (k = this.r.uvarint()) !== key + 1; ) this.skip(k, depth + 1);
    else if (wire === I32) this.r.bytes(4);
    else throw new MalformedError(`protobuf wire type ${wire}`);
    if (key < 8) throw new MalformedError("protobuf field number 0");
  }

  private want(wire: number): ByteReader {
    if (this.wire !== wire && this.wire !== ANY) throw new MalformedError(`protobuf field ${this.number}: wire type ${this.wire}, not ${wire}`);
    this.unread = false;
    return this.r;
  }

  private varint(): void {
    this.low = this.high = 0;
    for (let i = 0; i < 10; i++) {
      const b = this.r.u8();
      const v = b & 0x7f;
      if (i < 5) this.low |= v << (7 * i);
      if (i === 4) this.high = v >> 4;
      else if (i > 4) this.high |= v << (7 * i - 32);
      if (i === 9 && b > 1) break;
      if (b < 0x80) return;
    }
    throw new MalformedError("protobuf varint above 64 bits");
  }

  private chunk(): Bytes {
    return this.r.bytes(this.r.uvarint());
  }

  uint32(): number {
    this.want(VARINT);
    this.varint();
    return this.low >>> 0;
  }

  int32(): number {
    return this.uint32() | 0;
  }

  sint32(): number {
    const u = this.uint32();
    return (u >>> 1) ^ -(u & 1);
  }

  bool(): boolean {
    this.uint32();
    return (this.low | this.high) !== 0;
  }

  uint64(): bigint {
    this.uint32();
    return BigInt(this.low >>> 0) | (BigInt(this.high >>> 0) << 32n);
  }

  int64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  sint64(): bigint {
    const u = this.uint64();
    return (u >> 1n) ^ -(u & 1n);
  }

  fixed32(): number {
    return this.want(I32).u32();
  }

  sfixed32(): number {
    return this.fixed32() | 0;
  }

  float(): number {
    floats.setUint32(0, this.fixed32());
    return floats.getFloat32(0);
  }

  fixed64(): bigint {
    return this.want(I64).u64();
  }

  sfixed64(): bigint {
    return BigInt.asIntN(64, this.fixed64());
  }

  double(): number {
    floats.setBigUint64(0, this.fixed64());
    return floats.getFloat64(0);
  }

  /** bytes returns a copy. */
  bytes(): Bytes {
    this.want(LEN);
    return this.chunk().slice();
  }

  string(): string {
    this.want(LEN);
    return utf8(this.chunk());
  }

  /** message reads a message within this one. */
  message<T>(read: (r: ProtoReader) => T): T {
    this.want(LEN);
    if (this.depth >= MAX_DEPTH) throw new MalformedError(`protobuf messages nested more than ${MAX_DEPTH} deep`);
    return read(new ProtoReader(this.chunk(), this.depth + 1));
  }

  /** numbers appends to a list of numbers, packed or one by one. */
  numbers<T>(list: T[], one: (r: ProtoReader) => T): void {
    if (this.wire !== LEN) {
      list.push(one(this));
      return;
    }
    this.want(LEN);
    const r = new ProtoReader(this.chunk());
    for (r.wire = ANY; r.r.left > 0; ) list.push(one(r));
  }

  /** entry reads an entry of a map, whose key and value have defaults. */
  entry<K, V>(map: Map<K, V>, key: K, value: V, readKey: (r: ProtoReader) => K, readValue: (r: ProtoReader) => V): void {
    this.message((r) => {
      while (r.next()) {
        if (r.number === 1) key = readKey(r);
        else if (r.number === 2) value = readValue(r);
      }
      map.set(key, value);
    });
  }
}

/** ProtoWriter appends a message: key (number · 8 + wire type), then the value by the field's type. */
export class ProtoWriter extends ByteWriter {
  int32(v: number): this {
    return v < 0 ? this.int64(BigInt(v)) : this.uvarint(v);
  }

  uint32(v: number): this {
    return this.uvarint(v >>> 0);
  }

  sint32(v: number): this {
    return this.uvarint(((v << 1) ^ (v >> 31)) >>> 0);
  }

  bool(v: boolean): this {
    return this.u8(v ? 1 : 0);
  }

  int64(v: bigint): this {
    return this.uvarint64(BigInt.asUintN(64, v));
  }

  sint64(v: bigint): this {
    return this.int64((v << 1n) ^ (v >> 63n));
  }

  fixed64(v: bigint): this {
    return this.u64(BigInt.asUintN(64, v));
  }

  float(v: number): this {
    floats.setFloat32(0, v);
    return this.u32(floats.getUint32(0));
  }

  double(v: number): this {
    floats.setFloat64(0, v);
    return this.u64(floats.getBigUint64(0));
  }

  /** blob writes bytes behind their number. */
  blob(v: Uint8Array): this {
    return this.uvarint(v.length).bytes(v);
  }

  string(v: string): this {
    return this.blob(encoder.encode(v));
  }

  /** message writes a message within this one. */
  message(write: (w: ProtoWriter) => void): this {
    const w = new ProtoWriter();
    write(w);
    return this.blob(w.done());
  }
}
