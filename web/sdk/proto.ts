/**
 * The messages of `mmo.v1` and `plains.v1`, and the little of protobuf that they need: varints and strings. Unknown fields are
 * skipped, absent ones keep their default, as protobuf says. Written by hand because a general runtime costs more bytes than this
 * whole SDK; `proto_define/` is the source, and the numbers here must agree with it.
 */
import { type Bytes, ByteReader, ByteWriter, MalformedError } from "./bytes.ts";

const text = { enc: new TextEncoder(), dec: new TextDecoder() };

/** Field is what a message's decoder sees of one field: its number and a way to read its value. */
interface Field {
  readonly number: number;
  u32(): number;
  u64(): bigint;
  string(): string;
}

class FieldReader implements Field {
  number = 0;
  private wire = 0;
  private used = false;
  private readonly r: ByteReader;

  constructor(data: Bytes) {
    this.r = new ByteReader(data);
  }

  next(): boolean {
    if (this.number !== 0 && !this.used) this.skip();
    if (this.r.left === 0) return false;
    const key = this.r.uvarint();
    this.number = key >>> 3;
    this.wire = key & 7;
    this.used = false;
    if (this.number === 0) throw new MalformedError("protobuf field number 0");
    return true;
  }

  private skip(): void {
    switch (this.wire) {
      case 0:
        this.r.uvarint64();
        break;
      case 1:
        this.r.bytes(8);
        break;
      case 2:
        this.r.bytes(this.r.uvarint());
        break;
      case 5:
        this.r.bytes(4);
        break;
      default:
        throw new MalformedError(`protobuf wire type ${this.wire}`);
    }
  }

  private want(wire: number): void {
    if (this.wire !== wire) throw new MalformedError(`protobuf field ${this.number}: wire type ${this.wire}, not ${wire}`);
    this.used = true;
  }

  u64(): bigint {
    this.want(0);
    return this.r.uvarint64();
  }

  u32(): number {
    return Number(this.u64() & 0xffffffffn);
  }

  string(): string {
    this.want(2);
    return text.dec.decode(this.r.bytes(this.r.uvarint()));
  }
}

function decode<T>(data: Bytes, message: T, field: (f: Field, m: T) => void): T {
  const r = new FieldReader(data);
  while (r.next()) field(r, message);
  return message;
}

class FieldWriter {
  private readonly w = new ByteWriter();

  u32(number: number, value: number): this {
    if (value !== 0) this.w.uvarint(number << 3).uvarint(value >>> 0);
    return this;
  }

  u64(number: number, value: bigint): this {
    if (value !== 0n) this.w.uvarint(number << 3).uvarint64(value);
    return this;
  }

  /** sint32 writes the zigzag form. */
  sint32(number: number, value: number): this {
    return this.u32(number, (value << 1) ^ (value >> 31));
  }

  string(number: number, value: string): this {
    if (value === "") return this;
    const b = text.enc.encode(value);
    this.w.uvarint((number << 3) | 2).uvarint(b.length).bytes(b);
    return this;
  }

  done(): Bytes {
    return this.w.done();
  }
}

function unzigzag(u: number): number {
  return (u >>> 1) ^ -(u & 1);
}

// ---- mmo.v1 ---------------------------------------------------------------------------------------------------------------------

export interface LoginRequest {
  token: string;
  client: string;
}

export function encodeLoginRequest(m: LoginRequest): Bytes {
  return new FieldWriter().string(1, m.token).string(2, m.client).done();
}

export interface LoginResponse {
  sessionId: bigint;
  playerId: bigint;
  name: string;
  rights: string[];
  server: string;
}

export function decodeLoginResponse(data: Bytes): LoginResponse {
  const zero: LoginResponse = { sessionId: 0n, playerId: 0n, name: "", rights: [], server: "" };
  return decode(data, zero, (f, m) => {
    if (f.number === 1) m.sessionId = f.u64();
    else if (f.number === 2) m.playerId = f.u64();
    else if (f.number === 3) m.name = f.string();
    else if (f.number === 4) m.rights.push(f.string());
    else if (f.number === 5) m.server = f.string();
  });
}

/** ErrorMessage is mmo.v1.Error. */
export interface ErrorMessage {
  code: number;
  message: string;
  retryAfterMs: number;
}

export function decodeError(data: Bytes): ErrorMessage {
  return decode(data, { code: 0, message: "", retryAfterMs: 0 }, (f, m) => {
    if (f.number === 1) m.code = f.u32();
    else if (f.number === 2) m.message = f.string();
    else if (f.number === 3) m.retryAfterMs = f.u32();
  });
}

/** Zone is one row of a connection's zone table; see mmo.v1.Zone for units. */
export interface Zone {
  index: number;
  zone: number;
  epoch: number;
  tick: number;
  tickHz: number;
  positionBits: number;
  quantaPerMetre: number;
  width: number;
  height: number;
  enterRadius: number;
  leaveRadius: number;
}

