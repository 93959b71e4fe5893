/** Disconnect codes (manual §6) with the client's policy and the words for the player, and the error codes of ERROR frames. */

/** Policy says what follows a disconnect: `reconnect` (resume, or log in anew) with back-off, or `terminal`: tell the player. */
export type Policy = "reconnect" | "terminal";

const words: Record<number, string> = {
  4000: "the server is shutting down",
  4001: "this client was too slow to keep up",
  4002: "nothing was heard for too long",
  4003: "the world server is away",
  4004: "the server is overloaded",
  4005: "the handshake took too long",
  4010: "a record did not open",
  4011: "the server has a new key",
  4500: "the handshake failed",
  4501: "a text message was sent",
  4502: "a frame was malformed",
  4503: "a record was too large",
  4504: "the protocol version is not supported; reload the page",
  4505: "client and server have different schemas; reload the page",
  4506: "the login token was refused",
  4507: "the same player signed in elsewhere",
  4508: "an operator ended the session",
  4509: "the WebSocket rules were broken",
  4510: "an operator shut this player out",
  4511: "this client went on sending too much after a warning",
  4512: "the session goes on over another connection",
};

/** describeDisconnect puts a close code into words; reason is what the server said, if anything. Of schemas only the reason knows which side is older. */
export function describeDisconnect(code: number, reason: string): string {
  if (code === Code.schemaMismatch && reason !== "") return reason;
  const known = words[code];
  if (known !== undefined) return known;
  if (reason !== "") return reason;
  return code === 1006 || code === 0 ? "the connection was lost" : `the connection closed with code ${code}`;
}

// The transport's own codes after which the same bytes would end the same way.
const HOPELESS = [1002, 1003, 1007, 1008, 1009, 1010];

/** policyOf: 4500-4999 are terminal, and what WebSocket itself calls a broken peer; everything else (a lost network included) means try again. */
export function policyOf(code: number): Policy {
  return (code >= 4500 && code <= 4999) || HOPELESS.includes(code) ? "terminal" : "reconnect";
}

/** Disconnect codes that this client itself needs. */
export const Code = {
  shutdown: 4000, idle: 4002, overloaded: 4004, handshakeTimeout: 4005, badRecord: 4010, keyUnknown: 4011, badHandshake: 4500, textMessage: 4501,
  badFrame: 4502, versionRefused: 4504, schemaMismatch: 4505, badToken: 4506,
} as const;

/** Error codes of ERROR frames that this client itself needs. */
export const ErrorCode = { unauthorized: 6, overloaded: 7, unavailable: 10 } as const;

const errorNames = [
  "", "unknown_route", "wrong_state", "too_large", "malformed", "rate_limited", "unauthorized", "overloaded", "internal", "not_allowed",
  "unavailable",
];

/** errorName is the manual's name of an error code, or "game error N". */
export function errorName(code: number): string {
  return errorNames[code] ?? `game error ${code}`;
}
