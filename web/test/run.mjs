// Bundles test/*.test.ts into .test/ and runs node's own test runner on them.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const web = dirname(dirname(fileURLToPath(import.meta.url)));
const out = join(web, ".test");
rmSync(out, { recursive: true, force: true });
const entries = readdirSync(join(web, "test")).filter((f) => f.endsWith(".test.ts")).map((f) => join(web, "test", f));
await build({
  entryPoints: entries, outdir: out, outExtension: { ".js": ".mjs" }, bundle: true, splitting: true, format: "esm", platform: "node",
  target: "node18", sourcemap: "inline", logLevel: "warning", absWorkingDir: web, external: ["esbuild", "ws"],
});
const files = readdirSync(out).filter((f) => f.endsWith(".test.mjs")).sort().map((f) => join(out, f));
const old = Number(process.versions.node.split(".")[0]) < 19 ? ["--experimental-global-webcrypto"] : []; // Debian 12 has Node.js 18
const run = spawnSync(process.execPath, ["--enable-source-maps", "--no-warnings", ...old, "--test", ...files], { stdio: "inherit", cwd: web });
process.exit(run.status ?? 1);
