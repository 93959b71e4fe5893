/** What a movement rule needs to run here exactly as it does on the server. */
export * from "./angle.ts";
export * from "./fixed.ts";
export * from "./steps.ts";
export * from "./terrain.ts";
export * from "./vec.ts";
