/**
 * Frames: what a sealed record carries (manual §5). Decoding is strict: reserved bits, control frames of a wrong length and trailing
 * bytes throw, and the connection ends.
 *
 *   frame = head(1) | fields by type
 *   head  = type (bits 0-2) | REL 0x08 | JSON 0x20 | reserved 0xd0 = 0
 *
 * REL: a session's number is present (push, response, error). JSON: the payload is the message in JSON. This SDK never asks for JSON and
 * has no encoder for it: what comes so is told apart here and refused by the session, by name.
 */
import { type Bytes, ByteReader, ByteWriter, MalformedError } from "./bytes.ts";

export const FrameType = { push: 0, request: 1, response: 2, error: 3, ack: 4, control: 5, state: 6 } as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

/** Control routes. */
export const Control = { ping: 1, pong: 2, echo: 3, goaway: 4, kick: 5, bye: 6, resume: 7, resumed: 8, queue: 9, warning: 10 } as const;

const REL = 0x08;
const JSON_PAYLOAD = 0x20;
const RESERVED = 0xd0;
const MAX_ROUTE = 0xffff;

/** Frame is one decoded frame; fields that its type lacks are 0 or empty. */
export interface Frame {
  type: FrameType;
  route: number;
  /** id pairs request, response and error; 0 in an error that answers none. */
  id: number;
  /** seq is the number of a numbered message, or what an ack is for; undefined when there is none. */
  seq: number | undefined;
  /** json: the payload is JSON and not protobuf. */
  json: boolean;
  payload: Bytes;
}

const EMPTY: Bytes = new Uint8Array(0);

/** decodeFrames reads the plaintext of one record. Payloads are views into it. */
export function decodeFrames(plain: Bytes): Frame[] {
  const r = new ByteReader(plain);
  const out: Frame[] = [];
  while (r.left > 0) out.push(decodeFrame(r));
  return out;
}

function decodeFrame(r: ByteReader): Frame {
  const head = r.u8();
  const type = (head & 7) as FrameType;
  if ((head & RESERVED) !== 0) throw new MalformedError(`frame head 0x${head.toString(16)}: reserved bits set`);
  const reliable = (head & REL) !== 0;
  const json = (head & JSON_PAYLOAD) !== 0;
  if (json && (type === FrameType.ack || type === FrameType.state)) throw new MalformedError(`JSON flag on frame type ${type}`);
  const f: Frame = { type, route: 0, id: 0, seq: undefined, json, payload: EMPTY };
  switch (type) {
    case FrameType.push:
      f.route = route(r);
      break;
    case FrameType.request:
    case FrameType.response:
    case FrameType.error:
      f.route = route(r);
      f.id = r.uvarint();
      break;
    case FrameType.ack:
      if (reliable) throw new MalformedError("reliable flag on an ack");
      f.seq = r.uvarint();
      return f;
    case FrameType.control:
      f.route = route(r);
      break;
    case FrameType.state:
      break;
    default:
      throw new MalformedError(`frame type ${type}`);
  }
  if (reliable) {
    if (type === FrameType.request || type === FrameType.control || type === FrameType.state) {
      throw new MalformedError(`reliable flag on frame type ${type}`);
    }
    f.seq = r.uvarint();
  }
  f.payload = r.bytes(r.uvarint());
  return f;
}

function route(r: ByteReader): number {
  const v = r.uvarint();
  if (v > MAX_ROUTE) throw new MalformedError(`route ${v}`);
  return v;
}

export function encodePush(routeId: number, payload: Uint8Array): Bytes {
  return new ByteWriter(payload.length + 8).u8(FrameType.push).uvarint(routeId).uvarint(payload.length).bytes(payload).done();
}

export function encodeRequest(routeId: number, id: number, payload: Uint8Array): Bytes {
  return new ByteWriter(payload.length + 12)
    .u8(FrameType.request).uvarint(routeId).uvarint(id).uvarint(payload.length).bytes(payload).done();
}

export function encodeControl(routeId: number, payload: Uint8Array): Bytes {
  return new ByteWriter(payload.length + 8).u8(FrameType.control).uvarint(routeId).uvarint(payload.length).bytes(payload).done();
}

/** encodeAck: all numbered messages up to seq have come. */
export function encodeAck(seq: number): Bytes {
  return new ByteWriter(6).u8(FrameType.ack).uvarint(seq).done();
}

/** encodePing: the client's time in microseconds of any clock. */
export function encodePing(micros: bigint): Bytes {
  return encodeControl(Control.ping, new ByteWriter(8).u64(micros).done());
}

/** encodeEcho: the number of state frames processed on this connection; it wraps at 65,536. */
export function encodeEcho(count: number): Bytes {
  return encodeControl(Control.echo, new ByteWriter(2).u16(count & 0xffff).done());
}

/** decodePong returns the client's own time back and the server's, both microseconds. */
export function decodePong(payload: Bytes): { client: bigint; server: bigint } {
  const r = new ByteReader(payload);
  const pong = { client: r.u64(), server: r.u64() };
  if (r.left !== 0) throw new MalformedError("pong longer than 16 bytes");
  return pong;
}
