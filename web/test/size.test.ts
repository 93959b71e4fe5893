import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const BUDGET = 15_000;
/** ALL bounds what nobody takes at once: every export, with the commands of operators. */
const ALL = 20_000;

/** weigh bundles as a page would, and returns bytes behind gzip. */
async function weigh(source: string): Promise<number> {
  const out = await build({
    stdin: { contents: source, resolveDir: "sdk", loader: "ts" }, bundle: true, minify: true, format: "esm", target: "es2022", write: false, legalComments: "none",
  });
  return gzipSync(out.outputFiles[0]!.contents, { level: 9 }).length;
}

test("what the sample game's schema needs, framework and replica included, stays below 15 kB gzip", async (t) => {
  const all = await weigh(`export * from "./gen/plains.ts"; export * as mmo from "./gen/mmo.ts"; export * from "./layout.ts"; export * from "./replica.ts"; export * from "./wire.ts";`);
  const used = await weigh(
    `export { World, sendMove, callSpectate, dispatch, FINGERPRINT, Kind } from "./gen/plains.ts"; export { dispatch as framework, callLogin } from "./gen/mmo.ts";`,
  );
  const messages = await weigh(`export { sendMove } from "./gen/plains.ts";`);
  t.diagnostic(`all of it ${all} bytes gzip, what a game uses ${used}, a single sender ${messages}`);
  assert.ok(used <= BUDGET, `${used} bytes`);
  assert.ok(all <= ALL, `with all that no game uses at once ${all} bytes`);
  assert.ok(used < all && messages < 2000, `what is not used is left out: ${used}, ${messages} bytes`);
});
