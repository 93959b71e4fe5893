/** The client SDK of Tianxia for browsers. No runtime dependency; noble is loaded only where WebCrypto is missing. */
export * from "./bytes.ts";
export * from "./client.ts";
export * from "./clock.ts";
export * from "./codes.ts";
export * from "./connection.ts";
export * from "./frames.ts";
export * from "./noise.ts";
export * from "./plains.ts";
export * from "./predict.ts";
export * from "./proto.ts";
export * from "./records.ts";
export * from "./replica.ts";
export * from "./rules.ts";
export * from "./suite.ts";
