/** What a client needs before it can connect, and the JSON that it comes in. */
import { type Bytes, MalformedError, unbase64, unhex } from "./bytes.ts";

/** RefusedError: thrown by a bootstrap when asking again will not help; its message is for the player. */
export class RefusedError extends Error {}

/** Bootstrap is what a client needs before it can connect; a development server gives it at /dev/session. */
export interface Bootstrap {
  realm: string;
  /** root is the pinned Ed25519 key, 32 bytes. */
  root: Bytes;
  /** cert is the server's key certificate, 119 bytes. */
  cert: Bytes;
  token: string;
  /** ws is the URL of the WebSocket, absolute or relative to the page; several gateways are tried in turn. */
  ws: string | readonly string[];
  /** fingerprint of the server's schema, 8 bytes. */
  fingerprint: Bytes;
  build: string;
}

/** parseBootstrap checks the JSON of /dev/session. */
export function parseBootstrap(json: unknown): Bootstrap {
  const o = (json ?? {}) as Record<string, unknown>;
  const text = (key: string): string => {
    const v = o[key];
    if (typeof v !== "string") throw new MalformedError(`the session bootstrap lacks "${key}"`);
    return v;
  };
  const b: Bootstrap = {
    realm: text("realm"), root: unbase64(text("root")), cert: unbase64(text("cert")), token: text("token"),
    ws: urls(o["ws"]), fingerprint: unhex(text("schema_hash")), build: text("build"),
  };
  if (b.root.length !== 32) throw new MalformedError(`root key of ${b.root.length} bytes, not 32`);
  if (b.fingerprint.length !== 8) throw new MalformedError(`schema fingerprint of ${b.fingerprint.length} bytes, not 8`);
  return b;
}

function urls(v: unknown): string | string[] {
  if (typeof v === "string") return v;
  if (Array.isArray(v) && v.length > 0 && v.every((u) => typeof u === "string")) return v as string[];
  throw new MalformedError('the session bootstrap\'s "ws" is no URL and no list of URLs');
}