export function decodeZone(data: Bytes): Zone {
  const zero: Zone = {
    index: 0, zone: 0, epoch: 0, tick: 0, tickHz: 0, positionBits: 0, quantaPerMetre: 0, width: 0, height: 0, enterRadius: 0, leaveRadius: 0,
  };
  const z = decode(data, zero, (f, m) => {
    if (f.number === 1) m.index = f.u32();
    else if (f.number === 2) m.zone = f.u32();
    else if (f.number === 3) m.epoch = f.u32();
    else if (f.number === 4) m.tick = f.u32();
    else if (f.number === 5) m.tickHz = f.u32();
    else if (f.number === 6) m.positionBits = f.u32();
    else if (f.number === 7) m.quantaPerMetre = f.u32();
    else if (f.number === 8) m.width = f.u32();
    else if (f.number === 9) m.height = f.u32();
    else if (f.number === 10) m.enterRadius = f.u32();
    else if (f.number === 11) m.leaveRadius = f.u32();
  });
  // A row that cannot be read with is refused here, so that nobody divides by it later.
  if (z.index > 14 || z.tickHz === 0 || z.quantaPerMetre === 0 || z.positionBits === 0 || z.positionBits > 32 || z.width === 0 || z.height === 0) {
    throw new MalformedError("zone row out of range");
  }
  return z;
}

export interface Avatar {
  entity: bigint;
  zone: number;
}

export function decodeAvatar(data: Bytes): Avatar {
  return decode(data, { entity: 0n, zone: 0 }, (f, m) => {
    if (f.number === 1) m.entity = f.u64();
    else if (f.number === 2) m.zone = f.u32();
  });
}

/** Status is the server's own measure of itself; tick times in microseconds. */
export interface Status {
  players: number;
  entities: number;
  tickUsP50: number;
  tickUsP99: number;
  tickOverruns: bigint;
}

export function decodeStatus(data: Bytes): Status {
  return decode(data, { players: 0, entities: 0, tickUsP50: 0, tickUsP99: 0, tickOverruns: 0n }, (f, m) => {
    if (f.number === 1) m.players = f.u32();
    else if (f.number === 2) m.entities = f.u32();
    else if (f.number === 3) m.tickUsP50 = f.u32();
    else if (f.number === 4) m.tickUsP99 = f.u32();
    else if (f.number === 5) m.tickOverruns = f.u64();
  });
}

export interface Goaway {
  reason: string;
  reconnectAfterMs: number;
}

export function decodeGoaway(data: Bytes): Goaway {
  return decode(data, { reason: "", reconnectAfterMs: 0 }, (f, m) => {
    if (f.number === 1) m.reason = f.string();
    else if (f.number === 2) m.reconnectAfterMs = f.u32();
  });
}

export interface Kick {
  code: number;
  reason: string;
}

export function decodeKick(data: Bytes): Kick {
  return decode(data, { code: 0, reason: "" }, (f, m) => {
    if (f.number === 1) m.code = f.u32();
    else if (f.number === 2) m.reason = f.string();
  });
}

// ---- plains.v1 ------------------------------------------------------------------------------------------------------------------

/** Move sets the wanted velocity (quanta of 1/16 m/s) from a tick on; seq counts from 1. */
export interface Move {
  seq: number;
  tick: number;
  vx: number;
  vz: number;
}

export function encodeMove(m: Move): Bytes {
  return new FieldWriter().u32(1, m.seq).u32(2, m.tick).sint32(3, m.vx).sint32(4, m.vz).done();
}

export function decodeMove(data: Bytes): Move {
  return decode(data, { seq: 0, tick: 0, vx: 0, vz: 0 }, (f, m) => {
    if (f.number === 1) m.seq = f.u32();
    else if (f.number === 2) m.tick = f.u32();
    else if (f.number === 3) m.vx = unzigzag(f.u32());
    else if (f.number === 4) m.vz = unzigzag(f.u32());
  });
}

/** MoveRefused tells the speed asked for and the limit, velocity quanta. */
export interface MoveRefused {
  seq: number;
  speed: number;
  limit: number;
}

export function decodeMoveRefused(data: Bytes): MoveRefused {
  return decode(data, { seq: 0, speed: 0, limit: 0 }, (f, m) => {
    if (f.number === 1) m.seq = f.u32();
    else if (f.number === 2) m.speed = f.u32();
    else if (f.number === 3) m.limit = f.u32();
  });
}

/** encodeSpectateRequest: radius in position quanta. */
export function encodeSpectateRequest(radius: number): Bytes {
  return new FieldWriter().u32(1, radius).done();
}

/** decodeSpectateResponse returns the radius now in force, position quanta. */
export function decodeSpectateResponse(data: Bytes): number {
  return decode(data, { radius: 0 }, (f, m) => {
    if (f.number === 1) m.radius = f.u32();
  }).radius;
}
